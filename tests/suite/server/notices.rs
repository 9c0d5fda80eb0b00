//! The courier of notices over a journal that cannot be read for a while.

use super::stand::{PATIENCE, Stand};
use crate::whole::receiver::Receiver;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::clock::SystemClock;
use tidegate::domain::EventId;
use tidegate::journal::Error;
use tidegate::notice::{Courier, Notices, Parts};
use tidegate::runner::LocalRunner;
use tidegate::settings::StateDir;

fn unreadable() -> Error {
    Error::Io { tried: "read the journal", detail: "the cable is loose".into() }
}

/// Waits until the notices do so.
async fn until(look: &dyn Fn() -> Notices, what: &str, is_so: impl Fn(&Notices) -> bool) {
    let begin = Instant::now();
    while !is_so(&look()) {
        assert!(begin.elapsed() < PATIENCE, "{what}: {:?}", look());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_in_trouble(notices: &Notices) -> bool {
    let trouble = |it: &tidegate::notice::NoticeState| it.trouble.as_ref().map(|it| it.error.clone());
    notices.notices.iter().any(|it| trouble(it).is_some_and(|error| error.contains("the cable is loose")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_read_for_a_while_delays_notices_and_is_shown() {
    // Which journal it is; and what is in it, for the place where a new notice begins and for following it.
    for (meta, reads) in [(2, 0), (0, 3)] {
        let (receiver, stand) = (Receiver::new(), Stand::new().await);
        let notice = serde_json::json!([{"kinds": ["rebuild_requested"], "url": receiver.url("/")}]);
        stand.load_with("shop", "/nowhere.git", |json| json["notify"] = notice).await;
        stand.push("shop", 'a').await;
        stand.journal.fail_next_meta(meta, unreadable());
        stand.journal.fail_next_reads(reads, unreadable());
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path().join("state"));
        state.prepare().unwrap();
        let courier = Courier::start(Parts {
            engine: stand.engine.clone(),
            clock: Arc::new(SystemClock::new()),
            runner: Arc::new(LocalRunner::new()),
            state,
            pipelines: folder.path().to_owned(),
            begin: EventId(0),
        });
        let look = courier.notices();
        until(&*look, "it is shown", is_in_trouble).await;
        until(&*look, "told", |notices| notices.delivered == 1 && !is_in_trouble(notices)).await;
        assert_eq!(receiver.next().body["sha"], "a".repeat(40));
        stand.push("shop", 'b').await;
        assert_eq!(receiver.next().body["sha"], "b".repeat(40), "and what comes then");
        courier.stop().await;
    }
}
