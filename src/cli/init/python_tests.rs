//! Python's tests: whose they are, what runs them, and where they find what they need. A gate that finds no tests must
//! not pass as if they had, whatever runs them: pytest says so by its exit status, unittest only from Python 3.12 on.

use super::draft::{Draft, Gate, Part};
use super::look::Folder;
use super::python::Tool;
use toml::{Table, Value};

/// How deep below the top test files are looked for, and how many files and folders are looked at.
const DEPTH: usize = 5;
const LOOKS: usize = 5_000;

/// Whether the tests are pytest's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pytest {
    /// The project asks for it, or configures it.
    Asked,
    /// Only the tests show it: the project does not name it among what it needs.
    Shown,
    No,
}

/// The gate that runs the tests.
pub(super) fn look(folder: &Folder, project: &Table, tool: Tool, draft: &mut Draft) {
    let part = match command(folder, project, tool) {
        Some((why, run)) => Part { name: "python-tests", why: why.into(), run },
        None => {
            draft.found.push(
                "no tests of Python: the gate `python-compiles` only looks whether every file compiles"
                    .into(),
            );
            Part {
                name: "python-compiles",
                why: "No tests were found: at least everything compiles.".into(),
                run: "python3 -m compileall -q -x '/\\.' .".into(),
            }
        }
    };
    draft.gates.push(Gate::Command(part));
}

/// Why and how the tests are run; none: there are none.
fn command(folder: &Folder, project: &Table, tool: Tool) -> Option<(&'static str, String)> {
    let files = test_files(folder);
    let unittest = unittest(folder);
    let pytest = if asks_for_pytest(folder, project) {
        Pytest::Asked
    } else if shows_pytest(folder, &files) || unittest.is_none() && !files.is_empty() {
        // What lies where unittest would have to be led to it, pytest finds by itself.
        Pytest::Shown
    } else {
        Pytest::No
    };
    match (tool, pytest) {
        (Tool::Uv, Pytest::Asked) => {
            return Some(("The tests, in what uv.lock says.", "uv run --frozen pytest".into()));
        }
        (Tool::Uv, Pytest::Shown) => {
            let run = "uv run --frozen --with pytest pytest";
            return Some(("The tests, in what uv.lock says, and pytest.", run.into()));
        }
        (Tool::Poetry, Pytest::Asked) => {
            let run = "poetry install --no-interaction && poetry run pytest";
            return Some(("The tests, in what poetry.lock says.", run.into()));
        }
        (Tool::Poetry, Pytest::Shown) => {
            let run = "poetry install --no-interaction && poetry run python -m pip install --quiet pytest && poetry run python -m pytest";
            return Some(("The tests, in what poetry.lock says, and pytest.", run.into()));
        }
        _ => {}
    }
    let mut needs = needs(folder, project);
    if pytest != Pytest::No {
        needs.push("pytest".into());
    }
    let python = if needs.is_empty() { "python3" } else { ".venv/bin/python" };
    let run = match pytest {
        Pytest::Asked | Pytest::Shown => format!("{python} -m pytest"),
        Pytest::No => {
            // Where sources lie in `src`, they are found there.
            let path = if folder.has("src") { "PYTHONPATH=src " } else { "" };
            format!("{path}{python} -c '{}'", unittest_run(unittest?))
        }
    };
    if needs.is_empty() {
        return Some(("The tests.", run));
    }
    let install =
        format!("python3 -m venv .venv && .venv/bin/python -m pip install --quiet {}", needs.join(" "));
    Some(("The tests, in an environment of their own.", format!("{install} && {run}")))
}

/// `python -m unittest`, but that no tests at all are a failure with every Python.
fn unittest_run(how: &str) -> String {
    format!(
        "import sys, unittest; ran = unittest.main(None, argv=\"unittest {how}\".split(), exit=False).result; \
         sys.exit(not ran.wasSuccessful() if ran.testsRun or ran.skipped else \"no tests were found\")"
    )
}

/// Whether pytest is configured, or something asks for it.
fn asks_for_pytest(folder: &Folder, project: &Table) -> bool {
    let configured = project.get("tool").and_then(|tool| tool.get("pytest")).is_some();
    let names = ["requirements.txt", "requirements-dev.txt", "dev-requirements.txt", "setup.cfg", "tox.ini"];
    let asked = names.iter().filter_map(|name| folder.text(name)).any(|text| text.contains("pytest"));
    let of_project = ["project", "dependency-groups", "tool"].iter().filter_map(|key| project.get(*key));
    let in_project = of_project.map(ToString::to_string).any(|text| text.contains("pytest"));
    configured
        || folder.has("pytest.ini")
        || folder.has("conftest.py")
        || folder.has("tests/conftest.py")
        || asked
        || in_project
}

/// Whether a test is there that only pytest would run: a function of the module, or a class of nothing.
fn shows_pytest(folder: &Folder, files: &[String]) -> bool {
    let mut texts = files.iter().filter_map(|name| folder.text(name));
    texts.any(|text| text.lines().any(only_for_pytest))
}

fn only_for_pytest(line: &str) -> bool {
    let is_import = ["import pytest", "from pytest "].iter().any(|word| line.starts_with(word));
    let is_function = ["def test_", "async def test_"].iter().any(|word| line.starts_with(word));
    let class = line.strip_prefix("class Test").and_then(|rest| rest.trim_end().strip_suffix(':'));
    is_import || is_function || class.is_some_and(|rest| !rest.contains('(') || rest.ends_with("()"))
}

/// The files that are named as tests are, wherever they lie.
fn test_files(folder: &Folder) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    let mut looks = 0;
    while let Some((at, depth)) = folders.pop() {
        for name in folder.names(&at) {
            looks += 1;
            if looks > LOOKS {
                return found;
            }
            let is_other =
                name.starts_with('.') || ["node_modules", "venv", "build", "dist"].contains(&&*name);
            let path = if at.is_empty() { name.clone() } else { format!("{at}/{name}") };
            let stem = name.strip_suffix(".py");
            if stem.is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test")) {
                found.push(path);
            } else if !is_other && depth < DEPTH && folder.is_folder(&path) {
                folders.push((path, depth + 1));
            }
        }
    }
    found
}

/// What pip installs before the tests run.
fn needs(folder: &Folder, project: &Table) -> Vec<String> {
    let files = ["requirements.txt", "requirements-dev.txt", "dev-requirements.txt"];
    let mut needs: Vec<String> =
        files.iter().filter(|name| folder.has(name)).map(|name| format!("-r {name}")).collect();
    let of_project = project.get("project");
    let dependencies = of_project.and_then(|it| it.get("dependencies")).and_then(Value::as_array);
    let extras = of_project.and_then(|it| it.get("optional-dependencies")).and_then(Value::as_table);
    let extra =
        ["test", "tests", "dev"].into_iter().find(|name| extras.is_some_and(|all| all.contains_key(*name)));
    if let Some(extra) = extra {
        needs.push(format!("'.[{extra}]'"));
    } else if dependencies.is_some_and(|all| !all.is_empty()) || project.contains_key("build-system") {
        needs.push(".".into());
    }
    needs
}

/// How unittest finds the tests, if there are any.
fn unittest(folder: &Folder) -> Option<&'static str> {
    let has_tests =
        |at: &str| folder.names(at).iter().any(|name| name.starts_with("test") && name.ends_with(".py"));
    [("tests", "discover -s tests -t ."), ("test", "discover -s test -t .")]
        .into_iter()
        .find(|(at, _)| has_tests(at) && folder.has(&format!("{at}/__init__.py")))
        .or_else(|| {
            [("tests", "discover -s tests"), ("test", "discover -s test"), ("", "discover")]
                .into_iter()
                .find(|(at, _)| has_tests(at))
        })
        .map(|(_, how)| how)
}

#[cfg(test)]
mod tests {
    use super::only_for_pytest;

    #[test]
    fn what_only_pytest_runs_is_told_from_what_unittest_runs_too() {
        for line in
            ["def test_a():", "async def test_a():", "import pytest", "class TestShop:", "class TestShop():"]
        {
            assert!(only_for_pytest(line), "{line}");
        }
        for line in
            ["    def test_a(self):", "class TestShop(unittest.TestCase):", "class Shop:", "# def test_"]
        {
            assert!(!only_for_pytest(line), "{line}");
        }
    }
}
