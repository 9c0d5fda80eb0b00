//! A first pipeline as it is being put together, and its text: every part says what it is for.

use std::fmt::Write as _;

/// Commands of a build or a check, in shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its name, unique among its like.
    pub(super) name: &'static str,
    /// What it is for, as a comment.
    pub(super) why: String,
    /// What is run.
    pub(super) run: String,
}

/// A gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// A command.
    Command(Part),
    /// `cargo test` with these arguments.
    CargoTest(Vec<&'static str>),
}

/// What was found, as a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    /// What was found, one line each, for people.
    pub(super) found: Vec<String>,
    /// The file that says the version, if one does.
    pub(super) version_from: Option<&'static str>,
    /// The steps of the build.
    pub(super) steps: Vec<Part>,
    /// What is kept.
    pub(super) artifacts: Vec<String>,
    /// What a deploy does with what it put in place, in the folder of the version.
    pub(super) unpack: Option<String>,
    /// A file that is there once a version is in place, as a shell sees it.
    pub(super) proof: Option<String>,
    /// The gates of the first tier.
    pub(super) gates: Vec<Gate>,
    /// Further gates and steps that may be wanted: lines of comments.
    pub(super) more_gates: Vec<String>,
    /// What activates a version besides putting it in place: lines of comments.
    pub(super) activate: Vec<String>,
}

/// Where it comes from and what it is called.
pub(super) struct Heading<'a> {
    /// The path of the schema, as seen from the file.
    pub(super) schema: &'a str,
    /// The pipeline's name.
    pub(super) name: &'a str,
    /// The repository.
    pub(super) repo: &'a str,
    /// Whether `origin` says so.
    pub(super) has_origin: bool,
    /// The branch.
    pub(super) branch: &'a str,
    /// Whether there are tags.
    pub(super) has_tags: bool,
}

/// What of a text can be a name: letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
pub(super) fn plain_name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let plain: String = text.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    plain.trim_start_matches(['.', '_', '-']).trim_end_matches('-').chars().take(64).collect()
}

/// Whether a text can stand in a path and in a command as it is.
pub(super) fn is_plain(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.len() <= 64 && !text.starts_with(['.', '-']) && text.chars().all(fits)
}

/// A text as TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

fn list(texts: &[impl AsRef<str>]) -> String {
    let all: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", all.join(", "))
}

impl Draft {
    /// The text of the file.
    pub(super) fn text(&self, heading: &Heading<'_>) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out, heading);
        out
    }

    fn write(&self, out: &mut String, heading: &Heading<'_>) -> std::fmt::Result {
        let name = heading.name;
        writeln!(out, "#:schema {}", heading.schema)?;
        writeln!(
            out,
            "# A first pipeline for `{name}`, written by `tidegate init`. It is yours: change what is not right."
        )?;
        writeln!(out, "#   tidegate check FILE             says everything that is wrong with it")?;
        writeln!(
            out,
            "#   tidegate run FILE --dir FOLDER  builds and checks a folder as it is, without a controller"
        )?;
        writeln!(out, "#   tidegate plan FILE              says what the next version would do")?;
        writeln!(
            out,
            "# Keep it where the controller runs (`tidegate serve --pipelines DIR`): a push must not change what guards it."
        )?;
        writeln!(out, "name = {}\n", quoted(name))?;
        writeln!(out, "[source]")?;
        match heading.has_origin {
            true => writeln!(out, "repo = {}", quoted(heading.repo))?,
            false => writeln!(
                out,
                "repo = {}  # this working copy; name the repository that people push to",
                quoted(heading.repo)
            )?,
        }
        writeln!(
            out,
            "refs = {}  # the branches (and tags) whose pushes become versions",
            list(&[heading.branch])
        )?;
        self.write_version(out, heading.has_tags)?;
        self.write_build(out)?;
        self.write_gates(out)?;
        self.write_staging(out, name)?;
        write_production(out, self, name)
    }

    fn write_version(&self, out: &mut String, has_tags: bool) -> std::fmt::Result {
        match self.version_from {
            Some(file) => writeln!(
                out,
                "\n# What a version is called is read from {file}; a label that another commit has gets `+g` and the commit."
            ),
            None if has_tags => {
                writeln!(out, "\n# No file says a version; the tags could:")?;
                writeln!(
                    out,
                    "# [version]\n# from = \"describe\"  # or \"tag\": only commits that have one become versions"
                )
            }
            None => writeln!(
                out,
                "\n# No file says a version, so it will be 0.0.0+g and the commit. A file `VERSION` with a number would."
            ),
        }
    }

    fn write_build(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\n# A commit is built once. What is named here is kept by its content, and every tier gets the same bits."
        )?;
        writeln!(out, "[build]\ntimeout = \"30m\"\nartifacts = {}", list(&self.artifacts))?;
        for step in &self.steps {
            writeln!(out, "\n# {}", step.why)?;
            writeln!(out, "[[build.step]]\nname = {}\nrun = {}", quoted(step.name), quoted(&step.run))?;
        }
        Ok(())
    }

    fn write_gates(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\n# The first tier only checks. Gates run side by side, each in a checkout of its own; $TIDEGATE_ARTIFACTS is a"
        )?;
        writeln!(out, "# folder with what was built, $TIDEGATE_CACHE one that is kept between versions.")?;
        writeln!(out, "[[tier]]\nname = \"check\"")?;
        for gate in &self.gates {
            match gate {
                Gate::Command(part) => {
                    writeln!(out, "\n  # {}", part.why)?;
                    writeln!(
                        out,
                        "  [[tier.gate]]\n  name = {}\n  kind = \"command\"\n  run = {}",
                        quoted(part.name),
                        quoted(&part.run)
                    )?;
                }
                Gate::CargoTest(args) => {
                    writeln!(out, "\n  [[tier.gate]]\n  name = \"tests\"\n  kind = \"cargo_test\"")?;
                    if !args.is_empty() {
                        writeln!(out, "  args = {}", list(args))?;
                    }
                }
            }
            writeln!(out, "  timeout = \"15m\"")?;
        }
        comments(out, "  ", &self.more_gates)
    }

    fn write_staging(&self, out: &mut String, name: &str) -> std::fmt::Result {
        let place = format!("$HOME/deployed/{name}/staging");
        writeln!(
            out,
            "\n# Staging: this machine. What passed `check` enters by itself; a bad deploy or a failed `verify` gate sends it back."
        )?;
        if self.artifacts.is_empty() {
            let lines = [
                "Nothing is kept by the build, so there is nothing to deploy yet. A tier that does would be:"
                    .to_owned(),
                "[[tier]]".into(),
                "name = \"staging\"".into(),
                "  [tier.deploy]".into(),
                format!("  upload = [{{ artifact = \"FILE\", to = \"{place}/$TIDEGATE_VERSION/\" }}]"),
                "  run = \"systemctl --user restart SERVICE\"".into(),
            ];
            return lines.iter().try_for_each(|line| writeln!(out, "# {line}"));
        }
        writeln!(
            out,
            "[[tier]]\nname = \"staging\"\n\n  [[tier.node]]\n  name = \"local\"  # a host reached by ssh would have: ssh = \"deploy@staging.internal\""
        )?;
        writeln!(out, "\n  [tier.deploy]")?;
        self.write_uploads(out, &place)?;
        let mut run = format!("cd \"{place}\"");
        if let Some(unpack) = &self.unpack {
            let _ = write!(run, " && (cd \"$TIDEGATE_VERSION\" && {unpack})");
        }
        run.push_str(" && ln -sfn \"$TIDEGATE_VERSION\" current");
        writeln!(out, "  run = {}", quoted(&run))?;
        comments(out, "  ", &self.activate)?;
        writeln!(
            out,
            "  # health = {{ http = \"http://127.0.0.1:8080/health\", healthy_for = \"5s\", within = \"60s\" }}"
        )?;
        self.write_proof(out, &place)
    }

    /// What a deploy puts below that place.
    fn write_uploads(&self, out: &mut String, place: &str) -> std::fmt::Result {
        let to = format!("{place}/$TIDEGATE_VERSION/");
        let uploads: Vec<String> = self
            .artifacts
            .iter()
            .map(|artifact| format!("{{ artifact = {}, to = {} }}", quoted(artifact), quoted(&to)))
            .collect();
        match uploads.as_slice() {
            [one] => writeln!(out, "  upload = [{one}]"),
            several => {
                writeln!(out, "  upload = [")?;
                several.iter().try_for_each(|one| writeln!(out, "    {one},"))?;
                writeln!(out, "  ]")
            }
        }
    }

    /// A gate that sees whether it is there.
    fn write_proof(&self, out: &mut String, place: &str) -> std::fmt::Result {
        let Some(proof) = &self.proof else { return Ok(()) };
        writeln!(out, "\n  # After the deploy: what is current is what was just put there.")?;
        writeln!(out, "  [[tier.gate]]\n  name = \"in-place\"\n  kind = \"command\"\n  phase = \"verify\"")?;
        let run = format!(
            "cd \"{place}\" && test \"$(readlink current)\" = \"$TIDEGATE_VERSION\" && test -e {proof}"
        );
        writeln!(out, "  run = {}", quoted(&run))
    }
}

/// What a tier for production would be, to be taken out of its comments.
fn write_production(out: &mut String, draft: &Draft, name: &str) -> std::fmt::Result {
    if draft.artifacts.is_empty() {
        return Ok(());
    }
    let artifact = quoted(&draft.artifacts[0]);
    writeln!(out, "\n# Production, when you are ready: by a person's word, node by node.")?;
    let lines = [
        "[[tier]]".to_owned(),
        "name = \"production\"".into(),
        "  [tier.promote]".into(),
        "  soak = \"1h\"               # current in staging for so long".into(),
        "  confirm = { count = 1 }   # tidegate confirm PIPELINE production".into(),
        "  [[tier.node]]".into(),
        "  name = \"p1\"".into(),
        "  [[tier.node]]".into(),
        "  name = \"p2\"".into(),
        "  [tier.deploy]".into(),
        format!(
            "  upload = [{{ artifact = {artifact}, to = \"/opt/{name}/$TIDEGATE_NODE/$TIDEGATE_VERSION/\" }}]"
        ),
        format!("  run = \"ln -sfn $TIDEGATE_VERSION /opt/{name}/$TIDEGATE_NODE/current\""),
        "  waves = [1, \"100%\"]       # the first alone, then the rest".into(),
    ];
    lines.iter().try_for_each(|line| writeln!(out, "# {line}"))
}

fn comments(out: &mut String, indent: &str, lines: &[String]) -> std::fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    if indent == "  " && !out.ends_with("\"\n") {
        writeln!(out)?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "{indent}# {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_what_a_name_may_have() {
        assert_eq!(plain_name("my shop!"), "my-shop");
        assert_eq!(plain_name("..hidden"), "hidden");
        assert_eq!(plain_name("$(rm -rf ~)"), "rm--rf");
        assert!(!is_plain("$(rm)") && !is_plain("-x") && !is_plain("a/b") && is_plain("shop-api_2"));
    }
}
