//! `tidegate logs`: what a run wrote. To a terminal it goes made safe, elsewhere byte for byte, or as JSON lines. Without a
//! number, which runs there are.

mod list;

use super::Exit;
use super::client::{Where, segment};
use super::talk;
use super::trouble::Trouble;
use crate::printable::{self, Stream};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{IsTerminal, Read, Write};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// The number of a run, or a pipeline, whose last runs are listed [default: those of all]
    #[arg(value_name = "RUN|PIPELINE")]
    pipeline: Option<String>,
    /// The run that failed last, of all or of this pipeline; which one is said on stderr
    #[arg(long, value_name = "PIPELINE", num_args = 0..=1, default_missing_value = "", conflicts_with = "pipeline")]
    failed: Option<String>,
    /// Go on until the run has ended
    #[arg(long, short)]
    follow: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    match print(args) {
        Ok(()) => Exit::Done,
        Err(trouble) => trouble.say(),
    }
}

fn print(args: &Args) -> Result<(), Trouble> {
    let number = args.pipeline.as_ref().and_then(|named| named.parse().ok());
    let run: u64 = match (number, &args.failed) {
        (Some(run), _) => run,
        (None, Some(pipeline)) => last_failed(&args.place, pipeline)?,
        (None, None) if args.follow => {
            let message = "only a run can be followed, and none is named";
            return Err(Trouble::new(
                "TG-CLI-042",
                message,
                "`tidegate logs` lists the last runs",
                Exit::Usage,
            ));
        }
        (None, None) => return list::list(&args.place, args.pipeline.as_deref()),
    };
    let client = args.place.client_that_waits()?;
    let follow = if args.follow { "?follow=1" } else { "" };
    // Asked before: of a run that ends while its log is read not all of it need come.
    let about = client.read(&format!("/api/runs/{run}"))?;
    let mut body = client.stream(&format!("/api/runs/{run}/log{follow}"), "*/*")?;
    let mut sink = Sink::of(args.place.json);
    let mut buffer = vec![0; 64 << 10];
    let (mut seen, mut digest) = (0, Sha256::new());
    loop {
        let read = body.read(&mut buffer).map_err(|error| client.unreachable(&error.to_string()))?;
        seen += read as u64;
        digest.update(&buffer[..read]);
        // A reader that has gone has seen enough.
        if sink.take(&buffer[..read]).is_err() {
            return Ok(());
        }
        if read == 0 {
            return is_whole(&about, seen, &format!("{:x}", digest.finalize()));
        }
    }
}

/// After a loss of power a file may have less than the run wrote, or zeros in its place, while the journal has the end of
/// the run. Whoever reads all of it can tell at no cost.
fn is_whole(run: &Value, seen: u64, sha256: &str) -> Result<(), Trouble> {
    let outcome = &run["end"]["outcome"];
    let lost = match (outcome["log_bytes"].as_u64(), outcome["log_sha256"].as_str()) {
        (Some(bytes), _) if bytes != seen => {
            format!("the log has {seen} bytes, and the run wrote {bytes}: the disk lost the rest")
        }
        (Some(_), Some(wrote)) if wrote != sha256 => {
            "the log is as long as what the run wrote, and is not the same: the disk lost parts of it".into()
        }
        _ => return Ok(()),
    };
    let help = "look after the disk; `tidegate retry` or `tidegate rebuild` runs it again";
    Err(Trouble::new("TG-CLI-053", lost, help, Exit::Failed))
}

/// The run that failed last, for good; what it was is said.
fn last_failed(place: &Where, pipeline: &str) -> Result<u64, Trouble> {
    let client = place.client()?;
    let of = if pipeline.is_empty() { String::new() } else { format!("&pipeline={}", segment(pipeline)) };
    let kinds = "kind=step_done&kind=gate_done&kind=deploy_failed";
    let mut before = String::new();
    loop {
        let page: Page = client.read(&format!("/api/history?limit=1000&{kinds}{of}{before}"))?;
        if let Some(event) = page.events.into_iter().find(has_failed) {
            return said(&event);
        }
        let Some(next) = page.before else {
            let message = match pipeline {
                "" => "no run has failed that the journal still knows of".to_owned(),
                name => {
                    let state = client.read("/api/state?limit=0")?;
                    if !list::is_known(&state, name) {
                        return Err(list::unknown(&state, &format!("there is no pipeline `{name}`")));
                    }
                    format!("no run of `{name}` has failed that the journal still knows of")
                }
            };
            let help = "`tidegate status` shows what goes on, and names runs";
            return Err(Trouble::new("TG-CLI-040", message, help, Exit::Failed));
        };
        before = format!("&before={next}");
    }
}

/// The part of a page of history that is read here.
#[derive(Deserialize)]
struct Page {
    events: Vec<Value>,
    before: Option<u64>,
}

fn has_failed(event: &Value) -> bool {
    event["will_retry"] != true && (event["kind"] == "deploy_failed" || event["outcome"]["status"] == "fail")
}

fn said(event: &Value) -> Result<u64, Trouble> {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let what = match event["kind"].as_str().unwrap_or_default() {
        "step_done" => format!("step `{}`", text("step")),
        "gate_done" => format!("gate `{}` of `{}`", text("name"), text("tier")),
        _ => format!("node `{}` of `{}`", text("node"), text("tier")),
    };
    let run = event["run_id"].as_u64().unwrap_or_default();
    let line = format!("run {run}: {what} of {} {}, {}", text("pipeline"), text("version"), text("at"));
    talk::say(printable::line(&line));
    Ok(run)
}

/// How a log is shown. An empty piece is its end.
enum Sink {
    /// As it was written.
    Plain,
    /// On a terminal, made safe; none: it has ended.
    Terminal(Option<Stream>),
    /// A JSON object a line: where it begins in the log, how many bytes it stands for, and its text.
    Json { offset: u64, line: Vec<u8> },
}

/// A line is shown in pieces of at most so many bytes.
const PIECE: usize = 64 << 10;

impl Sink {
    fn of(json: bool) -> Sink {
        let out = std::io::stdout();
        match (json, out.is_terminal()) {
            (true, _) => Sink::Json { offset: 0, line: Vec::new() },
            (false, true) => Sink::Terminal(Some(Stream::new(talk::colours(&out)))),
            (false, false) => Sink::Plain,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match self {
            Sink::Plain => out.write_all(bytes)?,
            Sink::Terminal(safe) => {
                let mut text = String::new();
                match safe.as_mut().filter(|_| !bytes.is_empty()) {
                    Some(safe) => safe.push(bytes, &mut text),
                    None => {
                        if let Some(safe) = safe.take() {
                            safe.finish(&mut text);
                        }
                    }
                }
                out.write_all(text.as_bytes())?;
            }
            Sink::Json { offset, line } => {
                for byte in bytes {
                    line.push(*byte);
                    if *byte == b'\n' || line.len() == PIECE {
                        json_line(&mut out, offset, line)?;
                    }
                }
                if bytes.is_empty() && !line.is_empty() {
                    json_line(&mut out, offset, line)?;
                }
            }
        }
        out.flush()
    }
}

fn json_line(out: &mut impl Write, offset: &mut u64, line: &mut Vec<u8>) -> std::io::Result<()> {
    let text = String::from_utf8_lossy(line);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let object = serde_json::json!({"offset": offset, "bytes": line.len(), "text": text}).to_string();
    let object = if std::io::stdout().is_terminal() { talk::tame(&object) } else { object };
    writeln!(out, "{object}")?;
    *offset += line.len() as u64;
    line.clear();
    Ok(())
}
