//! Builds, and the versions that come of them.

use super::*;
use crate::domain::event::Artifact;
use crate::domain::outcome::Outcome;

/// A build that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The number of its `rebuild_requested`.
    pub id: EventId,
    /// When.
    pub at: Time,
    /// The commit.
    pub sha: Sha,
    /// The ref that was pushed.
    pub ref_name: Option<RefName>,
    /// Name of the commit's author.
    pub author: String,
    /// First line of the commit's message.
    pub subject: String,
    /// Addresses of author and committer.
    pub emails: Vec<String>,
    /// Who asked.
    pub by: Option<String>,
    /// Their address, where one is known.
    #[serde(default)]
    pub by_email: Option<String>,
    /// Whether its commit is built already, and is built once more, as a version of its own.
    #[serde(default)]
    pub anew: bool,
}

/// Somebody who asked for a build of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The name of the token or person.
    pub name: String,
    /// Their address, where one is known.
    #[serde(default)]
    pub email: Option<String>,
}

impl Request {
    /// Who asked for it.
    pub(in crate::domain) fn asker(&self) -> Option<Asker> {
        self.by.clone().map(|name| Asker { name, email: self.by_email.clone() })
    }
}

/// A build under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// What was asked for.
    pub request: Request,
    /// What it will be called.
    pub version: VersionLabel,
    /// The definition that it is built by.
    pub digest: Digest,
    /// Since when.
    pub at: Time,
    /// How far each step is.
    pub steps: BTreeMap<StepName, Attempts>,
    /// Whether a person ended it.
    pub canceled: bool,
}

/// How far something is that may be tried several times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempts {
    /// Tries that ended and count.
    pub tries: u32,
    /// Whether one of them judged, and badly.
    pub failed_before: bool,
    /// The try that runs now.
    pub running: Option<RunId>,
    /// The try that began last.
    pub last: Option<RunId>,
    /// How the last try ended; none while another follows.
    pub outcome: Option<Outcome>,
    /// How often in a row it could not judge.
    pub blocked_times: u32,
    /// Not before then is it tried again.
    pub not_before: Option<Time>,
    /// Who holds the lock of the node that the try waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_by: Option<String>,
}

impl Attempts {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.outcome.as_ref().is_some_and(Outcome::passed)
    }
}

/// A version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The commit.
    pub sha: Sha,
    /// The ref that was pushed.
    pub ref_name: Option<RefName>,
    /// Name of the commit's author.
    pub author: String,
    /// First line of the commit's message.
    pub subject: String,
    /// Addresses of author and committer.
    pub emails: Vec<String>,
    /// Who asked for it last.
    pub by: Option<String>,
    /// Everybody who ever asked for what was built: its authors, beside those whom its commit names.
    #[serde(default)]
    pub askers: Vec<Asker>,
    /// The number of its latest request: its place among the versions.
    pub order: EventId,
    /// How far it is.
    pub stage: Stage,
    /// The event by which it was built, or last moved to the front.
    pub done: EventId,
    /// What tiers deploy.
    pub artifacts: Vec<Artifact>,
    /// When that began.
    pub at: Time,
    /// Whether it was there before and was adopted: then its place is before all that was ever asked for, and building
    /// it does not move it.
    #[serde(default)]
    pub adopted: bool,
}

/// How far a version's build is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Under way.
    Building,
    /// Done.
    Built,
    /// Failed, and why.
    Failed(String),
    /// Ended before it was done.
    Aborted,
    /// It was adopted, and nobody has built it here.
    Adopted,
}
