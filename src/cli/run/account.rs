//! What came of it, in a few lines: what did not pass, where its log is, and how to run just that again.

use super::Args;
use crate::cli::Exit;
use crate::cli::talk::{self, Tone, tinted};
use crate::domain::{Envelope, Event, GateName, Outcome, Status, VersionLabel};
use crate::printable;
use crate::source::hook::quote;
use crate::words;
use std::path::Path;
use std::time::Instant;

/// What is told at the end.
pub(super) struct Account {
    began: Instant,
    version: Option<VersionLabel>,
    passed: usize,
    bad: Vec<Bad>,
    /// Why it went no further, where no run says it.
    cause: Option<String>,
}

/// A run that did not pass, and is not tried again.
struct Bad {
    what: String,
    status: Status,
    message: Option<String>,
    /// As a path below the state folder.
    log: Option<String>,
    gate: Option<GateName>,
}

impl Account {
    pub(super) fn begin() -> Account {
        Account { began: Instant::now(), version: None, passed: 0, bad: Vec::new(), cause: None }
    }

    pub(super) fn happened(&mut self, envelope: &Envelope) {
        match &envelope.fact.event {
            Event::BuildStart { version, .. } => self.version = Some(version.clone()),
            Event::BuildFailed { cause, .. } | Event::PromoteFailed { cause, .. } => {
                self.cause = Some(cause.clone());
            }
            Event::StepDone { step, outcome, will_retry: false, .. } => {
                self.ended(format!("step `{step}` of the build"), outcome, None);
            }
            Event::GateDone { tier, name, outcome, will_retry: false, .. } => {
                self.ended(format!("gate `{name}` of tier `{tier}`"), outcome, Some(name.clone()));
            }
            Event::DeployOk { .. } => self.passed += 1,
            Event::DeployFailed { tier, node, message, log_ref, will_retry: false, .. } => {
                self.bad.push(Bad {
                    what: format!("deploy of tier `{tier}` to node `{node}`"),
                    status: Status::Fail,
                    message: Some(message.clone()),
                    log: log_ref.clone(),
                    gate: None,
                });
            }
            _ => {}
        }
    }

    fn ended(&mut self, what: String, outcome: &Outcome, gate: Option<GateName>) {
        if outcome.passed() {
            self.passed += 1;
            return;
        }
        self.bad.push(Bad {
            what,
            status: outcome.status,
            message: outcome.message.clone(),
            log: outcome.log_ref.clone(),
            gate,
        });
    }

    /// Says it; `state`: the folder that the logs are in.
    pub(super) fn say(&self, exit: Exit, args: &Args, state: &Path) {
        let colour = talk::colours(&std::io::stdout());
        let (word, tone) = match exit {
            Exit::Done => ("passed", Tone::Good),
            Exit::Blocked => ("not judged", Tone::Wait),
            Exit::Interrupted => ("interrupted", Tone::Wait),
            _ => ("failed", Tone::Bad),
        };
        let version = self.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let took = words::took(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX));
        let all = self.passed + self.bad.len();
        let rest = format!("{version} after {took}: {} of {all} passed", self.passed);
        talk::show("");
        talk::show(format_args!("{}{}", tinted(word, tone, colour), printable::line(&rest)));
        let cause = self.cause.as_ref().filter(|_| self.bad.is_empty());
        if let Some(cause) = cause {
            talk::show(format_args!("  {}", printable::line(cause)));
        }
        for bad in &self.bad {
            self.say_bad(bad, args, state, colour);
        }
    }

    fn say_bad(&self, bad: &Bad, args: &Args, state: &Path, colour: bool) {
        let (word, tone) = match bad.status {
            Status::Blocked => ("not judged", Tone::Wait),
            _ => ("failed", Tone::Bad),
        };
        let message = bad.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        let what = format!("{}{message}", bad.what);
        talk::show(format_args!("  {} {}", tinted(word, tone, colour), printable::line(&what)));
        let line = |what: &str, text: &str| {
            talk::show(format_args!("    {} {}", tinted(what, Tone::Quiet, colour), printable::line(text)));
        };
        if let Some(log) = &bad.log {
            line("log:", &state.join(log).display().to_string());
        }
        line("again:", &again(args, bad.gate.as_ref()));
    }
}

/// The command that runs it again: of the gates, only that one.
fn again(args: &Args, gate: Option<&GateName>) -> String {
    let mut words = vec!["tidegate".into(), "run".into(), word(&args.file.to_string_lossy())];
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), word(value)]);
    if let Some(sha) = &args.sha {
        option("--sha", sha);
    }
    if let Some(folder) = &args.dir {
        option("--dir", &folder.to_string_lossy());
    }
    args.deploy.iter().for_each(|tier| option("--deploy", tier));
    if let Some(file) = &args.config {
        option("--config", &file.to_string_lossy());
    }
    match gate {
        Some(gate) => option("--gate", gate.as_str()),
        None => args.gate.iter().for_each(|gate| option("--gate", gate)),
    }
    words.join(" ")
}

/// As one word of a shell; as it is, where it needs no quotes.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { quote(text) }
}
