//! Whether a delivery comes from whom it says: the signature over the bytes of the body, or the token beside it. Nothing
//! of a body is looked at before that.
//!
//! Headers as the forges document them: GitHub "Validating webhook deliveries", GitLab "Webhooks" (secret token), Gitea
//! and Forgejo "Webhooks". GitLab's signing token follows "Standard Webhooks" (gitlab.com/gitlab-org/gitlab, merge
//! requests 230944 and 231325): the token is `whsec_` and 32 bytes in base64, and `webhook-signature` is `v1,` and the
//! HMAC-SHA256 in base64 of `webhook-id`, `webhook-timestamp` and the body, with a full stop between them.

use crate::domain::Time;
use crate::domain::pipeline::Forge;
use crate::server::guard::single;
use crate::server::problem::Problem;
use crate::settings::{Secret, signing_key, unbase64};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a delivery shows to prove where it comes from.
pub(super) enum Proof {
    /// HMAC-SHA256 of the body under the secret. What is no 32 bytes in hex is empty, and never right.
    Signature(Vec<u8>),
    /// The secret itself, or a signature with a time, or both: which of them counts is up to the secret.
    Gitlab {
        /// The secret itself.
        token: Option<String>,
        /// A signature with a time.
        signed: Option<Signed>,
    },
}

/// A signature over the name of a delivery, a moment, and the body.
pub(super) struct Signed {
    id: String,
    moment: String,
    /// One or more, with a space between them: `v1,` and base64.
    signatures: String,
}

/// What is wrong with a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not of this secret.
    Wrong,
    /// It is of this secret, and of another time.
    OutOfTime,
}

/// How old a signature with a time may be, or how far ahead: as "Standard Webhooks" has it.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

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
        let value = |name: &'static str| -> Result<Option<String>, Problem> {
            // A forge that was given no secret may send the header without a value.
            let value = single(headers, &HeaderName::from_static(name))?.filter(|value| !value.is_empty());
            Ok(value.map(str::to_owned))
        };
        if forge == Forge::Gitlab {
            let [id, moment, signatures] =
                ["webhook-id", "webhook-timestamp", "webhook-signature"].map(value);
            let signed = match (id?, moment?, signatures?) {
                (Some(id), Some(moment), Some(signatures)) => Some(Signed { id, moment, signatures }),
                _ => None,
            };
            let token = value(GITLAB_TOKEN)?;
            return match token.is_none() && signed.is_none() {
                true => Err(missing(forge, headers)),
                false => Ok(Proof::Gitlab { token, signed }),
            };
        }
        for (name, prefix) in signed_by(forge) {
            if let Some(value) = value(name)? {
                let digits = value.strip_prefix(prefix).unwrap_or_default();
                return Ok(Proof::Signature(unhex(digits).unwrap_or_default()));
            }
        }
        Err(missing(forge, headers))
    }

    /// Whether it is right, `now`. Takes the same time for everything that is wrong.
    pub(super) fn judge(&self, secret: &Secret, body: &[u8], now: Time) -> Result<(), Fault> {
        let text = secret.expose();
        let is_right = match self {
            Proof::Signature(signature) => mac(text.as_bytes(), &[body]).verify_slice(signature).is_ok(),
            Proof::Gitlab { token, signed } => match signing_key(secret) {
                Some(key) => return signed.as_ref().ok_or(Fault::Wrong)?.judge(&key, body, now),
                None => token.as_ref().is_some_and(|token| {
                    // Of their digests, so that not even the length shows.
                    let digest = |text: &str| Sha256::digest(text.as_bytes());
                    digest(token).ct_eq(&digest(text)).into()
                }),
            },
        };
        if is_right { Ok(()) } else { Err(Fault::Wrong) }
    }
}

impl Signed {
    fn judge(&self, key: &[u8], body: &[u8], now: Time) -> Result<(), Fault> {
        if key.is_empty() {
            // Anybody could have signed with it.
            return Err(Fault::Wrong);
        }
        let mac = mac(key, &[self.id.as_bytes(), b".", self.moment.as_bytes(), b".", body]);
        let is_right = |signature: &str| {
            let digest = signature.strip_prefix("v1,").and_then(unbase64).unwrap_or_default();
            mac.clone().verify_slice(&digest).is_ok()
        };
        if !self.signatures.split(' ').any(is_right) {
            return Err(Fault::Wrong);
        }
        let moment = self.moment.parse().ok().and_then(|seconds| Time::from_timestamp(seconds, 0));
        match moment.is_some_and(|moment| (now - moment).abs() <= TOLERANCE) {
            true => Ok(()),
            false => Err(Fault::OutOfTime),
        }
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("BUG: a key of any length is taken");
    parts.iter().for_each(|part| mac.update(part));
    mac
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

/// The signature or token is wrong, or of another time.
pub(super) fn refused(forge: Forge, fault: Fault) -> Problem {
    if fault == Fault::OutOfTime {
        let detail = "the delivery was signed more than five minutes ago, or ahead of time".to_owned();
        let help = "see to the clocks of the forge and of this machine, and deliver it again";
        return unauthorized("TG-HOOK-007", detail, help);
    }
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
        let proof = Proof::of(forge, &headers(pairs)).unwrap();
        proof.judge(&Secret::of(secret).unwrap(), body, Time::UNIX_EPOCH).is_ok()
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
    fn gitlab_may_sign_with_a_time() {
        // The example of "Standard Webhooks": github.com/standard-webhooks/standard-webhooks, in its libraries' tests.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body: &[u8] = br#"{"test": 2432232314}"#;
        let pairs = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        let judge = |pairs: &[(&str, &str)], secret: &str, body: &[u8], seconds: i64| {
            let proof = Proof::of(Forge::Gitlab, &headers(pairs)).unwrap();
            let now = Time::from_timestamp(1_614_265_330 + seconds, 0).unwrap();
            proof.judge(&Secret::of(secret).unwrap(), body, now)
        };
        assert_eq!(judge(&pairs, secret, body, 299), Ok(()));
        assert_eq!(judge(&pairs, secret, body, -299), Ok(()));
        assert_eq!(judge(&pairs, secret, body, 301), Err(Fault::OutOfTime));
        assert_eq!(judge(&pairs, secret, body, -301), Err(Fault::OutOfTime));
        assert_eq!(judge(&pairs, secret, b"{}", 0), Err(Fault::Wrong));
        let of = |name: &'static str, value: &'static str| {
            pairs.map(|(known, before)| (known, if known == name { value } else { before }))
        };
        assert_eq!(judge(&of("webhook-timestamp", "1614265331"), secret, body, 0), Err(Fault::Wrong));
        assert_eq!(judge(&of("webhook-id", "another"), secret, body, 0), Err(Fault::Wrong));
        let two = "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(judge(&of("webhook-signature", two), secret, body, 0), Ok(()));
        assert_eq!(judge(&of("webhook-signature", "v1,"), secret, body, 0), Err(Fault::Wrong));
        // What is signed with no key at all.
        let empty = "v1,woH/1mJtZGSMCmpFTxRYbStS24eLLD/oXIYr4PYyZ7g=";
        assert_eq!(judge(&of("webhook-signature", empty), "whsec_", body, 0), Err(Fault::Wrong));
        // A secret that signs is no token, and a signature is none for a secret that is one.
        assert_eq!(judge(&[("x-gitlab-token", secret)], secret, body, 0), Err(Fault::Wrong));
        let both = [pairs[0], pairs[1], pairs[2], ("x-gitlab-token", "s3cret")];
        assert_eq!(judge(&both, "s3cret", body, 1_000_000), Ok(()));
        assert_eq!(judge(&both[..3], "s3cret", body, 0), Err(Fault::Wrong));
        assert_eq!(code(Forge::Gitlab, &pairs[..2]), "TG-HOOK-001");
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
