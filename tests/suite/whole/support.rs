//! `tidegate support-bundle`: what is in it, what never is, and that it comes whatever is broken.

use super::world::World;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where something secret may stand. Each has a text of its own.
const PLACES: [&str; 22] = [
    "webhook_file",
    "webhook_env",
    "ssh_command",
    "secret_file",
    "pipeline_env",
    "step_env",
    "node_env",
    "repo_user",
    "repo_password",
    "repo_path",
    "notice_path",
    "notice_query",
    "database",
    "command",
    "output",
    "said_output",
    "said_reason",
    "why",
    "subject",
    "description",
    "bad_file",
    "probe",
];

fn canary(place: &str) -> String {
    let at = PLACES.iter().position(|known| *known == place).unwrap_or_else(|| panic!("{place}"));
    // With characters that encodings write in their own way.
    format!("canary{at:02}+Zq7~K9xR2p")
}

/// A text in every form that a program may write it in.
fn disguises(text: &str) -> Vec<String> {
    let hex = |digits: fn(u8) -> String| text.bytes().map(digits).collect::<String>();
    let url: String =
        text.bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") }
            })
            .collect();
    let mut all = vec![text.to_owned(), hex(|b| format!("{b:02x}")), hex(|b| format!("{b:02X}"))];
    all.extend([url.to_lowercase(), text.replace('+', "%2B"), url]);
    // Of what lies in the middle of a longer text, the part that is its alone.
    all.extend((0..3).map(|skipped| base64(&text.as_bytes()[skipped..])));
    all
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = bytes.chunks_exact(3).map(|three| u32::from_be_bytes([0, three[0], three[1], three[2]]));
    whole.flat_map(|bits| [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize] as char)).collect()
}

const PIPELINE: &str = r#"
description = "{description}"

[source]
repo = $REPO

[env]
name = "{pipeline_env}"
DATABASE_URL = "postgres://shop:{database}@db.example.org/shop"

[secrets]
TOKEN = { file = "$PLACE/secret" }

[build]
artifacts = ["VERSION"]

[[build.step]]
name = "show"
env = { version = "{step_env}" }
secrets = ["TOKEN"]
run = "true {command}; cat $PLACE/output; echo $TOKEN; cat $PLACE/said >> $TIDEGATE_EVENTS"

[[tier]]
name = "host"

[[tier.node]]
name = "h1"
env = { kind = "{node_env}" }

[[tier.gate]]
name = "asks"
kind = "http_probe"
url = "http://127.0.0.1:1/?key={probe}"
required = false

[[tier.gate]]
name = "blocked"
kind = "command"
run = "cat $PLACE/blocked >> $TIDEGATE_EVENTS"
required = false

[tier.deploy]
run = "true"

[[notify]]
kinds = ["build_ok"]
url = "http://127.0.0.1:1/{notice_path}?token={notice_query}"
"#;

const OTHER: &str = r#"
[source]
repo = "https://{repo_user}:{repo_password}@127.0.0.1:1/{repo_path}.git"

[[build.step]]
name = "make"
run = "true"

[[tier]]
name = "host"
"#;

fn planted(text: &str) -> String {
    PLACES.iter().fold(text.to_owned(), |text, place| text.replace(&format!("{{{place}}}"), &canary(place)))
}

/// A controller that has been told and shown every secret, and has built something.
fn world() -> (World, u64) {
    let mut world = World::unborn(&planted(PIPELINE));
    let write = |path: &str, text: &str| {
        fs::write(world.path(path), planted(text)).expect("a file");
        fs::set_permissions(world.path(path), fs::Permissions::from_mode(0o600)).expect("private");
    };
    write("place/secret", "{secret_file}");
    write("place/output", "{output}\n");
    write("place/said", "{\"kind\":\"output\",\"key\":\"k\",\"value\":\"{said_output}\"}\n");
    write("place/blocked", "{\"kind\":\"blocked\",\"reason\":\"{said_reason}\"}\n");
    write("webhook", "{webhook_file}");
    write("pipelines/other.toml", OTHER);
    write("pipelines/bad.toml", "[source]\nrepo = \"/srv/x\"\nrefs = \"{bad_file}\"\n{bad_file} = 1\n");
    write(
        "tidegate.toml",
        "ssh_command = [\"ssh\", \"-o\", \"SetEnv=A={ssh_command}\"]\n[webhook.github]\nsecret = { file = \"webhook\" }\n\
         [webhook.gitea]\nsecret = { env = \"GITEA\" }\n",
    );
    let mut program = world.program();
    program.env("GITEA", canary("webhook_env"));
    world.start_by(program);
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_rejected", &[]);
    world.wait("pipeline_loaded", &[("pipeline", "shop")]);
    world.commit("1.0.0", &[]);
    world.git("work", &["commit", "-q", "--amend", "-m", &canary("subject")]);
    world.git("work", &["push", "origin", "main"]);
    let run = world.wait("step_start", &[])["run_id"].as_u64().expect("a run");
    world.wait("promote_complete", &[]);
    world.good(&["hold", "shop", "--why", &canary("why")]);
    world.wait("hold_set", &[]);
    (world, run)
}

fn unpacked(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(path).expect("a bundle")));
    let files = archive.entries().expect("entries").map(|entry| {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("whole");
        let (_, name) = name.split_once('/').expect("a folder");
        (name.to_owned(), String::from_utf8_lossy(&bytes).into_owned())
    });
    files.collect()
}

fn leaks(files: &BTreeMap<String, String>, place: &str, secret: &str) -> Vec<String> {
    let found = files.iter().filter_map(|(name, text)| {
        let shown = disguises(secret).into_iter().find(|disguise| text.contains(disguise))?;
        Some(format!("{place} in {name} as {shown}"))
    });
    found.collect()
}

#[test]
fn nothing_secret_is_in_it_wherever_it_stood() {
    let (world, run) = world();
    let token = world.good(&["token", "create", "ann", "--role", "viewer"]);
    let (exit, said) = world.says(&["support-bundle", "b.tar.gz"]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("look through it before you send it"), "{said}");
    let mode = fs::metadata(world.path("b.tar.gz")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let files = unpacked(&world.path("b.tar.gz"));
    let contents: Value = serde_json::from_str(&files["contents.json"]).expect("JSON");
    let parts = contents["parts"].as_array().expect("parts");
    assert!(parts.len() >= 10 && parts.iter().all(|part| part["missing"].is_null()), "{contents:#}");

    let mut found: Vec<String> =
        PLACES.iter().flat_map(|place| leaks(&files, place, &canary(place))).collect();
    found.extend(leaks(&files, "the owner's token", world.read("state/token").trim()));
    found.extend(leaks(&files, "a token", token.trim()));
    assert_eq!(found, Vec::<String>::new());
    for place in PLACES {
        assert!(!said.contains(&canary(place)), "{place}: {said}");
    }

    // It is worth something all the same.
    for (file, text) in [
        ("events.jsonl", "\"kind\":\"step_done\""),
        ("events.jsonl", "\"classification\":\"ok\""),
        ("definitions.json", "\"DATABASE_URL\": \"***\""),
        ("definitions.json", "\"repo\": \"https://127.0.0.1:1/***\""),
        ("state.json", "\"version\": \"1.0.0\""),
        ("settings.json", "\"github\": \"in a file\""),
        ("doctor.json", "\"what\": \"kernel\""),
        ("journal.json", "\"step_done\": "),
        ("proof.json", "\"proven\": true"),
        ("system.json", "\"nofile\""),
        ("runs.json", "\"log_bytes\""),
        ("metrics.txt", "tidegate_build_info{version="),
    ] {
        assert!(files[file].contains(text), "{text}: {}", files[file]);
    }

    // What is asked for by name is there; what is there is not written over.
    assert_eq!(world.ends(&["support-bundle", "b.tar.gz"]).0, 2);
    let log = format!("shop/{run}");
    let (exit, said) = world.says(&[
        "support-bundle",
        "b.tar.gz",
        "--force",
        "--events",
        "0",
        "--logs",
        &log,
        "--logs",
        "shop/99999",
    ]);
    assert!(exit == 0 && said.contains("[TG-BUNDLE-003]"), "{said}");
    let files = unpacked(&world.path("b.tar.gz"));
    let log = &files[&format!("logs/{log}.log")];
    assert!(log.contains(&canary("output")) && !log.contains(&canary("secret_file")), "{log}");
    assert_eq!(files["events.jsonl"], "");
}

#[test]
fn it_comes_without_a_controller_and_from_a_damaged_journal() {
    let mut world = World::new(super::SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    world.stop();
    world.good(&["support-bundle", "whole.tar.gz"]);
    let files = unpacked(&world.path("whole.tar.gz"));
    assert!(files["state.json"].contains("\"version\": \"1.0.0\""), "{}", files["state.json"]);
    assert!(!files.contains_key("metrics.txt"));

    // One event is spoilt: what came before it, and what does not need it, is there.
    let shell = rusqlite::Connection::open(world.path("state/journal.db")).expect("the journal");
    let spoil = "UPDATE events SET body = 'canary' WHERE kind = 'build_ok'";
    assert_eq!(shell.execute(spoil, []).expect("spoilt"), 1);
    drop(shell);
    world.good(&["support-bundle", "spoilt.tar.gz"]);
    let files = unpacked(&world.path("spoilt.tar.gz"));
    assert!(files["journal.json"].contains("[TG-ENGINE-002]"), "{}", files["journal.json"]);
    assert!(files["proof.json"].contains("\"what\": \"changed\""), "{}", files["proof.json"]);
    assert!(files["definitions.json"].contains("\"shop\""), "{}", files["definitions.json"]);
    assert!(files["events.jsonl"].contains("promote_blocked") && !files["events.jsonl"].contains("canary"));

    // There is no journal any more that could be read at all.
    fs::write(world.path("state/journal.db"), "canary".repeat(1000)).expect("destroyed");
    let said = world.good(&["support-bundle", "none.tar.gz"]);
    assert!(said.contains("NOT THERE: the journal cannot be read [TG-JOURNAL-"), "{said}");
    let files = unpacked(&world.path("none.tar.gz"));
    assert!(files.contains_key("system.json") && files.contains_key("doctor.json"), "{:?}", files.keys());
    assert!(files.contains_key("runs.json") && !files.contains_key("state.json"), "{:?}", files.keys());
}

#[test]
fn a_disk_without_room_is_said_and_nothing_is_left() {
    let world = World::unborn(super::SHOP);
    // A file that may grow no further is what a full disk is, for this one file.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" support-bundle b.tar.gz";
    let mut program = Command::new("sh");
    program.args(["-c", script, env!("CARGO_BIN_EXE_tidegate")]).current_dir(world.folder.path());
    program.env("TIDEGATE_STATE", world.path("state")).stdin(Stdio::null());
    let output = program.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("TG-BUNDLE-002"), "{:?} {said}", output.status);
    let left = fs::read_dir(world.folder.path()).expect("a folder").flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("b.tar")), "{left:?}");
}
