//! `tidegate backup`, `restore`, `export` and `import`: on the state folder, beside a controller or without one.

use super::client::Where;
use super::trouble::Trouble;
use super::verify_journal::state_folder;
use super::{Exit, talk};
use crate::archive;
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write, stdin, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    place: Where,
    /// The folder of the backup: one that is not there yet, or one with an earlier backup
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    place: Where,
    /// The folder of the backup
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    place: Where,
    /// Write to this new file, which only you may read [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    place: Where,
    /// What `tidegate export` wrote; `-`: from stdin
    file: PathBuf,
}

pub(super) fn backup(args: &BackupArgs) -> Exit {
    let made = || -> Result<(), Trouble> {
        let state = state_folder(&args.place)?;
        let made = archive::backup(&state, &args.folder, chrono::Utc::now())?;
        if args.place.json {
            return json(&made);
        }
        let archive::Made { last, files, copied, bytes, hash } = made;
        talk::data(format_args!("{last}:{hash}"));
        talk::say(format_args!(
            "backed up to event {last}: {files} files, {copied} of them new ({bytes} bytes)"
        ));
        Ok(())
    };
    ended(made())
}

pub(super) fn restore(args: &RestoreArgs) -> Exit {
    let restored = || -> Result<(), Trouble> {
        let state = state_folder(&args.place)?;
        let restored = at_once(archive::restore(&args.folder, &state, chrono::Utc::now()))?;
        if args.place.json {
            return json(&restored);
        }
        let archive::Restored { last, event, taken_at, files } = restored;
        talk::say(format_args!(
            "restored {files} files of the backup of {taken_at}, which ends with event {last}"
        ));
        talk::say(format_args!("the journal goes on with event {event}; every pipeline is held:"));
        talk::say(
            "  start the controller, compare what runs with what `tidegate status` says, then `tidegate resume`",
        );
        Ok(())
    };
    ended(restored())
}

pub(super) fn export(args: &ExportArgs) -> Exit {
    let exported = || -> Result<(), Trouble> {
        let state = state_folder(&args.place)?;
        let Some(path) = &args.out else {
            return Ok(archive::export(state.path(), &mut BufWriter::new(stdout().lock()))?);
        };
        let opened = File::options().write(true).create_new(true).mode(0o600).open(path);
        let file = opened.map_err(|error| unwritten(path, &error))?;
        let mut writer = BufWriter::new(file);
        let written = archive::export(state.path(), &mut writer).map_err(Trouble::from).and_then(|()| {
            let flushed = writer.flush().and_then(|()| writer.get_ref().sync_all());
            flushed.map_err(|error| unwritten(path, &error))
        });
        written.inspect_err(|_| {
            // It is ours, and not whole.
            let _ = std::fs::remove_file(path);
        })
    };
    ended(exported())
}

pub(super) fn import(args: &ImportArgs) -> Exit {
    let imported = || -> Result<(), Trouble> {
        let state = state_folder(&args.place)?;
        let imported = if args.file == Path::new("-") {
            at_once(archive::import(stdin().lock(), &state))?
        } else {
            let file = File::open(&args.file).map_err(|error| {
                let message = format!("failed to read `{}`: {error}", args.file.display());
                Trouble::new(
                    "TG-IMPORT-002",
                    message,
                    "name a file that `tidegate export` wrote",
                    Exit::Usage,
                )
            })?;
            at_once(archive::import(BufReader::new(file), &state))?
        };
        if args.place.json {
            return json(&imported);
        }
        let archive::Imported { events, last, hash } = imported;
        talk::data(format_args!("{last}:{hash}"));
        talk::say(format_args!("imported {events} events, up to {last}"));
        Ok(())
    };
    ended(imported())
}

fn ended(result: Result<(), Trouble>) -> Exit {
    result.map_or_else(|trouble| trouble.say(), |()| Exit::Done)
}

/// What was done, for programs.
fn json(value: &impl Serialize) -> Result<(), Trouble> {
    talk::json(serde_json::to_string_pretty(value).expect("BUG: what was done is JSON"));
    Ok(())
}

/// Runs what writes to a journal.
fn at_once<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<T, Trouble>
where
    Trouble: From<E>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Trouble::new(
            "TG-BACKUP-011",
            format!("failed to begin: {error}"),
            "look after the machine's limits",
            Exit::Failed,
        )
    })?;
    Ok(runtime.block_on(work)?)
}

fn unwritten(path: &Path, error: &std::io::Error) -> Trouble {
    let message = format!("failed to write `{}`: {error}", path.display());
    Trouble::new(
        "TG-EXPORT-001",
        message,
        "name a file that is not there yet, on a disk with room",
        Exit::Failed,
    )
}
