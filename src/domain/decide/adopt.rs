//! What a tier runs already, put there before there was a controller: it becomes current without a deploy, so that the
//! first rollback has somewhere to go.

use super::Decision;
use super::deeds::Place;
use crate::domain::apply::place_before_all;
use crate::domain::event::{Action, Event};
use crate::domain::id::*;
use crate::domain::pipeline::Tier;
use crate::domain::promotion::waiting;
use crate::domain::rejection::Rejection;

impl Place<'_> {
    pub(super) fn adopt(
        &self,
        tier: &TierName,
        version: &VersionLabel,
        sha: &Sha,
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
        if let Some(busy) = t.busy_with() {
            return Err(Rejection::TierBusy(tier.clone(), busy.clone()));
        }
        if t.is_rejected(version) {
            return Err(Rejection::IsRejected(version.clone(), tier.clone()));
        }
        self.may_be_called(definition, version, sha)?;
        let adopted = Event::ManualAction {
            action: Action::Adopt,
            tier: Some(tier.clone()),
            node: None,
            version: Some(version.clone()),
            lift: false,
            sha: Some(sha.clone()),
        };
        self.done([adopted].into_iter().chain(self.older_that_wait(definition, version)))
    }

    /// Whether the label is free for that commit, and there is something to go back to.
    fn may_be_called(&self, tier: &Tier, version: &VersionLabel, sha: &Sha) -> Result<(), Rejection> {
        if let Some(known) = self.p.versions.get(version) {
            return match () {
                () if known.sha != *sha => Err(Rejection::LabelTaken(version.clone(), known.sha.clone())),
                () if !self.p.is_built(version) && !known.adopted => Err(Rejection::NotBuilt(version.clone())),
                () => Ok(()),
            };
        }
        if let Some(owner) = self.p.spent.get(version).filter(|owner| *owner != sha) {
            return Err(Rejection::LabelTaken(version.clone(), owner.clone()));
        }
        if let Some(label) = self.p.by_sha.get(sha) {
            return Err(Rejection::OtherLabel(sha.clone(), label.clone()));
        }
        if tier.deploy.as_ref().is_some_and(|deploy| !deploy.upload.is_empty()) {
            return Err(Rejection::NothingKept(tier.name.clone(), version.clone()));
        }
        // Where nothing was pushed yet, everything that comes is newer.
        match place_before_all(self.p, EventId(u64::MAX)) {
            Some(_) => Ok(()),
            None => Err(Rejection::NoPlaceBefore(version.clone())),
        }
    }

    /// The versions whose place it takes, as if it had passed (rule 9).
    fn older_that_wait(&self, tier: &Tier, version: &VersionLabel) -> Vec<Event> {
        let order = self.p.order(version);
        // The moment matters only to blockers, which are not asked here.
        let all = waiting(self.p, tier, chrono::DateTime::UNIX_EPOCH);
        let older = all.into_iter().filter(|one| self.p.order(&one.version) < order);
        older
            .map(|one| Event::Superseded {
                tier: tier.name.clone(),
                version: one.version,
                by_version: version.clone(),
            })
            .collect()
    }
}
