//! Secrets of a whole controller: in no event, log, answer, message or word of it, however they are written.

use super::world::World;
use std::path::Path;

/// With characters that every encoding writes in its own way.
const VALUE: &str = "s3same/\"open\"+wide";
const SECOND_LINE: &str = "the-second-line-of-a-key";

/// What must not be found anywhere, written by other programs than ours.
const DISGUISES: [&str; 9] = [
    VALUE,
    SECOND_LINE,
    "s3same%2F%22open%22%2Bwide",
    r#"s3same/\"open\"+wide"#,
    "733373616d652f226f70656e222b77696465",
    "733373616D652F226F70656E222B77696465",
    "czNzYW1lLyJvcGVuIit3aWRl",
    // After `u:` and `us:`, the part that is the value's alone.
    "MzYW1lLyJvcGVuIit3aWRl",
    "zc2FtZS8ib3BlbiIrd2lkZ",
];

const PIPELINE: &str = r#"
[source]
repo = $REPO

[secrets]
TOKEN = { file = "$PLACE/secret" }
KEY = { command = ["cat", "$PLACE/key"] }
PIN = { file = "$PLACE/pin" }

[build]
artifacts = ["VERSION"]

[[build.step]]
name = "show"
secrets = ["TOKEN", "KEY", "PIN"]
run = "sh $PLACE/show.sh; printf '{\"kind\":\"output\",\"key\":\"k\",\"value\":\"%s\"}\\n' \"$(echo $TOKEN | sed 's/\"/\\\\\"/g')\" >> $TIDEGATE_EVENTS; echo not json $TOKEN >> $TIDEGATE_EVENTS"

[[tier]]
name = "host"

[[tier.gate]]
name = "asks"
kind = "http_probe"
url = "http://127.0.0.1:1/?token=$KEY"
secrets = ["KEY"]
required = false

[[tier.gate]]
name = "fails"
kind = "command"
run = "echo it is $TOKEN; exit 3"
secrets = ["TOKEN"]
required = false

[[tier.gate]]
name = "says"
kind = "command"
run = 'printf "{\"kind\":\"blocked\",\"reason\":\"no %s\"}\n" "$KEY" | head -c 60 >> $TIDEGATE_EVENTS'
secrets = ["KEY"]
required = false

[tier.deploy]
run = "echo cannot use $TOKEN >&2; exit 4"
secrets = ["TOKEN"]
"#;

/// The value in every form that the tools of any system can write.
const SHOW: &str = r#"
echo "plain $TOKEN"
printf '%s' "$TOKEN" | od -An -v -tx1 | tr -d ' \n' && echo
printf '%s' "$TOKEN" | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F && echo
printf '%s' "$TOKEN" | base64
printf 'u:%s' "$TOKEN" | base64
printf 'us:%s' "$TOKEN" | base64
echo 's3same%2F%22open%22%2Bwide'
echo '{"token":"s3same/\"open\"+wide"}'
printf '%s' "$TOKEN" | cut -c1-7 | tr -d '\n'; sleep 0.2; printf '%s' "$TOKEN" | cut -c8-
printf '%s\n' "$KEY" | tail -1
echo "pin $PIN"
"#;

fn is_in(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Files below a folder, with what they hold.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    found
}

#[test]
fn a_secret_is_nowhere_but_in_its_step() {
    let mut world = World::unborn(PIPELINE);
    std::fs::write(world.path("place/secret"), VALUE).expect("a secret");
    std::fs::write(world.path("place/key"), format!("the-first-line\n{SECOND_LINE}\n")).expect("a secret");
    std::fs::write(world.path("place/pin"), "1234").expect("a secret");
    std::fs::write(world.path("place/show.sh"), SHOW).expect("a script");
    world.start();
    world.wait("pipeline_loaded", &[]);
    world.commit("1.0.0", &[]);
    world.git("work", &["push", "-q", "origin", "main"]);
    world.good(&["rebuild", "shop"]);
    let failed = world.wait("deploy_failed", &[]);
    assert!(failed["message"].as_str().expect("a message").contains("cannot use ***"), "{failed}");
    world.wait("promote_failed", &[]);

    let shown = String::from_utf8(world.bytes("/api/runs/1/log")).expect("text");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!((lines[0], lines[1], lines[2], lines[3]), ("plain ***", "***", "***", "***"), "{shown}");
    assert_eq!(*lines.last().expect("a line"), "pin 1234", "too short to be masked");
    let warned = world.heard.iter().any(|event| {
        event["event"]["message"].as_str().is_some_and(|text| text.starts_with("the secret `PIN` is shorter"))
    });
    assert!(warned, "and that is said");

    let mut places: Vec<(String, Vec<u8>)> = vec![
        (
            "the events".into(),
            world.heard.iter().map(|event| event.to_string() + "\n").collect::<String>().into(),
        ),
        ("the log of the controller".into(), world.read("log").into()),
    ];
    for path in ["/api/state", "/api/pipelines", "/api/pipelines/shop", "/api/events?since=0"] {
        places.push((path.into(), world.bytes(path)));
    }
    for run in 1..=5 {
        places.push((format!("run {run}"), world.bytes(&format!("/api/runs/{run}"))));
    }
    for arguments in [&["status"][..], &["why", "shop", "host"]] {
        let output = world.tidegate(arguments);
        places.push((format!("{arguments:?}"), [output.stdout, output.stderr].concat()));
    }
    world.stop();
    places.push(("the last words".into(), world.read("log").into()));
    places.extend(files(&world.path("state")).into_iter().filter(|(name, _)| !name.contains("/work/")));
    assert!(places.iter().any(|(name, _)| name.contains("journal.db")) && places.len() > 15);
    for (name, bytes) in &places {
        for needle in DISGUISES {
            assert!(!is_in(bytes, needle), "`{needle}` is in {name}");
        }
    }
}

#[test]
fn a_new_value_counts_from_the_next_step_on() {
    let mut world = World::unborn(PIPELINE);
    for name in ["secret", "key", "pin"] {
        std::fs::write(world.path("place").join(name), "the-old-value").expect("a secret");
    }
    // The first step is what rotates it.
    std::fs::write(world.path("place/show.sh"), "echo $TOKEN; echo the-new-value > ${0%/*}/secret")
        .expect("a script");
    world.start();
    world.wait("pipeline_loaded", &[]);
    world.commit("1.0.0", &[]);
    world.git("work", &["push", "-q", "origin", "main"]);
    world.good(&["rebuild", "shop"]);
    let done = world.wait("gate_done", &[("name", "fails")]);
    assert_eq!(done["outcome"]["message"], "exited with status 3: it is ***");
    let run = done["run_id"].as_u64().expect("a number");
    assert_eq!(world.bytes(&format!("/api/runs/{run}/log")), b"it is ***\n");
    assert_eq!(world.bytes("/api/runs/1/log"), b"***\n");
}
