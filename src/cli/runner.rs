//! `tidegate runner`: the process that keeps the steps of a state folder. The controller starts it.

use super::{Exit, talk};
use crate::runner::keeper::host;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The state folder
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
}

pub(super) fn run(args: &Args) -> Exit {
    if let Err(error) = super::serve::begin_logging() {
        return super::trouble::Trouble::from(error).say();
    }
    super::shut::shut();
    match host::run(&args.state) {
        Ok(()) => Exit::Done,
        Err(error) => {
            talk::fail(
                "TG-SERVE-009",
                format_args!("failed to keep steps: {error}"),
                "the controller starts this by itself; end an earlier one, or look at the state folder's `runner`",
            );
            Exit::Failed
        }
    }
}
