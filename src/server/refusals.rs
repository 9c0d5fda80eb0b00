//! Who was turned away, told to the journal as `access_refused`, so that guessing and tokens that are used for more than
//! they are for leave a trace. What is told: which code, which path as it is described, whose token if that is known, from
//! where. Never a token, a value of the path, or a header.
//!
//! Whoever asks can fill the journal with none of it: the first of a kind (code, token, path) is told at once, those of
//! the next minute by one event at its end, and more than [`KINDS_AT_ONCE`] kinds at once are told by their code alone.
//! A request never waits for this. While nothing is taken for want of room, nothing is told, only counted.
//!
//! Known loss: what was counted in the last minute before the controller stops is in its log only.

use super::Server;
use super::forwarded::From;
use super::guard::method_name;
use crate::domain::Command;
use axum::http::{Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Most kinds that are told apart at once.
pub(super) const KINDS_AT_ONCE: usize = 32;

/// Longest pause before it is tried again to tell what was not taken.
const AGAIN: Duration = Duration::from_secs(5);

/// The path of those that are not told apart.
const OTHER: &str = "other";

/// The path of what is nowhere.
const NOWHERE: &str = "none";

/// Refusals that are not told yet, or were told within the last minute.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    book: Mutex<Book>,
    news: Notify,
}

/// A refusal, as it is noted.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    pub(super) code: &'a str,
    /// Whose token it was, where one was shown that is known.
    pub(super) by: Option<&'a str>,
    pub(super) method: &'a Method,
    /// The path as it is described; none: nothing is there.
    pub(super) route: Option<&'a str>,
    pub(super) from: &'a From,
}

/// Whether an answer turns somebody away for who they are, and not for what they ask.
pub(super) fn is_one(status: StatusCode, code: &str) -> bool {
    use StatusCode as S;
    matches!(status, S::UNAUTHORIZED | S::FORBIDDEN | S::MISDIRECTED_REQUEST)
        || (status == S::TOO_MANY_REQUESTS && code == super::guessing::TOO_MANY_WRONG)
}

impl Refusals {
    /// Notes one.
    pub(super) fn note(&self, refused: &Refused<'_>) {
        if self.book().note(refused, Instant::now()) {
            self.news.notify_one();
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the engine of what is noted, until the controller stops.
pub(super) async fn tell(server: Arc<Server>) {
    loop {
        let next = tell_what_is_due(&server).await;
        let due = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = server.shutdown.cancelled() => break,
            () = server.refusals.news.notified() => {}
            () = due => {}
        }
    }
    let left: u64 = server.refusals.book().0.values().map(|kind| kind.untold).sum();
    if left > 0 {
        tracing::info!("{left} more were turned away in the last minute");
    }
}

/// Answers when to look again; none: when there is news.
async fn tell_what_is_due(server: &Server) -> Option<Instant> {
    let window = server.options.limits.refusals;
    let again = window.min(AGAIN);
    // Nothing that somebody asks for may take the last room on the disk.
    if server.engine.standstill().is_some() {
        return (!server.refusals.book().0.is_empty()).then(|| Instant::now() + again);
    }
    let due = server.refusals.book().due(Instant::now(), window);
    for (key, told) in due {
        let command = Command::AccessRefused {
            by: key.by.clone(),
            code: key.code.clone(),
            method: told.method.into(),
            route: key.route.clone(),
            count: told.count,
            from: told.from.as_ref().map(From::to_string),
        };
        if let Err(refusal) = server.engine.ask(command).await {
            tracing::warn!(code = refusal.code(), "who was turned away is not told yet: {refusal}");
            server.refusals.book().give_back(key, told, Instant::now() + again);
        }
    }
    server.refusals.book().next()
}

/// What is told apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    code: String,
    by: Option<String>,
    route: String,
}

/// One kind of refusal.
#[derive(Debug)]
struct Kind {
    /// When what is untold is to be told.
    due: Instant,
    untold: u64,
    method: &'static str,
    /// Where the untold ones came from; none: from several places.
    from: Option<From>,
}

/// What an event says beside its key.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    count: u64,
    method: &'static str,
    from: Option<From>,
}

#[derive(Debug, Default)]
struct Book(BTreeMap<Key, Kind>);

impl Book {
    /// Notes one; whether there is something to tell at once.
    fn note(&mut self, refused: &Refused<'_>, now: Instant) -> bool {
        let from = Some(refused.from.clone());
        let key = Key {
            code: refused.code.into(),
            by: refused.by.map(str::to_owned),
            route: refused.route.unwrap_or(NOWHERE).into(),
        };
        let is_known = self.0.contains_key(&key);
        let apart = self.0.keys().filter(|key| key.route != OTHER).count();
        let key = if is_known || apart < KINDS_AT_ONCE {
            key
        } else {
            Key { by: None, route: OTHER.into(), ..key }
        };
        let is_new = !self.0.contains_key(&key);
        let method = method_name(refused.method);
        let kind = self.0.entry(key).or_insert(Kind { due: now, untold: 0, method, from: from.clone() });
        if kind.untold == 0 {
            (kind.method, kind.from) = (method, from);
        } else if kind.from != from {
            kind.from = None;
        }
        kind.untold += 1;
        is_new
    }

    /// What is to be told now; what comes within the window after that is told at its end. A kind of which nothing more
    /// came is forgotten.
    fn due(&mut self, now: Instant, window: Duration) -> Vec<(Key, Told)> {
        self.0.retain(|_, kind| kind.untold > 0 || kind.due > now);
        let due = self.0.iter_mut().filter(|(_, kind)| kind.untold > 0 && kind.due <= now);
        due.map(|(key, kind)| {
            let told = Told {
                count: std::mem::take(&mut kind.untold),
                method: kind.method,
                from: kind.from.clone(),
            };
            kind.due = now + window;
            (key.clone(), told)
        })
        .collect()
    }

    /// What could not be told is to be told later.
    fn give_back(&mut self, key: Key, told: Told, later: Instant) {
        let Told { count, method, from } = told;
        let kind = self.0.entry(key).or_insert(Kind { due: later, untold: 0, method, from: from.clone() });
        if kind.untold > 0 && kind.from != from {
            kind.from = None;
        }
        kind.untold += count;
        kind.due = later;
    }

    fn next(&self) -> Option<Instant> {
        self.0.values().map(|kind| kind.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::IpAddr;

    static FIRST: From = From::Address(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));

    const WINDOW: Duration = Duration::from_secs(60);

    fn refused<'a>(code: &'a str, route: &'a str) -> Refused<'a> {
        Refused { code, by: None, method: &Method::GET, route: Some(route), from: &FIRST }
    }

    /// Route, how often, whether from one place.
    fn told(due: Vec<(Key, Told)>) -> Vec<(String, u64, bool)> {
        due.into_iter().map(|(key, told)| (key.route, told.count, told.from.is_some())).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_of_a_minute_by_one_event() {
        let (mut book, now) = (Book::default(), Instant::now());
        assert!(book.note(&refused("A", "/x"), now), "there is something to tell");
        assert_eq!(told(book.due(now, WINDOW)), [("/x".to_owned(), 1, true)]);
        for _ in 0..1000 {
            assert!(!book.note(&refused("A", "/x"), now + WINDOW / 2));
        }
        assert!(told(book.due(now + WINDOW / 2, WINDOW)).is_empty());
        assert_eq!(book.next(), Some(now + WINDOW));
        assert_eq!(told(book.due(now + WINDOW, WINDOW)), [("/x".to_owned(), 1000, true)]);
        // A minute in which nothing came, and it is forgotten.
        assert!(told(book.due(now + WINDOW * 2, WINDOW)).is_empty() && book.next().is_none());
    }

    #[test]
    fn who_asks_for_many_things_is_told_of_by_few_events() {
        let (mut book, now) = (Book::default(), Instant::now());
        for n in 0..100_000 {
            let name = n.to_string();
            book.note(&Refused { by: Some(&name), ..refused("A", "/x") }, now);
        }
        let first = told(book.due(now, WINDOW));
        assert_eq!(first.len(), KINDS_AT_ONCE + 1);
        let rest: Vec<_> = first.iter().filter(|(route, ..)| route == OTHER).collect();
        assert_eq!(rest, [&(OTHER.to_owned(), 100_000 - KINDS_AT_ONCE as u64, true)]);
        // Those that are told apart go on to be.
        assert!(!book.note(&Refused { by: Some("0"), ..refused("A", "/x") }, now));
        assert_eq!(book.0.len(), KINDS_AT_ONCE + 1);
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let (mut book, now) = (Book::default(), Instant::now());
        book.note(&refused("A", "/x"), now);
        let (key, one) = book.due(now, WINDOW).pop().unwrap();
        book.give_back(key, one, now + AGAIN);
        let from = From::User("unix:alice".into());
        book.note(&Refused { from: &from, ..refused("A", "/x") }, now);
        assert!(told(book.due(now, WINDOW)).is_empty());
        assert_eq!(told(book.due(now + AGAIN, WINDOW)), [("/x".to_owned(), 2, false)]);
    }

    #[test]
    fn only_who_may_not_is_turned_away() {
        for (status, code, is) in [
            (401, "TG-AUTH-001", true),
            (401, "TG-HOOK-002", true),
            (403, "TG-AUTH-010", true),
            (421, "TG-HTTP-006", true),
            (429, "TG-AUTH-005", true),
            (429, "TG-PLAN-002", false),
            (404, "TG-ASK-001", false),
            (400, "TG-AUTH-007", false),
        ] {
            assert_eq!(is_one(StatusCode::from_u16(status).unwrap(), code), is, "{status} {code}");
        }
    }
}
