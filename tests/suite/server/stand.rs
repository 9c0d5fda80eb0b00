//! A controller to talk to, and the hands to talk with: requests byte by byte, so that bad ones can be sent too.

use super::described;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tidegate::bus::Bus;
use tidegate::clock::{Clock, SystemClock};
use tidegate::disk::{Gauge, ToldDisk};
use tidegate::domain::*;
use tidegate::engine::{self, Engine, Parts};
use tidegate::interpreter::{Interpreter, Report, StopCause};
use tidegate::journal::{Filter, Journal, MemoryJournal};
use tidegate::server::{Limits, ServerOptions, serve};
use tidegate::settings::{
    Network, NewToken, ReadAccess, StateDir, Tokens, UnixDoor, Webhooks, read_token_file,
};
use tidegate::source::Git;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Nothing here takes that long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A controller.
pub(crate) struct Stand {
    pub(crate) addr: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) disk: ToldDisk,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) hands: Hands,
    pub(crate) shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    owner: String,
    _temp: TempDir,
}

/// How a controller differs from the usual one.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) read: ReadAccess,
    pub(crate) hosts: Vec<String>,
    pub(crate) unix: UnixDoor,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) stall: Duration,
    pub(crate) webhooks: Webhooks,
    pub(crate) git: Git,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            limits: Limits::default(),
            read: ReadAccess::Open,
            hosts: vec!["tides.example".into()],
            unix: UnixDoor::default(),
            trusted_proxies: Vec::new(),
            stall: Duration::from_secs(300),
            webhooks: Webhooks::default(),
            git: test_git(),
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl Stand {
    pub(crate) async fn new() -> Stand {
        Stand::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Stand {
        let temp = tempfile::tempdir().unwrap();
        let state = StateDir::new(temp.path().join("state"));
        state.prepare().unwrap();
        let tokens = Arc::new(Tokens::open(&state).unwrap());
        let owner = read_token_file(&state.token(), tidegate::settings::Privacy::Owner).unwrap();
        let journal = Arc::new(MemoryJournal::new());
        let clock = setup.clock;
        let (hands, reports) = Hands::new(&state);
        let disk = ToldDisk::new();
        let parts = Parts {
            journal: journal.clone(),
            bus: Bus::new(journal.clone()),
            clock: clock.clone(),
            disk: Arc::new(disk.clone()),
            interpreter: Arc::new(hands.clone()),
            reports,
        };
        let options = engine::Options { jobs: 4, release: "0.0.0".into(), runner: None };
        let (engine, task) = engine::start(State::default(), parts, options);
        tokio::spawn(task);
        engine.until_ready().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let options = ServerOptions {
            clock,
            gauge: Gauge::default(),
            notices: Arc::new(Default::default),
            troubles: Arc::new(Vec::new),
            tokens: tokens.clone(),
            read: setup.read,
            hosts: setup.hosts,
            unix: setup.unix,
            trusted_proxies: setup.trusted_proxies,
            state: state.clone(),
            git: setup.git,
            stall: setup.stall,
            jobs: 4,
            log_ref: |pipeline, run| format!("logs/{pipeline}/{run}.log"),
            webhooks: setup.webhooks,
            limits: setup.limits,
        };
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, engine.clone(), options, shutdown.clone()));
        let owner = owner.expose().to_owned();
        Stand { addr, engine, disk, journal, tokens, hands, shutdown, serving, owner, _temp: temp }
    }

    /// A token of that role, called like it unless there is a repository.
    pub(crate) fn token(&self, name: &str, role: Role, repo: Option<&Path>) -> String {
        let repo = repo.map(|repo| repo.display().to_string());
        self.new_token(NewToken { repo, ..NewToken::new(name, role, chrono::Utc::now()) })
    }

    /// A token that is limited to some pipelines and tiers.
    pub(crate) fn scoped(&self, name: &str, role: Role, pipelines: &[&str], tiers: &[&str]) -> String {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (pipelines, tiers) = (all(pipelines), all(tiers));
        self.new_token(NewToken { pipelines, tiers, ..NewToken::new(name, role, chrono::Utc::now()) })
    }

    /// A token.
    pub(crate) fn new_token(&self, new: NewToken) -> String {
        self.tokens.create(new).unwrap().expose().to_owned()
    }

    /// Loads a pipeline: two tiers, `host` with a gate `check` and `prod`, entered by hand with one confirmation.
    pub(crate) async fn load(&self, name: &str, repo: &str) {
        self.load_with(name, repo, |_| {}).await;
    }

    pub(crate) async fn load_with(
        &self,
        name: &str,
        repo: &str,
        change: impl FnOnce(&mut serde_json::Value),
    ) {
        let promote = serde_json::json!({"mode": "auto", "pick": "newest", "require": "all"});
        let mut by_hand = promote.clone();
        by_hand["mode"] = "manual".into();
        by_hand["confirm"] = serde_json::json!({"count": 1});
        let mut json = serde_json::json!({
            "name": name,
            "source": {"repo": repo, "refs": ["main"]},
            "version": {"from": "default"},
            "build": {"on_newer": "abort", "steps": [{"name": "compile", "run": "true", "needs": []}]},
            "tiers": [
                {"name": "host", "after": [], "promote": promote, "gates": [
                    {"name": "check", "phase": "check", "required": true, "kind": "command", "run": "true"}
                ]},
                {"name": "prod", "after": ["host"], "promote": by_hand},
            ],
        });
        change(&mut json);
        let definition: Pipeline = serde_json::from_value(json.clone()).unwrap();
        let command = Command::Load {
            file: format!("{name}.toml"),
            digest: Digest::from(format!("sha256:{name}")),
            text: json.to_string(),
            definition: Arc::new(definition),
        };
        self.engine.ask(command).await.unwrap();
    }

    /// A build of a commit that git is not asked about.
    pub(crate) async fn push(&self, pipeline: &str, sha: char) {
        self.push_to(pipeline, sha.to_string().repeat(40), "refs/heads/main").await;
    }

    /// As many builds as may wait, each of a branch of its own.
    pub(crate) async fn fill_queue(&self, pipeline: &str) {
        for number in 0..state::QUEUE_LIMIT {
            self.push_to(pipeline, format!("{number:040x}"), &format!("refs/heads/{number}")).await;
        }
    }

    async fn push_to(&self, pipeline: &str, sha: String, ref_name: &str) {
        let push = Push {
            pipeline: pipeline.into(),
            sha: Sha::from(sha),
            ref_name: Some(ref_name.into()),
            old: None,
            news: News::Told,
            author: "Ann".into(),
            subject: "A change".into(),
            emails: vec!["ann@example.org".into()],
            ref_taken: true,
            touched: true,
            tag_missing: false,
        };
        let command = Command::Push { by: None, why: None, again: false, pushes: vec![push] };
        self.engine.ask(command).await.unwrap();
    }

    /// Waits until the state is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let mut events = self.engine.bus().subscribe(tidegate::bus::Start::live()).unwrap();
        let waiting = async {
            while !self.engine.read(&is_so) {
                events.next().await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("it never became so: {what}"));
    }

    /// The events of that kind that are in the journal.
    pub(crate) async fn journaled(&self, kind: &str) -> Vec<serde_json::Value> {
        self.engine.settled().await.unwrap();
        let filter = Filter { kinds: vec![kind.parse().unwrap()], ..Filter::default() };
        let page = self.journal.read(EventId(0), 10_000, &filter).await.unwrap();
        page.records.iter().map(|record| serde_json::from_str(&record.body).unwrap()).collect()
    }

    /// Waits until that many of them are.
    pub(crate) async fn until_journaled(&self, kind: &str, count: usize) {
        let mut events = self.engine.bus().subscribe(tidegate::bus::Start::live()).unwrap();
        let waiting = async {
            while self.journaled(kind).await.len() < count {
                events.next().await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("there are not {count} of {kind}"));
    }

    /// Waits until the state is so, be it durable or not: nothing is said of it, so it is looked at again and again.
    pub(crate) async fn until_committed(&self, is_so: impl Fn(&State) -> bool) {
        let waiting = async {
            while !self.engine.read(&is_so) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("it becomes so");
    }

    /// Waits until that version has passed that tier.
    pub(crate) async fn until_passed(&self, pipeline: &str, tier: &str, version: &str) {
        let (pipeline, tier, version) = (pipeline.into(), tier.into(), version.into());
        let passed = |state: &State| state.pipeline(&pipeline).is_some_and(|p| p.has_passed(&tier, &version));
        self.until("passed", passed).await;
    }

    /// A request with the owner's token, answered.
    pub(crate) async fn post(&self, path: &str, json: &str) -> Answered {
        let head = [
            ("authorization", format!("Bearer {}", self.owner)),
            ("content-type", "application/json".to_owned()),
        ];
        self.send("POST", path, &head, json.as_bytes()).await
    }

    /// A request without a token, answered.
    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send("GET", path, &[], b"").await
    }

    /// A request, answered as it is described.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Answered {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "connection") {
            head += "connection: close\r\n";
        }
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.addr);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        let answered = self.raw(&[head.as_bytes(), b"\r\n", body].concat()).await;
        described::check(method, path, &answered);
        answered
    }

    /// Sends bytes, and reads until the other side closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answered {
        let talk = async {
            let mut stream = self.connect().await;
            // What is refused early may not be read to its end.
            let _ = stream.write_all(bytes).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            Answered::parse(&answer)
        };
        timeout(PATIENCE, talk).await.expect("the server neither answers nor closes")
    }

    /// What comes on a connection within that time; none: nothing.
    pub(crate) async fn answer_within(&self, stream: &mut TcpStream, time: Duration) -> Option<Answered> {
        let mut answer = Vec::new();
        let begun = timeout(time, stream.read_buf(&mut answer)).await;
        begun.ok()?.unwrap();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes").unwrap();
        Some(Answered::parse(&answer))
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Ends the server; it must end by itself.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.serving).await.expect("the server ends").unwrap().unwrap();
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    /// Reads an answer; nothing at all is status 0.
    pub(crate) fn parse(bytes: &[u8]) -> Answered {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Answered { status: 0, headers: Vec::new(), body: bytes.to_vec() };
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answered = Answered { status, headers, body: bytes[end + 4..].to_vec() };
        if answered.header("transfer-encoding") == "chunked" {
            answered.body = dechunk(&answered.body);
        }
        answered
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or("")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text()))
    }

    /// That it is a problem with that status and code, in full.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let json = self.json();
        assert_eq!(json["code"], code, "{json}");
        assert_eq!(json["status"], status);
        assert_eq!(json["type"], format!("urn:tidegate:{code}"));
        assert!(json["detail"].as_str().is_some_and(|text| !text.is_empty()), "{json}");
        assert!(json["title"].as_str().is_some_and(|text| !text.is_empty()), "{json}");
    }
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let from = end + 2;
        whole.extend_from_slice(&rest[from..from + size]);
        rest = &rest[from + size + 2..];
        if size == 0 {
            break;
        }
    }
    whole
}

/// Git with settings that do not depend on the machine.
pub(crate) fn test_git() -> Git {
    GIT_ENV.iter().fold(Git::default(), |git, (name, value)| git.with_env(name, value))
}

pub(crate) const GIT_ENV: [(&str, &str); 6] = [
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_AUTHOR_NAME", "Ada"),
    ("GIT_AUTHOR_EMAIL", "ada@example.org"),
    ("GIT_COMMITTER_NAME", "Bob"),
    ("GIT_COMMITTER_EMAIL", "bob@example.org"),
];

/// An interpreter that only pretends: everything passes at once, unless runs are held.
#[derive(Clone)]
pub(crate) struct Hands {
    reports: mpsc::Sender<Report>,
    held: Arc<Mutex<Held>>,
    logs: std::path::PathBuf,
}

#[derive(Default)]
struct Held {
    holding: bool,
    runs: Vec<RunId>,
}

impl Hands {
    fn new(state: &StateDir) -> (Hands, mpsc::Receiver<Report>) {
        let (reports, receiver) = mpsc::channel(4096);
        (Hands { reports, held: Arc::default(), logs: state.logs() }, receiver)
    }

    /// Runs go on until they are let go.
    pub(crate) fn hold(&self) {
        self.held.lock().unwrap().holding = true;
    }

    /// Runs that begin from now on end at once again.
    pub(crate) fn release(&self) {
        self.held.lock().unwrap().holding = false;
    }

    /// Ends a run that is held.
    pub(crate) fn let_go(&self, run: RunId, outcome: Outcome) {
        self.held.lock().unwrap().runs.retain(|held| *held != run);
        self.report(Command::RunEnded { run, outcome });
    }

    /// Where the log of a run is.
    pub(crate) fn log(&self, pipeline: &str, run: RunId) -> std::path::PathBuf {
        let folder = self.logs.join(pipeline);
        std::fs::create_dir_all(&folder).unwrap();
        folder.join(format!("{run}.log"))
    }

    pub(crate) fn report(&self, command: Command) {
        self.reports.try_send(Report::Command(command)).unwrap();
    }

    /// A piece of a log, for those who listen.
    pub(crate) fn output(&self, run: RunId, offset: u64, bytes: &[u8]) {
        self.reports.try_send(Report::Output { run, offset, bytes: bytes.into() }).unwrap();
    }
}

impl Interpreter for Hands {
    fn begin(&self, _: Effect, work: Work) {
        let run = match work.job {
            Job::Prepare { request } => {
                let first = work.sha.as_str().chars().next().unwrap();
                let label = Ok(Some(format!("1.0.{}", first.to_digit(16).unwrap())));
                return self.report(Command::Prepared { request, label });
            }
            Job::Collect { request, .. } => {
                return self.report(Command::Collected { request, artifacts: Ok(Vec::new()) });
            }
            Job::Deploy { run, .. } => {
                return self.report(Command::DeployEnded { run, result: Ok(7), log_ref: None });
            }
            Job::Step { run, .. } | Job::Gate { run, .. } => run,
        };
        let mut held = self.held.lock().unwrap();
        if held.holding {
            held.runs.push(run);
        } else {
            drop(held);
            self.report(Command::RunEnded { run, outcome: Outcome::of(Classification::Ok) });
        }
    }

    fn stop(&self, effect: &Effect, _: StopCause) {
        if let Effect::Run(run) = effect {
            self.let_go(*run, Outcome::of(Classification::Canceled));
        }
    }
}
