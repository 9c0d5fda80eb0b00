//! Every page, on a phone and on a desk, light and dark: drawn without a complaint, for everybody, and asking nobody else.

use super::{opened, url};
use serde_json::Value;

const PAGES: &[(&str, &str)] = &[
    ("/", "Board"),
    ("/ui/pipelines/shop", "Versions"),
    ("/ui/pipelines/shop/versions/1.0.0", "is built"),
    ("/ui/pipelines/shop/compare?from=prod&to=stage", "Compare tiers"),
    ("/ui/runs/1", "built"),
    ("/ui/waiting", "0 of 1 confirmations"),
    ("/ui/history", "passed and is current"),
    ("/ui/measures", "Lead time for changes"),
    ("/ui/definitions", "choose one"),
    ("/ui/definitions/shop", "kind = \"command\""),
    ("/ui/audit", "Everything that a person"),
    ("/ui/nowhere", "Nothing is here"),
];

/// The rules of WCAG 2.2 AA that a program can check.
const AXE: &str = "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    .then((found) => found.violations.map((one) => one.id + ': ' + one.help + ' ' + one.nodes.map((node) => node.html).join(' | ').slice(0, 500)))";

#[test]
fn every_page_is_for_everybody_and_asks_nobody_else() {
    let Some((world, browser)) = opened() else { return };
    let axe = std::env::var("TIDEGATE_AXE").ok().map(|path| std::fs::read_to_string(path).expect("axe"));
    if axe.is_none() {
        eprintln!("not tested here: TIDEGATE_AXE names no axe.min.js");
    }
    for (width, scheme) in [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")] {
        browser.look_like(width, 900, scheme);
        for (path, text) in PAGES {
            browser.go(&url(&world, path));
            browser.reads(text);
            let over = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(browser.value(over), 0, "{path} is wider than {width}");
            if let Some(axe) = &axe {
                browser.value(&format!("{axe}\n;0"));
                assert_eq!(browser.value(AXE), Value::Array(Vec::new()), "{path} at {width}, {scheme}");
            }
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{path}");
        }
    }
    let ours = format!("//{}/", world.address);
    let others =
        browser.requests().into_iter().filter(|one| !one.contains(&ours) && !one.starts_with("about:"));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn the_keyboard_is_enough() {
    let Some((world, browser)) = opened() else { return };
    browser.go(&url(&world, "/"));
    let key = |key: &str, code: &str| {
        let down = serde_json::json!({ "type": "keyDown", "key": key, "code": code, "text": if key.len() == 1 { key } else { "" } });
        browser.call("Input.dispatchKeyEvent", down);
        browser
            .call("Input.dispatchKeyEvent", serde_json::json!({ "type": "keyUp", "key": key, "code": code }));
    };
    // The search is a key away, and finds.
    key("/", "Slash");
    assert_eq!(browser.value("document.activeElement.id"), "find");
    browser.call("Input.insertText", serde_json::json!({ "text": "nothing like it" }));
    browser.reads("Nothing fits.");
    // What is focused keeps the focus while the picture changes.
    browser.fill("#find", "shop");
    browser.until("document.querySelectorAll('.row').length === 1");
    world.commit("1.0.1", &[]);
    world.git("work", &["push", "origin", "main"]);
    browser.until("document.querySelector('.row').innerText.includes('1.0.1')");
    assert_eq!(browser.value("document.activeElement.id + document.activeElement.value"), "findshop");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
