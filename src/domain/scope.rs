//! What somebody is limited to: names of pipelines and tiers, or globs over them. Which role it takes to do something is
//! `role`'s; where this is asked is the server's.

use crate::glob::{self, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Most names and globs of one list.
const NAMES_LIMIT: usize = 64;

/// Longest of them, in bytes.
const NAME_LIMIT_BYTES: usize = 128;

/// Kinds of events that belong to no pipeline and tell nothing of any: whoever listens at all hears them. A kind that is
/// not named here is kept from whoever may not see everything.
const OF_ALL: [&str; 3] = ["controller_started", "controller_stopping", "journal_restored"];

/// Names, or globs over names as in a pipeline's `refs`: `*` stops at `/`, `**` does not. None of them is every name.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Names(Arc<Compiled>);

#[derive(Default)]
struct Compiled {
    texts: Vec<String>,
    set: GlobSet,
}

impl Names {
    /// Reads names and globs.
    ///
    /// # Errors
    /// The first that cannot be read, or too many of them.
    pub fn new(texts: Vec<String>) -> Result<Names, BadName> {
        if texts.len() > NAMES_LIMIT {
            return Err(BadName {
                given: format!("{} names", texts.len()),
                why: format!("{NAMES_LIMIT} at most"),
            });
        }
        let mut set = GlobSetBuilder::new();
        for text in &texts {
            let bad = |why: &str| BadName { given: text.chars().take(80).collect(), why: why.into() };
            if text.is_empty() || text.len() > NAME_LIMIT_BYTES || text.chars().any(char::is_control) {
                return Err(bad("a name has 1 to 128 bytes, and no control characters"));
            }
            set.add(glob::read(text).map_err(|why| bad(&why.to_string()))?);
        }
        let all = BadName { given: texts.join(" "), why: "together they are too large".into() };
        let set = set.build().map_err(|_| all)?;
        Ok(Names(Arc::new(Compiled { texts, set })))
    }

    /// Whether that is every name.
    pub fn is_all(&self) -> bool {
        self.0.texts.is_empty()
    }

    /// Whether a name is among them.
    pub fn has(&self, name: &str) -> bool {
        self.is_all() || self.0.set.is_match(name)
    }

    /// As they were written.
    pub fn texts(&self) -> &[String] {
        &self.0.texts
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Names) -> bool {
        self.0.texts == other.0.texts
    }
}

impl Eq for Names {}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.texts.fmt(f)
    }
}

impl TryFrom<Vec<String>> for Names {
    type Error = BadName;

    fn try_from(texts: Vec<String>) -> Result<Names, BadName> {
        Names::new(texts)
    }
}

impl From<Names> for Vec<String> {
    fn from(names: Names) -> Vec<String> {
        names.0.texts.clone()
    }
}

/// Text that is neither a name nor a glob. `Display` reads after "failed to".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    /// What was given.
    pub given: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit a token to `{}`: {}", self.given, self.why)
    }
}

impl std::error::Error for BadName {}

/// What somebody may see, and what they may act on where their role lets them act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The pipelines that they see and act on.
    pub pipelines: Names,
    /// The tiers that they act on; with any, they act on nothing of a whole pipeline.
    pub tiers: Names,
}

impl Scope {
    /// Whether a pipeline is there for them.
    pub fn sees(&self, pipeline: &str) -> bool {
        self.pipelines.has(pipeline)
    }

    /// Whether they see everything that there is.
    pub fn sees_all(&self) -> bool {
        self.pipelines.is_all()
    }

    /// Whether they hear of an event of that kind that belongs to that pipeline, or to none.
    pub fn hears(&self, kind: &str, pipeline: Option<&str>) -> bool {
        match pipeline {
            _ if self.sees_all() => true,
            Some(pipeline) => self.sees(pipeline),
            None => OF_ALL.contains(&kind),
        }
    }

    /// Whether they may act on a tier of a pipeline; without a tier: on the pipeline as a whole.
    pub fn acts_on(&self, pipeline: &str, tier: Option<&str>) -> bool {
        self.sees(pipeline) && tier.map_or(self.tiers.is_all(), |tier| self.tiers.has(tier))
    }
}

impl fmt::Display for Scope {
    /// `pipelines shop, blog-*; tiers staging`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |what: &str, names: &Names| match names.texts() {
            [] => format!("all {what}s"),
            [one] => format!("{what} {one}"),
            several => format!("{what}s {}", several.join(", ")),
        };
        write!(f, "{}; {}", said("pipeline", &self.pipelines), said("tier", &self.tiers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Names {
        Names::new(texts.iter().map(|text| (*text).to_owned()).collect()).unwrap()
    }

    fn scope(pipelines: &[&str], tiers: &[&str]) -> Scope {
        Scope { pipelines: names(pipelines), tiers: names(tiers) }
    }

    #[test]
    fn names_are_names_or_globs_and_none_is_all() {
        assert!(names(&[]).has("anything") && names(&[]).is_all());
        let some = names(&["shop", "team-a-*"]);
        for (name, is_in) in [
            ("shop", true),
            ("shops", false),
            ("Shop", false),
            ("team-a-x", true),
            ("team-b-x", false),
            ("", false),
        ] {
            assert_eq!(some.has(name), is_in, "{name}");
        }
        for bad in ["", "a[", "a\n", &"x".repeat(129)] {
            assert!(Names::new(vec![bad.into()]).is_err(), "{bad:?}");
        }
        assert!(Names::new(vec!["x".into(); 65]).is_err());
    }

    #[test]
    fn what_belongs_to_no_pipeline_is_heard_if_it_tells_of_none() {
        let (all, some) = (Scope::default(), scope(&["shop"], &[]));
        assert!(some.hears("gate_done", Some("shop")) && !some.hears("gate_done", Some("blog")));
        for kind in OF_ALL {
            assert!(some.hears(kind, None), "{kind}");
        }
        for kind in ["access_refused", "pipeline_rejected", "a_kind_of_a_newer_release"] {
            assert!(!some.hears(kind, None) && all.hears(kind, None), "{kind}");
        }
    }

    #[test]
    fn tiers_limit_acting_and_leave_nothing_of_the_whole_pipeline() {
        let one = scope(&["shop"], &["staging"]);
        assert!(one.acts_on("shop", Some("staging")));
        assert!(!one.acts_on("shop", Some("prod")) && !one.acts_on("shop", None));
        assert!(!one.acts_on("blog", Some("staging")));
        assert!(one.sees("shop"));
        let whole = scope(&["shop"], &[]);
        assert!(whole.acts_on("shop", None) && whole.acts_on("shop", Some("prod")));
        assert_eq!(one.to_string(), "pipeline shop; tier staging");
        assert_eq!(scope(&["a", "b"], &[]).to_string(), "pipelines a, b; all tiers");
    }
}
