//! What should be in flight now, as a question to the state. The engine compares the answer with what is in flight,
//! begins what is missing and stops what is not wanted: after a restart nothing is in flight, and everything wanted
//! begins again by the same path.

use super::Time;
use super::backup;
use super::event::{Artifact, DeployMode};
use super::id::*;
use super::pipeline::{Check, Gate, Node, Pipeline, Step, Tier};
use super::proceed::{goes_on, is_complete, wanted};
use super::state::{Backup, PipelineState, State, Task, TierState};
use std::sync::Arc;

/// Something that should be in flight: what identifies it, whatever its pipeline is called meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// The commit of a request is fetched and its version read.
    Prepare(EventId),
    /// What the build of a request made is stored.
    Collect(EventId),
    /// A run: a build step, a gate, a deploy on a node.
    Run(RunId),
}

/// Everything that one effect needs to know.
#[derive(Clone, Debug)]
pub struct Work {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// What its folders are called.
    pub home: PipelineName,
    /// The definition that it is done by.
    pub definition: Arc<Pipeline>,
    /// The commit.
    pub sha: Sha,
    /// The ref that was pushed.
    pub ref_name: Option<RefName>,
    /// Whether an earlier process of the controller began it, and it goes on.
    pub taken_up: bool,
    /// What is to be done.
    pub job: Job,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Job {
    /// Fetch the commit and read its version.
    Prepare {
        /// The request.
        request: EventId,
    },
    /// Run a build step.
    Step {
        /// The run.
        run: RunId,
        /// The version.
        version: VersionLabel,
        /// The build: one workspace for all its steps.
        request: EventId,
        /// The step.
        step: Step,
    },
    /// Store what a build made.
    Collect {
        /// The version.
        version: VersionLabel,
        /// The build.
        request: EventId,
    },
    /// Run a gate.
    Gate {
        /// The run.
        run: RunId,
        /// The version.
        version: VersionLabel,
        /// What was built.
        artifacts: Vec<Artifact>,
        /// The version that is current in the tier.
        previous: Option<VersionLabel>,
        /// The tier.
        tier: TierName,
        /// Its nodes: probes of a tier with one node may use that node's environment.
        nodes: Vec<Node>,
        /// The gate.
        gate: Box<Gate>,
        /// Why the version is put on the tier's nodes.
        mode: DeployMode,
        /// The backup that it has to do with: the last one of a gate that fetches them, the one that a dry run restores.
        backup: Option<Box<Backup>>,
    },
    /// Put a version on a node.
    Deploy {
        /// The run.
        run: RunId,
        /// The version.
        version: VersionLabel,
        /// What was built.
        artifacts: Vec<Artifact>,
        /// The version that is on the node now, as far as is known.
        previous: Option<VersionLabel>,
        /// The tier, as the definition has it.
        tier: Box<Tier>,
        /// The node.
        node: Node,
        /// Why.
        mode: DeployMode,
        /// What a guard on the node goes back to by itself, where the definition wants one.
        fallback: Option<Box<Fallback>>,
    },
}

/// What a node goes back to when the version on its way fails there: the same that a rollback would put there.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// The tier's current version.
    pub version: VersionLabel,
    /// Its commit.
    pub sha: Sha,
    /// The ref that it was pushed to.
    pub ref_name: Option<RefName>,
    /// The definition that it goes back by.
    pub definition: Arc<Pipeline>,
    /// The tier in it.
    pub tier: Tier,
    /// The node in it.
    pub node: Node,
}

/// What should be in flight for one pipeline besides its runs.
pub fn preparations(p: &PipelineState, now: Time) -> Option<Effect> {
    match (&p.build, p.queue.front()) {
        (None, Some(front)) if p.in_force.is_some() => Some(Effect::Prepare(front.id)),
        (Some(build), _) if goes_on(p, build, now) => {
            let definition = p.known.get(&build.digest)?;
            is_complete(definition, build).then_some(Effect::Collect(build.request.id))
        }
        _ => None,
    }
}

/// Whether an effect should (still) be in flight.
pub fn is_wanted(state: &State, effect: &Effect, now: Time) -> bool {
    match effect {
        Effect::Run(run) => wanted(state, *run, now),
        Effect::Prepare(request) | Effect::Collect(request) => {
            let asked = state.asked_for(*request);
            asked.is_some_and(|(_, p)| preparations(p, now).as_ref() == Some(effect))
        }
    }
}

/// Everything that should be in flight.
pub fn outstanding(state: &State, now: Time) -> Vec<Effect> {
    let runs = state.running.keys().map(|run| Effect::Run(*run));
    let others = state.pipelines.values().filter_map(|p| preparations(p, now));
    runs.chain(others).filter(|effect| is_wanted(state, effect, now)).collect()
}

/// Everything that an effect needs to know; none when it is not of this state.
pub fn work(state: &State, effect: &Effect) -> Option<Work> {
    match effect {
        Effect::Prepare(request) => {
            let (name, p) = state.asked_for(*request)?;
            let front = p.queue.iter().find(|r| r.id == *request)?;
            Some(Work {
                pipeline: name.clone(),
                home: p.home.clone(),
                definition: p.definition()?.clone(),
                sha: front.sha.clone(),
                ref_name: front.ref_name.clone(),
                taken_up: false,
                job: Job::Prepare { request: *request },
            })
        }
        Effect::Collect(request) => {
            let (name, p) = state.asked_for(*request)?;
            let build = p.build.as_ref()?;
            let job = Job::Collect { version: build.version.clone(), request: *request };
            work_of(p, name, &build.version, &build.digest, job)
        }
        Effect::Run(run) => run_work(state, *run),
    }
}

fn work_of(
    p: &PipelineState,
    name: &PipelineName,
    version: &VersionLabel,
    digest: &Digest,
    job: Job,
) -> Option<Work> {
    let v = p.versions.get(version)?;
    Some(Work {
        pipeline: name.clone(),
        home: p.home.clone(),
        definition: p.known.get(digest)?.clone(),
        sha: v.sha.clone(),
        ref_name: v.ref_name.clone(),
        taken_up: false,
        job,
    })
}

fn run_work(state: &State, run: RunId) -> Option<Work> {
    let place = state.running.get(&run)?;
    let name = &place.pipeline;
    let p = state.pipelines.get(name)?;
    let version = &place.version;
    let work = match &place.task {
        Task::Step(step) => {
            let build = p.build.as_ref()?;
            let definition = p.known.get(&build.digest)?;
            let step = definition.build.steps.iter().find(|s| s.name == *step)?.clone();
            let request = build.request.id;
            let job = Job::Step { run, version: version.clone(), request, step };
            work_of(p, name, version, &build.digest, job)
        }
        Task::Gate(tier, gate) => gate_work(p, name, run, version, tier, gate),
        Task::Deploy(tier, node, mode) => deploy_work(p, name, run, version, tier, node, *mode),
    };
    Some(Work { taken_up: place.taken_up, ..work? })
}

fn gate_work(
    p: &PipelineState,
    name: &PipelineName,
    run: RunId,
    version: &VersionLabel,
    tier_name: &TierName,
    gate: &GateName,
) -> Option<Work> {
    let t = p.tiers.get(tier_name)?;
    let (digest, mode) = match (&t.inside, &t.going_back) {
        (Some(inside), _) if inside.version == *version => (&inside.digest, DeployMode::Deploy),
        (_, Some(back)) => (&back.digest, DeployMode::Rollback),
        _ => return None,
    };
    let tier = p.tier_of(digest, tier_name)?;
    let gate = tier.gate(gate)?;
    let backup = match &gate.check {
        Check::Backup { .. } => backup::last(t, &gate.name),
        Check::MigrationDryRun { backup, .. } => backup::to_restore(p, digest, tier_name, backup.as_ref()),
        _ => None,
    };
    let job = Job::Gate {
        run,
        version: version.clone(),
        artifacts: p.versions.get(version)?.artifacts.clone(),
        previous: t.current.as_ref().map(|c| c.version.clone()),
        tier: tier_name.clone(),
        nodes: tier.nodes.clone(),
        gate: Box::new(gate.clone()),
        mode,
        backup: backup.cloned().map(Box::new),
    };
    work_of(p, name, version, digest, job)
}

fn deploy_work(
    p: &PipelineState,
    name: &PipelineName,
    run: RunId,
    version: &VersionLabel,
    tier_name: &TierName,
    node_name: &NodeName,
    mode: DeployMode,
) -> Option<Work> {
    let t = p.tiers.get(tier_name)?;
    let (digest, other) = match mode {
        DeployMode::Deploy => (&t.inside.as_ref()?.digest, None),
        DeployMode::Rollback => {
            let back = t.going_back.as_ref()?;
            (&back.digest, Some(&back.from_digest))
        }
        DeployMode::Redeploy => (&t.redeploy.as_ref()?.digest, None),
    };
    let tier = named_as_now(p.tier_of(digest, tier_name)?, tier_name);
    let node = p.node_of(tier_name, node_name, std::iter::once(digest).chain(other))?.clone();
    let job = Job::Deploy {
        run,
        version: version.clone(),
        artifacts: p.versions.get(version)?.artifacts.clone(),
        previous: t.nodes.get(node_name).and_then(|n| n.version.clone()).or_else(|| left(t, mode)),
        node,
        mode,
        fallback: (mode == DeployMode::Deploy).then(|| fallback(p, &tier, node_name)).flatten().map(Box::new),
        tier: Box::new(tier),
    };
    work_of(p, name, version, digest, job)
}

/// The tier as a definition has it, by the name that it has now: that definition may know it by an older one.
fn named_as_now(tier: &Tier, name: &TierName) -> Tier {
    Tier { name: name.clone(), ..tier.clone() }
}

/// The version that a way back leaves: what is on a node that it failed on is not known otherwise.
fn left(t: &TierState, mode: DeployMode) -> Option<VersionLabel> {
    let back = t.going_back.as_ref().filter(|_| mode == DeployMode::Rollback)?;
    Some(back.from.clone())
}

fn fallback(p: &PipelineState, tier: &Tier, node: &NodeName) -> Option<Fallback> {
    tier.deploy.as_ref()?.confirm_within?;
    let current = p.tiers.get(&tier.name)?.current.as_ref()?;
    let version = p.versions.get(&current.version)?;
    let definition = p.known.get(&current.digest)?.clone();
    let tier = named_as_now(p.tier_of(&current.digest, &tier.name)?, &tier.name);
    let node = p.node_of(&tier.name, node, std::iter::once(&current.digest))?.clone();
    let (sha, ref_name) = (version.sha.clone(), version.ref_name.clone());
    Some(Fallback { version: current.version.clone(), sha, ref_name, definition, tier, node })
}
