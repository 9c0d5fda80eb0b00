//! The controller behind a real nginx with TLS, both set up by the very words of `docs/operating.md`. Everything is asked
//! through `openssl s_client`, so that what is tested is the proxy and not a library's idea of one.

use super::SHOP;
use super::port::Port;
use super::world::World;
use crate::server::stand::Answered;
use serde_json::Value;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

const HOST: &str = "ci.example.org";

/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// From where requests come: an address of loopback that is no trusted proxy's.
const FAR: &str = "127.0.0.9";

/// A process that ends with this.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A line through TLS to the proxy.
struct Line {
    into: ChildStdin,
    out: ChildStdout,
    _process: Kept,
}

impl Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.out.read(bytes)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.into.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// The block of the manual that begins like that, after the heading "Behind a proxy".
fn block(begin: &str) -> String {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
    let manual = fs::read_to_string(manual).expect("the manual");
    let (_, section) = manual.split_once("\n## Behind a proxy\n").expect("a section");
    let (_, rest) = section.split_once(begin).expect("a block");
    rest.split_once("\n```").expect("its end").0.to_owned()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

struct Proxied {
    world: World,
    port: Port,
    _nginx: Kept,
}

impl Proxied {
    fn new(pipeline: &str) -> Option<Proxied> {
        if !is_there("nginx") || !is_there("openssl") {
            eprintln!("skipped: there is no nginx, or no openssl, here");
            return None;
        }
        let mut world = World::unborn(pipeline);
        fs::write(world.path("tidegate.toml"), block("```\n# tidegate.toml\n")).expect("settings");
        world.start();
        world.wait("pipeline_loaded", &[]);
        let port = Port::reserve();
        let nginx = nginx(&world, port.number);
        let proxied = Proxied { world, port, _nginx: nginx };
        proxied.until_it_answers();
        Some(proxied)
    }

    fn until_it_answers(&self) {
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port.number)).is_err() {
            let said = fs::read_to_string(self.world.path("nginx/error.log")).unwrap_or_default();
            assert!(begin.elapsed() < PATIENCE, "nginx does not answer: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn line(&self) -> Line {
        let mut process = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_quiet", "-verify_return_error", "-servername", HOST])
            .args([
                "-verify_hostname",
                HOST,
                "-bind",
                FAR,
                "-connect",
                &format!("127.0.0.1:{}", self.port.number),
            ])
            .arg("-CAfile")
            .arg(self.world.path("nginx/cert.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let (into, out) = (process.stdin.take().expect("stdin"), process.stdout.take().expect("stdout"));
        Line { into, out, _process: Kept(process) }
    }

    /// A request, byte by byte, and a line from which its answer comes.
    fn begin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Line {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        let mut line = self.line();
        // What is refused early may not be read to its end.
        let _ = line.write_all(&[head.as_bytes(), b"\r\n", body].concat());
        let _ = line.flush();
        line
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answered {
        let mut answer = Vec::new();
        self.begin(method, path, headers, body).read_to_end(&mut answer).expect("an answer");
        Answered::parse(&answer)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.world.read("state/token").trim())
    }
}

/// A proxy before that world's controller, as the manual has it.
fn nginx(world: &World, port: u16) -> Kept {
    let folder = world.path("nginx");
    fs::create_dir(&folder).expect("a folder");
    let path = |name: &str| folder.join(name).display().to_string();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", &format!("/CN={HOST}"), "-addext", &format!("subjectAltName=DNS:{HOST}")])
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut server = block("```nginx\n");
    for (there, here) in [
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
        ("/etc/ssl/ci.example.org.pem", path("cert.pem")),
        ("/etc/ssl/private/ci.example.org.key", path("key.pem")),
        ("127.0.0.1:8433", world.address.clone()),
    ] {
        assert!(server.contains(there), "`{there}` is in the manual");
        server = server.replace(there, &here);
    }
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("    {name}_temp_path {};\n", path(name)))
        .collect();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {};\nerror_log {};\nevents {{}}\nhttp {{\n    access_log off;\n\
         {temporary}{server}\n}}\n",
        path("pid"),
        path("error.log")
    );
    fs::write(folder.join("nginx.conf"), text).expect("a configuration");
    let mut command = Command::new("nginx");
    command.args(["-e", &path("error.log"), "-p", &path(""), "-c", &path("nginx.conf")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Kept(command.spawn().expect("nginx starts"))
}

#[test]
fn the_proxy_of_the_manual_passes_on_what_it_should() {
    let Some(mut proxied) = Proxied::new(SHOP) else { return };
    let bearer = proxied.bearer();
    let shown = [("authorization", bearer.as_str())];

    // Reading needs a token, though both ends of the controller's connection are on loopback; and it is known whose
    // address that was, whatever they say.
    let refused = proxied.ask("GET", "/api/state", &[("x-forwarded-for", "203.0.113.9")], b"");
    assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("TG-AUTH-001")));
    let event = proxied.world.wait("access_refused", &[]);
    assert_eq!(event["from"], FAR, "{event}");
    assert_eq!(proxied.ask("GET", "/api/state", &shown, b"").status, 200);
    assert_eq!(proxied.ask("GET", "/", &[], b"").status, 200, "the page is open to all");

    // A browser signs in, here without saying where it is; its cookie is never sent without TLS.
    let token = bearer.trim_start_matches("Bearer ");
    let body = format!("{{\"token\":\"{token}\"}}");
    let signed_in = proxied.ask("POST", "/api/login", &[], body.as_bytes());
    let set = signed_in.header("set-cookie").to_owned();
    assert!(signed_in.status == 200 && set.contains("; Secure"), "{}: {set}", signed_in.status);
    let cookie = set.split(';').next().expect("a cookie");

    // A change by it counts from the controller's own page only.
    let hold = "/api/pipelines/shop/tiers/host/hold";
    let by_page = [("cookie", cookie), ("origin", "https://ci.example.org")];
    let elsewhere =
        proxied.ask("POST", hold, &[("cookie", cookie), ("origin", "https://evil.example")], b"{}");
    assert_eq!(elsewhere.status, 403, "{}", elsewhere.text());
    let nowhere = proxied.ask("POST", hold, &[("cookie", cookie)], b"{}");
    assert_eq!((nowhere.status, nowhere.json()["code"].as_str()), (403, Some("TG-AUTH-009")));
    let held = proxied.ask("POST", hold, &by_page, b"{}");
    assert_eq!(held.status, 200, "{}", held.text());
    assert_eq!(proxied.world.wait("hold_set", &[])["by"], "owner");

    // Too large for the controller, which says so in its own words; and too large for the proxy.
    let large = vec![b' '; 2 << 20];
    let refused = proxied.ask("POST", "/rebuild", &shown, &large);
    assert_eq!(refused.status, 413, "{}", refused.text());
    assert!(
        refused.json()["code"].as_str().is_some_and(|code| code.starts_with("TG-")),
        "{}",
        refused.text()
    );
    assert_eq!(proxied.ask("POST", "/rebuild", &shown, &vec![b' '; 9 << 20]).status, 413);
    assert_eq!(proxied.world.stop(), 0);
}

#[test]
fn a_socket_through_the_proxy_tells_what_was_and_what_is() {
    let Some(mut proxied) = Proxied::new(SHOP) else { return };
    let mut request = format!("wss://{HOST}/events?since=0").into_client_request().expect("a request");
    request.headers_mut().insert("authorization", proxied.bearer().parse().expect("a header"));
    let (mut socket, _) = client(request, proxied.line()).expect("it becomes a WebSocket");
    let first = next(&mut socket);
    assert_eq!((&first["id"], &first["kind"]), (&1.into(), &"controller_started".into()), "{first}");
    while next(&mut socket)["kind"] != "pipeline_loaded" {}
    // What happens from now on comes as it happens.
    proxied.world.good(&["hold", "shop", "host"]);
    while next(&mut socket)["kind"] != "hold_set" {}
    // A goodbye is heard on the other side of the proxy.
    socket.close(None).expect("said");
    while socket.read().is_ok() {}
    let refused = client(format!("wss://{HOST}/events"), proxied.line());
    assert!(refused.is_err(), "without a token there is none");
    assert_eq!(proxied.world.stop(), 0);
}

fn next(socket: &mut WebSocket<Line>) -> Value {
    loop {
        if let Message::Text(text) = socket.read().expect("it goes on") {
            return serde_json::from_str(&text).expect("JSON");
        }
    }
}

#[test]
fn a_log_comes_through_the_proxy_as_it_is_written() {
    let make = "run = \"echo making $TIDEGATE_VERSION; cp VERSION out.txt\"";
    let slow = "run = \"echo begun; touch $PLACE/begun; while ! test -e $PLACE/go; do sleep 0.1; done; echo over; cp VERSION out.txt\"";
    assert!(SHOP.contains(make));
    let Some(mut proxied) = Proxied::new(&SHOP.replace(make, slow)) else { return };
    let bare = proxied.world.path("shop.git");
    proxied.world.good(&["hook", "install", bare.to_str().expect("text")]);
    proxied.world.push("0.1.0", &[]);
    let run = proxied.world.wait("step_start", &[])["run_id"].to_string();
    let begin = Instant::now();
    while !proxied.world.path("place/begun").exists() {
        assert!(begin.elapsed() < PATIENCE, "the step does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let shown = proxied.bearer();
    let path = format!("/api/runs/{run}/log?follow=true");
    let line = proxied.begin("GET", &path, &[("authorization", &shown)], b"");
    let mut lines = BufReader::new(line).lines().map(|line| line.expect("text"));
    let begun = lines.by_ref().find(|line| line.contains("begun"));
    assert!(begun.is_some(), "what was written came before the run is over");
    fs::write(proxied.world.path("place/go"), "").expect("a file");
    assert!(lines.any(|line| line.contains("over")), "and so did the rest");
    proxied.world.wait("build_ok", &[]);
    assert_eq!(proxied.world.stop(), 0);
}
