//! Something waits for room on the disk: what nothing needs goes now and not in its time.

use super::{Tidier, artifacts, logs};

pub(super) async fn make(tidier: &Tidier) {
    let is_under_way = |request| tidier.engine.read(|state| state.asked_for(request).is_some());
    let removed = crate::interpreter::remove_ended(&tidier.state, is_under_way).await;
    if removed > 0 {
        tracing::info!(removed, "the disk is nearly full: workspaces of builds that are over are removed");
    }
    artifacts::sweep(tidier).await;
    logs::sweep(tidier).await;
}
