//! `tidegate why`: what stands between a version and a tier, and what would lift it.

use super::client::{Where, segment};
use super::talk::{self, Tone, tinted};
use super::trouble::Trouble;
use super::{Exit, status, words};
use crate::printable;
use crate::server::view::StandingView;
use crate::server::{Unbuilt, UnbuiltStage, WhyTier, WhyView};

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
    let is_kept = view.standstill.is_some() && !view.newer.is_empty();
    Ok(if view.passed && !is_kept { Exit::Done } else { Exit::Blocked })
}

fn print(view: &WhyView) {
    let colour = talk::colours(&std::io::stdout());
    let title = if view.passed { "has passed" } else { "has not passed" };
    let title = format!("{} {title} `{}`", view.version, view.tier);
    talk::data(printable::line(&title));
    if let Some(build) = &view.build {
        talk::data(format_args!("  {}", printable::line(&unbuilt("its build", build))));
    }
    for one in &view.chain {
        let (word, tone) = standing(one);
        let tier = printable::line(one.tier.as_str());
        talk::data(format_args!("  {tier}: {}", tinted(&printable::line(&word), tone, colour)));
        for blocker in &one.blockers {
            let what = words::blocker(blocker, view.at);
            talk::data(format_args!("    - {}", printable::line(&what)));
            if let Some(way) = words::way_out(blocker, &view.pipeline, &one.tier, &view.version) {
                talk::data(format_args!("      {}", tinted(&printable::line(&way), Tone::Quiet, colour)));
            }
        }
    }
    for one in &view.newer {
        talk::data(format_args!("  {}", printable::line(&newer(one))));
    }
    status::standstill(view.standstill.as_ref());
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
    match &one.standing {
        Some(StandingView::Passed { current: true }) => ("passed, current".into(), Tone::Good),
        Some(StandingView::Passed { current: false }) => ("passed".into(), Tone::Good),
        Some(StandingView::Inside) => ("inside".into(), Tone::Wait),
        Some(StandingView::GoingBack { to, cause }) => (format!("goes back to {to}: {cause}"), Tone::Bad),
        Some(StandingView::Rejected { cause }) => (format!("rejected: {cause}"), Tone::Bad),
        Some(StandingView::Superseded { by_version }) => (format!("superseded by {by_version}"), Tone::Quiet),
        Some(StandingView::Waiting) if one.blockers.is_empty() => ("enters next".into(), Tone::Good),
        Some(StandingView::Waiting) => ("waits".into(), Tone::Wait),
        None => ("has not come here".into(), Tone::Quiet),
    }
}
