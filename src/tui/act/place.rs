//! What can be done by hand to one tier, and what that will do. What is offered is what `domain::decide` takes; a test
//! holds the two together.

use super::differs::differs;
use super::{Deed, Request, Verb, by_definition};
use crate::domain::{Blocker, NodeName, Role, VersionLabel};
use crate::server::ActionRequest;
use crate::server::view::{DefinitionView, PipelineView, Progress, StandingView, TierView, WaitingView};
use crate::words;

pub(super) struct Place<'a> {
    pub(super) p: &'a PipelineView,
    pub(super) tier: &'a TierView,
    pub(super) definition: &'a DefinitionView,
}

impl Place<'_> {
    pub(super) fn deeds(&self, verb: Verb) -> Result<Vec<Deed>, String> {
        if self.tier.removed {
            return Err("it is no longer in the definition".into());
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
            brings: match (verb, version) {
                (Verb::Confirm | Verb::Promote, Some(version)) => differs(self.p, self.tier, version),
                _ => Vec::new(),
            },
            why_needed: false,
            role: Role::Operator,
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
                let what = what.replacen("its", "Its", 1);
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
                let mut deed = self.deed(Verb::Confirm, Some(&one.version), count + &then);
                let role = self.tier.confirm.as_ref().and_then(|rule| rule.roles.iter().min().copied());
                deed.role = deed.role.max(role.unwrap_or(deed.role));
                deed
            })
            .collect();
        match all.is_empty() {
            true if self.tier.confirm.is_none() => Err("no confirmation is asked for here".into()),
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
        let is_missing = |blocker: &Blocker| matches!(blocker, Blocker::NotPromoted { .. });
        let say = |one: &WaitingView| {
            let any = |what: fn(&Blocker) -> bool| one.blockers.iter().any(what);
            // A freeze ends by itself, and a word that was given stands until then.
            let waits = (!any(is_missing)).then(|| {
                let will = format!("This will let it in: {}", self.enters(one, of_time));
                self.deed(Verb::Promote, Some(&one.version), will)
            });
            let lifts = any(of_admin).then(|| {
                let will = self.enters(one, |blocker| of_time(blocker) || of_admin(blocker));
                let will = format!(
                    "This will let it in: {will} It lifts a freeze or a tier that was not passed, which takes role admin."
                );
                let mut deed = self.deed(Verb::Promote, Some(&one.version), will);
                (deed.request.fields.lift, deed.why_needed, deed.role) = (true, true, Role::Admin);
                deed
            });
            waits.into_iter().chain(lifts)
        };
        non_empty(self.waiting().flat_map(say).collect(), "no version waits here")
    }

    fn rollback(&self) -> Result<Vec<Deed>, String> {
        let place = self.name();
        let back = self.tier.going_back.as_ref().filter(|back| !back.failed);
        if let (None, Some(back)) = (&self.tier.inside, back) {
            return Err(format!("it goes back to {} already", back.to));
        }
        if let (None, Some(redeploy)) = (&self.tier.inside, &self.tier.redeploy) {
            return Err(format!("{} is being deployed again", redeploy.version));
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
            (Some(inside), None, _) => {
                return Err(format!("nothing was here before {}; cancel ends it", inside.version));
            }
            (None, Some(current), Some(to)) => format!(
                "This will send {place} back from {current} to {to}, on {}. {current} {held}.",
                self.nodes()
            ),
            (None, Some(current), None) => {
                return Err(format!("nothing is known that it could go back to from {current}"));
            }
            (None, None, _) => return Err("nothing is here that could be left".into()),
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
        // A hold of the whole pipeline stays.
        let stays = |by: &str, why: &str| self.p.hold.as_ref().is_some_and(|it| it.by == by && it.why == why);
        let held = |blocker: &Blocker| matches!(blocker, Blocker::Hold { by, why } if !stays(by, why));
        let next = self.waiting().next().map(|one| format!(" {}", self.enters(one, held)));
        let will = format!("This will lift the hold by {}.{}", hold.by, next.unwrap_or_default());
        Ok(vec![self.deed(Verb::Resume, None, will)])
    }

    fn retry(&self) -> Result<Vec<Deed>, String> {
        let place = self.name();
        let inside = self.tier.inside.as_ref().filter(|inside| {
            let waits = |gate: &crate::server::view::GateView| {
                gate.progress.not_before.is_some() && gate.progress.status != Progress::Running
            };
            inside.gates.iter().any(waits)
        });
        let inside = inside.map(|inside| {
            let will = format!("This will try at once what {} waits to try again.", inside.version);
            self.deed(Verb::Retry, Some(&inside.version), will)
        });
        let back = self.tier.going_back.as_ref().filter(|back| back.failed).map(|back| {
            let will = format!("This will try at once again to send {place} back to {}.", back.to);
            // By the version that it goes to: the one that is left may be rejected, and stays so.
            self.deed(Verb::Retry, Some(&back.to), will)
        });
        let current = self.tier.current.as_ref().map(|current| &current.version);
        // Newest first: what is older than the current one comes no more.
        let newer = self.p.versions.iter().take_while(|one| Some(&one.version) != current);
        let is_rejected =
            |standing: Option<&StandingView>| matches!(standing, Some(StandingView::Rejected { .. }));
        let rejected = newer.filter(|one| is_rejected(one.tiers.get(&self.tier.name)));
        let not_judged = self.waiting().filter(|one| {
            // That the disk is full keeps everything out, also what no gate has looked at.
            let says_so = |blocker: &&Blocker| **blocker != Blocker::DiskFull;
            one.blockers.iter().filter(says_so).any(words::is_no_judgement)
        });
        let again = |version: &VersionLabel| {
            let will = format!(
                "This will let {version} wait for {place} again; gates that passed are not run again."
            );
            self.deed(Verb::Retry, Some(version), will)
        };
        let versions = rejected.map(|one| &one.version).chain(not_judged.map(|one| &one.version));
        let found = inside.into_iter().chain(back).chain(versions.map(again)).collect();
        let why = match (&self.tier.inside, &self.tier.going_back) {
            (Some(inside), _) => format!("nothing of {} waits for another try", inside.version),
            (None, Some(back)) => format!("the way back to {} goes on", back.to),
            (None, None) => "nothing was rejected, and nothing waits for another try".into(),
        };
        non_empty(found, &why)
    }

    fn cancel(&self) -> Result<Vec<Deed>, String> {
        if let Some(adopting) = &self.tier.adopting {
            let will =
                format!("This will end the build of {adopting}, which {} then does not adopt.", self.name());
            return Ok(vec![self.deed(Verb::Cancel, Some(adopting), will)]);
        }
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
            return Err("nothing is deployed here".into());
        }
        if let Some(inside) = &self.tier.inside {
            return Err(format!("{} is inside", inside.version));
        }
        if let Some(back) = &self.tier.going_back {
            return Err(format!("it goes back to {}", back.to));
        }
        if let Some(redeploy) = &self.tier.redeploy {
            return Err(format!("{} is being deployed again", redeploy.version));
        }
        let will =
            format!("This will put {} there again, on {}, without gates.", current.version, self.nodes());
        Ok(vec![self.deed(Verb::Redeploy, Some(&current.version), will)])
    }
}

/// What an operator's promote lifts.
fn of_time(blocker: &Blocker) -> bool {
    matches!(blocker, Blocker::Manual | Blocker::Soak { .. } | Blocker::Window { .. } | Blocker::Hold { .. })
}

/// What an admin's lifts, too.
fn of_admin(blocker: &Blocker) -> bool {
    matches!(blocker, Blocker::Freeze { .. } | Blocker::NotPromoted { .. })
}

/// What promote lifts.
pub(super) fn is_lifted(blocker: &Blocker) -> bool {
    of_time(blocker) || of_admin(blocker)
}

fn non_empty(deeds: Vec<Deed>, else_why: &str) -> Result<Vec<Deed>, String> {
    if deeds.is_empty() { Err(else_why.into()) } else { Ok(deeds) }
}
