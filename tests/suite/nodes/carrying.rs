//! The process that stands between the runner and ssh while a command runs on a node.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What ssh and a node would do together: it begins, writes without end, and notes every line that it gets.
const NODE: &str = r#"IFS= read -r line; mark=${line#*mark=}; mark=${mark%%;*}; printf '\036%s start\n' "$mark"
yes & while IFS= read -r line; do echo beat >> "$0"; done; kill $!"#;

#[test]
fn signs_of_life_go_out_although_nobody_reads_the_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let beats = folder.path().join("beats");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args([
            "remote-step",
            "--host",
            "a1",
            "--socket",
            "none",
            "--result",
            "result",
            "--",
            "sh",
            "-c",
            NODE,
        ])
        .arg(&beats)
        .env("TIDEGATE_PAYLOAD_0", "true\n")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let begin = Instant::now();
    while !beats.exists() && begin.elapsed() < Duration::from_secs(40) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    assert!(beats.exists(), "the node hears nothing");
}
