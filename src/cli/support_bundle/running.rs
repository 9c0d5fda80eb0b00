//! What a controller says that answers: its state and its numbers.

use super::{Missing, masked, pretty};
use crate::cli::client::Where;
use std::io::Read as _;
use std::time::Duration;

/// A controller that does not answer within this is as good as none.
const PATIENCE: Duration = Duration::from_secs(10);

/// No list of numbers is longer.
const METRICS_LIMIT_BYTES: u64 = 4 << 20;

/// `/api/state`.
pub(super) fn state(place: &Where) -> Result<Vec<u8>, Missing> {
    let client = place.client_within(PATIENCE).map_err(Missing::from)?;
    Ok(pretty(&masked::json(&client.get("/api/state")?)))
}

/// `/metrics`.
pub(super) fn metrics(place: &Where) -> Result<Vec<u8>, Missing> {
    let client = place.client_within(PATIENCE).map_err(Missing::from)?;
    let mut text = String::new();
    let stream = client.stream("/metrics", "text/plain")?;
    let read = stream.take(METRICS_LIMIT_BYTES).read_to_string(&mut text);
    read.map_err(|_| Missing::because("TG-CLI-001", "the answer broke off"))?;
    Ok(masked::metrics(&text).into_bytes())
}
