//! The whole thing: the real program, real git, real processes.

mod again;
mod archive;
mod backup;
mod boots;
mod cargo;
mod checking;
mod clock;
mod commands;
mod completing;
mod connections;
mod damage;
mod delivery;
mod doctor;
mod escapes;
mod fences;
mod first;
mod first_days;
mod forges;
mod frozen;
pub(crate) mod housekeeping;
pub(crate) mod killing;
mod load;
mod many;
mod migrations;
mod mimic;
mod monorepo;
mod notice_places;
mod notices;
mod plan;
pub(crate) mod port;
mod postgres;
mod proxied;
pub(crate) mod receiver;
pub(crate) mod refused;
mod reload;
mod reload_edges;
mod renames;
mod secrets;
mod shut;
mod stops;
mod supervised;
mod support;
mod terminal;
mod unix;
mod waiting;
pub(crate) mod world;

/// A build, a tier that checks, one that deploys, and one that wants a person's word.
pub(crate) const SHOP: &str = r#"
[source]
repo = $REPO
refs = ["main"]

[build]
artifacts = ["out.txt"]

[[build.step]]
name = "make"
run = "echo making $TIDEGATE_VERSION; cp VERSION out.txt"

[[tier]]
name = "host"

[[tier.gate]]
name = "test"
kind = "command"
run = "! grep -q bad-build $TIDEGATE_ARTIFACTS/out.txt"

[[tier]]
name = "staging"

[tier.deploy]
upload = [{ artifact = "out.txt", to = "$PLACE/staging/" }]
run = "echo $TIDEGATE_MODE $TIDEGATE_VERSION over ${TIDEGATE_PREVIOUS_VERSION:-nothing} >> $PLACE/deploys"

[[tier.gate]]
name = "smoke"
kind = "command"
phase = "verify"
run = "! test -f broken"

[[tier]]
name = "prod"

[tier.promote]
confirm = { count = 1 }

[[tier.node]]
name = "p1"

[[tier.node]]
name = "p2"

[tier.deploy]
upload = [{ artifact = "out.txt", to = "$PLACE/$TIDEGATE_NODE/" }]
"#;
