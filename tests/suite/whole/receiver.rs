//! A small real HTTP server that notices are posted to: it keeps what it was asked, and answers as it is told.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Asked, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// The whole answer to the request of this number (from 0); none: the connection is kept and nothing is ever said.
type Answers = Box<dyn Fn(usize, &Request) -> Option<String> + Send + Sync>;

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    asked: Asked<Request>,
}

impl Receiver {
    /// One that takes everything.
    pub(crate) fn new() -> Receiver {
        Receiver::answering(|_, _| Some(answer(200, "")))
    }

    pub(crate) fn answering(
        answers: impl Fn(usize, &Request) -> Option<String> + Send + Sync + 'static,
    ) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (sender, asked) = channel();
        let answers: Arc<Answers> = Arc::new(Box::new(answers));
        std::thread::spawn(move || {
            let (count, hanging) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(Vec::new())));
            for stream in listener.incoming().map_while(Result::ok) {
                let (answers, sender) = (answers.clone(), sender.clone());
                let (count, hanging) = (count.clone(), hanging.clone());
                std::thread::spawn(move || {
                    hanging.lock().expect("not poisoned").extend(serve(stream, &answers, &sender, &count));
                });
            }
        });
        Receiver { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request.
    pub(crate) fn next(&self) -> Request {
        self.asked.recv_timeout(PATIENCE).expect("a request comes")
    }

    /// What was asked up to now and not looked at yet.
    pub(crate) fn so_far(&self) -> Vec<Request> {
        self.asked.try_iter().collect()
    }
}

/// Answers one request; gives back a connection that is to hang.
fn serve(
    stream: TcpStream,
    answers: &Answers,
    sender: &Sender<Request>,
    count: &Mutex<usize>,
) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let request = read(&mut reader)?;
    let number = {
        let mut count = count.lock().expect("not poisoned");
        *count += 1;
        *count - 1
    };
    let answer = answers(number, &request);
    let mut stream = stream;
    let kept = match answer {
        Some(answer) => {
            stream.write_all(answer.as_bytes()).ok()?;
            None
        }
        None => Some(stream),
    };
    // Nobody looks any more: the test is over.
    let _ = sender.send(request);
    kept
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, headers, body: Value::Null };
    let mut body = vec![0; request.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    request.body = serde_json::from_slice(&body).unwrap_or_default();
    Some(request)
}

/// An answer with this status and body.
pub(crate) fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
