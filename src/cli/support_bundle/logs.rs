//! The logs of runs: how large each is, and, only where somebody asks for a certain one, what is in it.

use super::Missing;
use rustix::fs::{Mode, OFlags, openat};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Most runs that are listed, the newest first.
const LISTED: usize = 10_000;

/// Of a log its end is taken, so many bytes.
const LONGEST_BYTES: u64 = 16 << 20;

/// A run of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunName {
    pipeline: String,
    run: u64,
}

impl std::str::FromStr for RunName {
    type Err = String;

    fn from_str(text: &str) -> Result<RunName, String> {
        let rule = || "it must be a pipeline and the number of a run, like `shop/42`".to_owned();
        let (pipeline, run) = text.rsplit_once('/').ok_or_else(rule)?;
        let is_name = !pipeline.is_empty() && !pipeline.contains('/') && !pipeline.starts_with('.');
        match run.parse() {
            Ok(run) if is_name => Ok(RunName { pipeline: pipeline.into(), run }),
            _ => Err(rule()),
        }
    }
}

impl RunName {
    /// Where its log lies in a bundle.
    pub(super) fn file(&self) -> String {
        format!("logs/{}/{}.log", self.pipeline, self.run)
    }
}

/// The runs that have a log here, with its size in bytes.
pub(super) fn list(state: &Path) -> Result<Vec<u8>, Missing> {
    let unread = |_| Missing::because("TG-BUNDLE-003", "the folder of the logs cannot be read");
    let mut runs: Vec<(u64, String, u64)> = Vec::new();
    for folder in fs::read_dir(state.join("logs")).map_err(unread)?.flatten() {
        // The entry itself is asked: a link is none.
        if !folder.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(pipeline) = folder.file_name().into_string() else { continue };
        for entry in fs::read_dir(folder.path()).map_err(unread)?.flatten() {
            let name = entry.file_name();
            let run = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
            if let (Some(run), Ok(about)) = (run, entry.metadata())
                && about.is_file()
            {
                runs.push((run, pipeline.clone(), about.len()));
            }
        }
    }
    runs.sort_by(|one, other| other.cmp(one));
    let (count, bytes) = (runs.len(), runs.iter().map(|(.., bytes)| bytes).sum::<u64>());
    let listed = runs.into_iter().take(LISTED).map(|(run, pipeline, bytes)| {
        let pipeline = super::masked::string("pipeline", &pipeline);
        json!({ "pipeline": pipeline, "run": run, "log_bytes": bytes })
    });
    let listed: Vec<Value> = listed.collect();
    Ok(super::pretty(&json!({ "runs": count, "log_bytes": bytes, "newest": listed })))
}

/// The end of a log, as it lies there.
pub(super) fn of(state: &Path, name: &RunName) -> Result<Vec<u8>, Missing> {
    let read = || -> std::io::Result<Vec<u8>> {
        let folder = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let logs = File::open(state.join("logs"))?;
        let folder = openat(&logs, &name.pipeline, folder, Mode::empty())?;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(openat(&folder, format!("{}.log", name.run), flags, Mode::empty())?);
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        file.seek(SeekFrom::Start(about.len().saturating_sub(LONGEST_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(LONGEST_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|_| Missing::because("TG-BUNDLE-003", "this run has no log here that can be read"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn sizes_are_told_and_links_lead_nowhere() {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir_all(state.path().join("logs/shop")).unwrap();
        fs::write(state.path().join("token"), "hunter2").unwrap();
        fs::write(state.path().join("logs/shop/7.log"), "four").unwrap();
        symlink(state.path().join("token"), state.path().join("logs/shop/8.log")).unwrap();
        symlink(state.path().join("logs/shop"), state.path().join("logs/other")).unwrap();
        let listed: Value = serde_json::from_slice(&list(state.path()).ok().unwrap()).unwrap();
        let due = json!({ "runs": 1, "log_bytes": 4, "newest": [{ "pipeline": "shop", "run": 7, "log_bytes": 4 }] });
        assert_eq!(listed, due);
        let log = |name: &str| of(state.path(), &name.parse().unwrap()).ok();
        assert_eq!(log("shop/7").unwrap(), b"four");
        assert!(log("shop/8").is_none() && log("other/7").is_none() && log("shop/9").is_none());
        for bad in ["shop", "shop/x", "../7", "a/b/7", "/7"] {
            assert!(bad.parse::<RunName>().is_err(), "{bad}");
        }
    }
}
