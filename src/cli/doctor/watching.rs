//! Whether edits of pipelines are noticed: limits of the kernel, and a file that is really touched.

use super::Findings;
use notify::{RecursiveMode, Watcher};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How long an edit may take to be noticed.
const PATIENCE: Duration = Duration::from_secs(1);

/// Fewer watches than this are soon used up by editors.
const FEW_WATCHES: u64 = 8192;

pub(super) fn look(folder: &Path, findings: &mut Findings) {
    limits(findings);
    let place = folder.display().to_string();
    if !folder.is_dir() {
        let help = "make it, or name another with `--pipelines DIR`; `tidegate init` writes a first pipeline";
        return findings.bad("pipelines", &place, "there is no such folder", help);
    }
    let help = "edits are found all the same, by looking again every few seconds";
    match touch(folder) {
        Ok(Some(after)) => {
            findings.ok("watch", &place, format!("an edit was noticed after {} ms", after.as_millis()))
        }
        Ok(None) => findings.warning("watch", &place, "an edit was not noticed within a second", help),
        Err(why) => findings.warning("watch", &place, why, help),
    }
}

fn limits(findings: &mut Findings) {
    let read = |name: &str| {
        std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse::<u64>().ok()
    };
    let (Some(watches), Some(instances)) = (read("max_user_watches"), read("max_user_instances")) else {
        return;
    };
    let found = format!("{watches} watches, {instances} instances for each user");
    if watches < FEW_WATCHES || instances < 16 {
        let help = "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances with sysctl";
        findings.warning("inotify", "", found, help);
    } else {
        findings.ok("inotify", "", found);
    }
}

/// After how long a touched file was seen; none: it was not. Its name is one that no watch takes for a pipeline.
fn touch(folder: &Path) -> Result<Option<Duration>, String> {
    let (sender, seen) = channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Who no longer listens has seen enough.
        let _ = sender.send(event);
    })
    .map_err(|error| format!("nothing can be watched: {error}"))?;
    watcher
        .watch(folder, RecursiveMode::NonRecursive)
        .map_err(|error| format!("it cannot be watched: {error}"))?;
    let name = format!(".tidegate-doctor-{}", std::process::id());
    let path = folder.join(&name);
    let begin = Instant::now();
    std::fs::File::create_new(&path)
        .map_err(|error| format!("it was not tried, nothing can be written there: {error}"))?;
    let noticed = loop {
        match seen.recv_timeout(PATIENCE.saturating_sub(begin.elapsed())) {
            Ok(Ok(event)) if event.paths.iter().any(|path| path.ends_with(&name)) => {
                break Some(begin.elapsed());
            }
            Ok(_) => {}
            Err(_) => break None,
        }
    };
    // What is left of it is hidden, and no pipeline.
    let _ = std::fs::remove_file(&path);
    Ok(noticed)
}
