//! A backup while a call fails: it is whole, or it says what failed and the one before is.

use super::class::Class;
use super::injector::{Injection, Injector, is_possible};
use crate::simulation::Chance;
use crate::whole::SHOP;
use crate::whole::world::World;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Backups in an ordinary run; with `TIDEGATE_FAULTS` every call of each class fails in one.
const SAMPLE: usize = 24;

const CLASSES: [Class; 5] = [Class::Sync, Class::Names, Class::Store, Class::Open, Class::Size];

#[test]
fn whichever_call_of_a_backup_fails_one_can_be_restored() {
    if !is_possible() {
        eprintln!("not tried: this system has no filters that ask (seccomp_unotify)");
        return;
    }
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    let backup = world.path("kept");
    world.good(&["backup", text(&backup)]);
    let (mut wanted, mut chance) = (Vec::new(), Chance::new(7));
    for class in CLASSES {
        let counted =
            back_up(&mut world, Injection { class, nth: None, fault: class.faults()[0], stays: false });
        for &fault in class.faults() {
            for nth in 1..=counted.1 {
                wanted.push(Injection {
                    class,
                    nth: Some(nth),
                    fault,
                    stays: chance.next().is_multiple_of(3),
                });
            }
        }
    }
    if std::env::var_os("TIDEGATE_FAULTS").is_none() {
        wanted = (0..SAMPLE).map(|_| wanted[chance.next() as usize % wanted.len()]).collect();
    }
    let mut failed = 0;
    for injection in &wanted {
        failed += usize::from(!back_up(&mut world, *injection).0);
    }
    println!("{} backups, {failed} that failed", wanted.len());
    assert!(failed > 0, "a call that fails is noticed");
}

/// Makes a backup of somewhat more than before. Whether it was made, and the calls of the class.
fn back_up(world: &mut World, injection: Injection) -> (bool, u64) {
    let backup = world.path("kept");
    world.good(&["hold", "shop"]);
    world.good(&["resume", "shop"]);
    let before = last(&backup);
    let mut command = world.program();
    let injector = Injector::into(&mut command, injection);
    let output = command.args(["backup", text(&backup)]).output().expect("it begins");
    let (fired, said) = (injector.fired(), String::from_utf8_lossy(&output.stderr).into_owned());
    if output.status.success() {
        assert!(last(&backup) > before, "{fired:?}: it says that it is made");
        if fired.is_none() {
            return (true, injector.count());
        }
    } else {
        let is_said = output.status.code().is_some() && said.contains("error[TG-") && fired.is_some();
        assert!(is_said, "{fired:?}: it ends with {} and says {said}", output.status);
    }
    let again = world.path("again");
    let (exit, said) = world.says(&["restore", text(&backup), "--state", text(&again)]);
    assert_eq!(exit, 0, "{fired:?}: it cannot be restored: {said}");
    let (exit, said) = world.says(&["verify-journal", "--state", text(&again)]);
    assert_eq!(exit, 0, "{fired:?}: its journal does not prove: {said}");
    fs::remove_dir_all(&again).expect("removed");
    (output.status.success(), injector.count())
}

/// The last event in a backup.
fn last(folder: &Path) -> u64 {
    let manifest = fs::read(folder.join("backup.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    manifest["last"].as_u64().expect("a number")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}
