//! `tidegate serve`: the controller, from its options to its last word.

mod background;
mod controller;
mod definitions;
mod logging;
mod polling;
mod socket;
mod supervisor;
mod tidy;
mod troubles;

use super::serving::Serving;
use super::trouble::Trouble;
use super::{Exit, talk, threads};
use crate::settings::{Overrides, Settings};
use controller::Controller;
pub(super) use definitions::SHARED_ACCOUNT;
pub(super) use logging::begin as begin_logging;
pub(super) use socket::check_folder;
use std::path::PathBuf;
use supervisor::Supervisor;
use tokio::signal::unix::{Signal, SignalKind, signal};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder of the pipeline files [default: pipelines]
    #[arg(long, value_name = "DIR")]
    pipelines: Option<PathBuf>,
    /// The state folder: journal, logs, artifacts, tokens [default: $XDG_STATE_HOME/tidegate]
    #[arg(long, env = "TIDEGATE_STATE", value_name = "DIR")]
    state: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:8433]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// A Unix socket to listen on, too
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// The settings file [default: tidegate.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Build steps and gates at once [default: the cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Listen beyond loopback without TLS: tokens travel in the clear
    #[arg(long)]
    insecure_http: bool,
    /// The ssh client with its arguments
    #[arg(long, env = "TIDEGATE_SSH_COMMAND", value_name = "COMMAND", hide = true)]
    ssh_command: Option<String>,
}

pub(super) fn run(args: Args) -> Exit {
    if let Err(error) = logging::begin() {
        return Trouble::from(error).say();
    }
    super::shut::shut();
    let overrides = Overrides {
        config: args.config,
        pipelines: args.pipelines,
        state: args.state,
        listen: args.listen,
        unix: args.unix,
        insecure_http: args.insecure_http,
        jobs: args.jobs,
        ssh_command: args.ssh_command,
    };
    let settings = match Settings::load(&overrides) {
        Ok(settings) => settings,
        Err(error) => return Trouble::from(error).say(),
    };
    for (forge, place) in settings.webhooks.iter() {
        if let Err(error) = place.read(forge) {
            let (code, help) = (error.code(), error.help());
            tracing::warn!(code, help, "deliveries of {forge} will not be taken: failed to {error}");
        }
    }
    match threads::many(|runtime| runtime.block_on(serve(settings))) {
        Ok(()) => Exit::Done,
        Err(trouble) => trouble.say(),
    }
}

async fn serve(settings: Settings) -> Result<(), Trouble> {
    let mut signals = Signals::take()?;
    let supervisor = Supervisor::find();
    let mut controller = Controller::start(&settings).await?;
    // Commands go by it, so it is there before anybody can know the address.
    let said = Serving::say(&settings, controller.address(), controller.socket());
    let _sign = said.inspect_err(|error| tracing::warn!(%error, "commands and `doctor` will not find this"));
    talk::say(format_args!(
        "tidegate {} answers at http://{} (pipelines: {}, state: {})",
        env!("CARGO_PKG_VERSION"),
        controller.address(),
        settings.pipelines.display(),
        settings.state.path().display(),
    ));
    controller.say_cgroups();
    controller.until_ready().await;
    supervisor.ready(controller.address());
    let engine = controller.engine();
    let alive = supervisor.keep_alive(engine);
    tokio::pin!(alive);
    let end = loop {
        tokio::select! {
            end = controller.end() => break end,
            () = &mut alive => {}
            word = signals.next() => match word {
                Word::LookAgain => {
                    tracing::info!("SIGHUP: every pipeline file is looked at again; settings are read at the start only");
                    supervisor.reloading();
                    controller.rescan();
                    supervisor.ready(controller.address());
                }
                Word::Stop => {
                    tracing::info!("stopping: nothing new begins, what runs has {:?} to end", settings.drain);
                    supervisor.stopping();
                    controller.say_stopping(settings.drain, false);
                    controller.drain(settings.drain).await;
                }
                Word::Leave => {
                    let time = settings.drain;
                    tracing::info!("stopping: build steps and gates go on, what else runs has {time:?} to end");
                    supervisor.stopping();
                    controller.say_stopping(settings.drain, true);
                    controller.leave(settings.drain).await;
                }
            },
        }
    };
    controller.take_apart(end).await
}

/// What a signal means.
enum Word {
    /// SIGINT, as from a terminal; a second one means at once.
    Stop,
    /// SIGTERM, as from what starts it again; a second one means at once.
    Leave,
    /// SIGHUP.
    LookAgain,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn take() -> Result<Signals, Trouble> {
        let one = |kind| {
            signal(kind).map_err(|error| {
                Trouble::new(
                    "TG-SERVE-003",
                    format!("failed to listen for signals: {error}"),
                    "",
                    Exit::Failed,
                )
            })
        };
        // A limit of the size of files is an error of the write from here on, and not the end.
        let _ = one(SignalKind::from_raw(libc::SIGXFSZ))?;
        Ok(Signals {
            terminate: one(SignalKind::terminate())?,
            interrupt: one(SignalKind::interrupt())?,
            hang_up: one(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Word {
        tokio::select! {
            // When the first process of a container ends, nothing in it goes on.
            _ = self.terminate.recv() => if std::process::id() == 1 { Word::Stop } else { Word::Leave },
            _ = self.interrupt.recv() => Word::Stop,
            _ = self.hang_up.recv() => Word::LookAgain,
        }
    }
}
