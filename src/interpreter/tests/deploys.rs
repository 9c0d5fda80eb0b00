//! Deploys on this machine.

use super::bench::*;
use crate::domain::event::Artifact;
use crate::domain::pipeline::{Deploy, Health, Probe, Upload};
use crate::domain::{Command, Failure, Job};
use crate::interpreter::StopCause;
use crate::interpreter::probe::tests::{answer, serve};
use std::fs;

async fn built(bench: &mut Bench) -> Vec<Artifact> {
    bench.pipeline.build.artifacts = vec!["bin/**".into()];
    bench.carry_out(collect()).await.artifacts()
}

fn health(probe: Probe, healthy_for: u64, within: u64) -> Option<Health> {
    Some(Health { probe, every: millis(10), healthy_for: millis(healthy_for), within: millis(within) })
}

#[tokio::test]
async fn uploads_then_the_command_then_health_in_one_log() {
    let mut bench =
        Bench::new(&[("bin/shop", "#!/bin/sh\necho hello\n"), ("go.sh", "#!/bin/sh\n$1/shop; env\n")]).await;
    let artifacts = built(&mut bench).await;
    let to = bench.path("opt");
    let plan = Deploy {
        upload: vec![Upload {
            artifact: "bin/shop".into(),
            to: format!("{}/$TIDEGATE_VERSION_SLUG/", to.display()),
        }],
        run: Some(shell(&format!("./go.sh {}/$TIDEGATE_VERSION_SLUG", to.display()))),
        health: health(Probe::Run(shell("echo asked; test -x bin/shop")), 0, 10_000),
        ..plain_deploy()
    };
    let told = bench.carry_out(deploy(plan.clone(), &artifacts)).await;
    assert_eq!(told.deployed(), Ok(()), "{}", told.text());
    let text = told.text();
    let parts = ["tidegate: upload bin/shop to ", "hello\n", "asked\n", "tidegate: healthy"];
    let places: Vec<_> =
        parts.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"))).collect();
    assert!(places.is_sorted(), "{text}");
    let Command::DeployEnded { log_ref: Some(log), .. } = &told.end else { panic!() };
    assert_eq!(fs::read_to_string(bench.state().path().join(log)).unwrap(), text);
    let declared = ["WHERE=on a1", "ALL=all"];
    let ours =
        ["TIDEGATE_MODE=rollback", "TIDEGATE_NODE=a1", "TIDEGATE_TIER=staging", "TIDEGATE_PREVIOUS_VERSION="];
    for line in declared.into_iter().chain(ours) {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
    let again = bench.carry_out(deploy(plan, &artifacts)).await;
    assert!(again.text().contains("(unchanged)"), "{}", again.text());
    let left = bench.places().deploys(&"staging".into(), &"a1".into());
    assert_eq!(fs::read_dir(left).unwrap().count(), 0);
}

#[tokio::test]
async fn what_fails_is_named_by_its_class() {
    let mut bench = Bench::new(&[]).await;
    let with = |run: &str| Deploy { run: Some(shell(run)), ..plain_deploy() };
    let told = bench.carry_out(deploy(with("echo no >&2; exit 3"), &[])).await;
    assert_eq!(told.deployed(), Err((Failure::Activate, "exited with status 3: no".into())));
    let mut slow = with("exec sleep 1000");
    slow.exec.timeout = Some(millis(200));
    assert_eq!(bench.carry_out(deploy(slow, &[])).await.failure(), Failure::Timeout);
    let upload = Upload { artifact: "nothing".into(), to: "/nowhere/".into() };
    let none = Deploy { upload: vec![upload], ..plain_deploy() };
    assert_eq!(bench.carry_out(deploy(none, &[])).await.failure(), Failure::ArtifactMissing);
}

#[tokio::test]
async fn an_artifact_that_the_store_lost_is_missing_before_anything_changes() {
    let mut bench = Bench::new(&[]).await;
    let lost = Artifact { path: "bin/shop".into(), sha256: "0".repeat(64), size: 3, executable: false };
    let mark = bench.path("mark");
    let touch = Deploy { run: Some(shell(&format!("touch {}", mark.display()))), ..plain_deploy() };
    assert_eq!(bench.carry_out(deploy(touch, &[lost])).await.failure(), Failure::ArtifactMissing);
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_node_that_ssh_does_not_know_is_unreachable() {
    let mut bench = Bench::new(&[]).await;
    let mut job = deploy(Deploy { run: Some(shell("exit 0")), ..plain_deploy() }, &[]);
    let Job::Deploy { node, .. } = &mut job else { unreachable!() };
    node.ssh = Some("deploy@no.such.host.invalid".into());
    // A rollback would wait for it.
    let Job::Deploy { mode, .. } = &mut job else { unreachable!() };
    *mode = crate::domain::event::DeployMode::Deploy;
    assert_eq!(bench.carry_out(job).await.failure(), Failure::Unreachable);
}

#[tokio::test]
async fn an_upload_that_cannot_be_written_fails() {
    let mut bench = Bench::new(&[("bin/shop", "x")]).await;
    let artifacts = built(&mut bench).await;
    fs::write(bench.path("file"), "").unwrap();
    let upload =
        Upload { artifact: "bin/shop".into(), to: format!("{}/below/", bench.path("file").display()) };
    let told = bench.carry_out(deploy(Deploy { upload: vec![upload], ..plain_deploy() }, &artifacts)).await;
    assert_eq!(told.failure(), Failure::Upload);
}

#[tokio::test]
async fn health_that_flaps_is_unhealthy() {
    let mut bench = Bench::new(&[]).await;
    let answers = (0..2_000).map(|n| answer(if n % 2 == 0 { 200 } else { 500 }, "")).collect();
    let url = format!("http://{}/", serve(answers));
    let flaps = Deploy { health: health(Probe::Http(url), 200, 500), ..plain_deploy() };
    let told = bench.carry_out(deploy(flaps, &[])).await;
    let (failure, message) = told.deployed().unwrap_err();
    assert_eq!(failure, Failure::Unhealthy);
    assert!(message.contains("not healthy for 200ms within 500ms"), "{message}");
    assert!(told.text().contains("answered 500"), "{}", told.text());
}

#[tokio::test]
async fn health_that_comes_late_and_stays_is_good() {
    let mut bench = Bench::new(&[]).await;
    let url =
        format!("http://{}/", serve((0..2_000).map(|n| answer(if n < 3 { 500 } else { 302 }, "")).collect()));
    let late = Deploy { health: health(Probe::Http(url), 50, 30_000), ..plain_deploy() };
    assert_eq!(bench.carry_out(deploy(late, &[])).await.deployed(), Ok(()));
}

#[tokio::test]
async fn waiting_for_health_can_be_canceled_and_times_out() {
    let mut bench = Bench::new(&[]).await;
    let never = Deploy { health: health(Probe::Run(shell("exit 1")), 0, 1_000_000), ..plain_deploy() };
    let effect = bench.begin(deploy(never.clone(), &[]));
    bench.stop_at("health command: exited with status 1", &effect, StopCause::Canceled).await;
    assert_eq!(bench.end().await.failure(), Failure::Canceled);
    let hangs = Deploy {
        health: health(Probe::Run(shell("echo asked; exec sleep 1000")), 0, 1_000_000),
        ..plain_deploy()
    };
    let effect = bench.begin(deploy(hangs.clone(), &[]));
    bench.stop_at("asked", &effect, StopCause::Interrupted).await;
    assert_eq!(bench.end().await.failure(), Failure::Interrupted);
    let mut late = hangs;
    late.exec.timeout = Some(millis(300));
    assert_eq!(bench.carry_out(deploy(late, &[])).await.failure(), Failure::Timeout);
}

#[tokio::test]
async fn what_is_left_running_keeps_its_folder_until_the_next_deploy() {
    let mut bench = Bench::new(&[]).await;
    let (pid, folder) = (bench.path("pid"), bench.path("folder"));
    let leaves = |run: String| Deploy {
        run: Some(shell(&run)),
        health: health(Probe::Run(shell("exit 0")), 20, 10_000),
        leave_running: true,
        ..plain_deploy()
    };
    let start = format!("sleep 1000 & echo $! > {}; pwd > {}", pid.display(), folder.display());
    let told = bench.carry_out(deploy(leaves(start), &[])).await;
    assert_eq!(told.deployed(), Ok(()), "{}", told.text());
    let left = fs::read_to_string(&pid).unwrap();
    let alive = || std::path::Path::new("/proc").join(left.trim()).join("stat").exists();
    let workspace = fs::read_to_string(&folder).unwrap();
    assert!(alive() && std::path::Path::new(workspace.trim()).is_dir());
    crate::interpreter::sweep(&bench.state(), &[], &[], &Default::default()).await;
    assert!(std::path::Path::new(workspace.trim()).is_dir());
    let told = bench.carry_out(deploy(leaves(format!("kill {}", left.trim())), &[])).await;
    assert_eq!(told.deployed(), Ok(()), "{}", told.text());
    assert!(!std::path::Path::new(workspace.trim()).exists());
}
