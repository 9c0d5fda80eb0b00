//! What editors see: tombi, a TOML language server, with our schema.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

/// The program is installed by `tests/run`, which says where it is.
fn tombi() -> Option<PathBuf> {
    let program = std::env::var_os("TIDEGATE_TOMBI").map(PathBuf::from);
    if program.is_none() {
        eprintln!("not tried: TIDEGATE_TOMBI does not name tombi; `tests/run` installs it");
    }
    program
}

fn lint(tombi: &Path, file: &Path) -> Output {
    Command::new(tombi)
        .args(["lint", "--offline"])
        .env("NO_COLOR", "1")
        .arg(file)
        .output()
        .expect("tombi runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn tombi_accepts_our_pipelines_and_reports_a_mistyped_key() {
    let Some(tombi) = tombi() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("schemas")).expect("a folder");
    std::fs::create_dir(folder.path().join("pipelines")).expect("a folder");
    std::fs::copy(
        root.join("schemas/pipeline.schema.json"),
        folder.path().join("schemas/pipeline.schema.json"),
    )
    .expect("the schema");
    for name in ["hello.toml", "shop.toml", "tidegate.toml", "web.toml"] {
        let text = std::fs::read_to_string(root.join("pipelines").join(name)).expect("a pipeline");
        let file = folder.path().join("pipelines").join(name);
        std::fs::write(&file, &text).expect("a copy");
        let output = lint(&tombi, &file);
        assert!(output.status.success(), "{name}: {}", said(&output));

        std::fs::write(&file, text.replacen("refs =", "rfes =", 1)).expect("a copy");
        let output = lint(&tombi, &file);
        assert!(!output.status.success(), "{name}: the mistyped key is not seen");
        let line = 1 + text.lines().position(|line| line.starts_with("refs =")).expect("the key");
        let place = format!("{name}:{line}:1");
        assert!(said(&output).contains(&place), "{name}: {}", said(&output));
    }
}

/// What an editor asks a language server, and what it answers: JSON-RPC over its standard input and output.
struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    asked: u64,
}

impl Server {
    fn start(tombi: &Path, folder: &Path) -> Server {
        let mut child = Command::new(tombi)
            .args(["lsp", "--offline"])
            .env("XDG_CACHE_HOME", folder.join("cache"))
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("tombi runs");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut server = Server { child, input, output, asked: 0 };
        let root = address(folder);
        server.ask("initialize", json!({ "processId": null, "rootUri": root, "capabilities": {} }));
        server.tell("initialized", json!({}));
        server
    }

    fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = "2.0".into();
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("it listens");
        self.input.flush().expect("it listens");
    }

    fn tell(&mut self, method: &str, parameters: Value) {
        self.send(json!({ "method": method, "params": parameters }));
    }

    /// Asks, and answers what it asks meanwhile with nothing.
    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let id = Value::from(self.asked);
        self.send(json!({ "id": id, "method": method, "params": parameters }));
        loop {
            let message = self.receive();
            let is_question = message.get("method").is_some();
            if !is_question && message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            if is_question && let Some(theirs) = message.get("id") {
                self.send(json!({ "id": theirs, "result": null }));
            }
        }
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).expect("it talks"), 0, "it ended");
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().expect("a length");
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut text = vec![0; length];
        self.output.read_exact(&mut text).expect("a message");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Opens a text, with a mistake, as a file of that name in `pipelines`, and waits until it is read; its address.
    fn open(&mut self, folder: &Path, name: &str, text: &str) -> String {
        let file = folder.join("pipelines").join(name);
        std::fs::write(&file, text).expect("a file");
        let uri = address(&file);
        let document = json!({ "uri": uri, "languageId": "toml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        loop {
            let message = self.receive();
            if message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri.as_str()
            {
                return uri;
            }
            if let (Some(_), Some(theirs)) = (message.get("method"), message.get("id")) {
                self.send(json!({ "id": theirs, "result": null }));
            }
        }
    }

    /// Asks about the place of some words in a text.
    fn at(&mut self, method: &str, uri: &str, text: &str, words: &str, column: usize) -> Value {
        let line = text.lines().position(|line| line.contains(words)).expect("the words");
        let position = json!({ "line": line, "character": column });
        self.ask(method, json!({ "textDocument": { "uri": uri }, "position": position }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(path: &Path) -> String {
    format!("file://{}", path.display())
}

const TEXT: &str = r#"#:schema ../schemas/pipeline.schema.json
[source]
repo = "shop.git"
rfes = ["main"]

[[tier]]
name = "staging"

  [tier.promote]
  soak = "1h"

  [[tier.gate]]
  kind = "command"
  run = "true"
  phase = "later"
"#;

#[test]
fn an_editor_shows_what_a_key_means_offers_keys_and_marks_mistakes() {
    let Some(tombi) = tombi() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a folder");
    for name in ["schemas", "pipelines"] {
        std::fs::create_dir(root.join(name)).expect("a folder");
    }
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/pipeline.schema.json");
    std::fs::copy(ours, root.join("schemas/pipeline.schema.json")).expect("the schema");
    let mut server = Server::start(&tombi, &root);

    let uri = server.open(&root, "whole.toml", TEXT);
    let hover = server.at("textDocument/hover", &uri, TEXT, "soak", 3).to_string();
    assert!(hover.contains("without a break"), "the words of the key: {hover}");
    let hover = server.at("textDocument/hover", &uri, TEXT, "repo", 1).to_string();
    assert!(hover.contains("any URL that git understands"), "{hover}");
    let document = json!({ "textDocument": { "uri": uri } });
    let marked = server.ask("textDocument/diagnostic", document);
    let lines: Vec<u64> = marked["items"]
        .as_array()
        .expect("diagnostics")
        .iter()
        .filter_map(|one| one["range"]["start"]["line"].as_u64())
        .collect();
    let line = |words: &str| TEXT.lines().position(|line| line.contains(words)).expect("the words") as u64;
    assert!(lines.contains(&line("rfes")), "the mistyped key is marked: {marked}");
    assert!(lines.contains(&line("later")), "the word that is none is marked: {marked}");
    assert!(!lines.contains(&line("soak")), "what is good is not: {marked}");

    for (typed, wanted) in [("af", "after"), ("promote.so", "soak"), ("deploy.max", "max_failures")] {
        let text = TEXT.replace("name = \"staging\"", &format!("name = \"staging\"\n{typed}"));
        let name = format!("{wanted}.toml");
        let uri = server.open(&root, &name, &text);
        let offered = server.at("textDocument/completion", &uri, &text, typed, typed.len());
        let items = offered.get("items").unwrap_or(&offered);
        let labels: Vec<&str> =
            items.as_array().expect("a list").iter().filter_map(|item| item["label"].as_str()).collect();
        assert!(labels.contains(&wanted), "{typed} becomes {wanted}: {labels:?}");
    }
}
