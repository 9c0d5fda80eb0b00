//! Fetching from a node that is reached by ssh. The node is locked meanwhile, as for a deploy: nobody changes what is
//! being copied, and what the fetching started there is ended before anybody else comes.

use super::{Backup, Bad};
use crate::domain::pipeline::Exec;
use crate::domain::{Blocker, Classification, Outcome};
use crate::interpreter::environment::{About, Env, environment};
use crate::interpreter::remote_run::Remote;
use crate::interpreter::run_log::RunLog;
use crate::interpreter::said::Ear;
use crate::interpreter::verdict;
use crate::interpreter::visit::{self, Untaken, Visit};
use crate::printable;
use crate::remote::{Forward, Kind, Link, Trouble};

/// Whose guards on a node are ours to disarm: nobody's.
const OWNER: &str = "backup";

/// Runs the command on the node, with its output in the target here. What its end means is left to the caller.
pub(super) async fn fetch(backup: &Backup<'_>, host: &str, log: &mut RunLog<'_>) -> Result<Outcome, Bad> {
    let link = take(backup, host, log).await?;
    let outcome = run(backup, &link).await;
    link.close().await;
    outcome
}

async fn run(backup: &Backup<'_>, link: &Link) -> Result<Outcome, Bad> {
    let Backup { task, gate, secrets, .. } = *backup;
    // `dir` is a folder of the checkout, which is not there.
    let exec = Exec { dir: None, ..gate.gate.exec.clone() };
    let remote = Remote {
        task,
        run: gate.run,
        exec: &exec,
        secrets,
        link,
        forward: Forward::of(link),
        output: Some(backup.target.clone()),
    };
    let mut ear = Ear::new(true, secrets.clone());
    let (argv, env) = (backup.what.command(), env(backup, link));
    let exit = remote.run(&argv, &env, task.places.events(gate.run), backup.left(), &mut ear).await;
    exit.map(|exit| backup.judge(&exit, &ear)).map_err(|mut trouble| {
        if let Some(lost) = link.lost().filter(|lost| !trouble.message.contains(&lost.message)) {
            trouble.message = format!("{}; {lost}", trouble.message);
        }
        unreached(backup, trouble)
    })
}

fn env(backup: &Backup<'_>, link: &Link) -> Env {
    let gate = backup.gate;
    let about = About {
        run: gate.run,
        version: &gate.version,
        tier: Some(&gate.tier),
        node: Some(&backup.node.name),
        mode: Some(gate.mode),
        previous: Some(gate.previous.as_ref()),
        base: &link.login(),
        folder: None,
        on: Some(backup.node),
        exec: &gate.gate.exec,
        secrets: backup.secrets,
    };
    environment(backup.task, &[], &about)
}

/// Takes the node, as for a deploy.
async fn take(backup: &Backup<'_>, host: &str, log: &mut RunLog<'_>) -> Result<Link, Bad> {
    let Backup { task, gate, deadline, .. } = *backup;
    let what = format!("backup `{}` for {}", gate.gate.name, gate.version);
    let visit = Visit { task, run: gate.run, host, tier: &gate.tier, what, owner: OWNER.into(), deadline };
    visit.take(log).await.map_err(|untaken| match untaken {
        Untaken::Trouble(trouble) => unreached(backup, trouble),
        Untaken::Cut { cut, locked_by } => {
            let mut outcome = verdict::of_cut(cut, &gate.gate.exec);
            outcome.message =
                outcome.message.map(|message| visit::with_lock(cut, message, locked_by.as_deref()));
            outcome.into()
        }
    })
}

/// The node could not be reached, or not to the end.
fn unreached(backup: &Backup<'_>, trouble: Trouble) -> Bad {
    let message = format!("the backup could not be fetched: {}", trouble.message);
    let mut outcome =
        Outcome::of(Classification::Infrastructure).saying(printable::line(&message).into_owned());
    if matches!(trouble.kind, Kind::Unreachable | Kind::Lost) {
        outcome.blockers = vec![Blocker::Unreachable { node: backup.node.name.clone() }];
    }
    outcome.into()
}
