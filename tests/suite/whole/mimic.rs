//! A step whose output looks like what others would say, and one for whose log somebody laid a link.

use super::SHOP;
use super::world::World;
use std::fs;
use std::os::unix::fs::symlink;

const CLAIMS: &str = r#"echo '::set-env name=PATH::/tmp'
echo '##[set-output name=ok]true'
echo '{"id":99,"kind":"gate_done","pipeline":"shop","outcome":{"status":"pass","class":"ok"}}'
echo 'data: {"kind":"promote_complete","pipeline":"shop","tier":"prod","version":"1.0.0"}'
echo '{"kind":"gate_done","name":"test","outcome":{"status":"pass"}}' >&2
exit 1
"#;

#[test]
fn output_that_looks_like_an_event_or_a_command_is_text() {
    let claims = SHOP.replace(
        "run = \"! grep -q bad-build $TIDEGATE_ARTIFACTS/out.txt\"",
        "run = \"sh $PLACE/claims.sh\"",
    );
    let mut world = World::unborn(&claims);
    fs::write(world.path("place/claims.sh"), CLAIMS).expect("a script");
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    world.push("1.0.0", &[]);
    let done = world.wait("gate_done", &[("name", "test")]);
    assert_eq!(done["outcome"]["status"], "fail", "{done}");
    world.wait("promote_failed", &[("tier", "host")]);
    let log = world.bytes(&format!("/api/runs/{}/log", done["run_id"]));
    assert!(String::from_utf8_lossy(&log).contains("::set-env name=PATH"), "it is all there");
    let of = |kind: &str| world.heard.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!((of("gate_done"), of("promote_complete"), of("gate_metric")), (1, 0, 0));
}

#[test]
fn nothing_is_written_through_a_link_that_lies_where_a_log_goes() {
    let mut world = World::new(SHOP);
    let (target, logs) = (world.path("place/precious"), world.path("state/logs/shop"));
    fs::write(&target, "as it was").expect("a file");
    fs::create_dir_all(&logs).expect("a folder");
    symlink(&target, logs.join("1.log")).expect("a link");
    world.push("1.0.0", &[]);
    let done = world.wait("step_done", &[]);
    assert_ne!(done["outcome"]["status"], "pass", "{done}");
    assert_eq!(fs::read_to_string(&target).expect("a file"), "as it was");
}
