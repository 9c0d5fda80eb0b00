//! The page's board comes to the same as the terminal's, in many histories.

use super::{opened, url};
use crate::agreed::{histories, views};
use crate::simulation::history;
use serde_json::json;
use tidegate::server::view::{PipelineView, StateView};
use tidegate::words::{Clock, Sign, brief};

/// Histories in an ordinary run.
const HISTORIES: u64 = 40;

/// Points of each.
const POINTS: usize = 10;

/// What the page makes of states: of each tier of each pipeline its tone, then that of the build, and at last what wants
/// attention most.
const LOOKS: &str = r"(async (states) => {
    const folder = document.querySelector('script[type=module]').src.replace(/[^/]*$/, '');
    const [{ look, buildLook, attention }, { whole }] = await Promise.all([import(folder + 'tiers.js'), import(folder + 'live.js')]);
    const tones = (p) => p.tiers.map((tier) => look(p, tier).tone).concat(buildLook(p)?.tone ?? '', attention(p));
    return states.map((state) => state.pipelines.map(whole).map(tones));
})";

#[test]
fn the_page_agrees_with_the_terminal() {
    let Some((world, browser)) = opened() else { return };
    browser.go(&url(&world, "/"));
    for seed in 0..histories(HISTORIES) {
        let lines = history(seed);
        let every = lines.len() / POINTS + 1;
        let views: Vec<StateView> = views(&lines).map(|(_, view)| view).step_by(every).collect();
        let shown = browser.value(&format!("{LOOKS}({})", json!(views)));
        for (view, shown) in views.iter().zip(shown.as_array().expect("a list")) {
            for (p, shown) in view.pipelines.iter().zip(shown.as_array().expect("a list")) {
                let (most, shown) = shown.as_array().and_then(|all| all.split_last()).expect("tones");
                let (shown, built) = shown.split_at(p.tiers.len());
                let place = || format!("seed {seed}, event {}: {}", view.id, json!(p));
                assert_eq!(shown, tones(view, p), "{}", place());
                assert_eq!(*most, tone(brief::attention(p, &Clock::at(view.at))), "{}", place());
                // What else the terminal says there, the page says in another place.
                if p.build.is_some() || (p.rejected.is_empty() && p.definition.is_some() && p.hold.is_none())
                {
                    assert_eq!(built, [build_tone(p)], "{}", place());
                }
            }
        }
    }
    assert_eq!(browser.complaints(), [""; 0] as [&str; 0]);
}

fn tones(view: &StateView, p: &PipelineView) -> Vec<String> {
    let clock = Clock::at(view.at);
    p.tiers.iter().map(|tier| tone(brief::tier(p, tier, &clock).sign)).collect()
}

fn build_tone(p: &PipelineView) -> String {
    let (sign, _) = brief::build(p);
    // That it is built is what the tiers say too.
    if matches!(sign, Sign::Fine | Sign::Nothing) { String::new() } else { tone(sign) }
}

fn tone(sign: Sign) -> String {
    let tone = match sign {
        Sign::Failed => "bad",
        Sign::Person => "person",
        Sign::Runs => "move",
        Sign::Held => "hold",
        Sign::Waits => "wait",
        Sign::Fine => "good",
        Sign::Nothing => "none",
    };
    tone.into()
}
