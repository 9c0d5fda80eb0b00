//! Keys that this release knows but does not execute yet. A rule that is not applied must never be an open gate: a tier
//! with such a key stays shut (rule 31).

use super::codes::Code;
use super::report::Report;
use crate::domain::Pipeline;
use crate::domain::pipeline::{Exec, Tier};

/// A key that is not executed: where it stands in the file, and what it is called to people.
struct Key {
    path: String,
    name: String,
}

impl Key {
    fn new(path: String, name: &str) -> Key {
        Key { path, name: name.into() }
    }
}

/// Marks what is not executed in the pipeline, and says so.
pub(super) fn mark(report: &mut Report, pipeline: &mut Pipeline) {
    let everywhere = of_pipeline(pipeline);
    say(report, &everywhere, "every tier stays shut");
    pipeline.unsupported = names(&everywhere);
    for (at, tier) in pipeline.tiers.iter_mut().enumerate() {
        let keys = of_tier(tier, &format!("tier[{at}]"));
        say(report, &keys, &format!("tier `{}` stays shut", tier.name));
        tier.unsupported = names(&keys);
    }
}

fn say(report: &mut Report, keys: &[Key], what_follows: &str) {
    for key in keys {
        let message = format!("this release does not execute `{}`: {what_follows}", key.name);
        report
            .warning(Code::NotExecuted, &key.path, message)
            .help("leave it out until a release executes it");
    }
}

fn names(keys: &[Key]) -> Vec<String> {
    let mut names: Vec<String> = keys.iter().map(|key| key.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn of_pipeline(pipeline: &Pipeline) -> Vec<Key> {
    let mut keys = Vec::new();
    for (at, step) in pipeline.build.steps.iter().enumerate() {
        keys.extend(of_exec(&step.exec, &format!("build.step[{at}]"), "build.step"));
    }
    keys
}

fn of_tier(tier: &Tier, path: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    if let Some(deploy) = &tier.deploy {
        keys.extend(of_exec(&deploy.exec, &format!("{path}.deploy"), "deploy"));
    }
    for (at, gate) in tier.gates.iter().enumerate() {
        let path = format!("{path}.gate[{at}]");
        keys.extend(of_exec(&gate.exec, &path, "gate"));
    }
    keys
}

fn of_exec(exec: &Exec, path: &str, whose: &str) -> Vec<Key> {
    let limits = exec.limits.unwrap_or_default();
    let said = [
        ("sandbox", exec.sandbox.is_some()),
        ("limits.memory", limits.memory.is_some()),
        ("limits.pids", limits.pids.is_some()),
    ];
    let said = said.into_iter().filter(|(_, is_said)| *is_said);
    said.map(|(key, _)| Key::new(format!("{path}.{key}"), &format!("{whose}.{key}"))).collect()
}
