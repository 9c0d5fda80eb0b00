//! The guard of a deploy by ssh: what it is told before the change, and that the node still answers after it.

use super::there::{not_reached, owner};
use super::{Failed, Work};
use crate::domain::event::DeployMode;
use crate::domain::pipeline::Deploy;
use crate::domain::{Failure, Fallback};
use crate::interpreter::environment::{About, argv, environment};
use crate::interpreter::remote_run::mark;
use crate::interpreter::run_log::RunLog;
use crate::interpreter::secrets;
use crate::interpreter::task::Task;
use crate::interpreter::upload::Item;
use crate::interpreter::workspace::Unready;
use crate::remote::{self, Confirmed, Guard, Kind, Link};
use std::ffi::OsString;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Pause between two tries to reach the node.
const PAUSE: Duration = Duration::from_secs(1);

/// How long going back may take where the deploy has no `timeout`.
const LIMIT: Duration = Duration::from_secs(600);

/// A guard at work.
pub(super) struct Armed {
    /// How long it waits.
    within: Duration,
    /// For people: the version.
    version: String,
    /// Whose it is.
    owner: String,
}

/// Whether it is still worth the while.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// As long as the deploy is.
    ByTheDeploy,
    /// However the deploy ended.
    Anyway,
}

/// Arms a guard where the definition wants one and there is something to go back to.
pub(super) async fn arm(
    work: &Work<'_>,
    link: &Link,
    items: &[Item],
    log: &mut RunLog<'_>,
) -> Result<Option<Armed>, Failed> {
    let Some(within) = work.deploy.confirm_within else { return Ok(None) };
    if work.job.mode != DeployMode::Deploy {
        return Ok(None);
    }
    let fallback = work.job.fallback.as_deref();
    let Some((fallback, deploy)) = fallback.and_then(|f| Some((f, f.tier.deploy.as_ref()?))) else {
        let _ = log.line("tidegate: no guard: there is no version yet that the node could go back to").await;
        return Ok(None);
    };
    let guard = guard(work, link, items, fallback, deploy, within.duration()).await?;
    let arming = work.bound(link.arm(&guard)).await?;
    let version = fallback.version.to_string();
    let armed = Armed { within: within.duration(), version: version.clone(), owner: owner(work) };
    if let Err(trouble) = arming {
        if trouble.kind == Kind::Lost {
            // It may be armed all the same, and nothing was changed.
            let _ = confirm(work, link, &armed, Wanted::Anyway, log).await;
        }
        return Err((not_reached(&trouble), trouble.message));
    }
    let line = format!(
        "tidegate: the node goes back to {version} by itself unless it answers within {within} of the change"
    );
    let _ = log.line(&line).await;
    Ok(Some(armed))
}

async fn guard(
    work: &Work<'_>,
    link: &Link,
    items: &[Item],
    fallback: &Fallback,
    deploy: &Deploy,
    within: Duration,
) -> Result<Guard, Failed> {
    let job = work.job;
    let task = Task {
        definition: fallback.definition.clone(),
        sha: fallback.sha.clone(),
        ref_name: fallback.ref_name.clone(),
        ..work.task.clone()
    };
    let secrets = secrets::provide(&task, job.run, &deploy.exec).await.map_err(|unready| match unready {
        Unready::Cut(cut) => work.cut(cut),
        Unready::Artifact(message) | Unready::Failed { message, .. } => {
            (Failure::Auth, format!("failed to {message}; the node was not touched"))
        }
    })?;
    let about = About {
        run: job.run,
        version: &fallback.version,
        tier: Some(&fallback.tier.name),
        node: Some(&fallback.node.name),
        mode: Some(DeployMode::Rollback),
        previous: Some(Some(&job.version)),
        base: &link.login(),
        folder: None,
        on: Some(&fallback.node),
        exec: &deploy.exec,
        secrets: &secrets,
    };
    Ok(Guard {
        owner: owner(work),
        version: fallback.version.to_string(),
        within,
        limit: deploy.exec.timeout.map_or(LIMIT, |span| span.duration()),
        folder: deploy.exec.dir.clone().map_or_else(|| ".".into(), OsString::from),
        files: items.iter().map(|item| item.to.clone()).collect(),
        argv: deploy.run.as_ref().map(argv).unwrap_or_default(),
        env: environment(&task, &[], &about),
    })
}

/// Tells the guard over a new connection that the node answers, as often as there is time for it.
pub(super) async fn confirm(
    work: &Work<'_>,
    link: &Link,
    armed: &Armed,
    wanted: Wanted,
    log: &mut RunLog<'_>,
) -> Result<(), Failed> {
    let run = work.job.run;
    let mark = mark(&work.task.places.events(run));
    let version = &armed.version;
    link.let_guard_count();
    let until = Instant::now() + armed.within;
    loop {
        let confirming = remote::confirm(link.client(), link.host(), &armed.owner, link.turn(), &mark);
        let left = until.saturating_duration_since(Instant::now());
        let confirming = tokio::time::timeout(left, confirming);
        let confirmed = match wanted {
            Wanted::ByTheDeploy => work.bound(confirming).await?,
            Wanted::Anyway => confirming.await,
        };
        let why = match confirmed {
            Ok(Ok(Confirmed::InTime)) => {
                let _ = log.line("tidegate: the node answers; its guard is off").await;
                return Ok(());
            }
            Ok(Ok(Confirmed::Late)) => {
                let message = format!(
                    "it was not told in time that it answers, so the node goes back to {version} by itself"
                );
                return Err((Failure::Unhealthy, message));
            }
            Ok(Err(trouble)) => trouble.message,
            Err(_) => "it did not answer a new connection".to_owned(),
        };
        if Instant::now() + PAUSE >= until {
            let message = format!("after the change: {why}; the node goes back to {version} by itself");
            return Err((Failure::Unhealthy, message));
        }
        match wanted {
            Wanted::ByTheDeploy => work.bound(sleep(PAUSE)).await?,
            Wanted::Anyway => sleep(PAUSE).await,
        }
    }
}
