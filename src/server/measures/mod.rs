//! `GET /api/measures`: how well deliveries go, counted from the journal: the four measures of DORA (<https://dora.dev>),
//! how long gates take and which are flaky, and what versions wait for. How each is counted stands at its field.

mod fold;
mod spread;

pub use spread::Spread;

use super::Server;
use super::asking::Parameters;
use super::guard::Caller;
use super::problem::Problem;
use super::state::settled;
use crate::domain::{EventId, GateName, PipelineName, TierName, Time};
use crate::journal::{Filter, Journal, KindPattern};
use crate::wire;
use axum::extract::State;
use axum::{Extension, Json};
use chrono::TimeDelta;
use fold::{Fold, last_tiers};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Days that are looked at unless more or fewer are asked for.
const DAYS: u32 = 30;
/// Most days.
pub(super) const DAYS_LIMIT: u32 = 366;
/// Records read at once.
const PAGE: usize = 2_000;

/// How well deliveries went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasuresView {
    /// The last event that was counted.
    pub id: EventId,
    /// When it was counted.
    pub at: Time,
    /// Days before that which were looked at.
    pub days: u32,
    /// How many of these days the journal covers, with their fractions: at least 1, at most `days`.
    pub covered_days: f64,
    /// Events that were looked at.
    pub events: u64,
    /// Whether the journal goes back that far.
    pub complete: bool,
    /// Versions that passed a last tier: one that no other tier comes after.
    pub deployments: Deployments,
    /// From the request for the build to passing a last tier; of a version that passes several, each time.
    pub lead_time: Spread,
    /// Of the versions that entered a last tier and were put on a node of it: those that were stopped or sent back, at once
    /// or later.
    pub change_failure: Share,
    /// From the first failure in a last tier to the next moment at which a version passed there or all of it was back.
    pub time_to_restore: Spread,
    /// Runs of gates that judged, slowest first by median.
    pub gates: Vec<GateMeasure>,
    /// The median duration of all gates, day by day; days without one are left out.
    pub gate_days: Vec<GateDay>,
    /// How long versions had each kind of blocker in front of a tier, longest first; one that has two counts for both.
    pub waiting: Vec<WaitingMeasure>,
}

/// How many versions were delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deployments {
    /// In all.
    pub count: u64,
    /// Day by day, in UTC, days without one included.
    pub by_day: Vec<DayCount>,
}

/// A day's count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayCount {
    /// The day, such as `2026-11-24`.
    pub day: String,
    /// How many.
    pub count: u64,
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// The part.
    pub failed: u64,
    /// The whole.
    pub of: u64,
}

/// A gate's runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateMeasure {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The tier.
    pub tier: TierName,
    /// The gate's name.
    pub name: GateName,
    /// Runs that judged.
    pub runs: u64,
    /// Those that failed for good.
    pub failed: u64,
    /// Those that passed only at another try, or were followed by one that did.
    pub flaky: u64,
    /// The median of their durations, in seconds.
    pub median_s: f64,
}

/// All gates on a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateDay {
    /// The day, in UTC.
    pub day: String,
    /// The median of their durations, in seconds.
    pub median_s: f64,
}

/// A kind of blocker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingMeasure {
    /// Its kind, such as `soak`.
    pub kind: String,
    /// How long, over all versions, in seconds.
    pub total_s: f64,
    /// How often.
    pub times: u64,
}

/// Counts.
pub(super) async fn measures(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
) -> Result<Json<MeasuresView>, Problem> {
    let parameters = parameters.only(&["days", "pipeline"])?;
    let days = parameters.read("days", "a number from 1 to 366")?.unwrap_or(DAYS);
    if days == 0 || days > DAYS_LIMIT {
        let detail = format!("the parameter `days` is {days}");
        return Err(Problem::bad_query(detail, format!("it is from 1 to {DAYS_LIMIT}")));
    }
    let now = server.options.clock.now();
    let begin = now - TimeDelta::days(days.into());
    let (upto, last) = settled(&server, |state| {
        let in_force =
            state.pipelines.iter().filter_map(|(name, p)| Some((name.clone(), last_tiers(p.definition()?))));
        (state.last, in_force.collect())
    })
    .await?;
    let journal = server.engine.journal();
    let after = before_time(journal.as_ref(), begin).await?;
    let oldest =
        journal.read(EventId(journal.oldest_id().0.saturating_sub(1)), 1, &Filter::default()).await?;
    let oldest = oldest.records.first().and_then(|record| Time::from_timestamp_micros(record.at_us));
    let complete = after.0 + 1 > journal.oldest_id().0 || journal.oldest_id().0 <= 1;
    // A version that passes now may have been asked for, or failed first, before that.
    let earlier = before_time(journal.as_ref(), begin - TimeDelta::days(days.into())).await?;
    let filter = Filter {
        pipeline: parameters.all("pipeline").map(Arc::from).collect(),
        kinds: fold::KINDS.iter().map(|kind| KindPattern::Exact((*kind).into())).collect(),
        scope: caller.scope,
        ..Filter::default()
    };
    let mut fold = Fold::new(begin, last);
    let mut after = earlier;
    while after < upto {
        let page = journal.read(after, PAGE, &filter).await?;
        if page.scanned <= after {
            break;
        }
        after = page.scanned;
        for record in page.records.iter().filter(|record| record.id <= upto) {
            // What another release wrote and this one does not know is not counted.
            if let Ok(envelope) = wire::decode(&record.body) {
                fold.event(&envelope);
            }
        }
    }
    Ok(Json(MeasuresView {
        covered_days: covered(oldest.unwrap_or(now), now, days),
        ..fold.finish(upto, now, days, complete)
    }))
}

/// How many of the days before `now` the journal covers that begins at `oldest`. What happened within the first day
/// counts for a day, that an hour's work is not taken for a habit.
fn covered(oldest: Time, now: Time, days: u32) -> f64 {
    let covered = (now - oldest).num_seconds() as f64 / 86_400.0;
    covered.clamp(1.0, days.into())
}

/// The last event before a moment; times may jump back a little in a journal, which moves the answer by as much.
pub(super) async fn before_time(journal: &dyn Journal, moment: Time) -> Result<EventId, Problem> {
    let (mut low, mut high) = (journal.oldest_id().0.saturating_sub(1), journal.last_id().0);
    let moment = moment.timestamp_micros();
    while low < high {
        let middle = low + (high - low) / 2;
        let page = journal.read(EventId(middle), 1, &Filter::default()).await?;
        match page.records.first() {
            Some(record) if record.at_us < moment => low = record.id.0,
            _ => high = middle,
        }
    }
    Ok(EventId(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_that_are_covered_are_at_least_one_and_at_most_those_asked_for() {
        let now = Time::from_timestamp(1_700_000_000, 0).unwrap();
        let covered = |hours: i64| covered(now - TimeDelta::hours(hours), now, 30);
        assert_eq!(covered(1), 1.0);
        assert_eq!(covered(36), 1.5);
        assert_eq!(covered(24 * 400), 30.0);
        assert_eq!(covered(-5), 1.0);
    }
}
