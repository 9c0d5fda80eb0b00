//! What a controller at work says of itself in its state folder, for `doctor` and for who would show it the owner's
//! token: where it listens, and which files it goes by. It is there while the controller runs; what a killed one left
//! behind counts for nothing, for nobody holds its lock.

use crate::settings::{Settings, StateDir};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// The file's name in the state folder.
const FILE: &str = "serving.json";

/// A controller at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Serving {
    /// Its process.
    pub(super) pid: u32,
    /// Where it listens.
    pub(super) listen: SocketAddr,
    /// The Unix socket on which it listens, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unix: Option<PathBuf>,
    /// The folder of the pipeline files.
    pub(super) pipelines: PathBuf,
    /// The settings file, if it goes by one.
    #[serde(default)]
    pub(super) config: Option<PathBuf>,
}

/// The file of this process, which goes away with it.
pub(super) struct Sign(PathBuf);

impl Drop for Sign {
    fn drop(&mut self) {
        // One that stays is that of a process that holds no lock.
        let _ = fs::remove_file(&self.0);
    }
}

impl Serving {
    /// Says that this process serves; the state folder's lock must be its own.
    pub(super) fn say(settings: &Settings, listen: SocketAddr, unix: Option<PathBuf>) -> io::Result<Sign> {
        let config = settings.file.as_ref().map(std::path::absolute).transpose()?;
        let pipelines = settings.pipelines.clone();
        let serving = Serving { pid: std::process::id(), listen, unix, pipelines, config };
        let path = settings.state.path().join(FILE);
        let fresh = path.with_extension("json.new");
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        serde_json::to_writer(options.open(&fresh)?, &serving)?;
        fs::rename(&fresh, &path)?;
        Ok(Sign(path))
    }

    /// The controller that is at work on this state folder.
    pub(super) fn on(state: &StateDir) -> Option<Serving> {
        let lock = File::open(state.path().join("lock")).ok()?;
        let is_free = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared).is_ok();
        if is_free {
            return None;
        }
        let pid = fs::read_to_string(state.path().join("lock")).ok()?;
        let pid: u32 = pid.split_whitespace().next()?.parse().ok()?;
        let text = fs::read(state.path().join(FILE)).ok()?;
        serde_json::from_slice::<Serving>(&text).ok().filter(|serving| serving.pid == pid)
    }
}
