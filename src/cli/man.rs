//! `tidegate man`: manual pages, made of the same help that `--help` prints.

use super::{Exit, talk};
use clap::{Arg, Command};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Write a page for every command into this folder, such as /usr/local/share/man/man1
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

/// Prints the page of the program, or writes those of all commands.
pub(super) fn run(args: &Args, mut command: Command) -> Exit {
    command.build();
    let Some(folder) = &args.write else {
        talk::data(page(&command, "tidegate").trim_end());
        return Exit::Done;
    };
    match std::fs::create_dir_all(folder).and_then(|()| write(&command, "tidegate", folder)) {
        Ok(()) => Exit::Done,
        Err(error) => {
            let message = format!("failed to write manual pages into `{}`: {error}", folder.display());
            talk::fail("TG-CLI-004", message, "name a folder that can be written");
            Exit::Usage
        }
    }
}

fn write(command: &Command, name: &str, folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!("{name}.1"));
    std::fs::write(&file, page(command, name))?;
    talk::say(file.display());
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
    shown.into_iter().try_for_each(|below| write(below, &format!("{name}-{}", below.get_name()), folder))
}

/// Text that roff takes as text.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = text
        .lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.into() });
    lines.collect::<Vec<String>>().join("\n")
}

fn page(command: &Command, name: &str) -> String {
    let mut out = String::new();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().bin_name(name.replace('-', " ")).render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    // Writing to a string does not fail.
    let _ = write!(
        out,
        ".TH {} 1 \"\" \"tidegate {}\"\n.SH NAME\n{} \\- {}\n",
        plain(&name.to_uppercase()),
        env!("CARGO_PKG_VERSION"),
        plain(name),
        plain(&about)
    );
    let _ = write!(out, ".SH SYNOPSIS\n{}\n", plain(&usage));
    let shown: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
    if !shown.is_empty() {
        out.push_str(".SH OPTIONS\n");
        shown.iter().for_each(|arg| option(&mut out, arg));
    }
    let below: Vec<&Command> = command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
    if !below.is_empty() {
        out.push_str(".SH COMMANDS\n");
        for one in below {
            let about = one.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = write!(out, ".TP\n\\fB{}\\fR\n{}\n", plain(one.get_name()), plain(&about));
        }
    }
    if let Some(more) = command.get_after_help() {
        let _ = write!(out, ".SH NOTES\n{}\n", plain(&more.to_string()).replace("\n\n", "\n.PP\n"));
    }
    out.push_str(EXITS);
    out
}

fn option(out: &mut String, arg: &Arg) {
    let mut words = Vec::new();
    words.extend(arg.get_short().map(|short| format!("\\fB\\-{short}\\fR")));
    words.extend(arg.get_long().map(|long| format!("\\fB\\-\\-{}\\fR", plain(long))));
    let takes = arg.get_action().takes_values();
    let value = arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string);
    let value = value.unwrap_or_else(|| arg.get_id().to_string().to_uppercase());
    let mut head = words.join(", ");
    if takes || words.is_empty() {
        let gap = if head.is_empty() { "" } else { " " };
        let _ = write!(head, "{gap}\\fI{}\\fR", plain(&value));
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let _ = write!(out, ".TP\n{head}\n{}\n", plain(&help));
}

const EXITS: &str = ".SH EXIT STATUS\n0: done. 1: the pipeline, check or test failed. 2: usage or a bad definition. \
3: blocked, it waits for something. 4: no controller, or not allowed. 5: the time given for\nwaiting is over. 130: interrupted.\n";
