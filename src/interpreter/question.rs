//! A question to a running version, for gates and for a node's health: what is asked, what counts as a good answer, and
//! how both read in a log.

use super::environment::Env;
use super::expand::{ExpandError, expand};
use super::probe;
use crate::remote::Forward;
use std::fmt;
use std::time::Duration;

/// What is asked. Not in `Debug`: a secret may be in it.
#[derive(Clone)]
pub(super) enum Question {
    /// GET of a URL.
    Http {
        /// Everything replaced.
        url: String,
        /// Which statuses are good.
        good: Good,
        /// What the body must hold.
        contains: Option<String>,
    },
    /// Whether `host:port` accepts a connection.
    Tcp {
        /// Everything replaced.
        address: String,
    },
}

/// Which statuses are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Good {
    /// This one.
    Only(u16),
    /// Any 2xx.
    Success,
    /// Any 2xx or 3xx.
    SuccessOrRedirect,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) is_good: bool,
    /// Reads after the question: `answered 200`.
    pub(super) said: String,
}

impl Question {
    /// Asks for a URL in which the step's environment is still to be put.
    pub(super) fn http(
        url: &str,
        env: &Env,
        good: Good,
        contains: Option<String>,
    ) -> Result<Self, ExpandError> {
        let url = expand(url, env)?.to_string_lossy().into_owned();
        Ok(Self::Http { url, good, contains })
    }

    /// Asks an address in which the step's environment is still to be put.
    pub(super) fn tcp(address: &str, env: &Env) -> Result<Self, ExpandError> {
        Ok(Self::Tcp { address: expand(address, env)?.to_string_lossy().into_owned() })
    }

    /// Asks once: from here, or from a node.
    pub(super) async fn ask(&self, from: Option<&Forward>, limit: Duration) -> Reply {
        let limit = limit.clamp(Duration::from_millis(1), probe::PATIENCE);
        match self {
            Self::Http { url, good, contains } => {
                match probe::http(url, contains.is_some(), from, limit).await {
                    Ok(answer) => judge(&answer, *good, contains.as_deref()),
                    Err(error) => Reply { is_good: false, said: format!("no answer: {error}") },
                }
            }
            Self::Tcp { address } => match probe::tcp(address, from, limit).await {
                Ok(()) => Reply { is_good: true, said: "accepts connections".into() },
                Err(error) => Reply { is_good: false, said: format!("no connection: {error}") },
            },
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { url, .. } => write!(f, "GET {url}"),
            Self::Tcp { address } => write!(f, "tcp {address}"),
        }
    }
}

fn judge(answer: &probe::Answer, good: Good, contains: Option<&str>) -> Reply {
    let status = answer.status;
    let (is_good, wanted) = match good {
        Good::Only(one) => (status == one, one.to_string()),
        Good::Success => ((200..300).contains(&status), "2xx".to_owned()),
        Good::SuccessOrRedirect => ((200..400).contains(&status), "2xx or 3xx".to_owned()),
    };
    if !is_good {
        return Reply { is_good, said: format!("answered {status}, not {wanted}") };
    }
    match contains {
        Some(text) if !holds(&answer.body, text.as_bytes()) => {
            Reply { is_good: false, said: format!("answered {status} without `{text}` in its body") }
        }
        _ => Reply { is_good, said: format!("answered {status}") },
    }
}

fn holds(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, good: Good, contains: Option<&str>) -> (bool, String) {
        let reply = judge(&probe::Answer { status, body: b"all is well".to_vec() }, good, contains);
        (reply.is_good, reply.said)
    }

    #[test]
    fn statuses_and_bodies_are_judged() {
        assert_eq!(judged(204, Good::Success, None), (true, "answered 204".into()));
        assert_eq!(judged(302, Good::Success, None), (false, "answered 302, not 2xx".into()));
        assert!(judged(302, Good::SuccessOrRedirect, None).0);
        assert!(!judged(404, Good::SuccessOrRedirect, None).0);
        assert!(judged(418, Good::Only(418), None).0);
        assert!(!judged(200, Good::Only(418), None).0);
        assert!(judged(200, Good::Success, Some("is well")).0);
        assert!(judged(200, Good::Success, Some("")).0);
        assert_eq!(judged(200, Good::Success, Some("ill")).1, "answered 200 without `ill` in its body");
    }

    #[test]
    fn the_environment_goes_into_the_question() {
        let env = Env::from([("PORT".into(), "8080".into())]);
        let question = Question::http("http://127.0.0.1:$PORT/health", &env, Good::Success, None).unwrap();
        assert_eq!(question.to_string(), "GET http://127.0.0.1:8080/health");
        assert_eq!(Question::tcp("127.0.0.1:${PORT}", &env).unwrap().to_string(), "tcp 127.0.0.1:8080");
        assert!(Question::tcp("127.0.0.1:$OTHER", &env).is_err());
    }
}
