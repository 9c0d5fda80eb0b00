//! The version that a commit states: in a file, by a tag, or by its distance from one. Read from objects, not from a
//! checkout, so it is known before the build begins.

use super::error::Error;
use super::{Repo, heads, mirror};
use crate::domain::Sha;
use crate::domain::pipeline::VersionRule;
use serde::Deserialize;

/// Longest version, in bytes.
const VERSION_LIMIT: usize = 128;
/// Most bytes that all looked-at files may have together.
const FILES_LIMIT: usize = 4 << 20;

/// The version of a commit, in normal form; None if the file or tag is not there.
///
/// # Errors
/// What is there states no version, or one that cannot be read.
pub async fn read_version(rule: &VersionRule, repo: &Repo, sha: &Sha) -> Result<Option<String>, Error> {
    let from = |file: Source| async move { from_files(repo, sha, &[file]).await };
    match rule {
        VersionRule::Default => {
            let names = [
                ("Cargo.toml", CARGO),
                ("package.json", NPM),
                ("pyproject.toml", PYPROJECT),
                ("VERSION", PLAIN),
            ];
            let sources = names.map(|(name, read)| Source { name: name.to_owned(), read, required: false });
            from_files(repo, sha, &sources).await
        }
        VersionRule::Cargo => from(Source { name: "Cargo.toml".into(), read: CARGO, required: true }).await,
        VersionRule::Npm => from(Source { name: "package.json".into(), read: NPM, required: true }).await,
        VersionRule::Pyproject => {
            from(Source { name: "pyproject.toml".into(), read: PYPROJECT, required: true }).await
        }
        VersionRule::File { file } => from(Source { name: inside(file)?, read: PLAIN, required: true }).await,
        VersionRule::Tag => from_tag(repo, sha).await,
        VersionRule::Describe => describe(repo, sha).await,
        VersionRule::Command { .. } => panic!("BUG: a command is run in a checkout, not read"),
    }
}

/// Brings a version into normal form: without a leading `v`, with three numbers (`1.2` is `1.2.0`), and semver.
///
/// # Errors
/// [`Error::NotAVersion`].
pub fn normalise(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let bad = |why: String| {
        let shown: String = text.chars().take(80).collect();
        Err(Error::NotAVersion { text: shown, why })
    };
    if text.len() > VERSION_LIMIT {
        return bad(format!("it is {} bytes long, limit {VERSION_LIMIT}", text.len()));
    }
    let bare = text.strip_prefix(['v', 'V']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let bare = bare.unwrap_or(text);
    let end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (numbers, rest) = bare.split_at(end);
    let missing = match numbers.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => "",
    };
    match semver::Version::parse(&format!("{numbers}{missing}{rest}")) {
        Ok(version) => Ok(version.to_string()),
        Err(error) => bad(error.to_string()),
    }
}

/// A file that may state the version, and how to read it.
struct Source {
    name: String,
    read: Reader,
    /// A file that is there but states none is an error.
    required: bool,
}

/// Finds the version in the text of a file: None if it states none, an error if it cannot be read.
type Reader = fn(&str) -> Result<Option<String>, String>;

async fn from_files(repo: &Repo, sha: &Sha, sources: &[Source]) -> Result<Option<String>, Error> {
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    for (source, bytes) in sources.iter().zip(read_files(repo, sha, &names).await?) {
        let Some(bytes) = bytes else { continue };
        let bad = |why: String| Error::NoVersionInFile { file: source.name.clone(), why };
        let text = std::str::from_utf8(&bytes).map_err(|_| bad("it is not UTF-8".into()))?;
        match (source.read)(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(bad)? {
            Some(version) => return normalise(&version).map(Some),
            None if source.required => return Err(bad("it states none".into())),
            None => {}
        }
    }
    Ok(None)
}

const CARGO: Reader = |text| {
    #[derive(Deserialize)]
    struct Manifest {
        package: Option<Package>,
        workspace: Option<Workspace>,
    }
    #[derive(Deserialize)]
    struct Workspace {
        package: Option<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        version: Option<Version>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Version {
        Own(String),
        Inherited {
            #[serde(rename = "workspace")]
            _workspace: bool,
        },
    }
    let manifest: Manifest = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let stated = |package: Option<Package>| match package.and_then(|package| package.version) {
        Some(Version::Own(version)) => Some(version),
        _ => None,
    };
    Ok(stated(manifest.package)
        .or_else(|| stated(manifest.workspace.and_then(|workspace| workspace.package))))
};

const NPM: Reader = |text| {
    #[derive(Deserialize)]
    struct Manifest {
        version: Option<String>,
    }
    serde_json::from_str(text).map(|manifest: Manifest| manifest.version).map_err(|error| error.to_string())
};

const PYPROJECT: Reader = |text| {
    #[derive(Deserialize)]
    struct Manifest {
        project: Option<Project>,
        tool: Option<Tool>,
    }
    #[derive(Deserialize)]
    struct Tool {
        poetry: Option<Project>,
    }
    #[derive(Deserialize)]
    struct Project {
        version: Option<String>,
    }
    let manifest: Manifest = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let poetry = manifest.tool.and_then(|tool| tool.poetry);
    let version =
        manifest.project.and_then(|project| project.version).or(poetry.and_then(|poetry| poetry.version));
    Ok(version.map(|version| from_python(&version)))
};

const PLAIN: Reader = |text| Ok(text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned));

/// Python writes what comes before or after a release without a `-`: `1.2rc1`, `1.2.dev3`, `1.2.post1`.
pub(super) fn from_python(version: &str) -> String {
    let start = usize::from(version.starts_with('v'));
    let digits = version[start..].find(|c: char| !c.is_ascii_digit() && c != '.').map(|at| at + start);
    let Some(end) = digits else { return version.to_owned() };
    let (numbers, rest) = version.split_at(end);
    match rest {
        _ if rest.starts_with(['-', '+']) => version.to_owned(),
        _ if rest.starts_with("post") => format!("{}+{rest}", numbers.trim_end_matches('.')),
        _ => format!("{}-{rest}", numbers.trim_end_matches('.')),
    }
}

/// The path without `./`, if it stays inside the repository.
fn inside(file: &str) -> Result<String, Error> {
    let parts: Vec<&str> = file.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty()
        || file.starts_with('/')
        || parts.contains(&"..")
        || file.chars().any(char::is_control)
    {
        return Err(Error::BadVersionFile { file: file.to_owned() });
    }
    Ok(parts.join("/"))
}

/// The content of files at a commit, links inside the repository followed; None for each that is not there. One process.
async fn read_files(repo: &Repo, sha: &Sha, names: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let sha = super::name::object_name(sha.as_str())?;
    let mut input = String::new();
    for name in names {
        input.push_str(&format!("{sha}:{name}\n"));
    }
    let call = mirror::reader(repo, "cat-file").await?.args(["--batch", "--follow-symlinks"]);
    let output = call.input(input.into_bytes()).limit(FILES_LIMIT).ok().await?;
    let mut rest = output.as_slice();
    let mut files = Vec::new();
    for _ in names {
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let (header, after) =
            (String::from_utf8_lossy(&rest[..end]), rest.get(end + 1..).unwrap_or_default());
        let words: Vec<&str> = header.split(' ').collect();
        // Besides `NAME TYPE SIZE` there are `dangling SIZE` and the like, and `QUESTION missing` without content.
        let size = words
            .last()
            .and_then(|word| word.parse::<usize>().ok())
            .filter(|_| !header.ends_with(" missing"));
        let (content, next) = match size {
            Some(size) => after.split_at(size.min(after.len())),
            None => (&[][..], after),
        };
        files.push((words.get(1) == Some(&"blob")).then(|| content.to_vec()));
        rest = if size.is_some() { next.strip_prefix(b"\n").unwrap_or(next) } else { next };
    }
    Ok(files)
}

async fn from_tag(repo: &Repo, sha: &Sha) -> Result<Option<String>, Error> {
    mirror::fetch_tags(repo).await?;
    let tags = heads::tags_at(repo, sha).await?;
    let versions = tags.iter().filter_map(|tag| semver::Version::parse(&normalise(tag).ok()?).ok());
    // Several are told apart by order, so that the answer does not depend on which was set first.
    Ok(versions.max().map(|version| version.to_string()))
}

async fn describe(repo: &Repo, sha: &Sha) -> Result<Option<String>, Error> {
    mirror::fetch_tags(repo).await?;
    let sha = super::name::object_name(sha.as_str())?;
    let call = mirror::reader(repo, "describe").await?.args(["--tags", "--long", "--abbrev=7"]);
    let call = call.args(["--match", "v[0-9]*", "--match", "[0-9]*", &sha]);
    let answer = call.answer().await?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr);
        if ["No names found", "No tags can describe", "cannot describe"]
            .iter()
            .any(|text| said.contains(text))
        {
            return Ok(None);
        }
        return Err(super::call::classify("describe", &repo.location.shown(), answer.status, &answer.stderr));
    }
    described(String::from_utf8_lossy(&answer.stdout).trim_end()).map(Some)
}

/// Turns `v1.2.3-4-g1a2b3c4` into `1.2.3+4.g1a2b3c4`, and `v1.2.3-0-g1a2b3c4` into `1.2.3`.
pub(super) fn described(text: &str) -> Result<String, Error> {
    let mut parts = text.rsplitn(3, '-');
    let (Some(commit), Some(distance), Some(tag)) = (parts.next(), parts.next(), parts.next()) else {
        return normalise(text);
    };
    let version = normalise(tag)?;
    if distance == "0" {
        return Ok(version);
    }
    let joint = if version.contains('+') { '.' } else { '+' };
    normalise(&format!("{version}{joint}{distance}.{commit}"))
}

#[cfg(test)]
mod tests;
