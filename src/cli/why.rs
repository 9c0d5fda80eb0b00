//! `tidegate why`: what stands between a version and a tier, and what would lift it.

use super::Exit;
use super::client::{Where, segment};
use super::talk::{self, Tone, tinted};
use super::trouble::Trouble;
use crate::domain::{Blocker, RunId, Time};
use crate::printable;
use crate::server::view::{GateView, NodeProgress, NodeTryView, Progress, StandingView};
use crate::server::{Unbuilt, UnbuiltStage, WhyTier, WhyView};
use crate::words;
use crate::words::overview;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// The pipeline
    pipeline: String,
    /// The tier
    tier: String,
    /// The version [default: the newest that has not passed the tier]
    version: Option<String>,
}

pub(super) fn run(args: &Args) -> Exit {
    match ask(args) {
        Ok(exit) => exit,
        Err(trouble) => trouble.say(),
    }
}

fn ask(args: &Args) -> Result<Exit, Trouble> {
    let version = args.version.as_ref().map(|version| format!("?version={}", segment(version)));
    let path = format!(
        "/api/pipelines/{}/tiers/{}/why{}",
        segment(&args.pipeline),
        segment(&args.tier),
        version.unwrap_or_default()
    );
    let client = args.place.client()?;
    let answer = client.get(&path)?;
    let view: WhyView = super::client::shaped(answer.clone())?;
    if args.place.json {
        talk::json(&answer);
    } else {
        print(&view);
    }
    // What is newer is not built, and will not be before that is over.
    let is_kept = !view.newer.is_empty()
        && (view.standstill.is_some()
            || view.newer.iter().any(|one| one.blockers.contains(&Blocker::DiskFull)));
    Ok(if view.passed && !is_kept { Exit::Done } else { Exit::Blocked })
}

fn print(view: &WhyView) {
    let colour = talk::colours(&std::io::stdout());
    // After a `retry` it waits as any other.
    let is_out = view.chain.last().is_some_and(|last| !last.goes_on());
    let is_left = is_out && view.went_back.as_ref().is_some_and(|back| back.from == view.version);
    let title = match view.passed {
        true => "has passed",
        false if is_left => "went back out of",
        false => "has not passed",
    };
    let title = format!("{} {title} `{}`", view.version, view.tier);
    talk::data(printable::line(&title));
    stands(view);
    if let Some(build) = &view.build {
        talk::data(format_args!("  {}", printable::line(&unbuilt("its build", build))));
        kept(&build.blockers, view.at);
    }
    for one in &view.chain {
        let (word, tone) = standing(one);
        let tier = printable::line(one.tier.as_str());
        talk::data(format_args!("  {tier}: {}", tinted(&printable::line(&word), tone, colour)));
        under_way(one, view.at).iter().for_each(|line| talk::data(format_args!("    - {line}")));
        for blocker in &one.blockers {
            let what = words::blocker_with(blocker, &one.confirmations, view.at);
            talk::data(format_args!("    - {}", printable::line(&what)));
            let way = match blocker {
                Blocker::Hold { by, why } => {
                    let is_the_tiers =
                        one.hold.as_ref().is_some_and(|hold| hold.by == *by && hold.why == *why);
                    let tier = if is_the_tiers { format!(" {}", one.tier) } else { String::new() };
                    Some(format!("tidegate resume {}{tier}", view.pipeline))
                }
                _ => words::way_out(blocker, &view.pipeline, &one.tier, &view.version),
            };
            if let Some(way) = way {
                let who = one.confirm.as_ref().filter(|_| matches!(blocker, Blocker::ConfirmMissing { .. }));
                let who = who.and_then(words::who_confirms).map(|who| format!("  ({who})"));
                let way = way + &who.unwrap_or_default();
                talk::data(format_args!("      {}", tinted(&printable::line(&way), Tone::Quiet, colour)));
            }
        }
        for gate in &one.unjudged {
            let line = format!("gate `{}` could not judge{}", gate.gate, log(None, Some(gate.run_id)));
            talk::data(format_args!("    - {}", printable::line(&line)));
        }
        if let Some(again) = tried_again(one, view) {
            talk::data(format_args!("    {}", tinted(&printable::line(&again), Tone::Quiet, colour)));
        }
    }
    for one in &view.newer {
        talk::data(format_args!("  {}", printable::line(&newer(one))));
        kept(&one.blockers, view.at);
    }
    overview::standstill(view.standstill.as_ref(), colour).into_iter().for_each(talk::data);
}

/// What is current in the tier, and whether that is so because it went back.
fn stands(view: &WhyView) {
    let Some(current) = &view.current else { return };
    let ago = |moment: Time| words::span(view.at - moment);
    if current.version != view.version {
        let stands = format!("{} is current there, for {}", current.version, ago(current.since));
        talk::data(format_args!("  {}", printable::line(&stands)));
    }
    if let Some(back) = &view.went_back {
        let went =
            format!("it went back from {} to {} {} ago: {}", back.from, back.to, ago(back.at), back.cause);
        talk::data(format_args!("  {}", printable::line(&went)));
    }
}

/// When a gate that could not judge is tried again, or a node that could not go back, and what tries it at once.
fn tried_again(one: &WhyTier, view: &WhyView) -> Option<String> {
    let next = match (&one.standing, &one.going_back) {
        (Some(StandingView::Waiting) | None, None) => {
            one.until.filter(|_| one.blockers.iter().any(words::is_no_judgement))
        }
        (_, Some(back)) if back.failed => back.nodes.iter().filter_map(|node| node.not_before).min(),
        _ => None,
    }?;
    let next = words::moment(next, view.at);
    Some(format!("is tried again {next}, at once by: tidegate retry {} {}", view.pipeline, one.tier))
}

/// How far gates and nodes are, a line each, with the command that shows what a run wrote.
fn under_way(one: &WhyTier, now: Time) -> Vec<String> {
    let (gates, nodes) = match (&one.inside, &one.going_back) {
        (Some(inside), _) => (&inside.gates, &inside.nodes),
        (None, Some(back)) => (&back.gates, &back.nodes),
        (None, None) => return Vec::new(),
    };
    let nodes = nodes.iter().map(|one| node(one, now));
    let lines = gates.iter().map(|one| gate(one, now)).chain(nodes);
    lines.map(|line| printable::line(&line).into_owned()).collect()
}

fn gate(gate: &GateView, now: Time) -> String {
    let progress = &gate.progress;
    let how = match progress.status {
        Progress::Waiting if progress.tries > 0 => "is tried again",
        Progress::Waiting => "has not begun",
        Progress::Running => "runs",
        Progress::Pass => "passed",
        Progress::Fail => "failed",
        Progress::Blocked => "could not judge",
    };
    let message = progress.outcome.as_ref().and_then(|outcome| outcome.message.as_ref());
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    let again = again(progress.not_before, now);
    if let Some(blocker) = progress.blockers.first() {
        let why = words::blocker(blocker, now);
        return format!("gate `{}` waits: {why}{}", gate.name, log(progress.run_id, progress.last_run_id));
    }
    format!("gate `{}` {how}{message}{again}{}", gate.name, log(progress.run_id, progress.last_run_id))
}

fn node(node: &NodeTryView, now: Time) -> String {
    let how = match node.status {
        NodeProgress::Waiting if node.tries > 0 => "is tried again",
        NodeProgress::Waiting => "has not begun",
        NodeProgress::Running => "changes",
        NodeProgress::Ok => "is done",
        NodeProgress::Failed => "failed",
    };
    let failure = node.failure.map(|failure| format!(" ({})", failure.as_str())).unwrap_or_default();
    let again = again(node.not_before, now);
    if let Some(blocker) = node.blockers.first() {
        let (name, why) = (&node.name, words::blocker(blocker, now));
        return format!("node `{name}` waits: {why}{}", log(node.run_id, node.last_run_id));
    }
    format!("node `{}` {how}{failure}{again}{}", node.name, log(node.run_id, node.last_run_id))
}

fn again(not_before: Option<Time>, now: Time) -> String {
    let later = not_before.filter(|moment| *moment > now);
    later.map(|moment| format!(", again {}", words::moment(moment, now))).unwrap_or_default()
}

/// How to see what a run wrote.
fn log(running: Option<RunId>, last: Option<RunId>) -> String {
    match (running, last) {
        (Some(run), _) => format!("  (tidegate logs {run} --follow)"),
        (None, Some(run)) => format!("  (tidegate logs {run})"),
        (None, None) => String::new(),
    }
}

/// What keeps a build.
fn kept(blockers: &[Blocker], now: Time) {
    for blocker in blockers {
        talk::data(format_args!("    - {}", printable::line(&words::blocker(blocker, now))));
    }
}

/// How far a build is, in one clause.
fn unbuilt(what: &str, build: &Unbuilt) -> String {
    let cause = build.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
    match build.stage {
        UnbuiltStage::Queued => format!("{what} has not begun"),
        UnbuiltStage::Building => format!("{what} is under way"),
        UnbuiltStage::Failed => format!("{what} failed{cause}"),
        UnbuiltStage::Aborted => format!("{what} was ended"),
    }
}

fn newer(newer: &Unbuilt) -> String {
    let short: String = newer.sha.as_str().chars().take(7).collect();
    let name = newer.version.as_ref().map_or(short, ToString::to_string);
    unbuilt(&format!("newer: the build of {name}"), newer)
}

fn standing(one: &WhyTier) -> (String, Tone) {
    words::standing(one.standing.as_ref(), one.blockers.is_empty())
}
