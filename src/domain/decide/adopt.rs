//! What a tier runs already, put there before there was a controller: it becomes current without a deploy, so that the
//! first rollback has somewhere to go. Where a way back needs what a build makes, its commit is built first, in a place
//! before everything that was asked for: that build enters no tier, is not the newest and supersedes nothing.

use super::Decision;
use super::deeds::Place;
use crate::domain::apply::place_before_all;
use crate::domain::command::About;
use crate::domain::event::{Action, Event};
use crate::domain::id::*;
use crate::domain::promotion::older_that_wait;
use crate::domain::rejection::Rejection;

impl Place<'_> {
    pub(super) fn adopt(
        &self,
        tier: &TierName,
        version: &VersionLabel,
        sha: &Sha,
        about: &About,
    ) -> Result<Decision, Rejection> {
        let definition = self.tier_in_force(tier)?;
        let t = self.tier(tier)?;
        let is_known = self.p.versions.get(version).is_some_and(|known| known.sha == *sha);
        if let Some(current) = &t.current {
            return match is_known && current.version == *version {
                true => Ok(Decision::already()),
                false => Err(Rejection::HasCurrent(tier.clone(), current.version.clone())),
            };
        }
        if t.adopting.as_ref().is_some_and(|adopting| adopting.version == *version && adopting.sha == *sha) {
            return Ok(Decision::already());
        }
        if let Some(busy) = t.busy_with() {
            return Err(Rejection::TierBusy(tier.clone(), busy.clone()));
        }
        if t.is_rejected(version) {
            return Err(Rejection::IsRejected(self.name.clone(), version.clone(), tier.clone()));
        }
        // A way back must find what it puts there; what was never built here is built first.
        let pending = definition.returns_artifacts() && !self.p.is_built(version);
        self.may_be_called(version, sha, pending)?;
        let adopted = Event::ManualAction {
            action: Action::Adopt,
            tier: Some(tier.clone()),
            node: None,
            version: Some(version.clone()),
            lift: false,
            sha: Some(sha.clone()),
            pending,
            emails: about.emails.iter().chain(&self.actor.email).cloned().collect(),
        };
        if pending {
            return self.done([adopted].into_iter().chain(self.build_for_adoption(sha, about)));
        }
        let superseded = older_that_wait(self.p, definition, version).into_iter();
        let superseded = superseded.map(|older| Event::Superseded {
            tier: tier.clone(),
            version: older,
            by_version: version.clone(),
        });
        self.done([adopted].into_iter().chain(superseded))
    }

    /// The request for its build; none: it is being built, to be adopted elsewhere.
    fn build_for_adoption(&self, sha: &Sha, about: &About) -> Option<Event> {
        (!self.p.is_being_built(sha)).then(|| Event::RebuildRequested {
            sha: sha.clone(),
            ref_name: None,
            author: about.author.clone(),
            subject: about.subject.clone(),
            emails: about.emails.clone(),
            by_email: self.actor.email.clone(),
            anew: false,
        })
    }

    /// Ends the build of what is to be adopted, and with it the adoption.
    pub(super) fn cancel_adoption(
        &self,
        adopting: &VersionLabel,
        meant: Option<&VersionLabel>,
    ) -> Result<Decision, Rejection> {
        self.still(meant, Some(adopting))?;
        let sha = self.p.versions.get(adopting).map(|version| &version.sha);
        match self.p.queue.iter().find(|request| Some(&request.sha) == sha && !request.anew) {
            Some(request) => {
                let (sha_aborted, request) = (request.sha.clone(), request.id);
                self.done([Event::BuildAborted { sha_aborted, request, by_sha: None }])
            }
            None if self.p.build.is_some() => self.cancel_build(Some(adopting)),
            None => Err(Rejection::NothingToCancel),
        }
    }

    /// Whether the label is free for that commit, and there is a place for it.
    fn may_be_called(&self, version: &VersionLabel, sha: &Sha, pending: bool) -> Result<(), Rejection> {
        let is_under_way = self.p.build.as_ref().is_some_and(|build| build.version == *version);
        let is_asked_for = is_under_way || self.p.is_being_built(sha);
        match self.p.versions.get(version) {
            Some(known) if known.sha != *sha => {
                return Err(Rejection::LabelTaken(version.clone(), known.sha.clone()));
            }
            Some(known) if known.adopted || self.p.is_built(version) => return Ok(()),
            // One whose build came to nothing is built again for it.
            Some(_) if is_asked_for || !pending => return Err(Rejection::NotBuilt(version.clone())),
            Some(_) => {}
            None => {
                if let Some(owner) = self.p.spent.get(version).filter(|owner| *owner != sha) {
                    return Err(Rejection::LabelTaken(version.clone(), owner.clone()));
                }
                if let Some(label) = self.p.by_sha.get(sha) {
                    return Err(Rejection::OtherLabel(sha.clone(), label.clone()));
                }
                // What it will be called is not known before its build begins.
                if is_asked_for {
                    return Err(Rejection::NotBuilt(version.clone()));
                }
            }
        }
        // Where nothing was pushed yet, everything that comes is newer.
        match place_before_all(self.p, EventId(u64::MAX)) {
            Some(_) => Ok(()),
            None => Err(Rejection::NoPlaceBefore(version.clone())),
        }
    }
}
