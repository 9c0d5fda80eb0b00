//! Python: what builds the project. What runs its tests is in `python_tests`.

use super::draft::{Draft, Part};
use super::look::{Folder, keep_pack, pack};
use super::python_tests;
use toml::{Table, Value};

/// Who installs packages and makes distributions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Uv,
    Poetry,
    /// pip, with whatever backend the project names.
    Pip,
}

/// Looks for pyproject.toml, requirements and tests.
pub(super) fn look(folder: &Folder, name: &str, draft: &mut Draft) {
    let project = folder.toml("pyproject.toml");
    let requirements = folder.first(&["requirements.txt"]);
    if project.is_none() && requirements.is_none() && !folder.has("setup.py") {
        return;
    }
    let project = project.unwrap_or_default();
    let tool = tool(folder, &project);
    let (backend, builds) = backend(&project);
    // pip takes setuptools for a setup.py that no [build-system] speaks for.
    let maker = if !builds && folder.has("setup.py") { "setup.py".into() } else { backend };
    draft.found.push(format!("a Python project ({maker})"));
    if project.get("project").and_then(|it| it.get("version")).is_some_and(Value::is_str) {
        draft.version_from.get_or_insert("pyproject.toml");
    }
    let wheel = match tool {
        Tool::Uv if builds => Some("uv build --out-dir dist"),
        Tool::Poetry if builds => Some("poetry build"),
        Tool::Pip if builds || folder.has("setup.py") => {
            Some("python3 -m pip wheel --quiet --no-deps --wheel-dir dist .")
        }
        _ => None,
    };
    match wheel {
        Some(run) => {
            let why = "Makes the wheel that is delivered.";
            draft.steps.push(Part { name: "wheel", why: why.into(), run: run.into() });
            draft.artifacts.push("dist/*.whl".into());
            draft.proof.get_or_insert("current".into());
            draft.activate.push("A service gets a place of its own: `… && python3 -m venv $TIDEGATE_VERSION/venv && $TIDEGATE_VERSION/venv/bin/pip install $TIDEGATE_VERSION/*.whl`".into());
        }
        None => {
            let why = "Every file must compile.";
            draft.steps.push(Part {
                name: "compile-all",
                why: why.into(),
                run: "python3 -m compileall -q -x '/\\.' .".into(),
            });
            let why =
                "Packs what is delivered. A [build-system] in pyproject.toml would make a wheel instead.";
            draft.steps.push(pack(name, why, &[".venv", "__pycache__"]));
            keep_pack(name, draft);
        }
    }
    python_tests::look(folder, &project, tool, draft);
}

fn tool(folder: &Folder, project: &Table) -> Tool {
    let has_tool = |name: &str| project.get("tool").and_then(|tool| tool.get(name)).is_some();
    if folder.has("uv.lock") || has_tool("uv") {
        Tool::Uv
    } else if folder.has("poetry.lock") || has_tool("poetry") {
        Tool::Poetry
    } else {
        Tool::Pip
    }
}

/// Whether a new folder would become a part of the product, or keep it from being built: setuptools, unless it is told
/// which packages there are, takes every folder whose name is a word for one, and refuses to choose between two
/// (setuptools.pypa.io, "Package Discovery and Namespace Packages").
pub(super) fn takes_folders_for_packages(folder: &Folder) -> bool {
    let setup = folder.text("setup.py");
    let project = folder.toml("pyproject.toml");
    if setup.is_none() && project.is_none() {
        return false;
    }
    let project = project.unwrap_or_default();
    let (backend, builds) = backend(&project);
    if builds && backend != "setuptools" || tool(folder, &project) == Tool::Poetry || folder.has("src") {
        return false;
    }
    let texts = [setup, folder.text("setup.cfg")];
    let declared = texts.iter().flatten().filter_map(|text| declares_packages(text));
    !said_in(&project).into_iter().chain(declared).any(|settled| settled)
}

/// Whether `[tool.setuptools]` settles which packages there are; none: it says nothing.
fn said_in(project: &Table) -> Option<bool> {
    let setuptools = project.get("tool")?.get("setuptools")?;
    match (setuptools.get("packages"), setuptools.get("py-modules").or(setuptools.get("ext-modules"))) {
        (Some(Value::Table(how)), _) => {
            let find = how.get("find");
            let says = |key: &str| find.and_then(|find| find.get(key)).is_some_and(|it| !is_here(it));
            Some(says("where") || says("include"))
        }
        (Some(_), _) | (None, Some(_)) => Some(true),
        (None, None) => None,
    }
}

/// Whether a list names this very folder, or is empty.
fn is_here(list: &Value) -> bool {
    list.as_array().is_none_or(|all| all.is_empty() || all.iter().any(|it| it.as_str() == Some(".")))
}

/// Whether setup.py or setup.cfg settle which packages there are; none: they say nothing.
fn declares_packages(text: &str) -> Option<bool> {
    let says = ["packages", "py_modules", "ext_modules"].iter().any(|word| text.contains(word));
    says.then(|| !text.contains("find_namespace"))
}

/// What makes distributions, for people, and whether anything does.
fn backend(project: &Table) -> (String, bool) {
    let backend = project.get("build-system").map(|system| {
        let name = system.get("build-backend").and_then(Value::as_str).unwrap_or("setuptools");
        name.split(['.', ':']).next().unwrap_or(name).to_owned()
    });
    match backend {
        Some(name) => (crate::printable::line(&name).into_owned(), true),
        None => ("nothing builds it".into(), false),
    }
}
