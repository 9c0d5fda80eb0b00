//! `tidegate check`: every problem of every file at once.

mod github;
mod sarif;
mod watching;

use super::client::settings_here;
use super::init::HIDDEN_FOLDER;
use super::trouble::Trouble;
use super::{Exit, talk};
use crate::clock::{Clock, SystemClock};
use crate::definition;
use crate::domain::{Diagnostic, Severity};
use crate::source::Location;
use crate::watch::{self, Content, is_candidate};
use crate::words::counted;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Files, or folders whose *.toml files are meant [default: the folder that `serve` would take here]
    files: Vec<PathBuf>,
    /// How the diagnostics are printed [default: human]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Print the diagnostics as JSON, as `--format json` does
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Check again whenever a file changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// With the line and a caret, and the way out
    Human,
    /// One list of objects; with --watch one object a round, a line each
    Json,
    /// SARIF 2.1.0, as code scanning and editors read it
    Sarif,
    /// Commands of GitHub's runner: marks beside the lines of a pull request
    Github,
}

/// The files that are meant, as they are now.
#[derive(PartialEq, Eq)]
struct Seen {
    files: Vec<(String, Vec<u8>)>,
    unreadable: Vec<Diagnostic>,
}

/// What is wrong with them.
struct Verdict {
    diagnostics: Vec<Diagnostic>,
    good: usize,
    all: usize,
}

pub(super) fn run(args: &Args) -> Exit {
    let format = args.format.unwrap_or(if args.json { Format::Json } else { Format::Human });
    let named = match args.files.is_empty() {
        false => args.files.clone(),
        true => match default_folder() {
            Ok(folder) => vec![folder],
            Err(trouble) => return trouble.say(),
        },
    };
    let seen = match look(&named) {
        Ok(seen) => seen,
        Err(message) => {
            return Trouble::new("TG-CLI-003", message, elsewhere(args), Exit::Usage).say();
        }
    };
    if args.watch {
        return watching::run(&named, format).unwrap_or_else(|trouble| trouble.say());
    }
    let verdict = judge(&seen);
    match format {
        Format::Human => {
            draw(&seen.files, &verdict.diagnostics);
            summarise(&verdict);
        }
        Format::Json => {
            talk::json(serde_json::to_string_pretty(&verdict.diagnostics).expect("BUG: diagnostics are JSON"))
        }
        Format::Sarif => {
            let here = std::env::current_dir().unwrap_or_default();
            let log = sarif::log(&verdict.diagnostics, &here);
            talk::json(serde_json::to_string_pretty(&log).expect("BUG: a log is JSON"));
        }
        Format::Github => {
            verdict.diagnostics.iter().for_each(|diagnostic| talk::data(github::command(diagnostic)));
            summarise(&verdict);
        }
    }
    let bad = verdict.diagnostics.iter().any(|one| one.severity == Severity::Error);
    if bad { Exit::Usage } else { Exit::Done }
}

/// Reads everything that is named; a file that is named twice is one file.
fn look(named: &[PathBuf]) -> Result<Seen, String> {
    let mut seen = Seen { files: Vec::new(), unreadable: Vec::new() };
    let mut known = BTreeSet::new();
    for path in named {
        for path in gather(path)? {
            if !known.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                continue;
            }
            match read(&path) {
                Ok(bytes) => seen.files.push((path.display().to_string(), bytes)),
                Err(diagnostic) => seen.unreadable.push(*diagnostic),
            }
        }
    }
    Ok(seen)
}

fn judge(seen: &Seen) -> Verdict {
    let (mut diagnostics, good) = check(&seen.files);
    diagnostics.extend(seen.unreadable.iter().cloned());
    diagnostics.extend(seen.files.iter().filter_map(|(name, bytes)| repository_elsewhere(name, bytes)));
    Verdict { diagnostics, good, all: seen.files.len() + seen.unreadable.len() }
}

/// The folder of pipelines of a controller that is run from here.
fn default_folder() -> Result<PathBuf, Trouble> {
    let Some(settings) = settings_here()? else { return Ok("pipelines".into()) };
    let here = std::env::current_dir().unwrap_or_default();
    let below = settings.pipelines.strip_prefix(here).map(Path::to_owned);
    Ok(below.unwrap_or(settings.pipelines))
}

/// Where files may be instead of where they were looked for.
fn elsewhere(args: &Args) -> String {
    let hidden = Path::new(HIDDEN_FOLDER);
    match args.files.is_empty() && hidden.is_dir() {
        true => format!(
            "`{HIDDEN_FOLDER}` is here: `tidegate check {HIDDEN_FOLDER}`, and `tidegate serve --pipelines {HIDDEN_FOLDER}`"
        ),
        false => "name a file or a folder that can be read".into(),
    }
}

/// The files that are meant.
pub(super) fn gather(path: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = path.display();
    if path.is_dir() {
        let entries =
            std::fs::read_dir(path).map_err(|error| format!("failed to read `{shown}`: {error}"))?;
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.file_name().is_some_and(is_candidate))
            .collect();
        found.sort();
        if found.is_empty() {
            return Err(format!("the folder `{shown}` holds no *.toml file"));
        }
        Ok(found)
    } else if path.symlink_metadata().is_ok() {
        Ok(vec![path.to_owned()])
    } else {
        Err(format!("there is no `{shown}`"))
    }
}

/// The bytes of a pipeline file, or why the controller would not have it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Box<Diagnostic>> {
    let shown = path.display().to_string();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What has no name, such as `..`, is a folder.
    let name = path.file_name().unwrap_or(OsStr::new("."));
    match watch::look_once(folder, name) {
        Content::Text(bytes) => Ok(bytes.to_vec()),
        Content::Unreadable { code, message, help } => Err(Box::new(refused(&shown, code, &message, help))),
        Content::Gone => {
            Err(Box::new(refused(&shown, "TG-CLI-003", "find it", "name a file that is there".into())))
        }
    }
}

/// The same for a command that is about this one file.
pub(super) fn read_the(path: &Path) -> Result<Vec<u8>, Trouble> {
    read(path).map_err(|why| {
        let message = format!("`{}`: {}", path.display(), why.message);
        Trouble::new(why.code, message, why.help.unwrap_or_default(), Exit::Usage)
    })
}

/// What is wrong with a file that cannot even be read.
pub(super) fn refused(file: &str, code: &str, message: &str, help: String) -> Diagnostic {
    Diagnostic {
        code: code.into(),
        severity: Severity::Error,
        file: file.into(),
        line: 1,
        column: 1,
        end_line: 1,
        end_column: 1,
        message: format!("failed to {message}"),
        help: Some(help).filter(|help| !help.is_empty()),
        text: None,
    }
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

/// A warning of a repository that is named from here and is not here. Whether a definition is good depends on no disk.
fn repository_elsewhere(name: &str, bytes: &[u8]) -> Option<Diagnostic> {
    let repo = definition::load(name, bytes).ok()?.pipeline.source.repo.clone();
    let Ok(Location::Path(path)) = Location::parse(&repo) else { return None };
    let whole = std::path::absolute(&path).ok().filter(|whole| path.is_relative() && !whole.exists())?;
    let text = String::from_utf8_lossy(bytes);
    let (line, column, end_column) = place_of(&text, "repo");
    Some(Diagnostic {
        code: "TG-CLI-023".into(),
        severity: Severity::Warning,
        file: name.into(),
        line,
        column,
        end_line: line,
        end_column,
        message: format!("there is no repository `{}`", whole.display()),
        help: Some("a relative path is meant from the folder that the controller is started in: start it there, or say the whole path".into()),
        text: text.lines().nth(line as usize - 1).and_then(Diagnostic::shown),
    })
}

/// Line and columns, from 1, of the first line that a key begins.
fn place_of(text: &str, key: &str) -> (u32, u32, u32) {
    let begins = |line: &str| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let Some((at, line)) = text.lines().enumerate().find(|(_, line)| begins(line)) else { return (1, 1, 1) };
    let indent = line.chars().take_while(|c| c.is_whitespace()).count();
    let (first, last) = (indent + 1, line.trim_end().chars().count() + 1);
    let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    (number(at + 1), number(first), number(last))
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

fn summarise(verdict: &Verdict) {
    let count = |severity| verdict.diagnostics.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
    let (good, all) = (verdict.good, counted(verdict.all, "pipeline file"));
    talk::say(format_args!("{good} of {all} good; {errors}, {warnings}"));
    if verdict.diagnostics.iter().any(|one| one.code.starts_with("TG-DEF-")) {
        talk::say("`tidegate explain CODE` says more of a code");
    }
}
