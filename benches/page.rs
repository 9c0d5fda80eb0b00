//! The web page in a real Chromium: when a board of 200 pipelines is painted and live, what it weighs, what it keeps in
//! memory of a million events, and what 50 open pages cost the controller. Without a Chromium nothing is measured.
//!
//! `cargo bench --bench page`; names (`board`, `memory`, `pages`) choose parts.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

#[path = "../tests/suite/page/browser.rs"]
#[expect(dead_code, clippy::print_stderr, reason = "the tests' own browser, of which a part is needed here")]
mod browser;
mod figures;
#[path = "controller/process.rs"]
#[expect(dead_code, reason = "the other bench's own controller, of which a part is needed here")]
mod process;

use browser::Browser;
use figures::{is_quick, row};
use process::{Controller, git, tidegate, wait};
use serde_json::json;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

const PIPELINES: usize = 200;
const PAGES: usize = 50;
const TURNS: usize = 9;
/// What one step may say through `$TIDEGATE_EVENTS`.
const EVENTS_A_STEP: usize = 250_000;

const PIPELINE: &str = "
[source]
repo = \"shop.git\"
refs = [\"main\"]

[[build.step]]
name = \"talk\"
run = '''STEP'''

[[tier]]
name = \"test\"

[[tier]]
name = \"staging\"

[[tier]]
name = \"production\"
[tier.promote]
mode = \"manual\"
";

/// When rows are there and the stream is open, in milliseconds since the page was asked for.
const WATCH: &str = r"
    window.measured = new Promise((done) => (function look() {
        const rows = document.querySelectorAll('.row').length;
        const isLive = document.querySelector('#top')?.textContent.includes('live');
        if (rows && isLive) done([performance.now(), rows]); else requestAnimationFrame(look);
    })());";

/// Measures with a browser of its own.
type Part = fn(&Browser);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let parts: [(&str, Part); 3] = [("board", board), ("memory", memory), ("pages", pages)];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            let Some(browser) = Browser::open() else { return };
            part(&browser);
        }
    }
}

/// A controller with so many pipelines, of which `shop` is built from what is pushed.
fn controller(pipelines: usize, step: &str) -> Controller {
    let text = PIPELINE.replace("STEP", step);
    let controller = Controller::with(&text);
    let events = controller.listen();
    wait(&events, "pipeline_loaded");
    for number in 1..pipelines {
        let other = text.replace("[\"main\"]", "[\"never\"]");
        let file = controller.path().join(format!("pipelines/service-{number:03}.toml"));
        fs::write(file, format!("name = \"service-{number:03}\"\n{other}")).unwrap();
    }
    (1..pipelines).for_each(|_| wait(&events, "pipeline_loaded"));
    git(controller.path(), &["clone", "-q", "shop.git", "work"]);
    let work = controller.path().join("work");
    git(&work, &["commit", "-q", "--allow-empty", "-m", "One"]);
    git(&work, &["push", "-q", "origin", "HEAD:main"]);
    controller
}

fn build(controller: &Controller) {
    let mut rebuild = tidegate(controller.path());
    rebuild.args(["rebuild", "shop"]).env("TIDEGATE_URL", format!("http://{}", controller.address));
    assert!(rebuild.stderr(Stdio::null()).status().unwrap().success());
}

fn board(browser: &Browser) {
    let controller = controller(PIPELINES, "true");
    browser.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH }));
    let url = format!("http://{}/", controller.address);
    let (mut painted, mut live, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        browser.call("Network.clearBrowserCache", json!({}));
        browser.bytes();
        browser.call("Page.navigate", json!({ "url": url }));
        browser.until("window.measured");
        let measured = browser.value("window.measured");
        assert_eq!(measured[1], PIPELINES, "rows");
        live.push(measured[0].as_f64().unwrap());
        let paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
        browser.until(paint);
        painted.push(browser.value(paint).as_f64().unwrap());
        weights.push(browser.bytes() as f64 / 1_024.0);
    }
    let what = format!("page: board of {PIPELINES} pipelines");
    row(&format!("{what}: first paint"), "ms", median(painted), None, "≤ 500 ms");
    row(&format!("{what}: every pipeline drawn, and live"), "ms", median(live), None, "≤ 1000 ms");
    row(&format!("{what}: what came, uncompressed"), "KiB", median(weights), None, "");
    let assets = "performance.getEntriesByType('resource').filter((one) => one.name.includes('/assets/'))
        .reduce((sum, one) => sum + one.decodedBodySize, 0) / 1024";
    row(
        "page: scripts, styles and signs, uncompressed",
        "KiB",
        browser.value(assets).as_f64().unwrap(),
        None,
        "≤ 160 KiB",
    );
}

fn memory(browser: &Browser) {
    let steps = if is_quick() { 1 } else { 4 };
    let say = format!(
        "yes '{{\"kind\":\"progress\",\"percent\":1}}' | head -n {EVENTS_A_STEP} >> \"$TIDEGATE_EVENTS\""
    );
    let controller = controller(1, &say);
    let events = controller.listen();
    browser.go(&format!("http://{}/", controller.address));
    let heap = || {
        browser.call("HeapProfiler.collectGarbage", json!({}));
        browser.call("Runtime.getHeapUsage", json!({}))["usedSize"].as_f64().unwrap() / f64::from(1 << 20)
    };
    // The first build brings what every later one shows.
    build(&controller);
    wait(&events, "build_ok");
    browser.until(
        "document.querySelector('.row')?.textContent.includes('manual') || document.querySelector('.cell')",
    );
    let before = heap();
    for turn in 0..steps {
        git(
            &controller.path().join("work"),
            &["commit", "-q", "--allow-empty", "-m", &format!("Turn {turn}")],
        );
        git(&controller.path().join("work"), &["push", "-q", "origin", "HEAD:main"]);
        build(&controller);
        wait(&events, "build_ok");
    }
    // What is on its way to the page is there after a moment.
    std::thread::sleep(Duration::from_secs(3));
    let what = format!("page: {} events while the board is open, growth of its heap", steps * EVENTS_A_STEP);
    row(&what, "MiB", heap() - before, None, "≤ 2 MiB");
}

fn pages(browser: &Browser) {
    let controller = controller(
        PIPELINES,
        "for n in $(seq 100); do echo \"{\\\"kind\\\":\\\"progress\\\",\\\"percent\\\":$n}\" >> $TIDEGATE_EVENTS; sleep 0.1; done",
    );
    let events = controller.listen();
    browser.go(&format!("http://{}/", controller.address));
    let open = format!("for (let n = 1; n < {PAGES}; n++) window.open('/')");
    browser.call("Runtime.evaluate", json!({ "expression": open, "userGesture": true }));
    until_calm(&controller);
    let span = Duration::from_secs(if is_quick() { 5 } else { 15 });
    let cost = |run: &dyn Fn()| {
        let before = controller.processor();
        run();
        (controller.processor() - before).as_secs_f64() * 1_000.0
    };
    let idle = cost(&|| std::thread::sleep(span)) / span.as_secs_f64();
    row(&format!("page: {PAGES} open, nothing happens: processor time a second"), "ms", idle, None, "≤ 1 ms");
    let begin = std::time::Instant::now();
    let busy = cost(&|| {
        build(&controller);
        wait(&events, "build_ok");
    });
    let busy = busy / begin.elapsed().as_secs_f64();
    row(
        &format!("page: {PAGES} open, ten events a second: processor time a second"),
        "ms",
        busy,
        None,
        "≤ 100 ms",
    );
}

/// Until the controller has nothing to do any more: all pages have what they asked for.
fn until_calm(controller: &Controller) {
    let mut calm = 0;
    let mut before = controller.processor();
    while calm < 3 {
        std::thread::sleep(Duration::from_secs(1));
        let now = controller.processor();
        calm = if now == before { calm + 1 } else { 0 };
        before = now;
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
