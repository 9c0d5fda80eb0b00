//! Every way in which people, editors and delivery tools change files, on a real file system. Nothing sleeps: that
//! something did *not* happen is shown by a later change that arrives first.

use super::*;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

struct Scene {
    temp: TempDir,
    watch: Watch,
    changes: mpsc::Receiver<Change>,
    markers: usize,
}

impl Scene {
    /// A folder `defs` prepared by `prepare`, watched, with its first delivery.
    async fn start(prepare: impl FnOnce(&Path)) -> (Self, Change) {
        let temp = tempfile::tempdir().unwrap();
        let defs = temp.path().join("defs");
        fs::create_dir(&defs).unwrap();
        prepare(&defs);
        Self::start_at(temp, defs).await
    }

    async fn start_at(temp: TempDir, defs: PathBuf) -> (Self, Change) {
        let (watch, changes) = Watch::start(defs);
        let mut scene = Self { temp, watch, changes, markers: 0 };
        let first = scene.next().await;
        (scene, first)
    }

    async fn with_p() -> Self {
        let (scene, first) = Self::start(|defs| fs::write(defs.join("p.toml"), "old").unwrap()).await;
        assert_eq!(texts(&first.files), ["p.toml=old"]);
        scene
    }

    fn at(&self, path: &str) -> PathBuf {
        self.temp.path().join(path)
    }

    async fn next(&mut self) -> Change {
        let next = tokio::time::timeout(Duration::from_secs(20), self.changes.recv());
        next.await.expect("nothing was delivered").expect("the watch ended")
    }

    /// The files of all deliveries up to the one that has `wanted`, as `name=text`.
    async fn until(&mut self, wanted: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while !seen.iter().any(|text| text == wanted) {
            seen.extend(texts(&self.next().await.files));
            assert!(seen.len() < 5_000, "never saw {wanted}: {seen:?}");
        }
        seen
    }

    /// Whatever is delivered although everything that is due by now has had its time: a file that appears as a second
    /// name of another is only taken after the full quiet window.
    async fn settle(&mut self) -> Vec<String> {
        self.markers += 1;
        let (text, name) =
            (self.at(&format!("marker{}", self.markers)), format!("marker{}.toml", self.markers));
        fs::write(&text, "").unwrap();
        fs::hard_link(&text, self.at("defs").join(&name)).unwrap();
        let marker = format!("{name}=");
        let mut seen = self.until(&marker).await;
        seen.retain(|text| !text.starts_with("marker"));
        seen
    }

    fn replace(&self, path: &str, text: &str) {
        let new = self.at("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.at(path)).unwrap();
    }
}

pub(super) fn texts(files: &[FileState]) -> Vec<String> {
    let text = |file: &FileState| match &file.content {
        Content::Text(bytes) => format!("{}={}", file.name, String::from_utf8_lossy(bytes)),
        Content::Gone => format!("{} gone", file.name),
        Content::Unreadable { code, .. } => format!("{} {code}", file.name),
    };
    files.iter().map(text).collect()
}

#[tokio::test]
async fn the_first_delivery_is_everything_there_is() {
    let (scene, first) = Scene::start(|defs| {
        fs::write(defs.join("b.toml"), "B").unwrap();
        fs::write(defs.join("a.toml"), "A").unwrap();
        fs::write(defs.join("a.toml~"), "old").unwrap();
        fs::create_dir(defs.join("sub")).unwrap();
        fs::write(defs.join("sub/c.toml"), "C").unwrap();
    })
    .await;
    assert_eq!(texts(&first.files), ["a.toml=A", "b.toml=B"]);
    assert_eq!(first.files[0].path, scene.at("defs/a.toml"));
    assert_eq!(first.notes, []);

    let (_scene, first) = Scene::start(|_| ()).await;
    assert_eq!(first, Change { files: vec![], notes: vec![] });
}

#[tokio::test]
async fn a_save_in_place_is_delivered_once() {
    let mut scene = Scene::with_p().await;
    fs::write(scene.at("defs/p.toml"), "new").unwrap();
    assert_eq!(scene.until("p.toml=new").await, ["p.toml=new"]);
    assert_eq!(scene.settle().await, [""; 0]);
}

#[tokio::test]
async fn a_file_may_be_emptied() {
    let mut scene = Scene::with_p().await;
    fs::write(scene.at("defs/p.toml"), "").unwrap();
    assert_eq!(scene.until("p.toml=").await, ["p.toml="]);
    scene.replace("defs/p.toml", "new");
    assert_eq!(scene.until("p.toml=new").await, ["p.toml=new"]);
    scene.replace("defs/p.toml", "");
    assert_eq!(scene.until("p.toml=").await, ["p.toml="], "every time");
}

#[tokio::test]
async fn a_save_by_rename_is_delivered_once() {
    let mut scene = Scene::with_p().await;
    scene.replace("defs/p.toml", "new");
    assert_eq!(scene.until("p.toml=new").await, ["p.toml=new"]);
    // From within the folder, as most editors do it.
    fs::write(scene.at("defs/.p.toml.tmp"), "newer").unwrap();
    fs::rename(scene.at("defs/.p.toml.tmp"), scene.at("defs/p.toml")).unwrap();
    assert_eq!(scene.until("p.toml=newer").await, ["p.toml=newer"]);
    assert_eq!(scene.settle().await, [""; 0]);
}

#[tokio::test]
async fn vims_dance_is_one_change() {
    let mut scene = Scene::with_p().await;
    let (file, backup) = (scene.at("defs/p.toml"), scene.at("defs/p.toml~"));
    fs::write(scene.at("defs/.p.toml.swp"), "swap").unwrap();
    fs::write(scene.at("defs/4913"), "").unwrap();
    fs::remove_file(scene.at("defs/4913")).unwrap();
    fs::rename(&file, &backup).unwrap();
    let mut new = fs::File::create(&file).unwrap();
    new.write_all(b"ne").unwrap();
    new.write_all(b"w").unwrap();
    new.sync_all().unwrap();
    drop(new);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(&backup).unwrap();
    fs::remove_file(scene.at("defs/.p.toml.swp")).unwrap();
    assert_eq!(scene.settle().await, ["p.toml=new"]);
}

#[tokio::test]
async fn a_half_written_file_is_not_taken() {
    let mut scene = Scene::with_p().await;
    let mut file = fs::File::create(scene.at("defs/p.toml")).unwrap();
    file.write_all(b"half").unwrap();
    let mut fresh = fs::File::create(scene.at("defs/q.toml")).unwrap();
    assert_eq!(scene.settle().await, [""; 0]);
    scene.watch.board.state().hints.everything(std::time::Instant::now(), Duration::ZERO);
    scene.watch.board.ring();
    assert_eq!(scene.settle().await, [""; 0], "nor when something else makes it look around");
    file.write_all(b" and whole").unwrap();
    drop(file);
    assert_eq!(scene.until("p.toml=half and whole").await, ["p.toml=half and whole"]);
    fresh.write_all(b"whole").unwrap();
    drop(fresh);
    assert_eq!(scene.until("q.toml=whole").await, ["q.toml=whole"]);
}

#[tokio::test]
async fn a_rescan_takes_what_is_there() {
    let mut scene = Scene::with_p().await;
    let mut file = fs::File::create(scene.at("defs/p.toml")).unwrap();
    file.write_all(b"half").unwrap();
    scene.watch.rescan();
    assert_eq!(scene.until("p.toml=half").await, ["p.toml=half"]);
    scene.watch.rescan();
    assert_eq!(scene.settle().await, [""; 0], "nothing differs, nothing is said");
}

#[tokio::test]
async fn removing_and_renaming_files() {
    let mut scene = Scene::with_p().await;
    fs::rename(scene.at("defs/p.toml"), scene.at("defs/q.toml")).unwrap();
    let mut seen = scene.settle().await;
    seen.sort();
    assert_eq!(seen, ["p.toml gone", "q.toml=old"]);
    fs::remove_file(scene.at("defs/q.toml")).unwrap();
    assert_eq!(scene.settle().await, ["q.toml gone"]);
    scene.replace("defs/p.toml", "old");
    assert_eq!(scene.until("p.toml=old").await, ["p.toml=old"], "the same text as before it was gone");
}

#[tokio::test]
async fn what_has_not_changed_is_not_said_and_what_has_is_whatever_its_time() {
    let mut scene = Scene::with_p().await;
    let time = fs::metadata(scene.at("defs/p.toml")).unwrap().modified().unwrap();
    scene.replace("defs/p.toml", "old");
    fs::File::options().write(true).open(scene.at("defs/p.toml")).unwrap().set_modified(time).unwrap();
    assert_eq!(scene.settle().await, [""; 0]);

    fs::write(scene.at("new"), "dlo").unwrap();
    fs::File::options().write(true).open(scene.at("new")).unwrap().set_modified(time).unwrap();
    fs::rename(scene.at("new"), scene.at("defs/p.toml")).unwrap();
    assert_eq!(scene.until("p.toml=dlo").await, ["p.toml=dlo"]);
}

#[tokio::test]
async fn what_editors_leave_raises_nothing() {
    let mut scene = Scene::with_p().await;
    for name in [".p.toml.swp", "4913", "p.toml~", "#p#", "#p.toml#", ".#p.toml", ".p.toml.tmp", "p.toml.bak"]
    {
        fs::write(scene.at("defs").join(name), "x").unwrap();
        fs::remove_file(scene.at("defs").join(name)).unwrap();
    }
    symlink("ann@host.1234", scene.at("defs/.#q.toml")).unwrap();
    assert_eq!(scene.settle().await, [""; 0]);
}

#[tokio::test]
async fn our_own_reading_hints_at_nothing() {
    let (mut scene, first) = Scene::start(|defs| {
        (0..20).for_each(|number| fs::write(defs.join(format!("{number}.toml")), "x").unwrap());
    })
    .await;
    assert_eq!(first.files.len(), 20);
    scene.watch.rescan();
    // The system tells in order: when the marker has been heard, so have the openings of all files before it.
    assert_eq!(scene.settle().await, [""; 0]);
    let state = scene.watch.board.state();
    let waiting: Vec<_> =
        (0..20).filter(|n| state.hints.is_unsettled(format!("{n}.toml").as_ref())).collect();
    assert_eq!(waiting, [0; 0]);
}

#[tokio::test]
async fn what_is_no_ordinary_file_is_refused_without_waiting_for_it() {
    let (mut scene, first) = Scene::start(|defs| {
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, defs.join("pipe.toml"), fifo, 0o644.into(), 0).unwrap();
        fs::create_dir(defs.join("folder.toml")).unwrap();
        fs::File::create(defs.join("huge.toml")).unwrap().set_len(10 << 30).unwrap();
        fs::write(defs.join("limit.toml"), vec![b'#'; 1 << 20]).unwrap();
        drop(std::os::unix::net::UnixListener::bind(defs.join("socket.toml")).unwrap());
        symlink("nowhere", defs.join("dangling.toml")).unwrap();
        symlink("loop.toml", defs.join("loop.toml")).unwrap();
        symlink("/dev/zero", defs.join("device.toml")).unwrap();
        fs::write(defs.join("bytes.toml"), b"\xff").unwrap();
    })
    .await;
    let all = texts(&first.files);
    let expected = [
        "dangling.toml TG-FILE-004",
        "device.toml TG-FILE-002",
        "folder.toml TG-FILE-002",
        "huge.toml TG-FILE-003",
        "loop.toml TG-FILE-006",
        "pipe.toml TG-FILE-002",
        "socket.toml TG-FILE-002",
    ];
    let refused: Vec<_> = all.iter().filter(|text| !text.contains('=')).collect();
    assert_eq!(refused, expected.iter().collect::<Vec<_>>());
    assert_eq!(all.len(), expected.len() + 2, "at the limit is allowed, and bytes are not judged here");

    scene.replace("defs/pipe.toml", "now a file");
    assert_eq!(scene.until("pipe.toml=now a file").await, ["pipe.toml=now a file"]);
    fs::write(scene.at("defs/nowhere"), "found").unwrap();
    assert_eq!(scene.until("dangling.toml=found").await, ["dangling.toml=found"]);
}

#[tokio::test]
async fn a_file_that_may_not_be_read_says_so_and_comes_back() {
    if rustix::process::geteuid().is_root() {
        return; // Root may read everything.
    }
    let mut scene = Scene::with_p().await;
    let chmod =
        |mode| fs::set_permissions(scene.at("defs/p.toml"), fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o000);
    assert_eq!(scene.settle().await, ["p.toml TG-FILE-005"]);
    fs::set_permissions(scene.at("defs/p.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(scene.until("p.toml=old").await, ["p.toml=old"]);
}

#[tokio::test]
async fn a_swapped_link_of_a_folder_in_the_folder_is_seen() {
    let (mut scene, first) = Scene::start(|defs| {
        for (version, text) in [("..v1", "one"), ("..v2", "two")] {
            fs::create_dir(defs.join(version)).unwrap();
            fs::write(defs.join(version).join("p.toml"), text).unwrap();
            fs::write(defs.join(version).join("q.toml"), "same").unwrap();
        }
        symlink("..v1", defs.join("..data")).unwrap();
        symlink("..data/p.toml", defs.join("p.toml")).unwrap();
        symlink("..data/q.toml", defs.join("q.toml")).unwrap();
    })
    .await;
    assert_eq!(texts(&first.files), ["p.toml=one", "q.toml=same"]);
    symlink("..v2", scene.at("defs/..data_tmp")).unwrap();
    fs::rename(scene.at("defs/..data_tmp"), scene.at("defs/..data")).unwrap();
    assert_eq!(scene.until("p.toml=two").await, ["p.toml=two"]);
    fs::remove_dir_all(scene.at("defs/..v1")).unwrap();
    assert_eq!(scene.settle().await, [""; 0]);
    // The new place is watched now.
    fs::write(scene.at("defs/..v2/p.toml"), "three").unwrap();
    assert_eq!(scene.until("p.toml=three").await, ["p.toml=three"]);
}

#[tokio::test]
async fn a_change_behind_a_link_to_elsewhere_is_seen() {
    let temp = tempfile::tempdir().unwrap();
    let defs = temp.path().join("defs");
    fs::create_dir(&defs).unwrap();
    fs::create_dir(temp.path().join("elsewhere")).unwrap();
    fs::write(temp.path().join("elsewhere/real"), "one").unwrap();
    symlink("../elsewhere/real", defs.join("p.toml")).unwrap();
    let (mut scene, first) = Scene::start_at(temp, defs).await;
    assert_eq!(texts(&first.files), ["p.toml=one"]);
    fs::write(scene.at("elsewhere/real"), "two").unwrap();
    assert_eq!(scene.until("p.toml=two").await, ["p.toml=two"]);
    scene.replace("elsewhere/real", "three");
    assert_eq!(scene.until("p.toml=three").await, ["p.toml=three"]);
    fs::rename(scene.at("elsewhere"), scene.at("away")).unwrap();
    assert_eq!(scene.until("p.toml TG-FILE-004").await, ["p.toml TG-FILE-004"]);
    fs::create_dir(scene.at("elsewhere")).unwrap();
    fs::write(scene.at("elsewhere/real"), "four").unwrap();
    assert_eq!(scene.until("p.toml=four").await, ["p.toml=four"]);
}

#[tokio::test]
async fn a_folder_that_is_a_link_can_be_swapped() {
    let temp = tempfile::tempdir().unwrap();
    for (release, text) in [("r1", "one"), ("r2", "two")] {
        fs::create_dir(temp.path().join(release)).unwrap();
        fs::write(temp.path().join(release).join("p.toml"), text).unwrap();
    }
    let defs = temp.path().join("defs");
    symlink("r1", &defs).unwrap();
    let (mut scene, first) = Scene::start_at(temp, defs).await;
    assert_eq!(texts(&first.files), ["p.toml=one"]);
    symlink("r2", scene.at("new")).unwrap();
    fs::rename(scene.at("new"), scene.at("defs")).unwrap();
    assert_eq!(scene.until("p.toml=two").await, ["p.toml=two"]);
    scene.replace("r2/p.toml", "three");
    assert_eq!(scene.until("p.toml=three").await, ["p.toml=three"]);
    scene.replace("r1/p.toml", "not ours any more");
    assert_eq!(scene.settle().await, [""; 0]);
}

/// Receives until the folder is lost, then until it is back; no file may be said to be gone.
async fn lost_then_back(scene: &mut Scene, make_again: impl FnOnce(&Scene)) -> Vec<String> {
    let lost = loop {
        let change = scene.next().await;
        assert_eq!(texts(&change.files), [""; 0]);
        if !change.notes.is_empty() {
            break change.notes;
        }
    };
    assert_eq!(lost[0].code(), "TG-WATCH-001", "{lost:?}");
    make_again(scene);
    let mut seen = Vec::new();
    loop {
        let change = scene.next().await;
        seen.extend(texts(&change.files));
        if change.notes.iter().any(|note| note.code() == "TG-WATCH-002") {
            return seen;
        }
    }
}

#[tokio::test]
async fn a_folder_removed_and_made_again_is_watched_again() {
    let mut scene = Scene::with_p().await;
    for turn in 0..3 {
        fs::remove_dir_all(scene.at("defs")).unwrap();
        let mut seen = lost_then_back(&mut scene, |scene| {
            fs::create_dir(scene.at("defs")).unwrap();
            scene.replace("defs/p.toml", &format!("again {turn}"));
        })
        .await;
        if seen.is_empty() {
            seen = scene.until(&format!("p.toml=again {turn}")).await;
        }
        assert_eq!(seen.last().unwrap(), &format!("p.toml=again {turn}"));
        fs::write(scene.at("defs/p.toml"), format!("changed {turn}")).unwrap();
        assert_eq!(scene.until(&format!("p.toml=changed {turn}")).await.len(), 1);
    }
}

#[tokio::test]
async fn a_folder_moved_away_and_replaced_is_the_new_one() {
    let mut scene = Scene::with_p().await;
    fs::create_dir(scene.at("next")).unwrap();
    fs::write(scene.at("next/p.toml"), "next").unwrap();
    fs::rename(scene.at("defs"), scene.at("before")).unwrap();
    fs::rename(scene.at("next"), scene.at("defs")).unwrap();
    assert_eq!(scene.until("p.toml=next").await, ["p.toml=next"]);
    scene.replace("before/p.toml", "not ours any more");
    scene.replace("defs/p.toml", "ours");
    assert_eq!(scene.until("p.toml=ours").await, ["p.toml=ours"]);
}

#[tokio::test]
async fn a_folder_whose_parents_come_later_is_found() {
    let temp = tempfile::tempdir().unwrap();
    let defs = temp.path().join("defs");
    let deep = temp.path().join("a/b/defs");
    symlink("a/b/defs", &defs).unwrap();
    let (mut scene, first) = Scene::start_at(temp, defs).await;
    assert_eq!(first.notes[0].code(), "TG-WATCH-001");
    assert!(!first.notes[0].help().is_empty());
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("p.toml"), "new").unwrap();
    assert_eq!(scene.until("p.toml=new").await, ["p.toml=new"]);
}

#[tokio::test]
async fn under_a_storm_of_saves_the_last_one_wins_and_few_are_delivered() {
    let mut scene = Scene::with_p().await;
    let begun = std::time::Instant::now();
    let (folder, saved) = (scene.at(""), std::thread::spawn);
    let saver = saved(move || {
        for number in 0..1_000 {
            if number % 2 == 0 {
                fs::write(folder.join("new"), format!("save {number}")).unwrap();
                fs::rename(folder.join("new"), folder.join("defs/p.toml")).unwrap();
            } else {
                fs::write(folder.join("defs/p.toml"), format!("save {number}")).unwrap();
            }
        }
    });
    let mut deliveries = 0;
    loop {
        let change = scene.next().await;
        deliveries += 1;
        let seen = texts(&change.files);
        assert_eq!(seen.len(), 1, "{seen:?}");
        // A file that is written in place is empty until it is written. It rests before that is believed, but on a busy
        // machine the writer may rest for longer.
        let is_whole = seen[0].starts_with("p.toml=save ") && seen[0].len() > 12;
        assert!(is_whole || seen[0] == "p.toml=", "only whole saves: {seen:?}");
        if seen[0] == "p.toml=save 999" {
            break;
        }
    }
    saver.join().unwrap();
    let most = begun.elapsed().as_millis() / 100 + 2;
    assert!(deliveries <= most, "{deliveries} deliveries, at most {most}");
    assert_eq!(scene.settle().await, [""; 0]);
}

#[tokio::test]
async fn a_receiver_that_does_not_take_costs_nothing_and_gets_the_last() {
    let mut scene = Scene::with_p().await;
    for number in 0..200 {
        scene.replace("defs/p.toml", &format!("{number}"));
    }
    let seen = scene.until("p.toml=199").await;
    assert!(seen.len() <= 200);
}

#[tokio::test]
async fn dropping_the_watch_ends_it() {
    let Scene { temp: _temp, watch, mut changes, .. } = Scene::with_p().await;
    drop(watch);
    let end = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await.unwrap();
    assert_eq!(end, None);
}

#[tokio::test]
async fn a_folder_that_everybody_may_write_is_pointed_out() {
    let (_scene, first) =
        Scene::start(|defs| fs::set_permissions(defs, fs::Permissions::from_mode(0o777)).unwrap()).await;
    assert_eq!(first.notes[0].code(), "TG-WATCH-005");
    assert!(first.notes[0].help().contains("chmod o-w"));
}

#[tokio::test]
async fn a_file_that_everybody_may_write_or_put_in_place_is_pointed_out() {
    let open =
        |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let (_scene, first) = Scene::start(|defs| {
        fs::write(defs.join("q.toml"), "q").unwrap();
        open(&defs.join("q.toml"), 0o666);
    })
    .await;
    assert_eq!(first.notes[0].code(), "TG-WATCH-005");
    assert!(first.notes[0].help().ends_with("q.toml`"), "{}", first.notes[0].help());
    let (_scene, first) = Scene::start(|defs| {
        let elsewhere = defs.parent().unwrap().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("r.toml"), "r").unwrap();
        std::os::unix::fs::symlink(elsewhere.join("r.toml"), defs.join("r.toml")).unwrap();
        open(&elsewhere, 0o777);
    })
    .await;
    assert!(first.notes[0].help().ends_with("elsewhere`"), "{}", first.notes[0].help());
}

#[tokio::test]
async fn a_folder_made_again_in_the_place_of_the_old_one_is_not_taken_for_it() {
    use std::os::unix::fs::MetadataExt as _;
    let mut scene = Scene::with_p().await;
    let inode = || fs::metadata(scene.at("defs")).unwrap().ino();
    // Some file systems give a new folder the number of the one just removed.
    for _ in 0..20 {
        let before = inode();
        fs::remove_dir_all(scene.at("defs")).unwrap();
        fs::create_dir(scene.at("defs")).unwrap();
        if inode() == before {
            break;
        }
    }
    scene.replace("defs/p.toml", "again");
    assert!(scene.until("p.toml=again").await.len() <= 2);
    scene.replace("defs/p.toml", "and again");
    assert_eq!(scene.until("p.toml=and again").await, ["p.toml=and again"]);
}

#[tokio::test]
async fn when_the_system_loses_count_everything_is_looked_at() {
    let mut scene = Scene::with_p().await;
    scene.watch.board.state().hints.lost_count(std::time::Instant::now());
    scene.watch.board.ring();
    assert_eq!(scene.next().await, Change { files: vec![], notes: vec![Note::Overflow] });
    fs::write(scene.at("defs/p.toml"), "new").unwrap();
    assert_eq!(scene.until("p.toml=new").await, ["p.toml=new"]);
}

/// The real overflow: more events than the system's queue holds while nobody may hear any.
#[tokio::test]
async fn a_real_overflow_converges() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    if limit > 100_000 {
        return; // Too many files to make.
    }
    let mut scene = Scene::with_p().await;
    {
        // Holding the board stops the thread that hears, at its first event.
        let board = Arc::clone(&scene.watch.board);
        let _state = board.state();
        for turn in 0..limit / 2 + 1_000 {
            let (from, to) = if turn % 2 == 0 { ("a.x", "b.x") } else { ("b.x", "a.x") };
            if turn == 0 {
                fs::write(scene.at("defs/a.x"), "").unwrap();
            }
            fs::rename(scene.at("defs").join(from), scene.at("defs").join(to)).unwrap();
        }
        scene.replace("defs/p.toml", "lost in the flood");
    }
    let (mut notes, mut seen) = (Vec::new(), Vec::new());
    while notes.is_empty() || seen.is_empty() {
        let change = scene.next().await;
        seen.extend(texts(&change.files));
        notes.extend(change.notes);
    }
    assert_eq!(
        (notes.as_slice(), seen.as_slice()),
        (&[Note::Overflow][..], &["p.toml=lost in the flood".to_owned()][..])
    );
    scene.replace("defs/p.toml", "new");
    assert_eq!(scene.until("p.toml=new").await, ["p.toml=new"]);
}
