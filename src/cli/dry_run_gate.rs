//! The process of a gate that tries migrations. What it does is the interpreter's; here are only its words and its end.

use crate::cli::talk;
use crate::interpreter::dry_run;
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit status when this program itself is in trouble.
const BROKEN: u8 = 125;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The gate's folder
    #[arg(long)]
    folder: PathBuf,
}

/// Ends with what the dry run came to.
pub(super) fn run(args: &Args) -> ExitCode {
    match dry_run::run_child(&args.folder) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(BROKEN)),
        Err(error) => {
            talk::fail("TG-DRYRUN-001", format_args!("failed to try the migrations: {error}"), "");
            ExitCode::from(BROKEN)
        }
    }
}
