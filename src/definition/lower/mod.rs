//! From a file as written to a pipeline as the engine knows it: every default filled in, every name resolved, and
//! everything that is wrong said, not only the first.

mod build;
mod cases;
mod data;
mod deploy;
mod fence;
mod forge;
mod gate;
mod notify;
mod promote;
mod schedule;
mod source;
mod terms;
mod tier;

use super::codes::Code;
use super::report::Report;
use super::{names, raw, support};
use crate::domain::Pipeline;
use terms::Around;

/// Lowers a file. What comes out may be used only if the report has no errors. `stem`: the file's name without `.toml`.
pub(super) fn lower(report: &mut Report, stem: &str, raw: &raw::File) -> Pipeline {
    let around = Around {
        secrets: raw.secrets.keys().cloned().collect(),
        artifacts: raw.build.as_ref().map(|build| build.artifacts.clone()).unwrap_or_default(),
        used: Default::default(),
    };
    let name = match &raw.name {
        Some(name) => {
            names::name(report, "name", name);
            name.clone()
        }
        None => {
            if !names::is_name(stem) && !report.places.has("name") {
                let problem = report.error(
                    Code::BadName,
                    "",
                    format!("the file's name `{stem}` cannot be the pipeline's name"),
                );
                problem.help("say name = \"…\": letters, digits, `.`, `_` and `-`, at most 64");
            }
            stem.to_owned()
        }
    };
    if let Some(was) = &raw.was {
        names::name(report, "was", was);
        if *was == name {
            let problem =
                report.error(Code::NameTwice, "was", format!("the pipeline is still named `{was}`"));
            problem.help("`was` names what it was called before; leave it out if the name did not change");
        }
    }
    let source = source::source(report, raw.source.as_ref());
    let version = source::version(report, raw.version.as_ref());
    let secrets = source::secrets(report, &raw.secrets);
    let env = terms::env(report, "env", &raw.env);
    let build = build::build(report, &around, raw.build.as_ref());
    let raw_tiers = raw.tier.as_deref().unwrap_or_default();
    let tiers = tier::tiers(report, &around, raw_tiers);
    fence::check(report, &build, &tiers);
    let names: Vec<&str> = raw_tiers.iter().filter_map(|tier| tier.name.as_deref()).collect();
    let mut pipeline = Pipeline {
        name: name.into(),
        was: raw.was.as_deref().map(Into::into),
        description: raw.description.clone(),
        schedule: schedule::schedules(report, &source, &raw.schedule),
        source,
        version,
        env,
        secrets,
        build,
        tiers,
        notify: notify::notices(report, &around, &names, raw),
        tests: cases::tests(&raw.test),
        unsupported: Vec::new(),
    };
    say_unused_secrets(report, raw, &around.used.into_inner());
    support::mark(report, &mut pipeline);
    pipeline
}

fn say_unused_secrets(report: &mut Report, raw: &raw::File, used: &[String]) {
    for name in raw.secrets.keys().filter(|name| !used.contains(name)) {
        let message = format!("no step gets the secret `{name}`");
        let problem = report.warning(Code::UnusedSecret, &format!("secrets.{name}"), message);
        problem.help(format!("list it where it is used: secrets = [\"{name}\"]"));
    }
}
