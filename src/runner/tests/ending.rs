//! How runs end: by themselves, by a signal, by time, by a wish.

use super::*;

#[test]
fn status_and_signal_are_told_apart() {
    let stage = Stage::new();
    assert_eq!(*stage.run(&stage.sh("exit 0")).how(), How::Code(0));
    assert_eq!(*stage.run(&stage.sh("exit 143")).how(), How::Code(143));
    assert_eq!(*stage.run(&stage.sh("kill -TERM $$")).how(), How::Signal(15));
    assert_eq!(*stage.run(&stage.sh("kill -SEGV $$")).how(), How::Signal(11));
}

#[test]
fn a_step_that_takes_too_long_is_stopped() {
    let stage = Stage::new();
    for timeout in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(80)] {
        let start = Start { timeout: Some(timeout), ..stage.sh("sleep 1000") };
        assert_eq!(*stage.run(&start).how(), How::Stopped(StopCause::Timeout));
    }
    let start = Start { timeout: Some(Duration::MAX), grace: Duration::MAX, ..stage.sh("exit 4") };
    assert_eq!(*stage.run(&start).how(), How::Code(4));
}

#[test]
fn a_canceled_step_may_clean_up_and_is_heard() {
    let stage = Stage::new();
    let start = stage.sh("trap 'echo cleaned; exit 7' TERM; echo ready; while :; do :; done");
    let seen = canceled_when_ready(&stage, &start);
    assert_eq!(seen.text(), "ready\ncleaned\n");
    assert_eq!(*seen.how(), How::Stopped(StopCause::Canceled));
    seen.check_log(&start);
}

#[test]
fn one_that_ignores_sigterm_is_killed() {
    let stage = Stage::new();
    let text = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let start = Start { grace: Duration::from_millis(50), ..stage.sh(text) };
    let seen = canceled_when_ready(&stage, &start);
    assert_eq!(*seen.how(), How::Stopped(StopCause::Canceled));
    assert!(!lives(seen.pid));
}

#[test]
fn one_that_stopped_itself_ends_too() {
    let stage = Stage::new();
    let text = "trap 'echo woken; exit' TERM; echo ready; kill -STOP $$; sleep 1000";
    let seen = canceled_when_ready(&stage, &stage.sh(text));
    assert_eq!(*seen.how(), How::Stopped(StopCause::Canceled));
    assert!(!lives(seen.pid));
    let start = Start { timeout: Some(Duration::from_millis(50)), ..stage.sh("kill -STOP $$") };
    assert_eq!(*stage.run(&start).how(), How::Stopped(StopCause::Timeout));
}

#[test]
fn one_that_closed_its_output_still_runs_and_can_be_stopped() {
    let stage = Stage::new();
    let quiet = stage.sh("exec >&- 2>&-; sleep 0.2; exit 5");
    assert_eq!(*stage.run(&quiet).how(), How::Code(5));
    let start = stage.sh("echo ready; exec >&- 2>&-; sleep 1000");
    assert_eq!(*canceled_when_ready(&stage, &start).how(), How::Stopped(StopCause::Canceled));
}

#[test]
fn the_first_cause_counts() {
    let stage = Stage::new();
    let start = stage.sh("echo ready; sleep 1000");
    let mut reports = stage.begin(&start);
    let mut seen = Seen::default();
    seen.take_until(&mut reports, |seen| !seen.chunks.is_empty());
    stage.runner.stop(start.run, StopCause::Interrupted);
    stage.runner.stop(start.run, StopCause::Canceled);
    seen.take_all(&mut reports);
    assert_eq!(*seen.how(), How::Stopped(StopCause::Interrupted));
    stage.runner.stop(start.run, StopCause::Canceled);
    stage.runner.stop(RunId(u64::MAX), StopCause::Canceled);
}

#[test]
fn a_stop_right_after_the_start_is_not_lost() {
    let stage = Stage::new();
    for _ in 0..50 {
        let start = stage.sh("sleep 1000");
        let mut reports = stage.begin(&start);
        stage.runner.stop(start.run, StopCause::Canceled);
        let mut seen = Seen::default();
        seen.take_all(&mut reports);
        assert_eq!(*seen.how(), How::Stopped(StopCause::Canceled));
    }
}

#[test]
fn a_stop_racing_the_end_gives_one_end() {
    let stage = Stage::new();
    let mut by_itself = 0;
    for round in 0..300u64 {
        let start = stage.sh("echo ready; exit 3");
        let mut reports = stage.begin(&start);
        let mut seen = Seen::default();
        seen.take_until(&mut reports, |seen| !seen.chunks.is_empty());
        for _ in 0..round * 20 {
            std::hint::spin_loop();
        }
        stage.runner.stop(start.run, StopCause::Canceled);
        seen.take_all(&mut reports);
        match seen.how() {
            How::Code(3) => by_itself += 1,
            How::Stopped(StopCause::Canceled) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(by_itself > 0, "the race was never run");
}

/// Runs it until its first output, and cancels it then.
fn canceled_when_ready(stage: &Stage, start: &Start) -> Seen {
    let mut reports = stage.begin(start);
    let mut seen = Seen::default();
    seen.take_until(&mut reports, |seen| !seen.chunks.is_empty());
    stage.runner.stop(start.run, StopCause::Canceled);
    seen.take_all(&mut reports);
    seen
}
