//! The board: what is chosen, in which order, and that everything fits.

use super::{Browser, url};
use crate::whole::world::World;

/// Longer than what a phone has room for.
const LONG: &str = "billing-and-invoices-of-the-whole-company-group";

const SHOP: &str = "[source]\nrepo = $REPO\nrefs = [\"main\"]\n[[build.step]]\nname = \"a\"\nrun = \"true\"\n\
    [[tier]]\nname = \"prod\"\n";

/// Several pipelines: one that failed, one that waits for a person, one that is held, one that is well.
fn board() -> Option<(World, Browser)> {
    let browser = Browser::open()?;
    let mut world = World::unborn(SHOP);
    let manual = "[tier.promote]\nmode = \"manual\"\n";
    let fails = "[[tier.gate]]\nkind = \"command\"\nname = \"unit\"\nrun = \"exit 1\"\n";
    for (name, more) in [(LONG, manual), ("held", ""), ("worse", fails)] {
        let text = format!("name = \"{name}\"\n{}{more}", world.filled(SHOP));
        std::fs::write(world.path(&format!("pipelines/{name}.toml")), text).expect("written");
    }
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[("pipeline", "worse")]);
    world.good(&["hold", "held", "prod"]);
    world.push("1.0.0-rc.1+a.label.that.is.longer.than.a.box", &[]);
    world.wait("promote_failed", &[("pipeline", "worse")]);
    Some((world, browser))
}

#[test]
fn it_is_sorted_counted_and_remembered_in_the_address() {
    let Some((world, browser)) = board() else { return };
    browser.go(&url(&world, "/"));
    browser.until("document.querySelector('.row[aria-label=shop]').innerText.includes('current')");
    browser.until("document.querySelector('.row[aria-label=held]').innerText.includes('held')");
    browser.until(&format!(
        "document.querySelector('.row[aria-label={LONG}]').innerText.includes('waits for a person')"
    ));
    let rows =
        "[...document.querySelectorAll('.row')].map((one) => one.getAttribute('aria-label')).join(' ')";
    assert_eq!(browser.value(rows), format!("worse {LONG} held shop"));
    let count = |name: &str| {
        browser.value(&format!("document.querySelector('[data-only={name}] .count').textContent"))
    };
    assert_eq!((count("trouble"), count("person"), count("motion")), ("1".into(), "1".into(), "0".into()));
    assert_eq!(browser.value("document.querySelector('#top .badge').textContent"), count("person"));
    browser.press("main", "Waits for a person 1");
    browser.fill("#find", "billing");
    browser.until("location.search === '?show=person&find=billing'");
    browser.call("Page.reload", serde_json::json!({}));
    browser.until(&format!("document.getElementById('find')?.value === 'billing' && {rows} === '{LONG}'"));
    browser.until("document.querySelector('[data-only=person]').getAttribute('aria-pressed') === 'true'");
}

#[test]
fn long_names_and_versions_fit() {
    let Some((world, browser)) = board() else { return };
    browser.look_like(390, 800, "light");
    for path in [
        "/",
        "/ui/history",
        "/ui/audit",
        "/ui/measures",
        "/ui/waiting",
        "/ui/definitions",
        "/ui/pipelines/shop",
    ] {
        browser.go(&url(&world, path));
        browser.until("document.querySelector('.pill.good')");
        browser.until("!document.querySelector('.loading')");
        let over = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.value(over), 0, "{path}");
        // What is for everybody is there for them too.
        let theme = "(() => { const box = document.querySelector('[data-do=theme]').getBoundingClientRect(); return box.width > 0 && box.right <= innerWidth; })()";
        assert_eq!(browser.value(theme), true, "{path}");
    }
    browser.until("document.querySelector('.graph')");
    let over = "[...document.querySelectorAll('.graph text')].filter((one) => one.getComputedTextLength() > 170).map((one) => one.textContent)";
    assert_eq!(browser.value(over), serde_json::json!([]));
    browser.until("[...document.querySelectorAll('.graph .box > title')].some((one) => one.textContent.includes('longer.than.a.box'))");
    browser.look_like(1280, 800, "light");
    let pressed = serde_json::json!({ "type": "keyDown", "key": "?", "code": "Slash", "text": "?" });
    browser.call("Input.dispatchKeyEvent", pressed);
    browser.reads("find: on the board, in a list, in a log");
    browser.press("dialog", "Close");
    browser.until("!document.querySelector('dialog')");
    // A file that loads nowhere is listed with the others.
    std::fs::write(world.path("pipelines/none.toml"), "name = \"none\"\n[source]\nrepo = 7\n")
        .expect("written");
    browser.go(&url(&world, "/ui/definitions/shop"));
    browser.press(".side-list", "none.toml refused");
    browser.reads("line 3, column 8: repo must be text, not a number");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
