//! A PostgreSQL server that is started for one dry run and thrown away: its programs, the user it can run as, a folder
//! that is short enough for a socket. Nobody but that user and root gets to it: it listens at no port, and its socket lies in a
//! folder that is closed to others.

use super::child::{End, Session, blocked, ended, failed, missing};
use super::outside;
use super::postgres::{Access, create};
use super::server::Server;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long the server may take to take connections, and to end.
const START: Duration = Duration::from_secs(60);
const FAREWELL: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(50);
/// The name of its socket has a part of 107 bytes, which the system sets as limit, and of what a URL can hold as it is.
const SOCKET_FOLDER: usize = 90;
/// Users that a server may run as where we are root, which it refuses.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Who owns the scratch database, and is nothing else: what is restored may be anybody's, and a superuser's SQL can run
/// programs.
const OWNER: &str = "tidegate";

/// A server at work.
pub(super) struct Cluster {
    server: Child,
    /// As superuser.
    access: Access,
    /// As the owner of the scratch database.
    pub(super) owner: Access,
}

impl Cluster {
    /// Makes its data folder and starts it.
    pub(super) async fn start(session: &mut Session) -> Result<Cluster, End> {
        let bin = folder_of("initdb").ok_or_else(|| missing("initdb", None))?;
        let user = user()?;
        let place =
            Place::make(&session.folder, user).map_err(|error| failed("make the scratch folder", &error))?;
        let mut initdb = server_program(session, &bin.join("initdb"), user);
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
        initdb.arg(&place.data).stdout(Stdio::null());
        let status = session.run(initdb, "initdb").await?;
        if !status.success() {
            return Err(blocked(format!("no scratch server could be made: `initdb` {}", ended(status))));
        }
        // Nobody else may have put something there.
        let log = File::options().write(true).create_new(true).open(&place.log);
        let log = log.map_err(|error| failed("make the server's log", &error))?;
        let errors = log.try_clone().map_err(|error| failed("make the server's log", &error))?;
        let mut postgres = server_program(session, &bin.join("postgres"), user);
        postgres.arg("-D").arg(&place.data).args(["-c", "listen_addresses=", "-c", "logging_collector=off"]);
        postgres.args(["-c", "log_destination=stderr", "-c", "port=5432", "-c"]);
        postgres.arg(format!("unix_socket_directories={}", place.sockets.display()));
        postgres.stdout(log).stderr(errors);
        let server = postgres.spawn().map_err(|error| failed("start `postgres`", &error))?;
        let sockets = place.sockets.display().to_string();
        let access = |user: &str| {
            let url = format!("postgres://{user}@localhost/postgres?host={sockets}");
            let server = Server::of_url(&url).map_err(|message| blocked(format!("failed to {message}")))?;
            Ok(Access { server, bin: Some(bin.clone()) })
        };
        let mut cluster = Cluster { server, access: access("postgres")?, owner: access(OWNER)? };
        cluster.until_ready(session, &place).await?;
        Ok(cluster)
    }

    async fn until_ready(&mut self, session: &Session, place: &Place) -> Result<(), End> {
        let began = Instant::now();
        loop {
            let mut psql = self.access.psql(session, "postgres");
            psql.args(["-c", "SELECT 1"]).stdout(Stdio::null()).stderr(Stdio::null());
            if session.run(psql, "psql").await?.success() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.server.try_wait() {
                let last = last_line(&place.log);
                return Err(blocked(format!("the scratch server {} at its start: {last}", ended(status))));
            }
            if began.elapsed() > START {
                return Err(blocked(format!("the scratch server takes no connections after {START:?}")));
            }
            session.pause(AGAIN).await?;
        }
    }

    /// Makes the scratch database.
    pub(super) async fn create(&self, session: &Session, name: &str) -> Result<(), End> {
        create(session, &self.access, &format!("CREATE ROLE \"{OWNER}\" LOGIN")).await?;
        let ask = format!("CREATE DATABASE \"{name}\" OWNER \"{OWNER}\" TEMPLATE template0");
        create(session, &self.access, &ask).await?;
        // Older releases keep that to the superuser.
        let mut psql = self.access.psql(session, name);
        psql.args(["-c", &format!("ALTER SCHEMA public OWNER TO \"{OWNER}\"")]);
        let status = session.run(psql, "psql").await?;
        if status.success() {
            return Ok(());
        }
        Err(blocked(format!("no scratch database could be made: `psql` {}", ended(status))))
    }

    /// Ends it at once: nothing on it is wanted any more.
    pub(super) async fn stop(mut self) {
        let pid = self.server.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            // It may be gone. This signal lets it end its own processes.
            let _ = kill_process(pid, Signal::QUIT);
        }
        if tokio::time::timeout(FAREWELL, self.server.wait()).await.is_err() {
            let _ = self.server.kill().await;
        }
    }
}

/// Where a server has its files.
struct Place {
    data: PathBuf,
    sockets: PathBuf,
    log: PathBuf,
}

impl Place {
    /// In the gate's folder, unless its user cannot get there; the socket, unless that is too deep.
    fn make(folder: &Path, user: Option<User>) -> io::Result<Place> {
        let inside = folder.join("scratch");
        let home = match user {
            Some(user) => {
                let home = outside::make(folder)?;
                chown(&home, Some(user.uid), Some(user.gid))?;
                home
            }
            None => {
                fs::DirBuilder::new().mode(0o700).create(&inside)?;
                inside
            }
        };
        let is_ours = user.is_none();
        let sockets =
            if is_ours && !is_fit_for_sockets(&home) { outside::make(folder)? } else { home.clone() };
        if !is_fit_for_sockets(&sockets) {
            let why =
                format!("`{}` is too long for a socket; set TMPDIR in the gate's `env`", sockets.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Place { data: home.join("data"), log: folder.join("server.log"), sockets })
    }
}

/// Whether a socket can lie there, and its folder stand in a URL and in a list of folders as it is.
fn is_fit_for_sockets(folder: &Path) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
    let name = folder.as_os_str().as_encoded_bytes();
    name.len() <= SOCKET_FOLDER && name.iter().all(|byte| is_plain(*byte))
}

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
}

/// Whom the server runs as; none: us.
fn user() -> Result<Option<User>, End> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let all = fs::read_to_string("/etc/passwd").map_err(|error| failed("read `/etc/passwd`", &error))?;
    let found = USERS.iter().find_map(|name| user_in(&all, name));
    let message = "PostgreSQL does not run as root, and this machine has neither a user `postgres` nor `nobody`; \
                   name a `server`, or run tidegate as another user";
    found.map(Some).ok_or_else(|| missing("postgres", Some(message.into())))
}

fn user_in(passwd: &str, name: &str) -> Option<User> {
    let entry = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = entry.split(':').skip(2);
    let uid = fields.next()?.parse().ok()?;
    Some(User { uid, gid: fields.next()?.parse().ok()? }).filter(|user| user.uid != 0)
}

/// What a program of the server is told: not the gate's secrets, since its user may be another; and by which its processes
/// are found when nobody is left to end them.
const TOLD: [&str; 6] = ["PATH", "HOME", "LANG", "TZ", "TIDEGATE_RUN_ID", "TIDEGATE_EVENTS"];

/// A program of the server, as its user.
fn server_program(session: &Session, program: &Path, user: Option<User>) -> Command {
    let mut command = session.program(program);
    command.env_clear();
    command.envs(TOLD.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    // Where we are its user may have no right to be.
    command.current_dir("/");
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// The folder that a program of PostgreSQL is in: one of the PATH, else the newest of those where systems put the programs of
/// each release.
pub(super) fn folder_of(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    folders.extend(releases("/usr/lib/postgresql", |release| release.join("bin")));
    folders.extend(releases("/usr", |release| release.join("bin")).into_iter().filter(|bin| {
        bin.parent()
            .and_then(Path::file_name)
            .is_some_and(|name| name.to_string_lossy().starts_with("pgsql-"))
    }));
    folders.push("/usr/local/pgsql/bin".into());
    folders.into_iter().find(|folder| folder.join(program).is_file())
}

/// What is in a folder, the highest number first.
fn releases(folder: &str, of: impl Fn(PathBuf) -> PathBuf) -> Vec<PathBuf> {
    let number = |path: &PathBuf| -> u32 {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.trim_start_matches("pgsql-").split('.').next().and_then(|first| first.parse().ok()).unwrap_or(0)
    };
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort_by_key(|path| std::cmp::Reverse(number(path)));
    found.into_iter().map(of).collect()
}

fn last_line(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it wrote nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name_and_never_root() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:7::/:/x\npostgres:x:103:108:x:/var:/bin/sh\nbad:x:y:1\n";
        assert_eq!(user_in(passwd, "postgres"), Some(User { uid: 103, gid: 108 }));
        for none in ["root", "nobody", "bad"] {
            assert_eq!(user_in(passwd, none), None, "{none}");
        }
    }

    #[test]
    fn a_folder_that_is_deep_or_odd_gets_no_socket() {
        assert!(is_fit_for_sockets(Path::new("/var/tmp/tidegate-scratch-0123456789abcdef")));
        assert!(!is_fit_for_sockets(&Path::new("/x").join("y".repeat(90))));
        assert!(!is_fit_for_sockets(Path::new("/a,b")) && !is_fit_for_sockets(Path::new("/a b")));
    }
}
