//! A web service on nodes: the demo's, and one that is rolled over under constant requests.

use super::world::world;
use crate::whole::port::Port;
use crate::whole::world::those_with;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn the_demo_reaches_its_production_by_ssh_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    // Where paths are not what shells and ssh like best.
    let place = folder.path().join("temporär & so");
    std::fs::create_dir(&place).expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["demo", "--yes", "--ssh"])
        .env("TMPDIR", &place)
        .env("NO_COLOR", "1")
        .env_remove("TIDEGATE_SSH_COMMAND")
        .output()
        .expect("the demo runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if said.contains("TG-DEMO-006") {
        eprintln!("not tested here: there is no sshd");
        return;
    }
    assert!(output.status.success(), "{said}");
    assert!(said.contains("production: 1.2.0 is on node prod-2"), "{said}");
    assert!(those_with(folder.path()).is_empty(), "{:?}", those_with(folder.path()));
    assert_eq!(std::fs::read_dir(&place).expect("a folder").count(), 0);
}

/// The way of the documentation: out of the proxy, the new one up, into the proxy again. What is served is this very
/// program, which is long enough in coming up to be missed.
const ROLLING: &str = r#"
upload = [{ artifact = "out/**", to = "$HOME/$TIDEGATE_VERSION/" }]
run = """
touch drain
sleep 0.6
ln -sfn $TIDEGATE_VERSION current
if [ -f pid ]; then kill $(cat pid); fi
nohup $TIDEGATE_PROGRAM demo-node $PORT current >served.log 2>&1 &
echo $! > pid
"""
health = { http = "http://127.0.0.1:$PORT/", every = "50ms", healthy_for = "200ms", within = "20s" }
"#;

/// A proxy as they are: it asks each backend now and then whether it may be used, and gives each request to one of those
/// that may, without a second try.
struct Proxy {
    address: std::net::SocketAddr,
}

/// A backend: its port, and the folder in which `drain` takes it out.
type Backend = (u16, std::path::PathBuf);

impl Proxy {
    fn begin(backends: Vec<Backend>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let usable = Arc::new(Mutex::new(Vec::new()));
        let list = usable.clone();
        std::thread::spawn(move || {
            loop {
                let may = |backend: &&Backend| !backend.1.join("drain").exists() && ask(backend.0).is_ok();
                let now: Vec<u16> = backends.iter().filter(may).map(|backend| backend.0).collect();
                *list.lock().expect("not poisoned") = now;
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        std::thread::spawn(move || {
            let mut turn = 0;
            for mut stream in listener.incoming().map_while(Result::ok) {
                let list = usable.lock().expect("not poisoned").clone();
                turn += 1;
                let port = list.get(turn % list.len().max(1)).copied();
                std::thread::spawn(move || {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request);
                    let answer = port.map(ask);
                    let line = match answer {
                        Some(Ok(page)) => format!("HTTP/1.1 200 X\r\nConnection: close\r\n\r\n{page}"),
                        Some(Err(_)) | None => "HTTP/1.1 502 X\r\nConnection: close\r\n\r\n".to_owned(),
                    };
                    let _ = stream.write_all(line.as_bytes());
                });
            }
        });
        Proxy { address }
    }
}

fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(answer)),
    }
}

#[test]
fn a_rolling_deploy_loses_no_request() {
    let held = [Port::reserve(), Port::reserve()];
    let ports: Vec<u16> = held.iter().map(|port| port.number).collect();
    // The node's own last word: into the proxy again, and time for it to notice before the next node goes out.
    let deploy = ROLLING.replace("$TIDEGATE_PROGRAM", env!("CARGO_BIN_EXE_tidegate")).replace(
        "echo $! > pid\n",
        "echo $! > pid\nuntil (exec 3<>/dev/tcp/127.0.0.1/$PORT) 2>/dev/null; do sleep 0.05; done\nrm drain\nsleep 0.4\n",
    );
    let deploy = deploy
        .replace("run = \"\"\"\n", "run = [\"bash\", \"-c\", \"\"\"\n")
        .replace("sleep 0.4\n\"\"\"", "sleep 0.4\n\"\"\"]");
    let Some((world, mut fleet)) = world(&["a1", "a2"], "run = \"true\"\n") else { return };
    let mut world = world;
    let mut text = super::world::pipeline(&["a1", "a2"], &deploy);
    for (name, port) in ["a1", "a2"].iter().zip(&ports) {
        let line = format!("ssh = \"{name}\"\n");
        text = text.replace(&line, &format!("{line}env = {{ PORT = \"{port}\" }}\n"));
    }
    world.edit(&text);
    world.wait("pipeline_loaded", &[]);
    let build = "mkdir -p out; echo \"page of $TIDEGATE_VERSION\" > out/index.html\n";
    world.push("1.0.0", &[("build.sh", build)]);
    world.wait("promote_complete", &[("version", "1.0.0")]);

    let backends: Vec<Backend> =
        fleet.nodes.iter().zip(&ports).map(|(node, port)| (*port, node.home.clone())).collect();
    let proxy = Proxy::begin(backends);
    while ask(proxy.address.port()).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (is_over, good, bad) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (is_over, good, bad) = (is_over.clone(), good.clone(), bad.clone());
            let port = proxy.address.port();
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    match ask(port) {
                        Ok(_) => drop(good.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => bad.lock().expect("not poisoned").push(error.to_string()),
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            })
        })
        .collect();
    world.push("2.0.0", &[]);
    world.wait("promote_complete", &[("version", "2.0.0")]);
    is_over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("it ends"));
    let bad = bad.lock().expect("not poisoned");
    assert!(bad.is_empty(), "{} lost of {}: {bad:?}", bad.len(), good.load(Ordering::Relaxed));
    assert!(good.load(Ordering::Relaxed) > 100, "{good:?}");
    for port in ports {
        assert_eq!(ask(port).expect("it answers"), "page of 2.0.0\n");
    }
    fleet.nodes.iter_mut().for_each(super::fleet::Node::kill);
}
