//! The last line of a terminal while something runs: what, since when, and how much of all is done. It is taken away before
//! anything is written and put back when nothing more comes; the terminal is otherwise left as it is.

use crate::cli::talk::{self, Tone, tinted};
use crate::domain::{Envelope, Event, Pipeline, Time};
use crate::printable;
use crate::tui::{Run, Runs};
use crate::words::{self, Sign};
use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

/// How long nothing may come before the line is put back.
const CALM: Duration = Duration::from_millis(50);

/// How often what it says of the time is brought up to date.
const TICK: Duration = Duration::from_secs(1);

pub(super) struct Live {
    runs: Runs,
    /// Steps, gates and deploys of the pipeline, and how many of them passed.
    all: usize,
    done: usize,
    /// Whether stdout can show it.
    is_wanted: bool,
    is_shown: bool,
}

impl Live {
    pub(super) fn of(pipeline: &Pipeline, json: bool) -> Live {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let of_tiers = pipeline.tiers.iter().map(|tier| {
            let nodes = if tier.deploy.is_some() { tier.nodes.len() } else { 0 };
            tier.gates.len() + nodes
        });
        Live {
            runs: Runs::default(),
            all: pipeline.build.steps.len() + of_tiers.sum::<usize>(),
            done: 0,
            is_wanted: !json && !dumb && stdout().is_terminal(),
            is_shown: false,
        }
    }

    pub(super) fn happened(&mut self, envelope: &Envelope) {
        self.runs.happened(envelope);
        self.done += usize::from(match &envelope.fact.event {
            Event::StepDone { outcome, .. } | Event::GateDone { outcome, .. } => outcome.passed(),
            Event::DeployOk { .. } => true,
            _ => false,
        });
    }

    /// After how long the line is to be drawn; none: not before something happens.
    pub(super) fn pause(&self) -> Option<Duration> {
        let something_runs = self.runs.all.values().any(|run| run.end.is_none());
        (self.is_wanted && something_runs).then_some(if self.is_shown { TICK } else { CALM })
    }

    pub(super) fn show(&mut self, now: Time) {
        // One column stays free: some terminals go to the next line when the last is written.
        let line = self.line(now, talk::columns().saturating_sub(1), talk::unicode());
        let colour = talk::colours(&stdout());
        // A terminal that is gone ends nothing.
        let _ =
            write!(stdout(), "\r\x1b[K{}", tinted(&line, Tone::Wait, colour)).and_then(|()| stdout().flush());
        self.is_shown = true;
    }

    /// Takes the line away, so that something can be written.
    pub(super) fn hide(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            // As above.
            let _ = write!(stdout(), "\r\x1b[K").and_then(|()| stdout().flush());
        }
    }

    fn line(&self, now: Time, columns: usize, unicode: bool) -> String {
        let runs: Vec<&Run> = self.runs.all.values().filter(|run| run.end.is_none()).collect();
        let of = |run: &&Run| {
            let since = run.began.map(|began| words::span(now - began)).unwrap_or_default();
            let said = run.said.as_ref().map(|said| format!(", {said}")).unwrap_or_default();
            format!("{} {since}{said}", run.what)
        };
        let runs: Vec<String> = runs.iter().map(of).collect();
        let gap = if unicode { " · " } else { " | " };
        let line = format!(
            "{} {}/{} done{gap}{}",
            Sign::Runs.form(unicode),
            self.done.min(self.all),
            self.all,
            runs.join(gap)
        );
        printable::truncate_width(&printable::line(&line), columns).into_owned()
    }
}
