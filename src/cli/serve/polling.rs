//! Looking for pushes by oneself (`poll` in `[source]`): a hook or a webhook may get lost, and nobody may have been there
//! to hear it. Each pipeline that asks for it is looked at soon after the start, and then again and again, a little off
//! the beat, so that many do not come at once. Where that fails it is tried more and more seldom, up to once an hour.
//!
//! When no pipeline polls, nothing runs here: the task waits for definitions to change.

use crate::clock::chance;
use crate::domain::{Digest, PipelineName};
use crate::engine::Engine;
use crate::printable;
use crate::server::{LookError, Polled, Pushes};
use crate::source::Location;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Repositories that are looked at at once.
const AT_ONCE: usize = 4;

/// The first look at a pipeline comes within this time, or within its interval if that is shorter.
const SOON: Duration = Duration::from_secs(2);

/// However often it failed, it is tried again after so long, or after the interval if that is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Looks for pushes until it is told to end. `reloaded` is notified whenever definitions may have changed.
pub(super) async fn follow(engine: Engine, pushes: Pushes, reloaded: Arc<Notify>, end: CancellationToken) {
    let mut polling = Polling { engine, pushes, watched: BTreeMap::new(), looks: JoinSet::new() };
    // What the journal says of definitions may be out of date until the files have been read.
    let begun = async {
        reloaded.notified().await;
        polling.engine.until_ready().await;
    };
    tokio::select! {
        () = end.cancelled() => return,
        () = begun => {}
    }
    polling.reload();
    loop {
        let next = polling.begin_due();
        let due = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = end.cancelled() => return,
            () = reloaded.notified() => polling.reload(),
            () = due => {}
            Some(look) = polling.looks.join_next() => {
                let look = look.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
                polling.ended(look);
            }
        }
    }
}

struct Polling {
    engine: Engine,
    pushes: Pushes,
    watched: BTreeMap<PipelineName, Watched>,
    /// Dropped with the task: then git is ended, too.
    looks: JoinSet<Look>,
}

/// A pipeline that polls.
#[derive(Debug)]
struct Watched {
    digest: Digest,
    repo: String,
    interval: Duration,
    /// When it is looked at next; none: just now.
    due: Option<Instant>,
    /// How often in a row that failed.
    failures: u32,
}

/// A look that ended.
struct Look {
    pipeline: PipelineName,
    /// The definition under which it began.
    digest: Digest,
    result: Result<Polled, LookError>,
}

impl Polling {
    /// Follows the definitions in force.
    fn reload(&mut self) {
        let now = Instant::now();
        let in_force = self.engine.read(|state| {
            let all = state.pipelines.iter().filter_map(|(name, p)| Some((name, p.in_force.as_ref()?)));
            let polled = all.filter_map(|(name, it)| {
                let source = &it.definition.source;
                Some((name.clone(), it.digest.clone(), source.repo.clone(), source.poll?.duration()))
            });
            polled.collect::<Vec<_>>()
        });
        let mut before = std::mem::take(&mut self.watched);
        for (name, digest, repo, interval) in in_force {
            let known = before.remove(&name).filter(|known| known.digest == digest);
            let soon = || jittered(interval.min(SOON) / 2, chance());
            let watched = known.unwrap_or_else(|| Watched {
                digest,
                repo,
                interval,
                due: Some(now + soon()),
                failures: 0,
            });
            self.watched.insert(name, watched);
        }
    }

    /// Begins the looks whose time has come, as far as there is room; when the next one comes, if one can begin then.
    fn begin_due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        loop {
            if self.looks.len() >= AT_ONCE {
                // The end of a look comes first.
                return None;
            }
            let waiting = self.watched.iter_mut().filter_map(|(name, it)| Some((it.due?, name, it)));
            let (due, name, watched) = waiting.min_by_key(|(due, ..)| *due)?;
            if due > now {
                return Some(due);
            }
            watched.due = None;
            let (pipeline, digest, pushes) = (name.clone(), watched.digest.clone(), self.pushes.clone());
            self.looks.spawn(async move {
                let result = pushes.poll(&pipeline).await;
                Look { pipeline, digest, result }
            });
        }
    }

    /// Says what came of a look, and when the next is due.
    fn ended(&mut self, look: Look) {
        let found = self.watched.get_mut(&look.pipeline);
        // A look under a definition that is no longer in force says nothing about the one that is.
        let Some(watched) = found.filter(|watched| watched.digest == look.digest) else { return };
        let pipeline = printable::line(look.pipeline.as_str()).into_owned();
        let repo = Location::parse(&watched.repo).map_or_else(|_| String::new(), |location| location.shown());
        let repo = printable::line(&repo).into_owned();
        match look.result {
            Ok(polled) => {
                if watched.failures > 0 {
                    tracing::info!(pipeline, repo, "the repository can be looked at again");
                }
                watched.failures = 0;
                say(&pipeline, &polled);
            }
            Err(error) => {
                watched.failures = watched.failures.saturating_add(1);
                let pause = pause(watched.interval, watched.failures);
                let (code, help) = (error.code(), error.help());
                tracing::warn!(
                    pipeline,
                    repo,
                    code,
                    help,
                    "looking for pushes failed, and is tried again in about {pause:?}: failed to {}",
                    printable::line(&error.to_string())
                );
            }
        }
        watched.due = Some(Instant::now() + jittered(pause(watched.interval, watched.failures), chance()));
    }
}

fn say(pipeline: &str, polled: &Polled) {
    if !polled.answer.accepted.is_empty() {
        let count = polled.answer.accepted.len();
        tracing::info!(pipeline, count, "found pushes that nobody told of");
    }
    if polled.found_there > 0 {
        let count = polled.found_there;
        tracing::info!(
            pipeline,
            count,
            "branches or tags stood there already and are not built: push to them, or `tidegate rebuild`"
        );
    }
}

/// The time until the next look after so many failures in a row.
fn pause(interval: Duration, failures: u32) -> Duration {
    let longer = interval.saturating_mul(1 << failures.min(20));
    longer.min(LONGEST_PAUSE.max(interval))
}

/// Up to a tenth less or more, by chance.
fn jittered(time: Duration, chance: u32) -> Duration {
    let share = f64::from(chance) / f64::from(u32::MAX);
    time.mul_f64(0.9 + 0.2 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn failures_make_it_seldom_but_never_give_it_up() {
        let pauses: Vec<u64> = (0..7).map(|failures| pause(5 * MINUTE, failures).as_secs() / 60).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60, 60]);
        assert_eq!(pause(MINUTE, u32::MAX), LONGEST_PAUSE);
        assert_eq!(pause(24 * LONGEST_PAUSE, 3), 24 * LONGEST_PAUSE, "never sooner than asked for");
    }

    #[test]
    fn it_is_off_the_beat_by_a_tenth_at_most() {
        assert_eq!(jittered(10 * MINUTE, 0), 9 * MINUTE);
        assert_eq!(jittered(10 * MINUTE, u32::MAX), 11 * MINUTE);
        assert!((9 * MINUTE..=11 * MINUTE).contains(&jittered(10 * MINUTE, chance())));
    }
}
