//! `tidegate events`: the stream of events as JSON lines, from the past, live, or both without a seam.

use super::client::{Client, Where, segment};
use super::trouble::Trouble;
use super::{Exit, talk};
use crate::definition::nearest;
use crate::domain::event::KINDS;
use crate::printable;
use crate::server::view::StateView;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::time::Duration;

/// The first and the longest pause before a lost stream is asked for again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// Events after this one; 0 is everything [default: everything, and with --follow only what comes]
    #[arg(long, value_name = "ID")]
    since: Option<u64>,
    /// Go on with what happens from now on; lost connections are taken up again where they broke
    #[arg(long, short)]
    follow: bool,
    /// Only of this pipeline
    #[arg(long)]
    pipeline: Vec<String>,
    /// Only about this tier
    #[arg(long)]
    tier: Vec<String>,
    /// Only of this kind, such as `gate_done` or `gate_*`
    #[arg(long)]
    kind: Vec<String>,
    /// Leave out what steps write
    #[arg(long)]
    no_logs: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let asked = known_kinds(&args.kind).map(|()| say_unknown_pipelines(args));
    let done = asked.and_then(|()| if args.follow { follow(args) } else { past(args) });
    match done {
        Ok(()) => Exit::Done,
        Err(trouble) => trouble.say(),
    }
}

/// Kinds that are said and not journaled.
const LIVE: [&str; 6] = ["build_log_chunk", "gate_log_chunk", "deploy_log_chunk", "lagged", "gap", "error"];

/// A kind that there is not would never come: that is not the same as one that did not happen.
fn known_kinds(asked: &[String]) -> Result<(), Trouble> {
    let known = || KINDS.iter().chain(&LIVE).copied();
    let is_known = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => known().any(|kind| kind.starts_with(start)),
        None => known().any(|kind| kind == pattern),
    };
    let Some(bad) = asked.iter().find(|pattern| !is_known(pattern)) else { return Ok(()) };
    let bare = bad.trim_end_matches('*');
    let all: Vec<&str> = known().collect();
    let near = nearest(bare, &all).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    let help = format!("{near}`tidegate schema event` has them all, and `gate_*` is all of a beginning");
    Err(Trouble::new("TG-CLI-024", format!("there is no kind of event `{bad}`"), help, Exit::Usage))
}

/// A pipeline may have left events and be gone, or be still to come: that is said, and no error.
fn say_unknown_pipelines(args: &Args) {
    if args.pipeline.is_empty() {
        return;
    }
    let state = args.place.client().and_then(|client| client.read::<StateView>("/api/state?limit=0"));
    // Without an answer the stream itself says why.
    let Ok(state) = state else { return };
    for name in &args.pipeline {
        if !state.pipelines.iter().any(|one| one.name == *name.as_str()) {
            talk::say(format_args!("no pipeline is called `{}` now", printable::line(name)));
        }
    }
}

fn query(args: &Args, since: Option<u64>) -> String {
    let mut parts: Vec<String> = since.iter().map(|id| format!("since={id}")).collect();
    for (name, values) in [("pipeline", &args.pipeline), ("tier", &args.tier), ("kind", &args.kind)] {
        parts.extend(values.iter().map(|value| format!("{name}={}", segment(value))));
    }
    if args.no_logs {
        parts.push("logs=false".into());
    }
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// What was: it comes as lines already.
fn past(args: &Args) -> Result<(), Trouble> {
    let client = args.place.client_that_waits()?;
    let body = client
        .stream(&format!("/api/events{}", query(args, args.since.or(Some(0)))), "application/x-ndjson")?;
    for line in BufReader::new(body).lines() {
        match line {
            Ok(line) if line.is_empty() => {}
            Ok(line) => talk::json(line),
            Err(error) => return Err(client.unreachable(&error.to_string())),
        }
    }
    Ok(())
}

/// What is: server-sent events, begun again where they broke.
fn follow(args: &Args) -> Result<(), Trouble> {
    let client = args.place.client_that_waits()?;
    // Without a place to go on from, what is said while the stream is broken would be lost.
    let mut since = match args.since {
        Some(since) => Some(since),
        None => client.get("/api/state?limit=0")?["id"].as_u64(),
    };
    let mut pause = PAUSES.0;
    let mut was_there = false;
    loop {
        match listen(&client, args, &mut since, &mut pause) {
            Ok(()) => talk::say("the controller ended the stream; asking again"),
            Err(trouble) if was_there && trouble.code == "TG-CLI-001" => {
                talk::say(format_args!("{}; asking again", printable::line(&trouble.message)));
            }
            Err(trouble) => return Err(trouble),
        }
        was_there = true;
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn listen(
    client: &Client,
    args: &Args,
    since: &mut Option<u64>,
    pause: &mut Duration,
) -> Result<(), Trouble> {
    let body = client.stream(&format!("/events{}", query(args, *since)), "text/event-stream")?;
    for line in BufReader::new(body).lines() {
        let Ok(line) = line else { return Ok(()) };
        let Some(data) = line.strip_prefix("data:") else { continue };
        let data = data.trim_start();
        talk::json(data);
        *pause = PAUSES.0;
        let event: Value = serde_json::from_str(data).unwrap_or_default();
        if let Some(id) = event["id"].as_u64() {
            *since = Some(id);
        }
        if event["kind"] == "error" {
            let words = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            return Err(Trouble::new(words("code"), words("message"), words("help"), Exit::Usage));
        }
    }
    Ok(())
}
