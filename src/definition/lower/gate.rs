//! Gates: what is checked, and when.

use super::build::{needed, say_cycles};
use super::data;
use super::terms::{self, Around};
use crate::definition::codes::Code;
use crate::definition::raw::{self, Gate as Raw};
use crate::definition::report::Report;
use crate::definition::{graph, names};
use crate::domain::Span;
use crate::domain::pipeline::{Check, Gate, Phase};

/// What a gate's tier has, for gates that name it.
pub(super) struct Tier<'a> {
    pub(super) path: &'a str,
    pub(super) nodes: Vec<&'a str>,
    pub(super) has_deploy: bool,
}

pub(super) fn gates(report: &mut Report, around: &Around, tier: &Tier<'_>, raw: &[Raw]) -> Vec<Gate> {
    let path = |at: usize| format!("{}.gate[{at}]", tier.path);
    let mut gates: Vec<Gate> =
        raw.iter().enumerate().map(|(at, raw)| gate(report, around, tier, &path(at), raw)).collect();
    let named: Vec<(String, String)> = gates
        .iter()
        .enumerate()
        .map(|(at, gate)| (format!("{}.name", path(at)), gate.name.to_string()))
        .collect();
    names::unique(report, "gate", &named);
    data::imply_needs(&mut gates);
    let all = names::Listed::new(gates.iter().map(|gate| gate.name.as_str()).collect());
    let list = format!("{}.gate", tier.path);
    let mut before: graph::Before = Vec::new();
    for (at, gate) in gates.iter().enumerate() {
        let needs: Vec<String> = gate.needs.iter().map(ToString::to_string).collect();
        let found =
            needed(report, "gate", gate.name.as_str(), &format!("{}.needs", path(at)), &needs, &all, &list);
        for need in found.iter().filter(|need| gates[**need].phase != gate.phase) {
            let message = format!("gate `{}` belongs to the other phase", all.all()[*need]);
            let problem = report.error(Code::DoesNotGoWith, &format!("{}.needs", path(at)), message);
            problem
                .help("`check` gates all end before the deploy, `verify` gates begin after it: leave it out");
        }
        before.push(found);
    }
    say_cycles(report, &before, all.all(), "gate", |at| format!("{}.needs", path(at)));
    gates
}

fn gate(report: &mut Report, around: &Around, tier: &Tier<'_>, path: &str, raw: &Raw) -> Gate {
    let (common, check) = (common(raw), check(report, around, tier, path, raw));
    let name = common.name.clone().unwrap_or_else(|| check.kind().into());
    names::name(report, &format!("{path}.name"), &name);
    let phase = match common.phase {
        Some(raw::Phase::Verify) => Phase::Verify,
        Some(raw::Phase::Check) | None => Phase::Check,
    };
    Gate {
        name: name.into(),
        phase,
        needs: common.needs.iter().map(|name| name.as_str().into()).collect(),
        required: common.required.unwrap_or(true),
        flaky_tries: common.flaky.as_ref().and_then(|flaky| flaky.tries).unwrap_or(0) as u32,
        exec: terms::exec(report, around, path, &common.exec, common.retry.as_ref()),
        check,
    }
}

/// What every kind of gate has.
fn common(raw: &Raw) -> &raw::GateCommon {
    match raw {
        Raw::Command { common, .. }
        | Raw::CargoTest { common, .. }
        | Raw::CargoClippy { common, .. }
        | Raw::CargoFmt { common, .. }
        | Raw::CargoDeny { common, .. }
        | Raw::HttpProbe { common, .. }
        | Raw::TcpProbe { common, .. }
        | Raw::BootSmoke { common, .. }
        | Raw::Backup { common, .. }
        | Raw::MigrationDryRun { common, .. } => common,
    }
}

/// What it checks.
fn check(report: &mut Report, around: &Around, tier: &Tier<'_>, path: &str, raw: &Raw) -> Check {
    match raw {
        Raw::Command { run, .. } => {
            Check::Command { run: terms::needed_script(report, &format!("{path}.run"), run.as_ref()) }
        }
        Raw::CargoTest { args, .. } => Check::CargoTest { args: args.clone() },
        Raw::CargoClippy { args, .. } => Check::CargoClippy { args: args.clone() },
        Raw::CargoFmt { args, .. } => Check::CargoFmt { args: args.clone() },
        Raw::CargoDeny { args, .. } => Check::CargoDeny { args: args.clone() },
        Raw::HttpProbe { .. } | Raw::TcpProbe { .. } | Raw::BootSmoke { .. } => {
            probing(report, around, path, raw)
        }
        Raw::Backup { .. } | Raw::MigrationDryRun { .. } => data::check(report, tier, path, raw),
    }
}

/// Gates that see whether something answers.
fn probing(report: &mut Report, around: &Around, path: &str, raw: &Raw) -> Check {
    let at = |key: &str| format!("{path}.{key}");
    match raw {
        Raw::HttpProbe { url, status, contains, within, every, .. } => {
            if let Some(url) = url {
                terms::address(report, &at("url"), url, true);
            }
            Check::HttpProbe {
                url: url.clone().unwrap_or_default(),
                status: status.map(|status| status as u16),
                contains: contains.clone(),
                within: names::span(report, &at("within"), within.as_ref()),
                every: every_second(report, path, every.as_ref()),
            }
        }
        Raw::TcpProbe { tcp, within, every, .. } => {
            if let Some(tcp) = tcp {
                terms::address(report, &at("tcp"), tcp, false);
            }
            Check::TcpProbe {
                tcp: tcp.clone().unwrap_or_default(),
                within: names::span(report, &at("within"), within.as_ref()),
                every: every_second(report, path, every.as_ref()),
            }
        }
        Raw::BootSmoke { artifact, args, http, tcp, probe, within, healthy_for, .. } => {
            terms::say_one(report, path, &["http", "tcp", "probe"]);
            if let Some(artifact) = artifact {
                around.artifact(report, &at("artifact"), artifact);
            }
            let probe = probe.as_ref().map(|probe| ("probe", probe));
            Check::BootSmoke {
                artifact: artifact.clone().unwrap_or_default(),
                args: args.clone(),
                probe: terms::probe(report, path, http.as_ref(), tcp.as_ref(), probe),
                within: names::span(report, &at("within"), within.as_ref()).unwrap_or(Span::seconds(30)),
                healthy_for: names::span(report, &at("healthy_for"), healthy_for.as_ref())
                    .unwrap_or(Span::seconds(5)),
            }
        }
        _ => panic!("BUG: this gate does not probe"),
    }
}

fn every_second(report: &mut Report, path: &str, every: Option<&String>) -> Span {
    names::span_above_zero(report, &format!("{path}.every"), every).unwrap_or(Span::seconds(1))
}
