//! A tier, a pipeline or a version in a sign and a few words.

use super::{Clock, Sign};
use crate::domain::pipeline::Phase;
use crate::domain::{Blocker, VersionLabel};
use crate::server::view::{
    GateView, InsideView, NodeProgress, NodeTryView, NodeView, PipelineView, Progress, StageView,
    StandingView, TierView, VersionView, WaitingView,
};

/// A tier in brief.
pub struct Brief {
    /// What it is like.
    pub sign: Sign,
    /// The same in a word or two.
    pub word: &'static str,
    /// What is there.
    pub there: String,
    /// What comes, or why not.
    pub comes: String,
}

/// Whether a person can lift it.
pub(crate) fn is_for_a_person(blocker: &Blocker) -> bool {
    matches!(blocker, Blocker::ConfirmMissing { .. } | Blocker::Manual)
}

/// Whether a person's word is missing, which may be given at once whatever else is.
pub(crate) fn waits_for_a_person(waiting: &WaitingView) -> bool {
    waiting.blockers.iter().any(is_for_a_person)
}

/// The newest version that was turned away here, and why, if it is newer than the current one.
pub(crate) fn rejected<'a>(p: &'a PipelineView, tier: &TierView) -> Option<(&'a str, &'a str)> {
    newer(p, tier).find_map(|one| as_rejected(one, tier))
}

/// The same, if it is newer than everything that waits: what is older is about to be replaced.
pub(crate) fn rejected_last<'a>(p: &'a PipelineView, tier: &TierView) -> Option<(&'a str, &'a str)> {
    let waits = |one: &VersionView| tier.waiting.iter().any(|waiting| waiting.version == one.version);
    newer(p, tier).take_while(|one| !waits(one)).find_map(|one| as_rejected(one, tier))
}

/// The versions that are newer than the tier's current one, newest first.
fn newer<'a>(p: &'a PipelineView, tier: &TierView) -> impl Iterator<Item = &'a VersionView> {
    let current = tier.current.as_ref().map(|current| &current.version);
    p.versions.iter().take_while(move |one| current != Some(&one.version))
}

fn as_rejected<'a>(one: &'a VersionView, tier: &TierView) -> Option<(&'a str, &'a str)> {
    match one.tiers.get(&tier.name)? {
        StandingView::Rejected { cause } => Some((one.version.as_str(), cause.as_str())),
        _ => None,
    }
}

/// Whether a node is not as it should be: it has a rejected version, another one than the tier's, or its last deploy failed.
fn is_bad(node: &NodeView) -> bool {
    node.rejected.is_some() || node.behind || (node.failure.is_some() && node.changing.is_none())
}

/// How many are done of how many.
pub(crate) fn done_nodes(nodes: &[NodeTryView]) -> String {
    let done = nodes.iter().filter(|node| node.status == NodeProgress::Ok).count();
    format!("{done}/{}", nodes.len())
}

fn done_gates(gates: &[GateView], phase: Phase) -> String {
    let of = || gates.iter().filter(|gate| gate.phase == phase);
    let done = of().filter(|gate| gate.progress.status == Progress::Pass).count();
    format!("{done}/{}", of().count())
}

/// What goes on inside, and how far it is.
pub(crate) fn inside(inside: &InsideView) -> (&'static str, String) {
    let begun = |phase| {
        let of = inside.gates.iter().filter(|gate| gate.phase == phase);
        of.clone().any(|gate| gate.progress.status != Progress::Pass)
    };
    let nodes_begun = inside.nodes.iter().any(|node| node.status != NodeProgress::Waiting);
    let nodes_done = inside.nodes.iter().all(|node| node.status == NodeProgress::Ok);
    if inside.ending.is_some() {
        return ("is ended", String::new());
    }
    let gate_runs = inside.gates.iter().any(|gate| gate.progress.status == Progress::Running);
    let node_runs = inside.nodes.iter().any(|node| node.status == NodeProgress::Running);
    if !inside.blockers.is_empty() && !gate_runs && !node_runs {
        return ("stuck", String::new());
    }
    if !nodes_begun && begun(Phase::Check) {
        return ("checks", done_gates(&inside.gates, Phase::Check));
    }
    if !nodes_done {
        return ("deploys", done_nodes(&inside.nodes));
    }
    if begun(Phase::Verify) {
        return ("verifies", done_gates(&inside.gates, Phase::Verify));
    }
    ("inside", String::new())
}

/// A tier in brief.
pub fn tier(p: &PipelineView, tier: &TierView, clock: &Clock) -> Brief {
    let there = match &tier.current {
        Some(current) => format!("{} {}", current.version, clock.age(current.since)),
        None => String::new(),
    };
    let brief = |sign, word, comes: String| Brief { sign, word, there: there.clone(), comes };
    if let Some(back) = &tier.going_back {
        let word = if back.failed { "not back" } else { "goes back" };
        return brief(Sign::Failed, word, format!("to {} {}", back.to, done_nodes(&back.nodes)));
    }
    if let Some(one) = &tier.inside {
        let (word, far) = inside(one);
        let sign = if word == "stuck" { Sign::Waits } else { Sign::Runs };
        return brief(sign, word, format!("{} {far}", one.version));
    }
    if let Some(redeploy) = &tier.redeploy {
        let far = done_nodes(&redeploy.nodes);
        return brief(Sign::Runs, "redeploys", format!("{} {far}", redeploy.version));
    }
    if let Some(version) = &tier.adopting {
        return brief(Sign::Runs, "adopts", version.to_string());
    }
    if let Some(node) = tier.nodes.iter().find(|node| is_bad(node)) {
        let word = if node.behind && node.rejected.is_none() { "node behind" } else { "bad node" };
        return brief(Sign::Failed, word, node.name.to_string());
    }
    // Who holds it knows.
    let is_held = tier.hold.is_some() || p.hold.is_some();
    if let Some((version, _)) = rejected_last(p, tier).filter(|_| !is_held) {
        return brief(Sign::Failed, "rejected", version.to_owned());
    }
    let newest = tier.waiting.last();
    if let Some(waiting) = tier.waiting.iter().rev().find(|one| waits_for_a_person(one)) {
        let confirm = waiting.blockers.iter().find_map(|blocker| match blocker {
            Blocker::ConfirmMissing { have, need } => Some(format!("{have}/{need}")),
            _ => None,
        });
        let word = if confirm.is_some() { "confirm" } else { "by hand" };
        let until = waiting.until.and_then(|until| clock.until(until));
        let more = until.map(|until| format!(" {until}")).or(confirm.map(|count| format!(" {count}")));
        return brief(Sign::Person, word, format!("{}{}", waiting.version, more.unwrap_or_default()));
    }
    if is_held {
        let comes = newest.map(|one| one.version.to_string());
        return brief(Sign::Held, "held", comes.unwrap_or_default());
    }
    if let Some(waiting) = newest {
        let word = waiting.blockers.first().map_or("enters", kind);
        let until = waiting.until.and_then(|until| clock.until(until)).unwrap_or_default();
        return brief(Sign::Waits, word, format!("{} {until}", waiting.version));
    }
    match &tier.current {
        Some(_) => brief(Sign::Fine, "ok", String::new()),
        None => brief(Sign::Nothing, "empty", String::new()),
    }
}

/// The version that a tier in brief is about: what goes on, what was turned away, what waits, else what is there.
pub(crate) fn shown(p: &PipelineView, tier: &TierView) -> Option<VersionLabel> {
    let under_way = tier.going_back.as_ref().map(|back| &back.from);
    let under_way = under_way.or(tier.inside.as_ref().map(|inside| &inside.version));
    let under_way = under_way.or(tier.redeploy.as_ref().map(|redeploy| &redeploy.version));
    if let Some(version) = under_way.or(tier.adopting.as_ref()) {
        return Some(version.clone());
    }
    let is_held = tier.hold.is_some() || p.hold.is_some();
    let current = tier.current.as_ref().map(|current| current.version.clone());
    if tier.nodes.iter().any(is_bad) && current.is_some() {
        return current;
    }
    if let Some((version, _)) = rejected_last(p, tier).filter(|_| !is_held) {
        return Some(version.into());
    }
    let waits = tier.waiting.iter().rev().find(|one| waits_for_a_person(one)).or(tier.waiting.last());
    waits.map(|one| one.version.clone()).or(current)
}

/// A blocker in a word.
fn kind(blocker: &Blocker) -> &'static str {
    match blocker {
        Blocker::Soak { .. } => "soaks",
        Blocker::Window { .. } => "window",
        Blocker::Freeze { .. } => "frozen",
        Blocker::VersionBlocked => "blocked",
        Blocker::DiskFull => "disk full",
        _ => "waits",
    }
}

/// The build of a pipeline, or what is wrong with the pipeline itself.
pub fn build(p: &PipelineView) -> (Sign, String) {
    if let Some(build) = &p.build {
        let step = build.steps.iter().find(|step| step.progress.status == Progress::Running);
        let step = step.map(|step| format!(" {}", step.name)).unwrap_or_default();
        return (Sign::Runs, format!("builds {}{step}", build.version));
    }
    if !p.rejected.is_empty() {
        return (Sign::Failed, "file refused".into());
    }
    if p.definition.is_none() {
        return (Sign::Nothing, "removed".into());
    }
    if p.hold.is_some() {
        return (Sign::Held, "held".into());
    }
    let newest = p.versions.first();
    if let Some(next) = p.queue.first() {
        let sha = super::short(&next.sha);
        return (Sign::Waits, format!("{sha} queued"));
    }
    if let Some(failed) = newest.filter(|one| one.stage == StageView::Failed) {
        return (Sign::Failed, format!("{} not built", failed.version));
    }
    match newest {
        Some(version) => (Sign::Fine, format!("{} built", version.version)),
        None => (Sign::Nothing, "no version".into()),
    }
}

/// What of a pipeline wants attention most.
pub fn attention(p: &PipelineView, clock: &Clock) -> Sign {
    let tiers = p.tiers.iter().map(|one| tier(p, one, clock).sign);
    tiers.chain([build(p).0]).min().unwrap_or(Sign::Nothing)
}
