//! The controller's own log: one line a record, on stderr. How much is said: `TIDEGATE_LOG`, from `error` to `trace`.

use super::super::talk;
use crate::settings::SettingsError;
use tracing_subscriber::filter::LevelFilter;

/// From here on what happens is logged. An error: it is not told how much; then as much as usual is.
pub(in crate::cli) fn begin() -> Result<(), SettingsError> {
    let wanted = std::env::var("TIDEGATE_LOG").ok().filter(|wanted| !wanted.is_empty());
    let level = wanted.as_deref().map_or(Ok(LevelFilter::INFO), str::parse);
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(talk::colours(&std::io::stderr()))
        // A log that nobody reads any more must not end what is logged.
        .log_internal_errors(false)
        .with_target(false)
        .with_max_level(*level.as_ref().unwrap_or(&LevelFilter::INFO));
    // A second call, in one process, finds the log begun.
    let _ = log.try_init();
    level.map(drop).map_err(|_| {
        let rule = "it is `off`, `error`, `warn`, `info`, `debug` or `trace`";
        SettingsError::value("TIDEGATE_LOG", wanted.unwrap_or_default(), rule)
    })
}
