//! Waiting for a version to come to an end, by listening: `status --wait` and `rebuild --wait`. The state is asked once,
//! and again whenever the controller says that something happened; nothing is asked in between.

mod judge;

use super::client::{Client, Where, segment};
use super::trouble::Trouble;
use super::{Exit, talk};
use crate::domain::{EventId, Sha, Span, TierName, Time};
use crate::printable;
use crate::server::OnePipeline;
use crate::server::view::PipelineView;
use crate::words;
use judge::{Judgement, Verdict};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

/// How often, and with what pause, a controller that went away is looked for again: as long as a restart takes.
const AGAIN: (u32, Duration) = (60, Duration::from_millis(500));

/// How long to wait.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Patience {
    /// Wait until the version has come to an end: 0 it passed, 1 it failed, 3 it waits for a person, 5 the time of
    /// --timeout is over
    #[arg(long)]
    pub(super) wait: bool,
    /// Give up after so long, such as 10m
    #[arg(long, value_name = "SPAN", requires = "wait", value_parser = Span::parse)]
    timeout: Option<Span>,
}

impl Patience {
    /// When it is over; none: never.
    fn until(&self) -> Option<Instant> {
        self.timeout.map(|span| Instant::now() + span.duration())
    }
}

/// What is waited for.
pub(super) struct Wanted {
    /// The pipeline.
    pub(super) pipeline: String,
    /// The tier; none: all.
    pub(super) tier: Option<String>,
    /// Which version.
    pub(super) which: Which,
}

/// Which version is waited for.
pub(super) enum Which {
    /// The newest that there is, or that is asked for.
    Newest,
    /// The one of this label, or of the commit whose name begins so.
    Named(String),
    /// The one of this request.
    Request(EventId),
}

/// What is waited for, once it is settled which commit that is: what is pushed later is another one.
struct Settled {
    wanted: Wanted,
    sha: Sha,
    tiers: Vec<TierName>,
}

/// Waits for each of these in turn, says how it came out, and how the command ends: the worst counts.
pub(super) fn for_all(place: &Where, patience: &Patience, all: Vec<Wanted>) -> Result<Exit, Trouble> {
    let until = patience.until();
    let settled: Result<Vec<Settled>, Trouble> =
        all.into_iter().map(|wanted| settle(place, until, wanted)).collect();
    in_turn(place, until, &settled?)
}

/// The same for the newest version of each of these pipelines, without those that have none yet.
pub(super) fn for_each(place: &Where, patience: &Patience, names: Vec<String>) -> Result<Exit, Trouble> {
    let until = patience.until();
    let mut all = Vec::new();
    for pipeline in names {
        match settle(place, until, Wanted { pipeline, tier: None, which: Which::Newest }) {
            Ok(settled) => all.push(settled),
            Err(trouble) if trouble.code == judge::NO_VERSION => {}
            Err(trouble) => return Err(trouble),
        }
    }
    if all.is_empty() {
        talk::say("no pipeline has a version that could be waited for");
    }
    in_turn(place, until, &all)
}

fn settle(place: &Where, until: Option<Instant>, wanted: Wanted) -> Result<Settled, Trouble> {
    let pipeline = look(&client(place, until)?, &wanted)?.pipeline;
    let sha = judge::commit(&pipeline, &wanted.which)?;
    let tiers = judge::tiers(&pipeline, wanted.tier.as_deref())?;
    Ok(Settled { wanted, sha, tiers })
}

fn in_turn(place: &Where, until: Option<Instant>, all: &[Settled]) -> Result<Exit, Trouble> {
    let mut worst = Exit::Done;
    for settled in all {
        let exit = for_one(place, until, settled)?;
        worst = match (worst, exit) {
            (Exit::Failed, _) | (_, Exit::Failed) => Exit::Failed,
            (Exit::Blocked, _) | (_, Exit::Blocked) => Exit::Blocked,
            _ => Exit::Done,
        };
    }
    Ok(worst)
}

fn for_one(place: &Where, until: Option<Instant>, settled: &Settled) -> Result<Exit, Trouble> {
    let Settled { wanted, sha, tiers } = settled;
    let mut seen = look(&client(place, until)?, wanted)?;
    let mut tries = AGAIN.0;
    let mut is_said = false;
    loop {
        let judgement = judge::judge(&seen.pipeline, sha, tiers);
        if judgement.verdict() != Verdict::UnderWay {
            return Ok(tell(place, &seen.pipeline, seen.at, sha, &judgement));
        }
        if !std::mem::replace(&mut is_said, true) {
            let how = judgement.in_words().join("; ");
            talk::say(format_args!(
                "waiting for {}: {}",
                printable::line(&wanted.pipeline),
                printable::line(&how)
            ));
        }
        // What happens from here on is heard, so nothing is missed between looking and listening.
        let heard = client(place, until).and_then(|client| something_happens(&client, wanted, seen.id));
        let looked = heard.and_then(|()| client(place, until)).and_then(|client| look(&client, wanted));
        match looked {
            Ok(now) => (seen, tries) = (now, AGAIN.0),
            Err(_) if is_over(until) => return Err(too_long(wanted, &judgement)),
            Err(trouble) if trouble.code == "TG-CLI-001" && tries > 0 => {
                tries -= 1;
                std::thread::sleep(AGAIN.1);
            }
            Err(trouble) => return Err(trouble),
        }
    }
}

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|moment| Instant::now() >= moment)
}

/// A client that gives up when the time is over.
fn client(place: &Where, until: Option<Instant>) -> Result<Client, Trouble> {
    match until {
        // A request that may take no time at all is none.
        Some(moment) => {
            let left = moment.saturating_duration_since(Instant::now());
            place.client_within(left.max(Duration::from_millis(1)))
        }
        None => place.client_that_waits(),
    }
}

fn look(client: &Client, wanted: &Wanted) -> Result<OnePipeline, Trouble> {
    client.read(&format!("/api/pipelines/{}?limit=1000", segment(&wanted.pipeline)))
}

/// Returns when an event after that one is heard, or the stream ends.
fn something_happens(client: &Client, wanted: &Wanted, since: EventId) -> Result<(), Trouble> {
    let path = format!("/events?since={since}&logs=false&pipeline={}", segment(&wanted.pipeline));
    let body = client.stream(&path, "text/event-stream")?;
    for line in BufReader::new(body).lines() {
        let line = line.map_err(|error| client.unreachable(&error.to_string()))?;
        let Some(data) = line.strip_prefix("data:") else { continue };
        let event: Value = serde_json::from_str(data.trim_start()).unwrap_or_default();
        if event["id"].as_u64().is_some_and(|id| id > since.0) {
            return Ok(());
        }
    }
    Err(client.unreachable("it ended the stream"))
}

fn too_long(wanted: &Wanted, judgement: &Judgement) -> Trouble {
    let message = format!("it took too long: {}", judgement.in_words().join("; "));
    let help = format!("`tidegate status {}` shows what goes on", wanted.pipeline);
    Trouble::new("TG-WAIT-001", message, help, Exit::TimeOver)
}

/// Says how it came out.
fn tell(place: &Where, pipeline: &PipelineView, now: Time, sha: &Sha, judgement: &Judgement) -> Exit {
    let version = pipeline.versions.iter().find(|version| version.sha == *sha).map(|it| it.version.clone());
    let (word, exit) = match judgement.verdict() {
        Verdict::Passed => ("passed", Exit::Done),
        Verdict::Failed => ("failed", Exit::Failed),
        Verdict::Blocked | Verdict::UnderWay => ("blocked", Exit::Blocked),
    };
    if place.json {
        talk::json(json!({
            "pipeline": pipeline.name,
            "version": version,
            "sha": sha,
            "end": word,
            "build": judgement.build_json(),
            "tiers": judgement.json(),
        }));
        return exit;
    }
    let safe = |text: &str| printable::line(text).into_owned();
    let name = version.as_ref().map_or(sha.as_str(), |version| version.as_str());
    talk::data(format_args!("{} {}: {word}", safe(pipeline.name.as_str()), safe(name)));
    for line in judgement.in_words() {
        talk::data(format_args!("  {}", safe(&line)));
    }
    for (tier, blocker) in judgement.blockers() {
        // No way out of what keeps a build is a tier's.
        let place = tier.map_or("build", |tier| tier.as_str());
        let way = words::way_out(blocker, &pipeline.name, &place.into(), &name.into());
        let way = way.map(|way| format!("  ({way})")).unwrap_or_default();
        talk::data(format_args!("  {}: {}{}", safe(place), safe(&words::blocker(blocker, now)), safe(&way)));
    }
    exit
}
