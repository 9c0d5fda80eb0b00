//! Follows the events in order, says to each queue what is due, keeps the queues as the definitions want them, and writes
//! down how far each is.

use super::book::{Away, Book, Line};
use super::program::{self, Programs};
use super::queue::{Orders, Queue};
use super::rule::{self, InForce, Rule};
use super::sending::Sending;
use super::tally::{Notices, Tally};
use super::unread::Unread;
use super::{POSTS, PROGRAMS, codes};
use crate::bus::{Frame, Item, Start, Subscription};
use crate::clock::Clock;
use crate::domain::{EventId, PipelineName, Time};
use crate::engine::Engine;
use crate::interpreter::environment;
use crate::journal::{Filter, Journal, KindPattern, META_INSTANCE};
use crate::printable;
use crate::runner::Runner;
use crate::settings::StateDir;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// So many events may be looked at before that is written down, so that a start never looks at more anew.
const UNWRITTEN: u64 = 1_000;
/// Pause before the file is written again after that failed.
const PAUSE: Duration = Duration::from_secs(10);
/// Most records read at once.
const PAGE: usize = 500;
/// For how long it is known how far the notices of a removed pipeline were.
const AWAY: TimeDelta = TimeDelta::days(7);

/// What a courier works with.
pub struct Parts {
    /// Whose events are told.
    pub engine: Engine,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who runs programs.
    pub runner: Arc<dyn Runner>,
    /// Where it keeps how far it is.
    pub state: StateDir,
    /// The folder of the pipeline files, in which programs work.
    pub pipelines: PathBuf,
    /// The end of the journal before this controller wrote to it: where notices begin that nothing is known of.
    pub begin: EventId,
}

/// The courier at work.
pub struct Courier {
    stop: CancellationToken,
    /// None: it has ended.
    work: Option<JoinHandle<()>>,
    tally: Tally,
}

/// Tells how the notices do, whenever it is asked.
pub type LookAtNotices = Arc<dyn Fn() -> Notices + Send + Sync>;

impl Courier {
    /// Begins to tell. Must be called within a tokio runtime, which does the work from then on.
    pub fn start(parts: Parts) -> Courier {
        let (stop, tally) = (CancellationToken::new(), Tally::default());
        let work = tokio::spawn(run(parts, stop.clone(), tally.clone()));
        Courier { stop, work: Some(work), tally }
    }

    /// Resolves when the work panicked: no notice is told any more. Nothing is lost when this is dropped before.
    pub async fn broken(&mut self) {
        if let Some(work) = &mut self.work {
            let ended = work.await;
            self.work = None;
            if ended.is_err() {
                return;
            }
        }
        std::future::pending().await
    }

    /// Tells how the notices do, whenever it is asked.
    pub fn notices(&self) -> LookAtNotices {
        let tally = self.tally.clone();
        Arc::new(move || tally.look())
    }

    /// Ends it: what is under way has two seconds, and the rest is told by the next controller.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Some(work) = self.work
            && work.await.is_err()
        {
            tracing::error!("BUG: the courier of notices broke");
        }
    }
}

/// One queue as the courier holds it.
struct Held {
    digest: String,
    orders: watch::Sender<Orders>,
    done: Arc<AtomicU64>,
    /// Its number among all queues of this courier.
    number: u64,
}

impl Held {
    /// From where it would go on after a crash. An idle queue is as far as everything.
    fn place(&self, upto: EventId) -> EventId {
        let done = EventId(self.done.load(Ordering::Acquire));
        if done >= self.orders.borrow().due { done.max(upto) } else { done }
    }
}

struct Work {
    sending: Arc<Sending>,
    journal: Arc<dyn Journal>,
    tally: Tally,
    began: Time,
    stop: CancellationToken,
    tasks: TaskTracker,
    progress: Arc<Notify>,
    /// A queue panicked.
    broken: Arc<Notify>,
    instance: String,
    file: PathBuf,
    /// Every event up to and with this one was looked at.
    upto: EventId,
    /// What the file says of that.
    written: EventId,
    /// By what the folders of their pipelines are called.
    queues: BTreeMap<PipelineName, Vec<Held>>,
    /// Removed pipelines, in the same way.
    away: BTreeMap<PipelineName, Away>,
    last_number: u64,
    /// The file is behind.
    is_behind: bool,
}

async fn run(parts: Parts, stop: CancellationToken, tally: Tally) {
    let (state, file) = (parts.state.clone(), parts.state.notices());
    let Some(instance) = instance(&parts, &stop, &tally).await else { return };
    let (to_read, name, begin) = (file.clone(), instance.clone(), parts.begin);
    let opened = tokio::task::spawn_blocking(move || {
        program::sweep(&state);
        Book::open(&to_read, &name, begin)
    });
    let book = opened.await.expect("BUG: reading how far notices are panicked");
    let mut work = Work::new(parts, book.upto, stop, tally, instance, file);
    work.take_up(book).await;
    work.follow().await;
}

/// The name of the journal, however long it takes to read it; none: the controller stops. Until then no notice is told,
/// and each that is in force says so.
async fn instance(parts: &Parts, stop: &CancellationToken, tally: &Tally) -> Option<String> {
    let journal = parts.engine.journal();
    let (mut unread, mut shown) = (Unread::default(), 0);
    loop {
        let read = journal.meta_get(META_INSTANCE).await;
        (1..=shown).for_each(|number| tally.leave(number));
        let error = match read {
            Ok(instance) => {
                unread.is_over(tally);
                return Some(instance.unwrap_or_default());
            }
            Err(error) => error,
        };
        let rules = parts.engine.read(rule::in_force).into_iter().flat_map(|it| it.rules);
        shown = rules.zip(1..).map(|(rule, number)| tally.enter(number, &rule)).count() as u64;
        let pause = unread.pause(&error, EventId(parts.begin.0 + 1), parts.clock.now(), tally);
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Work {
    fn new(
        parts: Parts,
        upto: EventId,
        stop: CancellationToken,
        tally: Tally,
        instance: String,
        file: PathBuf,
    ) -> Work {
        let tasks = TaskTracker::new();
        let programs = Programs {
            runner: parts.runner,
            state: parts.state,
            pipelines: parts.pipelines,
            under_way: tasks.clone(),
        };
        let journal = parts.engine.journal().clone();
        let began = parts.clock.now();
        let sending = Sending {
            engine: parts.engine,
            clock: parts.clock,
            programs,
            inherited: environment::inherited(),
            posts: Semaphore::new(POSTS),
            running: Semaphore::new(PROGRAMS),
        };
        Work {
            sending: Arc::new(sending),
            journal,
            tally,
            began,
            stop,
            tasks,
            progress: Arc::default(),
            broken: Arc::default(),
            instance,
            file,
            upto,
            written: upto,
            queues: BTreeMap::new(),
            away: BTreeMap::new(),
            last_number: 0,
            is_behind: true,
        }
    }

    /// Goes on with what the book knows. A notice that it does not know begins with the load that brought it, if that
    /// was later.
    async fn take_up(&mut self, book: Book) {
        let (by_home, mut known) = (book.by_home, book.pipelines);
        self.away = book.away;
        for InForce { home, name, formerly, rules } in self.in_force() {
            let lines = match by_home {
                true => known.remove(&home),
                false => [&name].into_iter().chain(&formerly).find_map(|name| known.remove(name)),
            };
            let lines = lines.or_else(|| Some(self.away.remove(&home)?.notices)).unwrap_or_default();
            let places = places(&lines, &rules);
            let fresh = if places.contains(&None) { self.last_load(&name).await } else { self.upto };
            let each = rules.into_iter().zip(places);
            let queues: Vec<Held> = each.map(|(rule, at)| self.begin(rule, at.unwrap_or(fresh))).collect();
            if !queues.is_empty() {
                self.queues.insert(home, queues);
            }
        }
        let since = self.sending.clock.now();
        self.away.extend(known.into_iter().map(|(home, notices)| (home, Away { since, notices })));
    }

    /// The event before the last one that loaded a pipeline and has not been looked at.
    async fn last_load(&self, pipeline: &PipelineName) -> EventId {
        let filter = Filter {
            pipeline: vec![pipeline.as_str().into()],
            kinds: vec![KindPattern::Exact("pipeline_loaded".into())],
            ..Filter::default()
        };
        let (mut place, mut from) = (self.upto, self.upto);
        // An error here is one that following runs into as well, and says.
        while let Ok(page) = self.journal.read(from, PAGE, &filter).await
            && page.scanned > from
        {
            from = page.scanned;
            place = page.records.last().map_or(place, |record| EventId(record.id.0 - 1));
        }
        place
    }

    /// Begins a queue. What was looked at before and is not done is due.
    fn begin(&mut self, rule: Rule, done: EventId) -> Held {
        self.last_number += 1;
        let (number, digest) = (self.last_number, rule.digest());
        self.tally.enter(number, &rule);
        let (orders, taken) = watch::channel(Orders { rule: Arc::new(rule), due: self.upto });
        let done = Arc::new(AtomicU64::new(done.0));
        let queue = Queue {
            number,
            orders: taken,
            done: done.clone(),
            progress: self.progress.clone(),
            journal: self.journal.clone(),
            sending: self.sending.clone(),
            tally: self.tally.clone(),
            began: self.began,
            stop: self.stop.clone(),
        };
        let (work, broken) = (self.tasks.spawn(queue.work()), self.broken.clone());
        self.tasks.spawn(async move {
            if work.await.is_err() {
                broken.notify_one();
            }
        });
        Held { digest, orders, done, number }
    }

    fn in_force(&self) -> Vec<InForce> {
        self.sending.engine.read(rule::in_force)
    }

    /// Makes the queues of a pipeline that was loaded or removed what its definition in force wants. What is new begins
    /// after `fresh`; where the pipeline comes back, its notices go on where they were. The others are left alone:
    /// thousands may load one after the other.
    fn keep_up(&mut self, pipeline: &str, fresh: EventId) {
        let name = PipelineName::from(pipeline);
        let now = self.sending.engine.read(|state| {
            let home = state.pipelines.get(&name).map(|p| p.home.clone())?;
            Some((home, rule::of_one(state, &name)))
        });
        // One that has another name by now is kept up by the event that told of that.
        let Some((home, wanted)) = now else { return };
        self.is_behind = true;
        let held = self.queues.remove(&home);
        let Some(InForce { rules, .. }) = wanted else {
            if let Some(held) = held {
                let since = self.sending.clock.now();
                self.away.insert(home, Away { since, notices: self.lines(&held) });
            }
            return;
        };
        let queues = match (held, self.away.remove(&home)) {
            (Some(held), _) => self.go_on(held, rules, fresh),
            (None, away) => {
                let places = places(&away.map(|away| away.notices).unwrap_or_default(), &rules);
                let each = rules.into_iter().zip(places);
                each.map(|(rule, at)| self.begin(rule, at.unwrap_or(fresh))).collect()
            }
        };
        if !queues.is_empty() {
            self.queues.insert(home, queues);
        }
    }

    /// The queues of a pipeline whose definition is another one now.
    fn go_on(&mut self, held: Vec<Held>, rules: Vec<Rule>, fresh: EventId) -> Vec<Held> {
        let digests: Vec<String> = held.iter().map(|held| held.digest.clone()).collect();
        let wanted: Vec<String> = rules.iter().map(Rule::digest).collect();
        let mut held: Vec<Option<Held>> = held.into_iter().map(Some).collect();
        let places = super::matching::matched(&digests, &wanted);
        let queues =
            rules.into_iter().zip(places).map(|(rule, at)| match at.and_then(|at| held[at].take()) {
                Some(held) => self.change(held, rule),
                None => self.begin(rule, fresh),
            });
        queues.collect()
    }

    /// How far these are.
    fn lines(&self, queues: &[Held]) -> Vec<Line> {
        let line = |held: &Held| Line { notice: held.digest.clone(), done: held.place(self.upto) };
        queues.iter().map(line).collect()
    }

    /// Lets go of pipelines that were removed long ago.
    fn forget_those_away(&mut self) {
        let now = self.sending.clock.now();
        self.away.retain(|home, away| {
            let is_kept = now - away.since < AWAY;
            if !is_kept {
                let help = "should it come back, its notices begin with what happens then";
                let home = printable::line(home.as_str());
                tracing::warn!(
                    code = codes::AWAY,
                    help,
                    "pipeline `{home}` was removed a week ago: what its notices had not told by then is not told any more"
                );
            }
            is_kept
        });
    }

    /// Lets a queue go on under an edited notice; one that is the same is not disturbed.
    fn change(&self, mut held: Held, rule: Rule) -> Held {
        held.digest = rule.digest();
        self.tally.enter(held.number, &rule);
        held.orders.send_if_modified(|orders| {
            let is_other = *orders.rule != rule;
            if is_other {
                orders.rule = Arc::new(rule);
            }
            is_other
        });
        held
    }

    /// Looks at one event for every queue.
    fn look_at(&mut self, frame: &Frame) {
        let Some(id) = frame.id else { return };
        if matches!(&*frame.kind, "pipeline_loaded" | "pipeline_removed") {
            self.keep_up(frame.pipeline.as_deref().unwrap_or_default(), EventId(id.0 - 1));
        }
        self.upto = id;
        for held in self.queues.values().flatten() {
            held.orders.send_if_modified(|orders| {
                let wants =
                    orders.rule.wants(id, &frame.kind, frame.pipeline.as_deref(), frame.tier.as_deref());
                if wants {
                    orders.due = id;
                }
                wants
            });
        }
        self.is_behind |= id.0 - self.written.0 >= UNWRITTEN;
    }

    /// Follows the events until the controller stops, and writes down how far everything is.
    async fn follow(mut self) {
        let (mut listening, mut unread) = (self.listen(), Unread::default());
        let (stop, progress, broken) = (self.stop.clone(), self.progress.clone(), self.broken.clone());
        let mut writing: Option<JoinHandle<io::Result<()>>> = None;
        loop {
            if self.is_behind && writing.is_none() {
                writing = Some(self.write());
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // Its events would be told by nobody, and nobody would miss them.
                () = broken.notified() => panic!("BUG: a queue of notices broke"),
                () = progress.notified() => self.is_behind = true,
                written = finished(&mut writing) => self.is_behind |= !written,
                item = listening.next() => match item {
                    Some(Item::Event(frame)) => {
                        unread.is_over(&self.tally);
                        self.look_at(&frame);
                    }
                    Some(Item::Gap { oldest }) => self.upto = self.upto.max(EventId(oldest.0 - 1)),
                    // Only chunks of logs are lost by that: events are made up from the journal.
                    Some(Item::Lagged { .. }) => {}
                    Some(Item::Failed(error)) => {
                        let (next, now) = (EventId(self.upto.0 + 1), self.sending.clock.now());
                        let pause = unread.pause(&error, next, now, &self.tally);
                        listening = Listening::Again(Instant::now() + pause);
                    }
                    Some(Item::Ended) => listening = Listening::Over,
                    None => listening = self.listen(),
                },
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(writing) = writing {
            let _ = writing.await;
        }
        let _ = self.write_once().await;
    }

    /// Begins to listen to what was not looked at yet.
    fn listen(&self) -> Listening {
        let start = Start { logs: false, ..Start::since(self.upto) };
        match self.sending.engine.bus().subscribe(start) {
            Ok(subscription) => Listening::To(Box::new(subscription)),
            Err(error) => {
                let code = crate::bus::Future::CODE;
                tracing::error!(code, "BUG: no more notices are told: failed to {error}");
                Listening::Over
            }
        }
    }

    /// Begins to write down how far everything is; after a failure with a pause behind it.
    fn write(&mut self) -> JoinHandle<io::Result<()>> {
        let stop = self.stop.clone();
        let writing = self.write_once();
        tokio::spawn(async move {
            let written = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
            if written.is_err() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            written
        })
    }

    fn write_once(&mut self) -> JoinHandle<io::Result<()>> {
        self.is_behind = false;
        self.written = self.upto;
        self.forget_those_away();
        let with_notices = self.queues.iter().filter(|(_, queues)| !queues.is_empty());
        let pipelines = with_notices.map(|(home, queues)| (home.clone(), self.lines(queues))).collect();
        let book = Book { pipelines, away: self.away.clone(), ..Book::new(&self.instance, self.upto) };
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || {
            book.write(&file).inspect_err(|error| {
                let help = "make room on the disk of the state folder; what is told meanwhile may come twice after a crash";
                tracing::warn!(code = codes::NOT_KEPT, help, "failed to write `{}`: {error}", file.display());
            })
        })
    }
}

/// Where events come from.
enum Listening {
    /// A subscription.
    To(Box<Subscription>),
    /// The last one failed: another one from then on.
    Again(Instant),
    /// None come any more.
    Over,
}

impl Listening {
    /// What comes next; none: it is time for another subscription.
    async fn next(&mut self) -> Option<Item> {
        match self {
            Self::To(subscription) => Some(subscription.next().await),
            Self::Again(moment) => {
                sleep_until(*moment).await;
                None
            }
            Self::Over => std::future::pending().await,
        }
    }
}

/// For each of these notices how far it was, as far as that is known.
fn places(lines: &[Line], rules: &[Rule]) -> Vec<Option<EventId>> {
    let digests: Vec<String> = lines.iter().map(|line| line.notice.clone()).collect();
    let wanted: Vec<String> = rules.iter().map(Rule::digest).collect();
    let matched = super::matching::matched(&digests, &wanted);
    matched.into_iter().map(|at| at.map(|at| lines[at].done)).collect()
}

/// Whether the file was written; waits until it is. Without a write under way for ever.
async fn finished(writing: &mut Option<JoinHandle<io::Result<()>>>) -> bool {
    let Some(handle) = writing else { return std::future::pending().await };
    let written = handle.await;
    *writing = None;
    matches!(written, Ok(Ok(())))
}
