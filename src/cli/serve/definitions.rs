//! From files that changed to definitions in force: each is read, checked, held against the others, and told to the
//! engine, which decides whether anything follows.

use super::troubles::Troubles;
use crate::cli::check::refused;
use crate::definition::{self, Holder, Loaded};
use crate::domain::{Command, Diagnostic, Role, Severity};
use crate::engine::{Engine, Refusal};
use crate::watch::{Change, Content, FileState, Note};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Pause before something that could not be kept is told again.
const PAUSE: Duration = Duration::from_secs(1);

/// The code of an account that is a step's and has a role at the Unix socket.
pub(in crate::cli) const SHARED_ACCOUNT: &str = "TG-SERVE-012";

/// Files that the engine is told of at once.
const AT_ONCE: usize = 256;

type Read = Result<Loaded, Vec<Diagnostic>>;

/// The files as they are, and what the engine was told of them.
pub(super) struct Definitions {
    engine: Engine,
    /// Told whenever definitions may have changed.
    reloaded: Arc<Notify>,
    /// Where it is shown that files are not noticed.
    troubles: Troubles,
    /// Who has which role at the Unix socket.
    users: BTreeMap<String, Role>,
    /// Accounts of steps that were said to have a role there, with the pipeline.
    shared: BTreeSet<(String, String)>,
    files: BTreeMap<String, Read>,
    /// Files that are refused because of others.
    in_conflict: BTreeMap<String, Vec<Diagnostic>>,
    /// Whether everything that there is has been seen once.
    is_complete: bool,
}

impl Definitions {
    pub(super) fn new(
        engine: Engine,
        reloaded: Arc<Notify>,
        troubles: Troubles,
        users: BTreeMap<String, Role>,
    ) -> Definitions {
        Definitions {
            engine,
            reloaded,
            troubles,
            users,
            shared: BTreeSet::new(),
            files: BTreeMap::new(),
            in_conflict: BTreeMap::new(),
            is_complete: false,
        }
    }

    /// Takes changes until the watch or the engine ends.
    pub(super) async fn follow(mut self, mut changes: mpsc::Receiver<Change>) {
        self.engine.until_ready().await;
        while let Some(change) = changes.recv().await {
            change.notes.iter().for_each(|note| self.say(note));
            let lost =
                change.notes.iter().any(|note| matches!(note, Note::FolderLost { .. } | Note::Dead { .. }));
            if self.take(change.files, lost).await.is_err() {
                return;
            }
            self.reloaded.notify_one();
        }
    }

    /// Logs it, and shows what lasts.
    fn say(&self, note: &Note) {
        let (code, help) = (note.code(), note.help());
        match note {
            Note::FolderBack { folder } => {
                tracing::info!(code, "{note}");
                let lost = Note::FolderLost { folder: folder.clone(), cause: String::new() };
                self.troubles.end(lost.code());
            }
            Note::Overflow => tracing::info!(code, "{note}"),
            _ => tracing::warn!(code, help, "{note}"),
        }
        if let Note::FolderLost { .. } | Note::Dead { .. } = note {
            self.troubles.begin(code, note.to_string(), help);
        }
    }

    async fn take(&mut self, changed: Vec<FileState>, lost: bool) -> Result<(), Refusal> {
        let mut touched: BTreeSet<String> = changed.iter().map(|file| file.name.clone()).collect();
        for file in changed {
            match read(file, definition::load).await {
                (name, Some(read)) => self.files.insert(name, read),
                (name, None) => self.files.remove(&name),
            };
        }
        self.say_shared_accounts();
        if !self.is_complete && !lost {
            self.is_complete = true;
            touched.extend(self.known_to_the_engine());
        }
        let good = self.files.iter().filter_map(|(name, read)| Some((name.as_str(), read.as_ref().ok()?)));
        let conflicts = definition::conflicts(good, &self.holders());
        let before = std::mem::replace(&mut self.in_conflict, conflicts);
        touched.extend(before.keys().chain(self.in_conflict.keys()).cloned());
        // What loads goes first: a pipeline that moved to another file is not a removed one.
        let (there, gone): (Vec<_>, Vec<_>) =
            touched.into_iter().partition(|name| self.files.contains_key(name));
        self.tell_all(&there).await?;
        self.tell_all(&gone).await
    }

    /// Says once of each account of a step that it has a role at the Unix socket.
    fn say_shared_accounts(&mut self) {
        let good = self.files.values().filter_map(|read| read.as_ref().ok());
        let accounts = good.flat_map(|loaded| {
            let pipeline = loaded.pipeline.name.as_str();
            loaded
                .pipeline
                .accounts()
                .into_iter()
                .map(move |account| (account.to_owned(), pipeline.to_owned()))
        });
        let shared: BTreeSet<_> = accounts.filter(|(account, _)| self.users.contains_key(account)).collect();
        for (account, pipeline) in shared.difference(&self.shared) {
            let role = self.users[account];
            let help = "let steps run as an account that `unix.users` does not name";
            tracing::warn!(
                code = SHARED_ACCOUNT,
                help,
                "a step of `{pipeline}` runs as `{account}`, which has the role `{role}` at the Unix socket"
            );
        }
        self.shared = shared;
    }

    /// Tells the engine of many files in order, without waiting for each that it is kept: thousands share the journal's
    /// syncs.
    async fn tell_all(&self, names: &[String]) -> Result<(), Refusal> {
        let commands: Vec<Command> = names.iter().map(|name| self.command(name)).collect();
        let told = stream::iter(commands).map(|command| tell(self.engine.clone(), command)).buffered(AT_ONCE);
        told.try_collect().await
    }

    /// Files that do not load now, with the pipelines that go on with what they last meant.
    fn holders(&self) -> Vec<Holder> {
        let is_broken = |file: &str| self.files.get(file).is_some_and(Result::is_err);
        self.engine.read(|state| {
            let in_force = state.pipelines.iter().filter_map(|(name, p)| Some((name, p.in_force.as_ref()?)));
            let broken = in_force.filter(|(_, in_force)| is_broken(&in_force.file));
            broken.map(|(name, f)| Holder { file: f.file.clone(), pipeline: name.clone() }).collect()
        })
    }

    /// Files that something was heard of before the controller was started.
    fn known_to_the_engine(&self) -> Vec<String> {
        self.engine.read(|state| {
            let in_force = state.pipelines.values().filter_map(|p| p.in_force.as_ref());
            in_force.map(|f| f.file.clone()).chain(state.rejected.keys().cloned()).collect()
        })
    }

    fn command(&self, name: &str) -> Command {
        let file = name.to_owned();
        match (self.files.get(name), self.in_conflict.get(name)) {
            (None, _) => Command::Remove { file },
            (Some(Err(diagnostics)), _) | (Some(Ok(_)), Some(diagnostics)) => {
                Command::Reject { file, diagnostics: diagnostics.clone() }
            }
            (Some(Ok(loaded)), None) => Command::Load {
                file,
                digest: loaded.digest.clone(),
                text: loaded.text.clone(),
                definition: loaded.pipeline.clone(),
            },
        }
    }
}

/// Tells the engine, until it is kept. An error means that the engine has ended.
async fn tell(engine: Engine, command: Command) -> Result<(), Refusal> {
    loop {
        match engine.ask(command.clone()).await {
            Err(Refusal::NotKept(error)) => {
                tracing::warn!(code = error.code(), "failed to {error}; telling it again");
                tokio::time::sleep(PAUSE).await;
            }
            Err(Refusal::Rejected(rejection)) => {
                tracing::error!(code = rejection.code(), "BUG: a definition was refused: {rejection}");
                return Ok(());
            }
            Err(ended @ Refusal::Ended) => return Err(ended),
            Ok(_) => return Ok(()),
        }
    }
}

/// What is in a file, as it is loaded by that; none: it is gone.
async fn read(
    file: FileState,
    load: impl FnOnce(&str, &[u8]) -> Read + Send + 'static,
) -> (String, Option<Read>) {
    let name = file.name;
    match file.content {
        Content::Gone => (name, None),
        Content::Unreadable { code, message, help } => {
            let diagnostic = refused(&name, code, &message, help);
            log(&diagnostic);
            (name, Some(Err(vec![diagnostic])))
        }
        Content::Text(bytes) => {
            let file = name.clone();
            let read = tokio::task::spawn_blocking(move || load(&file, &bytes)).await;
            // A text that nobody thought of is in the way of its own pipeline only.
            let read = read.unwrap_or_else(|_| Err(vec![not_understood(&name)]));
            match &read {
                Ok(loaded) => loaded.warnings.iter().for_each(log),
                Err(diagnostics) => diagnostics.iter().for_each(log),
            }
            (name, Some(read))
        }
    }
}

fn log(diagnostic: &Diagnostic) {
    let Diagnostic { code, file, line, column, message, .. } = diagnostic;
    let (code, help) = (code.as_str(), diagnostic.help.as_deref().unwrap_or_default());
    match diagnostic.severity {
        Severity::Error => tracing::error!(code, help, "{file}:{line}:{column}: {message}"),
        Severity::Warning => tracing::warn!(code, help, "{file}:{line}:{column}: {message}"),
    }
}

/// Reading the file panicked.
fn not_understood(file: &str) -> Diagnostic {
    let help = "the controller's log says where; change what was edited last, and tell of it";
    refused(file, "TG-FILE-007", "read this file: BUG: it broke what reads it", help.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_while_a_file_is_read_is_a_problem_of_that_file() {
        let content = Content::Text(b"name = \"shop\"".as_slice().into());
        let file = FileState { path: "/shop.toml".into(), name: "shop.toml".into(), content };
        let (name, read) = read(file, |_, _| panic!("nobody saw it coming")).await;
        let problems = read.expect("it is there").expect_err("it is refused");
        assert_eq!((name.as_str(), problems[0].code.as_str()), ("shop.toml", "TG-FILE-007"));
        assert_eq!(problems[0].file, "shop.toml");
    }
}
