//! `tidegate check`: every problem of every file at once.

use super::client::settings_here;
use super::trouble::Trouble;
use super::words::counted;
use super::{Exit, talk};
use crate::clock::{Clock, SystemClock};
use crate::definition;
use crate::domain::{Diagnostic, Severity};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest file that is read.
const FILE_LIMIT_BYTES: u64 = 1 << 20;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Files, or folders whose *.toml files are meant [default: the folder that `serve` would take here]
    files: Vec<PathBuf>,
    /// Print the diagnostics as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let named = match args.files.is_empty() {
        false => args.files.clone(),
        true => match default_folder() {
            Ok(folder) => vec![folder],
            Err(trouble) => return trouble.say(),
        },
    };
    let mut files = Vec::new();
    let mut unreadable = Vec::new();
    for path in &named {
        match gather(path) {
            Ok(found) => {
                for path in found {
                    let name = path.display().to_string();
                    match read(&path) {
                        Ok(bytes) => files.push((name, bytes)),
                        Err(message) => unreadable.push(definition::unreadable(&name, message)),
                    }
                }
            }
            Err(message) => {
                talk::fail("TG-CLI-003", message, "name a file or a folder that can be read");
                return Exit::Usage;
            }
        }
    }
    // A file that is named twice is one file.
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|(name, _)| seen.insert(Path::new(name).canonicalize().unwrap_or_else(|_| name.into())));
    let all = files.len() + unreadable.len();
    let (mut diagnostics, loaded) = check(&files);
    diagnostics.extend(unreadable);
    if args.json {
        talk::json(serde_json::to_string_pretty(&diagnostics).expect("BUG: diagnostics are JSON"));
    } else {
        draw(&files, &diagnostics);
        summarise(&diagnostics, loaded, all);
    }
    let bad = diagnostics.iter().any(|d| d.severity == Severity::Error);
    if bad { Exit::Usage } else { Exit::Done }
}

/// The folder of pipelines of a controller that is run from here.
fn default_folder() -> Result<PathBuf, Trouble> {
    let Some(settings) = settings_here()? else { return Ok("pipelines".into()) };
    let here = std::env::current_dir().unwrap_or_default();
    let below = settings.pipelines.strip_prefix(here).map(Path::to_owned);
    Ok(below.unwrap_or(settings.pipelines))
}

/// The files that are meant.
pub(super) fn gather(path: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = path.display();
    if path.is_dir() {
        let entries =
            std::fs::read_dir(path).map_err(|error| format!("failed to read `{shown}`: {error}"))?;
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "toml") && path.is_file())
            .filter(|path| !path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b".")))
            .collect();
        found.sort();
        if found.is_empty() {
            return Err(format!("the folder `{shown}` holds no *.toml file"));
        }
        Ok(found)
    } else if path.exists() {
        Ok(vec![path.to_owned()])
    } else {
        Err(format!("there is no `{shown}`"))
    }
}

/// The bytes of a pipeline file, or why there are none.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| format!("failed to read `{name}`: {error}");
    let about = std::fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(format!("`{name}` is not a file"));
    }
    if about.len() > FILE_LIMIT_BYTES {
        return Err(format!("`{name}` has {} bytes; a pipeline file has at most 1 MiB", about.len()));
    }
    std::fs::read(path).map_err(failed)
}

/// Everything that is wrong, and how many files are good.
pub(super) fn check(files: &[(String, Vec<u8>)]) -> (Vec<Diagnostic>, usize) {
    let results: Vec<_> = files.iter().map(|(name, bytes)| (name, definition::load(name, bytes))).collect();
    let loaded = results.iter().filter_map(|(name, result)| Some((name.as_str(), result.as_ref().ok()?)));
    let mut between = definition::conflicts(loaded, &[]);
    let mut diagnostics = Vec::new();
    let mut good = 0;
    let now = SystemClock::new().now();
    for (name, result) in results {
        let conflicts = between.remove(name).unwrap_or_default();
        match result {
            Ok(loaded) => {
                good += usize::from(conflicts.is_empty());
                diagnostics.extend(conflicts);
                diagnostics.extend(definition::outdated(name, &loaded, now));
                diagnostics.extend(loaded.warnings);
            }
            Err(problems) => diagnostics.extend(problems),
        }
    }
    (diagnostics, good)
}

/// Draws diagnostics on stdout.
pub(super) fn draw(files: &[(String, Vec<u8>)], diagnostics: &[Diagnostic]) {
    let texts: BTreeMap<&str, String> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), String::from_utf8_lossy(bytes).into_owned()))
        .collect();
    let colour = talk::colours(&std::io::stdout());
    let rendered =
        definition::render(diagnostics, &|file| texts.get(file).map(String::as_str), colour, talk::columns());
    if !rendered.is_empty() {
        talk::data(rendered.trim_end());
    }
}

fn summarise(diagnostics: &[Diagnostic], good: usize, all: usize) {
    let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
    talk::say(format_args!("{good} of {} good; {errors}, {warnings}", counted(all, "pipeline file")));
}
