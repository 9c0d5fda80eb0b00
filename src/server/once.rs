//! `Idempotency-Key`: a change that is sent twice because its answer was lost is done once, and answered alike.
//!
//! Most changes are idempotent by themselves; this is for those that are not (`redeploy`, `rebuild` with `again`). What
//! is known of a key is in memory: for a day, for the last thousand keys, and not beyond a restart.

use super::guard::Caller;
use super::problem::Problem;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Keys that are remembered.
const LIMIT: usize = 1_000;

/// How long.
const TIME: Duration = Duration::from_secs(24 * 3600);

/// Longest key, in bytes.
pub(super) const KEY_LIMIT: usize = 128;

/// Says that the answer is the one that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What was asked with keys of late.
#[derive(Debug, Default)]
pub(super) struct Once(Mutex<HashMap<Key, Known>>);

/// Whose key it is, and the key.
pub(super) type Key = (String, String);

#[derive(Debug)]
struct Known {
    at: Instant,
    /// Path and body of the request.
    asked: (String, String),
    /// The answer; none: under way.
    answer: Option<(StatusCode, String)>,
}

impl Once {
    /// Does something, or gives the answer of when it was done. With a key it is done to its end even if the client
    /// does not wait for it.
    pub(super) async fn run<T: Serialize + Send + 'static>(
        self: &Arc<Once>,
        headers: &HeaderMap,
        caller: &Caller,
        asked: (String, String),
        doing: impl Future<Output = Result<(StatusCode, T), Problem>> + Send + 'static,
    ) -> Result<Response, Problem> {
        self.run_with(key(headers, caller)?, asked, |_| true, doing).await
    }

    /// The same with a key that came in another way. An answer that is not final is not kept: who asks again is
    /// answered anew.
    pub(super) async fn run_with<T: Serialize + Send + 'static>(
        self: &Arc<Once>,
        key: Option<Key>,
        asked: (String, String),
        is_final: fn(&T) -> bool,
        doing: impl Future<Output = Result<(StatusCode, T), Problem>> + Send + 'static,
    ) -> Result<Response, Problem> {
        let Some(key) = key else {
            return doing.await.map(|(status, answer)| respond(status, json(&answer)));
        };
        if let Some((status, answer)) = self.begin(&key, asked)? {
            let mut response = respond(status, answer);
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            return Ok(response);
        }
        let this = self.clone();
        let task = tokio::spawn(async move {
            let _under_way = UnderWay { once: &this, key: &key };
            let (status, answer) = doing.await?;
            let text = json(&answer);
            if is_final(&answer) {
                this.end(&key, (status, text.clone()));
            }
            Ok(respond(status, text))
        });
        task.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
    }

    /// The answer that is known, if there is one; else it is under way from now on.
    fn begin(&self, key: &Key, asked: (String, String)) -> Result<Option<(StatusCode, String)>, Problem> {
        let mut known = self.lock();
        let now = Instant::now();
        known.retain(|_, known| now.duration_since(known.at) < TIME || known.answer.is_none());
        match known.get(key) {
            Some(known) if known.asked != asked => Err(Problem::other_change()),
            Some(Known { answer: None, .. }) => Err(Problem::under_way()),
            Some(Known { answer, .. }) => Ok(answer.clone()),
            None => {
                if known.len() >= LIMIT {
                    forget_oldest(&mut known);
                }
                known.insert(key.clone(), Known { at: now, asked, answer: None });
                Ok(None)
            }
        }
    }

    fn end(&self, key: &Key, answer: (StatusCode, String)) {
        if let Some(known) = self.lock().get_mut(key) {
            known.answer = Some(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was refused, or is not final, may be asked again with the same key.
struct UnderWay<'a> {
    once: &'a Once,
    key: &'a Key,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut known = self.once.lock();
        if known.get(self.key).is_some_and(|known| known.answer.is_none()) {
            known.remove(self.key);
        }
    }
}

fn forget_oldest(known: &mut HashMap<Key, Known>) {
    let done = known.iter().filter(|(_, known)| known.answer.is_some());
    if let Some(oldest) = done.min_by_key(|(_, known)| known.at).map(|(key, _)| key.clone()) {
        known.remove(&oldest);
    }
}

fn key(headers: &HeaderMap, caller: &Caller) -> Result<Option<Key>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::bad_key())?;
    let is_good = (1..=KEY_LIMIT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_good || values.next().is_some() {
        return Err(Problem::bad_key());
    }
    Ok(Some((caller.actor()?.name, text.to_owned())))
}

fn json(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).expect("BUG: an answer that cannot be written as JSON")
}

fn respond(status: StatusCode, answer: String) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(axum::http::header::CONTENT_TYPE, json)], answer).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_forgotten_oldest_first_but_never_what_is_under_way() {
        let once = Once::default();
        let asked = || ("/x".to_owned(), "{}".to_owned());
        let key = |n: usize| ("ann".to_owned(), n.to_string());
        assert!(once.begin(&key(0), asked()).unwrap().is_none());
        for n in 1..=LIMIT {
            assert!(once.begin(&key(n), asked()).unwrap().is_none());
            once.end(&key(n), (StatusCode::OK, n.to_string()));
        }
        assert_eq!(once.lock().len(), LIMIT);
        assert!(once.begin(&key(0), asked()).is_err(), "it is still under way");
        assert!(once.begin(&key(LIMIT), asked()).unwrap().is_some());
        assert!(once.begin(&key(1), asked()).unwrap().is_none(), "the oldest is forgotten");
    }
}
