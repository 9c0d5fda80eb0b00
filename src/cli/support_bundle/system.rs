//! The machine and this program: facts that the kernel says, each of which is asked for by name.

use crate::cli::serving::Serving;
use crate::runner::{CgroupGround, Landlock};
use rustix::process::{Resource, getrlimit};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

pub(super) fn told(state: Option<&Path>, serving: Option<&Serving>) -> Value {
    json!({
        "tidegate": {
            "version": env!("CARGO_PKG_VERSION"),
            "build": if cfg!(debug_assertions) { "debug" } else { "release" },
            "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            "sqlite": rusqlite::version(),
        },
        "kernel": read("/proc/sys/kernel/osrelease"),
        "kernel_build": read("/proc/sys/kernel/version"),
        "distribution": distribution(),
        "cores": std::thread::available_parallelism().ok(),
        "memory_kib": memory(),
        "up_s": read("/proc/uptime").and_then(|text| text.split(' ').next()?.parse::<f64>().ok()),
        "is_root": rustix::process::geteuid().is_root(),
        "is_first_process": std::process::id() == 1,
        "cgroup": cgroup(serving),
        "landlock": match Landlock::of_this_machine() {
            Landlock::Whole => "ABI 6 or newer: files, signals, abstract sockets",
            Landlock::FilesOnly => "ABI 3 to 5: files only",
            Landlock::None => "none, or older than ABI 3",
        },
        "state_folder": state.map(disk),
        "limits": limits(),
        "clock": { "now": chrono::Utc::now(), "offset": chrono::Local::now().format("%:z").to_string() },
        "controller": serving.map(|serving| json!({
            "pid": serving.pid,
            "has_socket": serving.unix.is_some(),
            "limits": read(&format!("/proc/{}/limits", serving.pid)).map(|text| lines(&text)),
        })),
    })
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Name and version of the distribution, and nothing else of that file.
fn distribution() -> Value {
    let text = read("/etc/os-release").unwrap_or_default();
    let of = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(super::masked::string("version", value.trim_matches('"')))
    };
    json!({ "id": of("ID"), "version": of("VERSION_ID") })
}

fn memory() -> Value {
    let text = read("/proc/meminfo").unwrap_or_default();
    let of = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    json!({ "total": of("MemTotal"), "available": of("MemAvailable"), "swap": of("SwapTotal") })
}

fn cgroup(serving: Option<&Serving>) -> Value {
    let mounted =
        match (Path::new("/sys/fs/cgroup/cgroup.controllers").exists(), Path::new("/sys/fs/cgroup").exists())
        {
            (true, _) => "version 2",
            (false, true) if Path::new("/sys/fs/cgroup/unified/cgroup.controllers").exists() => {
                "version 1 beside version 2"
            }
            (false, true) => "version 1",
            (false, false) => "not mounted",
        };
    let found = CgroupGround::of(serving.map(|serving| serving.pid));
    let (is_delegated, said) = match &found {
        Ok(ground) => (true, ground.to_string()),
        Err(absent) => (false, absent.to_string()),
    };
    json!({ "mounted": mounted, "is_delegated": is_delegated, "said": said })
}

fn disk(state: &Path) -> Value {
    let there = state.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let space = rustix::fs::statvfs(there).ok().map(|about| {
        let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
        json!({
            "bytes": bytes(about.f_blocks),
            "free_bytes": bytes(about.f_bavail),
            "files": about.f_files,
            "free_files": about.f_favail,
        })
    });
    let kind = rustix::fs::statfs(there).ok().map(|about| format!("{:#x}", about.f_type));
    json!({ "is_there": there == state, "file_system": kind, "space": space })
}

fn limits() -> Value {
    let all = [
        ("nofile", Resource::Nofile),
        ("nproc", Resource::Nproc),
        ("fsize_bytes", Resource::Fsize),
        ("as_bytes", Resource::As),
        ("core_bytes", Resource::Core),
        ("memlock_bytes", Resource::Memlock),
        ("stack_bytes", Resource::Stack),
    ];
    let told = all.into_iter().map(|(name, resource)| {
        let limit = getrlimit(resource);
        (name.to_owned(), json!({ "soft": limit.current, "hard": limit.maximum }))
    });
    told.collect::<Map<_, _>>().into()
}
