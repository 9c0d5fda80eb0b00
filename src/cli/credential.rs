//! Which token is shown to whom. One that the user names goes where the user says. The one of a state folder opens
//! everything its controller has, so only that controller is shown it: an address can be mistyped, and a folder that
//! one stands in can be somebody else's.

use super::Exit;
use super::client::{Where, settings_here};
use super::serving::Serving;
use super::socket;
use super::trouble::Trouble;
use crate::settings::{Privacy, StateDir, read_token_file};
use axum::http::uri::Authority;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// What a request shows of who asks.
pub(super) enum Credential {
    /// Nothing: there is no token.
    None,
    /// A token, and in words where it is from.
    Shown { token: String, from: String },
    /// Nothing, for the token that there is belongs to another controller: the words for that.
    Withheld(String),
}

impl Credential {
    /// Whether somebody names a token to be shown.
    pub(super) fn is_named(place: &Where) -> bool {
        place.token_file.is_some() || of_environment().is_some()
    }

    /// What the controller at an address is shown.
    pub(super) fn of(place: &Where, url: &str) -> Result<Credential, Trouble> {
        if let Some(path) = &place.token_file {
            let from = format!("`{}`, named by `--token-file`", path.display());
            return Ok(Credential::Shown { token: read(path, Privacy::Group)?, from });
        }
        if let Some(token) = of_environment() {
            return Ok(Credential::Shown { token, from: "the environment, TIDEGATE_TOKEN".into() });
        }
        if socket::named(url).is_some() {
            // A folder can be somebody else's, and so can a socket: who we are, the system tells it.
            let words =
                "no token was sent: over a socket the system says who asks, and that does not reach here";
            return Ok(Credential::Withheld(words.into()));
        }
        let Some(state) = place.state_dir()? else { return Ok(Credential::None) };
        let path = state.token();
        if !path.exists() {
            return Ok(Credential::None);
        }
        if place.url.is_some() && !is_own(place, &state, url)? {
            return Ok(Credential::Withheld(format!(
                "no token was sent: the one in `{}` is only for the controller of that state folder",
                path.display()
            )));
        }
        Ok(Credential::Shown {
            token: read(&path, Privacy::Owner)?,
            from: format!("the state folder, `{}`", path.display()),
        })
    }

    /// The token that is sent along, if one is.
    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Credential::Shown { token, .. } => Some(token),
            Credential::None | Credential::Withheld(_) => None,
        }
    }

    /// What to add where the controller does not take it.
    pub(super) fn words(&self) -> String {
        match self {
            Credential::None => "no token was sent: there is none here".into(),
            Credential::Shown { from, .. } => format!("the token that was sent is from {from}"),
            Credential::Withheld(words) => words.clone(),
        }
    }
}

fn of_environment() -> Option<String> {
    let token = std::env::var("TIDEGATE_TOKEN").ok()?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

fn read(path: &Path, privacy: Privacy) -> Result<String, Trouble> {
    let token = read_token_file(path, privacy).map(|token| token.expose().to_owned());
    token.map_err(|error| {
        Trouble::new(error.code(), format!("failed to {error}"), error.help(), Exit::NoController)
    })
}

/// Whether the controller of that state folder is what answers at an address: the one at work there says where it
/// listens; without one, the settings of this folder do.
fn is_own(place: &Where, state: &StateDir, url: &str) -> Result<bool, Trouble> {
    if let Some(serving) = Serving::on(state) {
        return Ok(leads_to(url, serving.listen));
    }
    // Settings speak for the state folder that they name, and for no other.
    let settings = settings_here()?.filter(|settings| place.state.is_none() || settings.state == *state);
    Ok(settings.is_some_and(|settings| leads_to(url, settings.listen)))
}

/// Whether an address is that of a socket of this machine.
fn leads_to(url: &str, listen: SocketAddr) -> bool {
    // The controller itself speaks no TLS: behind `https` something else listens.
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let Ok(authority) = rest.split(['/', '?', '#']).next().unwrap_or_default().parse::<Authority>() else {
        return false;
    };
    if authority.as_str().contains('@') || authority.port_u16().unwrap_or(80) != listen.port() {
        return false;
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let ours = listen.ip().to_canonical();
    if host.eq_ignore_ascii_case("localhost") {
        return ours.is_loopback() || ours.is_unspecified();
    }
    let Ok(asked) = host.parse::<IpAddr>() else { return false };
    let asked = asked.to_canonical();
    asked == ours || ours.is_unspecified() && asked.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::leads_to;

    #[test]
    fn only_an_address_of_the_socket_itself_leads_to_it() {
        let leads = |url: &str, listen: &str| leads_to(url, listen.parse().unwrap());
        for (url, listen) in [
            ("http://127.0.0.1:8433", "127.0.0.1:8433"),
            ("http://localhost:8433/", "127.0.0.1:8433"),
            ("http://127.0.0.1:8433", "0.0.0.0:8433"),
            ("http://[::1]:8433", "[::]:8433"),
            ("http://192.0.2.1", "192.0.2.1:80"),
        ] {
            assert!(leads(url, listen), "{url} {listen}");
        }
        for (url, listen) in [
            ("http://127.0.0.1:8434", "127.0.0.1:8433"),
            ("https://127.0.0.1:8433", "127.0.0.1:8433"),
            ("http://127.0.0.2:8433", "127.0.0.1:8433"),
            ("http://192.0.2.1:8433", "0.0.0.0:8433"),
            ("http://127.0.0.1:8433@example.org", "127.0.0.1:8433"),
            ("http://127.0.0.1.example.org:8433", "127.0.0.1:8433"),
            ("ftp://127.0.0.1:8433", "127.0.0.1:8433"),
            ("", "127.0.0.1:8433"),
        ] {
            assert!(!leads(url, listen), "{url} {listen}");
        }
    }
}
