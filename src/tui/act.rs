//! What can be done by hand from here: whether it applies, what it will do in words, and the request that asks for it.
//! Whether one may is the controller's to say.

mod differs;
mod place;

use crate::domain::{PipelineName, Role, TierName, VersionLabel};
use crate::server::ActionRequest;
use crate::server::view::{DefinitionView, PipelineView, TierView};
use place::Place;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Give one's word.
    Confirm,
    /// Refuse.
    Deny,
    /// Let in.
    Promote,
    /// Send back.
    Rollback,
    /// Stop automation.
    Hold,
    /// Let automation go on.
    Resume,
    /// Try again.
    Retry,
    /// End what is under way.
    Cancel,
    /// Put the current version there again.
    Redeploy,
}

impl Verb {
    pub(crate) const ALL: [Verb; 9] = [
        Verb::Confirm,
        Verb::Deny,
        Verb::Promote,
        Verb::Rollback,
        Verb::Hold,
        Verb::Resume,
        Verb::Retry,
        Verb::Cancel,
        Verb::Redeploy,
    ];

    /// Its name, as on the command line and in paths.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Confirm => "confirm",
            Verb::Deny => "deny",
            Verb::Promote => "promote",
            Verb::Rollback => "rollback",
            Verb::Hold => "hold",
            Verb::Resume => "resume",
            Verb::Retry => "retry",
            Verb::Cancel => "cancel",
            Verb::Redeploy => "redeploy",
        }
    }
}

/// A request to the controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What.
    pub verb: Verb,
    /// Where.
    pub pipeline: PipelineName,
    /// The tier; none: the pipeline or its build.
    pub tier: Option<TierName>,
    /// Its fields.
    pub fields: ActionRequest,
}

/// Something that can be done now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deed {
    pub(crate) request: Request,
    /// What it will do.
    pub(crate) will: String,
    /// By which definition.
    pub(crate) by: Option<String>,
    /// What comes that is not there yet, in lines.
    pub(crate) brings: Vec<String>,
    /// The controller takes it only with a reason.
    pub(crate) why_needed: bool,
    /// The role that it takes.
    pub(crate) role: Role,
}

impl Deed {
    /// What it will do in the few words of a list whose title names the place.
    pub(crate) fn brief(&self) -> String {
        let Request { pipeline, tier, .. } = &self.request;
        let place = tier.as_ref().map_or_else(|| pipeline.to_string(), |tier| format!("{pipeline}/{tier}"));
        let will = self.will.strip_prefix("This will ").unwrap_or(&self.will);
        will.replace(&format!("all of {place}"), "all of it").replace(&format!(" {place}"), " it")
    }
}

/// Whether a verb does something for what is selected that is not done without it.
pub(crate) fn helps(
    verb: Verb,
    p: &PipelineView,
    tier: Option<&TierView>,
    version: Option<&VersionLabel>,
) -> bool {
    let lifts = |tier: &TierView| tier.waiting.iter().flat_map(|one| &one.blockers).any(place::is_lifted);
    // To let in what only waits for something else changes nothing.
    let is_moot = verb == Verb::Promote && !tier.is_some_and(lifts);
    !is_moot && deeds(verb, p, tier, version).is_ok()
}

/// What a verb can do here, the likeliest first; else why it cannot.
pub(crate) fn deeds(
    verb: Verb,
    p: &PipelineView,
    tier: Option<&TierView>,
    version: Option<&VersionLabel>,
) -> Result<Vec<Deed>, String> {
    let Some(definition) = &p.definition else {
        return Err("the pipeline is removed".into());
    };
    let Some(tier) = tier else { return of_pipeline(verb, p, definition) };
    let place = Place { p, tier, definition };
    let mut found = place.deeds(verb)?;
    // What is looked at comes first.
    found.sort_by_key(|deed| deed.request.fields.version.as_ref() != version);
    Ok(found)
}

fn of_pipeline(verb: Verb, p: &PipelineView, definition: &DefinitionView) -> Result<Vec<Deed>, String> {
    let deed = |will: String, version: Option<&VersionLabel>| Deed {
        request: Request {
            verb,
            pipeline: p.name.clone(),
            tier: None,
            fields: ActionRequest { version: version.cloned(), ..ActionRequest::default() },
        },
        will,
        by: Some(by_definition(definition)),
        brings: Vec::new(),
        why_needed: false,
        role: Role::Operator,
    };
    let name = &p.name;
    Ok(vec![match verb {
        Verb::Hold => match &p.hold {
            Some(hold) => return Err(format!("it is held by {} already", hold.by)),
            None => deed(
                format!(
                    "This will hold all of {name}: no version enters any of its {} by itself; builds, what is inside, and promote go on.",
                    crate::words::counted(p.tiers.len(), "tier")
                ),
                None,
            ),
        },
        Verb::Resume => match &p.hold {
            Some(hold) => deed(
                format!(
                    "This will lift the hold of all of {name} by {}: versions that wait may enter at once.",
                    hold.by
                ),
                None,
            ),
            None => return Err("the pipeline as a whole is not held".into()),
        },
        Verb::Cancel => match (&p.build, p.queue.first()) {
            (Some(build), _) => deed(
                format!("This will end the build of {} of {name}: its steps are ended.", build.version),
                Some(&build.version),
            ),
            // One that has not begun has no label by which it could be named.
            (None, Some(next)) => {
                let sha = crate::words::short(&next.sha);
                deed(format!("This will take {sha} of {name} out of the queue: it is not built."), None)
            }
            (None, None) => return Err("no build is under way or waits".into()),
        },
        _ => return Err("choose a tier".into()),
    }])
}

fn by_definition(definition: &DefinitionView) -> String {
    let digest = definition.digest.as_str();
    let short: String = digest.strip_prefix("sha256:").unwrap_or(digest).chars().take(7).collect();
    format!("by {} as it is in force ({short})", definition.file)
}
