//! What a process is given, and what is said when there is none.

use super::*;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

fn refused(stage: &Stage, start: &Start) -> (i32, String, bool) {
    match stage.run(start).how() {
        How::NotStarted { errno, message, missing_program } => (*errno, message.clone(), *missing_program),
        other => panic!("{other:?}"),
    }
}

fn program(stage: &Stage, words: &[&str]) -> Start {
    Start { argv: words.iter().map(Into::into).collect(), ..stage.sh("") }
}

#[test]
fn the_process_gets_what_was_ordered_and_nothing_else() {
    let stage = Stage::new();
    let mut start =
        program(&stage, &["sh", "-c", "echo $0; pwd; cat; env -0 | sort -z | tr '\\0' '\\n'", "name"]);
    start.env = vec![("PATH".into(), std::env::var_os("PATH").unwrap()), ("ODD".into(), "$(id)\n;x".into())];
    let seen = stage.run(&start);
    let text = seen.text();
    let (head, variables) = text.split_once("ODD=").unwrap();
    let dir = stage.path().canonicalize().unwrap();
    assert_eq!(head, format!("name\n{}\n", dir.display()));
    assert!(variables.starts_with("$(id)\n;x\n") && variables.contains("\nPATH="), "{variables}");
}

#[test]
fn it_leads_a_group_of_its_own_and_holds_no_other_file() {
    let stage = Stage::new();
    let files = stage.run(&program(&stage, &["ls", "/proc/self/fd"])).text();
    assert_eq!(files.lines().count(), 4, "0, 1, 2, and the folder: {files}");
    assert_eq!(stage.run(&stage.sh("cat; readlink /proc/$$/fd/0")).text(), "/dev/null\n", "nothing to read");
    let seen = stage.run(&stage.sh("cut -d' ' -f5 /proc/$$/stat"));
    assert_eq!(seen.text().trim(), seen.pid.to_string());
}

#[test]
fn a_missing_program_is_told_from_a_missing_folder() {
    let stage = Stage::new();
    let (errno, message, missing) = refused(&stage, &program(&stage, &["no-such-program", "x"]));
    assert!(
        missing
            && errno == libc::ENOENT
            && message.starts_with("start `no-such-program`: no such program in PATH")
    );
    let (_, message, missing) = refused(&stage, &program(&stage, &["/no/such/program"]));
    assert!(missing && message == "start `/no/such/program`: no such program", "{message}");
    let lost = Start { dir: stage.path().join("gone"), ..stage.sh("true") };
    let (_, message, missing) = refused(&stage, &lost);
    assert!(!missing && message.starts_with("enter the working directory"), "{message}");
}

#[test]
fn scripts_that_cannot_run_say_why() {
    let stage = Stage::new();
    let file = stage.path().join("script");
    fs::write(&file, "#!/no/such/interpreter\n").unwrap();
    let (errno, message, _) = refused(&stage, &program(&stage, &["./script"]));
    assert!(errno == libc::EACCES && message.contains("not executable"), "{message}");
    let in_path = Start { env: vec![("PATH".into(), ":/nowhere".into())], ..program(&stage, &["script"]) };
    let (errno, message, missing) = refused(&stage, &in_path);
    assert!(errno == libc::EACCES && !missing && message.contains("is not executable"), "{message}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let (_, message, missing) = refused(&stage, &in_path);
    assert!(missing && message.contains("the interpreter that it names"), "{message}");
    fs::write(&file, "no program\n").unwrap();
    let (errno, message, _) = refused(&stage, &program(&stage, &["./script"]));
    assert!(errno == libc::ENOEXEC && message.contains("no program that this machine can run"), "{message}");
}

#[test]
fn what_is_too_large_or_no_text_is_refused_in_words() {
    let stage = Stage::new();
    let (errno, message, _) = refused(&stage, &program(&stage, &["/bin/true", &"x".repeat(200_000)]));
    assert!(errno == libc::E2BIG && message.contains("too large (6 strings"), "{message}");
    let (_, message, _) = refused(&stage, &program(&stage, &["/bin/true", "a\0b"]));
    assert!(message.contains("NUL byte"), "{message}");
    let (_, message, _) = refused(&stage, &Start { argv: Vec::<OsString>::new(), ..stage.sh("") });
    assert!(message.contains("without words"), "{message}");
}

#[test]
fn a_run_that_runs_is_not_started_again() {
    let stage = Stage::new();
    let start = stage.sh("echo ready; sleep 1000");
    let mut reports = stage.begin(&start);
    let mut seen = Seen::default();
    seen.take_until(&mut reports, |seen| !seen.chunks.is_empty());
    let (_, message, _) = refused(&stage, &start);
    assert!(message.contains("running already"), "{message}");
    stage.runner.stop(start.run, StopCause::Canceled);
    seen.take_all(&mut reports);
    assert_eq!(*seen.how(), How::Stopped(StopCause::Canceled));
}

#[test]
fn no_secret_is_shown_by_debug() {
    let stage = Stage::new();
    let mut start = stage.sh("echo hunter2");
    start.env.push(("TOKEN".into(), "hunter2".into()));
    start.mask.push(b"hunter2".to_vec());
    assert!(!format!("{start:?}").contains("hunter2"));
}
