//! Completion: the script, sourced by a real shell, completes commands, options, and names that the controller knows.

use super::SHOP;
use super::world::World;

/// What bash offers for a line that is typed so far.
fn offered(world: &World, line: &str) -> Vec<String> {
    let script = r#"
        source <("$TIDEGATE" completions bash)
        tidegate() { "$TIDEGATE" "$@"; }
        read -r -a COMP_WORDS <<< "$LINE"
        case $LINE in *' ') COMP_WORDS+=('') ;; esac
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        COMP_LINE=$LINE COMP_POINT=${#LINE}
        COMP_WORDS[0]=$TIDEGATE
        _tidegate tidegate
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "-c", script]).env("LINE", line).env("TIDEGATE", env!("CARGO_BIN_EXE_tidegate"));
    bash.env("TIDEGATE_STATE", world.path("state")).env("TIDEGATE_URL", format!("http://{}", world.address));
    let output = bash.output().expect("bash runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_live_names() {
    if std::process::Command::new("bash").arg("--version").output().is_err() {
        eprintln!("bash is not on this machine: completion is not tried");
        return;
    }
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    let mut commands = offered(&world, "tidegate re");
    commands.sort();
    assert_eq!(commands, ["rebuild", "redeploy", "resume", "retry"]);
    assert!(!offered(&world, "tidegate ").contains(&"__complete".to_owned()), "hidden ones are not offered");
    assert_eq!(offered(&world, "tidegate confirm "), ["shop"]);
    assert_eq!(offered(&world, "tidegate confirm shop "), ["host", "staging", "prod"]);
    assert_eq!(offered(&world, "tidegate confirm shop st"), ["staging"]);
    assert_eq!(offered(&world, "tidegate confirm --why because shop prod "), ["1.0.0"]);
    assert_eq!(offered(&world, "tidegate redeploy shop prod --node "), ["p1", "p2"]);
    assert_eq!(offered(&world, "tidegate token create x --role op"), ["operator"]);
    assert_eq!(offered(&world, "tidegate hook i"), ["install"]);
    assert!(offered(&world, "tidegate promote --l").contains(&"--lift".to_owned()));
    assert!(offered(&world, "tidegate check ").is_empty(), "files are the shell's own");
    world.stop();
    assert!(
        offered(&world, "tidegate confirm ").is_empty(),
        "without a controller nothing is offered, and nothing said"
    );
}

#[test]
fn scripts_and_manual_pages_are_made_for_every_command() {
    let world = World::unborn(SHOP);
    for shell in ["bash", "zsh", "fish"] {
        let script = world.good(&["completions", shell]);
        assert!(script.contains("__complete"), "{shell}: {script}");
        let Ok(mut parser) = std::process::Command::new(shell).args(["-n", "-c", &script]).spawn() else {
            eprintln!("{shell} is not on this machine: its script is not parsed");
            continue;
        };
        assert!(parser.wait().expect("it ends").success(), "{shell}");
    }
    world.good(&["man", "--write", "man"]);
    let page = world.read("man/tidegate-hook-install.1");
    assert!(page.starts_with(".TH ") && page.contains(".SH SYNOPSIS\ntidegate hook install"), "{page}");
    assert!(world.read("man/tidegate.1").contains("\\fBrollback\\fR"));
    assert!(!world.path("man/tidegate-__complete.1").exists());
}
