//! A gate that starts a real server out of what was built, and asks it over HTTP.

use super::world::World;

const PIPELINE: &str = r#"
[source]
repo = $REPO

[build]
artifacts = ["server", "site/**"]

[[tier]]
name = "host"

[[tier.gate]]
name = "boots"
kind = "boot_smoke"
artifact = "server"
args = ["$PORT"]
http = "http://127.0.0.1:$PORT/"
within = "10s"
healthy_for = "500ms"
required = false
"#;

#[test]
fn a_server_is_started_asked_and_stopped_and_one_without_a_page_is_unhealthy() {
    let mut world = World::new(PIPELINE);
    let server = format!(
        "#!/bin/sh\necho serving at $1\nexec {} demo-node $1 \"$TIDEGATE_ARTIFACTS/site\"\n",
        env!("CARGO_BIN_EXE_tidegate")
    );
    std::fs::create_dir(world.path("work/site")).expect("a folder");
    std::fs::write(world.path("work/site/index.html"), "hello").expect("a page");
    std::fs::write(world.path("work/server"), server).expect("a program");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(world.path("work/server"), executable).expect("set");
    world.push("1.0.0", &[]);
    let done = world.wait("gate_done", &[("name", "boots")]);
    assert_eq!(done["outcome"]["classification"], "ok", "{done}");
    let id = done["run_id"].as_u64().expect("a number");
    let log = String::from_utf8(world.bytes(&format!("/api/runs/{id}/log"))).expect("text");
    assert!(log.starts_with("serving at "), "{log}");
    world.git("work", &["mv", "site/index.html", "site/other.html"]);
    world.push("1.0.1", &[]);
    let done = world.wait("gate_done", &[("name", "boots")]);
    assert_eq!(done["outcome"]["classification"], "unhealthy", "{done}");
    let message = done["outcome"]["message"].as_str().expect("a message");
    assert!(message.contains("no answer within 10s") && message.contains("answered 404"), "{message}");
}
