//! Whether the fences that a pipeline declares can be put up by a controller of this user on this machine.

use super::Findings;
use crate::domain::Pipeline;
use crate::domain::pipeline::Sandbox;
use crate::interpreter::fencing;
use crate::runner::Landlock;

pub(super) fn look(pipeline: &Pipeline, findings: &mut Findings) {
    for sandbox in pipeline.sandboxes() {
        let place = format!("{sandbox} ({})", pipeline.name);
        match judge(sandbox) {
            Ok(found) => findings.ok("sandbox", &place, found),
            Err((found, help)) => findings.bad("sandbox", &place, found, help),
        }
    }
}

/// What is found, or what is not right and the way out.
fn judge(sandbox: &Sandbox) -> Result<String, (String, &'static str)> {
    let Sandbox::User(name) = sandbox else {
        return match Landlock::of_this_machine() {
            Landlock::None => {
                let help = "take a kernel of Linux 6.2 or newer with Landlock, or another fence";
                Err(("this kernel has no Landlock that is enough: such steps will not be run".into(), help))
            }
            _ => Ok("this kernel has it".into()),
        };
    };
    if !rustix::process::geteuid().is_root() {
        let found = "only root can run a step as another account, and this is not root".to_owned();
        return Err((found, "start the controller as root, or take `sandbox = \"landlock\"`"));
    }
    fencing::account(name)
        .map(|_| "the account is there".into())
        .map_err(|error| (format!("failed to {error}"), "such steps will not be run before that"))
}
