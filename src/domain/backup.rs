//! Which backup is meant: the last one of a gate that fetches them, and the one that a dry run restores.

use super::id::{Digest, GateName, TierName};
use super::pipeline::{Check, Gate, Tier};
use super::state::{Backup, PipelineState, TierState};

/// The gates whose backups a dry run of a tier may restore: those of the tier itself, else those of all tiers; of one
/// name, where that is wanted.
pub fn sources<'a>(
    tiers: &'a [Tier],
    own: &TierName,
    wanted: Option<&GateName>,
) -> Vec<(&'a Tier, &'a Gate)> {
    let fits = |gate: &&Gate| {
        matches!(gate.check, Check::Backup { .. }) && wanted.is_none_or(|wanted| gate.name == *wanted)
    };
    let all = || tiers.iter().flat_map(|tier| tier.gates.iter().filter(fits).map(move |gate| (tier, gate)));
    let of_own: Vec<_> = all().filter(|(tier, _)| tier.name == *own).collect();
    if of_own.is_empty() { all().collect() } else { of_own }
}

/// The newest backup of a gate.
pub fn last<'a>(t: &'a TierState, gate: &GateName) -> Option<&'a Backup> {
    t.backups.iter().rev().find(|backup| backup.gate == *gate)
}

/// The newest of the backups that a dry run of that tier may restore, by that definition.
pub fn to_restore<'a>(
    p: &'a PipelineState,
    digest: &Digest,
    tier: &TierName,
    wanted: Option<&GateName>,
) -> Option<&'a Backup> {
    let definition = p.known.get(digest)?;
    let sources = sources(&definition.tiers, &p.tier_of(digest, tier)?.name, wanted);
    let of_tier = |(name, t): (&TierName, &'a TierState)| {
        let then = &p.tier_of(digest, name)?.name;
        let gates = sources.iter().filter(|(tier, _)| tier.name == *then);
        gates.filter_map(|(_, gate)| last(t, &gate.name)).max_by_key(|backup| backup.id)
    };
    p.tiers.iter().filter_map(of_tier).max_by_key(|backup| backup.id)
}
