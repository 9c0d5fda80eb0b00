//! Numbers of this process and its disk, as the system has them. What cannot be read is left out.

use super::exposition::{Family, Kind};
use std::fs;
use std::path::Path;

/// Those under the names that every exporter of a process uses, and the room on the disk of the state folder.
pub(super) fn families(state: &Path) -> Vec<Family> {
    let gauge = |name, help, value: Option<u64>| {
        value.map(|value| Family::new(name, Kind::Gauge, help, &[]).with(value as f64))
    };
    let (free, size) = disk(state).unzip();
    let all = [
        gauge("process_resident_memory_bytes", "Memory of the controller that is in RAM.", resident_bytes()),
        gauge("process_open_fds", "Descriptors that the controller has open.", open_fds()),
        gauge("process_max_fds", "Most descriptors that it may have open.", max_fds()),
        gauge("tidegate_disk_free_bytes", "Room on the disk of the state folder for this user.", free),
        gauge("tidegate_disk_size_bytes", "Size of the disk of the state folder.", size),
    ];
    all.into_iter().flatten().collect()
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn open_fds() -> Option<u64> {
    // The one by which the folder is read counts itself.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as u64)
}

fn max_fds() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

fn disk(folder: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some((found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_all_of_it() {
        let written = super::super::exposition::text(&families(Path::new("/")), super::super::Format::Text);
        for name in [
            "process_resident_memory_bytes",
            "process_open_fds",
            "tidegate_disk_free_bytes",
            "tidegate_disk_size_bytes",
        ] {
            let line =
                written.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}"));
            let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value >= 1.0, "{line}");
        }
    }
}
