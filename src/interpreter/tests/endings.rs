//! Every effect that began ends in one answer, whatever happens.

use super::bench::*;
use crate::domain::{Classification, Command, EventId, Failure, Job};
use crate::interpreter::{Interpreter as _, Report, StopCause, sweep};
use crate::runner::{self, Runner, Start};
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

#[tokio::test]
async fn a_stop_ends_a_step_and_its_cause_is_the_class() {
    let mut bench = Bench::new(&[]).await;
    for (cause, class) in [
        (StopCause::Canceled, Classification::Canceled),
        (StopCause::Interrupted, Classification::Interrupted),
    ] {
        let effect = bench.begin(step("slow", "echo on; exec sleep 1000"));
        bench.stop_at("on", &effect, cause).await;
        assert_eq!(bench.end().await.class(), class);
    }
}

#[tokio::test]
async fn a_stop_before_the_start_keeps_it_from_starting() {
    let mut bench = Bench::new(&[]).await;
    let mark = bench.path("mark");
    let effect = bench.begin(step("never", &format!("touch {}", mark.display())));
    bench.interpreter.stop(&effect, StopCause::Canceled);
    bench.interpreter.stop(&effect, StopCause::Interrupted);
    assert_eq!(bench.end().await.class(), Classification::Canceled);
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_timeout_is_a_fail() {
    let mut bench = Bench::new(&[]).await;
    let mut job = step("slow", "exec sleep 1000");
    let Job::Step { step, .. } = &mut job else { unreachable!() };
    step.exec.timeout = Some(millis(100));
    let told = bench.carry_out(job).await;
    assert_eq!(told.class(), Classification::Timeout);
    assert_eq!(told.outcome().message.as_deref(), Some("it took longer than its timeout of 100ms"));
}

#[tokio::test]
async fn the_same_effect_twice_is_answered_once() {
    let mut bench = Bench::new(&[]).await;
    let job = step("slow", "echo on; exec sleep 1000");
    let effect = bench.begin(job.clone());
    bench.begin(job);
    bench.stop_at("on", &effect, StopCause::Canceled).await;
    bench.end().await;
    let told = bench.carry_out(step("next", "echo next")).await;
    assert_eq!(told.text(), "next\n");
}

#[tokio::test]
async fn a_closed_channel_holds_nothing_up() {
    let mut bench = Bench::new(&[]).await;
    let mark = bench.path("mark");
    bench.hang_up();
    bench.begin(step("alone", &format!("echo unheard; touch {}", mark.display())));
    let done = async {
        while !mark.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), done).await.unwrap();
}

/// A runner that is broken.
struct Breaks;

impl Runner for Breaks {
    fn start(&self, _: Start, _: Sender<runner::Report>) {
        panic!("on purpose");
    }
    fn stop(&self, _: crate::domain::RunId, _: runner::StopCause) {}
}

/// A runner that loses its runs.
struct Forgets;

impl Runner for Forgets {
    fn start(&self, _: Start, _: Sender<runner::Report>) {}
    fn stop(&self, _: crate::domain::RunId, _: runner::StopCause) {}
}

#[tokio::test]
async fn what_breaks_is_answered_too() {
    let mut bench = Bench::with_runner(&[], Arc::new(Breaks)).await;
    let told = bench.carry_out(step("breaks", "true")).await;
    assert_eq!(told.class(), Classification::Infrastructure);
    let plan = crate::domain::pipeline::Deploy { run: Some(shell("true")), ..plain_deploy() };
    assert_eq!(bench.carry_out(deploy(plan, &[])).await.failure(), Failure::Activate);
    let mut bench = Bench::with_runner(&[], Arc::new(Forgets)).await;
    assert_eq!(bench.carry_out(gate(command("true"), &[])).await.class(), Classification::Infrastructure);
}

#[tokio::test]
async fn a_repository_that_is_gone_blocks_and_does_not_fail() {
    let mut bench = Bench::new(&[]).await;
    std::fs::remove_dir_all(bench.path("repo")).unwrap();
    let told = bench.carry_out(gate(command("true"), &[])).await;
    assert_eq!(told.class(), Classification::Infrastructure);
    assert!(told.outcome().message.as_ref().unwrap().starts_with("failed to "), "{:?}", told.outcome());
}

#[tokio::test]
async fn sweeping_keeps_the_builds_that_go_on() {
    let mut bench = Bench::new(&[]).await;
    bench.carry_out(step("one", "echo made > made")).await;
    let build = bench.places().build(REQUEST);
    let others = [
        bench.places().build(EventId(6)),
        bench.places().gate(run()),
        bench.places().version(REQUEST),
        bench.places().deploy(&"staging".into(), &"a1".into(), run()),
    ];
    for other in &others {
        std::fs::create_dir_all(other.checkout()).unwrap();
    }
    sweep(&bench.state(), &[(bench.pipeline.name.clone(), REQUEST)], &[], &Default::default()).await;
    assert_eq!(others.iter().find(|other| other.path().exists()), None);
    assert!(build.checkout().join("made").exists());
    assert_eq!(bench.carry_out(step("two", "cat made")).await.text(), "made\n");
    sweep(&bench.state(), &[], &[], &Default::default()).await;
    assert!(!build.path().exists());
}

#[tokio::test]
async fn the_end_is_the_last_that_is_said() {
    let mut bench = Bench::new(&[]).await;
    for _ in 0..5 {
        bench.begin(step("one", "seq 1000; echo x >> $TIDEGATE_EVENTS"));
    }
    let mut ended = Vec::new();
    while ended.len() < 5 {
        let run = match bench.next().await {
            Report::Command(Command::RunEnded { run, .. }) => {
                ended.push(run);
                continue;
            }
            Report::Command(Command::RunSaid { run, .. }) | Report::Output { run, .. } => run,
            Report::Command(other) => panic!("{other:?}"),
        };
        assert!(!ended.contains(&run));
    }
}

#[tokio::test]
async fn an_interrupted_collect_keeps_the_workspace_for_the_next_time() {
    let mut bench = Bench::new(&[("made", "bits")]).await;
    bench.carry_out(step("one", "true")).await;
    bench.pipeline.build.artifacts = vec!["made".into()];
    let effect = bench.begin(collect());
    bench.interpreter.stop(&effect, StopCause::Interrupted);
    let Command::Collected { artifacts: Err(message), .. } = bench.end().await.end else { panic!() };
    assert_eq!(message, "the controller stopped meanwhile");
    assert!(bench.places().build(REQUEST).ready().exists());
    assert_eq!(bench.carry_out(collect()).await.artifacts().len(), 1);
}
