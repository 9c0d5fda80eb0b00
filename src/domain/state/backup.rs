//! Backups that gates fetched and that are kept.

use super::*;

/// A backup in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The number of its `backup_fetched`.
    pub id: EventId,
    /// When that was.
    pub at: Time,
    /// The gate that fetched it.
    pub gate: GateName,
    /// The version for which it did.
    pub version: VersionLabel,
    /// The gate's run.
    pub run: RunId,
    /// Where it came from, free text.
    pub source: String,
    /// SHA-256 of its content, hex.
    pub sha256: String,
    /// Its size in bytes.
    pub byte_size: u64,
}
