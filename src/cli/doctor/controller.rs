//! Whether a controller answers, of which release, and whether one could listen.

use super::{Args, Findings, OwnerToken};
use crate::cli::client::{FOREIGN, Where, address_of};
use crate::cli::serving::Serving;
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

/// What answers at an address.
enum Answer {
    /// A controller of that release.
    Release(String),
    /// A controller that does not let us in, and why.
    Refusal(String),
    /// Another program, and what it says.
    Foreign(String),
    /// Nobody.
    Nobody,
}

pub(super) fn look(
    args: &Args,
    settings: &Settings,
    serving: Option<&Serving>,
    owner: OwnerToken,
    findings: &mut Findings,
) {
    let url = match &args.place.url {
        Some(url) => Ok(url.clone()),
        // Where the controller of this very state folder listens, it may be asked wherever that is.
        None => address_of(settings.listen).or_else(|trouble| match serving {
            Some(serving) => Ok(format!("http://{}", serving.listen)),
            None => Err(trouble),
        }),
    };
    let url = match url {
        Ok(url) => url,
        Err(trouble) => {
            return findings.bad("controller", &settings.listen.to_string(), trouble.message, &trouble.help);
        }
    };
    let place =
        Where { url: Some(url.clone()), state: Some(settings.state.path().to_owned()), ..args.place.clone() };
    let answer = ask(&place, owner);
    let url = url.as_str();
    match &answer {
        Answer::Release(theirs) if theirs == OURS => {
            findings.ok("controller", url, format!("it answers, tidegate {theirs}"))
        }
        Answer::Release(theirs) => findings.warning(
            "controller",
            url,
            format!("it is tidegate {theirs}, this is {OURS}"),
            "use the same release on both sides",
        ),
        Answer::Refusal(why) => findings.bad(
            "controller",
            url,
            why.clone(),
            "name its token with `--token-file`, or the state folder with `--state`",
        ),
        Answer::Foreign(why) => findings.bad(
            "controller",
            url,
            why.clone(),
            "name the controller's address with `--url`, or end what listens there",
        ),
        Answer::Nobody => findings.warning(
            "controller",
            url,
            "none answers",
            "start one with `tidegate serve`, or name another with `--url`",
        ),
    }
    let is_ours = serving.is_some()
        || matches!(answer, Answer::Release(_) | Answer::Refusal(_))
            && url.trim_end_matches('/').ends_with(&format!(":{}", settings.listen.port()));
    port(settings, is_ours, findings);
}

/// Asks with the token that there is; without one that cannot be used, whose fault was said already.
fn ask(place: &Where, owner: OwnerToken) -> Answer {
    let has_another = place.token_file.is_some() || std::env::var_os("TIDEGATE_TOKEN").is_some();
    let client = match owner {
        OwnerToken::Refused if !has_another => place.anonymous(PATIENCE),
        _ => place.client_within(PATIENCE),
    };
    let client = match client {
        Ok(client) => client,
        Err(trouble) => return Answer::Refusal(trouble.message),
    };
    let events = match client.stream("/api/events?kind=controller_started", "application/x-ndjson") {
        Ok(events) => events,
        Err(trouble) if trouble.code == "TG-CLI-001" => return Answer::Nobody,
        Err(trouble) if trouble.code == FOREIGN => return Answer::Foreign(trouble.message),
        Err(trouble) => return Answer::Refusal(trouble.message),
    };
    let last = BufReader::new(events).lines().map_while(Result::ok).last().unwrap_or_default();
    let event: Value = serde_json::from_str(&last).unwrap_or_default();
    Answer::Release(printable::line(event["release"].as_str().unwrap_or("of unknown release")).into_owned())
}

fn port(settings: &Settings, is_ours: bool, findings: &mut Findings) {
    let place = settings.listen.to_string();
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
