//! `tidegate rebuild`: a person asks for a build.

use super::client::{Where, segment};
use super::trouble::Trouble;
use super::{Exit, talk, wait};
use crate::domain::EventId;
use crate::printable;
use crate::server::OnePipeline;
use crate::server::view::StandingView;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// The pipeline
    pipeline: String,
    /// The commit [default: the head of the branch that the pipeline takes]
    sha: Option<String>,
    /// Why; it stands in the journal, with who asked
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    patience: wait::Patience,
}

pub(super) fn run(args: &Args) -> Exit {
    let mut body = json!({"pipeline": args.pipeline, "again": true});
    if let Some(sha) = &args.sha {
        body["sha"] = json!(sha);
    }
    if let Some(why) = &args.why {
        body["why"] = json!(why);
    }
    let asked = args.place.client().and_then(|client| client.post("/rebuild", &body));
    match asked {
        Ok(answer) => {
            if args.place.json {
                talk::json(&answer);
            } else {
                print(&answer);
                say_rejected(args, &answer);
            }
            match (has_accepted(&answer), args.patience.wait) {
                (true, true) => wait_for(args, &answer).unwrap_or_else(|trouble| trouble.say()),
                (true, false) => Exit::Done,
                (false, _) => Exit::Blocked,
            }
        }
        Err(trouble) => trouble.say(),
    }
}

/// What is built already is not built again: where a tier has rejected it, that stands.
fn say_rejected(args: &Args, answer: &Value) {
    for one in answer["accepted"].as_array().into_iter().flatten() {
        let (Some(pipeline), Some(version)) = (one["pipeline"].as_str(), one["version"].as_str()) else {
            continue;
        };
        let path = format!("/api/pipelines/{}?limit=1000", segment(pipeline));
        // It was asked for all the same: whoever looks finds it out by `why`.
        let Ok(seen) = args.place.client().and_then(|client| client.read::<OnePipeline>(&path)) else {
            continue;
        };
        let known = seen.pipeline.versions.iter().find(|known| known.version == *version);
        for (tier, standing) in known.iter().flat_map(|known| &known.tiers) {
            if let StandingView::Rejected { cause } = standing {
                let what =
                    format!("{pipeline}: {version} is built already, and was rejected in `{tier}`: {cause}");
                talk::say(printable::line(&what));
                let way = format!("  help: tidegate retry {pipeline} {tier} {version}");
                talk::say(printable::line(&way));
            }
        }
    }
}

/// Waits for everything that was accepted.
fn wait_for(args: &Args, answer: &Value) -> Result<Exit, Trouble> {
    let accepted = answer["accepted"].as_array().into_iter().flatten();
    let wanted = accepted.filter_map(|one| {
        let which = wait::Which::Request(EventId(one["id"].as_u64()?));
        Some(wait::Wanted { pipeline: one["pipeline"].as_str()?.to_owned(), tier: None, which })
    });
    wait::for_all(&args.place, &args.patience, wanted.collect())
}

fn has_accepted(answer: &Value) -> bool {
    answer["accepted"].as_array().is_some_and(|all| !all.is_empty())
}

/// What each pipeline made of it, a line each.
pub(super) fn lines(answer: &Value) -> Vec<String> {
    let text = |value: &Value| printable::line(value.as_str().unwrap_or("?")).into_owned();
    let accepted =
        answer["accepted"].as_array().into_iter().flatten().map(|one| match one["version"].as_str() {
            Some(version) => {
                format!("{}: {} goes to the front", text(&one["pipeline"]), printable::line(version))
            }
            None => format!("{}: queued as request {}", text(&one["pipeline"]), one["id"]),
        });
    let ignored = answer["ignored"].as_array().into_iter().flatten();
    let ignored =
        ignored.map(|one| format!("{}: not built: {}", text(&one["pipeline"]), text(&one["reason"])));
    accepted.chain(ignored).collect()
}

fn print(answer: &Value) {
    lines(answer).into_iter().for_each(talk::data);
}
