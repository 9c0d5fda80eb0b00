//! What lies in a working copy, and what follows from it. Files are only read; no text of theirs goes into a command
//! unless it is made of letters, digits, `.`, `_` and `-`.

use super::draft::{Draft, Part};
use super::{node, others, python, rust};
use std::path::{Path, PathBuf};

/// The largest file that is read.
const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// The top of a working copy.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    /// The text of a file, if it is there and is text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let path = self.0.join(name);
        let about = std::fs::metadata(&path).ok().filter(|about| about.is_file())?;
        if about.len() > FILE_LIMIT_BYTES {
            return None;
        }
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.trim_start_matches('\u{feff}').to_owned())
    }

    /// A file as TOML.
    pub(super) fn toml(&self, name: &str) -> Option<toml::Table> {
        self.text(name)?.parse().ok()
    }

    /// Whether something of that name is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Whether a folder of that name is there, and no link to one.
    pub(super) fn is_folder(&self, name: &str) -> bool {
        std::fs::symlink_metadata(self.0.join(name)).is_ok_and(|about| about.is_dir())
    }

    /// The first of these that is there.
    pub(super) fn first(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// What lies in a folder below, by name, in order.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).take(10_000).collect();
        names.sort();
        names
    }
}

/// The pipeline that fits what is there.
pub(super) fn at(top: &Path, name: &str) -> Draft {
    let folder = Folder(top.to_owned());
    let mut draft = Draft::default();
    rust::look(&folder, &mut draft);
    node::look(&folder, name, &mut draft);
    python::look(&folder, name, &mut draft);
    others::go(&folder, &mut draft);
    others::make(&folder, &mut draft);
    others::docker(&folder, name, &mut draft);
    others::units(&folder, &mut draft);
    if draft.version_from.is_none() && folder.has("VERSION") {
        draft.version_from = Some("VERSION");
        draft.found.push("a file VERSION".into());
    }
    if draft.steps.is_empty() {
        draft.steps.push(pack(
            name,
            "Nothing that is built was found: the files are packed as they are.",
            &[],
        ));
        keep_pack(name, &mut draft);
    }
    if draft.gates.is_empty() {
        draft.gates.push(super::draft::Gate::Command(Part {
            name: "something",
            why: "Put your tests here.".into(),
            run: "test -n \"$(ls \"$TIDEGATE_ARTIFACTS\")\" || test -n \"$(ls)\"".into(),
        }));
    }
    draft
}

/// A step that packs the working copy, without folders of these names.
pub(super) fn pack(name: &str, why: &str, without: &[&str]) -> Part {
    let mut run = "mkdir -p out && tar -czf out/".to_owned();
    run.push_str(name);
    run.push_str(".tar.gz --exclude=./out --exclude=./.git");
    for folder in without {
        run.push_str(" --exclude=");
        run.push_str(folder);
    }
    run.push_str(" .");
    Part { name: "pack", why: why.into(), run }
}

/// What is packed is kept, and unpacked where it is deployed.
pub(super) fn keep_pack(name: &str, draft: &mut Draft) {
    draft.artifacts.push(format!("out/{name}.tar.gz"));
    draft.unpack = Some(format!("tar -xzf {name}.tar.gz"));
    draft.proof = Some(format!("current/{name}.tar.gz"));
}
