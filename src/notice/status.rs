//! What an event says of a commit: the state that forges show beside it.

use crate::domain::event::PromotionEnd;
use crate::domain::{Event, PipelineName, Sha, TierName, VersionLabel};
use crate::printable;

/// The longest description, in characters: what GitHub takes.
const LONGEST: usize = 140;

/// The state of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Something is under way.
    Pending,
    /// It came out well.
    Success,
    /// It was judged, and bad.
    Failure,
    /// It could not be done.
    Error,
    /// It was ended.
    Canceled,
}

/// One status of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// The commit.
    pub(super) sha: Sha,
    /// How it is.
    pub(super) mark: Mark,
    /// What of it: `tidegate/PIPELINE`, or `tidegate/PIPELINE/TIER`.
    pub(super) context: String,
    /// A few words, at most 140 characters.
    pub(super) description: String,
}

/// The status that follows from an event; none: it says nothing of a commit, or of one that is not known.
pub(super) fn status(
    event: &Event,
    pipeline: &PipelineName,
    commit: impl Fn(&VersionLabel) -> Option<Sha>,
) -> Option<Status> {
    let of = |sha: Sha, tier: Option<&TierName>, mark: Mark, words: String| {
        let context = match tier {
            Some(tier) => format!("tidegate/{pipeline}/{tier}"),
            None => format!("tidegate/{pipeline}"),
        };
        Some(Status { sha, mark, context, description: short(&words) })
    };
    match event {
        Event::BuildStart { sha, version, .. } => {
            of(sha.clone(), None, Mark::Pending, format!("building {version}"))
        }
        Event::BuildOk { sha, version, elapsed_s, .. } => {
            of(sha.clone(), None, Mark::Success, format!("built {version} in {elapsed_s} s"))
        }
        Event::BuildFailed { sha, cause, .. } => {
            of(sha.clone(), None, Mark::Failure, cause_or(cause, "failed"))
        }
        Event::BuildAborted { sha_aborted, by_sha, .. } => {
            let words = match by_sha {
                Some(by) => format!("ended for {}", by.as_str().get(..8).unwrap_or(by.as_str())),
                None => "ended by hand".into(),
            };
            of(sha_aborted.clone(), None, Mark::Canceled, words)
        }
        Event::PromoteStart { tier, version, .. } => {
            of(commit(version)?, Some(tier), Mark::Pending, format!("{version} is entering {tier}"))
        }
        Event::PromoteComplete { tier, version, nodes } => {
            let behind = if nodes.is_empty() { String::new() } else { format!(", {} behind", nodes.len()) };
            of(commit(version)?, Some(tier), Mark::Success, format!("{version} passed {tier}{behind}"))
        }
        Event::PromoteFailed { tier, version, end, cause, .. } => {
            let mark = if *end == PromotionEnd::Canceled { Mark::Canceled } else { Mark::Failure };
            of(commit(version)?, Some(tier), mark, cause_or(cause, "rejected"))
        }
        Event::Rollback { tier, from, to, .. } => {
            of(commit(from)?, Some(tier), Mark::Failure, format!("{tier} goes back to {to}"))
        }
        Event::RollbackComplete { tier, version, .. } => {
            of(commit(version)?, Some(tier), Mark::Success, format!("{tier} is back at {version}"))
        }
        Event::RollbackFailed { tier, version, .. } => {
            of(commit(version)?, Some(tier), Mark::Error, format!("{tier} could not go back to {version}"))
        }
        _ => None,
    }
}

fn cause_or(cause: &str, otherwise: &str) -> String {
    if cause.is_empty() { otherwise.into() } else { cause.into() }
}

/// One line, cut where it is too long.
fn short(text: &str) -> String {
    let line = printable::line(text);
    if line.chars().count() <= LONGEST {
        return line.into_owned();
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::KINDS;
    use crate::domain::pipeline::STATUS_KINDS;
    use crate::wire;
    use serde_json::json;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    /// An event with whatever fields any kind that makes a status has.
    fn event(kind: &str, more: serde_json::Value) -> Option<Event> {
        let mut text = json!({
            "id": 7, "at": "2026-11-23T09:00:00Z", "kind": kind, "pipeline": "shop", "request": 3,
            "sha": SHA, "sha_aborted": SHA, "version": "1.0.0", "digest": "d", "elapsed_s": 3, "tier": "prod",
            "end": "rejected", "cause": "gate `smoke`: fail", "from": "1.0.0", "to": "0.9.0",
        });
        text.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(wire::decode(&text.to_string()).ok()?.fact.event)
    }

    fn said(kind: &str, more: serde_json::Value) -> Option<(Mark, String, String)> {
        let commit = |version: &VersionLabel| (*version == "1.0.0").then(|| SHA.into());
        let status = status(&event(kind, more).unwrap(), &"shop".into(), commit)?;
        assert_eq!(status.sha.as_str(), SHA);
        Some((status.mark, status.context, status.description))
    }

    #[test]
    fn every_kind_that_makes_a_status_makes_one_and_no_other_does() {
        for kind in KINDS {
            let Some(event) = event(kind, json!({})) else { continue };
            let made = status(&event, &"shop".into(), |_| Some(SHA.into()));
            assert_eq!(made.is_some(), STATUS_KINDS.contains(&kind), "{kind}");
        }
        assert!(STATUS_KINDS.iter().all(|kind| event(kind, json!({})).is_some()));
    }

    #[test]
    fn a_status_says_of_which_pipeline_and_tier_it_is() {
        let build = said("build_ok", json!({})).unwrap();
        assert_eq!(build, (Mark::Success, "tidegate/shop".into(), "built 1.0.0 in 3 s".into()));
        let tier = said("promote_failed", json!({})).unwrap();
        assert_eq!(tier, (Mark::Failure, "tidegate/shop/prod".into(), "gate `smoke`: fail".into()));
        assert_eq!(said("promote_failed", json!({"end": "canceled"})).unwrap().0, Mark::Canceled);
        assert_eq!(
            said("build_aborted", json!({"by_sha": "abcdef1234567890"})).unwrap().2,
            "ended for abcdef12"
        );
        assert_eq!(said("rollback", json!({})).unwrap().2, "prod goes back to 0.9.0");
        assert_eq!(said("promote_start", json!({"version": "9.9.9"})), None, "a commit that is not known");
    }

    #[test]
    fn a_description_is_one_short_line() {
        let cause = format!("bad\n\u{1b}[31m{}", "é".repeat(300));
        let (_, _, words) = said("build_failed", json!({"cause": cause})).unwrap();
        assert_eq!(words.chars().count(), 140);
        assert!(
            words.starts_with("bad") && words.ends_with("é…") && !words.contains(['\n', '\u{1b}']),
            "{words}"
        );
    }
}
