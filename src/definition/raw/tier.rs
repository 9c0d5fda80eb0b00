//! Tiers, nodes and promotion rules as people write them.

use super::{Clock, Deploy, Gate, Moment, Name, Variable};
use crate::domain::{Role, Span};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A tier: an environment with its gates, nodes, deploy and promotion rule.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Tier {
    /// Unique within the pipeline.
    #[schemars(with = "Name", example = &"staging")]
    pub(in crate::definition) name: Option<String>,
    /// The name that the tier had before: it is the same tier, not a new one. Default: none.
    #[schemars(with = "Option<Name>")]
    pub(in crate::definition) was: Option<String>,
    /// The tiers that a version passes first. Default: the tier above; `[]` makes a first tier, several names a fan-in,
    /// one name used twice a fan-out.
    pub(in crate::definition) after: Option<Vec<String>>,
    /// When a version may enter. Default: at once, by itself.
    pub(in crate::definition) promote: Option<Promote>,
    /// The hosts. Default: with a deploy one, `local`, this machine; else none.
    #[serde(default)]
    pub(in crate::definition) node: Vec<Node>,
    /// How a version reaches a node. Default: the tier only checks.
    pub(in crate::definition) deploy: Option<Deploy>,
    /// What a version must pass. Gates of a phase run side by side, unless `needs` orders them. Default: none.
    #[serde(default)]
    pub(in crate::definition) gate: Vec<Gate>,
}

/// When a version may enter a tier.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(in crate::definition) struct Promote {
    /// By itself, or by a person's word.
    #[schemars(extend("default" = "auto"))]
    pub(in crate::definition) mode: Option<Mode>,
    /// Time that the version must have been current in every tier of `after`, without a break. Default: none.
    #[schemars(with = "Option<Span>")]
    pub(in crate::definition) soak: Option<String>,
    /// Whose confirmation it takes. Default: none.
    pub(in crate::definition) confirm: Option<Confirm>,
    /// Which of several waiting versions goes first.
    #[schemars(extend("default" = "newest"))]
    pub(in crate::definition) pick: Option<Pick>,
    /// How many of the tiers in `after` it must have passed.
    #[schemars(extend("default" = "all"))]
    pub(in crate::definition) require: Option<Require>,
    /// Times at which it may enter; one that is open is enough. `tidegate promote` lifts them. Default: always.
    #[serde(default)]
    pub(in crate::definition) window: Vec<Window>,
    /// Times at which it may not, whatever windows say; an admin lifts them with `tidegate promote --lift`. Default: none.
    #[serde(default)]
    pub(in crate::definition) freeze: Vec<Freeze>,
}

/// By itself, or by a person's word.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum Mode {
    /// A version enters as soon as nothing stands against it.
    Auto,
    /// Somebody must say `tidegate promote`.
    Manual,
}

/// Which of several waiting versions goes first.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum Pick {
    /// A waiting newer version takes the place of a waiting older one.
    Newest,
    /// One after the other, the oldest first.
    Every,
}

/// How many of the tiers in `after` a version must have passed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum Require {
    /// Each of them.
    All,
    /// One of them.
    Any,
}

/// Whose confirmation a version needs.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Confirm {
    /// So many different people: tokens of one name or one address are one person.
    #[schemars(range(min = 1, max = 100), extend("default" = 1))]
    pub(in crate::definition) count: Option<i64>,
    /// Roles, of which each must have at least one; roles are ordered (viewer, trigger, operator, admin), and a higher one
    /// counts as all below it. An operator it takes in any case. Default: `operator`.
    #[serde(default)]
    pub(in crate::definition) roles: Vec<Role>,
    /// Whether an author's word does not count: that of whoever asked for the build, and of author and committer of the
    /// commit, by their addresses. A token without an address (`token create --email`) cannot confirm then.
    #[schemars(extend("default" = false))]
    pub(in crate::definition) not_author: Option<bool>,
    /// How long one confirmation stands, from the moment at which it was given. All are void when this tier's part of the
    /// definition changes. Default: for ever.
    #[schemars(with = "Option<Span>")]
    pub(in crate::definition) expires: Option<String>,
}

/// A recurring time at which versions may enter, asked only on entering. One that closes before it opens goes on over
/// midnight. A time that the clock leaves out on that day means the first moment after; of one that comes twice the first
/// is meant for opening and the last for closing.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Window {
    /// Days of the week on which it opens: a window over midnight belongs to the day on which it opens. Default: every day.
    pub(in crate::definition) days: Option<Vec<Day>>,
    /// When it opens, by the clock of the zone.
    #[schemars(with = "Option<Clock>", extend("default" = "00:00"))]
    pub(in crate::definition) from: Option<String>,
    /// When it closes: on the same day, or on the next if that is before `from`.
    #[schemars(with = "Option<Clock>", extend("default" = "24:00"))]
    pub(in crate::definition) to: Option<String>,
    /// IANA name of the time zone.
    #[schemars(extend("default" = "UTC"), example = &"Europe/Berlin")]
    pub(in crate::definition) zone: Option<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A time at which versions may not enter.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Freeze {
    /// The first moment of it.
    #[schemars(with = "Moment")]
    pub(in crate::definition) from: Option<toml::value::Datetime>,
    /// The first moment after it.
    #[schemars(with = "Moment")]
    pub(in crate::definition) to: Option<toml::value::Datetime>,
    /// Why, for people. Default: none.
    pub(in crate::definition) why: Option<String>,
}

/// A host of a tier: this machine, or one reached by ssh.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Node {
    /// Unique within the tier.
    #[schemars(with = "Name", example = &"a1")]
    pub(in crate::definition) name: Option<String>,
    /// The name that the node had before. Default: none.
    #[schemars(with = "Option<Name>")]
    pub(in crate::definition) was: Option<String>,
    /// `user@host`, or a name of the user's own ssh config. Default: this machine.
    #[schemars(length(min = 1), example = &"deploy@a1.internal")]
    pub(in crate::definition) ssh: Option<String>,
    /// Environment of what is run for this node. Default: none.
    #[serde(default)]
    #[schemars(with = "BTreeMap<Variable, String>")]
    pub(in crate::definition) env: BTreeMap<String, String>,
}
