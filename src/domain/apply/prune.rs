//! How versions are forgotten.

use crate::domain::id::VersionLabel;
use crate::domain::state::PipelineState;
use std::collections::BTreeSet;

/// Lets go of all that was known of these versions, and of definitions that only they needed.
pub(super) fn apply(p: &mut PipelineState, versions: &[VersionLabel]) {
    let gone: BTreeSet<&VersionLabel> = versions.iter().collect();
    p.versions.retain(|label, _| !gone.contains(label));
    p.built.retain(|_, label| !gone.contains(label));
    p.by_sha.retain(|_, label| !gone.contains(label));
    for t in p.tiers.values_mut() {
        t.standings.retain(|label, _| !gone.contains(label));
        t.past.retain(|past| !gone.contains(&past.version));
    }
    p.let_go_of_definitions();
}
