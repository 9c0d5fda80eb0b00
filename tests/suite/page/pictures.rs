//! The pictures of the documentation, made of the real page: `TIDEGATE_PICTURES=docs/pictures` writes them anew. Without
//! it the same is drawn and thrown away, so that what makes them does not rot.

use super::{Browser, sign_in, url};
use crate::whole::world::World;
use serde_json::{Value, json};
use std::path::PathBuf;
use tidegate::settings::unbase64;

const COMMON: &str = "[source]\nrepo = $REPO\nrefs = [\"main\"]\n[build]\nartifacts = [\"out/**\"]\n\
    [[build.step]]\nname = \"compile\"\nrun = \"sh build.sh\"\n";

/// Name and what comes after the build.
const OTHERS: &[(&str, &str)] = &[
    (
        "billing",
        "[[tier]]\nname = \"staging\"\n[[tier]]\nname = \"prod\"\nafter = [\"staging\"]\n[tier.promote]\nsoak = \"24h\"\n",
    ),
    (
        "newsletter",
        "[[tier]]\nname = \"prod\"\n[tier.promote]\n\
         freeze = [{ from = 2026-01-01T00:00:00Z, to = $SOON, why = \"the list is being moved\" }]\n",
    ),
    (
        "search",
        "[[tier]]\nname = \"prod\"\n[[tier.node]]\nname = \"s1\"\n[[tier.node]]\nname = \"s2\"\n\
         [tier.deploy]\nrun = \"test $TIDEGATE_NODE = s1 || test $TIDEGATE_VERSION = 1.4.0\"\n",
    ),
];

const SHOP: &str = r#"
description = "The web shop and its checkout"
[source]
repo = $REPO
refs = ["main"]
[build]
artifacts = ["out/**"]
[[build.step]]
name = "compile"
run = "sh build.sh"
[[tier]]
name = "test"
[[tier.gate]]
kind = "command"
name = "unit"
run = "echo 214 tests passed"
[[tier]]
name = "staging"
after = ["test"]
[[tier.node]]
name = "stage-1"
[tier.deploy]
run = "echo restarted"
[[tier.gate]]
kind = "command"
name = "end-to-end"
phase = "verify"
run = "echo fine"
[[tier]]
name = "load"
after = ["test"]
[[tier.gate]]
kind = "command"
name = "k6"
run = "echo 1200 requests a second"
[[tier]]
name = "prod"
after = ["staging", "load"]
[tier.promote]
confirm = { count = 2 }
[[tier.node]]
name = "a1"
[[tier.node]]
name = "a2"
[[tier.node]]
name = "a3"
[tier.deploy]
run = "echo restarted"
"#;

const BUILD: &str = "mkdir -p out; echo \"$TIDEGATE_VERSION\" > out/shop\n\
    printf '\\033[1;32m   Compiling\\033[0m shop v%s\\n' \"$TIDEGATE_VERSION\"\n\
    printf '\\033[1;33mwarning\\033[0m: unused variable `basket`\\n  \\033[1;34m-->\\033[0m src/checkout.rs:41:9\\n'\n\
    printf '\\033[1;32m    Finished\\033[0m release profile\\n'\n";

/// Waits until it happened in each pipeline and tier, in whatever order.
fn all_of(world: &mut World, kind: &str, places: &[(&str, &str)]) {
    let mut left = places.to_vec();
    while !left.is_empty() {
        let is_it = |event: &Value, (pipeline, tier): &(&str, &str)| {
            event["kind"] == kind
                && event["pipeline"] == *pipeline
                && event["tier"].as_str().unwrap_or_default() == *tier
        };
        let event = world
            .wait_for(&format!("{kind} of {left:?}"), |event| left.iter().any(|place| is_it(event, place)));
        left.retain(|place| !is_it(&event, place));
    }
}

fn save(browser: &Browser, name: &str) {
    let picture = browser.call("Page.captureScreenshot", json!({ "format": "png" }));
    let bytes = unbase64(picture["data"].as_str().expect("a picture")).expect("base64");
    assert!(bytes.starts_with(b"\x89PNG"));
    if let Some(folder) = std::env::var_os("TIDEGATE_PICTURES") {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{name}.png")), bytes).expect("written");
    }
}

#[test]
fn the_pictures_of_the_documentation_can_be_made() {
    let Some(browser) = Browser::open() else { return };
    let mut world = World::unborn(SHOP);
    for (name, tiers) in OTHERS {
        let soon = (chrono::Utc::now() + chrono::TimeDelta::days(9)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let text = world.filled(&format!("name = \"{name}\"\n{COMMON}{tiers}")).replace("$SOON", &soon);
        std::fs::write(world.path(&format!("pipelines/{name}.toml")), text).expect("written");
    }
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    all_of(
        &mut world,
        "pipeline_loaded",
        &[("shop", ""), ("billing", ""), ("newsletter", ""), ("search", "")],
    );
    world.push("1.4.0", &[("build.sh", BUILD)]);
    all_of(&mut world, "promote_complete", &[("shop", "load"), ("shop", "staging"), ("search", "prod")]);
    let bob = world.good(&["token", "create", "bob", "--role", "operator"]);
    browser.look_like(1200, 760, "light");
    browser.go(&url(&world, "/ui/pipelines/shop"));
    sign_in(&world, &browser, "ann", "operator");
    let confirmed = world
        .program()
        .args(["confirm", "shop", "prod", "--why", "seen on stage"])
        .env("TIDEGATE_TOKEN", bob.trim())
        .output();
    assert!(confirmed.expect("it runs").status.success());
    browser.reads("1 of 2 confirmations");
    save(&browser, "pipeline");
    world.good(&["confirm", "shop", "prod"]);
    world.wait("promote_complete", &[("pipeline", "shop"), ("tier", "prod")]);
    world.push("1.5.0", &[]);
    all_of(&mut world, "promote_complete", &[("shop", "load"), ("shop", "staging"), ("billing", "staging")]);
    browser.go(&url(&world, "/"));
    browser.until("document.querySelector('.row[aria-label=search]').textContent.includes('rejected')");
    save(&browser, "board");
    browser.look_like(1200, 760, "dark");
    browser.go(&url(&world, "/ui/pipelines/shop/versions/1.4.0"));
    browser.reads("confirmed");
    save(&browser, "version");
    browser.go(&url(&world, "/ui/runs/1"));
    browser.until("document.querySelector('.log-text .f2')");
    save(&browser, "log");
    browser.look_like(390, 760, "light");
    browser.go(&url(&world, "/ui/waiting"));
    browser.reads("0 of 2 confirmations");
    save(&browser, "phone");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
