//! A deploy on a node that is reached by ssh: taking the node, uploads, the command, health, letting it go.

use super::guard::{self, Wanted};
use super::progress::Progress;
use super::{Failed, Work};
use crate::domain::Failure;
use crate::domain::event::DeployMode;
use crate::domain::pipeline::{OnFailure, Script};
use crate::interpreter::environment::{Env, argv};
use crate::interpreter::health::Where;
use crate::interpreter::remote_run::Remote;
use crate::interpreter::run_log::{RunLog, hex};
use crate::interpreter::said::Ear;
use crate::interpreter::upload::{self, Item};
use crate::interpreter::visit::{self, Untaken, Visit};
use crate::remote::{Back, File, Forward, Kind, Link, Places, Put, Trouble};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A way back tries so long to reach a node, and longer where a guard may be at work there: it may be starting again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// A node that is ours for the time of one deploy.
pub(super) struct There<'a> {
    work: &'a Work<'a>,
    link: Link,
    env: Env,
}

impl<'a> There<'a> {
    /// Takes the node.
    pub(super) async fn reach(
        work: &'a Work<'a>,
        host: &str,
        log: &mut RunLog<'_>,
    ) -> Result<There<'a>, Failed> {
        let patience = match work.job.mode {
            DeployMode::Rollback => {
                PATIENCE + work.deploy.confirm_within.map_or(Duration::ZERO, |span| span.duration())
            }
            DeployMode::Deploy | DeployMode::Redeploy => Duration::ZERO,
        };
        let began = Instant::now();
        let mut said = String::new();
        loop {
            let trouble = match take(work, host, log).await? {
                Ok(link) => return Ok(There::on(work, link)),
                Err(trouble) => trouble,
            };
            let may_come_back = matches!(trouble.kind, Kind::Unreachable | Kind::Lost);
            if !may_come_back || began.elapsed() + PAUSE > patience {
                return Err((not_reached(&trouble), trouble.message));
            }
            if said != trouble.message {
                let _ = log.line(&format!("tidegate: {}; trying again", trouble.message)).await;
                said = trouble.message;
            }
            work.bound(sleep(PAUSE)).await?;
        }
    }

    fn on(work: &'a Work<'a>, link: Link) -> There<'a> {
        let env = work.environment(&link.login(), None);
        There { work, link, env }
    }

    /// Lets the node go.
    pub(super) async fn leave(self) {
        self.link.close().await;
    }

    pub(super) async fn put(&self, log: &mut RunLog<'_>) -> Result<(), Failed> {
        let work = self.work;
        let items = upload::plan(&work.deploy.upload, &work.job.artifacts, &self.env)?;
        if self.is_back(log).await {
            return self.wait_until_healthy(log).await;
        }
        let armed = guard::arm(work, &self.link, &items, log).await?;
        let result = self.change(items, log).await.map_err(|failed| self.with_lost(failed));
        let Some(armed) = armed else { return result };
        match result {
            Ok(()) => guard::confirm(work, &self.link, &armed, Wanted::ByTheDeploy, log).await,
            // The node is to stay as it is: the guard must not think otherwise.
            Err(failed) if work.deploy.on_failure == OnFailure::Stop => {
                let _ = guard::confirm(work, &self.link, &armed, Wanted::Anyway, log).await;
                Err(failed)
            }
            // The way back disarms it, or finds what it did.
            Err(failed) => Err(failed),
        }
    }

    async fn change(&self, items: Vec<Item>, log: &mut RunLog<'_>) -> Result<(), Failed> {
        self.upload(items, log).await?;
        if let Some(script) = &self.work.deploy.run {
            self.activate(script).await?;
        }
        self.wait_until_healthy(log).await
    }

    /// Whether a guard went back to the very version that is to be put here.
    async fn is_back(&self, log: &mut RunLog<'_>) -> bool {
        let Some(Back { at, status, version }) = &self.link.back else { return false };
        let when =
            chrono::DateTime::from_timestamp(*at, 0).map_or_else(|| at.to_string(), |at| at.to_rfc3339());
        let told = match status {
            0 => format!("the node went back to {version} by itself at {when}, by its clock"),
            status => {
                format!(
                    "the node tried to go back to {version} at {when}; its command ended with status {status}"
                )
            }
        };
        let _ = log.line(&format!("tidegate: {told}")).await;
        self.work.task.warn(self.work.job.run, told).await;
        *status == 0
            && self.work.job.mode == DeployMode::Rollback
            && self.work.job.version.as_str() == version
    }

    async fn upload(&self, items: Vec<Item>, log: &mut RunLog<'_>) -> Result<(), Failed> {
        if items.is_empty() {
            return Ok(());
        }
        let work = self.work;
        let failed = |trouble: Trouble| (Failure::Upload, trouble.message);
        // Before anything is changed: all that is to be sent is there.
        let files = items.iter().map(|item| self.file(item)).collect::<Result<Vec<_>, _>>()?;
        let progress = Progress::new(items.iter().map(|item| item.artifact.size).sum());
        let telling = progress.tell(work.task, work.job.run);
        let uploading = async {
            let mut places = work.bound(Places::open(&self.link)).await?.map_err(failed)?;
            for (item, file) in items.iter().zip(files) {
                let size = file.size;
                let put =
                    work.bound(places.put(&file, |bytes| progress.add(bytes))).await?.map_err(failed)?;
                let note = match put {
                    Put::Unchanged => {
                        progress.add(size);
                        " (unchanged)".to_owned()
                    }
                    Put::Written { resumed: 0 } => String::new(),
                    Put::Written { resumed } => {
                        progress.add(resumed);
                        format!(" (went on after {resumed} bytes)")
                    }
                };
                let (path, to) = (&item.artifact.path, item.to.display());
                let _ = log.line(&format!("tidegate: upload {path} to {to}{note}")).await;
            }
            Ok(())
        };
        tokio::select! {
            done = uploading => done,
            () = telling => unreachable!("BUG: telling never ends"),
        }
    }

    /// The artifact as it lies in the store: what is sent is checked on its way.
    fn file(&self, item: &Item) -> Result<File, Failed> {
        let artifact = &item.artifact;
        let from = self.work.task.shop.store.place(&artifact.sha256);
        let from =
            from.map_err(|error| (Failure::ArtifactMissing, format!("failed to {error}; {}", error.help())))?;
        if !from.is_file() {
            let message = format!(
                "the artifact `{}` is not in the store any more; `rebuild` brings it back",
                artifact.path
            );
            return Err((Failure::ArtifactMissing, message));
        }
        Ok(File {
            from,
            to: item.to.clone(),
            size: artifact.size,
            sha256: artifact.sha256.clone(),
            executable: artifact.executable,
        })
    }

    fn remote(&self) -> Remote<'_> {
        let Work { task, job, deploy, secrets, .. } = self.work;
        let forward = Forward::of(&self.link);
        Remote { task, run: job.run, exec: &deploy.exec, secrets, link: &self.link, forward, output: None }
    }

    async fn activate(&self, script: &Script) -> Result<(), Failed> {
        let work = self.work;
        let began = Instant::now();
        let events = work.task.places.events(work.job.run);
        let mut ear = Ear::new(false, work.secrets.clone());
        let exit = self.remote().run(&argv(script), &self.env, events, work.left(), &mut ear).await;
        match exit {
            Ok(exit) => work.judge(&exit, began),
            Err(trouble) => {
                let unknown = match trouble.kind {
                    Kind::Lost => "; whether its command came to its end there is not known",
                    _ => "",
                };
                Err((Failure::Activate, format!("{}{unknown}", trouble.message)))
            }
        }
    }

    async fn wait_until_healthy(&self, log: &mut RunLog<'_>) -> Result<(), Failed> {
        let Some(health) = &self.work.deploy.health else { return Ok(()) };
        let remote = self.remote();
        self.work.wait_until_healthy(health, &self.env, Where::There(&remote), log).await
    }

    /// Whatever failed: if the connection is gone, that is why.
    fn with_lost(&self, (failure, message): Failed) -> Failed {
        let is_by_it = matches!(failure, Failure::Upload | Failure::Activate | Failure::Unhealthy);
        match self.link.lost() {
            Some(trouble) if is_by_it && !message.contains(&trouble.message) => {
                (failure, format!("{message}; {trouble}"))
            }
            _ => (failure, message),
        }
    }
}

/// Takes the node. The outer error: nobody waits for that any more.
async fn take(work: &Work<'_>, host: &str, log: &mut RunLog<'_>) -> Result<Result<Link, Trouble>, Failed> {
    let Work { task, job, deadline, .. } = *work;
    let what = format!("{} of {}", job.mode.as_str(), job.version);
    let visit = Visit { task, run: job.run, host, tier: &job.tier.name, what, owner: owner(work), deadline };
    match visit.take(log).await {
        Ok(link) => Ok(Ok(link)),
        Err(Untaken::Trouble(trouble)) => Ok(Err(trouble)),
        Err(Untaken::Cut { cut, locked_by }) => {
            let (failure, message) = work.cut(cut);
            Err((failure, visit::with_lock(cut, message, locked_by.as_deref())))
        }
    }
}

/// Whose guards may be disarmed: those of this controller for the same node of the same tier. Another machine may have a
/// controller whose state folder and names are the same.
pub(super) fn owner(work: &Work<'_>) -> String {
    let (task, job) = (work.task, work.job);
    let state = task.shop.state.path().display().to_string();
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let born = std::fs::metadata(task.shop.state.path()).and_then(|folder| folder.created()).ok();
    let born = format!("{born:?}");
    let mut hash = Sha256::new();
    for part in [&machine, &born, &state, task.home.as_str(), job.tier.name.as_str(), job.node.name.as_str()]
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..8])
}

/// Nothing was done on the node yet.
pub(super) fn not_reached(trouble: &Trouble) -> Failure {
    match trouble.kind {
        Kind::Unreachable | Kind::Lost => Failure::Unreachable,
        Kind::Refused | Kind::Failed | Kind::Corrupt => Failure::Auth,
    }
}
