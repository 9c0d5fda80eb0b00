//! The main job: from a push to production, and back.

use super::SHOP;
use super::world::World;

#[test]
fn a_push_is_built_once_and_reaches_production_when_somebody_confirms() {
    let mut world = World::new(SHOP);
    let said = world.push("1.0.0", &[]);
    assert!(said.contains("tidegate: shop: queued as request"), "{said}");
    let waits = world.wait("promote_blocked", &[("tier", "prod")]);
    assert_eq!(waits["blockers"][0]["kind"], "confirm_missing");
    assert!(!world.path("place/p1").exists(), "nothing is in production yet");
    world.good(&["confirm", "shop", "prod", "--why", "looks good"]);
    let confirmed = world.wait("manual_confirm", &[("tier", "prod"), ("version", "1.0.0")]);
    assert_eq!((&confirmed["by"], &confirmed["why"]), (&"owner".into(), &"looks good".into()));
    world.wait("promote_complete", &[("tier", "prod"), ("version", "1.0.0")]);
    for node in ["staging", "p1", "p2"] {
        assert_eq!(world.read(&format!("place/{node}/out.txt")), "1.0.0");
    }
    assert_eq!(world.read("place/deploys"), "deploy 1.0.0 over nothing\n");
    assert_eq!(
        world.kinds(),
        [
            "controller_started",
            "pipeline_loaded",
            "rebuild_requested",
            "build_start",
            "step_start",
            "step_done",
            "build_ok",
            "promote_start",
            "gate_start",
            "gate_done",
            "promote_complete",
            "promote_start",
            "deploy_start",
            "deploy_ok",
            "gate_start",
            "gate_done",
            "promote_complete",
            "promote_blocked",
            "manual_confirm",
            "promote_start",
            "deploy_start",
            "deploy_ok",
            "deploy_start",
            "deploy_ok",
            "promote_complete",
        ]
    );
    let ids: Vec<u64> = world.heard.iter().filter_map(|event| event["id"].as_u64()).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    assert_eq!(world.stop(), 0);
}

#[test]
fn a_version_that_fails_its_verification_is_rolled_back_and_why_says_so() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    world.push("1.1.0", &[("broken", "")]);
    let back = world.wait("rollback", &[("tier", "staging")]);
    assert_eq!((&back["from"], &back["to"]), (&"1.1.0".into(), &"1.0.0".into()));
    world.wait("rollback_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    let failed = world.wait("promote_failed", &[("tier", "staging"), ("version", "1.1.0")]);
    assert_eq!(failed["end"], "rolled_back");
    assert_eq!(failed["nodes"]["local"], "1.0.0");
    assert_eq!(world.read("place/staging/out.txt"), "1.0.0");
    assert_eq!(
        world.read("place/deploys"),
        "deploy 1.0.0 over nothing\ndeploy 1.1.0 over 1.0.0\nrollback 1.0.0 over 1.1.0\n"
    );
    let output = world.tidegate(&["why", "shop", "prod", "1.1.0"]);
    assert_eq!(output.status.code(), Some(3), "blocked");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("rejected: gate `smoke`"), "{said}");
    assert!(said.contains("tidegate retry shop staging 1.1.0"), "{said}");
}

#[test]
fn a_failed_build_changes_nothing_and_the_next_push_goes_on() {
    let mut world = World::new(&SHOP.replace("cp VERSION out.txt", "test -f Makefile && cp VERSION out.txt"));
    world.push("1.0.0", &[]);
    let failed = world.wait("build_failed", &[("version", "1.0.0")]);
    assert!(failed["cause"].as_str().expect("a cause").contains("make"), "{failed}");
    world.push("1.0.1", &[("Makefile", "")]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.1")]);
}

#[test]
fn a_newer_push_ends_the_build_under_way_and_says_so() {
    let mut world =
        World::new(&SHOP.replace("cp VERSION out.txt", "test -f fast || sleep 60; cp VERSION out.txt"));
    world.push("1.0.0", &[]);
    world.wait("step_start", &[]);
    world.push("1.0.1", &[("fast", "")]);
    let aborted = world.wait("build_aborted", &[]);
    assert!(aborted["by_sha"].is_string());
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.1")]);
}

#[test]
fn a_branch_that_is_moved_back_makes_a_built_version_the_newest_again() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
    world.git("work", &["reset", "-q", "--hard", "HEAD~1"]);
    world.git("work", &["push", "-q", "-f", "origin", "main"]);
    world.wait("rebuild_requested", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    let builds = world.kinds().iter().filter(|kind| **kind == "build_start").count();
    assert_eq!(builds, 2, "it is not built again");
}

#[test]
fn one_push_of_several_refs_a_deletion_and_odd_names_are_taken_one_by_one() {
    let mut world = World::new(&SHOP.replace(r#"refs = ["main"]"#, r#"refs = ["main", "feature/**", "v*"]"#));
    world.commit("1.0.0", &[]);
    let odd = "feature/$(touch${IFS}owned);`id`&'\"";
    world.git("work", &["branch", odd]);
    world.git("work", &["tag", "v1.0.0"]);
    world.git("work", &["branch", "other"]);
    let pushed = world.git("work", &["push", "origin", "main", odd, "v1.0.0", "other"]);
    let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
    assert_eq!(said.matches("tidegate: shop:").count(), 4, "{said}");
    assert!(said.contains("not built"), "the branch that is not taken: {said}");
    world.wait("promote_complete", &[("tier", "staging")]);
    let deleted = world.git("work", &["push", "origin", ":other"]);
    assert!(!String::from_utf8_lossy(&deleted.stderr).contains("tidegate:"), "a deletion is no version");
    assert!(!world.path("work/owned").exists() && !world.path("shop.git/owned").exists());
}

#[test]
fn a_push_is_stored_and_quick_when_the_controller_is_away_and_rebuild_makes_up_for_it() {
    let mut world = World::new(SHOP);
    world.stop();
    let begin = std::time::Instant::now();
    let said = world.push("1.0.0", &[]);
    assert!(begin.elapsed().as_secs() < 6, "{:?}", begin.elapsed());
    assert!(said.contains("tidegate: no controller answers"), "{said}");
    assert!(said.contains("the push is stored; when the controller is back, `tidegate rebuild"), "{said}");
    world.start();
    world.wait("controller_started", &[]);
    world.good(&["rebuild", "shop"]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
}

#[test]
fn secrets_reach_the_step_that_lists_them_and_nobody_else() {
    let pipeline = SHOP.replace("[build]", "[secrets]\nTOKEN = { file = \"$PLACE/secret\" }\n\n[build]").replace(
        "name = \"make\"",
        "name = \"show\"\nsecrets = [\"TOKEN\"]\nrun = \"echo it is $TOKEN, truly\"\n\n[[build.step]]\nname = \"hide\"\nrun = \"echo nothing: ${TOKEN:-unset}\"\n\n[[build.step]]\nname = \"make\"",
    );
    let mut world = World::unborn(&pipeline);
    std::fs::write(world.path("place/secret"), "sesame-open-wide\n").expect("a secret");
    world.start();
    world.wait("pipeline_loaded", &[]);
    world.commit("1.0.0", &[]);
    world.git("work", &["push", "-q", "origin", "main"]);
    world.good(&["rebuild", "shop"]);
    world.wait("build_ok", &[]);
    let shown = String::from_utf8(world.bytes("/api/runs/1/log")).expect("text");
    assert_eq!(shown, "it is ***, truly\n");
    assert_eq!(world.bytes("/api/runs/2/log"), b"nothing: unset\n");
    let everything = world.heard.iter().map(ToString::to_string).collect::<String>();
    assert!(!everything.contains("sesame"), "not in any event");
    world.stop();
    let journal = std::fs::read(world.path("state/journal.db")).expect("the journal");
    assert!(!journal.windows(6).any(|window| window == b"sesame"), "not in the journal");
}
