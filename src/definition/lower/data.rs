//! Gates around data that a deploy could harm: backups, and migrations tried on them.

use super::gate::Tier;
use super::terms;
use crate::definition::codes::Code;
use crate::definition::names;
use crate::definition::raw::{self, Gate as Raw};
use crate::definition::report::{Report, listed};
use crate::domain::backup::sources;
use crate::domain::pipeline::{self, Check, Gate, Phase};
use crate::domain::{GateName, TierName};
use std::collections::BTreeSet;

/// What such a gate checks.
pub(super) fn check(report: &mut Report, tier: &Tier<'_>, path: &str, raw: &Raw) -> Check {
    let at = |key: &str| format!("{path}.{key}");
    match raw {
        Raw::Backup { node, run, path: file, verify, shrink, keep, .. } => {
            terms::say_one(report, path, &["run", "path"]);
            if let Some(node) = node {
                known_node(report, tier, &at("node"), node);
            }
            if let Some(file) = file.as_ref().filter(|file| !file.starts_with('/')) {
                let message = format!("`{file}` does not say where on the node the backup is");
                let problem = report.error(Code::BadPath, &at("path"), message);
                problem.help("name the file from the top: \"/var/backups/shop.dump\"");
            }
            Check::Backup {
                node: node.clone().unwrap_or_default().into(),
                run: terms::script(report, &at("run"), run.as_ref()),
                path: file.clone(),
                verify: terms::script(report, &at("verify"), verify.as_ref()),
                shrink: shrink.as_ref().and_then(|share| names::percent(report, &at("shrink"), share)),
                keep: keep.unwrap_or(7) as u32,
            }
        }
        Raw::MigrationDryRun { engine, migrate, restore, server, backup, max_age, within, .. } => {
            restore_goes_with_engine(report, path, *engine, restore.is_some());
            if let Some(server) = server {
                good_server(report, path, *engine, server);
            }
            Check::MigrationDryRun {
                engine: match engine {
                    Some(raw::Engine::Postgres) | None => "postgres".into(),
                    Some(raw::Engine::Sqlite) => "sqlite".into(),
                    Some(raw::Engine::Command) => "command".into(),
                },
                migrate: terms::needed_script(report, &at("migrate"), migrate.as_ref()),
                restore: terms::script(report, &at("restore"), restore.as_ref()),
                server: server.clone(),
                backup: backup.as_deref().map(Into::into),
                max_age: names::span_above_zero(report, &at("max_age"), max_age.as_ref()),
                within: names::span_above_zero(report, &at("within"), within.as_ref()),
            }
        }
        _ => panic!("BUG: this gate is not about data"),
    }
}

fn known_node(report: &mut Report, tier: &Tier<'_>, path: &str, node: &str) {
    let is_local = tier.nodes.is_empty() && tier.has_deploy && node == "local";
    if !is_local
        && !tier.nodes.contains(&node)
        && !report.places.is_incomplete(&format!("{}.node", tier.path))
    {
        let problem = report.error(Code::UnknownNode, path, format!("this tier has no node `{node}`"));
        problem.nearest(node, tier.nodes.iter().copied());
    }
}

fn restore_goes_with_engine(report: &mut Report, path: &str, engine: Option<raw::Engine>, is_said: bool) {
    match engine {
        Some(raw::Engine::Command) if !is_said && !report.places.has(&format!("{path}.restore")) => {
            let message = "engine = \"command\" needs the key `restore`";
            report
                .error(Code::MissingKey, &format!("{path}.engine"), message)
                .help("say what restores the backup");
        }
        Some(raw::Engine::Postgres | raw::Engine::Sqlite) if is_said => {
            let problem = report.error_at_key(
                Code::DoesNotGoWith,
                &format!("{path}.restore"),
                "`restore` goes only with engine = \"command\"",
            );
            problem.help("leave it out: this engine restores by itself");
        }
        _ => {}
    }
}

fn good_server(report: &mut Report, path: &str, engine: Option<raw::Engine>, server: &str) {
    let at = format!("{path}.server");
    if matches!(engine, Some(raw::Engine::Sqlite | raw::Engine::Command)) {
        let message = "`server` goes only with engine = \"postgres\"";
        report.error_at_key(Code::DoesNotGoWith, &at, message).help("leave it out");
    } else if !["postgres://", "postgresql://", "$"].iter().any(|start| server.starts_with(start)) {
        let message = format!("`{server}` is not the URL of a PostgreSQL server");
        let problem = report.error(Code::BadAddress, &at, message);
        problem.help(
            "write it like \"postgres://ci@db.internal/postgres\", or name a secret: \"$SCRATCH_SERVER\"",
        );
    }
}

/// Lets a dry run wait for the gate of its tier and phase whose backup it restores.
pub(super) fn imply_needs(gates: &mut [Gate]) {
    let is_backup = |gate: &&Gate| matches!(gate.check, Check::Backup { .. });
    let all: Vec<(GateName, Phase)> =
        gates.iter().filter(is_backup).map(|gate| (gate.name.clone(), gate.phase)).collect();
    for gate in gates {
        let Check::MigrationDryRun { backup, .. } = &gate.check else { continue };
        let fits = |(name, phase): &&(GateName, Phase)| {
            *phase == gate.phase && backup.as_ref().is_none_or(|wanted| wanted == name)
        };
        let implied = all.iter().filter(fits).filter(|(name, _)| !gate.needs.contains(name));
        let implied: Vec<GateName> = implied.map(|(name, _)| name.clone()).collect();
        gate.needs.extend(implied);
    }
}

/// Says which dry runs have no backup that they could restore, or several between which nobody can choose.
pub(super) fn find_backups(report: &mut Report, tiers: &[pipeline::Tier]) {
    let is_incomplete = |report: &Report, at: usize| report.places.is_incomplete(&format!("tier[{at}].gate"));
    if report.places.is_incomplete("tier") || (0..tiers.len()).any(|at| is_incomplete(report, at)) {
        return;
    }
    for (at, tier) in tiers.iter().enumerate() {
        for (number, gate) in tier.gates.iter().enumerate() {
            let Check::MigrationDryRun { backup, .. } = &gate.check else { continue };
            let path = format!("tier[{at}].gate[{number}]");
            let found = sources(tiers, &tier.name, backup.as_ref());
            let names: BTreeSet<&str> = found.iter().map(|(_, gate)| gate.name.as_str()).collect();
            match (names.len(), backup) {
                (0, Some(wanted)) => {
                    let all = sources(tiers, &"".into(), None);
                    let message = format!("no gate of kind `backup` is called `{wanted}`");
                    let problem = report.error(Code::UnknownNeed, &format!("{path}.backup"), message);
                    problem.nearest(wanted.as_str(), all.iter().map(|(_, gate)| gate.name.as_str()));
                    if all.is_empty() {
                        problem.help("add a gate of kind = \"backup\" to the tier whose data it is");
                    }
                }
                (0, None) => {
                    let message = "this pipeline has no gate of kind `backup` whose backup could be restored";
                    let problem = report.error(Code::MissingKey, &format!("{path}.kind"), message);
                    problem.help("add a gate of kind = \"backup\" to the tier whose data it is");
                }
                (1, _) => {
                    if gate.required && !found.iter().any(|source| comes_first(tiers, tier, gate, *source)) {
                        say_too_late(report, &path, &found);
                    }
                }
                _ => {
                    let names: Vec<&str> = names.into_iter().collect();
                    let message = format!("it is not said which backup is restored: {}", listed(&names));
                    let problem = report.error(Code::SayOne, &format!("{path}.kind"), message);
                    problem.help(format!("choose one: backup = \"{}\"", names[0]));
                }
            }
        }
    }
}

/// Whether a version meets the gate that fetches a backup before the one that restores it.
fn comes_first(
    tiers: &[pipeline::Tier],
    tier: &pipeline::Tier,
    gate: &Gate,
    (other, source): (&pipeline::Tier, &Gate),
) -> bool {
    if other.name == tier.name {
        return source.phase <= gate.phase;
    }
    let mut before: Vec<&TierName> = tier.after.iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = before.pop() {
        if *name == other.name {
            return true;
        }
        if seen.insert(name) {
            before.extend(tiers.iter().filter(|tier| tier.name == *name).flat_map(|tier| &tier.after));
        }
    }
    false
}

fn say_too_late(report: &mut Report, path: &str, found: &[(&pipeline::Tier, &Gate)]) {
    let Some((tier, source)) = found.first() else { return };
    let message = format!(
        "gate `{}` of tier `{}`, which fetches the backup, comes after this one: without a backup from before, no version \
         passes",
        source.name, tier.name
    );
    let problem = report.warning(Code::BackupComesLater, &format!("{path}.kind"), message);
    problem.help("leave this gate out, or say required = false, until there is a backup");
}
