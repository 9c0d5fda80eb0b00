//! What builds made and no version refers to any more leaves the store, and so do backups that newer ones took the place
//! of. A dry run that restores such a one has it open, or its own copy by then.
//!
//! The race: a build has stored a file, and its `build_ok` is not in the journal yet, so that no version refers to it.
//! Such a file was put in after that build began, and putting in content that is there already counts: so nothing goes
//! that is younger than the oldest build under way when the references were read, or than an hour. A build that stores
//! the same content at the very moment of its removal waits for the store's lock, or finds its file spared by its time.

use super::Tidier;
use crate::domain::{State, Time};
use std::collections::BTreeSet;
use std::time::SystemTime;

pub(super) async fn sweep(tidier: &Tidier) {
    let now = tidier.clock.now();
    let (referenced, older_than) = tidier.engine.read(|state| (referenced(state), spared_since(state, now)));
    let held = match tidier.store.iter().await {
        Ok(held) => held,
        Err(error) => {
            return tracing::warn!(code = error.code(), "failed to look through the artifacts: {error}");
        }
    };
    let older_than = SystemTime::from(older_than);
    let (mut files, mut bytes) = (0_u64, 0);
    for one in held.iter().filter(|one| one.modified < older_than && !referenced.contains(&one.sha256)) {
        match tidier.store.remove_older(&one.sha256, older_than).await {
            Ok(true) => (files, bytes) = (files + 1, bytes + one.size),
            Ok(false) => continue,
            Err(error) => {
                tracing::warn!(code = error.code(), "failed to remove an artifact: {error}");
            }
        }
        tidier.breathe().await;
    }
    if files > 0 {
        tracing::info!(files, bytes, "artifacts that nothing needs are removed");
    }
}

fn referenced(state: &State) -> BTreeSet<String> {
    let versions = state.pipelines.values().flat_map(|p| p.versions.values());
    let artifacts = versions.flat_map(|version| &version.artifacts).map(|artifact| &artifact.sha256);
    let tiers = state.pipelines.values().flat_map(|p| p.tiers.values());
    let backups = tiers.flat_map(|t| &t.backups).map(|backup| &backup.sha256);
    artifacts.chain(backups).cloned().collect()
}

/// What was stored from then on may belong to a build that is not in the journal yet.
fn spared_since(state: &State, now: Time) -> Time {
    let builds = state.pipelines.values().filter_map(|p| p.build.as_ref()).map(|build| build.at);
    builds.chain([now]).min().unwrap_or(now) - chrono::TimeDelta::hours(1)
}
