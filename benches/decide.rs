//! How long deciding takes when there is much to decide on: one push through build and three tiers, folded, on a state of
//! 1,000 pipelines and 100,000 versions, beside the same on a state of one pipeline with as many versions each.

#![expect(clippy::print_stdout, reason = "a bench talks to whoever started it")]
#![expect(clippy::unwrap_used, reason = "a bench that meets what it does not expect ends there")]

mod figures;

use chrono::{TimeDelta, TimeZone as _, Utc};
use std::time::Instant;
use tidegate::definition;
use tidegate::domain::{
    Command, Envelope, EventId, Fact, News, PipelineName, Push, Room, State, Time, apply, decide, proceed,
};

const PIPELINES: usize = 1_000;
const VERSIONS: usize = 100;
/// Pushes that are measured on each state.
const MEASURED: usize = 2_000;

/// A state and the clock that it lives by.
struct World {
    state: State,
    now: Time,
    names: Vec<PipelineName>,
    pushes: usize,
}

impl World {
    fn new(pipelines: usize, versions: usize) -> World {
        let now = Utc.with_ymd_and_hms(2026, 11, 26, 9, 0, 0).unwrap();
        let mut world = World { state: State::default(), now, names: Vec::new(), pushes: 0 };
        for number in 0..pipelines {
            world.load(number);
        }
        for _ in 0..versions {
            for at in 0..pipelines {
                world.push(at);
            }
        }
        world
    }

    fn load(&mut self, number: usize) {
        let text = format!(
            "name = \"p{number}\"\n[source]\nrepo = \"/srv/p{number}.git\"\n[[tier]]\nname = \"host\"\n\
             [[tier]]\nname = \"staging\"\n[[tier]]\nname = \"prod\"\n[tier.promote]\nsoak = \"1h\"\n"
        );
        let loaded = definition::load("p.toml", text.as_bytes()).unwrap();
        let digest = definition::digest_of(&loaded.pipeline);
        let file = format!("p{number}.toml");
        self.tell(Command::Load { file, digest, text, definition: loaded.pipeline });
        self.names.push(format!("p{number}").as_str().into());
    }

    /// One push, all the way.
    fn push(&mut self, at: usize) {
        self.pushes += 1;
        self.now += TimeDelta::seconds(1);
        let pipeline = self.names[at].clone();
        let push = Push {
            pipeline: pipeline.clone(),
            sha: format!("{:040x}", self.pushes).as_str().into(),
            ref_name: Some("refs/heads/main".into()),
            old: None,
            news: News::Told,
            author: "Ann".into(),
            subject: "A change".into(),
            emails: Vec::new(),
            ref_taken: true,
            touched: true,
            tag_missing: false,
        };
        self.tell(Command::Push { by: None, why: None, again: false, pushes: vec![push] });
        let request = self.state.last;
        self.proceed(&pipeline);
        let label = Ok(Some(format!("1.0.{}", self.pushes)));
        self.tell(Command::Prepared { request, label });
        self.proceed(&pipeline);
        self.tell(Command::Collected { request, artifacts: Ok(Vec::new()) });
        self.proceed(&pipeline);
    }

    fn tell(&mut self, command: Command) {
        let decision = decide(&self.state, &command, self.now).unwrap();
        self.fold(decision.facts);
    }

    fn proceed(&mut self, name: &PipelineName) {
        loop {
            let room = Room { now: self.now, slots: 4, open: true, disk_full: false };
            let next = proceed(&self.state, name, &room);
            if next.facts.is_empty() {
                return;
            }
            self.fold(next.facts);
        }
    }

    fn fold(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            let envelope = Envelope { id: EventId(self.state.last.0 + 1), at: self.now, fact };
            apply(&mut self.state, &envelope);
        }
    }

    /// Microseconds of one push all the way, at the median.
    fn measure(&mut self) -> f64 {
        let mut all: Vec<f64> = (0..MEASURED)
            .map(|turn| {
                let begin = Instant::now();
                self.push(turn * 7 % self.names.len());
                begin.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }
}

fn main() {
    let divisor = if figures::is_quick() { 10 } else { 1 };
    let mut small = World::new(1, VERSIONS);
    let mut large = World::new(PIPELINES / divisor, VERSIONS);
    let versions: usize = large.state.pipelines.values().map(|pipeline| pipeline.versions.len()).sum();
    let (one, many) = (small.measure(), large.measure());
    let what = format!("decide: a push through {} pipelines, {versions} versions", large.names.len());
    figures::row(&what, "µs", many, Some(one), "≤ 2 ×");
    println!("events folded: {}", large.state.last.0);
}
