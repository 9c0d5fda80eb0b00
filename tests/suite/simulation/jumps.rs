//! Schedules under a clock that is put forward and back, with a controller that is killed and away for a while: the real
//! engine, and a repository that answers now and then.

use super::clockwork::Clockwork;
use super::hands::well;
use super::{Chance, Controller, in_no_time};
use crate::rules::world::*;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tidegate::clock::Clock;
use tidegate::disk::ToldDisk;
use tidegate::domain::pipeline::Schedule;
use tidegate::domain::*;
use tidegate::engine;
use tidegate::journal::{Filter, Journal, MemoryJournal};
use tokio::time::Instant;

/// After so long the engine has noticed that the clock was put forward.
const NOTICED: TimeDelta = TimeDelta::seconds(301);

/// A clock that runs evenly but where it is put elsewhere.
struct JumpingClock {
    begin: Instant,
    micros: AtomicI64,
}

impl Clock for JumpingClock {
    fn now(&self) -> DateTime<Utc> {
        let passed = self.begin.elapsed().as_micros() as i64;
        DateTime::from_timestamp_micros(self.micros.load(Ordering::SeqCst) + passed).unwrap()
    }
}

/// Tells the story of one seed.
pub(crate) fn tell(seed: u64, aloud: bool) {
    in_no_time(async {
        let mut story = Story::begin(seed, aloud).await;
        for _ in 0..20 + story.chance.below(40) {
            story.something_happens().await;
        }
    });
}

struct Story {
    chance: Chance,
    aloud: bool,
    journal: Arc<MemoryJournal>,
    clock: Arc<JumpingClock>,
    controller: Controller,
    clockwork: Clockwork,
    last: EventId,
    /// Since then the controller has been up and the clock has run evenly.
    since: Time,
    schedules: Vec<Schedule>,
    edits: usize,
    commits: usize,
}

impl Story {
    async fn begin(seed: u64, aloud: bool) -> Story {
        let mut chance = Chance::new(seed);
        let journal = Arc::new(MemoryJournal::new());
        // Berlin puts its clocks back an hour later, or forward.
        let begin = ["2026-10-24T22:00:00Z", "2027-03-27T23:00:00Z", "2026-11-23T09:00:00Z"][chance.below(3)];
        let micros = AtomicI64::new(moment(begin).timestamp_micros());
        let clock = Arc::new(JumpingClock { begin: Instant::now(), micros });
        let controller = start(&journal, &clock);
        let schedules = draw(&mut chance);
        let mut story = Story {
            chance,
            aloud,
            journal,
            controller,
            clockwork: Clockwork::default(),
            last: EventId(0),
            since: clock.now(),
            clock,
            schedules,
            edits: 0,
            commits: 1,
        };
        story.load().await;
        story
    }

    async fn load(&mut self) {
        let schedules = self.schedules.clone();
        let pipeline = shop([tier("host")]).with(|p| {
            p.schedule = schedules;
            p.description = Some(format!("edit {}", self.edits));
        });
        let text = serde_json::to_string(&pipeline).unwrap();
        let (digest, definition) = (Digest::from(text.clone()), Arc::new(pipeline));
        self.ask(Command::Load { file: "shop.toml".into(), digest, text, definition }).await;
    }

    async fn ask(&mut self, command: Command) {
        self.controller.engine.ask(command).await.unwrap();
        self.settle().await;
    }

    /// Lets everything come to rest that goes on by itself, and judges what was said.
    async fn settle(&mut self) {
        loop {
            tokio::time::sleep(Duration::from_micros(1)).await;
            let under_way = self.controller.hands.under_way();
            let Some(item) = under_way.first() else { break };
            self.controller.hands.end(item, well);
        }
        self.judge().await;
    }

    async fn judge(&mut self) {
        assert!(!self.controller.task.is_finished(), "the engine goes on");
        loop {
            let page = self.journal.read(self.last, 500, &Filter::default()).await.unwrap();
            if page.records.is_empty() {
                return;
            }
            for record in &page.records {
                if self.aloud {
                    println!("{}", record.body);
                }
                self.clockwork.judge(&tidegate::wire::decode(&record.body).unwrap());
                self.last = record.id;
            }
        }
    }

    async fn something_happens(&mut self) {
        match self.chance.below(10) {
            0..=3 => self.time_passes().await,
            4..=5 => self.git_answers().await,
            6..=7 => self.clock_is_put().await,
            8 => self.is_away().await,
            _ => self.edit().await,
        }
        self.settle().await;
    }

    async fn time_passes(&mut self) {
        let minutes = [1, 6, 20, 50, 90, 300, 1_500][self.chance.below(7)];
        tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
        self.settle().await;
        self.judge_spell();
    }

    /// Nothing that the clock has shown since it runs evenly is lost.
    fn judge_spell(&self) {
        let now = self.clock.now();
        if now - self.since > NOTICED {
            self.clockwork.judge_spell(self.since, now);
        }
    }

    /// Git is asked for one that is owed, and answers or not.
    async fn git_answers(&mut self) {
        let owed: Vec<EventId> = self.controller.engine.read(|state| {
            let owed = state.pipelines["shop"].schedules.iter().filter_map(|it| it.owed.as_ref());
            owed.map(|run| run.id).collect()
        });
        let Some(owed) = self.chance.pick(&owed).copied() else { return };
        self.commits += usize::from(self.chance.percent(30));
        let old = self
            .controller
            .engine
            .read(|state| state.pipelines["shop"].refs.get("refs/heads/main").map(|head| head.seen.clone()));
        let found = match self.chance.below(4) {
            0 => Err("there is no branch or tag `main`".to_owned()),
            1 => Ok(Push { old: Some(sha("other")), news: News::Looked, ..a_push("c1") }),
            _ => Ok(Push { old, news: News::Looked, ..a_push(&format!("c{}", self.commits)) }),
        };
        let found = found.map(Box::new);
        self.ask(Command::Scheduled { pipeline: "shop".into(), owed, found: found.clone() }).await;
        // A second answer to the same is no news.
        self.ask(Command::Scheduled { pipeline: "shop".into(), owed, found }).await;
    }

    async fn clock_is_put(&mut self) {
        self.judge_spell();
        let by = [1, 59, 3_600, 5_400, 90_000, 864_000, 126_230_400][self.chance.below(7)] * 1_000_000;
        let by = if self.chance.percent(50) { by } else { -by };
        self.clock.micros.fetch_add(by, Ordering::SeqCst);
        self.since = self.clock.now();
        if self.aloud {
            println!("the clock is put to {}", self.since);
        }
    }

    async fn is_away(&mut self) {
        self.judge_spell();
        self.settle().await;
        self.controller.task.abort();
        let before = self.controller.engine.read(State::clone);
        assert!(engine::replay(&*self.journal).unwrap() == before, "the fold of the journal is the state");
        let hours = [0, 1, 20, 80][self.chance.below(4)];
        tokio::time::sleep(Duration::from_secs(hours * 3_600)).await;
        self.controller = start(&self.journal, &self.clock);
        self.since = self.clock.now();
    }

    async fn edit(&mut self) {
        self.judge_spell();
        self.edits += 1;
        if self.chance.percent(40) {
            self.schedules = draw(&mut self.chance);
        }
        self.load().await;
        // What is new was not in force before.
        self.since = self.clock.now();
    }
}

fn draw(chance: &mut Chance) -> Vec<Schedule> {
    let lines = ["*/7 * * * *", "*/20 * * * *", "0 * * * *", "30 2 * * *", "10,50 1-3 * * *", "0 3 * * sun"];
    let zones = ["UTC", "Europe/Berlin", "Asia/Kathmandu"];
    let count = 1 + chance.below(2);
    let one = |chance: &mut Chance| Schedule {
        cron: lines[chance.below(lines.len())].into(),
        zone: zones[chance.below(zones.len())].into(),
        ref_name: "main".into(),
    };
    (0..count).map(|_| one(chance)).collect()
}

fn start(journal: &Arc<MemoryJournal>, clock: &Arc<JumpingClock>) -> Controller {
    Controller::start(journal, clock.clone(), &ToldDisk::new(), 2, None)
}
