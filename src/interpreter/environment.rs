//! What a step is told by its environment, and nothing else: four variables of the controller, what the pipeline, node
//! and step declare, secrets that it lists, and `TIDEGATE_*`. A later layer wins over an earlier one.

use super::fencing;
use super::places::Folder;
use super::secrets::Secrets;
use super::task::Task;
use crate::domain::event::DeployMode;
use crate::domain::pipeline::{Exec, Node, Script};
use crate::domain::{NodeName, RunId, TierName, VersionLabel};
use std::collections::BTreeMap;
use std::ffi::OsString;

/// A whole environment.
pub(crate) type Env = BTreeMap<OsString, OsString>;

/// What steps get of the controller's own environment.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
/// Where programs are looked for when the controller was started without a `PATH`.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The longest tag of an image.
const SLUG_LENGTH: usize = 128;

/// What is particular to one run. What has no meaning for it is none, and its variable is not set.
pub(super) struct About<'a> {
    pub(super) run: RunId,
    pub(super) version: &'a VersionLabel,
    pub(super) tier: Option<&'a TierName>,
    pub(super) node: Option<&'a NodeName>,
    pub(super) mode: Option<DeployMode>,
    /// The inner one is none where there is no such version: then the variable is empty.
    pub(super) previous: Option<Option<&'a VersionLabel>>,
    /// What it is given before anything that is declared.
    pub(super) base: &'a [(OsString, OsString)],
    /// Its folder on this machine; none for what runs on a node.
    pub(super) folder: Option<&'a Folder>,
    /// The node whose environment counts.
    pub(super) on: Option<&'a Node>,
    pub(super) exec: &'a Exec,
    pub(super) secrets: &'a Secrets,
}

/// The controller's own variables that steps get.
pub(crate) fn inherited() -> Vec<(OsString, OsString)> {
    let of_ours = |name: &str| Some((OsString::from(name), std::env::var_os(name)?));
    let mut found: Vec<_> = INHERITED.into_iter().filter_map(of_ours).collect();
    if !found.iter().any(|(name, _)| name == "PATH") {
        found.push(("PATH".into(), USUAL_PATH.into()));
    }
    found
}

/// The environment of a run. `preset` is what its kind brings along, which everything that is declared may change.
pub(super) fn environment(task: &Task, preset: &[(&str, OsString)], about: &About<'_>) -> Env {
    let mut env: Env = about.base.iter().cloned().collect();
    env.extend(fencing::preset(about.exec, about.folder));
    env.extend(preset.iter().map(|(name, value)| (OsString::from(name), value.clone())));
    let node = about.on.map(|node| &node.env);
    for layer in [Some(&task.definition.env), node, Some(&about.exec.env)].into_iter().flatten() {
        env.extend(layer.iter().map(|(name, value)| (name.into(), value.into())));
    }
    env.extend(about.secrets.values().iter().cloned());
    env.extend(own(task, about).into_iter().map(|(name, value)| (name.into(), value)));
    env
}

fn own(task: &Task, about: &About<'_>) -> Vec<(&'static str, OsString)> {
    let text = |text: &str| OsString::from(text);
    let mut own = vec![
        ("TIDEGATE", text("1")),
        ("TIDEGATE_PIPELINE", text(task.pipeline.as_str())),
        ("TIDEGATE_VERSION", text(about.version.as_str())),
        ("TIDEGATE_VERSION_SLUG", slug(about.version).into()),
        ("TIDEGATE_SHA", text(task.sha.as_str())),
        ("TIDEGATE_REF", text(task.ref_name.as_ref().map_or("", |name| name.as_str()))),
        ("TIDEGATE_RUN_ID", about.run.to_string().into()),
    ];
    if let Some(folder) = about.folder {
        own.extend([
            ("TIDEGATE_ARTIFACTS", folder.artifacts().into()),
            ("TIDEGATE_CACHE", task.places.cache_for(about.exec.sandbox.as_ref()).into()),
            ("TIDEGATE_EVENTS", task.places.events(about.run).into()),
        ]);
    }
    let previous = about.previous.map(|previous| previous.map_or("", VersionLabel::as_str));
    let some = [
        ("TIDEGATE_TIER", about.tier.map(TierName::as_str)),
        ("TIDEGATE_NODE", about.node.map(NodeName::as_str)),
        ("TIDEGATE_MODE", about.mode.map(DeployMode::as_str)),
        ("TIDEGATE_PREVIOUS_VERSION", previous),
    ];
    own.extend(some.into_iter().filter_map(|(name, value)| Some((name, text(value?)))));
    own
}

/// The version as a tag of an image can hold it.
fn slug(version: &VersionLabel) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let slug: String =
        version.as_str().chars().map(|c| if fits(c) { c } else { '-' }).take(SLUG_LENGTH).collect();
    match slug.strip_prefix(['.', '-']) {
        Some(rest) => format!("_{rest}"),
        None => slug,
    }
}

/// A command as it is executed.
pub(crate) fn argv(script: &Script) -> Vec<OsString> {
    match script {
        Script::Shell(text) => vec!["/bin/sh".into(), "-c".into(), text.into()],
        Script::Argv(words) => words.iter().map(OsString::from).collect(),
    }
}

/// As the runner takes it.
pub(crate) fn pairs(env: &Env) -> Vec<(OsString, OsString)> {
    env.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_fits_a_tag() {
        assert_eq!(slug(&"0.8.12+g1a2b3c4".into()), "0.8.12-g1a2b3c4");
        assert_eq!(slug(&"../x y".into()), "_.-x-y");
        assert_eq!(slug(&"x".repeat(200).as_str().into()).len(), 128);
    }

    #[test]
    fn only_four_variables_of_ours_are_inherited() {
        let names: Vec<_> = inherited().into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| INHERITED.iter().any(|known| name == known)), "{names:?}");
        assert!(names.iter().any(|name| name == "PATH"));
    }

    #[test]
    fn text_goes_through_the_shell_and_a_list_does_not() {
        assert_eq!(argv(&Script::Shell("a $b".into())), ["/bin/sh", "-c", "a $b"]);
        assert_eq!(argv(&Script::Argv(vec!["a".into(), "$b".into()])), ["a", "$b"]);
    }
}
