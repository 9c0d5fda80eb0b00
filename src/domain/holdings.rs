//! Which pipeline a file holds, and which names of folders are taken, without looking at all pipelines each time:
//! thousands of files load one by one.

use super::id::PipelineName;
use super::state::{PipelineState, State};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Follows from the pipelines, so it is neither written nor compared. Until the first event is folded in there is none:
/// then it is looked for the long way.
#[derive(Clone, Debug, Default)]
pub struct Holdings(Option<Index>);

#[derive(Clone, Debug, Default)]
struct Index {
    homes: HashSet<PipelineName>,
    files: BTreeMap<String, BTreeSet<PipelineName>>,
}

impl PartialEq for Holdings {
    fn eq(&self, _: &Holdings) -> bool {
        true
    }
}

impl State {
    /// The pipelines whose definition in force is in that file, by name.
    pub(super) fn held_in(&self, file: &str) -> Vec<(&PipelineName, &PipelineState)> {
        let Some(index) = &self.holdings.0 else {
            let all = self.pipelines.iter();
            return all.filter(|(_, p)| p.in_force.as_ref().is_some_and(|f| f.file == file)).collect();
        };
        let names = index.files.get(file).into_iter().flatten();
        names.filter_map(|name| self.pipelines.get_key_value(name)).collect()
    }

    /// Whether the folders of that name are some pipeline's.
    pub(super) fn is_home(&self, name: &PipelineName) -> bool {
        match &self.holdings.0 {
            Some(index) => index.homes.contains(name),
            None => self.pipelines.values().any(|p| p.home == *name),
        }
    }

    /// Does something to the pipelines of these names, and keeps in mind which files and folders they have afterwards.
    pub(super) fn keeping_holdings(&mut self, names: &[PipelineName], change: impl FnOnce(&mut State)) {
        let mut index = self.holdings.0.take().unwrap_or_else(|| Index::of(self));
        names.iter().for_each(|name| index.leave(self, name));
        self.holdings.0 = Some(index);
        change(self);
        let mut index = self.holdings.0.take().unwrap_or_default();
        names.iter().for_each(|name| index.enter(self, name));
        self.holdings.0 = Some(index);
    }
}

impl Index {
    fn of(state: &State) -> Index {
        let mut index = Index::default();
        state.pipelines.keys().for_each(|name| index.enter(state, name));
        index
    }

    /// A pipeline no longer holds its file. Its folders stay its own whatever it is called.
    fn leave(&mut self, state: &State, name: &PipelineName) {
        let in_force = state.pipelines.get(name).and_then(|p| p.in_force.as_ref());
        if let Some(in_force) = in_force
            && let Some(names) = self.files.get_mut(&in_force.file)
        {
            names.remove(name);
            if names.is_empty() {
                self.files.remove(&in_force.file);
            }
        }
    }

    fn enter(&mut self, state: &State, name: &PipelineName) {
        let Some(p) = state.pipelines.get(name) else { return };
        self.homes.insert(p.home.clone());
        if let Some(in_force) = &p.in_force {
            self.files.entry(in_force.file.clone()).or_default().insert(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Envelope, Event, Fact};
    use crate::domain::{EventId, Pipeline, apply};
    use std::sync::Arc;

    fn after(state: &mut State, pipeline: &str, event: Event) {
        let fact = Fact::of(&pipeline.into(), event);
        let id = EventId(state.last.0 + 1);
        apply(state, &Envelope { id, at: chrono::DateTime::UNIX_EPOCH, fact });
    }

    fn loaded(file: &str, name: &str, was: Option<&str>) -> Event {
        let definition = serde_json::json!({
            "name": name, "was": was, "source": {"repo": "/r"}, "version": {"from": "default"},
            "build": {"on_newer": "abort"}, "tiers": [],
        });
        let definition: Arc<Pipeline> = Arc::new(serde_json::from_value(definition).unwrap());
        let (digest, text) = (name.into(), String::new());
        Event::PipelineLoaded { digest, changes: Vec::new(), file: file.into(), text, definition }
    }

    /// What is kept in mind is what a look at all pipelines finds.
    #[test]
    fn it_is_what_a_look_at_everything_finds() {
        let mut state = State::default();
        let steps = [
            ("a.toml", "a", None),
            ("b.toml", "b", None),
            ("a.toml", "c", Some("a")),
            ("a.toml", "a", None),
            ("z.toml", "b", None),
            ("b.toml", "d", Some("nobody")),
            ("", "b", None),
            ("z.toml", "e", None),
            ("b.toml", "b", Some("d")),
        ];
        for (file, name, was) in steps {
            let removed = Event::PipelineRemoved { digest: name.into(), changes: Vec::new() };
            after(&mut state, name, if file.is_empty() { removed } else { loaded(file, name, was) });
            let slow = State { holdings: Holdings::default(), ..state.clone() };
            assert!(state.holdings.0.is_some());
            for file in ["a.toml", "b.toml", "z.toml"] {
                let names = |state: &State| -> Vec<PipelineName> {
                    state.held_in(file).into_iter().map(|(name, _)| name.clone()).collect()
                };
                assert_eq!(names(&state), names(&slow), "{file} after {name}");
            }
            for home in ["a", "b", "c", "d", "e", "a@4"] {
                assert_eq!(state.is_home(&home.into()), slow.is_home(&home.into()), "{home} after {name}");
            }
        }
        let homes: Vec<&str> = state.pipelines.values().map(|p| p.home.as_str()).collect();
        assert_eq!(homes, ["a@4", "b", "a", "d", "e"], "`c` has the folders that it had as `a`");
    }
}
