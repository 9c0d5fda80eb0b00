//! A tier is sent back by a person (rule 21).

use super::Decision;
use super::deeds::Place;
use crate::domain::event::{Action, Event};
use crate::domain::id::*;
use crate::domain::rejection::Rejection;
use crate::domain::state::TierState;

impl Place<'_> {
    pub(super) fn rollback(
        &self,
        tier: &TierName,
        to: Option<&VersionLabel>,
        from: Option<&VersionLabel>,
    ) -> Result<Decision, Rejection> {
        let t = self.tier(tier)?;
        let current = t.current.as_ref().map(|c| &c.version);
        if let Some(inside) = &t.inside {
            self.still(from, Some(&inside.version))?;
            let current = current.ok_or_else(|| Rejection::NothingBefore(tier.clone()))?;
            if to.is_some_and(|to| to != current) {
                return Err(Rejection::TierBusy(tier.clone(), inside.version.clone()));
            }
            if inside.ending.is_some() {
                return Ok(Decision::already());
            }
            let action = self.action(Action::Rollback, Some(tier), Some(&inside.version));
            return self.done([action].into_iter().chain(self.hold_of_rollback(tier)));
        }
        if let Some(back) = t.going_back.as_ref().filter(|back| !back.failed) {
            return match to {
                Some(to) if *to != back.to => Err(Rejection::TierBusy(tier.clone(), back.from.clone())),
                _ => Ok(Decision::already()),
            };
        }
        if let Some(redeploy) = &t.redeploy {
            return Err(Rejection::TierBusy(tier.clone(), redeploy.version.clone()));
        }
        if to.is_some() && to == current {
            return Ok(Decision::already());
        }
        self.still(from, current)?;
        let left = current.ok_or_else(|| Rejection::NothingBefore(tier.clone()))?;
        let target = match to {
            Some(to) => self.named_target(t, tier, to)?,
            None => {
                let found = t.rollback_target(&self.p.blocked).map(|c| &c.version);
                found.ok_or_else(|| Rejection::NothingBefore(tier.clone()))?
            }
        };
        let by = &self.actor.name;
        let cause = match self.why {
            Some(why) => format!("rolled back by {by}: {why}"),
            None => format!("rolled back by {by}"),
        };
        let (from, to) = (left.clone(), target.clone());
        let event = Event::Rollback { tier: tier.clone(), from, to, cause };
        self.done([event].into_iter().chain(self.hold_of_rollback(tier)))
    }

    fn named_target<'a>(
        &self,
        t: &'a TierState,
        tier: &TierName,
        to: &VersionLabel,
    ) -> Result<&'a VersionLabel, Rejection> {
        let good = !self.p.blocked.contains_key(to) && !t.is_rejected(to);
        let found = t.passed_before(to).map(|passed| &passed.version).filter(|_| good);
        found.ok_or_else(|| Rejection::NotATarget(to.clone(), tier.clone()))
    }

    fn hold_of_rollback(&self, tier: &TierName) -> Option<Event> {
        let free = self.held(tier).is_none();
        free.then(|| Event::HoldSet { tier: Some(tier.clone()), of_rollback: true })
    }
}
