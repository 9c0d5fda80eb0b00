//! Lines of our own in a run's log: what a probe asked and got, what was uploaded. The step's own output is written by
//! the runner; the two never write at the same time.

use super::secrets::Secrets;
use super::task::Task;
use crate::domain::RunId;
use crate::printable;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// The log of one run, between the runner's writing.
pub(super) struct RunLog<'a> {
    task: &'a Task,
    run: RunId,
    path: PathBuf,
    limit: u64,
    truncated: bool,
    secrets: Secrets,
}

/// A log file as it is for good.
pub(super) struct Finished {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) truncated: bool,
}

impl<'a> RunLog<'a> {
    /// Makes the log, empty.
    pub(super) fn create(task: &'a Task, run: RunId, limit: u64, secrets: Secrets) -> io::Result<RunLog<'a>> {
        let path = task.places.log(run);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap_or(&path))?;
        options().write(true).create(true).truncate(true).open(&path)?;
        Ok(RunLog { task, run, path, limit, truncated: false, secrets })
    }

    /// Goes on with the log of a run that was begun before.
    pub(super) fn go_on(task: &'a Task, run: RunId, limit: u64, secrets: Secrets) -> RunLog<'a> {
        RunLog { task, run, path: task.places.log(run), limit, truncated: false, secrets }
    }

    /// Writes one line after whatever is there, and shows it. The line may hold text from outside: of that only what
    /// can be printed gets into the log.
    pub(super) async fn line(&mut self, text: &str) -> io::Result<()> {
        let text = self.secrets.hide_text(text).replace(['\n', '\r'], " ");
        let line = format!("{}\n", printable::line(&text));
        let mut file = options().append(true).open(&self.path)?;
        let offset = file.metadata()?.len();
        if offset + line.len() as u64 > self.limit {
            self.truncated = true;
            return Ok(());
        }
        file.write_all(line.as_bytes())?;
        self.task.show(self.run, offset, line.into_bytes().into()).await;
        Ok(())
    }

    /// Size and digest of the whole.
    pub(super) fn finish(self) -> io::Result<Finished> {
        let mut file = File::open(&self.path)?;
        let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 64 * 1024]);
        loop {
            let count = match file.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            bytes += count as u64;
        }
        Ok(Finished { bytes, sha256: hex(&hash.finalize()), truncated: self.truncated })
    }
}

fn options() -> OpenOptions {
    let mut options = File::options();
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options
}

/// Bytes as hex digits in lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("BUG: a string takes all");
        hex
    })
}
