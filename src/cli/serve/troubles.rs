//! What is not as it should be with the controller itself, though it goes on: what `status` and `/api/state` show of it
//! until it is over. One thing of each kind, known by its code.

use crate::server::view::TroubleView;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The list; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles(Arc<Mutex<BTreeMap<String, TroubleView>>>);

impl Troubles {
    /// It is so from now on.
    pub(super) fn begin(&self, code: &str, message: impl Into<String>, help: impl Into<String>) {
        let one = TroubleView { code: code.into(), message: message.into(), help: help.into() };
        self.lock().insert(code.into(), one);
    }

    /// It is over.
    pub(super) fn end(&self, code: &str) {
        self.lock().remove(code);
    }

    /// What is so now.
    pub(super) fn all(&self) -> Vec<TroubleView> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, TroubleView>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
