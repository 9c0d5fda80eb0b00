//! Once a day each mirror lets go of commits that nothing needs any more, and packs the rest.

use super::Tidier;
use crate::domain::{PipelineName, Sha};
use crate::engine::Engine;
use crate::source::{Location, Repo, mirror};

pub(super) async fn tidy(tidier: &Tidier) {
    for (name, repo, keep) in needed(&tidier.engine) {
        let Ok(location) = Location::parse(&repo) else { continue };
        let repo = Repo::new(tidier.git.clone(), location, mirror::place(&tidier.state.work(), &name));
        if let Err(error) = mirror::tidy(&repo, &keep).await {
            tracing::warn!(pipeline = %name, code = error.code(), "failed to {error}");
        }
    }
}

/// The commits of every version that is known: each may still be deployed again. Pipelines go by what their folders are
/// called.
fn needed(engine: &Engine) -> Vec<(PipelineName, String, Vec<Sha>)> {
    engine.read(|state| {
        let in_force = state.pipelines.values().filter_map(|p| Some((p, p.definition()?)));
        in_force
            .map(|(p, definition)| {
                let asked = p.queue.iter().map(|request| &request.sha);
                let building = p.build.iter().map(|build| &build.request.sha);
                let keep = p.by_sha.keys().chain(asked).chain(building).cloned().collect();
                (p.home.clone(), definition.source.repo.clone(), keep)
            })
            .collect()
    })
}
