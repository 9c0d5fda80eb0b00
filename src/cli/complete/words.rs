//! What the last word of a command line may be, from the commands and options as clap knows them.

use clap::{Arg, ArgAction, Command};

/// What is asked for.
pub(super) struct Wanted {
    /// The word as far as it is typed.
    pub(super) begun: String,
    /// What it may become.
    pub(super) what: What,
    /// What was said before by position, in order.
    pub(super) said: Vec<String>,
    /// What was said before as options with a value.
    pub(super) options: Vec<(String, String)>,
}

/// What a word may become.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// One of these; none: that is not known here, a file for example.
    Words(Vec<String>),
    /// A name that the controller knows.
    Names(Kind),
}

/// What kind of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pipeline,
    Tier,
    Version,
    Node,
}

/// Reads the words; the last one is being typed.
pub(super) fn wanted(mut command: Command, words: &[String]) -> Wanted {
    command.build();
    let (begun, before) = match words.split_last() {
        Some((last, before)) => (last.clone(), before),
        None => (String::new(), [].as_slice()),
    };
    let mut at = &command;
    let mut wanted = Wanted { begun, what: What::Words(Vec::new()), said: Vec::new(), options: Vec::new() };
    let mut open: Option<&Arg> = None;
    for word in before {
        if let Some(option) = open.take() {
            wanted.options.push((option.get_id().to_string(), word.clone()));
        } else if word.starts_with('-') {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v)));
            let option = option(at, name).filter(|option| takes_value(option));
            match (option, value) {
                (Some(option), Some(value)) => {
                    wanted.options.push((option.get_id().to_string(), value.into()));
                }
                (option, _) => open = option,
            }
        } else if let Some(below) = at.find_subcommand(word).filter(|_| wanted.said.is_empty()) {
            at = below;
        } else {
            wanted.said.push(word.clone());
        }
    }
    wanted.what = match open {
        Some(option) => of(option),
        None if wanted.begun.starts_with('-') => What::Words(options(at)),
        None if at.has_subcommands() && wanted.said.is_empty() => What::Words(subcommands(at)),
        None => position(at, wanted.said.len()).map_or(What::Words(Vec::new()), of),
    };
    wanted
}

fn takes_value(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
}

fn option<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut all = command.get_arguments();
    match (name.strip_prefix("--"), name.strip_prefix('-')) {
        (Some(long), _) => all.find(|arg| arg.get_long() == Some(long)),
        (None, Some(short)) => all.find(|arg| arg.get_short().map(String::from).as_deref() == Some(short)),
        (None, None) => None,
    }
}

fn options(command: &Command) -> Vec<String> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown.filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect()
}

fn subcommands(command: &Command) -> Vec<String> {
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set());
    shown.map(|below| below.get_name().to_owned()).collect()
}

/// The argument at a position; the last goes on where it takes many.
fn position(command: &Command, at: usize) -> Option<&Arg> {
    let all: Vec<&Arg> = command.get_positionals().collect();
    let last = all.last().copied().filter(|arg| matches!(arg.get_action(), ArgAction::Append));
    all.get(at).copied().or(last)
}

/// What the value of an argument may be.
fn of(arg: &Arg) -> What {
    let possible: Vec<String> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let listed = |words: &[&str]| What::Words(words.iter().map(|word| (*word).to_owned()).collect());
    match arg.get_id().as_str() {
        _ if !possible.is_empty() => What::Words(possible),
        "pipeline" | "failed" => What::Names(Kind::Pipeline),
        "tier" | "deploy" => What::Names(Kind::Tier),
        "version" => What::Names(Kind::Version),
        "node" => What::Names(Kind::Node),
        "role" => listed(&["viewer", "trigger", "operator", "admin"]),
        "which" => listed(&["pipeline", "settings", "event", "step-event"]),
        "code" => What::Words(crate::cli::explain::codes().map(str::to_owned).collect()),
        "kind" => listed(&crate::domain::event::KINDS),
        _ => What::Words(Vec::new()),
    }
}
