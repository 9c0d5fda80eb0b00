//! `tidegate hook`: the post-receive hook of a repository on this machine, and what it runs.

use super::client::Where;
use super::trouble::Trouble;
use super::{Exit, rebuild, talk};
use crate::domain::Role;
use crate::printable;
use crate::server::view::StateView;
use crate::settings::{NewToken, Privacy, TokenError, Tokens, read_token_file};
use crate::source::hook::{self, HookSettings, Kind, Update};
use crate::source::{self, Error, Git};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A push never waits longer for the controller than this, whatever becomes of it.
const PATIENCE: Duration = Duration::from_millis(4_500);

/// How long the controller may take to show that it is there.
const ASKING: Duration = Duration::from_secs(3);

/// The longest input of git that is read, in bytes: tens of thousands of refs.
const INPUT_LIMIT: u64 = 8 << 20;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Install the hook into a repository, with a token of its own; a hook that is there goes on working
    Install {
        /// The repository, bare or not
        repo: PathBuf,
        /// The pipeline to name, where the repository alone does not tell
        #[arg(long)]
        pipeline: Option<String>,
    },
    /// Take the hook away, and put back what was there before
    Uninstall {
        /// The repository
        repo: PathBuf,
    },
    /// What the hook runs: reads the lines of git and tells the controller
    #[command(hide = true)]
    Notify {
        #[arg(long)]
        repo: PathBuf,
        #[arg(long)]
        pipeline: Option<String>,
    },
}

pub(super) fn run(args: &Args) -> Exit {
    let done = match &args.command {
        Command::Install { repo, pipeline } => install(&args.place, repo, pipeline.as_deref()),
        Command::Uninstall { repo } => uninstall(&args.place, repo),
        Command::Notify { repo, pipeline } => {
            notify(&args.place, repo, pipeline.as_deref());
            return Exit::Done;
        }
    };
    match done {
        Ok(()) => Exit::Done,
        Err(trouble) => trouble.say(),
    }
}

fn block_on<R>(work: impl Future<Output = R>) -> Result<R, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let failed = |error| Trouble::new("TG-CLI-009", format!("failed to start: {error}"), "", Exit::Failed);
    Ok(runtime.map_err(failed)?.block_on(work))
}

fn tokens(place: &Where) -> Result<Tokens, Trouble> {
    let state = place.state_dir()?.ok_or_else(|| {
        Trouble::new(
            "TG-CLI-006",
            "there is no state folder",
            "name the controller's with `--state`",
            Exit::Usage,
        )
    })?;
    state.prepare()?;
    Ok(Tokens::open(&state)?)
}

/// A repository's hook goes by its folder's name, and a few digits that tell it from others of that name.
fn token_name(repo: &Path) -> String {
    let path = repo.as_os_str().as_encoded_bytes();
    let digits: String = Sha256::digest(path).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let stem = repo.file_name().unwrap_or_default().to_string_lossy();
    let stem: String = stem.chars().filter(fits).take(40).collect();
    format!("hook:{stem}-{digits}")
}

/// Installs the hook into a repository of this machine.
pub(super) fn install(place: &Where, repo: &Path, pipeline: Option<&str>) -> Result<(), Trouble> {
    let repo = existing(repo)?;
    let git = Git::default();
    let token_file = block_on(hook::token_place(&git, &repo))??;
    let tokens = tokens(place)?;
    let name = token_name(&repo);
    if !still_good(&tokens, &token_file, &name)? {
        give_token(&tokens, &token_file, &name, &repo)?;
    }
    let binary = std::env::current_exe().map_err(|error| {
        Trouble::new(
            "TG-CLI-010",
            format!("failed to find this program's own file: {error}"),
            "",
            Exit::Failed,
        )
    })?;
    let settings = HookSettings {
        url: place.url()?,
        token_file: token_file.clone(),
        tidegate_binary: binary,
        pipeline: pipeline.map(str::to_owned),
    };
    let installed = block_on(hook::install(&git, &repo, &settings))??;
    if place.json {
        talk::json(json!({
            "hook": installed.hook.display().to_string(),
            "changed": installed.changed,
            "earlier": installed.earlier.as_ref().map(|path| path.display().to_string()),
            "token": name,
            "token_file": token_file.display().to_string(),
        }));
        return Ok(());
    }
    let say = |what: String, path: &Path| {
        talk::say(format_args!("{what}: {}", printable::line(&path.display().to_string())));
    };
    let word = if installed.changed { "installed" } else { "was there already" };
    say(format!("hook {word}"), &installed.hook);
    if let Some(earlier) = &installed.earlier {
        say("the hook that was there runs first".into(), earlier);
    }
    say(format!("its token `{name}`"), &token_file);
    let asked =
        place.client_within(ASKING).and_then(|client| client.stream("/healthz", "text/plain").map(drop));
    if let Err(trouble) = asked {
        let url = printable::line(&settings.url);
        talk::say(format_args!("no controller answers at {url} now: {}", printable::line(&trouble.message)));
        talk::say("  help: start it there, or install the hook again with the right `--url`");
    } else if pipeline.is_none() {
        say_unnamed(place, &repo);
    }
    Ok(())
}

/// A push of a repository that no pipeline takes is refused, and only whoever pushes would read of it.
fn say_unnamed(place: &Where, repo: &Path) {
    let state = place.client_within(ASKING).and_then(|client| client.read::<StateView>("/api/state?limit=0"));
    let Ok(state) = state else { return };
    let text = repo.display().to_string();
    let named = state.pipelines.iter().filter_map(|one| Some(one.definition.as_ref()?.repo.as_str()));
    // What is written as a URL, or from a folder that is not known here, may mean this one.
    let may_be = |named: &str| {
        let last = |path: &str| {
            path.trim_end_matches('/')
                .rsplit(['/', ':'])
                .next()
                .map(|it| it.trim_end_matches(".git").to_owned())
        };
        source::same_repo(named, &text) || !named.starts_with('/') && last(named) == last(&text)
    };
    if !named.into_iter().any(may_be) {
        talk::say(format_args!(
            "no pipeline names this repository yet: pushes to {} are not built",
            printable::line(&text)
        ));
        talk::say(format_args!(
            "  help: say it in a pipeline file: [source] repo = {}",
            printable::line(&format!("{text:?}"))
        ));
    }
}

/// Whether the token that stands there already is the one of this repository, so that nothing need be changed.
fn still_good(tokens: &Tokens, file: &Path, name: &str) -> Result<bool, Trouble> {
    let Ok(token) = read_token_file(file, Privacy::Group) else { return Ok(false) };
    Ok(tokens.lookup(token.expose(), chrono::Utc::now())?.good().is_some_and(|entry| entry.name == name))
}

fn give_token(tokens: &Tokens, file: &Path, name: &str, repo: &Path) -> Result<(), Trouble> {
    match tokens.revoke(name) {
        Ok(_) | Err(TokenError::UnknownName { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let repo_named = Some(repo.display().to_string());
    let token = tokens
        .create(NewToken { repo: repo_named, ..NewToken::new(name, Role::Trigger, chrono::Utc::now()) })?;
    Ok(hook::write_token(file, repo, token.expose())?)
}

fn uninstall(place: &Where, repo: &Path) -> Result<(), Trouble> {
    let repo = existing(repo)?;
    let was_there = block_on(hook::uninstall(&Git::default(), &repo))??;
    match tokens(place)?.revoke(&token_name(&repo)) {
        Ok(_) | Err(TokenError::UnknownName { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if place.json {
        talk::json(json!({"removed": was_there}));
    } else {
        talk::say(if was_there { "the hook is gone" } else { "there was no hook of tidegate" });
    }
    Ok(())
}

fn existing(repo: &Path) -> Result<PathBuf, Trouble> {
    repo.canonicalize().map_err(|error| {
        let message = format!("failed to find `{}`: {error}", repo.display());
        Trouble::new("TG-CLI-011", message, "name the folder of a git repository", Exit::Usage)
    })
}

/// Tells the controller what was pushed. Whatever happens here, the push is stored, and git must not hear of failure.
fn notify(place: &Where, repo: &Path, pipeline: Option<&str>) {
    let begin = Instant::now();
    let mut input = Vec::new();
    if let Err(error) = std::io::stdin().take(INPUT_LIMIT).read_to_end(&mut input) {
        talk::say(format_args!("tidegate: failed to read what was pushed: {error}"));
    }
    for update in hook::parse_lines(&input).iter().filter(|update| update.kind != Kind::Deleted) {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        if left.is_zero() {
            talk::say("tidegate: no time left to tell of the other refs; `tidegate rebuild` makes up for it");
            return;
        }
        if let Err(trouble) = tell(place, repo, pipeline, update, left) {
            talk::say(format_args!("tidegate: {} [{}]", printable::line(&trouble.message), trouble.code));
            let help = way_out(trouble, pipeline);
            if !help.is_empty() {
                talk::say(format_args!("tidegate: help: {}", printable::line(&help)));
            }
        }
    }
}

/// Whoever pushes can do nothing about a controller that is away, but the push is not lost.
fn way_out(trouble: Trouble, pipeline: Option<&str>) -> String {
    if trouble.exit != Exit::NoController {
        return trouble.help;
    }
    let pipeline = pipeline.unwrap_or("PIPELINE");
    // What has no code of the client's own was said by a controller that is there.
    let when = match trouble.code.starts_with("TG-CLI-") {
        true => "when the controller is back",
        false => "when that is mended",
    };
    format!("the push is stored; {when}, `tidegate rebuild {pipeline}` builds it")
}

fn tell(
    place: &Where,
    repo: &Path,
    pipeline: Option<&str>,
    update: &Update,
    patience: Duration,
) -> Result<(), Trouble> {
    if std::str::from_utf8(&update.raw).is_err() {
        let error =
            Error::BadRef { name: printable::line(&update.ref_name).into_owned(), why: "it is not UTF-8" };
        return Err(error.into());
    }
    let mut body = json!({
        "sha": update.new,
        "old": update.old,
        "ref": update.ref_name,
        "repo": repo.display().to_string(),
    });
    if let Some(pipeline) = pipeline {
        body["pipeline"] = json!(pipeline);
    }
    let answer = place.client_within(patience)?.post("/rebuild", &body)?;
    for line in rebuild::lines(&answer) {
        talk::say(format_args!("tidegate: {line}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_pushes_is_not_told_to_wait_for_a_controller_that_is_there() {
        let help = |code| way_out(Trouble::new(code, "no", "-", Exit::NoController), Some("shop"));
        assert!(help("TG-CLI-001").contains("when the controller is back, `tidegate rebuild shop`"));
        assert!(help("TG-JOURNAL-004").contains("when that is mended, `tidegate rebuild shop`"));
    }
}
