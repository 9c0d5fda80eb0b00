//! What people do by hand (rules 19 to 23): `POST /api/pipelines/{p}/…` and `…/tiers/{t}/…`. A change names the version
//! that it means, so that it never hits another one that came in between.

use super::Server;
use super::asking::Json;
use super::guard::Caller;
use super::problem::Problem;
use super::rebuild::{commit_of, non_empty};
use crate::domain::{Answer, Command, Deed, EventId, NodeName, PipelineName, TierName, VersionLabel};
use crate::source;
use axum::Extension;
use axum::extract::{Path, State};
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// Always true.
    pub done: bool,
    /// It was so before.
    pub already: bool,
    /// The events that it led to at once.
    pub ids: Vec<EventId>,
}

/// A deed on a tier.
pub(super) async fn on_tier(
    State(server): State<Arc<Server>>,
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
    State(server): State<Arc<Server>>,
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
    let receipt = server.engine.ask(command).await?;
    let already = receipt.answer == Answer::Already;
    Ok((StatusCode::OK, Done { done: true, already, ids: receipt.ids }))
}

fn tier_deed(tier: TierName, action: &str, request: ActionRequest) -> Result<Deed, Problem> {
    match action {
        "confirm" => {
            let version = request.only(&["version"])?.named()?;
            Ok(Deed::Confirm { tier, version })
        }
        "deny" => {
            let version = request.only(&["version"])?.named()?;
            Ok(Deed::Deny { tier, version })
        }
        "promote" => {
            let request = request.only(&["version", "lift"])?;
            let lift = request.lift;
            Ok(Deed::Promote { tier, version: request.named()?, lift })
        }
        "rollback" => {
            let request = request.only(&["version", "to"])?;
            let to = request.to.clone();
            Ok(Deed::Rollback { tier, to, from: Some(request.named()?) })
        }
        "retry" => {
            // Without a version: what is inside or on its way back, whichever it is.
            let version = request.only(&["version"])?.version;
            Ok(Deed::Retry { tier, version })
        }
        "redeploy" => {
            let request = request.only(&["version", "node"])?;
            let node = request.node.clone();
            Ok(Deed::Redeploy { tier, node, version: Some(request.named()?) })
        }
        "cancel" => {
            let version = request.only(&["version"])?.named()?;
            Ok(Deed::Cancel { tier: Some(tier), version: Some(version) })
        }
        "hold" => request.only(&[]).map(|_| Deed::Hold { tier: Some(tier) }),
        "resume" => request.only(&[]).map(|_| Deed::Resume { tier: Some(tier) }),
        _ => Err(Problem::no_such_path()),
    }
}

/// `adopt` names a commit, which git is asked about as for a build.
async fn adopt_deed(
    server: &Arc<Server>,
    pipeline: &PipelineName,
    tier: TierName,
    request: ActionRequest,
) -> Result<Deed, Problem> {
    let request = request.only(&["version", "sha"])?;
    let sha = request.sha.clone().ok_or_else(|| Problem::version_missing("sha"))?;
    let version = source::normalise(request.named()?.as_str())?.into();
    let sha = commit_of(server, pipeline, &sha).await?;
    Ok(Deed::Adopt { tier, version, sha })
}

fn pipeline_deed(action: &str, request: ActionRequest) -> Result<Deed, Problem> {
    match action {
        "hold" => request.only(&[]).map(|_| Deed::Hold { tier: None }),
        "resume" => request.only(&[]).map(|_| Deed::Resume { tier: None }),
        "cancel" => {
            let version = request.only(&["version"])?.named()?;
            Ok(Deed::Cancel { tier: None, version: Some(version) })
        }
        "block" => Ok(Deed::Block { version: request.only(&["version"])?.named()? }),
        "unblock" => Ok(Deed::Unblock { version: request.only(&["version"])?.named()? }),
        _ => Err(Problem::no_such_path()),
    }
}

impl ActionRequest {
    /// Refuses fields that mean nothing to a deed: who sends one means something that would not happen.
    fn only(self, known: &[&str]) -> Result<ActionRequest, Problem> {
        let given = [
            ("version", self.version.is_some()),
            ("node", self.node.is_some()),
            ("lift", self.lift),
            ("to", self.to.is_some()),
            ("sha", self.sha.is_some()),
        ];
        match given.iter().find(|(name, given)| *given && !known.contains(name)) {
            Some((name, _)) => Err(Problem::wrong_shape(format!("`{name}` means nothing here"))),
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
    fn what_means_nothing_is_refused() {
        let of_tier = |action, json| tier_deed("prod".into(), action, request(json)).unwrap_err();
        assert_eq!(of_tier("hold", r#"{"version":"1.0.0"}"#).code(), "TG-HTTP-007");
        assert_eq!(of_tier("confirm", r#"{"version":"1.0.0","lift":true}"#).code(), "TG-HTTP-007");
        assert_eq!(of_tier("explode", "{}").code(), "TG-HTTP-009");
        assert!(serde_json::from_str::<ActionRequest>(r#"{"actor":"root"}"#).is_err());
    }
}
