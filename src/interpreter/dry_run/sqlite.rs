//! SQLite: the scratch database is a file in the gate's folder.

use super::child::{End, Place, Session, ended, failed, not_restored};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

/// What a database file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Makes the database out of a database file, or of SQL text.
pub(super) async fn restore(session: &mut Session) -> Result<Place, End> {
    let scratch = session.folder.join("scratch");
    fs::create_dir(&scratch).map_err(|error| failed("make the scratch folder", &error))?;
    let (backup, database) = (session.backup(), scratch.join("database.sqlite"));
    if is_database(&backup).map_err(|error| failed("read the backup", &error))? {
        session.say("the backup is a database file");
        copy(&backup, &database).map_err(|error| failed("copy the backup", &error))?;
    } else {
        session.say("the backup is SQL text, for `sqlite3`");
        let text = File::open(&backup).map_err(|error| failed("read the backup", &error))?;
        let mut sqlite = session.program("sqlite3");
        // The text is from elsewhere: without this it could run programs, and read and write files.
        sqlite.args(["-safe", "-batch", "-bail"]).arg(&database).stdin(Stdio::from(text));
        let status = session.run(sqlite, "sqlite3").await?;
        if !status.success() {
            return Err(not_restored(&format!("`sqlite3` {}", ended(status))));
        }
    }
    let url = url(&database);
    Ok(Place {
        set: vec![("DATABASE_URL".into(), url), ("TIDEGATE_DATABASE".into(), database.into_os_string())],
        unset: Vec::new(),
    })
}

fn is_database(backup: &Path) -> io::Result<bool> {
    let mut begin = Vec::new();
    File::open(backup)?.take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    Ok(begin == MAGIC)
}

fn copy(backup: &Path, database: &Path) -> io::Result<()> {
    fs::copy(backup, database)?;
    fs::set_permissions(database, fs::Permissions::from_mode(0o600))
}

/// `sqlite:/path`, with what means something in a URL encoded.
fn url(database: &Path) -> std::ffi::OsString {
    let mut url = b"sqlite:".to_vec();
    for byte in database.as_os_str().as_bytes() {
        match byte {
            b'%' | b'?' | b'#' => url.extend(format!("%{byte:02X}").bytes()),
            byte => url.push(*byte),
        }
    }
    std::ffi::OsString::from_vec(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_in_a_url() {
        assert_eq!(url(Path::new("/s/work/x.sqlite")), "sqlite:/s/work/x.sqlite");
        assert_eq!(url(Path::new("/a?b#c%d")), "sqlite:/a%3Fb%23c%25d");
    }
}
