//! Whether a delivery comes from whom it says: the signature over the bytes of the body, or the token beside it. Nothing
//! of a body is looked at before that.
//!
//! Headers as the forges document them: GitHub "Validating webhook deliveries", GitLab "Webhooks" (secret token), Gitea
//! and Forgejo "Webhooks".

use crate::domain::pipeline::Forge;
use crate::server::guard::single;
use crate::server::problem::Problem;
use crate::settings::Secret;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a delivery shows to prove where it comes from.
pub(super) enum Proof {
    /// HMAC-SHA256 of the body under the secret. What is no 32 bytes in hex is empty, and never right.
    Signature(Vec<u8>),
    /// The secret itself.
    Token(String),
}

/// Headers with a signature, the first that is there counts, and what its value begins with.
fn signed_by(forge: Forge) -> &'static [(&'static str, &'static str)] {
    const GITHUB: (&str, &str) = ("x-hub-signature-256", "sha256=");
    const GITEA: (&str, &str) = ("x-gitea-signature", "");
    const FORGEJO: (&str, &str) = ("x-forgejo-signature", "");
    match forge {
        Forge::Github => &[GITHUB],
        Forge::Gitea => &[GITEA],
        Forge::Forgejo => &[FORGEJO, GITEA, GITHUB],
        Forge::Gitlab => &[],
    }
}

const GITLAB_TOKEN: &str = "x-gitlab-token";

impl Proof {
    /// Finds it among the headers: there must be exactly one of its kind.
    pub(super) fn of(forge: Forge, headers: &HeaderMap) -> Result<Proof, Problem> {
        if forge == Forge::Gitlab {
            let token =
                single(headers, &HeaderName::from_static(GITLAB_TOKEN))?.filter(|token| !token.is_empty());
            return token.map(|token| Proof::Token(token.to_owned())).ok_or_else(|| missing(forge, headers));
        }
        for (name, prefix) in signed_by(forge) {
            // A forge that was given no secret may send the header without a value.
            if let Some(value) =
                single(headers, &HeaderName::from_static(name))?.filter(|value| !value.is_empty())
            {
                let digits = value.strip_prefix(prefix).unwrap_or_default();
                return Ok(Proof::Signature(unhex(digits).unwrap_or_default()));
            }
        }
        Err(missing(forge, headers))
    }

    /// Whether it is right. Takes the same time for everything that is wrong.
    pub(super) fn holds(&self, secret: &Secret, body: &[u8]) -> bool {
        match self {
            Proof::Signature(signature) => {
                let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
                let mac = mac.expect("BUG: a key of any length is taken").chain_update(body);
                mac.verify_slice(signature).is_ok()
            }
            Proof::Token(token) => {
                // Of their digests, so that not even the length shows.
                let digest = |text: &str| Sha256::digest(text.as_bytes());
                digest(token).ct_eq(&digest(secret.expose())).into()
            }
        }
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn missing(forge: Forge, headers: &HeaderMap) -> Problem {
    let wanted = match signed_by(forge) {
        [] => GITLAB_TOKEN,
        [(name, _), ..] => name,
    };
    let detail = match headers.contains_key("x-hub-signature") && forge == Forge::Github {
        true => format!("the header `{wanted}` is missing; a SHA-1 signature alone is not taken"),
        false => format!("the header `{wanted}` is missing"),
    };
    let help = "enter the secret of this webhook at the forge";
    unauthorized("TG-HOOK-001", detail, help)
}

/// The signature or token is wrong.
pub(super) fn mismatch(forge: Forge) -> Problem {
    let detail = "the signature or token of the delivery is wrong".to_owned();
    let help = format!("enter the same secret at the forge as `[webhook.{forge}]` in `tidegate.toml` names");
    unauthorized("TG-HOOK-002", detail, &help)
}

fn unauthorized(code: &'static str, detail: String, help: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, detail, help)
        .with(header::WWW_AUTHENTICATE, "Webhook-Signature realm=\"tidegate\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn code(forge: Forge, pairs: &[(&str, &str)]) -> String {
        Proof::of(forge, &headers(pairs)).err().map(|problem| problem.code().to_owned()).unwrap_or_default()
    }

    fn holds(forge: Forge, pairs: &[(&str, &str)], secret: &str, body: &[u8]) -> bool {
        Proof::of(forge, &headers(pairs)).unwrap().holds(&Secret::of(secret).unwrap(), body)
    }

    /// The example of GitHub's documentation: secret, body, signature.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn signed(secret: &str, body: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_documented_example_is_right() {
        assert_eq!(signed(SECRET, BODY), SIGNATURE);
    }

    #[test]
    fn each_forge_signs_in_its_own_way() {
        let good = signed("s3cret", BODY);
        let prefixed = format!("sha256={good}");
        for (forge, name, value) in [
            (Forge::Github, "x-hub-signature-256", &prefixed),
            (Forge::Gitea, "x-gitea-signature", &good),
            (Forge::Forgejo, "x-forgejo-signature", &good),
            (Forge::Forgejo, "x-gitea-signature", &good),
            (Forge::Forgejo, "x-hub-signature-256", &prefixed),
            (Forge::Gitlab, "x-gitlab-token", &"s3cret".to_owned()),
        ] {
            assert!(holds(forge, &[(name, value)], "s3cret", BODY), "{forge} {name}");
            assert!(!holds(forge, &[(name, value)], "s3cre", BODY), "{forge} {name}");
            assert!(!holds(forge, &[(name, &value[..value.len() - 1])], "s3cret", BODY), "{forge} {name}");
            assert_eq!(holds(forge, &[(name, value)], "s3cret", b"Hello"), forge == Forge::Gitlab);
            assert_eq!(code(forge, &[(name, value), (name, value)]), "TG-HTTP-012", "{forge}: twice");
            assert_eq!(code(forge, &[(name, "")]), "TG-HOOK-001", "{forge}: no value");
            assert_eq!(code(forge, &[]), "TG-HOOK-001");
        }
        assert!(!holds(Forge::Github, &[("x-hub-signature-256", &good)], "s3cret", BODY), "no prefix");
        assert_eq!(code(Forge::Github, &[("x-hub-signature-256", "sha256=é")]), "TG-HTTP-012");
    }

    #[test]
    fn a_bad_signature_is_not_saved_by_a_good_one_of_another_kind() {
        let good = signed("s3cret", BODY);
        let both = [("x-forgejo-signature", "00"), ("x-gitea-signature", good.as_str())];
        assert!(!holds(Forge::Forgejo, &both, "s3cret", BODY));
    }

    #[test]
    fn an_old_algorithm_alone_is_refused() {
        assert_eq!(code(Forge::Github, &[("x-hub-signature", "sha1=00")]), "TG-HOOK-001");
        assert_eq!(code(Forge::Gitea, &[("x-hub-signature-256", "sha256=00")]), "TG-HOOK-001");
    }
}
