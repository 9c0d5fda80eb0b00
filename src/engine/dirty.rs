//! The pipelines that are to be looked at: who has waited longest for a slot comes first, however many there are.

use crate::domain::{PipelineName, RunId};
use std::collections::{BTreeSet, HashMap};

/// A set in order. Who takes a slot while being in it is put into it again by that, with its new place.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    order: BTreeSet<(Option<RunId>, PipelineName)>,
    places: HashMap<PipelineName, Option<RunId>>,
}

impl Dirty {
    /// Puts a pipeline in, or in its new place. `last_slot`: the run that last took a slot for it; none: it is gone.
    pub(super) fn insert(&mut self, name: PipelineName, last_slot: Option<RunId>) {
        if let Some(before) = self.places.insert(name.clone(), last_slot) {
            if before == last_slot {
                return;
            }
            self.order.remove(&(before, name.clone()));
        }
        self.order.insert((last_slot, name));
    }

    /// Takes the first one out.
    pub(super) fn pop(&mut self) -> Option<PipelineName> {
        let (_, name) = self.order.pop_first()?;
        self.places.remove(&name);
        Some(name)
    }

    /// Whether none is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_longest_comes_first_and_each_once() {
        let mut dirty = Dirty::default();
        for (name, slot) in [("b", 7), ("a", 9), ("c", 1), ("b", 12), ("a", 9)] {
            dirty.insert(name.into(), Some(RunId(slot)));
        }
        dirty.insert("gone".into(), None);
        let order: Vec<String> = std::iter::from_fn(|| dirty.pop()).map(|name| name.to_string()).collect();
        assert_eq!(order, ["gone", "c", "a", "b"]);
        assert!(dirty.is_empty());
    }
}
