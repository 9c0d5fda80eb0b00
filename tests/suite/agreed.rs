//! Whoever looks sees the same: `status`, `why`, the terminal's board and its replay, at every event of many histories,
//! agree with a fold of the journal. `tests/suite/page/agrees.rs` says the same of the page.
//!
//! `TIDEGATE_HISTORIES=N` plays N of them.

use crate::simulation::history;
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeSet;
use tidegate::domain::{Envelope, EventId, State, Time, apply};
use tidegate::server::WhyView;
use tidegate::server::view::{PipelineView, StateView, TierView, Versions};
use tidegate::tui::{Palette, Recording, Session};
use tidegate::words::{Clock, Sign, brief, overview};

/// Histories in an ordinary run.
const HISTORIES: u64 = 100;

/// How many are played.
pub(crate) fn histories(ordinary: u64) -> u64 {
    std::env::var("TIDEGATE_HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(ordinary)
}

/// What a fold of the journal shows after each event.
pub(crate) fn views(lines: &[String]) -> impl Iterator<Item = (State, StateView)> {
    let events: Vec<Envelope> = lines.iter().map(|line| tidegate::wire::decode(line).unwrap()).collect();
    events.into_iter().scan(State::default(), |state, event| {
        apply(state, &event);
        let view = StateView::of(state, event.at, Versions { limit: 30, before: None }, None);
        Some((state.clone(), view))
    })
}

#[test]
fn status_why_and_the_terminal_agree_with_the_journal_at_every_event() {
    let mut seen = BTreeSet::new();
    for seed in 0..histories(HISTORIES) {
        let lines = history(seed);
        let recording = Recording::read(lines.join("\n").as_bytes()).expect("a recording");
        let palette = Palette { colour: false, unicode: true };
        let mut session = Session::replay("story", recording, palette, 1.0, Some(EventId(1)), None);
        let here = chrono::DateTime::UNIX_EPOCH;
        // Stopped, so that no time passes; then an event at a time.
        step(&mut session, ' ', here);
        for (state, view) in views(&lines) {
            let place = format!("seed {seed}, event {}", state.last);
            if session.last() < state.last {
                step(&mut session, '.', here);
            }
            assert_eq!(session.state().as_ref(), Some(&view), "{place}");
            let said = overview::everything(&view, false);
            for p in view.pipelines.iter().filter(|p| p.definition.is_some()) {
                for tier in &p.tiers {
                    let of_tier = lines_of(&said, p, tier);
                    status_tells(&of_tier, tier, &place);
                    why_tells(&state, p, tier, view.at, &place);
                    seen.insert(board_tells(p, tier, view.at, &place));
                }
            }
        }
    }
    let all: BTreeSet<Sign> = Sign::ALL.iter().map(|(sign, _)| *sign).collect();
    assert_eq!(seen, all, "not every sign was seen: this test shows less than it says");
}

fn step(session: &mut Session, key: char, here: Time) {
    session.input(&Input::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE)), here);
}

/// What `status` says of a tier.
fn lines_of(said: &[String], p: &PipelineView, tier: &TierView) -> String {
    let of_pipeline = said.iter().skip_while(|line| !line.starts_with(&format!("{}  ", p.name))).skip(1);
    let of_pipeline = of_pipeline.take_while(|line| line.starts_with(' '));
    let begins = |line: &&String| line.starts_with(&format!("  {} ", tier.name));
    let mut of_tier = of_pipeline.skip_while(|line| !begins(line));
    let first = of_tier.next().unwrap_or_else(|| panic!("nothing of {}: {said:#?}", tier.name)).clone();
    [first]
        .into_iter()
        .chain(of_tier.take_while(|line| line.starts_with("    ")).cloned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn status_tells(said: &str, tier: &TierView, place: &str) {
    let mut facts = vec![match &tier.current {
        Some(current) => format!("{}  {} ", tier.name, current.version),
        None => format!("{}  nothing yet", tier.name),
    }];
    facts.extend(tier.inside.iter().map(|inside| format!("inside: {} ", inside.version)));
    facts.extend(tier.going_back.iter().map(|back| format!("goes back from {} to {}: ", back.from, back.to)));
    facts.extend(tier.redeploy.iter().map(|redeploy| format!("redeploys {} ", redeploy.version)));
    facts.extend(tier.adopting.iter().map(|version| format!("adopts {version} ")));
    facts.extend(tier.hold.iter().map(|hold| format!("the tier is held by {}", hold.by)));
    facts.extend(tier.waiting.iter().map(|waiting| format!("waits: {} (", waiting.version)));
    for node in &tier.nodes {
        if node.rejected.is_some() {
            facts.push(format!("node {} still has ", node.name));
        } else if node.behind {
            facts.push(format!("node {} is behind: ", node.name));
        }
    }
    // Names stand in columns.
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for fact in facts {
        let fact = fact.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&fact), "{place}: `status` does not say `{fact}`: {said}");
    }
}

fn why_tells(state: &State, p: &PipelineView, tier: &TierView, now: Time, place: &str) {
    for waiting in &tier.waiting {
        let why = WhyView::of(state, &p.name, &tier.name, Some(&waiting.version), now).expect("it waits");
        let last = why.chain.last().expect("its own tier");
        assert_eq!(last.blockers, waiting.blockers, "{place}: {} {}", tier.name, waiting.version);
        assert_eq!(last.confirmations, waiting.confirmations, "{place}: {} {}", tier.name, waiting.version);
    }
    if let Some(inside) = &tier.inside {
        let why = WhyView::of(state, &p.name, &tier.name, Some(&inside.version), now).expect("it is inside");
        assert_eq!(why.chain.last().and_then(|last| last.inside.as_ref()), Some(inside), "{place}");
    }
}

fn board_tells(p: &PipelineView, tier: &TierView, now: Time, place: &str) -> Sign {
    let told = brief::tier(p, tier, &Clock::at(now));
    let there = tier.current.as_ref().map(|current| current.version.to_string()).unwrap_or_default();
    assert!(told.there.starts_with(&there), "{place}: {}", told.there);
    for node in tier.nodes.iter().filter(|node| node.behind) {
        let new = tier.inside.as_ref().map(|inside| &inside.version);
        assert!(new.is_none() || node.version.as_ref() != new, "{place}: {} has what is inside", node.name);
    }
    let moves = tier.inside.is_some() || tier.redeploy.is_some() || tier.adopting.is_some();
    match told.sign {
        Sign::Runs => assert!(moves, "{place}"),
        Sign::Fine | Sign::Nothing => {
            let quiet = !moves && tier.waiting.is_empty() && tier.hold.is_none() && tier.going_back.is_none();
            assert!(quiet && (told.sign == Sign::Fine) == tier.current.is_some(), "{place}");
        }
        Sign::Person | Sign::Held | Sign::Waits | Sign::Failed => assert!(!told.word.is_empty(), "{place}"),
    }
    told.sign
}
