//! What follows by itself, in one pipeline after the other, until nothing does any more.

use super::*;

impl Loop {
    /// Lets everything follow in the pipelines that were touched, and begins and stops what that asks for.
    pub(super) async fn follow(&mut self) -> Result<(), journal::Error> {
        if self.trouble.is_some() {
            return Ok(());
        }
        if self.free_slots() > 0 {
            let starved = std::mem::take(&mut self.starved);
            self.mark(starved);
        }
        self.look_at_clock();
        let disk_full = self.ask_disk();
        while let Some(name) = self.dirty.pop() {
            let now = self.now();
            // One slot at a time while others may want one too.
            let most = if self.dirty.is_empty() { u32::MAX } else { 1 };
            let open = self.draining.is_none();
            let room = Room { now, slots: self.free_slots().min(most), open, disk_full };
            let next = self.look(|state| proceed(state, &name, &room));
            if !next.facts.is_empty() {
                self.mark([name]);
                if let Err(error) = self.commit(next.facts, now).await {
                    return self.in_trouble(error);
                }
                continue;
            }
            match next.wake {
                Some(wake) => self.wakes.insert(name.clone(), wake),
                None => self.wakes.remove(&name),
            };
            if next.starved {
                self.starved.insert(name.clone());
            }
            if next.short_of_disk {
                self.short_of_disk.insert(name.clone());
                self.signs.short.send_if_modified(|short| !std::mem::replace(short, true));
                if self.disk_again.is_none() {
                    let full = crate::engine::Standstill::DiskFull;
                    tracing::warn!(code = full.code(), help = full.help(), "{full}: nothing new begins");
                }
                self.disk_again = Some(Instant::now() + DISK_PAUSE);
            }
            self.reconcile(&name, now, disk_full).await?;
        }
        Ok(())
    }

    /// Everything that waits for a moment is looked at again when the clock was put back.
    fn look_at_clock(&mut self) {
        let now = self.now();
        if now < self.seen {
            tracing::info!(from = %self.seen, to = %now, "the clock was put back");
            let waiting: Vec<PipelineName> = self.wakes.keys().cloned().collect();
            self.mark(waiting);
        }
        self.seen = now;
    }

    /// Whether the disk is full. If it is not (any more), what waited for it is looked at.
    pub(super) fn ask_disk(&mut self) -> bool {
        let full = self.parts.disk.is_full();
        if !full && self.trouble.is_none() {
            self.signs.short.send_if_modified(|short| std::mem::replace(short, false));
        }
        let waited = self.disk_again.is_some();
        self.disk_again = (full && waited).then(|| Instant::now() + DISK_PAUSE);
        if !full && waited {
            tracing::info!("there is room on the disk again: what waited for it goes on");
            let short = std::mem::take(&mut self.short_of_disk);
            self.mark(short);
        }
        full
    }
}
