//! Builds by the clock: when their times come by the clock on the wall, and what the engine makes of it.

use super::world::*;
use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike};
use proptest::prelude::*;
use tidegate::domain::command::About;
use tidegate::domain::pipeline::*;
use tidegate::domain::state::{LATEST, PipelineState};
use tidegate::domain::*;

const MAIN: &str = "refs/heads/main";

fn schedule(cron: &str, zone: &str) -> Schedule {
    Schedule { cron: cron.into(), zone: zone.into(), ref_name: "main".into() }
}

fn text(moment: Time) -> String {
    moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The times that come after a moment, so many.
fn times(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let times = schedule(cron, zone).times().map(|times| times.after(moment(after)));
    times.into_iter().flatten().take(count).map(text).collect()
}

#[test]
fn times_go_by_the_clock_on_the_wall() {
    let nightly = times("0 3 * * mon-fri", "Europe/Berlin", "2026-11-26T02:00:00Z", 3);
    assert_eq!(nightly, ["2026-11-27T02:00:00Z", "2026-11-30T02:00:00Z", "2026-12-01T02:00:00Z"]);
    // In summer, an hour earlier by UTC.
    assert_eq!(times("0 3 * * *", "Europe/Berlin", "2026-07-01T02:00:00Z", 1), ["2026-07-02T01:00:00Z"]);
    let leap = times("30 12 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2);
    assert_eq!(leap, ["2028-02-29T12:30:00Z", "2032-02-29T12:30:00Z"]);
    assert_eq!(
        times("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1),
        ["2104-02-29T00:00:00Z"],
        "not in 2100"
    );
    let often = times("*/20 * * * *", "Asia/Kathmandu", "2026-11-23T09:00:00.000001Z", 3);
    assert_eq!(often, ["2026-11-23T09:15:00Z", "2026-11-23T09:35:00Z", "2026-11-23T09:55:00Z"]);
    let on_the_dot = times("0 9 * * *", "UTC", "2026-11-23T08:59:59.999999Z", 2);
    assert_eq!(on_the_dot, ["2026-11-23T09:00:00Z", "2026-11-24T09:00:00Z"]);
    for never in ["0 0 30 2 *", "not a line"] {
        assert_eq!(times(never, "UTC", "2026-11-23T09:00:00Z", 1), Vec::<String>::new());
    }
    assert_eq!(schedule("0 0 * * *", "Mars/Olympus").next(moment("2026-11-23T09:00:00Z")), None);
}

#[test]
fn a_time_that_is_left_out_comes_right_after_the_gap_and_one_that_comes_twice_once() {
    // 2027-03-28 02:00 to 03:00 do not exist in Berlin, and 2026-10-25 02:00 to 03:00 come twice.
    let gap = |cron: &str| times(cron, "Europe/Berlin", "2027-03-27T12:00:00Z", 2);
    assert_eq!(gap("30 2 * * *"), ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]);
    assert_eq!(
        gap("10,30,50 2 * * *"),
        ["2027-03-28T01:00:00Z", "2027-03-29T00:10:00Z"],
        "once for all of them"
    );
    assert_eq!(gap("30 2,3 * * *"), ["2027-03-28T01:00:00Z", "2027-03-28T01:30:00Z"]);
    assert_eq!(gap("0 2,3 28 * *")[0], "2027-03-28T01:00:00Z");
    let twice = |cron: &str| times(cron, "Europe/Berlin", "2026-10-24T12:00:00Z", 3);
    assert_eq!(twice("30 2 * * *"), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"]);
    // Every so often goes by what passes: each half hour, each hour.
    let half = times("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4);
    let expected =
        ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"];
    assert_eq!(half, expected);
    let hourly = times("15 * * * *", "Europe/Berlin", "2027-03-28T00:00:00Z", 3);
    assert_eq!(hourly, ["2027-03-28T00:15:00Z", "2027-03-28T01:15:00Z", "2027-03-28T02:15:00Z"]);
    // A day that an island left out, and a gap at midnight.
    let samoa = times("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", 3);
    assert_eq!(samoa, ["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]);
    let havana = times("30 0 * * *", "America/Havana", "2027-03-14T00:00:00Z", 2);
    assert_eq!(havana, ["2027-03-14T05:00:00Z", "2027-03-15T04:30:00Z"]);
}

/// The numbers that a field names, read once more and differently.
fn numbers(field: &str, least: u32, most: u32) -> Vec<u32> {
    let part = |part: &str| {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
            None if range == "*" => (least, most),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        (from..=to).step_by(step.parse().unwrap()).collect::<Vec<u32>>()
    };
    field.split(',').flat_map(part).collect()
}

/// Whether a line names what a clock shows.
fn names(line: &str, shown: NaiveDateTime) -> bool {
    let fields: Vec<&str> = line.split(' ').collect();
    let day = numbers(fields[2], 1, 31).contains(&shown.day());
    let weekday = numbers(fields[4], 0, 6).contains(&shown.weekday().num_days_from_sunday());
    let is_any = |field: &str| field.starts_with('*');
    let fits = match is_any(fields[2]) || is_any(fields[4]) {
        true => day && weekday,
        false => day || weekday,
    };
    fits && numbers(fields[0], 0, 59).contains(&shown.minute())
        && numbers(fields[1], 0, 23).contains(&shown.hour())
        && numbers(fields[3], 1, 12).contains(&shown.month())
}

/// Whether a time comes in that minute, from nothing but what the clock shows then, and showed.
fn comes(line: &str, zone: chrono_tz::Tz, now: Time) -> bool {
    let shown = |moment: Time| moment.with_timezone(&zone).naive_local();
    let (here, before) = (shown(now), shown(now - TimeDelta::minutes(1)));
    if line.split(' ').take(2).any(|field| field.starts_with('*')) {
        return names(line, here);
    }
    let was_shown = |what: NaiveDateTime| (1..=180).any(|back| shown(now - TimeDelta::minutes(back)) == what);
    let mut what = (before + TimeDelta::minutes(1)).min(here);
    // What is left out comes with the first minute after it.
    while what <= here {
        if names(line, what) && !was_shown(what) {
            return true;
        }
        what += TimeDelta::minutes(1);
    }
    false
}

fn field(least: u32, most: u32) -> impl Strategy<Value = String> {
    let number = least..=most;
    prop_oneof![
        3 => Just("*".to_owned()),
        3 => number.clone().prop_map(|number| number.to_string()),
        2 => prop::collection::vec(number.clone(), 1..5)
            .prop_map(|all| all.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
        2 => (number.clone(), number).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (1..=most).prop_map(|step| format!("*/{step}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    /// The times that come are those that a scan by minutes finds, none more and none less.
    #[test]
    fn the_times_that_come_are_those_that_a_scan_by_minutes_finds(
        place in 0..8_usize,
        minute in field(0, 59),
        hour in prop_oneof![1 => field(0, 23), 2 => field(0, 4)],
        day in prop_oneof![3 => Just("*".to_owned()), 1 => field(1, 31)],
        weekday in prop_oneof![3 => Just("*".to_owned()), 1 => field(0, 6)],
        offset in -600..600_i64,
    ) {
        let (zone, change) = [
            ("Europe/Berlin", (2027, 3, 28)),
            ("Europe/Berlin", (2026, 10, 25)),
            ("America/New_York", (2027, 3, 14)),
            ("America/Havana", (2027, 3, 14)),
            ("America/St_Johns", (2010, 11, 7)),
            ("Australia/Lord_Howe", (2026, 10, 4)),
            ("Australia/Lord_Howe", (2027, 4, 4)),
            ("Pacific/Apia", (2011, 12, 30)),
        ][place];
        let line = format!("{minute} {hour} {day} * {weekday}");
        let change = NaiveDate::from_ymd_opt(change.0, change.1, change.2).unwrap();
        let from = change.and_time(Default::default()).and_utc() + TimeDelta::minutes(offset);
        let until = from + TimeDelta::minutes(36 * 60);
        let tz: chrono_tz::Tz = zone.parse().unwrap();
        let scan: Vec<Time> = (1..=36 * 60)
            .map(|minutes| from + TimeDelta::minutes(minutes))
            .filter(|moment| comes(&line, tz, *moment))
            .collect();
        let times = schedule(&line, zone).times().expect("a line");
        let found: Vec<Time> = times.after(from).take_while(|moment| *moment <= until).collect();
        prop_assert_eq!(found, scan, "{} in {}", line, zone);
    }
}

/// A pipeline with one tier that has a gate, and a nightly build.
fn nightly() -> Pipeline {
    shop([tier("host").gate("tests")]).with(|p| p.schedule = vec![schedule("0 3 * * *", "UTC")])
}

impl World {
    /// The `schedule_due` that is owed for the first schedule.
    fn owed(&self) -> Option<EventId> {
        self.shop().schedules[0].owed.as_ref().map(|run| run.id)
    }

    /// Git says where `main` stands, to what is owed.
    fn git_says(&mut self, commit: &str) -> Answer {
        let owed = self.owed().expect("something is owed");
        self.git_says_to(owed, commit)
    }

    fn git_says_to(&mut self, owed: EventId, commit: &str) -> Answer {
        let old = self.shop().refs.get(MAIN).map(|head| head.seen.clone());
        let found = self.head(commit, old);
        self.tell(Command::Scheduled { pipeline: "shop".into(), owed, found: Ok(Box::new(found)) })
    }

    fn head(&self, commit: &str, old: Option<Sha>) -> Push {
        Push { old, news: News::Looked, ..a_push(commit) }
    }
}

fn versions(p: &PipelineState) -> Vec<&str> {
    let mut all: Vec<_> = p.versions.iter().map(|(label, version)| (version.order, label.as_str())).collect();
    all.sort();
    all.into_iter().map(|(_, label)| label).collect()
}

#[test]
fn a_commit_that_is_built_is_built_once_more_as_a_version_of_its_own() {
    let mut w = World::with(nightly());
    w.push("c1");
    let mark = w.mark();
    w.wait(TimeDelta::hours(17));
    assert_eq!(w.since(mark), Vec::<String>::new(), "two in the morning");
    w.wait(TimeDelta::hours(1));
    assert_eq!(w.since(mark), ["schedule_due"]);
    let due = w.said.last().unwrap();
    assert_eq!(due.at, moment("2026-11-24T03:00:00Z"), "the time is a wake");
    w.wait(TimeDelta::minutes(2));
    w.git_says("c1");
    w.wait(TimeDelta::minutes(1));
    let expected = [
        "schedule_due",
        "rebuild_requested",
        "schedule_done",
        "build_start 1.0.1+20261124.0302",
        "step_start compile 1.0.1+20261124.0302",
        "step_done compile 1.0.1+20261124.0302 ok",
        "build_ok 1.0.1+20261124.0302",
        "promote_start host 1.0.1+20261124.0302",
        "gate_start host tests 1.0.1+20261124.0302",
        "gate_done host tests 1.0.1+20261124.0302 ok",
        "promote_complete host 1.0.1+20261124.0302",
    ];
    assert_eq!(w.since(mark), expected);
    let asked = w.said.iter().rfind(|it| matches!(it.fact.event, Event::RebuildRequested { .. })).unwrap();
    assert_eq!(asked.fact.by.as_deref(), Some("schedule"));
    assert_eq!(asked.fact.why.as_deref(), Some("0 3 * * *"));
    let old = &w.shop().versions["1.0.1"];
    assert_eq!(old.artifacts[0].sha256, "1.0.1", "what is built stays what it is");
    let last = w.shop().schedules[0].last.clone().unwrap();
    assert_eq!((last.due, last.reason), (moment("2026-11-24T03:00:00Z"), None));
    // The version before is where a rollback leads.
    w.rollback("host").unwrap();
    assert_eq!(w.current("host"), "1.0.1");
    w.crash();
}

#[test]
fn a_commit_that_is_not_built_is_built_as_by_a_push() {
    let mut w = World::with(nightly());
    w.wait(TimeDelta::hours(19));
    w.git_says("c1");
    w.saw(&[
        "schedule_due",
        "rebuild_requested",
        "schedule_done",
        "build_ok 1.0.1",
        "promote_complete host 1.0.1",
    ]);
    assert_eq!(w.shop().refs[MAIN].taken, Some(sha("c1")));
    // Its build fails, and the next night the same label is tried again.
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.wait(TimeDelta::hours(24));
    w.git_says("c2");
    assert_eq!(w.count("build_failed 1.0.2"), 1);
    w.wait(TimeDelta::hours(24));
    w.git_says("c2");
    assert_eq!(w.current("host"), "1.0.2");
}

#[test]
fn a_build_anew_that_fails_leaves_the_version_before_as_it_was() {
    let mut w = World::with(nightly());
    w.push("c1");
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.wait(TimeDelta::hours(19));
    w.git_says("c1");
    assert_eq!(w.count("build_failed 1.0.1+20261124.0400"), 1);
    assert_eq!((w.current("host"), w.shop().by_sha[&sha("c1")].as_str()), ("1.0.1".into(), "1.0.1"));
    let answer = w.push("c1");
    assert!(matches!(&answer, Answer::Pushed(all) if matches!(&all[0], Pushed::Ignored { reason, .. }
        if reason.contains("built already, as 1.0.1"))));
    // While one is built anew and ended, the commit is known by what is built.
    w.hold_run("compile");
    w.wait(TimeDelta::hours(24));
    w.git_says("c1");
    w.ask(Command::ByHand {
        actor: actor("ann", Role::Operator),
        why: None,
        pipeline: "shop".into(),
        deed: Deed::Cancel { tier: None, version: None },
    })
    .unwrap();
    w.rebuild("c1");
    w.let_go("compile");
    assert_eq!(w.count("build_aborted"), 1);
    assert_eq!(
        w.shop().versions["1.0.1"].order,
        w.said
            .iter()
            .rfind(|it| it.fact.by.as_deref() == Some("ann")
                && matches!(it.fact.event, Event::RebuildRequested { .. }))
            .unwrap()
            .id,
        "it went to the front"
    );
    assert_eq!(w.shop().by_sha[&sha("c1")].as_str(), "1.0.1");
    w.crash();
}

#[test]
fn versions_of_one_commit_are_forgotten_one_by_one() {
    let mut w = World::with(nightly());
    w.push("c1");
    for _ in 0..5 {
        w.wait(TimeDelta::hours(24));
        w.git_says("c1");
    }
    assert_eq!(w.shop().versions.len(), 6);
    w.tell(Command::Prune { keep: 1 });
    // The current one, and where a rollback leads.
    assert_eq!(versions(w.shop()), ["1.0.1+20261127.0900", "1.0.1+20261128.0900"]);
    assert!(!w.shop().is_forgotten(&sha("c1")));
    // The newest of them fails, and is forgotten: the commit is known by the one before.
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.wait(TimeDelta::hours(24));
    w.git_says("c1");
    w.push("c2");
    w.tell(Command::Prune { keep: 1 });
    assert_eq!(versions(w.shop()), ["1.0.1+20261128.0900", "1.0.2"]);
    assert_eq!(w.shop().by_sha[&sha("c1")].as_str(), "1.0.1+20261128.0900");
    w.crash();
}

#[test]
fn two_that_ask_for_one_commit_at_a_time_get_one_build_of_it() {
    let both = vec![schedule("0 3 * * *", "UTC"), schedule("0 */3 * * *", "UTC")];
    let mut w = World::with(nightly().with(|p| p.schedule = both));
    w.push("c1");
    w.hold_run("compile");
    w.wait(TimeDelta::hours(18));
    assert_eq!(w.count("schedule_due"), 7, "every three hours, and at three");
    for at in 0..2 {
        let owed = w.shop().schedules[at].owed.clone().unwrap();
        assert_eq!(owed.due, moment("2026-11-24T03:00:00Z"), "the newest takes the place of those before");
        w.git_says_to(owed.id, "c1");
    }
    w.saw(&["rebuild_requested", "schedule_done", "schedule_done that commit is being built already"]);
    w.let_go("compile");
    assert_eq!(versions(w.shop()), ["1.0.1", "1.0.1+20261124.0300"]);
    // Twice within a minute, one after the other, each is a version.
    w.wait(TimeDelta::hours(24));
    for at in 0..2 {
        let owed = w.shop().schedules[at].owed.clone().unwrap().id;
        w.git_says_to(owed, "c1");
    }
    let labels = versions(w.shop());
    assert_eq!(labels[2], "1.0.1+20261125.0300");
    assert!(labels[3].starts_with("1.0.1+20261125.0300."), "{labels:?}");
}

#[test]
fn a_newer_push_takes_the_place_of_what_the_clock_asked_for() {
    let mut w = World::with(nightly());
    w.push("c1");
    w.hold_run("compile");
    w.wait(TimeDelta::hours(19));
    w.git_says("c1");
    w.push_with("c2", |push| push.old = Some(sha("c1")));
    w.let_go("compile");
    w.saw(&["build_start 1.0.1+", "build_aborted", "build_ok 1.0.2", "promote_complete host 1.0.2"]);
    assert_eq!(w.shop().by_sha[&sha("c1")].as_str(), "1.0.1");
}

#[test]
fn what_is_owed_survives_a_crash_and_is_done_once() {
    let mut w = World::with(nightly());
    w.push("c1");
    w.wait(TimeDelta::hours(20));
    let owed = w.owed().unwrap();
    w.crash();
    assert_eq!(w.owed(), Some(owed), "git could not be asked yet");
    w.git_says("c1");
    w.crash();
    let mark = w.mark();
    assert_eq!(w.git_says_to(owed, "c1"), Answer::Already);
    assert_eq!((w.mark(), w.owed()), (mark, None));
    // Where there is nothing to build, that is said.
    w.wait(TimeDelta::hours(24));
    let (owed, gone) = (w.owed().unwrap(), Err("there is no branch or tag `main`".to_owned()));
    w.tell(Command::Scheduled { pipeline: "shop".into(), owed, found: gone });
    assert_eq!(w.lines().last().unwrap(), "schedule_done there is no branch or tag `main`");
    // A tag that the version needs is not there: nothing is built, and the next look finds nothing new.
    w.wait(TimeDelta::hours(24));
    let owed = w.owed().unwrap();
    let found = Push { tag_missing: true, ..w.head("c2", Some(sha("c1"))) };
    w.tell(Command::Scheduled { pipeline: "shop".into(), owed, found: Ok(Box::new(found)) });
    assert_eq!(w.shop().refs[MAIN].seen, sha("c2"));
    assert!(w.shop().schedules[0].last.as_ref().unwrap().reason.as_ref().unwrap().contains("no tag points"));
}

#[test]
fn what_finds_no_room_to_wait_stays_owed_until_there_is_some() {
    let mut w = World::with(nightly());
    w.push("c1");
    w.hold_run("compile");
    w.push("c2");
    w.wait(TimeDelta::hours(20));
    for number in 0..state::QUEUE_LIMIT {
        let name = format!("refs/heads/{number}");
        w.push_with(&format!("b{number}x"), |push| push.ref_name = Some(name.as_str().into()));
    }
    let owed = w.owed().unwrap();
    let found = || Ok(Box::new(w.head("c3", Some(sha("c2")))));
    let command = Command::Scheduled { pipeline: "shop".into(), owed, found: found() };
    assert_eq!(w.ask(command.clone()), Err(Rejection::QueueFull("shop".into())));
    assert_eq!(w.owed(), Some(owed));
    w.let_go("compile");
    w.tell(command);
    assert_eq!(w.owed(), None);
}

#[test]
fn a_ref_that_moves_while_git_is_asked_is_looked_at_again() {
    let mut w = World::with(nightly());
    w.push("c1");
    w.wait(TimeDelta::hours(20));
    let (owed, old) = (w.owed().unwrap(), w.head("c1", Some(sha("c1"))));
    w.push_with("c2", |push| push.old = Some(sha("c1")));
    let mark = w.mark();
    let answer = w.tell(Command::Scheduled { pipeline: "shop".into(), owed, found: Ok(Box::new(old)) });
    assert!(matches!(&answer, Answer::Pushed(all) if matches!(all[0], Pushed::Overtaken { .. })));
    assert_eq!((w.mark(), w.owed()), (mark, Some(owed)));
    w.git_says("c2");
    assert_eq!(w.current("host"), "1.0.2+20261124.0500");
}

#[test]
fn one_run_stands_for_all_that_were_missed_and_none_for_what_is_too_old() {
    let mut w = World::with(nightly());
    w.open = false;
    w.wait(TimeDelta::days(3));
    assert_eq!(w.count("schedule_due"), 0, "nothing begins while the controller stops");
    w.open = true;
    w.crash();
    assert_eq!(w.count("schedule_due"), 1);
    assert_eq!(w.shop().schedules[0].owed.as_ref().unwrap().due, moment("2026-11-26T03:00:00Z"));
    // A weekly one that was missed two days ago waits for next week.
    let weekly = nightly().with(|p| p.schedule = vec![schedule("0 3 * * sat", "UTC")]);
    let mut w = World::with(weekly);
    w.now += TimeDelta::days(6) + LATEST;
    w.crash();
    assert_eq!(w.count("schedule_due"), 0);
    w.wait(TimeDelta::days(7));
    assert_eq!(w.count("schedule_due"), 1);
}

#[test]
fn a_clock_that_is_put_back_runs_nothing_twice() {
    let mut w = World::with(nightly().with(|p| p.schedule = vec![schedule("*/10 * * * *", "UTC")]));
    w.wait(TimeDelta::minutes(35));
    assert_eq!(w.count("schedule_due"), 3);
    w.now -= TimeDelta::minutes(28);
    w.settle();
    w.wait(TimeDelta::minutes(30));
    assert_eq!(w.count("schedule_due"), 3, "until it shows a time that it has not shown");
    w.wait(TimeDelta::minutes(4));
    assert_eq!(w.count("schedule_due"), 4);
}

#[test]
fn a_schedule_that_is_new_begins_with_its_load_and_one_that_stays_goes_on() {
    let mut w = World::with(shop([tier("host")]));
    w.now = moment("2026-11-24T04:00:00Z");
    w.load(nightly());
    assert_eq!(w.count("schedule_due"), 0, "an hour ago it was not in force");
    w.wait(TimeDelta::hours(24));
    assert_eq!(w.count("schedule_due"), 1);
    let owed = w.owed();
    // An edit elsewhere, and a rename, change nothing about it.
    w.load(nightly().with(|p| p.description = Some("a shop".into())));
    assert_eq!(w.owed(), owed);
    w.load(nightly().with(|p| {
        p.was = Some("shop".into());
        p.name = "store".into();
    }));
    let state = &w.state.pipelines["store"].schedules[0];
    assert_eq!(state.owed.as_ref().map(|run| run.id), owed);
    assert_eq!(w.count("schedule_due"), 1);
    // Another line is another schedule, and what the old one asked for is nobody's wish any more.
    let mut w = World::with(nightly());
    w.wait(TimeDelta::hours(19));
    let owed = w.owed().unwrap();
    w.load(nightly().with(|p| p.schedule = vec![schedule("30 3 * * *", "UTC")]));
    assert_eq!(w.owed(), None);
    assert_eq!(w.git_says_to(owed, "c1"), Answer::Already);
    // Away and back: it begins anew.
    w.tell(Command::Remove { file: "shop.toml".into() });
    w.wait(TimeDelta::hours(24));
    w.load(nightly().with(|p| p.schedule = vec![schedule("30 3 * * *", "UTC")]));
    assert_eq!(w.count("schedule_due"), 1);
    w.wait(TimeDelta::hours(24));
    assert_eq!(w.count("schedule_due"), 2);
}

#[test]
fn a_schedule_of_a_release_that_did_not_execute_it_begins_when_one_does() {
    let mut w = World::with(nightly().with(|p| p.unsupported = vec!["schedule".into()]));
    w.wait(TimeDelta::hours(23));
    assert_eq!((w.count("schedule_due"), w.shop().schedules.len()), (0, 0));
    w.load(nightly());
    assert_eq!(w.count("schedule_due"), 0);
    w.wait(TimeDelta::hours(24));
    assert_eq!(w.count("schedule_due"), 1);
}

#[test]
fn what_was_adopted_is_built_anew_as_a_version_that_goes_the_way_of_all() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a"])]).with(|p| {
        p.schedule = vec![schedule("0 3 * * *", "UTC")];
        p.tiers[1].deploy.as_mut().unwrap().upload =
            vec![Upload { artifact: "app".into(), to: "/opt/shop/".into() }];
    }));
    let adopt = |w: &mut World, tier: &str| {
        let about = Box::<About>::default();
        w.deed(Deed::Adopt { tier: tier.into(), version: "1.0.1".into(), sha: sha("c1"), about }).unwrap();
    };
    adopt(&mut w, "host");
    w.wait(TimeDelta::hours(19));
    w.hold_run("compile");
    w.git_says("c1");
    // What is built now is not there before, and is refused as such.
    let (version, about) = ("1.0.1+20261124.0400".into(), Box::<About>::default());
    let refused = w.deed(Deed::Adopt { tier: "prod".into(), version, sha: sha("c1"), about });
    assert!(matches!(refused, Err(Rejection::NotBuilt(_))), "{refused:?}");
    // While it is built, the commit is to be built for the tier that needs what a build makes, in its old place.
    adopt(&mut w, "prod");
    w.let_go("compile");
    w.saw(&[
        "manual_action adopt host 1.0.1",
        "build_start 1.0.1+20261124.0400",
        "manual_action adopt prod 1.0.1",
        "build_ok 1.0.1+20261124.0400",
        "build_ok 1.0.1",
        "manual_action adopt prod 1.0.1",
    ]);
    assert_eq!(
        (w.current("host"), w.current("prod")),
        ("1.0.1+20261124.0400".into(), "1.0.1+20261124.0400".into())
    );
    assert_eq!(w.shop().by_sha[&sha("c1")].as_str(), "1.0.1+20261124.0400", "the newer of the two");
    w.rollback("prod").unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
    w.crash();
}
