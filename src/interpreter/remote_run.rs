//! Running a command on a node through the runner, as a step of this machine would be run: with its output in the run's
//! log, its events heard, and its end on the node when nobody wants it any more.

use super::cargo::own_program;
use super::environment::Env;
use super::process::{self, Order};
use super::said::Ear;
use super::secrets::Secrets;
use super::task::Task;
use crate::domain::pipeline::Exec;
use crate::domain::{RunId, Span};
use crate::remote::carry::{self, Errand, RemoteCommand};
use crate::remote::{EXPIRY, Forward, Link, Trouble};
use crate::runner::{Exit, How, RUN_ID_VARIABLE};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much longer than the command itself the process that watches it may take to end.
const LONGER: Duration = Duration::from_secs(5);

/// A node that commands of a run are run on.
pub(super) struct Remote<'a> {
    pub(super) task: &'a Task,
    pub(super) run: RunId,
    pub(super) exec: &'a Exec,
    pub(super) secrets: &'a Secrets,
    pub(super) link: &'a Link,
    pub(super) forward: Forward,
    /// A file that the command's stdout goes to, alone.
    pub(super) output: Option<PathBuf>,
}

impl Remote<'_> {
    /// The way to addresses as the node sees them.
    pub(super) fn forward(&self) -> &Forward {
        &self.forward
    }

    /// Runs it to its end; its exit status is the exit's. The error says why that is not known.
    pub(super) async fn run(
        &self,
        argv: &[OsString],
        env: &Env,
        events: PathBuf,
        timeout: Option<Duration>,
        ear: &mut Ear,
    ) -> Result<Exit, Trouble> {
        let grace = self.exec.grace.map_or(process::GRACE, Span::duration);
        let env: Vec<_> = env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let folder = self.exec.dir.clone().map_or_else(|| ".".into(), OsString::from);
        let command = RemoteCommand {
            argv,
            env: &env,
            machine: self.link.name(),
            turn: self.link.turn(),
            folder: &folder,
            grace,
            expiry: EXPIRY,
            apart: self.output.is_some(),
        };
        let (variables, left_out) = command.to_variables();
        for name in left_out {
            let message = format!("no shell on a node can set a variable called `{}`", name.display());
            self.task.warn(self.run, message).await;
        }
        let result = self.task.places.log(self.run).with_extension("remote");
        let _ = std::fs::remove_file(&result);
        let errand = Errand {
            host: self.link.host().to_owned(),
            result: result.clone(),
            output: self.output.clone(),
            socket: self.link.socket().into(),
            ssh: self.link.argv(),
        };
        let mut words = vec![own_program().into_os_string(), carry::SUBCOMMAND.into()];
        words.extend(errand.to_arguments());
        let mut env: Env = self.link.client().env().iter().cloned().collect();
        env.extend(mark(&events));
        env.insert(RUN_ID_VARIABLE.into(), self.run.to_string().into());
        env.extend(variables);
        let order = Order {
            folder: None,
            writes: Vec::new(),
            run: self.run,
            argv: words,
            dir: self.link.client().folder().to_owned(),
            events,
            timeout,
            leave_running: false,
            append: true,
            mask: self.secrets.words(),
            lasts: false,
        };
        let exec = Exec { grace: Some(Span::seconds((grace + LONGER).as_secs() + 1)), ..self.exec.clone() };
        let exit = process::run(self.task, order, &exec, &env, ear).await;
        match carry::take_result(&result) {
            // Who had it ended knows why it did.
            Some(trouble) if !matches!(exit.how, How::Stopped(_)) => Err(trouble),
            _ => Ok(exit),
        }
    }
}

/// What tells the processes of a run that a killed controller has left from others. The number of the run is not in it: by
/// that the runner knows what a step started, and our own ssh is none of it.
pub(super) fn mark(events: &Path) -> [(OsString, OsString); 1] {
    [("TIDEGATE_EVENTS".into(), events.into())]
}
