//! `POST /rebuild`: a push as the post-receive hook tells it, or a person's `rebuild`. Which pipelines it may concern
//! is found here; the rest is as with every push.

use super::Server;
use super::actions::asked;
use super::asking::Json;
use super::guard::Caller;
use super::problem::{Problem, shorten};
use super::pushes::{Asked, Candidate};
use crate::domain::command::About;
use crate::domain::{EventId, News, PipelineName, RefName, Rejection, Scope, Sha, VersionLabel};
use crate::settings::Entry;
use crate::source::{self, Head};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A push, or a person's wish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RebuildRequest {
    /// The commit: 7 to 64 hex digits. None, with `pipeline` and `again`: the head of the pipeline's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9A-Fa-f]{7,64}$"))]
    pub sha: Option<String>,
    /// The full ref that was pushed; none: the commit only is meant.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^refs/"))]
    pub ref_name: Option<String>,
    /// Where the ref stood before; all zero: nowhere. If it is not where the journal last saw the ref, git is asked where
    /// the ref stands, and a push that is out of date moves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9A-Fa-f]{7,64}$"))]
    pub old: Option<String>,
    /// The pipeline; none: those of `repo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// The repository; with neither it is the only pipeline there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// A person wants it built, or moved to the front, once more.
    #[serde(default)]
    pub again: bool,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of a push.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildAnswer {
    /// The pipelines that take it.
    pub accepted: Vec<Accepted>,
    /// The pipelines that do not.
    pub ignored: Vec<Ignored>,
}

/// A pipeline takes a push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The number of its `rebuild_requested`.
    pub id: EventId,
    /// The version, if it is built already and moves to the front again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionLabel>,
}

/// A pipeline does not take a push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ignored {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// Why, for people.
    pub reason: String,
}

/// Takes a push.
pub(super) async fn rebuild(
    State(server): State<Arc<Server>>,
    caller: Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
    Json(request): Json<RebuildRequest>,
) -> Result<Response, Problem> {
    let asked = asked(&uri, &request);
    let taking = take(server.clone(), caller.0.clone(), request);
    server.once.run(&headers, &caller, asked, taking).await
}

async fn take(
    server: Arc<Server>,
    caller: Caller,
    request: RebuildRequest,
) -> Result<(StatusCode, RebuildAnswer), Problem> {
    let actor = caller.actor()?;
    let mut asked = check(&request)?;
    let candidates = candidates(&server, &request, asked.ref_name.as_ref(), &caller.scope)?;
    if let (None, [only]) = (&request.sha, candidates.as_slice()) {
        let head = head_of(&server, only).await?;
        asked.sha = head.sha.as_str().to_owned();
        asked.ref_name = Some(head.name);
    }
    let candidates = narrow(candidates, &request, caller.entry.as_ref()).await?;
    let (pushes, ignored) = server.pushes.examine(&asked, candidates.clone()).await?;
    let told = (&asked, candidates.as_slice());
    let mut answer =
        server.pushes.ask_told(actor, non_empty(request.why), request.again, told, pushes).await?;
    answer.ignored.extend(ignored);
    Ok((StatusCode::ACCEPTED, answer))
}

/// Text that says something.
pub(super) fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

pub(super) fn check(request: &RebuildRequest) -> Result<Asked, Problem> {
    let sha = match &request.sha {
        Some(sha) => object_name(sha)?,
        None if request.again && request.pipeline.is_some() => String::new(),
        None => {
            let help = "say `sha`, or `pipeline` and `again` for the head of the pipeline's branch";
            return Err(unprocessable("TG-PUSH-003", "no commit is named".into(), help));
        }
    };
    if let Some(name) = &request.ref_name {
        source::check_ref(name)?;
        if !name.starts_with("refs/") {
            let why = "it is not a full name such as `refs/heads/main`";
            return Err(source::Error::BadRef { name: shorten(name), why }.into());
        }
    }
    let is_nowhere = |old: &&String| !old.is_empty() && old.bytes().all(|digit| digit == b'0');
    let old = request.old.as_ref().filter(|old| !is_nowhere(old));
    let is_move = request.old.is_some() && request.ref_name.is_some() && !request.again;
    Ok(Asked {
        news: if is_move { News::Moved } else { News::Told },
        sha,
        ref_name: request.ref_name.as_deref().map(RefName::from),
        old: old.map(|old| object_name(old)).transpose()?.map(Sha::from),
    })
}

/// The name of a commit in lower case, maybe abbreviated.
pub(super) fn object_name(text: &str) -> Result<String, source::Error> {
    let is_hex = (7..=64).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex {
        return Err(source::Error::BadObjectName { name: shorten(text).chars().take(80).collect() });
    }
    if text.bytes().all(|digit| digit == b'0') {
        return Err(source::Error::ZeroObjectName);
    }
    Ok(text.to_ascii_lowercase())
}

/// The pipelines that the request names, or all; those out of scope are not there.
fn candidates(
    server: &Server,
    request: &RebuildRequest,
    ref_name: Option<&RefName>,
    scope: &Scope,
) -> Result<Vec<Candidate>, Problem> {
    let mut all = server.pushes.candidates(ref_name);
    all.retain(|candidate| scope.sees(candidate.name.as_str()));
    match (&request.pipeline, &request.repo) {
        (Some(wanted), _) => {
            let found = all.into_iter().find(|candidate| candidate.name == **wanted);
            found
                .map(|it| vec![it])
                .ok_or_else(|| Rejection::UnknownPipeline(PipelineName::from(shorten(wanted))).into())
        }
        (None, Some(_)) => Ok(all),
        (None, None) if all.len() == 1 => Ok(all),
        (None, None) => {
            let detail = format!("{} pipelines are loaded, and none is named", all.len());
            Err(unprocessable("TG-PUSH-002", detail, "say `pipeline`, or `repo` for every pipeline of it"))
        }
    }
}

fn unprocessable(code: &'static str, detail: String, help: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail, help)
}

/// Leaves those whose source is the repository that is named, and that the token may ask for.
async fn narrow(
    candidates: Vec<Candidate>,
    request: &RebuildRequest,
    entry: Option<&Entry>,
) -> Result<Vec<Candidate>, Problem> {
    let mut left = candidates;
    if let Some(repo) = &request.repo {
        left = of_repo(left, repo.clone()).await;
        if left.is_empty() {
            let detail = format!("no pipeline asked for is built from `{}`", shorten(repo));
            return Err(unprocessable(
                "TG-PUSH-001",
                detail,
                "`repo` in the pipeline's `[source]` must name it",
            ));
        }
    }
    if let Some(only) = entry.and_then(|entry| entry.repo.clone()) {
        left = of_repo(left, only).await;
        if left.is_empty() {
            let detail = "this token is for another repository";
            let help = "use the token of this repository's hook, or one without a repository";
            return Err(Problem::new(StatusCode::FORBIDDEN, "TG-AUTH-004", detail, help));
        }
    }
    Ok(left)
}

async fn of_repo(candidates: Vec<Candidate>, repo: String) -> Vec<Candidate> {
    let narrowed = tokio::task::spawn_blocking(move || {
        let is_same = |it: &Candidate| source::same_repo(&it.definition.source.repo, &repo);
        candidates.into_iter().filter(is_same).collect()
    });
    narrowed.await.expect("BUG: comparing repositories panicked")
}

/// The full name of a commit of a pipeline's repository, which must be there, and what it says about itself.
pub(super) async fn commit_of(
    server: &Server,
    name: &PipelineName,
    sha: &str,
) -> Result<(Sha, About), Problem> {
    let sha = object_name(sha)?;
    let candidate = server.pushes.candidates(None).into_iter().find(|candidate| candidate.name == *name);
    let candidate = candidate.ok_or_else(|| Rejection::UnknownPipeline(name.clone()))?;
    let repo = server.pushes.repo_of(&candidate)?;
    let found = source::examine(&repo, &sha, None, &[]).await?;
    let mut emails = vec![found.author_email, found.committer_email];
    emails.dedup();
    emails.retain(|address| !address.is_empty());
    Ok((found.sha, About { author: found.author_name, subject: found.subject, emails }))
}

/// The head of the branch that a pipeline takes, if it takes only one.
async fn head_of(server: &Server, candidate: &Candidate) -> Result<Head, Problem> {
    let repo = server.pushes.repo_of(candidate)?;
    let taken = source::taken(&repo, &candidate.definition.source.refs).await?;
    match taken.as_slice() {
        [only] => Ok(only.clone()),
        several => {
            let detail = format!("the pipeline takes {} branches or tags that are there", several.len());
            Err(unprocessable("TG-PUSH-004", detail, "name the commit"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_commits_are_hex_and_not_nothing() {
        assert_eq!(object_name("ABCDEF0").unwrap(), "abcdef0");
        for (bad, code) in [
            ("", "TG-GIT-006"),
            ("abcdef", "TG-GIT-006"),
            ("main123", "TG-GIT-006"),
            ("--upload-pack=x", "TG-GIT-006"),
            (&"a".repeat(65), "TG-GIT-006"),
            (&"0".repeat(40), "TG-GIT-007"),
        ] {
            assert_eq!(object_name(bad).unwrap_err().code(), code, "{bad}");
        }
    }
}
