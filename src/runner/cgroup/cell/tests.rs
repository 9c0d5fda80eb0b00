//! Folders that look like cgroups with controllers, which the machine need not have.

use super::*;
use tempfile::TempDir;

fn looks_like_one(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in files {
        fs::write(dir.path().join(file), text).unwrap();
    }
    dir
}

fn limits() -> Limits {
    Limits { memory: Some(64 << 20), pids: Some(32), cpu: Cores::new(0.5), ..Limits::default() }
}

const EVERYTHING: [(&str, &str); 5] = [
    ("memory.max", ""),
    ("memory.swap.max", ""),
    ("memory.oom.group", ""),
    ("pids.max", ""),
    ("cpu.max", ""),
];

#[test]
fn what_has_a_controller_is_kept_by_the_kernel() {
    let dir = looks_like_one(&EVERYTHING);
    let kept = apply(dir.path(), &limits());
    assert_eq!(kept, Controllers { memory: true, pids: true, cpu: true });
    let said = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
    assert_eq!((said("memory.max"), said("memory.oom.group")), ("67108864".into(), "1".into()));
    assert_eq!((said("memory.swap.max"), said("pids.max")), ("0".into(), "32".into()));
    assert_eq!(said("cpu.max"), "50000 100000");
}

#[test]
fn what_has_none_is_left_to_the_watch_and_no_file_is_made() {
    let dir = looks_like_one(&[("pids.max", "")]);
    let kept = apply(dir.path(), &limits());
    assert_eq!(kept, Controllers { memory: false, pids: true, cpu: false });
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let without = apply(dir.path(), &Limits::default());
    assert_eq!(without, Controllers::default(), "no limit is none to be kept");
}

/// What the files of a cgroup with all limits come to.
fn refused(files: &[(&str, &str)]) -> Option<Passed> {
    let dir = looks_like_one(files);
    let kept = Controllers { memory: true, pids: true, cpu: true };
    Cell { folder: dir.path().to_owned(), kept }.refused(&limits())
}

#[test]
fn what_the_kernel_noted_is_told_as_the_watch_would() {
    let quiet = [("memory.events", "low 0\noom 0\noom_kill 0\n"), ("pids.events", "max 0\n")];
    assert_eq!(refused(&quiet), None);
    let oom = [
        ("memory.events", "oom 1\noom_kill 2\noom_group_kill 1\n"),
        ("memory.events.local", "oom 1\noom_kill 0\n"),
        ("memory.peak", "67108864\n"),
    ];
    let memory = Passed { limit: Limit::Memory, granted: 64 << 20, seen: 64 << 20 };
    assert_eq!(refused(&oom), Some(memory));
    let machine = [("memory.events", "oom 0\noom_kill 2\n")];
    assert_eq!(refused(&machine), None, "the machine had none left, and not the run");
    let pids = Passed { limit: Limit::Pids, granted: 32, seen: 32 };
    assert_eq!(refused(&[("pids.events", "max 5\n")]), Some(pids));
}

#[test]
fn what_is_not_kept_there_is_not_looked_for() {
    let dir = looks_like_one(&[("pids.events", "max 5\n"), ("memory.events", "oom 1\noom_kill 1\n")]);
    assert_eq!(Cell::at(dir.path()).refused(&limits()), None);
}

#[test]
fn what_stays_has_no_limits() {
    let dir = looks_like_one(&EVERYTHING);
    Cell::at(dir.path()).let_stay();
    for file in ["memory.max", "pids.max", "cpu.max"] {
        assert_eq!(fs::read_to_string(dir.path().join(file)).unwrap(), "max", "{file}");
    }
}

#[test]
fn a_name_says_whose_it_is() {
    let name = Name::new(RunId(7));
    assert_eq!(Name::parse(&name.to_string()), Some(name));
    assert!(Name::new(RunId(7)).maker_lives());
    let gone = Name::of_the_dead(RunId(7));
    assert!(!gone.maker_lives(), "its number is another process's by now");
    assert!(Name { namespace: 1, ..gone }.maker_lives(), "of a process elsewhere nothing is known");
    for other in
        ["tidegate-7", "tidegate-7-1.2.3", "tidegate-7-1.2.3.4.5.6", "tidegate-7-1.2.3.4.05", "user.slice"]
    {
        assert_eq!(Name::parse(other), None, "{other}");
    }
}

#[test]
fn a_dead_process_is_still_known_by_its_cgroup() {
    let ours = Name::new(RunId(7));
    assert!(names_ours(&format!("9:cpu:/\n0::/a/{ours}/below\n")));
    assert!(names_ours(&format!("0::/{ours} (deleted)\n")));
    assert!(!names_ours(&format!("0::/{}\n", Name::of_the_dead(RunId(7)))), "of another process");
    assert!(!names_ours("0::/user.slice\n"));
}
