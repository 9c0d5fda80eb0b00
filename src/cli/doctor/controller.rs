//! Whether a controller answers, of which release, and whether one could listen.

use super::{Args, Findings};
use crate::printable;
use crate::settings::Settings;
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpListener;
use std::time::Duration;

/// A controller that does not answer within this is as good as none.
const PATIENCE: Duration = Duration::from_secs(3);

/// This program's release.
const OURS: &str = env!("CARGO_PKG_VERSION");

pub(super) fn look(args: &Args, settings: &Settings, findings: &mut Findings) {
    let url = match args.place.url() {
        Ok(url) => url,
        Err(trouble) => {
            return findings.bad("controller", &settings.listen.to_string(), trouble.message, &trouble.help);
        }
    };
    let url = url.as_str();
    let release = release(args);
    match &release {
        Ok(theirs) if theirs == OURS => {
            findings.ok("controller", url, format!("it answers, tidegate {theirs}"))
        }
        Ok(theirs) => findings.warning(
            "controller",
            url,
            format!("it is tidegate {theirs}, this is {OURS}"),
            "use the same release on both sides",
        ),
        Err((true, why)) => findings.bad(
            "controller",
            url,
            why.clone(),
            "name its token with `--token-file`, or the state folder with `--state`",
        ),
        Err((false, _)) => findings.warning(
            "controller",
            url,
            "none answers",
            "start one with `tidegate serve`, or name another with `--url`",
        ),
    }
    port(settings, release.is_ok(), url, findings);
}

/// The release of the controller; else whether it answers at all, and what it says.
fn release(args: &Args) -> Result<String, (bool, String)> {
    let client = args.place.client_within(PATIENCE).map_err(|trouble| (true, trouble.message))?;
    let events = client.stream("/api/events?kind=controller_started", "application/x-ndjson");
    let events = events.map_err(|trouble| (trouble.code != "TG-CLI-001", trouble.message))?;
    let last = BufReader::new(events).lines().map_while(Result::ok).last().unwrap_or_default();
    let event: Value = serde_json::from_str(&last).unwrap_or_default();
    Ok(printable::line(event["release"].as_str().unwrap_or("of unknown release")).into_owned())
}

fn port(settings: &Settings, answers: bool, url: &str, findings: &mut Findings) {
    let place = settings.listen.to_string();
    let is_ours = answers && url.trim_end_matches('/').ends_with(&format!(":{}", settings.listen.port()));
    match TcpListener::bind(settings.listen) {
        Ok(_) => findings.ok("port", &place, "it is free"),
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_ours => {
            findings.ok("port", &place, "the controller listens there")
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            findings.bad(
                "port",
                &place,
                "another program listens there",
                "stop it, or listen elsewhere with `--listen ADDR`",
            );
        }
        Err(error) => findings.bad(
            "port",
            &place,
            format!("it cannot be used: {error}"),
            "listen elsewhere with `--listen ADDR`",
        ),
    }
}
