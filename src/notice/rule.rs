//! One notice of one pipeline, as the definition in force has it.

use crate::domain::pipeline::{Notify, Pipeline, SecretSource};
use crate::domain::state::PipelineState;
use crate::domain::{EventId, PipelineName, State};
use crate::journal::{Filter, KindPattern};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Everything that one notice depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    /// The pipeline.
    pub(super) pipeline: PipelineName,
    /// What its folders are called, whatever it is called now.
    pub(super) home: PipelineName,
    /// What it was called, each from which event on, oldest first.
    names: Vec<(EventId, PipelineName)>,
    /// Its place among the notices of the pipeline, from 1.
    pub(super) number: usize,
    /// What it says.
    pub(super) notice: Notify,
    /// The pipeline's environment.
    pub(super) env: BTreeMap<String, String>,
    /// The pipeline's secrets.
    pub(super) secrets: BTreeMap<String, SecretSource>,
    /// Which events it is told of.
    pub(super) filter: Filter,
}

impl Rule {
    /// The notices of a pipeline. Its events stand in the journal under the name of their time.
    fn of(p: &PipelineState, definition: &Pipeline) -> Vec<Rule> {
        let mut names = p.names.clone();
        if names.is_empty() {
            names.push((EventId(0), definition.name.clone()));
        }
        let all: BTreeSet<_> = names.iter().map(|(_, name)| name.as_str().into()).collect();
        let each = definition.notify.iter().enumerate();
        each.map(|(at, notice)| Rule {
            pipeline: definition.name.clone(),
            home: p.home.clone(),
            names: names.clone(),
            number: at + 1,
            notice: notice.clone(),
            env: definition.env.clone(),
            secrets: definition.secrets.clone(),
            filter: Filter {
                pipeline: all.iter().cloned().collect(),
                tier: notice.tiers.iter().map(|tier| tier.as_str().into()).collect(),
                // What cannot be a pattern was an error of the definition, and fits nothing.
                kinds: notice.kinds.iter().filter_map(|kind| kind.parse::<KindPattern>().ok()).collect(),
                ..Filter::default()
            },
        })
        .collect()
    }

    /// What tells this notice from others of its pipeline.
    pub(super) fn digest(&self) -> String {
        let text = serde_json::to_vec(&self.notice).expect("BUG: a notice is always JSON");
        Sha256::digest(&text)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is told of something.
    pub(super) fn wants(&self, id: EventId, kind: &str, pipeline: Option<&str>, tier: Option<&str>) -> bool {
        !self.filter.kinds.is_empty()
            && self.filter.matches(kind, pipeline, tier, None)
            && pipeline == self.name_at(id).map(PipelineName::as_str)
    }

    /// What the pipeline was called then: another one may have had one of its names before or after it.
    fn name_at(&self, id: EventId) -> Option<&PipelineName> {
        self.names.iter().rev().find(|(since, _)| *since <= id).map(|(_, name)| name)
    }
}

impl fmt::Display for Rule {
    /// Which notice it is, for the log: `notice 1 of pipeline shop, to https://chat.internal`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "notice {} of pipeline `{}`", self.number, self.pipeline)?;
        match (&self.notice.forge, &self.notice.url) {
            (Some(forge), _) => write!(f, ", to {}", forge.as_str()),
            // The path may be a secret in itself.
            (None, Some(url)) => write!(f, ", to {}", crate::printable::line(host_of(url))),
            (None, None) => Ok(()),
        }
    }
}

/// A URL up to its host, without a user; where it begins with a variable, that.
fn host_of(url: &str) -> &str {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => &rest[at + 1..end],
        None if scheme.is_empty() => &rest[..end],
        None => &url[..scheme.len() + 3 + end],
    }
}

/// A pipeline in force and its notices.
pub(super) struct InForce {
    /// What its folders are called.
    pub(super) home: PipelineName,
    /// What it is called now.
    pub(super) name: PipelineName,
    /// What it was called before, newest first.
    pub(super) formerly: Vec<PipelineName>,
    /// Its notices, in the order of its definition.
    pub(super) rules: Vec<Rule>,
}

/// Every pipeline that is in force.
pub(super) fn in_force(state: &State) -> Vec<InForce> {
    state.pipelines.keys().filter_map(|name| of_one(state, name)).collect()
}

/// One pipeline, if it is in force.
pub(super) fn of_one(state: &State, name: &PipelineName) -> Option<InForce> {
    let p = state.pipelines.get(name)?;
    let definition = p.definition()?;
    Some(InForce {
        home: p.home.clone(),
        name: name.clone(),
        formerly: p.names.iter().rev().skip(1).map(|(_, name)| name.clone()).collect(),
        rules: Rule::of(p, definition),
    })
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn a_log_shows_the_host_and_no_more() {
        assert_eq!(host_of("https://chat.internal:8/hook/T0KEN"), "https://chat.internal:8");
        assert_eq!(host_of("https://u:p@chat.internal/hook"), "chat.internal");
        assert_eq!(host_of("$HOOK/x"), "$HOOK");
        assert_eq!(host_of("http://a?t=1"), "http://a");
    }
}
