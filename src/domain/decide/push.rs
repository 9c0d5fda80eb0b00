//! Pushes, and people who ask for a build (rules 1 to 3).

use super::Decision;
use crate::domain::command::{Actor, Answer, News, Push, Pushed};
use crate::domain::event::{Event, Fact};
use crate::domain::id::Sha;
use crate::domain::proceed::overtaken_by;
use crate::domain::rejection::Rejection;
use crate::domain::state::{Build, PipelineState, Request, State};

pub(super) fn decide(
    state: &State,
    by: Option<&Actor>,
    why: Option<&str>,
    again: bool,
    pushes: &[Push],
) -> Result<Decision, Rejection> {
    let mut facts = Vec::new();
    let mut answers = Vec::new();
    let mut full = None;
    for push in pushes {
        let known = state.pipelines.get(&push.pipeline).filter(|p| p.in_force.is_some());
        let p = known.ok_or_else(|| Rejection::UnknownPipeline(push.pipeline.clone()))?;
        let fact = |event| Fact {
            pipeline: Some(push.pipeline.clone()),
            by: by.map(|actor| actor.name.clone()),
            why: why.map(str::to_owned),
            event,
        };
        answers.push(match weigh(p, push, again) {
            Verdict::Take if !has_room(p, push) => {
                let refused = Rejection::QueueFull(push.pipeline.clone());
                let reason = refused.to_string();
                full = Some((full.map_or(1, |(count, _)| count + 1), refused));
                Pushed::Ignored { pipeline: push.pipeline.clone(), reason }
            }
            Verdict::Take => {
                let taken = Pushed::Taken {
                    pipeline: push.pipeline.clone(),
                    fact: facts.len(),
                    version: p.built_of(&push.sha).cloned(),
                };
                facts.push(fact(requested(push, by, false)));
                facts.extend(dropped(p, push).map(fact));
                taken
            }
            Verdict::Ignore(reason) => Pushed::Ignored { pipeline: push.pipeline.clone(), reason },
            Verdict::LookAgain => Pushed::Overtaken { pipeline: push.pipeline.clone() },
            Verdict::IgnoreAndSay(reason) => {
                facts.push(fact(Event::PushIgnored {
                    sha: push.sha.clone(),
                    ref_name: push.ref_name.clone(),
                    reason: reason.clone(),
                }));
                Pushed::Ignored { pipeline: push.pipeline.clone(), reason }
            }
        });
    }
    match full {
        // Nothing of it is journaled, so that the ref is news to whoever looks again.
        Some((count, refused)) if count == pushes.len() => Err(refused),
        _ => Ok(Decision { facts, answer: Answer::Pushed(answers) }),
    }
}

enum Verdict {
    Take,
    Ignore(String),
    IgnoreAndSay(String),
    LookAgain,
}

/// What was looked at is journaled whatever comes of it, so that the next look finds nothing new there.
fn weigh(p: &PipelineState, push: &Push, again: bool) -> Verdict {
    if push.news == News::Told || !push.ref_taken {
        return weigh_told(p, push, again);
    }
    let seen = push.ref_name.as_ref().and_then(|name| p.refs.get(name)).map(|head| &head.seen);
    if push.news == News::Moved {
        // A hook that was held up tells of a move after which others came, and so does one before which others got lost.
        let is_next = seen.is_none_or(|seen| push.old.as_ref() == Some(seen) || push.sha == *seen);
        return if is_next { weigh_told(p, push, again) } else { Verdict::LookAgain };
    }
    if seen != push.old.as_ref() {
        return Verdict::LookAgain;
    }
    if seen == Some(&push.sha) {
        return Verdict::Ignore("the ref stands there since it was last seen".into());
    }
    if push.news == News::FoundThere {
        return Verdict::IgnoreAndSay("the ref stood there before anybody asked for builds of it".into());
    }
    match weigh_told(p, push, again) {
        Verdict::Ignore(reason) => Verdict::IgnoreAndSay(reason),
        other => other,
    }
}

fn weigh_told(p: &PipelineState, push: &Push, again: bool) -> Verdict {
    if !push.ref_taken {
        let name = push.ref_name.as_ref().map(|r| r.as_str()).unwrap_or_default();
        return Verdict::Ignore(format!("ref `{name}` is not among the refs of the pipeline"));
    }
    if let Some(request) = being_built(p, &push.sha) {
        let reason = "that commit is being built already".to_owned();
        // Another ref stands there from now on: what comes to the first one must not end the build.
        let seen = push.ref_name.as_ref().and_then(|name| p.refs.get(name)).map(|head| &head.seen);
        let is_known =
            push.ref_name.is_none() || push.ref_name == request.ref_name || seen == Some(&push.sha);
        return if is_known { Verdict::Ignore(reason) } else { Verdict::IgnoreAndSay(reason) };
    }
    if let Some(version) = p.built_of(&push.sha) {
        return if again || moved_back(p, push) {
            Verdict::Take
        } else {
            Verdict::Ignore(format!("that commit is built already, as {version}"))
        };
    }
    if again {
        return Verdict::Take;
    }
    // Nothing of it is left but that it was built: as a built one it comes back only by a branch or a person.
    if p.is_forgotten(&push.sha) && !moved_back(p, push) {
        let reason =
            "that commit was built before, and its version is forgotten: `tidegate rebuild` builds it again";
        return Verdict::Ignore(reason.into());
    }
    if push.tag_missing {
        return Verdict::IgnoreAndSay(
            "the version comes from a tag, and no tag points at that commit".into(),
        );
    }
    if !push.touched {
        return Verdict::IgnoreAndSay("it touches none of the pipeline's paths".into());
    }
    Verdict::Take
}

/// The request by which that commit waits to be built or is being built, if nothing ends it.
pub(super) fn being_built<'a>(p: &'a PipelineState, sha: &Sha) -> Option<&'a Request> {
    let goes_on = |build: &&Build| !build.canceled && overtaken_by(p, build).is_none();
    let building = p.build.as_ref().filter(goes_on).map(|build| &build.request);
    p.queue.iter().chain(building).find(|request| request.sha == *sha)
}

/// Whether a branch was moved to that commit from where it was last seen. A repeated or late delivery, whose `old`
/// is not where the branch was last seen, moves nothing.
fn moved_back(p: &PipelineState, push: &Push) -> bool {
    let Some(name) = push.ref_name.as_ref().filter(|name| name.as_str().starts_with("refs/heads/")) else {
        return false;
    };
    let seen = p.refs.get(name).map(|head| &head.seen);
    seen.is_some_and(|seen| *seen != push.sha && push.old.as_ref() == Some(seen))
}

pub(super) fn requested(push: &Push, by: Option<&Actor>, anew: bool) -> Event {
    Event::RebuildRequested {
        sha: push.sha.clone(),
        ref_name: push.ref_name.clone(),
        author: push.author.clone(),
        subject: push.subject.clone(),
        emails: push.emails.clone(),
        by_email: by.and_then(|actor| actor.email.clone()),
        anew,
    }
}

/// Whether a push that is to be taken makes the queue no longer than it may be: it takes the place of another, or brings a
/// built version to the front, where nothing need wait.
pub(super) fn has_room(p: &PipelineState, push: &Push) -> bool {
    p.has_room() || p.built_of(&push.sha).is_some() || dropped(p, push).next().is_some()
}

/// Older pushes to the same ref that have not begun, and whose commit no other ref stands at.
pub(super) fn dropped<'a>(p: &'a PipelineState, push: &'a Push) -> impl Iterator<Item = Event> + 'a {
    let name = push.ref_name.as_ref();
    let same_ref = p.queue.iter().filter(move |r| name.is_some() && r.ref_name.as_ref() == name);
    let unwanted = same_ref.filter(move |r| name.is_none_or(|name| !p.stands_elsewhere(name, &r.sha)));
    unwanted.map(|r| Event::BuildAborted {
        sha_aborted: r.sha.clone(),
        request: r.id,
        by_sha: Some(push.sha.clone()),
    })
}
