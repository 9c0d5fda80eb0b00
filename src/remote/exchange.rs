//! A session that only answers: a script runs, says what it has to say, and ends.

use super::Client;
use super::payload::Payload;
use super::talk::Talk;
use super::trouble::Trouble;
use std::ffi::OsString;

/// Runs a script and gives all that it said after `start`, up to `done`.
pub(super) async fn exchange(
    client: &Client,
    argv: &[OsString],
    host: &str,
    more: &[(OsString, OsString)],
    payload: Payload,
) -> Result<Vec<String>, Trouble> {
    let mut talk = Talk::begin(client, argv, host, more, payload).await?;
    let mut all = Vec::new();
    loop {
        match talk.hear().await? {
            said if said == "done" => return Ok(all),
            said => all.push(said),
        }
    }
}
