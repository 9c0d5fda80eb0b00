//! `tidegate support-bundle`: one file that can be attached to a bug report, without anything secret in it.
//!
//! What is in it goes by lists of what may be shown (`masked`, `settings`, `system`), never of what may not. Each part is
//! collected on its own: what cannot be had is said in `contents.json`, and the rest is there.

mod file;
mod journal;
mod logs;
mod masked;
mod running;
mod settings;
mod system;

use super::client::Where;
use super::serving::Serving;
use super::trouble::Trouble;
use super::{Exit, doctor, talk};
use crate::words;
use chrono::Utc;
use journal::Reading;
use logs::RunName;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Events that are taken unless told otherwise.
const EVENTS: u32 = 1_000;

/// Most events that are taken.
const EVENTS_LIMIT: i64 = 100_000;

/// How long `doctor`, which asks nodes and repositories, is waited for.
const DOCTOR: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// The file to write, which only you may read [default: tidegate-support-TIME.tar.gz here]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Take so many of the last events
    #[arg(long, value_name = "N", default_value_t = EVENTS, value_parser = clap::value_parser!(u32).range(0..=EVENTS_LIMIT))]
    events: u32,
    /// Take the log of this run, too, as it is; may be given several times
    #[arg(long, value_name = "PIPELINE/RUN")]
    logs: Vec<RunName>,
    /// The folder with the pipeline files [default: as `serve` would]
    #[arg(long, value_name = "DIR")]
    pipelines: Option<PathBuf>,
    /// The settings file [default: tidegate.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// One file of a bundle.
struct Part {
    /// Its path in there.
    name: String,
    /// What it is, in a line.
    what: &'static str,
    found: Result<Vec<u8>, Missing>,
}

/// Why a part is not there: a code and words of our own, since those of an error may quote anything.
#[derive(Clone, Debug)]
struct Missing {
    code: String,
    why: &'static str,
}

impl Missing {
    fn because(code: &str, why: &'static str) -> Missing {
        Missing { code: code.into(), why }
    }

    fn words(&self) -> String {
        format!("{} [{}]", self.why, self.code)
    }
}

impl From<Trouble> for Missing {
    fn from(trouble: Trouble) -> Missing {
        Missing { code: masked::string("code", &trouble.code), why: "a command that asks for it fails" }
    }
}

pub(super) fn run(args: &Args) -> Exit {
    match bundle(args) {
        Ok(()) => Exit::Done,
        Err(trouble) => trouble.say(),
    }
}

fn bundle(args: &Args) -> Result<(), Trouble> {
    let now = Utc::now();
    let folder = format!("tidegate-support-{}", now.format("%Y%m%dT%H%M%SZ"));
    let path = args.file.clone().unwrap_or_else(|| format!("{folder}.tar.gz").into());
    let mut parts = collect(args);
    let contents = contents(&parts);
    parts.insert(
        0,
        Part {
            name: "contents.json".into(),
            what: "what is in here, and what could not be had",
            found: Ok(pretty(&contents)),
        },
    );
    file::write(&path, &folder, &parts, now.timestamp().unsigned_abs(), args.force)?;
    show(args, &path, &parts, &contents);
    Ok(())
}

fn collect(args: &Args) -> Vec<Part> {
    let there = args.place.state_dir().map_err(Missing::from);
    let state =
        there.and_then(|state| state.ok_or(Missing::because("TG-CLI-006", "there is no state folder")));
    let serving = state.as_ref().ok().and_then(Serving::on);
    let folder = state.as_ref().map(|state| state.path().to_owned()).map_err(Clone::clone);
    let in_state = |take: &dyn Fn(&Path) -> Result<Vec<u8>, Missing>| {
        folder.as_deref().map_err(Clone::clone).and_then(take)
    };
    let reading = or_missing(|| in_state_reading(&folder, args.events as usize));
    let of_reading = |take: fn(&Reading) -> Vec<u8>| reading.as_ref().map(take).map_err(Clone::clone);
    let doctor = doctor::Args::of(&args.place, args.pipelines.clone(), args.config.clone());
    let settings =
        || -> Result<Vec<u8>, Missing> { Ok(pretty(&settings::told(&doctor::settings_of(&doctor)?))) };
    let of_running = running::state(&args.place);
    let mut parts = Vec::new();
    let mut add = |name: &str, what, take: &dyn Fn() -> Result<Vec<u8>, Missing>| {
        parts.push(Part { name: name.into(), what, found: or_missing(take) });
    };
    add("system.json", "the machine, its limits, and this program", &|| {
        Ok(pretty(&system::told(folder.as_deref().ok(), serving.as_ref())))
    });
    add("settings.json", "the settings, without commands and secrets", &settings);
    add("doctor.json", "what `tidegate doctor` finds", &|| diagnosed(doctor.clone()));
    match &of_running {
        Ok(state) => add("state.json", "the state, as the controller tells it", &|| Ok(state.clone())),
        Err(_) => {
            add("state.json", "the state, as far as the journal tells it", &|| of_reading(Reading::state))
        }
    }
    add("metrics.txt", "the controller's numbers", &|| running::metrics(&args.place));
    add("definitions.json", "the pipelines in force, without texts that may be secret", &|| {
        of_reading(Reading::definitions)
    });
    add("journal.json", "how much there is of what in the journal", &|| of_reading(Reading::counts));
    add("proof.json", "whether the journal is what was written", &|| in_state(&journal::proof));
    add("events.jsonl", "the last events, without texts that may be secret", &|| of_reading(Reading::last));
    add("runs.json", "the runs, with the sizes of their logs", &|| in_state(&logs::list));
    for name in &args.logs {
        add(&name.file(), "the log of a run, as it is", &|| in_state(&|folder| logs::of(folder, name)));
    }
    parts
}

fn in_state_reading(folder: &Result<PathBuf, Missing>, events: usize) -> Result<Reading, Missing> {
    folder.as_deref().map_err(Clone::clone).and_then(|folder| Reading::of(folder, events))
}

/// What is damaged may break a promise that the code goes by: then it is that part that is not there.
fn or_missing<T>(take: impl FnOnce() -> Result<T, Missing>) -> Result<T, Missing> {
    let caught = catch_unwind(AssertUnwindSafe(take));
    caught
        .unwrap_or_else(|_| Err(Missing::because("TG-BUNDLE-004", "collecting it came upon what cannot be")))
}

/// What `doctor` finds. Of what names addresses or quotes programs only the level and codes are kept.
fn diagnosed(doctor: doctor::Args) -> Result<Vec<u8>, Missing> {
    let (sender, found) = channel();
    // It asks nodes and repositories, and is left alone when these hang.
    std::thread::spawn(move || sender.send(doctor::look(&doctor)));
    let late = |_| Missing::because("TG-BUNDLE-005", "`doctor` took more than a minute, or broke");
    let findings = found.recv_timeout(DOCTOR).map_err(late)??;
    Ok(pretty(&findings.iter().map(shown).collect::<Value>()))
}

/// Subjects of which everything that is found is said in words of our own.
const OUR_WORDS: &[&str] = &[
    "git",
    "clock",
    "sqlite",
    "kernel",
    "pidfd",
    "landlock",
    "accounts",
    "user-namespaces",
    "cgroup",
    "state",
    "disk",
    "file-system",
    "token",
    "tokens",
    "check",
    "limits.cpu",
    "sandbox",
    "port",
    "unix",
];

fn shown(finding: &doctor::Finding) -> Value {
    let text = |text: &str| match OUR_WORDS.contains(&finding.what) {
        true => text.to_owned(),
        false => masked::string("found", text),
    };
    json!({
        "level": finding.level,
        "what": finding.what,
        "where": text(&finding.place),
        "found": text(&finding.found),
        "help": text(&finding.help),
    })
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("BUG: a value is JSON");
    text.push(b'\n');
    text
}

fn contents(parts: &[Part]) -> Value {
    let list = parts.iter().map(|part| match &part.found {
        Ok(bytes) => json!({ "file": part.name, "what": part.what, "bytes": bytes.len() }),
        Err(missing) => {
            json!({ "file": part.name, "what": part.what, "missing": missing.words(), "code": missing.code })
        }
    });
    json!({ "release": env!("CARGO_PKG_VERSION"), "at": Utc::now(), "hidden": masked::HIDDEN, "parts": list.collect::<Value>() })
}

fn show(args: &Args, path: &Path, parts: &[Part], contents: &Value) {
    if args.place.json {
        talk::json(String::from_utf8_lossy(&pretty(contents)).trim_end());
    } else {
        talk::data(path.display());
        let width = parts.iter().map(|part| part.name.len()).max().unwrap_or_default();
        for Part { name, what, found } in parts {
            match found {
                Ok(bytes) => talk::data(format_args!("  {name:width$}  {what} ({} bytes)", bytes.len())),
                Err(missing) => talk::data(format_args!("  {name:width$}  NOT THERE: {}", missing.words())),
            }
        }
    }
    let missing = parts.iter().filter(|part| part.found.is_err()).count();
    if missing > 0 {
        talk::say(format_args!(
            "{} could not be had; `contents.json` says why",
            words::counted(missing, "part")
        ));
    }
    if !args.logs.is_empty() {
        talk::say("logs are in it as steps wrote them: only the values of `[secrets]` were replaced there");
    }
    talk::say(
        "look through it before you send it to anybody: it is meant to hold nothing secret, but names, paths and hosts are in it",
    );
}
