//! One POST of JSON, and what its answer means.

use super::patience::{Sent, retry_after};
use crate::printable;
use chrono::{DateTime, Utc};
use std::io::Read as _;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long one post may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes.
const MOST_BODY: u64 = 2048;
/// How much of an answer is shown, in characters.
const MOST_SHOWN: usize = 200;

/// What is posted.
pub(super) struct Post {
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// What a receiver answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) location: Option<String>,
    /// Its beginning.
    pub(super) body: String,
}

/// Posts over a connection of its own, straight there: no redirect is followed and no proxy used. An error is what
/// hindered it, for people. The thread is the post's own, so that one that hangs holds up neither the disk's threads nor
/// the end of the controller; when the future is dropped, the thread ends with the answer, or when time is over.
pub(super) async fn post(post: Post, limit: Duration) -> Result<Answer, String> {
    let (sender, answer) = oneshot::channel();
    let asked = std::thread::Builder::new().name("notice".into()).spawn(move || {
        // Nobody waits for it any more: nothing is lost, the event is told again.
        let _ = sender.send(ask(&post, limit));
    });
    asked.map_err(|error| format!("no thread can be started: {error}"))?;
    answer.await.unwrap_or_else(|_| Err("the post broke".into()))
}

fn ask(post: &Post, limit: Duration) -> Result<Answer, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let request = agent.post(&post.url).header("Content-Type", "application/json");
    let request = post.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    let mut response = request.send(&post.body).map_err(|error| error.to_string())?;
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let (retry_after, location) = (header("retry-after"), header("location"));
    let mut body = Vec::new();
    // The status says what counts; a body that breaks off only says less.
    let _ = response.body_mut().as_reader().take(MOST_BODY).read_to_end(&mut body);
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Answer { status: response.status().as_u16(), retry_after, location, body })
}

/// What an answer means. What it says may hold secrets: the caller hides them.
pub(super) fn judge(answer: &Answer, now: DateTime<Utc>) -> Sent {
    let status = answer.status;
    let after = answer.retry_after.as_deref().and_then(|text| retry_after(text, now));
    match status {
        200..=299 => Sent::Taken,
        300..=399 => {
            let to = answer.location.as_deref().unwrap_or("nowhere");
            let why = format!("it answered {status} and points to `{}`", printable::line(to));
            Sent::Never { why, help: "redirects are not followed: say the address that it points to" }
        }
        // A credential that is out of date, one that may not do it yet, or a place that is hidden from it, may be mended
        // meanwhile: the next try reads it anew. Forges say 403 also when too much was asked at once.
        401 | 403 | 404 | 408 | 425 | 429 => Sent::Later { why: said(answer), after },
        400..=499 => {
            let help = "what is wrong with the request is in the answer; mend the notice or its receiver";
            Sent::Never { why: said(answer), help }
        }
        _ => Sent::Later { why: said(answer), after },
    }
}

fn said(answer: &Answer) -> String {
    let body: String = answer.body.trim().chars().take(MOST_SHOWN).collect();
    match body.as_str() {
        "" => format!("it answered {}", answer.status),
        body => format!("it answered {}: {}", answer.status, printable::line(body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry_after: Option<&str>) -> Sent {
        let retry_after = retry_after.map(str::to_owned);
        judge(&Answer { status, retry_after, ..Answer::default() }, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn answers_are_success_or_worth_another_try_or_final() {
        assert_eq!(judged(200, None), Sent::Taken);
        assert_eq!(judged(204, None), Sent::Taken);
        for again in [401, 403, 404, 408, 425, 429, 500, 502, 503, 599, 100] {
            assert!(matches!(judged(again, None), Sent::Later { after: None, .. }), "{again}");
        }
        for never in [301, 302, 307, 400, 405, 410, 422] {
            assert!(matches!(judged(never, None), Sent::Never { .. }), "{never}");
        }
    }

    #[test]
    fn retry_after_is_passed_on() {
        let wait = Some(Duration::from_secs(30));
        for status in [401, 403, 404, 429, 503] {
            assert!(matches!(judged(status, Some("30")), Sent::Later { after, .. } if after == wait));
        }
        assert!(matches!(judged(410, Some("30")), Sent::Never { .. }));
    }

    #[test]
    fn what_an_answer_says_is_shown_short_and_without_control_characters() {
        let body = format!("no\x1b[31m{}", "x".repeat(900));
        let Sent::Never { why, .. } =
            judge(&Answer { status: 422, body, ..Answer::default() }, DateTime::UNIX_EPOCH)
        else {
            panic!("final");
        };
        assert!(why.starts_with("it answered 422: no") && !why.contains('\x1b'), "{why}");
        assert!(why.chars().count() < 300);
    }

    #[tokio::test]
    async fn nobody_there_is_an_error_in_words() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let it = || Post { url: url.clone(), headers: Vec::new(), body: "{}".into() };
        assert!(post(it(), Duration::from_millis(50)).await.is_err(), "it hangs");
        drop(listener);
        assert!(post(it(), PATIENCE).await.is_err(), "it is gone");
        assert!(post(Post { url: "http://a b".into(), ..it() }, PATIENCE).await.is_err());
    }
}
