//! From a saved pipeline to the event, beside a thread that is told by the system.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use super::process::{Controller, wait};
use super::{PIPELINE, TURNS, say};
use notify::Watcher;
use std::fs;
use std::io::Write;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// From a save to the event, beside a thread that is told by the system and appends a line, synced.
pub(crate) fn save() {
    let controller = Controller::new();
    let events = controller.listen();
    wait(&events, "pipeline_loaded");
    let file = controller.path().join("pipelines/shop.toml");
    let text = |n: usize| format!("description = \"{n}\"\n{PIPELINE}");
    let mut by_rename = Vec::new();
    let mut in_place = Vec::new();
    for n in 0..TURNS {
        let fresh = controller.path().join("fresh");
        fs::write(&fresh, text(2 * n)).unwrap();
        by_rename.push(timed(|| fs::rename(&fresh, &file).unwrap(), || wait(&events, "pipeline_loaded")));
        in_place
            .push(timed(|| fs::write(&file, text(2 * n + 1)).unwrap(), || wait(&events, "pipeline_loaded")));
    }

    let twin = tempfile::tempdir().unwrap();
    let (sender, told) = channel();
    let mut kept = fs::File::create(twin.path().join("kept")).unwrap();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let event = event.unwrap();
        let is_saved = event.paths.iter().any(|path| path.ends_with("shop.toml"))
            && matches!(event.kind, notify::EventKind::Modify(_) | notify::EventKind::Access(_));
        if is_saved {
            kept.write_all(b"saved\n").and_then(|()| kept.sync_data()).unwrap();
            sender.send(()).unwrap();
        }
    })
    .unwrap();
    let folder = twin.path().join("pipelines");
    fs::create_dir(&folder).unwrap();
    watcher.watch(&folder, notify::RecursiveMode::NonRecursive).unwrap();
    let mut theirs = Vec::new();
    for n in 0..TURNS {
        let fresh = twin.path().join("fresh");
        fs::write(&fresh, text(n)).unwrap();
        theirs.push(timed(|| fs::rename(&fresh, folder.join("shop.toml")).unwrap(), || told.recv().unwrap()));
        while told.recv_timeout(Duration::from_millis(5)).is_ok() {}
    }
    say("a pipeline renamed over → in force", &mut by_rename, &mut theirs.clone(), "≤ 1 ms");
    say("a pipeline written in place → in force", &mut in_place, &mut theirs, "");
}

/// Saves are as far apart as people's: those that follow at once are held back on purpose.
fn timed(act: impl FnOnce(), told: impl FnOnce()) -> Duration {
    std::thread::sleep(Duration::from_millis(110));
    let begin = Instant::now();
    act();
    told();
    begin.elapsed()
}
