//! Putting artifacts in place on this machine: which go where, and each replaced at once or not at all.

use super::bounded::Cut;
use super::environment::Env;
use super::expand::expand;
use super::run_log::hex;
use crate::domain::Failure;
use crate::domain::event::Artifact;
use crate::domain::pipeline::Upload;
use crate::glob;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

/// Bytes copied between two looks at whether to go on.
const PIECE: usize = 256 * 1024;

/// One file and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) artifact: Artifact,
    pub(super) to: PathBuf,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is there now.
    Written,
    /// The same bits were there already.
    Unchanged,
}

/// Why a file is not in place.
#[derive(Debug)]
pub(super) enum PlaceError {
    /// Nobody waits for it any more.
    Cut(Cut),
    /// The system refused. The text reads after "failed to".
    Io(String),
}

/// Everything that is to be uploaded, found before anything is changed.
pub(super) fn plan(
    uploads: &[Upload],
    artifacts: &[Artifact],
    env: &Env,
) -> Result<Vec<Item>, (Failure, String)> {
    let mut items: BTreeMap<PathBuf, Item> = BTreeMap::new();
    for upload in uploads {
        for item in plan_one(upload, artifacts, env)? {
            let (to, path) = (item.to.clone(), item.artifact.path.clone());
            if let Some(other) = items.insert(to.clone(), item).filter(|other| other.artifact.path != path) {
                let message =
                    format!("`{}` and `{path}` would both go to `{}`", other.artifact.path, to.display());
                return Err((Failure::Upload, message));
            }
        }
    }
    Ok(items.into_values().collect())
}

fn plan_one(upload: &Upload, artifacts: &[Artifact], env: &Env) -> Result<Vec<Item>, (Failure, String)> {
    let refused = |message: String| (Failure::Upload, message);
    let to = expand(&upload.to, env).map_err(|error| refused(format!("failed to {error}")))?;
    if !Path::new(&to).is_absolute() {
        return Err(refused(format!(
            "`to` must be an absolute path, such as `/opt/shop/`, and not `{}`",
            to.display()
        )));
    }
    let found = matching(&upload.artifact, artifacts).map_err(refused)?;
    if found.is_empty() {
        let message = format!(
            "no artifact of this version matches `{}`; is it listed in `artifacts` of `[build]`?",
            upload.artifact
        );
        return Err((Failure::ArtifactMissing, message));
    }
    let is_folder = to.as_bytes().ends_with(b"/");
    if !is_folder && found.len() > 1 {
        let (count, what) = (found.len(), &upload.artifact);
        let message = format!("{count} artifacts match `{what}`, so `to` must be a folder: end it with `/`");
        return Err(refused(message));
    }
    let item = |(artifact, below): (&Artifact, PathBuf)| {
        let to = if is_folder { Path::new(&to).join(below) } else { PathBuf::from(&to) };
        Item { artifact: artifact.clone(), to }
    };
    Ok(found.into_iter().map(item).collect())
}

/// The artifacts that a path, a folder or a glob names, each with its path below a target folder: a file's name, or what
/// comes after the folder or the fixed beginning of the glob.
pub(super) fn matching<'a>(
    pattern: &str,
    artifacts: &'a [Artifact],
) -> Result<Vec<(&'a Artifact, PathBuf)>, String> {
    let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
    let safe = artifacts.iter().filter(|artifact| stays_below(&artifact.path));
    if let Some(exact) = safe.clone().find(|artifact| artifact.path == pattern) {
        let name = Path::new(pattern).file_name().unwrap_or(OsStr::new(pattern));
        return Ok(vec![(exact, PathBuf::from(name))]);
    }
    let base = fixed_part(pattern);
    let below = |artifact: &'a Artifact, base: &str| {
        let rest = Path::new(&artifact.path).strip_prefix(base).ok()?;
        Some((artifact, rest.to_owned()))
    };
    if base == pattern {
        return Ok(safe.filter_map(|artifact| below(artifact, base)).collect());
    }
    let glob = glob::read(pattern).map_err(|why| format!("`{pattern}` is not a glob: {why}"))?;
    let matcher = glob.compile_matcher();
    let matching = safe.filter(|artifact| matcher.is_match(&artifact.path));
    Ok(matching.filter_map(|artifact| below(artifact, base)).collect())
}

/// The folders at the start of a glob in which nothing is a wildcard; the whole when it is none.
fn fixed_part(pattern: &str) -> &str {
    match pattern.find(['*', '?', '[', '{', '\\']) {
        None => pattern,
        Some(wild) => pattern[..wild].rfind('/').map_or("", |slash| &pattern[..slash]),
    }
}

fn stays_below(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Puts one file in place: beside its place first, then there at once, so that nobody ever sees half of it. `marker`
/// tells the temporary files of one run from those of another.
pub(super) fn place(
    item: &Item,
    from: &Path,
    marker: &str,
    cut: &dyn Fn() -> Option<Cut>,
) -> Result<Placed, PlaceError> {
    let mode = if item.artifact.executable { 0o755 } else { 0o644 };
    if is_there(item, mode, cut)? {
        return Ok(Placed::Unchanged);
    }
    let failed = |what: &str, error: io::Error| {
        let help = match error.kind() {
            io::ErrorKind::IsADirectory => "; to put it into that folder, end `to` with `/`",
            io::ErrorKind::PermissionDenied => "; the user that runs tidegate must be allowed to write there",
            _ => "",
        };
        PlaceError::Io(format!("{what} `{}`: {error}{help}", item.to.display()))
    };
    let folder = item.to.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|error| failed("make the folder of", error))?;
    let temporary = folder.join(temporary_name(&item.to, marker));
    let _ = fs::remove_file(&temporary);
    let made = copy(from, &temporary, mode, cut).and_then(|()| {
        fs::rename(&temporary, &item.to).map_err(|error| failed("replace", error))?;
        let sync = File::open(folder).and_then(|folder| folder.sync_all());
        sync.map_err(|error| failed("make durable", error))
    });
    if made.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    made.map(|()| Placed::Written)
}

fn temporary_name(to: &Path, marker: &str) -> OsString {
    let name = to.file_name().unwrap_or_default().as_bytes();
    let mut temporary = OsString::from(".");
    temporary.push(OsStr::from_bytes(&name[..name.len().min(200)]));
    temporary.push(format!(".tidegate-{marker}"));
    temporary
}

/// Whether the same bits with the same mode are in place.
fn is_there(item: &Item, mode: u32, cut: &dyn Fn() -> Option<Cut>) -> Result<bool, PlaceError> {
    let Ok(found) = fs::symlink_metadata(&item.to) else { return Ok(false) };
    let same_mode = found.permissions().mode() & 0o7777 == mode;
    if !found.is_file() || !same_mode || found.len() != item.artifact.size {
        return Ok(false);
    }
    let Ok(file) = File::open(&item.to) else { return Ok(false) };
    let mut hash = Sha256::new();
    match pieces(file, cut, |piece| {
        hash.update(piece);
        Ok(())
    }) {
        Err(PlaceError::Cut(cut)) => Err(PlaceError::Cut(cut)),
        Err(PlaceError::Io(_)) => Ok(false),
        Ok(()) => Ok(hex(&hash.finalize()) == item.artifact.sha256),
    }
}

fn copy(from: &Path, to: &Path, mode: u32, cut: &dyn Fn() -> Option<Cut>) -> Result<(), PlaceError> {
    let failed = |what: &str, path: &Path, error: io::Error| {
        PlaceError::Io(format!("{what} `{}`: {error}", path.display()))
    };
    let source = File::open(from).map_err(|error| failed("read", from, error))?;
    let mut target = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|error| failed("make", to, error))?;
    pieces(source, cut, |piece| target.write_all(piece))?;
    // Set and not asked for at its making, which the umask would have a say in.
    let set = target.set_permissions(Permissions::from_mode(mode)).and_then(|()| target.sync_all());
    set.map_err(|error| failed("finish", to, error))
}

fn pieces(
    mut file: impl Read,
    cut: &dyn Fn() -> Option<Cut>,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), PlaceError> {
    let mut buffer = vec![0; PIECE];
    loop {
        if let Some(cut) = cut() {
            return Err(PlaceError::Cut(cut));
        }
        let done = match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        };
        done.map_err(|error| PlaceError::Io(format!("copy: {error}")))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    fn artifact(path: &str, content: &str) -> Artifact {
        let (sha256, size) = (hex(&Sha256::digest(content)), content.len() as u64);
        Artifact { path: path.into(), sha256, size, executable: path.contains("bin") }
    }

    fn planned(what: &str, to: &str) -> Result<Vec<(String, String)>, (Failure, String)> {
        let artifacts = ["target/bin/shop", "migrations/1.sql", "migrations/deep/2.sql", "../evil"]
            .map(|path| artifact(path, "x"));
        let env = Env::from([("V".into(), "1.2.0".into())]);
        let upload = Upload { artifact: what.into(), to: to.into() };
        let items = plan(&[upload], &artifacts, &env)?;
        Ok(items.into_iter().map(|item| (item.artifact.path, item.to.to_str().unwrap().to_owned())).collect())
    }

    #[test]
    fn files_folders_and_globs_have_their_places() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(
            planned("target/bin/shop", "/opt/$V/").unwrap(),
            [pair("target/bin/shop", "/opt/1.2.0/shop")]
        );
        assert_eq!(planned("./target/bin/shop", "/opt/s").unwrap(), [pair("target/bin/shop", "/opt/s")]);
        let all = [pair("migrations/1.sql", "/m/1.sql"), pair("migrations/deep/2.sql", "/m/deep/2.sql")];
        assert_eq!(planned("migrations/**", "/m/").unwrap(), all);
        assert_eq!(planned("migrations", "/m/").unwrap(), all);
        assert_eq!(planned("migrations/*", "/m/").unwrap(), all[..1]);
        assert_eq!(planned("*/*.sql", "/m/").unwrap(), [pair("migrations/1.sql", "/m/migrations/1.sql")]);
    }

    #[test]
    fn what_cannot_be_placed_is_refused_before_anything_changes() {
        let failure = |what, to| planned(what, to).unwrap_err().0;
        assert_eq!(failure("nothing", "/opt/"), Failure::ArtifactMissing);
        assert_eq!(failure("../evil", "/opt/"), Failure::ArtifactMissing);
        assert_eq!(failure("migrations/**", "/opt/one"), Failure::Upload);
        assert_eq!(failure("target/bin/shop", "opt/"), Failure::Upload);
        assert_eq!(failure("target/bin/shop", "/opt/$NOPE/"), Failure::Upload);
        assert_eq!(failure("target/[bin", "/opt/"), Failure::Upload);
        let two = ["a/x", "b/x"].map(|path| Upload { artifact: path.into(), to: "/opt/".into() });
        let error = plan(&two, &[artifact("a/x", "1"), artifact("b/x", "2")], &Env::new()).unwrap_err();
        assert!(error.1.contains("would both go to `/opt/x`"), "{}", error.1);
    }

    #[test]
    fn a_file_is_replaced_at_once_and_only_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::write(&from, "new").unwrap();
        let item = Item { artifact: artifact("bin/shop", "new"), to: folder.path().join("deep/er/shop") };
        let put = |item: &Item| place(item, &from, "7", &|| None);
        assert!(matches!(put(&item), Ok(Placed::Written)));
        let first = fs::metadata(&item.to).unwrap();
        assert_eq!((first.mode() & 0o7777, fs::read_to_string(&item.to).unwrap().as_str()), (0o755, "new"));
        assert!(matches!(put(&item), Ok(Placed::Unchanged)));
        assert_eq!(fs::metadata(&item.to).unwrap().ino(), first.ino());

        // Whoever has the old file open keeps it: the new one is another file.
        fs::write(&item.to, "old").unwrap();
        let mut open = File::open(&item.to).unwrap();
        assert!(matches!(put(&item), Ok(Placed::Written)));
        let mut text = String::new();
        open.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), fs::read_to_string(&item.to).unwrap().as_str()), ("old", "new"));
        assert_eq!(fs::read_dir(item.to.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_or_a_cut_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("there/shop"));
        fs::create_dir_all(&to).unwrap();
        fs::write(&from, "new").unwrap();
        let item = Item { artifact: artifact("shop", "new"), to: to.clone() };
        let PlaceError::Io(message) = place(&item, &from, "7", &|| None).unwrap_err() else { panic!() };
        assert!(message.contains("end `to` with `/`"), "{message}");
        fs::remove_dir(&to).unwrap();
        fs::write(&to, "old").unwrap();
        let cut = || Some(Cut::Late);
        assert!(matches!(place(&item, &from, "7", &cut), Err(PlaceError::Cut(Cut::Late))));
        assert_eq!(fs::read_to_string(&to).unwrap(), "old");
        assert_eq!(fs::read_dir(to.parent().unwrap()).unwrap().count(), 1);
    }
}
