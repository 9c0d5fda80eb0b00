//! Everything about one tier, or one pipeline, as lines: what is there, what goes on, what waits and for what.

use super::super::look::Spot;
use super::file;
use super::pen::{Line, Pen, wrapped};
use crate::domain::pipeline::Mode;
use crate::domain::{NodeName, RunId, Time};
use crate::server::view::{
    GateView, HoldView, NodeProgress, NodeTryView, PipelineView, Progress, ProgressView, TierView,
};
use crate::words::{self, Sign, Tone, brief};
use ratatui::style::Style;

/// What a tier is like.
pub(crate) fn tier(pen: &Pen<'_>, p: &PipelineView, tier: &TierView, width: u16) -> Vec<Line> {
    let mut lines = Lines { pen, width: usize::from(width), lines: Vec::new() };
    lines.head(p, tier);
    lines.held(p.hold.as_ref(), "the whole pipeline");
    lines.held(tier.hold.as_ref(), "the tier");
    lines.inside(tier);
    lines.waiting(p, tier);
    lines.rejected(p, tier);
    lines.nodes(tier);
    if let Some(back) = &tier.went_back {
        let text = format!(
            "went back from {} to {}, {} ago: {}",
            back.from,
            back.to,
            pen.clock.age(back.at),
            back.cause
        );
        lines.say(2, &text, pen.tone(Tone::Bad));
    }
    lines.lines
}

/// What a pipeline is like, without its tiers.
pub(crate) fn pipeline(pen: &Pen<'_>, p: &PipelineView, width: u16) -> Vec<Line> {
    let mut lines = Lines { pen, width: usize::from(width), lines: Vec::new() };
    let quiet = pen.tone(Tone::Quiet);
    if let Some(text) = &p.description {
        lines.say(0, text, Style::new());
    }
    match &p.definition {
        Some(definition) => {
            let text = format!(
                "{} of {}, in force since {}",
                definition.file,
                definition.repo,
                pen.clock.age(definition.at)
            );
            lines.say(0, &text, quiet);
        }
        None => lines.say(0, "removed; what is inside finishes", pen.tone(Tone::Wait)),
    }
    for file in &p.rejected {
        let count = words::counted(file.diagnostics.len(), "problem");
        lines.sign(Sign::Failed, &format!("refused, {count}; the last good one stays: {}", file.file));
        let problems = file::problems(pen, file, width.saturating_sub(2));
        lines.lines.extend(problems.into_iter().map(|mut line| {
            line.pieces.insert(0, ("  ".into(), Style::new()));
            line
        }));
    }
    lines.held(p.hold.as_ref(), "the pipeline");
    if let Some(build) = &p.build {
        let text =
            format!("builds {} for {}: {}", build.version, pen.clock.since(build.at), build.request.subject);
        lines.sign(Sign::Runs, &text);
        for blocker in &build.request.blockers {
            lines.say(2, &pen.clock.blocker(blocker), pen.tone(Tone::Wait));
        }
        for step in &build.steps {
            lines.progress(step.name.as_str(), "", &step.progress);
        }
    }
    for request in &p.queue {
        let sha = words::short(&request.sha);
        let kept: Vec<String> = request.blockers.iter().map(|blocker| pen.clock.blocker(blocker)).collect();
        let kept = if kept.is_empty() { "is built next".into() } else { kept.join("; ") };
        lines.sign(Sign::Waits, &format!("{sha} {kept}: {}", request.subject));
    }
    lines.lines
}

struct Lines<'a, 'b> {
    pen: &'a Pen<'b>,
    width: usize,
    lines: Vec<Line>,
}

impl Lines<'_, '_> {
    /// Text, in as many lines as it takes.
    fn say(&mut self, indent: usize, text: &str, style: Style) {
        let gap = " ".repeat(indent);
        for line in wrapped(text, self.width.saturating_sub(indent)) {
            self.lines.push(Line::of(format!("{gap}{line}"), style));
        }
    }

    /// Text behind a sign.
    fn sign(&mut self, sign: Sign, text: &str) {
        let style = self.pen.tone(sign.tone());
        let mut rows = wrapped(text, self.width.saturating_sub(2)).into_iter();
        let first = rows.next().unwrap_or_default();
        self.lines.push(Line::of(format!("{} {first}", self.pen.palette.sign(sign)), style));
        rows.for_each(|row| self.lines.push(Line::of(format!("  {row}"), style)));
    }

    fn head(&mut self, p: &PipelineView, tier: &TierView) {
        let quiet = self.pen.tone(Tone::Quiet);
        let brief = brief::tier(p, tier, self.pen.clock);
        let (sign, tone) = self.pen.sign(brief.sign, brief.word);
        let now = match &tier.current {
            Some(current) => format!("  {} for {}", current.version, self.pen.clock.since(current.since)),
            None => "  nothing is here yet".into(),
        };
        let mut line = Line::of(sign, tone).add(now, self.pen.tone(Tone::Strong));
        if let Some(to) = &tier.rollback_to {
            line = line.add(format!("  (before it: {to})"), quiet);
        }
        self.lines.push(line);
        let mut rules = Vec::new();
        if tier.removed {
            rules.push("no longer in the definition".to_owned());
        }
        if !tier.after.is_empty() {
            let after: Vec<String> = tier.after.iter().map(ToString::to_string).collect();
            rules.push(format!("after {}", after.join(", ")));
        }
        if tier.mode == Some(Mode::Manual) {
            rules.push("promoted by hand".into());
        }
        if let Some(confirm) = &tier.confirm {
            let who = words::who_confirms(confirm).map(|who| format!(", {who}")).unwrap_or_default();
            rules.push(format!("takes {}{who}", words::counted(confirm.count as usize, "confirmation")));
        }
        if tier.deploys {
            let nodes = words::counted(tier.nodes.iter().filter(|node| !node.removed).count(), "node");
            rules.push(match tier.waves.len() {
                0 | 1 => nodes,
                many => format!("{nodes} in {many} waves"),
            });
        } else {
            rules.push("checks only".into());
        }
        self.say(0, &rules.join("; "), quiet);
    }

    fn held(&mut self, hold: Option<&HoldView>, what: &str) {
        let Some(hold) = hold else { return };
        let why = if hold.why.is_empty() { String::new() } else { format!(": {}", hold.why) };
        let age = self.pen.clock.age(hold.at);
        self.sign(Sign::Held, &format!("{what} is held by {} since {age}{why}", hold.by));
    }

    fn inside(&mut self, tier: &TierView) {
        if let Some(inside) = &tier.inside {
            let (word, far) = brief::inside(inside);
            let hand = if inside.by_hand { ", let in by hand" } else { "" };
            let since = self.pen.clock.since(inside.at);
            self.sign(Sign::Runs, &format!("inside: {} {word} {far} for {since}{hand}", inside.version));
            if let Some(cause) = &inside.ending {
                self.say(2, &format!("is ended: {cause}"), self.pen.tone(Tone::Wait));
            }
            for blocker in &inside.blockers {
                let text = self.pen.clock.blocker(blocker);
                self.say(2, &text, self.pen.tone(Tone::Wait));
            }
            self.gates(&inside.gates);
            self.tries(&inside.nodes, &inside.waves);
        }
        if let Some(back) = &tier.going_back {
            let word = if back.failed { "could not go back" } else { "goes back" };
            self.sign(Sign::Failed, &format!("{word} from {} to {}: {}", back.from, back.to, back.cause));
            self.tries(&back.nodes, &[]);
            self.gates(&back.gates);
        }
        if let Some(redeploy) = &tier.redeploy {
            self.sign(Sign::Runs, &format!("redeploys {}", redeploy.version));
            self.tries(&redeploy.nodes, &[]);
        }
        if let Some(version) = &tier.adopting {
            self.sign(Sign::Runs, &format!("adopts {version} once it is built"));
        }
    }

    fn gates(&mut self, gates: &[GateView]) {
        for gate in gates {
            let optional = if gate.required { "" } else { " (may fail)" };
            self.progress(gate.name.as_str(), optional, &gate.progress);
        }
    }

    fn progress(&mut self, name: &str, more: &str, progress: &ProgressView) {
        let (sign, word) = match progress.status {
            Progress::Waiting => (Sign::Nothing, "to come"),
            Progress::Running => (Sign::Runs, "runs"),
            Progress::Pass => (Sign::Fine, "passed"),
            Progress::Fail => (Sign::Failed, "failed"),
            Progress::Blocked => (Sign::Waits, "not judged"),
        };
        let (sign, tone) = self.pen.sign(sign, word);
        let message = progress.outcome.as_ref().and_then(|outcome| outcome.message.clone());
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        let again = self.again(progress.not_before);
        let run = run(progress.run_id.or(progress.last_run_id));
        let mut line = Line::of(format!("  {sign}"), tone)
            .add(format!(" {name}{more}{message}{again}"), Style::new())
            .add(run, self.pen.tone(Tone::Quiet));
        line.spot = progress.run_id.or(progress.last_run_id).map(Spot::Run);
        self.lines.push(line);
    }

    fn again(&self, moment: Option<Time>) -> String {
        let until = moment.and_then(|moment| self.pen.clock.until(moment));
        until.map(|until| format!(", again in {until}")).unwrap_or_default()
    }

    /// Nodes under way: a bar, the wave, and those that are not simply done or to come.
    fn tries(&mut self, nodes: &[NodeTryView], waves: &[usize]) {
        if nodes.is_empty() {
            return;
        }
        let count = |status| nodes.iter().filter(|node| node.status == status).count();
        let done = count(NodeProgress::Ok);
        let wide = 20.min(self.width.saturating_sub(30)).max(5);
        let full = done * wide / nodes.len();
        let bar = format!("{}{}", "█".repeat(full), "░".repeat(wide - full));
        let text = format!("  {bar} {done} of {} done", words::counted(nodes.len(), "node"));
        let mut line = Line::of(text, Style::new());
        if waves.len() > 1 {
            line = line.add(format!(", wave {} of {}", wave(nodes, waves), waves.len()), Style::new());
        }
        let failed = count(NodeProgress::Failed);
        if failed > 0 {
            line = line.add(format!(", {failed} failed"), self.pen.tone(Tone::Bad));
        }
        self.lines.push(line);
        for node in nodes {
            self.node_try(&node.name, node);
        }
    }

    fn node_try(&mut self, name: &NodeName, node: &NodeTryView) {
        let (sign, word) = match node.status {
            NodeProgress::Waiting => (Sign::Nothing, "to come"),
            NodeProgress::Running => (Sign::Runs, "changes"),
            NodeProgress::Ok => (Sign::Fine, "done"),
            NodeProgress::Failed => (Sign::Failed, "failed"),
        };
        let (sign, tone) = self.pen.sign(sign, word);
        let failure = node.failure.map(|failure| format!(": {}", failure.as_str())).unwrap_or_default();
        let blockers: Vec<String> =
            node.blockers.iter().map(|blocker| self.pen.clock.blocker(blocker)).collect();
        let blockers = if blockers.is_empty() { String::new() } else { format!(": {}", blockers.join("; ")) };
        let again = self.again(node.not_before);
        let mut line = Line::of(format!("  {sign}"), tone)
            .add(format!(" {name}{failure}{blockers}{again}"), Style::new())
            .add(run(node.run_id.or(node.last_run_id)), self.pen.tone(Tone::Quiet));
        line.spot = node.run_id.or(node.last_run_id).map(Spot::Run);
        self.lines.push(line);
    }

    fn waiting(&mut self, p: &PipelineView, tier: &TierView) {
        for waiting in tier.waiting.iter().rev() {
            let person = brief::waits_for_a_person(waiting);
            let sign = if person { Sign::Person } else { Sign::Waits };
            if waiting.blockers.is_empty() {
                self.sign(Sign::Runs, &format!("{} enters next", waiting.version));
                continue;
            }
            self.sign(sign, &format!("{} waits:", waiting.version));
            for blocker in &waiting.blockers {
                if let Some(until) = blocker.until() {
                    self.pen.clock.sees(until);
                }
                let text = self.pen.clock.blocker_with(blocker, &waiting.confirmations);
                self.say(4, &text, self.pen.tone(Tone::Wait));
            }
            if person && p.definition.is_some() {
                let hint = match waiting
                    .blockers
                    .iter()
                    .any(|it| matches!(it, crate::domain::Blocker::ConfirmMissing { .. }))
                {
                    true => "c confirms, n denies",
                    false => "p promotes, n denies",
                };
                self.lines.push(Line::of(format!("    {hint}"), self.pen.palette.accent()));
            }
        }
    }

    fn rejected(&mut self, p: &PipelineView, tier: &TierView) {
        if let Some((version, cause)) = brief::rejected(p, tier) {
            self.sign(Sign::Failed, &format!("{version} was rejected: {cause}"));
        }
    }

    /// What is where: those that are as they should be in one line.
    fn nodes(&mut self, tier: &TierView) {
        let mut well = Vec::new();
        for node in &tier.nodes {
            let bad = node.rejected.is_some() || node.behind || node.removed || node.failure.is_some();
            if !bad && node.changing.is_none() {
                well.push(node.name.to_string());
                continue;
            }
            if !bad {
                continue;
            }
            let there = node.version.as_ref().map_or("nothing known".to_owned(), ToString::to_string);
            let failure = node.failure.map(|failure| format!(", {}", failure.as_str())).unwrap_or_default();
            let what = match (&node.rejected, node.removed) {
                (Some(cause), _) => format!("{} still has {there}, which is rejected: {cause}", node.name),
                (None, true) => format!("{} has {there}, and is no longer in the definition", node.name),
                (None, false) if node.behind => format!("{} is behind: {there}{failure}", node.name),
                (None, false) => format!("{}: {there}{failure}", node.name),
            };
            self.sign(if node.removed { Sign::Nothing } else { Sign::Failed }, &what);
        }
        let current = tier.current.as_ref().filter(|_| tier.deploys && !well.is_empty());
        if let Some(current) = current {
            let shown: Vec<&str> = well.iter().take(12).map(String::as_str).collect();
            let more = if well.len() > 12 { format!(" and {} more", well.len() - 12) } else { String::new() };
            let text = format!("{} is on {}{more}", current.version, shown.join(", "));
            self.sign(Sign::Fine, &text);
        }
    }
}

fn run(run: Option<RunId>) -> String {
    run.map(|run| format!("  run {run}")).unwrap_or_default()
}

/// The wave that is under way, counted from one.
fn wave(nodes: &[NodeTryView], waves: &[usize]) -> usize {
    let mut from = 0;
    for (at, size) in waves.iter().enumerate() {
        let of = nodes.iter().skip(from).take(*size);
        let open = |node: &NodeTryView| matches!(node.status, NodeProgress::Waiting | NodeProgress::Running);
        if of.clone().any(open) {
            return at + 1;
        }
        from += size;
    }
    waves.len()
}
