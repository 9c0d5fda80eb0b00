//! Tiers: their order, their hosts, and what belongs together.

use super::build::say_cycles;
use super::terms::Around;
use super::{data, deploy, gate, promote, terms};
use crate::definition::codes::Code;
use crate::definition::report::Report;
use crate::definition::{graph, names, raw};
use crate::domain::pipeline::{Node, Require, Tier};
use std::collections::HashSet;

pub(super) fn tiers(report: &mut Report, around: &Around, raw: &[raw::Tier]) -> Vec<Tier> {
    let path = |at: usize| format!("tier[{at}]");
    let named: Vec<(String, String)> = raw
        .iter()
        .enumerate()
        .filter_map(|(at, tier)| Some((format!("{}.name", path(at)), tier.name.clone()?)))
        .collect();
    named.iter().for_each(|(path, name)| names::name(report, path, name));
    names::unique(report, "tier", &named);
    let all = names::Listed::new(raw.iter().map(|tier| tier.name.as_deref().unwrap_or_default()).collect());
    for (at, tier) in raw.iter().enumerate() {
        was(report, &path(at), tier.was.as_deref(), &all, "tier");
    }
    let tiers: Vec<Tier> =
        raw.iter().enumerate().map(|(at, _)| tier(report, around, &path(at), raw, at)).collect();
    order(report, raw, &tiers, &all);
    data::find_backups(report, &tiers);
    tiers
}

fn tier(report: &mut Report, around: &Around, path: &str, all: &[raw::Tier], at: usize) -> Tier {
    let raw = &all[at];
    let mut nodes = nodes(report, path, &raw.node);
    if let Some(first) = raw.node.first().filter(|_| !report.places.has(&format!("{path}.deploy"))) {
        let name = first.name.as_deref().unwrap_or_default();
        let problem = report.error_at_key(
            Code::NodesWithoutDeploy,
            &format!("{path}.node[0]"),
            format!("node `{name}` is never reached: the tier has no deploy"),
        );
        problem.help("add `[tier.deploy]`, or leave the nodes out");
    }
    let has_deploy = raw.deploy.is_some();
    guard_needs_ssh(report, path, raw);
    let there = gate::Tier {
        path,
        nodes: raw.node.iter().filter_map(|node| node.name.as_deref()).collect(),
        has_deploy,
    };
    let gates = gate::gates(report, around, &there, &raw.gate);
    if has_deploy && nodes.is_empty() && !report.places.is_incomplete(&format!("{path}.node")) {
        nodes.push(Node { name: "local".into(), was: None, ssh: None, env: Default::default() });
    }
    let before = at.checked_sub(1).and_then(|at| all[at].name.clone());
    Tier {
        name: raw.name.clone().unwrap_or_default().into(),
        was: raw.was.as_deref().map(Into::into),
        after: raw
            .after
            .clone()
            .unwrap_or_else(|| before.into_iter().collect())
            .into_iter()
            .map(Into::into)
            .collect(),
        promote: promote::promote(report, &format!("{path}.promote"), raw.promote.as_ref()),
        nodes,
        deploy: raw.deploy.as_ref().map(|raw| deploy::deploy(report, around, &format!("{path}.deploy"), raw)),
        gates,
        unsupported: Vec::new(),
    }
}

/// A guard that nobody could cut off guards nothing: on this machine a rule would be shown that is not applied.
fn guard_needs_ssh(report: &mut Report, path: &str, raw: &raw::Tier) {
    if raw.deploy.as_ref().is_none_or(|deploy| deploy.confirm_within.is_none()) {
        return;
    }
    let here = raw.node.iter().find(|node| node.ssh.is_none()).and_then(|node| node.name.as_deref());
    let Some(here) = here.or(raw.node.is_empty().then_some("local")) else { return };
    if report.places.is_incomplete(&format!("{path}.node")) {
        return;
    }
    let message = format!("node `{here}` is this machine, which needs no guard");
    let problem = report.error(Code::GuardHere, &format!("{path}.deploy.confirm_within"), message);
    problem.help("leave `confirm_within` out, or say how the node is reached: ssh = \"deploy@a1.internal\"");
}

fn nodes(report: &mut Report, path: &str, raw: &[raw::Node]) -> Vec<Node> {
    let path = |at: usize| format!("{path}.node[{at}]");
    let named: Vec<(String, String)> = raw
        .iter()
        .enumerate()
        .filter_map(|(at, node)| Some((format!("{}.name", path(at)), node.name.clone()?)))
        .collect();
    named.iter().for_each(|(path, name)| names::name(report, path, name));
    names::unique(report, "node", &named);
    let all = names::Listed::new(named.iter().map(|(_, name)| name.as_str()).collect());
    raw.iter()
        .enumerate()
        .map(|(at, node)| {
            was(report, &path(at), node.was.as_deref(), &all, "node");
            if let Some(ssh) = node.ssh.as_deref().filter(|ssh| !is_host(ssh)) {
                let problem = report.error(
                    Code::BadAddress,
                    &format!("{}.ssh", path(at)),
                    format!("`{ssh}` is not a host"),
                );
                problem.help("write it like \"deploy@a1.internal\", or name a host of your ssh config");
            }
            Node {
                name: node.name.clone().unwrap_or_default().into(),
                was: node.was.as_deref().map(Into::into),
                ssh: node.ssh.clone(),
                env: terms::env(report, &format!("{}.env", path(at)), &node.env),
            }
        })
        .collect()
}

/// Whether ssh would take it for a host, and for nothing else.
fn is_host(ssh: &str) -> bool {
    !ssh.is_empty() && !ssh.starts_with('-') && !ssh.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Checks a former name: it must not be one that is still there.
fn was(report: &mut Report, path: &str, was: Option<&str>, all: &names::Listed<'_>, what: &str) {
    let Some(was) = was else { return };
    names::name(report, &format!("{path}.was"), was);
    if all.position(was).is_some() {
        let message = format!("there still is a {what} named `{was}`");
        let problem = report.error(Code::NameTwice, &format!("{path}.was"), message);
        problem
            .help(format!("`was` names what this {what} was called before; leave it out if it is a new one"));
    }
}

/// The order of the tiers: names that are unknown, cycles, and tiers that no version can reach.
fn order(report: &mut Report, raw: &[raw::Tier], tiers: &[Tier], all: &names::Listed<'_>) {
    let path = |at: usize| format!("tier[{at}].after");
    let mut before: graph::Before = Vec::new();
    let mut known = !report.places.is_incomplete("tier");
    for (at, tier) in tiers.iter().enumerate() {
        let mut found = Vec::new();
        for (n, name) in tier.after.iter().enumerate() {
            match all.position(name.as_str()) {
                Some(position) => found.push(position),
                None if raw[at].after.is_none() || report.places.is_incomplete("tier") => known = false,
                None => {
                    known = false;
                    let message = format!("there is no tier `{name}`");
                    let problem = report.error(Code::UnknownTier, &format!("{}[{n}]", path(at)), message);
                    problem.other(name.as_str(), all.all(), tier.name.as_str(), "tier", "after");
                }
            }
        }
        before.push(found);
    }
    let all = all.all();
    say_cycles(report, &before, all, "tier", path);
    if !known {
        return;
    }
    let any: Vec<bool> = tiers.iter().map(|tier| tier.promote.require == Require::Any).collect();
    let reached = graph::reachable(&before, &any);
    let in_cycles: HashSet<usize> = graph::cycles(&before).concat().into_iter().collect();
    for at in (0..tiers.len()).filter(|at| !reached[*at] && !in_cycles.contains(at)) {
        let missing: Vec<&str> = before[at].iter().filter(|b| !reached[**b]).map(|b| all[*b]).collect();
        let message = format!("no version can reach tier `{}`", all[at]);
        let problem = report.error(Code::Unreachable, &format!("tier[{at}].name"), message);
        let missing = crate::definition::report::listed(&missing);
        problem.help(format!("it comes after {missing}, which no version can pass"));
    }
}
