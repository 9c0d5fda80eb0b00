//! The process of a command that runs on a node. What it does is `remote`'s; here are only its words and its end.

use crate::cli::talk;
use crate::remote::carry::Errand;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit status when this program itself is in trouble, or the command's own is not known.
const BROKEN: u8 = 255;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The node's name for ssh
    #[arg(long)]
    host: String,
    /// Where to say what went wrong on the way
    #[arg(long)]
    result: PathBuf,
    /// Where the command's output goes, alone
    #[arg(long)]
    output: Option<PathBuf>,
    /// The socket of the connection
    #[arg(long)]
    socket: PathBuf,
    /// ssh and its arguments, should nobody answer there
    #[arg(last = true)]
    ssh: Vec<OsString>,
}

/// Ends with the command's exit status.
pub(super) fn run(args: Args) -> ExitCode {
    let Args { host, result, output, socket, ssh } = args;
    match (Errand { host, result, output, socket, ssh }).run() {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(BROKEN)),
        Err(error) => {
            talk::fail("TG-NODE-001", format_args!("failed to run a command on the node: {error}"), "");
            ExitCode::from(BROKEN)
        }
    }
}
