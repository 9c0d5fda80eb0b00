//! The command line: one file a family of commands. Data goes to stdout, talk to stderr; a command ends with an
//! [`Exit`].

mod check;
mod schema;
mod talk;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// How a command ends. The numbers are contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Done.
    Done,
    /// Usage, or a bad definition.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Usage => 2,
        })
    }
}

/// A tide gate lets water through one way, and only when the level is right. tidegate does that to versions.
#[derive(Parser)]
#[command(name = "tidegate", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check pipeline files: every problem of every file at once
    Check(check::Args),
    /// Print the JSON Schemas, or write them into a folder
    Schema(schema::Args),
}

/// Runs a command line; gives the process's exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stdout or stderr leaves nobody to tell.
            let _ = error.print();
            let asked = !error.use_stderr();
            return if asked { Exit::Done } else { Exit::Usage }.into();
        }
    };
    let exit = match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Schema(args) => schema::run(&args),
    };
    exit.into()
}
