//! What a delivery says, as far as it is used: the ref, where it was and is, the addresses of the repository, and who
//! pushed. Everything else in it is left unread, so that nothing of it can get anywhere.
//!
//! Shapes as the forges document them: GitHub "Webhook events and payloads" (push), GitLab "Webhook events" (push and
//! tag events), Gitea and Forgejo "Webhooks".

use crate::domain::RefName;
use crate::domain::pipeline::Forge;
use crate::server::problem::{Problem, shorten};
use crate::server::rebuild::object_name;
use crate::source::{self, Location};
use axum::http::HeaderMap;
use serde::Deserialize;

/// Longest address of a repository that is looked at, in bytes.
const URL_LIMIT: usize = 2048;

/// Longest name of a pusher that is kept, in characters.
const PUSHER_LIMIT: usize = 64;

/// What a delivery comes to.
#[derive(Debug, PartialEq)]
pub(in crate::server) enum Told {
    /// Nothing follows, for that reason.
    Nothing(String),
    /// A branch or tag was moved or made.
    Moved(Moved),
}

/// A branch or tag was moved or made.
#[derive(Debug, PartialEq)]
pub(in crate::server) struct Moved {
    pub(in crate::server) ref_name: RefName,
    /// Where to, in full and lower case; of an annotated tag maybe its own object.
    pub(in crate::server) after: String,
    /// Where from.
    pub(super) before: Option<String>,
    /// The repository's addresses; never empty.
    pub(in crate::server) urls: Vec<String>,
    /// The forge, and who pushed: `github:ann`.
    pub(super) by: String,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "ref")]
    ref_name: Option<String>,
    before: Option<String>,
    after: Option<String>,
    repository: Option<Repository>,
    project: Option<Repository>,
    pusher: Option<Person>,
    sender: Option<Person>,
    user_username: Option<String>,
    object_kind: Option<String>,
    event_name: Option<String>,
}

/// Addresses that the forge makes. A home page, or where it was copied from, is what a user says, and not among them.
#[derive(Deserialize)]
struct Repository {
    clone_url: Option<String>,
    ssh_url: Option<String>,
    git_url: Option<String>,
    html_url: Option<String>,
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
    web_url: Option<String>,
}

impl Repository {
    fn urls(self) -> impl Iterator<Item = String> {
        let all = [
            self.clone_url,
            self.ssh_url,
            self.git_url,
            self.html_url,
            self.git_http_url,
            self.git_ssh_url,
            self.web_url,
        ];
        // A path on this machine is not for others to name.
        let is_url =
            |url: &String| url.len() <= URL_LIMIT && matches!(Location::parse(url), Ok(Location::Url(_)));
        all.into_iter().flatten().filter(is_url)
    }
}

#[derive(Deserialize)]
struct Person {
    login: Option<String>,
    username: Option<String>,
    name: Option<String>,
}

impl Person {
    fn called(self) -> Option<String> {
        self.login.or(self.username).or(self.name)
    }
}

/// What the headers call the event; GitLab says it in the body, too.
fn kind(forge: Forge, headers: &HeaderMap) -> String {
    let names: &[&str] = match forge {
        Forge::Github => &["x-github-event"],
        Forge::Gitlab => &["x-gitlab-event"],
        Forge::Gitea => &["x-gitea-event"],
        Forge::Forgejo => &["x-forgejo-event", "x-gitea-event"],
    };
    let found = names.iter().find_map(|name| headers.get(*name)?.to_str().ok());
    shorten(found.unwrap_or_default())
}

/// Reads a delivery whose signature is good.
pub(in crate::server) fn read(forge: Forge, headers: &HeaderMap, body: &[u8]) -> Result<Told, Problem> {
    let kind = kind(forge, headers);
    let other =
        |kind: &str| Told::Nothing(format!("events of the kind `{kind}` lead to nothing: `push` does"));
    match (forge, kind.as_str()) {
        (Forge::Gitlab, "Push Hook" | "Tag Push Hook" | "System Hook") => {}
        (Forge::Github, "ping") => return Ok(Told::Nothing("pong: pushes are awaited here".into())),
        (Forge::Github | Forge::Gitea | Forge::Forgejo, "push") => {}
        (_, "") => return Err(wrong("the header that names the event is missing")),
        (_, kind) => return Ok(other(kind)),
    }
    let payload = parse(body)?;
    if forge == Forge::Gitlab {
        let said = payload.object_kind.as_deref().or(payload.event_name.as_deref()).unwrap_or_default();
        if !matches!(said, "push" | "tag_push") {
            return Ok(other(&shorten(said)));
        }
    }
    moved(forge, payload)
}

fn parse(body: &[u8]) -> Result<Payload, Problem> {
    let bad = |error: serde_json::Error| match error.classify() {
        serde_json::error::Category::Data => wrong(&error.to_string()),
        _ => Problem::not_json(error.to_string()),
    };
    // A list would be read as the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::not_json("the body must be one JSON object"));
    }
    serde_json::from_slice(body).map_err(bad)
}

fn moved(forge: Forge, payload: Payload) -> Result<Told, Problem> {
    let ref_name = payload.ref_name.ok_or_else(|| wrong("`ref` is missing"))?;
    let after = payload.after.ok_or_else(|| wrong("`after` is missing"))?;
    source::check_ref(&ref_name)?;
    if !["refs/heads/", "refs/tags/"].iter().any(|prefix| ref_name.starts_with(prefix)) {
        return Ok(Told::Nothing(format!("`{}` is neither a branch nor a tag", shorten(&ref_name))));
    }
    if is_nowhere(&after) {
        return Ok(Told::Nothing(format!("`{}` was deleted: nothing is built of that", shorten(&ref_name))));
    }
    let after = full(&after)?;
    let before =
        payload.before.filter(|before| !is_nowhere(before)).map(|before| full(&before)).transpose()?;
    let repositories = [payload.repository, payload.project];
    let mut urls: Vec<String> = repositories.into_iter().flatten().flat_map(Repository::urls).collect();
    urls.dedup();
    if urls.is_empty() {
        return Err(wrong("no address of the repository is in it"));
    }
    let people = [payload.sender.and_then(Person::called), payload.pusher.and_then(Person::called)];
    let person = match forge {
        Forge::Gitlab => payload.user_username,
        Forge::Github => people.into_iter().flatten().next(),
        Forge::Gitea | Forge::Forgejo => people.into_iter().rev().flatten().next(),
    };
    Ok(Told::Moved(Moved { ref_name: ref_name.into(), after, before, urls, by: by(forge, person) }))
}

/// The forge and the person, in characters that are harmless everywhere.
fn by(forge: Forge, person: Option<String>) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "._-@+".contains(*c);
    let person: String = person.iter().flat_map(|name| name.chars()).filter(is_plain).collect();
    match &person[..person.len().min(PUSHER_LIMIT)] {
        "" => forge.as_str().to_owned(),
        person => format!("{forge}:{person}"),
    }
}

fn is_nowhere(sha: &str) -> bool {
    matches!(sha.len(), 40 | 64) && sha.bytes().all(|digit| digit == b'0')
}

/// The whole name of an object in lower case.
fn full(text: &str) -> Result<String, Problem> {
    let name = object_name(text)?;
    match name.len() {
        40 | 64 => Ok(name),
        length => Err(wrong(&format!("the name of a commit has {length} digits, need 40 or 64"))),
    }
}

/// The delivery is not what that forge sends.
fn wrong(detail: &str) -> Problem {
    let help = "is the webhook entered at that forge, and of its own kind?";
    let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
    Problem::new(status, "TG-HOOK-003", shorten(detail), help)
}

#[cfg(test)]
mod tests;
