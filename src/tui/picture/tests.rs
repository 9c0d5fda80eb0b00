//! The fold of what is told.

use super::*;
use crate::domain::Fact;
use crate::server::OnePipeline;
use chrono::TimeDelta;
use serde_json::json;

fn here() -> Time {
    Time::from_timestamp(1_795_424_400, 0).unwrap()
}

fn pipeline(description: &str) -> PipelineView {
    let view = json!({"name": "shop", "description": description, "queue": [], "tiers": [], "versions": []});
    serde_json::from_value(view).unwrap()
}

fn state(id: u64, description: &str) -> Message {
    let view = json!({"id": id, "at": here(), "pipelines": [pipeline(description)], "rejected": []});
    Message::State(Box::new(serde_json::from_value(view).unwrap()))
}

fn one(id: u64, description: &str) -> Message {
    let one = OnePipeline {
        id: EventId(id),
        at: here(),
        pipeline: pipeline(description),
        standstill: None,
        troubles: Vec::new(),
    };
    Message::Pipeline(Box::new(one))
}

fn event(id: u64) -> Message {
    let fact = Fact::of(&"shop".into(), Event::LookedOver);
    Message::Event(Arc::new(Envelope { id: EventId(id), at: here(), fact }))
}

fn shown(picture: &Picture) -> &str {
    picture.pipelines()[0].description.as_deref().unwrap()
}

#[test]
fn what_is_older_never_takes_the_place_of_what_is_newer() {
    let mut picture = Picture::new(Link::Live);
    picture.take(state(5, "five"), here());
    picture.take(one(7, "seven"), here());
    picture.take(state(6, "six"), here());
    assert_eq!(shown(&picture), "seven");
    picture.take(one(4, "four"), here());
    assert_eq!(shown(&picture), "seven");
    picture.take(state(8, "eight"), here());
    assert_eq!(shown(&picture), "eight");
}

#[test]
fn an_event_makes_its_pipeline_dirty_until_an_answer_has_it() {
    let mut picture = Picture::new(Link::Live);
    assert_eq!(picture.fresh.next(here()), Some(Fetch::State));
    picture.take(state(5, "five"), here());
    picture.take(event(6), here());
    let later = here() + TimeDelta::seconds(1);
    assert_eq!(picture.fresh.next(later), Some(Fetch::Pipeline("shop".into())));
    picture.take(one(6, "six"), later);
    assert_eq!(picture.fresh.next(later + TimeDelta::seconds(1)), None);
}

#[test]
fn what_is_said_twice_happened_once() {
    let mut picture = Picture::new(Link::Live);
    (6..10).for_each(|id| picture.take(event(id), here()));
    picture.take(Message::Lagged(3, EventId(7)), here());
    (8..12).for_each(|id| picture.take(event(id), here()));
    let ids: Vec<u64> = picture.history.events().map(|envelope| envelope.id.0).collect();
    assert_eq!(ids, [6, 7, 8, 9, 10, 11]);
    assert!(picture.note.is_some(), "that it lagged is said");
}

#[test]
fn a_cut_keeps_its_beginning_and_its_end_is_marked() {
    let mut picture = Picture::new(Link::Live);
    picture.take(state(5, "five"), here());
    picture.take(Message::Cut("gone".into()), here());
    picture.take(Message::Cut("still gone".into()), here() + TimeDelta::seconds(9));
    assert_eq!(picture.link, Link::Cut(here(), "still gone".into()));
    assert_eq!(shown(&picture), "five", "what was known stays");
    picture.take(Message::Back, here() + TimeDelta::seconds(12));
    let marked =
        |entry: &Entry| matches!(entry, Entry::Mark(_, odd) if odd.text().contains("cut off for 12s"));
    assert!(picture.history.entries.iter().any(marked));
}

#[test]
fn the_same_again_is_no_change() {
    let mut picture = Picture::new(Link::Live);
    picture.take(state(5, "five"), here());
    let changes = picture.changes;
    picture.take(state(5, "five"), here());
    assert_eq!(picture.changes, changes);
    picture.take(state(6, "five"), here());
    assert_ne!(picture.changes, changes);
}

#[test]
fn the_controllers_clock_counts_where_it_is_far_off() {
    let mut picture = Picture::new(Link::Live);
    picture.take(state(5, "five"), here() + TimeDelta::hours(1));
    assert_eq!(picture.now(here() + TimeDelta::hours(1)), here());
    picture.take(state(5, "five"), here() + TimeDelta::seconds(1));
    assert_eq!(picture.now(here()), here());
}
