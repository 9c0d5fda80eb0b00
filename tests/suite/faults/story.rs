//! What happens while a call fails: pushes, a build, gates, deploys, a version that goes back, a reload, what people do by
//! hand, and a stop. Whoever lives in it does what a person would: asks again where an answer did not come, and starts
//! the controller again where it ended.

use super::class::Class;
use super::injector::{Injection, Injector};
use super::promises;
use crate::whole::world::World;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// Nothing here takes that long unless it hangs, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long calls go on failing, where they all do, before whoever looks after it starts it again.
const STUBBORN: Duration = Duration::from_millis(700);

/// What a panic says with which the runtime ends a program that gets no thread; it has no other way to say so.
const NO_THREAD: &str = "OS can't spawn worker thread";

/// What a panic says with which the language ends a thread that gets no memory for its stack of signals, before it began.
const NO_STACK: &str = "failed to allocate an alternative stack";

/// Between two looks at what has become of it: events may not come, since what sends them may be what fails.
const LOOK: Duration = Duration::from_millis(15);

/// Every step writes a line when it begins and when it ends.
const PIPELINE: &str = r#"
[source]
repo = $REPO
refs = ["main"]
poll = "0s"

[build]
artifacts = ["out.txt"]

[[build.step]]
name = "make"
run = "echo start $TIDEGATE_RUN_ID >> $PLACE/ledger; cp VERSION out.txt; cat VERSION; echo end $TIDEGATE_RUN_ID >> $PLACE/ledger"

[[tier]]
name = "host"

[[tier.gate]]
name = "test"
kind = "command"
run = "echo start $TIDEGATE_RUN_ID >> $PLACE/ledger; cat $TIDEGATE_ARTIFACTS/out.txt; echo end $TIDEGATE_RUN_ID >> $PLACE/ledger"

[[tier]]
name = "staging"

[tier.deploy]
upload = [{ artifact = "out.txt", to = "$PLACE/staging/" }]
run = "echo start $TIDEGATE_RUN_ID >> $PLACE/ledger; echo end $TIDEGATE_RUN_ID >> $PLACE/ledger"

[[tier.gate]]
name = "smoke"
kind = "command"
phase = "verify"
run = "echo start $TIDEGATE_RUN_ID >> $PLACE/ledger; echo end $TIDEGATE_RUN_ID >> $PLACE/ledger; ! grep -q 2.0.0 $PLACE/staging/out.txt"

[[tier]]
name = "prod"

[tier.deploy]
upload = [{ artifact = "out.txt", to = "$PLACE/prod/" }]
run = "echo start $TIDEGATE_RUN_ID >> $PLACE/ledger; echo end $TIDEGATE_RUN_ID >> $PLACE/ledger"
"#;

/// The version that does not pass, and the last one that does.
pub(super) const BAD: &str = "2.0.0";
pub(super) const LAST: &str = "3.0.0";

/// Something that was acknowledged: the kind of event, a field of it, and its number.
pub(super) struct Acknowledged {
    pub(super) kind: &'static str,
    pub(super) field: (&'static str, String),
    pub(super) id: u64,
}

/// Somebody who lives through it.
pub(super) struct Story<'a> {
    pub(super) world: World,
    injector: &'a Injector,
    injection: Injection,
    agent: ureq::Agent,
    pub(super) acknowledged: Vec<Acknowledged>,
    /// How much of the log belongs to lives that are over.
    judged: usize,
    /// When it was first seen that calls go on failing.
    failing: Option<Instant>,
    /// Nothing fails any more.
    is_mended: bool,
}

/// What came of it.
pub(super) struct Told {
    /// The call that failed; none: there are not so many.
    pub(super) fired: Option<String>,
    /// Calls of the class.
    pub(super) count: u64,
    /// The promise that broke, in words.
    pub(super) broken: Option<String>,
}

/// Tells it with one call failing.
pub(super) fn tell(injection: Injection) -> Told {
    let world = World::unborn(PIPELINE);
    fs::write(world.path("tidegate.toml"), "[retention]\nversions = 1\nmin_free = \"1MiB\"\n")
        .expect("settings");
    let mut program = world.program();
    let injector = Injector::into(&mut program, injection);
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut story = Story::new(world, &injector, injection);
        story.begin(program);
        story.live();
        story.end();
    }));
    let broken = lived.err().map(|reason| {
        let text = reason.downcast_ref::<String>().cloned();
        text.or_else(|| reason.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    });
    Told { fired: injector.fired(), count: injector.count(), broken }
}

impl<'a> Story<'a> {
    fn new(world: World, injector: &'a Injector, injection: Injection) -> Story<'a> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(15)))
            .build()
            .new_agent();
        Story {
            world,
            injector,
            injection,
            agent,
            acknowledged: Vec::new(),
            judged: 0,
            failing: None,
            is_mended: false,
        }
    }

    fn begin(&mut self, program: std::process::Command) {
        if self.world.try_start_by(program).is_err() {
            // Its end is waited for, and judged, by the first look.
            self.until("its end", |story| story.look());
        }
    }

    fn live(&mut self) {
        self.push("1.0.0");
        self.by_hand("tiers/prod/hold", "hold_set", ("tier", "prod"));
        self.push(BAD);
        self.world.edit(&PIPELINE.replace("cat VERSION", "cat VERSION VERSION"));
        self.reloaded();
        self.by_hand("tiers/prod/resume", "hold_lifted", ("tier", "prod"));
        self.push(LAST);
        self.read_logs();
    }

    /// Help where it is asked for, the judgement, and a stop.
    fn end(&mut self) {
        promises::last_comes_through(self);
        promises::kept(self);
        self.stop();
        self.injector.relent();
        promises::kept_on_disk(self);
    }

    /// Nothing is to be helped while calls go on failing.
    pub(super) fn outlast(&mut self) {
        if self.goes_on_failing() {
            self.until("the restart", |story| story.look());
        }
    }

    fn stop(&mut self) {
        let pid = Pid::from_raw(self.world.pid()).expect("a number");
        kill_process(pid, Signal::TERM).expect("told");
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.world.has_ended() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(LOOK);
        };
        let code = status.code().unwrap_or_else(|| panic!("it stops with {status}"));
        assert!(code == 0 || self.injector.fired().is_some(), "it stops with {status}");
        self.judge_log(code != 0);
    }

    /// Whether calls fail until the next start.
    fn goes_on_failing(&self) -> bool {
        self.injection.stays && !self.is_mended && self.injector.fired().is_some()
    }

    /// Whether it had ended, or had to be ended, and is there again.
    pub(super) fn look(&mut self) -> bool {
        if let Some(status) = self.world.has_ended() {
            // Who gets no memory ends as the language has it, and cannot say so.
            let is_starved = self.injection.class == Class::Map && status.code().is_none();
            let says = self.judge_log(!is_starved);
            let ends_well = is_starved || status.code().is_some_and(|code| code != 0);
            assert!(ends_well, "it ended by itself with {status}, and said {says}");
            self.start_again();
            return true;
        }
        if self.is_deaf() {
            // The way out that it names itself.
            self.stop();
            self.start_again();
            return true;
        }
        if self.goes_on_failing() {
            let since = *self.failing.get_or_insert_with(Instant::now);
            if since.elapsed() > STUBBORN {
                self.world.kill();
                self.start_again();
                return true;
            }
        }
        false
    }

    /// Whether it says that it notices no definitions.
    fn is_deaf(&mut self) -> bool {
        self.bytes("/readyz").is_some_and(|text| text.contains("TG-WATCH-006"))
    }

    fn start_again(&mut self) {
        if self.injection.stays {
            self.injector.relent();
            self.is_mended = true;
        }
        let program = self.world.program();
        if let Err(words) = self.world.try_start_by(program) {
            panic!("it does not start again: {words}");
        }
    }

    /// No panic, and a code where it ended by itself. What it said in this life.
    fn judge_log(&mut self, ended: bool) -> String {
        // What copies it may be a moment behind.
        let begin = Instant::now();
        loop {
            let log = fs::read_to_string(self.world.path("log")).unwrap_or_default();
            let says = log[self.judged..].to_owned();
            let is_said = !ended || says.contains("error[TG-");
            if is_said || begin.elapsed() > Duration::from_secs(2) {
                assert!(is_said, "it ended without a code, and said: {says}");
                let is_starved = self.injection.class == Class::Map && says.contains(NO_STACK);
                let is_known = is_starved || (ended && says.contains(NO_THREAD));
                let panicked = says.contains("panicked at") && !is_known;
                assert!(!panicked, "it panicked: {says}");
                self.judged = log.len();
                return says;
            }
            std::thread::sleep(LOOK);
        }
    }

    #[track_caller]
    pub(super) fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            if begin.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.world.path("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(30).collect();
                let state = self.get("/api/pipelines/shop").unwrap_or_default();
                let tiers = &state["pipeline"]["tiers"];
                panic!(
                    "{what} does not come; the tiers are {tiers}; the log ends, last line first: {tail:#?}"
                );
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Pushes a version, tells the controller until it answers that it has it, and waits until nothing follows any more.
    fn push(&mut self, version: &str) {
        let sha = self.world.commit(version, &[]);
        self.world.git("work", &["push", "-q", "origin", "main"]);
        self.rebuild(&sha, false);
        self.rest();
    }

    pub(super) fn rebuild(&mut self, sha: &str, again: bool) {
        let body = json!({"sha": sha, "ref": "refs/heads/main", "pipeline": "shop", "again": again});
        self.until("an answer to the push", |story| {
            story.look();
            let Some(answer) = story.post("/rebuild", &body) else { return false };
            if let Some(id) = answer["accepted"][0]["id"].as_u64() {
                let field = ("sha", sha.to_owned());
                story.acknowledged.push(Acknowledged { kind: "rebuild_requested", field, id });
            }
            true
        });
    }

    /// Something done by hand on the pipeline.
    pub(super) fn by_hand(&mut self, deed: &str, kind: &'static str, field: (&'static str, &str)) {
        let path = format!("/api/pipelines/shop/{deed}");
        self.until(deed, |story| {
            story.look();
            let Some(answer) = story.post(&path, &json!({"why": "because"})) else { return false };
            if let Some(id) = answer["ids"][0].as_u64() {
                let field = (field.0, field.1.to_owned());
                story.acknowledged.push(Acknowledged { kind, field, id });
            }
            true
        });
    }

    fn reloaded(&mut self) {
        self.until("the new definition", |story| {
            story.look();
            let found = story.get("/api/pipelines/shop/definition");
            found.is_some_and(|found| found.to_string().contains("cat VERSION VERSION"))
        });
    }

    fn read_logs(&mut self) {
        for run in self.runs() {
            self.get(&format!("/api/runs/{run}/log"));
        }
    }

    fn runs(&mut self) -> Vec<u64> {
        let Some(text) = self.bytes("/api/events?since=0") else { return Vec::new() };
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut runs: Vec<u64> = events.filter_map(|event| event["run_id"].as_u64()).collect();
        runs.dedup();
        runs.truncate(2);
        runs
    }

    /// Waits until nothing follows any more.
    pub(super) fn rest(&mut self) {
        self.until("rest", |story| {
            story.look();
            let Some(state) = story.get("/api/pipelines/shop") else { return false };
            let p = &state["pipeline"];
            story.try_again(p);
            let is_quiet = |tier: &Value| {
                ["inside", "redeploy"].iter().all(|key| tier[*key].is_null())
                    && (tier["going_back"].is_null() || is_stuck_on_its_way_back(&tier["going_back"]))
                    && tier["waiting"].as_array().is_none_or(|waiting| waiting.iter().all(is_stuck))
            };
            p["build"].is_null()
                && p["queue"] == json!([])
                && p["versions"].as_array().is_some_and(|versions| !versions.is_empty())
                && p["versions"][0]["stage"] != "building"
                && p["tiers"].as_array().is_some_and(|tiers| tiers.iter().all(is_quiet))
        });
    }

    /// What could not be judged is tried again by itself in a minute; whoever does not want to wait asks for it.
    fn try_again(&mut self, pipeline: &Value) {
        for tier in pipeline["tiers"].as_array().into_iter().flatten() {
            let inside = &tier["inside"];
            if inside["blockers"].as_array().is_some_and(|blockers| !blockers.is_empty()) {
                let name = tier["name"].as_str().expect("a name");
                let path = format!("/api/pipelines/shop/tiers/{name}/retry");
                self.post(&path, &json!({"version": inside["version"]}));
            }
        }
    }

    /// What is answered with 200; none: it is not, and says why.
    pub(super) fn get(&mut self, path: &str) -> Option<Value> {
        let text = self.bytes(path)?;
        Some(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(super) fn bytes(&mut self, path: &str) -> Option<String> {
        let answer = self.agent.get(format!("http://{}{path}", self.world.address)).call();
        promises::answered(path, answer)
    }

    pub(super) fn post(&mut self, path: &str, body: &Value) -> Option<Value> {
        let token = fs::read_to_string(self.world.path("state/token")).ok()?;
        let answer = self
            .agent
            .post(format!("http://{}{path}", self.world.address))
            .header("Authorization", format!("Bearer {}", token.trim()))
            .header("Content-Type", "application/json")
            .send(body.to_string());
        promises::answered(path, answer).map(|text| serde_json::from_str(&text).expect("JSON"))
    }
}

/// A way back that failed is tried again in a minute, or when somebody asks for it.
fn is_stuck_on_its_way_back(going_back: &Value) -> bool {
    let mut nodes = going_back["nodes"].as_array().into_iter().flatten();
    going_back["failed"] == true && nodes.all(|node| node["status"] != "running")
}

/// Whether something waits in front of a tier for time, or for what only people can do.
fn is_stuck(waiting: &Value) -> bool {
    if !waiting["until"].is_null() {
        return true;
    }
    let blockers = waiting["blockers"].as_array().into_iter().flatten();
    let mut kinds = blockers.filter_map(|blocker| blocker["kind"].as_str());
    kinds.any(|kind| !matches!(kind, "tier_busy" | "disk_full"))
}
