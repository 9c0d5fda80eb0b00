//! `tidegate doctor`: looks at everything that a controller needs, here and now, and says of each what it found, where,
//! and the way out. It changes nothing, beside a file that it touches in the folder of the pipelines and removes again.
//! Where a controller is at work on the state folder, its files are looked at, wherever it was started.

mod cgroups;
mod controller;
mod fences;
mod files;
mod hooks;
mod machine;
mod nodes;
mod repositories;
mod secrets;
mod state;
mod unix;
mod watching;

use super::Exit;
use super::client::Where;
use super::serving::Serving;
use super::talk::{self, Tone, tinted};
use super::trouble::Trouble;
use crate::printable;
use crate::settings::{Overrides, Settings};
use crate::words;
use secrets::Folders;
use serde::Serialize;
use std::path::PathBuf;

#[derive(clap::Args, Clone)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// The folder with the pipeline files [default: as `serve` would]
    #[arg(long, value_name = "DIR")]
    pipelines: Option<PathBuf>,
    /// The settings file [default: tidegate.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    /// As if they had been typed.
    pub(super) fn of(place: &Where, pipelines: Option<PathBuf>, config: Option<PathBuf>) -> Args {
        Args { place: place.clone(), pipelines, config }
    }
}

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// As it should be, or a fact.
    Ok,
    /// It works, but may not be what is wanted.
    Warning,
    /// Something will not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// How good it is.
    pub(super) level: Level,
    /// What was looked at: a word for scripts.
    pub(super) what: &'static str,
    /// Where: a path, a pipeline, an address.
    #[serde(rename = "where", skip_serializing_if = "String::is_empty")]
    pub(super) place: String,
    /// What was found.
    pub(super) found: String,
    /// The way out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) help: String,
}

/// Whether the owner's token can be used. What is wrong with it is said once, where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnerToken {
    /// It can, or there is none yet.
    Usable,
    /// It cannot, and that was said.
    Refused,
}

/// Everything that was found, in order.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn say(&mut self, level: Level, what: &'static str, place: &str, found: impl Into<String>, help: &str) {
        let (place, found, help) = (place.to_owned(), found.into(), help.to_owned());
        self.0.push(Finding { level, what, place, found, help });
    }

    fn ok(&mut self, what: &'static str, place: &str, found: impl Into<String>) {
        self.say(Level::Ok, what, place, found, "");
    }

    fn warning(&mut self, what: &'static str, place: &str, found: impl Into<String>, help: &str) {
        self.say(Level::Warning, what, place, found, help);
    }

    fn bad(&mut self, what: &'static str, place: &str, found: impl Into<String>, help: &str) {
        self.say(Level::Bad, what, place, found, help);
    }
}

pub(super) fn run(args: &Args) -> Exit {
    match look(args) {
        Ok(findings) => show(args, &findings),
        Err(trouble) => trouble.say(),
    }
}

/// Looks at everything; what is found, in order.
pub(super) fn look(args: &Args) -> Result<Vec<Finding>, Trouble> {
    let (settings, serving) = settings(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Trouble::new(
            "TG-DOCTOR-001",
            format!("failed to start: {error}"),
            "raise the limit of threads",
            Exit::Failed,
        )
    })?;
    let mut findings = Findings::default();
    machine::look(&settings, &mut findings);
    let ground = cgroups::look(serving.as_ref(), &mut findings);
    let token = state::look(&settings, &mut findings);
    watching::look(&settings.pipelines, &mut findings);
    secrets::of_webhooks(&settings.webhooks, &mut findings);
    controller::look(args, &settings, serving.as_ref(), token, &mut findings);
    unix::look(&settings, serving.as_ref(), &mut findings);
    let pipelines = files::look(&settings.pipelines, &mut findings);
    for (file, pipeline) in &pipelines {
        runtime.block_on(repositories::look(&settings, file, pipeline, &mut findings));
        let folders = Folders { pipelines: &settings.pipelines, state: settings.state.path() };
        secrets::look(&folders, pipeline, &mut findings);
        fences::look(pipeline, &mut findings);
        unix::of_pipeline(&settings.unix, pipeline, &mut findings);
        cgroups::of_pipeline(&ground, pipeline, &mut findings);
    }
    runtime.block_on(nodes::look(&settings, &pipelines, &mut findings));
    runtime.block_on(hooks::look(&settings, token, &pipelines, &mut findings));
    Ok(findings.0)
}

/// The settings by which it looks.
pub(super) fn settings_of(args: &Args) -> Result<Settings, Trouble> {
    settings(args).map(|(settings, _)| settings)
}

/// The settings of the controller that is at work on the state folder; without one, those that `serve` would have here.
fn settings(args: &Args) -> Result<(Settings, Option<Serving>), Trouble> {
    let overrides = Overrides {
        config: args.config.clone(),
        pipelines: args.pipelines.clone(),
        state: args.place.state.clone(),
        ssh_command: std::env::var("TIDEGATE_SSH_COMMAND").ok(),
        ..Overrides::default()
    };
    let here = Settings::load(&overrides)?;
    let Some(serving) = Serving::on(&here.state) else { return Ok((here, None)) };
    let its = Overrides {
        config: overrides.config.or_else(|| serving.config.clone()),
        pipelines: overrides.pipelines.or_else(|| Some(serving.pipelines.clone())),
        state: Some(here.state.path().to_owned()),
        listen: Some(serving.listen.to_string()),
        insecure_http: true,
        ..overrides
    };
    Ok((Settings::load(&its)?, Some(serving)))
}

fn show(args: &Args, findings: &[Finding]) -> Exit {
    let count = |level| findings.iter().filter(|one| one.level == level).count();
    let (bad, warnings) = (count(Level::Bad), count(Level::Warning));
    if args.place.json {
        talk::json(serde_json::to_string_pretty(findings).expect("BUG: findings are JSON"));
    } else {
        findings.iter().for_each(line);
        let warnings = words::counted(warnings, "warning");
        talk::say(format_args!(
            "{} looked at: {warnings}, {bad} bad",
            words::counted(findings.len(), "thing")
        ));
    }
    if bad > 0 { Exit::Failed } else { Exit::Done }
}

fn line(finding: &Finding) {
    let colour = talk::colours(&std::io::stdout());
    let safe = |text: &str| printable::line(text).into_owned();
    let (word, tone) = match finding.level {
        Level::Ok => ("ok", Tone::Good),
        Level::Warning => ("warning", Tone::Wait),
        Level::Bad => ("bad", Tone::Bad),
    };
    let word = tinted(&format!("{word:<7}"), tone, colour);
    let place = match finding.place.as_str() {
        "" => String::new(),
        place => format!(" {}", safe(place)),
    };
    talk::data(format_args!("{word} {}{place}: {}", finding.what, safe(&finding.found)));
    if !finding.help.is_empty() {
        talk::data(format_args!("        {}: {}", tinted("help", Tone::Strong, colour), safe(&finding.help)));
    }
}
