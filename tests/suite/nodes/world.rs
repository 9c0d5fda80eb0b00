//! A world with nodes, and what is common to pipelines that deploy to them.

use super::fleet::Fleet;
use crate::whole::world::World;
use serde_json::Value;

/// A pipeline whose tier `prod` has these nodes; `deploy` is what stands in `[tier.deploy]`.
pub(super) fn pipeline(nodes: &[&str], deploy: &str) -> String {
    let mut text = "[source]\nrepo = $REPO\nrefs = [\"main\"]\n[build]\nartifacts = [\"out/**\"]\n\
                    [[build.step]]\nname = \"make\"\nrun = \"sh build.sh\"\n[[tier]]\nname = \"prod\"\n"
        .to_owned();
    for node in nodes {
        text.push_str(&format!("[[tier.node]]\nname = \"{node}\"\nssh = \"{node}\"\n"));
    }
    text + "[tier.deploy]\n" + deploy
}

/// Makes one small artifact that says which version it is.
pub(super) const BUILD: (&str, &str) =
    ("build.sh", "mkdir -p out; echo \"$TIDEGATE_VERSION\" > out/shop; chmod +x out/shop\n");

/// A world in which the pipeline is in force and the nodes are up; none where there is no sshd.
pub(super) fn world(nodes: &[&str], deploy: &str) -> Option<(World, Fleet)> {
    world_with(nodes, &pipeline(nodes, deploy), "")
}

/// The same with the whole pipeline, and more lines for each sshd.
pub(super) fn world_with(nodes: &[&str], pipeline: &str, sshd: &str) -> Option<(World, Fleet)> {
    let mut world = World::unborn(pipeline);
    let fleet = Fleet::raise(world.folder.path(), nodes, sshd)?;
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    Some((world, fleet))
}

/// The log of a node's last run that was heard to start.
pub(super) fn log_of(world: &World, node: &str) -> String {
    let starts = world.heard.iter().rev();
    let mut starts = starts.filter(|event| event["kind"] == "deploy_start" && event["node"] == node);
    let run = starts.next().expect("a deploy began")["run_id"].as_u64().expect("a number");
    String::from_utf8_lossy(&world.bytes(&format!("/api/runs/{run}/log"))).into_owned()
}

/// Waits for a deploy's failure, of this kind and with these words.
pub(super) fn fails(world: &mut World, node: &str, failure: &str, words: &str) -> Value {
    let failed = world.wait("deploy_failed", &[("node", node)]);
    assert_eq!(failed["failure"], failure, "{failed}");
    let message = failed["message"].as_str().expect("a message");
    assert!(message.contains(words), "{message}");
    failed
}
