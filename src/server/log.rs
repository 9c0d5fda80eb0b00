//! The log of a run over HTTP: the file's bytes as they are, whole, a range of them, or as they come until the run ends.
//! Never a file outside the state folder's `logs`.

mod holes;

use super::Server;
use super::guard::Caller;
use super::problem::Problem;
use crate::bus::{Item, Start, Subscription};
use crate::domain::RunId;
use crate::journal::Filter;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use std::io::{self, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::time::timeout;

/// Bytes read at once.
const PIECE_BYTES: usize = 64 << 10;

/// The file is looked at again after this long even if nothing was heard of the run.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where a log is.
pub(super) struct LogFile {
    run: RunId,
    path: PathBuf,
    /// Of the whole, once it is complete.
    whole: Option<Whole>,
}

/// What the journal says of a log that is complete.
pub(super) struct Whole {
    /// Its length.
    pub(super) bytes: Option<u64>,
    /// Its SHA-256, in hex.
    pub(super) sha256: String,
}

impl LogFile {
    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that a `log_ref` means. A `log_ref` comes from the journal, but the journal may be a restored one: what
    /// leads out of `logs`, by its text or by a link, is not followed.
    pub(super) fn find(
        state: &Path,
        run: RunId,
        log_ref: &str,
        whole: Option<Whole>,
    ) -> Result<LogFile, Problem> {
        let relative = Path::new(log_ref);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || !relative.starts_with("logs") {
            return Err(Problem::no_log(run.0));
        }
        let inside = || {
            let logs = state.join("logs").canonicalize().ok()?;
            let path = state.join(relative).canonicalize().ok()?;
            (path.starts_with(logs) && path.is_file()).then_some(path)
        };
        let path = inside().ok_or_else(|| Problem::no_log(run.0))?;
        Ok(LogFile { run, path, whole })
    }
}

/// What of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// All of it.
    Whole,
    /// From the first byte to the one after the last.
    Range(u64, u64),
    /// Nothing that is there.
    Unsatisfiable,
}

/// Answers with the log, or the part of it that is asked for.
pub(super) async fn answer(
    server: Arc<Server>,
    log: LogFile,
    method: Method,
    headers: &HeaderMap,
    follow: bool,
    caller: Caller,
) -> Result<Response, Problem> {
    let is_running = |server: &Server| server.engine.read(|state| state.running.contains_key(&log.run));
    // Listening begins before looking, so that an end in between is not missed.
    let subscription = follow.then(|| listen_to(&server, log.run)).transpose()?;
    let grows = is_running(&server);
    let (file, length) = open(&log).await?;
    // A file that is not as long as the journal says is what a disk kept of it, and not what the digest is of.
    let whole = log.whole.as_ref().filter(|whole| !grows && whole.bytes.is_none_or(|bytes| bytes == length));
    let whole = match whole {
        Some(whole) if !holes::is_what_was_written(&log.path, length, &whole.sha256).await => None,
        whole => whole,
    };
    let etag = whole.map(|whole| format!("\"{}\"", whole.sha256));
    if let Some(etag) = &etag
        && is_known(headers, etag)
    {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag.clone())]).into_response());
    }
    // Only of what is sent can there be a part.
    let part = if method == Method::GET { part(headers, etag.as_deref(), length) } else { Part::Whole };
    let (status, from, to) = match part {
        Part::Whole => (StatusCode::OK, 0, length),
        Part::Range(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
        Part::Unsatisfiable => {
            let detail = format!("the log has {length} bytes");
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            return Err(Problem::new(status, "TG-HTTP-018", detail, "ask for what is there")
                .with(header::CONTENT_RANGE, &format!("bytes */{length}")));
        }
    };
    let endless = follow && grows && to == length;
    let body = match subscription {
        _ if method == Method::HEAD => Body::empty(),
        Some(subscription) if endless => {
            let tail = Tail { server, run: log.run, subscription, is_over: false, caller };
            stream(file, from, u64::MAX, Some(tail)).await
        }
        _ => stream(file, from, to, None).await,
    };
    let mut response = (status, body).into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let disposition = format!("inline; filename=\"run-{}.log\"", log.run);
    out.insert(header::CONTENT_DISPOSITION, ascii(&disposition));
    if let Some(etag) = etag {
        out.insert(header::ETAG, ascii(&etag));
    }
    if !endless {
        out.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let complete = if grows { "*".to_owned() } else { length.to_string() };
        out.insert(header::CONTENT_RANGE, ascii(&format!("bytes {from}-{}/{complete}", to - 1)));
    }
    Ok(response)
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("BUG: a header of ours is not plain text")
}

async fn open(log: &LogFile) -> Result<(File, u64), Problem> {
    let opened = async {
        let file = File::open(&log.path).await?;
        let length = file.metadata().await?.len();
        io::Result::Ok((file, length))
    };
    opened.await.map_err(|error| {
        tracing::warn!(path = %log.path.display(), %error, "cannot read a log");
        Problem::no_log(log.run.0)
    })
}

/// Whether `If-None-Match` names it, among others or as `*`. A mark of weakness means nothing here.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = lists.flat_map(|list| list.split(',')).map(str::trim);
    known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
}

/// What `Range` asks for. Several ranges, or one that cannot be read, ask for all; so does one of another file than
/// `If-Range` names.
fn part(headers: &HeaderMap, etag: Option<&str>, length: u64) -> Part {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|known| Some(known) != etag) {
        return Part::Whole;
    }
    let range = text(header::RANGE).and_then(|range| range.strip_prefix("bytes="));
    let Some((from, to)) = range.and_then(|range| range.trim().split_once('-')) else { return Part::Whole };
    let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(from) || !is_number(to) {
        return Part::Whole;
    }
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match (from, to) {
        ("", "") => Part::Whole,
        ("", _) if number(to) == 0 || length == 0 => Part::Unsatisfiable,
        ("", last) => Part::Range(length.saturating_sub(number(last)), length),
        (from, "") if number(from) < length => Part::Range(number(from), length),
        (from, to) if !to.is_empty() && number(to) < number(from) => Part::Whole,
        (from, to) if number(from) < length => {
            Part::Range(number(from), number(to).saturating_add(1).min(length))
        }
        _ => Part::Unsatisfiable,
    }
}

/// A log that grows.
struct Tail {
    server: Arc<Server>,
    run: RunId,
    subscription: Subscription,
    is_over: bool,
    caller: Caller,
}

fn listen_to(server: &Server, run: RunId) -> Result<Subscription, Problem> {
    let filter = Filter { run: Some(run.0), ..Filter::default() };
    let start = Start { filter, ..Start::live() };
    server.engine.bus().subscribe(start).map_err(|error| super::events::future(&error))
}

impl Tail {
    /// Waits until there may be more in the file; false: there will be no more.
    async fn wait(&mut self) -> bool {
        if self.is_over {
            return false;
        }
        if !self.caller.still_holds(&self.server) {
            return false;
        }
        tokio::select! {
            biased;
            () = self.server.shutdown.cancelled() => return false,
            heard = timeout(LOOK_AGAIN, self.subscription.next()) => {
                if matches!(heard, Ok(Item::Ended | Item::Failed(_))) {
                    return false;
                }
            }
        }
        // All that is in the bus is in the file already: one look is enough for it.
        while self.subscription.next_now().is_some_and(|item| item != Item::Ended) {}
        // Then the file is complete, and is read once more.
        self.is_over = self.server.engine.read(|state| !state.running.contains_key(&self.run));
        true
    }
}

struct Reading {
    file: File,
    left: u64,
    tail: Option<Tail>,
}

/// The bytes from one place on, at most so many; with a tail until the run has ended.
async fn stream(mut file: File, from: u64, to: u64, tail: Option<Tail>) -> Body {
    if let Err(error) = file.seek(SeekFrom::Start(from)).await {
        return Body::from_stream(futures_util::stream::iter([io::Result::<Bytes>::Err(error)]));
    }
    let reading = Reading { file, left: to - from, tail };
    Body::from_stream(unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(reading))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.left > 0 {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let most = self.left.min(PIECE_BYTES as u64);
            (&mut self.file).take(most).read_to_end(&mut piece).await?;
            if !piece.is_empty() {
                self.left -= piece.len() as u64;
                return Ok(Some(piece.into()));
            }
            let Some(tail) = &mut self.tail else {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the log became shorter"));
            };
            if !tail.wait().await {
                return Ok(None);
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &'static str) -> Part {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static(range));
        part(&headers, Some("\"x\""), 10)
    }

    #[test]
    fn ranges_mean_what_the_standard_says() {
        assert_eq!(asked("bytes=0-3"), Part::Range(0, 4));
        assert_eq!(asked("bytes=7-"), Part::Range(7, 10));
        assert_eq!(asked("bytes=-3"), Part::Range(7, 10));
        assert_eq!(asked("bytes=-30"), Part::Range(0, 10));
        assert_eq!(asked("bytes=5-99999999999999999999999"), Part::Range(5, 10));
        for whole in ["bytes=0-1,3-4", "lines=1-2", "bytes=x-", "bytes=4-2", "bytes=-", "bytes=+1-2"] {
            assert_eq!(asked(whole), Part::Whole, "{whole}");
        }
        for none in ["bytes=10-", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(asked(none), Part::Unsatisfiable, "{none}");
        }
    }

    #[test]
    fn what_is_known_is_found_among_others() {
        let known = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            is_known(&headers, "\"x\"")
        };
        for good in ["\"x\"", "\"y\", \"x\"", "W/\"x\"", "*"] {
            assert!(known(good), "{good}");
        }
        for other in ["\"y\"", "x", "", "\"xx\""] {
            assert!(!known(other), "{other}");
        }
    }

    #[test]
    fn a_range_of_another_file_asks_for_all() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-3"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"y\""));
        assert_eq!(part(&headers, Some("\"x\""), 10), Part::Whole);
    }

    #[test]
    fn a_log_is_never_outside_of_logs() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temp.path().join("logs/shop")).unwrap();
        std::fs::write(temp.path().join("token"), "secret").unwrap();
        std::fs::write(temp.path().join("logs/shop/1.log"), "text").unwrap();
        std::os::unix::fs::symlink(temp.path().join("token"), temp.path().join("logs/shop/2.log")).unwrap();
        let find = |log_ref: &str| LogFile::find(temp.path(), RunId(1), log_ref, None);
        assert!(find("logs/shop/1.log").is_ok());
        for bad in ["token", "logs/../token", "/etc/passwd", "logs/shop/2.log", "logs", "logs/shop", ""] {
            assert!(find(bad).is_err(), "{bad}");
        }
    }
}
