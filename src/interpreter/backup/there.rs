//! Fetching from a node that is reached by ssh. The node is locked meanwhile, as for a deploy: nobody changes what is
//! being copied, and what the fetching started there is ended before anybody else comes.

use super::{Backup, Bad};
use crate::domain::pipeline::Exec;
use crate::domain::{Blocker, Classification, Outcome};
use crate::interpreter::environment::{About, Env, environment};
use crate::interpreter::remote_run::{Remote, marks};
use crate::interpreter::run_log::RunLog;
use crate::interpreter::said::Ear;
use crate::interpreter::verdict;
use crate::printable;
use crate::remote::{Claim, EXPIRY, Forward, Heard, Kind, Link, Trouble};

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
    exit.map(|exit| backup.judge(&exit, &ear)).map_err(|trouble| unreached(backup, trouble))
}

fn env(backup: &Backup<'_>, link: &Link) -> Env {
    let gate = backup.gate;
    let base = [("PATH", &link.path), ("HOME", &link.home)].map(|(name, value)| (name.into(), value.clone()));
    let about = About {
        run: gate.run,
        version: &gate.version,
        tier: Some(&gate.tier),
        node: Some(&backup.node.name),
        mode: Some(gate.mode),
        previous: Some(gate.previous.as_ref()),
        base: &base,
        folder: None,
        on: Some(backup.node),
        exec: &gate.gate.exec,
        secrets: backup.secrets,
    };
    environment(backup.task, &[], &about)
}

/// Logs in and waits for the lock.
async fn take(backup: &Backup<'_>, host: &str, log: &mut RunLog<'_>) -> Result<Link, Bad> {
    let (task, gate) = (backup.task, backup.gate);
    let exec = &gate.gate.exec;
    let machine = rustix::system::uname();
    let by = format!(
        "pipeline `{}`, tier `{}`, backup `{}` for {} (run {} of the controller on {})",
        task.pipeline,
        gate.tier,
        gate.gate.name,
        gate.version,
        gate.run,
        machine.nodename().to_string_lossy()
    );
    let claim = Claim { by, owner: OWNER.into(), expiry: EXPIRY };
    let marks = marks(gate.run, &task.places.events(gate.run));
    let cut = |cut| Bad::from(verdict::of_cut(cut, exec));
    let trouble = |trouble| unreached(backup, trouble);
    let opening = Link::open(&task.shop.remote, host, &marks, &claim);
    let mut opening = task.stop.bound(backup.deadline, opening).await.map_err(cut)?.map_err(trouble)?;
    loop {
        match task.stop.bound(backup.deadline, opening.next()).await.map_err(cut)?.map_err(trouble)? {
            Heard::Held => return Ok(opening.held()),
            Heard::Disarmed => {}
            Heard::Locked(by) => {
                let by = if by.is_empty() { "a deploy, which is about to end".to_owned() } else { by };
                let told = format!("waits for `{host}`, which is locked by {by}");
                backup.say(log, &told).await?;
                task.warn(gate.run, told).await;
            }
        }
    }
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
