//! What a version brings that a tier has not, as far as it is known here, and which node comes in which wave.

use crate::domain::{NodeName, VersionLabel};
use crate::server::view::{PipelineView, TierView, VersionView};
use crate::words::counted;

/// Commits that are told one by one.
const TOLD: usize = 5;

/// In lines.
pub(super) fn differs(p: &PipelineView, tier: &TierView, version: &VersionLabel) -> Vec<String> {
    commits(p, tier, version).into_iter().chain(waves(tier)).collect()
}

fn commits(p: &PipelineView, tier: &TierView, version: &VersionLabel) -> Vec<String> {
    let known = |label: &VersionLabel| p.versions.iter().find(|one| one.version == *label);
    let Some(comes) = known(version) else { return Vec::new() };
    let Some(current) = &tier.current else { return vec!["No version is current here yet.".into()] };
    let before = known(&current.version).map(|one| one.order);
    let is_new =
        |one: &&VersionView| one.order <= comes.order && before.is_none_or(|before| one.order > before);
    let news: Vec<&VersionView> = p.versions.iter().filter(is_new).collect();
    let least = if before.is_none() { "at least " } else { "" };
    let mut lines = vec![format!(
        "Since {}, which is current: {least}{}.",
        current.version,
        counted(news.len(), "commit")
    )];
    lines.extend(news.iter().take(TOLD).map(|one| format!("- {} {}", one.version, one.subject)));
    if news.len() > TOLD {
        lines.push(format!("- and {} before", news.len() - TOLD));
    }
    lines
}

/// None where there is but one wave.
fn waves(tier: &TierView) -> Option<String> {
    let names: Vec<&NodeName> =
        tier.nodes.iter().filter(|node| !node.removed).map(|node| &node.name).collect();
    if !tier.deploys || tier.waves.len() < 2 {
        return None;
    }
    let mut rest = names.as_slice();
    let mut all = Vec::new();
    for (nth, count) in tier.waves.iter().enumerate() {
        let (these, others) = rest.split_at((*count).min(rest.len()));
        rest = others;
        let nodes = match these {
            [first, .., last] if these.len() > 3 => format!("{first} to {last}"),
            these => these.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        all.push(format!("{}: {nodes}", nth + 1));
    }
    Some(format!("Wave {}.", all.join("; wave ")))
}
