//! The process of a gate that runs cargo. What it does is the interpreter's; here are only its words and its end.

use crate::cli::talk;
use crate::interpreter::cargo::{self, Kind};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit status when this program itself is in trouble; cargo's own are 1 and 101.
const BROKEN: u8 = 125;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The workspace
    #[arg(long)]
    root: PathBuf,
    /// What cargo does: `test`, `clippy`, `fmt` or `deny`
    #[arg(value_parser = |name: &str| Kind::named(name).ok_or("it is test, clippy, fmt or deny"))]
    kind: Kind,
    /// The gate's own arguments
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Ends with cargo's exit status.
pub(super) fn run(args: &Args) -> ExitCode {
    match cargo::run(args.kind, &args.root, &args.args) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(BROKEN)),
        Err(error) => {
            talk::fail("TG-CARGO-001", format_args!("failed to run cargo: {error}"), "");
            ExitCode::from(BROKEN)
        }
    }
}
