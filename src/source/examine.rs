//! Looking at a pushed commit: what it is, who made it, and whether it touches the paths that a pipeline cares for.

use super::call::{Answer, classify};
use super::error::Error;
use super::location::{Folders, Location};
use super::name::{is_full, object_name};
use super::refs::PathGlobs;
use super::{Repo, mirror};
use crate::domain::Sha;

/// Longest subject that is kept, in bytes.
const SUBJECT_LIMIT: usize = 1024;
/// Most bytes of changed paths that are looked at; a change beyond that counts as touching.
const PATHS_LIMIT: usize = 16 << 20;

/// What a commit says about itself. All text is from outside: any characters may be in it but no line breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Its full name. For a tag: of the commit that it stands for.
    pub sha: Sha,
    /// Name of the author.
    pub author_name: String,
    /// Address of the author.
    pub author_email: String,
    /// Address of the committer.
    pub committer_email: String,
    /// First line of its message, at most 1 KiB.
    pub subject: String,
    /// Whether it differs from the previous commit in one of the paths.
    pub touched: bool,
}

/// Looks at a commit, named by 7 to 64 hex digits. One git process, two if there are `paths` to compare; a remote is
/// fetched from first, unless the mirror has the commit.
///
/// `previous` is the last commit taken from the same ref: without one, or with one that is gone, everything is touched;
/// so it is if `paths` is empty.
///
/// # Errors
/// There is no such commit, or the repository cannot be read.
pub async fn examine(
    repo: &Repo,
    name: &str,
    previous: Option<&Sha>,
    paths: &[String],
) -> Result<Examined, Error> {
    let name = object_name(name)?;
    let globs = PathGlobs::new(paths)?;
    bring_from_remote(repo, &name).await?;
    let found = match look(repo, &name).await {
        Err(error) if mirror::speaks_of_mirror(repo, &error) => {
            mirror::discard(repo).await?;
            bring_from_remote(repo, &name).await?;
            look(repo, &name).await?
        }
        other => other?,
    };
    let touched = match previous {
        Some(previous) if !paths.is_empty() => touches(repo, previous, &found.sha, &globs).await?,
        _ => true,
    };
    Ok(Examined { touched, ..found })
}

/// For a remote: fetches until the mirror can tell what the name means.
async fn bring_from_remote(repo: &Repo, name: &str) -> Result<(), Error> {
    let Location::Url(url) = &repo.location else { return Ok(()) };
    if is_full(name) {
        return mirror::ensure(repo, &name.into()).await;
    }
    match look(repo, name).await {
        Err(Error::UnknownObject { .. }) => mirror::fetch_all(repo, url).await,
        other => other.map(drop),
    }
}

async fn look(repo: &Repo, name: &str) -> Result<Examined, Error> {
    let call = mirror::reader(repo, "cat-file").await?.arg("--batch");
    let answer = call.input(format!("{name}^{{commit}}\n").into_bytes()).answer().await?;
    if let Some((sha, commit)) = object(&answer.stdout)
        // A branch or tag whose name is hex digits comes before an abbreviation for git, but not for us.
        && sha.starts_with(name)
    {
        return Ok(read_commit(sha, commit));
    }
    if !answer.status.success() {
        return Err(failed(repo, &answer));
    }
    let sha = find(repo, name).await?;
    let call = mirror::reader(repo, "cat-file").await?.arg("--batch");
    let answer = call.input(format!("{sha}^{{commit}}\n").into_bytes()).answer().await?;
    match object(&answer.stdout) {
        Some((sha, commit)) => Ok(read_commit(sha, commit)),
        None if answer.status.success() => {
            Err(Error::NotACommit { name: name.to_owned(), kind: "tag of something else".into() })
        }
        None => Err(failed(repo, &answer)),
    }
}

/// The one commit, or tag of a commit, whose name begins so.
async fn find(repo: &Repo, name: &str) -> Result<String, Error> {
    let candidates = if is_full(name) {
        name.to_owned()
    } else {
        let call = mirror::reader(repo, "rev-parse").await?.arg(format!("--disambiguate={name}"));
        String::from_utf8_lossy(&call.ok().await?).into_owned()
    };
    let call = mirror::reader(repo, "cat-file").await?.arg("--batch-check=%(objectname) %(objecttype)");
    let answer = call.input(format!("{}\n", candidates.trim_end()).into_bytes()).answer().await?;
    if !answer.status.success() {
        return Err(failed(repo, &answer));
    }
    let told = String::from_utf8_lossy(&answer.stdout);
    let found: Vec<(&str, &str)> = told.lines().filter_map(|line| line.split_once(' ')).collect();
    let of =
        |kinds: &[&str]| found.iter().filter(|(_, kind)| kinds.contains(kind)).copied().collect::<Vec<_>>();
    match (of(&["commit", "tag"]).as_slice(), of(&["blob", "tree"]).first()) {
        ([(sha, _)], _) => Ok((*sha).to_owned()),
        ([], Some((_, kind))) => Err(Error::NotACommit { name: name.to_owned(), kind: (*kind).to_owned() }),
        ([], None) => Err(unknown(repo, name)),
        (several, _) => Err(Error::Ambiguous {
            name: name.to_owned(),
            candidates: several.iter().take(8).map(|(sha, _)| (*sha).to_owned()).collect(),
        }),
    }
}

fn failed(repo: &Repo, answer: &Answer) -> Error {
    classify("cat-file", &repo.location.shown(), answer.status, &answer.stderr)
}

/// The object is not there; or it is, and we may not read it.
fn unknown(repo: &Repo, name: &str) -> Error {
    if let Location::Path(path) = &repo.location
        && let Ok(folders) = Folders::find(path)
        && let Err(error) = std::fs::read_dir(folders.objects())
    {
        return Error::Io { what: "read", path: folders.objects(), error };
    }
    Error::UnknownObject { name: name.to_owned(), location: repo.location.shown() }
}

/// Name and content of the object in the output of `cat-file --batch`; None if it was not found.
pub(super) fn object(output: &[u8]) -> Option<(&str, &[u8])> {
    let end = output.iter().position(|&byte| byte == b'\n')?;
    let header = std::str::from_utf8(&output[..end]).ok()?;
    let mut words = header.split(' ');
    let (sha, "commit", size) = (words.next()?, words.next()?, words.next()?) else { return None };
    let content = &output[end + 1..];
    Some((sha, &content[..size.parse::<usize>().ok()?.min(content.len())]))
}

pub(super) fn read_commit(sha: &str, commit: &[u8]) -> Examined {
    let end = commit.windows(2).position(|pair| pair == b"\n\n").unwrap_or(commit.len());
    let (header, message) = commit.split_at(end);
    let field = |key: &[u8]| {
        let line = header.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(key));
        person(line.unwrap_or_default())
    };
    let (author_name, author_email) = field(b"author ");
    let (_, committer_email) = field(b"committer ");
    let first =
        message.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let subject = text(first.trim_ascii());
    Examined { sha: sha.into(), author_name, author_email, committer_email, subject, touched: true }
}

/// Name and address in `Name <address> seconds zone`.
fn person(line: &[u8]) -> (String, String) {
    let open = line.iter().position(|&byte| byte == b'<').unwrap_or(line.len());
    let (name, rest) = line.split_at(open);
    let address = rest.strip_prefix(b"<").unwrap_or_default();
    let close = address.iter().position(|&byte| byte == b'>').unwrap_or(address.len());
    (text(name.trim_ascii()), text(address[..close].trim_ascii()))
}

fn text(bytes: &[u8]) -> String {
    // A character of three bytes may stand for each one that is not UTF-8.
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(SUBJECT_LIMIT)]).replace('\r', " ");
    text.truncate(text.floor_char_boundary(SUBJECT_LIMIT));
    text
}

async fn touches(repo: &Repo, previous: &Sha, sha: &Sha, globs: &PathGlobs) -> Result<bool, Error> {
    let Ok(previous) = object_name(previous.as_str()) else { return Ok(true) };
    let call = mirror::reader(repo, "diff-tree").await?;
    let call =
        call.args(["-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", &previous, sha.as_str()]);
    let answer = call.limit(PATHS_LIMIT).answer().await?;
    if answer.truncated || !answer.status.success() {
        // Gone after a forced push, or too much to look at: better one build too many than one too few.
        return Ok(true);
    }
    Ok(answer.stdout.split(|&byte| byte == 0).any(|path| !path.is_empty() && globs.matches(path)))
}

#[cfg(test)]
mod tests;
