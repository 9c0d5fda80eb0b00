//! What is not needed any more goes, in the background: after every build the versions beyond `[retention] versions`
//! with their artifacts, and once a day what is only old.
//!
//! Everything here may be ended at any moment and begun again: each step removes one thing that nothing refers to.
//! Files go slowly, a few a second: after thousands at once some file systems make new ones at half their speed.

mod artifacts;
mod events;
mod logs;
mod measuring;
mod mirrors;
mod refs;
mod room;

use crate::artifact::Store;
use crate::clock::Clock;
use crate::disk::{Gauge, Usage};
use crate::domain::Command;
use crate::engine::{Engine, Refusal};
use crate::server::Pushes;
use crate::settings::{Retention, StateDir};
use crate::source::Git;
use measuring::Measuring;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const DAY: Duration = Duration::from_secs(86_400);

/// How long what a build stored is left alone though no version needs it, and somewhat more.
const SPARED: Duration = Duration::from_secs(3_660);

/// How soon more room is looked for while something waits for it.
const AGAIN: Duration = Duration::from_secs(60);

/// Pause after each file that is removed.
const BREATH: Duration = Duration::from_millis(50);

/// Who tidies, and with what.
pub(super) struct Tidier {
    pub(super) engine: Engine,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) git: Git,
    pub(super) pushes: Pushes,
    pub(super) state: StateDir,
    pub(super) store: Store,
    pub(super) retention: Retention,
    /// Where it notes how large everything is.
    pub(super) gauge: Gauge,
    pub(super) end: CancellationToken,
}

impl Tidier {
    /// Tidies until it is told to end.
    pub(super) async fn run(self) {
        let end = self.end.clone();
        tokio::select! {
            () = end.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&self) {
        self.engine.until_ready().await;
        let (mut builds, mut backups) = (self.engine.builds(), self.engine.backups());
        // What was left when the last controller ended.
        self.forget_versions().await;
        self.remove_what_is_old().await;
        let mut measuring = Measuring::default();
        self.measure(&mut measuring).await;
        let mut tomorrow = Instant::now() + DAY;
        let mut short = self.engine.short_of_disk();
        let mut look_for_room = short.borrow().then(Instant::now);
        // What was stored shortly before the start is spared then, and has its hour.
        let mut sweep = Some(Instant::now() + SPARED);
        loop {
            tokio::select! {
                () = at(look_for_room) => {
                    room::make(self).await;
                    measuring.wanted(Instant::now());
                    look_for_room = short.borrow_and_update().then(|| Instant::now() + AGAIN);
                }
                changed = short.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    look_for_room = short.borrow_and_update().then(Instant::now);
                }
                () = at(sweep) => {
                    sweep = None;
                    artifacts::sweep(self).await;
                    measuring.wanted(Instant::now());
                }
                () = tokio::time::sleep_until(tomorrow) => {
                    tomorrow += DAY;
                    mirrors::tidy(self).await;
                    refs::forget(self).await;
                    self.forget_versions().await;
                    self.remove_what_is_old().await;
                    measuring.wanted(Instant::now());
                }
                kept = backups.changed() => {
                    if kept.is_err() {
                        return;
                    }
                    artifacts::sweep(self).await;
                    sweep.get_or_insert(Instant::now() + SPARED);
                    measuring.wanted(Instant::now());
                }
                () = measuring.due() => self.measure(&mut measuring).await,
                ended = builds.changed() => {
                    if ended.is_err() {
                        return;
                    }
                    if self.forget_versions().await {
                        artifacts::sweep(self).await;
                        sweep.get_or_insert(Instant::now() + SPARED);
                    }
                    // What it leaves may be what fills the disk.
                    look_for_room = short.borrow().then(Instant::now);
                    measuring.wanted(Instant::now());
                }
            }
        }
    }

    /// Whether any was forgotten.
    async fn forget_versions(&self) -> bool {
        let mut any = false;
        loop {
            match self.engine.ask(Command::Prune { keep: self.retention.versions }).await {
                Ok(receipt) if receipt.ids.is_empty() => return any,
                Ok(_) => any = true,
                Err(Refusal::Ended) => return any,
                Err(refusal) => {
                    tracing::warn!(code = refusal.code(), "failed to forget old versions: {refusal}");
                    return any;
                }
            }
        }
    }

    async fn remove_what_is_old(&self) {
        artifacts::sweep(self).await;
        logs::sweep(self).await;
        events::forget(self).await;
    }

    async fn measure(&self, measuring: &mut Measuring) {
        let (state, at, began) = (self.state.clone(), self.clock.now(), Instant::now());
        let measured = tokio::task::spawn_blocking(move || {
            Usage::of(&state.logs(), &state.artifacts(), &state.work(), at)
        });
        if let Ok(usage) = measured.await {
            self.gauge.set(usage);
        }
        measuring.done(began, Instant::now());
    }

    /// Rests after something was removed, unless somebody waits for the room.
    async fn breathe(&self) {
        if !*self.engine.short_of_disk().borrow() {
            tokio::time::sleep(BREATH).await;
        }
    }
}

/// Resolves at that moment; never without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
