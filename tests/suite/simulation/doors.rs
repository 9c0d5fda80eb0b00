//! What is promised of the doors between tiers, asserted after every event, from the events alone:
//!
//! 17. A confirmation is counted once a person, who has the role, is no author where none counts, and has an address where
//!     that is asked; `have` and `need` say how many there are (rule 12).
//! 18. A word is void when it has lapsed or the tier's part of the definition changed, not before, and that is said once
//!     and within the time that a journal in trouble takes (rule 12).
//! 19. What enters has as many words as the rule asks for, all given under it and none lapsed (rules 12, 19).
//! 20. Automation enters no manual tier, no tier outside its windows, and nothing that has not soaked; by hand somebody
//!     promoted it; and a freeze gives way to `--lift` only (rules 8, 10, 19).
//! 21. `promote_blocked` is said when the set of blockers changes, times aside (rule 11).

use chrono::{TimeDelta, Timelike};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate::domain::event::{Action, VoidReason};
use tidegate::domain::pipeline::{Confirm, Mode, Require, Tier};
use tidegate::domain::*;

/// How late something may be said that time alone brings: the journal may refuse three times before.
const SLACK: TimeDelta = TimeDelta::seconds(60);

/// Everybody who acts in a story: name, role, address. `laptop` is ann's, too.
pub(crate) const PEOPLE: [(&str, Role, Option<&str>); 6] = [
    ("ann", Role::Admin, Some("ann@example.org")),
    ("laptop", Role::Admin, Some("Ann@Example.org")),
    ("bob", Role::Operator, Some("bob@example.org")),
    ("cid", Role::Operator, None),
    ("dee", Role::Admin, Some("dee@example.org")),
    ("eve", Role::Trigger, Some("eve@example.org")),
];

/// One of them.
pub(crate) fn person(number: usize) -> Actor {
    let (name, role, email) = PEOPLE[number];
    Actor { name: name.into(), role, email: email.map(str::to_owned) }
}

struct Word {
    by: String,
    email: Option<String>,
    at: Time,
    under: Tier,
}

#[derive(Default)]
struct Door {
    words: BTreeMap<VersionLabel, Vec<Word>>,
    /// Versions that somebody promoted, and whether with `--lift`.
    promoted: BTreeMap<VersionLabel, bool>,
    said: BTreeMap<VersionLabel, Vec<Blocker>>,
    current: Option<(VersionLabel, Time)>,
    soaked: BTreeMap<VersionLabel, TimeDelta>,
}

/// The judge of the doors of one pipeline.
#[derive(Default)]
pub(crate) struct Doors {
    in_force: Option<Arc<Pipeline>>,
    of: BTreeMap<TierName, Door>,
    /// Names and addresses, small, by request and by version.
    asked: BTreeMap<EventId, Vec<String>>,
    authors: BTreeMap<VersionLabel, Vec<String>>,
    /// Of each version that is built its commit and its place among the versions.
    built: BTreeMap<VersionLabel, (Sha, EventId)>,
    adopted: BTreeSet<VersionLabel>,
    /// Commits whose version is to be adopted once it is built: the request that comes with that is for it alone.
    to_adopt: BTreeSet<Sha>,
    /// By version the request that it was built for last.
    began: BTreeMap<VersionLabel, EventId>,
}

impl Doors {
    pub(crate) fn judge(&mut self, envelope: &Envelope) {
        self.judge_requests(envelope);
        if let Event::PipelineLoaded { definition, .. } = &envelope.fact.event {
            self.in_force = Some(definition.clone());
        }
        let Some(name) = envelope.fact.event.tier().cloned() else { return };
        let Some(tier) = self.in_force.as_ref().and_then(|d| d.tier(&name)).cloned() else { return };
        let at = envelope.at;
        match &envelope.fact.event {
            Event::ManualConfirm { version, have, need, by_email, .. } => {
                let by = envelope.fact.by.clone().unwrap();
                self.judge_word(&tier, version, (&by, by_email.as_deref()), (*have, *need), at);
            }
            Event::ConfirmVoided { version, reason, whose, .. } => {
                self.judge_void(&tier, version, *reason, whose, at);
            }
            Event::PromoteStart { version, by_hand, .. } => {
                self.judge_entry(&tier, version, *by_hand, at);
                self.of.entry(name).or_default().said.remove(version);
            }
            other => {
                self.judge_lateness(&tier, at);
                self.of.entry(name).or_default().note(other, at);
            }
        }
    }

    fn judge_requests(&mut self, envelope: &Envelope) {
        match &envelope.fact.event {
            Event::RebuildRequested { sha, emails, by_email, anew, .. } => {
                let all = envelope.fact.by.iter().chain(by_email).chain(emails);
                let all: Vec<String> = all.map(|text| text.to_lowercase()).collect();
                let adopts = self.to_adopt.remove(sha);
                let of_it = self.built.iter_mut().filter(|(_, (of, _))| of == sha && !anew && !adopts);
                if let Some((version, (_, order))) = of_it.max_by_key(|(_, (_, order))| *order) {
                    *order = envelope.id;
                    self.authors.entry(version.clone()).or_default().extend(all.clone());
                }
                self.asked.insert(envelope.id, all);
            }
            Event::BuildStart { version, request, .. } => {
                let authors = self.authors.entry(version.clone()).or_default();
                if !self.adopted.contains(version) {
                    authors.clear();
                }
                authors.extend(self.asked[request].clone());
                self.began.insert(version.clone(), *request);
            }
            Event::ManualAction {
                action: Action::Adopt,
                version: Some(version),
                sha,
                emails,
                pending,
                ..
            } => {
                self.to_adopt.extend(sha.iter().filter(|_| *pending).cloned());
                let is_built = self.built.contains_key(version);
                if !is_built && self.adopted.insert(version.clone()) {
                    let all = envelope.fact.by.iter().chain(emails).map(|text| text.to_lowercase());
                    self.authors.insert(version.clone(), all.collect());
                }
            }
            Event::BuildOk { version, sha, .. } => {
                let is_old = self.adopted.contains(version);
                let order = if is_old { EventId(0) } else { self.began[version] };
                self.built.insert(version.clone(), (sha.clone(), order));
            }
            Event::VersionsPruned { versions } => {
                self.built.retain(|version, _| !versions.contains(version));
                for version in versions {
                    self.authors.remove(version);
                    self.adopted.remove(version);
                    self.of.values_mut().for_each(|door| door.forget(version));
                }
            }
            _ => {}
        }
    }

    fn judge_word(
        &mut self,
        tier: &Tier,
        version: &VersionLabel,
        (by, email): (&str, Option<&str>),
        (have, need): (u32, u32),
        at: Time,
    ) {
        let rule = tier.promote.confirm.as_ref().expect("promise 17: a word that nobody asked for");
        let (_, role, address) = PEOPLE.iter().find(|(name, ..)| *name == by).expect("one of them");
        assert_eq!(*address, email, "promise 17: whose address that is");
        let needed = rule.roles.iter().min().copied().unwrap_or(Role::Operator).max(Role::Operator);
        assert!(*role >= needed, "promise 17: {by} is no {needed}");
        if rule.not_author {
            let email = email.expect("promise 17: a word without an address").to_lowercase();
            let authors = self.authors.get(version).map(Vec::as_slice).unwrap_or_default();
            let is_author = authors.iter().any(|author| *author == by || *author == email);
            assert!(!is_author, "promise 17: {by} is an author of {version}");
        }
        let words = self.of.entry(tier.name.clone()).or_default().words.entry(version.clone()).or_default();
        let small = |email: Option<&str>| email.map(str::to_lowercase);
        for word in words.iter() {
            assert_ne!(word.by, by, "promise 17: twice");
            let is_same = email.is_some() && small(word.email.as_deref()) == small(email);
            assert!(!is_same, "promise 17: {by} and {} are one person", word.by);
            assert!(counts(tier, rule, word, at), "promise 18: the word of {} is void and counts", word.by);
        }
        words.push(Word { by: by.into(), email: email.map(str::to_owned), at, under: tier.clone() });
        assert_eq!((have, need), (words.len() as u32, rule.count), "promise 17");
    }

    fn judge_void(
        &mut self,
        tier: &Tier,
        version: &VersionLabel,
        reason: VoidReason,
        whose: &[String],
        at: Time,
    ) {
        let words = self.of.entry(tier.name.clone()).or_default().words.entry(version.clone()).or_default();
        assert!(!whose.is_empty(), "promise 18: it is said whose");
        for by in whose {
            let place = words.iter().position(|word| word.by == *by);
            let word = words.remove(place.expect("promise 18: said once, of a word that was given"));
            let edited = word.under != *tier;
            let lapsed = tier.promote.confirm.as_ref().and_then(|rule| lapses(rule, &word));
            match reason {
                VoidReason::Edited => assert!(edited, "promise 18: nothing was edited"),
                VoidReason::Expired => {
                    let lapsed = lapsed.expect("promise 18: words do not lapse here");
                    assert!(!edited && lapsed <= at, "promise 18: not yet");
                    assert!(at - lapsed <= SLACK, "promise 18: said {} late", at - lapsed);
                }
            }
        }
    }

    /// That nothing is said of a tier long after a word for it lapsed, unless that was said.
    fn judge_lateness(&self, tier: &Tier, at: Time) {
        let Some(rule) = &tier.promote.confirm else { return };
        let words = self.of.get(&tier.name).into_iter().flat_map(|door| door.words.values().flatten());
        for word in words {
            let late = lapses(rule, word).map(|lapsed| at - lapsed).unwrap_or_default();
            assert!(late <= SLACK, "promise 18: the word of {} has lapsed, and nobody says so", word.by);
        }
    }

    fn judge_entry(&mut self, tier: &Tier, version: &VersionLabel, by_hand: bool, at: Time) {
        let name = &tier.name;
        let nothing = Door::default();
        let door = self.of.get(name).unwrap_or(&nothing);
        if let Some(rule) = &tier.promote.confirm {
            let words = door.words.get(version).map(Vec::as_slice).unwrap_or_default();
            let counted = words.iter().filter(|word| counts(tier, rule, word, at)).count();
            assert!(
                counted >= rule.count as usize,
                "promise 19: {version} enters {name} with {counted} words"
            );
        }
        let promoted = door.promoted.get(version);
        assert_eq!(by_hand, promoted.is_some(), "promise 20: who lets {version} into {name}");
        let frozen = tier.promote.freeze.iter().any(|freeze| freeze.from <= at && at < freeze.to);
        assert!(!frozen || promoted == Some(&true), "promise 20: {version} enters {name}, which is frozen");
        if by_hand {
            return;
        }
        assert_eq!(tier.promote.mode, Mode::Auto, "promise 20: {version} enters {name} by itself");
        let minute = at.num_seconds_from_midnight() / 60;
        let is_open = |from: u32, to: u32| match from < to {
            true => from <= minute && minute < to,
            false => from <= minute || minute < to,
        };
        let windows = &tier.promote.window;
        let open = windows.is_empty() || windows.iter().any(|w| is_open(w.from.into(), w.to.into()));
        assert!(open, "promise 20: {version} enters {name} outside its windows");
        let Some(soak) = tier.promote.soak else { return };
        let has_soaked = |before: &TierName| {
            let before = self.of.get(before).unwrap_or(&nothing);
            let now = before.current.as_ref().filter(|(current, _)| current == version);
            let now = now.map(|(_, since)| at - *since).unwrap_or_default();
            now.max(before.soaked.get(version).copied().unwrap_or_default()) >= soak.delta()
        };
        let enough = match tier.promote.require {
            _ if tier.after.is_empty() => true,
            Require::All => tier.after.iter().all(has_soaked),
            Require::Any => tier.after.iter().any(has_soaked),
        };
        assert!(enough, "promise 20: {version} enters {name} without its soak");
    }

    /// What must be so once nothing follows any more.
    pub(crate) fn judge_end(&self, now: Time) {
        let tiers = self.in_force.iter().flat_map(|definition| &definition.tiers);
        for (tier, door) in tiers.filter_map(|tier| Some((tier, self.of.get(&tier.name)?))) {
            for word in door.words.values().flatten() {
                let rule = tier.promote.confirm.as_ref().expect("promise 18: a word for nothing");
                assert!(
                    counts(tier, rule, word, now),
                    "promise 18: the word of {} is void for ever",
                    word.by
                );
            }
        }
    }
}

fn lapses(rule: &Confirm, word: &Word) -> Option<Time> {
    rule.expires.map(|expires| word.at + expires.delta())
}

fn counts(tier: &Tier, rule: &Confirm, word: &Word, now: Time) -> bool {
    word.under == *tier && lapses(rule, word).is_none_or(|lapsed| now < lapsed)
}

impl Door {
    fn note(&mut self, event: &Event, at: Time) {
        match event {
            Event::PromoteBlocked { version, blockers, stepped_back, .. } => {
                let said = self.said.insert(version.clone(), blockers.clone()).unwrap_or_default();
                let is_same = is_same(&said, blockers) && !stepped_back;
                assert!(!is_same, "promise 21: {blockers:?} of {version} again");
            }
            Event::PromoteComplete { version, .. } => {
                self.over(version);
                self.becomes_current(version, at);
            }
            Event::PromoteFailed { version, .. } | Event::Superseded { version, .. } => self.over(version),
            Event::Rollback { from, to, .. }
                if self.current.as_ref().is_some_and(|(current, _)| current == from) =>
            {
                self.becomes_current(to, at);
                self.over(from);
            }
            Event::ManualAction { action: Action::Promote, version: Some(version), lift, .. } => {
                self.promoted.insert(version.clone(), *lift);
            }
            Event::ManualAction { action: Action::Retry, version: Some(version), .. } => {
                self.said.remove(version);
            }
            Event::ManualAction { action: Action::Adopt, version: Some(version), pending: false, .. } => {
                self.over(version);
                self.becomes_current(version, at);
            }
            _ => {}
        }
    }

    /// It is through, or out: what was said of it and for it goes.
    fn over(&mut self, version: &VersionLabel) {
        self.words.remove(version);
        self.promoted.remove(version);
        self.said.remove(version);
    }

    fn forget(&mut self, version: &VersionLabel) {
        self.over(version);
        self.soaked.remove(version);
    }

    fn becomes_current(&mut self, version: &VersionLabel, at: Time) {
        if let Some((left, since)) = self.current.replace((version.clone(), at)) {
            let soaked = self.soaked.entry(left).or_default();
            *soaked = (*soaked).max(at - since);
        }
    }
}

fn is_same(some: &[Blocker], other: &[Blocker]) -> bool {
    let bare = |blockers: &[Blocker]| {
        let mut all: Vec<String> =
            blockers.iter().map(|blocker| format!("{:?}", blocker.without_times())).collect();
        all.sort();
        all
    };
    bare(some) == bare(other)
}
