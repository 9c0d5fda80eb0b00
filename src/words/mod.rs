//! How things are said to people: blockers, times, spans, sizes, and (`happened`) events. One wording for the command line
//! and the screens.

pub mod brief;
mod clock;
mod happened;
pub mod overview;
mod sign;

pub use clock::Clock;
pub(crate) use happened::told;
pub use sign::Sign;

use crate::domain::pipeline::{Confirm, Schedule};
use crate::domain::{Blocker, PipelineName, Role, Sha, TierName, Time, VersionLabel};
use crate::server::view::{ConfirmationView, StandingView};
use chrono::{Local, TimeDelta};

/// A colour with a meaning; the words beside it say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Under way, or waiting for something.
    Wait,
    /// Beside the point.
    Quiet,
    /// What it is about.
    Strong,
}

/// As a terminal is told it.
fn code(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Wait => "33",
        Tone::Quiet => "2",
        Tone::Strong => "1",
    }
}

/// Text in a tone, if colour is wanted.
pub(crate) fn tinted(text: &str, tone: Tone, colour: bool) -> String {
    if colour { format!("\x1b[{}m{text}\x1b[0m", code(tone)) } else { text.to_owned() }
}

/// What stands in the way, in one clause.
pub(crate) fn blocker(blocker: &Blocker, now: Time) -> String {
    let because = |why: &str| if why.is_empty() { String::new() } else { format!(": {why}") };
    match blocker {
        Blocker::NotPromoted { tier } => format!("has not passed `{tier}`"),
        Blocker::NotBuilt { .. } => "is not built here".into(),
        Blocker::Soak { until: Some(until) } => format!("soaks until {}", moment(*until, now)),
        Blocker::Soak { until: None } => "must soak longer, and is not current before".into(),
        Blocker::ConfirmMissing { have, need } => format!("{have} of {need} confirmations"),
        Blocker::Manual => "waits to be promoted by hand".into(),
        Blocker::Window { opens: Some(opens) } => format!("the window opens {}", moment(*opens, now)),
        Blocker::Window { opens: None } => "no window ever opens".into(),
        Blocker::Freeze { until, why } => format!("frozen until {}{}", moment(*until, now), because(why)),
        Blocker::Hold { by, why } => format!("held by {by}{}", because(why)),
        Blocker::VersionBlocked => "is blocked".into(),
        Blocker::TierBusy { version } => format!("{version} is inside"),
        Blocker::Behind { version } => format!("behind {version}"),
        Blocker::Rejected { cause } => format!("rejected{}", because(cause)),
        Blocker::GateFailed { gate } => format!("gate `{gate}` failed"),
        Blocker::MissingTool { tool } => format!("`{tool}` is not installed"),
        Blocker::Unreachable { node } => format!("node `{node}` does not answer"),
        Blocker::NotVerified { node } => format!("it is not known what is on node `{node}`"),
        Blocker::NodeLocked { by } => format!("the node is locked by {by}"),
        Blocker::DiskFull => "the disk is full".into(),
        Blocker::Unsupported { key } => format!("this release does not execute `{key}`"),
        Blocker::BackupStale { age } if age == "none" => "there is no backup".into(),
        Blocker::BackupStale { age } => format!("the backup is {age} old"),
        Blocker::StepSays { reason, .. } => reason.clone(),
    }
}

/// Whether it is why a gate could not judge, so that it is tried again.
pub(crate) fn is_no_judgement(blocker: &Blocker) -> bool {
    matches!(
        blocker,
        Blocker::MissingTool { .. }
            | Blocker::StepSays { .. }
            | Blocker::Unreachable { .. }
            | Blocker::NotVerified { .. }
            | Blocker::NodeLocked { .. }
            | Blocker::DiskFull
            | Blocker::BackupStale { .. }
    )
}

/// The same, with whose words there are.
pub(crate) fn blocker_with(one: &Blocker, words: &[ConfirmationView], now: Time) -> String {
    let said = blocker(one, now);
    if !matches!(one, Blocker::ConfirmMissing { .. }) || words.is_empty() {
        return said;
    }
    let of = |word: &ConfirmationView| match word.until {
        Some(until) => format!("{} until {}", word.by, moment(until, now)),
        None => word.by.clone(),
    };
    format!("{said}: {}", words.iter().map(of).collect::<Vec<_>>().join(", "))
}

/// A commit's name as people read it. It may be anything: a recording is anybody's.
pub(crate) fn short(sha: &Sha) -> &str {
    let sha = sha.as_str();
    sha.char_indices().nth(7).map_or(sha, |(at, _)| &sha[..at])
}

/// Where a version stands in a tier; `free`: nothing stands in its way.
pub(crate) fn standing(standing: Option<&StandingView>, free: bool) -> (String, Tone) {
    match standing {
        Some(StandingView::Passed { current: true }) => ("passed, current".into(), Tone::Good),
        Some(StandingView::Passed { current: false }) => ("passed".into(), Tone::Good),
        Some(StandingView::Inside) => ("inside".into(), Tone::Wait),
        Some(StandingView::GoingBack { to, cause }) => (format!("goes back to {to}: {cause}"), Tone::Bad),
        Some(StandingView::Rejected { cause }) => (format!("rejected: {cause}"), Tone::Bad),
        Some(StandingView::Superseded { by_version }) => (format!("superseded by {by_version}"), Tone::Quiet),
        Some(StandingView::Waiting) if free => ("enters next".into(), Tone::Good),
        Some(StandingView::Waiting) => ("waits".into(), Tone::Wait),
        None => ("has not come here".into(), Tone::Quiet),
    }
}

/// Who may give the word that is missing, where the rule says more than that it takes an operator.
pub(crate) fn who_confirms(rule: &Confirm) -> Option<String> {
    let role = rule.roles.iter().min().filter(|role| **role > Role::Operator);
    let role = role.map(|role| format!("by a token of role {role}"));
    let author = rule.not_author.then(|| "not by who asked for it or has a part in its commit".to_owned());
    let all: Vec<String> = role.into_iter().chain(author).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// What would lift it: a command, or what to do; none: time or a version before it.
pub(crate) fn way_out(
    blocker: &Blocker,
    pipeline: &PipelineName,
    tier: &TierName,
    version: &VersionLabel,
) -> Option<String> {
    Some(match blocker {
        Blocker::ConfirmMissing { .. } => format!("tidegate confirm {pipeline} {tier} {version}"),
        Blocker::Manual | Blocker::Soak { .. } | Blocker::Window { .. } => {
            format!("tidegate promote {pipeline} {tier} {version}")
        }
        Blocker::Freeze { .. } => format!("tidegate promote {pipeline} {tier} {version} --lift --why …"),
        Blocker::Hold { .. } => format!(
            "tidegate resume {pipeline} {tier}, or for the whole pipeline: tidegate resume {pipeline}"
        ),
        Blocker::NotBuilt { sha: Some(sha) } => format!("tidegate rebuild {pipeline} {sha}"),
        Blocker::VersionBlocked => format!("tidegate unblock {pipeline} {version}"),
        Blocker::Rejected { .. } | Blocker::GateFailed { .. } => {
            format!("tidegate retry {pipeline} {tier} {version}")
        }
        Blocker::MissingTool { tool } => format!("install `{tool}` on the controller"),
        Blocker::Unsupported { key } => format!("take `{key}` out of the pipeline"),
        Blocker::DiskFull => "make room on the disk of the state folder".into(),
        Blocker::StepSays { help, .. } if !help.is_empty() => help.clone(),
        _ => return None,
    })
}

/// What the clock asks for, and when.
pub(crate) fn scheduled(schedule: &Schedule, next: Option<Time>, now: Time) -> String {
    let Schedule { cron, zone, ref_name } = schedule;
    let next = next.map_or_else(|| "never".to_owned(), |next| moment(next, now));
    let what = if ref_name.is_empty() { "HEAD" } else { ref_name };
    format!("the clock builds {what} next {next}: {cron}, {zone}")
}

/// A moment, in the time zone of whoever reads it, and how far away it is.
pub(crate) fn moment(moment: Time, now: Time) -> String {
    let local = moment.with_timezone(&Local);
    let form = if (moment - now).abs() < TimeDelta::hours(18) { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    let away = moment - now;
    let away =
        if away >= TimeDelta::zero() { format!("in {}", span(away)) } else { format!("{} ago", span(-away)) };
    format!("{} ({away})", local.format(form))
}

/// A span, in its largest units: `3h 20m`.
pub(crate) fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, h, _, _) => format!("{d}d {h}h"),
    }
}

/// How long something took, from milliseconds: `120ms`, `1.5s`, `2m 3s`.
pub(crate) fn took(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{:.1}s", millis as f64 / 1_000.0),
        _ => span(TimeDelta::milliseconds(i64::try_from(millis).unwrap_or(i64::MAX))),
    }
}

/// A size in its largest unit: `512 B`, `1.5 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1_024.0 && unit + 1 < UNITS.len() {
        (size, unit) = (size / 1_024.0, unit + 1);
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// `1 file`, `2 files`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_shortened_between_characters() {
        assert_eq!(short(&"c0ffee0123".into()), "c0ffee0");
        assert_eq!(short(&"c0f".into()), "c0f");
        assert_eq!(short(&"\u{6f22}\u{6f22}\u{6f22}".into()), "\u{6f22}\u{6f22}\u{6f22}");
    }

    #[test]
    fn a_span_shows_its_two_largest_units() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m 1s"), (3_660, "1h 1m"), (90_000, "1d 1h")] {
            assert_eq!(span(TimeDelta::seconds(seconds)), text);
        }
        let sizes = [0, 1_023, 1_024, 1_572_864, u64::MAX].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "16777216.0 TiB"]);
        assert_eq!((took(120), took(1_500), took(61_000)), ("120ms".into(), "1.5s".into(), "1m 1s".into()));
    }
}
