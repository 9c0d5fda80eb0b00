//! Completion: the script, sourced by a real shell, completes commands, options, and names that the controller knows.

use super::SHOP;
use super::world::World;
use std::process::Command;

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
    assert_eq!(commands, ["rebuild", "redeploy", "restore", "resume", "retry"]);
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

/// Whether a shell is there; says so when not.
fn has(shell: &str) -> bool {
    let is_there = Command::new(shell).arg("--version").output().is_ok();
    if !is_there {
        eprintln!("{shell} is not on this machine: its completion is not tried");
    }
    is_there
}

/// A shell in a world, that finds the program by its name.
fn shell(world: &World, shell: &str) -> Command {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tidegate"));
    let mut folders = vec![program.parent().expect("a folder").to_owned()];
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut shell = Command::new(shell);
    shell.env("PATH", std::env::join_paths(folders).expect("a path")).env("HOME", world.path("home"));
    shell.env("TIDEGATE_STATE", world.path("state")).env("TIDEGATE_URL", format!("http://{}", world.address));
    shell.current_dir(world.folder.path()).stdin(std::process::Stdio::null());
    shell
}

fn lines(output: &std::process::Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn fish_completes_commands_options_and_live_names() {
    if !has("fish") {
        return;
    }
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    std::fs::write(world.path("tidegate.fish"), world.good(&["completions", "fish"])).expect("a script");
    let offered = |line: &str| {
        let script = format!("source tidegate.fish; complete -C '{line}'");
        lines(&shell(&world, "fish").args(["--no-config", "-c", &script]).output().expect("fish runs"))
    };
    assert_eq!(offered("tidegate re"), ["rebuild", "redeploy", "restore", "resume", "retry"]);
    assert_eq!(offered("tidegate confirm "), ["shop"], "names, and no files among them");
    assert_eq!(offered("tidegate confirm shop st"), ["staging"]);
    assert_eq!(offered("tidegate confirm shop prod "), ["1.0.0"]);
    assert_eq!(offered("tidegate redeploy shop prod --node p"), ["p1", "p2"]);
    assert!(offered("tidegate promote --l").contains(&"--lift".to_owned()));
    assert_eq!(offered("tidegate check pipe"), ["pipelines/"], "where files are meant, files");
}

#[test]
fn zsh_completes_commands_options_and_live_names() {
    if !has("zsh") {
        return;
    }
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    // A shell that a person would sit at: the tabulator is pressed, and ^G shows the line as it then is.
    let script = r#"
        zmodload zsh/zpty
        zpty z 'TERM=dumb zsh -f -i'
        zpty -w z 'PS1=; autoload -Uz compinit; compinit -u -D; source <(tidegate completions zsh)
            show() { print -r -- "<$BUFFER>"; BUFFER=; }; zle -N show; bindkey "^G" show; print READY'
        zpty -r -m z said '*READY*READY*'
        for line in "$@"; do
            zpty -w -n z "$line"$'\t\x07'
            zpty -r -m z said '*<*>*'
            print -r -- "${${said##*<}%%>*}"
        done
        zpty -d z
    "#;
    let typed = [
        ("tidegate redep", "tidegate redeploy"),
        ("tidegate confirm s", "tidegate confirm shop"),
        ("tidegate confirm shop st", "tidegate confirm shop staging"),
        ("tidegate confirm shop prod 1", "tidegate confirm shop prod 1.0.0"),
        ("tidegate redeploy shop prod --node ", "tidegate redeploy shop prod --node p"),
        ("tidegate promote --li", "tidegate promote --lift"),
        ("tidegate check pipe", "tidegate check pipelines/"),
    ];
    let mut zsh = shell(&world, "zsh");
    zsh.args(["-f", "-c", script, "zsh"]).args(typed.map(|(line, _)| line));
    assert_eq!(lines(&zsh.output().expect("zsh runs")), typed.map(|(_, line)| line));
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
