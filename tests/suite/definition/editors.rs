//! What editors see: tombi, a TOML language server, with our schema.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
    for name in ["hello.toml", "shop.toml", "tidegate.toml"] {
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
