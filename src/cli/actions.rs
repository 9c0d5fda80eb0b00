//! What people do by hand. Over HTTP a change names its version; here it may be left out where only one fits, and the
//! one that fits is taken from what the controller shows now.

use super::client::{Client, Where, segment, shaped};
use super::trouble::Trouble;
use super::{Exit, talk};
use crate::clock::{Clock, SystemClock};
use crate::domain::{Blocker, Rejection, VersionLabel};
use crate::printable;
use crate::server::view::{PipelineView, StandingView, TierView, VersionView, WaitingView};
use crate::server::{Done, OnePipeline};
use crate::words;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub(super) struct VersionArgs {
    #[command(flatten)]
    place: Where,
    /// The pipeline
    pipeline: String,
    /// The tier
    tier: String,
    /// The version; may be left out where only one fits
    version: Option<String>,
    /// Why; it stands in the journal, with who asked
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct PromoteArgs {
    #[command(flatten)]
    what: VersionArgs,
    /// Lift freezes and missing tiers too (takes role admin and --why)
    #[arg(long)]
    lift: bool,
}

#[derive(clap::Args)]
pub(super) struct RedeployArgs {
    #[command(flatten)]
    what: VersionArgs,
    /// Only this node
    #[arg(long)]
    node: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct AdoptArgs {
    #[command(flatten)]
    place: Where,
    /// The pipeline
    pipeline: String,
    /// The tier
    tier: String,
    /// What the version that runs there is called
    version: String,
    /// Its commit
    sha: String,
    /// Why; it stands in the journal, with who asked
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct TierArgs {
    #[command(flatten)]
    place: Where,
    /// The pipeline
    pipeline: String,
    /// The tier; none: the pipeline
    tier: Option<String>,
    /// Why; it stands in the journal, with who asked
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct BlockArgs {
    #[command(flatten)]
    place: Where,
    /// The pipeline
    pipeline: String,
    /// The version
    version: String,
    /// Why; it stands in the journal, with who asked
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// `confirm` and `deny`.
pub(super) fn on_version(action: &str, args: &VersionArgs) -> Exit {
    tier_action(action, args, |client, body| {
        if args.version.is_none() && action == "confirm" && the_tier(client, args)?.confirm.is_none() {
            let none = Rejection::NoConfirmation(args.tier.as_str().into());
            return Err(Trouble::new(none.code(), none.to_string(), none.help(), Exit::Usage));
        }
        body["version"] = json!(the_version(client, args, |tier| waiting(tier, action))?);
        Ok(())
    })
}

/// `retry`: what is inside or on its way back is tried at once; else the version that was rejected.
pub(super) fn retry(args: &VersionArgs) -> Exit {
    tier_action("retry", args, |client, body| {
        if let Some(version) = &args.version {
            body["version"] = json!(version);
            return Ok(());
        }
        let seen = the_pipeline(client, &args.pipeline)?;
        if let Some(version) = rejected(&seen, &in_pipeline(&seen, &args.tier)?)? {
            body["version"] = json!(version);
        }
        Ok(())
    })
}

/// Whether a gate could not judge a version, which then stepped back and waits.
fn was_not_judged(waiting: &WaitingView) -> bool {
    waiting.blockers.iter().any(words::is_no_judgement)
}

/// The only version that was rejected in a tier, or that waits because it could not be judged, unless something is inside
/// it that is meant instead.
fn rejected(pipeline: &PipelineView, tier: &TierView) -> Result<Option<VersionLabel>, Trouble> {
    if tier.inside.is_some() || tier.going_back.is_some() {
        return Ok(None);
    }
    let is_rejected =
        |version: &&VersionView| matches!(version.tiers.get(&tier.name), Some(StandingView::Rejected { .. }));
    let fits = pipeline.versions.iter().filter(is_rejected).map(|version| version.version.clone());
    let stepped_back = tier.waiting.iter().filter(|waiting| was_not_judged(waiting));
    let fits = fits.chain(stepped_back.map(|waiting| waiting.version.clone()));
    only(fits.collect(), tier.name.as_str()).map(Some)
}

/// `promote`.
pub(super) fn promote(args: &PromoteArgs) -> Exit {
    tier_action("promote", &args.what, |client, body| {
        body["version"] = json!(the_version(client, &args.what, |tier| waiting(tier, "promote"))?);
        body["lift"] = json!(args.lift);
        Ok(())
    })
}

/// `rollback`: the version on the command line is where to go; what is left is what is seen to be there now.
pub(super) fn rollback(args: &VersionArgs) -> Exit {
    tier_action("rollback", args, |client, body| {
        let tier = the_tier(client, args)?;
        let inside = tier.inside.as_ref().map(|inside| &inside.version);
        let left = inside.or(tier.current.as_ref().map(|current| &current.version));
        body["version"] = json!(left.ok_or_else(|| nothing_there(&args.tier))?);
        if let Some(to) = &args.version {
            body["to"] = json!(to);
        }
        Ok(())
    })
}

/// `redeploy`.
pub(super) fn redeploy(args: &RedeployArgs) -> Exit {
    tier_action("redeploy", &args.what, |client, body| {
        let current = |tier: &TierView| tier.current.iter().map(|current| current.version.clone()).collect();
        body["version"] = json!(the_version(client, &args.what, current)?);
        if let Some(node) = &args.node {
            body["node"] = json!(node);
        }
        Ok(())
    })
}

/// `adopt`.
pub(super) fn adopt(args: &AdoptArgs) -> Exit {
    let mut body = with_why(args.why.as_deref());
    body["version"] = json!(args.version);
    body["sha"] = json!(args.sha);
    let path = format!("/api/pipelines/{}/tiers/{}/adopt", segment(&args.pipeline), segment(&args.tier));
    let asked = args.place.client().and_then(|client| client.post(&path, &body));
    finish_with("adopt", asked, args.place.json, |done| {
        if !done.waits_for.is_empty() {
            talk::say(format_args!(
                "{} is built first, and is current in {} then: `tidegate status` shows how far it is",
                printable::line(&args.version),
                printable::line(&args.tier)
            ));
        }
    })
}

/// `hold` and `resume`.
pub(super) fn on_tier(action: &str, args: &TierArgs) -> Exit {
    let asked = args
        .place
        .client()
        .and_then(|client| client.post(&place(args, action), &with_why(args.why.as_deref())));
    finish(action, asked, args.place.json)
}

/// `cancel`: what is inside a tier, or the build under way, as it is seen to be now.
pub(super) fn cancel(args: &TierArgs) -> Exit {
    let asked = args.place.client().and_then(|client| {
        let seen = the_pipeline(&client, &args.pipeline)?;
        let version = match &args.tier {
            Some(tier) => {
                let tier = in_pipeline(&seen, tier)?;
                let inside = tier.inside.as_ref().map(|inside| inside.version.clone());
                inside.or(tier.going_back.as_ref().map(|back| back.from.clone())).or(tier.adopting.clone())
            }
            None => seen.build.as_ref().map(|build| build.version.clone()),
        };
        let mut body = with_why(args.why.as_deref());
        body["version"] = json!(version.ok_or_else(|| {
            let message = "nothing is under way there that could be ended";
            Trouble::new("TG-ASK-015", message, "`tidegate status` shows what is under way", Exit::Usage)
        })?);
        client.post(&place(args, "cancel"), &body)
    });
    finish("cancel", asked, args.place.json)
}

/// `block` and `unblock`.
pub(super) fn block(action: &str, args: &BlockArgs) -> Exit {
    let mut body = with_why(args.why.as_deref());
    body["version"] = json!(args.version);
    let path = format!("/api/pipelines/{}/{action}", segment(&args.pipeline));
    let asked = args.place.client().and_then(|client| client.post(&path, &body));
    finish(action, asked, args.place.json)
}

fn place(args: &TierArgs, action: &str) -> String {
    let pipeline = segment(&args.pipeline);
    match &args.tier {
        Some(tier) => format!("/api/pipelines/{pipeline}/tiers/{}/{action}", segment(tier)),
        None => format!("/api/pipelines/{pipeline}/{action}"),
    }
}

fn tier_action(
    action: &str,
    args: &VersionArgs,
    fill: impl FnOnce(&Client, &mut Value) -> Result<(), Trouble>,
) -> Exit {
    let path = format!("/api/pipelines/{}/tiers/{}/{action}", segment(&args.pipeline), segment(&args.tier));
    let mut body = with_why(args.why.as_deref());
    let asked = args.place.client().and_then(|client| {
        fill(&client, &mut body)?;
        client.post(&path, &body)
    });
    let version = body["version"].as_str().unwrap_or_default();
    let stands = |done: &Done| stands(done, &args.pipeline, &args.tier, version);
    finish_with(action, asked, args.place.json, stands)
}

/// A word that is given and waits for something: for what.
fn stands(done: &Done, pipeline: &str, tier: &str, version: &str) {
    if done.waits_for.is_empty() {
        return;
    }
    let now = SystemClock::new().now();
    talk::say(format_args!(
        "{} enters {} once nothing is in its way any more:",
        printable::line(version),
        printable::line(tier)
    ));
    let (pipeline, tier, version) = (pipeline.into(), tier.into(), version.into());
    for blocker in &done.waits_for {
        talk::say(format_args!("  - {}", printable::line(&words::blocker(blocker, now))));
        if let Some(way) = words::way_out(blocker, &pipeline, &tier, &version) {
            talk::say(format_args!("    {}", printable::line(&way)));
        }
    }
}

fn with_why(why: Option<&str>) -> Value {
    match why {
        Some(why) => json!({"why": why}),
        None => json!({}),
    }
}

fn finish(action: &str, asked: Result<Value, Trouble>, as_json: bool) -> Exit {
    finish_with(action, asked, as_json, |_| {})
}

/// Says that it is done, and what more there is to say of it.
fn finish_with(action: &str, asked: Result<Value, Trouble>, as_json: bool, more: impl FnOnce(&Done)) -> Exit {
    let said = asked.and_then(|answer| Ok((shaped::<Done>(answer.clone())?, answer)));
    match said {
        Ok((done, answer)) => {
            if as_json {
                talk::json(&answer);
                return Exit::Done;
            }
            let how = match (done.already, done.waits_for.is_empty()) {
                (true, _) => "it was so already",
                (false, true) => "done",
                (false, false) => "it stands",
            };
            talk::say(format_args!("{action}: {how}"));
            more(&done);
            Exit::Done
        }
        Err(trouble) => trouble.say(),
    }
}

/// The version that is named, or the only one that fits.
fn the_version(
    client: &Client,
    args: &VersionArgs,
    fitting: impl FnOnce(&TierView) -> Vec<VersionLabel>,
) -> Result<VersionLabel, Trouble> {
    if let Some(version) = &args.version {
        return Ok(version.as_str().into());
    }
    only(fitting(&the_tier(client, args)?), &args.tier)
}

/// The only one of these, else what to do about it.
fn only(mut fits: Vec<VersionLabel>, tier: &str) -> Result<VersionLabel, Trouble> {
    if fits.len() == 1 {
        return Ok(fits.remove(0));
    }
    let message = match fits.len() {
        0 => format!("no version fits in tier `{tier}` now"),
        _ => {
            let all: Vec<String> = fits.iter().map(ToString::to_string).collect();
            format!("several versions fit: {}", all.join(", "))
        }
    };
    Err(Trouble::new("TG-CLI-007", message, "name the version", Exit::Usage))
}

fn nothing_there(tier: &str) -> Trouble {
    let message = format!("nothing is in tier `{tier}` that could be left");
    Trouble::new("TG-CLI-008", message, "`tidegate status` shows what is where", Exit::Usage)
}

fn the_pipeline(client: &Client, name: &str) -> Result<PipelineView, Trouble> {
    let one: OnePipeline = client.read(&format!("/api/pipelines/{}", segment(name)))?;
    Ok(one.pipeline)
}

fn the_tier(client: &Client, args: &VersionArgs) -> Result<TierView, Trouble> {
    let pipeline = the_pipeline(client, &args.pipeline)?;
    if pipeline.definition.is_none() {
        let message =
            format!("pipeline `{}` is removed: no version enters its tiers any more", pipeline.name);
        let help = "put its file back, and it goes on where it was";
        return Err(Trouble::new("TG-ASK-001", message, help, Exit::Usage));
    }
    in_pipeline(&pipeline, &args.tier)
}

/// The tier of that name.
pub(super) fn in_pipeline(pipeline: &PipelineView, name: &str) -> Result<TierView, Trouble> {
    pipeline.tiers.iter().find(|tier| tier.name == *name).cloned().ok_or_else(|| {
        let message = format!("pipeline `{}` has no tier `{name}`", pipeline.name);
        let all: Vec<String> = pipeline.tiers.iter().map(|tier| format!("`{}`", tier.name)).collect();
        Trouble::new("TG-ASK-002", message, format!("its tiers are {}", all.join(", ")), Exit::Usage)
    })
}

/// The versions that wait in front of a tier, and for `confirm` those that such a word would help.
fn waiting(tier: &TierView, action: &str) -> Vec<VersionLabel> {
    let confirms = |blocker: &Blocker| matches!(blocker, Blocker::ConfirmMissing { .. });
    let fits = tier.waiting.iter().filter(|one| action != "confirm" || one.blockers.iter().any(confirms));
    fits.map(|one| one.version.clone()).collect()
}
