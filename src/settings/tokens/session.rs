//! What a browser is given in place of a token: a statement, signed by this controller, that a token was shown, and until
//! when that counts. It is kept nowhere; it holds as long as the token does, so revoking one ends its sessions at once.
//!
//! The key follows from the owner's token, which is in the state folder anyway: another owner's token ends every session.

use super::{Cache, Entry, OWNER, Secret, Shown, TokenError, Tokens, hex, owner_entry};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// No statement that somebody presents is looked at beyond this length, in bytes.
const LIMIT_BYTES: usize = 256;

/// Signs statements.
#[derive(Clone, Copy)]
pub(super) struct SessionKey([u8; 32]);

impl SessionKey {
    pub(super) fn of(owner: &Secret) -> Self {
        let digest = Sha256::new().chain_update(b"tidegate session\0").chain_update(owner.expose());
        Self(digest.finalize().into())
    }

    fn mac(&self, entry: &Entry, until: i64) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("BUG: HMAC takes keys of any length");
        // Of fixed length but for the name, which is last.
        mac.chain_update(entry.sha256.0).chain_update(until.to_be_bytes()).chain_update(&entry.name)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

impl Tokens {
    /// A statement that this token was shown: letters, digits and what names of tokens hold, fit for a cookie.
    pub fn open_session(&self, entry: &Entry, until: DateTime<Utc>) -> Result<String, TokenError> {
        let until = until.timestamp();
        self.with_cache(|cache| {
            let mac = cache.session_key().mac(entry, until).finalize().into_bytes();
            format!("{until}.{}.{}", hex(&mac), entry.name)
        })
    }

    /// Whose statement that is; nobody's: it is none of ours, too old, or its token is gone.
    pub fn session(&self, presented: &str, now: DateTime<Utc>) -> Result<Shown, TokenError> {
        let Some((until, mac, name)) = parse(presented).filter(|_| presented.len() <= LIMIT_BYTES) else {
            return Ok(Shown::Unknown);
        };
        if DateTime::from_timestamp(until, 0).is_none_or(|end| end <= now) {
            return Ok(Shown::Unknown);
        }
        let found = self.with_cache(|cache| {
            let entry = cache.by_name(name)?;
            let is_ours = cache.session_key().mac(&entry, until).verify_slice(&mac).is_ok();
            is_ours.then_some(entry)
        });
        Ok(Shown::of(found?, now))
    }
}

impl Cache {
    fn session_key(&self) -> SessionKey {
        self.owner.as_ref().expect("BUG: the tokens are used before they are read").key
    }

    fn by_name(&self, name: &str) -> Option<Entry> {
        if name == OWNER {
            return self.owner.as_ref().map(|owner| owner_entry(owner.digest));
        }
        self.entries().iter().find(|entry| entry.name == name).cloned()
    }
}

fn parse(presented: &str) -> Option<(i64, [u8; 32], &str)> {
    let (until, rest) = presented.split_once('.')?;
    let (mac, name) = rest.split_once('.')?;
    let mac = super::TokenDigest::try_from(mac.to_owned()).ok()?;
    Some((until.parse().ok()?, mac.0, name))
}
