//! What the screens offer to do is what the controller takes, and what they say cannot be done it refuses: for every verb
//! in every place, in states of simulated stories.

use crate::simulation::history;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use tidegate::domain::command::{Actor, Command, Deed};
use tidegate::domain::{
    Envelope, PipelineName, Rejection, Role, State, TierName, Time, VersionLabel, apply, decide,
};
use tidegate::server::view::{PipelineView, StateView, Versions};
use tidegate::tui::{Message, Palette, Request, Session, Verb, Want};

const VERBS: [(char, Verb); 9] = [
    ('c', Verb::Confirm),
    ('n', Verb::Deny),
    ('p', Verb::Promote),
    ('R', Verb::Rollback),
    ('H', Verb::Hold),
    ('U', Verb::Resume),
    ('t', Verb::Retry),
    ('X', Verb::Cancel),
    ('D', Verb::Redeploy),
];

/// Stories that are read; more by the environment.
fn seeds() -> u64 {
    std::env::var("TIDEGATE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(6)
}

/// States of each that are looked at.
const MOMENTS: usize = 12;

fn key(session: &mut Session, code: KeyCode, now: Time) {
    session.input(&Input::Key(KeyEvent::new(code, KeyModifiers::NONE)), now);
    let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: 80, height: 24 });
    session.draw(&mut buffer, now);
}

/// Somebody who has selected a place: a pipeline, and a tier of it if one is wanted.
fn at_place(view: &StateView, pipeline: usize, tier: Option<usize>, now: Time) -> Session {
    let palette = Palette { colour: false, unicode: true };
    let mut session = Session::live("here", palette, None);
    session.take(Message::State(Box::new(view.clone())), now);
    session.take(Message::Back, now);
    session.take(Message::Past(Vec::new(), true), now);
    let most = view.pipelines.iter().map(|p| p.tiers.len()).max().unwrap_or(0);
    let ways = [(KeyCode::Char('s'), 1), (KeyCode::Home, 1), (KeyCode::Down, pipeline)];
    let ways = ways.into_iter().chain([(KeyCode::Left, most + 1)]);
    let ways = ways.chain([(KeyCode::Right, tier.map_or(0, |tier| tier + 1))]);
    ways.for_each(|(code, times)| (0..times).for_each(|_| key(&mut session, code, now)));
    session
}

/// Everything that is offered by a verb here.
fn offered(session: &mut Session, verb: char, now: Time) -> Vec<Request> {
    let mut all: Vec<Request> = Vec::new();
    for down in 0..12 {
        key(session, KeyCode::Char(verb), now);
        (0..down).for_each(|_| key(session, KeyCode::Down, now));
        key(session, KeyCode::Char('x'), now);
        key(session, KeyCode::Enter, now);
        let wants = session.wants(now);
        let sent = wants.into_iter().find_map(|want| match want {
            Want::Act(request) => Some(request),
            _ => None,
        });
        key(session, KeyCode::Esc, now);
        match sent {
            Some(request) if !all.contains(&request) => all.push(request),
            _ => break,
        }
    }
    all
}

fn deed(request: &Request) -> Deed {
    let version = request.fields.version.clone();
    let named = || request.fields.version.clone().expect("a version");
    let tier = request.tier.clone();
    let placed = || request.tier.clone().expect("a tier");
    match request.verb {
        Verb::Confirm => Deed::Confirm { tier: placed(), version: named() },
        Verb::Deny => Deed::Deny { tier: placed(), version: named() },
        Verb::Promote => Deed::Promote { tier: placed(), version: named(), lift: request.fields.lift },
        Verb::Rollback => Deed::Rollback { tier: placed(), to: None, from: version },
        Verb::Hold => Deed::Hold { tier },
        Verb::Resume => Deed::Resume { tier },
        Verb::Retry => Deed::Retry { tier: placed(), version },
        Verb::Cancel => Deed::Cancel { tier, version },
        Verb::Redeploy => Deed::Redeploy { tier: placed(), node: None, version },
    }
}

/// What somebody would do who names nothing; none: the verb needs a version.
fn bare(verb: Verb, tier: Option<&TierName>) -> Option<Deed> {
    let tier = tier.cloned();
    Some(match (verb, tier) {
        (Verb::Hold, tier) => Deed::Hold { tier },
        (Verb::Resume, tier) => Deed::Resume { tier },
        (Verb::Cancel, tier) => Deed::Cancel { tier, version: None },
        (Verb::Rollback, Some(tier)) => Deed::Rollback { tier, to: None, from: None },
        (Verb::Redeploy, Some(tier)) => Deed::Redeploy { tier, node: None, version: None },
        (Verb::Retry, Some(tier)) => Deed::Retry { tier, version: None },
        _ => return None,
    })
}

/// Whether it leads to anything.
fn comes_to(state: &State, pipeline: &PipelineName, deed: Deed, now: Time) -> Result<bool, Rejection> {
    let actor = Actor {
        name: "nobody in the story".into(),
        role: Role::Admin,
        email: Some("nobody@example.org".into()),
    };
    let why = Some("x".into());
    let command = Command::ByHand { actor, why, pipeline: pipeline.clone(), deed };
    decide(state, &command, now).map(|decision| !decision.facts.is_empty())
}

fn rejected_here(p: &PipelineView, tier: &TierName) -> Vec<VersionLabel> {
    use tidegate::server::view::StandingView;
    let is = |standing: Option<&StandingView>| matches!(standing, Some(StandingView::Rejected { .. }));
    p.versions.iter().filter(|one| is(one.tiers.get(tier))).map(|one| one.version.clone()).collect()
}

#[test]
fn what_is_offered_is_taken_and_what_cannot_be_done_is_refused() {
    let mut taken = std::collections::BTreeMap::new();
    for seed in 0..seeds() {
        let lines = history(seed);
        let events: Vec<Envelope> = lines.iter().map(|line| tidegate::wire::decode(line).unwrap()).collect();
        let every = (events.len() / MOMENTS).max(1);
        let (mut state, mut since) = (State::default(), 0);
        for (count, event) in events.iter().enumerate() {
            apply(&mut state, event);
            since += 1;
            // Between two facts of one moment nobody is shown anything.
            if since < every || events.get(count + 1).is_some_and(|next| next.at == event.at) {
                continue;
            }
            since = 0;
            let now = event.at;
            let view = StateView::of(&state, now, Versions { limit: 1_000, before: None }, None);
            for (row, p) in view.pipelines.iter().enumerate() {
                let places = [None].into_iter().chain((0..p.tiers.len()).map(Some));
                for place in places.filter(|place| place.is_none_or(|tier| !p.tiers[tier].removed)) {
                    let tier = place.map(|tier| &p.tiers[tier].name);
                    let mut session = at_place(&view, row, place, now);
                    for (key, verb) in VERBS {
                        let what = format!("seed {seed}, event {}: {verb:?} {}/{tier:?}", event.id, p.name);
                        let all = offered(&mut session, key, now);
                        for request in &all {
                            assert_eq!((&request.pipeline, request.tier.as_ref()), (&p.name, tier), "{what}");
                            let came = comes_to(&state, &p.name, deed(request), now);
                            // It may be so already: ended, and not over yet.
                            assert!(came.is_ok(), "{what}: offered, but {came:?}: {request:?}");
                            *taken.entry(verb.name()).or_insert(0) += 1;
                        }
                        if let (true, Some(deed)) =
                            (all.is_empty() && p.definition.is_some(), bare(verb, tier))
                        {
                            let came = comes_to(&state, &p.name, deed, now);
                            assert_ne!(came, Ok(true), "{what}: not offered");
                        }
                        // Each rejected version that may wait again is offered, whatever else goes on.
                        for version in
                            tier.filter(|_| verb == Verb::Retry).map_or(vec![], |tier| rejected_here(p, tier))
                        {
                            let deed =
                                Deed::Retry { tier: tier.unwrap().clone(), version: Some(version.clone()) };
                            let can = comes_to(&state, &p.name, deed, now) == Ok(true);
                            let is =
                                all.iter().any(|request| request.fields.version.as_ref() == Some(&version));
                            assert!(
                                can == is || all.len() == 12,
                                "{what}: {version} can: {can}, offered: {is}"
                            );
                        }
                    }
                }
            }
        }
    }
    // Nearly every verb was tried for good; few stories have something to be tried again.
    assert!(taken.len() + 2 >= VERBS.len(), "{taken:?}");
}
