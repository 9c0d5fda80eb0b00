//! Taking a node that is reached by ssh: logging in, and the wait for its lock, which is told as it goes. What is done
//! with the node then is the caller's.

use super::bounded::Cut;
use super::remote_run::mark;
use super::run_log::RunLog;
use super::task::Task;
use crate::domain::event::StepSaid;
use crate::domain::{RunId, TierName};
use crate::remote::{Claim, EXPIRY, Heard, Link, Trouble};
use tokio::time::Instant;

/// Somebody who wants a node.
pub(super) struct Visit<'a> {
    pub(super) task: &'a Task,
    pub(super) run: RunId,
    /// The node's name for ssh.
    pub(super) host: &'a str,
    pub(super) tier: &'a TierName,
    /// What is to be done there, for people who find the node locked.
    pub(super) what: String,
    /// Whose guards may be disarmed.
    pub(super) owner: String,
    pub(super) deadline: Option<Instant>,
}

/// Why a node was not taken.
pub(super) enum Untaken {
    /// Nobody waits for it any more.
    Cut {
        cut: Cut,
        /// Who had the node then.
        locked_by: Option<String>,
    },
    /// It could not be.
    Trouble(Trouble),
}

impl Visit<'_> {
    /// Logs in and waits for the lock.
    pub(super) async fn take(&self, log: &mut RunLog<'_>) -> Result<Link, Untaken> {
        let Visit { task, run, host, .. } = *self;
        let mut locked_by = None;
        let claim = Claim { by: self.by(), owner: self.owner.clone(), expiry: EXPIRY };
        let mark = mark(&task.places.events(run));
        let opening = Link::open(&task.shop.remote, host, &mark, &claim);
        let opening = task.stop.bound(self.deadline, opening).await;
        let opening = opening.map_err(|cut| Untaken::Cut { cut, locked_by: None })?;
        let mut opening = opening.map_err(Untaken::Trouble)?;
        loop {
            let heard = task.stop.bound(self.deadline, opening.next()).await;
            let heard = heard.map_err(|cut| Untaken::Cut { cut, locked_by: locked_by.clone() })?;
            match heard.map_err(Untaken::Trouble)? {
                Heard::Held => {
                    if locked_by.is_some() {
                        task.say(run, StepSaid::NodeLocked { by: None }).await;
                    }
                    return Ok(opening.held());
                }
                Heard::Disarmed => {
                    let _ = log.line("tidegate: a guard was still armed; it is off now").await;
                }
                Heard::Locked(by) => {
                    let by = if by.is_empty() { "another run, which is about to end".to_owned() } else { by };
                    let told = format!("waits for `{host}`, which is locked by {by}");
                    let _ = log.line(&format!("tidegate: {told}")).await;
                    task.say(run, StepSaid::NodeLocked { by: Some(by.clone()) }).await;
                    locked_by = Some(by);
                }
            }
        }
    }

    /// What others who find the node locked are told.
    fn by(&self) -> String {
        let machine = rustix::system::uname();
        format!(
            "pipeline `{}`, tier `{}`, {} (run {} of the controller on {})",
            self.task.pipeline,
            self.tier,
            self.what,
            self.run,
            machine.nodename().to_string_lossy()
        )
    }
}

/// What ended the wait for a node, and whose it was if it was the time that was over.
pub(super) fn with_lock(cut: Cut, message: String, locked_by: Option<&str>) -> String {
    match (cut, locked_by) {
        (Cut::Late, Some(by)) => format!("{message}; the node is locked by {by}"),
        _ => message,
    }
}
