//! Once a day the branches and tags that are gone from a repository are forgotten. Where a pipeline polls, every look
//! does that already.

use super::Tidier;

pub(super) async fn forget(tidier: &Tidier) {
    let known = tidier.engine.read(|state| {
        let known = state.pipelines.iter().filter(|(_, p)| p.in_force.is_some() && !p.refs.is_empty());
        known.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    });
    for name in known {
        if let Err(error) = tidier.pushes.forget_gone(&name).await {
            tracing::debug!(pipeline = %name, code = error.code(), "failed to {error}");
        }
    }
}
