//! Journals of releases, kept for ever: each later release opens them, loads the state that their checkpoint holds, and
//! folds what came after it.
//!
//! `TIDEGATE_FIXTURE=FOLDER cargo test --test suite -- journals::` writes the journal that this release would leave to
//! FOLDER. A release that is published puts its own beside the others; those that are here are never written anew.

mod story;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tidegate::domain::event::KINDS;
use tidegate::domain::state::{State, TierState};
use tidegate::domain::*;
use tidegate::engine::{record, replay};
use tidegate::journal::{Checkpoint, Journal, SqliteJournal};

/// The journals that are kept, oldest first.
const KEPT: &[&str] = &["0.1.0"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/journals")
}

/// A state folder with a copy of that release's journal.
fn copy_of(release: &str) -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    std::fs::set_permissions(state.path(), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::copy(folder().join(format!("{release}.db")), state.path().join("journal.db")).unwrap();
    state
}

#[test]
fn the_journal_of_each_release_is_opened_loaded_and_replayed() {
    for release in KEPT {
        let copy = copy_of(release);
        let journal = SqliteJournal::open(copy.path()).unwrap();
        let checkpoint = journal.checkpoint().unwrap().expect("it begins with a checkpoint");
        assert_eq!(*checkpoint.release, **release);
        assert!(journal.oldest_id() > EventId(1), "what the checkpoint stands for is gone");
        let mut kinds = BTreeSet::new();
        let read = journal.for_each(checkpoint.id, &mut |record| {
            kinds.insert(record.kind.to_string());
            tidegate::wire::decode(&record.body).unwrap_or_else(|error| panic!("{}: {error}", record.body));
            Ok(())
        });
        read.unwrap();
        assert!(kinds.len() >= 37 && kinds.iter().all(|kind| KINDS.contains(&kind.as_str())), "{kinds:?}");
        let state = replay(&journal).unwrap_or_else(|error| panic!("{release}: {error}"));
        assert_eq!(state.last, journal.last_id());
        let mut head = journal.chain().before;
        assert_eq!(head.id.0 + 1, journal.oldest_id().0, "its chain begins with what is left of it");
        let mut each = |record: tidegate::journal::Record| {
            head = head.then(record.id, &record.body);
            Ok(())
        };
        journal.for_each(EventId(0), &mut each).unwrap();
        assert_eq!(head, journal.chain().head);
        let proof = tidegate::archive::verify(copy.path(), &[head]).unwrap();
        assert!(proof.proven, "{:?}", proof.defects);
        // What was under way goes on: everything that should be in flight can be described.
        let now = chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(30_000);
        for effect in outstanding(&state, now) {
            assert!(work(&state, &effect).is_some(), "{effect:?}");
        }
        expect_test::expect_file![folder().join(format!("{release}.txt"))].assert_eq(&in_words(&state));
    }
}

/// What a release could get wrong about an older one's journal, in lines that change only when that does.
fn in_words(state: &State) -> String {
    let mut text = String::new();
    for (name, p) in &state.pipelines {
        let in_force = if p.in_force.is_some() { "" } else { ", removed" };
        writeln!(text, "{name}{in_force}").unwrap();
        for request in &p.queue {
            writeln!(text, "  queued {}", request.sha).unwrap();
        }
        if let Some(build) = &p.build {
            writeln!(text, "  building {} {:?}", build.version, build.steps.keys()).unwrap();
        }
        for (order, label) in &p.built {
            writeln!(text, "  built {order} {label}").unwrap();
        }
        writeln!(text, "  spent {:?}", p.spent.keys()).unwrap();
        writeln!(text, "  blocked {:?}", p.blocked.keys()).unwrap();
        for (name, tier) in &p.tiers {
            writeln!(text, "  tier {name}: {}", tier_in_words(tier)).unwrap();
            for (version, standing) in &tier.standings {
                let said: Vec<&str> = standing.said.iter().flatten().map(Blocker::kind).collect();
                let words = standing.confirmations.len();
                writeln!(text, "    {version}: {:?} {said:?} {words}", standing.verdict).unwrap();
            }
        }
    }
    writeln!(text, "rejected {:?}", state.rejected.keys()).unwrap();
    writeln!(text, "running {:?}", state.running.values().map(|place| &place.task)).unwrap();
    text
}

fn tier_in_words(tier: &TierState) -> String {
    let mut words = vec![format!("current {:?}", tier.current.as_ref().map(|it| it.version.as_str()))];
    words.push(format!("past {:?}", tier.past.iter().map(|it| it.version.as_str()).collect::<Vec<_>>()));
    words.extend(tier.inside.iter().map(|it| format!("inside {}", it.version)));
    words.extend(tier.going_back.iter().map(|it| format!("from {} to {}", it.from, it.to)));
    words.extend(tier.redeploy.iter().map(|it| format!("redeploys {}", it.version)));
    words.extend(tier.hold.iter().map(|it| format!("held by {}", it.by)));
    let node = |(name, node): (&NodeName, &state::NodeState)| {
        format!("{name} {:?} {:?}", node.version.as_ref().map(|it| it.as_str()), node.failure)
    };
    words.extend(tier.nodes.iter().map(node));
    words.join(", ")
}

/// The journal of this release, where somebody asks for it.
#[tokio::test]
async fn this_release_writes_such_a_journal() {
    let kept = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("TIDEGATE_FIXTURE").map(PathBuf::from);
    let folder = asked.unwrap_or_else(|| kept.path().to_owned());
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    let (before, rest, w) = story::told();
    let journal = SqliteJournal::open(&folder).unwrap();
    journal.append(w.said.iter().map(record).collect()).await.unwrap();
    let checkpoint = Checkpoint {
        id: before.last,
        at_us: w.now.timestamp_micros(),
        release: env!("CARGO_PKG_VERSION").into(),
        format: 1,
        body: serde_json::to_string(&before).unwrap().into(),
    };
    let mut oldest = journal.oldest_id();
    while oldest < before.last {
        oldest = journal.forget_before(before.last, checkpoint.clone()).await.unwrap();
    }
    assert_eq!(rest.len(), KINDS.len(), "every kind comes after the checkpoint; not: {:?}", missing(&rest));
    assert_eq!(replay(&journal).unwrap(), w.state);
    journal.close().await.unwrap();
}

/// Numbers of events go on without a gap, whoever asks.
#[tokio::test]
async fn an_event_that_does_not_go_on_where_the_journal_ends_is_refused() {
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let (_, _, w) = story::told();
    let journal = SqliteJournal::open(home.path()).unwrap();
    let refused = journal.append(w.said[1..2].iter().map(record).collect()).await.unwrap_err();
    assert_eq!(refused.code(), "TG-JOURNAL-008", "{refused}");
    journal.append(w.said[..2].iter().map(record).collect()).await.unwrap();
    journal.close().await.unwrap();
}

fn missing(kinds: &BTreeSet<&'static str>) -> Vec<&'static str> {
    KINDS.into_iter().filter(|kind| !kinds.contains(kind)).collect()
}
