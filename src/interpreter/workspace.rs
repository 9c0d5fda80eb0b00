//! Folders that work is done in: filled with the files of a commit and with artifacts, and removed again. What git and
//! the artifact store can do is theirs; here is who needs what, once and when.

use super::StopCause;
use super::bounded::Cut;
use super::dry_run;
use super::fencing::{self, Lent};
use super::places::{Folder, Places};
use super::task::Task;
use crate::artifact;
use crate::domain::event::Artifact;
use crate::domain::pipeline::VersionRule;
use crate::domain::{EventId, PipelineName, RunId};
use crate::settings::StateDir;
use crate::source::{self, Git, Location, Repo, mirror};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// From SIGTERM to SIGKILL for what an earlier process of the controller left.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// What is needed to make workspaces.
pub(super) struct Workspaces {
    git: Git,
    /// Steps of one build may want its workspace at the same moment; one makes it.
    making: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    /// Those that belong to an account now.
    pub(super) lent: Lent,
}

/// Why there is no workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unready {
    /// Nobody waits for it any more.
    Cut(Cut),
    /// An artifact cannot be had. The text reads after "failed to".
    Artifact(String),
    /// The machine, the network or the repository failed.
    Failed {
        /// Reads after "failed to".
        message: String,
        /// There is no room on the disk.
        is_full: bool,
    },
}

impl Workspaces {
    /// None yet.
    pub(super) fn new(git: Git) -> Self {
        Self { git, making: Mutex::default(), lent: Lent::default() }
    }

    /// Who has this is alone with the folder as a whole.
    pub(super) fn maker(&self, folder: &Folder) -> Arc<tokio::sync::Mutex<()>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.retain(|_, maker| Arc::strong_count(maker) > 1);
        making.entry(folder.path().to_owned()).or_default().clone()
    }
}

/// Makes the folder with a checkout and artifacts, unless it is there. Prompt when the work is stopped.
pub(super) async fn provide(task: &Task, folder: &Folder, artifacts: &[Artifact]) -> Result<(), Unready> {
    provide_with(task, folder, artifacts, true).await
}

/// The same for a deploy, which may do without the files of the commit.
pub(super) async fn provide_for_deploy(
    task: &Task,
    folder: &Folder,
    artifacts: &[Artifact],
    needs_checkout: bool,
) -> Result<(), Unready> {
    provide_with(task, folder, artifacts, needs_checkout).await
}

async fn provide_with(
    task: &Task,
    folder: &Folder,
    artifacts: &[Artifact],
    needs_checkout: bool,
) -> Result<(), Unready> {
    let maker = task.shop.workspaces.maker(folder);
    let making = async {
        let _alone = maker.lock().await;
        make(task, folder, artifacts, needs_checkout).await
    };
    task.stop.bound(None, making).await.unwrap_or_else(|cut| Err(Unready::Cut(cut)))
}

async fn make(
    task: &Task,
    folder: &Folder,
    artifacts: &[Artifact],
    needs_checkout: bool,
) -> Result<(), Unready> {
    if folder.ready().exists() {
        return Ok(());
    }
    let failed = |what: &str, error: &io::Error| Unready::Failed {
        message: format!("{what} `{}`: {error}", folder.path().display()),
        is_full: error.kind() == io::ErrorKind::StorageFull,
    };
    let git_refused = |error: source::Error| refused(format!("{error}; {}", error.help()));
    source::remove_workspace(folder.path()).await.map_err(git_refused)?;
    for made in [folder.path(), &folder.checkout(), &folder.artifacts(), &task.places.cache()] {
        // Closed until somebody is let in.
        let made_now = fs::DirBuilder::new().recursive(true).mode(0o700).create(made);
        made_now.map_err(|error| failed("make", &error))?;
    }
    if needs_checkout {
        let repo = repo(task).map_err(git_refused)?;
        let done = source::checkout(&repo, &task.sha, &folder.checkout()).await;
        done.map_err(git_refused)?;
    }
    if !artifacts.is_empty() {
        let done = task.shop.store.materialize(artifacts, &folder.artifacts()).await;
        done.map_err(|error| not_materialized(&error))?;
    }
    fs::write(folder.ready(), "").map_err(|error| failed("finish", &error))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends; so does everything that waits for this.
            Err(_) => std::future::pending().await,
        },
    }
}

fn in_words(error: source::Error) -> String {
    format!("failed to {error}; {}", error.help())
}

fn repo(task: &Task) -> Result<Repo, source::Error> {
    let source = &task.definition.source;
    let git = task.shop.workspaces.git.clone();
    let mirror = mirror::place(&task.shop.state.work(), &task.home);
    let repo = Repo::new(git, Location::parse(&source.repo)?, mirror);
    Ok(repo.with_submodules(source.submodules).with_lfs(source.lfs))
}

/// The repository, once it is certain that we have the commit.
pub(super) async fn mirrored(task: &Task) -> Result<Repo, String> {
    let repo = repo(task).map_err(in_words)?;
    mirror::ensure(&repo, &task.sha).await.map_err(in_words)?;
    Ok(repo)
}

/// The version that the commit states.
pub(super) async fn version(task: &Task, repo: &Repo, rule: &VersionRule) -> Result<Option<String>, String> {
    source::read_version(rule, repo, &task.sha).await.map_err(in_words)
}

/// Stores what the build left.
pub(super) async fn collect(task: &Task, folder: &Folder) -> Result<Vec<Artifact>, String> {
    let patterns = task.definition.build.artifacts.clone();
    if patterns.is_empty() {
        return Ok(Vec::new());
    }
    // A build without steps has no workspace yet: its artifacts are files of the commit.
    provide(task, folder, &[]).await.map_err(|unready| match unready {
        Unready::Cut(Cut::Stopped(StopCause::Interrupted)) => "the controller stopped meanwhile".to_owned(),
        Unready::Cut(_) => "it was canceled".to_owned(),
        Unready::Artifact(message) | Unready::Failed { message, .. } => format!("failed to {message}"),
    })?;
    let collected = task.shop.store.collect(&folder.checkout(), &patterns).await;
    collected.map_err(|error| format!("failed to {error}; {}", error.help()))
}

fn not_materialized(error: &artifact::Error) -> Unready {
    use artifact::Error::{BadPath, Corrupt, Missing, NotADigest};
    match error {
        Missing { .. } | Corrupt { .. } | NotADigest { .. } | BadPath { .. } => {
            Unready::Artifact(format!("{error}; {}", error.help()))
        }
        other => refused(format!("{other}; {}", other.help())),
    }
}

fn refused(message: String) -> Unready {
    let is_full = message.contains("No space left");
    Unready::Failed { message, is_full }
}

/// Removes the folder of a run; one that resists is named.
pub(super) async fn remove(task: &Task, run: RunId, folder: &Folder) {
    if let Err(error) = source::remove_workspace(folder.path()).await {
        task.warn(run, format!("failed to {error}")).await;
    }
}

/// Removes a folder that belongs to no run.
pub(super) async fn discard(folder: &Folder) {
    if let Err(error) = source::remove_workspace(folder.path()).await {
        tracing::warn!(folder = %folder.path().display(), %error, "a workspace stays");
    }
}

/// Removes the folders of all builds: none is under way.
pub(super) async fn remove_builds(task: &Task) {
    for folder in folders_in(&task.places.builds()) {
        discard(&folder).await;
    }
}

/// Marks a folder as one that lives on.
pub(super) fn keep(folder: &Folder) {
    if let Err(error) = fs::write(folder.kept(), "") {
        tracing::warn!(folder = %folder.path().display(), %error, "a workspace cannot be marked as kept");
    }
}

/// The folders in a folder; none when it is not there.
pub(super) fn folders_in(path: &Path) -> Vec<Folder> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.flatten().filter(is_folder).map(|entry| Folder::at(entry.path())).collect()
}

/// Ends the processes, and removes the folders, that an earlier process of the controller left when it was killed. To be
/// called before anything begins. `running`: the runs without an end, of which those `kept` go on. The workspaces of the builds that go on are kept,
/// so that a step that passed need not run again, and so are those of deploys that may have left something running.
/// Pipelines go by what their folders are called.
pub async fn sweep(
    state: &StateDir,
    going_on: &[(PipelineName, EventId)],
    running: &[(PipelineName, RunId)],
    kept: &HashSet<RunId>,
) {
    end_leftovers(state, running.iter().filter(|(_, run)| !kept.contains(run))).await;
    if let Err(error) = fencing::close_beside_ways(state) {
        tracing::warn!(%error, "what lies beside the ways of accounts through the state folder may be open");
    }
    let build = |(pipeline, request): &(PipelineName, EventId)| Places::new(state, pipeline).build(*request);
    let builds: BTreeSet<PathBuf> = going_on.iter().map(|one| build(one).path().to_owned()).collect();
    // The folder of a gate or a deploy is called after its run.
    let is_kept = |folder: &Folder| {
        let run = folder.path().file_name().and_then(|name| name.to_str()?.parse().ok());
        let is_of_run = !["builds", "versions"]
            .iter()
            .any(|kind| folder.path().parent().is_some_and(|p| p.ends_with(kind)));
        builds.contains(folder.path()) || is_of_run && run.is_some_and(|run| kept.contains(&RunId(run)))
    };
    let work = state.work();
    let left = blocking(move || leftovers(&work)).await;
    for folder in left.into_iter().filter(|folder| !is_kept(folder)) {
        if let Err(error) = dry_run::outside::remove(folder.path()) {
            tracing::warn!(folder = %folder.path().display(), %error, "its scratch folder stays");
        }
        discard(&folder).await;
    }
}

/// Removes the workspaces of builds that are over, which else stay until the next build so that people can look at them.
/// Says how many. `is_under_way` is asked right before each: a build has a place in the state before it has a folder.
pub async fn remove_ended(state: &StateDir, is_under_way: impl Fn(EventId) -> bool) -> usize {
    let builds =
        folders_in(&state.work()).into_iter().flat_map(|home| folders_in(&home.path().join("builds")));
    let mut removed = 0;
    for folder in builds {
        let request = folder.path().file_name().and_then(|name| name.to_str()?.parse().ok());
        if request.is_some_and(|request| !is_under_way(EventId(request))) {
            discard(&folder).await;
            removed += 1;
        }
    }
    removed
}

/// Each process that a run started is told by the file for its events, which no other run has.
async fn end_leftovers(state: &StateDir, running: impl Iterator<Item = &(PipelineName, RunId)>) {
    for (pipeline, run) in running {
        let mut variable = b"TIDEGATE_EVENTS=".to_vec();
        variable.extend(Places::new(state, pipeline).events(*run).as_os_str().as_encoded_bytes());
        let found = blocking(move || crate::runner::end_abandoned(&variable, LEFTOVER_GRACE)).await;
        // What it said there went unheard, and nothing in it was masked.
        let _ = fs::remove_file(Places::new(state, pipeline).events(*run));
        for stray in found {
            let (pid, name) = (stray.pid, crate::printable::line(&stray.name).into_owned());
            tracing::warn!(%run, pid, name, "ended a process that a run of before had left");
        }
    }
}

fn leftovers(work: &Path) -> Vec<Folder> {
    let mut left = Vec::new();
    for pipeline in folders_in(work) {
        for kind in ["builds", "gates", "versions"] {
            left.extend(folders_in(&pipeline.path().join(kind)));
        }
        let tiers = folders_in(&pipeline.path().join("deploys"));
        let nodes = tiers.iter().flat_map(|tier| folders_in(tier.path()));
        let deploys = nodes.flat_map(|node| folders_in(node.path()));
        left.extend(deploys.filter(|deploy| !deploy.kept().exists()));
    }
    left
}
