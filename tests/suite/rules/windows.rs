//! Windows (rules 10, 11, 19): when they open by the clock on the wall, and what the engine makes of it.

use super::world::*;
use chrono::{Datelike, NaiveDate, TimeDelta, TimeZone, Timelike};
use proptest::prelude::*;
use tidegate::domain::pipeline::*;
use tidegate::domain::*;

const MON: u8 = 0;
const SAT: u8 = 5;
const SUN: u8 = 6;

fn window(days: &[u8], from: &str, to: &str, zone: &str) -> Window {
    let minutes = |text: &str| {
        let (hours, minutes) = text.split_once(':').unwrap();
        hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap()
    };
    Window { days: days.to_vec(), from: minutes(from), to: minutes(to), zone: zone.into() }
}

/// The next opening of one that is shut.
#[track_caller]
fn opens(windows: &[Window], now: &str) -> String {
    match Windows::at(windows, moment(now)) {
        Windows::Shut { opens: Some(opens) } => opens.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        other => panic!("{other:?} at {now}"),
    }
}

/// That it is open from the first to the second moment, not a microsecond more.
#[track_caller]
fn is_open(windows: &[Window], from: &str, to: &str) {
    let (from, to) = (moment(from), moment(to));
    let tick = TimeDelta::microseconds(1);
    assert_eq!(Windows::at(windows, from - tick), Windows::Shut { opens: Some(from) }, "before {from}");
    let open = Windows::Open { until: Some(to) };
    assert_eq!([from, to - tick].map(|now| Windows::at(windows, now)), [open, open], "{from} to {to}");
    assert!(matches!(Windows::at(windows, to), Windows::Shut { .. }), "{to}");
}

#[test]
fn rule_10_a_window_goes_by_the_clock_on_the_wall() {
    let berlin = [window(&[MON], "09:00", "16:00", "Europe/Berlin")];
    // A Monday in winter, and one in summer.
    is_open(&berlin, "2026-11-23T08:00:00Z", "2026-11-23T15:00:00Z");
    is_open(&berlin, "2026-07-06T07:00:00Z", "2026-07-06T14:00:00Z");
    assert_eq!(opens(&berlin, "2026-11-23T15:00:00Z"), "2026-11-30T08:00:00Z");
    let everywhere = [window(&[], "00:00", "24:00", "UTC")];
    assert!(matches!(Windows::at(&everywhere, moment("2026-11-23T00:00:00Z")), Windows::Open { .. }));
    assert_eq!(Windows::at(&[], moment("2026-11-23T00:00:00Z")), Windows::Open { until: None });
}

#[test]
fn rule_10_a_window_over_midnight_belongs_to_the_day_it_opens_on() {
    let night = [window(&[SAT], "22:00", "04:00", "Europe/Berlin")];
    is_open(&night, "2026-11-28T21:00:00Z", "2026-11-29T03:00:00Z");
    assert_eq!(opens(&night, "2026-11-28T02:00:00Z"), "2026-11-28T21:00:00Z", "not early on Saturday");
    assert_eq!(opens(&night, "2026-11-29T21:30:00Z"), "2026-12-05T21:00:00Z", "not on Sunday evening");
    // The end of a day is the beginning of the next one, and still belongs to it.
    let late = [window(&[SUN], "24:00", "06:00", "UTC")];
    is_open(&late, "2026-11-30T00:00:00Z", "2026-11-30T06:00:00Z");
}

#[test]
fn rule_10_a_time_that_is_left_out_means_the_first_moment_after() {
    // 2027-03-28 02:00 to 03:00 do not exist in Berlin, 2027-03-14 02:00 to 03:00 not in New York, 2026-10-04 02:00 to
    // 02:30 not on Lord Howe Island, 02:00 to 03:00 not in Sydney.
    for (zone, from, to, opens_at, closes_at) in [
        ("Europe/Berlin", "02:30", "05:00", "2027-03-28T01:00:00Z", "2027-03-28T03:00:00Z"),
        ("Europe/Berlin", "01:30", "02:30", "2027-03-28T00:30:00Z", "2027-03-28T01:00:00Z"),
        ("America/New_York", "02:30", "05:00", "2027-03-14T07:00:00Z", "2027-03-14T09:00:00Z"),
        ("America/New_York", "01:30", "02:00", "2027-03-14T06:30:00Z", "2027-03-14T07:00:00Z"),
        ("Australia/Sydney", "02:59", "04:00", "2026-10-03T16:00:00Z", "2026-10-03T17:00:00Z"),
        ("Australia/Lord_Howe", "02:10", "04:00", "2026-10-03T15:30:00Z", "2026-10-03T17:00:00Z"),
        ("Australia/Lord_Howe", "01:00", "02:20", "2026-10-03T14:30:00Z", "2026-10-03T15:30:00Z"),
    ] {
        is_open(&[window(&[SUN], from, to, zone)], opens_at, closes_at);
    }
    // What lies in the gap as a whole does not open on that day.
    let gone = [window(&[SUN], "02:10", "02:50", "Europe/Berlin")];
    assert_eq!(opens(&gone, "2027-03-22T00:00:00Z"), "2027-04-04T00:10:00Z");
}

#[test]
fn rule_10_a_time_that_comes_twice_opens_first_and_closes_last() {
    // 2026-10-25 02:00 to 03:00 come twice in Berlin, 2026-11-01 01:00 to 02:00 in New York, 2027-04-04 02:00 to 03:00
    // in Sydney, 01:30 to 02:00 on Lord Howe Island.
    for (zone, from, to, opens_at, closes_at) in [
        ("Europe/Berlin", "02:30", "02:45", "2026-10-25T00:30:00Z", "2026-10-25T01:45:00Z"),
        ("Europe/Berlin", "03:00", "04:00", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"),
        ("America/New_York", "01:00", "01:30", "2026-11-01T05:00:00Z", "2026-11-01T06:30:00Z"),
        ("Australia/Sydney", "02:00", "02:30", "2027-04-03T15:00:00Z", "2027-04-03T16:30:00Z"),
        ("Australia/Lord_Howe", "01:40", "01:50", "2027-04-03T14:40:00Z", "2027-04-03T15:20:00Z"),
    ] {
        is_open(&[window(&[SUN], from, to, zone)], opens_at, closes_at);
    }
}

#[test]
fn rule_10_a_window_that_spans_a_change_is_an_hour_shorter_or_longer() {
    let night = [window(&[SAT], "22:00", "06:00", "Europe/Berlin")];
    is_open(&night, "2027-03-27T21:00:00Z", "2027-03-28T04:00:00Z");
    is_open(&night, "2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z");
}

#[test]
fn rule_10_one_open_window_of_several_is_enough() {
    let both = [
        window(&[MON], "09:00", "12:00", "Europe/Berlin"),
        window(&[MON], "11:00", "16:00", "Europe/Berlin"),
        window(&[MON], "16:00", "17:00", "America/New_York"),
    ];
    assert_eq!(opens(&both, "2026-11-22T00:00:00Z"), "2026-11-23T08:00:00Z");
    for (now, until) in [("08:00", "11:00"), ("10:30", "15:00"), ("11:00", "15:00"), ("21:00", "22:00")] {
        let at = |time: &str| moment(&format!("2026-11-23T{time}:00Z"));
        assert_eq!(Windows::at(&both, at(now)), Windows::Open { until: Some(at(until)) }, "{now}");
    }
    assert_eq!(opens(&both, "2026-11-23T15:00:00Z"), "2026-11-23T21:00:00Z");
}

#[test]
fn rule_10_leap_days_and_far_years_have_windows() {
    let tuesday = [window(&[1], "09:00", "10:00", "Europe/Berlin")];
    is_open(&tuesday, "2028-02-29T08:00:00Z", "2028-02-29T09:00:00Z");
    // 2400 is a leap year, and its 29 February a Tuesday.
    assert!(opens(&tuesday, "2400-02-28T00:00:00Z").starts_with("2400-02-29T0"));
    assert!(opens(&tuesday, "9999-01-01T00:00:00Z").starts_with("9999-01-05T0"));
}

#[test]
fn rule_10_a_zone_that_is_not_known_never_opens() {
    let nowhere = [window(&[], "00:00", "24:00", "Mars/Olympus")];
    assert_eq!(Windows::at(&nowhere, moment("2026-11-23T00:00:00Z")), Windows::Shut { opens: None });
}

/// Whether a window is open in a minute, from nothing but what the clock shows then, and showed.
fn shows_open(window: &Window, now: Time) -> bool {
    let zone: chrono_tz::Tz = window.zone.parse().unwrap();
    let shown = |moment: Time| moment.with_timezone(&zone).naive_local();
    let local = shown(now);
    [0, 1, 2].into_iter().any(|back| {
        let Some(day) = local.date().checked_sub_days(chrono::Days::new(back)) else { return false };
        if !window.days.is_empty() && !window.days.contains(&(day.weekday().num_days_from_monday() as u8)) {
            return false;
        }
        let at = |minutes: u16| day.and_time(Default::default()) + TimeDelta::minutes(minutes.into());
        let closing = if window.to > window.from { window.to } else { window.to + 24 * 60 };
        // It has opened when the clock has shown that time or a later one, and has not closed as long as it will still
        // show one before the closing. No clock goes back or forward by more than that.
        let around = (-180..=0).map(|m| now + TimeDelta::minutes(m));
        let opened = around.clone().any(|moment| shown(moment) >= at(window.from));
        let closed = !(0..=180).any(|m| shown(now + TimeDelta::minutes(m)) < at(closing));
        opened && !closed
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// The next opening is the first minute of a scan in which a window is open, and so is the closing.
    #[test]
    fn rule_10_the_next_opening_is_what_a_scan_by_minutes_finds(
        place in 0..5_usize,
        day in -2..3_i64,
        minute in 0..1440_i64,
        shapes in prop::collection::vec((0..128_u8, 0..=1440_u16, 0..=1440_u16), 1..3),
    ) {
        let (zone, change) = [
            ("Europe/Berlin", (2027, 3, 28)),
            ("Europe/Berlin", (2026, 10, 25)),
            ("America/New_York", (2027, 3, 14)),
            ("Australia/Lord_Howe", (2026, 10, 4)),
            ("Australia/Lord_Howe", (2027, 4, 4)),
        ][place];
        let windows: Vec<Window> = shapes
            .iter()
            .filter(|(_, from, to)| from != to && (*from, *to) != (1440, 0))
            .map(|(days, from, to)| Window {
                days: (0..7).filter(|day| days & (1 << day) != 0).collect(),
                from: *from,
                to: *to,
                zone: zone.into(),
            })
            .collect();
        prop_assume!(!windows.is_empty());
        let change = NaiveDate::from_ymd_opt(change.0, change.1, change.2).unwrap();
        let now = change.and_time(Default::default()).and_utc() + TimeDelta::days(day) + TimeDelta::minutes(minute);
        let is_open = |now: Time| windows.iter().any(|window| shows_open(window, now));
        let scan = |wanted: bool| {
            (1..10 * 24 * 60).map(|m| now + TimeDelta::minutes(m)).find(|moment| is_open(*moment) == wanted)
        };
        match Windows::at(&windows, now) {
            Windows::Open { until } => {
                prop_assert!(is_open(now));
                let until = until.unwrap();
                // Another window may take over before that.
                prop_assert!(scan(false).is_none_or(|shut| until <= shut));
                let before = until - TimeDelta::minutes(1);
                prop_assert!(is_open(before), "{before}");
            }
            Windows::Shut { opens } => {
                prop_assert!(!is_open(now));
                let far = now + TimeDelta::days(10);
                prop_assert_eq!(opens.filter(|opens| *opens < far), scan(true));
            }
        }
    }
}

#[test]
fn rule_10_windows_are_asked_only_on_entering() {
    let day = window(&[], "10:00", "12:00", "UTC");
    let mut w = World::with(shop([
        tier("host"),
        tier("prod").nodes(&["a"]).verify("smoke").with(|t| t.promote.window = vec![day]),
    ]));
    w.push("c1");
    w.saw(&["promote_blocked prod 1.0.1 [window]"]);
    w.wait(TimeDelta::minutes(59));
    assert_eq!(w.current("prod"), "");
    w.wait(TimeDelta::minutes(30));
    let start = w.said.iter().zip(w.lines()).find(|(_, line)| line.starts_with("promote_start prod"));
    assert_eq!(start.unwrap().0.at, moment("2026-11-23T10:00:00Z"), "the opening is a wake");
    assert_eq!(w.current("prod"), "1.0.1");
    w.hold_run("prod/smoke");
    w.push("c2");
    w.wait(TimeDelta::hours(3));
    w.script("prod/smoke", [Ends::Is(Classification::CheckFailed)]);
    w.let_go("prod/smoke");
    w.saw(&["rollback prod 1.0.2 1.0.1", "rollback_complete prod 1.0.1"]);
    assert_eq!(w.current("prod"), "1.0.1", "what is inside and the way back ask no window");
}

#[test]
fn rule_11_a_window_that_shuts_and_a_freeze_that_begins_are_said_at_that_moment() {
    let freeze = |from: &str, to: &str| Freeze { from: moment(from), to: moment(to), why: "sale".into() };
    let mut w = World::with(shop([
        tier("host"),
        tier("prod").manual().with(|t| {
            t.promote.window = vec![window(&[], "08:00", "10:00", "UTC")];
            t.promote.freeze = vec![freeze("2026-11-23T11:00:00Z", "2026-11-24T09:00:00Z")];
        }),
    ]));
    w.push("c1");
    w.wait(TimeDelta::days(1));
    let said: Vec<(String, String)> = w
        .said
        .iter()
        .zip(w.lines())
        .filter(|(envelope, _)| matches!(envelope.fact.event, Event::PromoteBlocked { .. }))
        .map(|(envelope, line)| (envelope.at.format("%d %H:%M").to_string(), line[21..].to_owned()))
        .collect();
    let expected = [
        ("23 09:00", "1.0.1 [manual]"),
        ("23 10:00", "1.0.1 [manual,window]"),
        ("23 11:00", "1.0.1 [manual,window,freeze]"),
        ("24 08:00", "1.0.1 [manual,freeze]"),
        ("24 09:00", "1.0.1 [manual]"),
    ];
    assert_eq!(said, expected.map(|(at, line)| (at.to_owned(), line.to_owned())));
}

#[test]
fn rule_10_overlapping_and_adjacent_freezes_each_end_for_themselves() {
    let freeze = |from: i64, to: i64, why: &str| {
        let at = |hour| moment("2026-11-23T00:00:00Z") + TimeDelta::hours(hour);
        Freeze { from: at(from), to: at(to), why: why.into() }
    };
    let all = vec![freeze(8, 12, "sale"), freeze(10, 11, "audit"), freeze(12, 13, "lunch")];
    let mut w = World::with(shop([tier("host"), tier("prod").with(|t| t.promote.freeze = all)]));
    w.push("c1");
    let frozen = |w: &World| {
        let tier = w.shop().tier_in_force(&"prod".into()).unwrap();
        let waiting = promotion::waiting(w.shop(), tier, w.now);
        let until = waiting.first().and_then(|one| one.until);
        let each = waiting.iter().flat_map(|one| &one.blockers).map(|blocker| match blocker {
            Blocker::Freeze { until, why } => format!("{why} {}", until.hour()),
            other => panic!("{other:?}"),
        });
        (each.collect::<Vec<_>>(), until.map(|until| until.hour()))
    };
    assert_eq!(frozen(&w), (vec!["sale 12".into()], Some(12)));
    w.wait(TimeDelta::minutes(90));
    assert_eq!(frozen(&w), (vec!["sale 12".into(), "audit 11".into()], Some(11)));
    w.wait(TimeDelta::minutes(60));
    assert_eq!(frozen(&w), (vec!["sale 12".into()], Some(12)));
    w.wait(TimeDelta::minutes(30));
    assert_eq!(frozen(&w), (vec!["lunch 13".into()], Some(13)), "adjacent: not open in between");
    assert_eq!(w.current("prod"), "");
    w.wait(TimeDelta::minutes(60));
    assert_eq!(w.current("prod"), "1.0.1");
    assert_eq!(w.count("promote_blocked prod"), 4);
}

#[test]
fn rule_19_promote_lifts_a_window_and_not_a_freeze() {
    let shut = window(&[], "20:00", "21:00", "UTC");
    let mut w = World::with(shop([tier("host"), tier("prod").with(|t| t.promote.window = vec![shut])]));
    w.push("c1");
    assert_eq!(w.blockers("prod", "1.0.1"), ["window"]);
    w.promote("prod", "1.0.1").unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
    assert_eq!(chrono::Utc.with_ymd_and_hms(2026, 11, 23, 9, 0, 0).unwrap(), w.now, "at once");
    let (from, to) = (moment("2026-11-23T08:00:00Z"), moment("2026-11-23T20:00:00Z"));
    let freeze = Freeze { from, to, why: "sale".into() };
    let mut w = World::with(shop([tier("host"), tier("prod").with(|t| t.promote.freeze = vec![freeze])]));
    w.push("c1");
    w.promote("prod", "1.0.1").unwrap();
    assert_eq!((w.current("prod"), w.blockers("prod", "1.0.1")), ("".into(), vec!["freeze"]));
    let lift = Deed::Promote { tier: "prod".into(), version: "1.0.1".into(), lift: true };
    w.deed_of(&actor("root", Role::Admin), lift).unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}
