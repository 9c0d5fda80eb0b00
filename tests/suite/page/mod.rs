//! The web page in a real browser, against the real controller.

mod acting;
mod agrees;
mod board;
pub(crate) mod browser;
mod hostile;
mod large;
mod logs;
mod pictures;
mod seen;

use crate::whole::world::World;
use browser::Browser;

/// A version that is built, two tiers that take it, one that wants two people's word and has nodes.
const SHOP: &str = r#"
description = "The web shop"
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
run = "echo fine"
[[tier]]
name = "stage"
after = ["test"]
[[tier.node]]
name = "s1"
[tier.deploy]
run = "test ! -f $PLACE/bad-$TIDEGATE_VERSION"
[[tier]]
name = "prod"
after = ["stage"]
[tier.promote]
confirm = { count = 1 }
[[tier.node]]
name = "p1"
[[tier.node]]
name = "p2"
[tier.deploy]
run = "true"
"#;

const BUILD: (&str, &str) = ("build.sh", "mkdir -p out; echo \"$TIDEGATE_VERSION\" > out/shop; echo built\n");

/// A controller with a version that waits for a word, and a browser; none where there is no Chromium.
fn opened() -> Option<(World, Browser)> {
    let browser = Browser::open()?;
    let mut world = World::new(SHOP);
    std::fs::create_dir_all(world.path("place")).expect("a folder");
    world.push("1.0.0", &[BUILD]);
    world.wait("promote_complete", &[("tier", "stage"), ("version", "1.0.0")]);
    Some((world, browser))
}

fn url(world: &World, path: &str) -> String {
    format!("http://{}{path}", world.address)
}

/// Signs in with a token of that role.
fn sign_in(world: &World, browser: &Browser, name: &str, role: &str) {
    let token = world.good(&["token", "create", name, "--role", role]);
    browser.press("#top", "Sign in");
    browser.fill("#token", token.trim());
    browser.press("dialog", "Sign in");
    browser.reads(&format!("{name} · sign out"));
}
