//! The parts of a controller put together, in the order in which each needs the ones before, and taken apart again.

use super::background::Background;
use super::definitions::Definitions;
use super::polling;
use super::socket::{self, SocketFile};
use super::supervisor::passed_listeners;
use super::tidy::Tidier;
use super::troubles::Troubles;
use crate::artifact::Store;
use crate::bus::Bus;
use crate::cli::Exit;
use crate::cli::trouble::Trouble;
use crate::clock::{Clock, SystemClock};
use crate::disk::{FolderDisk, Gauge};
use crate::domain::outliving::outlives;
use crate::domain::{EventId, PipelineName, RunId, State};
use crate::engine::{self, Engine, Parts};
use crate::interpreter::fencing::secret_files;
use crate::interpreter::places::Places;
use crate::interpreter::{LocalInterpreter, sweep};
use crate::journal::{self, Journal, SqliteJournal};
use crate::notice::{self, Courier};
use crate::remote::Client;
use crate::runner::keeper::Unreached;
use crate::runner::{Cgroups, KeptRunner, LocalRunner, Runner};
use crate::server::{self, Doors, Limits, Pushes, ServerOptions};
use crate::settings::{Settings, StateDir, Tokens};
use crate::source::Git;
use crate::watch::{Change, Watch};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Reports of the interpreter that may wait for the engine.
const REPORTS: usize = 256;

/// A controller at work.
pub(super) struct Controller {
    engine: Engine,
    journal: Arc<SqliteJournal>,
    address: SocketAddr,
    socket: Option<PathBuf>,
    /// Goes away with this.
    _socket_file: Option<SocketFile>,
    watch: Watch,
    courier: Courier,
    keeper: KeptRunner,
    background: Background,
    troubles: Troubles,
    /// Ends the server, and what belongs to it.
    shutdown: CancellationToken,
    working: JoinHandle<Result<(), journal::Error>>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Controller {
    /// Starts everything; what does not work is found before anything is begun.
    pub(super) async fn start(settings: &Settings) -> Result<Controller, Trouble> {
        // Before any other process is started, which would sit where this one is.
        blocking(Cgroups::of_this_process).await;
        let opened = Opened::open(settings).await?;
        let journal = opened.journal.clone();
        let address = opened.address;
        let (socket, socket_file) = (opened.socket, opened.socket_file);
        let shutdown = CancellationToken::new();
        let common = Common {
            git: Git::default().with_ssh_command(&settings.ssh_command),
            clock: Arc::new(SystemClock::new()),
            runner: Arc::new(LocalRunner::new()),
            keeper: opened.keeper.clone(),
            store: opened.store.clone(),
            gauge: Gauge::default(),
            troubles: Troubles::default(),
        };
        let begin = opened.state.last;
        let keeper = opened.keeper.clone();
        let (engine, working) = begin_engine(settings, &common, opened.state, journal.clone());
        let courier = Courier::start(notice::Parts {
            engine: engine.clone(),
            clock: common.clock.clone(),
            runner: common.runner.clone(),
            state: settings.state.clone(),
            pipelines: settings.pipelines.clone(),
            begin,
        });
        let options = server_options(settings, &common, &courier, opened.tokens);
        let serving = tokio::spawn(server::serve(opened.doors, engine.clone(), options, shutdown.clone()));
        let (watch, changes) = Watch::start(settings.pipelines.clone());
        let troubles = common.troubles.clone();
        let background = begin_background(settings, common, &engine, changes, &shutdown);
        Ok(Controller {
            engine,
            journal,
            address,
            socket,
            _socket_file: socket_file,
            watch,
            courier,
            keeper,
            background,
            troubles,
            shutdown,
            working,
            serving,
        })
    }

    /// Where it answers.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says whether runs get cgroups of their own.
    pub(super) fn say_cgroups(&self) {
        match Cgroups::of_this_process().ground() {
            Ok(ground) => tracing::info!("each step has a cgroup of its own, {ground}"),
            Err(absent) => {
                tracing::info!("no step has a cgroup of its own: {absent}; its processes are found without");
            }
        }
    }

    /// The Unix socket where it answers, too.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        self.socket.clone()
    }

    /// Resolves when commands are taken, or never will be.
    pub(super) async fn until_ready(&self) {
        self.engine.until_ready().await;
    }

    /// The engine at its heart.
    pub(super) fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// Looks at every pipeline file again.
    pub(super) fn rescan(&self) {
        self.watch.rescan();
    }

    /// Lets whoever looks know that it is about to stop.
    pub(super) fn say_stopping(&self, time: Duration, leaves: bool) {
        let time = crate::words::took(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let left = if leaves { "build steps and gates go on without it, " } else { "" };
        let message = format!(
            "the controller is stopping: nothing new begins, {left}what else runs has up to {time} to end"
        );
        self.troubles.begin("TG-SERVE-007", message, "what is interrupted runs again after the next start");
    }

    /// Begins nothing new; ends when what runs has ended or the time is over. The second time: ends what runs at once.
    pub(super) async fn drain(&self, time: Duration) {
        self.engine.drain(time).await;
    }

    /// The same, but what outlives a controller is left running for the next one.
    pub(super) async fn leave(&self, time: Duration) {
        self.engine.leave(time).await;
    }

    /// Resolves once the engine has drained, or something cannot go on. Nothing is lost when this is dropped before.
    pub(super) async fn end(&mut self) -> End {
        tokio::select! {
            worked = &mut self.working => End::Worked(worked.unwrap_or(Err(journal::Error::Closed))),
            served = &mut self.serving => {
                if let Ok(Err(error)) = served {
                    tracing::error!(%error, "no request is answered any more");
                }
                End::Broke("answering requests")
            },
            what = self.background.broken() => End::Broke(what),
            () = self.courier.broken() => End::Broke("telling notices"),
        }
    }

    /// Takes everything apart after that.
    pub(super) async fn take_apart(self, end: End) -> Result<(), Trouble> {
        let worked = match end {
            End::Worked(worked) => worked,
            End::Broke(what) => {
                let message = format!("BUG: {what} panicked; the log says where");
                let help = "start the controller again: it goes on where the journal ends";
                return Err(Trouble::new("TG-SERVE-006", message, help, Exit::Failed));
            }
        };
        // Subscribers hear the last event before they are let go.
        self.shutdown.cancel();
        if let Ok(Err(error)) = self.serving.await {
            tracing::warn!(%error, "the server did not end well");
        }
        self.courier.stop().await;
        let keeper = self.keeper.clone();
        blocking(move || keeper.leave()).await;
        worked?;
        self.journal.close().await?;
        Ok(())
    }
}

/// What ended first.
pub(super) enum End {
    /// The engine, well or not.
    Worked(Result<(), journal::Error>),
    /// A task beside them panicked: what it did.
    Broke(&'static str),
}

/// What is on the disk and on the network, opened.
struct Opened {
    journal: Arc<SqliteJournal>,
    /// What the journal comes to.
    state: State,
    keeper: KeptRunner,
    tokens: Arc<Tokens>,
    store: Store,
    doors: Doors,
    address: SocketAddr,
    socket: Option<PathBuf>,
    socket_file: Option<SocketFile>,
}

impl Opened {
    async fn open(settings: &Settings) -> Result<Opened, Trouble> {
        settings.state.prepare()?;
        let folder = settings.state.path().to_owned();
        let journal = Arc::new(blocking(move || SqliteJournal::open(&folder)).await?);
        let (doors, socket_file) = listen(settings).await?;
        let address = doors.tcp.local_addr().map_err(|error| cannot_listen(settings.listen, &error))?;
        let socket =
            doors.unix.as_ref().and_then(|unix| unix.local_addr().ok()?.as_pathname().map(Path::to_owned));
        // Its own name is the one that it had while it was made.
        let socket = if socket_file.is_some() { settings.unix.socket.clone() } else { socket };
        let tokens = Arc::new(Tokens::open(&settings.state)?);
        let store = Store::open(settings.state.artifacts()).await?;
        let for_replay = journal.clone();
        let state = blocking(move || engine::replay(&*for_replay)).await?;
        let keeper = reach_keeper(settings).await?;
        let kept = kept_runs(&state, &keeper);
        keeper.forget_others(&kept);
        sweep(&settings.state, &builds(&state), &runs(&state), &kept).await;
        Ok(Opened { journal, state, keeper, tokens, store, doors, address, socket, socket_file })
    }
}

/// The process that runs steps, so that they outlive this one.
async fn reach_keeper(settings: &Settings) -> Result<KeptRunner, Trouble> {
    let folder = settings.state.path().to_owned();
    blocking(move || KeptRunner::reach(&folder)).await.map_err(|unreached| {
        let help =
            "look at what it says above, and at `runner` in the state folder; it is this program once more";
        Trouble::new(Unreached::CODE, format!("failed to {unreached}"), help, Exit::Failed)
    })
}

/// The runs that outlived the controller before, if that is where it had them.
fn kept_runs(state: &State, keeper: &KeptRunner) -> HashSet<RunId> {
    if state.runner.as_deref() != Some(keeper.id()) {
        return HashSet::new();
    }
    state.running.keys().filter(|run| outlives(state, **run)).copied().collect()
}

/// What several parts work with.
struct Common {
    git: Git,
    clock: Arc<dyn Clock>,
    runner: Arc<dyn Runner>,
    keeper: KeptRunner,
    store: Store,
    gauge: Gauge,
    troubles: Troubles,
}

/// The engine with those who work for it.
fn begin_engine(
    settings: &Settings,
    common: &Common,
    state: State,
    journal: Arc<dyn Journal>,
) -> (Engine, JoinHandle<Result<(), journal::Error>>) {
    let (reporter, reports) = mpsc::channel(REPORTS);
    let interpreter = LocalInterpreter::new(
        settings.state.clone(),
        common.runner.clone(),
        common.git.clone(),
        common.store.clone(),
        Client::new(&settings.ssh_command, settings.state.ssh()),
        settings.log_limit_bytes,
        reporter,
    );
    let (private, late) = (settings.private(), Arc::new(OnceLock::new()));
    let interpreter = interpreter.lasting_by(Arc::new(common.keeper.clone())).keeping({
        let late = late.clone();
        move || [private.clone(), late.get().map(secrets_of_all).unwrap_or_default()].concat()
    });
    let parts = Parts {
        journal: journal.clone(),
        bus: Bus::new(journal),
        clock: common.clock.clone(),
        disk: Arc::new(
            FolderDisk::new(settings.state.path(), settings.retention.min_free_bytes)
                .with_reserve(settings.state.reserve()),
        ),
        interpreter: Arc::new(interpreter),
        reports,
    };
    let options = engine::Options {
        jobs: jobs(settings),
        release: env!("CARGO_PKG_VERSION").into(),
        runner: Some(common.keeper.id().to_owned()),
    };
    let (engine, work) = engine::start(state, parts, options);
    let _ = late.set(engine.clone());
    (engine, tokio::spawn(work))
}

/// The files with secrets of all pipelines, as they are now.
fn secrets_of_all(engine: &Engine) -> Vec<PathBuf> {
    engine.read(|state| {
        let known = state.pipelines.values().flat_map(|pipeline| {
            let in_force = pipeline.in_force.iter().map(|in_force| &in_force.definition);
            in_force.chain(pipeline.known.values())
        });
        secret_files(known.flat_map(|definition| definition.secrets.values()))
    })
}

fn server_options(
    settings: &Settings,
    common: &Common,
    courier: &Courier,
    tokens: Arc<Tokens>,
) -> ServerOptions {
    let troubles = common.troubles.clone();
    ServerOptions {
        clock: common.clock.clone(),
        gauge: common.gauge.clone(),
        notices: courier.notices(),
        troubles: Arc::new(move || troubles.all()),
        tokens,
        read: settings.read,
        hosts: settings.hosts.clone(),
        unix: settings.unix.clone(),
        trusted_proxies: settings.trusted_proxies.clone(),
        state: settings.state.clone(),
        git: common.git.clone(),
        stall: settings.stall,
        jobs: jobs(settings),
        log_ref,
        webhooks: settings.webhooks.clone(),
        limits: Limits::default(),
    }
}

/// What works beside them: files to definitions, looking for pushes, and tidying.
fn begin_background(
    settings: &Settings,
    common: Common,
    engine: &Engine,
    changes: mpsc::Receiver<Change>,
    shutdown: &CancellationToken,
) -> Background {
    let mut background = Background::default();
    let reloaded = Arc::new(Notify::new());
    let (troubles, users) = (common.troubles.clone(), settings.unix.users.clone());
    let definitions = Definitions::new(engine.clone(), reloaded.clone(), troubles, users);
    background.begin("taking definitions", definitions.follow(changes));
    let pushes = Pushes::new(engine.clone(), common.git.clone(), &settings.state);
    let polling = polling::follow(engine.clone(), pushes.clone(), reloaded, shutdown.clone());
    background.begin("looking for pushes", polling);
    let tidier = Tidier {
        engine: engine.clone(),
        clock: common.clock,
        git: common.git,
        pushes,
        state: settings.state.clone(),
        store: common.store,
        retention: settings.retention.clone(),
        gauge: common.gauge,
        end: shutdown.clone(),
    };
    background.begin("tidying", tidier.run());
    background
}

/// Build steps and gates at once.
fn jobs(settings: &Settings) -> u32 {
    u32::try_from(settings.jobs.get()).unwrap_or(u32::MAX)
}

/// What was passed; of what was not, what the settings name.
async fn listen(settings: &Settings) -> Result<(Doors, Option<SocketFile>), Trouble> {
    let address = settings.listen;
    let failed = |error: std::io::Error| cannot_listen(address, &error);
    let passed = passed_listeners()?;
    let tcp = match passed.tcp {
        Some(passed) => {
            let listener = TcpListener::from_std(passed).map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            Settings { listen: address, ..settings.clone() }.refuse_plain_http()?;
            listener
        }
        None => TcpListener::bind(address).await.map_err(failed)?,
    };
    let (unix, file) = match (passed.unix, &settings.unix.socket) {
        (Some(passed), _) => (Some(passed), None),
        (None, Some(path)) => {
            let (made, file) = socket::listen(path, settings.unix.mode)?;
            (Some(made), Some(file))
        }
        (None, None) => (None, None),
    };
    let unix = unix.map(UnixListener::from_std).transpose().map_err(failed)?;
    Ok((Doors { tcp, unix }, file))
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Trouble {
    let message = format!("failed to listen on {address}: {error}");
    let help = "end what listens there, or name another address with `--listen`";
    Trouble::new("TG-SERVE-001", message, help, Exit::Failed)
}

async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    tokio::task::spawn_blocking(work).await.expect("BUG: a part of the controller panicked at its start")
}

fn builds(state: &State) -> Vec<(PipelineName, EventId)> {
    let builds =
        state.pipelines.values().filter_map(|p| Some((p.home.clone(), p.build.as_ref()?.request.id)));
    builds.collect()
}

fn runs(state: &State) -> Vec<(PipelineName, RunId)> {
    let home = |name| state.pipeline(name).map(|p| p.home.clone());
    state.running.iter().filter_map(|(run, place)| Some((home(&place.pipeline)?, *run))).collect()
}

fn log_ref(home: &PipelineName, run: RunId) -> String {
    Places::new(&StateDir::new(""), home).log_ref(run)
}
