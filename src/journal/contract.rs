//! The contract of the journal, tried on each of the two that keep it.

use super::*;
use std::sync::Mutex;

/// A record with everything set by its id.
pub(crate) fn record(id: u64) -> Record {
    let kind = ["gate_start", "gate_done", "deploy_ok", "rollback"][id as usize % 4];
    Record {
        id: EventId(id),
        at_us: 1_700_000_000_000_000 + id as i64,
        kind: kind.into(),
        pipeline: (!id.is_multiple_of(5)).then(|| ["shop", "blog"][id as usize % 2].into()),
        tier: id.is_multiple_of(3).then(|| "prod".into()),
        run: id.is_multiple_of(7).then_some(id / 7),
        body: format!("{{\"id\":{id},\"kind\":\"{kind}\",\"text\":\"häß\"}}").into(),
    }
}

pub(crate) fn records(ids: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    ids.map(record).collect()
}

pub(crate) fn ids(page: &Page) -> Vec<u64> {
    page.records.iter().map(|record| record.id.0).collect()
}

async fn order(journal: &dyn Journal) {
    assert_eq!((journal.last_id(), journal.oldest_id()), (EventId(0), EventId(1)));
    journal.append(Vec::new()).await.unwrap();
    journal.append(records(1..=3)).await.unwrap();
    for wrong in [records(3..=3), records(5..=5), vec![record(4), record(6)], records(0..=0)] {
        let refused = journal.append(wrong).await.unwrap_err();
        assert!(matches!(refused, Error::OutOfOrder { .. }), "{refused:?}");
    }
    assert_eq!(journal.last_id(), EventId(3), "nothing of a refused append is kept");
    journal.append(records(4..=4)).await.unwrap();
    let page = journal.read(EventId(0), 100, &Filter::default()).await.unwrap();
    assert_eq!(page.records, records(1..=4));
    assert_eq!((page.first, page.scanned), (Some(EventId(1)), EventId(4)));
}

async fn appends_are_ordered_by_the_call(journal: &dyn Journal) {
    let first = journal.append(records(1..=2));
    let second = journal.append(records(3..=4));
    let unwatched = journal.append(records(5..=5));
    drop(unwatched);
    second.await.unwrap();
    first.await.unwrap();
    journal.append(records(6..=6)).await.unwrap();
    assert_eq!(journal.last_id(), EventId(6));
}

async fn pages(journal: &dyn Journal) {
    journal.append(records(1..=100)).await.unwrap();
    let all = Filter::default();
    let mut seen = Vec::new();
    let mut after = EventId(0);
    loop {
        let page = journal.read(after, 7, &all).await.unwrap();
        assert!(page.records.len() <= 7);
        seen.extend(ids(&page));
        if page.scanned == after {
            break;
        }
        after = page.scanned;
    }
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    assert_eq!(journal.read(EventId(100), 7, &all).await.unwrap().scanned, EventId(100));
    let future = journal.read(EventId(u64::MAX), 7, &all).await.unwrap();
    assert_eq!((future.records.len(), future.scanned), (0, EventId(u64::MAX)));
    assert_eq!(
        ids(&journal.read(EventId(9), 0, &all).await.unwrap()),
        [10],
        "a page is never empty for nothing"
    );
}

async fn filters(journal: &dyn Journal) {
    journal.append(records(1..=200)).await.unwrap();
    let filters = [
        Filter { pipeline: vec!["shop".into()], ..Filter::default() },
        Filter {
            pipeline: vec!["shop".into(), "blog".into()],
            tier: vec!["prod".into()],
            ..Filter::default()
        },
        Filter { kinds: vec!["gate_*".parse().unwrap(), "rollback".parse().unwrap()], ..Filter::default() },
        Filter { run: Some(3), ..Filter::default() },
        Filter { tier: vec!["nowhere".into()], ..Filter::default() },
    ];
    for filter in filters {
        let wanted: Vec<_> = records(1..=200)
            .into_iter()
            .filter(|r| filter.matches(&r.kind, r.pipeline.as_deref(), r.tier.as_deref(), r.run))
            .collect();
        let page = journal.read(EventId(0), 1_000, &filter).await.unwrap();
        assert_eq!(page.records, wanted, "{filter:?}");
        assert_eq!(page.scanned, EventId(200));
    }
}

async fn a_page_ends_when_nothing_matches(journal: &dyn Journal) {
    const COUNT: u64 = 25_000;
    journal.append(records(1..=COUNT)).await.unwrap();
    let nothing = Filter { tier: vec!["nowhere".into()], ..Filter::default() };
    let mut after = EventId(0);
    let mut rounds = 0;
    while after < EventId(COUNT) {
        let page = journal.read(after, 10, &nothing).await.unwrap();
        assert!(page.records.is_empty());
        assert!(page.scanned > after, "it goes on");
        after = page.scanned;
        rounds += 1;
    }
    assert!(rounds > 1, "one page must not look at everything");
}

async fn durability(journal: &dyn Journal) {
    journal.append(records(1..=3)).await.unwrap();
    journal.sync(EventId(3)).await.unwrap();
    assert!(matches!(*journal.durable().borrow(), Watermark::Durable(EventId(3))));
    let waiting = journal.sync(EventId(5));
    journal.append(records(4..=5)).await.unwrap();
    waiting.await.unwrap();
}

async fn replay(journal: &dyn Journal) {
    journal.append(records(1..=500)).await.unwrap();
    let seen = Mutex::new(Vec::new());
    journal
        .for_each(EventId(100), &mut |record| {
            seen.lock().unwrap().push(record);
            Ok(())
        })
        .unwrap();
    assert_eq!(seen.into_inner().unwrap(), records(101..=500));
    let mut count = 0;
    let stopped = journal.for_each(EventId(0), &mut |_| {
        count += 1;
        if count == 10 { Err(Error::Busy) } else { Ok(()) }
    });
    assert_eq!((stopped, count), (Err(Error::Busy), 10));
}

async fn retention(journal: &dyn Journal) {
    assert_eq!(
        journal.forget_before(EventId(10), checkpoint_at(9_999)).await.unwrap(),
        EventId(1),
        "nothing to forget"
    );
    journal.append(records(1..=5_000)).await.unwrap();
    assert_eq!(journal.forget_before(EventId(4_500), checkpoint_at(9_999)).await.unwrap(), EventId(4_500));
    assert_eq!(
        journal.forget_before(EventId(7), checkpoint_at(9_999)).await.unwrap(),
        EventId(4_500),
        "nothing comes back"
    );
    let page = journal.read(EventId(3), 2, &Filter::default()).await.unwrap();
    assert_eq!((page.first, ids(&page)), (Some(EventId(4_500)), vec![4_500, 4_501]));
    assert_eq!(
        journal.forget_before(EventId(9_999), checkpoint_at(9_999)).await.unwrap(),
        EventId(5_000),
        "the last one stays"
    );
    assert_eq!((journal.oldest_id(), journal.last_id()), (EventId(5_000), EventId(5_000)));
    journal.append(records(5_001..=5_001)).await.unwrap();
    let mut seen = Vec::new();
    journal
        .for_each(EventId(0), &mut |record| {
            seen.push(record.id.0);
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, [5_000, 5_001]);
}

/// A checkpoint up to an event.
pub(crate) fn checkpoint_at(id: u64) -> Checkpoint {
    Checkpoint { id: EventId(id), at_us: 5, release: "1.2.3".into(), format: 4, body: "{\"ä\":1}".into() }
}

async fn checkpoints(journal: &dyn Journal) {
    assert_eq!(journal.checkpoint().unwrap(), None);
    journal.append(records(1..=5_000)).await.unwrap();
    let left = journal.forget_before(EventId(4_000), checkpoint_at(3_000)).await.unwrap();
    assert_eq!(left, EventId(3_001), "what the checkpoint does not hold stays");
    assert_eq!(journal.checkpoint().unwrap(), Some(checkpoint_at(3_000)));
    journal.forget_before(EventId(2), checkpoint_at(4_000)).await.unwrap();
    assert_eq!(journal.checkpoint().unwrap(), Some(checkpoint_at(3_000)), "nothing went, nothing is written");
    journal.forget_before(EventId(4_000), checkpoint_at(5_000)).await.unwrap();
    assert_eq!(journal.checkpoint().unwrap(), Some(checkpoint_at(5_000)));
    assert_eq!(journal.oldest_id(), EventId(4_000));
}

/// Works out the chain of what is left, and compares it with what the journal says.
fn chain_is_whole(journal: &dyn Journal) {
    let chain = journal.chain();
    let mut head = chain.before;
    let mut each = |record: Record| {
        head = head.then(record.id, &record.body);
        Ok(())
    };
    journal.for_each(EventId(0), &mut each).unwrap();
    assert_eq!(head, chain.head);
}

async fn chains(journal: &dyn Journal) {
    let instance = journal.meta_get(META_INSTANCE).await.unwrap().unwrap();
    let first = Head::first(&instance);
    assert_eq!(journal.chain(), Chain { before: first, head: first });
    let mut wanted = first;
    for last in [1, 2, 40, 5_000] {
        let ids = journal.last_id().0 + 1..=last;
        ids.clone().for_each(|id| wanted = wanted.then(EventId(id), &record(id).body));
        journal.append(records(ids)).await.unwrap();
        assert_eq!(journal.chain(), Chain { before: first, head: wanted });
    }
    assert!(journal.append(records(7..=7)).await.is_err());
    assert_eq!(journal.chain().head, wanted, "what is refused leaves no trace");
    for oldest in [2, 1_000, 4_500] {
        journal.forget_before(EventId(oldest), checkpoint_at(5_000)).await.unwrap();
        assert_eq!(journal.chain().before.id, EventId(oldest - 1));
        chain_is_whole(journal);
    }
    assert_eq!(journal.chain().head, wanted, "retention does not touch the head");
}

/// The event that begins an epoch after an id.
pub(crate) fn restored(last: u64) -> Record {
    let id = EventId(last).next_epoch();
    let body = format!("{{\"id\":{id},\"kind\":\"{RESTORED}\",\"last\":{last}}}").into();
    Record { id, kind: RESTORED.into(), pipeline: None, tier: None, run: None, body, ..record(last) }
}

async fn epochs(journal: &dyn Journal) {
    const EPOCH: u64 = 1 << 32;
    journal.append(records(1..=4_000)).await.unwrap();
    for (wrong, due) in [(Record { id: EventId(4_001), ..restored(4_000) }, EPOCH), (record(EPOCH), 4_001)] {
        let refused = journal.append(vec![wrong]).await.unwrap_err();
        assert!(matches!(refused, Error::OutOfOrder { expected, .. } if expected.0 == due), "{refused:?}");
    }
    let next = [restored(4_000), record(EPOCH + 1), restored(EPOCH + 1), record(2 * EPOCH + 1)];
    journal.append(next.to_vec()).await.unwrap();
    assert_eq!(journal.last_id(), EventId(2 * EPOCH + 1));
    let page = journal.read(EventId(3_999), 10, &Filter::default()).await.unwrap();
    assert_eq!(ids(&page), [4_000, EPOCH, EPOCH + 1, 2 * EPOCH, 2 * EPOCH + 1]);
    for after in [4_000, 4_001, EPOCH - 1] {
        let page = journal.read(EventId(after), 1, &Filter::default()).await.unwrap();
        assert_eq!((page.first, ids(&page)), (Some(EventId(EPOCH)), vec![EPOCH]), "after {after}");
    }
    chain_is_whole(journal);
    for (id, below) in
        [(1, 0), (2, 1), (4_001, 4_000), (EPOCH, 4_000), (EPOCH + 1, EPOCH), (u64::MAX, 2 * EPOCH + 1)]
    {
        assert_eq!(journal.last_below(EventId(id)).await, Ok(EventId(below)), "below {id}");
    }
    // Retention over the hole: nothing but what is asked for goes, and what is said to be the oldest is there.
    let far = checkpoint_at(3 * EPOCH);
    for (asked, oldest) in
        [(3_000, 3_000), (4_001, EPOCH), (EPOCH + 1, EPOCH + 1), (9 * EPOCH, 2 * EPOCH + 1)]
    {
        let left = journal.forget_before(EventId(asked), far.clone()).await.unwrap();
        assert_eq!((left, journal.oldest_id()), (EventId(oldest), EventId(oldest)), "before {asked}");
        chain_is_whole(journal);
    }
}

async fn texts(journal: &dyn Journal) {
    assert_eq!(journal.meta_get("x").await.unwrap(), None);
    journal.meta_set("x", "1").await.unwrap();
    journal.meta_set("x", "2").await.unwrap();
    assert_eq!(journal.meta_get("x").await.unwrap().as_deref(), Some("2"));
    assert_eq!(journal.meta_get(META_INSTANCE).await.unwrap().unwrap().len(), 32);
    assert_eq!(journal.meta_get(META_CLEAN_STOP).await.unwrap(), None);
}

async fn closing(journal: &dyn Journal) {
    let unwatched = journal.append(records(1..=9));
    journal.close().await.unwrap();
    unwatched.await.unwrap();
    assert!(matches!(*journal.durable().borrow(), Watermark::Durable(EventId(9))), "closing makes durable");
    assert_eq!(journal.append(records(10..=10)).await, Err(Error::Closed));
    assert_eq!(journal.read(EventId(0), 1, &Filter::default()).await, Err(Error::Closed));
    assert_eq!(journal.meta_set("x", "y").await, Err(Error::Closed));
    assert_eq!(journal.forget_before(EventId(2), checkpoint_at(9_999)).await, Err(Error::Closed));
    assert_eq!(journal.for_each(EventId(0), &mut |_| Ok(())), Err(Error::Closed));
    journal.close().await.unwrap();
}

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::MemoryJournal::new()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let home = tempfile::tempdir().unwrap();
                super::$name(&super::SqliteJournal::open(home.path()).unwrap()).await;
            })*
        }
    };
}

contract! {
    order, appends_are_ordered_by_the_call, pages, filters, a_page_ends_when_nothing_matches, durability, replay,
    retention, checkpoints, chains, epochs, texts, closing,
}
