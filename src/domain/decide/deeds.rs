//! What people do by hand (rules 16, 19 to 23): each idempotent, each with who and why.

use super::Decision;
use crate::domain::Time;
use crate::domain::command::{Actor, Deed};
use crate::domain::event::{Action, Event, Fact};
use crate::domain::id::*;
use crate::domain::promotion::has_passed_before;
use crate::domain::rejection::Rejection;
use crate::domain::role::Role;
use crate::domain::state::{Hold, PipelineState, State, TierState, Verdict};

/// The pipeline that a deed is done to, and how its facts are signed.
pub(super) struct Place<'a> {
    pub(super) p: &'a PipelineState,
    pub(super) name: &'a PipelineName,
    pub(super) actor: &'a Actor,
    pub(super) why: Option<&'a str>,
    pub(super) now: Time,
}

pub(super) fn decide(
    state: &State,
    actor: &Actor,
    why: Option<&str>,
    name: &PipelineName,
    deed: &Deed,
    now: Time,
) -> Result<Decision, Rejection> {
    if actor.role < Role::Operator {
        return Err(Rejection::RoleMissing(Role::Operator));
    }
    let known = state.pipelines.get(name).filter(|p| p.in_force.is_some() || !p.tiers.is_empty());
    let p = known.ok_or_else(|| Rejection::UnknownPipeline(name.clone()))?;
    let at = Place { p, name, actor, why, now };
    match deed {
        Deed::Confirm { tier, version } => at.confirm(tier, version),
        Deed::Deny { tier, version } => at.deny(tier, version),
        Deed::Promote { tier, version, lift } => at.promote(tier, version, *lift),
        Deed::Rollback { tier, to, from } => at.rollback(tier, to.as_ref(), from.as_ref()),
        Deed::Hold { tier } => at.hold(tier.as_ref()),
        Deed::Resume { tier } => at.resume(tier.as_ref()),
        Deed::Retry { tier, version } => at.retry(tier, version.as_ref()),
        Deed::Redeploy { tier, node, version } => at.redeploy(tier, node.as_ref(), version.as_ref()),
        Deed::Cancel { tier: None, version } => at.cancel_build(version.as_ref()),
        Deed::Cancel { tier: Some(tier), version } => at.cancel(tier, version.as_ref()),
        Deed::Adopt { tier, version, sha, about } => at.adopt(tier, version, sha, about),
        Deed::Block { version } => at.block(version),
        Deed::Unblock { version } => at.unblock(version),
    }
}

impl Place<'_> {
    /// Something that follows by itself.
    pub(super) fn by_itself(&self, event: Event) -> Fact {
        Fact::of(self.name, event)
    }

    /// Something that somebody did.
    pub(super) fn fact(&self, event: Event) -> Fact {
        Fact {
            pipeline: Some(self.name.clone()),
            by: Some(self.actor.name.clone()),
            why: self.why.map(str::to_owned),
            event,
        }
    }

    pub(super) fn done(&self, events: impl IntoIterator<Item = Event>) -> Result<Decision, Rejection> {
        Ok(Decision::done(events.into_iter().map(|event| self.fact(event)).collect()))
    }

    pub(super) fn action(
        &self,
        action: Action,
        tier: Option<&TierName>,
        version: Option<&VersionLabel>,
    ) -> Event {
        Event::ManualAction {
            action,
            tier: tier.cloned(),
            node: None,
            version: version.cloned(),
            lift: false,
            sha: None,
            pending: false,
            emails: vec![],
        }
    }

    pub(super) fn tier(&self, name: &TierName) -> Result<&TierState, Rejection> {
        let known = self.p.tiers.get(name);
        known.ok_or_else(|| Rejection::UnknownTier(self.name.clone(), name.clone()))
    }

    pub(super) fn tier_in_force(&self, name: &TierName) -> Result<&crate::domain::pipeline::Tier, Rejection> {
        let known = self.p.tier_in_force(name);
        known.ok_or_else(|| Rejection::UnknownTier(self.name.clone(), name.clone()))
    }

    pub(super) fn built(&self, version: &VersionLabel) -> Result<(), Rejection> {
        if !self.p.versions.contains_key(version) {
            return Err(Rejection::UnknownVersion(self.name.clone(), version.clone()));
        }
        match self.p.is_built(version) || self.p.is_adopted(version) {
            true => Ok(()),
            false => Err(Rejection::NotBuilt(version.clone())),
        }
    }

    pub(super) fn held(&self, tier: &TierName) -> Option<&Hold> {
        self.p.tiers.get(tier).and_then(|t| t.hold.as_ref())
    }

    /// Refuses when what is meant is not what is there any more.
    pub(super) fn still(
        &self,
        meant: Option<&VersionLabel>,
        now: Option<&VersionLabel>,
    ) -> Result<(), Rejection> {
        match meant {
            Some(meant) if Some(meant) != now => Err(Rejection::Moved(meant.clone(), now.cloned())),
            _ => Ok(()),
        }
    }

    fn promote(&self, tier: &TierName, version: &VersionLabel, lift: bool) -> Result<Decision, Rejection> {
        if lift && self.actor.role < Role::Admin {
            return Err(Rejection::RoleMissing(Role::Admin));
        }
        if lift && self.why.is_none_or(|why| why.trim().is_empty()) {
            return Err(Rejection::WhyMissing);
        }
        self.built(version)?;
        let definition = self.tier_in_force(tier)?;
        let t = self.tier(tier)?;
        let standing = t.standings.get(version);
        let is_current = t.current.as_ref().is_some_and(|c| c.version == *version);
        let promoted = standing.and_then(|s| s.promoted.as_ref()).is_some_and(|by| by.lift || !lift);
        if is_current || promoted || t.inside.as_ref().is_some_and(|i| i.version == *version) {
            return Ok(Decision::already());
        }
        if let Some(current) = &t.current
            && self.p.order(&current.version) > self.p.order(version)
        {
            return Err(Rejection::OlderThanCurrent(version.clone(), current.version.clone()));
        }
        if let Some(Verdict::Rejected(_)) = standing.and_then(|s| s.verdict.as_ref()) {
            return Err(Rejection::IsRejected(self.name.clone(), version.clone(), tier.clone()));
        }
        if let Some(Verdict::Passed(_)) = standing.and_then(|s| s.verdict.as_ref()) {
            return Err(Rejection::HasPassed(self.name.clone(), version.clone(), tier.clone()));
        }
        if !lift && !has_passed_before(self.p, definition, version) {
            return Err(Rejection::NotPromoted(version.clone(), tier.clone()));
        }
        let (tier, version) = (Some(tier.clone()), Some(version.clone()));
        self.done([Event::ManualAction {
            action: Action::Promote,
            tier,
            node: None,
            version,
            lift,
            sha: None,
            pending: false,
            emails: vec![],
        }])
    }

    fn hold(&self, tier: Option<&TierName>) -> Result<Decision, Rejection> {
        let held = match tier {
            Some(tier) => self.tier(tier)?.hold.as_ref(),
            None => self.p.hold.as_ref(),
        };
        // A hold put by hand takes the place of a rollback's: it is lifted by `resume` only.
        if held.is_some_and(|hold| !hold.of_rollback) {
            return Ok(Decision::already());
        }
        self.done([Event::HoldSet { tier: tier.cloned(), of_rollback: false }])
    }

    fn resume(&self, tier: Option<&TierName>) -> Result<Decision, Rejection> {
        let held = match tier {
            Some(tier) => self.tier(tier)?.hold.is_some(),
            None => self.p.hold.is_some(),
        };
        if !held {
            return Ok(Decision::already());
        }
        self.done([Event::HoldLifted { tier: tier.cloned() }])
    }

    fn retry(&self, tier: &TierName, version: Option<&VersionLabel>) -> Result<Decision, Rejection> {
        let t = self.tier(tier)?;
        if let Some(version) = version {
            self.built(version)?;
            let standing = t.standings.get(version);
            let verdict = standing.and_then(|s| s.verdict.as_ref());
            let rejected = matches!(verdict, Some(Verdict::Rejected(_)));
            if let Some(current) = &t.current
                && rejected
                && self.p.order(&current.version) > self.p.order(version)
            {
                return Err(Rejection::NewerPassed(version.clone(), current.version.clone()));
            }
            let stepped_back = standing.is_some_and(|s| s.stepped_back.is_some());
            if rejected || stepped_back {
                return self.done([self.action(Action::Retry, Some(tier), Some(version))]);
            }
        }
        let meant = |other: &VersionLabel| version.is_none_or(|version| version == other);
        let blocked_inside = t.inside.as_ref().filter(|i| meant(&i.version)).is_some_and(|i| {
            i.gates.values().any(|a| a.running.is_none() && a.blocked_times > 0 && a.not_before.is_some())
        });
        let back = t.going_back.as_ref();
        let failed_back = back.is_some_and(|g| g.failed && (meant(&g.from) || meant(&g.to)));
        if blocked_inside || failed_back {
            return self.done([self.action(Action::Retry, Some(tier), version)]);
        }
        match version {
            Some(_) => Ok(Decision::already()),
            None => Err(Rejection::NothingToRetry),
        }
    }

    fn redeploy(
        &self,
        tier: &TierName,
        node: Option<&NodeName>,
        version: Option<&VersionLabel>,
    ) -> Result<Decision, Rejection> {
        let definition = self.tier_in_force(tier)?;
        let t = self.tier(tier)?;
        if definition.deploy.is_none() {
            return Err(Rejection::NoDeploy(tier.clone()));
        }
        if let Some(node) = node
            && definition.node(node).is_none()
        {
            return Err(Rejection::UnknownNode(tier.clone(), node.clone()));
        }
        let current = t.current.as_ref().ok_or_else(|| Rejection::NothingCurrent(tier.clone()))?;
        self.still(version, Some(&current.version))?;
        if !self.p.is_ready_for(definition, &current.version) {
            return Err(Rejection::NotBuilt(current.version.clone()));
        }
        if let Some(busy) = t.busy_with() {
            return match &t.redeploy {
                Some(under_way) if node.is_none_or(|n| under_way.order.contains(n)) => {
                    Ok(Decision::already())
                }
                _ => Err(Rejection::TierBusy(tier.clone(), busy.clone())),
            };
        }
        let (tier, version) = (Some(tier.clone()), Some(current.version.clone()));
        let node = node.cloned();
        self.done([Event::ManualAction {
            action: Action::Redeploy,
            tier,
            node,
            version,
            lift: false,
            sha: None,
            pending: false,
            emails: vec![],
        }])
    }

    pub(super) fn cancel_build(&self, version: Option<&VersionLabel>) -> Result<Decision, Rejection> {
        if let Some(build) = &self.p.build {
            self.still(version, Some(&build.version))?;
            if build.canceled {
                return Ok(Decision::already());
            }
            return self.done([self.action(Action::Cancel, None, Some(&build.version))]);
        }
        let front = self.p.queue.front().ok_or(Rejection::NothingToCancel)?;
        // One that has not begun has no label yet, unless its commit had one before.
        self.still(version, self.p.by_sha.get(&front.sha).filter(|_| !front.anew))?;
        let (sha_aborted, request) = (front.sha.clone(), front.id);
        self.done([Event::BuildAborted { sha_aborted, request, by_sha: None }])
    }

    fn cancel(&self, tier: &TierName, version: Option<&VersionLabel>) -> Result<Decision, Rejection> {
        let t = self.tier(tier)?;
        if let Some(adopting) = &t.adopting {
            return self.cancel_adoption(&adopting.version, version);
        }
        let inside = t.inside.as_ref().ok_or(Rejection::NothingToCancel)?;
        self.still(version, Some(&inside.version))?;
        if inside.ending.is_some() {
            return Ok(Decision::already());
        }
        self.done([self.action(Action::Cancel, Some(tier), Some(&inside.version))])
    }

    fn block(&self, version: &VersionLabel) -> Result<Decision, Rejection> {
        if !self.p.versions.contains_key(version) {
            return Err(Rejection::UnknownVersion(self.name.clone(), version.clone()));
        }
        if self.p.blocked.contains_key(version) {
            return Ok(Decision::already());
        }
        self.done([Event::VersionBlocked { version: version.clone() }])
    }

    fn unblock(&self, version: &VersionLabel) -> Result<Decision, Rejection> {
        if !self.p.blocked.contains_key(version) {
            return Ok(Decision::already());
        }
        self.done([Event::VersionUnblocked { version: version.clone() }])
    }
}
