//! How fast the journal is, as a ratio to a C program that makes only the system calls that cannot be avoided.
//!
//! Both run in turn, several rounds, on the same file system; the medians are compared. `cargo bench --bench journal`;
//! `-- --folder DIR` to choose the disk, `--checkpoint N` for another length of the log, `--replay N` for the number of records to replay (default 1,000,000).

#![expect(clippy::print_stdout, reason = "a bench talks to whoever started it")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

#[path = "figures/mod.rs"]
mod figures;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::domain::EventId;
use tidegate::journal::lock::StateLock;
use tidegate::journal::{Journal, Options, Record, SqliteJournal};

/// Appends lines to a file and syncs after each group of them; says how many nanoseconds that took.
const TWIN: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    long groups = atol(argv[2]), group = atol(argv[3]), size = atol(argv[4]);
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
    char *line = malloc(size * group);
    struct timespec a, b;
    memset(line, 'x', size * group);
    if (fd < 0) return 1;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (long i = 0; i < groups; i++) {
        if (write(fd, line, size * group) != size * group || fdatasync(fd)) return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%lld\n", (b.tv_sec - a.tv_sec) * 1000000000LL + (b.tv_nsec - a.tv_nsec));
    return 0;
}
"#;

/// Bytes of one body: a `gate_done` has about as many.
const BODY: usize = 300;
const ROUNDS: usize = 7;

fn main() {
    let folder = tempfile::Builder::new()
        .prefix("journal-bench")
        .tempdir_in(option("--folder").unwrap_or_else(|| ".".into()));
    let folder = folder.unwrap();
    let twin = compile(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        durable(folder.path(), &twin, "one at a time", 1_000, 1, 1, "≥ 0.74×").await;
        durable(folder.path(), &twin, "grouped by 100", 400, 100, 1, "≥ 0.45×").await;
        durable(folder.path(), &twin, "grouped by 100, two under way", 400, 100, 2, "").await;
        committed(folder.path()).await;
        let records = option("--replay")
            .map_or(if figures::is_quick() { 100_000 } else { 1_000_000 }, |text| text.parse().unwrap());
        replay(folder.path(), records).await;
    });
}

fn option(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn open(home: &Path) -> SqliteJournal {
    let mut options = Options::default();
    if let Some(frames) = option("--checkpoint") {
        options.checkpoint_frames = frames.parse().unwrap();
    }
    SqliteJournal::open_locked(StateLock::acquire(home).unwrap(), options).unwrap()
}

fn compile(folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("twin.c"), folder.join("twin"));
    std::fs::write(&source, TWIN).unwrap();
    let done = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(&source).status();
    assert!(done.unwrap().success(), "a C compiler is needed");
    program
}

fn record(id: u64) -> Record {
    Record {
        id: EventId(id),
        at_us: 1_700_000_000_000_000 + id as i64,
        kind: "gate_done".into(),
        pipeline: Some("shop".into()),
        tier: Some("staging".into()),
        run: Some(id),
        body: "x".repeat(BODY).into(),
    }
}

/// So many groups, each durable before the next but `ahead` is begun; the twin writes as many bytes.
async fn durable(folder: &Path, twin: &Path, name: &str, groups: u64, group: u64, ahead: usize, goal: &str) {
    let home = folder.join(name.replace([' ', ','], "-"));
    let journal = open(&home);
    let peer = Peer::open(&folder.join("peer.db"));
    let (mut ours, mut peers, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=if figures::is_quick() { 3 } else { ROUNDS } {
        let took = append(&journal, groups, group, ahead).await;
        let peer_took = peer.append(groups, group);
        let file = folder.join("twin.log");
        let mut command = Command::new(twin);
        command.arg(&file).args([groups, group, BODY as u64].map(|number| number.to_string()));
        let said = command.output().unwrap();
        assert!(said.status.success());
        let twin_took: u64 = String::from_utf8(said.stdout).unwrap().trim().parse().unwrap();
        std::fs::remove_file(file).unwrap();
        // The first round warms up: the log grows to its size.
        if round > 0 {
            ours.push(took);
            peers.push(peer_took);
            theirs.push(Duration::from_nanos(twin_took));
        }
    }
    journal.close().await.unwrap();
    let rate = |times: &mut Vec<Duration>| {
        times.sort();
        (groups * group) as f64 / times[times.len() / 2].as_secs_f64()
    };
    let (ours, peers, theirs) = (rate(&mut ours), rate(&mut peers), rate(&mut theirs));
    println!(
        "durable append, {name}: {ours:.0}/s, C twin {theirs:.0}/s, ratio {:.2}; plain SQLite {peers:.0}/s, ratio {:.2}",
        ours / theirs,
        peers / theirs
    );
    figures::row(&format!("durable append, {name}"), "/s", ours, Some(theirs), goal);
}

/// SQLite as anybody would use it: one thread, `synchronous=FULL`, a transaction for each group.
struct Peer(rusqlite::Connection);

impl Peer {
    fn open(path: &Path) -> Self {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY,
                 at_us INTEGER, kind TEXT, pipeline TEXT, tier TEXT, run INTEGER, body TEXT) STRICT;",
            )
            .unwrap();
        Self(connection)
    }

    fn append(&self, groups: u64, group: u64) -> Duration {
        let begin = Instant::now();
        for _ in 0..groups {
            self.0.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut insert =
                self.0.prepare_cached("INSERT INTO events VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6)").unwrap();
            for id in 0..group {
                let r = record(id);
                let (kind, pipeline, tier) = (&*r.kind, r.pipeline.as_deref(), r.tier.as_deref());
                insert
                    .execute(rusqlite::params![r.at_us, kind, pipeline, tier, id as i64, &*r.body])
                    .unwrap();
            }
            self.0.execute_batch("COMMIT").unwrap();
        }
        begin.elapsed()
    }
}

/// What a step waits for: committed, not yet durable.
async fn committed(folder: &Path) {
    const COUNT: u64 = 5_000;
    let journal = open(&folder.join("committed"));
    let begin = Instant::now();
    for id in 1..=COUNT {
        journal.append(vec![record(id)]).await.unwrap();
    }
    println!(
        "committed append, one at a time: {:.1} µs each",
        begin.elapsed().as_secs_f64() * 1e6 / COUNT as f64
    );
    journal.close().await.unwrap();
}

async fn append(journal: &SqliteJournal, groups: u64, group: u64, ahead: usize) -> Duration {
    let mut next = journal.last_id().0 + 1;
    let begin = Instant::now();
    let mut under_way = std::collections::VecDeque::new();
    for _ in 0..groups {
        let records = (next..next + group).map(record).collect();
        next += group;
        under_way.push_back((journal.append(records), EventId(next - 1)));
        if under_way.len() >= ahead {
            finish(journal, under_way.pop_front().unwrap()).await;
        }
    }
    for last in under_way {
        finish(journal, last).await;
    }
    begin.elapsed()
}

async fn finish(
    journal: &SqliteJournal,
    (appended, last): (impl Future<Output = Result<(), tidegate::journal::Error>>, EventId),
) {
    appended.await.unwrap();
    journal.sync(last).await.unwrap();
}

/// Fills a journal and folds over it, as at start.
async fn replay(folder: &Path, records: u64) {
    let home = folder.join("replay");
    let journal = Arc::new(SqliteJournal::open(&home).unwrap());
    let begin = Instant::now();
    for first in (1..=records).step_by(1_000) {
        journal.append((first..(first + 1_000).min(records + 1)).map(record).collect()).await.unwrap();
    }
    journal.sync(EventId(records)).await.unwrap();
    let filled = begin.elapsed();
    let size = journal.size_bytes().unwrap() >> 20;
    println!("filled with {records} records ({size} MiB): {:.0}/s", records as f64 / filled.as_secs_f64());
    for _ in 0..3 {
        let (begin, mut bytes) = (Instant::now(), 0);
        let mut each = |record: Record| {
            bytes += record.body.len();
            Ok(())
        };
        journal.for_each(EventId(0), &mut each).unwrap();
        let took = begin.elapsed();
        assert_eq!(bytes as u64, records * BODY as u64);
        println!("replayed {records} records: {took:.2?}, {:.0}/s", records as f64 / took.as_secs_f64());
    }
    journal.close().await.unwrap();
    drop(journal);
    for (name, is_left_clean) in [("clean", false), ("not clean", true)] {
        let begin = Instant::now();
        let journal = SqliteJournal::open(&home).unwrap();
        println!("opened after a stop that was {name}: {:.2?}", begin.elapsed());
        if is_left_clean {
            journal.close().await.unwrap();
        }
    }
}
