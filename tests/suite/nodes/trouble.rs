//! Nodes that are not there, not who they were, not fit, or gone in the middle: each is a failure of its own kind that says
//! the way out.

use super::world::{BUILD, fails, log_of, pipeline, world, world_with};
use std::fs;
use std::process::Command;

const TOUCH: &str = "run = \"touch $HOME/touched\"\n";

#[test]
fn a_changed_host_key_is_refused_before_anything_is_sent() {
    let Some((mut world, mut fleet)) = world(&["a1"], TOUCH) else { return };
    fleet.node("a1").change_key();
    world.push("1.0.0", &[BUILD]);
    let failed = fails(&mut world, "a1", "auth", "IDENTIFICATION HAS CHANGED");
    assert!(failed["message"].as_str().unwrap().contains("ssh-keygen -f '"), "{failed}");
    let ended = world.wait("promote_failed", &[("tier", "prod")]);
    assert_eq!(ended["nodes"]["a1"], serde_json::Value::Null, "{ended}");
    assert!(!fleet.node("a1").home.join("touched").exists());
    // The new key is known: it goes on.
    fleet.write_config();
    world.good(&["retry", "shop", "prod"]);
    world.wait("deploy_ok", &[("node", "a1")]);
}

#[test]
fn an_unknown_host_a_refused_key_and_nobody_at_all_are_three_things() {
    let Some((mut world, mut fleet)) = world(&["a1"], TOUCH) else { return };
    fs::write(world.path("known_hosts"), "").expect("written");
    world.push("1.0.0", &[BUILD]);
    fails(&mut world, "a1", "auth", "ssh-keyscan");
    world.wait("promote_failed", &[]);
    fleet.write_config();
    fs::write(world.path("keys/user.pub"), "").expect("written");
    world.good(&["retry", "shop", "prod"]);
    fails(&mut world, "a1", "auth", "authorized_keys");
    world.wait("promote_failed", &[]);
    fleet.node("a1").kill();
    world.good(&["retry", "shop", "prod"]);
    fails(&mut world, "a1", "unreachable", "no sshd listens there");
    world.wait("promote_failed", &[]);
    fs::write(world.path("ssh_config"), "Host a1\n  HostName no.such.host.invalid\n").expect("written");
    world.good(&["retry", "shop", "prod"]);
    fails(&mut world, "a1", "unreachable", "is the name right");
}

#[test]
fn what_a_login_prints_is_in_nobodys_way() {
    let nodes = &["a1"];
    let deploy = "run = \"echo the command\"\nupload = [{ artifact = \"out/**\", to = \"$HOME/app/\" }]\n";
    let Some((mut world, mut fleet)) =
        world_with(nodes, &pipeline(nodes, deploy), "Banner /etc/passwd\nPrintMotd yes")
    else {
        return;
    };
    let node = fleet.node("a1");
    fs::write(node.home.join(".bashrc"), "echo welcome; printf 'no line end'; echo to stderr >&2\n")
        .expect("written");
    world.push("1.0.0", &[BUILD]);
    world.wait("deploy_ok", &[("node", "a1")]);
    let log = log_of(&world, "a1");
    assert!(log.contains("the command\n") && !log.contains("welcome") && !log.contains("root:"), "{log}");
    assert_eq!(node.read("app/shop"), "1.0.0\n");
}

#[test]
fn a_login_that_runs_nothing_or_prints_without_end_is_refused() {
    let nodes = &["a1"];
    let sshd = "ForceCommand test -f $HOME/endless && yes; printf '\\033[2JThis account is not available\\n'; exit 1";
    let Some((mut world, mut fleet)) = world_with(nodes, &pipeline(nodes, TOUCH), sshd) else { return };
    world.push("1.0.0", &[BUILD]);
    fails(&mut world, "a1", "auth", "This account is not available`");
    world.wait("promote_failed", &[]);
    // What it prints is quoted, and does nothing to a terminal.
    let log = log_of(&world, "a1");
    assert!(log.contains("This account is not available`") && !log.contains('\x1b'), "{log:?}");
    fs::write(fleet.node("a1").home.join("endless"), "").expect("written");
    world.good(&["retry", "shop", "prod"]);
    fails(&mut world, "a1", "auth", "prints without end");
    fleet.node("a1").wait_until_idle();
}

#[test]
fn a_login_shell_may_be_any() {
    for shell in ["/usr/bin/fish", "/usr/bin/tcsh", "/bin/dash", "/usr/bin/zsh"] {
        if !std::path::Path::new(shell).exists() {
            eprintln!("not tested here: there is no {shell}");
            continue;
        }
        let nodes = &["a1"];
        let deploy = "run = \"printf '%s|' \\\"$ODD\\\" $0 > $HOME/told\"\nenv = { ODD = \"it's $(id)!\\n\" }\n\
                      upload = [{ artifact = \"out/**\", to = \"$HOME/app/\" }]\n";
        let sshd = format!("ForceCommand exec {shell} -c \"$SSH_ORIGINAL_COMMAND\"");
        let Some((mut world, mut fleet)) = world_with(nodes, &pipeline(nodes, deploy), &sshd) else { return };
        world.push("1.0.0", &[BUILD]);
        world.wait("deploy_ok", &[("node", "a1")]);
        assert_eq!(fleet.node("a1").read("told"), "it's $(id)!\n|/bin/sh|", "{shell}");
    }
}

/// A small disk of its own for a node's home; false where that is not allowed.
fn small_disk(home: &std::path::Path) -> bool {
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(home).output();
    let mounted = mount.is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("not tested here: no disk can be mounted");
    }
    mounted
}

/// Unmounts it again, however the test ends.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_on_a_node_fails_the_upload_and_leaves_the_old_file() {
    let deploy = "upload = [{ artifact = \"out/**\", to = \"$HOME/app/\" }]\n";
    let Some((mut world, mut fleet)) = world(&["a1"], deploy) else { return };
    let node = fleet.node("a1");
    if !small_disk(&node.home) {
        return;
    }
    let _mounted = Mounted(node.home.clone());
    world.push("1.0.0", &[BUILD]);
    world.wait("deploy_ok", &[("node", "a1")]);
    let big = "mkdir -p out; head -c 3000000 /dev/zero > out/shop\n";
    world.push("1.0.1", &[("build.sh", big)]);
    let failed = fails(&mut world, "a1", "upload", "No space left");
    assert!(failed["message"].as_str().unwrap().contains("free some room"), "{failed}");
    world.wait("rollback_complete", &[]);
    assert_eq!(fleet.node("a1").read("app/shop"), "1.0.0\n");
    // What did not fit is gone again, so that what does fit has room.
    world.push("1.0.2", &[("build.sh", "mkdir -p out; head -c 600000 /dev/zero > out/shop\n")]);
    world.wait("promote_complete", &[("version", "1.0.2")]);
    let left = fs::read_dir(fleet.node("a1").home.join("app")).expect("a folder");
    let left: Vec<_> = left.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["shop"]);
}

#[test]
fn a_place_that_cannot_be_written_fails_the_upload() {
    let deploy = "upload = [{ artifact = \"out/shop\", to = \"$HOME/file/shop\" }]\n";
    let Some((mut world, mut fleet)) = world(&["a1"], deploy) else { return };
    fs::write(fleet.node("a1").home.join("file"), "").expect("written");
    world.push("1.0.0", &[BUILD]);
    fails(&mut world, "a1", "upload", "file/shop` in place: ");
    world.wait("promote_failed", &[]);
    fs::remove_file(fleet.node("a1").home.join("file")).expect("removed");
    fs::create_dir_all(fleet.node("a1").home.join("file/shop")).expect("a folder");
    world.good(&["retry", "shop", "prod"]);
    fails(&mut world, "a1", "upload", "end `to` with `/`");
}

#[test]
fn a_node_that_starts_again_in_the_middle_is_brought_back() {
    let deploy = r#"run = """
echo $TIDEGATE_MODE $TIDEGATE_VERSION >> $HOME/told
if [ $TIDEGATE_VERSION = 2.0.0 ]; then echo stuck; sleep 300; fi
"""
"#;
    let Some((mut world, mut fleet)) = world(&["a1"], deploy) else { return };
    world.push("1.0.0", &[BUILD]);
    world.wait("promote_complete", &[]);
    world.push("2.0.0", &[]);
    world.wait_for("its output", |event| {
        event["kind"] == "deploy_log_chunk"
            && event["text"].as_str().is_some_and(|text| text.contains("stuck"))
    });
    fleet.node("a1").kill();
    let failed = fails(&mut world, "a1", "activate", "was lost");
    assert!(failed["message"].as_str().unwrap().contains("is not known"), "{failed}");
    world.wait("rollback", &[]);
    fleet.node("a1").start();
    let back = world.wait("rollback_complete", &[]);
    assert_eq!(back["nodes"]["a1"], "1.0.0", "{back}");
    assert_eq!(fleet.node("a1").read("told"), "deploy 1.0.0\ndeploy 2.0.0\nrollback 1.0.0\n");
}

#[test]
fn a_home_folder_is_needed_and_said() {
    let Some((mut world, mut fleet)) = world(&["a1"], TOUCH) else { return };
    let home = fleet.node("a1").home.clone();
    fs::write(home.join(".tidegate"), "in the way").expect("written");
    world.push("1.0.0", &[BUILD]);
    fails(&mut world, "a1", "auth", "no home folder that it can write to");
}

#[test]
fn the_doctor_tries_each_node_once_and_says_what_is_wrong_with_it() {
    let nodes = &["a1", "a2"];
    let Some((world, mut fleet)) = world_with(nodes, &pipeline(nodes, TOUCH), "MaxSessions 2") else {
        return;
    };
    fleet.node("a2").kill();
    let (exit, said) = world.says(&["doctor"]);
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("node a1: sshd there allows no more than 2 sessions on one connection"), "{said}");
    assert!(said.contains("node a2: `a2`: ") && said.contains("help: no sshd listens there"), "{said}");
    assert_eq!(said.matches(" node a1").count(), 1, "{said}");
    assert!(!fleet.node("a1").home.join(".tidegate").exists(), "nothing was changed");
    let fit = &["a1"];
    let Some((world, _fleet)) = world_with(fit, &pipeline(fit, TOUCH), "") else { return };
    let said = world.says(&["doctor"]).1;
    assert!(said.contains("node a1: it is reached, and has what a deploy needs"), "{said}");
}

#[test]
fn a_host_that_takes_the_connection_and_says_nothing_is_not_waited_for_long() {
    let Some((mut world, _fleet)) = world(&["a1"], TOUCH) else { return };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("its address").port();
    fs::write(world.path("ssh_config"), format!("Host a1\n  HostName 127.0.0.1\n  Port {port}\n"))
        .expect("written");
    world.push("1.0.0", &[BUILD]);
    world.wait("deploy_start", &[("node", "a1")]);
    let begin = std::time::Instant::now();
    let failed = world.wait("deploy_failed", &[("node", "a1")]);
    assert_eq!(failed["failure"], "unreachable", "{failed}");
    assert!(begin.elapsed().as_secs() < 16, "{:?}", begin.elapsed());
}

#[test]
fn what_the_users_configuration_allows_a_node_is_not_allowed() {
    let show = "run = \"test -z \\\"$SSH_AUTH_SOCK\\\" && touch $HOME/no-agent\"\n";
    let Some((mut world, mut fleet)) = world(&["a1"], show) else { return };
    world.stop();
    let socket = world.path("agent");
    let mut agent = Command::new("ssh-agent");
    let agent = agent.args(["-D", "-a"]).arg(&socket).stdout(std::process::Stdio::null()).spawn();
    let Ok(mut agent) = agent else { return eprintln!("skipped: there is no ssh-agent") };
    let lax = "  ForwardAgent yes\n  StrictHostKeyChecking no\n  ForwardX11 yes\n  PermitLocalCommand yes\n";
    let trap = format!("  LocalCommand touch {}\n", world.path("sprung").display());
    let config = world.read("ssh_config");
    fs::write(world.path("ssh_config"), format!("{config}{lax}{trap}")).expect("written");
    let mut program = world.program();
    program.env("SSH_AUTH_SOCK", &socket);
    world.start_by(program);
    world.push("1.0.0", &[BUILD]);
    world.wait("deploy_ok", &[("node", "a1")]);
    assert!(fleet.node("a1").home.join("no-agent").exists() && !world.path("sprung").exists());
    // A key that nobody knows is not learnt.
    fs::write(world.path("known_hosts"), "").expect("written");
    world.push("1.0.1", &[BUILD]);
    fails(&mut world, "a1", "auth", "ssh-keyscan");
    assert_eq!(world.read("known_hosts"), "");
    agent.kill().and_then(|()| agent.wait()).expect("gone");
}
