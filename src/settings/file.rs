//! `tidegate.toml` as users write it.

use super::ReadAccess;
use super::error::SettingsError;
use super::quantity::Bytes;
use super::webhook::WebhookFile;
use crate::domain::Span;
use serde::Deserialize;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// No settings file is larger.
const SIZE_LIMIT_BYTES: u64 = 1 << 20;

/// The keys of the file; each absent one has a default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsFile {
    pub(super) pipelines: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
    pub(super) listen: Option<String>,
    pub(super) insecure_http: Option<bool>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) jobs: Option<usize>,
    pub(super) ssh_command: Option<Vec<String>>,
    pub(super) read: Option<ReadAccess>,
    pub(super) drain: Option<Span>,
    pub(super) stall: Option<Span>,
    pub(super) log_limit: Option<Bytes>,
    #[serde(default)]
    pub(super) retention: RetentionFile,
    #[serde(default)]
    pub(super) webhook: WebhookFile,
}

/// The table `[retention]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionFile {
    pub(super) versions: Option<usize>,
    pub(super) logs: Option<Span>,
    pub(super) events: Option<HowLong>,
    pub(super) min_free: Option<Bytes>,
}

/// `"365d"`, or `"forever"`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum HowLong {
    For(Span),
    Forever,
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
            let message = error.message().trim_end().to_owned();
            SettingsError::Parse {
                path: path.to_owned(),
                at: line_and_column(text, error.span().map_or(0, |span| span.start)),
                did_you_mean: did_you_mean(&message),
                message,
            }
        })
    }
}

/// Both from 1; columns count characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// serde names the unknown key and all known ones, each in backticks: the nearest of them, if one is near.
fn did_you_mean(message: &str) -> Option<String> {
    let list =
        message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("unknown variant `"))?;
    let mut names = list.split('`').step_by(2);
    let unknown = names.next()?;
    names
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .filter(|(distance, known)| *distance <= known.len().max(unknown.len()) / 3 + 1)
        .min()
        .map(|(_, known)| known.to_owned())
}
