//! `POST /rebuild`: a push as the post-receive hook tells it, or a person's `rebuild`. Which pipelines it may concern
//! is found here and git is asked about the commit, for all of them side by side; what follows is the engine's to say.

use super::Server;
use super::actions::asked;
use super::asking::Json;
use super::guard::Caller;
use super::problem::{Problem, shorten};
use crate::domain::pipeline::{Pipeline, VersionRule};
use crate::domain::{
    Answer, Command, EventId, PipelineName, Push, Pushed, RefName, Rejection, Sha, VersionLabel,
};
use crate::settings::Entry;
use crate::source::{self, Head, Location, Repo};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::iter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Pipelines for which git is asked at once.
const AT_ONCE: usize = 8;

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
    /// Where the ref stood before; all zero: nowhere.
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

/// A pipeline that a push may concern.
#[derive(Clone)]
struct Candidate {
    name: PipelineName,
    definition: Arc<Pipeline>,
    /// The last commit taken from the ref.
    previous: Option<Sha>,
}

/// The parts of a request that were checked.
struct Asked {
    sha: String,
    ref_name: Option<RefName>,
    old: Option<Sha>,
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
    let candidates = candidates(&server, &request, asked.ref_name.as_ref())?;
    if let (None, [only]) = (&request.sha, candidates.as_slice()) {
        let head = head_of(&server, only).await?;
        asked.sha = head.sha.as_str().to_owned();
        asked.ref_name = Some(head.name);
    }
    let candidates = narrow(candidates, &request, caller.entry.as_ref()).await?;
    let (pushes, mut ignored) = examine(&server, &asked, candidates).await?;
    let command =
        Command::Push { by: Some(actor), why: non_empty(request.why), again: request.again, pushes };
    let receipt = server.engine.ask(command).await?;
    let mut accepted = Vec::new();
    let Answer::Pushed(each) = receipt.answer else { panic!("BUG: a push is answered as something else") };
    for pushed in each {
        match pushed {
            Pushed::Taken { pipeline, fact, version } => {
                accepted.push(Accepted { pipeline, id: receipt.ids[fact], version });
            }
            Pushed::Ignored { pipeline, reason } => ignored.push(Ignored { pipeline, reason }),
        }
    }
    Ok((StatusCode::ACCEPTED, RebuildAnswer { accepted, ignored }))
}

/// Text that says something.
pub(super) fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn check(request: &RebuildRequest) -> Result<Asked, Problem> {
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
    Ok(Asked {
        sha,
        ref_name: request.ref_name.as_deref().map(RefName::from),
        old: old.map(|old| object_name(old)).transpose()?.map(Sha::from),
    })
}

/// The name of a commit in lower case, maybe abbreviated.
fn object_name(text: &str) -> Result<String, source::Error> {
    let is_hex = (7..=64).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex {
        return Err(source::Error::BadObjectName { name: shorten(text).chars().take(80).collect() });
    }
    if text.bytes().all(|digit| digit == b'0') {
        return Err(source::Error::ZeroObjectName);
    }
    Ok(text.to_ascii_lowercase())
}

/// The pipelines that the request names, or all.
fn candidates(
    server: &Server,
    request: &RebuildRequest,
    ref_name: Option<&RefName>,
) -> Result<Vec<Candidate>, Problem> {
    let all = server.engine.read(|state| {
        let in_force = state.pipelines.iter().filter_map(|(name, p)| Some((name, p, p.definition()?)));
        let candidates = in_force.map(|(name, p, definition)| Candidate {
            name: name.clone(),
            definition: definition.clone(),
            previous: ref_name.and_then(|name| p.refs.get(name)?.taken.clone()),
        });
        candidates.collect::<Vec<_>>()
    });
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

/// Asks git for all of them. What fails for one is its reason to be left out; what fails for all is the answer.
async fn examine(
    server: &Server,
    asked: &Asked,
    candidates: Vec<Candidate>,
) -> Result<(Vec<Push>, Vec<Ignored>), Problem> {
    let examined = iter(candidates).map(async |candidate| {
        let pushed = examine_one(server, asked, &candidate).await;
        (candidate.name, pushed)
    });
    let mut examined: Vec<_> = examined.buffer_unordered(AT_ONCE).collect().await;
    examined.sort_by(|(a, _), (b, _)| a.cmp(b));
    let all_failed = examined.iter().all(|(_, pushed)| pushed.is_err());
    let (mut pushes, mut ignored) = (Vec::new(), Vec::new());
    for (pipeline, pushed) in examined {
        match pushed {
            Ok(push) => pushes.push(push),
            Err(error) if all_failed => return Err(error.into()),
            Err(error) => ignored.push(Ignored { pipeline, reason: format!("failed to {error}") }),
        }
    }
    Ok((pushes, ignored))
}

/// The head of the branch that a pipeline takes, if it takes only one.
async fn head_of(server: &Server, candidate: &Candidate) -> Result<Head, Problem> {
    let repo = repo_of(server, candidate)?;
    let taken = source::taken(&repo, &candidate.definition.source.refs).await?;
    match taken.as_slice() {
        [only] => Ok(only.clone()),
        several => {
            let detail = format!("the pipeline takes {} branches or tags that are there", several.len());
            Err(unprocessable("TG-PUSH-004", detail, "name the commit"))
        }
    }
}

fn repo_of(server: &Server, candidate: &Candidate) -> Result<Repo, source::Error> {
    let from = &candidate.definition.source;
    let mirror = source::mirror::place(&server.options.state.work(), &candidate.name);
    Ok(Repo::new(server.options.git.clone(), Location::parse(&from.repo)?, mirror)
        .with_submodules(from.submodules)
        .with_lfs(from.lfs))
}

async fn examine_one(server: &Server, asked: &Asked, candidate: &Candidate) -> Result<Push, source::Error> {
    let from = &candidate.definition.source;
    let repo = repo_of(server, candidate)?;
    let mut push = Push {
        pipeline: candidate.name.clone(),
        sha: asked.sha.as_str().into(),
        ref_name: asked.ref_name.clone(),
        old: asked.old.clone(),
        author: String::new(),
        subject: String::new(),
        emails: Vec::new(),
        ref_taken: is_ref_taken(&repo, &from.refs, asked.ref_name.as_ref()).await?,
        touched: true,
        tag_missing: false,
    };
    if !push.ref_taken {
        return Ok(push);
    }
    let found = source::examine(&repo, &asked.sha, candidate.previous.as_ref(), &from.paths).await?;
    if candidate.definition.version == VersionRule::Tag {
        if matches!(repo.location(), Location::Url(_)) {
            source::mirror::fetch_tags(&repo).await?;
        }
        push.tag_missing = source::tags_at(&repo, &found.sha).await?.is_empty();
    }
    push.sha = found.sha;
    push.author = found.author_name;
    push.subject = found.subject;
    push.touched = found.touched;
    push.emails = vec![found.author_email];
    if !push.emails.contains(&found.committer_email) {
        push.emails.push(found.committer_email);
    }
    push.emails.retain(|address| !address.is_empty());
    Ok(push)
}

/// Whether a pipeline takes what is pushed to a ref. A commit that somebody names without a ref is always taken.
async fn is_ref_taken(
    repo: &Repo,
    globs: &[String],
    ref_name: Option<&RefName>,
) -> Result<bool, source::Error> {
    match ref_name {
        None => Ok(true),
        Some(name) if globs.is_empty() => Ok(source::default_branch(repo).await?.as_ref() == Some(name)),
        Some(name) => Ok(source::ref_matches(globs, name.as_str())),
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
