//! `tidegate watch`: the screens, over a controller that answers or a journal that was exported.

use super::Exit;
use super::client::{Client, Part, Where, segment, shaped};
use super::talk;
use super::trouble::Trouble;
use crate::domain::{Envelope, EventId, PipelineName, RunId};
use crate::server::view::StateView;
use crate::server::{Done, OnePipeline, WhoView};
use crate::tui::{
    self, Controller, End, LogPart, LogWanted, Palette, Recording, RecordingError, Refusal, Request, Session,
};
use crate::wire;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// Open this pipeline
    pipeline: Option<String>,
    /// Play a journal, JSON lines as `tidegate events --since 0` prints them; `-`: from stdin
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// How fast it is played: 1 is as it happened
    #[arg(long, value_name = "N", default_value = "1", requires = "replay", value_parser = speed)]
    speed: f64,
    /// Begin after this event
    #[arg(long, value_name = "ID", requires = "replay")]
    at: Option<u64>,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| tui::SPEEDS.contains(speed));
    speed.ok_or_else(|| format!("a number from {} to {}", tui::SPEEDS.start(), tui::SPEEDS.end()))
}

pub(super) fn run(args: &Args) -> Exit {
    watch(args).unwrap_or_else(|trouble| trouble.say())
}

/// What is there for those who have no terminal.
const OTHERWISE: &str = "`tidegate status` shows what is where, `tidegate events --follow` says what happens";

fn watch(args: &Args) -> Result<Exit, Trouble> {
    if args.place.json || !stdout().is_terminal() {
        let message = if args.place.json {
            "the screens of `watch` are no JSON"
        } else {
            "`watch` draws on a terminal, and stdout is none"
        };
        return Err(Trouble::new("TG-CLI-025", message, OTHERWISE, Exit::Usage));
    }
    if std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
        let message = "`watch` needs a terminal that can move its cursor, and TERM says that this one cannot";
        let help = format!("set TERM to what it is, such as `xterm`; or: {OTHERWISE}");
        return Err(Trouble::new("TG-CLI-026", message, help, Exit::Usage));
    }
    let palette = palette();
    let pipeline = args.pipeline.as_deref().map(PipelineName::from);
    let (controller, session) = match &args.replay {
        Some(file) => {
            let recording = recording(file)?;
            let name = file.display().to_string();
            let from = args.at.map(EventId);
            (None, Session::replay(&name, recording, palette, args.speed, from, pipeline))
        }
        None => {
            let controller = Http::new(&args.place)?;
            // Who names a wrong address, or shows no token, is told so before the screen is taken.
            let seen: StateView = controller.client.read("/api/state?limit=0")?;
            if let Some(name) = &pipeline
                && !seen.pipelines.iter().any(|one| one.name == *name)
            {
                let all: Vec<String> = seen.pipelines.iter().map(|one| format!("`{}`", one.name)).collect();
                let help = match all.is_empty() {
                    true => "no pipeline is loaded yet".into(),
                    false => format!("there are {}", all.join(", ")),
                };
                let message = format!("no pipeline is called `{name}`");
                return Err(Trouble::new("TG-ASK-001", message, help, Exit::Usage));
            }
            let session = Session::live(&controller.address, palette, pipeline);
            (Some(Arc::new(controller) as Arc<dyn Controller>), session)
        }
    };
    match tui::run(controller, session) {
        Ok(End::Left) => Ok(Exit::Done),
        Ok(End::Ended) => Ok(Exit::Interrupted),
        Err(error) => {
            let message = format!("failed to draw on the terminal: {error}");
            Err(Trouble::new("TG-CLI-027", message, OTHERWISE, Exit::Failed))
        }
    }
}

/// What the terminal can show, by what the environment says.
fn palette() -> Palette {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Palette { colour: !unwanted, unicode: talk::unicode() }
}

fn recording(file: &Path) -> Result<Recording, Trouble> {
    let read = if file == Path::new("-") {
        Recording::read(stdin().lock())
    } else {
        File::open(file).map_err(RecordingError::Read).and_then(|file| Recording::read(BufReader::new(file)))
    };
    read.map_err(|error| {
        let message = format!("failed to {error}");
        let help = "`tidegate events --since 0 > FILE` writes one";
        Trouble::new("TG-CLI-028", message, help, Exit::Usage)
    })
}

/// A controller over HTTP.
struct Http {
    /// For answers.
    client: Client,
    /// For streams.
    patient: Client,
    address: String,
}

/// Bytes of a log that are asked for at once.
const LOG_BYTES: u64 = 4 << 20;

/// A stream without a sign of life for so long is gone: the screens gave it up some seconds before.
const SILENCE: Duration = Duration::from_secs(70);

/// Most events that are read for one question.
const EVENTS: usize = 5_000;

impl Http {
    fn new(place: &Where) -> Result<Http, Trouble> {
        let url = place.url()?;
        Ok(Http {
            client: place.client_within(Duration::from_secs(20))?,
            patient: place.client_that_hears(SILENCE)?,
            address: url.trim_start_matches("http://").trim_end_matches('/').to_owned(),
        })
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Refusal {
        let absent = trouble.code == "TG-CLI-001";
        Refusal { code: trouble.code, message: trouble.message, help: trouble.help, absent }
    }
}

impl Controller for Http {
    fn state(&self, versions: usize) -> Result<StateView, Refusal> {
        Ok(self.client.read(&format!("/api/state?limit={versions}"))?)
    }

    fn pipeline(&self, name: &PipelineName, versions: usize) -> Result<Option<OnePipeline>, Refusal> {
        let path = format!("/api/pipelines/{}?limit={versions}", segment(name.as_str()));
        match self.client.read(&path) {
            Ok(one) => Ok(Some(one)),
            Err(trouble) if trouble.code == "TG-ASK-001" => Ok(None),
            Err(trouble) => Err(trouble.into()),
        }
    }

    fn past(
        &self,
        after: EventId,
        upto: EventId,
        pipeline: Option<&PipelineName>,
    ) -> Result<Vec<Envelope>, Refusal> {
        let only = pipeline.map(|name| format!("&pipeline={}", segment(name.as_str()))).unwrap_or_default();
        let body = self.client.stream(&format!("/api/events?since={after}{only}"), "application/x-ndjson")?;
        let mut events = Vec::new();
        for line in BufReader::new(body).lines() {
            let line = line.map_err(|error| self.client.unreachable(&error.to_string()))?;
            // Kinds of a newer release, and what is not journaled, are not shown.
            let Ok(envelope) = wire::decode(&line) else { continue };
            if envelope.id > upto || events.len() >= EVENTS {
                break;
            }
            events.push(envelope);
        }
        Ok(events)
    }

    fn who(&self) -> Result<WhoView, Refusal> {
        Ok(self.client.read("/api/whoami")?)
    }

    fn log(&self, run: RunId, wanted: LogWanted) -> Result<Option<LogPart>, Refusal> {
        let range = match wanted {
            LogWanted::Last(bytes) => format!("bytes=-{bytes}"),
            LogWanted::From(from) => format!("bytes={from}-{}", from + LOG_BYTES - 1),
        };
        let part = self.client.range(&format!("/api/runs/{run}/log"), &range, LOG_BYTES)?;
        Ok(match (part, wanted) {
            (Part::There(from, bytes), wanted) => {
                let more = matches!(wanted, LogWanted::From(_)) && bytes.len() as u64 == LOG_BYTES;
                Some(LogPart { from, bytes, more })
            }
            (Part::Nothing, LogWanted::From(from)) => Some(LogPart { from, bytes: Vec::new(), more: false }),
            (Part::Nothing, LogWanted::Last(_)) => Some(LogPart { from: 0, bytes: Vec::new(), more: false }),
            (Part::NoFile, _) => None,
        })
    }

    fn listen(&self, since: EventId, hear: &mut dyn FnMut(&str) -> bool) -> Result<(), Refusal> {
        let body = self.patient.stream(&format!("/events?since={since}"), "text/event-stream")?;
        if !hear("") {
            return Ok(());
        }
        for line in BufReader::new(body).lines() {
            let line = line.map_err(|error| self.patient.unreachable(&error.to_string()))?;
            let frame = line.strip_prefix("data:").map(str::trim_start);
            let is_sign = line.starts_with(':');
            if (frame.is_some() || is_sign) && !hear(frame.unwrap_or_default()) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn act(&self, request: &Request) -> Result<Done, Refusal> {
        let pipeline = segment(request.pipeline.as_str());
        let tier = request.tier.as_ref();
        let tier = tier.map(|tier| format!("/tiers/{}", segment(tier.as_str()))).unwrap_or_default();
        let path = format!("/api/pipelines/{pipeline}{tier}/{}", request.verb.name());
        let body =
            serde_json::to_value(&request.fields).expect("BUG: a request that cannot be written as JSON");
        Ok(shaped(self.client.post(&path, &body)?)?)
    }
}
