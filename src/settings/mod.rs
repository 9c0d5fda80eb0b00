//! The controller's own options: what `tidegate.toml` and the command line of `serve` may say, their defaults, the
//! state folder, and the tokens that let people in.
//!
//! Precedence: the command line (which has read the environment), then the file, then the default. Pipelines are not
//! read here, and nothing here listens or starts anything.

mod complaint;
mod error;
mod file;
mod network;
mod quantity;
pub mod schema;
mod signing;
mod state_folder;
mod tokens;
mod unix;
mod webhook;
mod words;

pub use error::SettingsError;
pub use network::Network;
pub use signing::{signing_key, unbase64};
pub use state_folder::{StateDir, StateDirError};
pub use tokens::{
    Entry, Holding, LastUses, NewToken, OWNER, Privacy, Role, Secret, Shown, TokenError, Tokens, USERS,
    end_of, read_token_file,
};
pub use unix::UnixDoor;
pub use webhook::{SecretPlace, WebhookError, Webhooks};
pub use words::split_words;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use file::{HowLong, SettingsFile};

/// The file that is read when none is named and it is there.
pub const DEFAULT_FILE: &str = "tidegate.toml";

/// Where the controller listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8433";

/// Whether reading needs a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadAccess {
    /// Whoever reaches a loopback address may read; everywhere else a token is needed all the same.
    Open,
    /// Reading always needs a token.
    Token,
}

/// How long and how much is kept. What is in use is never removed, whatever stands here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Versions kept for each pipeline, newest first, with their artifacts.
    pub versions: usize,
    /// How long the logs of steps are kept.
    pub logs: Duration,
    /// How long events are kept; `None`: for ever. What the state needs of older ones is kept as a checkpoint.
    pub events: Option<Duration>,
    /// Below this much free space, in bytes, on the disk of the state folder no new work starts.
    pub min_free_bytes: u64,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            versions: 50,
            logs: Duration::from_secs(90 * 86_400),
            events: Some(Duration::from_secs(365 * 86_400)),
            min_free_bytes: 256 << 20,
        }
    }
}

/// Everything that `serve` needs to know, complete and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder with the pipeline files.
    pub pipelines: PathBuf,
    /// The state folder; nothing has touched it yet.
    pub state: StateDir,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The Unix socket beside it.
    pub unix: UnixDoor,
    /// From which addresses it is believed whom a request is passed on for.
    pub trusted_proxies: Vec<Network>,
    /// Whether listening beyond loopback without TLS was asked for.
    pub insecure_http: bool,
    /// Names besides the address itself by which clients reach this controller (for `Host` and `Origin`), lowercase,
    /// without port.
    pub hosts: Vec<String>,
    /// Build steps and gates that may run at once.
    pub jobs: NonZeroUsize,
    /// The ssh client with its first arguments; never empty.
    pub ssh_command: Vec<String>,
    /// Whether reading needs a token.
    pub read: ReadAccess,
    /// How long running steps may go on after SIGTERM.
    pub drain: Duration,
    /// How long a subscriber that reads nothing is kept.
    pub stall: Duration,
    /// The size, in bytes, at which the log of one run is cut, unless the step says otherwise.
    pub log_limit_bytes: u64,
    /// What is kept how long.
    pub retention: Retention,
    /// The forges that may tell of pushes.
    pub webhooks: Webhooks,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
}

/// What the command line said; `None` where it said nothing. Paths are relative to the working folder.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--pipelines`
    pub pipelines: Option<PathBuf>,
    /// `--state`, `TIDEGATE_STATE`
    pub state: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--unix`
    pub unix: Option<PathBuf>,
    /// `--insecure-http`; it can only be switched on here.
    pub insecure_http: bool,
    /// `--jobs`
    pub jobs: Option<usize>,
    /// `TIDEGATE_SSH_COMMAND`, split into words by [`split_words`].
    pub ssh_command: Option<String>,
}

impl Settings {
    /// Reads the settings file (the one named, else `tidegate.toml` in the working folder if it is there), lets
    /// `overrides` win, fills in defaults and checks the whole.
    pub fn load(overrides: &Overrides) -> Result<Self, SettingsError> {
        Self::load_with(overrides, |name| std::env::var_os(name))
    }

    /// Files and folders that hold secrets: the state folder, the settings file, and those that it names.
    pub fn private(&self) -> Vec<PathBuf> {
        let of_webhooks = self.webhooks.iter().filter_map(|(_, place)| match place {
            SecretPlace::File(path) => Some(path.clone()),
            SecretPlace::Env(_) => None,
        });
        let own = [self.state.path().to_owned()].into_iter().chain(self.file.clone());
        own.chain(of_webhooks).collect()
    }

    /// Beyond loopback tokens would travel in the clear: only by explicit wish.
    ///
    /// # Errors
    /// [`SettingsError::PlainHttp`]
    pub fn refuse_plain_http(&self) -> Result<(), SettingsError> {
        if self.listen.ip().to_canonical().is_loopback() || self.insecure_http {
            return Ok(());
        }
        Err(SettingsError::PlainHttp { listen: self.listen })
    }

    fn load_with(
        overrides: &Overrides,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SettingsError> {
        let (file, path) = read_file(overrides.config.as_deref())?;
        merge(file, path, overrides, environment)
    }
}

/// The settings file and its path: the one named, else `tidegate.toml` in the working folder if it is there.
fn read_file(config: Option<&Path>) -> Result<(SettingsFile, Option<PathBuf>), SettingsError> {
    match config {
        Some(path) => Ok((SettingsFile::read(path)?, Some(path.to_owned()))),
        None => match SettingsFile::read(Path::new(DEFAULT_FILE)) {
            Ok(file) => Ok((file, Some(PathBuf::from(DEFAULT_FILE)))),
            Err(error) if error.is_not_found() => Ok((SettingsFile::default(), None)),
            Err(error) => Err(error),
        },
    }
}

fn merge(
    file: SettingsFile,
    path: Option<PathBuf>,
    overrides: &Overrides,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Settings, SettingsError> {
    // Paths in the file are meant from where the file is.
    let base = path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let from_file = |path: Option<PathBuf>| path.map(|path| base.join(path));
    let state = match overrides.state.clone().or_else(|| from_file(file.state)) {
        Some(path) => path,
        None => default_state_folder(environment)?,
    };
    let kept = Retention::default();
    let settings = Settings {
        pipelines: absolute(
            overrides
                .pipelines
                .clone()
                .or_else(|| from_file(file.pipelines))
                .unwrap_or_else(|| "pipelines".into()),
        )?,
        state: StateDir::new(absolute(state)?),
        listen: listen_address(overrides.listen.as_ref().or(file.listen.as_ref()))?,
        unix: file.unix.door(overrides.unix.as_deref(), base)?,
        trusted_proxies: trusted(file.trusted_proxies.unwrap_or_default())?,
        insecure_http: overrides.insecure_http || file.insecure_http.unwrap_or(false),
        hosts: file.hosts.unwrap_or_default().iter().map(|host| host.to_ascii_lowercase()).collect(),
        jobs: jobs(overrides.jobs.or(file.jobs))?,
        ssh_command: ssh_command(overrides.ssh_command.as_deref(), file.ssh_command)?,
        read: file.read.unwrap_or(ReadAccess::Open),
        drain: file.drain.map_or(Duration::from_secs(60), |span| span.duration()),
        stall: file.stall.map_or(Duration::from_secs(300), |span| span.duration()),
        log_limit_bytes: file.log_limit.map_or(100 << 20, |size| size.0),
        retention: Retention {
            versions: versions(file.retention.versions.unwrap_or(kept.versions))?,
            logs: for_some_time(
                "retention.logs",
                file.retention.logs.map_or(kept.logs, |span| span.duration()),
            )?,
            events: match file.retention.events {
                None => kept.events,
                Some(HowLong::Forever) => None,
                Some(HowLong::For(span)) => Some(for_some_time("retention.events", span.duration())?),
            },
            min_free_bytes: file.retention.min_free.map_or(kept.min_free_bytes, |size| size.0),
        },
        webhooks: file.webhook.webhooks(&absolute(base.join("."))?),
        file: path,
    };
    settings.refuse_plain_http()?;
    Ok(settings)
}

/// The state folder when nobody names one: `$XDG_STATE_HOME/tidegate`, else `~/.local/state/tidegate`.
pub fn default_state_folder(
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, SettingsError> {
    // A relative value is to be ignored, says the XDG base directory specification.
    let folder = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("XDG_STATE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("tidegate"))
        .ok_or(SettingsError::NoStateFolder)
}

fn absolute(path: PathBuf) -> Result<PathBuf, SettingsError> {
    std::path::absolute(&path)
        .map_err(|_| SettingsError::value("path", path.display(), "it must not be empty"))
}

fn listen_address(text: Option<&String>) -> Result<SocketAddr, SettingsError> {
    let text = text.map_or(DEFAULT_LISTEN, String::as_str);
    // A host name could mean something else tomorrow; only `localhost` is as good as its address.
    let spelled = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    spelled.as_deref().unwrap_or(text).parse().map_err(|_| {
        SettingsError::value(
            "listen",
            text,
            "it must be an address with a port, like `127.0.0.1:8433` or `[::1]:8433`",
        )
    })
}

fn trusted(given: Vec<String>) -> Result<Vec<Network>, SettingsError> {
    let parse =
        |text: String| text.parse().map_err(|rule| SettingsError::value("trusted_proxies", text, rule));
    given.into_iter().map(parse).collect()
}

fn versions(asked: usize) -> Result<usize, SettingsError> {
    match asked {
        0 => Err(SettingsError::value("retention.versions", asked, "at least the newest version is kept")),
        some => Ok(some),
    }
}

/// What is not kept at all cannot be looked at: nobody means that.
fn for_some_time(key: &'static str, asked: Duration) -> Result<Duration, SettingsError> {
    match asked.is_zero() {
        true => Err(SettingsError::value(key, "0s", "it must be longer than nothing, such as \"1d\"")),
        false => Ok(asked),
    }
}

fn jobs(asked: Option<usize>) -> Result<NonZeroUsize, SettingsError> {
    match asked {
        Some(number) => NonZeroUsize::new(number)
            .ok_or_else(|| SettingsError::value("jobs", number, "at least one step must be able to run")),
        None => Ok(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)),
    }
}

/// The ssh command as `TIDEGATE_SSH_COMMAND` says it, else as the settings file does (`config`, else `tidegate.toml` if
/// it is there), for commands that need no other setting.
pub fn ssh_command_alone(config: Option<&Path>) -> Result<Vec<String>, SettingsError> {
    let (file, _) = read_file(config)?;
    ssh_command(std::env::var("TIDEGATE_SSH_COMMAND").ok().as_deref(), file.ssh_command)
}

fn ssh_command(text: Option<&str>, list: Option<Vec<String>>) -> Result<Vec<String>, SettingsError> {
    let words = match (text, list) {
        (Some(text), _) => split_words(text)
            .ok_or_else(|| SettingsError::value("TIDEGATE_SSH_COMMAND", text, "a quote is not closed"))?,
        (None, Some(list)) => list,
        (None, None) => vec!["ssh".to_owned()],
    };
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(SettingsError::value("ssh_command", "", "it must name a program")),
    }
}

#[cfg(test)]
mod tests;
