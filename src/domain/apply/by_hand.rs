//! How deeds by hand change a tier.

use super::Moment;
use crate::domain::Time;
use crate::domain::event::Action;
use crate::domain::id::*;
use crate::domain::state::*;

pub(super) fn apply(
    p: &mut PipelineState,
    tier: &TierName,
    action: Action,
    version: Option<&VersionLabel>,
    node: Option<&NodeName>,
    lift: bool,
    moment: &Moment<'_>,
) {
    let (by, why) = (moment.by, moment.why);
    let in_force = p.in_force.clone();
    let t = p.tiers.entry(tier.clone()).or_default();
    match (action, version) {
        (Action::Promote, Some(version)) => {
            let standing = t.standing(version);
            standing.promoted = Some(ByHand { by: by.into(), lift });
            if matches!(standing.verdict, Some(Verdict::Superseded(_))) {
                standing.verdict = None;
            }
        }
        (Action::Retry, version) => retry(t, version, moment.at),
        (Action::Cancel | Action::Rollback, _) => {
            if let Some(inside) = &mut t.inside {
                let cause = ended_by(action, by, why);
                inside.ending = Some(Ending { cause, rollback: action == Action::Rollback });
            }
        }
        (Action::Redeploy, Some(version)) => {
            let Some(in_force) = in_force else { return };
            let Some(definition) = in_force.definition.tier(tier) else { return };
            let wanted = |n: &&crate::domain::pipeline::Node| node.is_none_or(|wanted| n.name == *wanted);
            t.redeploy = Some(Redeploy {
                version: version.clone(),
                digest: in_force.digest.clone(),
                order: definition.nodes.iter().filter(wanted).map(|n| n.name.clone()).collect(),
                nodes: Default::default(),
            });
        }
        _ => {}
    }
}

/// What is said of something that a person ended.
fn ended_by(action: Action, by: &str, why: &str) -> String {
    let what = if action == Action::Rollback { "rolled back" } else { "canceled" };
    if why.is_empty() { format!("{what} by {by}") } else { format!("{what} by {by}: {why}") }
}

/// What was rejected waits again; what would be tried later is tried now.
fn retry(t: &mut TierState, version: Option<&VersionLabel>, at: Time) {
    if let Some(version) = version {
        let standing = t.standing(version);
        if matches!(standing.verdict, Some(Verdict::Rejected(_))) {
            standing.verdict = None;
        }
        if let Some(back) = &mut standing.stepped_back {
            back.not_before = at;
        }
        standing.said = None;
    }
    if let Some(inside) = &mut t.inside {
        for attempts in inside.gates.values_mut().filter(|a| a.blocked_times > 0) {
            attempts.not_before = Some(at);
        }
    }
    if let Some(back) = &mut t.going_back {
        for tried in back.nodes.values_mut().filter(|n| matches!(n.result, Some(Err(_)))) {
            tried.not_before = Some(at);
        }
        for attempts in back.gates.values_mut().filter(|a| a.running.is_none() && !a.passed()) {
            attempts.outcome = None;
            attempts.not_before = None;
        }
    }
}
