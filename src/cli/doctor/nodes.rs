//! Whether the nodes that are reached by ssh could be deployed to, now and by this user.

use super::Findings;
use crate::domain::Pipeline;
use crate::remote::{self, Client, Seen, Trouble};
use crate::settings::Settings;
use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many are tried at once.
const AT_ONCE: usize = 8;
/// A node that has not let us look within that is not reached.
const PATIENCE: Duration = Duration::from_secs(15);

/// Tries each name once, however many pipelines have it.
pub(super) async fn look(
    settings: &Settings,
    pipelines: &[(String, Arc<Pipeline>)],
    findings: &mut Findings,
) {
    let nodes = pipelines.iter().flat_map(|(_, pipeline)| &pipeline.tiers).flat_map(|tier| &tier.nodes);
    let hosts: BTreeSet<String> = nodes.filter_map(|node| node.ssh.clone()).collect();
    if hosts.is_empty() {
        return;
    }
    let folder = match SocketFolder::make() {
        Ok(folder) => folder,
        Err(error) => {
            let found = format!("none was tried: failed to make a folder for sockets: {error}");
            return findings.warning("node", "", found, "TMPDIR must name a folder that can be written to");
        }
    };
    let client = Client::new(&settings.ssh_command, folder.0.clone());
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut looking = JoinSet::new();
    for host in hosts {
        let (client, slots) = (client.clone(), slots.clone());
        looking.spawn(async move {
            let _slot = slots.acquire().await.expect("BUG: nobody closes it");
            let seen = tokio::time::timeout(PATIENCE, remote::look(&client, &host)).await;
            (host, seen)
        });
    }
    let mut seen = looking.join_all().await;
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    for (host, seen) in seen {
        match seen {
            Ok(Ok(Seen::Fit)) => findings.ok("node", &host, "it is reached, and has what a deploy needs"),
            Ok(Ok(Seen::FewSessions(most))) => {
                let found = format!("sshd there allows no more than {most} sessions on one connection");
                findings.warning("node", &host, found, "set `MaxSessions` there to 3 at least");
            }
            Ok(Err(Trouble { message, .. })) => {
                // The way out stands behind a semicolon.
                let (found, help) = message.split_once("; ").unwrap_or((&message, ""));
                findings.bad("node", &host, found, help);
            }
            Err(_) => {
                let found = format!("it did not answer within {} s", PATIENCE.as_secs());
                findings.bad("node", &host, found, &format!("try `ssh {host} true`"));
            }
        }
    }
}

/// Where ssh keeps its sockets meanwhile. Nobody else may enter it, and it is gone afterwards.
struct SocketFolder(PathBuf);

impl SocketFolder {
    fn make() -> std::io::Result<SocketFolder> {
        let name = format!("tidegate-doctor-{}-ssh", std::process::id());
        let folder = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(SocketFolder(folder))
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
