//! How backups come to be kept, and are let go of.

use super::Moment;
use crate::domain::event::Event;
use crate::domain::pipeline::Check;
use crate::domain::state::{Backup, PipelineState};

/// Keeps a backup, and of its gate the newest so many with it. One without a digest is nowhere in the store.
pub(super) fn apply(p: &mut PipelineState, event: &Event, moment: &Moment<'_>) {
    let Event::BackupFetched {
        source,
        byte_size,
        run_id: Some(run),
        tier: Some(tier),
        version: Some(version),
        name: Some(gate),
        sha256: Some(sha256),
        ..
    } = event
    else {
        return;
    };
    let digest = p.tiers.get(tier).and_then(|t| t.digest_of(version));
    let check = digest.and_then(|digest| p.tier_of(digest, tier)?.gate(gate)).map(|gate| &gate.check);
    let keep = match check {
        Some(Check::Backup { keep, .. }) => (*keep).max(1) as usize,
        _ => usize::MAX,
    };
    let backups = &mut p.tiers.entry(tier.clone()).or_default().backups;
    backups.push(Backup {
        id: moment.id,
        at: moment.at,
        gate: gate.clone(),
        version: version.clone(),
        run: *run,
        source: source.clone(),
        sha256: sha256.clone(),
        byte_size: *byte_size,
    });
    let mut over = backups.iter().filter(|backup| backup.gate == *gate).count().saturating_sub(keep);
    backups.retain(|backup| {
        let goes = over > 0 && backup.gate == *gate;
        over -= usize::from(goes);
        !goes
    });
}
