//! The command line: one file a family of commands. Data goes to stdout, talk to stderr; a command ends with an
//! `Exit`. Everything but `serve`, `run`, `demo`, `init`, `check`, `explain`, `schema`, `hook install`, `token`,
//! `verify-journal`, `export`, `import`, `backup` and `restore` speaks to a controller over HTTP, like any other client.

mod actions;
mod archive;
mod cargo_gate;
mod remote_step;
mod check;
mod client;
mod complete;
mod credential;
mod demo;
mod doctor;
mod dry_run_gate;
mod events;
mod explain;
mod hook;
mod init;
mod logs;
mod man;
mod manual;
mod narrate;
mod plan;
mod rebuild;
mod run;
mod runner;
mod schema;
mod serve;
mod serving;
mod shut;
mod socket;
mod status;
mod support_bundle;
mod talk;
mod threads;
mod token;
mod trouble;
mod verify_journal;
mod wait;
mod watch;
mod why;

use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// How a command ends. The numbers are contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Done.
    Done,
    /// The pipeline, check or test failed.
    Failed,
    /// Usage, or a bad definition.
    Usage,
    /// Waiting for something.
    Blocked,
    /// No controller, or not allowed.
    NoController,
    /// The time that was given for waiting is over, and it goes on.
    TimeOver,
    /// Interrupted.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Blocked => 3,
            Exit::NoController => 4,
            Exit::TimeOver => 5,
            Exit::Interrupted => 130,
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
    /// Run the controller
    #[command(after_help = manual::SERVE)]
    Serve(serve::Args),
    /// See all of it at work, in a temporary folder, in under a minute
    #[command(after_help = manual::DEMO)]
    Demo(demo::Args),
    /// Serve one page: what runs on the demo's nodes
    #[command(hide = true)]
    DemoNode(demo::node::Args),
    /// Write a first pipeline for the repository that this folder is in
    #[command(after_help = manual::INIT)]
    Init(init::Args),
    /// Run cargo for a gate, and say in a form for machines what it says
    #[command(hide = true)]
    CargoGate(cargo_gate::Args),
    /// Restore a backup for a gate, migrate it, and say how long that took
    #[command(hide = true)]
    DryRunGate(dry_run_gate::Args),
    /// Run a command on a node through an ssh connection that is there
    #[command(hide = true)]
    RemoteStep(remote_step::Args),
    /// Keep the steps of a state folder while controllers come and go
    #[command(hide = true)]
    Runner(runner::Args),
    /// Check pipeline files: every problem of every file at once
    #[command(after_help = manual::CHECK)]
    Check(check::Args),
    /// Say what a code such as TG-DEF-012 means, and the way out
    #[command(after_help = manual::EXPLAIN)]
    Explain(explain::Args),
    /// Print the JSON Schemas, or write them into a folder
    #[command(after_help = manual::SCHEMA)]
    Schema(schema::Args),
    /// Build here and now, without a controller, and run the gates up to the first deploy
    #[command(after_help = manual::RUN)]
    Run(run::Args),
    /// Show what an edit changes and what the next version would do, without doing it
    #[command(after_help = manual::PLAN)]
    Plan(plan::Args),
    /// Show what is where, and what goes on
    #[command(after_help = manual::STATUS)]
    Status(status::Args),
    /// Watch it all on screens, and act
    #[command(after_help = manual::WATCH)]
    Watch(watch::Args),
    /// Print events as JSON lines
    #[command(after_help = manual::EVENTS)]
    Events(events::Args),
    /// Print the log of a run
    #[command(after_help = manual::LOGS)]
    Logs(logs::Args),
    /// Show what stands between a version and a tier
    #[command(after_help = manual::WHY)]
    Why(why::Args),
    /// Ask for a build
    #[command(after_help = manual::REBUILD)]
    Rebuild(rebuild::Args),
    /// Give your word for a version that waits for one
    #[command(after_help = manual::CONFIRM)]
    Confirm(actions::VersionArgs),
    /// Reject a version that waits
    #[command(after_help = manual::DENY)]
    Deny(actions::VersionArgs),
    /// Let a version in, without waiting for `mode = "manual"`, soak or window
    #[command(after_help = manual::PROMOTE)]
    Promote(actions::PromoteArgs),
    /// Send a tier back to the version before, or to a named one
    #[command(after_help = manual::ROLLBACK, mut_arg("version", |arg| arg.help(manual::ROLLBACK_VERSION)))]
    Rollback(actions::VersionArgs),
    /// Let a rejected version wait again, or try at once what would be tried later
    #[command(after_help = manual::RETRY)]
    Retry(actions::VersionArgs),
    /// Run the deploy of the current version again
    #[command(after_help = manual::REDEPLOY)]
    Redeploy(actions::RedeployArgs),
    /// Say what a tier runs already, so that the first rollback has somewhere to go
    #[command(after_help = manual::ADOPT)]
    Adopt(actions::AdoptArgs),
    /// Stop every entry by automation, of a tier or of the pipeline
    #[command(after_help = manual::HOLD, mut_arg("tier", |arg| arg.help(manual::HOLD_TIER)))]
    Hold(actions::TierArgs),
    /// Lift a hold: automation lets versions in again
    #[command(after_help = manual::RESUME, mut_arg("tier", |arg| arg.help(manual::RESUME_TIER)))]
    Resume(actions::TierArgs),
    /// End a build, or what is inside a tier
    #[command(after_help = manual::CANCEL, mut_arg("tier", |arg| arg.help(manual::CANCEL_TIER)))]
    Cancel(actions::TierArgs),
    /// Keep a version from entering any tier
    #[command(after_help = manual::BLOCK)]
    Block(actions::BlockArgs),
    /// Let a version that was blocked enter again
    #[command(after_help = manual::UNBLOCK)]
    Unblock(actions::BlockArgs),
    /// Install or remove the git hook that tells the controller of pushes
    #[command(after_help = manual::HOOK)]
    Hook(hook::Args),
    /// Look at everything that a controller needs, and say what is not right
    #[command(after_help = manual::DOCTOR)]
    Doctor(doctor::Args),
    /// Write a file for a bug report, without anything secret in it
    #[command(after_help = manual::SUPPORT_BUNDLE)]
    SupportBundle(support_bundle::Args),
    /// Make, list and revoke tokens
    #[command(after_help = manual::TOKEN)]
    Token(token::Args),
    /// Copy the journal, logs, artifacts and tokens into a folder, beside a running controller
    #[command(after_help = manual::BACKUP)]
    Backup(archive::BackupArgs),
    /// Go on from a backup, in a state folder with nothing in it
    #[command(after_help = manual::RESTORE)]
    Restore(archive::RestoreArgs),
    /// Write the whole journal as JSON lines
    #[command(after_help = manual::EXPORT)]
    Export(archive::ExportArgs),
    /// Make a journal of an export, in a state folder with nothing in it
    #[command(after_help = manual::IMPORT)]
    Import(archive::ImportArgs),
    /// Prove that the journal is what it was when it was written
    #[command(after_help = manual::VERIFY_JOURNAL)]
    VerifyJournal(verify_journal::Args),
    /// Print a script that lets a shell complete words
    #[command(after_help = manual::COMPLETIONS)]
    Completions(complete::Args),
    /// Print the manual page, or write all of them
    #[command(after_help = manual::MAN)]
    Man(man::Args),
    /// What the last word may become
    #[command(name = "__complete", hide = true)]
    Complete(complete::WordsArgs),
}

/// Every command with its options, as `--help` and the manual pages know them.
pub fn commands() -> clap::Command {
    Cli::command()
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
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(&args),
        Command::DemoNode(args) => demo::node::run(&args),
        Command::Init(args) => init::run(&args),
        Command::CargoGate(args) => return cargo_gate::run(&args),
        Command::DryRunGate(args) => return dry_run_gate::run(&args),
        Command::RemoteStep(args) => return remote_step::run(args),
        Command::Runner(args) => runner::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Events(args) => events::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Rebuild(args) => rebuild::run(&args),
        Command::Confirm(args) => actions::on_version("confirm", &args),
        Command::Deny(args) => actions::on_version("deny", &args),
        Command::Promote(args) => actions::promote(&args),
        Command::Rollback(args) => actions::rollback(&args),
        Command::Retry(args) => actions::retry(&args),
        Command::Redeploy(args) => actions::redeploy(&args),
        Command::Adopt(args) => actions::adopt(&args),
        Command::Hold(args) => actions::on_tier("hold", &args),
        Command::Resume(args) => actions::on_tier("resume", &args),
        Command::Cancel(args) => actions::cancel(&args),
        Command::Block(args) => actions::block("block", &args),
        Command::Unblock(args) => actions::block("unblock", &args),
        Command::Hook(args) => hook::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::SupportBundle(args) => support_bundle::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Backup(args) => archive::backup(&args),
        Command::Restore(args) => archive::restore(&args),
        Command::Export(args) => archive::export(&args),
        Command::Import(args) => archive::import(&args),
        Command::VerifyJournal(args) => verify_journal::run(&args),
        Command::Completions(args) => complete::run(&args),
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::Complete(args) => complete::complete(&args, Cli::command()),
    };
    exit.into()
}
