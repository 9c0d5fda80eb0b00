//! Go, make, containers, and services of systemd.

use super::draft::{Draft, Gate, Part, is_plain};
use super::look::Folder;

/// Looks for go.mod.
pub(super) fn go(folder: &Folder, draft: &mut Draft) {
    let Some(module) = folder.text("go.mod") else { return };
    let path = module.lines().find_map(|line| line.trim().strip_prefix("module ")).unwrap_or_default().trim();
    let last = path.trim_matches('"').rsplit('/').find(|part| !is_major(part)).unwrap_or_default();
    let mut programs: Vec<String> =
        folder.names("cmd").into_iter().filter(|name| is_main(folder, &format!("cmd/{name}"))).collect();
    if is_main(folder, "") {
        programs.push(last.to_owned());
    }
    programs.retain(|name| is_plain(name));
    draft.found.push(match programs.as_slice() {
        [] => "a Go module without a program (go.mod)".into(),
        some => format!("a Go module (go.mod) with {}", some.join(", ")),
    });
    let (why, run) = match programs.is_empty() {
        true => ("Everything must compile.", "go build ./..."),
        false => ("Compiles what is delivered.", "mkdir -p out && go build -trimpath -o out/ ./..."),
    };
    draft.steps.push(Part { name: "go-build", why: why.into(), run: run.into() });
    draft.artifacts.extend(programs.iter().map(|program| format!("out/{program}")));
    if let Some(first) = programs.first() {
        draft.proof.get_or_insert(format!("current/{first}"));
    }
    for (name, run) in [("go-tests", "go test ./..."), ("go-vet", "go vet ./...")] {
        let why =
            if name == "go-tests" { "The tests." } else { "What the compiler lets pass and should not." };
        draft.gates.push(Gate::Command(Part { name, why: why.into(), run: run.into() }));
    }
}

/// `v2` at the end of a module's path is not its name.
fn is_major(part: &str) -> bool {
    part.strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a folder holds a program.
fn is_main(folder: &Folder, at: &str) -> bool {
    let sources =
        folder.names(at).into_iter().filter(|name| name.ends_with(".go") && !name.ends_with("_test.go"));
    let path = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
    let mut texts = sources.filter_map(|name| folder.text(&path(&name)));
    texts.any(|text| text.lines().any(|line| line.trim_end() == "package main"))
}

/// Looks for a Makefile. Where nothing else builds or tests, its targets do.
pub(super) fn make(folder: &Folder, draft: &mut Draft) {
    let Some(text) =
        folder.first(&["GNUmakefile", "makefile", "Makefile"]).and_then(|name| folder.text(name))
    else {
        return;
    };
    let has = |target: &str| {
        let begins = |line: &str| {
            line.strip_prefix(target).is_some_and(|rest| {
                rest.trim_start().starts_with(':') && !rest.trim_start().starts_with(":=")
            })
        };
        text.lines().any(begins)
    };
    let known: Vec<&str> = ["all", "build", "test", "check", "lint", "install", "deploy"]
        .into_iter()
        .filter(|target| has(target))
        .collect();
    draft.found.push(match known.as_slice() {
        [] => "a Makefile".into(),
        some => format!("a Makefile with the targets {}", some.join(", ")),
    });
    let build = ["build", "all"].into_iter().find(|target| known.contains(target));
    let test = ["test", "check"].into_iter().find(|target| known.contains(target));
    if draft.steps.is_empty() {
        let run = build.map_or_else(|| "make".to_owned(), |target| format!("make {target}"));
        let why = "What the Makefile builds. Name what it makes in `artifacts` above, so that a tier can deploy it.";
        draft.steps.push(Part { name: "make", why: why.into(), run });
    }
    match test {
        Some(target) if draft.gates.is_empty() => {
            let why = format!("The target `{target}` of the Makefile.");
            let run = format!("make {target}");
            draft.gates.push(Gate::Command(Part { name: "make-test", why, run }));
        }
        Some(target) => draft.more_gates.push(format!(
            "The Makefile has a target `{target}`, too: kind = \"command\", run = \"make {target}\""
        )),
        None => {}
    }
    for target in ["install", "deploy"].iter().filter(|target| known.contains(target)) {
        draft
            .activate
            .push(format!("The Makefile has a target `{target}`: run = \"make {target}\" would use it."));
    }
}

/// Looks for a Dockerfile. It is built only where nothing else is: not every machine that has one has a builder.
pub(super) fn docker(folder: &Folder, name: &str, draft: &mut Draft) {
    let Some(file) = folder.first(&["Dockerfile", "Containerfile"]) else { return };
    draft.found.push(format!("a {file}"));
    let name = name.to_ascii_lowercase();
    let run = format!("docker build --tag {name}:$TIDEGATE_VERSION_SLUG .");
    if draft.steps.is_empty() {
        let why = "Builds the image; $TIDEGATE_VERSION_SLUG is the version as a tag may be. `podman` takes the same words.";
        draft.steps.push(Part { name: "image", why: why.into(), run });
        draft.gates.push(Gate::Command(Part {
            name: "image-is-there",
            why: "The image of this version is there.".into(),
            run: format!("docker image inspect {name}:$TIDEGATE_VERSION_SLUG"),
        }));
    } else {
        draft.more_gates.push(format!("There is a {file}: a step of the build could be run = \"{run}\""));
    }
    draft.activate.push(format!("With containers: run = \"docker rm -f {name}; docker run -d --name {name} {name}:$TIDEGATE_VERSION_SLUG\""));
}

/// Looks for units of systemd: what a deploy would restart.
pub(super) fn units(folder: &Folder, draft: &mut Draft) {
    for at in ["", "systemd", "deploy", "packaging", "contrib", "etc"] {
        let units =
            folder.names(at).into_iter().filter_map(|name| Some(name.strip_suffix(".service")?.to_owned()));
        for unit in units.filter(|unit| is_plain(unit.trim_end_matches('@'))) {
            draft.found.push(format!("the systemd unit {unit}"));
            draft.activate.push(format!("`… && systemctl --user restart {unit}` would restart the service that the repository has a unit for."));
        }
    }
}
