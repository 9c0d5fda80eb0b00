//! Gates that try migrations, as far as they come before the step's own process begins: which backup, and what of it
//! there is.

use super::bench::*;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::pipeline::Check;
use crate::domain::state::Backup;
use crate::domain::{Blocker, Classification, Job, Status};
use std::fs;

fn dry_run() -> Check {
    Check::MigrationDryRun {
        engine: "postgres".into(),
        migrate: shell("true"),
        restore: None,
        server: None,
        backup: None,
        max_age: None,
        within: None,
    }
}

fn job(check: Check, backup: Option<Backup>) -> Job {
    let mut job = gate(check, &[]);
    let Job::Gate { backup: given, .. } = &mut job else { unreachable!() };
    *given = backup.map(Box::new);
    job
}

/// A backup of that content which was kept so many hours ago.
fn backup(sha256: String, hours: i64) -> Backup {
    Backup {
        id: REQUEST,
        at: SystemClock::new().now() - chrono::TimeDelta::hours(hours),
        gate: "dump".into(),
        version: version(),
        run: run(),
        source: "local:x".into(),
        sha256,
        byte_size: 4,
    }
}

#[tokio::test]
async fn without_a_backup_or_with_an_old_one_nothing_is_tried() {
    let mut bench = Bench::new(&[]).await;
    let told = bench.carry_out(job(dry_run(), None)).await;
    assert_eq!(told.outcome().status, Status::Blocked);
    assert_eq!(told.outcome().blockers, [Blocker::BackupStale { age: "none".into() }]);
    let mut check = dry_run();
    let Check::MigrationDryRun { max_age, .. } = &mut check else { unreachable!() };
    *max_age = Some(millis(24 * 3600 * 1000));
    let told = bench.carry_out(job(check, Some(backup("0".repeat(64), 26)))).await;
    assert_eq!(told.outcome().blockers, [Blocker::BackupStale { age: "26h".into() }]);
    let message = told.outcome().message.as_deref().unwrap();
    assert_eq!(message, "the newest backup, of gate `dump`, is 26h old, and `max_age` is 24h");
}

#[tokio::test]
async fn a_backup_that_is_lost_or_damaged_is_never_restored() {
    let mut bench = Bench::new(&[("made", "data")]).await;
    let told = bench.carry_out(job(dry_run(), Some(backup("0".repeat(64), 0)))).await;
    assert_eq!(told.class(), Classification::Infrastructure);
    assert!(told.outcome().message.as_ref().unwrap().contains("let gate `dump` take another backup"));

    bench.pipeline.build.artifacts = vec!["made".into()];
    let sha256 = bench.carry_out(collect()).await.artifacts()[0].sha256.clone();
    let kept = bench.state().artifacts().join("sha256").join(&sha256[..2]).join(&sha256[2..]);
    fs::remove_file(&kept).unwrap();
    fs::write(&kept, "dama").unwrap();
    let told = bench.carry_out(job(dry_run(), Some(backup(sha256, 0)))).await;
    assert_eq!(told.class(), Classification::Infrastructure);
    assert!(told.outcome().message.as_ref().unwrap().contains("is damaged"), "{:?}", told.outcome());
    let gates = bench.state().work().join("shop/gates");
    assert_eq!(fs::read_dir(gates).unwrap().count(), 0);
}

#[tokio::test]
async fn a_server_whose_url_cannot_be_put_together_blocks() {
    let mut bench = Bench::new(&[("made", "data")]).await;
    bench.pipeline.build.artifacts = vec!["made".into()];
    let sha256 = bench.carry_out(collect()).await.artifacts()[0].sha256.clone();
    let mut check = dry_run();
    let Check::MigrationDryRun { server, .. } = &mut check else { unreachable!() };
    *server = Some("postgres://$NOPE@db/".into());
    let told = bench.carry_out(job(check, Some(backup(sha256, 0)))).await;
    assert_eq!(told.class(), Classification::Infrastructure);
    assert!(told.outcome().message.as_ref().unwrap().contains("`$NOPE`"), "{:?}", told.outcome());
}
