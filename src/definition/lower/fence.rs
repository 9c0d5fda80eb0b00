//! Where `sandbox` and `limits` of a process can be kept to, and where not: a rule that is shown and not applied would be
//! an open gate.

use crate::definition::codes::Code;
use crate::definition::report::Report;
use crate::domain::pipeline::{Build, Check, Exec, Gate, Node, Probe, Sandbox, Tier};

/// Looks at what is fenced, once everything is lowered.
pub(super) fn check(report: &mut Report, build: &Build, tiers: &[Tier]) {
    one_account(report, build);
    for (at, tier) in tiers.iter().enumerate() {
        let path = format!("tier[{at}]");
        if let (Some(deploy), Some((name, host))) = (&tier.deploy, first_elsewhere(&tier.nodes)) {
            elsewhere(report, &format!("{path}.deploy"), &deploy.exec, name, host);
        }
        for (at, one) in tier.gates.iter().enumerate() {
            gate(report, &format!("{path}.gate[{at}]"), one, &tier.nodes);
        }
    }
}

fn first_elsewhere(nodes: &[Node]) -> Option<(&str, &str)> {
    nodes.iter().find_map(|node| Some((node.name.as_str(), node.ssh.as_deref()?)))
}

/// The keys that are for this machine only, as they stand in the file.
fn keys(exec: &Exec) -> impl Iterator<Item = &'static str> {
    let limits = exec.limits.unwrap_or_default();
    let said = [
        ("sandbox", exec.sandbox.is_some()),
        ("limits.memory", limits.memory.is_some()),
        ("limits.pids", limits.pids.is_some()),
        ("limits.cpu", limits.cpu.is_some()),
        ("limits.disk", limits.disk.is_some()),
    ];
    said.into_iter().filter(|(_, is_said)| *is_said).map(|(key, _)| key)
}

fn elsewhere(report: &mut Report, path: &str, exec: &Exec, node: &str, host: &str) {
    for key in keys(exec) {
        let message =
            format!("node `{node}` is reached by ssh (`{host}`), where tidegate cannot keep to `{key}`");
        let problem = report.error(Code::FenceElsewhere, &format!("{path}.{key}"), message);
        problem.help(match key {
            "sandbox" => {
                "let the command do it: `systemd-run --pipe --wait -p ProtectSystem=strict …`, or an ssh user who may do less"
            }
            "limits.memory" => "let the command do it: `systemd-run --pipe --wait -p MemoryMax=2G …`",
            "limits.pids" => "let the command do it: `systemd-run --pipe --wait -p TasksMax=512 …`",
            "limits.cpu" => "let the command do it: `systemd-run --pipe --wait -p CPUQuota=50% …`",
            _ => "leave it out, or give the ssh user a quota there",
        });
    }
}

fn gate(report: &mut Report, path: &str, gate: &Gate, nodes: &[Node]) {
    let exec = &gate.exec;
    let mut refuse = |key: &str, message: String, help: &str| {
        report.error(Code::FencesNothing, &format!("{path}.{key}"), message).help(help);
    };
    let kind = gate.check.kind();
    match (&gate.check, &exec.sandbox) {
        (Check::HttpProbe { .. } | Check::TcpProbe { .. }, _) => {
            for key in keys(exec) {
                let message = format!("a gate of kind `{kind}` runs no process: `{key}` has nothing to hold");
                refuse(key, message, "leave it out");
            }
        }
        (Check::Backup { node, .. }, sandbox) => {
            let host = nodes.iter().find(|one| one.name == *node).and_then(|one| one.ssh.as_deref());
            match (host, sandbox) {
                (Some(host), _) => elsewhere(report, path, exec, node.as_str(), host),
                (None, Some(Sandbox::User(name))) => {
                    let message = "a backup is written by the controller's user, not by another account";
                    let help = format!("let the command change it: `runuser -u {name} -- …`");
                    refuse("sandbox", message.into(), &help);
                }
                _ => {}
            }
        }
        (Check::MigrationDryRun { .. }, Some(_)) => {
            let message = format!("a gate of kind `{kind}` starts servers of its own and cannot be fenced");
            refuse(
                "sandbox",
                message,
                "fence what `migrate` runs by its own command: `runuser -u NAME -- …`",
            );
        }
        (Check::BootSmoke { probe: Probe::Run(_), .. }, Some(_)) => {
            let message = "the command of `probe` would not be fenced with the program that it asks";
            refuse("sandbox", message.into(), "ask with `http` or `tcp`");
        }
        _ => {}
    }
}

/// The steps of a build share a workspace, which belongs to one account at a time.
fn one_account(report: &mut Report, build: &Build) {
    let mut accounts = build.steps.iter().enumerate().filter_map(|(at, step)| {
        Some((at, &step.name, step.exec.sandbox.as_ref().and_then(Sandbox::account)?))
    });
    let Some((_, first, account)) = accounts.next() else { return };
    let others: Vec<_> = accounts.filter(|(_, _, other)| *other != account).collect();
    for (at, _, other) in others {
        let message = format!(
            "this step would run as `{other}` and step `{first}` as `{account}`, in the same workspace"
        );
        let problem = report.error(Code::AccountsOfOneBuild, &format!("build.step[{at}].sandbox"), message);
        problem.help(format!("name one account for all steps of the build: \"user:{account}\""));
    }
}
