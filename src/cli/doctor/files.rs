//! The pipeline files, as `tidegate check` sees them.

use super::Findings;
use crate::cli::check;
use crate::definition;
use crate::domain::{Diagnostic, Pipeline, Severity};
use crate::words;
use std::path::Path;
use std::sync::Arc;

/// The pipelines that load, each with its file.
pub(super) fn look(folder: &Path, findings: &mut Findings) -> Vec<(String, Arc<Pipeline>)> {
    let place = folder.display().to_string();
    if !folder.is_dir() {
        // That was said.
        return Vec::new();
    }
    let files = match check::gather(folder) {
        Ok(files) => files,
        Err(why) => {
            findings.warning("check", &place, why, "`tidegate init` writes a first pipeline");
            return Vec::new();
        }
    };
    let mut read = Vec::new();
    for file in files {
        let name = file.display().to_string();
        match check::read(&file) {
            Ok(bytes) => read.push((name, bytes)),
            Err(why) => {
                let found = format!("{} [{}]", why.message, why.code);
                findings.bad("check", &name, found, why.help.as_deref().unwrap_or_default());
            }
        }
    }
    let (diagnostics, _) = check::check(&read);
    for (name, _) in &read {
        let of_it: Vec<&Diagnostic> = diagnostics.iter().filter(|one| one.file == *name).collect();
        judge(name, &of_it, findings);
    }
    let loaded = read.into_iter().filter_map(|(name, bytes)| {
        let pipeline = definition::load(&name, &bytes).ok()?.pipeline;
        Some((name, pipeline))
    });
    loaded.collect()
}

fn judge(name: &str, diagnostics: &[&Diagnostic], findings: &mut Findings) {
    let count = |severity| diagnostics.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let help = format!("tidegate check {name}");
    match (errors, warnings) {
        (0, 0) => findings.ok("check", name, "good"),
        (0, some) => findings.warning("check", name, words::counted(some, "warning"), &help),
        (some, _) => findings.bad("check", name, words::counted(some, "error"), &help),
    }
}
