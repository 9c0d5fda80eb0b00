//! `tidegate.toml` as users write it.

use super::ReadAccess;
use super::complaint;
use super::error::SettingsError;
use super::quantity::Bytes;
use super::unix::UnixFile;
use super::webhook::WebhookFile;
use crate::domain::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// No settings file is larger.
const SIZE_LIMIT_BYTES: u64 = 1 << 20;

/// The controller's own options. The command line wins over the environment, that over this file. Paths are meant from
/// where the file is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "tidegate settings")]
pub(super) struct SettingsFile {
    /// The folder of the pipeline files. On the command line: `--pipelines`.
    #[schemars(extend("default" = "pipelines"))]
    pub(super) pipelines: Option<PathBuf>,
    /// The state folder: journal, logs, artifacts, tokens. On the command line: `--state`; `TIDEGATE_STATE`. Default:
    /// `$XDG_STATE_HOME/tidegate`, else `~/.local/state/tidegate`.
    #[schemars(extend("examples" = ["/var/lib/tidegate"]))]
    pub(super) state: Option<PathBuf>,
    /// The address to listen on, with its port. On the command line: `--listen`.
    #[schemars(extend(
        "default" = "127.0.0.1:8433",
        "pattern" = "^(localhost|[0-9.]+|\\[[0-9A-Fa-f:.%a-z]+\\]):[0-9]{1,5}$",
        "examples" = ["127.0.0.1:8433", "[::1]:8433"]
    ))]
    pub(super) listen: Option<String>,
    /// Allow listening beyond loopback without TLS: tokens travel in the clear. On the command line: `--insecure-http`.
    #[schemars(extend("default" = false))]
    pub(super) insecure_http: Option<bool>,
    /// Names, besides the address itself, by which clients reach this controller: the public host of a proxy. Default:
    /// none.
    #[schemars(extend("examples" = [["ci.example.org"]]))]
    pub(super) hosts: Option<Vec<String>>,
    /// Addresses and networks of proxies: what these say of whom they ask for, and whether that came by TLS, is believed
    /// (`X-Forwarded-For`, `X-Forwarded-Proto`). Default: nobody is believed.
    #[schemars(extend("examples" = [["127.0.0.1", "10.0.0.0/8"]]))]
    pub(super) trusted_proxies: Option<Vec<String>>,
    /// Build steps and gates at once. On the command line: `--jobs`. Default: the cores.
    #[schemars(range(min = 1))]
    pub(super) jobs: Option<usize>,
    /// The ssh client with its first arguments. In the environment, as one text: `TIDEGATE_SSH_COMMAND`.
    #[schemars(length(min = 1), extend("default" = ["ssh"], "examples" = [["ssh", "-F", "/etc/tidegate/ssh_config"]]))]
    pub(super) ssh_command: Option<Vec<String>>,
    /// Who may read what is where, and what happens.
    #[schemars(extend("default" = "open"))]
    pub(super) read: Option<ReadAccess>,
    /// How long what runs may go on when the controller stops; after SIGTERM only what does not outlive it.
    #[schemars(extend("default" = "60s"))]
    pub(super) drain: Option<Span>,
    /// How long a subscriber that reads nothing is kept.
    #[schemars(extend("default" = "5m"))]
    pub(super) stall: Option<Span>,
    /// Where the log of one run is cut, unless the step says otherwise.
    #[schemars(extend("default" = "100MiB"))]
    pub(super) log_limit: Option<Bytes>,
    /// How long and how much is kept. What is in use is never removed. Default: as each key says.
    #[serde(default)]
    pub(super) retention: RetentionFile,
    /// A Unix socket to listen on beside the address, where the system says who comes. Default: none.
    #[serde(default)]
    pub(super) unix: UnixFile,
    /// The forges that may tell of pushes. Default: none.
    #[serde(default)]
    pub(super) webhook: WebhookFile,
}

/// How long and how much is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionFile {
    /// Versions kept for each pipeline, the newest, with their artifacts.
    #[schemars(range(min = 1), extend("default" = 50))]
    pub(super) versions: Option<usize>,
    /// How long logs of steps are kept.
    #[schemars(extend("default" = "90d"))]
    pub(super) logs: Option<Span>,
    /// How long events are kept; `"forever"` keeps all.
    #[schemars(extend("default" = "365d"))]
    pub(super) events: Option<HowLong>,
    /// Below this much free on the disk of the state folder nothing new begins.
    #[schemars(extend("default" = "256MiB"))]
    pub(super) min_free: Option<Bytes>,
}

/// `"365d"`, or `"forever"`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum HowLong {
    For(Span),
    Forever,
}

impl JsonSchema for HowLong {
    fn schema_name() -> Cow<'static, str> {
        "HowLong".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let span = generator.subschema_for::<Span>();
        json_schema!({
            "description": "A length of time, or \"forever\".",
            "anyOf": [span, { "const": "forever", "description": "They are never removed." }],
            "examples": ["365d", "forever"]
        })
    }
}

impl TryFrom<String> for HowLong {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "forever" => Ok(Self::Forever),
            _ => Span::try_from(text).map(Self::For).map_err(|error| format!("{error}, or \"forever\"")),
        }
    }
}

impl SettingsFile {
    pub(super) fn read(path: &Path) -> Result<Self, SettingsError> {
        let failed = |cause| SettingsError::Read { path: path.to_owned(), cause };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(SIZE_LIMIT_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > SIZE_LIMIT_BYTES {
            return Err(SettingsError::TooLarge { path: path.to_owned() });
        }
        Self::parse(path, text.strip_prefix('\u{feff}').unwrap_or(&text))
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let (message, help) = complaint::in_words(error.message().trim_end(), key_at(text, start));
            SettingsError::Parse { path: path.to_owned(), at: line_and_column(text, start), message, help }
        })
    }
}

/// The key of the line that a place is in; empty: it has none.
fn key_at(text: &str, offset: usize) -> &str {
    let begin = text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    line.split_once('=').map_or("", |(key, _)| key.trim().trim_matches('"'))
}

/// Both from 1; columns count characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
