//! `tidegate run`: builds and checks a version here and now, without a controller. The same engine and the same
//! interpreter do the work, over a journal that is kept in memory only.

mod account;
mod commit;
mod live;
mod place;
mod trimmed;
mod workshop;

use super::trouble::Trouble;
use super::{Exit, threads};
use crate::definition;
use crate::domain::Severity;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The pipeline file
    file: PathBuf,
    /// Build this commit of the pipeline's repository [default: the head of its branch]
    #[arg(long, value_name = "SHA", conflicts_with = "dir")]
    sha: Option<String>,
    /// Build what is in this folder as it is, whether it is committed or not
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Deploy to this tier too; without it everything ends before the first deploy
    #[arg(long, value_name = "TIER")]
    deploy: Vec<String>,
    /// Of the gates, run only this one
    #[arg(long, value_name = "NAME")]
    gate: Vec<String>,
    /// Build steps and gates at once [default: the cores]
    #[arg(long, value_name = "N")]
    jobs: Option<u32>,
    /// The settings file, of which `ssh_command` counts here [default: tidegate.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print events as JSON lines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let ended = threads::many(|runtime| {
        let ended = runtime.block_on(build(args));
        runtime.shutdown_background();
        ended
    });
    ended.unwrap_or_else(|trouble| trouble.say())
}

async fn build(args: &Args) -> Result<Exit, Trouble> {
    let name = args.file.display().to_string();
    let bytes = super::check::read_the(&args.file)?;
    let loaded = match definition::load(&name, &bytes) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            super::check::draw(&[(name, bytes)], &diagnostics);
            let errors = diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
            let message = format!("the pipeline has {}", crate::words::counted(errors, "error"));
            return Err(Trouble::new("TG-CLI-012", message, "mend what is said above", Exit::Usage));
        }
    };
    let mut pipeline = trimmed::for_here_and_now(&loaded.pipeline, &args.deploy)?;
    trimmed::to_gates(&mut pipeline, &args.gate)?;
    // The folder's copy lives until the end.
    let _copy = match &args.dir {
        Some(folder) => {
            let copy = commit::of_folder(folder)?;
            pipeline.source.repo = copy.path().display().to_string();
            pipeline.source.refs = Vec::new();
            Some(copy)
        }
        None => None,
    };
    workshop::work(args, &args.file, pipeline).await
}
