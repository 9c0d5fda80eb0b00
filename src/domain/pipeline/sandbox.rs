//! How a step is kept from the rest of its machine.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// How a step is kept from the rest of its machine. Written as in pipeline files; that there is none is for who holds it
/// to say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Sandbox {
    /// `landlock`: the kernel lets it write to what is its own, and read what is not tidegate's.
    Landlock,
    /// `user:NAME`: it runs as that account.
    User(String),
}

impl Sandbox {
    /// Reads it as it stands in a file. None: it is no isolation that there is.
    pub fn parse(text: &str) -> Option<Sandbox> {
        if text == "landlock" {
            return Some(Sandbox::Landlock);
        }
        let name = text.strip_prefix("user:")?;
        let is_harmless = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, ':' | '/');
        (!name.is_empty() && name.chars().all(is_harmless)).then(|| Sandbox::User(name.to_owned()))
    }

    /// The account, where it is one.
    pub fn account(&self) -> Option<&str> {
        match self {
            Sandbox::Landlock => None,
            Sandbox::User(name) => Some(name),
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sandbox::Landlock => f.write_str("landlock"),
            Sandbox::User(name) => write!(f, "user:{name}"),
        }
    }
}

impl From<Sandbox> for String {
    fn from(sandbox: Sandbox) -> String {
        sandbox.to_string()
    }
}

impl TryFrom<String> for Sandbox {
    type Error = String;

    /// Less strict than [`Sandbox::parse`]: journals hold what earlier releases took. Such an account is not found.
    fn try_from(text: String) -> Result<Sandbox, String> {
        let account = || text.strip_prefix("user:").filter(|name| !name.is_empty()).map(str::to_owned);
        let found = Sandbox::parse(&text).or_else(|| account().map(Sandbox::User));
        found.ok_or_else(|| format!("`{text}` is not an isolation"))
    }
}

impl JsonSchema for Sandbox {
    fn schema_name() -> Cow<'static, str> {
        "Sandbox".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(landlock|user:.+)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_it_was_read() {
        for text in ["landlock", "user:app", "user:ci-1"] {
            assert_eq!(Sandbox::parse(text).unwrap().to_string(), text);
            let json = format!("\"{text}\"");
            assert_eq!(
                serde_json::to_string(&serde_json::from_str::<Sandbox>(&json).unwrap()).unwrap(),
                json
            );
        }
        for text in ["", "none", "jail", "user:", "user: a", "user:a/b", "user:a:b", "Landlock"] {
            assert_eq!(Sandbox::parse(text), None, "{text}");
        }
        assert_eq!(serde_json::from_str::<Sandbox>("\"user:a/b\"").unwrap(), Sandbox::User("a/b".into()));
        serde_json::from_str::<Sandbox>("\"jail\"").unwrap_err();
    }
}
