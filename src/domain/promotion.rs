//! What stands between a version and a tier, and which of those that wait goes next (rules 7 to 12, 19, 20, 31).

use super::Time;
use super::blocker::Blocker;
use super::confirmation;
use super::id::*;
use super::pipeline::{Mode, Pick, Promote, Require, Tier, Windows};
use super::state::{ByHand, PipelineState, Standing, TierState, Verdict};

/// A version that waits in front of a tier, and what stands in its way now.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The version.
    pub version: VersionLabel,
    /// Everything that stands in its way; empty: it may enter.
    pub blockers: Vec<Blocker>,
    /// Whether a person lets it in.
    pub by_hand: bool,
    /// The earliest moment at which time alone lifts something.
    pub until: Option<Time>,
    /// The earliest moment at which time alone changes what stands in its way: lifts something, or puts something there.
    pub changes: Option<Time>,
}

/// The versions that wait in front of a tier, oldest first.
///
/// Versions older than the current one are not among them unless somebody promoted them by hand: automation never
/// enters them, and what passed has taken their place.
pub fn waiting(p: &PipelineState, tier: &Tier, now: Time) -> Vec<Waiting> {
    let empty = TierState::default();
    let t = p.tiers.get(&tier.name).unwrap_or(&empty);
    let windows = Windows::at(&tier.promote.window, now);
    let mut found: Vec<Waiting> = that_wait(p, tier, t)
        .map(|version| {
            let blockers = blockers_with(p, tier, version, windows, now);
            let promoted = t.standings.get(version).and_then(|s| s.promoted.as_ref());
            let back = t.standings.get(version).and_then(|s| s.stepped_back.as_ref());
            let again = back.map(|back| back.not_before).filter(|moment| *moment > now);
            let until = lifts_at(&blockers).into_iter().chain(again).min();
            let comes = comes_at(tier, promoted, windows, now);
            Waiting {
                version: version.clone(),
                blockers,
                by_hand: promoted.is_some(),
                until,
                changes: until.into_iter().chain(comes).min(),
            }
        })
        .collect();
    if tier.promote.pick == Pick::Every {
        let oldest = found.iter().find(|w| !w.by_hand).map(|w| w.version.clone());
        for other in found.iter_mut().filter(|w| !w.by_hand && Some(&w.version) != oldest.as_ref()) {
            other.blockers.extend(oldest.iter().map(|v| Blocker::Behind { version: v.clone() }));
        }
    }
    found
}

/// The same, on a disk that may be full: then none of them may enter, whoever wants it.
pub fn waiting_when(p: &PipelineState, tier: &Tier, now: Time, disk_full: bool) -> Vec<Waiting> {
    let mut all = waiting(p, tier, now);
    if disk_full {
        all.iter_mut().for_each(|waiting| waiting.blockers.push(Blocker::DiskFull));
    }
    all
}

/// What keeps the builds of a pipeline that wait from beginning; empty: the first of them begins.
pub fn queue_blockers(p: &PipelineState, disk_full: bool) -> Vec<Blocker> {
    let under_way = p.build.iter().map(|build| Blocker::Behind { version: build.version.clone() });
    under_way.chain(full_disk(p, disk_full)).collect()
}

/// What keeps the build under way from going on; empty: something of it runs or is about to.
pub fn build_blockers(p: &PipelineState, disk_full: bool) -> Vec<Blocker> {
    let runs = p.build.iter().flat_map(|build| build.steps.values()).any(|step| step.running.is_some());
    full_disk(p, disk_full && p.build.is_some() && !runs).into_iter().collect()
}

fn full_disk(p: &PipelineState, disk_full: bool) -> Option<Blocker> {
    (disk_full && p.in_force.is_some()).then_some(Blocker::DiskFull)
}

/// The versions that wait in front of a tier and are older than that one: it takes their place when it becomes current
/// (rule 9).
pub fn older_that_wait(p: &PipelineState, tier: &Tier, version: &VersionLabel) -> Vec<VersionLabel> {
    let order = p.order(version);
    let Some(t) = p.tiers.get(&tier.name) else { return Vec::new() };
    that_wait(p, tier, t).take_while(|one| p.order(one) < order).cloned().collect()
}

/// The versions that wait, oldest first: those after the current one.
fn that_wait<'a>(
    p: &'a PipelineState,
    tier: &'a Tier,
    t: &'a TierState,
) -> impl Iterator<Item = &'a VersionLabel> {
    let after = t.current.as_ref().map_or(EventId(0), |c| p.order(&c.version));
    let newer = p.built.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
    newer.map(|(_, version)| version).filter(move |version| waits(p, tier, t, version))
}

/// Which of those that wait goes next: what a person promoted before automation's choice.
pub fn choose<'a>(waiting: &'a [Waiting], promote: &Promote) -> Option<&'a Waiting> {
    let free = |w: &&Waiting| w.blockers.is_empty();
    let by_hand = waiting.iter().rev().filter(|w| w.by_hand).find(free);
    by_hand.or_else(|| match promote.pick {
        Pick::Newest => waiting.iter().rev().find(free),
        Pick::Every => waiting.iter().find(|w| !w.by_hand).filter(free),
    })
}

fn waits(p: &PipelineState, tier: &Tier, t: &TierState, version: &VersionLabel) -> bool {
    let standing = t.standings.get(version);
    let inside = t.inside.as_ref().is_some_and(|i| i.version == *version);
    let going = t.going_back.as_ref().is_some_and(|g| g.from == *version && g.end.is_some());
    if inside || going || standing.is_some_and(|s| s.verdict.is_some()) {
        return false;
    }
    match standing.and_then(|s| s.promoted.as_ref()) {
        Some(by_hand) => by_hand.lift || has_passed_before(p, tier, version),
        None => has_passed_since(p, tier, version, t.born),
    }
}

/// Whether a version has passed what comes before a tier (rule 7).
pub fn has_passed_before(p: &PipelineState, tier: &Tier, version: &VersionLabel) -> bool {
    has_passed_since(p, tier, version, EventId(0))
}

/// The same, counting only since an event: a new tier takes what comes from then on (rule 30).
fn has_passed_since(p: &PipelineState, tier: &Tier, version: &VersionLabel, since: EventId) -> bool {
    let passed = |before: &TierName| match p.standing(before, version).and_then(|s| s.verdict.as_ref()) {
        Some(Verdict::Passed(id)) => Some(*id),
        _ => None,
    };
    match tier.promote.require {
        _ if tier.after.is_empty() => p.versions.get(version).is_some_and(|v| v.done > since),
        Require::All => {
            let all: Option<Vec<EventId>> = tier.after.iter().map(passed).collect();
            all.is_some_and(|ids| ids.into_iter().max() > Some(since))
        }
        Require::Any => tier.after.iter().filter_map(passed).any(|id| id > since),
    }
}

/// Everything that stands between a version and a tier at that moment, whether it waits there or is further back.
pub fn blockers(p: &PipelineState, tier: &Tier, version: &VersionLabel, now: Time) -> Vec<Blocker> {
    blockers_with(p, tier, version, Windows::at(&tier.promote.window, now), now)
}

/// The same, for windows that were looked at already.
fn blockers_with(
    p: &PipelineState,
    tier: &Tier,
    version: &VersionLabel,
    windows: Windows,
    now: Time,
) -> Vec<Blocker> {
    let empty = (TierState::default(), Standing::default());
    let t = p.tiers.get(&tier.name).unwrap_or(&empty.0);
    let standing = t.standings.get(version).unwrap_or(&empty.1);
    let by_hand = standing.promoted.is_some();
    let lift = standing.promoted.as_ref().is_some_and(|by| by.lift);
    let mut found = Vec::new();
    found.extend(not_built(p, tier, version));
    if !lift && !has_passed_before(p, tier, version) {
        let missing = tier.after.iter().filter(|before| !p.has_passed(before, version));
        found.extend(missing.map(|before| Blocker::NotPromoted { tier: before.clone() }));
    }
    found.extend(verdict_blocker(standing));
    found.extend(unsupported(p, tier));
    if p.blocked.contains_key(version) {
        found.push(Blocker::VersionBlocked);
    }
    if !by_hand {
        found.extend(holds(p, t));
        let before_its_time =
            has_passed_before(p, tier, version) && !has_passed_since(p, tier, version, t.born);
        if tier.promote.mode == Mode::Manual || before_its_time {
            found.push(Blocker::Manual);
        }
        found.extend(soak(p, tier, version, now));
        if let Windows::Shut { opens } = windows {
            found.push(Blocker::Window { opens });
        }
    }
    if !lift {
        let frozen = tier.promote.freeze.iter().filter(|f| f.from <= now && now < f.to);
        found.extend(frozen.map(|f| Blocker::Freeze { until: f.to, why: f.why.clone() }));
    }
    found.extend(confirm_missing(p, tier, standing, now));
    if let Some(back) = standing.stepped_back.as_ref().filter(|back| back.not_before > now) {
        found.extend(back.blockers.iter().cloned());
    }
    if let Some(busy) = t.busy_with().filter(|busy| *busy != version) {
        found.push(Blocker::TierBusy { version: busy.clone() });
    }
    if let Some(current) = t.current.as_ref().filter(|c| p.order(&c.version) > p.order(version)) {
        found.push(Blocker::Behind { version: current.version.clone() });
    }
    found
}

/// Who keeps automation from sending anything into the tier.
pub fn holds<'a>(p: &'a PipelineState, t: &'a TierState) -> impl Iterator<Item = Blocker> + 'a {
    p.hold.iter().chain(&t.hold).map(|hold| Blocker::Hold { by: hold.by.clone(), why: hold.why.clone() })
}

/// What a build of it would have to make first; with its commit where nothing builds that.
fn not_built(p: &PipelineState, tier: &Tier, version: &VersionLabel) -> Option<Blocker> {
    let sha = p.versions.get(version).map(|v| v.sha.clone()).filter(|sha| !p.is_being_built(sha));
    (!p.is_ready_for(tier, version)).then_some(Blocker::NotBuilt { sha })
}

fn verdict_blocker(standing: &Standing) -> Option<Blocker> {
    match standing.verdict.as_ref()? {
        Verdict::Rejected(cause) => Some(Blocker::Rejected { cause: cause.clone() }),
        Verdict::Superseded(by) => Some(Blocker::Behind { version: by.clone() }),
        Verdict::Passed(_) => None,
    }
}

/// Keys that this release does not execute keep the tier shut (rule 31).
fn unsupported<'a>(p: &'a PipelineState, tier: &'a Tier) -> impl Iterator<Item = Blocker> + 'a {
    let everywhere = p.definition().map(|d| d.unsupported.as_slice()).unwrap_or_default();
    everywhere.iter().chain(&tier.unsupported).map(|key| Blocker::Unsupported { key: key.clone() })
}

fn confirm_missing(p: &PipelineState, tier: &Tier, standing: &Standing, now: Time) -> Option<Blocker> {
    let need = tier.promote.confirm.as_ref()?.count;
    let have = confirmation::counted(p, tier, standing, now).len() as u32;
    (have < need).then_some(Blocker::ConfirmMissing { have, need })
}

/// Soak is unbroken time as current in each tier of `after`; once reached it stays reached (rule 10).
fn soak(p: &PipelineState, tier: &Tier, version: &VersionLabel, now: Time) -> Option<Blocker> {
    let needed = tier.promote.soak?.delta();
    let mut until: Option<Time> = None;
    let (mut missing, mut reached) = (false, false);
    for before in &tier.after {
        let longest = p.standing(before, version).map(|s| s.longest_current).unwrap_or_default();
        let current = p.tiers.get(before).and_then(|t| t.current.as_ref()).filter(|c| c.version == *version);
        match current.map(|c| c.since + needed) {
            _ if longest >= needed => reached = true,
            Some(moment) if moment <= now => reached = true,
            Some(moment) => {
                missing = true;
                until = Some(match (until, tier.promote.require) {
                    (Some(other), Require::All) => other.max(moment),
                    (Some(other), Require::Any) => other.min(moment),
                    (None, _) => moment,
                });
            }
            None => missing = true,
        }
    }
    let kept_out = match tier.promote.require {
        Require::All => missing,
        Require::Any => missing && !reached,
    };
    kept_out.then_some(Blocker::Soak { until })
}

/// The earliest moment at which time alone lifts one of these.
pub fn lifts_at(blockers: &[Blocker]) -> Option<Time> {
    blockers.iter().filter_map(Blocker::until).min()
}

/// The earliest moment at which time alone puts something in the way that is not there now: the windows shut, or a freeze
/// begins. That a confirmation lapses has an event of its own.
fn comes_at(tier: &Tier, promoted: Option<&ByHand>, windows: Windows, now: Time) -> Option<Time> {
    let shuts = match windows {
        Windows::Open { until } if promoted.is_none() => until,
        _ => None,
    };
    let lifted = promoted.is_some_and(|by| by.lift);
    let freezes = tier.promote.freeze.iter().map(|freeze| freeze.from);
    let freezes = freezes.filter(|from| *from > now && !lifted).min();
    shuts.into_iter().chain(freezes).min()
}
