//! The controller over HTTP: pushes come in, people act, events and the state go out. Holds nothing that is not a fold
//! of events, beside who is connected.
//!
//! - `doors`: where connections come in, and who is at their other end; `listen`: their limits and their end;
//!   `patience`: clients that do not read; `forwarded`: what proxies say of whom they ask for.
//! - `routes`: what is where, `operations`: what each does, `openapi`: both for programs; `guard`: who may, `scope`:
//!   where; `guessing`: tokens that are tried; `refusals`: who was turned away; `problem`: errors as they are answered.
//! - `rebuild`, `webhook` and `actions` change things, the first two through `pushes`; `once` sees to those that are
//!   sent twice; `view`, `why`, `plan`, `compare`, `definition` and `runs` show them, `log` and `log_lines` what runs
//!   wrote; `events`, `session` and `sse` tell what happens, `history` what has; `metrics` and `measures` count.
//! - `page` is the web page, `login` how a browser signs in.
//!
//! Closed by default: a route without a rule is denied, a change needs a token, a host or origin that is not known is
//! turned away.

mod actions;
mod asking;
#[cfg(test)]
mod autobahn;
mod compare;
mod definition;
mod doors;
mod events;
mod forwarded;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod guard;
mod guessing;
mod health;
mod history;
mod journal;
mod listen;
mod log;
mod log_lines;
mod login;
mod measures;
mod metrics;
mod once;
mod openapi;
mod operations;
mod page;
mod patience;
mod plan;
mod problem;
mod pushes;
mod rebuild;
mod refusals;
mod routes;
mod runs;
mod scope;
mod session;
mod sse;
mod state;
pub mod view;
mod webhook;
mod why;

pub use actions::{ActionRequest, Done};
pub use compare::{ArtifactDifference, CommitView, CompareView, SideView};
pub use definition::DefinitionText;
pub use doors::{Doors, knows_peers};
pub use history::{HistoryView, StoryView};
pub use journal::JournalView;
pub use listen::serve;
pub use log_lines::{LogIndex, LogMatch};
pub use login::{LoginRequest, NoFields, WhoView};
pub use measures::{
    DayCount, Deployments, GateDay, GateMeasure, MeasuresView, Share, Spread, WaitingMeasure,
};
pub use openapi::description;
pub use plan::PlanRequest;
pub use problem::ProblemBody;
pub use pushes::{LookError, Polled, Pushes};
pub use rebuild::{Accepted, Ignored, RebuildAnswer, RebuildRequest};
pub use runs::{RunEnd, RunView, Said, TaskView};
pub use state::OnePipeline;
pub use webhook::DeliveryAnswer;
pub use why::{Unbuilt, UnbuiltStage, Unjudged, WhyTier, WhyView};

use crate::clock::Clock;
use crate::disk::Gauge;
use crate::domain::{PipelineName, RunId};
use crate::engine::Engine;
use crate::notice::LookAtNotices;
use crate::settings::{Network, ReadAccess, StateDir, Tokens, UnixDoor, Webhooks};
use crate::source::Git;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the server needs besides the engine.
pub struct ServerOptions {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How much the state folder takes.
    pub gauge: Gauge,
    /// How notices do.
    pub notices: LookAtNotices,
    /// What is not as it should be with the controller itself, though it goes on.
    pub troubles: LookAtTroubles,
    /// Who may do what.
    pub tokens: Arc<Tokens>,
    /// Whether reading on loopback needs a token.
    pub read: ReadAccess,
    /// Names besides loopback and the address itself by which clients reach this: lowercase, without port.
    pub hosts: Vec<String>,
    /// Who may do what without a token, where the system says who they are.
    pub unix: UnixDoor,
    /// Proxies that are believed when they say for whom they ask.
    pub trusted_proxies: Vec<Network>,
    /// Where logs and mirrors are.
    pub state: StateDir,
    /// How git is called to examine pushes.
    pub git: Git,
    /// How long a subscriber that reads nothing is kept.
    pub stall: Duration,
    /// Build steps and gates at once.
    pub jobs: u32,
    /// Where the log of a run that has not ended is, as a path below the state folder; from what the pipeline's folders
    /// are called.
    pub log_ref: fn(&PipelineName, RunId) -> String,
    /// The forges that may tell of pushes.
    pub webhooks: Webhooks,
    /// Limits of connections.
    pub limits: Limits,
}

/// What is not as it should be with the controller itself, now.
pub type LookAtTroubles = Arc<dyn Fn() -> Vec<view::TroubleView> + Send + Sync>;

/// Limits of connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once that are not (yet) subscribers.
    pub connections: usize,
    /// Subscribers of `/events` at once.
    pub subscribers: usize,
    /// How long the head of a request may take, and an idle connection be kept.
    pub head: Duration,
    /// How long the body of a request may take.
    pub body: Duration,
    /// Most bytes of the body of a request.
    pub body_bytes: usize,
    /// Most bytes of a forge's delivery: it names every commit of a push.
    pub delivery_bytes: usize,
    /// How long a forge is kept waiting for an answer; what takes longer goes on without it.
    pub delivery: Duration,
    /// How often a subscriber is pinged.
    pub ping: Duration,
    /// How often it is asked whether a subscriber's token still holds.
    pub token_check: Duration,
    /// How long those who are turned away are only counted after the first of a kind.
    pub refusals: Duration,
    /// How long connections have to end when the controller stops.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            subscribers: 512,
            head: Duration::from_secs(10),
            body: Duration::from_secs(15),
            body_bytes: 1 << 20,
            delivery_bytes: 8 << 20,
            delivery: Duration::from_secs(8),
            ping: Duration::from_secs(20),
            token_check: Duration::from_secs(2),
            refusals: Duration::from_secs(60),
            farewell: Duration::from_secs(10),
        }
    }
}

/// What every request works with.
struct Server {
    engine: Engine,
    options: ServerOptions,
    /// Room for subscribers.
    subscribers: Arc<Semaphore>,
    /// Tasks of connections that were upgraded.
    sessions: TaskTracker,
    /// No more requests; what lasts says goodbye.
    shutdown: CancellationToken,
    /// What is left is cut.
    cut: CancellationToken,
    /// Wrong tokens of late.
    wrong_tokens: guessing::WrongTokens,
    /// Who was turned away of late.
    refusals: refusals::Refusals,
    /// Changes that came with a key.
    once: Arc<once::Once>,
    /// Room for large deliveries whose signature is not checked yet, in bytes.
    deliveries: Arc<Semaphore>,
    /// Room for plans that are being made.
    plans: Arc<Semaphore>,
    /// The state as it was answered last.
    last_state: state::LastAnswer,
    /// Room for logs that are being searched.
    log_readers: Arc<Semaphore>,
    /// The way of pushes to the engine.
    pushes: Pushes,
    /// What was counted since the start.
    counts: metrics::Counts,
}

impl Server {
    fn new(engine: Engine, options: ServerOptions, shutdown: CancellationToken) -> Server {
        let begin = engine.journal().last_id();
        Server {
            pushes: Pushes::new(engine.clone(), options.git.clone(), &options.state),
            engine,
            plans: Arc::new(Semaphore::new(plan::AT_ONCE)),
            last_state: Default::default(),
            log_readers: Arc::new(Semaphore::new(log_lines::AT_ONCE)),
            deliveries: Arc::new(Semaphore::new(webhook::ROOM)),
            subscribers: Arc::new(Semaphore::new(options.limits.subscribers)),
            sessions: TaskTracker::new(),
            shutdown,
            cut: CancellationToken::new(),
            wrong_tokens: guessing::WrongTokens::default(),
            refusals: refusals::Refusals::default(),
            once: Arc::default(),
            counts: metrics::Counts::new(begin, options.clock.now()),
            options,
        }
    }
}
