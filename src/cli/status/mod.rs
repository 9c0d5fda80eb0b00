//! `tidegate status`: what is where, and what goes on.

mod short;

use super::client::{Client, Where, segment};
use super::talk::{self, Tone, tinted};
use super::trouble::Trouble;
use super::{Exit, wait};
use crate::domain::Time;
use crate::domain::pipeline::Schedule;
use crate::notice::NoticeState;
use crate::printable;
use crate::server::OnePipeline;
use crate::server::view::*;
use crate::words;
use chrono::TimeDelta;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// Only this pipeline
    pipeline: Option<String>,
    /// With --wait: only this tier, and what comes before it
    #[arg(requires = "wait")]
    tier: Option<String>,
    /// With --wait: the version, or its commit [default: the newest]
    #[arg(requires = "wait")]
    version: Option<String>,
    /// One line, worst first: for a prompt
    #[arg(long, conflicts_with_all = ["json", "wait"])]
    short: bool,
    #[command(flatten)]
    patience: wait::Patience,
}

pub(super) fn run(args: &Args) -> Exit {
    let done = if args.patience.wait { wait_for(args) } else { ask(args).map(|()| Exit::Done) };
    done.unwrap_or_else(|trouble| trouble.say())
}

/// Waits for a version of the pipeline that is named, or of each that is in force.
fn wait_for(args: &Args) -> Result<Exit, Trouble> {
    let Some(name) = &args.pipeline else {
        let all: StateView = args.place.client()?.read("/api/state?limit=0")?;
        let in_force = all.pipelines.iter().filter(|one| one.definition.is_some());
        let names = in_force.map(|one| one.name.to_string());
        return wait::for_each(&args.place, &args.patience, names.collect());
    };
    let wanted = wait::Wanted {
        pipeline: name.clone(),
        tier: args.tier.clone(),
        which: args.version.clone().map_or(wait::Which::Newest, wait::Which::Named),
    };
    wait::for_all(&args.place, &args.patience, vec![wanted])
}

fn ask(args: &Args) -> Result<(), Trouble> {
    let client = args.place.client()?;
    let path = args.pipeline.as_ref().map(|name| format!("/api/pipelines/{}", segment(name)));
    if args.place.json {
        talk::json(client.get(path.as_deref().unwrap_or("/api/state"))?);
        return Ok(());
    }
    if args.short {
        return say_short(&client, path.as_deref());
    }
    match path {
        Some(path) => {
            let one: OnePipeline = client.read(&path)?;
            pipeline(&one.pipeline, one.at);
            standstill(one.standstill.as_ref());
            troubles(&one.troubles);
        }
        None => {
            let all: StateView = client.read("/api/state")?;
            everything(&all);
        }
    }
    Ok(())
}

fn say_short(client: &Client, pipeline: Option<&str>) -> Result<(), Trouble> {
    let (unicode, versions) = (talk::unicode(), short::VERSIONS);
    let line = match pipeline {
        Some(path) => {
            let one: OnePipeline = client.read(&format!("{path}?limit={versions}"))?;
            short::pipeline(&one.pipeline, one.at, unicode)
        }
        None => short::everything(&client.read(&format!("/api/state?limit={versions}"))?, unicode),
    };
    let pieces: Vec<String> = line.iter().map(|(text, tone)| tint(text, *tone)).collect();
    talk::data(pieces.join("  "));
    Ok(())
}

fn everything(all: &StateView) {
    for one in &all.pipelines {
        if is_history(one) {
            let what = format!("removed; `tidegate status {}` shows what it left", safe(&one.name));
            talk::data(format_args!(
                "{}  {}",
                tint(&safe(&one.name), Tone::Strong),
                tint(&what, Tone::Quiet)
            ));
        } else {
            pipeline(one, all.at);
        }
    }
    all.rejected.iter().for_each(|file| rejected(file, all.at));
    all.notices.iter().for_each(|notice| in_trouble(notice, all.at));
    standstill(all.standstill.as_ref());
    troubles(&all.troubles);
    sizes(all.sizes.as_ref(), all.at);
    if all.pipelines.is_empty() && all.rejected.is_empty() {
        talk::say("no pipeline is loaded yet");
    }
}

/// Whether it is removed and nothing of it goes on any more.
fn is_history(one: &PipelineView) -> bool {
    let goes_on =
        |tier: &TierView| tier.inside.is_some() || tier.going_back.is_some() || tier.redeploy.is_some();
    one.definition.is_none() && one.build.is_none() && !one.tiers.iter().any(goes_on)
}

/// A notice whose receiver does not take it.
fn in_trouble(notice: &NoticeState, now: Time) {
    let Some(trouble) = &notice.trouble else { return };
    let what = format!("notice {} of {} is not taken", notice.number, safe(&notice.pipeline));
    let since = format!("event {}, tried first {}", trouble.event, ago(trouble.since, now));
    talk::data(format_args!("{} ({since}): {}", tint(&what, Tone::Bad), safe(&trouble.error)));
}

/// What was measured longer ago is said to be, for a build may have changed it since.
const FRESH: TimeDelta = TimeDelta::seconds(5);

/// How much the state folder takes.
fn sizes(sizes: Option<&SizesView>, now: Time) {
    if let Some(sizes) = sizes {
        talk::data(tint(&sizes_line(sizes, now), Tone::Quiet));
    }
}

fn sizes_line(sizes: &SizesView, now: Time) -> String {
    let in_words = |parts: &[(&str, Option<u64>)]| -> Vec<String> {
        let known = parts.iter().filter_map(|(what, bytes)| Some((what, (*bytes)?)));
        known.map(|(what, bytes)| format!("{what} {}", words::bytes(bytes))).collect()
    };
    let mut parts = in_words(&[("journal", Some(sizes.journal_bytes)), ("free", Some(sizes.free_bytes))]);
    let measured = in_words(&[
        ("logs", sizes.logs_bytes),
        ("artifacts", sizes.artifacts_bytes),
        ("work", sizes.work_bytes),
    ]);
    let old = sizes.measured_at.filter(|at| now - *at > FRESH);
    let age = old.map(|at| format!(" (measured {})", ago(at, now))).unwrap_or_default();
    if !measured.is_empty() {
        parts.push(format!("{}{age}", measured.join(", ")));
    }
    format!("state folder: {}", parts.join(", "))
}

/// Why nothing new begins.
pub(super) fn standstill(why: Option<&StandstillView>) {
    let Some(why) = why else { return };
    let what = format!("nothing new begins: {} [{}]", safe(&why.message), safe(&why.code));
    talk::data(format_args!("{}", tint(&what, Tone::Bad)));
    talk::data(format_args!("  help: {}", safe(&why.help)));
}

/// What is not as it should be with the controller itself.
fn troubles(all: &[TroubleView]) {
    for one in all {
        let what = format!("{} [{}]", safe(&one.message), safe(&one.code));
        talk::data(format_args!("{}", tint(&what, Tone::Bad)));
        if !one.help.is_empty() {
            talk::data(format_args!("  help: {}", safe(&one.help)));
        }
    }
}

/// Text from outside, safe for a terminal.
fn safe(text: impl ToString) -> String {
    printable::line(&text.to_string()).into_owned()
}

fn tint(text: &str, tone: Tone) -> String {
    tinted(text, tone, talk::colours(&std::io::stdout()))
}

fn ago(moment: Time, now: Time) -> String {
    format!("{} ago", words::span((now - moment).max(TimeDelta::zero())))
}

fn pipeline(one: &PipelineView, now: Time) {
    let name = tint(&safe(&one.name), Tone::Strong);
    match &one.definition {
        Some(definition) => {
            talk::data(format_args!("{name}  {}", tint(&safe(&definition.repo), Tone::Quiet)))
        }
        None => talk::data(format_args!("{name}  {}", tint("removed; what is inside finishes", Tone::Wait))),
    }
    for file in &one.rejected {
        rejected(file, now);
    }
    if let Some(hold) = &one.hold {
        talk::data(format_args!("  {}", held("the pipeline", hold)));
    }
    if let Some(build) = &one.build {
        building(build, now);
    }
    if !one.queue.is_empty() {
        let next: Vec<String> = one
            .queue
            .iter()
            .map(|request| safe(&request.sha.as_str()[..7.min(request.sha.as_str().len())]))
            .collect();
        let kept: Vec<String> =
            one.queue[0].blockers.iter().map(|blocker| safe(words::blocker(blocker, now))).collect();
        let kept = if kept.is_empty() { String::new() } else { format!(" ({})", kept.join("; ")) };
        talk::data(format_args!("  {} to be built: {}{kept}", one.queue.len(), next.join(", ")));
    }
    if let Some(failed) = one.versions.first().filter(|version| version.stage == StageView::Failed) {
        let cause = failed.cause.as_deref().unwrap_or("no reason is known");
        talk::data(format_args!(
            "  {} {}: {}",
            tint("build failed", Tone::Bad),
            safe(&failed.version),
            safe(cause)
        ));
    }
    one.schedules.iter().for_each(|schedule| scheduled(schedule, now));
    let wide = one.tiers.iter().map(|tier| printable::width(tier.name.as_str())).max().unwrap_or(0);
    for tier in &one.tiers {
        self::tier(tier, wide, now);
        // What came after the current version and was turned away.
        let newer = one.versions.iter().take_while(|version| {
            tier.current.as_ref().is_none_or(|current| current.version != version.version)
        });
        let rejected = newer.filter_map(|version| match version.tiers.get(&tier.name)? {
            StandingView::Rejected { cause } => Some((version, cause)),
            _ => None,
        });
        for (version, cause) in rejected.take(3) {
            let what = format!("rejected: {}", safe(&version.version));
            talk::data(format_args!("  {}  {} {}", " ".repeat(wide), tint(&what, Tone::Bad), safe(cause)));
        }
    }
}

/// When the clock asks for a build, and what is not as usual with the last time.
fn scheduled(one: &ScheduleView, now: Time) {
    let ref_name = one.ref_name.clone().unwrap_or_default();
    let schedule = Schedule { cron: one.cron.clone(), zone: one.zone.clone(), ref_name };
    talk::data(format_args!("  {}", tint(&safe(words::scheduled(&schedule, one.next, now)), Tone::Quiet)));
    if let Some(due) = one.owed {
        let what = format!("the repository is still to be asked for what was due {}", ago(due, now));
        talk::data(format_args!("    {}", tint(&what, Tone::Wait)));
    } else if let Some((due, reason)) =
        one.last.as_ref().and_then(|last| Some((last.due, last.reason.as_ref()?)))
    {
        let what = format!("nothing was built for what was due {}: {}", ago(due, now), safe(reason));
        talk::data(format_args!("    {}", tint(&what, Tone::Wait)));
    }
}

fn rejected(file: &RejectedFileView, now: Time) {
    let errors = words::counted(file.diagnostics.len(), "problem");
    let stays = if file.pipeline.is_some() { "; the last good definition stays" } else { "" };
    let what = format!("{} is refused ({errors}, {}){stays}", safe(&file.file), ago(file.at, now));
    talk::data(format_args!("  {}", tint(&what, Tone::Bad)));
    for problem in file.diagnostics.iter().take(3) {
        talk::data(format_args!(
            "    {}:{}: {} [{}]",
            problem.line,
            problem.column,
            safe(&problem.message),
            problem.code
        ));
    }
}

fn held(what: &str, hold: &HoldView) -> String {
    let why = if hold.why.is_empty() { String::new() } else { format!(": {}", safe(&hold.why)) };
    tint(&format!("{what} is held by {}{why}", safe(&hold.by)), Tone::Wait)
}

fn building(build: &BuildView, now: Time) {
    let step = build.steps.iter().find(|step| step.progress.status == Progress::Running);
    let at = step.map(|step| {
        let run = step.progress.run_id.map(|run| format!(", run {run}")).unwrap_or_default();
        format!(" at `{}`{run}", safe(&step.name))
    });
    let what = format!("building {}{}, {}", safe(&build.version), at.unwrap_or_default(), ago(build.at, now));
    talk::data(format_args!("  {}  {}", tint(&what, Tone::Wait), safe(&build.request.subject)));
}

fn tier(tier: &TierView, wide: usize, now: Time) {
    let gap = " ".repeat(wide - printable::width(tier.name.as_str()).min(wide));
    let current = match &tier.current {
        Some(current) => format!(
            "{} {}",
            tint(&safe(&current.version), Tone::Good),
            tint(&ago(current.since, now), Tone::Quiet)
        ),
        None => tint("nothing yet", Tone::Quiet),
    };
    talk::data(format_args!("  {}{gap}  {current}", safe(&tier.name)));
    let say = |line: String| talk::data(format_args!("  {}  {line}", " ".repeat(wide)));
    if let Some(inside) = &tier.inside {
        say(format!(
            "{} {}",
            tint(&format!("inside: {}", safe(&inside.version)), Tone::Wait),
            going_on(&inside.gates, &inside.nodes)
        ));
    }
    if let Some(back) = &tier.going_back {
        let what =
            format!("goes back from {} to {}: {}", safe(&back.from), safe(&back.to), safe(&back.cause));
        say(format!("{} {}", tint(&what, Tone::Bad), going_on(&back.gates, &back.nodes)));
    }
    if let Some(redeploy) = &tier.redeploy {
        say(format!(
            "{} {}",
            tint(&format!("redeploys {}", safe(&redeploy.version)), Tone::Wait),
            going_on(&[], &redeploy.nodes)
        ));
    }
    if let Some(version) = &tier.adopting {
        say(tint(&format!("adopts {} once it is built", safe(version)), Tone::Wait));
    }
    if let Some(hold) = &tier.hold {
        say(held("the tier", hold));
    }
    for waiting in &tier.waiting {
        let reasons: Vec<String> = waiting
            .blockers
            .iter()
            .map(|one| safe(words::blocker_with(one, &waiting.confirmations, now)))
            .collect();
        let reasons = if reasons.is_empty() { "enters next".into() } else { reasons.join("; ") };
        say(format!("{} ({reasons})", tint(&format!("waits: {}", safe(&waiting.version)), Tone::Wait)));
    }
    tier.nodes.iter().filter_map(trouble_on).for_each(say);
}

/// What is not right on a node: it has a version that is rejected, another one than the tier's current one, or nobody
/// knows what.
fn trouble_on(node: &NodeView) -> Option<String> {
    let name = safe(&node.name);
    let there = node.version.as_ref().map_or("nothing known".into(), safe);
    let failure = node.failure.map(|failure| format!(" ({})", failure.as_str())).unwrap_or_default();
    let what = match &node.rejected {
        Some(cause) => format!("node {name} still has {there}, which is rejected: {}", safe(cause)),
        None if node.behind => format!("node {name} is behind: {there}{failure}"),
        None if node.failure.is_some() && node.changing.is_none() => format!("node {name}: {there}{failure}"),
        None => return None,
    };
    Some(tint(&what, Tone::Bad))
}

/// Gates and nodes that are under way or went wrong.
fn going_on(gates: &[GateView], nodes: &[NodeTryView]) -> String {
    let run = |run: Option<crate::domain::RunId>| run.map(|run| format!(" (run {run})")).unwrap_or_default();
    let gates = gates.iter().filter_map(|gate| {
        let word = match gate.progress.status {
            Progress::Running => "runs",
            Progress::Fail => "failed",
            Progress::Blocked => "is blocked",
            Progress::Waiting | Progress::Pass => return None,
        };
        Some(format!("{} {word}{}", safe(&gate.name), run(gate.progress.run_id)))
    });
    let nodes = nodes.iter().filter_map(|node| {
        let word = match node.status {
            NodeProgress::Running => "changes",
            NodeProgress::Failed => "failed",
            NodeProgress::Ok => "is done",
            NodeProgress::Waiting => return None,
        };
        Some(format!("{} {word}{}", safe(&node.name), run(node.run_id)))
    });
    gates.chain(nodes).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_were_measured_a_while_ago_say_so() {
        let now = Time::from_timestamp_micros(100_000_000).expect("a time");
        let of = |measured_at| SizesView {
            journal_bytes: 1 << 20,
            free_bytes: 1 << 30,
            measured_at,
            logs_bytes: Some(5),
            artifacts_bytes: Some(6),
            work_bytes: None,
        };
        let ago = |seconds| now - TimeDelta::seconds(seconds);
        let known = "state folder: journal 1.0 MiB, free 1.0 GiB, logs 5 B, artifacts 6 B";
        assert_eq!(sizes_line(&of(Some(ago(4))), now), known);
        assert_eq!(sizes_line(&of(Some(ago(40))), now), format!("{known} (measured 40s ago)"));
    }
}
