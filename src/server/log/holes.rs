//! Holes in a log that is as long as it should be. A loss of power can leave them where the last bytes of a run were: the
//! length of a file is on the disk, and what was written there is not. To read every log before it is sent would take as
//! long as sending it; where the disk has nothing is known at once, and only a log with such a place is read. What is wrong
//! in other ways is noticed by whoever reads all of it and compares, as `tidegate logs` does.

use rustix::fs::{SeekFrom, seek};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::Path;

/// Whether a file of that length is what the journal has the digest of, as far as holes tell.
pub(super) async fn is_what_was_written(path: &Path, length: u64, sha256: &str) -> bool {
    let (path, sha256) = (path.to_owned(), sha256.to_owned());
    let looking = tokio::task::spawn_blocking(move || {
        let file = File::open(&path)?;
        Ok::<_, io::Error>(!has_hole(&file, length) || digest(file)? == sha256)
    });
    // One that cannot be read is somebody else's to say.
    !matches!(looking.await, Ok(Ok(false)))
}

/// Whether there is a place before the end at which the disk has nothing. Disks that do not tell have none.
fn has_hole(file: &File, length: u64) -> bool {
    seek(file, SeekFrom::Hole(0)).is_ok_and(|at| at < length)
}

/// Zeros that a run wrote may be kept as a hole, too.
fn digest(mut file: File) -> io::Result<String> {
    io::Seek::rewind(&mut file)?;
    let mut digest = Sha256::new();
    io::copy(&mut file, &mut digest)?;
    Ok(format!("{:x}", digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[tokio::test]
    async fn a_hole_is_noticed_unless_zeros_were_written() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("1.log");
        let text = vec![b'x'; 64 << 10];
        let sum = |bytes: &[u8]| format!("{:x}", Sha256::digest(bytes));
        std::fs::write(&path, &text).unwrap();
        assert!(is_what_was_written(&path, 64 << 10, &sum(&text)).await);
        // The last part never came to the disk.
        let holed = File::create(&path).unwrap();
        holed.write_all_at(&text[..4096], 0).unwrap();
        holed.set_len(64 << 10).unwrap();
        let at = seek(&holed, SeekFrom::Hole(0)).unwrap_or(64 << 10);
        if at == 64 << 10 {
            eprintln!("skipped: this disk does not tell of holes");
            return;
        }
        assert!(!is_what_was_written(&path, 64 << 10, &sum(&text)).await);
        let mut zeros = text[..4096].to_vec();
        zeros.resize(64 << 10, 0);
        assert!(is_what_was_written(&path, 64 << 10, &sum(&zeros)).await, "a run may write zeros");
    }
}
