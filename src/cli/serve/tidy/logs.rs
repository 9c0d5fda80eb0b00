//! Logs older than `[retention] logs` go; what they were stays in the journal as `log_sha256`.

use super::Tidier;
use crate::domain::RunId;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(super) async fn sweep(tidier: &Tidier) {
    let Some(older_than) = chrono::TimeDelta::from_std(tidier.retention.logs)
        .ok()
        .and_then(|kept| tidier.clock.now().checked_sub_signed(kept))
    else {
        return;
    };
    let logs = tidier.state.logs();
    let listed = tokio::task::spawn_blocking(move || old_logs(&logs, older_than.into())).await;
    let mut files = 0_u64;
    for (run, path) in listed.unwrap_or_default() {
        if tidier.engine.read(|state| state.running.contains_key(&run)) {
            continue;
        }
        match tokio::fs::remove_file(&path).await {
            Ok(()) => files += 1,
            Err(error) => tracing::warn!(path = %path.display(), "failed to remove an old log: {error}"),
        }
        tidier.breathe().await;
    }
    if files > 0 {
        tracing::info!(files, "logs past their time are removed");
    }
}

/// The files of runs that were last written before a moment.
fn old_logs(logs: &Path, older_than: SystemTime) -> Vec<(RunId, PathBuf)> {
    let folders = std::fs::read_dir(logs).into_iter().flatten().flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
    files
        .filter_map(|file| {
            let path = file.path();
            let run = RunId(path.file_stem()?.to_str()?.parse().ok()?);
            let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
            (metadata.modified().ok()? < older_than).then_some((run, path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_runs_that_are_old_are_named() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("shop")).unwrap();
        for name in ["7.log", "8.events", "notes.txt"] {
            std::fs::write(home.path().join("shop").join(name), "x").unwrap();
        }
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        let mut runs: Vec<u64> = old_logs(home.path(), later).iter().map(|(run, _)| run.0).collect();
        runs.sort_unstable();
        assert_eq!(runs, [7, 8]);
        assert!(old_logs(home.path(), SystemTime::UNIX_EPOCH).is_empty());
        assert!(old_logs(&home.path().join("nowhere"), later).is_empty());
    }
}
