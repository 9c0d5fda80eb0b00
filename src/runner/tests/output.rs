//! What a step writes: the log, the chunks, the events file.

use super::*;
use std::io::Write;

#[test]
fn stdout_and_stderr_are_one_stream_in_the_order_written() {
    let stage = Stage::new();
    let start = stage.sh("for i in $(seq 200); do echo out $i; echo err $i >&2; done");
    let seen = stage.run(&start);
    let expected: String = (1..=200).map(|i| format!("out {i}\nerr {i}\n")).collect();
    assert_eq!(seen.text(), expected);
    assert_eq!(seen.check_log(&start), expected.as_bytes());
    assert_eq!(*seen.how(), How::Code(0));
    assert!(!seen.exit().log_truncated);
    assert!(seen.warnings.is_empty(), "{:?}", seen.warnings);
}

#[test]
fn bytes_are_kept_as_they_are() {
    let stage = Stage::new();
    let content: Vec<u8> = (0..1_000_003u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(stage.path().join("content"), &content).unwrap();
    let start = stage.sh("cat content");
    let seen = stage.run(&start);
    assert!(seen.output(0) == content);
    assert!(seen.check_log(&start) == content);
}

#[test]
fn nothing_written_is_an_empty_log() {
    let stage = Stage::new();
    let start = stage.sh(":");
    let seen = stage.run(&start);
    assert!(seen.check_log(&start).is_empty());
    assert!(seen.chunks.is_empty());
}

#[test]
fn a_gigantic_line_is_whole_in_the_log() {
    let stage = Stage::new();
    let start = stage.sh("head -c 67108864 /dev/zero | tr '\\0' x");
    let seen = stage.run(&start);
    assert_eq!(seen.exit().log_bytes, 64 << 20);
    assert!(seen.chunks.iter().all(|(_, bytes)| bytes.len() <= 64 * 1024));
    let log = seen.check_log(&start);
    assert!(log.iter().all(|byte| *byte == b'x'));
    assert!(seen.output(0) == log);
}

#[test]
fn output_past_the_limit_is_read_and_thrown_away() {
    let stage = Stage::new();
    let mut start = stage.sh("head -c 3000000 /dev/zero; echo done > \"$DIR/went-on\"");
    start.output_limit = 100_000;
    let seen = stage.run(&start);
    assert!(stage.path().join("went-on").exists());
    assert_eq!(seen.check_log(&start).len(), 100_000);
    assert_eq!(seen.output(0).len(), 100_000);
    assert!(seen.exit().log_truncated);
    assert_eq!(*seen.how(), How::Code(0));
    let mut exact = stage.sh("printf 12345");
    exact.output_limit = 5;
    assert!(!stage.run(&exact).exit().log_truncated);
}

#[test]
fn secrets_are_masked_over_the_borders_of_writes() {
    let stage = Stage::new();
    let mut start = stage.sh("printf 'a hun'; sleep 0.02; printf 'ter2 b'; sleep 0.02; printf ' hunt'");
    start.mask = vec![b"hunter2".to_vec(), Vec::new()];
    let seen = stage.run(&start);
    assert_eq!(seen.text(), "a *** b hunt");
    assert_eq!(seen.check_log(&start), b"a *** b hunt");
}

#[test]
fn appended_output_goes_on_where_the_log_ended() {
    let stage = Stage::new();
    let first = stage.sh("echo first");
    stage.run(&first);
    let mut second = stage.sh("echo second");
    (second.log, second.append) = (first.log.clone(), true);
    let seen = stage.run(&second);
    assert_eq!(seen.output(6), b"second\n");
    assert_eq!(seen.check_log(&second), b"first\nsecond\n");
    let third = Start { log: first.log.clone(), ..stage.sh("echo anew") };
    assert_eq!(stage.run(&third).check_log(&third), b"anew\n");
}

#[test]
fn output_comes_while_the_step_runs() {
    let stage = Stage::new();
    let start = stage.sh("echo before; read line < fifo; echo after");
    rustix::fs::mkfifoat(rustix::fs::CWD, stage.path().join("fifo"), rustix::fs::Mode::from_raw_mode(0o600))
        .unwrap();
    let mut reports = stage.begin(&start);
    let mut seen = Seen::default();
    seen.take_until(&mut reports, |seen| !seen.chunks.is_empty());
    assert_eq!(seen.text(), "before\n");
    writeln!(fs::OpenOptions::new().write(true).open(stage.path().join("fifo")).unwrap(), "go").unwrap();
    seen.take_all(&mut reports);
    assert_eq!(seen.text(), "before\nafter\n");
}

#[test]
fn a_stalled_consumer_holds_neither_the_step_nor_its_log() {
    let stage = Stage::new();
    let start = stage.sh("head -c 20000000 /dev/zero; echo '{}' >> \"$EVENTS\"; echo done > finished");
    let (sender, mut reports) = channel(2);
    stage.runner.start(start.clone(), sender);
    let begin = Instant::now();
    while !stage.path().join("finished").exists() {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut seen = Seen::default();
    seen.take_all(&mut reports);
    assert_eq!(seen.check_log(&start).len(), 20_000_000);
    assert_eq!(seen.lines, ["{}"]);
    assert!(seen.chunks.len() < 300, "left out, not kept");
}

#[test]
fn a_consumer_that_went_away_does_not_end_the_step() {
    let stage = Stage::new();
    let start = stage.sh("echo one; sleep 0.05; echo two; echo done > finished");
    drop(stage.begin(&start));
    let begin = Instant::now();
    while fs::read(&start.log).unwrap_or_default() != b"one\ntwo\n" {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn lines_of_the_events_file_come_during_the_run_and_at_its_end() {
    let stage = Stage::new();
    let fifo = stage.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let start = stage.sh("echo one >> $EVENTS; read go < fifo; echo two >> $EVENTS; printf three >> $EVENTS");
    let mut reports = stage.begin(&start);
    let mut seen = Seen::default();
    seen.take_until(&mut reports, |seen| !seen.lines.is_empty());
    assert_eq!(seen.lines, ["one"]);
    writeln!(fs::OpenOptions::new().write(true).open(&fifo).unwrap(), "go").unwrap();
    seen.take_all(&mut reports);
    assert_eq!(seen.lines, ["one", "two", "three"]);
}

#[test]
fn a_fifo_in_place_of_the_events_file_hangs_nobody() {
    let stage = Stage::new();
    let start = stage.sh("rm $EVENTS; mkfifo $EVENTS; sleep 0.3");
    let seen = stage.run(&start);
    assert_eq!(*seen.how(), How::Code(0));
    assert!(seen.lines.is_empty());
    assert_eq!(seen.warnings.len(), 1, "{:?}", seen.warnings);
}

#[test]
fn a_log_that_cannot_be_written_ends_the_step_and_says_so() {
    let stage = Stage::new();
    let mut start = stage.sh("while :; do echo line; done");
    start.log = "/dev/full".into();
    let seen = stage.run(&start);
    let How::LogFailed { message } = seen.how() else { panic!("{:?}", seen.how()) };
    assert!(message.starts_with("write the log after 0 bytes: No space left"), "{message}");
    assert!(seen.exit().log_truncated && seen.chunks.is_empty());
    let mut nowhere = stage.sh("true");
    nowhere.log = "/proc/nowhere/log".into();
    assert!(matches!(stage.run(&nowhere).how(), How::LogFailed { .. }));
}

#[test]
fn two_hundred_runs_at_once_lose_nothing() {
    let stage = Stage::new();
    let starts: Vec<Start> = (0..200)
        .map(|i| {
            stage.sh(&format!(
                "for n in $(seq 50); do echo {i} $n; done; echo {i} >> $EVENTS; exit {}",
                i % 50
            ))
        })
        .collect();
    let reports: Vec<Receiver<Report>> = starts.iter().map(|start| stage.begin(start)).collect();
    for (i, (start, mut reports)) in starts.iter().zip(reports).enumerate() {
        let mut seen = Seen::default();
        seen.take_all(&mut reports);
        let expected: String = (1..=50).map(|n| format!("{i} {n}\n")).collect();
        assert_eq!(seen.text(), expected);
        assert_eq!(seen.check_log(start), expected.as_bytes());
        assert_eq!(seen.lines, [i.to_string()]);
        assert_eq!(*seen.how(), How::Code(i as i32 % 50));
        assert!(seen.warnings.is_empty() && seen.exit().strays.is_empty(), "{:?}", seen.warnings);
    }
}
