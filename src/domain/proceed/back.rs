//! The way back, and redeploys: nodes without check gates, whatever windows, freezes and holds say (rules 22, 24, 25).

use super::inside::{start_nodes, wave_under_way};
use super::{Flow, Way};
use crate::domain::event::{DeployMode, Event};
use crate::domain::id::*;
use crate::domain::pipeline::{Phase, Tier, Wave};
use crate::domain::state::{GoingBack, NodeTry, PipelineState, TierState};
use std::collections::BTreeMap;

/// One step on the way back, if the tier is on it.
pub(super) fn proceed(flow: &mut Flow<'_>, p: &PipelineState, name: &TierName, t: &TierState) {
    let Some(back) = &t.going_back else { return };
    let tier = p.tier_of(&back.digest, name);
    let deploy = tier.and_then(|tier| tier.deploy.as_ref());
    if deploy.is_some()
        && !nodes_are_back(flow, name, back, deploy.map(|d| d.waves.as_slice()).unwrap_or_default())
    {
        return;
    }
    let failed: Vec<&NodeName> = back
        .order
        .iter()
        .filter(|n| back.nodes.get(*n).is_some_and(|n| matches!(n.result, Some(Err(_)))))
        .collect();
    let gates = match tier {
        Some(tier) if failed.is_empty() => {
            flow.gates(Way::Back, name, &back.to, &tier.gates, Phase::Verify, &back.gates)
        }
        _ => super::Gates::default(),
    };
    if gates.running {
        return;
    }
    let good = failed.is_empty() && gates.failed.is_empty() && gates.blocked.is_empty();
    if good {
        complete(flow, name, t, back);
    } else if !back.failed {
        let cause = match gates.cause() {
            _ if !failed.is_empty() => {
                let names: Vec<String> = failed.iter().map(|n| format!("`{n}`")).collect();
                let why = super::first_words(failed.iter().copied(), &back.nodes);
                format!("{} could not go back{why}", names.join(", "))
            }
            Some(cause) => cause,
            None => "a verify gate could not judge".into(),
        };
        fail(flow, name, t, back, cause);
    } else if let Some(tier) = tier {
        retry_gates(flow, tier, back, &gates);
    }
}

/// Begins the next nodes; whether all have come to an end. Those that failed are tried again when their time comes.
fn nodes_are_back(flow: &mut Flow<'_>, tier: &TierName, back: &GoingBack, waves: &[Wave]) -> bool {
    let due: BTreeMap<NodeName, NodeTry> = back
        .nodes
        .iter()
        .map(|(name, tried)| {
            let mut tried = tried.clone();
            let failed = matches!(tried.result, Some(Err(_)));
            if back.failed && failed && flow.has_come(tried.not_before) {
                tried.result = None;
            }
            (name.clone(), tried)
        })
        .collect();
    match wave_under_way(waves, &back.order, &due) {
        Some(wave) => {
            start_nodes(flow, tier, &back.to, DeployMode::Rollback, wave, &due);
            false
        }
        None => true,
    }
}

fn complete(flow: &mut Flow<'_>, tier: &TierName, t: &TierState, back: &GoingBack) {
    flow.say(Event::RollbackComplete {
        tier: tier.clone(),
        version: back.to.clone(),
        nodes: t.what_is_where(),
    });
    end_promotion(flow, tier, t, back);
}

fn fail(flow: &mut Flow<'_>, tier: &TierName, t: &TierState, back: &GoingBack, cause: String) {
    flow.say(Event::RollbackFailed {
        tier: tier.clone(),
        version: back.to.clone(),
        nodes: t.what_is_where(),
        cause,
    });
    if t.hold.is_none() {
        flow.say(Event::HoldSet { tier: Some(tier.clone()), of_rollback: true });
    }
    end_promotion(flow, tier, t, back);
}

fn end_promotion(flow: &mut Flow<'_>, tier: &TierName, t: &TierState, back: &GoingBack) {
    let Some(end) = back.end else { return };
    flow.say(Event::PromoteFailed {
        tier: tier.clone(),
        version: back.from.clone(),
        end,
        cause: back.cause.clone(),
        nodes: t.what_is_where(),
    });
}

/// After a failed way back, verify gates that could not judge are tried again in their time.
fn retry_gates(flow: &mut Flow<'_>, tier: &Tier, back: &GoingBack, gates: &super::Gates) {
    for (name, _) in &gates.blocked {
        let not_before = back.gates.get(name).and_then(|a| a.not_before);
        if flow.has_come(not_before)
            && let Some(gate) = tier.gate(name)
        {
            flow.start_gate(Way::Back, &tier.name, &back.to, gate);
        }
    }
}

/// The next nodes of a redeploy.
pub(super) fn redeploy(flow: &mut Flow<'_>, p: &PipelineState, name: &TierName, t: &TierState) {
    let Some(redeploy) = &t.redeploy else { return };
    let deploy = p.tier_of(&redeploy.digest, name).and_then(|tier| tier.deploy.as_ref());
    let waves = deploy.map(|d| d.waves.as_slice()).unwrap_or_default();
    if let Some(wave) = wave_under_way(waves, &redeploy.order, &redeploy.nodes) {
        start_nodes(flow, name, &redeploy.version, DeployMode::Redeploy, wave, &redeploy.nodes);
    }
}
