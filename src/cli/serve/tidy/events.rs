//! Events older than `[retention] events` leave the journal; what they come to stays, as its checkpoint.

use super::Tidier;
use crate::domain::{EventId, State, Time};
use crate::journal::{self, Filter, Journal};

pub(super) async fn forget(tidier: &Tidier) {
    let now = tidier.clock.now();
    let kept = tidier.retention.events.and_then(|kept| chrono::TimeDelta::from_std(kept).ok());
    let Some(moment) = kept.and_then(|kept| now.checked_sub_signed(kept)) else { return };
    let moment = tidier.engine.read(oldest_under_way).into_iter().chain([moment]).min();
    let journal = tidier.engine.journal();
    let before = match first_since(&**journal, moment.unwrap_or(now)).await {
        Ok(before) => before,
        Err(error) => return tracing::warn!(code = error.code(), "failed to {error}"),
    };
    let oldest = journal.oldest_id();
    match tidier.engine.forget_before(before, now).await {
        Ok(left) if left > oldest => tracing::info!(oldest = left.0, "events past their time are removed"),
        Ok(_) => {}
        Err(refusal) => tracing::warn!(code = refusal.code(), "failed to forget old events: {refusal}"),
    }
}

/// Since when the oldest thing lasts that is under way: its events tell how it began.
fn oldest_under_way(state: &State) -> Option<Time> {
    let of = |p: &crate::domain::state::PipelineState| {
        let inside = p.tiers.values().filter_map(|t| t.inside.as_ref()).map(|inside| inside.at);
        inside.chain(p.build.iter().map(|build| build.at)).min()
    };
    state.pipelines.values().filter_map(of).min()
}

/// The first event that is not older than a moment, found by halving. Where the clock was set back in between it may be
/// another of that time: order is by number.
async fn first_since(journal: &dyn Journal, moment: Time) -> Result<EventId, journal::Error> {
    let moment = moment.timestamp_micros();
    let (mut low, mut high) = (journal.oldest_id().0, journal.last_id().0);
    while low < high {
        let middle = low + (high - low) / 2;
        let page = journal.read(EventId(middle - 1), 1, &Filter::default()).await?;
        match page.records.first() {
            Some(record) if record.at_us < moment => low = record.id.0.max(middle) + 1,
            _ => high = middle,
        }
    }
    Ok(EventId(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{MemoryJournal, Record};

    #[tokio::test]
    async fn the_first_event_of_a_time_is_found() {
        let journal = MemoryJournal::new();
        let records = (1..=100).map(|id| Record {
            id: EventId(id),
            at_us: id as i64 * 10,
            kind: "hold_set".into(),
            pipeline: None,
            tier: None,
            run: None,
            body: "".into(),
        });
        journal.append(records.collect()).await.unwrap();
        for (at_us, found) in [(0, 1), (10, 1), (11, 2), (500, 50), (505, 51), (1_000, 100), (9_999, 100)] {
            let moment = chrono::DateTime::from_timestamp_micros(at_us).unwrap();
            assert_eq!(first_since(&journal, moment).await.unwrap(), EventId(found), "{at_us}");
        }
    }
}
