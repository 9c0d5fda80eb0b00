//! Preparing, build steps, collecting.

use super::bench::*;
use crate::domain::event::StepSaid;
use crate::domain::pipeline::VersionRule;
use crate::domain::{Classification, Command, EventId, Job, Status};
use crate::interpreter::{Interpreter as _, StopCause};
use std::collections::BTreeMap;

async fn label(bench: &mut Bench) -> Result<Option<String>, String> {
    match bench.carry_out(Job::Prepare { request: REQUEST }).await.end {
        Command::Prepared { label, .. } => label,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_version_is_read_from_the_commit() {
    let mut bench = Bench::new(&[("Cargo.toml", "[package]\nname = \"x\"\nversion = \"1.2\"\n")]).await;
    assert_eq!(label(&mut bench).await, Ok(Some("1.2.0".into())));
    let mut bench = Bench::new(&[("README", "")]).await;
    assert_eq!(label(&mut bench).await, Ok(None));
    bench.sha = "0123456789012345678901234567890123456789".into();
    assert!(label(&mut bench).await.unwrap_err().starts_with("failed to "));
}

#[tokio::test]
async fn a_version_command_runs_in_a_checkout_of_its_own() {
    let script = "#!/bin/sh\necho v$(cat major).4; test \"$TIDEGATE_PIPELINE\" = shop\n";
    let mut bench = Bench::new(&[("version.sh", script), ("major", "3")]).await;
    bench.pipeline.version = VersionRule::Command { command: shell("./version.sh") };
    assert_eq!(label(&mut bench).await, Ok(Some("3.4.0".into())));
    assert!(!bench.places().version(REQUEST).path().exists());
    bench.pipeline.version = VersionRule::Command { command: shell("echo broken >&2; exit 4") };
    let message = label(&mut bench).await.unwrap_err();
    assert!(message.contains("broken") && message.contains('4'), "{message}");
}

#[tokio::test]
async fn preparing_can_be_stopped() {
    let mut bench = Bench::new(&[]).await;
    let started = bench.path("started");
    let command = format!("echo > {}; exec sleep 1000", started.display());
    bench.pipeline.version = VersionRule::Command { command: shell(&command) };
    let effect = bench.begin(Job::Prepare { request: REQUEST });
    while !started.exists() {
        tokio::task::yield_now().await;
    }
    bench.interpreter.stop(&effect, StopCause::Canceled);
    let Command::Prepared { label, .. } = bench.end().await.end else { panic!() };
    assert_eq!(label, Err("it was canceled".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_side_by_side_share_one_workspace_and_its_artifacts_are_kept() {
    let mut bench = Bench::new(&[("src/a", "one\n")]).await;
    for name in ["left", "right", "3", "4", "5", "6"] {
        // The last one waits for the others: it would wait for ever if one of them had another folder.
        let script = format!("cat src/a > {name}; until test \"$(ls | wc -l)\" -eq 7; do sleep 0.01; done");
        let mut job = step(name, &script);
        let Job::Step { step, .. } = &mut job else { unreachable!() };
        step.exec.timeout = Some(millis(20_000));
        bench.begin(job);
    }
    for _ in 0..6 {
        // Chunks of the runs mix, so only the ends are looked at.
        loop {
            if let crate::interpreter::Report::Command(Command::RunEnded { outcome, .. }) = bench.next().await
            {
                assert!(outcome.passed(), "{outcome:?}");
                break;
            }
        }
    }
    let told = bench.carry_out(step("both", "cat left right; mkdir out; cat left right > out/all")).await;
    assert_eq!(told.text(), "one\none\n");
    bench.pipeline.build.artifacts = vec!["out/**".into()];
    let artifacts = bench.carry_out(collect()).await.artifacts();
    assert_eq!(artifacts.iter().map(|a| a.path.as_str()).collect::<Vec<_>>(), ["out/all"]);
    assert!(!bench.places().build(REQUEST).path().exists());
}

#[tokio::test]
async fn the_next_build_removes_what_a_failed_one_left() {
    let mut bench = Bench::new(&[]).await;
    assert_eq!(bench.carry_out(step("bad", "exit 3")).await.class(), Classification::CheckFailed);
    assert!(bench.places().build(REQUEST).path().exists());
    bench.carry_out(Job::Prepare { request: EventId(8) }).await;
    assert!(!bench.places().build(REQUEST).path().exists());
}

/// The variables in the output of `env -0`.
fn variables(output: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8(output.to_vec()).unwrap();
    let pairs = text.split_terminator('\0').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn the_environment_is_what_is_declared_and_nothing_of_ours() {
    let mut bench = Bench::new(&[]).await;
    bench.ref_name = "refs/heads/$(touch hit)`touch hit`;touch hit".into();
    let first = bench.carry_out(step("first", "export LEAK=1; eval : $TIDEGATE_PIPELINE; ls")).await;
    assert_eq!(first.text(), "");
    let told = bench.carry_out(step("second", "env -0")).await;
    let env = variables(&told.output);
    assert_eq!(env["TIDEGATE_REF"], bench.ref_name.as_str());
    assert_eq!(env["TIDEGATE_SHA"], bench.sha.as_str());
    assert_eq!(env["TIDEGATE_VERSION"], "1.2.3+g1a2b3c4");
    assert_eq!(env["TIDEGATE_VERSION_SLUG"], "1.2.3-g1a2b3c4");
    assert_eq!((env["TIDEGATE"].as_str(), env["WHERE"].as_str()), ("1", "in the pipeline"));
    assert!(std::path::Path::new(&env["TIDEGATE_CACHE"]).is_dir());
    assert!(std::path::Path::new(&env["TIDEGATE_ARTIFACTS"]).is_dir());
    let ours = ["PATH", "HOME", "LANG", "TZ", "WHERE", "ALL", "PWD", "OLDPWD", "SHLVL", "_"];
    let foreign = |name: &&String| !ours.contains(&name.as_str()) && !name.starts_with("TIDEGATE");
    assert_eq!(env.keys().find(foreign), None);
    for absent in ["TIDEGATE_TIER", "TIDEGATE_NODE", "TIDEGATE_MODE", "TIDEGATE_PREVIOUS_VERSION"] {
        assert!(!env.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn the_outcome_holds_the_evidence() {
    use sha2::Digest as _;
    let mut bench = Bench::new(&[]).await;
    let told = bench.carry_out(step("loud", "echo out; echo err >&2; exit 3")).await;
    let outcome = told.outcome();
    assert_eq!((outcome.status, outcome.exit_code), (Status::Fail, Some(3)));
    assert_eq!(outcome.message.as_deref(), Some("exited with status 3: err"));
    let log = std::fs::read(bench.state().path().join(outcome.log_ref.as_ref().unwrap())).unwrap();
    assert_eq!((log.as_slice(), told.output.as_slice()), (&b"out\nerr\n"[..], &b"out\nerr\n"[..]));
    assert_eq!(outcome.log_bytes, Some(8));
    let digest = crate::interpreter::run_log::hex(&sha2::Sha256::digest(&log));
    assert_eq!(outcome.log_sha256, Some(digest));
}

#[tokio::test]
async fn what_a_step_says_is_told_and_a_bad_line_is_a_warning() {
    let mut bench = Bench::new(&[]).await;
    let script = r#"
        echo '{"kind":"progress","percent":50}' >> $TIDEGATE_EVENTS
        echo 'no json' >> $TIDEGATE_EVENTS
        echo '{"kind":"blocked","reason":"no board"}' >> $TIDEGATE_EVENTS
        printf '{"kind":"output","key":"a","value":"b"}' >> $TIDEGATE_EVENTS"#;
    let told = bench.carry_out(step("talks", script)).await;
    assert!(told.outcome().passed());
    assert_eq!(told.said.len(), 4, "{:?}", told.said);
    assert_eq!(told.said[0], StepSaid::Progress { percent: 50.0, note: None });
    assert!(told.warnings()[0].starts_with("line 2 of the events file"));
    assert!(told.warnings()[1].contains("no board"));
    assert_eq!(told.said[3], StepSaid::Output { key: "a".into(), value: "b".into() });
}

#[tokio::test]
async fn a_folder_of_a_step_stays_in_the_workspace() {
    let mut bench = Bench::new(&[("sub/file", "")]).await;
    for (dir, passes) in [("sub", true), ("../..", false), ("/tmp", false), ("missing", false)] {
        let mut job = step("list", "ls");
        let Job::Step { step, .. } = &mut job else { unreachable!() };
        step.exec.dir = Some(dir.into());
        let told = bench.carry_out(job).await;
        assert_eq!(told.outcome().passed(), passes, "{dir}: {:?}", told.outcome());
        assert_eq!(told.text(), if passes { "file\n" } else { "" });
    }
}
