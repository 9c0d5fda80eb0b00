//! What `--help` says below the options of what people do by hand: what follows, and one example that can be copied.

pub(super) const CONFIRM: &str = "\
It counts for rules with `confirm`, from tokens of the roles that they name; one word a person. With the last one that
is needed the version enters as soon as nothing else stands in its way.

Example: tidegate confirm shop prod 1.4.0 --why \"seen on staging\"";

pub(super) const DENY: &str = "\
The version is rejected in this tier until `tidegate retry`; newer ones are not touched.

Example: tidegate deny shop prod 1.4.0 --why \"the prices are wrong\"";

pub(super) const PROMOTE: &str = "\
The version goes before automation's choice. It lifts `mode = \"manual\"`, soak and window, with --lift a freeze and
tiers that it has not passed; never a gate, a missing confirmation, or a version inside the tier.

Example: tidegate promote shop prod 1.4.0 --why \"the fix cannot wait\"";

pub(super) const ROLLBACK_VERSION: &str =
    "The version to go back to; it must have passed here [default: the one that was current before]";

pub(super) const ROLLBACK: &str = "\
What is inside the tier is ended and goes back to the current version; with nothing inside, the current version gives
way to the one before. The version left is rejected here, and the tier is held until `tidegate resume`.

Example: tidegate rollback shop prod --why \"checkout answers with errors\"";

pub(super) const RETRY: &str = "\
The version waits again, by the definition that is in force now; gates that passed are not run again. Of a gate that
could not be judged, or a way back that failed, the next try comes at once.

Example: tidegate retry shop prod 1.4.0 --why \"the database is back\"";

pub(super) const REDEPLOY: &str = "\
It runs on one node or all, without gates, and rejects nothing: for a node that is new, or was changed by hand.

Example: tidegate redeploy shop prod --node p2 --why \"a new disk\"";

pub(super) const ADOPT: &str = "\
Nothing is deployed: the version counts as current from now on.

Example: tidegate adopt shop prod 1.3.9 4f2a9c1 --why \"installed by hand in spring\"";

pub(super) const HOLD_TIER: &str = "The tier that is held; none: all tiers of the pipeline";

pub(super) const HOLD: &str = "\
No version enters by itself any more. Builds, what is inside, and `tidegate promote` go on; `tidegate resume` lifts it.

Example: tidegate hold shop prod --why \"the database is being moved\"";

pub(super) const RESUME_TIER: &str =
    "The tier whose hold is lifted; none: the hold of the pipeline, which is another one";

pub(super) const RESUME: &str = "\
The newest version that waits and has no other blocker enters at once. The hold that a rollback left is lifted, too.

Example: tidegate resume shop prod --why \"the database is moved\"";

pub(super) const CANCEL_TIER: &str =
    "The tier in which the version is ended that is inside; none: the build under way";

pub(super) const CANCEL: &str = "\
A build: its steps are ended, and the commit can be built again by `tidegate rebuild`. A version inside a tier: its
gates and deploys are ended, nodes that were changed go back, and it is rejected here until `tidegate retry`.

Example: tidegate cancel shop staging --why \"the wrong branch\"";

pub(super) const BLOCK: &str = "\
It enters no tier, and `rollback` does not choose it. Where it is current it stays.

Example: tidegate block shop 1.4.0 --why \"it loses orders\"";

pub(super) const UNBLOCK: &str = "\
It may enter where it waits, and be chosen by `rollback`.

Example: tidegate unblock shop 1.4.0 --why \"it was the test that was wrong\"";
