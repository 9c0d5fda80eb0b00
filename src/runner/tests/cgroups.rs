//! Runs with a cgroup of their own, where this machine lets tests make some.

use super::super::cgroup::{Cgroups, Ground};
use super::super::{Disk, Limit, Limits, Passed};
use super::survivors::end;
use super::*;
use crate::domain::Cores;

/// Where they are made. None: not here.
fn ground() -> Option<&'static Ground> {
    let found = Cgroups::of_this_process().ground();
    found.inspect_err(|absent| eprintln!("skipped: {absent}")).ok()
}

/// The cgroup of a run, while it is there.
fn of_run(ground: &Ground, run: RunId) -> Option<std::path::PathBuf> {
    let begins = format!("tidegate-{run}-");
    let whose = format!(".{}.", std::process::id());
    let is_it = |name: &str| name.starts_with(&begins) && name.contains(&whose);
    let entries = fs::read_dir(&ground.folder).unwrap().flatten();
    entries
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| is_it(&name.to_string_lossy())))
}

#[test]
fn a_process_is_in_its_cgroup_from_the_first_moment() {
    let Some(ground) = ground() else { return };
    let stage = Stage::new();
    let start = stage.sh("grep ^0:: /proc/self/cgroup; exit 3");
    let seen = stage.run(&start);
    assert!(seen.text().contains(&format!("/tidegate-{}-", start.run)), "{}", seen.text());
    assert_eq!((seen.how(), of_run(ground, start.run)), (&How::Code(3), None), "it is removed");
}

#[test]
fn a_run_that_could_not_begin_leaves_none() {
    let Some(ground) = ground() else { return };
    let stage = Stage::new();
    let start = Start { dir: stage.path().join("gone"), ..stage.sh("true") };
    assert!(matches!(stage.run(&start).how(), How::NotStarted { errno: libc::ENOENT, .. }));
    assert_eq!(of_run(ground, start.run), None);
}

#[test]
fn a_process_of_its_own_cgroup_is_given_what_any_other_is() {
    // What is ordered and what it sees must not depend on how it is made.
    let text = "trap '' PIPE; echo $0 $#; pwd; readlink /proc/self/fd/0; cut -d' ' -f5 /proc/$$/stat | grep -qx $$ && echo leads; \
                grep ^SigBlk: /proc/self/status; sed -n 's/^SigIgn:.*\\(.......\\)$/\\1/p' /proc/self/status; ls /proc/self/fd | wc -l; env | grep ^ODD; cat";
    let said = [Stage::new(), Stage::without_cgroups()].map(|stage| {
        let mut start = stage.sh(text);
        start.env.extend([("ODD".into(), "first".into()), ("ODD".into(), "a\u{e9}b".into())]);
        let dir = stage.path().canonicalize().unwrap().display().to_string();
        stage.run(&start).text().replace(&dir, "DIR")
    });
    assert_eq!(said[0], said[1]);
    assert!(said[0].contains("leads\n") && said[0].ends_with("ODD=a\u{e9}b\n"), "{}", said[0]);
}

#[test]
fn what_a_deploy_leaves_running_stays_in_it() {
    let Some(ground) = ground() else { return };
    let stage = Stage::new();
    let start = Start { leave_running: true, ..stage.sh("sleep 1000 & echo $! > stray") };
    let seen = stage.run(&start);
    let stray = number_in(&stage.path().join("stray"));
    let cgroup = of_run(ground, start.run).expect("it is there as long as somebody is");
    assert!(lives(stray) && seen.exit().strays.len() == 1);
    end(stray);
    let begin = Instant::now();
    while of_run(ground, start.run).is_some() {
        assert!(begin.elapsed() < PATIENCE, "{} stays", cgroup.display());
        // Each run looks what has become empty.
        stage.run(&stage.sh("true"));
    }
}

#[test]
fn what_a_step_made_below_it_goes_with_it() {
    let Some(ground) = ground() else { return };
    let stage = Stage::new();
    let text = format!(
        "mine={}$(sed -n 's/^0:://p' /proc/self/cgroup); mkdir -p $mine/a/b && sh -c 'echo $$ > '$mine/a/b/cgroup.procs'; \
         exec setsid sleep 1000' & while ! grep -q a/b /proc/$!/cgroup; do :; done; echo $! > stray",
        ground.folder.display()
    );
    let start = stage.sh(&text);
    let seen = stage.run(&start);
    let stray = number_in(&stage.path().join("stray"));
    assert!(!lives(stray), "{:?}", seen.exit());
    assert_eq!(of_run(ground, start.run), None);
}

#[test]
fn a_limit_that_only_the_kernel_keeps_is_said_not_to_be_kept_where_it_is_not() {
    let stage = Stage::without_cgroups();
    let start = Start { limits: Limits { cpu: Cores::new(0.5), ..Limits::default() }, ..stage.sh("exit 4") };
    let seen = stage.run(&start);
    assert_eq!(*seen.how(), How::Code(4));
    assert_eq!(seen.warnings.len(), 1, "{:?}", seen.warnings);
    assert!(seen.warnings[0].starts_with("`limits.cpu` of 0.5 is not kept here: "), "{:?}", seen.warnings);
}

#[test]
fn a_run_that_fills_its_folder_is_killed() {
    let stage = Stage::new();
    fs::write(stage.path().join("before"), vec![7; 4 << 20]).unwrap();
    let disk = Some(Disk { bytes: 2 << 20, folder: stage.path().to_owned() });
    let fits =
        Start { limits: Limits { disk: disk.clone(), ..Limits::default() }, ..stage.sh("sleep 0.4; exit 3") };
    assert_eq!(*stage.run(&fits).how(), How::Code(3), "what was there before does not count");
    let hog = Start {
        limits: Limits { disk, ..Limits::default() },
        ..stage.sh("mkdir -p a/b; head -c 3M /dev/zero > a/b/large; setsid sleep 1000 & sleep 1000")
    };
    let seen = stage.run(&hog);
    let How::LimitPassed(Passed { limit: Limit::Disk, granted, seen: grown }) = *seen.how() else {
        panic!("{:?}", seen.how())
    };
    assert!(granted == 2 << 20 && grown >= 3 << 20, "{grown}");
    let said = seen.text();
    assert!(
        said.starts_with("tidegate: disk limit 2 MiB passed: 3")
            && said.ends_with("; all of it was killed\n"),
        "{said}"
    );
}
