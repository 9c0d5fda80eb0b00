//! Whether steps get cgroups of their own, and which limits the kernel keeps for them.

use super::Findings;
use crate::cli::serving::Serving;
use crate::domain::Pipeline;
use crate::runner::{Absent, CgroupGround};
use serde_json::Value;

/// What a controller of this machine has, that is at work or would be started from here.
pub(super) type Found = Result<CgroupGround, Absent>;

pub(super) fn look(serving: Option<&Serving>, findings: &mut Findings) -> Found {
    let found = CgroupGround::of(serving.map(|serving| serving.pid));
    match &found {
        Ok(ground) => findings.ok("cgroup", "", format!("each step has one of its own, {ground}")),
        // A fact, neither good nor bad: survivors are found without.
        Err(absent) => findings.ok("cgroup", "", format!("no step has one of its own: {absent}")),
    }
    found
}

/// A limit that only the kernel can keep, where it does not.
pub(super) fn of_pipeline(found: &Found, pipeline: &Pipeline, findings: &mut Findings) {
    let is_kept = found.as_ref().is_ok_and(|ground| ground.controllers.cpu);
    if is_kept || !says_cpu(&serde_json::to_value(pipeline).expect("BUG: a pipeline is JSON")) {
        return;
    }
    let why = match found {
        Ok(ground) => format!("the kernel does not keep it {ground}"),
        Err(absent) => absent.to_string(),
    };
    findings.warning(
        "limits.cpu",
        pipeline.name.as_str(),
        format!("it is not kept: {why}"),
        "give the controller a cgroup with `cpu`: under systemd `Delegate=yes` and `DelegateSubgroup=controller`",
    );
}

/// Whether anything in it has such a limit.
fn says_cpu(value: &Value) -> bool {
    match value {
        Value::Object(object) => {
            object.get("limits").and_then(|limits| limits.get("cpu")).is_some_and(|cpu| !cpu.is_null())
                || object.values().any(says_cpu)
        }
        Value::Array(values) => values.iter().any(says_cpu),
        _ => false,
    }
}
