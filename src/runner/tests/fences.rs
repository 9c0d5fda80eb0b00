//! What a fence keeps a step from, and what a limit ends.

use super::super::kin;
use super::super::{Account, Fence, Ground, Landlock, Limit, Limits, Passed};
use super::*;
use std::os::unix::fs::PermissionsExt;

/// A workspace that may be written, and a state folder that is closed, with things in it.
fn landlocked(stage: &Stage, text: &str) -> Option<Start> {
    if Landlock::of_this_machine() == Landlock::None {
        eprintln!("skipped: the kernel has no Landlock");
        return None;
    }
    let at = |name: &str| stage.path().join(name);
    for folder in ["state/work", "state/read", "beside", "logs"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    fs::write(at("state/token"), "a token").unwrap();
    fs::write(at("state/read/object"), "an object").unwrap();
    fs::write(at("secret"), "a secret").unwrap();
    fs::write(at("beside/file"), "a file").unwrap();
    let ground = Ground {
        closed: vec![at("state"), at("secret"), at("not/there")],
        readable: vec![at("state/read")],
        writable: vec![at("state/work")],
    };
    let events = at("state/said.events");
    Some(Start {
        dir: at("state/work"),
        fence: Fence::Landlock(ground),
        env: [stage.sh("").env, vec![("EVENTS".into(), events.clone().into())]].concat(),
        events,
        ..stage.sh(text)
    })
}

/// Runs the text, which prints a line for each thing that it could do.
fn could(text: &str) -> Option<Vec<String>> {
    let stage = Stage::new();
    let start = landlocked(&stage, text)?;
    let seen = stage.run(&start);
    assert_eq!(*seen.how(), How::Code(0), "{}", seen.text());
    Some(seen.text().lines().map(str::to_owned).collect())
}

#[test]
fn landlock_lets_a_step_write_what_is_its_own_and_read_the_rest() {
    let text = r#"
        exec 2>/dev/null
        echo x > new && mkdir deep && mv new deep/new && ln -s deep link && echo workspace
        test "$(cat "$DIR/beside/file")" = "a file" && echo beside
        test "$(cat "$DIR/state/read/object")" = "an object" && echo object
        test -n "$(cat /etc/passwd)" && ls /etc >/dev/null && echo system
        echo '{"kind":"x"}' >> "$EVENTS" && echo events
        echo x > /dev/null && head -c 1 /dev/zero >/dev/null && echo devices
        echo x > /dev/stdout
        (sleep 100 & kill $!) && echo kill
        cat /proc/self/status >/dev/null && echo proc
    "#;
    let Some(could) = could(text) else { return };
    let all = ["workspace", "beside", "object", "system", "events", "devices", "x", "kill", "proc"];
    assert_eq!(could, all);
}

#[test]
fn landlock_keeps_a_step_from_everything_else() {
    let text = r#"
        exec 2>/dev/null
        test -n "$(cat "$DIR/state/token")" && echo token
        test -n "$(cat "$DIR/secret")" && echo secret
        ls "$DIR/state" && echo list
        ls "$DIR" && echo list-on-the-way
        (echo x >> "$DIR/state/token") && echo write-token
        (: > "$DIR/state/token") && echo cut-token
        ln "$DIR/state/token" here && echo link-token
        ln -s "$DIR/state/token" here && cat here && echo through-link
        mv "$DIR/state/token" mine && echo move-token
        rm "$DIR/state/token" && echo remove-token
        (echo x > "$DIR/beside/file") && echo write-beside
        (echo x > "$DIR/beside/new") && echo make-beside
        (echo x > /tmp/tidegate-fence-$$) && echo tmp
        (echo x > /dev/shm/tidegate-fence-$$) && echo shm
        echo x > "$DIR/state/read/object" && echo write-object
        mkdir -p "$DIR/not" && echo made > "$DIR/not/there" && echo made-closed
        kill -0 $PPID && echo signal
        head -c 1 /proc/$PPID/environ >/dev/null && echo environ
        readlink /proc/$PPID/fd/0 /proc/$PPID/cwd /proc/$PPID/exe && echo descriptors
        head -c 1 /proc/kcore >/dev/null && echo kernel
        for disk in /dev/vda /dev/sda /dev/nvme0n1 /dev/mem; do
            test -e $disk && head -c 1 $disk >/dev/null && echo disk
        done
        mount -t tmpfs none . && echo mount
        mknod null c 1 3 && echo device
        grep -q 'NoNewPrivs:.1' /proc/self/status || echo new-privileges
        prlimit --pid $PPID --core=0 && echo limit-of-another
        prlimit --locks=5 true && echo mark
        cp /bin/true own && chmod 4755 own && echo set-user-id
        chmod 2755 own && echo set-group-id
        (exec 3<>/dev/tty) && echo terminal
        (exec 3<>/dev/ptmx) && echo new-terminal
        exit 0
    "#;
    let Some(mut could) = could(text) else { return };
    if Landlock::of_this_machine() == Landlock::FilesOnly {
        could.retain(|what| what != "signal");
    }
    assert!(could.is_empty(), "{could:?}");
}

#[test]
fn landlock_leaves_a_step_its_own_limits_and_no_birth_in_another_cgroup() {
    let born = r#"
        #include <stdio.h>
        #include <errno.h>
        #include <unistd.h>
        #include <sys/syscall.h>
        int main(void) {
            unsigned long long how[11] = { 1ull << 33 };
            long made = syscall(435, how, sizeof how);
            if (made == 0) _exit(0);
            puts(made < 0 && errno == ENOSYS ? "refused" : "asked");
            return 0;
        }
    "#;
    let text = format!(
        "ulimit -n 99 && ulimit -n; prlimit --pid $PPID --nofile --noheadings --output=RESOURCE
         cat > born.c <<'.'\n{born}\n.\nTMPDIR=. cc -o born born.c && ./born; chmod 755 born; sh -c 'echo below'; env echo born"
    );
    let Some(could) = could(&text) else { return };
    assert_eq!(could, ["99", "NOFILE", "refused", "below", "born"]);
}

#[test]
fn a_fence_is_around_all_that_a_step_starts_and_around_nothing_of_ours() {
    let stage = Stage::new();
    let text = r#"setsid sh -c 'cat "$DIR/state/token" || echo closed' 2>/dev/null"#;
    let Some(start) = landlocked(&stage, text) else { return };
    let seen = stage.run(&start);
    assert_eq!(seen.text(), "closed\n");
    assert_eq!(fs::read(stage.path().join("state/token")).unwrap(), b"a token");
    // The threads that start processes are used again.
    for _ in 0..20 {
        let free = stage.run(&stage.sh("cat \"$DIR/state/token\"; grep NoNewPrivs /proc/self/status"));
        assert_eq!(free.text(), "a tokenNoNewPrivs:\t0\n");
    }
}

#[test]
fn what_a_fenced_step_leaves_behind_is_found_and_it_can_be_stopped() {
    let stage = Stage::new();
    let text =
        "setsid sh -c 'echo $$ > stray; exec sleep 1000' & while ! test -s stray; do :; done; echo up; wait";
    let Some(start) = landlocked(&stage, text) else { return };
    let mut reports = stage.begin(&start);
    let mut seen = Seen::default();
    seen.take_until(&mut reports, |seen| !seen.chunks.is_empty());
    stage.runner.stop(start.run, StopCause::Canceled);
    seen.take_all(&mut reports);
    assert_eq!(*seen.how(), How::Stopped(StopCause::Canceled));
    assert!(!lives(number_in(&stage.path().join("state/work/stray"))));
}

#[test]
fn a_program_that_the_fence_closes_is_told_of() {
    let stage = Stage::new();
    let Some(start) = landlocked(&stage, "") else { return };
    let program = stage.path().join("state/tool");
    fs::copy("/bin/true", &program).unwrap();
    let seen = stage.run(&Start { argv: vec![program.into()], ..start });
    let How::NotStarted { message, missing_program: false, .. } = seen.how() else {
        panic!("{:?}", seen.how())
    };
    assert!(message.contains("`sandbox` closes the state folder"), "{message}");
}

/// An order for `nobody`, in a folder that it may enter.
fn as_nobody(stage: &Stage, text: &str, groups: &[u32]) -> Option<Start> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root becomes another account");
        return None;
    }
    fs::set_permissions(stage.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let account = Account { name: "nobody".into(), uid: 65534, gid: 65534, groups: groups.to_vec() };
    fs::create_dir(stage.path().join("home")).unwrap();
    std::os::unix::fs::chown(stage.path().join("home"), Some(65534), Some(65534)).unwrap();
    Some(Start { fence: Fence::Account(account), dir: stage.path().join("home"), ..stage.sh(text) })
}

#[test]
fn an_account_has_its_own_ids_and_groups_and_nothing_else() {
    let stage = Stage::new();
    let text = "grep -E '^(Uid|Gid|Groups|CapEff|CapPrm|CapAmb):' /proc/self/status; \
                echo '{}' >> $EVENTS; (kill -0 $PPID || cat /proc/$PPID/environ) 2>/dev/null && echo reaches; exit 0";
    let Some(start) = as_nobody(&stage, text, &[65534, 8, 12]) else { return };
    let seen = stage.run(&start);
    let said = seen.text();
    let words: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["Uid:", "65534", "65534", "65534", "65534"]);
    assert_eq!(words[1], ["Gid:", "65534", "65534", "65534", "65534"]);
    assert_eq!(words[2], ["Groups:", "8", "12", "65534"]);
    assert!(words[3..].iter().all(|line| line[1].trim_start_matches('0').is_empty()), "{said}");
    assert_eq!((words.len(), seen.lines.len()), (6, 1), "{said}");
    assert!(!start.events.exists(), "no other run gets a file that it could still reach");
    let ours = stage.run(&stage.sh("id -u; id -g; grep CapEff /proc/self/status"));
    assert!(
        ours.text().starts_with("0\n0\n") && !ours.text().contains("\t0000000000000000"),
        "{}",
        ours.text()
    );
}

#[test]
fn what_an_account_leaves_behind_is_ended() {
    let stage = Stage::new();
    let text = "env -i setsid sh -c 'echo $$ > stray; exec sleep 1000' & while ! test -s stray; do :; done";
    let Some(start) = as_nobody(&stage, text, &[]) else { return };
    let seen = stage.run(&start);
    let stray = number_in(&stage.path().join("home/stray"));
    assert!(!lives(stray) && seen.exit().strays.iter().any(|one| one.pid == stray));
}

#[test]
fn an_account_that_cannot_reach_its_folder_is_told_so() {
    let stage = Stage::new();
    let Some(start) = as_nobody(&stage, "true", &[]) else { return };
    fs::set_permissions(stage.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let seen = stage.run(&start);
    let How::NotStarted { message, .. } = seen.how() else { panic!("{:?}", seen.how()) };
    assert!(message.contains("`nobody` must be let through every folder"), "{message}");
}

/// A run that passes a limit: what was passed. Nothing of it lives on, and the log ends with it.
fn passes(text: &str, limits: Limits) -> Passed {
    let stage = Stage::new();
    let start = Start { limits, ..stage.sh(text) };
    let seen = stage.run(&start);
    let How::LimitPassed(passed) = *seen.how() else { panic!("{:?}: {}", seen.how(), seen.text()) };
    let log = String::from_utf8(seen.check_log(&start)).unwrap();
    let last = log.lines().next_back().unwrap();
    assert_eq!(last, format!("tidegate: {passed}; all of it was killed"));
    assert!(log.ends_with('\n') && log.starts_with("begun\n"), "{log}");
    let variable = format!("{}={}", super::super::RUN_ID_VARIABLE, start.run);
    let of_run = |one: &kin::Process| !one.dead && kin::has_variable(one.pid, variable.as_bytes());
    let left: Vec<_> =
        kin::table().into_iter().filter(of_run).filter(|one| holds_pipe_of(&stage, one)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(seen.exit().elapsed < PATIENCE);
    passed
}

/// Runs of other test programs may have the same number: the folder tells them apart.
fn holds_pipe_of(stage: &Stage, process: &kin::Process) -> bool {
    let dir = format!("DIR={}", stage.path().display());
    kin::has_variable(process.pid, dir.as_bytes())
}

#[test]
fn a_run_that_takes_too_much_memory_is_killed() {
    let limits = Limits { memory: Some(48 << 20), ..Limits::default() };
    let text = "echo begun; { head -c 400M /dev/zero; sleep 1000; } | tail";
    let passed = passes(text, limits);
    assert_eq!((passed.limit, passed.granted), (Limit::Memory, 48 << 20));
    assert!(passed.seen > 48 << 20, "{passed}");
}

#[test]
fn memory_that_is_spread_over_processes_counts_together() {
    let limits = Limits { memory: Some(64 << 20), ..Limits::default() };
    let hog = "(sh -c 'x=$(head -c 25000000 /dev/zero | tr \"\\0\" x); sleep 1000; echo $x') &";
    let passed = passes(&format!("echo begun; {hog} {hog} {hog} {hog} wait"), limits);
    assert!(passed.seen > 64 << 20, "{passed}");
}

#[test]
fn a_run_of_too_many_processes_is_killed_with_those_that_got_away() {
    let limits = Limits { pids: Some(20), ..Limits::default() };
    let text =
        "printf 'begun\nhalf'; for i in $(seq 60); do setsid sh -c 'trap \"\" TERM; sleep 1000' & done; wait";
    let passed = passes(text, limits);
    assert!(passed.limit == Limit::Pids && passed.seen > 20, "{passed}");
}

#[test]
fn a_fork_bomb_ends_and_leaves_nothing() {
    let limits = Limits { pids: Some(64), ..Limits::default() };
    // Its last generation starts nobody: a broken runner must not take the machine along.
    let text = "echo begun; cat > bomb <<'END'\nn=$1; test $n -gt 0 || { sleep 1000; exit; }\n\
                sh bomb $((n - 1)) & setsid sh bomb $((n - 1)) & wait\nEND\nsh bomb 8; sleep 1000";
    let passed = passes(text, limits);
    assert!(passed.seen > 64, "{passed}");
}

#[test]
fn within_its_limits_a_run_is_as_without() {
    let stage = Stage::new();
    let limits = Limits { memory: Some(256 << 20), pids: Some(50), ..Limits::default() };
    let start = Start { limits, ..stage.sh("for i in 1 2 3; do sleep 0.15 & done; wait; echo done; exit 4") };
    let seen = stage.run(&start);
    assert_eq!((seen.how(), seen.text().as_str()), (&How::Code(4), "done\n"));
}

#[test]
fn what_shares_its_memory_counts_it_once() {
    let stage = Stage::new();
    // Twelve children share what their parent has: each of them alone would count for forty megabytes.
    let text = "x=$(head -c 40000000 /dev/zero | tr '\\0' x); for i in $(seq 12); do (sleep 0.8; exit 0) & done; wait; exit 5";
    let start = Start { limits: Limits { memory: Some(400 << 20), ..Limits::default() }, ..stage.sh(text) };
    let seen = stage.run(&start);
    assert_eq!(*seen.how(), How::Code(5), "{}", seen.text());
}
