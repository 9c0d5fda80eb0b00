//! Gates that fetch a backup: one that is kept, and each way in which one is not.

use super::bench::*;
use crate::domain::pipeline::Check;
use crate::domain::state::Backup;
use crate::domain::{Blocker, Classification, Job, Status};
use crate::interpreter::StopCause;
use std::fs;

fn check(run: &str) -> Check {
    Check::Backup {
        node: "a1".into(),
        run: Some(shell(run)),
        path: None,
        verify: None,
        shrink: None,
        keep: 7,
    }
}

fn verified(run: &str, by: &str) -> Check {
    let mut check = check(run);
    let Check::Backup { verify, .. } = &mut check else { unreachable!() };
    *verify = Some(shell(by));
    check
}

fn last(byte_size: u64) -> Backup {
    Backup {
        id: REQUEST,
        at: chrono::DateTime::UNIX_EPOCH,
        gate: "smoke".into(),
        version: version(),
        run: run(),
        source: "local:x".into(),
        sha256: "0".repeat(64),
        byte_size,
    }
}

async fn take(bench: &mut Bench, check: Check) -> Told {
    bench.carry_out(gate(check, &[])).await
}

/// Why it is not kept.
async fn refused(bench: &mut Bench, check: Check) -> (String, String) {
    let told = take(bench, check).await;
    assert_eq!((told.class(), told.outcome().status), (Classification::StepSays, Status::Blocked));
    assert_eq!(told.kept, None);
    match &told.outcome().blockers[..] {
        [Blocker::StepSays { reason, help }] => (reason.clone(), help.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_backup_is_fetched_checked_and_kept_and_its_bytes_are_not_in_the_log() {
    let mut bench = Bench::new(&[("here", "")]).await;
    let make = "test -e here && echo making it >&2 && printf \"content of $WHERE at $TIDEGATE_NODE\"";
    let look = "echo looking; test ! -w \"$TIDEGATE_BACKUP\" || id -u | grep -qx 0; grep -q content $TIDEGATE_BACKUP";
    let told = take(&mut bench, verified(make, look)).await;
    assert!(told.outcome().passed(), "{:?}", told.outcome());
    let (source, sha256) = told.kept.clone().expect("it is kept");
    assert_eq!(source, format!("local:{make}"));
    let kept = bench.state().artifacts().join("sha256").join(&sha256[..2]).join(&sha256[2..]);
    assert_eq!(fs::read_to_string(kept).unwrap(), "content of on a1 at a1");
    let lines: Vec<String> = told.text().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "making it");
    assert!(lines[1].starts_with("tidegate: 22 bytes from local:"), "{lines:?}");
    assert_eq!(lines[2..], ["looking".to_owned(), format!("tidegate: kept as sha256 {sha256}")]);
    let outcome = told.outcome();
    let log = fs::read(bench.state().path().join(outcome.log_ref.as_ref().unwrap())).unwrap();
    assert_eq!((log.len() as u64, &log), (outcome.log_bytes.unwrap(), &told.output));
    let gates = bench.state().work().join("shop/gates");
    assert_eq!(fs::read_dir(gates).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_of_the_node_is_a_backup_too() {
    let mut bench = Bench::new(&[]).await;
    let place = bench.path("-odd $(id) name");
    fs::write(&place, "bytes\0").unwrap();
    let path = place.to_str().unwrap().to_owned();
    let mut file = check("");
    let Check::Backup { run, path: at, .. } = &mut file else { unreachable!() };
    (*run, *at) = (None, Some(path.clone()));
    let told = take(&mut bench, file.clone()).await;
    assert!(told.outcome().passed(), "{:?}", told.outcome());
    assert_eq!(told.kept.unwrap().0, format!("file://{path}"));
    fs::remove_file(&place).unwrap();
    let told = take(&mut bench, file).await;
    assert_eq!((told.class(), told.kept), (Classification::Infrastructure, None));
}

#[tokio::test]
async fn what_cannot_be_fetched_blocks_and_says_why() {
    let mut bench = Bench::new(&[]).await;
    let told = take(&mut bench, check("echo half; echo 'dump: no such database' >&2; exit 3")).await;
    assert_eq!((told.class(), told.kept.clone()), (Classification::Infrastructure, None));
    let message = told.outcome().message.clone().unwrap();
    assert_eq!(message, "the backup could not be fetched: exited with status 3: dump: no such database");
    assert!(told.text().ends_with(&format!("tidegate: {message}\n")) && !told.text().contains("half"));

    let told = take(&mut bench, check("kill -9 $$")).await;
    assert_eq!(told.class(), Classification::Infrastructure);
    let told = take(&mut bench, check("no-such-tool-here -Fc shop")).await;
    assert_eq!(told.outcome().blockers, [Blocker::MissingTool { tool: "no-such-tool-here".into() }]);
    let said = r#"echo '{"kind":"blocked","reason":"replica lags"}' >> $TIDEGATE_EVENTS; exit 1"#;
    assert_eq!(refused(&mut bench, check(said)).await.0, "replica lags");
    let told = take(&mut bench, check("echo dump: No space left on device >&2; exit 1")).await;
    assert_eq!(told.outcome().blockers, [Blocker::DiskFull]);
}

#[tokio::test]
async fn one_that_is_empty_or_refused_is_not_kept() {
    let mut bench = Bench::new(&[]).await;
    assert_eq!(refused(&mut bench, check("true")).await.0, "the backup is empty");
    let (reason, help) = refused(&mut bench, verified("echo x", "echo 'not an archive' >&2; exit 1")).await;
    assert_eq!(reason, "`verify` refuses the backup: exited with status 1: not an archive");
    assert!(help.starts_with("see `tidegate logs 1"), "{help}");
    let told = take(&mut bench, verified("echo x", "no-such-tool-here --list $TIDEGATE_BACKUP")).await;
    assert_eq!(told.class(), Classification::MissingTool);
    let change = "chmod u+w $TIDEGATE_BACKUP && echo more >> $TIDEGATE_BACKUP";
    let (reason, _) = refused(&mut bench, verified("echo x", change)).await;
    assert!(reason.starts_with("`verify` changed the backup"), "{reason}");
}

#[tokio::test]
async fn one_that_shrank_is_not_kept_and_says_by_how_much() {
    let mut bench = Bench::new(&[]).await;
    let job = |before: u64| {
        let mut check = check("printf 12345678");
        let Check::Backup { shrink, .. } = &mut check else { unreachable!() };
        *shrink = Some(20);
        let mut job = gate(check, &[]);
        let Job::Gate { backup, .. } = &mut job else { unreachable!() };
        *backup = Some(Box::new(last(before)));
        job
    };
    assert!(bench.carry_out(job(10)).await.outcome().passed());
    let told = bench.carry_out(job(11)).await;
    let message = told.outcome().message.clone().unwrap();
    assert!(message.contains("has 8 bytes and the last one had 11") && message.contains("raise `shrink`"));
    assert_eq!((told.class(), told.kept), (Classification::StepSays, None));
}

#[tokio::test]
async fn one_that_takes_too_long_or_is_stopped_ends_like_any_gate() {
    let mut bench = Bench::new(&[]).await;
    let mut job = gate(check("echo x; exec sleep 1000"), &[]);
    let Job::Gate { gate: it, .. } = &mut job else { unreachable!() };
    it.exec.timeout = Some(millis(100));
    assert_eq!(bench.carry_out(job).await.class(), Classification::Timeout);
    let effect = bench.begin(gate(verified("echo x", "echo at it; exec sleep 1000"), &[]));
    bench.stop_at("at it", &effect, StopCause::Canceled).await;
    let told = bench.end().await;
    assert_eq!((told.class(), told.kept), (Classification::Canceled, None));
}
