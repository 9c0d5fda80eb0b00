//! The controller's own log: one line a record, on stderr. How much is said: `TIDEGATE_LOG`, from `error` to `trace`.

use super::super::talk;
use tracing_subscriber::filter::LevelFilter;

/// From here on what happens is logged.
pub(super) fn begin() {
    let wanted = std::env::var("TIDEGATE_LOG").ok();
    let level = wanted.as_deref().map_or(Ok(LevelFilter::INFO), str::parse).unwrap_or(LevelFilter::INFO);
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(talk::colours(&std::io::stderr()))
        // A log that nobody reads any more must not end what is logged.
        .log_internal_errors(false)
        .with_target(false)
        .with_max_level(level);
    // A second call, in one process, finds the log begun.
    let _ = log.try_init();
}
