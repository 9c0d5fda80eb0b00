//! `tidegate rebuild`: a person asks for a build.

use super::client::Where;
use super::{Exit, talk};
use crate::printable;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// The pipeline
    pipeline: String,
    /// The commit; default: the head of the branch that the pipeline takes
    sha: Option<String>,
    /// Why
    #[arg(long)]
    why: Option<String>,
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
            }
            if has_accepted(&answer) { Exit::Done } else { Exit::Blocked }
        }
        Err(trouble) => trouble.say(),
    }
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
