//! What people do by hand (rules 19 to 23): `POST /api/pipelines/{p}/…` and `…/tiers/{t}/…`. A change names the version
//! that it means, so that it never hits another one that came in between.

use super::Server;
use super::asking::Json;
use super::guard::Caller;
use super::problem::Problem;
use super::rebuild::{commit_of, non_empty};
use super::state::settled;
use crate::domain::{
    Answer, Blocker, Command, Deed, EventId, NodeName, PipelineName, State, TierName, Time, VersionLabel,
    promotion,
};
use crate::source;
use axum::Extension;
use axum::extract;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a deed is about. Which fields it takes depends on the deed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionRequest {
    /// The version that is meant. For `rollback` the one that is to be left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionLabel>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// `redeploy`: one node; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// `promote`: freezes and missing tiers are lifted too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lift: bool,
    /// `rollback`: where to; none: the version that was current before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<VersionLabel>,
    /// `adopt`: the commit, 7 to 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
}

/// It is so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// Always true.
    pub done: bool,
    /// It was so before.
    pub already: bool,
    /// The events that it led to at once.
    pub ids: Vec<EventId>,
    /// What still stands in the way of the version that it lets in, or that it adopts: the word stands until then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Blocker>,
}

/// A deed on a tier.
pub(super) async fn on_tier(
    extract::State(server): extract::State<Arc<Server>>,
    Path((pipeline, tier, action)): Path<(String, String, String)>,
    caller: Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
    Json(request): Json<ActionRequest>,
) -> Result<Response, Problem> {
    let asked = asked(&uri, &request);
    let why = non_empty(request.why.clone());
    let pipeline = PipelineName::from(pipeline);
    let deed = match action.as_str() {
        "adopt" => adopt_deed(&server, &pipeline, tier.into(), request).await?,
        action => tier_deed(tier.into(), action, request)?,
    };
    let command = Command::ByHand { actor: caller.actor()?, why, pipeline, deed };
    server.once.run(&headers, &caller, asked, ask(server.clone(), command)).await
}

/// A deed on a pipeline, its build, or one of its versions.
pub(super) async fn on_pipeline(
    extract::State(server): extract::State<Arc<Server>>,
    Path((pipeline, action)): Path<(String, String)>,
    caller: Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
    Json(request): Json<ActionRequest>,
) -> Result<Response, Problem> {
    let asked = asked(&uri, &request);
    let why = non_empty(request.why.clone());
    let deed = pipeline_deed(&action, request)?;
    let command = Command::ByHand { actor: caller.actor()?, why, pipeline: pipeline.into(), deed };
    server.once.run(&headers, &caller, asked, ask(server.clone(), command)).await
}

/// What tells one change from another.
pub(super) fn asked(uri: &Uri, request: &impl Serialize) -> (String, String) {
    let body = serde_json::to_string(request).expect("BUG: a request that cannot be written as JSON");
    (uri.path().to_owned(), body)
}

async fn ask(server: Arc<Server>, command: Command) -> Result<(StatusCode, Done), Problem> {
    let lets_in = match &command {
        Command::ByHand { pipeline, deed, .. } => {
            lets_in(deed).map(|(tier, it)| (pipeline.clone(), tier, it))
        }
        _ => None,
    };
    let receipt = server.engine.ask(command).await?;
    let already = receipt.answer == Answer::Already;
    let mut done = Done { done: true, already, ids: receipt.ids, waits_for: Vec::new() };
    if let Some((pipeline, tier, version)) = lets_in {
        let now = server.options.clock.now();
        let disk_full = server.engine.standstill().is_some_and(|why| why.is_disk_full());
        let looked = settled(&server, |state| waits_for(state, &pipeline, &tier, &version, now, disk_full));
        done.waits_for = looked.await?;
    }
    Ok((StatusCode::OK, done))
}

/// The version that a deed brings nearer to a tier.
fn lets_in(deed: &Deed) -> Option<(TierName, VersionLabel)> {
    match deed {
        Deed::Confirm { tier, version }
        | Deed::Promote { tier, version, .. }
        | Deed::Retry { tier, version: Some(version) }
        | Deed::Adopt { tier, version, .. } => Some((tier.clone(), version.clone())),
        _ => None,
    }
}

/// What stands in the way of a version that waits in front of a tier, or is to be adopted there.
fn waits_for(
    state: &State,
    pipeline: &PipelineName,
    tier: &TierName,
    version: &VersionLabel,
    now: Time,
    disk_full: bool,
) -> Vec<Blocker> {
    let Some(p) = state.pipeline(pipeline) else { return Vec::new() };
    let adopting = p.tiers.get(tier).and_then(|t| t.adopting.as_ref());
    if adopting.is_some_and(|adopting| adopting.version == *version) {
        return vec![Blocker::NotBuilt { sha: None }];
    }
    let definition = p.tier_in_force(tier);
    let waiting = definition.map(|tier| promotion::waiting(p, tier, now)).unwrap_or_default();
    let found = waiting.into_iter().find(|one| one.version == *version);
    let full = disk_full.then_some(Blocker::DiskFull);
    found.map(|one| one.blockers.into_iter().chain(full).collect()).unwrap_or_default()
}

/// Something that can be done: what it is called, what it does, and what it takes beside `why`.
pub(super) struct Verb {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) takes: &'static [&'static str],
    /// What of that it must name: the version, so that it cannot hit another one.
    pub(super) needs: &'static [&'static str],
}

const fn verb(
    name: &'static str,
    needs: &'static [&'static str],
    takes: &'static [&'static str],
    about: &'static str,
) -> Verb {
    Verb { name, about, takes, needs }
}

/// What names its version.
const VERSION: &[&str] = &["version"];

/// What can be done to a tier.
pub(super) const OF_TIER: &[Verb] = &[
    verb("confirm", VERSION, VERSION, "Gives one's word for a version."),
    verb("deny", VERSION, VERSION, "Refuses a version: it is rejected here."),
    verb("promote", VERSION, &["version", "lift"], "Lets a version in."),
    verb("rollback", VERSION, &["version", "to"], "Leaves `version`, for the one before it or for `to`."),
    verb(
        "retry",
        &[],
        VERSION,
        "Lets a rejected version wait again, or tries at once what would be tried later.",
    ),
    verb(
        "redeploy",
        VERSION,
        &["version", "node"],
        "Puts the current version there again, on one node or on all.",
    ),
    verb("cancel", VERSION, VERSION, "Ends what is inside."),
    verb(
        "adopt",
        &["version", "sha"],
        &["version", "sha"],
        "Says what the tier ran before there was a controller, so that it has a current version.",
    ),
    verb("hold", &[], &[], "Lets automation send nothing in any more."),
    verb("resume", &[], &[], "Lets automation go on."),
];

/// What can be done to a pipeline, its build, or one of its versions.
pub(super) const OF_PIPELINE: &[Verb] = &[
    verb("hold", &[], &[], "Lets automation send nothing into any tier any more."),
    verb("resume", &[], &[], "Lets automation go on."),
    verb("cancel", VERSION, VERSION, "Ends the build of a version."),
    verb("block", VERSION, VERSION, "Keeps a version out of every tier."),
    verb("unblock", VERSION, VERSION, "Lets a blocked version in again."),
];

pub(super) fn tier_deed(tier: TierName, action: &str, request: ActionRequest) -> Result<Deed, Problem> {
    let request = request.for_verb(OF_TIER, action)?;
    Ok(match action {
        "confirm" => Deed::Confirm { tier, version: request.named()? },
        "deny" => Deed::Deny { tier, version: request.named()? },
        "promote" => Deed::Promote { tier, lift: request.lift, version: request.named()? },
        "rollback" => Deed::Rollback { tier, to: request.to.clone(), from: Some(request.named()?) },
        // Without a version: what is inside or on its way back, whichever it is.
        "retry" => Deed::Retry { tier, version: request.version },
        "redeploy" => Deed::Redeploy { tier, node: request.node.clone(), version: Some(request.named()?) },
        "cancel" => Deed::Cancel { tier: Some(tier), version: Some(request.named()?) },
        "hold" => Deed::Hold { tier: Some(tier) },
        "resume" => Deed::Resume { tier: Some(tier) },
        _ => return Err(Problem::no_such_path()),
    })
}

/// `adopt` names a commit, which git is asked about as for a build.
async fn adopt_deed(
    server: &Arc<Server>,
    pipeline: &PipelineName,
    tier: TierName,
    request: ActionRequest,
) -> Result<Deed, Problem> {
    let request = request.for_verb(OF_TIER, "adopt")?;
    let sha = request.sha.clone().unwrap_or_default();
    let version = source::normalise(request.named()?.as_str())?.into();
    let (sha, about) = commit_of(server, pipeline, &sha).await?;
    Ok(Deed::Adopt { tier, version, sha, about: Box::new(about) })
}

pub(super) fn pipeline_deed(action: &str, request: ActionRequest) -> Result<Deed, Problem> {
    let request = request.for_verb(OF_PIPELINE, action)?;
    Ok(match action {
        "hold" => Deed::Hold { tier: None },
        "resume" => Deed::Resume { tier: None },
        "cancel" => Deed::Cancel { tier: None, version: Some(request.named()?) },
        "block" => Deed::Block { version: request.named()? },
        "unblock" => Deed::Unblock { version: request.named()? },
        _ => return Err(Problem::no_such_path()),
    })
}

impl ActionRequest {
    /// Refuses what is no verb, and fields that mean nothing to one: who sends one means something that would not
    /// happen.
    fn for_verb(self, verbs: &[Verb], action: &str) -> Result<ActionRequest, Problem> {
        let verb = verbs.iter().find(|verb| verb.name == action).ok_or_else(Problem::no_such_path)?;
        let given = [
            ("version", self.version.is_some()),
            ("node", self.node.is_some()),
            ("lift", self.lift),
            ("to", self.to.is_some()),
            ("sha", self.sha.is_some()),
        ];
        if let Some((name, _)) = given.iter().find(|(name, given)| *given && !verb.takes.contains(name)) {
            return Err(Problem::wrong_shape(format!("`{name}` means nothing here")));
        }
        match given.iter().find(|(name, given)| !given && verb.needs.contains(name)) {
            Some((name, _)) => Err(Problem::version_missing(name)),
            None => Ok(self),
        }
    }

    fn named(self) -> Result<VersionLabel, Problem> {
        self.version.ok_or_else(|| Problem::version_missing("version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> ActionRequest {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_change_names_its_version() {
        for action in ["confirm", "deny", "promote", "rollback", "redeploy", "cancel"] {
            let error = tier_deed("prod".into(), action, request("{}")).unwrap_err();
            assert_eq!(error.code(), "TG-HTTP-011", "{action}");
            assert!(tier_deed("prod".into(), action, request(r#"{"version":"1.0.0"}"#)).is_ok());
        }
        for action in ["cancel", "block", "unblock"] {
            assert_eq!(pipeline_deed(action, request("{}")).unwrap_err().code(), "TG-HTTP-011");
        }
        for action in ["hold", "resume"] {
            assert!(tier_deed("prod".into(), action, request("{}")).is_ok());
            assert!(pipeline_deed(action, request("{}")).is_ok());
        }
    }

    #[test]
    fn every_verb_that_is_described_is_one() {
        let version =
            |verb: &Verb| request(if verb.needs == VERSION { r#"{"version":"1.0.0"}"# } else { "{}" });
        // For `adopt` git is asked first.
        for verb in OF_TIER.iter().filter(|verb| verb.name != "adopt") {
            assert!(tier_deed("prod".into(), verb.name, version(verb)).is_ok(), "{}", verb.name);
        }
        for verb in OF_PIPELINE {
            assert!(pipeline_deed(verb.name, version(verb)).is_ok(), "{}", verb.name);
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let of_tier = |action, json| tier_deed("prod".into(), action, request(json)).unwrap_err();
        assert_eq!(of_tier("hold", r#"{"version":"1.0.0"}"#).code(), "TG-HTTP-007");
        assert_eq!(of_tier("confirm", r#"{"version":"1.0.0","lift":true}"#).code(), "TG-HTTP-007");
        assert_eq!(of_tier("explode", "{}").code(), "TG-HTTP-009");
        assert!(serde_json::from_str::<ActionRequest>(r#"{"actor":"root"}"#).is_err());
    }
}
