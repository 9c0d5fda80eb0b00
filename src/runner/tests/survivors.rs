//! What a step leaves behind, and what becomes of it.

use super::super::kin;
use super::*;

/// What must be over long before its `sleep 1000` would be.
fn ends_its_stray(text: &str, how: How) {
    [Stage::new(), Stage::without_cgroups()].iter().for_each(|stage| ends_its_stray_on(stage, text, &how));
}

fn ends_its_stray_on(stage: &Stage, text: &str, how: &How) {
    let start = stage.sh(text);
    let seen = stage.run(&start);
    assert_eq!(seen.how(), how);
    let stray = number_in(&stage.path().join("stray"));
    assert!(!lives(stray), "it lives on");
    assert!(seen.exit().strays.iter().any(|one| one.pid == stray), "{:?}", seen.exit().strays);
    assert!(seen.warnings.iter().any(|text| text.contains(&format!("({stray})"))), "{:?}", seen.warnings);
    seen.check_log(&start);
    assert!(seen.exit().elapsed < PATIENCE);
}

#[test]
fn one_that_holds_the_output_does_not_hold_the_end() {
    ends_its_stray("sleep 1000 & echo $! > stray; exit 3", How::Code(3));
}

#[test]
fn one_in_a_session_of_its_own_is_found() {
    ends_its_stray(
        "setsid sh -c 'echo $$ > stray; exec sleep 1000' & while ! test -s stray; do :; done",
        How::Code(0),
    );
}

#[test]
fn one_that_forked_twice_is_found() {
    let text = "(setsid sh -c 'sh -c \"echo \\$\\$ > stray; exec sleep 1000\" &' &); while ! test -s stray; do :; done";
    ends_its_stray(text, How::Code(0));
}

#[test]
fn one_without_environment_is_found() {
    let text = "env -i setsid -f sh -c 'echo $$ > stray; exec sleep 1000'; while ! test -s stray; do :; done";
    ends_its_stray(text, How::Code(0));
}

#[test]
fn one_that_left_no_trace_but_its_mark_is_found() {
    let stage = Stage::new();
    let text = "while ! test -s go; do :; done; env -i setsid -f sh -c 'echo $$ > stray; exec sleep 1000' \
                >/dev/null 2>&1; while ! test -s stray; do :; done";
    let mut reports = stage.begin(&stage.sh(text));
    let mut seen = Seen::default();
    seen.take_until(&mut reports, |seen| seen.pid != 0);
    fs::write(stage.path().join("go"), "1").unwrap();
    seen.take_all(&mut reports);
    let stray = number_in(&stage.path().join("stray"));
    assert!(!lives(stray));
    assert_eq!(seen.exit().strays.iter().map(|one| one.pid).collect::<Vec<_>>(), [stray]);
}

#[test]
fn one_that_ignores_sigterm_is_found_and_killed() {
    let stage = Stage::new();
    let text = "setsid sh -c 'trap \"\" TERM; echo $$ > stray; while :; do sleep 1; done' & \
                while ! test -s stray; do :; done";
    let start = Start { grace: Duration::from_millis(30), ..stage.sh(text) };
    let seen = stage.run(&start);
    assert!(!lives(number_in(&stage.path().join("stray"))));
    assert!(!seen.exit().strays.is_empty());
}

#[test]
fn a_canceled_step_takes_its_escaped_children_along() {
    let stage = Stage::new();
    let text = "env -i setsid sh -c 'echo $$ > stray; exec sleep 1000' & \
                while ! test -s stray; do :; done; echo ready; wait";
    let start = stage.sh(text);
    let mut reports = stage.begin(&start);
    let mut seen = Seen::default();
    seen.take_until(&mut reports, |seen| !seen.chunks.is_empty());
    stage.runner.stop(start.run, StopCause::Canceled);
    seen.take_all(&mut reports);
    assert_eq!(*seen.how(), How::Stopped(StopCause::Canceled));
    assert!(!lives(number_in(&stage.path().join("stray"))));
}

#[test]
fn each_run_ends_only_its_own() {
    let stage = Stage::new();
    let text = "setsid sh -c 'echo $$ > victim; exec sleep 1000' & while ! test -s victim; do :; done; echo ready; wait";
    let long = stage.sh(text);
    let mut reports = stage.begin(&long);
    let mut seen = Seen::default();
    seen.take_until(&mut reports, |seen| !seen.chunks.is_empty());
    let orphan = Start { leave_running: true, ..stage.sh("setsid sleep 1000 & echo $! > orphan") };
    let left = stage.run(&orphan);
    assert!(left.exit().strays.len() == 1 && left.warnings.is_empty());
    for _ in 0..5 {
        assert!(stage.run(&stage.sh("sleep 1000 & exit 0")).exit().strays.len() == 1);
    }
    let (victim, orphan) = (number_in(&stage.path().join("victim")), number_in(&stage.path().join("orphan")));
    assert!(lives(victim) && lives(orphan));
    stage.runner.stop(long.run, StopCause::Canceled);
    seen.take_all(&mut reports);
    assert!(!lives(victim) && lives(orphan));
    end(orphan);
}

#[test]
fn what_may_live_on_lives_on_and_can_still_write() {
    let stage = Stage::new();
    let text = "sh -c 'while ! test -s go; do sleep 0.01; done; echo late; echo later; echo $$ > wrote; exec sleep 1000' & \
                echo $! > stray; echo begun";
    let start = Start { leave_running: true, ..stage.sh(text) };
    let seen = stage.run(&start);
    let stray = number_in(&stage.path().join("stray"));
    assert!(lives(stray));
    assert!(seen.exit().strays.iter().any(|one| one.pid == stray), "{:?}", seen.exit().strays);
    fs::write(stage.path().join("go"), "1").unwrap();
    assert_eq!(number_in(&stage.path().join("wrote")), stray);
    assert_eq!(seen.check_log(&start), b"begun\n");
    end(stray);
}

#[test]
fn the_last_words_of_a_pipeline_are_taken() {
    let stage = Stage::new();
    let start = stage
        .sh("(while ! test -s gone; do :; done; echo last) & echo first; sh -c 'echo 1 > gone' & exit 0");
    let seen = stage.run(&start);
    assert_eq!(seen.text(), "first\nlast\n");
}

#[test]
fn no_zombie_is_left() {
    let stage = Stage::new();
    for _ in 0..5 {
        stage.run(
            &stage.sh("(setsid sleep 1000 &); (setsid true &); sleep 1000 & (sleep 1000 & sleep 1000 &) "),
        );
    }
    stage.run(&stage.sh("true"));
    let us = std::process::id() as i32;
    let begin = Instant::now();
    loop {
        // Other tests make and reap theirs meanwhile; each is there for a moment only.
        let mut dead =
            kin::table().into_iter().filter(|one| one.dead && one.parent == us && one.name == "sleep");
        if !dead.any(|one| kin::comes_from_a_step(one.pid)) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE);
        kin::reap_adopted();
    }
}

#[test]
fn others_keep_the_status_of_their_children() {
    let stage = Stage::new();
    let mut children: Vec<_> = (0..20)
        .map(|i| std::process::Command::new("/bin/sh").args(["-c", &format!("exit {i}")]).spawn().unwrap())
        .collect();
    for _ in 0..10 {
        stage.run(&stage.sh("(setsid true &); sleep 1000 &"));
    }
    for (i, child) in children.iter_mut().enumerate() {
        assert_eq!(child.wait().unwrap().code(), Some(i as i32));
    }
}

#[test]
fn the_abandoned_are_found_by_a_variable() {
    let stage = Stage::new();
    let variable = format!("WHOSE={}", stage.path().display());
    let mut child = std::process::Command::new("/bin/sh")
        .args(["-c", "echo $$ > stray; sleep 1000 & wait"])
        .env("WHOSE", stage.path())
        .current_dir(stage.path())
        .spawn()
        .unwrap();
    number_in(&stage.path().join("stray"));
    let found = super::super::end_abandoned(variable.as_bytes(), Duration::from_millis(500));
    assert!(found.iter().any(|one| one.pid == child.id()));
    assert!(!child.wait().unwrap().success());
    assert!(super::super::end_abandoned(variable.as_bytes(), Duration::ZERO).is_empty());
}

#[test]
fn the_abandoned_of_a_run_are_found_by_its_mark_whatever_their_environment() {
    let mark = kin::Mark::of(RunId(u64::from(u32::MAX)));
    let start = || std::process::Command::new("sleep").arg("1000").env_clear().spawn().unwrap();
    let (mut child, mut other) = (start(), start());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::prlimit(Some(pid), rustix::process::Resource::Locks, mark.limit()).unwrap();
    let found = super::super::strays::end_run(mark, b"WHOSE=nobody", Duration::from_millis(500));
    assert_eq!(found.iter().map(|one| one.pid).collect::<Vec<_>>(), [child.id()]);
    assert!(!child.wait().unwrap().success());
    assert!(other.try_wait().unwrap().is_none(), "it has no mark");
    other.kill().unwrap();
    other.wait().unwrap();
}

/// Ends a process that a test left running on purpose.
pub(super) fn end(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
