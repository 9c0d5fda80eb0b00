//! `POST /webhook/{forge}`: a forge tells of a push. Its signature is the key to this door; what it says is only a hint
//! to look: git is asked where the ref stands now, and that counts. So a delivery that is forged, repeated, late or out
//! of order moves nothing that did not move.
//!
//! A forge waits some ten seconds for an answer. Fetching may take longer, and a repository may be out of reach: then the
//! answer is that it is being looked at (202, `looking`), and before that is said `look_owed` is in the journal. Whatever
//! happens then, a look follows, and `look_done` says what came of it.
//!
//! Known race: two looks at one ref at once. The engine takes the first, and the second looks again.

pub(super) mod payload;
mod signature;

use super::Server;
use super::asking::{check_type, read_body};
use super::once::Key;
use super::problem::{Problem, shorten};
use super::pushes::{Candidate, Delivered, LookError};
use super::rebuild::{Accepted, Ignored, RebuildAnswer};
use crate::domain::pipeline::Forge;
use crate::domain::{Actor, PipelineName, Role, Time};
use crate::settings::{Secret, SecretPlace};
use crate::source;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::iter;
use payload::{Moved, Told};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use signature::{Fault, Proof};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::spawn_blocking;
use tokio::time::{timeout, timeout_at};

/// Pipelines whose repositories are looked at at once.
const AT_ONCE: usize = 8;

/// Bodies up to this many bytes are read without asking for room.
const SMALL_BODY: usize = 64 << 10;

/// Bytes of larger bodies, whose signature is not checked yet, in memory at once.
pub(super) const ROOM: usize = 64 << 20;

/// What came of a look at one repository; none: it took too long.
type Looked = Result<Option<RebuildAnswer>, LookError>;

/// What became of a delivery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryAnswer {
    /// The pipelines that take it.
    pub accepted: Vec<Accepted>,
    /// The pipelines that do not.
    pub ignored: Vec<Ignored>,
    /// The pipelines whose repositories are still to be looked at. The journal says so too, with `look_owed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looking: Vec<PipelineName>,
    /// Why no pipeline is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl DeliveryAnswer {
    /// Whether every pipeline that is concerned took it. Else git may say something else the next time, and a look that
    /// finds nothing new moves nothing: whoever delivers it again is heard.
    fn is_final(&self) -> bool {
        !self.accepted.is_empty() && self.ignored.is_empty() && self.looking.is_empty()
    }

    fn because(reason: String) -> DeliveryAnswer {
        DeliveryAnswer { reason: Some(reason), ..DeliveryAnswer::default() }
    }
}

/// Takes a delivery.
pub(super) async fn deliver(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let forge = Forge::named(&name).ok_or_else(Problem::no_such_path)?;
    let place = server.options.webhooks.secret_of(forge).ok_or_else(|| not_configured(forge))?;
    let (parts, body) = request.into_parts();
    let proof = Proof::of(forge, &parts.headers)?;
    let unproven = {
        let limits = &server.options.limits;
        let room = room(&server, &parts.headers)?;
        let reading = read_body(parts.headers.clone(), body, limits.delivery_bytes);
        let body = timeout(limits.body, reading).await.map_err(|_| Problem::slow_body())??;
        Unproven { body, room }
    };
    let now = server.options.clock.now();
    let body = prove(&server, forge, place.clone(), proof, unproven, now).await?;
    is_json(&parts.headers)?;
    let moved = match payload::read(forge, &parts.headers, &body)? {
        Told::Nothing(reason) => return Ok(axum::Json(DeliveryAnswer::because(reason)).into_response()),
        Told::Moved(moved) => moved,
    };
    let key = delivery_key(forge, &parts.headers, &body);
    let asked = (parts.uri.path().to_owned(), String::new());
    server.once.run_with(key, asked, DeliveryAnswer::is_final, take(server.clone(), moved)).await
}

/// A body of which nobody knows yet where it comes from. While it is that it takes up room.
struct Unproven {
    body: Vec<u8>,
    room: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Unproven {
    /// The body, if the proof holds.
    fn proven(self, proof: &Proof, secret: &Secret, now: Time) -> Result<Vec<u8>, Fault> {
        let Unproven { body, room } = self;
        let judged = proof.judge(secret, &body, now);
        drop(room);
        judged.map(|()| body)
    }
}

/// Reads the secret and has the proof judged, on a thread of its own: a disk may be slow, and a body large.
async fn prove(
    server: &Server,
    forge: Forge,
    place: SecretPlace,
    proof: Proof,
    unproven: Unproven,
    now: Time,
) -> Result<Vec<u8>, Problem> {
    let judging = move || place.read(forge).map(|secret| unproven.proven(&proof, &secret, now));
    let judged = spawn_blocking(judging).await.expect("BUG: judging a signature panicked");
    let judged = judged.map_err(|error| {
        let (code, help) = (error.code(), error.help());
        tracing::error!(code, help, "no delivery of {forge} is taken: failed to {error}");
        no_secret(code)
    })?;
    judged.map_err(|fault| server.wrong_tokens.counted(Instant::now(), signature::refused(forge, fault)))
}

/// Room for a large body until it is known where it comes from.
fn room(server: &Server, headers: &HeaderMap) -> Result<Option<tokio::sync::OwnedSemaphorePermit>, Problem> {
    let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let limit = server.options.limits.delivery_bytes;
    let bytes: usize = said.unwrap_or(limit).min(limit);
    if bytes <= SMALL_BODY {
        return Ok(None);
    }
    let bytes = u32::try_from(bytes.min(ROOM)).expect("BUG: the room is below 4 GiB");
    server.deliveries.clone().try_acquire_many_owned(bytes).map(Some).map_err(|_| {
        let detail = "too many large deliveries at once";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "TG-HOOK-006", detail, "deliver it again in a moment")
            .with(header::RETRY_AFTER, "5")
    })
}

/// A form is what GitHub sends unless told otherwise, so that gets its own way out.
fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return check_type(headers);
    }
    let detail = "a delivery as a form is not taken";
    let help = "choose the content type `application/json` in the settings of the webhook at the forge";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "TG-HTTP-005", detail, help))
}

/// Names a delivery, so that a repeated one is answered as the first. The body is part of it: who repeats a name with
/// another body says something new.
fn delivery_key(forge: Forge, headers: &HeaderMap, body: &[u8]) -> Option<Key> {
    let names: &[&str] = match forge {
        Forge::Github => &["x-github-delivery"],
        Forge::Gitlab => &["webhook-id", "idempotency-key", "x-gitlab-event-uuid"],
        Forge::Gitea => &["x-gitea-delivery"],
        Forge::Forgejo => &["x-forgejo-delivery", "x-gitea-delivery"],
    };
    let id = names.iter().find_map(|name| headers.get(*name)?.to_str().ok()).filter(|id| id.len() <= 128)?;
    Some((format!("webhook {forge}"), format!("{id} {:x}", Sha256::digest(body))))
}

/// Looks for every pipeline of the repository, and answers within the time that a forge waits.
async fn take(server: Arc<Server>, moved: Moved) -> Result<(StatusCode, DeliveryAnswer), Problem> {
    let concerned = concerned(&server, &moved).await;
    if concerned.is_empty() {
        let url = shorten(&source::Location::parse(&moved.urls[0])?.shown());
        let reason = format!("no pipeline's `repo` in `[source]` is `{url}` or another address of it");
        return Ok((StatusCode::ACCEPTED, DeliveryAnswer::because(reason)));
    }
    let by = Actor { name: moved.by.clone(), role: Role::Trigger, email: None };
    let answer = look(&server, &by, &moved, concerned).await?;
    if !answer.looking.is_empty() {
        // The forge believes that it was heard: from here on that holds whatever happens.
        server.pushes.owe(&by, &answer.looking, &moved.ref_name, &moved.after).await?;
    }
    Ok((StatusCode::ACCEPTED, answer))
}

/// The pipelines of that repository, by any of its addresses.
async fn concerned(server: &Server, moved: &Moved) -> Vec<Candidate> {
    let mut candidates = server.pushes.candidates(Some(&moved.ref_name));
    let urls = moved.urls.clone();
    let narrowed = spawn_blocking(move || {
        // Looks at the disk.
        candidates.retain(|it| urls.iter().any(|url| source::same_repo(&it.definition.source.repo, url)));
        candidates
    });
    narrowed.await.expect("BUG: comparing repositories panicked")
}

/// A pipeline for which git did not answer in time, or could not, is still to be looked at: a forge seldom delivers again,
/// and a host, a credential or a disk may be mended. Only what cannot become right is refused, as the answer where it is
/// so for all.
async fn look(
    server: &Server,
    by: &Actor,
    moved: &Moved,
    candidates: Vec<Candidate>,
) -> Result<DeliveryAnswer, LookError> {
    let deadline = tokio::time::Instant::now() + server.options.limits.delivery;
    let (after, before) = (Some(moved.after.as_str()), moved.before.as_deref());
    let told = Delivered { ref_name: &moved.ref_name, after, before };
    let looks = iter(candidates).map(async |candidate| {
        let looked = timeout_at(deadline, server.pushes.look(by, &candidate, &told)).await;
        (candidate.name, looked.map_or(Ok(None), |looked| looked.map(Some)))
    });
    let mut looks: Vec<_> = looks.buffer_unordered(AT_ONCE).collect().await;
    looks.sort_by(|(a, _), (b, _)| a.cmp(b));
    sorted(looks)
}

/// What came of looks, with none for those that took too long.
fn sorted(looks: Vec<(PipelineName, Looked)>) -> Result<DeliveryAnswer, LookError> {
    let is_refused = |looked: &Looked| looked.as_ref().is_err_and(LookError::is_final);
    let all_refused = looks.iter().all(|(_, looked)| is_refused(looked));
    let mut answer = DeliveryAnswer::default();
    for (pipeline, looked) in looks {
        match looked {
            Ok(Some(mut one)) => {
                answer.accepted.append(&mut one.accepted);
                answer.ignored.append(&mut one.ignored);
            }
            Err(error) if all_refused => return Err(error),
            Err(error) if error.is_final() => {
                answer.ignored.push(Ignored { pipeline, reason: format!("failed to {error}") });
            }
            Ok(None) | Err(_) => answer.looking.push(pipeline),
        }
    }
    Ok(answer)
}

fn not_configured(forge: Forge) -> Problem {
    let detail = format!("deliveries of {forge} are not taken: no secret is configured");
    let help = format!("say `[webhook.{forge}]` and `secret = {{ file = \"…\" }}` in `tidegate.toml`");
    Problem::new(StatusCode::NOT_FOUND, "TG-HOOK-004", detail, help)
}

/// What is wrong with the secret is for the controller's log, not for whoever knocks.
fn no_secret(code: &'static str) -> Problem {
    let detail = "the secret of this webhook cannot be read";
    let help = "the controller's log says why";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail, help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Error;
    use axum::http::HeaderName;
    use tokio::sync::Semaphore;

    #[test]
    fn what_may_become_right_is_owed_and_the_rest_is_refused() {
        let nowhere = || "https://forge.example/shop".to_owned();
        let refused = || Error::BadGlob { glob: "[".into(), why: "it does not end".into() };
        let down = || Error::Unreachable { location: nowhere(), detail: "timed out".into() };
        let out = || Error::AuthFailed { location: nowhere(), detail: "who are you".into() };
        let gone = || Error::NotARepository { location: nowhere() };
        let looks = |all: Vec<Result<(), Error>>| {
            let each = all.into_iter().zip(["a", "b", "c"]);
            let looked = |one: Result<(), Error>| one.map(|()| None).map_err(LookError::from);
            sorted(each.map(|(one, name)| (PipelineName::from(name), looked(one))).collect())
        };
        let owed = |all| looks(all).unwrap().looking.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(owed(vec![Err(down()), Err(out()), Err(gone())]), ["a", "b", "c"]);
        assert_eq!(owed(vec![Ok(()), Err(refused()), Err(down())]), ["a", "c"]);
        let answer = looks(vec![Ok(()), Err(refused())]).unwrap();
        assert!(answer.ignored[0].reason.contains("the glob `[`"), "{answer:?}");
        assert_eq!(looks(vec![Err(refused()), Err(refused())]).unwrap_err().code(), "TG-GIT-018");
    }

    #[test]
    fn a_body_takes_up_room_until_it_is_known_where_it_comes_from() {
        let semaphore = Arc::new(Semaphore::new(ROOM));
        let header = (HeaderName::from_static("x-gitlab-token"), "guess".parse().unwrap());
        let proof = Proof::of(Forge::Gitlab, &HeaderMap::from_iter([header])).unwrap();
        for (secret, is_good) in [("guess", true), ("another", false)] {
            let room = semaphore.clone().try_acquire_many_owned(1 << 20).unwrap();
            let unproven = Unproven { body: b"{}".to_vec(), room: Some(room) };
            assert_eq!(semaphore.available_permits(), ROOM - (1 << 20));
            let proven = unproven.proven(&proof, &Secret::of(secret).unwrap(), Time::UNIX_EPOCH);
            assert_eq!(proven.is_ok(), is_good);
            assert_eq!(semaphore.available_permits(), ROOM);
        }
    }
}
