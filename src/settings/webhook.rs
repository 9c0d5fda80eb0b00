//! `[webhook.…]`: which forges may tell of pushes, and where the secret is that each signs with. The secret itself never
//! stands in the settings file, which people keep beside other files and show each other.
//!
//! A secret is read when a delivery comes, so that a new one is in force from the next delivery on.

use super::signing::{self, CHARACTERS, KEY_BYTES};
use super::tokens::{Privacy, Secret, TokenError, read_token_file};
use crate::domain::pipeline::Forge;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// In a file that only its owner and group may read; it holds the secret and nothing else.
    File(PathBuf),
    /// In an environment variable of the controller.
    Env(String),
}

impl SecretPlace {
    /// The secret of a forge as it is now.
    ///
    /// # Errors
    /// It cannot be read, others can read it, it is none, or anybody could guess it.
    pub fn read(&self, forge: Forge) -> Result<Secret, WebhookError> {
        let secret = match self {
            Self::File(path) => read_token_file(path, Privacy::Group).map_err(WebhookError::File)?,
            Self::Env(name) => {
                let text = std::env::var(name).unwrap_or_default();
                Secret::of(text.trim()).ok_or_else(|| WebhookError::Variable { name: name.clone() })?
            }
        };
        match signing::is_good(forge, &secret) {
            true => Ok(secret),
            false => Err(WebhookError::Weak { place: self.clone() }),
        }
    }
}

/// The forges that may tell of pushes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhooks(BTreeMap<Forge, SecretPlace>);

impl Webhooks {
    /// Where the secret of a forge is; none: it may not tell.
    pub fn secret_of(&self, forge: Forge) -> Option<&SecretPlace> {
        self.0.get(&forge)
    }

    /// All that may tell, with where their secrets are.
    pub fn iter(&self) -> impl Iterator<Item = (Forge, &SecretPlace)> {
        self.0.iter().map(|(forge, place)| (*forge, place))
    }
}

impl FromIterator<(Forge, SecretPlace)> for Webhooks {
    fn from_iter<I: IntoIterator<Item = (Forge, SecretPlace)>>(places: I) -> Self {
        Self(places.into_iter().collect())
    }
}

/// Why a secret cannot be had. `Display` reads after "failed to".
#[derive(Debug)]
pub enum WebhookError {
    /// Its file.
    File(TokenError),
    /// The variable is not there, or holds no secret.
    Variable {
        /// Its name.
        name: String,
    },
    /// Anybody could guess it: it is too short, or its key is.
    Weak {
        /// Where it is.
        place: SecretPlace,
    },
}

impl WebhookError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Variable { .. } => "TG-HOOK-005",
            Self::Weak { .. } => "TG-HOOK-008",
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Self::File(TokenError::Malformed { .. }) => {
                "let it hold one secret and nothing else, such as `openssl rand -hex 32` makes".to_owned()
            }
            Self::File(TokenError::Exposed { path, most, .. }) => format!(
                "others may have read the secret: make another, enter it at the forge too, then `chmod {most:04o} {}`",
                path.display()
            ),
            Self::File(error) => error.help(),
            Self::Variable { .. } => {
                "start the controller with it: printable characters without spaces, such as \
                                      `openssl rand -hex 32` makes"
                    .to_owned()
            }
            Self::Weak { .. } => format!(
                "make one of {CHARACTERS} characters or more, as `openssl rand -hex 32` does, and enter it at the \
                 forge too; a signing token of GitLab is `whsec_` and {KEY_BYTES} bytes or more in base64, copied whole"
            ),
        }
    }
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => {
                write!(f, "{}", error.to_string().replacen("the token file", "the secret file", 1))
            }
            Self::Variable { name } => write!(f, "find a secret in the environment variable `{name}`"),
            Self::Weak { place: SecretPlace::File(path) } => {
                write!(f, "take the secret in `{}`: it is too short", path.display())
            }
            Self::Weak { place: SecretPlace::Env(name) } => {
                write!(f, "take the secret in the environment variable `{name}`: it is too short")
            }
        }
    }
}

impl std::error::Error for WebhookError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(error) => Some(error),
            Self::Variable { .. } | Self::Weak { .. } => None,
        }
    }
}

/// The forges that may tell of pushes, each with where the secret is that it signs with.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookFile {
    /// github.com, and GitHub Enterprise. Default: it may not tell.
    github: Option<OneFile>,
    /// gitlab.com, and one's own. Default: it may not tell.
    gitlab: Option<OneFile>,
    /// Gitea. Default: it may not tell.
    gitea: Option<OneFile>,
    /// Forgejo, and Codeberg. Default: it may not tell.
    forgejo: Option<OneFile>,
}

/// One forge.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneFile {
    /// Where the secret is; never the secret itself.
    secret: PlaceFile,
}

#[derive(Debug)]
struct PlaceFile(SecretPlace);

impl WebhookFile {
    /// Paths in the file are meant from where the file is.
    pub(super) fn webhooks(self, base: &Path) -> Webhooks {
        let said = [
            (Forge::Github, self.github),
            (Forge::Gitlab, self.gitlab),
            (Forge::Gitea, self.gitea),
            (Forge::Forgejo, self.forgejo),
        ];
        let placed = said.into_iter().filter_map(|(forge, one)| {
            let place = match one?.secret.0 {
                SecretPlace::File(path) => SecretPlace::File(base.join(path)),
                env => env,
            };
            Some((forge, place))
        });
        placed.collect()
    }
}

impl JsonSchema for PlaceFile {
    fn schema_name() -> Cow<'static, str> {
        "SecretPlace".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Where a secret is: a file that only its owner and group may read, or a variable of the controller's environment.",
            "properties": {
                "file": {
                    "type": "string",
                    "description": "A file with the secret and nothing else in it. Default: `env` says where."
                },
                "env": {
                    "type": "string",
                    "description": "A variable of the controller's environment. Default: `file` says where."
                }
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
            "examples": [{ "file": "github.secret" }, { "env": "GITHUB_WEBHOOK_SECRET" }]
        })
    }
}

impl<'de> Deserialize<'de> for PlaceFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlaceVisitor)
    }
}

/// Refuses the secret itself without repeating it.
struct PlaceVisitor;

const SAY_WHERE: &str = "say where the secret is: `{ file = \"…\" }` or `{ env = \"…\" }`";

impl<'de> Visitor<'de> for PlaceVisitor {
    type Value = PlaceFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`{ file = \"…\" }` or `{ env = \"…\" }`")
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<PlaceFile, E> {
        Err(E::custom(format!("a secret itself does not belong into this file; {SAY_WHERE}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PlaceFile, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Place {
            file: Option<PathBuf>,
            env: Option<String>,
        }
        match Place::deserialize(MapAccessDeserializer::new(map))? {
            Place { file: Some(file), env: None } => Ok(PlaceFile(SecretPlace::File(file))),
            Place { file: None, env: Some(name) } => Ok(PlaceFile(SecretPlace::Env(name))),
            _ => Err(A::Error::custom(SAY_WHERE)),
        }
    }
}
