//! Where a repository is: a folder or a URL, told apart as git does; and whether two texts mean the same one.

use super::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a repository is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder on this machine, bare or not.
    Path(PathBuf),
    /// Anything that git reaches through a transport. May hold a password: `Display` and `Debug` leave it out.
    Url(String),
}

impl Location {
    /// Reads a path, a URL or `host:path`.
    ///
    /// # Errors
    /// Text that git could take for an option, that is empty, or that has control characters in it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |why| Err(Error::BadLocation { location: without_passwords(text), why });
        if text.is_empty() {
            return bad("it is empty");
        }
        if text.chars().any(char::is_control) {
            return bad("it has control characters");
        }
        if text.starts_with('-') {
            return bad("it starts with `-`");
        }
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Self::Path(path.strip_prefix("localhost").unwrap_or(path).into()));
        }
        let Some(key) = UrlKey::of(text) else { return Ok(Self::Path(text.into())) };
        if key.host.starts_with('-') {
            return bad("its host starts with `-`");
        }
        Ok(Self::Url(text.to_owned()))
    }

    /// The location as text that may be shown: without a password.
    pub fn shown(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Url(url) => without_passwords(url),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

/// Whether two texts name one repository: folders resolved through links, and with or without `.git`; URLs compared
/// without user, default port, trailing `/` and `.git`; `host:path` is `ssh://host/path`. Looks at the disk for folders.
pub fn same_repo(a: &str, b: &str) -> bool {
    match (Location::parse(a), Location::parse(b)) {
        (Ok(Location::Path(a)), Ok(Location::Path(b))) => folder_key(&a) == folder_key(&b),
        (Ok(Location::Url(a)), Ok(Location::Url(b))) => UrlKey::of(&a) == UrlKey::of(&b),
        _ => false,
    }
}

fn folder_key(path: &Path) -> PathBuf {
    if let Ok(folders) = Folders::find(path) {
        return folders.common.canonicalize().unwrap_or(folders.common);
    }
    // Not there, or not ours to look at: compare what is written.
    let resolved = path.canonicalize().unwrap_or_else(|_| path.components().collect());
    let text = resolved.as_os_str().to_string_lossy();
    let text = text.strip_suffix("/.git").or_else(|| text.strip_suffix(".git")).unwrap_or(&text);
    PathBuf::from(text)
}

/// What of a URL says which repository it is.
#[derive(PartialEq, Eq)]
struct UrlKey {
    scheme: String,
    host: String,
    port: String,
    path: String,
}

impl UrlKey {
    /// None for what is a path.
    fn of(text: &str) -> Option<Self> {
        if let Some((scheme, rest)) = text.split_once("://") {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let (host, port) = split_port(host_port);
            return Some(Self::new(scheme, host, port, path));
        }
        if let Some((helper, rest)) = text.split_once("::")
            && helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            return Some(Self::new(helper, "", "", rest));
        }
        // As git has it: a colon before the first slash makes a remote of it.
        let colon = text.find("]:").map_or_else(|| text.find(':'), |at| Some(at + 1))?;
        if text[..colon].contains('/') {
            return None;
        }
        let host = text[..colon].rsplit_once('@').map_or(&text[..colon], |(_, host)| host);
        Some(Self::new("ssh", host.trim_start_matches('[').trim_end_matches(']'), "", &text[colon + 1..]))
    }

    fn new(scheme: &str, host: &str, port: &str, path: &str) -> Self {
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "git+ssh" | "ssh+git" => "ssh".to_owned(),
            other => other.to_owned(),
        };
        let usual = match scheme.as_str() {
            "ssh" => "22",
            "https" => "443",
            "http" => "80",
            "git" => "9418",
            _ => "",
        };
        let port = if port == usual { "" } else { port };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
        Self { scheme, host: host.to_ascii_lowercase(), port: port.to_owned(), path: path.to_owned() }
    }
}

fn split_port(text: &str) -> (&str, &str) {
    if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').unwrap_or((inner, ""));
        return (host, rest.strip_prefix(':').unwrap_or(rest));
    }
    text.rsplit_once(':').unwrap_or((text, ""))
}

/// The text with the password of every URL in it replaced by `***`.
pub(super) fn without_passwords(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(['/', ' ', '\'', '"', '\n']).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                let (name, password) = user.split_once(':').map_or((user, false), |(name, _)| (name, true));
                shown.push_str(name);
                shown.push_str(if password { ":***@" } else { "@" });
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

/// A URL without the password in it, for files that others read.
pub(super) fn drop_password(url: &str) -> String {
    without_passwords(url).replacen(":***@", "@", 1)
}

/// The folders of a repository on this machine, found without git and thus without its configuration.
#[derive(Debug)]
pub(super) struct Folders {
    /// What `GIT_DIR` would be; a linked work tree has its own.
    pub(super) git: PathBuf,
    /// What is shared between linked work trees: refs, configuration, objects.
    pub(super) common: PathBuf,
}

impl Folders {
    /// Finds the repository that git would find at exactly this path.
    ///
    /// # Errors
    /// None is there, or the folder may not be looked into.
    pub(super) fn find(path: &Path) -> Result<Self, Error> {
        let mut suffixed = path.as_os_str().to_owned();
        suffixed.push(".git");
        for candidate in [path.join(".git"), path.to_owned(), suffixed.into()] {
            if let Some(git) = Self::git_folder(&candidate)? {
                let git = std::path::absolute(&git).map_err(super::error::io("find", &git))?;
                let common = match std::fs::read_to_string(git.join("commondir")) {
                    Ok(text) => git.join(text.trim_end()),
                    Err(_) => git.clone(),
                };
                return Ok(Self { git, common });
            }
        }
        Err(Error::NotARepository { location: path.display().to_string() })
    }

    fn git_folder(candidate: &Path) -> Result<Option<PathBuf>, Error> {
        let Some(kind) = exists(candidate)? else { return Ok(None) };
        if kind.is_file() {
            let text = std::fs::read_to_string(candidate).unwrap_or_default();
            let Some(target) = text.strip_prefix("gitdir: ") else { return Ok(None) };
            let beside = candidate.parent().unwrap_or(Path::new("."));
            return Self::git_folder(&beside.join(target.trim_end()));
        }
        let whole = exists(&candidate.join("HEAD"))?.is_some()
            && (exists(&candidate.join("objects"))?.is_some()
                || exists(&candidate.join("commondir"))?.is_some());
        Ok(whole.then(|| candidate.to_owned()))
    }

    /// Where its objects are.
    pub(super) fn objects(&self) -> PathBuf {
        self.common.join("objects")
    }
}

fn exists(path: &Path) -> Result<Option<std::fs::FileType>, Error> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => {
            // HEAD may be a link to a branch that does not exist yet.
            Ok(std::fs::symlink_metadata(path).ok().map(|metadata| metadata.file_type()))
        }
        Err(error) => Err(super::error::io("look at", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_one_repository_whatever_their_user_port_and_ending() {
        for (a, b) in [
            ("https://github.com/a/b", "https://me:pw@GitHub.com:443/a/b.git/"),
            ("git@host:team/shop.git", "ssh://git@host/team/shop"),
            ("host:team/shop", "ssh://other@host:22/team/shop.git"),
            ("git@[::1]:shop", "ssh://[::1]/shop"),
            ("git+ssh://h/x", "ssh://h/x"),
        ] {
            assert!(same_repo(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("https://h/a", "https://h/b"),
            ("https://h/a", "ssh://h/a"),
            ("ssh://h:2222/a", "ssh://h/a"),
            ("https://h/a", "/a"),
            ("", ""),
        ] {
            assert!(!same_repo(a, b), "{a} {b}");
        }
    }

    #[test]
    fn folders_are_resolved() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        for dir in ["shop/.git/objects", "bare.git/objects", "other/.git/objects"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
            std::fs::write(root.join(dir).join("../HEAD"), "ref: refs/heads/main\n").unwrap();
        }
        std::os::unix::fs::symlink(root.join("shop"), root.join("link")).unwrap();
        let same = |a: &str, b: &str| {
            same_repo(&format!("{}/{a}", root.display()), &format!("{}/{b}", root.display()))
        };
        assert!(same("shop", "shop/.git/"));
        assert!(same("shop", "link"));
        assert!(same("bare", "bare.git"));
        assert!(same("gone", "gone.git/"));
        assert!(!same("shop", "other"));
        assert!(!same("shop", "bare"));
        assert!(same_repo(&format!("file://{}/shop", root.display()), &format!("{}/shop", root.display())));
    }

    #[test]
    fn what_could_be_an_option_is_no_location() {
        for bad in
            ["", "-x", "--upload-pack=x", "ssh://-oProxyCommand=x/y", "-host:path", "a\nb", "ssh://u@-h/y"]
        {
            assert_eq!(Location::parse(bad).unwrap_err().code(), "TG-GIT-017", "{bad}");
        }
        assert!(matches!(Location::parse("./a:b"), Ok(Location::Path(_))));
        assert!(matches!(Location::parse("host:a/b"), Ok(Location::Url(_))));
        assert!(matches!(Location::parse("ext::sh -c x"), Ok(Location::Url(_))));
    }

    #[test]
    fn passwords_are_never_shown() {
        let location = Location::parse("https://me:s3cr@t@host/x").unwrap();
        assert_eq!(format!("{location} {location:?}"), "https://me:***@host/x \"https://me:***@host/x\"");
        assert_eq!(
            without_passwords("fatal: 'ssh://a:b@c/d' and https://e"),
            "fatal: 'ssh://a:***@c/d' and https://e"
        );
        assert_eq!(drop_password("https://me:pw@host/x"), "https://me@host/x");
    }
}
