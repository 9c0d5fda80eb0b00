//! Values of secrets: read when a step that lists them starts, given to it by its environment, and hidden wherever else
//! they turn up. They are never in `Debug`.

use super::disguises;
use super::task::Task;
use super::workspace::Unready;
use crate::domain::RunId;
use crate::domain::pipeline::{Exec, SecretSource};
use crate::printable;
use crate::runner::Words;
use crate::runner::tool::{self, Tool};
use crate::settings::StateDir;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

/// How long reading one may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest value, in bytes.
const LONGEST: u64 = 64 * 1024;

/// The secrets of one run.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    values: Vec<(OsString, OsString)>,
    /// What is hidden, in every form; none is short.
    words: Vec<Vec<u8>>,
    /// The same, ready to be looked for.
    ready: Option<Words>,
}

/// The secrets that a step lists, and warnings of those that cannot be hidden. Prompt when the work is stopped.
pub(super) async fn provide(task: &Task, run: RunId, exec: &Exec) -> Result<Secrets, Unready> {
    let read = task.stop.bound(None, read(task, exec)).await.map_err(Unready::Cut)?;
    let secrets = read.map_err(|message| Unready::Failed { message, is_full: false })?;
    for warning in secrets.warnings() {
        task.warn(run, warning).await;
    }
    Ok(secrets)
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
            found
                .ok_or_else(|| format!("tidegate was started without `{name}` in its environment"))?
                .into_vec()
        }
        SecretSource::File(path) => {
            let read = path.clone();
            let read = tokio::task::spawn_blocking(move || of_file(&read)).await;
            read.expect("BUG: reading a secret panicked").map_err(|why| format!("`{path}`: {why}"))?
        }
        SecretSource::Command(argv) => of_command(argv, env, state).await?,
    };
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    // Only what is read from outside ends with a newline of its own.
    let value = match source {
        SecretSource::Env(_) => bytes,
        SecretSource::File(_) | SecretSource::Command(_) => without_last_newline(bytes),
    };
    // A step that goes on without what it needs may do harm where it should have stopped.
    match (value.is_empty(), source) {
        (false, _) => Ok(OsString::from_vec(value)),
        (true, SecretSource::Command(_)) => Err("it is empty: its command wrote nothing".into()),
        (true, SecretSource::File(path)) => Err(format!("it is empty: there is nothing in `{path}`")),
        (true, SecretSource::Env(name)) => Err(format!("it is empty: `{name}` is set to nothing")),
    }
}

/// What is in a file. One that is a pipe or a device is refused, and never waited on.
fn of_file(path: &str) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = std::fs::File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err("it is not a regular file".into());
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
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
            values.iter().flat_map(|(_, value)| disguises::of(value.as_bytes())).collect();
        words.sort();
        words.dedup();
        Secrets { values, ..Secrets::of_words(words) }
    }

    /// Those of a run that was begun before, of which only what is hidden is known.
    pub(super) fn of_words(words: Vec<Vec<u8>>) -> Secrets {
        let ready = Words::new(&words);
        Secrets { values: Vec::new(), words, ready }
    }

    /// Which cannot be hidden, by name.
    fn warnings(&self) -> Vec<String> {
        let warning = |(name, value): &(OsString, OsString)| {
            let (name, value) = (name.to_string_lossy(), value.as_bytes());
            let (shortest, shortest_line) = (disguises::SHORTEST, disguises::SHORTEST_LINE);
            if value.len() < shortest {
                Some(format!(
                    "the secret `{name}` is shorter than {shortest} bytes and is not masked: that would hide too much else"
                ))
            } else if disguises::has_short_lines(value) {
                Some(format!(
                    "lines of the secret `{name}` that are shorter than {shortest_line} bytes are masked only as part of the whole"
                ))
            } else {
                None
            }
        };
        self.values.iter().filter_map(warning).collect()
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
        let hidden = self.ready.as_ref().and_then(|ready| ready.hide(bytes));
        hidden.map_or(Cow::Borrowed(bytes), Cow::Owned)
    }

    /// The text without any value.
    pub(crate) fn hide_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.hide(text.as_bytes())).into_owned()
    }
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
    fn what_cannot_be_hidden_is_warned_of_by_name() {
        let warnings = |value: &str| secrets(&[value]).warnings();
        assert_eq!(warnings("long enough"), [""; 0]);
        assert!(warnings("12345")[0].starts_with("the secret `NAME` is shorter than 6 bytes"));
        assert!(warnings("long enough\nxyz")[0].starts_with("lines of the secret `NAME`"));
        assert!(!warnings("12345")[0].contains("12345"));
    }

    #[tokio::test]
    async fn a_pipe_is_refused_at_once_and_not_waited_on() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("secret");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let source = SecretSource::File(pipe.display().to_string());
        let declared = BTreeMap::from([("TOKEN".to_owned(), source)]);
        let (names, state) = (["TOKEN".to_owned()], StateDir::new(folder.path()));
        let reading = read_listed(&declared, &names, &[], &state);
        let read = tokio::time::timeout(Duration::from_secs(10), reading).await.expect("an answer");
        let why = read.err().expect("an error");
        assert!(
            why.starts_with("read the secret `TOKEN`: `") && why.ends_with("it is not a regular file"),
            "{why}"
        );
    }

    #[tokio::test]
    async fn one_that_is_empty_is_none_wherever_it_is_from() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "\n").unwrap();
        let (names, state) = (["TOKEN".to_owned()], StateDir::new(folder.path()));
        for source in [
            SecretSource::File(file.display().to_string()),
            SecretSource::Command(vec!["/bin/sh".into(), "-c".into(), "true".into()]),
            SecretSource::Command(vec!["/bin/sh".into(), "-c".into(), "echo".into()]),
        ] {
            let declared = BTreeMap::from([("TOKEN".to_owned(), source)]);
            let read = read_listed(&declared, &names, &[], &state).await;
            let why = read.err().expect("an error");
            assert!(why.starts_with("read the secret `TOKEN`: it is empty: "), "{why}");
        }
    }

    #[test]
    fn one_newline_at_the_end_is_not_part_of_the_value() {
        assert_eq!(without_last_newline(b"a\n\n".to_vec()), b"a\n");
        assert_eq!(without_last_newline(b"a\r\n".to_vec()), b"a");
        assert_eq!(without_last_newline(Vec::new()), b"");
    }
}
