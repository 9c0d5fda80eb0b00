//! A real Chromium, driven by its own protocol (CDP): one tab, what it shows, what it complains of, what it asks for.

use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// What a page has not become by then it will not become.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one tab.
pub(crate) struct Browser {
    process: Child,
    socket: RefCell<WebSocket<TcpStream>>,
    seen: RefCell<Seen>,
    session: String,
    _profile: TempDir,
}

/// What the browser told.
#[derive(Default)]
struct Seen {
    last_id: u64,
    /// Errors of scripts, violations of the policy, and whatever else is an error.
    complaints: Vec<String>,
    /// Addresses that were asked for.
    requests: Vec<String>,
    /// Bytes that came.
    bytes: u64,
}

fn program() -> Option<PathBuf> {
    let known =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];
    known.iter().map(PathBuf::from).find(|path| path.exists())
}

impl Browser {
    /// None where there is no Chromium.
    pub(crate) fn open() -> Option<Browser> {
        let Some(program) = program() else {
            eprintln!("not tested here: there is no Chromium");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder");
        let mut process = Command::new(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--force-color-profile=srgb", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("Chromium starts");
        let mut said = BufReader::new(process.stderr.take().expect("its stderr"));
        let url = loop {
            let mut line = String::new();
            assert_ne!(said.read_line(&mut line).expect("its words"), 0, "Chromium ends");
            if let Some((_, url)) = line.split_once("DevTools listening on ") {
                break url.trim().to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut said.by_ref(), &mut std::io::sink()));
        let address = url.trim_start_matches("ws://").split('/').next().expect("an address");
        let stream = TcpStream::connect(address).expect("it is reached");
        stream.set_read_timeout(Some(PATIENCE * 2)).expect("a timeout");
        let (socket, _) = client(&url, stream).expect("it is a WebSocket");
        let mut browser = Browser {
            process,
            socket: RefCell::new(socket),
            seen: RefCell::default(),
            session: String::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session =
            browser.call("Target.attachToTarget", attach)["sessionId"].as_str().expect("a session").into();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Calls a method of the protocol.
    pub(crate) fn call(&self, method: &str, parameters: Value) -> Value {
        let mut seen = self.seen.borrow_mut();
        let mut socket = self.socket.borrow_mut();
        seen.last_id += 1;
        let mut message = json!({ "id": seen.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        socket.send(Message::text(message.to_string())).expect("it is sent");
        loop {
            let Message::Text(text) = socket.read().expect("an answer") else { continue };
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            if answer["id"] == seen.last_id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            seen.hear(&answer);
        }
    }

    /// The value of an expression of the page's; a promise is waited for.
    #[track_caller]
    pub(crate) fn value(&self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", parameters);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) {
        let waiting = format!(
            "new Promise((done) => {{ const end = Date.now() + {}; (function look() {{
                let so = false; try {{ so = Boolean({expression}); }} catch {{}}
                if (so || Date.now() > end) done(so); else setTimeout(look, 20); }})(); }})",
            PATIENCE.as_millis()
        );
        if self.value(&waiting) != true {
            let shown = self.value("document.title + '\\n' + document.body.innerText.slice(0, 3000)");
            panic!("it does not become so: {expression}\n{shown}\n{:?}", self.seen.borrow().complaints);
        }
    }

    /// Waits until a text stands on the page.
    #[track_caller]
    pub(crate) fn reads(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text)));
    }

    /// Goes to an address, and waits until it is drawn.
    #[track_caller]
    pub(crate) fn go(&self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.until(&format!("location.href === {} && document.querySelector('main h1')", json!(url)));
    }

    /// Presses the first button or link with that text, below the first element of that selector.
    #[track_caller]
    pub(crate) fn press(&self, within: &str, text: &str) {
        let find = format!(
            "[...(document.querySelector({within})?.querySelectorAll('button, a, summary') ?? [])]
                .find((one) => one.textContent.trim() === {text} && !one.disabled)",
            within = json!(within),
            text = json!(text)
        );
        self.until(&find);
        self.value(&format!("({find}).click()"));
    }

    /// Types into a field.
    #[track_caller]
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let find = format!("document.querySelector({})", json!(selector));
        self.until(&find);
        self.value(&format!("{find}.focus(), {find}.select?.()"));
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// The size of its window, and which colours it prefers.
    pub(crate) fn look_like(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": scheme }));
    }

    /// What it complained of since that was asked last.
    pub(crate) fn complaints(&self) -> Vec<String> {
        // Whatever is on its way comes before the answer.
        self.value("new Promise((done) => setTimeout(done, 0))");
        std::mem::take(&mut self.seen.borrow_mut().complaints)
    }

    /// Every address that was asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.borrow().requests.clone()
    }

    /// How many bytes came since that was asked last.
    pub(crate) fn bytes(&self) -> u64 {
        self.value("1");
        std::mem::take(&mut self.seen.borrow_mut().bytes)
    }
}

impl Seen {
    fn hear(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => self.complaints.push(parameters["exceptionDetails"].to_string()),
            "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
                self.complaints.push(parameters["entry"].to_string());
            }
            "Network.requestWillBeSent" => {
                self.requests.push(parameters["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            "Network.dataReceived" => self.bytes += parameters["dataLength"].as_u64().unwrap_or_default(),
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.process);
        // It has processes of its own.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.process.wait();
    }
}
