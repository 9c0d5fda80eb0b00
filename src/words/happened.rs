//! Events as people read them: one line each, with the word that matters and its tone.

use super::{Tone, short};
use crate::domain::event::{Action, PromotionEnd, StepSaid, VoidReason};
use crate::domain::{Classification, Envelope, Event, Outcome, Status};
use crate::words;
use chrono::TimeDelta;

/// What the clock asks for later than this after its time was missed.
const LATE: TimeDelta = TimeDelta::minutes(1);

/// A word, its tone, and the rest of the line.
pub(super) type Line = (&'static str, Tone, String);

/// What an event is told as, by its subject.
pub(crate) fn told(envelope: &Envelope) -> Line {
    match &envelope.fact.event {
        Event::RebuildRequested { .. }
        | Event::PushIgnored { .. }
        | Event::LookOwed { .. }
        | Event::LookDone { .. }
        | Event::LookedOver
        | Event::ScheduleDue { .. }
        | Event::ScheduleDone { .. }
        | Event::RefsForgotten { .. } => pushed(envelope),
        Event::BuildAborted { .. }
        | Event::BuildStart { .. }
        | Event::BuildOk { .. }
        | Event::BuildFailed { .. }
        | Event::StepStart { .. }
        | Event::StepDone { .. }
        | Event::GateStart { .. }
        | Event::GateDone { .. }
        | Event::StepEvent { .. }
        | Event::BackupFetched { .. }
        | Event::VersionsPruned { .. } => built(envelope),
        Event::DeployStart { .. }
        | Event::DeployOk { .. }
        | Event::DeployFailed { .. }
        | Event::PromoteStart { .. }
        | Event::PromoteBlocked { .. }
        | Event::PromoteComplete { .. }
        | Event::PromoteFailed { .. }
        | Event::Rollback { .. }
        | Event::RollbackComplete { .. }
        | Event::RollbackFailed { .. }
        | Event::Superseded { .. } => brought(envelope),
        Event::ManualConfirm { .. }
        | Event::ConfirmDenied { .. }
        | Event::ConfirmVoided { .. }
        | Event::ManualAction { .. }
        | Event::HoldSet { .. }
        | Event::HoldLifted { .. }
        | Event::VersionBlocked { .. }
        | Event::VersionUnblocked { .. } => decided(envelope),
        Event::PipelineLoaded { .. }
        | Event::PipelineRemoved { .. }
        | Event::PipelineRejected { .. }
        | Event::JournalRestored { .. }
        | Event::ControllerStarted { .. }
        | Event::ControllerStopping { .. }
        | Event::AccessRefused { .. } => defined(envelope),
    }
}

/// Pushes, and looks at refs.
fn pushed(envelope: &Envelope) -> Line {
    let by = by(envelope);
    match &envelope.fact.event {
        Event::RebuildRequested { sha, ref_name, subject, anew, .. } => {
            let at =
                ref_name.as_ref().map(|name| format!(" on {}", short_ref(name.as_str()))).unwrap_or_default();
            let word = if *anew { "again" } else { "push" };
            (word, Tone::Strong, format!("{}{at}: {subject}", short(sha)))
        }
        Event::PushIgnored { sha, reason, .. } => {
            ("ignored", Tone::Quiet, format!("{}: {reason}", short(sha)))
        }
        Event::LookOwed { ref_name, sha } => {
            let at = short_ref(ref_name.as_str());
            ("told", Tone::Wait, format!("{} on {at}{by}: still to be looked at", short(sha)))
        }
        Event::LookDone { ref_name, reason, .. } => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            ("looked", Tone::Quiet, format!("{}{reason}", short_ref(ref_name.as_str())))
        }
        Event::LookedOver => {
            ("looked", Tone::Quiet, "all branches and tags: what comes up from here on is new".into())
        }
        Event::ScheduleDue { cron, zone, ref_name, due } => {
            let what = if ref_name.is_empty() { "the HEAD branch" } else { short_ref(ref_name) };
            let late = (envelope.at - *due > LATE).then(|| words::span(envelope.at - *due));
            let late = late.map(|late| format!(", {late} late")).unwrap_or_default();
            ("clock", Tone::Strong, format!("{what} is to be built ({cron}, {zone}{late})"))
        }
        Event::ScheduleDone { reason: Some(reason), .. } => {
            ("clock", Tone::Wait, format!("nothing is built: {reason}"))
        }
        Event::ScheduleDone { reason: None, .. } => ("clock", Tone::Quiet, "its build is asked for".into()),
        Event::RefsForgotten { refs } => (
            "forgot",
            Tone::Quiet,
            format!("{} that are gone from the repository", words::counted(refs.len(), "ref")),
        ),
        other => (other.kind(), Tone::Quiet, String::new()),
    }
}

/// Builds, and what their steps and the gates come to.
fn built(envelope: &Envelope) -> Line {
    let by = by(envelope);
    match &envelope.fact.event {
        Event::BuildAborted { sha_aborted, by_sha, .. } => {
            let by = by_sha.as_ref().map(|sha| format!(" for {}", short(sha))).unwrap_or(by);
            ("aborted", Tone::Wait, format!("build of {}{by}", short(sha_aborted)))
        }
        Event::BuildStart { sha, version, .. } => {
            ("build", Tone::Wait, format!("{version} of {}", short(sha)))
        }
        Event::BuildOk { version, artifacts, .. } => {
            ("built", Tone::Good, format!("{version} ({} kept)", words::counted(artifacts.len(), "file")))
        }
        Event::BuildFailed { version, cause, .. } => {
            ("failed", Tone::Bad, format!("build of {version}: {cause}"))
        }
        Event::StepStart { run_id, step, .. } => ("step", Tone::Quiet, format!("`{step}` (run {run_id})")),
        Event::StepDone { run_id, step, outcome, will_retry, .. } => {
            ended(outcome, *will_retry, format!("`{step}` (run {run_id})"))
        }
        Event::GateStart { run_id, tier, name, .. } => {
            ("gate", Tone::Quiet, format!("{tier}: `{name}` (run {run_id})"))
        }
        Event::GateDone { run_id, tier, name, outcome, will_retry, .. } => {
            ended(outcome, *will_retry, format!("{tier}: `{name}` (run {run_id})"))
        }
        Event::StepEvent { run_id, event, .. } => {
            ("says", Tone::Quiet, format!("run {run_id}: {}", said(event)))
        }
        Event::BackupFetched { source, byte_size, tier, .. } => {
            let tier = tier.as_ref().map(|tier| format!("{tier}: ")).unwrap_or_default();
            ("backup", Tone::Good, format!("{tier}{byte_size} bytes from {source}"))
        }
        Event::VersionsPruned { versions } => (
            "forgot",
            Tone::Quiet,
            format!("{} that nothing needs", words::counted(versions.len(), "version")),
        ),
        other => (other.kind(), Tone::Quiet, String::new()),
    }
}

/// The way of a version through a tier.
fn brought(envelope: &Envelope) -> Line {
    match &envelope.fact.event {
        Event::DeployStart { run_id, tier, node, version, mode } => {
            (mode.as_str(), Tone::Wait, format!("{tier}: {version} to node {node} (run {run_id})"))
        }
        Event::DeployOk { tier, node, version, elapsed_ms, .. } => {
            let took = words::took(*elapsed_ms);
            ("deployed", Tone::Good, format!("{tier}: {version} is on node {node} ({took})"))
        }
        Event::DeployFailed { tier, node, version, failure, message, .. } => (
            "failed",
            Tone::Bad,
            format!("{tier}: {version} on node {node}: {}: {message}", failure.as_str()),
        ),
        Event::PromoteStart { tier, version, .. } => ("enters", Tone::Wait, format!("{tier}: {version}")),
        Event::PromoteBlocked { tier, version, blockers, .. } => {
            let all: Vec<String> = blockers.iter().map(|one| words::blocker(one, envelope.at)).collect();
            match all.is_empty() {
                true => ("free", Tone::Good, format!("{tier}: nothing stands in the way of {version}")),
                false => ("waits", Tone::Wait, format!("{tier}: {version}: {}", all.join("; "))),
            }
        }
        Event::PromoteComplete { tier, version, nodes } => {
            let behind: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            let behind =
                if behind.is_empty() { String::new() } else { format!("; behind: {}", behind.join(", ")) };
            ("passed", Tone::Good, format!("{tier}: {version} is current{behind}"))
        }
        Event::PromoteFailed { tier, version, end, cause, .. } => {
            let end = match end {
                PromotionEnd::Rejected => "rejected",
                PromotionEnd::RolledBack => "rolled back",
                PromotionEnd::Stopped => "stopped",
                PromotionEnd::Canceled => "canceled",
            };
            (end, Tone::Bad, format!("{tier}: {version}: {cause}"))
        }
        Event::Rollback { tier, from, to, cause } => {
            ("rollback", Tone::Bad, format!("{tier}: from {from} to {to}: {cause}"))
        }
        Event::RollbackComplete { tier, version, .. } => {
            ("back", Tone::Good, format!("{tier}: {version} is on its nodes again"))
        }
        Event::RollbackFailed { tier, version, cause, .. } => {
            ("not back", Tone::Bad, format!("{tier}: not at {version}: {cause}"))
        }
        Event::Superseded { tier, version, by_version } => {
            ("superseded", Tone::Quiet, format!("{tier}: {version}, by {by_version}"))
        }
        other => (other.kind(), Tone::Quiet, String::new()),
    }
}

/// What people say.
fn decided(envelope: &Envelope) -> Line {
    let by = by(envelope);
    match &envelope.fact.event {
        Event::ManualConfirm { tier, version, have, need, .. } => {
            ("confirmed", Tone::Good, format!("{tier}: {version}{by}, {have} of {need}"))
        }
        Event::ConfirmDenied { tier, version } => ("denied", Tone::Bad, format!("{tier}: {version}{by}")),
        Event::ConfirmVoided { tier, version, reason, whose } => {
            let why = match reason {
                VoidReason::Expired => "it has lapsed",
                VoidReason::Edited => "the tier was edited",
            };
            let whose = match whose.as_slice() {
                [] => String::new(),
                some => format!(" by {}", some.join(", ")),
            };
            let what = format!("{tier}: the confirmation of {version}{whose} no longer counts: {why}");
            ("voided", Tone::Wait, what)
        }
        Event::ManualAction { action, tier, version, node, pending, .. } => {
            let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
            let node = node.as_ref().map(|node| format!(" on node {node}")).unwrap_or_default();
            let tier = tier.as_ref().map(|tier| format!("{tier}: ")).unwrap_or_default();
            let first = if *pending { ", once it is built" } else { "" };
            ("by hand", Tone::Strong, format!("{tier}{}{version}{node}{by}{first}", action_word(*action)))
        }
        Event::HoldSet { tier, .. } => ("held", Tone::Wait, format!("{}{by}", place(tier.as_ref()))),
        Event::HoldLifted { tier } => ("resumed", Tone::Good, format!("{}{by}", place(tier.as_ref()))),
        Event::VersionBlocked { version } => ("blocked", Tone::Bad, format!("{version}{by}")),
        Event::VersionUnblocked { version } => ("unblocked", Tone::Good, format!("{version}{by}")),
        other => (other.kind(), Tone::Quiet, String::new()),
    }
}

/// Definitions, and the controller itself.
fn defined(envelope: &Envelope) -> Line {
    match &envelope.fact.event {
        Event::PipelineLoaded { changes, file, .. } => {
            ("loaded", Tone::Good, format!("{file}: {}", changes.join("; ")))
        }
        Event::PipelineRemoved { changes, .. } => ("removed", Tone::Wait, changes.join("; ")),
        Event::PipelineRejected { file, diagnostics } => match diagnostics.first() {
            Some(first) => {
                let place = format!("{}:{}:{}", file, first.line, first.column);
                ("refused", Tone::Bad, format!("{place}: {} [{}]", first.message, first.code))
            }
            None => ("gone", Tone::Quiet, file.clone()),
        },
        Event::JournalRestored { last, taken_at } => {
            let taken = taken_at.format("%Y-%m-%d %H:%M:%S UTC");
            let line =
                format!("from a backup of {taken}, which ends with event {last}: every pipeline is held");
            ("restored", Tone::Wait, line)
        }
        Event::ControllerStarted { release, kept, .. } => {
            let kept = match kept.len() {
                0 => String::new(),
                some => format!(
                    "; {} of before {}",
                    words::counted(some, "run"),
                    if some == 1 { "goes on" } else { "go on" }
                ),
            };
            ("controller", Tone::Strong, format!("started, tidegate {release}{kept}"))
        }
        Event::ControllerStopping { .. } => ("controller", Tone::Strong, "stopping".into()),
        Event::AccessRefused { code, method, route, count, from } => {
            let by = envelope.fact.by.as_ref().map(|by| format!(" for {by}")).unwrap_or_default();
            let from = from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
            let times = if *count == 1 { String::new() } else { format!(", {count} times") };
            ("turned away", Tone::Wait, format!("{method} {route}{by}{from}{times} [{code}]"))
        }
        other => (other.kind(), Tone::Quiet, String::new()),
    }
}

/// Who did it, and why, if somebody did.
fn by(envelope: &Envelope) -> String {
    let why = envelope.fact.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    envelope.fact.by.as_ref().map(|by| format!(" by {by}{why}")).unwrap_or_default()
}

fn ended(outcome: &Outcome, will_retry: bool, what: String) -> Line {
    let message = match (&outcome.message, outcome.classification) {
        (Some(message), _) => format!(": {message}"),
        (None, Classification::Interrupted) => ": the controller stopped meanwhile".into(),
        (None, _) => String::new(),
    };
    let again = if will_retry { ", is tried again" } else { "" };
    match outcome.status {
        Status::Pass => ("ok", Tone::Good, format!("{what} in {}", words::took(outcome.elapsed_ms))),
        Status::Fail => ("failed", Tone::Bad, format!("{what}{message}{again}")),
        Status::Blocked => ("blocked", Tone::Wait, format!("{what}{message}{again}")),
    }
}

fn said(event: &StepSaid) -> String {
    match event {
        StepSaid::Progress { percent, note } => {
            format!("{percent}%{}", note.as_ref().map(|note| format!(" {note}")).unwrap_or_default())
        }
        StepSaid::Annotation { file, line, message, .. } => {
            let place = file.as_ref().map(|file| match line {
                Some(line) => format!("{file}:{line}: "),
                None => format!("{file}: "),
            });
            format!("{}{message}", place.unwrap_or_default())
        }
        StepSaid::Metric { name, value, unit } => {
            format!("{name} = {value}{}", unit.as_deref().unwrap_or_default())
        }
        StepSaid::Output { key, value } => format!("{key} = {value}"),
        StepSaid::Blocked { reason, .. } => format!("cannot judge: {reason}"),
        StepSaid::BackupFetched { source, byte_size } => format!("{byte_size} bytes fetched from {source}"),
        StepSaid::NodeLocked { by: Some(by) } => format!("waits: the node is locked by {by}"),
        StepSaid::NodeLocked { by: None } => "has the node, and goes on".into(),
        StepSaid::Warning { message } => message.clone(),
    }
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::Promote => "promote",
        Action::Retry => "retry",
        Action::Redeploy => "redeploy",
        Action::Cancel => "cancel",
        Action::Rollback => "rollback",
        Action::Adopt => "adopt",
    }
}

fn place(tier: Option<&crate::domain::TierName>) -> String {
    tier.map_or_else(|| "the pipeline".into(), |tier| format!("tier {tier}"))
}

/// `refs/heads/main` → `main`.
fn short_ref(name: &str) -> &str {
    name.strip_prefix("refs/heads/").or(name.strip_prefix("refs/tags/")).unwrap_or(name)
}
