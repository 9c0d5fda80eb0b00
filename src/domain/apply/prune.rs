//! How versions are forgotten.

use super::build::name_newest;
use crate::domain::id::{Sha, VersionLabel};
use crate::domain::state::{PipelineState, Stage, beginning};
use std::collections::BTreeSet;

/// Lets go of all that was known of these versions, and of definitions that only they needed.
pub(super) fn apply(p: &mut PipelineState, versions: &[VersionLabel]) {
    let gone: BTreeSet<&VersionLabel> = versions.iter().collect();
    let labels = versions.iter().filter_map(|label| Some((label, &p.versions.get(label)?.sha)));
    let spent = labels.filter(|(label, sha)| !names_its_commit(label, sha));
    p.spent.extend(spent.map(|(label, sha)| (label.clone(), sha.clone())).collect::<Vec<_>>());
    remember_commits(p, versions);
    let of = |label| p.versions.get(label).map(|version| version.sha.clone());
    let commits: BTreeSet<Sha> = versions.iter().filter_map(of).collect();
    p.versions.retain(|label, _| !gone.contains(label));
    p.built.retain(|_, label| !gone.contains(label));
    p.by_sha.retain(|_, label| !gone.contains(label));
    // Another version of the same commit may be left.
    commits.iter().for_each(|sha| name_newest(p, sha));
    for t in p.tiers.values_mut() {
        t.standings.retain(|label, _| !gone.contains(label));
        t.past.retain(|past| !gone.contains(&past.version));
        t.aside.retain(|past| !gone.contains(&past.version));
    }
    p.let_go_of_definitions();
}

/// So many forgotten commits of a pipeline are known as built at most, the newest: 800 KB, and about 2 MB in a checkpoint.
/// That is more than a hundred a day for two years; of those before, a tag that is pushed is built, and the label may be
/// given again.
const COMMITS_KNOWN: usize = 100_000;

fn remember_commits(p: &mut PipelineState, versions: &[VersionLabel]) {
    let built =
        versions.iter().filter_map(|label| p.versions.get(label)).filter(|it| it.stage == Stage::Built);
    let new: Vec<u64> = built.filter_map(|version| beginning(&version.sha)).collect();
    let known: BTreeSet<u64> = new.iter().copied().collect();
    p.forgotten.retain(|begins| !known.contains(begins));
    p.forgotten.extend(new);
    let over = p.forgotten.len().saturating_sub(COMMITS_KNOWN);
    let unknown: BTreeSet<u64> = p.forgotten.drain(..over).collect();
    if !unknown.is_empty() {
        p.spent.retain(|_, sha| !beginning(sha).is_some_and(|begins| unknown.contains(&begins)));
    }
}

/// Whether a label ends in `g` and the beginning of its commit, so that no other commit can get it.
fn names_its_commit(label: &VersionLabel, sha: &Sha) -> bool {
    let end = label.as_str().rsplit(['+', '.']).next().and_then(|end| end.strip_prefix('g'));
    end.is_some_and(|short| short.len() >= 7 && sha.as_str().starts_with(short))
}
