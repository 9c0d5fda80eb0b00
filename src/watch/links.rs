//! Which entries of which folders decide what a path means, when some of them are symbolic links.
//!
//! A change behind a link raises nothing in the folder that the link is in, so those places are watched, too.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// As many links as the system itself follows.
const LINKS_LIMIT: usize = 40;

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The folder, absolute and free of links.
    pub(super) folder: PathBuf,
    /// The entry's name in it.
    pub(super) entry: OsString,
}

/// Every link on the way along `path`, which must be absolute, and the entry where the way ends: the target, or the
/// first that is missing.
pub(super) fn places(path: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    let mut here = PathBuf::from("/");
    let mut ahead = names(path);
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        let link = std::fs::read_link(&next);
        let is_plain = matches!(&link, Err(error) if error.kind() == io::ErrorKind::InvalidInput);
        if is_plain && !ahead.is_empty() {
            here = next;
            continue;
        }
        places.push(Place { folder: here.clone(), entry: name });
        match link {
            Ok(target) if links < LINKS_LIMIT => {
                links += 1;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                let mut through = names(&target);
                through.append(&mut ahead);
                ahead = through;
            }
            _ => break,
        }
    }
    places
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_link_and_the_end_of_the_way_are_named() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let place = |folder: &str, entry: &str| Place { folder: root.join(folder), entry: entry.into() };
        for folder in ["defs/..v1", "else/where"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::write(root.join("defs/..v1/p.toml"), "").unwrap();
        std::fs::write(root.join("defs/plain.toml"), "").unwrap();
        symlink("..v1", root.join("defs/..data")).unwrap();
        symlink("..data/p.toml", root.join("defs/p.toml")).unwrap();
        symlink("../else/where/../f.toml", root.join("defs/up.toml")).unwrap();
        symlink(root.join("defs"), root.join("current")).unwrap();
        symlink("loop.toml", root.join("defs/loop.toml")).unwrap();

        assert_eq!(places(&root.join("defs/plain.toml")), [place("defs", "plain.toml")]);
        let through_data = [place("defs", "p.toml"), place("defs", "..data"), place("defs/..v1", "p.toml")];
        assert_eq!(places(&root.join("defs/p.toml")), through_data);
        assert_eq!(places(&root.join("defs/up.toml")), [place("defs", "up.toml"), place("else", "f.toml")]);
        assert_eq!(places(&root.join("current")), [place("", "current"), place("", "defs")]);
        assert_eq!(places(&root.join("current/plain.toml"))[1], place("defs", "plain.toml"));
        assert_eq!(places(&root.join("gone/x/y")), [place("", "gone")]);
        assert_eq!(places(&root.join("defs/loop.toml")).len(), LINKS_LIMIT + 1);
    }
}
