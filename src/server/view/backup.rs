//! A backup that is kept, as it is shown.

use crate::domain::state::Backup;
use crate::domain::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A backup that is kept. Its content lies in the state folder, by its digest: `artifacts/sha256/ab/cdef…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupView {
    /// The name of the gate that fetched it.
    pub name: GateName,
    /// When it was kept.
    pub at: Time,
    /// The version for which it was fetched.
    pub version: VersionLabel,
    /// The gate's run.
    pub run_id: RunId,
    /// Where it came from, free text.
    pub source: String,
    /// Its size in bytes.
    pub byte_size: u64,
    /// SHA-256 of its content, hex.
    pub sha256: String,
}

impl From<&Backup> for BackupView {
    fn from(backup: &Backup) -> BackupView {
        BackupView {
            name: backup.gate.clone(),
            at: backup.at,
            version: backup.version.clone(),
            run_id: backup.run,
            source: backup.source.clone(),
            byte_size: backup.byte_size,
            sha256: backup.sha256.clone(),
        }
    }
}
