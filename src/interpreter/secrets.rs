//! Values of secrets: read when a step that lists them starts, given to it by its environment, and hidden wherever else
//! they turn up. They are never in `Debug`.

use super::task::Task;
use super::workspace::Unready;
use crate::domain::pipeline::{Exec, SecretSource};
use crate::printable;
use crate::runner::tool::{self, Tool};
use crate::settings::StateDir;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// How long reading one may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest value, in bytes.
const LONGEST: u64 = 64 * 1024;
/// Lines of a value that are shorter are hidden only as part of the whole.
const SHORTEST_LINE: usize = 8;
/// What stands for a value.
const HIDDEN: &[u8] = b"***";

/// The secrets of one run.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    values: Vec<(OsString, OsString)>,
    /// What is hidden, the longest first; none is empty.
    words: Vec<Vec<u8>>,
}

/// The secrets that a step lists. Prompt when the work is stopped.
pub(super) async fn provide(task: &Task, exec: &Exec) -> Result<Secrets, Unready> {
    let read = task.stop.bound(None, read(task, exec)).await.map_err(Unready::Cut)?;
    read.map_err(|message| Unready::Failed { message, is_full: false })
}

async fn read(task: &Task, exec: &Exec) -> Result<Secrets, String> {
    let read = read_listed(&task.definition.secrets, &exec.secrets, &task.shop.inherited, &task.shop.state);
    read.await
}

/// Reads the secrets of these names. `env` is the environment of commands that print one; they run in the state folder.
/// The error reads after "failed to" and holds no value.
pub(crate) async fn read_listed(
    declared: &BTreeMap<String, SecretSource>,
    names: &[String],
    env: &[(OsString, OsString)],
    state: &StateDir,
) -> Result<Secrets, String> {
    let mut values = Vec::new();
    for name in names {
        let source = declared.get(name);
        let source =
            source.ok_or_else(|| format!("read the secret `{name}`: `[secrets]` has none of that name"))?;
        let read = tokio::time::timeout(PATIENCE, value(source, env, state)).await;
        let read = read.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")));
        let value = read.map_err(|why| format!("read the secret `{name}`: {}", printable::line(&why)))?;
        values.push((OsString::from(name), value));
    }
    Ok(Secrets::of(values))
}

async fn value(
    source: &SecretSource,
    env: &[(OsString, OsString)],
    state: &StateDir,
) -> Result<OsString, String> {
    let bytes = match source {
        SecretSource::Env(name) => {
            let found = std::env::var_os(name);
            return found.ok_or_else(|| format!("tidegate was started without `{name}` in its environment"));
        }
        SecretSource::File(path) => {
            let failed = |error: std::io::Error| format!("`{path}`: {error}");
            let file = tokio::fs::File::open(path).await.map_err(failed)?;
            let mut bytes = Vec::new();
            file.take(LONGEST + 1).read_to_end(&mut bytes).await.map_err(failed)?;
            bytes
        }
        SecretSource::Command(argv) => of_command(argv, env, state).await?,
    };
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    Ok(OsString::from_vec(without_last_newline(bytes)))
}

async fn of_command(
    argv: &[String],
    env: &[(OsString, OsString)],
    state: &StateDir,
) -> Result<Vec<u8>, String> {
    let tool = Tool {
        argv: argv.iter().map(OsString::from).collect(),
        env: env.to_vec(),
        dir: state.path().to_owned(),
        timeout: PATIENCE,
        output_limit: usize::try_from(LONGEST + 1).unwrap_or(usize::MAX),
    };
    let output = tool::run(tool).await.map_err(|error| format!("failed to {error}"))?;
    // What it said may hold part of a value, so only its status is passed on.
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!("its command ended with {}", output.status))
    }
}

fn without_last_newline(mut bytes: Vec<u8>) -> Vec<u8> {
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    bytes
}

impl Secrets {
    fn of(values: Vec<(OsString, OsString)>) -> Secrets {
        let mut words: Vec<Vec<u8>> =
            values.iter().flat_map(|(_, value)| words_of(value.as_bytes())).collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.dedup();
        Secrets { values, words }
    }

    /// Names and values, for the environment.
    pub(crate) fn values(&self) -> &[(OsString, OsString)] {
        &self.values
    }

    /// What is hidden in the step's own output.
    pub(crate) fn words(&self) -> Vec<Vec<u8>> {
        self.words.clone()
    }

    /// The bytes without any value.
    pub(super) fn hide<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut hidden = Cow::Borrowed(bytes);
        for word in &self.words {
            if let Some(without) = replaced(&hidden, word) {
                hidden = Cow::Owned(without);
            }
        }
        hidden
    }

    /// The text without any value.
    pub(crate) fn hide_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.hide(text.as_bytes())).into_owned()
    }
}

/// The value, its lines, and the same as JSON writes them.
fn words_of(value: &[u8]) -> Vec<Vec<u8>> {
    let lines = value.split(|byte| *byte == b'\n').filter(|line| line.len() >= SHORTEST_LINE);
    let mut words: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    words.push(value.to_vec());
    let as_json = |word: &Vec<u8>| {
        let text = serde_json::to_string(std::str::from_utf8(word).ok()?).ok()?;
        Some(text.as_bytes()[1..text.len() - 1].to_vec())
    };
    let json: Vec<Vec<u8>> = words.iter().filter_map(as_json).collect();
    words.extend(json);
    words.retain(|word| !word.is_empty());
    words
}

fn replaced(bytes: &[u8], word: &[u8]) -> Option<Vec<u8>> {
    let find =
        |from: usize| bytes[from..].windows(word.len()).position(|window| window == word).map(|at| from + at);
    let mut at = find(0)?;
    let (mut without, mut rest) = (Vec::with_capacity(bytes.len()), 0);
    loop {
        without.extend_from_slice(&bytes[rest..at]);
        without.extend_from_slice(HIDDEN);
        rest = at + word.len();
        match find(rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    without.extend_from_slice(&bytes[rest..]);
    Some(without)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        Secrets::of(values.iter().map(|value| ("NAME".into(), (*value).into())).collect())
    }

    #[test]
    fn values_are_hidden_wherever_they_are() {
        let two = secrets(&["hunter2", "hunter2-long"]);
        assert_eq!(two.hide_text("a hunter2-long, hunter2hunter2 b"), "a ***, ****** b");
        assert_eq!(two.hide_text("nothing"), "nothing");
        assert_eq!(secrets(&[""]).hide_text("nothing"), "nothing");
    }

    #[test]
    fn lines_and_json_forms_are_hidden_too() {
        let key = secrets(&["-----BEGIN-----\nabcdefgh\nx\"y"]);
        assert_eq!(key.hide_text("line abcdefgh"), "line ***");
        assert_eq!(key.hide_text(r#"{"v":"-----BEGIN-----\nabcdefgh\nx\"y"}"#), r#"{"v":"***"}"#);
    }

    #[test]
    fn one_newline_at_the_end_is_not_part_of_the_value() {
        assert_eq!(without_last_newline(b"a\n\n".to_vec()), b"a\n");
        assert_eq!(without_last_newline(b"a\r\n".to_vec()), b"a");
        assert_eq!(without_last_newline(Vec::new()), b"");
    }
}
