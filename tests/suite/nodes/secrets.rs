//! Secrets on a node: in the environment of the command that lists them, and nowhere else.

use super::world::{BUILD, pipeline, world_with};
use std::fs;
use std::path::Path;

const SECRET: &str = "hunter2-the-secret-of-the-shop";

/// Everything below a folder that holds the secret.
fn files_with(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            files_with(&path, found);
        } else if kind.is_file() && fs::read(&path).is_ok_and(|bytes| holds(&bytes)) {
            found.push(path.display().to_string());
        }
    }
}

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}

#[test]
fn a_secret_is_on_no_command_line_and_in_no_file_while_a_deploy_runs() {
    let deploy = r#"
run = "test \"$TOKEN\" = hunter2-the-secret-of-the-shop || exit 9; echo token is $TOKEN; while ! test -f $HOME/go; do sleep 0.02; done"
secrets = ["TOKEN"]
upload = [{ artifact = "out/**", to = "$HOME/app/" }]
confirm_within = "60s"
"#;
    // The pipeline itself must not hold the secret: the command only compares.
    let deploy = deploy.replace(
        "test \\\"$TOKEN\\\" = hunter2-the-secret-of-the-shop || exit 9",
        "test ${#TOKEN} = 30 || exit 9",
    );
    let text =
        format!("{}\n[secrets]\nTOKEN = {{ file = \"$PLACE/../secret\" }}\n", pipeline(&["a1"], &deploy));
    let Some((mut world, mut fleet)) = world_with(&["a1"], &text, "") else { return };
    let path = world.path("secret");
    fs::write(&path, SECRET).expect("written");
    std::process::Command::new("chmod").arg("600").arg(&path).status().expect("closed to others");
    let go = fleet.node("a1").home.join("go");
    fs::write(&go, "").expect("written");
    world.push("1.0.0", &[BUILD]);
    world.wait("deploy_ok", &[]);
    // The second time there is a guard, too, which knows the secret of the way back.
    fs::remove_file(&go).expect("removed");
    world.push("2.0.0", &[]);
    world.wait("deploy_log_chunk", &[("text", "token is ***\n")]);
    let mut shown = Vec::new();
    let mut told = 0;
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if pid == std::process::id() {
            continue;
        }
        let read = |what: &str| fs::read(entry.path().join(what)).unwrap_or_default();
        if holds(&read("cmdline")) {
            shown.push(String::from_utf8_lossy(&read("cmdline")).into_owned());
        }
        told += usize::from(holds(&read("environ")));
    }
    assert!(shown.is_empty(), "{shown:?}");
    assert!(told > 0, "the command is running and knows it");
    let mut found = Vec::new();
    files_with(&fleet.node("a1").home, &mut found);
    files_with(&world.path("state"), &mut found);
    assert!(found.is_empty(), "{found:?}");
    fs::write(&go, "").expect("written");
    world.wait("deploy_ok", &[]);
    fleet.node("a1").wait_until_idle();
    assert!(!files_found_after(&fleet.node("a1").home), "nothing of it is left");
}

fn files_found_after(home: &Path) -> bool {
    let mut found = Vec::new();
    files_with(home, &mut found);
    !found.is_empty()
}
