//! What is built to be adopted becomes current once it is built: in that tier only, and without a deploy.

use super::Flow;
use crate::domain::event::{Action, Event, Fact};
use crate::domain::id::*;
use crate::domain::promotion::older_that_wait;
use crate::domain::state::{PipelineState, TierState};

/// Says that it is so now; whether that was said. In a tier that was removed meanwhile it waits for the tier.
pub(super) fn proceed(flow: &mut Flow<'_>, p: &PipelineState, name: &TierName, t: &TierState) -> bool {
    let (Some(adopting), Some(tier)) = (&t.adopting, p.tier_in_force(name)) else { return false };
    if !p.is_built(&adopting.version) {
        return false;
    }
    let event = Event::ManualAction {
        action: Action::Adopt,
        tier: Some(name.clone()),
        node: None,
        version: Some(adopting.version.clone()),
        lift: false,
        sha: Some(adopting.sha.clone()),
        pending: false,
        emails: vec![],
    };
    flow.next.facts.push(Fact {
        pipeline: Some(flow.name.clone()),
        by: Some(adopting.by.clone()),
        why: Some(adopting.why.clone()).filter(|why| !why.is_empty()),
        event,
    });
    for version in older_that_wait(p, tier, &adopting.version) {
        let (tier, by_version) = (name.clone(), adopting.version.clone());
        flow.say(Event::Superseded { tier, version, by_version });
    }
    true
}
