//! `tidegate status`: what is where, and what goes on.

mod short;

use super::actions::in_pipeline;
use super::client::{Client, Where, segment, shaped};
use super::talk::{self, tinted};
use super::trouble::Trouble;
use super::{Exit, wait};
use crate::printable;
use crate::server::OnePipeline;
use crate::server::view::StateView;
use crate::words::overview;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// Only this pipeline
    pipeline: Option<String>,
    /// Only this tier; with --wait: and what comes before it
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
        let mut answer = client.get(path.as_deref().unwrap_or("/api/state"))?;
        if let Some(tier) = &args.tier {
            in_pipeline(&shaped::<OnePipeline>(answer.clone())?.pipeline, tier)?;
            if let Some(tiers) = answer["pipeline"]["tiers"].as_array_mut() {
                tiers.retain(|one| one["name"] == tier.as_str());
            }
        }
        talk::json(answer);
        return Ok(());
    }
    if args.short {
        return say_short(&client, path.as_deref(), args.tier.as_deref());
    }
    let colour = talk::colours(&std::io::stdout());
    let lines = match path {
        Some(path) => overview::one(&only(client.read(&path)?, args.tier.as_deref())?, colour),
        None => overview::everything(&client.read("/api/state")?, colour),
    };
    if lines.is_empty() {
        talk::say("no pipeline is loaded yet");
    }
    lines.into_iter().for_each(talk::data);
    Ok(())
}

/// A pipeline with the tier that is named, or all of it.
fn only(mut one: OnePipeline, tier: Option<&str>) -> Result<OnePipeline, Trouble> {
    if let Some(tier) = tier {
        one.pipeline.tiers = vec![in_pipeline(&one.pipeline, tier)?];
    }
    Ok(one)
}

fn say_short(client: &Client, pipeline: Option<&str>, tier: Option<&str>) -> Result<(), Trouble> {
    let (unicode, versions) = (talk::unicode(), short::VERSIONS);
    let line = match pipeline {
        Some(path) => {
            let one = only(client.read(&format!("{path}?limit={versions}"))?, tier)?;
            short::pipeline(&one.pipeline, one.at, unicode)
        }
        None => short::everything(&client.read(&format!("/api/state?limit={versions}"))?, unicode),
    };
    let colour = talk::colours(&std::io::stdout());
    let pieces: Vec<String> = line.iter().map(|(text, tone)| tinted(text, *tone, colour)).collect();
    talk::data(pieces.join("  "));
    Ok(())
}

/// Text from outside, safe for a terminal.
fn safe(text: impl ToString) -> String {
    printable::line(&text.to_string()).into_owned()
}
