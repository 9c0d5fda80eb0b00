//! The one sequence, under bursts, lags, filters, retention and random histories.

use super::*;
use crate::journal::contract::checkpoint_at;
use crate::journal::{Error, MemoryJournal, SqliteJournal};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

fn record(id: u64) -> Record {
    Record {
        id: EventId(id),
        at_us: id as i64,
        kind: ["gate_done", "deploy_ok"][id as usize % 2].into(),
        pipeline: Some(["shop", "blog", "wiki"][id as usize % 3].into()),
        tier: id.is_multiple_of(4).then(|| "prod".into()),
        run: None,
        body: id.to_string().into(),
    }
}

/// A chunk of a log, whose text is the number of the event before it.
fn chunk(place: u64) -> Arc<Frame> {
    Arc::new(Frame {
        id: None,
        kind: "gate_log_chunk".into(),
        pipeline: Some("shop".into()),
        tier: None,
        run: Some(1),
        is_log: true,
        text: place.to_string().into(),
    })
}

/// A journal and its bus, and an engine that does with them what the real one does.
struct House {
    journal: Arc<dyn Journal>,
    bus: Bus,
}

impl House {
    fn new(journal: Arc<dyn Journal>) -> Arc<Self> {
        Arc::new(Self { bus: Bus::new(journal.clone()), journal })
    }

    fn in_memory() -> Arc<Self> {
        Self::new(Arc::new(MemoryJournal::new()))
    }

    /// Journals so many events; the records.
    async fn append(&self, count: u64) -> Vec<Record> {
        let last = self.journal.last_id().0;
        let records: Vec<_> = (last + 1..=last + count).map(record).collect();
        self.journal.append(records.clone()).await.unwrap();
        records
    }

    /// Journals so many events, and publishes them once they are durable.
    async fn emit(&self, count: u64) {
        let records = self.append(count).await;
        self.journal.sync(self.journal.last_id()).await.unwrap();
        for record in &records {
            self.bus.publish(Arc::new(record.into()));
        }
    }

    fn since(&self, id: u64) -> Subscription {
        self.bus.subscribe(Start::since(EventId(id))).unwrap()
    }

    fn live(&self) -> Subscription {
        self.bus.subscribe(Start::live()).unwrap()
    }
}

/// What is there now, shortened: `7` an event, `~7` a chunk placed after it, and the rest by name.
fn drain(subscription: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| subscription.next_now().filter(|item| *item != Item::Ended))
        .map(|item| short(&item))
        .collect()
}

fn short(item: &Item) -> String {
    match item {
        Item::Event(frame) if frame.is_log => format!("~{}", frame.text),
        Item::Event(frame) => {
            assert_eq!(frame.id.unwrap().to_string(), frame.text.as_str());
            frame.text.to_string()
        }
        Item::Lagged { missed, after } => format!("lagged {missed} after {after}"),
        Item::Gap { oldest } => format!("gap {oldest}"),
        Item::Failed(error) => error.code().to_owned(),
        Item::Ended => "ended".to_owned(),
    }
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

#[tokio::test]
async fn the_backlog_is_what_the_slowest_has_not_taken() {
    let house = House::in_memory();
    let (mut quick, mut slow) = (house.live(), house.live());
    house.emit(3).await;
    drain(&mut quick);
    assert_eq!(house.bus.backlog(), 3);
    assert!(slow.next_now().is_some());
    assert_eq!(house.bus.backlog(), 2);
    drop(slow);
    assert_eq!(house.bus.backlog(), 0);
}

#[tokio::test]
async fn the_past_then_the_present() {
    let house = House::in_memory();
    house.emit(1_200).await;
    let mut late = house.since(1_198);
    let mut whole = house.since(0);
    let mut live = house.live();
    assert_eq!(house.bus.subscribers(), 3);
    assert_eq!(drain(&mut whole), numbers(1..=1_200));
    house.emit(1).await;
    house.bus.publish(chunk(1_201));
    house.emit(1).await;
    assert_eq!(
        drain(&mut late),
        ["1199", "1200", "1201", "1202"],
        "chunks from before it joined are left out"
    );
    assert_eq!(drain(&mut whole), ["1201", "~1201", "1202"]);
    assert_eq!(drain(&mut live), ["1201", "~1201", "1202"]);
    drop(whole);
    assert_eq!(house.bus.subscribers(), 2);
}

#[tokio::test]
async fn what_is_not_durable_is_not_shown() {
    let journal = Arc::new(MemoryJournal::new());
    let house = House::new(journal.clone());
    house.emit(3).await;
    journal.hold_durability();
    let records = house.append(3).await;
    let mut subscription = house.since(1);
    assert_eq!(drain(&mut subscription), ["2", "3"]);
    journal.release_upto(EventId(5));
    assert_eq!(drain(&mut house.since(1)), ["2", "3", "4", "5"], "durable is enough for the past");
    house.bus.publish(Arc::new((&records[0]).into()));
    assert_eq!(drain(&mut subscription), ["4"]);
    house.bus.publish(Arc::new((&records[1]).into()));
    journal.release_durability();
    house.bus.publish(Arc::new((&records[2]).into()));
    assert_eq!(drain(&mut subscription), ["5", "6"]);
}

#[tokio::test]
async fn a_failed_sync_ends_a_replay() {
    let journal = Arc::new(MemoryJournal::new());
    let house = House::new(journal.clone());
    house.emit(600).await;
    let mut subscription = house.since(0);
    assert_eq!(short(&subscription.next().await), "1");
    journal.fail_sync("gone");
    let shown = drain(&mut subscription);
    assert_eq!(shown[..499], numbers(2..=500));
    assert_eq!(shown[499..], ["TG-JOURNAL-002"]);
    assert_eq!(subscription.next().await, Item::Ended);
}

#[tokio::test]
async fn the_future_is_refused() {
    let house = House::in_memory();
    house.emit(3).await;
    let refused = house.bus.subscribe(Start::since(EventId(4))).unwrap_err();
    assert_eq!(refused, Future { since: EventId(4), last: EventId(3) });
    assert!(drain(&mut house.since(3)).is_empty());
    assert!(house.bus.subscribe(Start::since(EventId(u64::MAX))).is_err());
}

#[tokio::test]
async fn the_edge_of_the_bus() {
    for (count, missed) in [(255, 0), (256, 0), (257, 1), (512, 256), (600, 344)] {
        let house = House::in_memory();
        house.emit(10).await;
        let (mut live, mut since) = (house.live(), house.since(10));
        assert_eq!(since.next_now(), None, "it has joined");
        house.emit(count).await;
        let mut wanted = if missed == 0 { vec![] } else { vec![format!("lagged {missed} after 10")] };
        let on_the_bus = wanted.iter().cloned().chain(numbers(11 + missed..=10 + count)).collect::<Vec<_>>();
        wanted.extend(numbers(11..=10 + count));
        assert_eq!(drain(&mut live), on_the_bus, "{count}");
        assert_eq!(drain(&mut since), wanted, "{count}");
    }
}

#[tokio::test]
async fn a_lag_costs_chunks_only_and_says_so_each_time() {
    let house = House::in_memory();
    let mut since = house.since(0);
    assert_eq!(since.next_now(), None);
    house.emit(2).await;
    for _ in 0..300 {
        house.bus.publish(chunk(2));
    }
    house.emit(1).await;
    let shown = drain(&mut since);
    assert_eq!(shown[..3], ["lagged 47 after 0", "1", "2"]);
    assert_eq!(shown[3..258], vec!["~2"; 255]);
    assert_eq!(shown[258..], ["3"]);
    house.emit(300).await;
    assert_eq!(short(&since.next().await), "lagged 44 after 3");
    assert_eq!(short(&since.next().await), "4");
    house.emit(300).await;
    let shown = drain(&mut since);
    assert_eq!(shown.iter().filter(|item| item.starts_with("lagged")).count(), 1, "again");
    let events: Vec<_> = shown.into_iter().filter(|item| !item.starts_with("lagged")).collect();
    assert_eq!(events, numbers(5..=603));
}

#[tokio::test]
async fn falling_behind_during_a_replay_is_no_lag() {
    let house = House::in_memory();
    house.emit(1_000).await;
    let mut since = house.since(0);
    for id in 1..=700 {
        assert_eq!(short(&since.next().await), id.to_string());
    }
    house.emit(2_000).await;
    house.bus.publish(chunk(3_000));
    assert_eq!(drain(&mut since), numbers(701..=3_000));
    house.bus.publish(chunk(3_000));
    house.emit(1).await;
    assert_eq!(drain(&mut since), ["~3000", "3001"]);
}

#[tokio::test]
async fn filters_hold_for_past_and_present() {
    let house = House::in_memory();
    house.emit(40).await;
    let filter = |kinds: &[&str]| Filter {
        pipeline: vec!["shop".into()],
        kinds: kinds.iter().map(|kind| kind.parse().unwrap()).collect(),
        ..Filter::default()
    };
    let subscribe = |since: Option<u64>, filter: Filter, logs: bool| {
        house.bus.subscribe(Start { since: since.map(EventId), filter, logs }).unwrap()
    };
    let mut all = subscribe(Some(30), filter(&[]), true);
    let mut quiet = subscribe(Some(30), filter(&[]), false);
    let mut gates = subscribe(Some(30), filter(&["gate_*"]), true);
    let mut live = subscribe(None, filter(&["deploy_ok"]), true);
    let mut prod = subscribe(Some(30), Filter { tier: vec!["prod".into()], ..Filter::default() }, true);
    for subscription in [&mut all, &mut quiet, &mut gates, &mut live, &mut prod] {
        let past = drain(subscription);
        assert!(past.is_empty() || past[0].parse::<u64>().unwrap() > 30);
    }
    house.emit(5).await;
    house.bus.publish(chunk(45));
    house.emit(10).await;
    assert_eq!(drain(&mut all), ["42", "45", "~45", "48", "51", "54"]);
    assert_eq!(drain(&mut quiet), ["42", "45", "48", "51", "54"]);
    assert_eq!(drain(&mut gates), ["42", "~45", "48", "54"]);
    assert_eq!(drain(&mut live), ["45", "51"]);
    assert_eq!(drain(&mut prod), ["44", "48", "52"], "a chunk without a tier is not of the tier");
    house.emit(300).await;
    assert_eq!(drain(&mut prod)[0], "lagged 44 after 52", "no filter keeps a lag away");
}

#[tokio::test]
async fn what_retention_removed_is_said() {
    let house = House::in_memory();
    house.emit(2_000).await;
    let mut slow = house.since(0);
    assert_eq!(short(&slow.next().await), "1");
    house.journal.forget_before(EventId(1_500), checkpoint_at(9_999)).await.unwrap();
    let mut wanted = vec!["gap 1500".to_owned()];
    wanted.extend(numbers(1_500..=2_000));
    assert_eq!(drain(&mut house.since(0)), wanted);
    assert_eq!(drain(&mut house.since(1_498)), wanted);
    assert_eq!(drain(&mut house.since(1_499)), wanted[1..], "nothing is missing");
    let filtered = Start { filter: Filter { run: Some(1), ..Filter::default() }, ..Start::since(EventId(3)) };
    assert_eq!(drain(&mut house.bus.subscribe(filtered).unwrap()), ["gap 1500"]);
    let shown = drain(&mut slow);
    assert_eq!(shown[..499], numbers(2..=500), "what was already read");
    assert_eq!(shown[499..], wanted);
}

#[tokio::test]
async fn the_end_comes_after_everything() {
    let house = House::in_memory();
    house.emit(700).await;
    let (mut since, mut live) = (house.since(0), house.live());
    house.emit(2).await;
    house.bus.close();
    assert_eq!(drain(&mut since), numbers(1..=702));
    assert_eq!(drain(&mut live), ["701", "702"]);
    assert_eq!(
        (since.next().await, since.next().await, live.next().await),
        (Item::Ended, Item::Ended, Item::Ended)
    );
    let mut late = house.since(700);
    assert_eq!(drain(&mut late), ["701", "702"]);
    assert_eq!(late.next().await, Item::Ended);
    assert_eq!(house.bus.subscribers(), 0);
}

#[tokio::test]
#[should_panic(expected = "BUG: event 2 is published after 2")]
async fn an_event_is_published_once() {
    let house = House::in_memory();
    house.emit(2).await;
    house.bus.publish(Arc::new((&record(2)).into()));
}

#[tokio::test]
async fn an_unreadable_past_is_said() {
    let house = House::in_memory();
    house.emit(3).await;
    let mut since = house.since(0);
    house.journal.close().await.unwrap();
    assert_eq!(since.next().await, Item::Failed(Error::Closed));
    assert_eq!(since.next().await, Item::Ended);
}

/// Subscribers join again and again while events and chunks are published as fast as it goes; each follows for a while.
async fn seam(house: Arc<House>, tasks: usize, joins: usize) {
    let is_over = Arc::new(AtomicBool::new(false));
    let publisher = tokio::spawn({
        let (house, is_over) = (house.clone(), is_over.clone());
        async move {
            let mut round = 0;
            while !is_over.load(Ordering::Relaxed) {
                round += 1;
                house.emit(1 + round % 4).await;
                if round % 3 == 0 {
                    house.bus.publish(chunk(house.journal.last_id().0));
                }
                tokio::task::yield_now().await;
            }
        }
    });
    let joiners: Vec<_> = (0..tasks)
        .map(|task| {
            let house = house.clone();
            tokio::spawn(async move {
                for join in 0..joins {
                    let last = house.journal.durable().borrow().clone();
                    let Watermark::Durable(last) = last else { panic!("the sync failed") };
                    let back = ((task * 7_919 + join * 104_729) % 400) as u64;
                    follow(&house, last.0.saturating_sub(back), last.0 + 20 + join as u64 % 30).await;
                }
            })
        })
        .collect();
    for joiner in joiners {
        joiner.await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    publisher.await.unwrap();
}

/// Every event after `since`, once, in order, and each chunk right after its event, until one is reached.
async fn follow(house: &House, since: u64, until: u64) {
    let mut subscription = house.since(since);
    let mut last = since;
    while last < until {
        match subscription.next().await {
            Item::Event(frame) if frame.is_log => assert_eq!(frame.text.as_str(), last.to_string()),
            Item::Event(frame) => {
                assert_eq!(frame.id, Some(EventId(last + 1)), "since {since}");
                last += 1;
            }
            Item::Lagged { after, .. } => assert_eq!(after, EventId(last)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn joining_as_the_last_event_comes_does_not_wait_for_another() {
    let house = House::in_memory();
    for _ in 0..3_000 {
        let last = house.journal.last_id().0;
        let mut subscription = house.since(last);
        let joined = tokio::spawn(async move {
            let item = subscription.next().await;
            (subscription, item)
        });
        house.emit(1).await;
        let patience = std::time::Duration::from_secs(30);
        let (_, item) = tokio::time::timeout(patience, joined).await.expect("it came").unwrap();
        assert_eq!(short(&item), (last + 1).to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn joining_in_a_burst_leaves_no_seam() {
    seam(House::in_memory(), 40, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn joining_in_a_burst_leaves_no_seam_with_sqlite() {
    let home = tempfile::tempdir().unwrap();
    seam(House::new(Arc::new(SqliteJournal::open(home.path()).unwrap())), 20, 25).await;
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// So many events are journaled, durable, published.
    Emit(u64),
    /// So many events are journaled, but not yet durable or published.
    Append(u64),
    /// What was journaled becomes durable, and so many of the events not yet published are published.
    Publish(usize),
    /// So many chunks.
    Chunks(u64),
    /// The subscriber takes at most so many items.
    Take(usize),
    /// Retention removes so many.
    Forget(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop_oneof![1..6_u64, 200..700_u64].prop_map(Step::Emit),
        1 => (1..300_u64).prop_map(Step::Append),
        2 => (0..300_usize).prop_map(Step::Publish),
        2 => prop_oneof![1..4_u64, 250..260_u64].prop_map(Step::Chunks),
        4 => prop_oneof![1..5_usize, 100..900_usize].prop_map(Step::Take),
        1 => (1..200_u64).prop_map(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_history_is_one_sequence(
        before in 0..900_u64,
        back in 0..900_u64,
        is_filtered: bool,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check_history(before, before.saturating_sub(back), is_filtered, steps));
    }
}

async fn check_history(before: u64, since: u64, is_filtered: bool, steps: Vec<Step>) {
    let journal = Arc::new(MemoryJournal::new());
    let house = House::new(journal.clone());
    house.emit(before).await;
    let mut start = Start::since(EventId(since));
    if is_filtered {
        start.filter.pipeline = vec!["shop".into(), "wiki".into()];
    }
    let mut check = Check { last: since, is_filtered };
    let mut subscription = house.bus.subscribe(start).unwrap();
    let mut live = house.live();
    let mut published = Vec::new();
    let mut waiting = std::collections::VecDeque::new();
    let mut place = before;
    let mut publish = |waiting: &mut std::collections::VecDeque<Record>, count: usize, place: &mut u64| {
        journal.release_durability();
        for record in waiting.drain(..count.min(waiting.len())) {
            house.bus.publish(Arc::new((&record).into()));
            *place = record.id.0;
            published.push(record.id.0.to_string());
        }
    };
    for step in steps {
        match step {
            Step::Emit(count) => {
                waiting.extend(house.append(count).await);
                publish(&mut waiting, usize::MAX, &mut place);
            }
            Step::Append(count) => {
                journal.hold_durability();
                waiting.extend(house.append(count).await);
            }
            Step::Publish(count) => publish(&mut waiting, count, &mut place),
            Step::Chunks(count) => (0..count).for_each(|_| house.bus.publish(chunk(place))),
            Step::Take(count) => {
                for _ in 0..count {
                    let Some(item) = subscription.next_now() else { break };
                    check.item(&item, &house);
                }
            }
            Step::Forget(count) => {
                let oldest = house.journal.oldest_id().0;
                // Retention keeps away from what is not yet shown.
                journal
                    .forget_before(EventId((oldest + count).min(place.max(1))), checkpoint_at(99_999))
                    .await
                    .unwrap();
            }
        }
    }
    publish(&mut waiting, usize::MAX, &mut place);
    while let Some(item) = subscription.next_now() {
        check.item(&item, &house);
    }
    let wanted = check.wanted(check.last + 1, place);
    assert!(wanted.is_empty(), "never shown: {wanted:?}");
    let shown = drain(&mut live);
    let ids: Vec<_> = shown.into_iter().filter(|item| item.parse::<u64>().is_ok()).collect();
    assert_eq!(ids, published[published.len() - ids.len()..], "live: a tail of what was published");
}

/// The model: what one subscriber with `since` may see.
struct Check {
    /// The last event that it has seen, or that a gap has skipped.
    last: u64,
    is_filtered: bool,
}

impl Check {
    fn wanted(&self, from: u64, upto: u64) -> Vec<u64> {
        (from..=upto).filter(|id| !self.is_filtered || id % 3 != 1).collect()
    }

    fn item(&mut self, item: &Item, house: &House) {
        match item {
            Item::Event(frame) if frame.is_log => {
                let place: u64 = frame.text.parse().unwrap();
                assert!(place >= self.last, "a chunk of {place} after {}", self.last);
                assert!(self.wanted(self.last + 1, place).is_empty(), "a chunk before what was before it");
            }
            Item::Event(frame) => {
                let id = frame.id.unwrap().0;
                assert_eq!(self.wanted(self.last + 1, id), [id], "after {}", self.last);
                let durable = house.journal.durable().borrow().clone();
                assert!(matches!(durable, Watermark::Durable(upto) if upto.0 >= id), "{id} is not durable");
                self.last = id;
            }
            Item::Gap { oldest } => {
                assert!(oldest.0 > self.last + 1, "gap {oldest} after {}", self.last);
                assert!(*oldest <= house.journal.oldest_id());
                self.last = oldest.0 - 1;
            }
            Item::Lagged { missed, .. } => assert!(*missed > 0),
            Item::Failed(error) => panic!("{error}"),
            Item::Ended => panic!("the bus is open"),
        }
    }
}

#[tokio::test]
async fn what_was_lost_before_a_restore_is_a_gap_to_those_who_had_seen_it() {
    const EPOCH: u64 = 1 << 32;
    let house = House::in_memory();
    house.emit(5).await;
    let restored = Record { kind: crate::journal::RESTORED.into(), ..record(EPOCH) };
    house.journal.append(vec![restored.clone()]).await.unwrap();
    // As a controller does that begins on it.
    let house = House::new(house.journal.clone());
    let (first, next) = (EPOCH.to_string(), (EPOCH + 1).to_string());
    let gap = format!("gap {EPOCH}");
    for (since, wanted) in [
        (3, vec!["4", "5", &first]),
        (5, vec![&first]),
        (6, vec![&gap, &first]),
        (EPOCH - 2, vec![&gap, &first]),
        (EPOCH, vec![]),
    ] {
        assert_eq!(drain(&mut house.since(since)), wanted, "since {since}");
        let told = gap_after(&*house.journal, EventId(since)).await.unwrap();
        assert_eq!(told.is_some(), wanted.first() == Some(&gap.as_str()), "since {since}");
    }
    let mut follower = house.since(4);
    assert_eq!(drain(&mut follower), ["5", &first]);
    house.emit(1).await;
    assert_eq!(drain(&mut follower), [next]);
    let shop = Filter { pipeline: vec!["nowhere".into()], ..Filter::default() };
    let mut filtered = house.bus.subscribe(Start { filter: shop, ..Start::since(EventId(9)) }).unwrap();
    assert_eq!(drain(&mut filtered), [gap.as_str()], "a gap passes every filter");
}
