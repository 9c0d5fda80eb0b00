//! A world without disk or clock: pipelines, pushes and scripted outcomes go in, events come out. The rules of the
//! specification are tested against it, through the same three functions that the engine uses.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tidegate::domain::event::Artifact;
use tidegate::domain::pipeline::*;
use tidegate::domain::*;

/// What a scripted run comes to.
#[derive(Clone, Debug)]
pub(crate) enum Ends {
    Passes,
    Is(Classification),
    /// It could not judge, because the disk was full.
    FindsNoRoom,
    Breaks(Failure),
}

/// Everything at once: state, time, what was said, and what is to become of runs.
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: Time,
    pub(crate) said: Vec<Envelope>,
    scripts: BTreeMap<String, VecDeque<Ends>>,
    held: BTreeSet<String>,
    jobs: u32,
    pub(crate) open: bool,
    pub(crate) disk_full: bool,
    next_wake: Option<Time>,
}

pub(crate) fn moment(text: &str) -> Time {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

impl World {
    /// A world in which that pipeline is loaded.
    pub(crate) fn with(pipeline: Pipeline) -> World {
        let mut world = World {
            state: State::default(),
            now: moment("2026-11-23T09:00:00Z"),
            said: Vec::new(),
            scripts: BTreeMap::new(),
            held: BTreeSet::new(),
            jobs: 8,
            open: true,
            disk_full: false,
            next_wake: None,
        };
        world.load(pipeline);
        world
    }

    pub(crate) fn jobs(mut self, jobs: u32) -> World {
        self.jobs = jobs;
        self
    }

    pub(crate) fn load(&mut self, pipeline: Pipeline) {
        let text = serde_json::to_string(&pipeline).unwrap();
        self.tell(Command::Load {
            file: format!("{}.toml", pipeline.was.as_ref().unwrap_or(&pipeline.name)),
            digest: digest_of(&text),
            text,
            definition: Arc::new(pipeline),
        });
    }

    /// What a run called that comes to, in turn: `compile`, `host/tests`, `staging/a1`, `prod/a1 rollback`.
    pub(crate) fn script(&mut self, run: &str, ends: impl IntoIterator<Item = Ends>) {
        self.scripts.entry(run.into()).or_default().extend(ends);
    }

    /// Keeps runs of that name under way until they are let go.
    pub(crate) fn hold_run(&mut self, run: &str) {
        self.held.insert(run.into());
    }

    pub(crate) fn let_go(&mut self, run: &str) {
        self.held.remove(run);
        self.settle();
    }

    /// A command that must be taken, and everything that follows.
    pub(crate) fn tell(&mut self, command: Command) -> Answer {
        let answer = self.ask(command).expect("the command is taken");
        self.settle();
        answer
    }

    /// A command, without what follows.
    pub(crate) fn ask(&mut self, command: Command) -> Result<Answer, Rejection> {
        let decision = decide(&self.state, &command, self.now)?;
        self.fold(decision.facts);
        Ok(decision.answer)
    }

    fn fold(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            let envelope = Envelope { id: EventId(self.state.last.0 + 1), at: self.now, fact };
            let text = tidegate::wire::encode(&envelope);
            assert_eq!(tidegate::wire::decode(&text).unwrap(), envelope, "the wire form is faithful");
            apply(&mut self.state, &envelope);
            self.said.push(envelope);
        }
    }

    /// Lets everything follow that follows, and every run that is not held come to its end.
    pub(crate) fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "it never settles; last said: {:?}", self.lines().last());
            self.proceed();
            if !self.end_one() {
                return;
            }
        }
    }

    fn proceed(&mut self) {
        let names: Vec<PipelineName> = self.state.pipelines.keys().cloned().collect();
        self.next_wake = None;
        for name in names {
            for round in 0.. {
                assert!(round < 1_000, "it never settles: {:?}", self.lines().last());
                let slots = self.jobs.saturating_sub(self.state.busy_slots);
                let room = Room { now: self.now, slots, open: self.open, disk_full: self.disk_full };
                let next = proceed(&self.state, &name, &room);
                if next.facts.is_empty() {
                    self.next_wake = [self.next_wake, next.wake].into_iter().flatten().min();
                    break;
                }
                self.fold(next.facts);
            }
        }
    }

    fn end_one(&mut self) -> bool {
        let stopped: Vec<RunId> = self
            .state
            .running
            .keys()
            .copied()
            .filter(|run| !is_wanted(&self.state, &Effect::Run(*run), self.now))
            .collect();
        if let Some(run) = stopped.first() {
            let ended = self.end_of(*run, Ends::Is(Classification::Canceled));
            self.ask(ended).unwrap();
            return true;
        }
        for effect in outstanding(&self.state, self.now) {
            if self.disk_full && matches!(effect, Effect::Prepare(..)) {
                continue;
            }
            let work = work(&self.state, &effect).expect("what is outstanding can be described");
            let name = run_name(&work);
            if self.held.contains(&name) {
                continue;
            }
            let ends = self.scripts.get_mut(&name).and_then(VecDeque::pop_front).unwrap_or(Ends::Passes);
            let ended = match work.job {
                Job::Prepare { request } => {
                    Command::Prepared { request, label: Ok(Some(label_of(&work.sha))) }
                }
                Job::Collect { version, request } => Command::Collected {
                    request,
                    artifacts: Ok(vec![Artifact {
                        path: "app".into(),
                        sha256: version.to_string(),
                        size: 1,
                        executable: true,
                    }]),
                },
                Job::Step { run, .. } | Job::Gate { run, .. } | Job::Deploy { run, .. } => {
                    self.end_of(run, ends)
                }
            };
            self.ask(ended).unwrap();
            return true;
        }
        false
    }

    fn end_of(&self, run: RunId, ends: Ends) -> Command {
        let deploys = matches!(self.state.running[&run].task, state::Task::Deploy(..));
        match ends {
            Ends::Passes if deploys => Command::DeployEnded { run, result: Ok(5), log_ref: None },
            Ends::Passes => Command::RunEnded { run, outcome: Outcome::of(Classification::Ok) },
            Ends::Is(Classification::Canceled) if deploys => Command::DeployEnded {
                run,
                result: Err((Failure::Canceled, "canceled".into())),
                log_ref: None,
            },
            Ends::Is(class) => Command::RunEnded { run, outcome: Outcome::of(class) },
            Ends::FindsNoRoom => {
                let mut outcome = Outcome::of(Classification::Infrastructure);
                outcome.blockers = vec![Blocker::DiskFull];
                Command::RunEnded { run, outcome }
            }
            Ends::Breaks(failure) => {
                Command::DeployEnded { run, result: Err((failure, "it broke".into())), log_ref: None }
            }
        }
    }

    /// Time passes; everything that was due meanwhile happens at its moment.
    pub(crate) fn wait(&mut self, span: TimeDelta) {
        let end = self.now + span;
        self.settle();
        while let Some(wake) = self.next_wake.filter(|wake| *wake <= end) {
            assert!(wake > self.now, "a wake-up in the past");
            self.now = wake;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// The controller ends without a word and begins again: the state is folded anew from what was said.
    pub(crate) fn crash(&mut self) {
        let mut state = State::default();
        for envelope in &self.said {
            apply(&mut state, envelope);
        }
        assert_eq!(state, self.state, "the fold of the journal is the state");
        self.state = state;
        self.tell(Command::Started { release: "test".into(), runner: None });
    }

    /// A push of commit `c1`, `c2`, … to `main`.
    pub(crate) fn push(&mut self, commit: &str) -> Answer {
        self.push_with(commit, |_| {})
    }

    pub(crate) fn push_with(&mut self, commit: &str, change: impl FnOnce(&mut Push)) -> Answer {
        let mut push = a_push(commit);
        change(&mut push);
        self.tell(Command::Push { by: None, why: None, again: false, pushes: vec![push] })
    }

    /// A person asks for a build.
    pub(crate) fn rebuild(&mut self, commit: &str) -> Answer {
        let by = Some(actor("ann", Role::Trigger));
        let pushes = vec![Push { ref_name: None, ..a_push(commit) }];
        self.tell(Command::Push { by, why: None, again: true, pushes })
    }

    /// A deed of ann, who is an operator.
    pub(crate) fn deed(&mut self, deed: Deed) -> Result<Answer, Rejection> {
        self.deed_of(&actor("ann", Role::Operator), deed)
    }

    pub(crate) fn deed_of(&mut self, actor: &Actor, deed: Deed) -> Result<Answer, Rejection> {
        let answer = self.ask(Command::ByHand {
            actor: actor.clone(),
            why: Some("because".into()),
            pipeline: "shop".into(),
            deed,
        })?;
        self.settle();
        Ok(answer)
    }

    pub(crate) fn promote(&mut self, tier: &str, version: &str) -> Result<Answer, Rejection> {
        self.deed(Deed::Promote { tier: tier.into(), version: version.into(), lift: false })
    }

    pub(crate) fn rollback(&mut self, tier: &str) -> Result<Answer, Rejection> {
        self.deed(Deed::Rollback { tier: tier.into(), to: None, from: None })
    }

    pub(crate) fn retry(&mut self, tier: &str, version: &str) -> Result<Answer, Rejection> {
        self.deed(Deed::Retry { tier: tier.into(), version: Some(version.into()) })
    }

    pub(crate) fn current(&self, tier: &str) -> String {
        let current = self.shop().tiers.get(tier).and_then(|t| t.current.as_ref());
        current.map(|c| c.version.to_string()).unwrap_or_default()
    }

    pub(crate) fn shop(&self) -> &state::PipelineState {
        &self.state.pipelines["shop"]
    }

    /// What stands between a version and a tier, by kind.
    pub(crate) fn blockers(&self, tier: &str, version: &str) -> Vec<&'static str> {
        let tier = self.shop().tier_in_force(&tier.into()).unwrap();
        let found = promotion::blockers(self.shop(), tier, &version.into(), self.now);
        found.iter().map(Blocker::kind).collect()
    }

    /// Everything that was said, a short line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.said.iter().map(line).collect()
    }

    /// What was said since that line number.
    pub(crate) fn since(&self, mark: usize) -> Vec<String> {
        self.lines().split_off(mark)
    }

    pub(crate) fn mark(&self) -> usize {
        self.said.len()
    }

    /// How often something beginning so was said.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(start)).count()
    }

    /// That these were said in this order, other things between them allowed.
    #[track_caller]
    pub(crate) fn saw(&self, expected: &[&str]) {
        let lines = self.lines();
        let mut rest = lines.iter();
        for wanted in expected {
            assert!(
                rest.any(|line| line.starts_with(wanted)),
                "`{wanted}` is missing (in this place) in:\n{}",
                lines.join("\n")
            );
        }
    }
}

fn digest_of(text: &str) -> Digest {
    use sha2::Digest as _;
    Digest::from(format!("sha256:{:x}", sha2::Sha256::digest(text)))
}

fn label_of(sha: &Sha) -> String {
    format!("1.0.{}", sha.as_str().trim_start_matches('c').trim_end_matches('0'))
}

/// The object name of commit `c1`: it looks like one, and the label `1.0.1` can be read from it.
pub(crate) fn sha(commit: &str) -> Sha {
    Sha::from(format!("{commit:0<40}"))
}

pub(crate) fn a_push(commit: &str) -> Push {
    Push {
        pipeline: "shop".into(),
        sha: sha(commit),
        ref_name: Some("refs/heads/main".into()),
        old: None,
        news: News::Told,
        author: "Ann".into(),
        subject: "A change".into(),
        emails: vec!["ann@example.org".into()],
        ref_taken: true,
        touched: true,
        tag_missing: false,
    }
}

pub(crate) fn actor(name: &str, role: Role) -> Actor {
    Actor { name: name.into(), role, email: None }
}

/// An operator with an address.
pub(crate) fn person(name: &str) -> Actor {
    Actor { email: Some(format!("{name}@example.org")), ..actor(name, Role::Operator) }
}

fn run_name(work: &Work) -> String {
    match &work.job {
        Job::Prepare { .. } => "prepare".into(),
        Job::Collect { .. } => "collect".into(),
        Job::Step { step, .. } => step.name.to_string(),
        Job::Gate { tier, gate, .. } => format!("{tier}/{}", gate.name),
        Job::Deploy { tier, node, mode: event::DeployMode::Deploy, .. } => {
            format!("{}/{}", tier.name, node.name)
        }
        Job::Deploy { tier, node, mode, .. } => format!("{}/{} {}", tier.name, node.name, mode.as_str()),
    }
}

fn line(envelope: &Envelope) -> String {
    let value: serde_json::Value = serde_json::from_str(&tidegate::wire::encode(envelope)).unwrap();
    let mut line = value["kind"].as_str().unwrap().to_owned();
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for field in [
        "action",
        "sha_aborted",
        "tier",
        "step",
        "name",
        "node",
        "mode",
        "from",
        "to",
        "version",
        "end",
        "by_version",
        "failure",
        "reason",
        "whose",
    ] {
        if let Some(value) = value.get(field) {
            line += &format!(" {}", text(value));
        }
    }
    if let Some(status) = value.get("outcome").and_then(|o| o.get("classification")) {
        line += &format!(" {}", text(status));
    }
    if let Some(blockers) = value.get("blockers").and_then(|b| b.as_array()) {
        let kinds: Vec<String> = blockers.iter().map(|b| text(&b["kind"])).collect();
        line += &format!(" [{}]", kinds.join(","));
    }
    line
}

// Pipelines, as short as the tests need them.

/// A pipeline `shop` with one build step `compile` and these tiers, each after the one before.
pub(crate) fn shop(tiers: impl IntoIterator<Item = Tier>) -> Pipeline {
    let mut tiers: Vec<Tier> = tiers.into_iter().collect();
    for i in 1..tiers.len() {
        if tiers[i].after.is_empty() {
            tiers[i].after = vec![tiers[i - 1].name.clone()];
        }
    }
    Pipeline {
        name: "shop".into(),
        was: None,
        description: None,
        source: Source {
            repo: "/srv/git/shop.git".into(),
            refs: vec!["main".into()],
            paths: vec![],
            poll: None,
            submodules: false,
            lfs: false,
        },
        version: VersionRule::Default,
        env: Default::default(),
        secrets: Default::default(),
        build: Build {
            on_newer: OnNewer::Abort,
            timeout: None,
            artifacts: vec!["app".into()],
            steps: vec![step("compile", &[])],
        },
        tiers,
        notify: vec![],
        schedule: vec![],
        tests: vec![],
        unsupported: vec![],
    }
}

pub(crate) fn step(name: &str, needs: &[&str]) -> Step {
    Step {
        name: name.into(),
        run: Script::Shell("true".into()),
        needs: needs.iter().map(|n| StepName::from(*n)).collect(),
        exec: Exec::default(),
    }
}

/// A tier that lets everything in and checks nothing.
pub(crate) fn tier(name: &str) -> Tier {
    Tier {
        name: name.into(),
        was: None,
        after: vec![],
        promote: Promote {
            mode: Mode::Auto,
            soak: None,
            confirm: None,
            pick: Pick::Newest,
            require: Require::All,
            window: vec![],
            freeze: vec![],
        },
        nodes: vec![],
        deploy: None,
        gates: vec![],
        unsupported: vec![],
    }
}

/// Changes to a tier, one after the other.
pub(crate) trait With: Sized {
    fn with(self, change: impl FnOnce(&mut Self)) -> Self;
}

impl<T> With for T {
    fn with(mut self, change: impl FnOnce(&mut T)) -> T {
        change(&mut self);
        self
    }
}

pub(crate) trait TierShape {
    fn gate(self, name: &str) -> Self;
    fn verify(self, name: &str) -> Self;
    fn nodes(self, names: &[&str]) -> Self;
    fn waves(self, waves: &[Wave]) -> Self;
    fn manual(self) -> Self;
    fn after(self, tiers: &[&str]) -> Self;
    fn confirmed_by(self, count: u32) -> Self;
}

impl TierShape for Tier {
    fn gate(self, name: &str) -> Tier {
        self.with(|t| t.gates.push(gate(name, Phase::Check)))
    }
    fn verify(self, name: &str) -> Tier {
        self.with(|t| t.gates.push(gate(name, Phase::Verify)))
    }
    fn nodes(self, names: &[&str]) -> Tier {
        self.with(|t| {
            t.nodes = names.iter().map(|n| node(n)).collect();
            t.deploy = Some(Deploy {
                upload: vec![],
                run: Some(Script::Shell("./deploy".into())),
                waves: vec![Wave::Count(1)],
                max_failures: 0,
                health: None,
                on_failure: OnFailure::Rollback,
                rerun_on_crash: false,
                leave_running: false,
                confirm_within: None,
                exec: Exec::default(),
            });
        })
    }
    fn waves(self, waves: &[Wave]) -> Tier {
        self.with(|t| t.deploy.as_mut().unwrap().waves = waves.to_vec())
    }
    fn manual(self) -> Tier {
        self.with(|t| t.promote.mode = Mode::Manual)
    }
    fn after(self, tiers: &[&str]) -> Tier {
        self.with(|t| t.after = tiers.iter().map(|n| TierName::from(*n)).collect())
    }
    fn confirmed_by(self, count: u32) -> Tier {
        self.with(|t| {
            t.promote.confirm = Some(Confirm { count, roles: vec![], not_author: false, expires: None });
        })
    }
}

pub(crate) fn node(name: &str) -> Node {
    Node { name: name.into(), was: None, ssh: None, env: Default::default() }
}

pub(crate) fn gate(name: &str, phase: Phase) -> Gate {
    Gate {
        name: name.into(),
        phase,
        needs: vec![],
        required: true,
        flaky_tries: 0,
        exec: Exec::default(),
        check: Check::Command { run: Script::Shell("true".into()) },
    }
}
