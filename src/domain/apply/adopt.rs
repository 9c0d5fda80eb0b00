//! How a tier gets a current version that was never deployed from here.

use super::Moment;
use crate::domain::id::*;
use crate::domain::state::*;
use std::collections::BTreeSet;

/// Makes a version current, registered as adopted if it is not known, and notes it on every node.
pub(super) fn apply(
    p: &mut PipelineState,
    tier: &TierName,
    version: &VersionLabel,
    (sha, emails): (&Sha, &[String]),
    moment: &Moment<'_>,
) {
    let Some(in_force) = &p.in_force else { return };
    let digest = in_force.digest.clone();
    let nodes: Vec<NodeName> = in_force
        .definition
        .tier(tier)
        .into_iter()
        .flat_map(|tier| &tier.nodes)
        .map(|node| node.name.clone())
        .collect();
    match p.versions.get(version) {
        None => register(p, version, (sha, emails), moment),
        // One whose build came to nothing has its place before everything again.
        Some(known) if known.adopted => drop(p.built.insert(known.order, version.clone())),
        Some(_) => {}
    }
    let t = p.tiers.entry(tier.clone()).or_default();
    t.adopting = None;
    let standing = t.standing(version);
    standing.verdict = Some(Verdict::Passed(BEFORE_ALL));
    standing.said = None;
    standing.promoted = None;
    standing.stepped_back = None;
    standing.confirmations.clear();
    t.make_current(Current { version: version.clone(), digest, since: moment.at });
    for node in nodes {
        let state =
            NodeState { version: Some(version.clone()), at: moment.at, changing: None, failure: None };
        t.nodes.insert(node, state);
    }
}

/// A version is to be built, in its place before everything, and becomes current then.
pub(super) fn begin(
    p: &mut PipelineState,
    tier: &TierName,
    version: &VersionLabel,
    (sha, emails): (&Sha, &[String]),
    moment: &Moment<'_>,
) {
    match p.versions.get_mut(version).filter(|known| known.adopted) {
        // One that could not be built the last time has its place still.
        Some(known) => drop(p.built.insert(known.order, version.clone())),
        None => register(p, version, (sha, emails), moment),
    }
    let (version, sha) = (version.clone(), sha.clone());
    let adopting = Adopting { version, sha, by: moment.by.into(), why: moment.why.into() };
    p.tiers.entry(tier.clone()).or_default().adopting = Some(adopting);
}

/// The build of that commit came to nothing: what was to be adopted with it is not, and unless it was so before it is
/// like any other version that was never built.
pub(super) fn give_up(p: &mut PipelineState, sha: &Sha) {
    let mut given_up = false;
    for t in p.tiers.values_mut() {
        given_up |= t.adopting.take_if(|adopting| adopting.sha == *sha).is_some();
    }
    let Some(label) = p.by_sha.get(sha).filter(|_| given_up) else { return };
    let stands =
        |t: &TierState| t.current.iter().chain(&t.past).chain(&t.aside).any(|it| it.version == *label);
    if !p.tiers.values().any(stands)
        && let Some(version) = p.versions.get(label)
    {
        p.built.remove(&version.order);
    }
}

fn register(
    p: &mut PipelineState,
    label: &VersionLabel,
    (sha, emails): (&Sha, &[String]),
    moment: &Moment<'_>,
) {
    // `decide` has seen to it that there is a place.
    let order = place_before_all(p, moment.id).unwrap_or(EventId(0));
    let version = Version {
        sha: sha.clone(),
        ref_name: None,
        author: String::new(),
        subject: "adopted: it was there before".into(),
        emails: emails.to_vec(),
        by: Some(moment.by.into()),
        askers: vec![Asker { name: moment.by.into(), email: None }],
        order,
        stage: Stage::Adopted,
        done: BEFORE_ALL,
        artifacts: Vec::new(),
        at: moment.at,
        adopted: true,
    };
    p.versions.insert(label.clone(), version);
    p.by_sha.insert(sha.clone(), label.clone());
    p.built.insert(order, label.clone());
}

/// A place before every version that was ever asked for, before those that were adopted if there is room, and not after
/// `now`. None: no number is left there.
pub(in crate::domain) fn place_before_all(p: &PipelineState, now: EventId) -> Option<EventId> {
    let taken: BTreeSet<u64> = p.versions.values().map(|version| version.order.0).collect();
    let built = p.versions.values().filter(|version| version.done != BEFORE_ALL).map(|version| version.order);
    let asked = p.queue.iter().map(|request| request.id).chain(p.build.iter().map(|build| build.request.id));
    let first_asked = built.chain(asked).min();
    let last = first_asked.map_or(now.0, |first| first.0 - 1);
    let before_all = match (taken.first(), first_asked) {
        (Some(first), Some(asked)) => first.min(&asked.0).checked_sub(1),
        (Some(first), None) => first.checked_sub(1),
        (None, _) => Some(last),
    };
    let free = before_all.filter(|place| *place > 0);
    free.or_else(|| (1..=last).find(|place| !taken.contains(place))).map(EventId)
}
