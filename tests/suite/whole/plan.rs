//! `tidegate plan`: what an edit changes and what the next version would do, in words that stand in golden files here.
//! Look at a difference and run with `UPDATE_EXPECT=1` to take it over.

use super::SHOP;
use super::world::World;
use expect_test::expect;
use serde_json::Value;

/// Everything that a version may have to wait for, and nodes in waves.
const LONG: &str = r#"
name = "long"

[source]
repo = $REPO
refs = ["main"]

[build]
artifacts = ["out.txt"]

[[build.step]]
name = "fetch"
run = "true"

[[build.step]]
name = "left"
run = "true"
needs = ["fetch"]

[[build.step]]
name = "right"
run = "true"
needs = ["fetch"]

[[build.step]]
name = "join"
run = "cp VERSION out.txt"
needs = ["left", "right"]

[[tier]]
name = "host"

[[tier.gate]]
name = "unit"
kind = "command"
run = "true"

[[tier.gate]]
name = "lint"
kind = "command"
run = "true"

[[tier.gate]]
name = "slow"
kind = "command"
run = "true"
needs = ["unit"]

[[tier]]
name = "staging"

[tier.deploy]
upload = [{ artifact = "out.txt", to = "$PLACE/staging/" }]

[[tier.gate]]
name = "smoke"
kind = "command"
phase = "verify"
run = "true"

[[tier]]
name = "prod"

[tier.promote]
mode = "manual"
confirm = { count = 2 }

[[tier.node]]
name = "p1"
[[tier.node]]
name = "p2"
[[tier.node]]
name = "p3"
[[tier.node]]
name = "p4"

[tier.deploy]
upload = [{ artifact = "out.txt", to = "$PLACE/$TIDEGATE_NODE/" }]
waves = [1, "50%", "100%"]
"#;

/// The plan as it is printed, without what is different every time.
fn printed(world: &World, arguments: &[&str], exit: i32) -> String {
    let output = world.tidegate(&[&["plan"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{said}");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut without = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("sha256:") {
        without.push_str(before);
        without.push_str("sha256:…");
        rest = &after[8..];
    }
    without + rest
}

#[test]
fn a_first_version_is_planned_step_by_step_without_a_controller() {
    let world = World::unborn(LONG);
    expect![[r#"
        long  sha256:…
        this pipeline is not in force yet
        the next version:
          build
            step    fetch
                    left, right
                    join
          host
            check   unit, lint
                    slow
            passes
          staging
            deploy  local
            verify  smoke
            passes
          prod
            stops   waits to be promoted by hand  (tidegate promote long prod VERSION)
            stops   0 of 2 confirmations  (tidegate confirm long prod VERSION)
            deploy  p1
                    p2, p3
                    p4
            passes
    "#]]
    .assert_eq(&printed(&world, &["pipelines/shop.toml", "--offline"], 3));
    let (exit, said) = world.ends(&["plan", "pipelines/shop.toml", "--url", "http://127.0.0.1:9"]);
    assert_eq!(exit, 3);
    assert!(said.contains("no controller answers") && said.contains("first version"), "{said}");
}

#[test]
fn a_plan_without_anything_in_its_way_is_done() {
    let world = World::unborn(&SHOP.replace("confirm = { count = 1 }", ""));
    expect![[r#"
        shop  sha256:…
        this pipeline is not in force yet
        the next version:
          build
            step    make
          host
            check   test
            passes
          staging
            deploy  local
            verify  smoke
            passes
          prod
            deploy  p1
                    p2
            passes
    "#]]
    .assert_eq(&printed(&world, &["pipelines/shop.toml", "--offline"], 0));
    let output = world.tidegate(&["plan", "pipelines/shop.toml", "--offline", "--json"]);
    let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(plan["next"]["tiers"][2]["waves"], serde_json::json!([["p1"], ["p2"]]));
    assert_eq!(plan["edit"]["in_force"], Value::Null);
    world.edit(&SHOP.replace("[[tier]]", "[[teir]]"));
    let (exit, said) = world.ends(&["plan", "pipelines/shop.toml", "--offline"]);
    assert_eq!(exit, 2);
    assert!(said.contains("TG-CLI-012"), "{said}");
}

#[test]
fn an_edit_is_held_against_what_is_in_force_and_changes_nothing() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    let before = world.get("/api/state")["id"].clone();
    let edited = SHOP
        .replace("name = \"staging\"", "name = \"stage\"\nwas = \"staging\"")
        .replace("confirm = { count = 1 }", "")
        .replace("[[tier.node]]\nname = \"p2\"", "[[tier.node]]\nname = \"p3\"")
        .replace("name = \"smoke\"", "name = \"sniff\"");
    std::fs::write(world.path("shop.toml"), world.filled(&edited)).expect("a file");
    expect![[r#"
        shop  sha256:…
        against what is in force (sha256:…):
          tier `staging` is now `stage`
          tier `stage`: gate `sniff` is new
          tier `stage`: gate `smoke` is removed
          tier `prod`: what it comes after changed
          tier `prod`: promotion rule changed
          tier `prod`: node `p3` is new, and waits for a version
          tier `prod`: node `p2` is removed
            tier.stage.name: "staging", now "stage"
            tier.stage.was = "staging"
            tier.prod.promote.confirm.count was 1
          1.0.0 in front of prod would enter at once
        the next version:
          build
            step    make
          host
            check   test
            passes
          stage
            deploy  local
            verify  sniff
            passes
          prod
            deploy  p1
                    p3
            passes
    "#]]
    .assert_eq(&printed(&world, &["shop.toml"], 0));
    std::fs::write(world.path("shop.toml"), world.filled(SHOP)).expect("a file");
    expect![[r#"
        shop  sha256:…
        nothing changes against what is in force (sha256:…)
          1.0.0 in front of prod goes on waiting: 0 of 1 confirmations
        the next version:
          build
            step    make
          host
            check   test
            passes
          staging
            deploy  local
            verify  smoke
            passes
          prod
            stops   0 of 1 confirmations  (tidegate confirm shop prod VERSION)
            deploy  p1
                    p2
            passes
    "#]]
    .assert_eq(&printed(&world, &["shop.toml"], 3));
    assert_eq!(world.get("/api/state")["id"], before, "nothing happened");
    world.edit(&edited);
    world.wait("pipeline_loaded", &[]);
    world.wait("promote_complete", &[("tier", "prod"), ("version", "1.0.0")]);
}
