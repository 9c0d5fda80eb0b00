//! What of a pipeline is done here and now: the build, and the tiers up to the first deploy. Promotion rules are for
//! controllers; who names a tier with `--deploy` has said that it may be entered.

use crate::cli::Exit;
use crate::cli::trouble::Trouble;
use crate::domain::Pipeline;
use crate::domain::pipeline::{Mode, Pick, Promote, Require, Tier};
use std::collections::BTreeSet;

pub(super) fn for_here_and_now(pipeline: &Pipeline, deploy: &[String]) -> Result<Pipeline, Trouble> {
    if let Some(unknown) =
        deploy.iter().find(|name| !pipeline.tiers.iter().any(|tier| tier.name == name.as_str()))
    {
        let all: Vec<String> = pipeline.tiers.iter().map(|tier| format!("`{}`", tier.name)).collect();
        let message = format!("the pipeline has no tier `{unknown}`");
        return Err(Trouble::new(
            "TG-ASK-002",
            message,
            format!("its tiers are {}", all.join(", ")),
            Exit::Usage,
        ));
    }
    let mut trimmed = pipeline.clone();
    trimmed.tiers = Vec::new();
    trimmed.unsupported.retain(|key| key.starts_with("build."));
    // Tiers may stand in any order: what comes before is looked at again until nothing more is added.
    let mut left: Vec<Tier> = pipeline.tiers.clone();
    loop {
        let before = left.len();
        let (now, later): (Vec<Tier>, Vec<Tier>) =
            left.into_iter().partition(|tier| is_reached(&trimmed, tier, deploy));
        trimmed.tiers.extend(now.into_iter().map(without_promotion));
        left = later;
        if left.len() == before {
            break;
        }
    }
    if let Some(beyond) = left.iter().find(|tier| deploy.iter().any(|name| tier.name == name.as_str())) {
        let message = format!("tier `{}` comes after a tier that deploys", beyond.name);
        return Err(Trouble::new("TG-CLI-013", message, "name that one with `--deploy` too", Exit::Usage));
    }
    let kept: Vec<_> = trimmed.tiers.iter().map(|tier| tier.name.clone()).collect();
    for tier in &mut trimmed.tiers {
        tier.after.retain(|name| kept.contains(name));
    }
    Ok(trimmed)
}

/// Leaves of the gates only those that are named; none named: all.
pub(super) fn to_gates(pipeline: &mut Pipeline, names: &[String]) -> Result<(), Trouble> {
    if names.is_empty() {
        return Ok(());
    }
    let all: BTreeSet<String> =
        pipeline.tiers.iter().flat_map(|tier| &tier.gates).map(|gate| gate.name.to_string()).collect();
    if let Some(unknown) = names.iter().find(|name| !all.contains(*name)) {
        let known: Vec<String> = all.iter().map(|name| format!("`{name}`")).collect();
        let help = match known.is_empty() {
            true => "no gate comes before the first deploy; name the tier with `--deploy` too".to_owned(),
            false => format!("there are {}; those of a tier that deploys need `--deploy`", known.join(", ")),
        };
        let message = format!("no gate `{unknown}` is run here");
        return Err(Trouble::new("TG-CLI-041", message, help, Exit::Usage));
    }
    for tier in &mut pipeline.tiers {
        tier.gates.retain(|gate| names.iter().any(|name| gate.name == name.as_str()));
        let kept: Vec<_> = tier.gates.iter().map(|gate| gate.name.clone()).collect();
        for gate in &mut tier.gates {
            gate.needs.retain(|name| kept.contains(name));
        }
    }
    Ok(())
}

fn is_reached(so_far: &Pipeline, tier: &Tier, deploy: &[String]) -> bool {
    let may = tier.deploy.is_none() || deploy.iter().any(|name| tier.name == name.as_str());
    let mut before = tier.after.iter().map(|name| so_far.tier(name).is_some());
    may && match tier.promote.require {
        Require::Any if !tier.after.is_empty() => before.any(|there| there),
        _ => before.all(|there| there),
    }
}

fn without_promotion(mut tier: Tier) -> Tier {
    tier.promote = Promote {
        mode: Mode::Auto,
        soak: None,
        confirm: None,
        pick: Pick::Newest,
        require: tier.promote.require,
        window: Vec::new(),
        freeze: Vec::new(),
    };
    tier.unsupported.retain(|key| !key.starts_with("promote."));
    tier
}
