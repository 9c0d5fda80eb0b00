//! `tidegate init`: first pipelines for repositories of several kinds, which really build, check and deploy.

use super::SHOP;
use super::world::World;
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Whether a tool is on this machine; says so when not.
fn has(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!(
            "{tool} is not on this machine: the pipeline that needs it is written and checked, but not run"
        );
    }
    is_there
}

/// A world whose working copy holds these files, committed and pushed.
fn world_with(files: &[(&str, &str)]) -> World {
    let world = World::unborn(SHOP);
    fs::remove_file(world.path("pipelines/shop.toml")).expect("a pipeline");
    for (name, text) in files {
        let path = world.path("work").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    world.git("work", &["add", "-A"]);
    world.git("work", &["commit", "-q", "--allow-empty", "-m", "First"]);
    world.git("work", &["push", "-q", "origin", "main"]);
    world
}

/// Writes the pipeline where the controller looks, with deploys into this world.
fn first_pipeline(world: &World) -> String {
    world.good(&["init", "work", "--out", "pipelines/shop.toml"]);
    let text =
        world.read("pipelines/shop.toml").replace("$HOME", world.path("place").to_str().expect("text"));
    fs::write(world.path("pipelines/shop.toml"), &text).expect("a pipeline");
    assert_eq!(world.ends(&["check", "pipelines"]).0, 0, "{text}");
    text
}

/// Runs it without a controller, then delivers it with one, as a person would after `init --hook`.
fn delivers(mut world: World, version: &str, file: &str) {
    let said = world.good(&["run", "pipelines/shop.toml"]);
    assert!(said.contains(&format!("check: {version} is current")), "{said}");
    world.start();
    world.wait("pipeline_loaded", &[]);
    world.good(&["rebuild", "shop"]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", version)]);
    assert!(world.path(&format!("place/deployed/shop/staging/current/{file}")).exists());
}

const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", "[package]\nname = \"greeter\"\nversion = \"0.3.0\"\nedition = \"2021\"\n"),
    ("Cargo.lock", "version = 3\n\n[[package]]\nname = \"greeter\"\nversion = \"0.3.0\"\n"),
    ("src/main.rs", "fn main() { println!(\"hi\") }\n#[test]\nfn works() {}\n"),
];

#[test]
fn a_rust_package_is_built_tested_and_put_in_place() {
    let world = world_with(RUST);
    let text = first_pipeline(&world);
    for words in ["cargo build --release --locked", "kind = \"cargo_test\"", "target/release/greeter"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    if has("cargo") {
        delivers(world, "0.3.0", "greeter");
    }
}

#[test]
fn a_rust_workspace_names_the_programs_of_its_members() {
    let world = world_with(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/*\", \"tool\"]\n[workspace.package]\nversion = \"1.0.0\"\n",
        ),
        (
            "crates/api/Cargo.toml",
            "[package]\nname = \"api\"\nversion.workspace = true\n[[bin]]\nname = \"serve-api\"\npath = \"src/main.rs\"\n",
        ),
        ("crates/api/src/main.rs", ""),
        ("crates/lib/Cargo.toml", "[package]\nname = \"lib\"\n"),
        ("crates/lib/src/lib.rs", ""),
        ("tool/Cargo.toml", "[package]\nname = \"tool\"\n"),
        ("tool/src/main.rs", ""),
        ("tool/src/bin/extra.rs", ""),
        ("tool/src/bin/$(touch owned).rs", ""),
    ]);
    let text = first_pipeline(&world);
    let artifacts =
        "artifacts = [\"target/release/extra\", \"target/release/serve-api\", \"target/release/tool\"]";
    assert!(text.contains(artifacts) && text.contains("--workspace"), "{text}");
    assert!(!text.contains("owned"), "a name that a shell could read stays out: {text}");
}

#[test]
fn a_node_package_is_built_tested_and_packed() {
    let world = world_with(&[
        (
            "package.json",
            r#"{"name": "web", "version": "1.4.0", "scripts": {"build": "node build.js", "test": "node --test"}}"#,
        ),
        ("build.js", "require('fs').writeFileSync('page.html', 'hi')\n"),
        ("page.test.js", "require('node:test')('works', () => {})\n"),
    ]);
    let text = first_pipeline(&world);
    assert!(text.contains("npm run build") && text.contains("npm run test"), "{text}");
    if has("node") && has("npm") {
        delivers(world, "1.4.0", "page.html");
    }
}

#[test]
fn each_lock_file_names_its_package_manager() {
    for (lock, install) in [
        ("package-lock.json", "npm ci"),
        ("pnpm-lock.yaml", "pnpm install --frozen-lockfile"),
        ("yarn.lock", "yarn install --frozen-lockfile"),
        ("bun.lock", "bun install --frozen-lockfile"),
    ] {
        let package = r#"{"scripts": {"test": "x", "build": "echo \"Error: no test specified\""}}"#;
        let world = world_with(&[("package.json", package), (lock, "")]);
        let text = first_pipeline(&world);
        assert!(text.contains(&format!("run = \"{install}\"")), "{text}");
        assert!(text.contains(&format!("run = \"{install} && ")), "{text}");
    }
}

#[test]
fn a_python_project_is_tested_and_packed() {
    let world = world_with(&[
        ("pyproject.toml", "[project]\nname = \"app\"\nversion = \"2.1\"\n"),
        ("app/__init__.py", "NAME = 'app'\n"),
        ("tests/__init__.py", ""),
        (
            "tests/test_app.py",
            "import unittest, app\n\nclass Test(unittest.TestCase):\n    def test_name(self):\n        self.assertEqual(app.NAME, 'app')\n",
        ),
    ]);
    let text = first_pipeline(&world);
    assert!(text.contains("unittest discover -s tests -t ."), "{text}");
    if has("python3") {
        delivers(world, "2.1.0", "app/__init__.py");
    }
}

/// What the gate of that name runs.
fn gate(text: &str, name: &str) -> String {
    let table: toml::Table = text.parse().expect("TOML");
    let gates = table["tier"][0]["gate"].as_array().expect("gates");
    let found = gates.iter().find(|gate| gate["name"].as_str() == Some(name));
    found.unwrap_or_else(|| panic!("{name}: {text}"))["run"].as_str().expect("text").to_owned()
}

#[test]
fn python_tests_that_only_pytest_runs_are_run_by_it() {
    let project = "[project]\nname = \"app\"\nversion = \"1\"\n";
    for (test, with) in [
        ("def test_a():\n    assert False\n", "pytest"),
        ("class TestA:\n    def test_a(self):\n        assert False\n", "pytest"),
        (
            "import unittest\n\nclass TestA(unittest.TestCase):\n    def test_a(self):\n        pass\n",
            "unittest",
        ),
    ] {
        let files = [("pyproject.toml", project), ("src/app/__init__.py", ""), ("tests/test_a.py", test)];
        let text = first_pipeline(&world_with(&files));
        let run = gate(&text, "python-tests");
        assert!(run.contains(with) && run.contains("-m pytest") == (with == "pytest"), "{test}: {run}");
    }
}

#[test]
fn no_python_tests_do_not_pass_as_tests() {
    let world = world_with(&[
        ("pyproject.toml", "[project]\nname = \"app\"\nversion = \"1\"\n"),
        ("tests/test_a.py", "import unittest\n"),
    ]);
    let run = gate(&first_pipeline(&world), "python-tests");
    let with = |test: &str| {
        fs::write(world.path("work/tests/test_a.py"), test).expect("a file");
        let mut shell = Command::new("/bin/sh");
        let output = shell.args(["-c", &run]).current_dir(world.path("work")).output().expect("a shell");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    if has("python3") {
        let (exit, said) = with("import unittest\n");
        assert!(exit == Some(1) && said.contains("no tests were found"), "{run}: {said}");
        let test = "import unittest\n\nclass A(unittest.TestCase):\n    def test_a(self):\n        ";
        assert_eq!(with(&format!("{test}pass\n")).0, Some(0));
        assert_eq!(with(&format!("{test}self.fail()\n")).0, Some(1));
    }

    let world =
        world_with(&[("setup.py", "from setuptools import setup\nsetup(name='a', packages=['a'])\n")]);
    let (_, said) = world.ends(&["init", "work", "--out", "pipelines/shop.toml"]);
    assert!(
        said.contains("found a Python project (setup.py)") && said.contains("found no tests of Python"),
        "{said}"
    );
    assert!(gate(&world.read("pipelines/shop.toml"), "python-compiles").contains("compileall"));
}

/// A project that setuptools has to find the packages of by itself.
const FLAT: &[(&str, &str)] = &[
    (
        "pyproject.toml",
        "[project]\nname = \"greeter\"\nversion = \"1.2.0\"\n[build-system]\nrequires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n",
    ),
    ("greeter/__init__.py", "NAME = 'greeter'\n"),
    ("tests/__init__.py", ""),
    (
        "tests/test_greeter.py",
        "import unittest, greeter\n\nclass Test(unittest.TestCase):\n    def test_name(self):\n        self.assertEqual(greeter.NAME, 'greeter')\n",
    ),
];

#[test]
fn a_python_project_is_still_built_with_its_pipeline_in_it() {
    let world = world_with(FLAT);
    let wheel = |place: &str| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]).arg(world.path(place));
        pip.arg(".").current_dir(world.path("work")).output().is_ok_and(|output| output.status.success())
    };
    let builds = wheel("before");
    world.git("work", &["clean", "-qfdx"]);
    let said = world.tidegate(&["init", "work"]);
    let (said, talk) =
        (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr).into_owned());
    let file = world.path("work/.tidegate/pipelines/shop.toml");
    assert_eq!(said.trim(), file.canonicalize().expect("a pipeline").display().to_string());
    assert_eq!(world.ends(&["check", "work/.tidegate/pipelines"]).0, 0);
    assert!(
        talk.contains("then start the controller: tidegate serve --pipelines work/.tidegate/pipelines"),
        "{talk}"
    );
    // Where one goes on from here by the words of the README, the way is shown.
    let check = world.program().arg("check").current_dir(world.path("work")).output().expect("tidegate runs");
    let check = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(
        check.contains("TG-CLI-003") && check.contains("`tidegate check .tidegate/pipelines`"),
        "{check}"
    );
    assert!(talk.contains("tidegate check work/.tidegate/pipelines"), "{talk}");
    if !builds {
        eprintln!("pip builds no wheel on this machine: the pipeline that makes one is written, but not run");
        return;
    }
    let try_it = talk.lines().find_map(|line| line.strip_prefix("try it: ")).expect("words to paste");
    let words: Vec<&str> = try_it.split_whitespace().skip(1).collect();
    let said = world.good(&words);
    assert!(said.contains("check: 1.2.0 is current"), "{said}");
    world.git("work", &["add", "-A"]);
    assert!(wheel("after"), "what people build by hand is built as before");
    let has_wheel = fs::read_dir(world.path("after")).expect("a folder").count() == 1;
    assert!(has_wheel);
}

#[test]
fn pipelines_are_hidden_only_where_they_would_be_taken_for_packages() {
    let project = "[project]\nname = \"a\"\nversion = \"1\"\n[build-system]\n";
    let with = |more: &str| format!("{project}{more}");
    let hidden = ".tidegate/pipelines/shop.toml";
    let plain = "pipelines/shop.toml";
    for (files, place) in [
        (vec![("pyproject.toml", with(""))], hidden),
        (vec![("setup.py", "from setuptools import setup\nsetup(name='a')\n".into())], hidden),
        (vec![("pyproject.toml", with("[tool.setuptools.packages.find]\n"))], hidden),
        (vec![("pyproject.toml", with("[tool.setuptools.packages.find]\nwhere = [\".\"]\n"))], hidden),
        (vec![("pyproject.toml", with("")), ("setup.cfg", "[metadata]\n".into())], hidden),
        (vec![("pyproject.toml", with("[tool.setuptools.packages.find]\ninclude = [\"a*\"]\n"))], plain),
        (vec![("pyproject.toml", with("[tool.setuptools]\npackages = [\"a\"]\n"))], plain),
        (vec![("pyproject.toml", with("[tool.setuptools]\npy-modules = [\"a\"]\n"))], plain),
        (vec![("pyproject.toml", with("build-backend = \"hatchling.build\"\n"))], plain),
        (vec![("pyproject.toml", with("")), ("src/a/__init__.py", String::new())], plain),
        (vec![("pyproject.toml", with("")), ("setup.cfg", "[options]\npackages = find:\n".into())], plain),
        (vec![("pyproject.toml", with("")), ("pipelines/other.toml", String::new())], plain),
        (vec![("requirements.txt", "pytest\n".into())], plain),
        (vec![("Cargo.toml", "[package]\nname = \"a\"\n".into())], plain),
    ] {
        let texts: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let world = world_with(&texts);
        world.good(&["init", "work"]);
        assert!(world.path("work").join(place).exists(), "{files:?}");
    }
}

#[test]
fn other_kinds_are_found_and_check_well() {
    for (files, words) in [
        (
            &[(
                "pyproject.toml",
                "[tool.uv]\n[project]\nname='a'\ndependencies=['pytest']\n[build-system]\n",
            )][..],
            "uv run --frozen pytest",
        ),
        (
            &[("pyproject.toml", "[tool.poetry]\nname='a'\n[tool.pytest.ini_options]\n[build-system]\n")],
            "poetry run pytest",
        ),
        (&[("requirements.txt", "pytest\n")], "pip install --quiet -r requirements.txt pytest"),
        (
            &[
                ("go.mod", "module example.org/tool/v2\n"),
                ("main.go", "package main\n"),
                ("cmd/b/main.go", "package main\n"),
            ],
            "out/tool",
        ),
        (&[("Makefile", "all: x\ntest:\n\ttrue\nlint :\n")], "make test"),
        (&[("Dockerfile", "FROM scratch\n")], "docker build --tag shop:$TIDEGATE_VERSION_SLUG ."),
        (&[("deploy/shop.service", "[Unit]\n"), ("VERSION", "1.0")], "systemctl --user restart shop"),
        (&[("package.json", "not json"), ("Cargo.toml", "[[[")], "tar -czf out/shop.tar.gz"),
        (&[], "No file says a version"),
    ] {
        let world = world_with(files);
        let text = first_pipeline(&world);
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn nothing_is_overwritten_and_the_schema_is_where_the_file_says() {
    let world = world_with(&[("VERSION", "1.0.0")]);
    let printed = world.good(&["init", "work", "--print"]);
    assert!(printed.starts_with("#:schema ./pipeline.schema.json\n"), "{printed}");
    assert!(!world.path("work/pipelines").exists(), "printing writes nothing");
    let answer: Value = serde_json::from_str(&world.good(&["init", "work", "--json"])).expect("JSON");
    assert_eq!((&answer["pipeline"], &answer["schema_written"]), (&"shop".into(), &true.into()));
    let schema = world.read("work/pipelines/pipeline.schema.json");
    assert_eq!(schema, world.good(&["schema"]), "the first line leads to the schema of this release");
    fs::write(world.path("work/pipelines/shop.toml"), "mine").expect("a file");
    let (exit, said) = world.ends(&["init", "work"]);
    assert_eq!(exit, 2);
    assert!(said.contains("TG-INIT-006") && said.contains("--force"), "{said}");
    assert_eq!(world.read("work/pipelines/shop.toml"), "mine");
    world.good(&["init", "work", "--force"]);
    assert!(world.read("work/pipelines/shop.toml").contains("[[tier]]"));

    world.good(&["schema", "--write", "schemas"]);
    world.good(&["init", "work", "--out", "pipelines/shop.toml"]);
    assert!(world.read("pipelines/shop.toml").starts_with("#:schema ../schemas/pipeline.schema.json\n"));
    assert!(!world.path("pipelines/pipeline.schema.json").exists(), "one is enough");
    let (exit, said) = world.ends(&["init", "pipelines"]);
    assert_eq!(exit, 2);
    assert!(
        said.contains("TG-INIT-001") && said.contains("not a git repository") && said.contains("git init"),
        "{said}"
    );
}

#[test]
fn the_hook_is_named_and_installed_on_demand() {
    let mut world = world_with(&[("VERSION", "1.0.0")]);
    let (exit, said) = world.ends(&["init", "work", "--out", "a/first.toml"]);
    assert_eq!(exit, 0);
    assert!(said.contains("tidegate hook install "), "nobody can be asked, so it is said: {said}");
    assert!(!world.path("shop.git/hooks/post-receive").exists());
    world.start();
    world.good(&["init", "work", "--out", "pipelines/shop.toml", "--hook"]);
    world.wait("pipeline_loaded", &[]);
    world.push("1.1.0", &[]);
    world.wait("build_ok", &[("version", "1.1.0")]);
}
