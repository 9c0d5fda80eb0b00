//! Node: which package manager the lock file is of, and which scripts there are.

use super::draft::{Draft, Gate, Part};
use super::look::{Folder, keep_pack, pack};
use serde_json::Value;

/// What npm writes into a new package.json: a test that always fails.
const NO_TEST: &str = "no test specified";

/// How packages are installed and scripts run.
struct Manager {
    name: &'static str,
    /// Installs what the lock file says.
    install: Option<&'static str>,
}

/// Looks for package.json.
pub(super) fn look(folder: &Folder, name: &str, draft: &mut Draft) {
    let Some(package) = folder.text("package.json") else { return };
    let Ok(package) = serde_json::from_str::<Value>(&package) else { return };
    let manager = manager(folder, &package);
    let script = |name: &str| package["scripts"][name].as_str().filter(|text| !text.contains(NO_TEST));
    let known: Vec<&str> =
        ["build", "test", "lint", "typecheck"].into_iter().filter(|name| script(name).is_some()).collect();
    draft.found.push(match known.as_slice() {
        [] => format!("a Node package ({})", manager.name),
        some => format!("a Node package ({}) with the scripts {}", manager.name, some.join(", ")),
    });
    if package["version"].is_string() {
        draft.version_from.get_or_insert("package.json");
    }
    let run = |script: &str| format!("{} run {script}", manager.name);
    if let Some(install) = manager.install {
        let why = "Installs what the lock file says, nothing newer.";
        draft.steps.push(Part { name: "install", why: why.into(), run: install.into() });
    }
    if script("build").is_some() {
        let why = "The script `build` of package.json.";
        draft.steps.push(Part { name: "build", why: why.into(), run: run("build") });
    }
    let why =
        "Packs what is delivered: the files and what was built, without what is installed from elsewhere.";
    draft.steps.push(pack(name, why, &["node_modules"]));
    keep_pack(name, draft);
    for (script, gate) in [("test", "node-tests"), ("lint", "lint"), ("typecheck", "types")] {
        if known.contains(&script) {
            let why = format!("The script `{script}` of package.json, in a checkout of its own.");
            let run = [manager.install.map(str::to_owned), Some(run(script))];
            let run: Vec<String> = run.into_iter().flatten().collect();
            draft.gates.push(Gate::Command(Part { name: gate, why, run: run.join(" && ") }));
        }
    }
    if let (Some(install), true) = (manager.install, draft.activate.is_empty()) {
        draft.activate.push(format!("A service needs its packages there, too: `… && (cd current && {install}) && systemctl --user restart SERVICE`"));
    }
}

fn manager(folder: &Folder, package: &Value) -> Manager {
    let said = package["packageManager"].as_str().unwrap_or_default();
    let is_modern_yarn =
        folder.has(".yarnrc.yml") || (said.starts_with("yarn@") && !said.starts_with("yarn@1"));
    let needs_any = ["dependencies", "devDependencies", "optionalDependencies"]
        .iter()
        .any(|key| package[*key].as_object().is_some_and(|all| !all.is_empty()));
    let locks =
        ["pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "package-lock.json", "npm-shrinkwrap.json"];
    let (name, install) = match folder.first(&locks) {
        Some("pnpm-lock.yaml") => ("pnpm", Some("pnpm install --frozen-lockfile")),
        Some("yarn.lock") if is_modern_yarn => ("yarn", Some("yarn install --immutable")),
        Some("yarn.lock") => ("yarn", Some("yarn install --frozen-lockfile")),
        Some("bun.lock" | "bun.lockb") => ("bun", Some("bun install --frozen-lockfile")),
        Some(_) => ("npm", Some("npm ci")),
        None => {
            let name = ["pnpm", "yarn", "bun"].into_iter().find(|name| said.starts_with(&format!("{name}@")));
            match name {
                Some("pnpm") => ("pnpm", needs_any.then_some("pnpm install")),
                Some("yarn") => ("yarn", needs_any.then_some("yarn install")),
                Some("bun") => ("bun", needs_any.then_some("bun install")),
                _ => ("npm", needs_any.then_some("npm install")),
            }
        }
    };
    Manager { name, install }
}
