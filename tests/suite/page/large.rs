//! Logs and boards that are larger than anybody reads.

use super::{Browser, url};
use crate::whole::world::World;

const LOGGER: &str = r#"
[source]
repo = $REPO
refs = ["main"]
[[build.step]]
name = "talk"
run = "sh build.sh"
limits = { output = "200MiB" }
[[tier]]
name = "test"
"#;

#[test]
fn a_log_of_a_hundred_megabytes_is_looked_at_without_being_loaded() {
    let Some(browser) = Browser::open() else { return };
    let mut world = World::new(LOGGER);
    // 100 bytes a line.
    let build = "awk 'BEGIN { for (i = 1; i <= 1048576; i++) printf \"%-98d|\\n\", i; }'\n";
    world.push("1.0.0", &[("build.sh", build)]);
    world.wait("build_ok", &[]);
    browser.bytes();
    browser.go(&url(&world, "/ui/runs/1#L700000"));
    browser
        .until("[...document.querySelectorAll('.log-line')].some((one) => one.innerText.includes('700000'))");
    browser.until(
        "document.querySelector('.log-line.marked .log-text')?.textContent.trim().startsWith('700000 ')",
    );
    // To its end, and to what is looked for.
    browser.press(".log-bar", "End");
    browser.until(
        "[...document.querySelectorAll('.log-text')].some((one) => one.textContent.startsWith('1048576 '))",
    );
    browser.fill("#line", "12345");
    browser.until("document.querySelector('.log-line.marked .log-text')?.textContent.startsWith('12345 ')");
    browser.fill("#find", "654321");
    browser.until("document.querySelector('.log-line.marked .log-text')?.textContent.startsWith('654321 ')");
    let bytes = browser.bytes();
    assert!(bytes < 3_000_000, "{bytes} bytes came for a screen or two of 104,857,600");
    let lines = browser.value("document.querySelectorAll('.log-line').length");
    assert!(lines.as_u64().expect("a number") < 200, "{lines}");
}

#[test]
fn a_board_of_five_hundred_pipelines_is_there_and_stays_live() {
    let Some(browser) = Browser::open() else { return };
    let mut world = World::unborn(super::SHOP);
    let text = std::fs::read_to_string(world.path("pipelines/shop.toml")).expect("a pipeline");
    for number in 0..500 {
        let other = format!(
            "name = \"service-{number:03}\"\n{}",
            text.replace("refs = [\"main\"]", "refs = [\"never\"]")
        );
        std::fs::write(world.path(&format!("pipelines/service-{number:03}.toml")), other).expect("written");
    }
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[("pipeline", "service-499")]);
    browser.go(&url(&world, "/"));
    browser.until("document.querySelectorAll('.row').length === 501");
    world.push("1.0.0", &[super::BUILD]);
    browser.until("document.querySelector('.row[aria-label=shop]').textContent.includes('1.0.0')");
    browser.fill("#find", "service-04");
    browser.until("document.querySelectorAll('.row').length === 10");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
