//! What proxies say of whom they pass a request on for. It is believed of addresses that the settings name, and of nobody
//! else; that a proxy was there at all is believed of everybody, for it only takes away.
//!
//! Each proxy adds the address that it saw to the end of `X-Forwarded-For`. So it is read from its end, as far as those
//! are trusted who wrote it: the first address that is no trusted proxy's is whom it is for. What stands before that,
//! anybody can write. Nothing is believed over a Unix socket.

use super::doors::Peer;
use crate::settings::Network;
use axum::http::HeaderMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Headers by which a proxy shows.
const SIGNS: [&str; 12] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "via",
];

/// Whom a request is for, as far as that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Somebody at that address.
    Address(IpAddr),
    /// That user of this machine.
    User(String),
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::Address(address) => address.fmt(f),
            From::User(name) => f.write_str(name),
        }
    }
}

/// Whether a request shows that it came through a proxy.
pub(super) fn is_proxied(headers: &HeaderMap) -> bool {
    SIGNS.iter().any(|name| headers.contains_key(*name))
}

/// Whom a request is for.
pub(super) fn from(trusted: &[Network], headers: &HeaderMap, peer: &Peer) -> From {
    match peer {
        Peer::User(user) => From::User(user.name.clone()),
        Peer::Address { remote, .. } => From::Address(address(trusted, headers, remote.ip().to_canonical())),
    }
}

/// Whether whoever asked reached a trusted proxy by TLS.
pub(super) fn by_tls(trusted: &[Network], headers: &HeaderMap, peer: &Peer) -> bool {
    let Peer::Address { remote, .. } = peer else { return false };
    // The last one is what the proxy that asks us has written.
    let last = last_to_first(headers, "x-forwarded-proto").next();
    is_trusted(trusted, remote.ip()) && last.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

fn is_trusted(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

fn address(trusted: &[Network], headers: &HeaderMap, remote: IpAddr) -> IpAddr {
    let mut known = remote;
    for said in last_to_first(headers, "x-forwarded-for") {
        if !is_trusted(trusted, known) {
            break;
        }
        // What is no address tells nothing: whoever wrote it is as near as we get.
        let Some(said) = one(said) else { break };
        known = said;
    }
    known
}

/// What stands in a header that is a list, from its end, over all times that it is there.
fn last_to_first<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let values: Vec<&str> =
        headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    values.into_iter().rev().flat_map(|value| value.rsplit(',')).map(str::trim)
}

/// An address, also with a port or in brackets, as some proxies write it.
fn one(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|with| with.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn peer(remote: &str) -> Peer {
        let local = "192.0.2.1:8433".parse().unwrap();
        Peer::Address { remote: SocketAddr::new(remote.parse().unwrap(), 40_000), local }
    }

    fn trusted() -> Vec<Network> {
        vec!["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]
    }

    #[test]
    fn it_is_for_the_last_address_that_is_no_trusted_proxy() {
        for (remote, said, expected) in [
            // Nothing is said.
            ("127.0.0.1", &[][..], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.9"][..], "203.0.113.9"),
            ("::ffff:127.0.0.1", &["203.0.113.9"][..], "203.0.113.9"),
            // Anybody can write what stands before that.
            ("127.0.0.1", &["1.1.1.1, 203.0.113.9"][..], "203.0.113.9"),
            ("127.0.0.1", &["1.1.1.1", "203.0.113.9"][..], "203.0.113.9"),
            ("127.0.0.1", &["1.1.1.1, 203.0.113.9, 10.1.1.1", "10.2.2.2"][..], "203.0.113.9"),
            ("127.0.0.1", &["10.1.1.1, 10.2.2.2"][..], "10.1.1.1"),
            // Who is not trusted is not believed.
            ("198.51.100.7", &["203.0.113.9"][..], "198.51.100.7"),
            ("127.0.0.2", &["203.0.113.9"][..], "127.0.0.2"),
            // What is no address ends it.
            ("127.0.0.1", &["203.0.113.9, unknown"][..], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.9, 10.1.1.1, "][..], "127.0.0.1"),
            ("127.0.0.1", &["1.1.1.1, nonsense, 10.1.1.1"][..], "10.1.1.1"),
            // As some write it.
            ("127.0.0.1", &["203.0.113.9:4711"][..], "203.0.113.9"),
            ("127.0.0.1", &["[2001:db8::1]:4711"][..], "2001:db8::1"),
            ("127.0.0.1", &["[2001:db8::1]"][..], "2001:db8::1"),
            ("127.0.0.1", &["2001:db8::1"][..], "2001:db8::1"),
            ("127.0.0.1", &["::ffff:203.0.113.9"][..], "203.0.113.9"),
        ] {
            let from = from(&trusted(), &headers("x-forwarded-for", said), &peer(remote));
            assert_eq!(from.to_string(), expected, "{remote} {said:?}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_says_that_there_was_tls() {
        for (remote, said, expected) in [
            ("127.0.0.1", &["https"][..], true),
            ("127.0.0.1", &["http, HTTPS"][..], true),
            ("127.0.0.1", &["https, http"][..], false),
            ("127.0.0.1", &["https", "http"][..], false),
            ("127.0.0.1", &[][..], false),
            ("198.51.100.7", &["https"][..], false),
        ] {
            let by_tls = by_tls(&trusted(), &headers("x-forwarded-proto", said), &peer(remote));
            assert_eq!(by_tls, expected, "{remote} {said:?}");
        }
    }
}
