//! What people do on the page, and what they see when the controller goes and comes back.

use super::{BUILD, opened, sign_in, url};

#[test]
fn a_word_is_given_with_a_reason_and_a_version_sent_back() {
    let Some((mut world, browser)) = opened() else { return };
    browser.go(&url(&world, "/ui/waiting"));
    sign_in(&world, &browser, "ann", "operator");
    browser.press("section.person", "Confirm …");
    browser.reads("This gives your word that 1.0.0 may enter shop / prod (0 of 1 are there).");
    browser.fill("#why", "seen on stage");
    browser.press("dialog", "Confirm 1.0.0");
    let word = world.wait("manual_confirm", &[("version", "1.0.0")]);
    assert_eq!((word["by"].as_str(), word["why"].as_str()), (Some("ann"), Some("seen on stage")));
    world.wait("promote_complete", &[("tier", "prod"), ("version", "1.0.0")]);
    browser.reads("Nothing waits for a person");

    world.push("2.0.0", &[BUILD]);
    world.wait("promote_complete", &[("tier", "stage"), ("version", "2.0.0")]);
    browser.go(&url(&world, "/ui/pipelines/shop"));
    browser.press("#tier-stage", "Roll back …");
    browser.reads("This sends shop / stage back from 2.0.0 to 1.0.0 on 1 node.");
    browser.press("dialog", "Roll back shop / stage");
    world.wait("rollback_complete", &[("tier", "stage")]);
    browser.until("document.getElementById('tier-stage').innerText.includes('Held by ann')");
    browser.press("#tier-stage", "Resume …");
    browser.press("dialog", "Resume shop / stage");
    let lifted = world.wait("hold_lifted", &[("tier", "stage")]);
    assert_eq!(lifted["by"], "ann");
    browser.go(&url(&world, "/ui/audit"));
    browser.reads("seen on stage");
    // Nobody is signed in any more, and the controller says so.
    browser.press("#top", "ann · sign out");
    browser.until("document.querySelector('#top').innerText.includes('Sign in')");
    assert_eq!(browser.value("document.cookie"), "", "no script sees the cookie");
}

#[test]
fn what_the_role_does_not_allow_is_said_before_and_refused_in_the_controllers_words() {
    let Some((world, browser)) = opened() else { return };
    browser.go(&url(&world, "/ui/pipelines/shop"));
    // Without a token the dialog opens, and the controller refuses.
    browser.press("#tier-stage", "Hold …");
    browser.reads("You are not signed in");
    browser.press("dialog", "Hold shop / stage");
    browser.reads("TG-AUTH-001");
    browser.press("dialog", "Leave it");
    browser.until("!document.querySelector('dialog')");
    sign_in(&world, &browser, "eve", "viewer");
    browser.until("document.querySelector('#tier-stage button[data-verb=hold]').disabled");
    let why = browser.value("document.querySelector('#tier-stage button[data-verb=hold]').title");
    assert_eq!(why, "takes a token of the role operator");
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
