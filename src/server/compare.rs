//! `GET /api/pipelines/{p}/compare`: what the current version of one tier has and that of another has not.

use super::Server;
use super::asking::Parameters;
use super::problem::Problem;
use super::state::settled;
use super::view::is_shown;
use crate::domain::event::Artifact;
use crate::domain::state::PipelineState;
use crate::domain::{Digest, EventId, PipelineName, Rejection, Sha, TierName, Time, VersionLabel};
use crate::source::{self, Commit, Repo};
use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most commits that are listed on each side.
const COMMITS: usize = 200;

/// Two tiers side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompareView {
    /// The last event that is folded in.
    pub id: EventId,
    /// What the first tier has; none: nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SideView>,
    /// What the other one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<SideView>,
    /// Commits that only the other one has, newest first.
    pub ahead: Vec<CommitView>,
    /// There are more of them.
    pub ahead_more: bool,
    /// Commits that only the first one has, newest first.
    pub behind: Vec<CommitView>,
    /// There are more of them.
    pub behind_more: bool,
    /// Why the commits are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem_of_git: Option<String>,
    /// Artifacts that are not the same on both sides.
    pub artifacts: Vec<ArtifactDifference>,
    /// Whether the two passed under different definitions of the pipeline.
    pub definition_differs: bool,
}

/// A tier's current version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SideView {
    /// The version.
    pub version: VersionLabel,
    /// Its commit.
    pub sha: Sha,
    /// Since when.
    pub since: Time,
    /// The definition under which it passed.
    pub digest: Digest,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommitView {
    /// Its full name.
    pub sha: Sha,
    /// When it was committed.
    pub at: Time,
    /// Name of its author.
    pub author: String,
    /// First line of its message.
    pub subject: String,
}

/// An artifact that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactDifference {
    /// Its path.
    pub path: String,
    /// Its size in the first tier, in bytes; none: it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Its size in the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

/// What is known of both sides without git.
struct Sides {
    id: EventId,
    from: Option<(SideView, Vec<Artifact>)>,
    to: Option<(SideView, Vec<Artifact>)>,
}

/// Compares two tiers of a pipeline.
pub(super) async fn compare(
    State(server): State<Arc<Server>>,
    Path(pipeline): Path<String>,
    parameters: Parameters,
) -> Result<Json<CompareView>, Problem> {
    let parameters = parameters.only(&["from", "to"])?;
    let tier = |name| {
        let missing = || Problem::bad_query(format!("the parameter `{name}` is missing"), "name two tiers");
        parameters.one(name)?.map(TierName::from).ok_or_else(missing)
    };
    let (from, to) = (tier("from")?, tier("to")?);
    let name = PipelineName::from(pipeline);
    let repo = server.pushes.candidates(None).into_iter().find(|one| one.name == name);
    let repo = repo.and_then(|one| server.pushes.repo_of(&one).ok());
    let sides = settled(&server, |state| {
        let p = state.pipeline(&name).filter(|p| is_shown(p));
        let p = p.ok_or_else(|| Rejection::UnknownPipeline(name.clone()))?;
        let from = side(p, &name, &from)?;
        let to = side(p, &name, &to)?;
        Ok::<_, Problem>(Sides { id: state.last, from, to })
    })
    .await??;
    Ok(Json(put_together(sides, repo).await))
}

fn side(
    p: &PipelineState,
    name: &PipelineName,
    tier: &TierName,
) -> Result<Option<(SideView, Vec<Artifact>)>, Problem> {
    let is_known = p.definition().is_some_and(|d| d.tier(tier).is_some()) || p.tiers.contains_key(tier);
    if !is_known {
        return Err(Rejection::UnknownTier(name.clone(), tier.clone()).into());
    }
    let current = p.tiers.get(tier).and_then(|t| t.current.as_ref());
    Ok(current.and_then(|current| {
        let version = p.versions.get(&current.version)?;
        let (label, digest) = (current.version.clone(), current.digest.clone());
        let view = SideView { version: label, sha: version.sha.clone(), since: current.since, digest };
        Some((view, version.artifacts.clone()))
    }))
}

async fn put_together(sides: Sides, repo: Option<Repo>) -> CompareView {
    let ((from, old), (to, new)) = (apart(sides.from), apart(sides.to));
    let mut view = CompareView {
        id: sides.id,
        ahead: Vec::new(),
        ahead_more: false,
        behind: Vec::new(),
        behind_more: false,
        problem_of_git: None,
        artifacts: differences(&old, &new),
        definition_differs: matches!((&from, &to), (Some(from), Some(to)) if from.digest != to.digest),
        from,
        to,
    };
    let (Some(from), Some(to)) = (&view.from, &view.to) else { return view };
    let Some(repo) = repo else {
        view.problem_of_git = Some("the pipeline is removed: its repository is not known".into());
        return view;
    };
    let (ahead, behind) = tokio::join!(
        source::commits_between(&repo, &from.sha, &to.sha, COMMITS + 1),
        source::commits_between(&repo, &to.sha, &from.sha, COMMITS + 1),
    );
    match (ahead, behind) {
        (Ok(ahead), Ok(behind)) => {
            (view.ahead, view.ahead_more) = listed(ahead);
            (view.behind, view.behind_more) = listed(behind);
        }
        (Err(error), _) | (_, Err(error)) => view.problem_of_git = Some(format!("failed to {error}")),
    }
    view
}

fn apart(side: Option<(SideView, Vec<Artifact>)>) -> (Option<SideView>, Vec<Artifact>) {
    side.map_or_else(|| (None, Vec::new()), |(view, artifacts)| (Some(view), artifacts))
}

fn listed(mut commits: Vec<Commit>) -> (Vec<CommitView>, bool) {
    let more = commits.len() > COMMITS;
    commits.truncate(COMMITS);
    let view =
        |one: Commit| CommitView { sha: one.sha, at: one.at, author: one.author, subject: one.subject };
    (commits.into_iter().map(view).collect(), more)
}

fn differences(old: &[Artifact], new: &[Artifact]) -> Vec<ArtifactDifference> {
    let by_path = |all: &[Artifact]| -> BTreeMap<String, Artifact> {
        all.iter().map(|one| (one.path.clone(), one.clone())).collect()
    };
    let (old, new) = (by_path(old), by_path(new));
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    let differs = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
    differs
        .map(|path| ArtifactDifference {
            path: path.clone(),
            from: old.get(path).map(|one| one.size),
            to: new.get(path).map(|one| one.size),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_one_side_only_or_has_another_content_differs() {
        let artifact = |path: &str, sha256: &str, size| Artifact {
            path: path.into(),
            sha256: sha256.into(),
            size,
            executable: false,
        };
        let old = [artifact("a", "1", 1), artifact("b", "2", 2), artifact("c", "3", 3)];
        let new = [artifact("b", "2", 2), artifact("c", "4", 3), artifact("d", "5", 5)];
        let found = differences(&old, &new);
        let found: Vec<_> = found.iter().map(|one| (one.path.as_str(), one.from, one.to)).collect();
        assert_eq!(found, [("a", Some(1), None), ("c", Some(3), Some(3)), ("d", None, Some(5))]);
    }
}
