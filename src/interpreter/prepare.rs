//! What frames a build: fetching the commit and reading its version before it, storing what it made after it.

use super::StopCause;
use super::bounded::Cut;
use super::environment::argv;
use super::places::Folder;
use super::task::Task;
use super::workspace::{self, Unready};
use crate::domain::EventId;
use crate::domain::event::Artifact;
use crate::domain::pipeline::{Script, VersionRule};
use crate::printable;
use crate::runner::tool::{self, Tool};
use crate::source;
use std::ffi::OsString;
use std::time::Duration;

/// How long a version command may take.
const COMMAND_TIME: Duration = Duration::from_secs(60);
/// How much of its output is looked at, in bytes.
const COMMAND_OUTPUT: usize = 16 * 1024;
/// Columns of what it said that go into a message.
const SAID: usize = 160;

/// Fetches the commit and reads its version. None: no file says one.
pub(super) async fn prepare(task: &Task, request: EventId) -> Result<Option<String>, String> {
    // One commit at a time: whatever builds lie here are over.
    workspace::remove_builds(task).await;
    let label = match task.stop.bound(None, label(task, request)).await {
        Ok(label) => label,
        Err(cut) => Err(in_words(cut)),
    };
    label.map_err(|message| printable::line(&message).into_owned())
}

/// Why it ended before its end.
fn in_words(cut: Cut) -> String {
    match cut {
        Cut::Stopped(StopCause::Canceled) => "it was canceled".into(),
        Cut::Stopped(StopCause::Interrupted) => "the controller stopped meanwhile".into(),
        Cut::Late => "it took too long".into(),
    }
}

async fn label(task: &Task, request: EventId) -> Result<Option<String>, String> {
    let repo = workspace::mirrored(task).await?;
    match &task.definition.version {
        VersionRule::Command { command } => {
            let folder = task.places.version(request);
            let text = stated(task, &folder, command).await;
            workspace::discard(&folder).await;
            let text = text?;
            let label = source::normalise(&text);
            label.map(Some).map_err(|error| format!("failed to {error}; {}", error.help()))
        }
        rule => workspace::version(task, &repo, rule).await,
    }
}

/// What a version command prints.
async fn stated(task: &Task, folder: &Folder, command: &Script) -> Result<String, String> {
    workspace::provide(task, folder, &[]).await.map_err(|unready| match unready {
        Unready::Cut(cut) => in_words(cut),
        Unready::Artifact(message) | Unready::Failed { message, .. } => format!("failed to {message}"),
    })?;
    let tool = Tool {
        argv: argv(command),
        env: environment(task),
        dir: folder.checkout(),
        timeout: COMMAND_TIME,
        output_limit: COMMAND_OUTPUT,
    };
    let output = tool::run(tool)
        .await
        .map_err(|error| format!("failed to read the version by its command: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = text(&output.stderr);
    let last = printable::line(said.lines().next_back().unwrap_or_default()).into_owned();
    let last = printable::truncate_width(&last, SAID);
    Err(format!("failed to read the version by its command: {}: {last}", output.status))
}

/// A version command has no run and no version yet: it is told the rest.
fn environment(task: &Task) -> Vec<(OsString, OsString)> {
    let mut env: super::environment::Env = task.shop.inherited.iter().cloned().collect();
    env.extend(task.definition.env.iter().map(|(name, value)| (name.into(), value.into())));
    let own = [
        ("TIDEGATE", "1"),
        ("TIDEGATE_PIPELINE", task.pipeline.as_str()),
        ("TIDEGATE_SHA", task.sha.as_str()),
        ("TIDEGATE_REF", task.ref_name.as_ref().map_or("", |name| name.as_str())),
    ];
    env.extend(own.into_iter().map(|(name, value)| (name.into(), value.into())));
    env.into_iter().collect()
}

/// Stores what a build made; its workspace is gone afterwards.
pub(super) async fn collect(task: &Task, request: EventId) -> Result<Vec<Artifact>, String> {
    let folder = task.places.build(request);
    let collected = match task.stop.bound(None, workspace::collect(task, &folder)).await {
        Ok(collected) => collected,
        Err(cut) => Err(in_words(cut)),
    };
    // Stopped by the controller's end it is done again, and needs the workspace for that.
    if task.stop.asked() != Some(StopCause::Interrupted) {
        workspace::discard(&folder).await;
    }
    collected.map_err(|message| printable::line(&message).into_owned())
}
