//! The board where room is short: words stay whole, and what is not shown is counted.

use super::drawn::{drawn, press, session, text};
use crate::rules::world::*;
use tidegate::domain::Classification;
use tidegate::tui::{Palette, Session};

/// The line of the board on which a pipeline begins.
fn row(shown: &str, pipeline: &str) -> String {
    let begins = |line: &&str| line.trim_start_matches(['>', ' ']).starts_with(pipeline);
    shown.lines().find(begins).unwrap_or_else(|| panic!("{pipeline}: {shown}")).to_owned()
}

/// Six tiers: the fifth turned its version away, the last asks for a word once it gets there.
fn six() -> World {
    let names = ["host", "lint", "staging", "canary", "production-of-the-north", "south"];
    let chain = |(at, name): (usize, &&str)| tier(name).after(if at == 0 { &[] } else { &names[at - 1..at] });
    let mut tiers: Vec<_> = names.iter().enumerate().map(chain).collect();
    tiers[4] = tiers[4].clone().gate("tests");
    let mut w = World::with(shop(tiers));
    w.script("production-of-the-north/tests", [Ends::Is(Classification::CheckFailed)]);
    w.push("c1");
    w
}

#[test]
fn a_name_is_cut_before_the_word_of_its_state() {
    let mut w = World::with(shop([tier("production-of-the-north").gate("tests"), tier("b"), tier("c")]));
    w.script("production-of-the-north/tests", [Ends::Is(Classification::CheckFailed)]);
    w.push("c1");
    for width in [60, 80, 120, 200] {
        let mut session = session(&w, false);
        let shown = text(&drawn(&mut session, &w, (width, 24)));
        let line = row(&shown, "shop");
        assert!(line.contains("✗ rejected pr"), "{width}: {line}");
        assert!(width < 200 || line.contains("✗ rejected production-of-the-north"), "{width}: {line}");
    }
}

#[test]
fn tiers_that_are_not_shown_are_counted_and_the_worst_of_them_is_said() {
    let w = six();
    let mut session = session(&w, false);
    press(&mut session, &w, "←←←←←←←");
    let shown = text(&drawn(&mut session, &w, (60, 16)));
    let line = row(&shown, "shop");
    assert!(line.ends_with("✗ +4 ▸"), "{line}");
    press(&mut session, &w, "→→→→→→→→");
    let shown = text(&drawn(&mut session, &w, (60, 16)));
    let (line, below) = (row(&shown, "shop"), row(&shown, "✓ 1.0.1 built"));
    assert!(!line.contains('▸') && line.contains("south"), "{line}");
    assert!(below.ends_with("  ◂ 4"), "{below}");
    // Where all fit nothing is marked.
    let all = text(&drawn(&mut session, &w, (200, 24)));
    assert!(!all.contains('▸') && !all.contains('◂'), "{all}");
}

#[test]
fn in_ascii_the_mark_of_a_cut_is_no_sign() {
    let w = six();
    let mut session = Session::live("here", Palette { colour: false, unicode: false }, None);
    super::drawn::show(&mut session, &w);
    press(&mut session, &w, "←←←←←←←");
    let shown = text(&drawn(&mut session, &w, (60, 16)));
    assert!(row(&shown, "shop").ends_with("x +4 >"), "{shown}");
    press(&mut session, &w, "→→→→→");
    let shown = text(&drawn(&mut session, &w, (60, 16)));
    assert!(shown.contains("x rejected produ$"), "{shown}");
}
