//! The last runs, a line each, for who has no number yet.

use crate::cli::client::{Where, segment};
use crate::cli::talk::{self, Tone, tinted};
use crate::cli::trouble::Trouble;
use crate::domain::{RunId, Time};
use crate::printable;
use crate::server::view::StateView;
use crate::tui::{Run, Runs};
use crate::{wire, words};
use serde::Deserialize;
use serde_json::Value;

/// So many are listed.
const SHOWN: usize = 20;

/// Of so many events, some of which begin what others end.
const LOOKED_AT: usize = 100;

/// What begins and ends runs.
const KINDS: [&str; 7] =
    ["step_start", "step_done", "gate_start", "gate_done", "deploy_start", "deploy_ok", "deploy_failed"];

#[derive(Deserialize)]
struct Page {
    events: Vec<Value>,
}

/// Lists the newest runs of all pipelines, or of one.
pub(super) fn list(place: &Where, pipeline: Option<&str>) -> Result<(), Trouble> {
    let client = place.client()?;
    let state: StateView = client.read("/api/state?limit=0")?;
    if let Some(name) = pipeline
        && !is_known(&state, name)
    {
        return Err(unknown(&state, &format!("`{name}` is neither the number of a run nor a pipeline")));
    }
    let kinds: String = KINDS.iter().map(|kind| format!("&kind={kind}")).collect();
    let of = pipeline.map(|name| format!("&pipeline={}", segment(name))).unwrap_or_default();
    let page: Page = client.read(&format!("/api/history?limit={LOOKED_AT}{kinds}{of}"))?;
    if place.json {
        page.events.iter().for_each(talk::json);
        return Ok(());
    }
    let mut runs = Runs::default();
    // They come newest first.
    let told = page.events.iter().rev().filter_map(|event| wire::decode(&event.to_string()).ok());
    told.for_each(|envelope| runs.happened(&envelope));
    if runs.all.is_empty() {
        talk::say("nothing has run yet that the journal still knows of");
    }
    for (number, run) in runs.all.iter().rev().take(SHOWN) {
        talk::data(line(*number, run, state.at));
    }
    Ok(())
}

pub(super) fn is_known(state: &StateView, pipeline: &str) -> bool {
    state.pipelines.iter().any(|one| one.name == *pipeline)
}

/// What is meant is not known; those that are.
pub(super) fn unknown(state: &StateView, message: &str) -> Trouble {
    let all: Vec<String> = state.pipelines.iter().map(|one| format!("`{}`", one.name)).collect();
    let help = format!("pipelines: {}; `tidegate logs` lists the last runs", all.join(", "));
    Trouble::new("TG-ASK-001", message, help, crate::cli::Exit::Usage)
}

fn line(number: RunId, run: &Run, now: Time) -> String {
    let colour = talk::colours(&std::io::stdout());
    let (word, tone, when) = match (&run.end, run.began) {
        (Some((at, word, tone)), _) => (*word, *tone, format!("{} ago", words::span(now - *at))),
        (None, Some(began)) => ("runs", Tone::Wait, format!("for {}", words::span(now - began))),
        (None, None) => ("runs", Tone::Wait, String::new()),
    };
    let pipeline = run.pipeline.as_ref().map(ToString::to_string).unwrap_or_default();
    let version = run.version.as_ref().map(ToString::to_string).unwrap_or_default();
    let what = format!("{pipeline} {version}  {}", run.what);
    format!(
        "{number:>6}  {}  {}  {when}",
        tinted(&format!("{word:<10}"), tone, colour),
        printable::line(&what)
    )
}
