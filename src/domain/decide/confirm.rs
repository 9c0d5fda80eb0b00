//! Words for and against a version that waits (rule 12).

use super::Decision;
use super::deeds::Place;
use crate::domain::confirmation;
use crate::domain::event::{Event, PromotionEnd};
use crate::domain::id::*;
use crate::domain::promotion::has_passed_before;
use crate::domain::rejection::Rejection;
use crate::domain::state::{Standing, Verdict};

/// Where a version stands that somebody has a word on.
enum Stands {
    /// It waits in front of the tier.
    Waits,
    /// It is inside.
    Inside,
    /// It passed.
    Passed,
}

impl Place<'_> {
    /// One that is given already is the answer, wherever the version stands by now; so is a version that passed.
    pub(super) fn confirm(&self, tier: &TierName, version: &VersionLabel) -> Result<Decision, Rejection> {
        let definition = self.tier_in_force(tier)?;
        let rule = definition.promote.confirm.as_ref();
        let rule = rule.ok_or_else(|| Rejection::NoConfirmation(tier.clone()))?;
        let stands = self.stands(tier, version)?;
        let nothing = Standing::default();
        let standing = self.p.standing(tier, version).unwrap_or(&nothing);
        let given = confirmation::counted(self.p, definition, standing, self.now);
        let email = self.actor.email.as_deref();
        if given.iter().any(|word| confirmation::is_of(word, &self.actor.name, email)) {
            return Ok(Decision::already());
        }
        match stands {
            Stands::Waits => {}
            Stands::Inside => {
                return Err(Rejection::IsInside(self.name.clone(), version.clone(), tier.clone()));
            }
            Stands::Passed => return Ok(Decision::already()),
        }
        let role = confirmation::role_needed(definition);
        if self.actor.role < role {
            return Err(Rejection::RoleMissing(role));
        }
        if rule.not_author && email.is_none() {
            return Err(Rejection::AddressMissing(tier.clone(), role));
        }
        let is_author = self.p.versions.get(version).is_some_and(|v| confirmation::is_author(v, self.actor));
        if rule.not_author && is_author {
            return Err(Rejection::IsAuthor(version.clone(), tier.clone()));
        }
        let (have, need) = (given.len() as u32 + 1, rule.count);
        // What lapsed at this very moment, maybe this person's, goes before the new word comes.
        let void = confirmation::void(self.p, definition, standing, self.now).into_iter();
        let void = void.map(|(reason, whose)| {
            self.by_itself(Event::ConfirmVoided {
                tier: tier.clone(),
                version: version.clone(),
                reason,
                whose,
            })
        });
        let (tier, version, by_email) = (tier.clone(), version.clone(), self.actor.email.clone());
        let confirmed = self.fact(Event::ManualConfirm { tier, version, have, need, by_email });
        Ok(Decision::done(void.chain([confirmed]).collect()))
    }

    pub(super) fn deny(&self, tier: &TierName, version: &VersionLabel) -> Result<Decision, Rejection> {
        match self.stands(tier, version) {
            Err(Rejection::IsRejected(..)) => return Ok(Decision::already()),
            Err(other) => return Err(other),
            Ok(Stands::Passed) => {
                return Err(Rejection::NotWaiting(self.name.clone(), version.clone(), tier.clone()));
            }
            Ok(Stands::Inside) => {
                return Err(Rejection::IsInside(self.name.clone(), version.clone(), tier.clone()));
            }
            Ok(Stands::Waits) => {}
        }
        let by = &self.actor.name;
        let cause = match self.why {
            Some(why) => format!("denied by {by}: {why}"),
            None => format!("denied by {by}"),
        };
        let (t, v) = (tier.clone(), version.clone());
        self.done([
            Event::ConfirmDenied { tier: t.clone(), version: v.clone() },
            Event::PromoteFailed {
                tier: t,
                version: v,
                end: PromotionEnd::Rejected,
                cause,
                nodes: self.tier(tier)?.what_is_where(),
            },
        ])
    }

    /// Where the version stands; refused where nobody's word is asked for any more, or not yet.
    fn stands(&self, tier: &TierName, version: &VersionLabel) -> Result<Stands, Rejection> {
        self.built(version)?;
        let definition = self.tier_in_force(tier)?;
        let t = self.tier(tier)?;
        let standing = t.standings.get(version);
        if t.inside.as_ref().is_some_and(|i| i.version == *version) {
            return Ok(Stands::Inside);
        }
        // A promotion that failed ends only when its way back does.
        if t.going_back.as_ref().is_some_and(|g| g.from == *version && g.end.is_some()) {
            return Err(Rejection::NotWaiting(self.name.clone(), version.clone(), tier.clone()));
        }
        match standing.and_then(|s| s.verdict.as_ref()) {
            Some(Verdict::Passed(_)) => return Ok(Stands::Passed),
            Some(Verdict::Rejected(_)) => {
                return Err(Rejection::IsRejected(self.name.clone(), version.clone(), tier.clone()));
            }
            Some(Verdict::Superseded(_)) => {
                return Err(Rejection::NotWaiting(self.name.clone(), version.clone(), tier.clone()));
            }
            None => {}
        }
        if let Some(current) = t.current.as_ref().filter(|c| self.p.order(&c.version) > self.p.order(version))
        {
            return Err(Rejection::OlderThanCurrent(version.clone(), current.version.clone()));
        }
        let lifted = standing.and_then(|s| s.promoted.as_ref()).is_some_and(|by| by.lift);
        match lifted || has_passed_before(self.p, definition, version) {
            true => Ok(Stands::Waits),
            false => Err(Rejection::NotPromoted(version.clone(), tier.clone())),
        }
    }
}
