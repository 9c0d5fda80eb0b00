//! What people do on the page, and what they see when the controller goes and comes back.

use super::{BUILD, Browser, opened, sign_in, url};
use crate::whole::world::World;

#[test]
fn a_word_is_given_with_a_reason_and_a_version_sent_back() {
    let Some((mut world, browser)) = opened() else { return };
    browser.go(&url(&world, "/ui/waiting"));
    sign_in(&world, &browser, "ann", "operator");
    browser.press("section.person", "Confirm …");
    browser.reads(
        "This will give your word for 1.0.0, 1 of 1. 1.0.0 enters shop / prod at once: its gates run first, \
         then it is deployed on 2 nodes (p1, p2)",
    );
    browser.reads("No version is current here yet.");
    browser.reads("Wave 1: p1; wave 2: p2.");
    browser.fill("#why", "seen on stage");
    browser.press("dialog", "Confirm 1.0.0");
    let word = world.wait("manual_confirm", &[("version", "1.0.0")]);
    assert_eq!((word["by"].as_str(), word["why"].as_str()), (Some("ann"), Some("seen on stage")));
    world.wait("promote_complete", &[("tier", "prod"), ("version", "1.0.0")]);
    browser.reads("Nothing waits for a person");

    world.push("2.0.0", &[BUILD]);
    world.wait("promote_complete", &[("tier", "stage"), ("version", "2.0.0")]);
    browser.go(&url(&world, "/ui/pipelines/shop"));
    browser.press("#tier-prod", "Confirm …");
    browser.reads("Since 1.0.0, which is current: 1 commit.");
    browser.reads("2.0.0 Version 2.0.0");
    browser.press("dialog", "Leave it");
    browser.press("#tier-stage", "Roll back …");
    browser.reads(
        "This will send shop / stage back from 2.0.0 to 1.0.0, on 1 node (s1). 2.0.0 is rejected here, and the \
         tier is held until resume.",
    );
    browser.fill("#why", "a slip");
    browser.press("dialog", "Roll back shop / stage");
    world.wait("rollback_complete", &[("tier", "stage")]);
    browser.until("document.getElementById('tier-stage').innerText.includes('Held by ann')");
    browser.press("#tier-stage", "Resume …");
    browser.press("dialog", "Resume shop / stage");
    let lifted = world.wait("hold_lifted", &[("tier", "stage")]);
    assert_eq!(lifted["by"], "ann");
    browser.go(&url(&world, "/ui/audit"));
    browser.reads("seen on stage");
    // Who rolled back said it once, and it stands there once.
    let rolled = "document.querySelector('main').innerText.match(/a slip/g)?.length";
    browser.until(&format!("{rolled} === 1"));
    // Nobody is signed in any more, and the controller says so.
    browser.press("#top", "ann · sign out");
    browser.until("document.querySelector('#top').innerText.includes('Sign in')");
    assert_eq!(browser.value("document.cookie"), "", "no script sees the cookie");
}

#[test]
fn whoever_is_not_signed_in_is_offered_to_and_asked_again_what_they_wanted() {
    let Some((world, browser)) = opened() else { return };
    browser.go(&url(&world, "/ui/pipelines/shop"));
    let confirm = "document.querySelector('#tier-prod button[data-verb=confirm]')";
    browser.until(confirm);
    assert_eq!(browser.value(&format!("{confirm}.classList.contains('main')")), false);
    browser.press("#tier-prod", "Confirm …");
    browser.reads("You are not signed in: it takes a token of the role operator.");
    browser.press("dialog", "Sign in …");
    // In words for this page, not for whoever writes programs.
    browser.fill("#token", "mistyped");
    browser.press("dialog", "Sign in");
    browser.reads("This token is not known here");
    assert_eq!(browser.value("document.body.innerText.includes('Authorization')"), false);
    let token = world.good(&["token", "create", "ann", "--role", "operator"]);
    browser.fill("#token", token.trim());
    browser.press("dialog", "Sign in");
    browser.reads("Signed with the token ann.");
    browser.reads("This will give your word for 1.0.0");
    browser.press("dialog", "Leave it");
    browser.until(&format!("{confirm}.classList.contains('main')"));
}

#[test]
fn what_the_role_does_not_allow_is_said_in_words() {
    let Some((world, browser)) = opened() else { return };
    for path in ["/ui/pipelines/shop", "/ui/waiting", "/ui/pipelines/shop/versions/1.0.0"] {
        browser.go(&url(&world, path));
        if path == "/ui/pipelines/shop" {
            sign_in(&world, &browser, "eve", "viewer");
            browser.until("document.querySelector('#tier-stage button[data-verb=hold]').disabled");
        }
        browser
            .reads("Your token eve has the role viewer: what is done by hand here takes the role operator.");
    }
}

/// A tier that a person opens, and one that always fails.
const BY_HAND: &str = r#"
[source]
repo = $REPO
refs = ["main"]
[[build.step]]
name = "compile"
run = "seq 1 200"
[[tier]]
name = "hand"
[tier.promote]
mode = "manual"
[[tier]]
name = "bad"
after = []
[[tier.gate]]
kind = "command"
name = "unit"
run = "seq 1 300; echo boom; exit 1"
"#;

/// What is said in the frame stays longer than it does for people: the machine may be slow.
fn keep_what_is_said(browser: &Browser) {
    browser.value(
        "window.setTimeout = ((really) => (what, after, ...more) =>
            really(what, after === 6000 ? 60000 : after, ...more))(setTimeout), 0",
    );
}

#[test]
fn what_waits_or_failed_has_what_helps_beside_it() {
    let Some(browser) = Browser::open() else { return };
    let mut world = World::new(BY_HAND);
    world.push("1.0.0", &[]);
    let failed = world.wait("promote_failed", &[("tier", "bad")]);
    let log =
        world.heard.iter().rfind(|event| event["kind"] == "gate_done").expect("a gate")["run_id"].clone();
    assert!(failed["cause"].as_str().expect("a cause").contains(&format!("(tidegate logs {log})")));
    browser.go(&url(&world, "/ui/waiting"));
    sign_in(&world, &browser, "ann", "operator");
    // The failure links to its log, on every page that shows it, and the log opens at its end.
    for path in ["/ui/pipelines/shop", "/ui/history", "/ui/pipelines/shop/versions/1.0.0", "/ui/waiting"] {
        browser.go(&url(&world, path));
        browser.until(&format!("document.querySelector('.line.bad a[href=\"/ui/runs/{log}\"], .event.bad a[href=\"/ui/runs/{log}\"]')"));
        assert_eq!(browser.value("document.body.innerText.includes('tidegate logs')"), false, "{path}");
    }
    browser.press("section.bad", &format!("log {log}"));
    browser.until(&super::logs::in_sight(301));
    browser.go(&url(&world, "/ui/waiting"));
    browser.press("section.bad", "Retry …");
    browser.reads("This will let 1.0.0 wait for shop / bad again; gates that passed are not run again.");
    browser.press("dialog", "Retry 1.0.0");
    world.wait("promote_failed", &[("tier", "bad")]);
    // What waits to be promoted by hand may be denied.
    keep_what_is_said(&browser);
    browser.press("section.person", "Deny …");
    browser.press("dialog", "Deny 1.0.0");
    world.wait("confirm_denied", &[("tier", "hand")]);
    // What was done is said in the frame, once, and covers nothing.
    browser.until("document.querySelectorAll('.toast').length === 1");
    let clear = "document.querySelector('.toast').getBoundingClientRect().bottom <= document.querySelector('main').getBoundingClientRect().top";
    browser.until(clear);
    // What is held is resumed from there.
    world.good(&["hold", "shop", "hand"]);
    browser.press("section.tier", "Resume …");
    browser.press("dialog", "Resume shop / hand");
    world.wait("hold_lifted", &[("tier", "hand")]);
    browser.go(&url(&world, "/ui/pipelines/shop"));
    keep_what_is_said(&browser);
    browser.press("main", "Rebuild …");
    browser.press("dialog", "Rebuild shop");
    let asked = world.wait("rebuild_requested", &[("by", "ann")]);
    assert_eq!(asked["pipeline"], "shop");
    browser.reads("Rebuild shop: it is asked for.");
}

#[test]
fn the_picture_says_when_it_is_cut_off_and_misses_nothing() {
    let Some((mut world, browser)) = opened() else { return };
    browser.go(&url(&world, "/ui/history"));
    browser.until("document.querySelector('.pill.good')");
    world.kill();
    browser.reads("cut off, as of");
    browser.until("document.getElementById('favicon').href.endsWith('/cut.svg')");
    world.start();
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "stage"), ("version", "1.1.0")]);
    browser.until("document.querySelector('.pill.good')");
    browser.reads("The controller started");
    browser.until("[...document.querySelectorAll('.event')].some((one) => one.innerText.includes('1.1.0') && one.innerText.includes('passed and is current'))");
    // Each event once, in its order.
    let ids = "[...document.querySelectorAll('.event')].map((one) => Number(one.id.slice(6)))";
    let ids: Vec<u64> = serde_json::from_value(browser.value(ids)).expect("numbers");
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    // Trouble stands in the title.
    std::fs::write(world.path("place/bad-2.0.0"), "").expect("written");
    world.push("2.0.0", &[]);
    world.wait("promote_failed", &[("version", "2.0.0")]);
    browser.until(
        "document.title.startsWith('(1) ') && document.getElementById('favicon').href.endsWith('/bad.svg')",
    );
}

#[test]
fn pages_that_were_opened_while_the_controller_was_down_heal() {
    let Some((mut world, browser)) = opened() else { return };
    for (word, comes) in [("History", "passed and is current"), ("Measures", "Lead time for changes")] {
        browser.go(&url(&world, "/"));
        browser.until("document.querySelector('.pill.good')");
        world.kill();
        browser.press("#top", word);
        browser.reads("The controller does not answer");
        for other in ["Nothing fits.", "Older ones", "Nothing has happened yet."] {
            assert_eq!(
                browser.value(&format!("document.body.innerText.includes('{other}')")),
                false,
                "{other}"
            );
        }
        world.start();
        browser.reads(comes);
        assert_eq!(browser.value("document.body.innerText.includes('does not answer')"), false);
    }
    browser.go(&url(&world, "/ui/pipelines/shop"));
    browser.until("document.querySelector('.pill.good')");
    world.kill();
    browser.press("#tier-prod, #tier-stage", "compare with test");
    browser.reads("The controller does not answer");
    world.start();
    browser.reads("Both have the same commit.");
}

#[test]
fn a_page_that_is_looked_at_tries_again_every_few_seconds() {
    let Some((mut world, browser)) = opened() else { return };
    browser.go(&url(&world, "/"));
    browser.until("document.querySelector('.pill.good')");
    browser.value(
        "window.tries = []; window.really = fetch; window.fetch = (path, ...rest) => {
            if (String(path).startsWith('/api/state')) tries.push(performance.now());
            return really(path, ...rest);
        }; 0",
    );
    world.kill();
    browser.until("tries.length >= 7");
    // One in the middle: a slow machine may be late once, and a pause that grows is late each time.
    let pauses = "tries.slice(1).map((at, place) => at - tries[place]).sort((a, b) => a - b)";
    let middle = browser.value(&format!("{pauses}[3]"));
    assert!(middle.as_f64().expect("a time") < 3_000.0, "{middle} ms between two tries");
}

#[test]
fn a_file_that_is_refused_shows_the_line_and_what_is_meant_of_it() {
    let Some((mut world, browser)) = opened() else { return };
    let bad = "confirm = { count = 1 }\nmode = \"<b>\u{1f600} hand</b>\"  # by hand";
    world.edit(&super::SHOP.replace("confirm = { count = 1 }", bad));
    world.wait("pipeline_rejected", &[]);
    let text = world.get("/api/pipelines/shop")["pipeline"]["rejected"][0]["diagnostics"][0]["text"].clone();
    assert_eq!(text, "mode = \"<b>\u{1f600} hand</b>\"  # by hand");
    browser.go(&url(&world, "/ui/definitions/shop"));
    let meant = "document.querySelector('.meant')";
    browser.until(&format!("{meant}.textContent === {text}"));
    assert_eq!(
        browser.value(&format!("{meant}.querySelector('mark').textContent")),
        "\"<b>\u{1f600} hand</b>\""
    );
    assert_eq!(browser.value(&format!("{meant}.querySelectorAll('b').length")), 0, "text stays text");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_button_for_colours_says_which_there_are_and_which_come_next() {
    let Some((world, browser)) = opened() else { return };
    browser.go(&url(&world, "/"));
    let button = "document.querySelector('[data-do=theme]')";
    for (now, next) in [("system", "light"), ("light", "dark"), ("dark", "system")] {
        browser.until(&format!("{button}.innerText === 'Theme: {now}'"));
        assert_eq!(browser.value(&format!("{button}.title.includes('press for')")), true);
        assert_eq!(
            browser.value(&format!("{button}.title.split('press for')[1].includes('{next}')")),
            true,
            "{now}"
        );
        browser.press("#top", &format!("Theme: {now}"));
    }
    browser.until(&format!("{button}.innerText === 'Theme: system'"));
}
