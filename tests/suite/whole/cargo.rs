//! Gates that run the real cargo on tiny crates, without a network: what fails is named, with its place.

use super::world::World;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const PIPELINE: &str = r#"
[source]
repo = $REPO

[env]
CARGO_NET_OFFLINE = "true"

[[tier]]
name = "host"
"#;

const MANIFEST: &str = "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
    license = \"MIT\"\n[lib]\npath = \"lib.rs\"\n";
const LOCK: &str = "version = 4\n\n[[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\n";
const GOOD: &str = "#[test]\nfn good() {}\n";

fn gate(name: &str, kind: &str, more: &str) -> String {
    format!("\n[[tier.gate]]\nname = \"{name}\"\nkind = \"{kind}\"\nrequired = false\n{more}\n")
}

/// Whether a tool of cargo is there; what is not tried is said.
fn has(tool: &str) -> bool {
    let there = Command::new("cargo").args([tool, "--version"]).output().is_ok_and(|o| o.status.success());
    if !there {
        println!("skipped: `cargo {tool}` is not installed");
    }
    there
}

impl World {
    /// Returns once the version has entered its tier.
    fn push_crate(&mut self, version: &str, lib: &str) {
        self.push(version, &[("Cargo.toml", MANIFEST), ("Cargo.lock", LOCK), ("lib.rs", lib)]);
        self.wait("promote_start", &[]);
    }

    /// The outcome of a gate, and what the step said before.
    fn outcome(&mut self, name: &str) -> (Value, Vec<Value>) {
        let is_it = |event: &Value| event["kind"] == "gate_done" && event["name"] == *name;
        // Gates run side by side: it may have ended before another.
        let entered = self.heard.iter().rposition(|event| event["kind"] == "promote_start").unwrap_or(0);
        let heard = self.heard[entered..].iter().find(|event| is_it(event)).cloned();
        let done = heard.unwrap_or_else(|| self.wait_for(&format!("the end of {name}"), is_it));
        let said = self
            .heard
            .iter()
            .filter(|event| event["kind"] == "step_event" && event["run_id"] == done["run_id"]);
        (done["outcome"].clone(), said.cloned().collect())
    }

    fn log(&self, outcome: &Value) -> String {
        let bytes = std::fs::read(self.path("state").join(outcome["log_ref"].as_str().expect("a log")));
        String::from_utf8(bytes.expect("the log")).expect("text")
    }
}

/// Level, file, line and message of annotations.
fn remarks(said: &[Value]) -> Vec<(String, String, u64, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let annotations = said.iter().map(|event| &event["event"]).filter(|said| said["kind"] == "annotation");
    annotations
        .map(|it| {
            (text(&it["level"]), text(&it["file"]), it["line"].as_u64().unwrap_or(0), text(&it["message"]))
        })
        .collect()
}

#[test]
fn cargo_test_names_what_failed_and_where() {
    let mut world = World::new(&(PIPELINE.to_owned() + &gate("tests", "cargo_test", "args = [\"--lib\"]")));
    world.push_crate("1.0.0", GOOD);
    let (outcome, _) = world.outcome("tests");
    assert_eq!(outcome["classification"], "ok", "{outcome}");
    let log = world.log(&outcome);
    assert!(log.contains("test good ... ok") && !log.contains("{\"reason\""), "{log}");
    assert!(world.path("state/work/shop/cache/target/debug").is_dir(), "the cache is the target folder");

    world.push_crate("1.0.1", "fn unused() {}\n#[test]\nfn bad() {\n    assert_eq!(1, 2, \"no\");\n}\n");
    let (outcome, said) = world.outcome("tests");
    assert_eq!(
        (&outcome["classification"], &outcome["message"], &outcome["exit_code"]),
        (&"test_failure".into(), &"1 test failed: `bad`".into(), &101.into())
    );
    let remarks = self::remarks(&said);
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert_eq!((remarks[0].0.as_str(), remarks[0].1.as_str(), remarks[0].2), ("warning", "lib.rs", 1));
    let failed = "test `bad` failed: assertion `left == right` failed: no";
    assert_eq!(remarks[1], ("error".into(), "lib.rs".into(), 4, failed.into()));
    let log = world.log(&outcome);
    let order =
        ["Compiling tiny", "warning: function `unused` is never used", "Running", "test bad ... FAILED"];
    let places: Vec<_> = order.iter().map(|text| log.find(text).expect(text)).collect();
    assert!(places.is_sorted(), "{log}");

    world.push_crate("1.0.2", "\nfn worse() -> u8 {}\n");
    let (outcome, said) = world.outcome("tests");
    assert_eq!(outcome["classification"], "compile_error", "{outcome}");
    let message = outcome["message"].as_str().expect("a message");
    assert!(message.starts_with("1 error, the first at lib.rs:2: mismatched types"), "{message}");
    let remarks = self::remarks(&said);
    assert_eq!((remarks[0].0.as_str(), remarks[0].1.as_str(), remarks[0].2), ("error", "lib.rs", 2));
}

#[test]
fn lints_and_formatting_fail_as_lint_with_their_places() {
    if !has("clippy") || !has("fmt") {
        return;
    }
    let own = "args = [\"--\", \"-W\", \"clippy::all\"]";
    let gates = [
        gate("clippy", "cargo_clippy", ""),
        gate("lenient", "cargo_clippy", own),
        gate("fmt", "cargo_fmt", ""),
    ];
    let mut world = World::new(&(PIPELINE.to_owned() + &gates.concat()));
    world.push_crate("1.0.0", GOOD);
    for name in ["clippy", "lenient", "fmt"] {
        assert_eq!(world.outcome(name).0["classification"], "ok", "{name}");
    }
    world.push_crate("1.0.1", "pub fn f() -> u8 {\n    return 3;\n}\npub fn  g() {}\n");
    let (outcome, said) = world.outcome("clippy");
    assert_eq!(outcome["classification"], "lint", "{outcome}");
    let remarks = self::remarks(&said);
    assert_eq!((remarks[0].0.as_str(), remarks[0].1.as_str(), remarks[0].2), ("error", "lib.rs", 2));
    assert!(remarks[0].3.contains("clippy::needless_return"), "{remarks:?}");
    let (outcome, said) = world.outcome("lenient");
    assert_eq!((&outcome["classification"], said.len()), (&"ok".into(), 1), "the user's own flags count");
    let (outcome, said) = world.outcome("fmt");
    assert_eq!(outcome["message"], "1 file is not formatted: `lib.rs`; run `cargo fmt`");
    assert_eq!(outcome["classification"], "lint");
    assert_eq!((remarks_of_file(&said), said.len()), (vec!["lib.rs".to_owned()], 1));
    assert!(!world.log(&outcome).contains('\x1b'), "no colours");
    world.push_crate("1.0.2", "pub fn f() -> u8 {\n");
    assert_eq!(world.outcome("clippy").0["classification"], "compile_error");
    let (outcome, _) = world.outcome("fmt");
    assert_eq!(outcome["classification"], "compile_error", "{outcome}");
}

fn remarks_of_file(said: &[Value]) -> Vec<String> {
    remarks(said).into_iter().map(|remark| remark.1).collect()
}

#[test]
fn cargo_deny_says_what_it_found() {
    if !has("deny") {
        return;
    }
    let args = "args = [\"bans\", \"licenses\"]";
    let mut world = World::new(&(PIPELINE.to_owned() + &gate("deny", "cargo_deny", args)));
    std::fs::write(world.path("work/deny.toml"), "[licenses]\nallow = [\"MIT\"]\n").expect("a file");
    world.push_crate("1.0.0", GOOD);
    assert_eq!(world.outcome("deny").0["classification"], "ok");
    let deny = "[licenses]\nallow = [\"MIT\"]\n[bans]\ndeny = [{ name = \"tiny\" }]\n";
    world.push("1.0.1", &[("deny.toml", deny)]);
    world.wait("promote_start", &[]);
    let (outcome, said) = world.outcome("deny");
    assert_eq!(outcome["classification"], "check_failed", "{outcome}");
    assert!(outcome["message"].as_str().expect("a message").contains("explicitly banned"), "{outcome}");
    assert!(
        remarks(&said).iter().any(|remark| remark.0 == "error" && remark.3.contains("banned")),
        "{said:?}"
    );
    let log = world.log(&outcome);
    assert!(log.contains("error[banned]: crate") && !log.contains("\"fields\""), "{log}");
}

#[test]
fn a_cargo_or_a_part_of_it_that_is_not_there_blocks_and_says_what_to_install() {
    let empty = "env = { PATH = \"$PLACE/bin\", CARGO_HOME = \"$PLACE/none\" }";
    let gates =
        [gate("none", "cargo_test", "env = { PATH = \"/nowhere\" }"), gate("deny", "cargo_deny", empty)];
    let mut world = World::new(&(PIPELINE.to_owned() + &gates.concat()));
    let bin = world.path("place/bin");
    std::fs::create_dir(&bin).expect("a folder");
    std::os::unix::fs::symlink(program("cargo"), bin.join("cargo")).expect("cargo alone");
    world.push_crate("1.0.0", GOOD);
    for (name, tool, way) in
        [("none", "cargo", "https://rustup.rs"), ("deny", "cargo-deny", "cargo install cargo-deny --locked")]
    {
        let (outcome, _) = world.outcome(name);
        assert_eq!(outcome["classification"], "missing_tool", "{outcome}");
        assert_eq!(outcome["blockers"][0]["tool"], tool);
        assert!(outcome["message"].as_str().expect("a message").contains(way), "{outcome}");
    }
}

/// Where a program of the PATH is.
fn program(name: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").expect("a PATH");
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file()).expect("a program")
}

#[test]
fn a_flaky_test_is_tried_again_and_recorded_and_each_try_is_a_run() {
    let flaky = "args = [\"--lib\"]\nflaky = { tries = 3 }\nenv = { MARK = \"$PLACE/mark\" }";
    let mut world = World::new(&(PIPELINE.to_owned() + &gate("tests", "cargo_test", flaky)));
    let lib = "#[test]\nfn at_second() {\n    let mark = std::env::var(\"MARK\").unwrap();\n    \
        let first = !std::path::Path::new(&mark).exists();\n    std::fs::write(mark, \"\").unwrap();\n    \
        assert!(!first);\n}\n";
    world.push_crate("1.0.0", lib);
    let first = world.wait("gate_done", &[("name", "tests")]);
    assert_eq!(
        (&first["outcome"]["classification"], &first["will_retry"]),
        (&"test_failure".into(), &true.into())
    );
    let second = world.wait("gate_done", &[("name", "tests")]);
    assert_eq!(second["outcome"]["classification"], "flaky");
    assert_ne!(first["run_id"], second["run_id"]);
    assert_ne!(first["outcome"]["log_ref"], second["outcome"]["log_ref"]);
    let first = Path::new(first["outcome"]["log_ref"].as_str().expect("a log")).to_owned();
    assert!(world.path("state").join(first).is_file(), "the log of a try stays");
}

#[test]
fn a_cargo_gate_that_is_canceled_leaves_nothing() {
    let mut world = World::new(&(PIPELINE.to_owned() + &gate("tests", "cargo_test", "args = [\"--lib\"]")));
    let lib = "#[test]\nfn endless() {\n    std::fs::write(std::env::var(\"TIDEGATE_CACHE\").unwrap() + \"/up\", \"\").unwrap();\n    \
        loop { std::thread::park(); }\n}\n";
    world.push_crate("1.0.0", lib);
    world.wait_for("the test runs", |event| {
        event["kind"] == "gate_log_chunk"
            && event["text"].as_str().is_some_and(|text| text.contains("Running"))
    });
    world.good(&["cancel", "shop", "host", "--why", "enough"]);
    let (outcome, _) = world.outcome("tests");
    assert_eq!(outcome["classification"], "canceled", "{outcome}");
    let left = super::world::those_with(&world.path("state/work"));
    let left: Vec<_> = left.into_iter().filter(|(pid, _)| *pid != world.pid()).collect();
    assert!(left.is_empty(), "{left:?}");
}
