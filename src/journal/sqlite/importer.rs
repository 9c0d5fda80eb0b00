//! Writing a whole journal at once, for an import: the file is nobody's until it is finished.

use super::{FILE, chain, schema};
use crate::journal::{Checkpoint, Error, Head, META_CLEAN_STOP, META_INSTANCE, Record};
use rusqlite::{Connection, params};
use std::path::Path;

/// A journal that is being written.
#[derive(Debug)]
pub struct Importer {
    connection: Connection,
    head: Head,
}

impl Importer {
    /// Begins one in a folder that has none, with the instance id and the place in the chain that it goes on from.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin(folder: &Path, instance: &str, before: Head) -> Result<Importer, Error> {
        schema::check_library()?;
        let path = folder.join(FILE);
        schema::check_header(&path)?;
        let mut connection = schema::open_writer(&path)?;
        schema::migrate(&mut connection, &path, schema::MIGRATIONS)?;
        let put = |key: &str, value: &str| {
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", [key, value]).map(drop)
        };
        put(META_INSTANCE, instance)
            .and_then(|()| if before.id.0 > 0 { put(chain::BEFORE, &before.to_string()) } else { Ok(()) })
            .and_then(|()| connection.execute("DELETE FROM meta WHERE key = ?1", [chain::REACHED]))
            .map_err(failed)?;
        Ok(Importer { connection, head: before })
    }

    /// Adds records, in one transaction. Their ids are the caller's to check.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn append(&mut self, records: &[Record]) -> Result<(), Error> {
        let transaction = self.connection.transaction().map_err(failed)?;
        self.head = super::writer::insert_records(&transaction, self.head, records)?;
        transaction.commit().map_err(failed)?;
        super::writer::checkpoint(&self.connection, "PASSIVE").map(drop)
    }

    /// Writes the checkpoint, and closes the file as a clean stop does.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self, checkpoint: Option<&Checkpoint>) -> Result<(), Error> {
        let transaction = self.connection.transaction().map_err(failed)?;
        if let Some(checkpoint) = checkpoint {
            super::writer::write_checkpoint(&transaction, checkpoint).map_err(failed)?;
        }
        chain::tie_checkpoint_to(&transaction, &chain::before(&transaction)?).map_err(failed)?;
        for (key, value) in
            [(META_CLEAN_STOP, self.head.id.to_string()), (chain::AT_STOP, self.head.to_string())]
        {
            transaction
                .execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", params![key, value])
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        super::writer::checkpoint(&self.connection, "TRUNCATE")?;
        schema::checkpoint_on_close(&self.connection, true)
    }
}

fn failed(error: rusqlite::Error) -> Error {
    Error::sqlite("write the journal", &error)
}
