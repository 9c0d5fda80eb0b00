//! Pipeline files: reading, checking (every problem at once, each with its place and the way out), and lowering to the
//! domain. A file that has a problem is never run in part.
//!
//! | file | what |
//! |---|---|
//! | `raw` | the file as people write it; the schema's source |
//! | [`schema`] | the JSON Schemas |
//! | `text` | from bytes to a tree, with all errors of TOML itself |
//! | `shape` | the tree against the schema: unknown keys, wrong types, missing keys |
//! | `lower` | what the words mean together, and the pipeline that comes of it |
//! | `names`, `graph` | single words; what comes after what |
//! | `support` | keys that this release does not execute yet |
//! | [`outdated`](fn@outdated) | what a good file says that is over by now |
//! | [`differences`](fn@differences) | what an edit changes, key by key |
//! | `report`, `codes`, `places` | collecting problems, their stable codes, where things stand |
//! | `render` | drawing problems for people |

mod codes;
mod differences;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod graph;
mod lower;
mod names;
mod outdated;
mod places;
mod raw;
mod render;
mod report;
mod sample;
pub mod schema;
mod shape;
mod support;
mod text;

pub use differences::differences;
pub use outdated::outdated;
pub use render::render;
pub(crate) use report::nearest;

use crate::domain::{Diagnostic, Digest, Pipeline, PipelineName, Severity};
use codes::Code;
use places::{Lines, Places};
use report::Report;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use text::Parsed;

/// A file that may come into force.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it means.
    pub pipeline: Arc<Pipeline>,
    /// The digest of its meaning: comments and layout do not change it (rule 27).
    pub digest: Digest,
    /// Its text.
    pub text: String,
    /// What may not be as one thinks, and keys that this release does not execute.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a pipeline file. `file` is its name as it stands in diagnostics. Errors are all that keep it from loading, with
/// the warnings among them, in the order of the file.
pub fn load(file: &str, bytes: &[u8]) -> Result<Loaded, Vec<Diagnostic>> {
    let text = match text::decode(bytes) {
        Ok(text) => text,
        Err((message, help)) => {
            let mut report = Report::new(Places::default());
            report.at(Code::NotText, Severity::Error, 0..0, message).help(help);
            return Err(report.into_diagnostics(file, &Lines::of("")));
        }
    };
    let lines = Lines::of(text);
    let mut report = Report::new(Places::default());
    let clean = match text::find_errors(text, &mut report) {
        Parsed::Whole => shape::judge(&text::parse(text), true, &mut report),
        Parsed::Partly(rest) => {
            shape::judge(&text::parse(&rest), false, &mut report);
            return Err(report.into_diagnostics(file, &lines));
        }
        Parsed::Hardly => return Err(report.into_diagnostics(file, &lines)),
    };
    let raw = match raw::File::deserialize(toml::Value::Table(clean)) {
        Ok(raw) => raw,
        Err(error) => {
            // The schema and the types are made of one another, so this is a mistake of ours; still, say it.
            let message = format!("this release cannot read the file: {}", error.message());
            let problem = report.at(Code::UnknownDefinitionShape, Severity::Error, 0..0, message);
            problem.help(
                "this is a mistake of tidegate: undo what was edited last, and report it with the file",
            );
            return Err(report.into_diagnostics(file, &lines));
        }
    };
    let pipeline = lower::lower(&mut report, stem(file), &raw);
    let failed = report.has_errors();
    let diagnostics = report.into_diagnostics(file, &lines);
    if failed {
        return Err(diagnostics);
    }
    let digest = digest_of(&pipeline);
    Ok(Loaded { pipeline: Arc::new(pipeline), digest, text: text.to_owned(), warnings: diagnostics })
}

/// A file that does not load now and whose last good definition is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The file's name.
    pub file: String,
    /// The pipeline that it holds.
    pub pipeline: PipelineName,
}

/// Errors between files that are good alone: a name that another file has too, or holds though it does not load now, and
/// a `was` that is somebody's name still. Each is told at every good file that it names (rule 28).
pub fn conflicts<'a>(
    files: impl Iterator<Item = (&'a str, &'a Loaded)>,
    holders: &[Holder],
) -> BTreeMap<String, Vec<Diagnostic>> {
    let files: Vec<(&str, &Loaded)> = files.collect();
    let mut owners: BTreeMap<&PipelineName, Vec<&str>> = BTreeMap::new();
    for holder in holders {
        owners.entry(&holder.pipeline).or_default().push(&holder.file);
    }
    for (file, loaded) in &files {
        owners.entry(&loaded.pipeline.name).or_default().push(file);
    }
    let others = |name: &PipelineName, file: &str| -> Vec<&str> {
        let all = owners.get(name).into_iter().flatten();
        all.copied().filter(|owner| *owner != file).collect()
    };
    let mut found = BTreeMap::new();
    for (file, loaded) in &files {
        let mut problems = Vec::new();
        let name = &loaded.pipeline.name;
        let twice = others(name, file);
        if !twice.is_empty() {
            let message = format!("the pipeline `{name}` is also declared in {}", report::listed(&twice));
            let help = "give each pipeline a name of its own, or remove one of the files";
            problems.push(at_key(file, loaded, "name", message, help));
        }
        if let Some(was) = &loaded.pipeline.was {
            let still = others(was, file);
            if !still.is_empty() {
                let message = format!("a pipeline `{was}` is still declared in {}", report::listed(&still));
                let help = "`was` names what this pipeline was called before; leave it out, or remove the other file";
                problems.push(at_key(file, loaded, "was", message, help));
            }
        }
        if !problems.is_empty() {
            found.insert((*file).to_owned(), problems);
        }
    }
    found
}

fn at_key(file: &str, loaded: &Loaded, key: &str, message: String, help: &str) -> Diagnostic {
    let mut report = Report::new(Places::default());
    let place = text::parse(&loaded.text).get_ref().get(key).map_or(0..0, toml::Spanned::span);
    report.at(Code::PipelineTwice, Severity::Error, place, message).help(help);
    report.into_diagnostics(file, &Lines::of(&loaded.text)).remove(0)
}

/// `pipelines/shop.toml` → `shop`.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".toml").unwrap_or(name)
}

/// The digest of what a pipeline means.
pub fn digest_of(pipeline: &Pipeline) -> Digest {
    let canonical = serde_json::to_vec(pipeline).expect("BUG: a pipeline is JSON");
    let hash = Sha256::digest(canonical);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").into()
}
