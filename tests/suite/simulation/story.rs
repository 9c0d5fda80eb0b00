//! One story: what happens under one seed.

use super::doors;
use super::hands::{ended, well};
use super::promises::Promises;
use super::{Chance, Controller, in_no_time};
use crate::rules::world::*;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tidegate::clock::Clock;
use tidegate::disk::{Disk as _, ToldDisk};
use tidegate::domain::pipeline::{Confirm, Freeze, Phase, Pick, Require, Schedule, Wave, Window};
use tidegate::domain::*;
use tidegate::engine::{self, Refusal, Standstill};
use tidegate::journal::{self, Filter, Journal, MemoryJournal, Watermark};
use tokio::time::Instant;

const JOBS: u32 = 3;
const TIERS: [&str; 4] = ["t0", "t1", "t2", "t3"];

/// The time of the simulated runtime.
struct StoryClock {
    begin: Instant,
}

impl Clock for StoryClock {
    fn now(&self) -> DateTime<Utc> {
        let begin = DateTime::from_timestamp_micros(1_795_424_400_000_000).unwrap();
        let passed = self.begin.elapsed().as_micros() as i64;
        begin + chrono::TimeDelta::microseconds(passed)
    }
}

/// Tells the story of one seed.
pub(crate) fn tell(seed: u64, aloud: bool) {
    in_no_time(async {
        let mut story = Story::begin(seed, aloud).await;
        let length = 20 + story.chance.below(100);
        for _ in 0..length {
            story.something_happens().await;
        }
        story.comes_to_an_end().await;
    });
}

/// The journal that the story of one seed leaves, as JSON lines.
pub(crate) fn history(seed: u64) -> Vec<String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut story = Story::begin(seed, false).await;
        for _ in 0..60 {
            story.something_happens().await;
        }
        story.comes_to_an_end().await;
        let mut lines = Vec::new();
        let read = story.journal.for_each(EventId(0), &mut |record| {
            lines.push(record.body.to_string());
            Ok(())
        });
        read.unwrap();
        lines
    })
}

struct Story {
    chance: Chance,
    aloud: bool,
    journal: Arc<MemoryJournal>,
    clock: Arc<StoryClock>,
    disk: ToldDisk,
    controller: Controller,
    /// Where runs are noted that outlive a controller, if they do.
    runner: Option<String>,
    /// Runs that earlier controllers had begun.
    begun: BTreeSet<RunId>,
    promises: Promises,
    begin: Time,
    told: BTreeSet<EventId>,
    commits: usize,
    edits: usize,
    shape: Shape,
}

/// What the pipeline of this story looks like; edits change little of it.
#[derive(Clone)]
struct Shape {
    tiers: usize,
    nodes: Vec<usize>,
    checks: Vec<usize>,
    verifies: Vec<bool>,
    manual: Vec<bool>,
    every: Vec<bool>,
    any: bool,
    fan: bool,
    max_failures: u32,
    stop: bool,
    uploads: bool,
    doors: Vec<DoorShape>,
    schedule: Vec<Schedule>,
}

/// What a tier asks of those that want in, beside `manual` and `pick`.
#[derive(Clone, Default)]
struct DoorShape {
    confirm: Option<Confirm>,
    window: Vec<Window>,
    freeze: Vec<Freeze>,
    soak: Option<Span>,
}

impl DoorShape {
    /// The story begins at nine and takes some hours.
    fn draw(chance: &mut Chance, begin: Time) -> DoorShape {
        let mut door = DoorShape::default();
        if chance.percent(40) {
            let roles = [vec![], vec![Role::Viewer], vec![Role::Operator], vec![Role::Admin]];
            door.confirm = Some(Confirm {
                count: 1 + chance.below(2) as u32,
                roles: roles[chance.below(4)].clone(),
                not_author: chance.percent(40),
                expires: chance.percent(60).then(|| Span::seconds([5, 90, 3_600][chance.below(3)])),
            });
        }
        while chance.percent(25) {
            let from = (8 * 60 + chance.below(300)) as u16;
            let length = [1, 30, 120, 1_300][chance.below(4)];
            // Closing at midnight of the same day is written otherwise; what matters here is which minutes are open.
            let to = ((from + length) % 1_440).max(1);
            door.window.push(Window { days: vec![], from, to, zone: "UTC".into() });
        }
        while chance.percent(15) {
            let from = begin + chrono::TimeDelta::seconds(chance.below(9_000) as i64 - 1_000);
            let to = from + chrono::TimeDelta::seconds(1 + chance.below(4_000) as i64);
            door.freeze.push(Freeze { from, to, why: "a sale".into() });
        }
        door.soak = chance.percent(15).then(|| Span::seconds([10, 600][chance.below(2)]));
        door
    }
}

impl Shape {
    fn draw(chance: &mut Chance, begin: Time) -> Shape {
        let tiers = 1 + chance.below(TIERS.len());
        let mut each = |most: usize| (0..tiers).map(|_| chance.below(most)).collect::<Vec<_>>();
        let (nodes, checks) = (each(4), each(3));
        let flags = |values: Vec<usize>| values.into_iter().map(|v| v == 1).collect::<Vec<_>>();
        let (verifies, manual, every) = (flags(each(2)), flags(each(4)), flags(each(4)));
        Shape {
            tiers,
            nodes,
            checks,
            verifies,
            manual,
            every,
            any: chance.percent(30),
            fan: chance.percent(40),
            max_failures: chance.below(2) as u32,
            stop: chance.percent(20),
            uploads: chance.percent(50),
            doors: (0..tiers).map(|_| DoorShape::draw(chance, begin)).collect(),
            schedule: Shape::draw_schedule(chance),
        }
    }

    fn draw_schedule(chance: &mut Chance) -> Vec<Schedule> {
        let lines = ["*/9 * * * *", "5-59/20 9-12 * * *"];
        let line = chance.percent(40).then(|| lines[chance.below(2)]);
        let one = |cron: &str| Schedule { cron: cron.into(), zone: "UTC".into(), ref_name: "main".into() };
        line.into_iter().map(one).collect()
    }

    fn pipeline(&self, edits: usize) -> Pipeline {
        let tiers = (0..self.tiers).map(|i| {
            let mut t = tier(TIERS[i]);
            if self.nodes[i] > 0 {
                let names: Vec<String> = (0..self.nodes[i]).map(|n| format!("n{n}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                t = t.nodes(&names).waves(&[Wave::Count(1), Wave::Percent(60)]);
                let deploy = t.deploy.as_mut().unwrap();
                deploy.max_failures = self.max_failures;
                if self.uploads {
                    deploy.upload =
                        vec![pipeline::Upload { artifact: "app".into(), to: "/opt/shop/".into() }];
                }
                if self.stop {
                    deploy.on_failure = pipeline::OnFailure::Stop;
                }
            }
            for g in 0..self.checks[i] {
                t.gates.push(gate(&format!("g{g}"), Phase::Check));
            }
            if self.verifies[i] {
                t.gates.push(gate("v", Phase::Verify));
            }
            if edits % 3 == 1 && i == 0 {
                t.gates.push(gate(&format!("edit{edits}"), Phase::Check));
            }
            if self.manual[i] {
                t = t.manual();
            }
            let door = self.doors[i].clone();
            t.promote.confirm = door.confirm;
            t.promote.window = door.window;
            t.promote.freeze = door.freeze;
            t.promote.soak = door.soak;
            if edits % 4 == 2
                && let Some(rule) = &mut t.promote.confirm
            {
                rule.count = 3 - rule.count;
            }
            if self.every[i] {
                t.promote.pick = Pick::Every;
            }
            if self.fan && i == 3 {
                t = t.after(&["t1", "t2"]);
                t.promote.require = if self.any { Require::Any } else { Require::All };
            }
            if self.fan && i == 2 {
                t = t.after(&["t0"]);
            }
            t
        });
        shop(tiers.collect::<Vec<_>>()).with(|p| p.schedule = self.schedule.clone())
    }
}

impl Story {
    async fn begin(seed: u64, aloud: bool) -> Story {
        let mut chance = Chance::new(seed);
        let journal = Arc::new(MemoryJournal::new());
        let clock = Arc::new(StoryClock { begin: Instant::now() });
        let begin = clock.now();
        let shape = Shape::draw(&mut chance, clock.now());
        let disk = ToldDisk::new();
        // In every other story what outlives a controller does.
        let runner = (seed % 2 == 1).then(|| "kept".to_owned());
        let controller = Controller::start(&journal, clock.clone(), &disk, JOBS, runner.clone());
        let mut story = Story {
            chance,
            aloud,
            journal,
            clock,
            disk,
            controller,
            runner,
            begun: BTreeSet::new(),
            promises: Promises::new(JOBS),
            begin,
            told: BTreeSet::new(),
            commits: 0,
            edits: 0,
            shape,
        };
        story.load().await;
        story
    }

    async fn load(&mut self) {
        let pipeline = self.shape.pipeline(self.edits);
        let text = serde_json::to_string(&pipeline).unwrap();
        let digest = Digest::from(text.clone());
        self.ask(Command::Load { file: "shop.toml".into(), digest, text, definition: Arc::new(pipeline) })
            .await;
    }

    /// Asks, and notes what was promised. Whoever asks may have to wait for durability: then nobody waits.
    async fn ask(&mut self, command: Command) {
        let engine = self.controller.engine.clone();
        let asked = tokio::spawn(async move { engine.ask(command).await });
        self.settle().await;
        if asked.is_finished() {
            match asked.await.unwrap() {
                Ok(receipt) => self.told.extend(receipt.ids),
                Err(Refusal::Rejected(_) | Refusal::NotKept(_) | Refusal::Ended) => {}
            }
        }
    }

    /// Lets the engine come to rest, and judges what it said and did.
    async fn settle(&mut self) {
        // Time stands still while anything can run: this sleep ends when nothing can any more.
        tokio::time::sleep(Duration::from_micros(1)).await;
        assert!(!self.controller.task.is_finished(), "the engine goes on");
        self.judge().await;
    }

    async fn judge(&mut self) {
        loop {
            let page = self.journal.read(self.promises.last(), 500, &Filter::default()).await.unwrap();
            if page.records.is_empty() {
                break;
            }
            for record in &page.records {
                if self.aloud {
                    println!("{}", record.body);
                }
                self.promises.judge(&tidegate::wire::decode(&record.body).unwrap());
            }
        }
        let durable = match &*self.journal.durable().borrow() {
            Watermark::Durable(id) => *id,
            Watermark::Failed(error) => panic!("{error}"),
        };
        for (effect, work) in self.controller.hands.begun() {
            if let Effect::Run(run) = effect {
                assert!(self.promises.has_started(run), "promise 12: run {run} begins before its start");
                let is_new = !self.begun.contains(&run);
                assert!(is_new || work.taken_up, "promise 12: run {run} begins twice");
                assert!(!work.taken_up || self.runner.is_some(), "run {run} outlived what ends with it");
            }
            if let Job::Deploy { run, .. } = work.job {
                let start = self.start_of(run).await;
                assert!(start <= durable, "promise 12: a deploy begins before its start is durable");
            }
        }
    }

    async fn start_of(&self, run: RunId) -> EventId {
        let filter = Filter { run: Some(run.0), ..Filter::default() };
        self.journal.read(EventId(0), 1, &filter).await.unwrap().records[0].id
    }

    async fn something_happens(&mut self) {
        match self.chance.below(100) {
            0..=14 => self.push().await,
            15..=64 => self.something_ends().await,
            65..=76 => self.somebody_acts().await,
            77..=79 => self.git_answers_the_clock().await,
            80..=86 => self.time_passes().await,
            87..=88 => self.crash().await,
            89 => {
                let keep = self.chance.below(4);
                self.ask(Command::Prune { keep }).await;
            }
            90..=92 => {
                self.edits += 1;
                self.load().await;
            }
            93..=95 => {
                let count = 1 + self.chance.below(3);
                // One such time after the other would have no end that a promise of lateness could count with.
                if !self.journal.refuses() && !self.is_refused() {
                    self.journal.fail_next_appends(count, journal::Error::Full);
                }
            }
            96 => self.journal.hold_durability(),
            97 => {
                self.promises.disk_full = !self.disk.is_full();
                self.disk.set_full(self.promises.disk_full);
            }
            _ => self.journal.release_durability(),
        }
        self.settle().await;
    }

    /// The engine waits before it tries again to write what the journal refused.
    fn is_refused(&self) -> bool {
        matches!(self.controller.engine.standstill(), Some(Standstill::Journal(_)))
    }

    async fn push(&mut self) {
        let again = self.commits > 0 && self.chance.percent(25);
        if !again {
            self.commits = (self.commits + 1).min(89);
        }
        let number = if again { self.chance.below(self.commits) } else { self.commits };
        let commit = format!("c{}", 10 + number);
        let branch = if self.chance.percent(80) { "refs/heads/main" } else { "refs/heads/next" };
        let old = self.controller.engine.read(|state| {
            let shop = state.pipelines.get("shop")?;
            shop.refs.get(&RefName::from(branch)).map(|head| head.seen.clone())
        });
        let push = Push {
            pipeline: "shop".into(),
            sha: sha(&commit),
            ref_name: Some(branch.into()),
            old,
            news: if self.chance.percent(30) { News::Looked } else { News::Told },
            author: "Ann".into(),
            subject: "A change".into(),
            emails: addresses_in(number),
            ref_taken: self.chance.percent(95),
            touched: self.chance.percent(95),
            tag_missing: false,
        };
        let again = self.chance.percent(10);
        let by = self.chance.percent(50).then(|| doors::person(self.chance.below(doors::PEOPLE.len())));
        self.ask(Command::Push { by, why: None, again, pushes: vec![push] }).await;
    }

    /// Git says where `main` stands, to what a schedule asks for: often at what is built already.
    async fn git_answers_the_clock(&mut self) {
        let owed = self.controller.engine.read(|state| {
            let owed = state.pipelines.get("shop")?.schedules.iter().find_map(|it| it.owed.as_ref());
            owed.map(|run| run.id)
        });
        let Some(owed) = owed else { return self.time_passes().await };
        let seen = self.controller.engine.read(|state| {
            let refs = &state.pipelines.get("shop")?.refs;
            refs.get("refs/heads/main").map(|head| head.seen.clone())
        });
        let number = self.chance.below(self.commits + 1);
        let head = seen.clone().filter(|_| self.chance.percent(60));
        let push = Push {
            sha: head.unwrap_or_else(|| sha(&format!("c{}", 10 + number))),
            old: seen.filter(|_| self.chance.percent(90)),
            news: News::Looked,
            tag_missing: self.chance.percent(5),
            ..a_push("c1")
        };
        let found = if self.chance.percent(90) { Ok(Box::new(push)) } else { Err("it is gone".into()) };
        self.ask(Command::Scheduled { pipeline: "shop".into(), owed, found }).await;
    }

    async fn something_ends(&mut self) {
        let under_way = self.controller.hands.under_way();
        let Some(item) = self.chance.pick(&under_way).cloned() else { return };
        use Classification::*;
        let class = *self
            .chance
            .pick(&[TestFailure, Timeout, MissingTool, Infrastructure, Killed, StepSays])
            .unwrap();
        let failure = *self
            .chance
            .pick(&[Failure::Unreachable, Failure::Activate, Failure::Unhealthy, Failure::Timeout])
            .unwrap();
        let bad = self.chance.percent(20);
        self.controller.hands.end(&item, |item| ended(item, bad.then_some(class), bad.then_some(failure)));
    }

    async fn somebody_acts(&mut self) {
        let versions: Vec<VersionLabel> = self.controller.engine.read(|state| {
            state.pipelines.get("shop").map(|p| p.versions.keys().cloned().collect()).unwrap_or_default()
        });
        let tier = TierName::from(TIERS[self.chance.below(self.shape.tiers)]);
        let version = self.chance.pick(&versions).cloned().unwrap_or_else(|| "9.9.9".into());
        let some = self.chance.percent(50).then(|| version.clone());
        let deed = match self.chance.below(18) {
            0 | 1 | 15..=17 => Deed::Confirm { tier, version },
            2 => Deed::Deny { tier, version },
            3 | 4 => Deed::Promote { tier, version, lift: self.chance.percent(20) },
            5 => Deed::Rollback { tier, to: some, from: None },
            6 => Deed::Hold { tier: self.chance.percent(70).then_some(tier) },
            7 | 8 => Deed::Resume { tier: self.chance.percent(70).then_some(tier) },
            9 => Deed::Retry { tier, version: some },
            10 => Deed::Redeploy { tier, node: None, version: None },
            11 => Deed::Cancel { tier: self.chance.percent(60).then_some(tier), version: None },
            14 => {
                let sha = self
                    .controller
                    .engine
                    .read(|state| Some(state.pipelines.get("shop")?.versions.get(&version)?.sha.clone()));
                let sha = sha.unwrap_or_else(|| "9".repeat(40).into());
                Deed::Adopt { tier, version, sha, about: Box::default() }
            }
            12 => Deed::Block { version },
            _ => Deed::Unblock { version },
        };
        let is_word = matches!(deed, Deed::Confirm { .. } | Deed::Deny { .. });
        let actor = doors::person(if is_word { self.chance.below(doors::PEOPLE.len()) } else { 0 });
        self.ask(Command::ByHand { actor, why: Some("why not".into()), pipeline: "shop".into(), deed }).await;
    }

    async fn time_passes(&mut self) {
        let seconds = [1, 10, 61, 600, 4000][self.chance.below(5)];
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// The controller is killed, and begins again on what the journal holds.
    async fn crash(&mut self) {
        self.judge().await;
        self.controller.task.abort();
        let before = self.controller.engine.read(State::clone);
        let folded = engine::replay(&*self.journal).unwrap();
        assert!(folded == before, "promise 2: the fold of the journal is the state");
        self.cut_somewhere(&folded);
        assert!(self.told.iter().all(|id| *id <= folded.last), "promise 11: what was told is kept");
        let runs = self.controller.hands.begun().into_iter().filter_map(|(effect, _)| match effect {
            Effect::Run(run) => Some(run),
            Effect::Prepare(_) | Effect::Collect(_) => None,
        });
        self.begun.extend(runs);
        let runner = self.runner.clone();
        self.controller = Controller::start(&self.journal, self.clock.clone(), &self.disk, JOBS, runner);
        self.settle().await;
    }

    /// A checkpoint of what the events up to any point come to, with the rest, comes to what all of them do.
    fn cut_somewhere(&mut self, whole: &State) {
        let mut all = Vec::new();
        let copy = |record| {
            all.push(record);
            Ok(())
        };
        self.journal.for_each(EventId(0), &mut { copy }).unwrap();
        let cut = self.chance.below(all.len());
        let mut upto = State::default();
        for record in &all[..cut] {
            apply(&mut upto, &tidegate::wire::decode(&record.body).unwrap());
        }
        let text = serde_json::to_string(&upto).unwrap();
        let mut again: State = serde_json::from_str(&text).unwrap();
        assert!(again == upto, "a checkpoint is read as it was written, after {cut} events");
        for record in &all[cut..] {
            apply(&mut again, &tidegate::wire::decode(&record.body).unwrap());
        }
        assert!(again == *whole, "a checkpoint after {cut} events and the rest are the whole");
    }

    /// Everything heals, everything under way ends well, and nothing is left open.
    async fn comes_to_an_end(&mut self) {
        self.journal.release_durability();
        self.promises.disk_full = false;
        self.disk.set_full(false);
        tokio::time::sleep(Duration::from_secs(60)).await;
        for round in 0.. {
            assert!(round < 2_000, "it never comes to rest");
            self.settle().await;
            let under_way = self.controller.hands.under_way();
            let Some(item) = under_way.first() else {
                // Whatever waits for a further try has it within two hours.
                tokio::time::sleep(Duration::from_secs(7_200)).await;
                self.settle().await;
                if self.controller.hands.under_way().is_empty() {
                    break;
                }
                continue;
            };
            self.controller.hands.end(item, well);
        }
        self.promises.judge_end(self.begin, self.clock.now());
        let state = self.controller.engine.read(State::clone);
        assert!(engine::replay(&*self.journal).unwrap() == state, "promise 2");
        assert!(state.running.is_empty() && state.busy_slots == 0, "promise 16");
        for (name, t) in &state.pipelines["shop"].tiers {
            assert!(t.busy_with().is_none(), "promise 16: {name} is busy for ever");
        }
    }
}

/// Whom a commit names: the same people, whoever pushes it.
fn addresses_in(commit: usize) -> Vec<String> {
    let people = doors::PEOPLE.iter().enumerate().filter(|(at, _)| (commit + at).is_multiple_of(7));
    people.filter_map(|(_, (.., email))| email.map(str::to_owned)).collect()
}
