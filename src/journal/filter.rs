//! Choosing records by pipeline, tier, kind and run. Used alike for the past (the journal) and for what is live (the bus).

use crate::domain::Scope;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Which records are wanted. An empty list asks nothing; within a list any one match is enough; all lists must agree.
/// A filter on a field that a record does not have does not match it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Names of pipelines.
    pub pipeline: Vec<Arc<str>>,
    /// Names of tiers.
    pub tier: Vec<Arc<str>>,
    /// Kinds of events.
    pub kinds: Vec<KindPattern>,
    /// One run.
    pub run: Option<u64>,
    /// What whoever asks may see of all that.
    pub scope: Scope,
}

impl Filter {
    /// True when it lets everything pass.
    pub fn is_empty(&self) -> bool {
        self.pipeline.is_empty()
            && self.tier.is_empty()
            && self.kinds.is_empty()
            && self.run.is_none()
            && self.scope.sees_all()
    }

    /// Whether a record with these fields is wanted.
    pub fn matches(&self, kind: &str, pipeline: Option<&str>, tier: Option<&str>, run: Option<u64>) -> bool {
        self.scope.hears(kind, pipeline)
            && any_of(&self.pipeline, pipeline)
            && any_of(&self.tier, tier)
            && (self.kinds.is_empty() || self.kinds.iter().any(|pattern| pattern.matches(kind)))
            && (self.run.is_none() || self.run == run)
    }
}

fn any_of(wanted: &[Arc<str>], found: Option<&str>) -> bool {
    wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|name| &**name == found))
}

/// A kind as it is (`gate_done`) or the beginning of kinds and a star (`gate_*`; `*` alone is every kind).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindPattern {
    /// This kind only.
    Exact(Arc<str>),
    /// Every kind that begins so.
    Prefix(Arc<str>),
}

impl KindPattern {
    /// Whether a kind fits.
    pub fn matches(&self, kind: &str) -> bool {
        match self {
            Self::Exact(text) => &**text == kind,
            Self::Prefix(text) => kind.starts_with(&**text),
        }
    }
}

/// A pattern that could never match: empty, or with a star that is not at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern(pub String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "understand the kind `{}`: a star may only stand at the end", self.0)
    }
}

impl std::error::Error for BadPattern {}

impl FromStr for KindPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let (start, is_prefix) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        if text.is_empty() || start.contains('*') {
            return Err(BadPattern(text.to_owned()));
        }
        Ok(if is_prefix { Self::Prefix(start.into()) } else { Self::Exact(start.into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(patterns: &[&str]) -> Filter {
        Filter { kinds: patterns.iter().map(|text| text.parse().unwrap()).collect(), ..Filter::default() }
    }

    #[test]
    fn lists_are_any_of_and_must_all_agree() {
        let filter = Filter {
            pipeline: vec!["shop".into(), "blog".into()],
            tier: vec!["prod".into()],
            ..Filter::default()
        };
        assert!(filter.matches("gate_done", Some("blog"), Some("prod"), None));
        assert!(!filter.matches("gate_done", Some("blog"), Some("host"), None));
        assert!(!filter.matches("gate_done", Some("blog"), None, None), "a missing field does not match");
        assert!(Filter::default().matches("x", None, None, None));
    }

    #[test]
    fn kinds_are_exact_or_a_beginning() {
        assert!(kinds(&["gate_*"]).matches("gate_done", None, None, None));
        assert!(!kinds(&["gate_*"]).matches("gate", None, None, None));
        assert!(!kinds(&["gate"]).matches("gate_done", None, None, None));
        assert!(kinds(&["rollback", "gate_*"]).matches("rollback", None, None, None));
        assert!(kinds(&["*"]).matches("anything", None, None, None));
        for bad in ["", "*_done", "a*b", "**"] {
            assert_eq!(bad.parse::<KindPattern>(), Err(BadPattern(bad.to_owned())));
        }
    }

    #[test]
    fn what_is_out_of_scope_passes_no_filter() {
        let pipelines = crate::domain::Names::new(vec!["shop".into()]).unwrap();
        let scope = Scope { pipelines, ..Scope::default() };
        let filter = Filter { scope, pipeline: vec!["shop".into(), "blog".into()], ..Filter::default() };
        assert!(filter.matches("gate_done", Some("shop"), None, None));
        assert!(!filter.matches("gate_done", Some("blog"), None, None), "also where it is asked for");
        let filter = Filter { pipeline: Vec::new(), ..filter };
        assert!(!filter.is_empty());
        assert!(!filter.matches("gate_done", Some("blog"), None, None));
        assert!(filter.matches("controller_started", None, None, None));
        assert!(!filter.matches("access_refused", None, None, None));
    }

    #[test]
    fn a_run_is_one_run() {
        let filter = Filter { run: Some(7), ..Filter::default() };
        assert!(filter.matches("x", None, None, Some(7)));
        assert!(!filter.matches("x", None, None, Some(8)));
        assert!(!filter.matches("x", None, None, None));
        assert!(!filter.is_empty());
    }
}
