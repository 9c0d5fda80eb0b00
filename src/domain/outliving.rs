//! Which runs outlive the controller that began them: those that are one process of this machine, which goes on by itself
//! and can be told about afterwards. What consists of questions, of connections, or of several processes one after
//! another, does not.

use super::effect::{Effect, Job, work};
use super::id::RunId;
use super::pipeline::Check;
use super::state::State;

/// Whether a run that is under way goes on without the controller.
pub fn outlives(state: &State, run: RunId) -> bool {
    match work(state, &Effect::Run(run)).map(|work| work.job) {
        Some(Job::Step { .. }) => true,
        Some(Job::Gate { gate, .. }) => is_one_process(&gate.check),
        Some(Job::Deploy { node, tier, .. }) => {
            node.ssh.is_none() && tier.deploy.is_some_and(|deploy| deploy.run.is_some())
        }
        Some(Job::Prepare { .. } | Job::Collect { .. }) | None => false,
    }
}

/// Whether a gate is a process of its own, from its beginning to its end.
fn is_one_process(check: &Check) -> bool {
    match check {
        Check::Command { .. }
        | Check::CargoTest { .. }
        | Check::CargoClippy { .. }
        | Check::CargoFmt { .. }
        | Check::CargoDeny { .. } => true,
        Check::HttpProbe { .. }
        | Check::TcpProbe { .. }
        | Check::BootSmoke { .. }
        | Check::Backup { .. }
        | Check::MigrationDryRun { .. } => false,
    }
}
