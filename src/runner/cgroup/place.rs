//! Which cgroup a process is in, from what the kernel tells of it. Opens nothing but files of `/proc`.

use super::Absent;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The folder of the cgroup (version 2) that a process is in; none: this one.
pub(super) fn folder_of(process: Option<u32>) -> Result<PathBuf, Absent> {
    let process = process.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let cgroup = fs::read_to_string(format!("/proc/{process}/cgroup")).map_err(|_| Absent::NoVersion2)?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|_| Absent::NoVersion2)?;
    folder(&cgroup, &mounts)
}

/// The same from the text of `/proc/PID/cgroup` and `/proc/PID/mountinfo`.
fn folder(cgroup: &str, mounts: &str) -> Result<PathBuf, Absent> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::")).ok_or(Absent::NoVersion2)?;
    let (root, point) = mounts.lines().find_map(mount).ok_or(Absent::NoVersion2)?;
    // One that is not below what is mounted here (in a container that shares the machine's view, say) begins otherwise,
    // or with `/..`.
    let below = Path::new(path).strip_prefix(&root).map_err(|_| Absent::Elsewhere)?;
    if below.components().any(|part| matches!(part, Component::ParentDir)) {
        return Err(Absent::Elsewhere);
    }
    Ok(if below.as_os_str().is_empty() { point } else { point.join(below) })
}

/// What of a file system is mounted where, if the line is of cgroups of version 2.
fn mount(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (about, kind) = line.split_once(" - ")?;
    if kind.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = about.split(' ').skip(3);
    Some((unescaped(fields.next()?), unescaped(fields.next()?)))
}

/// The kernel writes spaces and the like in paths as three octal digits behind a backslash.
fn unescaped(text: &str) -> PathBuf {
    let mut pieces = text.split('\\');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        match piece.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(&piece.as_bytes()[3..]);
            }
            None => bytes.extend([b"\\", piece.as_bytes()].concat()),
        }
    }
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURE: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
    const HYBRID: &str = "31 24 0:29 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
                          32 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                          33 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";

    #[test]
    fn it_is_found_below_where_the_hierarchy_is_mounted() {
        for (cgroup, mounts, expected) in [
            ("0::/system.slice/tidegate.service\n", PURE, "/sys/fs/cgroup/system.slice/tidegate.service"),
            ("9:cpu:/x\n0::/\n", HYBRID, "/sys/fs/cgroup/unified"),
            ("0::/a/b\n", "1 2 0:3 /a /mnt/my\\040cgroups rw - cgroup2 none rw", "/mnt/my cgroups/b"),
        ] {
            assert_eq!(folder(cgroup, mounts), Ok(expected.into()));
        }
    }

    #[test]
    fn what_cannot_be_reached_is_told_apart() {
        assert_eq!(folder("4:memory:/x\n", PURE), Err(Absent::NoVersion2));
        assert_eq!(
            folder("0::/\n", "31 24 0:29 / /sys/fs/cgroup ro - tmpfs tmpfs ro"),
            Err(Absent::NoVersion2)
        );
        assert_eq!(folder("0::/../other\n", PURE), Err(Absent::Elsewhere));
        assert_eq!(folder("0::/c\n", "1 2 0:3 /a /mnt rw - cgroup2 none rw"), Err(Absent::Elsewhere));
    }
}
