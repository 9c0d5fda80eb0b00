//! Keys that this release knows but does not execute yet. A rule that is not applied must never be an open gate: a tier
//! with such a key stays shut (rule 31). This release executes everything that it knows; what a later one adds before it
//! can execute it is named in [`of_pipeline`] and [`of_tier`].

use super::codes::Code;
use super::report::Report;
use crate::domain::Pipeline;
use crate::domain::pipeline::Tier;

/// A key that is not executed: where it stands in the file, and what it is called to people.
struct Key {
    path: String,
    name: String,
}

/// Marks what is not executed in the pipeline, and says so.
pub(super) fn mark(report: &mut Report, pipeline: &mut Pipeline) {
    mark_those(report, pipeline, of_pipeline, of_tier);
}

/// Keys that concern every tier.
fn of_pipeline(_: &Pipeline) -> Vec<Key> {
    Vec::new()
}

/// Keys of a tier, which stands at `path`.
fn of_tier(_: &Tier, _path: &str) -> Vec<Key> {
    Vec::new()
}

fn mark_those(
    report: &mut Report,
    pipeline: &mut Pipeline,
    of_pipeline: impl Fn(&Pipeline) -> Vec<Key>,
    of_tier: impl Fn(&Tier, &str) -> Vec<Key>,
) {
    let everywhere = of_pipeline(pipeline);
    say(report, &everywhere, "every tier stays shut");
    pipeline.unsupported = names(&everywhere);
    for (at, tier) in pipeline.tiers.iter_mut().enumerate() {
        let keys = of_tier(tier, &format!("tier[{at}]"));
        say(report, &keys, &format!("tier `{}` stays shut", tier.name));
        tier.unsupported = names(&keys);
    }
}

fn say(report: &mut Report, keys: &[Key], what_follows: &str) {
    for key in keys {
        let message = format!("this release does not execute `{}`: {what_follows}", key.name);
        report
            .warning(Code::NotExecuted, &key.path, message)
            .help("leave it out until a release executes it");
    }
}

fn names(keys: &[Key]) -> Vec<String> {
    let mut names: Vec<String> = keys.iter().map(|key| key.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::load;
    use crate::definition::places::{Lines, Places};

    #[test]
    fn a_key_of_a_later_release_shuts_what_it_is_about_and_is_said() {
        let text =
            "[source]\nrepo = \"/srv/git/shop.git\"\n[[tier]]\nname = \"host\"\n[[tier]]\nname = \"prod\"\n";
        let mut pipeline = Pipeline::clone(&load("shop.toml", text.as_bytes()).unwrap().pipeline);
        assert!(
            pipeline.unsupported.is_empty() && pipeline.tiers.iter().all(|one| one.unsupported.is_empty())
        );
        let key = |path: String, name: &str| Key { path, name: name.into() };
        let mut report = Report::new(Places::default());
        mark_those(
            &mut report,
            &mut pipeline,
            |_| vec![key("build.magic".into(), "build.magic"), key("build.magic".into(), "build.magic")],
            |tier, path| match tier.name.as_str() {
                "prod" => vec![key(format!("{path}.deploy.magic"), "deploy.magic")],
                _ => Vec::new(),
            },
        );
        assert_eq!(pipeline.unsupported, ["build.magic"]);
        assert!(pipeline.tiers[0].unsupported.is_empty());
        assert_eq!(pipeline.tiers[1].unsupported, ["deploy.magic"]);
        let said = report.into_diagnostics("shop.toml", &Lines::of(text));
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said.iter().all(|one| one.code == "TG-DEF-034"), "{said:?}");
    }
}
