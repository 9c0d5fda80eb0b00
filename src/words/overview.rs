//! What is where and what goes on, in lines: what `tidegate status` says.

use super::{Tone, blocker, blocker_with, bytes, counted, span, tinted};
use crate::domain::Time;
use crate::domain::pipeline::Schedule;
use crate::notice::NoticeState;
use crate::printable;
use crate::server::OnePipeline;
use crate::server::view::*;
use chrono::TimeDelta;

/// Everything, a line each.
pub fn everything(all: &StateView, colour: bool) -> Vec<String> {
    let look = Look { now: all.at, colour };
    let mut out = Vec::new();
    for one in &all.pipelines {
        if is_history(one) {
            let what = format!("removed; `tidegate status {}` shows what it left", safe(&one.name));
            out.push(format!(
                "{}  {}",
                look.tint(&safe(&one.name), Tone::Strong),
                look.tint(&what, Tone::Quiet)
            ));
        } else {
            pipeline(one, look, &mut out);
        }
    }
    all.rejected.iter().for_each(|file| rejected(file, look, &mut out));
    out.extend(all.notices.iter().filter_map(|notice| in_trouble(notice, look)));
    out.extend(standstill(all.standstill.as_ref(), colour));
    out.extend(troubles(&all.troubles, look));
    out.extend(all.sizes.as_ref().map(|sizes| look.tint(&sizes_line(sizes, all.at), Tone::Quiet)));
    out
}

/// One pipeline, a line each.
pub fn one(one: &OnePipeline, colour: bool) -> Vec<String> {
    let look = Look { now: one.at, colour };
    let mut out = Vec::new();
    pipeline(&one.pipeline, look, &mut out);
    out.extend(standstill(one.standstill.as_ref(), colour));
    out.extend(troubles(&one.troubles, look));
    out
}

/// When it is, and whether colour is wanted.
#[derive(Clone, Copy)]
struct Look {
    now: Time,
    colour: bool,
}

impl Look {
    fn tint(self, text: &str, tone: Tone) -> String {
        tinted(text, tone, self.colour)
    }

    fn ago(self, moment: Time) -> String {
        ago(moment, self.now)
    }
}

/// Whether it is removed and nothing of it goes on any more.
fn is_history(one: &PipelineView) -> bool {
    let goes_on =
        |tier: &TierView| tier.inside.is_some() || tier.going_back.is_some() || tier.redeploy.is_some();
    one.definition.is_none() && one.build.is_none() && !one.tiers.iter().any(goes_on)
}

/// A notice whose receiver does not take it.
fn in_trouble(notice: &NoticeState, look: Look) -> Option<String> {
    let trouble = notice.trouble.as_ref()?;
    let what = format!("notice {} of {} is not taken", notice.number, safe(&notice.pipeline));
    let since = format!("event {}, tried first {}", trouble.event, look.ago(trouble.since));
    Some(format!("{} ({since}): {}", look.tint(&what, Tone::Bad), safe(&trouble.error)))
}

/// What was measured longer ago is said to be, for a build may have changed it since.
const FRESH: TimeDelta = TimeDelta::seconds(5);

/// How much the state folder takes.
fn sizes_line(sizes: &SizesView, now: Time) -> String {
    let in_words = |parts: &[(&str, Option<u64>)]| -> Vec<String> {
        let known = parts.iter().filter_map(|(what, bytes)| Some((what, (*bytes)?)));
        known.map(|(what, size)| format!("{what} {}", bytes(size))).collect()
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
pub(crate) fn standstill(why: Option<&StandstillView>, colour: bool) -> Vec<String> {
    let Some(why) = why else { return Vec::new() };
    let what = format!("nothing new begins: {} [{}]", safe(&why.message), safe(&why.code));
    vec![tinted(&what, Tone::Bad, colour), format!("  help: {}", safe(&why.help))]
}

/// What is not as it should be with the controller itself.
fn troubles(all: &[TroubleView], look: Look) -> Vec<String> {
    let of = |one: &TroubleView| {
        let what = format!("{} [{}]", safe(&one.message), safe(&one.code));
        let help = (!one.help.is_empty()).then(|| format!("  help: {}", safe(&one.help)));
        [look.tint(&what, Tone::Bad)].into_iter().chain(help)
    };
    all.iter().flat_map(of).collect()
}

/// Text from outside, safe for a terminal.
fn safe(text: impl ToString) -> String {
    printable::line(&text.to_string()).into_owned()
}

fn ago(moment: Time, now: Time) -> String {
    format!("{} ago", span((now - moment).max(TimeDelta::zero())))
}

fn pipeline(one: &PipelineView, look: Look, out: &mut Vec<String>) {
    let now = look.now;
    let name = look.tint(&safe(&one.name), Tone::Strong);
    match &one.definition {
        Some(definition) => out.push(format!("{name}  {}", look.tint(&safe(&definition.repo), Tone::Quiet))),
        None => out.push(format!("{name}  {}", look.tint("removed; what is inside finishes", Tone::Wait))),
    }
    for file in &one.rejected {
        rejected(file, look, out);
    }
    if let Some(hold) = &one.hold {
        out.push(format!("  {}", held("the pipeline", hold, look)));
    }
    if let Some(build) = &one.build {
        building(build, look, out);
    }
    if !one.queue.is_empty() {
        let next: Vec<String> = one
            .queue
            .iter()
            .map(|request| safe(&request.sha.as_str()[..7.min(request.sha.as_str().len())]))
            .collect();
        let kept: Vec<String> = one.queue[0].blockers.iter().map(|one| safe(blocker(one, now))).collect();
        let kept = if kept.is_empty() { String::new() } else { format!(" ({})", kept.join("; ")) };
        out.push(format!("  {} to be built: {}{kept}", one.queue.len(), next.join(", ")));
    }
    if let Some(failed) = one.versions.first().filter(|version| version.stage == StageView::Failed) {
        let cause = failed.cause.as_deref().unwrap_or("no reason is known");
        out.push(format!(
            "  {} {}: {}",
            look.tint("build failed", Tone::Bad),
            safe(&failed.version),
            safe(cause)
        ));
    }
    one.schedules.iter().for_each(|schedule| scheduled(schedule, look, out));
    let wide = one.tiers.iter().map(|tier| printable::width(tier.name.as_str())).max().unwrap_or(0);
    for tier in &one.tiers {
        self::tier(tier, wide, look, out);
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
            out.push(format!("  {}  {} {}", " ".repeat(wide), look.tint(&what, Tone::Bad), safe(cause)));
        }
    }
}

/// When the clock asks for a build, and what is not as usual with the last time.
fn scheduled(one: &ScheduleView, look: Look, out: &mut Vec<String>) {
    let now = look.now;
    let ref_name = one.ref_name.clone().unwrap_or_default();
    let schedule = Schedule { cron: one.cron.clone(), zone: one.zone.clone(), ref_name };
    out.push(format!("  {}", look.tint(&safe(super::scheduled(&schedule, one.next, now)), Tone::Quiet)));
    if let Some(due) = one.owed {
        let what = format!("the repository is still to be asked for what was due {}", look.ago(due));
        out.push(format!("    {}", look.tint(&what, Tone::Wait)));
    } else if let Some((due, reason)) =
        one.last.as_ref().and_then(|last| Some((last.due, last.reason.as_ref()?)))
    {
        let what = format!("nothing was built for what was due {}: {}", look.ago(due), safe(reason));
        out.push(format!("    {}", look.tint(&what, Tone::Wait)));
    }
}

fn rejected(file: &RejectedFileView, look: Look, out: &mut Vec<String>) {
    let errors = counted(file.diagnostics.len(), "problem");
    // One that no pipeline comes from stands for itself.
    let (stays, gap) = match file.pipeline {
        Some(_) => ("; the last good definition stays", "  "),
        None => ("", ""),
    };
    let what = format!("{} is refused ({errors}, {}){stays}", safe(&file.file), look.ago(file.at));
    out.push(format!("{gap}{}", look.tint(&what, Tone::Bad)));
    for problem in file.diagnostics.iter().take(3) {
        out.push(format!(
            "{gap}  {}:{}: {} [{}]",
            problem.line,
            problem.column,
            safe(&problem.message),
            problem.code
        ));
    }
}

fn held(what: &str, hold: &HoldView, look: Look) -> String {
    let why = if hold.why.is_empty() { String::new() } else { format!(": {}", safe(&hold.why)) };
    look.tint(&format!("{what} is held by {}{why}", safe(&hold.by)), Tone::Wait)
}

fn building(build: &BuildView, look: Look, out: &mut Vec<String>) {
    let step = build.steps.iter().find(|step| step.progress.status == Progress::Running);
    let at = step.map(|step| {
        let run = step.progress.run_id.map(|run| format!(", run {run}")).unwrap_or_default();
        format!(" at `{}`{run}", safe(&step.name))
    });
    let what = format!("building {}{}, {}", safe(&build.version), at.unwrap_or_default(), look.ago(build.at));
    out.push(format!("  {}  {}", look.tint(&what, Tone::Wait), safe(&build.request.subject)));
}

fn tier(tier: &TierView, wide: usize, look: Look, out: &mut Vec<String>) {
    let now = look.now;
    let gap = " ".repeat(wide - printable::width(tier.name.as_str()).min(wide));
    let current = match &tier.current {
        Some(current) => format!(
            "{} {}",
            look.tint(&safe(&current.version), Tone::Good),
            look.tint(&look.ago(current.since), Tone::Quiet)
        ),
        None => look.tint("nothing yet", Tone::Quiet),
    };
    out.push(format!("  {}{gap}  {current}", safe(&tier.name)));
    let mut say = |line: String| out.push(format!("  {}  {line}", " ".repeat(wide)));
    if let Some(inside) = &tier.inside {
        say(format!(
            "{} {}",
            look.tint(&format!("inside: {}", safe(&inside.version)), Tone::Wait),
            going_on(&inside.gates, &inside.nodes)
        ));
    }
    if let Some(back) = &tier.going_back {
        let what =
            format!("goes back from {} to {}: {}", safe(&back.from), safe(&back.to), safe(&back.cause));
        say(format!("{} {}", look.tint(&what, Tone::Bad), going_on(&back.gates, &back.nodes)));
    }
    if let Some(redeploy) = &tier.redeploy {
        say(format!(
            "{} {}",
            look.tint(&format!("redeploys {}", safe(&redeploy.version)), Tone::Wait),
            going_on(&[], &redeploy.nodes)
        ));
    }
    if let Some(version) = &tier.adopting {
        say(look.tint(&format!("adopts {} once it is built", safe(version)), Tone::Wait));
    }
    if let Some(hold) = &tier.hold {
        say(held("the tier", hold, look));
    }
    for waiting in &tier.waiting {
        let reasons: Vec<String> =
            waiting.blockers.iter().map(|one| safe(blocker_with(one, &waiting.confirmations, now))).collect();
        let reasons = if reasons.is_empty() { "enters next".into() } else { reasons.join("; ") };
        say(format!("{} ({reasons})", look.tint(&format!("waits: {}", safe(&waiting.version)), Tone::Wait)));
    }
    tier.nodes.iter().filter_map(|node| trouble_on(node, look)).for_each(&mut say);
}

/// What is not right on a node: it has a version that is rejected, another one than the tier's current one, or nobody
/// knows what.
fn trouble_on(node: &NodeView, look: Look) -> Option<String> {
    let name = safe(&node.name);
    let there = node.version.as_ref().map_or("nothing known".into(), safe);
    let failure = node.failure.map(|failure| format!(" ({})", failure.as_str())).unwrap_or_default();
    let what = match &node.rejected {
        Some(cause) => format!("node {name} still has {there}, which is rejected: {}", safe(cause)),
        None if node.behind => format!("node {name} is behind: {there}{failure}"),
        None if node.failure.is_some() && node.changing.is_none() => format!("node {name}: {there}{failure}"),
        None => return None,
    };
    Some(look.tint(&what, Tone::Bad))
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
