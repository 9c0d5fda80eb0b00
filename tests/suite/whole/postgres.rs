//! A real PostgreSQL server with a database `shop`, where its programs are installed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) struct Postgres {
    folder: TempDir,
    server: Child,
}

/// Where a program is.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let releases = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = std::env::split_paths(&path).chain(releases.map(|release| release.path().join("bin")));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Whom a server can run as here: root it refuses. The numbers of the user and of its group.
fn user() -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").expect("users");
    let entry = passwd.lines().find(|line| line.starts_with("postgres:"))?;
    let mut fields = entry.split(':').skip(2).map(|field| field.parse().expect("a number"));
    Some((fields.next()?, fields.next()?))
}

impl Postgres {
    /// A server with an empty database; none, and that is said, where there are no programs for it.
    pub(super) fn start() -> Option<Postgres> {
        let there = ["initdb", "postgres", "psql", "pg_dump", "pg_restore"].map(program);
        let is_root = rustix::process::geteuid().is_root();
        let ([Some(initdb), Some(postgres), Some(_), Some(_), Some(_)], false) =
            (&there, is_root && user().is_none())
        else {
            eprintln!("not tried: PostgreSQL is not installed; `tests/run` tries to");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let as_user = |program: &Path| {
            let mut command = Command::new(program);
            command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
            if let Some((uid, gid)) = user().filter(|_| is_root) {
                command.uid(uid).gid(gid);
            }
            command
        };
        if let Some((uid, gid)) = user().filter(|_| is_root) {
            chown(folder.path(), Some(uid), Some(gid)).expect("its owner");
        }
        let mut made = as_user(initdb);
        made.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data);
        assert!(made.status().expect("initdb").success(), "initdb");
        let mut server = as_user(postgres);
        server.arg("-D").arg(&data).args(["-c", "listen_addresses=", "-c", "fsync=off", "-c"]);
        server.arg(format!("unix_socket_directories={}", folder.path().display()));
        let server = server.spawn().expect("postgres");
        let postgres = Postgres { folder, server };
        let begin = Instant::now();
        while !postgres.psql("postgres", "SELECT 1").status.success() {
            assert!(begin.elapsed() < Duration::from_secs(60), "the server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        postgres.sql("postgres", "CREATE DATABASE shop");
        Some(postgres)
    }

    /// Where its socket is.
    pub(super) fn host(&self) -> &str {
        self.folder.path().to_str().expect("text")
    }

    fn psql(&self, database: &str, ask: &str) -> std::process::Output {
        let mut psql = Command::new(program("psql").expect("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-h", self.host(), "-U", "postgres", "-d", database, "-c", ask]);
        psql.output().expect("psql runs")
    }

    /// What a database answers.
    pub(super) fn sql(&self, database: &str, ask: &str) -> String {
        let output = self.psql(database, ask);
        assert!(output.status.success(), "{ask}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// The names of its databases.
    pub(super) fn databases(&self) -> Vec<String> {
        let names =
            self.sql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1");
        names.lines().map(str::to_owned).collect()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.server.id() as i32) {
            // Its processes end by it.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        }
        let _ = self.server.wait();
    }
}

/// Lets others than the owner go through the folder of a world, so that a server that runs as another user gets to the
/// folder for scratch servers that its pipelines name as TMPDIR.
pub(super) fn open(world: &super::world::World) {
    fs::set_permissions(world.path(""), PermissionsExt::from_mode(0o711)).expect("open");
    fs::create_dir(world.path("place/tmp")).expect("a folder");
}
