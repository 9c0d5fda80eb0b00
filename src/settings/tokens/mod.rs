//! Tokens: who may do what. The owner's token is a file of its own, made at the first start; those given to others are
//! a list of digests, changed by the command line and re-read by the server as soon as the file has changed.
//!
//! A token itself is shown once, when it is made, and never stored here. A list that cannot be read lets nobody in.
//! What each role may do over HTTP is decided by the server.

mod end;
mod error;
mod file;
mod session;
mod used;

pub use crate::domain::Role;
pub use end::end_of;
pub use error::TokenError;
pub use file::{Privacy, read_token_file};
pub use used::LastUses;

use super::StateDir;
use crate::domain::{Names, Scope};
use chrono::{DateTime, Utc};
use file::Stamp;
use serde::{Deserialize, Serialize};
use session::SessionKey;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq as _;
use used::Uses;

/// The name under which the owner's token acts.
pub const OWNER: &str = "owner";

/// What starts the names of users of this machine, who need no token.
pub const USERS: &str = "unix:";

/// What starts every token, so that scanners for leaked secrets know one.
const PREFIX: &str = "tgt_";

/// No token that somebody presents is looked at beyond this length, in bytes.
const PRESENTED_LIMIT_BYTES: usize = 512;

/// A token in the clear. It shows itself only to whoever asks by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one: 32 bytes from the system's random source, in hex.
    pub(super) fn generate() -> Result<Self, TokenError> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(|error| TokenError::NoRandom { cause: error.to_string() })?;
        Ok(Self(format!("{PREFIX}{}", hex(&bytes))))
    }

    /// A secret that somebody else made; none for what is empty or has spaces or odd characters in it.
    pub fn of(text: &str) -> Option<Self> {
        let is_one = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_one.then(|| Self(text.to_owned()))
    }

    /// The token itself, for a header or for the one time it is printed.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 of a token; in files as hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct TokenDigest([u8; 32]);

impl TokenDigest {
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

impl From<TokenDigest> for String {
    fn from(digest: TokenDigest) -> Self {
        hex(&digest.0)
    }
}

impl TryFrom<String> for TokenDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let wrong = "a digest is 64 hex digits";
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong);
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).map_err(|_| wrong)?;
        }
        Ok(Self(bytes))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("BUG: writing to a string failed");
        text
    })
}

/// One token that was given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Who or what it was given to; stands as `by` in events.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The holder's address, for rules that ask whether the author confirms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// If there, the token may only ask for builds of this repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// The pipelines that it sees and acts on; none: all.
    #[serde(default, skip_serializing_if = "Names::is_all")]
    pub pipelines: Names,
    /// The tiers that it acts on, and on nothing of a whole pipeline then; none: all.
    #[serde(default, skip_serializing_if = "Names::is_all")]
    pub tiers: Names,
    /// From when on it is worthless; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    sha256: TokenDigest,
}

impl Entry {
    /// What it is limited to.
    pub fn scope(&self) -> Scope {
        Scope { pipelines: self.pipelines.clone(), tiers: self.tiers.clone() }
    }

    /// What stands for a user of this machine, who needs no token; nothing that somebody presents is equal to it.
    pub fn of_user(name: &str, role: Role) -> Entry {
        Entry { name: name.to_owned(), role, ..owner_entry(TokenDigest([0; 32])) }
    }

    /// Whether it has ended by then.
    pub fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// Whose a token is that somebody presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Nobody's.
    Unknown,
    /// Theirs, and it is good.
    Good(Entry),
    /// Theirs, and it has ended.
    Ended(Entry),
}

impl Shown {
    /// Theirs, if it is good.
    pub fn good(self) -> Option<Entry> {
        match self {
            Self::Good(entry) => Some(entry),
            Self::Unknown | Self::Ended(_) => None,
        }
    }

    fn of(found: Option<Entry>, now: DateTime<Utc>) -> Self {
        match found {
            None => Self::Unknown,
            Some(entry) if entry.has_ended(now) => Self::Ended(entry),
            Some(entry) => Self::Good(entry),
        }
    }
}

/// How a token stands that was good before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// As it was.
    Good,
    /// It was taken back, or changed.
    Revoked,
    /// It has ended.
    Ended,
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Who or what it is for: 1 to 64 letters, digits and `.`, `_`, `-`, `@`, `+`, `:`, `/`.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The holder's address.
    pub email: Option<String>,
    /// The only repository it may ask builds for.
    pub repo: Option<String>,
    /// When it is made.
    pub created_at: DateTime<Utc>,
    /// The pipelines that it is limited to, names or globs; none: all.
    pub pipelines: Vec<String>,
    /// The tiers that it may act on, names or globs; none: all.
    pub tiers: Vec<String>,
    /// When it ends: after it is made, and not later than [`Span::MAX`](crate::domain::Span::MAX) after that.
    pub expires_at: Option<DateTime<Utc>>,
}

impl NewToken {
    /// One without an address, that is limited to nothing and never ends.
    pub fn new(name: impl Into<String>, role: Role, created_at: DateTime<Utc>) -> Self {
        let (name, pipelines, tiers) = (name.into(), Vec::new(), Vec::new());
        Self { name, role, email: None, repo: None, created_at, pipelines, tiers, expires_at: None }
    }
}

/// All tokens of one state folder. Shared by reference between threads; every call sees the files as they are now.
#[derive(Debug)]
pub struct Tokens {
    state: StateDir,
    cache: Mutex<Cache>,
    uses: Uses,
}

#[derive(Debug, Default)]
struct Cache {
    owner: Option<Owner>,
    list: Option<(Stamp, Vec<Entry>)>,
}

#[derive(Debug)]
struct Owner {
    stamp: Stamp,
    digest: TokenDigest,
    key: SessionKey,
}

impl Tokens {
    /// The tokens of `state`, which must have been prepared. Makes the owner's token if there is none yet, and refuses
    /// files that others can read.
    pub fn open(state: &StateDir) -> Result<Self, TokenError> {
        file::make_owner_token(state)?;
        let tokens = Self { state: state.clone(), cache: Mutex::default(), uses: Uses::default() };
        tokens.with_cache(|_| ())?;
        Ok(tokens)
    }

    /// Whose token `presented` is. Takes the same time for every wrong one.
    pub fn lookup(&self, presented: &str, now: DateTime<Utc>) -> Result<Shown, TokenError> {
        if presented.len() > PRESENTED_LIMIT_BYTES {
            return Ok(Shown::Unknown);
        }
        let digest = TokenDigest::of(presented);
        self.with_cache(|cache| Shown::of(cache.find(digest), now))
    }

    /// How `entry`, once answered by [`Self::lookup`], stands now: for connections that last.
    pub fn holding(&self, entry: &Entry, now: DateTime<Utc>) -> Result<Holding, TokenError> {
        self.with_cache(|cache| match cache.find(entry.sha256) {
            Some(found) if found != *entry => Holding::Revoked,
            None => Holding::Revoked,
            Some(found) if found.has_ended(now) => Holding::Ended,
            Some(_) => Holding::Good,
        })
    }

    /// Every token that was given out, in the order made; the owner's is not among them.
    pub fn list(&self) -> Result<Vec<Entry>, TokenError> {
        self.with_cache(|cache| cache.entries().to_vec())
    }

    /// Makes a token and answers it, the only time that it can be seen.
    pub fn create(&self, new: NewToken) -> Result<Secret, TokenError> {
        check_name(&new.name)?;
        let email = new.email.as_deref().map(check_email).transpose()?;
        let pipelines = Names::new(new.pipelines).map_err(TokenError::BadScope)?;
        let tiers = Names::new(new.tiers).map_err(TokenError::BadScope)?;
        new.expires_at.map(|end| end::check(end, new.created_at)).transpose()?;
        let secret = Secret::generate()?;
        file::change_list(&self.state, |entries| {
            if entries.iter().any(|entry| entry.name == new.name) {
                return Err(TokenError::NameTaken { name: new.name.clone() });
            }
            entries.push(Entry {
                name: new.name.clone(),
                role: new.role,
                email,
                repo: new.repo.clone(),
                created_at: Some(new.created_at),
                pipelines,
                tiers,
                expires_at: new.expires_at,
                sha256: secret.digest(),
            });
            Ok(())
        })?;
        Ok(secret)
    }

    /// Takes a token back. What is connected with it is to be closed by the server, see [`Self::holding`].
    pub fn revoke(&self, name: &str) -> Result<Entry, TokenError> {
        if name == OWNER {
            return Err(TokenError::Owner { path: self.state.token() });
        }
        file::change_list(&self.state, |entries| {
            let at = entries.iter().position(|entry| entry.name == name);
            at.map(|at| entries.remove(at)).ok_or_else(|| TokenError::UnknownName { name: name.to_owned() })
        })
    }

    fn with_cache<T>(&self, use_it: impl FnOnce(&Cache) -> T) -> Result<T, TokenError> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be read lets nobody in; its stamp is not kept, so it is read again next time.
        cache.refresh(&self.state)?;
        Ok(use_it(&cache))
    }
}

impl Cache {
    fn refresh(&mut self, state: &StateDir) -> Result<(), TokenError> {
        let now = Stamp::of(&state.token());
        if self.owner.as_ref().map(|owner| &owner.stamp) != now.as_ref() {
            let (secret, stamp) = file::read_token(&state.token(), Privacy::Owner)?;
            self.owner = Some(Owner { stamp, digest: secret.digest(), key: SessionKey::of(&secret) });
        }
        let now = Stamp::of(&state.tokens());
        if self.list.as_ref().map(|(stamp, _)| stamp) != now.as_ref() {
            self.list = file::read_list(&state.tokens())?;
        }
        Ok(())
    }

    fn entries(&self) -> &[Entry] {
        self.list.as_ref().map_or(&[], |(_, entries)| entries)
    }

    /// Compares with every digest, so that the time tells nothing about which one was near.
    fn find(&self, digest: TokenDigest) -> Option<Entry> {
        let is_same = |known: &TokenDigest| bool::from(known.0.ct_eq(&digest.0));
        let mut found = None;
        for entry in self.entries() {
            if is_same(&entry.sha256) {
                found = Some(entry);
            }
        }
        if self.owner.as_ref().is_some_and(|owner| is_same(&owner.digest)) {
            return Some(owner_entry(digest));
        }
        found.cloned()
    }
}

fn owner_entry(sha256: TokenDigest) -> Entry {
    Entry {
        name: OWNER.to_owned(),
        role: Role::Admin,
        email: None,
        repo: None,
        created_at: None,
        pipelines: Names::default(),
        tiers: Names::default(),
        expires_at: None,
        sha256,
    }
}

fn check_name(name: &str) -> Result<(), TokenError> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+:/".contains(&byte);
    let is_good = (1..=64).contains(&name.len()) && name.bytes().all(is_fine) && !name.starts_with('-');
    if !is_good || name == OWNER || is_of_users(name) {
        return Err(TokenError::BadName { given: name.to_owned() });
    }
    Ok(())
}

/// Whether it looks like the name of a user of this machine.
fn is_of_users(name: &str) -> bool {
    name.get(..USERS.len()).is_some_and(|head| head.eq_ignore_ascii_case(USERS))
}

fn check_email(given: &str) -> Result<String, TokenError> {
    let is_good = given.len() <= 254
        && given.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && !given.chars().any(|c| c.is_whitespace() || c.is_control() || "<>,;".contains(c));
    if is_good { Ok(given.to_owned()) } else { Err(TokenError::BadEmail { given: given.to_owned() }) }
}

#[cfg(test)]
mod tests;
