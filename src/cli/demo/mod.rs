//! `tidegate demo`: the main job, in front of one's eyes, in under a minute. A repository, a pipeline of three tiers, nodes
//! that serve a web page, and a controller, all in a temporary folder.

mod audience;
mod hosts;
pub(super) mod node;
mod stage;

use super::Exit;
use super::client::Where;
use super::talk::{self, Tone, tinted};
use super::trouble::Trouble;
use crate::domain::{Blocker, Event};
use crate::source::hook::quote;
use audience::Audience;
use stage::Stage;
use std::io::{BufRead, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Confirm without asking
    #[arg(long, short)]
    yes: bool,
    /// Reach the nodes of production by ssh: each is an sshd of its own on loopback
    #[arg(long)]
    ssh: bool,
    /// Leave everything there and running at the end
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let stage = match Stage::build(args.ssh) {
        Ok(stage) => Arc::new(Mutex::new(Some(stage))),
        Err(trouble) => return trouble.say(),
    };
    end_on_interrupt(stage.clone());
    let played = play(args, &stage);
    let stage = stage.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (played, stage) {
        (Ok(()), Some(stage)) if args.keep => {
            leave(stage).map_or_else(|trouble| trouble.say(), |()| Exit::Done)
        }
        (Ok(()), stage) => {
            drop(stage);
            what_next();
            Exit::Done
        }
        (Err(trouble), Some(stage)) if args.keep => {
            if let Err(other) = leave(stage) {
                other.say();
            }
            trouble.say()
        }
        (Err(trouble), _) => trouble.say(),
    }
}

type Shared = Arc<Mutex<Option<Stage>>>;

/// Ctrl-C ends what the demo began.
fn end_on_interrupt(stage: Shared) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            drop(stage.lock().unwrap_or_else(PoisonError::into_inner).take());
            std::process::exit(130);
        }
    });
}

/// Looks at the stage; once an interrupt has ended it, there is nothing more to do.
fn on<R>(stage: &Shared, act: impl FnOnce(&mut Stage) -> Result<R, Trouble>) -> Result<R, Trouble> {
    let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
    match stage.as_mut() {
        Some(stage) => act(stage),
        // Whoever took it ends this process in a moment.
        None => loop {
            std::thread::park();
        },
    }
}

fn play(args: &Args, stage: &Shared) -> Result<(), Trouble> {
    title("A controller, a repository with its hook, and a pipeline of three tiers");
    on(stage, |stage| {
        stage.start_controller()?;
        stage.tidegate(&["hook", "install", &stage.repo().display().to_string()])
    })?;
    let client = on(stage, |stage| Where::of(&stage.url(), &stage.state()).client_that_waits())?;
    let audience = Audience::take_seats(client);
    audience.wait(|event| matches!(event, Event::PipelineLoaded { .. }))?;

    title("A good version is pushed: built once, checked, put on the staging node, and then it waits");
    on(stage, |stage| stage.push("1.0.0", &page("Welcome to the shop"), "Open the shop"))?;
    confirm(args, stage, &audience, "1.0.0")?;

    title("A bad version: its page has lost the greeting, which only shows once it runs");
    on(stage, |stage| stage.push("1.1.0", &page("Oops"), "Change the greeting"))?;
    audience.wait(|event| matches!(event, Event::PromoteFailed { tier, .. } if *tier == "staging"))?;
    remark("staging went back by itself; production never saw it");
    show(stage)?;

    title("The pipeline's file is edited: a gate more, in force at once, and nothing is deployed again");
    on(stage, add_gate)?;
    audience.wait(|event| matches!(event, Event::PipelineLoaded { .. }))?;

    title("Another good version, and in the middle of its tests the controller is killed (SIGKILL)");
    on(stage, |stage| stage.push("1.2.0", &page("Welcome to the better shop"), "Improve the shop"))?;
    audience.wait(|event| matches!(event, Event::GateStart { name, .. } if *name == "slow-tests"))?;
    on(stage, |stage| {
        let process = stage.controller();
        stage.kill_controller();
        remark(&format!("process {process} is gone; started again on the same state folder:"));
        stage.start_controller()
    })?;
    confirm(args, stage, &audience, "1.2.0")
}

/// Waits until a version needs a word for production, gives it, and shows what comes of it.
fn confirm(args: &Args, stage: &Shared, audience: &Audience, version: &str) -> Result<(), Trouble> {
    let missing = |blocker: &Blocker| matches!(blocker, Blocker::ConfirmMissing { .. });
    audience.wait(|event| {
        matches!(event, Event::PromoteBlocked { tier, version: of, blockers, .. }
            if *tier == "production" && *of == version && blockers.iter().any(missing))
    })?;
    ask(args, version)?;
    on(stage, |stage| {
        stage.tidegate(&["confirm", "shop", "production", version, "--why", "the demo goes on"])
    })?;
    audience.wait(|event| matches!(event, Event::PromoteComplete { tier, .. } if *tier == "production"))?;
    show(stage)
}

/// Asks for a word, where there is somebody to ask.
fn ask(args: &Args, version: &str) -> Result<(), Trouble> {
    if args.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        remark("nobody to ask here: the demo confirms by itself");
        return Ok(());
    }
    loop {
        talk::say(format_args!("\n         Production wants a person's word. Confirm {version}? [Y/n]"));
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        let read = read.map_err(|error| stage::broken("read an answer", error))?;
        match line.trim().to_lowercase().as_str() {
            // Nobody is there any more.
            "" if read == 0 => return Err(refused(version)),
            "" | "y" | "yes" => return Ok(()),
            "n" | "no" => return Err(refused(version)),
            _ => talk::say("         y or n?"),
        }
    }
}

fn refused(version: &str) -> Trouble {
    let message = format!("{version} was not confirmed, and the demo goes no further");
    let help = "`tidegate demo --yes` confirms without asking";
    Trouble::new("TG-DEMO-005", message, help, Exit::Interrupted)
}

fn add_gate(stage: &mut Stage) -> Result<(), Trouble> {
    let file = stage.pipeline();
    let gate = "\n  [[tier.gate]]\n  name = \"greeting\"\n  kind = \"command\"\n  run = 'grep -q Welcome page.html'\n";
    let edited = std::fs::read_to_string(&file).and_then(|text| {
        let at = text.find("\n[[tier]]\nname = \"staging\"").unwrap_or(text.len());
        std::fs::write(&file, format!("{}{gate}{}", &text[..at], &text[at..]))
    });
    edited.map_err(|error| stage::broken("edit the pipeline", error))
}

fn page(heading: &str) -> String {
    format!("<!doctype html>\n<html><title>Shop</title><h1>{heading}, version @VERSION@</h1></html>\n")
}

fn show(stage: &Shared) -> Result<(), Trouble> {
    on(stage, |stage| {
        stage.show_nodes();
        Ok(())
    })
}

fn title(text: &str) {
    let colour = talk::colours(&std::io::stdout());
    talk::show(format_args!("\n{}", tinted(&format!("== {text}"), Tone::Strong, colour)));
}

fn remark(text: &str) {
    let colour = talk::colours(&std::io::stdout());
    talk::show(format_args!("         {}", tinted(text, Tone::Quiet, colour)));
}

fn what_next() {
    title("That was all of it, and nothing is left of it. Next:");
    talk::show("   tidegate demo --keep          the same, left running to play with");
    talk::show("   tidegate check pipelines      the examples; write your own beside them");
    talk::show("   tidegate serve                the controller; then `tidegate hook install REPO`");
}

/// Lets everything run on, and says what is there and how it is ended.
fn leave(stage: Stage) -> Result<(), Trouble> {
    let (folder, url) = (stage.folder().to_owned(), stage.url());
    let word = |below: &str| quote(&folder.join(below).display().to_string());
    let processes = stage.leave()?;
    let processes = processes.iter().map(|process| format!(" {process}")).collect::<String>();
    title("Everything is still there and running:");
    talk::show(format_args!("   export TIDEGATE_URL={url} TIDEGATE_STATE={}", word("state")));
    talk::show("   tidegate status               what is where");
    talk::show("   tidegate events --follow      what happens");
    talk::show(format_args!("   edit {}", word("pipelines/shop.toml")));
    talk::show(format_args!(
        "   cd {}              change page.html and VERSION, commit, push",
        word("work")
    ));
    talk::show(format_args!("   kill{processes} $(cat {}/*/pid); rm -r {}", word("nodes"), word("")));
    Ok(())
}
