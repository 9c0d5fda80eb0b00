//! What keeps a run from the rest of this machine: from `sandbox` and `limits` of its definition to what the runner is
//! told, and what has to be so on the disk before. How the fence itself is put up is the runner's subject.
//!
//! `account` finds accounts, `handover` gives files away and takes them back, `passage` lets an account through the state
//! folder.

mod account;
mod handover;
mod passage;

pub(crate) use account::find as account;

use super::places::Folder;
use super::process::Order;
use super::task::Task;
use crate::domain::pipeline::{Exec, Sandbox, SecretSource};
use crate::runner::{Account, Disk, Fence, Ground, Limits};
use crate::settings::StateDir;
use crate::source::mirror;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What no fenced step may read, as of now: files with secrets of the controller and of all pipelines.
pub(crate) type Private = Arc<dyn Fn() -> Vec<PathBuf> + Send + Sync>;

/// Workspaces that belong to an account now: its user id, and how many runs of it are in there.
#[derive(Default)]
pub(super) struct Lent(Mutex<HashMap<PathBuf, (u32, usize)>>);

/// A fence that is ready to be put up.
pub(super) struct Fenced {
    pub(super) fence: Fence,
    /// The folder that is to be taken back.
    lent: Option<Folder>,
}

/// What the runner is told of the limits of a run in this folder.
pub(super) fn limits(exec: &Exec, folder: &Folder) -> Limits {
    let said = exec.limits.unwrap_or_default();
    let disk = said.disk.map(|bytes| Disk { bytes, folder: folder.path().to_owned() });
    Limits { memory: said.memory, pids: said.pids, cpu: said.cpu, disk }
}

/// Files of secrets that a definition names.
pub(crate) fn secret_files<'a>(sources: impl Iterator<Item = &'a SecretSource>) -> Vec<PathBuf> {
    let file = |source: &SecretSource| match source {
        SecretSource::File(path) => Some(PathBuf::from(path)),
        SecretSource::Env(_) | SecretSource::Command(_) => None,
    };
    sources.filter_map(file).collect()
}

/// What the environment of a fenced run has before anything that is declared.
pub(super) fn preset(exec: &Exec, folder: Option<&Folder>) -> Vec<(OsString, OsString)> {
    let (Some(sandbox), Some(folder)) = (&exec.sandbox, folder) else { return Vec::new() };
    match sandbox {
        Sandbox::Landlock => vec![("TMPDIR".into(), folder.scratch().into())],
        // One that is not there is said when the run begins.
        Sandbox::User(name) => account::environment(name),
    }
}

/// Closes what a state folder holds beside the ways that were opened to accounts; nothing where none was.
pub(super) fn close_beside_ways(state: &StateDir) -> io::Result<()> {
    match passage::is_open(state.path()) {
        true => passage::open(state.path(), &state.work()),
        false => Ok(()),
    }
}

/// Gets the fence of a run ready. The error reads after "failed to".
pub(super) async fn fence(task: &Task, order: &Order, exec: &Exec) -> Result<Fenced, String> {
    let free = |fence| Ok(Fenced { fence, lent: None });
    let Some(folder) = &order.folder else { return free(Fence::None) };
    if let Some(Sandbox::User(name)) = &exec.sandbox {
        return as_account(task, order, folder, name.clone()).await;
    }
    take_back_forgotten(task, folder).await;
    match &exec.sandbox {
        Some(Sandbox::Landlock) => free(Fence::Landlock(ground(task, order, folder)?)),
        _ => free(Fence::None),
    }
}

/// To be called when the run is over.
pub(super) async fn end(task: &Task, fenced: Fenced) {
    if let Some(folder) = fenced.lent {
        give_back(task, folder).await;
    }
}

fn ground(task: &Task, order: &Order, folder: &Folder) -> Result<Ground, String> {
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |error: io::Error| format!("make `{what}` for the step's fence: {error}")
    };
    let scratch = folder.scratch();
    make_private(&scratch).map_err(failed(&scratch))?;
    for file in &order.writes {
        let made = fs::File::options().create(true).append(true).mode(0o600).open(file);
        made.map_err(failed(file))?;
    }
    let mut closed = vec![task.shop.state.path().to_owned()];
    closed.extend(secret_files(task.definition.secrets.values()));
    closed.extend((task.shop.private)());
    let mut writable = vec![folder.checkout(), folder.artifacts(), scratch, task.places.cache()];
    writable.extend(order.writes.iter().cloned());
    Ok(Ground { closed, readable: vec![folder.path().to_owned(), objects(task)], writable })
}

/// The objects of the mirror, which a checkout borrows.
fn objects(task: &Task) -> PathBuf {
    mirror::place(&task.shop.state.work(), &task.home).join("objects")
}

fn make_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

async fn as_account(task: &Task, order: &Order, folder: &Folder, name: String) -> Result<Fenced, String> {
    if !rustix::process::geteuid().is_root() {
        return Err(format!(
            "run it as `{name}`: only a controller of root can become another account; run it as root, or say another `sandbox`"
        ));
    }
    let account = blocking(move || account::find(&name)).await?;
    let maker = task.shop.workspaces.maker(folder);
    let _alone = maker.lock().await;
    if task.shop.workspaces.lent.add(folder.path(), account.uid)? {
        let given = give(task, order, folder, &account).await;
        if let Err(message) = given {
            task.shop.workspaces.lent.take(folder.path());
            return Err(message);
        }
    }
    Ok(Fenced { fence: Fence::Account(account), lent: Some(folder.clone()) })
}

/// Opens the ways that an account needs, and makes its cache.
async fn open_ways(task: &Task, order: &Order, folder: &Folder, account: &Account) -> Result<(), String> {
    let state = task.shop.state.path().to_owned();
    let cache = task.places.cache_for(Some(&Sandbox::User(account.name.clone())));
    let mut ways: Vec<PathBuf> = Vec::new();
    for below in [folder.path(), &cache, &order.events] {
        ways.extend(below.parent().map(Path::to_owned));
    }
    let owner = account.clone();
    blocking(move || {
        for way in ways {
            make_private(&way)
                .and_then(|()| passage::open(&state, &way))
                .map_err(|error| format!("let `{}` through `{}`: {error}", owner.name, way.display()))?;
        }
        handover::own_folder(&cache, &owner)
            .map_err(|error| format!("give the cache to `{}`: {error}", owner.name))
    })
    .await
}

async fn give(task: &Task, order: &Order, folder: &Folder, account: &Account) -> Result<(), String> {
    // What a deploy asks about its health is asked there again and again.
    if fs::read_to_string(folder.lent()).is_ok_and(|whose| whose == account.uid.to_string())
        && is_kept(task, folder)
    {
        return Ok(());
    }
    open_ways(task, order, folder, account).await?;
    let (folder, owner, objects) = (folder.clone(), account.clone(), objects(task));
    let given = blocking(move || {
        // Said before it is done: whoever comes after a crash knows.
        fs::write(folder.lent(), owner.uid.to_string())?;
        handover::with_objects_of_its_own(&folder.checkout(), &objects)?;
        for place in [folder.checkout(), folder.artifacts()] {
            handover::give(&place, &owner)?;
        }
        passage::let_in(folder.path(), owner.gid)
    });
    given.await.map_err(|error: io::Error| format!("give the workspace to `{}`: {error}", account.name))
}

/// Whether a folder stays with the account until it is removed: no other work is done in there.
fn is_kept(task: &Task, folder: &Folder) -> bool {
    !folder.path().starts_with(task.places.builds())
}

/// Takes a build's workspace back when nobody of the account is in there any more: the next step may be another's. Of
/// other work the folder goes away, or stays with what it left running.
async fn give_back(task: &Task, folder: Folder) {
    let maker = task.shop.workspaces.maker(&folder);
    let _alone = maker.lock().await;
    if task.shop.workspaces.lent.take(folder.path()) {
        take_back(task, folder).await;
    }
}

/// The same for one whose run did not live to give it back.
async fn take_back_forgotten(task: &Task, folder: &Folder) {
    if is_kept(task, folder) || !folder.lent().exists() {
        return;
    }
    let maker = task.shop.workspaces.maker(folder);
    let _alone = maker.lock().await;
    if !task.shop.workspaces.lent.has(folder.path()) {
        take_back(task, folder.clone()).await;
    }
}

async fn take_back(task: &Task, folder: Folder) {
    if is_kept(task, &folder) {
        return;
    }
    let path = folder.path().display().to_string();
    let taken = blocking(move || {
        let Some(uid) = fs::read_to_string(folder.lent()).ok().and_then(|text| text.trim().parse().ok())
        else {
            return Ok(());
        };
        for place in [folder.checkout(), folder.artifacts()] {
            handover::take_back(&place, uid)?;
        }
        fs::remove_file(folder.lent())
    });
    if let Err(error) = taken.await {
        tracing::warn!(folder = path, %error, "a workspace stays with the account that a step ran as");
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("BUG: preparing a fence panicked")
}

impl Lent {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (u32, usize)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more run. Whether it is the first.
    fn add(&self, folder: &Path, uid: u32) -> Result<bool, String> {
        let mut map = self.map();
        let (whose, count) = map.entry(folder.to_owned()).or_insert((uid, 0));
        if *whose != uid {
            return Err("use its workspace: a step of another account is at work in it".into());
        }
        *count += 1;
        Ok(*count == 1)
    }

    /// Counts one less. Whether it was the last.
    fn take(&self, folder: &Path) -> bool {
        let mut map = self.map();
        let Some((_, count)) = map.get_mut(folder) else { return false };
        *count -= 1;
        let was_last = *count == 0;
        if was_last {
            map.remove(folder);
        }
        was_last
    }

    fn has(&self, folder: &Path) -> bool {
        self.map().contains_key(folder)
    }
}
