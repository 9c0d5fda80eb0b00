//! Names that change (`was`): what is on the nodes stays there, and the history goes on.

use super::world::World;

const PIPELINE: &str = r#"
name = "%pipeline"
[source]
repo = $REPO
refs = ["main"]

[build]
artifacts = ["VERSION"]

[[tier]]
name = "%tier"

[[tier.node]]
name = "%node"

[tier.deploy]
upload = [{ artifact = "VERSION", to = "$PLACE/live/" }]
run = "echo $TIDEGATE_PIPELINE $TIDEGATE_TIER $TIDEGATE_NODE $TIDEGATE_MODE $TIDEGATE_VERSION >> $PLACE/deploys"
"#;

/// The pipeline under these names.
fn named(name: &str, tier: &str, node: &str) -> String {
    PIPELINE.replace("%pipeline", name).replace("%tier", tier).replace("%node", node)
}

#[test]
fn a_rename_deploys_nothing_while_it_runs_or_is_stopped_and_the_history_goes_on() {
    let mut world = World::new(&named("shop", "prod", "a1"));
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("version", "1.1.0")]);
    let before = "shop prod a1 deploy 1.0.0\nshop prod a1 deploy 1.1.0\n";
    assert_eq!(world.read("place/deploys"), before);
    // All three names at once, while it runs.
    let renamed = named("store\"\nwas = \"shop", "live\"\nwas = \"prod", "n1\"\nwas = \"a1");
    world.edit(&renamed);
    world.wait("pipeline_loaded", &[("pipeline", "store")]);
    let current = |world: &World| {
        let state = world.get("/api/state");
        let all = state["pipelines"].as_array().unwrap();
        assert_eq!(all.len(), 1, "{state}");
        let tier = &all[0]["tiers"][0];
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let node = &tier["nodes"][0];
        [&all[0]["name"], &tier["name"], &tier["current"]["version"], &node["name"], &node["version"]]
            .map(text)
    };
    assert_eq!(current(&world), ["store", "live", "1.1.0", "n1", "1.1.0"]);
    // And once more while the controller is away; `was` may go then.
    assert_eq!(world.stop(), 0);
    world.hear_the_rest();
    let again = named("market\"\nwas = \"store", "live", "n2\"\nwas = \"n1");
    world.edit(&again);
    world.start();
    world.wait("pipeline_loaded", &[("pipeline", "market")]);
    world.edit(&named("market", "live", "n2"));
    world.wait("pipeline_loaded", &[("pipeline", "market")]);
    assert_eq!(current(&world), ["market", "live", "1.1.0", "n2", "1.1.0"]);
    // Whatever was to follow from that has followed once the next version is through.
    world.push("1.2.0", &[]);
    world.wait("promote_complete", &[("version", "1.2.0")]);
    world.good(&["rollback", "market", "live"]);
    world.wait("rollback_complete", &[("version", "1.1.0")]);
    let after = "market live n2 deploy 1.2.0\nmarket live n2 rollback 1.1.0\n";
    assert_eq!(world.read("place/deploys"), format!("{before}{after}"));
    assert_eq!(world.read("place/live/VERSION"), "1.1.0");
    // The history of both names.
    let versions = world.get("/api/pipelines/market")["pipeline"]["versions"].clone();
    assert_eq!(versions.as_array().unwrap().len(), 3, "{versions}");
}
