//! `tidegate init`: looks at the working copy it stands in and writes a first pipeline for it, which passes `check` and
//! really runs. It overwrites nothing, needs no controller, and may install the hook.
//!
//! It goes into `pipelines/`, where the controller looks, unless the way the project is built would take that folder for a
//! part of the product: then into one that begins with a dot, which such tools leave alone.
//!
//! The schema that the first line names is there afterwards: the one in a folder `schemas` beside the pipeline's, if
//! there is one; else a copy is written next to the pipeline, so that editors know every key at once.

mod draft;
mod look;
mod node;
mod others;
mod python;
mod python_tests;
mod repository;
mod rust;

use super::client::Where;
use super::trouble::Trouble;
use super::{Exit, hook, talk};
use crate::definition::{self, schema};
use crate::printable;
use draft::{Draft, Heading};
use repository::Repository;
use serde_json::json;
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The folder of pipelines, in the working copy.
const FOLDER: &str = "pipelines";

/// The same where tools of the project look into every folder whose name is a word.
pub(super) const HIDDEN_FOLDER: &str = ".tidegate/pipelines";

/// The schema's file.
const SCHEMA: &str = "pipeline.schema.json";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// A folder in the working copy [default: this one]
    folder: Option<PathBuf>,
    /// The pipeline's name [default: the repository's]
    #[arg(long)]
    name: Option<String>,
    /// Where to write it [default: pipelines/NAME.toml at the top of the working copy; .tidegate/pipelines/NAME.toml
    /// where setuptools would take `pipelines` for a package]
    #[arg(long, value_name = "FILE", conflicts_with = "print")]
    out: Option<PathBuf>,
    /// Print it and write nothing
    #[arg(long)]
    print: bool,
    /// Write it even where a file is already
    #[arg(long)]
    force: bool,
    /// Install the hook into `origin` without asking, if that is a bare repository of this machine
    #[arg(long, conflicts_with = "print")]
    hook: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    match init(args) {
        Ok(()) => Exit::Done,
        Err(trouble) => trouble.say(),
    }
}

fn init(args: &Args) -> Result<(), Trouble> {
    let repository = Repository::of(args.folder.as_deref().unwrap_or(Path::new(".")))?;
    let name = name(args, &repository)?;
    let draft = look::at(&repository.top, &name);
    let folder = default_folder(&repository.top);
    let file = args.out.clone().unwrap_or_else(|| repository.top.join(format!("{folder}/{name}.toml")));
    let schema = Schema::beside(&file);
    let heading = Heading {
        schema: schema.line,
        name: &name,
        repo: &repository.repo,
        has_origin: repository.has_origin,
        branch: &repository.branch,
        has_tags: repository.has_tags,
    };
    let text = draft.text(&heading);
    judge(&file, &text)?;
    if args.print {
        talk::data(text.trim_end());
        return Ok(());
    }
    write(&file, &text, args.force)?;
    let schema_written = schema.write_if_missing()?;
    let hooked = offer_hook(args, &repository, &name)?;
    if args.place.json {
        let shown = |path: &Path| path.display().to_string();
        talk::json(json!({
            "file": shown(&file),
            "pipeline": name,
            "found": draft.found,
            "schema": shown(&schema.path),
            "schema_written": schema_written,
            "hook_installed": hooked,
        }));
    } else {
        tell(&draft, &repository, &file);
    }
    if !hooked && let Some(bare) = &repository.bare {
        let bare = printable::line(&bare.display().to_string()).into_owned();
        talk::say(format_args!("let it hear of pushes: tidegate hook install {}", word(&bare)));
    }
    Ok(())
}

/// Where pipelines go in this working copy. Those that are there have settled that.
fn default_folder(top: &Path) -> &'static str {
    let top = look::Folder(top.to_owned());
    let has_some = top.names(FOLDER).iter().any(|name| name.ends_with(".toml"));
    if !has_some && python::takes_folders_for_packages(&top) { HIDDEN_FOLDER } else { FOLDER }
}

fn name(args: &Args, repository: &Repository) -> Result<String, Trouble> {
    let Some(name) = &args.name else { return Ok(repository.name()) };
    if draft::plain_name(name) != *name {
        let message = format!("`{name}` cannot be a pipeline's name");
        let help =
            "a name has letters, digits, `.`, `_` and `-`, at most 64, and begins with a letter or digit";
        return Err(Trouble::new("TG-INIT-003", message, help, Exit::Usage));
    }
    Ok(name.clone())
}

/// What is written must be good, whatever the repository is like.
fn judge(file: &Path, text: &str) -> Result<(), Trouble> {
    let name = file.display().to_string();
    let Err(diagnostics) = definition::load(&name, text.as_bytes()) else { return Ok(()) };
    super::check::draw(&[(name, text.as_bytes().to_vec())], &diagnostics);
    let help = "name the pipeline with `--name`, or print what there is with `--print` of another folder and write it by hand";
    Err(Trouble::new("TG-INIT-004", "no pipeline fits this repository: see above", help, Exit::Failed))
}

fn write(file: &Path, text: &str, force: bool) -> Result<(), Trouble> {
    let failed = |error: std::io::Error| {
        let message = format!("failed to write `{}`: {error}", file.display());
        Trouble::new("TG-INIT-005", message, "name a file that can be written with `--out`", Exit::Usage)
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = std::fs::File::options();
    options.write(true);
    // Without force nothing that is there is opened, not even for a moment.
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    match options.open(file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let message = format!("`{}` is there already", file.display());
            let help = "edit it, write another with `--out FILE`, look at the new one with `--print`, or overwrite with `--force`";
            Err(Trouble::new("TG-INIT-006", message, help, Exit::Usage))
        }
        Err(error) => Err(failed(error)),
        Ok(mut opened) => opened.write_all(text.as_bytes()).map_err(failed),
    }
}

/// The schema that the first line of the pipeline names.
struct Schema {
    path: PathBuf,
    line: &'static str,
}

impl Schema {
    fn beside(file: &Path) -> Schema {
        let folder = file.parent().unwrap_or(Path::new(""));
        // An empty path is this folder.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let shared = folder.join("../schemas").join(SCHEMA);
        // `..` is taken from the folder as written: one that is yet to be made has no parent of its own to look in.
        let parent = std::path::absolute(folder)
            .ok()
            .and_then(|folder| Some(folder.parent()?.join("schemas").join(SCHEMA)));
        match parent.filter(|path| path.is_file()) {
            Some(_) => Schema { path: shared, line: "../schemas/pipeline.schema.json" },
            None => Schema { path: folder.join(SCHEMA), line: "./pipeline.schema.json" },
        }
    }

    /// Writes it unless it is there; whether it did.
    fn write_if_missing(&self) -> Result<bool, Trouble> {
        if self.path.exists() {
            return Ok(false);
        }
        let all = schema::all();
        let (_, text) = all
            .iter()
            .find(|(name, _)| *name == SCHEMA)
            .expect("BUG: the schema of pipelines has another name");
        std::fs::write(&self.path, text).map(|()| true).map_err(|error| {
            let message = format!("failed to write the schema into `{}`: {error}", self.path.display());
            Trouble::new(
                "TG-INIT-007",
                message,
                "the pipeline is written; `tidegate schema --write DIR` writes schemas elsewhere",
                Exit::Failed,
            )
        })
    }
}

/// What was found and written, and what to type next.
fn tell(draft: &Draft, repository: &Repository, file: &Path) {
    for found in &draft.found {
        talk::say(format_args!("found {}", printable::line(found)));
    }
    if draft.found.is_empty() {
        talk::say("found nothing that says how it is built: put your own steps into the file");
    }
    if repository.had_password {
        talk::say("the password in the URL of `origin` was left out: let git know it by a credential helper");
    }
    talk::data(printable::line(&file.display().to_string()));
    let folder = file.parent().unwrap_or(Path::new(""));
    let (file, top) = (from_here(file), from_here(&repository.top));
    talk::say(format_args!("try it: tidegate run {file} --dir {top}"));
    match from_here(folder).as_str() {
        FOLDER => talk::say("then start the controller: tidegate serve"),
        folder => {
            talk::say(format_args!("check it after an edit: tidegate check {folder}"));
            talk::say(format_args!("then start the controller: tidegate serve --pipelines {folder}"));
        }
    }
}

/// A path as one types it here.
fn from_here(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
    let below = path.strip_prefix(&here).unwrap_or(path);
    let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    word(&printable::line(&below.display().to_string()))
}

/// A path as one word of a shell.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Installs the hook if that is wanted; whether it did.
fn offer_hook(args: &Args, repository: &Repository, name: &str) -> Result<bool, Trouble> {
    let Some(bare) = &repository.bare else {
        if args.hook {
            let message = "`origin` is no bare repository of this machine";
            let help = "the pipeline is written; for a forge use a webhook, elsewhere run `tidegate hook install REPO` on its machine";
            return Err(Trouble::new("TG-INIT-008", message, help, Exit::Failed));
        }
        return Ok(false);
    };
    let is_asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let is_wanted = args.hook || (is_asked && says_yes(bare));
    if !is_wanted {
        return Ok(false);
    }
    hook::install(&args.place, bare, Some(name)).map(|()| true)
}

fn says_yes(bare: &Path) -> bool {
    let mut err = std::io::stderr().lock();
    let question = format!(
        "install the hook into {}, so that pushes are heard? [y/N] ",
        printable::line(&bare.display().to_string())
    );
    // Who cannot be asked does not say yes.
    let asked = err.write_all(question.as_bytes()).and_then(|()| err.flush());
    let mut answer = String::new();
    asked.is_ok()
        && std::io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes")
}
