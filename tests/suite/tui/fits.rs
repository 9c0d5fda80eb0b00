//! What is offered fits what is selected and who looks: the keys of the last line, the log and the version that they open,
//! deeds that a role does not allow, files that are refused.

use super::drawn::{busy, drawn, press, session, text};
use crate::rules::world::*;
use tidegate::domain::diagnostic::{Diagnostic, Severity};
use tidegate::domain::*;
use tidegate::server::WhoView;
use tidegate::tui::{Message, Session};

fn seen(session: &mut Session, w: &World) -> String {
    text(&drawn(session, w, (100, 24)))
}

/// The last line.
fn keys(session: &mut Session, w: &World) -> String {
    text(&drawn(session, w, (200, 24))).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn the_last_line_names_what_does_something() {
    let mut w = World::with(shop([tier("host"), tier("staging").confirmed_by(1), tier("prod").manual()]));
    let mut session = session(&w, false);
    let none = keys(&mut session, &w);
    for word in ["o log", "v way", "c confirm", "p promote", "R rollback", "t retry"] {
        assert!(!none.contains(word), "{word}: {none}");
    }
    w.push("c1");
    super::drawn::show(&mut session, &w);
    press(&mut session, &w, "←←←←→→");
    let staging = keys(&mut session, &w);
    assert!(staging.contains("c confirm") && staging.contains("n deny"), "{staging}");
    assert!(!staging.contains("p promote") && staging.contains("v way"), "{staging}");
    w.deed(Deed::Confirm { tier: "staging".into(), version: "1.0.1".into() }).unwrap();
    super::drawn::show(&mut session, &w);
    press(&mut session, &w, "→");
    let prod = keys(&mut session, &w);
    assert!(prod.contains("p promote") && !prod.contains("c confirm"), "{prod}");
    press(&mut session, &w, "←←");
    let host = keys(&mut session, &w);
    assert!(!host.contains("p promote") && !host.contains("c confirm"), "{host}");
    assert!(host.contains("H hold") && !host.contains("o log"), "{host}");
}

/// A tier called as builds are, with a version that passed, one that failed on its node, and the way back.
fn turned_away() -> World {
    let mut w = World::with(shop([tier("build").gate("tests").nodes(&["a"])]));
    w.push("c1");
    w.script("build/a", [Ends::Breaks(Failure::Activate)]);
    w.push("c2");
    w
}

#[test]
fn the_log_of_a_version_that_was_turned_away_is_the_one_that_failed() {
    let w = turned_away();
    w.saw(&["deploy_failed build a deploy 1.0.2", "deploy_ok build a rollback 1.0.1"]);
    let mut session = session(&w, false);
    press(&mut session, &w, "←←←→o");
    let log = seen(&mut session, &w);
    assert!(log.contains("✗ failed") && log.contains("1.0.2 build: deploy on a"), "{log}");
    // The pipeline's is the build's, though a tier is called so.
    press(&mut session, &w, "\u{1b}←←o");
    let log = seen(&mut session, &w);
    assert!(log.contains("1.0.2 build: compile"), "{log}");
}

#[test]
fn the_version_that_is_opened_is_the_one_that_the_cell_shows() {
    let mut w = turned_away();
    let mut session = session(&w, false);
    press(&mut session, &w, "←←←→v");
    assert!(seen(&mut session, &w).contains("shop 1.0.2: its way"), "the one that was turned away");
    w.load(shop([tier("build").gate("tests").nodes(&["a"]).manual()]));
    w.push("c3");
    super::drawn::show(&mut session, &w);
    press(&mut session, &w, "\u{1b}v");
    assert!(seen(&mut session, &w).contains("shop 1.0.3: its way"), "the one that waits");
    press(&mut session, &w, "2v");
    assert!(seen(&mut session, &w).contains("shop 1.0.3: its way"), "also where it waits");
}

fn who(name: Option<&str>, role: Option<Role>) -> Message {
    let at = moment("2026-11-25T10:00:00Z");
    let (name, release) = (name.map(str::to_owned), "1".into());
    let (pipelines, tiers) = (Vec::new(), Vec::new());
    Message::Who(Box::new(WhoView {
        name,
        role,
        email: None,
        pipelines,
        tiers,
        expires_at: None,
        session: false,
        release,
        at,
    }))
}

#[test]
fn what_a_role_does_not_allow_is_marked_before_a_reason_is_written() {
    let mut w = World::with(shop([tier("prod").manual()]));
    w.push("c1");
    let mut session = session(&w, false);
    press(&mut session, &w, "←←←→");
    session.take(who(Some("vera"), Some(Role::Viewer)), w.now);
    assert!(seen(&mut session, &w).lines().next().unwrap().contains("viewer vera"));
    press(&mut session, &w, "a");
    let menu = seen(&mut session, &w);
    assert!(menu.contains("promote   takes role operator; your token is of role viewer: vera"), "{menu}");
    press(&mut session, &w, "p");
    let asked = seen(&mut session, &w);
    assert!(asked.contains("✗ takes role operator; your token is of role viewer: vera"), "{asked}");
    session.take(who(Some("olaf"), Some(Role::Operator)), w.now);
    assert!(!seen(&mut session, &w).contains("takes role"));
    session.take(who(None, None), w.now);
    let asked = seen(&mut session, &w);
    assert!(asked.contains("takes a token of role operator; none is shown"), "{asked}");
    press(&mut session, &w, "\u{1b}?");
    assert!(seen(&mut session, &w).contains("You are nobody, without a token"));
}

#[test]
fn a_word_that_takes_an_admin_is_marked_for_an_operator() {
    let mut prod = tier("prod").confirmed_by(1);
    prod.promote.confirm.as_mut().expect("a rule").roles = [Role::Admin].into();
    let mut w = World::with(shop([prod]));
    w.push("c1");
    let mut session = session(&w, false);
    session.take(who(Some("olaf"), Some(Role::Operator)), w.now);
    press(&mut session, &w, "←←←→a");
    let menu = seen(&mut session, &w);
    assert!(menu.contains("confirm   takes role admin; your token is of role operator: olaf"), "{menu}");
    assert!(menu.contains("deny      reject 1.0.1 in it"), "{menu}");
}

#[test]
fn a_file_of_no_pipeline_is_a_row_with_all_its_problems() {
    let mut w = World::with(shop([tier("host")]));
    let bad = |line: u32, help: Option<&str>| Diagnostic {
        code: "TG-DEF-001".into(),
        severity: Severity::Error,
        file: "blog.toml".into(),
        line,
        column: 7,
        end_line: line,
        end_column: 9,
        message: format!("problem of line {line}"),
        help: help.map(str::to_owned),
        text: (line == 5).then(|| "mode = \"by hand\"".to_owned()),
    };
    let diagnostics = (1..=5).map(|line| bad(line, (line == 5).then_some("write it otherwise"))).collect();
    w.tell(Command::Reject { file: "blog.toml".into(), diagnostics });
    let mut session = session(&w, false);
    let board = seen(&mut session, &w);
    assert!(board.contains("a file is refused, 5 problems; 2 shows it: blog.toml"), "{board}");
    press(&mut session, &w, "2");
    let waiting = seen(&mut session, &w);
    assert!(waiting.contains("✗ blog.toml  refused"), "{waiting}");
    assert!(waiting.contains("5 problems: line 1, column 7: problem of line 1"), "{waiting}");
    press(&mut session, &w, "\n");
    let file = seen(&mut session, &w);
    assert!(file.contains("mode = \"by hand\"\n         ^^\n"), "{file}");
    for line in 1..=5 {
        let wanted = format!("line {line}, column 7: problem of line {line} [TG-DEF-001]");
        assert!(file.contains(&wanted), "{wanted}: {file}");
    }
    assert!(file.contains("help: write it otherwise"), "{file}");
}

#[test]
fn all_of_a_deed_can_be_read_in_the_menu_however_long_the_names_are() {
    let w = busy();
    let mut session = session(&w, false);
    press(&mut session, &w, "/much-too-long\n→→a↓↓");
    let menu = text(&drawn(&mut session, &w, (60, 16)));
    assert!(menu.contains("its gates run first"), "{menu}");
    assert!(menu.contains("promote   let it in: 1.0.6 enters it at once"), "{menu}");
}
