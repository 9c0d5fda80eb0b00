//! Links to a line of a log.

use super::{Browser, url};
use crate::whole::world::World;
use serde_json::json;

const LOGGER: &str = r#"
[source]
repo = $REPO
refs = ["main"]
[[build.step]]
name = "talk"
run = "seq 1 60; while ! test -f $PLACE/go; do sleep 0.05; done; seq 61 400; while ! test -f $PLACE/end; do sleep 0.05; done"
[[tier]]
name = "test"
"#;

/// An expression that is true while a line of the log is in sight.
pub(super) fn in_sight(line: u32) -> String {
    format!(
        "(() => {{
            const box = document.querySelector('.log').getBoundingClientRect();
            const all = [...document.querySelectorAll('.log-line')];
            const one = all.find((one) => one.querySelector('.log-number').textContent === '{line}').getBoundingClientRect();
            return one.height > 0 && one.top >= box.top - 1 && one.bottom <= box.bottom + 1 && one.bottom <= innerHeight + 1;
        }})()"
    )
}

/// Opens an address as somebody does who was sent it.
fn open_fresh(browser: &Browser, url: &str) {
    browser.call("Page.navigate", json!({ "url": "about:blank" }));
    browser.until("location.href === 'about:blank'");
    browser.go(url);
}

#[test]
fn a_link_to_a_line_lands_there_each_time_and_stays_while_the_log_grows() {
    let Some(browser) = Browser::open() else { return };
    let mut world = World::new(LOGGER);
    std::fs::create_dir_all(world.path("place")).expect("a folder");
    world.push("1.0.0", &[]);
    world.wait("step_start", &[]);
    browser.look_like(1280, 900, "light");
    // The last line that is there, then one that is yet to come.
    open_fresh(&browser, &url(&world, "/ui/runs/1#L60"));
    browser.until(&in_sight(60));
    let later = Browser::open().expect("there was one before");
    later.look_like(1280, 900, "light");
    open_fresh(&later, &url(&world, "/ui/runs/1#L161"));
    later.until("document.querySelectorAll('.log-line').length > 0");
    std::fs::write(world.path("place/go"), "").expect("written");
    later.until(&in_sight(161));
    browser.until("document.querySelector('.log-bar').innerText.includes('400 lines')");
    assert_eq!(browser.value(&in_sight(60)), true, "it stays where it was asked for");
    // Without a line what goes on is followed.
    open_fresh(&browser, &url(&world, "/ui/runs/1"));
    browser.until(&in_sight(400));
    std::fs::write(world.path("place/end"), "").expect("written");
    world.wait("build_ok", &[]);
    for _ in 0..6 {
        open_fresh(&browser, &url(&world, "/ui/runs/1#L161"));
        browser.until(&in_sight(161));
    }
    // Beyond the end is at the end, and what went well is read from its beginning.
    open_fresh(&browser, &url(&world, "/ui/runs/1#L9000"));
    browser.until(&in_sight(400));
    open_fresh(&browser, &url(&world, "/ui/runs/1"));
    browser.until(&in_sight(1));
    open_fresh(&browser, &url(&world, "/ui/runs/999"));
    browser.reads("No run with this number is known");
    assert_eq!(browser.value("document.body.innerText.includes('run_id')"), false);
}
