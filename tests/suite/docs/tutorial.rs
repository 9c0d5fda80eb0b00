//! `docs/tutorial.md` is done as it says, from its first line to its last: blocks of `sh` are typed one after the other,
//! those of `toml` are saved under the name in their first line, and those of `text` are what is seen then.

use super::{Block, Page};
use crate::whole::port::Port;
use crate::whole::world::{end_those_with, those_with};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Types a block; what it prints.
fn typed(folder: &Path, block: &Block) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_tidegate")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("a path"));
    let output = Command::new("timeout")
        .args(["120", "sh", "-e", "-c", &block.text])
        .current_dir(folder)
        .env_clear()
        .envs([("PATH", path.as_str()), ("NO_COLOR", "1"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
        .env("HOME", folder)
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{}: {}\n{said}", block.place, block.text);
    said
}

/// Ends what is still running below a folder, also where the test fails.
struct Ending<'a>(&'a Path);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        end_those_with(self.0);
    }
}

#[test]
fn it_can_be_done_as_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let _ending = Ending(folder.path());
    let port = Port::reserve();
    let page = Page::named("docs/tutorial.md");
    let text = page.text.replace("8433", &port.number.to_string());
    let (mut said, mut typed_count, mut seen) = (String::new(), 0, 0);
    for block in (Page { text, ..page }).parts().0 {
        match block.language.as_str() {
            "toml" => {
                let name =
                    block.text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a name");
                fs::write(folder.path().join(name), &block.text)
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            "sh" => {
                said = typed(folder.path(), &block);
                typed_count += 1;
            }
            "text" => {
                for line in block.text.lines() {
                    assert!(
                        said.contains(line.trim()),
                        "{}: `{line}` is not what is seen:\n{said}",
                        block.place
                    );
                    seen += 1;
                }
            }
            other => panic!("{}: what is `{other}`?", block.place),
        }
    }
    assert!(typed_count > 6 && seen > 6, "{typed_count} {seen}");
    // The controller was told to end, and has nothing to wait for.
    let begin = Instant::now();
    while !those_with(folder.path()).is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(60), "something is left running");
        std::thread::sleep(Duration::from_millis(20));
    }
}
