//! Forges: who may tell of pushes, and who shows how a commit does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Forge {
    /// GitHub.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
}

impl Forge {
    /// All that are known.
    pub const ALL: [Forge; 4] = [Forge::Github, Forge::Gitlab, Forge::Gitea, Forge::Forgejo];

    /// As in pipeline files, in settings, in paths, and before the name of whoever pushed.
    pub fn as_str(self) -> &'static str {
        match self {
            Forge::Github => "github",
            Forge::Gitlab => "gitlab",
            Forge::Gitea => "gitea",
            Forge::Forgejo => "forgejo",
        }
    }

    /// The forge of that name.
    pub fn named(name: &str) -> Option<Forge> {
        Self::ALL.into_iter().find(|forge| forge.as_str() == name)
    }
}

impl fmt::Display for Forge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
