//! A state folder, a repository with one commit, and an interpreter between them.

use crate::artifact::Store;
use crate::domain::event::{Artifact, DeployMode, StepSaid};
use crate::domain::pipeline::*;
use crate::domain::*;
use crate::interpreter::places::Places;
use crate::interpreter::{Interpreter, LocalInterpreter, Report, StopCause};
use crate::remote::Client;
use crate::runner::{LocalRunner, Runner};
use crate::settings::StateDir;
use crate::source::Git;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Nothing here takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs of all tests have different numbers: processes of one test are not those of another.
static RUNS: AtomicU64 = AtomicU64::new(1_000_000);

pub(super) struct Bench {
    pub(super) folder: TempDir,
    pub(super) pipeline: Pipeline,
    pub(super) sha: Sha,
    pub(super) ref_name: RefName,
    pub(super) interpreter: LocalInterpreter,
    reports: Option<mpsc::Receiver<Report>>,
    /// What was heard before its end was waited for.
    heard: Vec<u8>,
}

/// How an effect ended, and what was told meanwhile.
pub(super) struct Told {
    pub(super) end: Command,
    pub(super) said: Vec<StepSaid>,
    /// The backup that is kept: where it is from, and its digest.
    pub(super) kept: Option<(String, String)>,
    /// The chunks, put where they belong.
    pub(super) output: Vec<u8>,
}

impl Bench {
    /// A repository with these files; those that begin with `#!` can be executed.
    pub(super) async fn new(files: &[(&str, &str)]) -> Bench {
        Bench::with_runner(files, Arc::new(LocalRunner::new())).await
    }

    pub(super) async fn with_runner(files: &[(&str, &str)], runner: Arc<dyn Runner>) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("repo");
        let sha = commit(&repo, files);
        let state = StateDir::new(folder.path().join("state"));
        state.prepare().unwrap();
        let (sender, reports) = mpsc::channel(64);
        let store = Store::open(state.artifacts()).await.unwrap();
        let remote = Client::new(&["ssh".to_owned()], state.ssh());
        let interpreter =
            LocalInterpreter::new(state, runner, Git::default(), store, remote, 100 << 20, sender);
        Bench {
            pipeline: pipeline(&repo),
            sha,
            ref_name: "refs/heads/main".into(),
            interpreter,
            reports: Some(reports),
            heard: Vec::new(),
            folder,
        }
    }

    pub(super) fn state(&self) -> StateDir {
        StateDir::new(self.folder.path().join("state"))
    }

    pub(super) fn places(&self) -> Places {
        Places::new(&self.state(), &self.pipeline.name)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn begin(&self, job: Job) -> Effect {
        let pipeline = self.pipeline.name.clone();
        let effect = match &job {
            Job::Prepare { request } => Effect::Prepare(*request),
            Job::Collect { request, .. } => Effect::Collect(*request),
            Job::Step { run, .. } | Job::Gate { run, .. } | Job::Deploy { run, .. } => Effect::Run(*run),
        };
        let work = Work {
            home: pipeline.clone(),
            pipeline,
            definition: Arc::new(self.pipeline.clone()),
            sha: self.sha.clone(),
            ref_name: Some(self.ref_name.clone()),
            taken_up: false,
            job,
        };
        self.interpreter.begin(effect.clone(), work);
        effect
    }

    pub(super) async fn next(&mut self) -> Report {
        let reports = self.reports.as_mut().expect("somebody listens");
        tokio::time::timeout(LIMIT, reports.recv()).await.expect("a report in time").expect("a report")
    }

    /// Nobody listens any more.
    pub(super) fn hang_up(&mut self) {
        self.reports = None;
    }

    /// Listens until the effect has ended.
    pub(super) async fn end(&mut self) -> Told {
        let (mut said, mut output, mut kept) = (Vec::new(), std::mem::take(&mut self.heard), None);
        loop {
            match self.next().await {
                Report::Output { offset, bytes, .. } => {
                    assert_eq!(offset, output.len() as u64, "no holes where somebody listens");
                    output.extend_from_slice(&bytes);
                }
                Report::Command(Command::RunSaid { said: one, .. }) => said.push(one),
                Report::Command(Command::BackupKept { source, sha256, .. }) => kept = Some((source, sha256)),
                Report::Command(end) => return Told { end, said, kept, output },
            }
        }
    }

    /// Does the job to its end.
    pub(super) async fn carry_out(&mut self, job: Job) -> Told {
        self.begin(job);
        self.end().await
    }

    /// Waits until the run's output holds the text, then stops it.
    pub(super) async fn stop_at(&mut self, text: &str, effect: &Effect, cause: StopCause) {
        loop {
            match self.next().await {
                Report::Output { bytes, .. } => self.heard.extend_from_slice(&bytes),
                Report::Command(other) => panic!("ended before `{text}`: {other:?}"),
            }
            if String::from_utf8_lossy(&self.heard).contains(text) {
                return self.interpreter.stop(effect, cause);
            }
        }
    }
}

impl Told {
    pub(super) fn outcome(&self) -> &Outcome {
        match &self.end {
            Command::RunEnded { outcome, .. } => outcome,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn class(&self) -> Classification {
        self.outcome().classification
    }

    /// What the deploy came to.
    pub(super) fn deployed(&self) -> Result<(), (Failure, String)> {
        match &self.end {
            Command::DeployEnded { result, .. } => result.clone().map(drop),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn failure(&self) -> Failure {
        self.deployed().unwrap_err().0
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.output.clone()).unwrap()
    }

    pub(super) fn warnings(&self) -> Vec<&str> {
        fn message(said: &StepSaid) -> Option<&str> {
            match said {
                StepSaid::Warning { message } => Some(message),
                _ => None,
            }
        }
        self.said.iter().filter_map(message).collect()
    }

    pub(super) fn artifacts(&self) -> Vec<Artifact> {
        match &self.end {
            Command::Collected { artifacts: Ok(artifacts), .. } => artifacts.clone(),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn run() -> RunId {
    RunId(RUNS.fetch_add(1, Ordering::Relaxed))
}

pub(super) const REQUEST: EventId = EventId(7);

pub(super) fn version() -> VersionLabel {
    "1.2.3+g1a2b3c4".into()
}

pub(super) fn step(name: &str, script: &str) -> Job {
    let step = Step { name: name.into(), run: shell(script), needs: Vec::new(), exec: Exec::default() };
    Job::Step { run: run(), version: version(), request: REQUEST, step }
}

pub(super) fn collect() -> Job {
    Job::Collect { version: version(), request: REQUEST }
}

pub(super) fn shell(script: &str) -> Script {
    Script::Shell(script.into())
}

pub(super) fn gate(check: Check, artifacts: &[Artifact]) -> Job {
    let gate = Gate {
        name: "smoke".into(),
        phase: Phase::Check,
        needs: Vec::new(),
        required: true,
        flaky_tries: 0,
        exec: Exec::default(),
        check,
    };
    Job::Gate {
        run: run(),
        version: version(),
        artifacts: artifacts.to_vec(),
        previous: Some("1.2.2".into()),
        tier: "staging".into(),
        nodes: vec![node()],
        gate: Box::new(gate),
        mode: DeployMode::Deploy,
        backup: None,
    }
}

pub(super) fn command(script: &str) -> Check {
    Check::Command { run: shell(script) }
}

pub(super) fn node() -> Node {
    let env = BTreeMap::from([("WHERE".into(), "on a1".into())]);
    Node { name: "a1".into(), was: None, ssh: None, env }
}

pub(super) fn plain_deploy() -> Deploy {
    Deploy {
        upload: Vec::new(),
        run: None,
        waves: vec![Wave::Count(1)],
        max_failures: 0,
        health: None,
        on_failure: OnFailure::Rollback,
        rerun_on_crash: false,
        leave_running: false,
        confirm_within: None,
        exec: Exec::default(),
    }
}

pub(super) fn deploy(deploy: Deploy, artifacts: &[Artifact]) -> Job {
    let promote = Promote {
        mode: Mode::Auto,
        soak: None,
        confirm: None,
        pick: Pick::Newest,
        require: Require::All,
        window: Vec::new(),
        freeze: Vec::new(),
    };
    let tier = Tier {
        name: "staging".into(),
        was: None,
        after: Vec::new(),
        promote,
        nodes: vec![node()],
        deploy: Some(deploy),
        gates: Vec::new(),
        unsupported: Vec::new(),
    };
    Job::Deploy {
        run: run(),
        version: version(),
        artifacts: artifacts.to_vec(),
        previous: None,
        tier: Box::new(tier),
        node: node(),
        mode: DeployMode::Rollback,
        fallback: None,
    }
}

pub(super) fn millis(millis: u64) -> Span {
    Span::parse(&format!("{millis}ms")).unwrap()
}

fn pipeline(repo: &Path) -> Pipeline {
    Pipeline {
        name: "shop".into(),
        was: None,
        description: None,
        source: Source {
            repo: repo.to_str().unwrap().into(),
            refs: Vec::new(),
            paths: Vec::new(),
            poll: None,
            submodules: false,
            lfs: false,
        },
        version: VersionRule::Default,
        env: BTreeMap::from([("WHERE".into(), "in the pipeline".into()), ("ALL".into(), "all".into())]),
        secrets: BTreeMap::new(),
        build: Build { on_newer: OnNewer::Abort, timeout: None, artifacts: Vec::new(), steps: Vec::new() },
        tiers: Vec::new(),
        notify: Vec::new(),
        schedule: Vec::new(),
        tests: Vec::new(),
        unsupported: Vec::new(),
    }
}

fn commit(repo: &Path, files: &[(&str, &str)]) -> Sha {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(repo).unwrap();
    for (name, text) in files {
        let path = repo.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    git(repo, &["init", "-q", "-b", "main"]);
    git(repo, &["add", "-A"]);
    git(repo, &["commit", "-q", "--allow-empty", "-m", "first"]);
    git(repo, &["rev-parse", "HEAD"]).trim().into()
}

fn git(repo: &Path, args: &[&str]) -> String {
    let mut command = std::process::Command::new("git");
    command.arg("-C").arg(repo).args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(args);
    for name in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"] {
        command.env(name, "/dev/null");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
