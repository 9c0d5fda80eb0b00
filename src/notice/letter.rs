//! One event on its way to a receiver, and what the receiver's environment says of it.

use super::rule::Rule;
use crate::domain::{EventId, Sha, State, VersionLabel};
use crate::interpreter::environment::Env;
use crate::interpreter::secrets::Secrets;
use crate::journal::Record;
use serde::Deserialize;
use std::ffi::OsString;
use std::sync::Arc;

/// An event as it is told.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// Its number: the same at every try, so that a receiver can tell one that came twice.
    pub(super) id: EventId,
    /// The tier that it is about.
    pub(super) tier: Option<Arc<str>>,
    /// The version that it is about.
    pub(super) version: Option<VersionLabel>,
    /// The commit that it is about, if only through the version.
    pub(super) sha: Option<Sha>,
    /// The JSON text, exactly as `/events` sends it.
    pub(super) body: Arc<str>,
}

/// What is looked for in an event of whatever kind.
#[derive(Default, Deserialize)]
struct Fields {
    version: Option<VersionLabel>,
    sha: Option<Sha>,
    sha_aborted: Option<Sha>,
}

impl Letter {
    /// The event of a record; the state knows the commits of versions.
    pub(super) fn of(record: &Record, rule: &Rule, state: &State) -> Letter {
        let fields: Fields = serde_json::from_str(&record.body).unwrap_or_default();
        let of_version = || commit(state, rule, fields.version.as_ref()?);
        Letter {
            id: record.id,
            tier: record.tier.clone(),
            sha: fields.sha.clone().or_else(|| fields.sha_aborted.clone()).or_else(of_version),
            version: fields.version,
            body: record.body.clone(),
        }
    }

    /// The environment of a notice: four variables of the controller, what the pipeline declares, the secrets that the
    /// notice lists, and `TIDEGATE_*`. A later layer wins over an earlier one.
    pub(super) fn environment(
        &self,
        rule: &Rule,
        inherited: &[(OsString, OsString)],
        secrets: &Secrets,
    ) -> Env {
        let mut env: Env = inherited.iter().cloned().collect();
        env.extend(rule.env.iter().map(|(name, value)| (name.into(), value.into())));
        env.extend(secrets.values().iter().cloned());
        let own = [
            ("TIDEGATE", Some("1")),
            ("TIDEGATE_PIPELINE", Some(rule.pipeline.as_str())),
            ("TIDEGATE_TIER", self.tier.as_deref()),
            ("TIDEGATE_VERSION", self.version.as_ref().map(VersionLabel::as_str)),
            ("TIDEGATE_SHA", self.sha.as_ref().map(Sha::as_str)),
        ];
        env.extend(own.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into()))));
        env
    }
}

/// The commit of a version of the rule's pipeline.
pub(super) fn commit(state: &State, rule: &Rule, version: &VersionLabel) -> Option<Sha> {
    Some(state.pipelines.get(&rule.pipeline)?.versions.get(version)?.sha.clone())
}
