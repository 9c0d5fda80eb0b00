//! Cargo: packages, workspaces, and the programs that come of them.

use super::draft::{Draft, Gate, Part, is_plain};
use super::look::Folder;
use crate::glob;
use toml::{Table, Value};

/// Members of a workspace that are looked at.
const MEMBERS_LIMIT: usize = 200;

/// Looks for Cargo.toml.
pub(super) fn look(folder: &Folder, draft: &mut Draft) {
    let Some(manifest) = folder.toml("Cargo.toml") else { return };
    let is_workspace = manifest.contains_key("workspace");
    let members = if is_workspace { members(folder, &manifest) } else { Vec::new() };
    let mut programs = bins(folder, "", &manifest);
    for member in &members {
        if let Some(manifest) = folder.toml(&format!("{member}/Cargo.toml")) {
            programs.extend(bins(folder, member, &manifest));
        }
    }
    programs.sort();
    programs.dedup();
    draft.found.push(match (is_workspace, programs.as_slice()) {
        (false, []) => "a Rust library (Cargo.toml)".into(),
        (false, some) => format!("a Rust package (Cargo.toml) with {}", some.join(", ")),
        (true, some) => {
            format!("a Rust workspace (Cargo.toml) of {} members with {}", members.len(), listed(some))
        }
    });
    if version(&manifest) {
        draft.version_from.get_or_insert("Cargo.toml");
    }
    let locked = folder.has("Cargo.lock");
    let mut run = "cargo build --release".to_owned();
    for (wanted, word) in [(is_workspace, " --workspace"), (locked, " --locked")] {
        run.push_str(if wanted { word } else { "" });
    }
    run.push_str(" --target-dir target");
    let why = match locked {
        true => "Compiles what is delivered, with the versions of Cargo.lock.",
        false => {
            "Compiles what is delivered. Commit a Cargo.lock and add `--locked`, and every build has the same parts."
        }
    };
    draft.steps.push(Part { name: "compile", why: why.into(), run });
    let below = target(folder).map(|triple| format!("{triple}/")).unwrap_or_default();
    draft.artifacts.extend(programs.iter().map(|program| format!("target/{below}release/{program}")));
    if let Some(first) = programs.first() {
        draft.proof.get_or_insert(format!("current/{first}"));
    }
    let all = [(is_workspace, "--workspace"), (locked, "--locked")];
    draft
        .gates
        .push(Gate::CargoTest(all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, word)| word).collect()));
    draft.more_gates.extend(
        [
            "More gates for Rust, where their tools are installed:",
            "[[tier.gate]]",
            "kind = \"cargo_clippy\"     # or cargo_fmt, cargo_deny",
        ]
        .map(str::to_owned),
    );
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no program".into(),
        some if some.len() <= 5 => some.join(", "),
        some => format!("{} programs", some.len()),
    }
}

/// Whether the manifest says a version, of the package or for the whole workspace.
fn version(manifest: &Table) -> bool {
    let of = |table: Option<&Value>| table.and_then(|table| table.get("version")).is_some_and(Value::is_str);
    let workspace = manifest.get("workspace").and_then(|workspace| workspace.get("package"));
    of(manifest.get("package")) || of(workspace)
}

/// The folders of a workspace's members.
fn members(folder: &Folder, manifest: &Table) -> Vec<String> {
    let globs = manifest.get("workspace").and_then(|it| it.get("members")).and_then(Value::as_array);
    let globs = globs.into_iter().flatten().filter_map(Value::as_str);
    let mut found = Vec::new();
    for glob in globs.filter(|glob| !glob.contains("..") && !glob.starts_with('/')) {
        let glob = glob.trim_end_matches('/');
        match glob.rsplit_once('/').unwrap_or(("", glob)) {
            (_, last) if !last.contains(['*', '?', '[']) => found.push(glob.to_owned()),
            (before, last) if !before.contains(['*', '?', '[']) => {
                let Ok(glob) = glob::read(last).map(|glob| glob.compile_matcher()) else { continue };
                let names = folder.names(before).into_iter().filter(|name| glob.is_match(name));
                found.extend(names.map(|name| format!("{before}/{name}").trim_start_matches('/').to_owned()));
            }
            _ => {}
        }
    }
    found.retain(|member| folder.has(&format!("{member}/Cargo.toml")));
    found.sort();
    found.dedup();
    found.truncate(MEMBERS_LIMIT);
    found
}

/// The programs of one package: those declared, and those that Cargo finds by itself.
fn bins(folder: &Folder, at: &str, manifest: &Table) -> Vec<String> {
    let Some(package) = manifest.get("package") else { return Vec::new() };
    let within = |path: &str| if at.is_empty() { path.to_owned() } else { format!("{at}/{path}") };
    let declared = manifest.get("bin").and_then(Value::as_array).into_iter().flatten();
    let mut found: Vec<String> =
        declared.filter_map(|bin| bin.get("name").and_then(Value::as_str).map(str::to_owned)).collect();
    let finds_itself = package.get("autobins").and_then(Value::as_bool).unwrap_or(true);
    if finds_itself {
        let has_own_main = manifest.get("bin").and_then(Value::as_array).is_some_and(|bins| {
            bins.iter().any(|bin| bin.get("path").and_then(Value::as_str) == Some("src/main.rs"))
        });
        if folder.has(&within("src/main.rs")) && !has_own_main {
            found.extend(package.get("name").and_then(Value::as_str).map(str::to_owned));
        }
        for name in folder.names(&within("src/bin")) {
            match name.strip_suffix(".rs") {
                Some(stem) => found.push(stem.to_owned()),
                None if folder.has(&within(&format!("src/bin/{name}/main.rs"))) => found.push(name),
                None => {}
            }
        }
    }
    // One that needs a feature which is not on is not built.
    let bins = manifest.get("bin").and_then(Value::as_array).into_iter().flatten();
    let conditional: Vec<&str> = bins
        .filter(|bin| bin.get("required-features").is_some())
        .filter_map(|bin| bin.get("name").and_then(Value::as_str))
        .collect();
    found.retain(|name| is_plain(name) && !conditional.contains(&name.as_str()));
    found
}

/// The target that the repository's own configuration builds for.
fn target(folder: &Folder) -> Option<String> {
    let config = folder.toml(".cargo/config.toml")?;
    let target = config.get("build")?.get("target")?.as_str()?.to_owned();
    is_plain(&target).then_some(target)
}
