//! PostgreSQL: the scratch database is made on a server that the pipeline names, or on one that is started for it.

use super::child::{End, Place, Session, blocked, ended, failed, not_restored};
use super::cluster::Cluster;
use super::server::{MISLEADING, Server};
use super::text;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long the server may take to drop a database.
const FAREWELL: Duration = Duration::from_secs(5);
/// Bytes at the beginning that tell what a backup is; those of a tar archive come late.
const HEAD: u64 = 512;

/// What has to be removed at the end.
pub(super) enum Scratch {
    /// Nothing.
    None,
    /// A database on a server that goes on.
    Database(Box<Access>, String),
    /// A server with everything on it.
    Cluster(Box<Cluster>),
}

impl Scratch {
    /// The error is for people.
    pub(super) async fn remove(self, session: &Session) -> Result<(), String> {
        match self {
            Scratch::None => Ok(()),
            Scratch::Cluster(cluster) => {
                cluster.stop().await;
                Ok(())
            }
            Scratch::Database(access, name) => access.drop_database(session, &name).await.map_err(|why| {
                format!("the scratch database `{name}` stays on the server until the next dry run: {why}")
            }),
        }
    }
}

/// A server and the programs that speak to it.
pub(super) struct Access {
    pub(super) server: Server,
    /// Where the programs are; none: in the PATH.
    pub(super) bin: Option<PathBuf>,
}

impl Access {
    pub(super) fn program(&self, session: &Session, name: &str) -> Command {
        let in_bin = self.bin.as_ref().map(|bin| bin.join(name)).filter(|path| path.is_file());
        let mut command = session.program(in_bin.unwrap_or_else(|| name.into()));
        MISLEADING.iter().for_each(|name| {
            command.env_remove(name);
        });
        if std::env::var_os("PGCONNECT_TIMEOUT").is_none() {
            command.env("PGCONNECT_TIMEOUT", "15");
        }
        command.envs(self.server.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `psql`, which asks for no password and reads nobody's settings.
    pub(super) fn psql(&self, session: &Session, database: &str) -> Command {
        let mut psql = self.program(session, "psql");
        psql.args(["-X", "-q", "-w", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]);
        psql
    }

    async fn drop_database(&self, session: &Session, name: &str) -> Result<(), String> {
        // Whoever is still in it would keep it. The name is ours: letters, digits and `_`.
        let ask = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        );
        let mut psql = self.psql(session, &self.server.maintenance);
        psql.args(["-c", &ask, "-c", &format!("DROP DATABASE IF EXISTS \"{name}\"")]);
        psql.stdout(Stdio::null()).stderr(Stdio::piped());
        let output = tokio::time::timeout(FAREWELL, psql.output()).await;
        let output = output.map_err(|_| "the server does not answer".to_owned())?;
        let output = output.map_err(|error| format!("failed to start `psql`: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(said.lines().next().unwrap_or("`psql` failed").to_owned())
    }

    /// The scratch databases that earlier runs of the gate left. One that somebody is still in is left alone.
    async fn drop_leftovers(&self, session: &mut Session) {
        let prefix = session.order.prefix.replace('_', "\\_");
        let ask = format!("SELECT datname FROM pg_database WHERE datname LIKE '{prefix}%'");
        let mut psql = self.psql(session, &self.server.maintenance);
        psql.args(["-c", &ask]).stderr(Stdio::null());
        let Ok(Ok(output)) = tokio::time::timeout(FAREWELL, psql.output()).await else { return };
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_ours = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        for name in names.lines().filter(is_ours) {
            let mut psql = self.psql(session, &self.server.maintenance);
            psql.args(["-c", &format!("DROP DATABASE IF EXISTS \"{name}\"")]);
            psql.stdout(Stdio::null()).stderr(Stdio::null());
            if let Ok(Ok(status)) = tokio::time::timeout(FAREWELL, psql.status()).await
                && status.success()
            {
                session.say(&format!("dropped `{name}`, which an earlier run left"));
            }
        }
    }
}

/// Makes the scratch database and restores the backup into it.
pub(super) async fn restore(session: &mut Session, url: Option<&str>) -> Result<Place, End> {
    let format = Format::of(&session.backup()).map_err(|error| failed("read the backup", &error))?;
    let program = format.program()?;
    let name = session.order.scratch.clone();
    let scratch = match url {
        Some(url) => {
            let server = Server::of_url(url).map_err(|message| blocked(format!("failed to {message}")))?;
            let access = Access { server, bin: super::cluster::folder_of("psql") };
            access.drop_leftovers(session).await;
            Scratch::Database(Box::new(access), name.clone())
        }
        None => Scratch::Cluster(Box::new(Cluster::start(session).await?)),
    };
    // Noted before it is made: it goes whatever comes.
    session.scratch = scratch;
    let session = &*session;
    let access = match &session.scratch {
        Scratch::Database(access, _) => access,
        Scratch::Cluster(cluster) => &cluster.owner,
        Scratch::None => panic!("BUG: there is a server"),
    };
    match &session.scratch {
        Scratch::Cluster(cluster) => cluster.create(session, &name).await?,
        _ => create(session, access, &format!("CREATE DATABASE \"{name}\" TEMPLATE template0")).await?,
    }
    session.say(&format!("the backup is {}, for `{program}`", format.in_words()));
    let backup = session.backup();
    match format {
        Format::Archive => {
            let mut restore = access.program(session, "pg_restore");
            // Its owners and whom they grant what are of another server.
            restore.args(["--no-owner", "--no-privileges", "--exit-on-error", "-w", "-d", &name]);
            restore.arg(&backup);
            is_restored(session.run(restore, program).await?, program)?;
        }
        _ => restore_text(session, access, &name, &backup).await?,
    }
    let mut set: Vec<_> =
        access.server.env.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
    set.push(("DATABASE_URL".into(), access.server.url(&name)));
    set.push(("PGDATABASE".into(), name.into()));
    Ok(Place { set, unset: MISLEADING.to_vec() })
}

/// Lets `psql` do what is SQL in a text, and nothing else.
async fn restore_text(session: &Session, access: &Access, name: &str, backup: &Path) -> Result<(), End> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| failed("find a key", &io::Error::other(error.to_string())))?;
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let (reader, writer) = io::pipe().map_err(|error| failed("make a pipe", &error))?;
    let backup = BufReader::new(File::open(backup).map_err(|error| failed("read the backup", &error))?);
    let mut psql = access.psql(session, name);
    psql.args(["-o", "/dev/null", "-c", &format!("\\restrict {key}"), "-f", "-"]).stdin(Stdio::from(reader));
    // It ends with psql, which alone has the other end.
    let passing = std::thread::spawn(move || text::pass(backup, writer));
    is_restored(session.run(psql, "psql").await?, "psql")?;
    // It has come to the end of what it got: that must be all.
    let passed = passing.join().unwrap_or_else(|_| Err(io::Error::other("the passing broke")));
    passed.map_err(|error| failed("pass the backup to `psql`", &error))
}

fn is_restored(status: std::process::ExitStatus, program: &str) -> Result<(), End> {
    if status.success() { Ok(()) } else { Err(not_restored(&format!("`{program}` {}", ended(status)))) }
}

/// Makes a database.
pub(super) async fn create(session: &Session, access: &Access, ask: &str) -> Result<(), End> {
    let mut psql = access.psql(session, &access.server.maintenance);
    psql.args(["-c", ask]);
    let status = session.run(psql, "psql").await?;
    if status.success() {
        return Ok(());
    }
    Err(not_restored(&format!("no scratch database could be made, `psql` {}", ended(status))))
}

/// What a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// An archive of `pg_dump`, in its custom form or tar.
    Archive,
    /// SQL.
    Plain,
    /// SQL that connects to a database of its own choice.
    Connecting,
    /// SQL that would have `psql` do more than SQL.
    Commanding,
    /// Something packed by a program of that name.
    Packed(&'static str),
    /// A database file of SQLite.
    Sqlite,
}

impl Format {
    fn of(backup: &Path) -> io::Result<Format> {
        let mut head = Vec::new();
        File::open(backup)?.take(HEAD).read_to_end(&mut head)?;
        let begins = |magic: &[u8]| head.starts_with(magic);
        if begins(b"PGDMP") || head.get(257..262) == Some(b"ustar") {
            return Ok(Format::Archive);
        }
        let packed: [(&[u8], &str); 4] =
            [(b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ", "xz"), (b"BZh", "bzip2")];
        if let Some((_, by)) = packed.into_iter().find(|(magic, _)| begins(magic)) {
            return Ok(Format::Packed(by));
        }
        if begins(b"SQLite format 3\0") {
            return Ok(Format::Sqlite);
        }
        if connects(BufReader::new(File::open(backup)?))? {
            return Ok(Format::Connecting);
        }
        let is_bad = text::is_bad(BufReader::new(File::open(backup)?))?;
        Ok(if is_bad { Format::Commanding } else { Format::Plain })
    }

    /// The program that restores it.
    fn program(self) -> Result<&'static str, End> {
        let refused = |why: &str| Err(blocked(format!("the backup could not be restored: {why}")));
        match self {
            Format::Archive => Ok("pg_restore"),
            Format::Plain => Ok("psql"),
            Format::Connecting => refused(
                "it connects to a database by its own name (`pg_dump -C`, `pg_dumpall`), which may be one in use; \
                 dump one database, without `-C`",
            ),
            Format::Commanding => {
                refused("it has a `\\unrestrict` of its own, by which it could have `psql` run programs")
            }
            Format::Packed(by) => {
                refused(&format!("it is packed by {by}; let `pg_dump -Fc` pack it, or unpack it in `run`"))
            }
            Format::Sqlite => refused("it is a database file of SQLite; say engine = \"sqlite\""),
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Format::Archive => "an archive of `pg_dump`",
            _ => "SQL text",
        }
    }
}

/// Whether a line of SQL text is a `\connect` of psql. Data of `COPY` never begins so: there each `\` stands twice.
fn connects(mut text: impl io::BufRead) -> io::Result<bool> {
    const LONGEST: usize = "\\connect ".len();
    let is_connect = |begin: &[u8]| {
        let word = begin.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        matches!(word, b"\\connect" | b"\\c")
    };
    let mut begin: Vec<u8> = Vec::with_capacity(LONGEST);
    loop {
        let piece = text.fill_buf()?;
        if piece.is_empty() {
            return Ok(is_connect(&begin));
        }
        for byte in piece {
            if *byte == b'\n' {
                if is_connect(&begin) {
                    return Ok(true);
                }
                begin.clear();
            } else if begin.len() < LONGEST {
                begin.push(*byte);
            }
        }
        let count = piece.len();
        text.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(bytes: &[u8]) -> Format {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        std::fs::write(&path, bytes).unwrap();
        Format::of(&path).unwrap()
    }

    #[test]
    fn a_backup_is_told_by_how_it_begins() {
        assert_eq!(format(b"PGDMP\x01\x0e"), Format::Archive);
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(format(&tar), Format::Archive);
        assert_eq!(format(b"\x1f\x8b\x08"), Format::Packed("gzip"));
        assert_eq!(format(b"SQLite format 3\0"), Format::Sqlite);
        assert_eq!(format(b"--\n-- PostgreSQL database dump\n"), Format::Plain);
        assert_eq!(format(b""), Format::Plain);
    }

    #[test]
    fn a_dump_that_goes_to_a_database_of_its_own_choice_is_refused() {
        for bad in ["CREATE DATABASE a;\n\\connect a\n", "\\c a", "x\n\\connect \"a\"", "\\connect"] {
            assert_eq!(format(bad.as_bytes()), Format::Connecting, "{bad}");
        }
        for good in [
            "\\copy t from stdin\n",
            "COPY t FROM stdin;\n\\\\connect a\n\\.\n",
            " \\restrict x\nselect '\\c a'",
        ] {
            assert_eq!(format(good.as_bytes()), Format::Plain, "{good}");
        }
    }
}
