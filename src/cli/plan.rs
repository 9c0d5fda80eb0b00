//! `tidegate plan`: what an edit changes and what the next version would do, told by the controller from its state; or,
//! where there is none, of a first version.

use super::Exit;
use super::client::Where;
use super::talk::{self, Tone, tinted};
use super::trouble::Trouble;
use crate::clock::{Clock, SystemClock};
use crate::definition::{self, Loaded};
use crate::domain::plan::{
    Edit, Ends, Ground, KeyChange, NextVersion, Plan, TierPlan, TooLarge, WaitingChange, plan,
};
use crate::domain::{Digest, Severity, State, Time};
use crate::printable;
use crate::server::PlanRequest;
use crate::words;
use std::fmt::Display;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// The pipeline file
    file: PathBuf,
    /// Ask no controller: plan a first version
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    match make(args) {
        Ok(exit) => exit,
        Err(trouble) => trouble.say(),
    }
}

fn make(args: &Args) -> Result<Exit, Trouble> {
    let loaded = load(args)?;
    let now = SystemClock::new().now();
    let asked = if args.offline { None } else { ask(args, &loaded)? };
    let asked_controller = asked.is_some();
    let plan = match asked {
        Some(plan) => plan,
        None => {
            let ground = Ground::of(&State::default(), &args.file.display().to_string(), &loaded.pipeline);
            plan(&ground, &loaded.digest, &loaded.pipeline, now, false).map_err(|error| {
                Trouble::new(TooLarge::CODE, format!("failed to {error}"), TooLarge::HELP, Exit::Usage)
            })?
        }
    };
    if args.place.json {
        talk::json(serde_json::to_string_pretty(&plan).expect("BUG: a plan is JSON"));
    } else {
        show(&plan, now);
        if asked_controller && plan.edit.in_force.is_none() && !names_itself(&loaded.text) {
            talk::say(format_args!(
                "the file has no `name`, so it is planned as a new pipeline `{}`, after the file's name",
                safe(&plan.pipeline)
            ));
            talk::say(
                "  help: for an edit of one that there is, write name = \"…\" into it, or keep the file's name",
            );
        }
    }
    Ok(if plan.would_block() { Exit::Blocked } else { Exit::Done })
}

fn load(args: &Args) -> Result<Loaded, Trouble> {
    let name = args.file.display().to_string();
    let bytes = super::check::read_the(&args.file)?;
    definition::load(&name, &bytes).map_err(|diagnostics| {
        super::check::draw(&[(name, bytes)], &diagnostics);
        let errors = diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
        let message = format!("the pipeline has {}", words::counted(errors, "error"));
        Trouble::new("TG-CLI-012", message, "mend what is said above", Exit::Usage)
    })
}

/// Whether the text says what the pipeline is called.
fn names_itself(text: &str) -> bool {
    text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("name"))
}

/// The controller's plan; none: there is no controller.
fn ask(args: &Args, loaded: &Loaded) -> Result<Option<Plan>, Trouble> {
    let request = PlanRequest { file: args.file.display().to_string(), text: loaded.text.clone() };
    let request = serde_json::to_value(request).expect("BUG: a request is JSON");
    match args.place.client().and_then(|client| client.post("/api/plan", &request)) {
        Ok(answer) => super::client::shaped(answer).map(Some),
        Err(trouble) if trouble.code == "TG-CLI-001" => {
            talk::say(format_args!(
                "{}; this is the plan of a first version",
                printable::line(&trouble.message)
            ));
            Ok(None)
        }
        Err(trouble) => Err(trouble),
    }
}

fn safe(text: impl Display) -> String {
    printable::line(&text.to_string()).into_owned()
}

fn tint(text: &str, tone: Tone) -> String {
    tinted(text, tone, talk::colours(&std::io::stdout()))
}

/// As many digits of a digest as people compare.
fn short(digest: &Digest) -> &str {
    let text = digest.as_str();
    &text[..text.len().min("sha256:".len() + 8)]
}

fn show(plan: &Plan, now: Time) {
    talk::data(format_args!("{}  {}", tint(&safe(&plan.pipeline), Tone::Strong), short(&plan.digest)));
    edit(&plan.edit, now);
    talk::data("the next version:");
    next(&plan.next, plan, now);
    for one in &plan.schedules {
        talk::data(safe(words::scheduled(&one.schedule, one.next, now)));
    }
}

fn edit(edit: &Edit, now: Time) {
    match &edit.in_force {
        None => talk::data("this pipeline is not in force yet"),
        Some(digest) if edit.changes.is_empty() => {
            talk::data(format_args!("nothing changes against what is in force ({})", short(digest)));
        }
        Some(digest) => {
            talk::data(format_args!("against what is in force ({}):", short(digest)));
            edit.changes.iter().for_each(|change| talk::data(format_args!("  {}", safe(change))));
        }
    }
    edit.keys.iter().for_each(|one| talk::data(format_args!("    {}", key(one))));
    for one in &edit.under_way {
        let (version, digest) = (safe(&one.version), short(&one.digest));
        let what = match (&one.tier, one.going_back) {
            (None, _) => format!("{version} is being built"),
            (Some(tier), false) => format!("{version} is inside {}", safe(tier)),
            (Some(tier), true) => format!("{} goes back to {version}", safe(tier)),
        };
        talk::data(format_args!("  {what}, and finishes with {digest}"));
    }
    for one in &edit.voided {
        let what = format!("confirmations of {} for {} no longer count", safe(&one.version), safe(&one.tier));
        talk::data(format_args!("  {}", tint(&what, Tone::Wait)));
    }
    edit.waiting.iter().for_each(|one| talk::data(format_args!("  {}", waiting(one, now))));
}

/// Longer values are cut: whoever wants them whole has both files, or `--json`.
const VALUE_LIMIT: usize = 48;

fn key(one: &KeyChange) -> String {
    let value = |value: &Option<String>| {
        let value = value.as_deref()?;
        let cut: String = value.chars().take(VALUE_LIMIT).collect();
        let more = if cut.len() < value.len() { "…" } else { "" };
        Some(format!("{}{more}", safe(cut)))
    };
    let name = safe(&one.key);
    match (value(&one.before), value(&one.after)) {
        (None, after) => format!("{name} = {}", tint(&after.unwrap_or_default(), Tone::Good)),
        (Some(before), None) => format!("{name} was {}", tint(&before, Tone::Bad)),
        (Some(before), Some(after)) => {
            format!("{name}: {}, now {}", tint(&before, Tone::Bad), tint(&after, Tone::Good))
        }
    }
}

fn waiting(one: &WaitingChange, now: Time) -> String {
    let what = format!("{} in front of {}", safe(&one.version), safe(&one.tier));
    let listed = |blockers: &[crate::domain::Blocker]| match blockers {
        [] => "nothing in its way".to_owned(),
        some => some.iter().map(|one| safe(words::blocker(one, now))).collect::<Vec<_>>().join("; "),
    };
    match (&one.before, &one.after) {
        _ if one.enters => tint(&format!("{what} would enter at once"), Tone::Good),
        (Some(_), None) => tint(&format!("{what} would no longer wait"), Tone::Wait),
        (None, Some(after)) => format!("{what} would wait: {}", listed(after)),
        (Some(before), Some(after)) if before == after => {
            format!("{what} goes on waiting: {}", listed(after))
        }
        (Some(before), Some(after)) => format!("{what} waits: {}; then: {}", listed(before), listed(after)),
        (None, None) => what,
    }
}

fn next(next: &NextVersion, plan: &Plan, now: Time) {
    talk::data("  build");
    for blocker in &next.waits_for {
        let words = safe(words::blocker(blocker, now));
        talk::data(format_args!("    {}", tint(&format!("stops   {words}"), Tone::Wait)));
    }
    rounds("step", &next.steps);
    for tier in &next.tiers {
        talk::data(format_args!("  {}", safe(&tier.tier)));
        for blocker in &tier.waits_for {
            let way = words::way_out(blocker, &plan.pipeline, &tier.tier, &"VERSION".into());
            let way = way.map(|way| format!("  ({})", safe(way))).unwrap_or_default();
            let words = safe(words::blocker(blocker, now));
            talk::data(format_args!("    {}{way}", tint(&format!("stops   {words}"), Tone::Wait)));
        }
        rounds("check", &tier.check);
        rounds("deploy", &tier.waves);
        rounds("verify", &tier.verify);
        talk::data(format_args!("    {}", end(tier)));
    }
}

fn end(tier: &TierPlan) -> String {
    match tier.ends {
        Ends::Passes => tint("passes", Tone::Good),
        Ends::Shut => tint("stays outside", Tone::Bad),
        Ends::NotReached => tint("is not reached", Tone::Quiet),
    }
}

/// What begins together stands in one line.
fn rounds<T: Display>(word: &str, rounds: &[Vec<T>]) {
    for (at, round) in rounds.iter().enumerate() {
        let names: Vec<String> = round.iter().map(safe).collect();
        let word = if at == 0 { word } else { "" };
        talk::data(format_args!("    {word:<7} {}", names.join(", ")));
    }
}
