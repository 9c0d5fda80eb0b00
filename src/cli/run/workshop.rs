//! An engine for one version: begun, fed with one push, watched until nothing follows any more, and judged.

use super::Args;
use super::account::Account;
use super::live::Live;
use super::place::Place;
use crate::artifact::Store;
use crate::bus::{Bus, Frame, Item, Start, Subscription};
use crate::cli::trouble::Trouble;
use crate::cli::{Exit, narrate, talk};
use crate::clock::{Clock, SystemClock};
use crate::definition;
use crate::disk::EndlessDisk;
use crate::domain::promotion::waiting;
use crate::domain::state::{Inside, PipelineState, Verdict};
use crate::domain::{
    Command, Envelope, Event, EventId, News, Pipeline, Push, RefName, Status, Time, VersionLabel,
};
use crate::engine::{self, Engine, Parts, Refusal};
use crate::interpreter::{LocalInterpreter, sweep};
use crate::journal::{self, Journal, MemoryJournal};
use crate::remote::Client;
use crate::runner::LocalRunner;
use crate::settings::{self, Overrides, Settings};
use crate::source::{self, Git, Location, Repo};
use crate::wire;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Bytes of output that are kept of each step, unless it says otherwise.
const OUTPUT_LIMIT: u64 = 100 << 20;

/// A line that is longer than this many bytes is shown in parts.
const LINE_LIMIT: usize = 8 << 10;

/// How long steps that are interrupted may take to end.
const FAREWELL: Duration = Duration::from_secs(30);

/// The engine's task.
type Working = tokio::task::JoinHandle<Result<(), journal::Error>>;

/// Does the work of one version; how the command ends.
pub(super) async fn work(args: &Args, file: &Path, pipeline: Pipeline) -> Result<Exit, Trouble> {
    let place = Place::take(file)?;
    if !args.deploy.is_empty() && !args.json {
        talk::say("promotion rules are not asked here, and no controller learns of this deploy");
    }
    let ssh = settings::ssh_command_alone(args.config.as_deref())?;
    let git = Git::default().with_ssh_command(&ssh);
    let (engine, working) = begin(args, &place, git.clone(), &ssh).await?;
    let live = engine.bus().subscribe(Start::since(EventId(0)));
    let live =
        live.map_err(|error| Trouble::new("TG-EVENTS-001", format!("failed to {error}"), "", Exit::Failed))?;
    let push = push(args, &place, git, &pipeline).await?;
    let pipeline = Arc::new(pipeline);
    let load = Command::Load {
        file: file.display().to_string(),
        digest: definition::digest_of(&pipeline),
        text: String::new(),
        definition: pipeline.clone(),
    };
    ask(&engine, load).await?;
    ask(&engine, Command::Push { by: None, why: None, again: true, pushes: vec![push] }).await?;
    let mut account = Account::begin();
    let ended = watch(args, &engine, &pipeline, live, &mut account).await;
    engine.drain(Duration::ZERO).await;
    // What still ran is ended by then, or will not be.
    let _ = tokio::time::timeout(FAREWELL, working).await;
    if let Ok(exit) = ended
        && !args.json
    {
        account.say(exit, args, place.state.path());
    }
    ended
}

async fn begin(args: &Args, place: &Place, git: Git, ssh: &[String]) -> Result<(Engine, Working), Trouble> {
    sweep(&place.state, &[], &[], &HashSet::new()).await;
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let (reporter, reports) = mpsc::channel(256);
    let interpreter = LocalInterpreter::new(
        place.state.clone(),
        Arc::new(LocalRunner::new()),
        git,
        Store::open(place.state.artifacts()).await?,
        Client::new(ssh, place.state.ssh()),
        OUTPUT_LIMIT,
        reporter,
    );
    // What a controller of this user would keep to itself.
    let private =
        Settings::load(&Overrides::default()).map(|settings| settings.private()).unwrap_or_default();
    let interpreter = interpreter.keeping(move || private.clone());
    let parts = Parts {
        journal: journal.clone(),
        bus: Bus::new(journal),
        clock: Arc::new(SystemClock::new()),
        // A person waits for this: what a full disk breaks says so itself.
        disk: Arc::new(EndlessDisk),
        interpreter: Arc::new(interpreter),
        reports,
    };
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let options = engine::Options {
        jobs: args.jobs.unwrap_or(cores).max(1),
        release: env!("CARGO_PKG_VERSION").into(),
        runner: None,
    };
    let (engine, task) = engine::start(Default::default(), parts, options);
    let working = tokio::spawn(task);
    engine.until_ready().await;
    Ok((engine, working))
}

/// The commit that is built, looked at as a push is.
async fn push(args: &Args, place: &Place, git: Git, pipeline: &Pipeline) -> Result<Push, Trouble> {
    let location = Location::parse(&pipeline.source.repo)?;
    let mirror = source::mirror::place(&place.state.work(), &pipeline.name);
    let repo = Repo::new(git, location, mirror)
        .with_submodules(pipeline.source.submodules)
        .with_lfs(pipeline.source.lfs);
    let (sha, ref_name) = match &args.sha {
        Some(sha) => (sha.clone(), None),
        None => head(&repo, pipeline).await?,
    };
    let found = source::examine(&repo, &sha, None, &[]).await?;
    Ok(Push {
        pipeline: pipeline.name.clone(),
        sha: found.sha,
        ref_name,
        old: None,
        news: News::Told,
        author: found.author_name,
        subject: found.subject,
        emails: Vec::new(),
        ref_taken: true,
        touched: true,
        tag_missing: false,
    })
}

async fn head(repo: &Repo, pipeline: &Pipeline) -> Result<(String, Option<RefName>), Trouble> {
    let (place, refs) = (&pipeline.source.repo, &pipeline.source.refs);
    let taken = source::taken(repo, refs).await.map_err(|error| {
        let trouble = Trouble::from(error);
        let way = "to build a folder that is no repository, name it: `--dir FOLDER`";
        Trouble { help: format!("{}; {way}", trouble.help), ..trouble }
    })?;
    match taken.as_slice() {
        [only] => Ok((only.sha.to_string(), Some(only.name.clone()))),
        [] => {
            let shown = Location::parse(place).map_or_else(|_| place.clone(), |location| location.shown());
            let message = match refs.as_slice() {
                [] => format!("`{shown}` has no commit yet"),
                refs => format!("`{shown}` has no commit on {} yet", refs.join(", ")),
            };
            let help = "commit and push something, or build a folder as it is: `--dir FOLDER`";
            Err(Trouble::new("TG-CLI-022", message, help, Exit::Usage))
        }
        several => {
            let message = format!("the pipeline takes {} branches or tags that are there", several.len());
            Err(Trouble::new(
                "TG-PUSH-004",
                message,
                "name the commit with `--sha`, or a folder with `--dir`",
                Exit::Usage,
            ))
        }
    }
}

async fn ask(engine: &Engine, command: Command) -> Result<(), Trouble> {
    let refused =
        |refusal: Refusal| Trouble::new(refusal.code(), refusal.to_string(), refusal.help(), Exit::Failed);
    engine.ask(command).await.map(drop).map_err(refused)
}

/// Says what happens until nothing follows any more.
async fn watch(
    args: &Args,
    engine: &Engine,
    pipeline: &Pipeline,
    mut live: Subscription,
    account: &mut Account,
) -> Result<Exit, Trouble> {
    let mut logs = Logs::default();
    let mut last_line = Live::of(pipeline, args.json);
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    loop {
        let pause = last_line.pause();
        let item = tokio::select! {
            biased;
            _ = interrupt.recv() => {
                last_line.hide();
                return Ok(Exit::Interrupted);
            }
            _ = terminate.recv() => {
                last_line.hide();
                return Ok(Exit::Interrupted);
            }
            item = live.next() => item,
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {
                last_line.show(SystemClock::new().now());
                continue;
            }
        };
        last_line.hide();
        let last = match item {
            Item::Event(frame) if frame.is_log => {
                if args.json {
                    talk::json(&*frame.text)
                } else {
                    logs.show(&frame)
                }
                continue;
            }
            Item::Event(frame) => {
                let envelope = wire::decode(&frame.text);
                if args.json {
                    talk::json(&*frame.text)
                } else if let Ok(envelope) = &envelope {
                    logs.end(&frame);
                    narrate::say(&without_log(envelope.clone()));
                }
                if let Ok(envelope) = &envelope {
                    last_line.happened(envelope);
                    account.happened(envelope);
                }
                frame.id
            }
            // Only log chunks can be lost: what was missed comes from the journal.
            Item::Lagged { .. } | Item::Gap { .. } => continue,
            Item::Failed(error) => return Err(error.into()),
            Item::Ended => return Ok(Exit::Failed),
        };
        let now = SystemClock::new().now();
        let verdict = engine.read(|state| {
            let said_all = Some(state.last) == last;
            let p = state.pipelines.get(&pipeline.name).filter(|_| said_all);
            p.and_then(|p| judge(p, pipeline, !state.running.is_empty(), now))
        });
        if let Some(exit) = verdict {
            return Ok(exit);
        }
    }
}

/// An event without the command that shows a log: here nobody keeps logs by that number.
fn without_log(mut envelope: Envelope) -> Envelope {
    if let Event::BuildFailed { cause, .. } | Event::PromoteFailed { cause, .. } = &mut envelope.fact.event
        && let Some((words, _)) = cause.rsplit_once(" (tidegate logs ")
    {
        *cause = words.to_owned();
    }
    envelope
}

fn deaf(error: std::io::Error) -> Trouble {
    Trouble::new("TG-SERVE-003", format!("failed to listen for signals: {error}"), "", Exit::Failed)
}

/// How it ended, once nothing follows any more.
fn judge(p: &PipelineState, pipeline: &Pipeline, anything_runs: bool, now: Time) -> Option<Exit> {
    let version: &VersionLabel = p.versions.keys().next()?;
    let rests = p.build.is_none() && p.queue.is_empty();
    let stuck =
        p.tiers.values().any(|t| t.inside.as_ref().is_some_and(|inside| cannot_be_judged(inside, now)));
    let free = p.tiers.values().all(|t| t.inside.is_none() && t.going_back.is_none());
    if rests && stuck && !anything_runs {
        return Some(Exit::Blocked);
    }
    let nobody_enters =
        pipeline.tiers.iter().all(|tier| waiting(p, tier, now).iter().all(|w| !w.blockers.is_empty()));
    if !(rests && free && nobody_enters) {
        return None;
    }
    if !p.is_built(version) {
        return Some(Exit::Failed);
    }
    let verdicts =
        pipeline.tiers.iter().map(|tier| p.standing(&tier.name, version).and_then(|s| s.verdict.as_ref()));
    let verdicts: Vec<Option<&Verdict>> = verdicts.collect();
    let is_rejected = |verdict: &Option<&Verdict>| matches!(verdict, Some(Verdict::Rejected(_)));
    Some(match verdicts {
        all if all.iter().any(is_rejected) => Exit::Failed,
        all if all.iter().all(Option::is_some) => Exit::Done,
        _ => Exit::Blocked,
    })
}

/// Whether a gate of what is inside could not judge, and is tried again only later.
fn cannot_be_judged(inside: &Inside, now: Time) -> bool {
    inside.gates.values().any(|gate| {
        let is_blocked = gate.outcome.as_ref().is_some_and(|outcome| outcome.status == Status::Blocked);
        is_blocked && gate.not_before.is_some_and(|moment| moment > now)
    })
}

/// What steps write, line by line, so that steps side by side do not tear each other's lines.
#[derive(Default)]
struct Logs {
    begun: HashMap<u64, String>,
}

impl Logs {
    /// What a run wrote last, when it ends without the end of a line.
    fn end(&mut self, frame: &Frame) {
        let is_end = ["step_done", "gate_done", "deploy_ok", "deploy_failed"].contains(&&*frame.kind);
        if let Some(rest) = frame.run.filter(|_| is_end).and_then(|run| self.begun.remove(&run))
            && !rest.is_empty()
        {
            talk::show(format_args!("         | {}", crate::printable::line(&rest)));
        }
    }

    fn show(&mut self, frame: &Frame) {
        let chunk: Value = serde_json::from_str(&frame.text).unwrap_or_default();
        let name = ["step", "name", "node"].iter().find_map(|key| chunk[*key].as_str()).unwrap_or_default();
        let begun = self.begun.entry(frame.run.unwrap_or_default()).or_default();
        begun.push_str(chunk["text"].as_str().unwrap_or_default());
        let end = match begun.rfind('\n') {
            Some(end) => end + 1,
            None if begun.len() > LINE_LIMIT => begun.len(),
            None => return,
        };
        let rest = begun.split_off(end);
        for line in std::mem::replace(begun, rest).lines() {
            talk::show(format_args!(
                "         {} | {}",
                crate::printable::line(name),
                crate::printable::line(line)
            ));
        }
    }
}
