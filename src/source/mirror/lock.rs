//! One worker at a time in a mirror: between tasks by a mutex, between processes by a lock on a file beside it.

use super::*;

/// How long another process is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// The right to change a mirror, until dropped.
pub(super) struct Held {
    file: File,
    path: PathBuf,
    _task: tokio::sync::OwnedMutexGuard<()>,
}

impl Held {
    /// Another handle on the lock, for a process to hold.
    pub(super) fn file(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(io("open", &self.path))
    }
}

/// Takes the lock of a mirror, which need not exist.
pub(super) async fn take(mirror: &Path) -> Result<Held, Error> {
    let task = mutex_of(mirror).lock_owned().await;
    let path = mirror.with_extension("lock");
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io("create", parent))?;
    }
    let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
    let file = file.map_err(io("open", &path))?;
    let patience = tokio::time::Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Held { file, path, _task: task }),
            Err(TryLockError::Error(error)) => return Err(io("lock", &path)(error)),
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() > patience => {
                return Err(Error::MirrorBusy { path: mirror.to_owned() });
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

type Mutexes = Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>;

fn mutex_of(mirror: &Path) -> Arc<tokio::sync::Mutex<()>> {
    static MUTEXES: OnceLock<Mutexes> = OnceLock::new();
    let mut mutexes =
        MUTEXES.get_or_init(Mutexes::default).lock().expect("BUG: nothing panics while holding it");
    mutexes.entry(mirror.to_owned()).or_default().clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_mirror_that_another_process_never_lets_go_of_is_busy() {
        let home = tempfile::tempdir().unwrap();
        let mirror = home.path().join("shop.git");
        let other = File::create(mirror.with_extension("lock")).unwrap();
        other.try_lock().unwrap();
        let begin = tokio::time::Instant::now();
        let error = take(&mirror).await.err().unwrap();
        assert_eq!((error.code(), error.is_passing()), ("TG-GIT-016", true), "{error}");
        assert!(begin.elapsed() >= PATIENCE);
        drop(other);
        take(&mirror).await.unwrap();
    }
}
