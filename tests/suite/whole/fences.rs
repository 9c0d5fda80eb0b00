//! Steps that are fenced: what they try with the controller, its journal, its token, its secrets and what lies beside
//! them, and what becomes of those that use more than they may.

use super::world::{World, those_with};
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tidegate::runner::Landlock;

/// What a hostile step tries, given its controller's folder and process; a line for each thing that it could do.
const MISCHIEF: &str = r#"
exec 2>/dev/null
PLACE=$1
STATE=$2
CONTROLLER=$(cat $PLACE/pid)
test -n "$CONTROLLER" || echo cannot-read-what-it-may
test -n "$(cat $STATE/token)" && echo reads-token
test -n "$(head -c 100 $STATE/journal.db | tr -d '\0')" && echo reads-journal
test -n "$(cat $PLACE/secret)" && echo reads-secret
ls $STATE && echo lists-state
cat $STATE/logs/shop/*.log && echo reads-logs
cat $STATE/work/mirrors/shop.git/config && echo reads-mirror
(: >> $STATE/journal.db) && echo writes-journal
(echo x > $PLACE/new) && echo writes-beside
(echo x > $STATE/pwned) && echo writes-state
touch $TIDEGATE_ARTIFACTS/../ready-made && echo writes-its-neighbourhood
kill -0 $CONTROLLER && kill -STOP $CONTROLLER && kill -CONT $CONTROLLER && echo stops-the-controller
test -n "$(head -c 10 /proc/$CONTROLLER/environ | tr -d '\0')" && echo reads-the-controllers-environment
test -n "$(readlink /proc/$CONTROLLER/fd/0)" && echo sees-the-controllers-files
exit 0
"#;

/// What any step must be able to do.
const WORK: &str = r#"
set -e
git describe --always >/dev/null
test "$(git show HEAD:VERSION)" = "$TIDEGATE_VERSION"
echo made > out.txt
mkdir -p deep/er
mv out.txt deep/er/moved
mv deep/er/moved out.txt
mktemp >/dev/null
echo cached > $TIDEGATE_CACHE/$TIDEGATE_RUN_ID
echo '{"kind":"metric","name":"worked","value":1}' >> $TIDEGATE_EVENTS
echo worked
"#;

fn pipeline(sandbox: &str) -> String {
    format!(
        r#"
[source]
repo = $REPO
refs = ["main"]

[secrets]
TOKEN = {{ file = "$PLACE/secret" }}

[build]
artifacts = ["out.txt"]

[[build.step]]
name = "free"
run = "git describe --always; echo left by a free step > left.txt"

[[build.step]]
name = "make"
run = "sh $PLACE/mischief.sh $PLACE $PLACE/../state; sh $PLACE/work.sh && echo more >> left.txt"
sandbox = "{sandbox}"
secrets = ["TOKEN"]

[[build.step]]
name = "after"
run = "git describe --always && git status --porcelain && cat left.txt && rm -rf deep && stat -c %u . out.txt"

[[tier]]
name = "host"

[[tier.gate]]
name = "test"
kind = "command"
run = "sh $PLACE/mischief.sh $PLACE $PLACE/../state; sh $PLACE/work.sh; cat $TIDEGATE_ARTIFACTS/out.txt"
sandbox = "{sandbox}"

[tier.deploy]
run = "sh $PLACE/mischief.sh $PLACE $PLACE/../state; sh $PLACE/work.sh; id -u; echo $HOME"
sandbox = "{sandbox}"
health = {{ run = "test -f out.txt", every = "50ms", healthy_for = "150ms", within = "20s" }}
"#
    )
}

/// A controller whose steps are fenced so, with one version delivered.
fn delivered(sandbox: &str) -> World {
    let mut world = World::unborn(&pipeline(sandbox));
    set_permissions(world.folder.path(), Permissions::from_mode(0o711)).expect("a way");
    std::fs::write(world.path("place/secret"), "hunter2-hunter2").expect("a secret");
    set_permissions(world.path("place/secret"), Permissions::from_mode(0o600)).expect("a secret");
    std::fs::write(world.path("place/mischief.sh"), MISCHIEF).expect("a script");
    std::fs::write(world.path("place/work.sh"), WORK).expect("a script");
    world.start();
    std::fs::write(world.path("place/pid"), world.pid().to_string()).expect("a number");
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    world.push("1.0.0", &[]);
    world
}

fn log(world: &World, run: &serde_json::Value) -> String {
    String::from_utf8(world.bytes(&format!("/api/runs/{run}/log"))).expect("text")
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn with_landlock_a_step_does_its_work_and_nothing_to_its_controller() {
    if Landlock::of_this_machine() != Landlock::Whole {
        eprintln!("skipped: the kernel has no Landlock, or an old one");
        return;
    }
    let mut world = delivered("landlock");
    let made = world.wait("step_done", &[("step", "make")]);
    assert_eq!(log(&world, &made["run_id"]), "worked\n", "{made}");
    assert_eq!(made["outcome"]["status"], "pass");
    let after = world.wait("step_done", &[("step", "after")]);
    assert_eq!(after["outcome"]["status"], "pass", "{}", log(&world, &after["run_id"]));
    let gate = world.wait("gate_done", &[("name", "test")]);
    assert_eq!(log(&world, &gate["run_id"]), "worked\nmade\n");
    let deployed = world.wait("deploy_ok", &[]);
    let said = log(&world, &deployed["run_id"]);
    assert!(said.starts_with("worked\n"), "{said}");
    world.wait("promote_complete", &[("tier", "host")]);
    assert!(!world.path("place/new").exists() && !world.path("state/pwned").exists());
    assert_eq!(mode(&world.path("state")), 0o700);
}

#[test]
fn as_an_account_a_step_does_its_work_and_nothing_to_its_controller() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root becomes another account");
        return;
    }
    let mut world = delivered("user:nobody");
    let made = world.wait("step_done", &[("step", "make")]);
    assert_eq!(log(&world, &made["run_id"]), "worked\n", "{made}");
    let after = world.wait("step_done", &[("step", "after")]);
    let said = log(&world, &after["run_id"]);
    assert_eq!(after["outcome"]["status"], "pass", "{said}");
    assert!(said.ends_with("left by a free step\nmore\n0\n0\n"), "given back: {said}");
    let gate = world.wait("gate_done", &[("name", "test")]);
    assert_eq!(log(&world, &gate["run_id"]), "worked\nmade\n");
    let deployed = world.wait("deploy_ok", &[]);
    let said = log(&world, &deployed["run_id"]);
    assert!(said.starts_with("worked\n65534\n/"), "{said}");
    world.wait("promote_complete", &[("tier", "host")]);
    let state = world.path("state");
    assert_eq!((mode(&state), mode(&state.join("work"))), (0o711, 0o711));
    for closed in ["journal.db", "token", "artifacts", "work/mirrors", "work/shop/cache"] {
        assert_eq!(mode(&state.join(closed)) & 0o077, 0, "{closed}");
    }
    assert!(world.good(&["doctor"]).contains("pass through"));
    // What a deploy left running keeps its way over a restart; what is beside it is closed again.
    world.stop();
    set_permissions(state.join("work/mirrors"), Permissions::from_mode(0o755)).expect("a mode");
    world.start();
    world.wait("controller_started", &[]);
    assert_eq!((mode(&state), mode(&state.join("work/mirrors"))), (0o711, 0o700));
    std::fs::write(world.path("place/pid"), world.pid().to_string()).expect("a number");
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "host"), ("version", "1.1.0")]);
}

#[test]
fn an_account_that_is_not_there_blocks_and_names_the_way_out() {
    let mut world = World::new(&pipeline("landlock").replace("\"landlock\"", "\"user:no-such-account\""));
    std::fs::write(world.path("place/secret"), "hunter2-hunter2").expect("a secret");
    world.push("1.0.0", &[]);
    let done = world.wait("step_done", &[("step", "make")]);
    let outcome = &done["outcome"];
    assert_eq!(
        (outcome["status"].as_str(), outcome["classification"].as_str()),
        (Some("blocked"), Some("infrastructure"))
    );
    let message = outcome["message"].as_str().expect("a message");
    let way_out = if rustix::process::geteuid().is_root() { "no such account" } else { "run it as root" };
    assert!(message.contains("`no-such-account`") && message.contains(way_out), "{message}");
}

#[test]
fn who_uses_more_than_it_may_is_killed_and_told_why() {
    let limited = |name: &str, run: &str, limits: &str| {
        format!(
            "[[tier.gate]]\nname = \"{name}\"\nkind = \"command\"\nrequired = false\nrun = '''{run}'''\nlimits = {{ {limits} }}\n"
        )
    };
    // What `tail` has taken it holds until the other side ends, which is not before somebody looks.
    let hog = "echo begun; { head -c 500M /dev/zero; sleep 600; } | tail";
    let memory = limited("hog", hog, "memory = \"64MiB\"");
    let pids =
        limited("bomb", "echo begun; for i in $(seq 200); do setsid sleep 600 & done; wait", "pids = 32");
    let fits = limited("fits", "head -c 1M /dev/zero | tail >/dev/null", "memory = \"1GiB\", pids = 100");
    let text = format!(
        "[source]\nrepo = $REPO\nrefs = [\"main\"]\n[[tier]]\nname = \"host\"\n{memory}{pids}{fits}\n[tier.deploy]\n\
         run = \"sleep 600 & sleep 600 & sleep 600 & wait\"\nlimits = {{ pids = 2 }}\n"
    );
    let mut world = World::new(&text);
    world.push("1.0.0", &[]);
    let failed = world.wait("deploy_failed", &[]);
    assert!(failed["message"].as_str().expect("a message").starts_with("pids limit 2 passed: "), "{failed}");
    let gate = |name: &str| {
        let is_it = |event: &&serde_json::Value| event["kind"] == "gate_done" && event["name"] == name;
        world.heard.iter().find(is_it).expect("the gates end before the deploy").clone()
    };
    for (name, begins) in [("hog", "memory limit 64 MiB passed: "), ("bomb", "pids limit 32 passed: ")] {
        let done = gate(name);
        let outcome = &done["outcome"];
        assert_eq!((&outcome["classification"], &outcome["signal"]), (&"killed".into(), &"SIGKILL".into()));
        let message = outcome["message"].as_str().expect("a message");
        assert!(message.starts_with(begins), "{message}");
        let said = log(&world, &done["run_id"]);
        assert_eq!(said, format!("begun\ntidegate: {message}; all of it was killed\n"));
        let shown = world.get(&format!("/api/runs/{}", done["run_id"]));
        assert!(shown.to_string().contains(message), "{shown}");
    }
    assert_eq!(gate("fits")["outcome"]["status"], "pass");
    let logs = format!("{}/logs", world.path("state").display());
    assert!(those_with(Path::new(&logs)).is_empty(), "nothing of it lives on");
}
