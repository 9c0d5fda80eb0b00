//! What can be done by hand from here: whether it applies, what it will do in words, and the request that asks for it.
//! Whether one may is the controller's to say.

use crate::domain::{Blocker, NodeName, PipelineName, TierName, VersionLabel};
use crate::server::ActionRequest;
use crate::server::view::{DefinitionView, PipelineView, StandingView, TierView, WaitingView};

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
    /// The controller takes it only with a reason.
    pub(crate) why_needed: bool,
}

/// What a verb can do here, the likeliest first; else why it cannot.
pub(crate) fn deeds(
    verb: Verb,
    p: &PipelineView,
    tier: Option<&TierView>,
    version: Option<&VersionLabel>,
) -> Result<Vec<Deed>, String> {
    let Some(definition) = &p.definition else {
        return Err(format!("pipeline {} is removed", p.name));
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
        why_needed: false,
    };
    let name = &p.name;
    Ok(vec![match verb {
        Verb::Hold => match &p.hold {
            Some(hold) => return Err(format!("{name} is held by {} already", hold.by)),
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
            None => return Err(format!("{name} as a whole is not held")),
        },
        Verb::Cancel => match &p.build {
            Some(build) => deed(
                format!("This will end the build of {} of {name}: its steps are ended.", build.version),
                Some(&build.version),
            ),
            None => return Err(format!("no build of {name} is under way")),
        },
        _ => return Err("choose a tier".into()),
    }])
}

struct Place<'a> {
    p: &'a PipelineView,
    tier: &'a TierView,
    definition: &'a DefinitionView,
}

impl Place<'_> {
    fn deeds(&self, verb: Verb) -> Result<Vec<Deed>, String> {
        if self.tier.removed {
            return Err(format!("{} is no longer in the definition", self.tier.name));
        }
        match verb {
            Verb::Confirm => self.confirm(),
            Verb::Deny => self.deny(),
            Verb::Promote => self.promote(),
            Verb::Rollback => self.rollback(),
            Verb::Hold => self.hold(),
            Verb::Resume => self.resume(),
            Verb::Retry => self.retry(),
            Verb::Cancel => self.cancel(),
            Verb::Redeploy => self.redeploy(),
        }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.p.name, self.tier.name)
    }

    fn deed(&self, verb: Verb, version: Option<&VersionLabel>, will: String) -> Deed {
        let fields = ActionRequest { version: version.cloned(), ..ActionRequest::default() };
        let tier = Some(self.tier.name.clone());
        Deed {
            request: Request { verb, pipeline: self.p.name.clone(), tier, fields },
            will,
            by: Some(by_definition(self.definition)),
            why_needed: false,
        }
    }

    /// Newest first.
    fn waiting(&self) -> impl Iterator<Item = &WaitingView> {
        self.tier.waiting.iter().rev()
    }

    /// On which nodes, and how.
    fn nodes(&self) -> String {
        let names: Vec<&NodeName> =
            self.tier.nodes.iter().filter(|node| !node.removed).map(|node| &node.name).collect();
        if !self.tier.deploys || names.is_empty() {
            return "nothing is deployed".into();
        }
        let shown: Vec<String> = names.iter().take(4).map(ToString::to_string).collect();
        let more = if names.len() > 4 { ", …" } else { "" };
        let waves = match self.tier.waves.len() {
            0 | 1 => String::new(),
            many => format!(", in {many} waves"),
        };
        format!("{} ({}{more}){waves}", crate::words::counted(names.len(), "node"), shown.join(", "))
    }

    fn enters(&self, waiting: &WaitingView, lifted: impl Fn(&Blocker) -> bool) -> String {
        let left: Vec<String> = waiting
            .blockers
            .iter()
            .filter(|blocker| !lifted(blocker))
            .map(|blocker| blocker.kind().replace('_', " "))
            .collect();
        let gates = "its gates run first";
        let (version, place) = (&waiting.version, self.name());
        let what = match self.tier.deploys {
            true => format!("{gates}, then it is deployed on {}", self.nodes()),
            false => format!("{gates}; nothing is deployed"),
        };
        match left.is_empty() {
            true => format!("{version} enters {place} at once: {what}."),
            false => {
                format!("{version} enters {place} once this is out of the way: {}. {what}.", left.join(", "))
            }
        }
    }

    fn confirm(&self) -> Result<Vec<Deed>, String> {
        let wants = |blocker: &Blocker| matches!(blocker, Blocker::ConfirmMissing { .. });
        let fits = self.waiting().filter(|one| one.blockers.iter().any(wants));
        let all: Vec<Deed> = fits
            .map(|one| {
                let missing = one.blockers.iter().find_map(|blocker| match blocker {
                    Blocker::ConfirmMissing { have, need } => Some((*have, *need)),
                    _ => None,
                });
                let (have, need) = missing.unwrap_or_default();
                let count = format!("This will give your word for {}, {} of {need}.", one.version, have + 1);
                let then = if have + 1 >= need {
                    format!(" {}", self.enters(one, wants))
                } else {
                    format!(" {} more must follow.", need - have - 1)
                };
                self.deed(Verb::Confirm, Some(&one.version), count + &then)
            })
            .collect();
        match all.is_empty() {
            true if self.tier.confirm.is_none() => Err(format!("{} asks for no confirmation", self.name())),
            true => Err("no version waits for a confirmation".into()),
            false => Ok(all),
        }
    }

    fn deny(&self) -> Result<Vec<Deed>, String> {
        let say = |one: &WaitingView| {
            let will = format!(
                "This will reject {} in {}: it does not enter until retry; newer versions are not touched.",
                one.version,
                self.name()
            );
            self.deed(Verb::Deny, Some(&one.version), will)
        };
        non_empty(self.waiting().map(say).collect(), "no version waits here")
    }

    fn promote(&self) -> Result<Vec<Deed>, String> {
        let say = |one: &WaitingView| {
            let needs_lift =
                |blocker: &Blocker| matches!(blocker, Blocker::Freeze { .. } | Blocker::NotPromoted { .. });
            let lift = one.blockers.iter().any(needs_lift);
            let lifted = |blocker: &Blocker| {
                needs_lift(blocker)
                    || matches!(
                        blocker,
                        Blocker::Manual
                            | Blocker::Soak { .. }
                            | Blocker::Window { .. }
                            | Blocker::Hold { .. }
                    )
            };
            let mut will = format!("This will let it in: {}", self.enters(one, lifted));
            if lift {
                will.push_str(" It lifts a freeze or a tier that was not passed, which takes role admin.");
            }
            let mut deed = self.deed(Verb::Promote, Some(&one.version), will);
            deed.request.fields.lift = lift;
            deed.why_needed = lift;
            deed
        };
        non_empty(self.waiting().map(say).collect(), "no version waits here")
    }

    fn rollback(&self) -> Result<Vec<Deed>, String> {
        let place = self.name();
        if let Some(back) = &self.tier.going_back {
            return Err(format!("{place} goes back to {} already", back.to));
        }
        let current = self.tier.current.as_ref().map(|current| &current.version);
        let held = "is rejected here, and the tier is held until resume";
        let will = match (&self.tier.inside, current, &self.tier.rollback_to) {
            (Some(inside), Some(current), _) => format!(
                "This will end {} inside {place} and send what it changed back to {current}, on {}. {} {held}.",
                inside.version,
                self.nodes(),
                inside.version
            ),
            (Some(inside), None, _) => format!(
                "This will end {} inside {place}; nothing was there before it. {} {held}.",
                inside.version, inside.version
            ),
            (None, Some(current), Some(to)) => format!(
                "This will send {place} back from {current} to {to}, on {}. {current} {held}.",
                self.nodes()
            ),
            (None, Some(current), None) => {
                return Err(format!("nothing is known that {place} could go back to from {current}"));
            }
            (None, None, _) => return Err(format!("nothing is in {place} that could be left")),
        };
        let left = self.tier.inside.as_ref().map(|inside| &inside.version).or(current);
        Ok(vec![self.deed(Verb::Rollback, left, will)])
    }

    fn hold(&self) -> Result<Vec<Deed>, String> {
        match &self.tier.hold {
            Some(hold) if !hold.of_rollback => Err(format!("it is held by {} already", hold.by)),
            _ => {
                let will = format!(
                    "This will hold {}: no version enters by itself until resume; what is inside, and promote, go on.",
                    self.name()
                );
                Ok(vec![self.deed(Verb::Hold, None, will)])
            }
        }
    }

    fn resume(&self) -> Result<Vec<Deed>, String> {
        let Some(hold) = &self.tier.hold else {
            return Err(match &self.p.hold {
                Some(_) => "the whole pipeline is held: choose its name, and resume that".into(),
                None => "it is not held".into(),
            });
        };
        let held = |blocker: &Blocker| matches!(blocker, Blocker::Hold { .. });
        let next = self.waiting().next().map(|one| format!(" {}", self.enters(one, held)));
        let will = format!("This will lift the hold by {}.{}", hold.by, next.unwrap_or_default());
        Ok(vec![self.deed(Verb::Resume, None, will)])
    }

    fn retry(&self) -> Result<Vec<Deed>, String> {
        if let Some(inside) = &self.tier.inside {
            let will = format!("This will try at once what {} waits to try again.", inside.version);
            let waits = inside.gates.iter().any(|gate| gate.progress.not_before.is_some());
            return match waits {
                true => Ok(vec![self.deed(Verb::Retry, Some(&inside.version), will)]),
                false => Err(format!("nothing of {} waits for another try", inside.version)),
            };
        }
        if let Some(back) = &self.tier.going_back {
            let will = format!("This will try at once again to send {} back to {}.", self.name(), back.to);
            return match back.failed {
                true => Ok(vec![self.deed(Verb::Retry, Some(&back.from), will)]),
                false => Err(format!("the way back to {} goes on", back.to)),
            };
        }
        let is_rejected =
            |standing: Option<&StandingView>| matches!(standing, Some(StandingView::Rejected { .. }));
        let rejected = self.p.versions.iter().filter(|one| is_rejected(one.tiers.get(&self.tier.name)));
        let not_judged = self.waiting().filter(|one| {
            one.blockers.iter().any(|blocker| {
                matches!(
                    blocker,
                    Blocker::MissingTool { .. }
                        | Blocker::StepSays { .. }
                        | Blocker::Unreachable { .. }
                        | Blocker::NotVerified { .. }
                        | Blocker::NodeLocked { .. }
                        | Blocker::BackupStale { .. }
                )
            })
        });
        let versions = rejected.map(|one| &one.version).chain(not_judged.map(|one| &one.version));
        let say = |version: &VersionLabel| {
            let will = format!(
                "This will let {version} wait for {} again; gates that passed are not run again.",
                self.name()
            );
            self.deed(Verb::Retry, Some(version), will)
        };
        non_empty(versions.map(say).collect(), "nothing was rejected, and nothing waits for another try")
    }

    fn cancel(&self) -> Result<Vec<Deed>, String> {
        let Some(inside) = &self.tier.inside else {
            return Err("nothing is inside that could be ended".into());
        };
        let will = format!(
            "This will end {} inside {}: its gates and deploys are ended, nodes that were changed go back, and it is rejected here until retry.",
            inside.version,
            self.name()
        );
        Ok(vec![self.deed(Verb::Cancel, Some(&inside.version), will)])
    }

    fn redeploy(&self) -> Result<Vec<Deed>, String> {
        let Some(current) = &self.tier.current else { return Err("nothing is current here".into()) };
        if !self.tier.deploys {
            return Err(format!("nothing is deployed in {}", self.name()));
        }
        if let Some(inside) = &self.tier.inside {
            return Err(format!("{} is inside", inside.version));
        }
        let will =
            format!("This will put {} there again, on {}, without gates.", current.version, self.nodes());
        Ok(vec![self.deed(Verb::Redeploy, Some(&current.version), will)])
    }
}

fn non_empty(deeds: Vec<Deed>, else_why: &str) -> Result<Vec<Deed>, String> {
    if deeds.is_empty() { Err(else_why.into()) } else { Ok(deeds) }
}

fn by_definition(definition: &DefinitionView) -> String {
    let digest = definition.digest.as_str();
    let short: String = digest.strip_prefix("sha256:").unwrap_or(digest).chars().take(7).collect();
    format!("by {} as it is in force ({short})", definition.file)
}
