//! Why a command is refused: the data, its stable code, its wording, and the way out.

use super::id::*;
use super::role::Role;
use super::state::QUEUE_LIMIT;
use std::fmt;

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No pipeline of that name is loaded.
    UnknownPipeline(PipelineName),
    /// The pipeline has no tier of that name.
    UnknownTier(PipelineName, TierName),
    /// The tier has no node of that name.
    UnknownNode(TierName, NodeName),
    /// The pipeline has no version of that label.
    UnknownVersion(PipelineName, VersionLabel),
    /// The version is not built.
    NotBuilt(VersionLabel),
    /// The actor's role does not reach.
    RoleMissing(Role),
    /// A reason must be given.
    WhyMissing,
    /// The version is older than the current one.
    OlderThanCurrent(VersionLabel, VersionLabel),
    /// The version is rejected there.
    IsRejected(PipelineName, VersionLabel, TierName),
    /// The version has not passed what comes before.
    NotPromoted(VersionLabel, TierName),
    /// The version does not wait there.
    NotWaiting(PipelineName, VersionLabel, TierName),
    /// The tier asks for no confirmation.
    NoConfirmation(TierName),
    /// The version is inside the tier already.
    IsInside(PipelineName, VersionLabel, TierName),
    /// The tier does not count its version's authors, and the actor has no address to tell by.
    AddressMissing(TierName, Role),
    /// The actor is one of the version's authors, who do not count in the tier.
    IsAuthor(VersionLabel, TierName),
    /// There is nothing to go back to.
    NothingBefore(TierName),
    /// That version is not one to go back to.
    NotATarget(VersionLabel, TierName),
    /// The tier is busy with another version.
    TierBusy(TierName, VersionLabel),
    /// Nothing is under way that could be ended.
    NothingToCancel,
    /// There is nothing that could be tried again.
    NothingToRetry,
    /// A newer version passed.
    NewerPassed(VersionLabel, VersionLabel),
    /// No version is current.
    NothingCurrent(TierName),
    /// The tier deploys nothing.
    NoDeploy(TierName),
    /// A tier has a current version already.
    HasCurrent(TierName, VersionLabel),
    /// The label is another commit's.
    LabelTaken(VersionLabel, Sha),
    /// The commit has another label.
    OtherLabel(Sha, VersionLabel),
    /// No place is left before the first version.
    NoPlaceBefore(VersionLabel),
    /// The version passed the tier and was left again: it does not enter a second time.
    HasPassed(PipelineName, VersionLabel, TierName),
    /// Another version is meant by now.
    Moved(VersionLabel, Option<VersionLabel>),
    /// As many builds of the pipeline, or looks at refs of it, wait as may.
    QueueFull(PipelineName),
}

impl Rejection {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Rejection::UnknownPipeline(_) => "TG-ASK-001",
            Rejection::UnknownTier(..) => "TG-ASK-002",
            Rejection::UnknownNode(..) => "TG-ASK-003",
            Rejection::UnknownVersion(..) => "TG-ASK-004",
            Rejection::NotBuilt(_) => "TG-ASK-005",
            Rejection::RoleMissing(_) => "TG-AUTH-002",
            Rejection::WhyMissing => "TG-ASK-006",
            Rejection::OlderThanCurrent(..) => "TG-ASK-007",
            Rejection::IsRejected(..) => "TG-ASK-008",
            Rejection::NotPromoted(..) => "TG-ASK-009",
            Rejection::NotWaiting(..) => "TG-ASK-010",
            Rejection::NoConfirmation(_) => "TG-ASK-011",
            Rejection::NothingBefore(_) => "TG-ASK-012",
            Rejection::NotATarget(..) => "TG-ASK-013",
            Rejection::TierBusy(..) => "TG-ASK-014",
            Rejection::NothingToCancel => "TG-ASK-015",
            Rejection::NothingToRetry => "TG-ASK-016",
            Rejection::NewerPassed(..) => "TG-ASK-017",
            Rejection::NothingCurrent(_) => "TG-ASK-018",
            Rejection::NoDeploy(_) => "TG-ASK-019",
            Rejection::Moved(..) => "TG-ASK-020",
            Rejection::IsInside(..) => "TG-ASK-021",
            Rejection::QueueFull(_) => "TG-PUSH-005",
            Rejection::IsAuthor(..) => "TG-ASK-022",
            Rejection::HasPassed(..) => "TG-ASK-023",
            Rejection::AddressMissing(..) => "TG-AUTH-008",
            Rejection::HasCurrent(..) => "TG-ADOPT-001",
            Rejection::LabelTaken(..) => "TG-ADOPT-002",
            Rejection::OtherLabel(..) => "TG-ADOPT-003",
            Rejection::NoPlaceBefore(_) => "TG-ADOPT-005",
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Rejection::UnknownPipeline(_) => "`tidegate status` lists the pipelines".into(),
            Rejection::UnknownTier(pipeline, _) => format!("`tidegate status {pipeline}` lists its tiers"),
            Rejection::UnknownVersion(pipeline, _) => {
                format!("`tidegate status {pipeline} --json` lists its newest versions")
            }
            Rejection::UnknownNode(..) => "the nodes are those of the definition in force".into(),
            Rejection::NotBuilt(_) => "wait for its `build_ok`, or ask for it with `tidegate rebuild`".into(),
            Rejection::RoleMissing(role) => format!("it takes a token of role `{role}`"),
            Rejection::WhyMissing => "say why with `--why TEXT`".into(),
            Rejection::OlderThanCurrent(..) => {
                "use `tidegate rollback` to go back to an older version".into()
            }
            Rejection::IsRejected(pipeline, version, tier) => {
                format!("`tidegate retry {pipeline} {tier} {version}` lets it wait again")
            }
            Rejection::NotPromoted(..) => {
                "wait until it has, or lift that as an admin with `--lift --why TEXT`".into()
            }
            Rejection::HasPassed(pipeline, version, tier) => {
                format!("`tidegate rollback {pipeline} {tier} {version}` brings it back there")
            }
            Rejection::NotWaiting(pipeline, version, tier) => {
                format!("`tidegate why {pipeline} {tier} {version}` shows where it stands")
            }
            Rejection::NoConfirmation(_) => "use `tidegate promote` to let a version in".into(),
            Rejection::IsInside(pipeline, _, tier) => {
                format!("it needs nobody's word any more; `tidegate cancel {pipeline} {tier}` ends it")
            }
            Rejection::AddressMissing(_, role) => {
                format!("`tidegate token create NAME --role {role} --email ADDRESS` makes a token that has one")
            }
            Rejection::IsAuthor(..) => "let somebody else confirm it".into(),
            Rejection::NothingBefore(_) => {
                "`tidegate cancel` ends what is inside; nodes stay as they are".into()
            }
            Rejection::NotATarget(..) => {
                "name a version that passed this tier and is neither rejected nor blocked".into()
            }
            Rejection::TierBusy(..) => "wait until it is through, or end it with `tidegate cancel`".into(),
            Rejection::NothingToCancel | Rejection::NothingToRetry | Rejection::Moved(..) => {
                "`tidegate status` shows what goes on".into()
            }
            Rejection::NewerPassed(..) => "promote a newer version instead".into(),
            Rejection::NothingCurrent(_) => "promote a version first".into(),
            Rejection::HasCurrent(..) => "only what the controller does not know yet is adopted; `tidegate promote` and `tidegate rollback` change a tier".into(),
            Rejection::LabelTaken(version, _) => format!("name the commit of `{version}`, or another version"),
            Rejection::OtherLabel(_, label) => format!("adopt it as `{label}`"),
            Rejection::NoPlaceBefore(_) => {
                "let the next version pass, or adopt one that this pipeline has adopted or built already".into()
            }
            Rejection::QueueFull(pipeline) => {
                format!("ask again when some are built; `tidegate cancel {pipeline}` ends what is not wanted")
            }
            Rejection::NoDeploy(_) => "a tier without `[tier.deploy]` only checks".into(),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::UnknownPipeline(name) => write!(f, "no pipeline `{name}` is loaded"),
            Rejection::UnknownTier(p, tier) => write!(f, "pipeline `{p}` has no tier `{tier}`"),
            Rejection::UnknownNode(tier, node) => write!(f, "tier `{tier}` has no node `{node}`"),
            Rejection::UnknownVersion(p, version) => write!(f, "pipeline `{p}` has no version `{version}`"),
            Rejection::NotBuilt(version) => write!(f, "version `{version}` is not built"),
            Rejection::RoleMissing(role) => write!(f, "this takes role `{role}`"),
            Rejection::WhyMissing => f.write_str("this takes a reason"),
            Rejection::OlderThanCurrent(version, current) => {
                write!(f, "`{version}` is older than the current version `{current}`")
            }
            Rejection::IsRejected(_, version, tier) => write!(f, "`{version}` is rejected in tier `{tier}`"),
            Rejection::NotPromoted(version, tier) => {
                write!(f, "`{version}` has not passed what comes before tier `{tier}`")
            }
            Rejection::NotWaiting(_, version, tier) => {
                write!(f, "`{version}` does not wait for tier `{tier}`")
            }
            Rejection::HasPassed(_, version, tier) => {
                write!(f, "`{version}` has passed tier `{tier}` before, and does not enter a second time")
            }
            Rejection::NoConfirmation(tier) => write!(f, "tier `{tier}` asks for no confirmation"),
            Rejection::IsInside(_, version, tier) => write!(f, "`{version}` is inside tier `{tier}` already"),
            Rejection::AddressMissing(tier, _) => {
                write!(
                    f,
                    "tier `{tier}` counts no word of an author, and this token has no address to tell by"
                )
            }
            Rejection::IsAuthor(version, tier) => {
                write!(f, "tier `{tier}` counts no word of an author, and `{version}` has yours in it")
            }
            Rejection::NothingBefore(tier) => write!(f, "tier `{tier}` has no version to go back to"),
            Rejection::NotATarget(version, tier) => {
                write!(f, "tier `{tier}` cannot go back to `{version}`")
            }
            Rejection::TierBusy(tier, version) => write!(f, "tier `{tier}` is busy with `{version}`"),
            Rejection::NothingToCancel => f.write_str("nothing is under way that could be canceled"),
            Rejection::NothingToRetry => f.write_str("there is nothing that could be tried again"),
            Rejection::NewerPassed(version, newer) => {
                write!(f, "`{newer}`, newer than `{version}`, has passed")
            }
            Rejection::NothingCurrent(tier) => write!(f, "tier `{tier}` has no current version"),
            Rejection::NoDeploy(tier) => write!(f, "tier `{tier}` deploys nothing"),
            Rejection::HasCurrent(tier, version) => {
                write!(f, "tier `{tier}` has a current version already, `{version}`")
            }
            Rejection::LabelTaken(version, sha) => write!(f, "`{version}` is what commit `{sha}` is called"),
            Rejection::OtherLabel(sha, label) => write!(f, "commit `{sha}` is called `{label}`"),
            Rejection::NoPlaceBefore(version) => {
                write!(f, "no place is left for `{version}` before the first version that was pushed")
            }
            Rejection::QueueFull(pipeline) => {
                write!(f, "{QUEUE_LIMIT} pushes to `{pipeline}` wait already, which is as many as may")
            }
            Rejection::Moved(meant, Some(now)) => write!(f, "`{meant}` was meant, but it is `{now}` by now"),
            Rejection::Moved(meant, None) => write!(f, "`{meant}` was meant, but there is none by now"),
        }
    }
}

impl std::error::Error for Rejection {}
