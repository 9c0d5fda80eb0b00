//! Everything that can happen, as it stands in the journal. An event says what became true; it never asks for anything.
//!
//! The JSON form is flat, tagged by `kind`; names and fields are contract. The envelope around it (`id`, `at`,
//! `pipeline`, `by`, `why`) and the events that are never journaled (log chunks, `lagged`, `gap`) are `wire`'s.

use crate::domain::Time;
use crate::domain::blocker::Blocker;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::id::*;
use crate::domain::outcome::{Failure, Outcome, is_false};
use crate::domain::pipeline::{Phase, Pipeline};
pub use names::KINDS;
mod names;

mod fact;
mod step_said;
mod terms;

pub use fact::{Envelope, Fact};
pub use step_said::{Level, StepSaid};
pub use terms::{Action, Artifact, DeployMode, PromotionEnd, VoidReason};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A pipeline took a push, or a person asked for a build. Its `id` orders the version from now on.
    RebuildRequested {
        /// The commit.
        sha: Sha,
        /// The ref that was pushed.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        ref_name: Option<RefName>,
        /// Name of the commit's author.
        #[serde(default)]
        author: String,
        /// First line of the commit's message.
        #[serde(default)]
        subject: String,
        /// Addresses of author and committer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        emails: Vec<String>,
        /// Address of whoever asked, `by`, where one is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by_email: Option<String>,
        /// Whether the commit is built already, and is built once more, as a version of its own.
        #[serde(default, skip_serializing_if = "is_false")]
        anew: bool,
    },
    /// A push that was ruled out by `paths` or a missing tag.
    PushIgnored {
        /// The commit.
        sha: Sha,
        /// The ref that was pushed.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        ref_name: Option<RefName>,
        /// Why.
        reason: String,
    },
    /// A forge told of a push and was answered before git could say where the ref stands: that is still to be looked at.
    /// It takes the place of an earlier one for the same ref.
    LookOwed {
        /// The ref that was pushed.
        #[serde(rename = "ref")]
        ref_name: RefName,
        /// Where it was moved to, as the forge says; of an annotated tag its own object.
        sha: Sha,
    },
    /// That was looked at, and what followed is journaled.
    LookDone {
        /// The ref.
        #[serde(rename = "ref")]
        ref_name: RefName,
        /// The `id` of its `look_owed`.
        owed: EventId,
        /// Why nothing is built of it; none: it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// All branches and tags of the repository were looked at for the first time under this `[source]`: one that comes up
    /// from here on is new, also while no controller is there to see it.
    LookedOver,
    /// A time of a schedule has come: git is to be asked where the ref stands, and that is to be built. It takes the place
    /// of an earlier one of the same schedule.
    ScheduleDue {
        /// Five fields.
        cron: String,
        /// IANA name of the time zone.
        zone: String,
        /// The ref as the schedule names it; empty: the branch that HEAD names.
        #[serde(rename = "ref", default, skip_serializing_if = "String::is_empty")]
        ref_name: String,
        /// The time. Before `at` by more than a moment: it was missed, and this stands for what was missed before it, too.
        due: Time,
    },
    /// Git was asked for it, and what followed is journaled.
    ScheduleDone {
        /// The `id` of its `schedule_due`.
        owed: EventId,
        /// Why nothing is built for it; none: it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Branches or tags are gone from the repository: where they stood is forgotten.
    RefsForgotten {
        /// Their full names.
        refs: Vec<RefName>,
    },
    /// A build was dropped before it began, or ended; its processes are gone.
    BuildAborted {
        /// The commit that is not built.
        sha_aborted: Sha,
        /// The `id` of its `rebuild_requested`.
        request: EventId,
        /// The commit that took its place; none: a person ended it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by_sha: Option<Sha>,
    },
    /// The version is read and the build begins.
    BuildStart {
        /// The commit.
        sha: Sha,
        /// What it will be called.
        version: VersionLabel,
        /// The `id` of its `rebuild_requested`.
        request: EventId,
        /// The definition that it is built by.
        digest: Digest,
    },
    /// The version is built.
    BuildOk {
        /// The commit.
        sha: Sha,
        /// The version.
        version: VersionLabel,
        /// Whole seconds since `build_start`.
        elapsed_s: u64,
        /// What tiers deploy.
        #[serde(default)]
        artifacts: Vec<Artifact>,
    },
    /// The version could not be built.
    BuildFailed {
        /// The commit.
        sha: Sha,
        /// The version.
        version: VersionLabel,
        /// Whole seconds since `build_start`.
        elapsed_s: u64,
        /// What went wrong, for people.
        #[serde(default)]
        cause: String,
    },
    /// A build step begins.
    StepStart {
        /// The run.
        run_id: RunId,
        /// The commit.
        sha: Sha,
        /// The version.
        version: VersionLabel,
        /// The step.
        step: StepName,
    },
    /// A build step ended.
    StepDone {
        /// The run.
        run_id: RunId,
        /// The commit.
        sha: Sha,
        /// The version.
        version: VersionLabel,
        /// The step.
        step: StepName,
        /// How.
        outcome: Outcome,
        /// Whether another try follows.
        #[serde(default, skip_serializing_if = "is_false")]
        will_retry: bool,
    },
    /// A gate begins.
    GateStart {
        /// The run.
        run_id: RunId,
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
        /// The gate's kind.
        gate: String,
        /// The gate's name.
        name: GateName,
        /// Before or after the deploy.
        phase: Phase,
    },
    /// A gate ended.
    GateDone {
        /// The run.
        run_id: RunId,
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
        /// The gate's kind.
        gate: String,
        /// The gate's name.
        name: GateName,
        /// Before or after the deploy.
        phase: Phase,
        /// How.
        outcome: Outcome,
        /// Whether another try follows at once.
        #[serde(default, skip_serializing_if = "is_false")]
        will_retry: bool,
    },
    /// A version begins to be put on a node.
    DeployStart {
        /// The run.
        run_id: RunId,
        /// The tier.
        tier: TierName,
        /// The node.
        node: NodeName,
        /// The version.
        version: VersionLabel,
        /// Why it is put there.
        mode: DeployMode,
    },
    /// A version is on a node, and healthy.
    DeployOk {
        /// The run.
        run_id: RunId,
        /// The tier.
        tier: TierName,
        /// The node.
        node: NodeName,
        /// The version.
        version: VersionLabel,
        /// Why it was put there.
        mode: DeployMode,
        /// Milliseconds since `deploy_start`.
        elapsed_ms: u64,
        /// The log, as a path below the state folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log_ref: Option<String>,
    },
    /// A version could not be put on a node.
    DeployFailed {
        /// The run.
        run_id: RunId,
        /// The tier.
        tier: TierName,
        /// The node.
        node: NodeName,
        /// The version.
        version: VersionLabel,
        /// Why it was to be put there.
        mode: DeployMode,
        /// What failed.
        failure: Failure,
        /// What went wrong and the way out, for people.
        #[serde(default)]
        message: String,
        /// The log, as a path below the state folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log_ref: Option<String>,
        /// Whether another try follows.
        #[serde(default, skip_serializing_if = "is_false")]
        will_retry: bool,
    },
    /// A version entered a tier.
    PromoteStart {
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
        /// The definition that it will finish with.
        digest: Digest,
        /// Whether a person's word let it in.
        #[serde(default, skip_serializing_if = "is_false")]
        by_hand: bool,
    },
    /// What stands between a version and a tier changed.
    PromoteBlocked {
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
        /// Everything that stands in the way now; empty: nothing any more.
        blockers: Vec<Blocker>,
        /// Whether the version left the tier again because a gate could not judge.
        #[serde(default, skip_serializing_if = "is_false")]
        stepped_back: bool,
    },
    /// A version passed a tier and is its current one.
    PromoteComplete {
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
        /// Nodes that failed and are behind.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        nodes: Vec<NodeName>,
    },
    /// A version is rejected in a tier until `retry`.
    PromoteFailed {
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
        /// What became of the nodes.
        end: PromotionEnd,
        /// Why, for people.
        cause: String,
        /// What is where; null: not known or nothing.
        #[serde(default)]
        nodes: BTreeMap<NodeName, Option<VersionLabel>>,
    },
    /// A tier begins to go back.
    Rollback {
        /// The tier.
        tier: TierName,
        /// The version that is left.
        from: VersionLabel,
        /// The version that it goes back to.
        to: VersionLabel,
        /// Why, for people.
        #[serde(default)]
        cause: String,
    },
    /// A tier is back at `version`.
    RollbackComplete {
        /// The tier.
        tier: TierName,
        /// The version that it went back to.
        version: VersionLabel,
        /// What is where.
        #[serde(default)]
        nodes: BTreeMap<NodeName, Option<VersionLabel>>,
    },
    /// Some nodes could not go back, or are not right after it. They are tried again.
    RollbackFailed {
        /// The tier.
        tier: TierName,
        /// The version that it should have gone back to.
        version: VersionLabel,
        /// What is where.
        #[serde(default)]
        nodes: BTreeMap<NodeName, Option<VersionLabel>>,
        /// Why, for people.
        #[serde(default)]
        cause: String,
    },
    /// A waiting version's place was taken by a newer one that passed.
    Superseded {
        /// The tier.
        tier: TierName,
        /// The version that no longer waits.
        version: VersionLabel,
        /// The one that passed.
        by_version: VersionLabel,
    },
    /// One person confirmed one version for one tier.
    ManualConfirm {
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
        /// Confirmations given, this one counted.
        #[serde(default)]
        have: u32,
        /// Confirmations needed.
        #[serde(default)]
        need: u32,
        /// Their address, where one is known: who has two tokens is one person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by_email: Option<String>,
    },
    /// One person said no.
    ConfirmDenied {
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
    },
    /// Confirmations no longer count.
    ConfirmVoided {
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
        /// Why.
        reason: VoidReason,
        /// Whose; empty: everybody's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        whose: Vec<String>,
    },
    /// A person did something that has no event of its own.
    ManualAction {
        /// What.
        action: Action,
        /// The tier.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<TierName>,
        /// The node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<NodeName>,
        /// The version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<VersionLabel>,
        /// Whether it lifts what only an admin may.
        #[serde(default, skip_serializing_if = "is_false")]
        lift: bool,
        /// The commit of a version that is adopted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha: Option<Sha>,
        /// Whether it is built first, because the tier can go back only to what was built here: then the same is said
        /// once more when it is so. Its build enters no tier.
        #[serde(default, skip_serializing_if = "is_false")]
        pending: bool,
        /// Of a version that is adopted: the addresses of author and committer of its commit, and of who adopts it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        emails: Vec<String>,
    },
    /// Entry by automation is stopped.
    HoldSet {
        /// The tier; none: the pipeline.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<TierName>,
        /// Whether a rollback put it: then a version promoted by hand that passes lifts it.
        #[serde(default, skip_serializing_if = "is_false")]
        of_rollback: bool,
    },
    /// Entry by automation goes on.
    HoldLifted {
        /// The tier; none: the pipeline.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<TierName>,
    },
    /// A version may enter no tier and is chosen by no rollback.
    VersionBlocked {
        /// The version.
        version: VersionLabel,
    },
    /// That is lifted.
    VersionUnblocked {
        /// The version.
        version: VersionLabel,
    },
    /// Retention forgot versions that nothing needs any more; their artifacts go too.
    VersionsPruned {
        /// The versions, oldest first.
        versions: Vec<VersionLabel>,
    },
    /// A definition is in force.
    PipelineLoaded {
        /// Its digest.
        digest: Digest,
        /// What differs from the one before, for people.
        #[serde(default)]
        changes: Vec<String>,
        /// The file's name.
        #[serde(default)]
        file: String,
        /// The file's text.
        #[serde(default)]
        text: String,
        /// What it means.
        definition: Arc<Pipeline>,
    },
    /// A definition's file is gone.
    PipelineRemoved {
        /// The digest that was in force.
        digest: Digest,
        /// What still finishes and what no longer waits, for people.
        #[serde(default)]
        changes: Vec<String>,
    },
    /// A file does not load; what was in force stays so.
    PipelineRejected {
        /// The file's name.
        file: String,
        /// Everything that is wrong with it. Empty: the file is gone, and nothing is rejected any more.
        diagnostics: Vec<Diagnostic>,
    },
    /// What a step said through `$TIDEGATE_EVENTS`, or a warning about the run.
    StepEvent {
        /// The run.
        run_id: RunId,
        /// What it said.
        event: StepSaid,
        /// Which of all that it said, from 0, where that outlives the controller.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u32>,
    },
    /// A backup is fetched. One with `sha256` is kept by a gate of that kind; without, a step says so of one of its own.
    BackupFetched {
        /// Where it came from, free text.
        source: String,
        /// Its size in bytes.
        byte_size: u64,
        /// The run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_id: Option<RunId>,
        /// The tier.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<TierName>,
        /// The version that it was fetched for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<VersionLabel>,
        /// The gate's kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<String>,
        /// The gate's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<GateName>,
        /// Before or after the deploy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<Phase>,
        /// SHA-256 of its content, hex: what the store knows it by.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// The journal was restored from a backup, and goes on in a new epoch of ids. What happened after the backup is not in
    /// it: every pipeline is held until somebody resumes it.
    JournalRestored {
        /// The last event of the backup.
        last: EventId,
        /// When the backup was made.
        taken_at: Time,
    },
    /// The controller began.
    ControllerStarted {
        /// Its release.
        release: String,
        /// What tells the place where its runs are noted from every other; none: they end with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runner: Option<String>,
        /// Runs of the one before that go on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kept: Vec<RunId>,
    },
    /// The controller ends on purpose.
    ControllerStopping {
        /// Its release.
        release: String,
    },
    /// Somebody was turned away: a token, its role or its scope, an origin, a host, a signature. `by` is the token's name
    /// where one was shown that is known. The first of a kind is told at once, those of the next minute by one more event.
    AccessRefused {
        /// The stable code of the answer.
        code: String,
        /// GET, HEAD or POST; `other` for any other.
        method: String,
        /// The path as it is described, such as `/api/runs/{run}`; `none`: nothing is at what was asked for; `other`: of
        /// several, because there were too many different ones.
        route: String,
        /// How often.
        count: u64,
        /// The address that it came from, or `unix:` and a user of the controller's machine; none: it was several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
}
