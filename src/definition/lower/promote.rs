//! When a version may enter a tier.

use crate::definition::codes::Code;
use crate::definition::names;
use crate::definition::raw;
use crate::definition::report::Report;
use crate::domain::pipeline::{Confirm, Freeze, Mode, Pick, Promote, Require, Window};
use chrono::{DateTime, Utc};

pub(super) fn promote(report: &mut Report, path: &str, raw: Option<&raw::Promote>) -> Promote {
    let default = raw::Promote::default();
    let raw = raw.unwrap_or(&default);
    let at = |key: &str| format!("{path}.{key}");
    Promote {
        mode: match raw.mode {
            Some(raw::Mode::Manual) => Mode::Manual,
            Some(raw::Mode::Auto) | None => Mode::Auto,
        },
        soak: names::span(report, &at("soak"), raw.soak.as_ref()).filter(|span| !span.duration().is_zero()),
        confirm: raw.confirm.as_ref().map(|raw| confirm(report, &at("confirm"), raw)),
        pick: match raw.pick {
            Some(raw::Pick::Every) => Pick::Every,
            Some(raw::Pick::Newest) | None => Pick::Newest,
        },
        require: match raw.require {
            Some(raw::Require::Any) => Require::Any,
            Some(raw::Require::All) | None => Require::All,
        },
        window: raw
            .window
            .iter()
            .enumerate()
            .filter_map(|(n, raw)| window(report, &at(&format!("window[{n}]")), raw))
            .collect(),
        freeze: raw
            .freeze
            .iter()
            .enumerate()
            .filter_map(|(n, raw)| freeze(report, &at(&format!("freeze[{n}]")), raw))
            .collect(),
    }
}

fn confirm(report: &mut Report, path: &str, raw: &raw::Confirm) -> Confirm {
    Confirm {
        count: raw.count.unwrap_or(1) as u32,
        roles: raw.roles.clone(),
        not_author: raw.not_author.unwrap_or(false),
        expires: names::span_above_zero(report, &format!("{path}.expires"), raw.expires.as_ref()),
    }
}

fn window(report: &mut Report, path: &str, raw: &raw::Window) -> Option<Window> {
    let dropped = report.places.is_incomplete(&format!("{path}.days"));
    if !dropped && raw.days.as_ref().is_some_and(Vec::is_empty) {
        let problem = report.error(
            Code::WindowNeverOpens,
            &format!("{path}.days"),
            "this window never opens: `days` is empty",
        );
        problem.help("name days, or leave `days` out for every day");
    }
    let zone = raw.zone.clone().unwrap_or_else(|| "UTC".into());
    self::zone(report, &format!("{path}.zone"), &zone);
    let from = clock(report, &format!("{path}.from"), raw.from.as_deref().unwrap_or("00:00"));
    let to = clock(report, &format!("{path}.to"), raw.to.as_deref().unwrap_or("24:00"));
    let (from, to) = (from?, to?);
    // What opens at the end of a day opens at midnight, too.
    if from == to || (from, to) == (24 * 60, 0) {
        let problem =
            report.error(Code::WindowNeverOpens, path, "this window never opens: it closes when it opens");
        problem.help("for the whole day, leave `from` and `to` out");
    }
    let days = raw.days.iter().flatten().map(|day| *day as u8).collect();
    Some(Window { days, from, to, zone })
}

/// Minutes after midnight.
fn clock(report: &mut Report, path: &str, text: &str) -> Option<u16> {
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
    let parts = text.split_once(':').and_then(|(hours, minutes)| Some((two(hours)?, two(minutes)?)));
    match parts {
        Some((hours, minutes)) if minutes < 60 && hours * 60 + minutes <= 24 * 60 => {
            Some(hours * 60 + minutes)
        }
        _ => {
            let message = format!("`{text}` is not a time of the day");
            report
                .error(Code::OutOfRange, path, message)
                .help("write it like \"09:00\", from \"00:00\" to \"24:00\"");
            None
        }
    }
}

/// Checks the name of a time zone.
pub(super) fn zone(report: &mut Report, path: &str, name: &str) {
    if name.parse::<chrono_tz::Tz>().is_err() {
        let all: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
        let problem = report.error(Code::UnknownZone, path, format!("there is no time zone `{name}`"));
        problem.help("use a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"");
        // A city alone is what people write most.
        let city = name.replace(' ', "_");
        let by_city = all
            .iter()
            .find(|zone| zone.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&city)));
        match by_city {
            Some(zone) => problem.help(format!("did you mean `{zone}`?")),
            // `CEST` is no misspelt `CET`: it is another time.
            None if name.len() <= 5 && name.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                problem.help("an abbreviation does not say when summer begins: use a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"");
            }
            None if crate::definition::report::nearest(name, &all).is_some() => problem.nearest(name, all),
            None => {}
        }
    }
}

fn freeze(report: &mut Report, path: &str, raw: &raw::Freeze) -> Option<Freeze> {
    let from = moment(report, &format!("{path}.from"), raw.from.as_ref());
    let to = moment(report, &format!("{path}.to"), raw.to.as_ref());
    let (from, to) = (from?, to?);
    if to <= from {
        let problem =
            report.error(Code::FreezeIsEmpty, &format!("{path}.to"), "this freeze ends before it begins");
        problem.help("`to` is the first moment after it: let it be later than `from`");
    }
    Some(Freeze { from, to, why: raw.why.clone().unwrap_or_default() })
}

fn moment(report: &mut Report, path: &str, raw: Option<&toml::value::Datetime>) -> Option<DateTime<Utc>> {
    let raw = raw?;
    let found = DateTime::parse_from_rfc3339(&raw.to_string()).ok().map(|moment| moment.to_utc());
    if found.is_none() {
        let problem =
            report.error(Code::WrongType, path, format!("`{raw}` leaves open which moment is meant"));
        problem.help("write date, time and offset: 2026-12-19T00:00:00+01:00, or Z for UTC");
    }
    found
}
