//! A version on its way to nodes: files, the command, health.

use super::world::{BUILD, log_of, world};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// Makes a folder of files of several sizes and modes, one of them with an odd name.
const FILES: (&str, &str) = (
    "build.sh",
    "mkdir -p out/deep; echo \"$TIDEGATE_VERSION\" > out/shop; chmod +x out/shop; : > out/empty\n\
     head -c 3000000 /dev/zero | tr '\\0' x > out/big; printf 'it is'\"'\"'s' > \"out/deep/an odd 'name\\$(x)\"\n",
);

#[test]
fn files_arrive_whole_with_their_modes_and_are_skipped_when_they_are_there() {
    let deploy = r#"upload = [{ artifact = "out", to = "$HOME/app/" }]"#;
    let Some((mut world, mut fleet)) = world(&["a1"], deploy) else { return };
    world.push("1.0.0", &[FILES]);
    world.wait("promote_complete", &[("tier", "prod")]);
    let node = fleet.node("a1");
    assert_eq!(node.read("app/shop"), "1.0.0\n");
    assert_eq!(node.read("app/empty"), "");
    assert_eq!(node.read("app/big").len(), 3_000_000);
    assert_eq!(node.read("app/deep/an odd 'name$(x)"), "it is's");
    let mode = |name: &str| fs::metadata(node.home.join(name)).expect("there").permissions().mode() & 0o7777;
    assert_eq!((mode("app/shop"), mode("app/big")), (0o755, 0o644));
    let number = fs::metadata(node.home.join("app/big")).expect("there").ino();

    world.push("1.0.1", &[]);
    world.wait("promote_complete", &[("version", "1.0.1")]);
    let log = log_of(&world, "a1");
    assert!(log.contains("upload out/big to ") && log.contains("app/big (unchanged)"), "{log}");
    assert!(!log.contains("app/shop (unchanged)"), "{log}");
    assert_eq!(fs::metadata(node.home.join("app/big")).expect("there").ino(), number);
    assert_eq!(node.read("app/shop"), "1.0.1\n");
    let names: Vec<_> = fs::read_dir(node.home.join("app")).expect("a folder").flatten().collect();
    assert_eq!(names.len(), 4, "nothing is left beside: {names:?}");
    node.wait_until_idle();

    // As many other bytes: it is seen, although it was noted what is there.
    fs::write(node.home.join("app/big"), vec![b'y'; 3_000_000]).expect("written");
    world.good(&["redeploy", "shop", "prod"]);
    world.wait("deploy_ok", &[("mode", "redeploy")]);
    assert!(!log_of(&world, "a1").contains("app/big (unchanged)"));
    assert!(fleet.node("a1").read("app/big").starts_with("xxx"));
}

#[test]
fn an_upload_that_was_begun_is_gone_on_with() {
    let deploy = r#"upload = [{ artifact = "out/**", to = "$HOME/app/" }]"#;
    let Some((mut world, mut fleet)) = world(&["a1"], deploy) else { return };
    world.push("1.0.0", &[FILES]);
    world.wait("promote_complete", &[("tier", "prod")]);
    // As if the connection had been lost in the middle: the place is empty, and half of the file is there.
    let app = fleet.node("a1").home.join("app");
    let whole = fs::read(app.join("big")).expect("there");
    fs::remove_file(app.join("big")).expect("removed");
    let state = world.get("/api/state");
    let digest = find(&state, "out/big");
    fs::write(app.join(format!(".big.tidegate-{}", &digest[..16])), &whole[..1_000_000]).expect("written");
    world.good(&["redeploy", "shop", "prod"]);
    world.wait("deploy_ok", &[("mode", "redeploy")]);
    let log = log_of(&world, "a1");
    assert!(log.contains("app/big (went on after 1000000 bytes)"), "{log}");
    assert_eq!(fs::read(app.join("big")).expect("there"), whole);

    // What is there is not how the file begins: it is sent from the start.
    fs::remove_file(app.join("big")).expect("removed");
    fs::write(app.join(format!(".big.tidegate-{}", &digest[..16])), vec![b'y'; 1_000_000]).expect("written");
    world.good(&["redeploy", "shop", "prod"]);
    world.wait("deploy_ok", &[("mode", "redeploy")]);
    assert!(!log_of(&world, "a1").contains("went on"));
    assert_eq!(fs::read(app.join("big")).expect("there"), whole);
}

/// The digest of an artifact in the state, wherever it stands.
fn find(value: &serde_json::Value, path: &str) -> String {
    use serde_json::Value;
    fn look(value: &Value, path: &str) -> Option<String> {
        match value {
            Value::Object(fields) if fields.get("path").is_some_and(|is| is == path) => {
                fields.get("sha256")?.as_str().map(str::to_owned)
            }
            Value::Object(fields) => fields.values().find_map(|value| look(value, path)),
            Value::Array(values) => values.iter().find_map(|value| look(value, path)),
            _ => None,
        }
    }
    look(value, path).expect("the artifact is in the state")
}

#[test]
fn a_command_on_a_node_is_told_all_and_heard_as_any_step() {
    let deploy = r#"
run = """
printf 'in %s\n' "$(pwd)"
echo "$TIDEGATE_MODE $TIDEGATE_VERSION on $TIDEGATE_NODE of $TIDEGATE_TIER, odd=$ODD, artifacts=${TIDEGATE_ARTIFACTS-none}"
echo '{"kind":"progress","percent":40,"note":"half"}' >> "$TIDEGATE_EVENTS"
echo '{"kind":"output","key":"url","value":"http://x"}' >> "$TIDEGATE_EVENTS"
echo to stderr >&2
printf 'no line end'
"""
env = { session = "abc", events = "x", UID = "7", ODD = "it's `id` $(id) \\ ! \"q\" \n two" }
health = { run = "test -d $HOME", every = "50ms", healthy_for = "200ms", within = "20s" }
"#;
    let Some((mut world, mut fleet)) = world(&["a1"], deploy) else { return };
    world.push("1.0.0", &[BUILD]);
    let said = world.wait("step_event", &[]);
    assert!(said["event"]["message"].as_str().expect("a warning").contains("`UID`"), "{said}");
    let said = world.wait("step_event", &[]);
    assert_eq!(said["event"]["percent"], 40.0, "{said}");
    let said = world.wait("step_event", &[]);
    assert_eq!(said["event"]["value"], "http://x", "{said}");
    world.wait("deploy_ok", &[("node", "a1")]);
    let node = fleet.node("a1");
    let log = log_of(&world, "a1");
    let wanted = format!(
        "in {}\ndeploy 1.0.0 on a1 of prod, odd=it's `id` $(id) \\ ! \"q\" \n two, artifacts=none\nto stderr\nno line end",
        node.home.display()
    );
    assert!(log.contains(&wanted), "{log}\nwanted:\n{wanted}");
    assert!(log.contains("the health command: exited with status 0"), "{log}");
    node.wait_until_idle();
}

#[test]
fn health_is_asked_on_the_node() {
    let deploy = r#"
run = "true"
health = { http = "http://127.0.0.1:$PORT/health", every = "50ms", healthy_for = "200ms", within = "20s" }
env = { PORT = "$PORT" }
"#;
    let answers = crate::whole::receiver::Receiver::new();
    let port = answers.address.port().to_string();
    let Some((mut world, mut fleet)) = world(&["a1"], &deploy.replace("\"$PORT\"", &format!("\"{port}\"")))
    else {
        return;
    };
    world.push("1.0.0", &[BUILD]);
    world.wait("deploy_ok", &[("node", "a1")]);
    let log = log_of(&world, "a1");
    assert!(log.contains("/health: answered 200") && log.contains("healthy for 200ms"), "{log}");
    assert!(answers.so_far().len() >= 3, "it is asked more than once");
    fleet.node("a1").wait_until_idle();
}
