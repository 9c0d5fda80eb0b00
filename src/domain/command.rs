//! What can be asked of the engine or reported to it. A command may be refused; what is accepted becomes events.

use super::diagnostic::Diagnostic;
use super::event::{Artifact, StepSaid};
use super::id::*;
use super::outcome::{Failure, Outcome};
use super::pipeline::Pipeline;
use super::role::Role;
use std::sync::Arc;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The name of the token or person.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Their address, for `not_author`.
    pub email: Option<String>,
}

/// Something asked or reported.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A definition file loads.
    Load {
        /// The file's name.
        file: String,
        /// Its digest.
        digest: Digest,
        /// Its text.
        text: String,
        /// What it means.
        definition: Arc<Pipeline>,
    },
    /// A definition file does not load.
    Reject {
        /// The file's name.
        file: String,
        /// Everything that is wrong with it.
        diagnostics: Vec<Diagnostic>,
    },
    /// A definition file is gone.
    Remove {
        /// The file's name.
        file: String,
    },
    /// A push, examined for each pipeline that it may concern.
    Push {
        /// Who pushed or asked.
        by: Option<Actor>,
        /// Why, in their words.
        why: Option<String>,
        /// Whether a person wants it built or moved on once more.
        again: bool,
        /// One for each pipeline.
        pushes: Vec<Push>,
    },
    /// A forge told of a push, and git has not yet said where the ref stands.
    OweLooks {
        /// Who pushed.
        by: Actor,
        /// The pipelines that it may concern, each with the newest `look_owed` whose look has begun.
        pipelines: Vec<(PipelineName, Option<EventId>)>,
        /// The ref.
        ref_name: RefName,
        /// Where it was moved to, as the forge says.
        sha: Sha,
    },
    /// A look that was owed came to its end, and what followed is decided.
    LookDone {
        /// The pipeline.
        pipeline: PipelineName,
        /// The ref.
        ref_name: RefName,
        /// Its `look_owed`.
        owed: EventId,
        /// Why nothing is built of it; none: it is.
        reason: Option<String>,
    },
    /// Every ref of a pipeline's repository was looked at, and what followed is decided.
    LookedOver {
        /// The pipeline.
        pipeline: PipelineName,
        /// The definition under which the look began.
        digest: Digest,
    },
    /// Git was asked for what a schedule owes.
    Scheduled {
        /// The pipeline.
        pipeline: PipelineName,
        /// Its `schedule_due`.
        owed: EventId,
        /// Where the ref stands, or why there is nothing to build.
        found: Result<Box<Push>, String>,
    },
    /// Git was asked, and refs that the journal knows are not there any more.
    ForgetRefs {
        /// The pipeline.
        pipeline: PipelineName,
        /// Each with where the journal saw it before git was asked: one that moved since may be there again.
        gone: Vec<(RefName, Sha)>,
    },
    /// A person's deed.
    ByHand {
        /// Who.
        actor: Actor,
        /// Why, in their words.
        why: Option<String>,
        /// The pipeline.
        pipeline: PipelineName,
        /// What.
        deed: Deed,
    },
    /// A commit is fetched and its version read.
    Prepared {
        /// The request that it is for.
        request: EventId,
        /// The label as read (none: no file says one), or what went wrong.
        label: Result<Option<String>, String>,
    },
    /// What a build made is stored, or could not be.
    Collected {
        /// The request whose build it is: the same version may be built again meanwhile.
        request: EventId,
        /// What is kept, or what went wrong.
        artifacts: Result<Vec<Artifact>, String>,
    },
    /// A build step or gate ended.
    RunEnded {
        /// The run.
        run: RunId,
        /// How.
        outcome: Outcome,
    },
    /// A deploy on a node ended.
    DeployEnded {
        /// The run.
        run: RunId,
        /// How long it took in milliseconds, or what failed and its message.
        result: Result<u64, (Failure, String)>,
        /// The log, as a path below the state folder.
        log_ref: Option<String>,
    },
    /// A step said something.
    RunSaid {
        /// The run.
        run: RunId,
        /// What.
        said: StepSaid,
        /// Which of all that it said, where it may be told again; what is known already is passed over.
        number: Option<u32>,
    },
    /// A gate fetched a backup, found it good, and has it in the store.
    BackupKept {
        /// The run.
        run: RunId,
        /// Where it came from, free text.
        source: String,
        /// Its size in bytes.
        byte_size: u64,
        /// SHA-256 of its content, hex.
        sha256: String,
    },
    /// Versions that nothing needs are forgotten (rule 26).
    Prune {
        /// So many of each pipeline, the newest, stay in any case.
        keep: usize,
    },
    /// The controller began: what runs according to the journal does not, unless it outlived the one before.
    Started {
        /// Its release.
        release: String,
        /// What tells the place where its runs are noted from every other.
        runner: Option<String>,
    },
    /// The controller ends on purpose.
    Stopping {
        /// Its release.
        release: String,
    },
    /// Somebody was turned away at the door.
    AccessRefused {
        /// Whose token it was, where one was shown that is known.
        by: Option<String>,
        /// The stable code of the answer.
        code: String,
        /// The method, of those that are known.
        method: String,
        /// The path as it is described.
        route: String,
        /// How often.
        count: u64,
        /// The address that it came from, or `unix:` and a user; none: several.
        from: Option<String>,
    },
}

/// A push as one pipeline sees it. Facts from git only; what follows is decided later.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The commit.
    pub sha: Sha,
    /// The ref; none: a person named the commit only.
    pub ref_name: Option<RefName>,
    /// Where the ref stood before, if the pusher said so and it existed. For what was looked at: where the journal last
    /// saw the ref.
    pub old: Option<Sha>,
    /// How it became known.
    pub news: News,
    /// Name of the commit's author.
    pub author: String,
    /// First line of the commit's message.
    pub subject: String,
    /// Addresses of author and committer.
    pub emails: Vec<String>,
    /// Whether the pipeline takes this ref.
    pub ref_taken: bool,
    /// Whether it touches the pipeline's `paths`.
    pub touched: bool,
    /// Whether a tag that the pipeline's version rule needs is missing.
    pub tag_missing: bool,
}

/// What a commit says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Name of its author.
    pub author: String,
    /// First line of its message.
    pub subject: String,
    /// Addresses of author and committer.
    pub emails: Vec<String>,
}

/// How a push became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Whoever pushed said so, at that moment.
    Told,
    /// A hook said so, and from where the ref was moved: `old`; none: from nowhere. Hooks may be late: if the journal saw
    /// the ref elsewhere, git has to be asked.
    Moved,
    /// Git was asked, and the ref stands there. `old` was read before git was asked: if the journal saw the ref
    /// elsewhere since, the answer of git may be out of date.
    Looked,
    /// The same, and the ref stood there before anybody was interested in it.
    FoundThere,
}

/// What a person does by hand (rules 19 to 23).
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Gives their word for a version.
    Confirm {
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
    },
    /// Rejects a version that waits.
    Deny {
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
    },
    /// Lets a version in.
    Promote {
        /// The tier.
        tier: TierName,
        /// The version.
        version: VersionLabel,
        /// Whether freezes and missing tiers are lifted too.
        lift: bool,
    },
    /// Sends a tier back.
    Rollback {
        /// The tier.
        tier: TierName,
        /// Where to; none: what was current before, or what is current when another is inside.
        to: Option<VersionLabel>,
        /// What is to be left; refused when that is not so any more.
        from: Option<VersionLabel>,
    },
    /// Stops entry by automation.
    Hold {
        /// The tier; none: the pipeline.
        tier: Option<TierName>,
    },
    /// Lets it go on.
    Resume {
        /// The tier; none: the pipeline.
        tier: Option<TierName>,
    },
    /// Lets a rejected version wait again, or tries at once what would be tried later.
    Retry {
        /// The tier.
        tier: TierName,
        /// The version; none: what is inside or going back.
        version: Option<VersionLabel>,
    },
    /// Runs the current version's deploy again.
    Redeploy {
        /// The tier.
        tier: TierName,
        /// The node; none: all.
        node: Option<NodeName>,
        /// What is to be put there; refused when it is not current any more.
        version: Option<VersionLabel>,
    },
    /// Ends a build, or what is inside.
    Cancel {
        /// The tier; none: the build.
        tier: Option<TierName>,
        /// What is to be ended; refused when that is not so any more.
        version: Option<VersionLabel>,
    },
    /// Says what a tier runs already, put there by other means.
    Adopt {
        /// The tier.
        tier: TierName,
        /// What that version is called.
        version: VersionLabel,
        /// Its commit.
        sha: Sha,
        /// What that says about itself, in case that it is built first.
        about: Box<About>,
    },
    /// Keeps a version from entering anywhere.
    Block {
        /// The version.
        version: VersionLabel,
    },
    /// Lifts that.
    Unblock {
        /// The version.
        version: VersionLabel,
    },
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is done, or will be.
    Done,
    /// It was so already.
    Already,
    /// What each pipeline made of a push.
    Pushed(Vec<Pushed>),
}

/// What one pipeline made of a push.
#[derive(Clone, Debug, PartialEq)]
pub enum Pushed {
    /// It is taken.
    Taken {
        /// The pipeline.
        pipeline: PipelineName,
        /// Which of the decided facts is its `rebuild_requested`.
        fact: usize,
        /// The version, if it is built already and moves to the front again.
        version: Option<VersionLabel>,
    },
    /// It is not.
    Ignored {
        /// The pipeline.
        pipeline: PipelineName,
        /// Why, for people.
        reason: String,
    },
    /// The journal saw the ref elsewhere: git has to be asked, or asked again.
    Overtaken {
        /// The pipeline.
        pipeline: PipelineName,
    },
}
