//! What a good file says that is over by now. Reading a file knows no clock, and a definition in force must not change with
//! time: this is asked apart, by whoever looks a file over.

use super::codes::Code;
use super::places::{Lines, Places};
use super::report::Report;
use super::{Loaded, shape, text};
use crate::domain::{Diagnostic, Time};

/// Warns of freezes that are over at that moment.
pub fn outdated(file: &str, loaded: &Loaded, now: Time) -> Vec<Diagnostic> {
    let tiers = loaded.pipeline.tiers.iter().enumerate();
    let over: Vec<(String, String)> = tiers
        .flat_map(|(at, tier)| tier.promote.freeze.iter().enumerate().map(move |one| (at, tier, one)))
        .filter(|(.., (_, freeze))| freeze.to <= now)
        .map(|(at, tier, (number, freeze))| {
            let ended = freeze.to.format("%Y-%m-%d %H:%M");
            let message = format!("this freeze of tier `{}` is over since {ended} UTC", tier.name);
            (format!("tier[{at}].promote.freeze[{number}].to"), message)
        })
        .collect();
    if over.is_empty() {
        return Vec::new();
    }
    let mut found = Report::new(Places::default());
    shape::judge(&text::parse(&loaded.text), true, &mut found);
    let mut report = Report::new(found.places);
    for (path, message) in over {
        let problem = report.warning(Code::FreezeIsOver, &path, message);
        problem.help("take it out, or give it the dates of the next one");
    }
    report.into_diagnostics(file, &Lines::of(&loaded.text))
}
