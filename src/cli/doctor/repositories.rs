//! Whether the repository of each pipeline can be reached and its commits be read by this user, whoever owns it.

use super::Findings;
use crate::domain::Pipeline;
use crate::settings::Settings;
use crate::source::{self, Git, Location, Repo};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

/// A repository that does not answer within this is not reached.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn look(settings: &Settings, file: &str, pipeline: &Pipeline, findings: &mut Findings) {
    let location = match Location::parse(&pipeline.source.repo) {
        Ok(location) => location,
        Err(error) => return findings.bad("repository", file, format!("failed to {error}"), &error.help()),
    };
    let place = format!("{} ({})", location.shown(), pipeline.name);
    // What is fetched to see whether it can be is for nobody, so it goes away again, with what locks it.
    let folder =
        std::env::temp_dir().join(format!("tidegate-doctor-{}-{}", std::process::id(), pipeline.name));
    let git = Git::default().with_ssh_command(&settings.ssh_command).with_limits(PATIENCE, PATIENCE);
    let looked = read(git, &location, folder.join("mirror"), pipeline).await;
    // What is not there need not be removed; what cannot be lies among temporary files.
    let _ = std::fs::remove_dir_all(&folder);
    match looked {
        Ok(found) => findings.ok("repository", &place, format!("{found}{}", owner(&location))),
        Err(error) => {
            findings.bad("repository", &place, format!("failed to {error} [{}]", error.code()), &error.help())
        }
    }
}

async fn read(
    git: Git,
    location: &Location,
    mirror: PathBuf,
    pipeline: &Pipeline,
) -> Result<String, source::Error> {
    let repo = Repo::new(git, location.clone(), mirror);
    let taken = source::taken(&repo, &pipeline.source.refs).await?;
    let Some(head) = taken.first() else { return Ok("it is reached, and has none of the `refs` yet".into()) };
    // A repository of this machine is read in place, so that costs nothing; another one would be fetched as a whole.
    if matches!(location, Location::Path(_)) {
        source::examine(&repo, head.sha.as_str(), None, &[]).await?;
        return Ok(format!("{} was read", head.name));
    }
    Ok(format!("it is reached, and has {}", head.name))
}

/// Whether somebody else owns it.
fn owner(location: &Location) -> String {
    let Location::Path(path) = location else { return String::new() };
    let us = rustix::process::geteuid().as_raw();
    match std::fs::metadata(path) {
        Ok(about) if about.uid() != us => {
            format!("; it belongs to user {}, and may be fetched all the same", about.uid())
        }
        _ => String::new(),
    }
}
