//! A session that only answers: a script runs, says what it has to say, and ends.

use super::Client;
use super::payload::Payload;
use super::talk::Talk;
use super::trouble::Kind;
use super::trouble::Trouble;
use std::ffi::OsString;

/// A script that answers says no more lines than these.
const MOST_LINES: usize = 16;

/// Runs a script and gives all that it said after `start`, up to `done`, or to a `no` that it ends with.
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
            said if said.starts_with("no ") => {
                all.push(said);
                return Ok(all);
            }
            _ if all.len() == MOST_LINES => {
                return Err(Trouble::new(Kind::Refused, format!("`{host}` answers without end")));
            }
            said => all.push(said),
        }
    }
}
