//! Whether the fences that a pipeline declares can be put up by a controller of this user on this machine.

use super::Findings;
use crate::domain::Pipeline;
use crate::domain::pipeline::Sandbox;
use crate::interpreter::fencing;
use crate::runner::Landlock;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) fn look(pipeline: &Pipeline, findings: &mut Findings) {
    for sandbox in declared(pipeline) {
        let place = format!("{sandbox} ({})", pipeline.name);
        match judge(&sandbox) {
            Ok(found) => findings.ok("sandbox", &place, found),
            Err((found, help)) => findings.bad("sandbox", &place, found, help),
        }
    }
}

/// Every one that is declared anywhere in it.
fn declared(pipeline: &Pipeline) -> BTreeSet<Sandbox> {
    fn below(value: &Value, found: &mut BTreeSet<Sandbox>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("sandbox").and_then(Value::as_str).and_then(Sandbox::parse));
                object.values().for_each(|value| below(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| below(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    below(&serde_json::to_value(pipeline).expect("BUG: a pipeline is JSON"), &mut found);
    found
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
