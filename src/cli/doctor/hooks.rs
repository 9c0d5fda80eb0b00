//! The hook of each repository of this machine: whether it is there, whether its token lets it in, whether the controller
//! answers where it calls.

use super::{Findings, OwnerToken};
use crate::domain::Pipeline;
use crate::settings::{Privacy, Settings, Shown, Tokens, read_token_file};
use crate::source::hook::{self, HookSettings};
use crate::source::{Git, Location};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn look(
    settings: &Settings,
    owner: OwnerToken,
    pipelines: &[(String, Arc<Pipeline>)],
    findings: &mut Findings,
) {
    let of_this_machine =
        pipelines.iter().filter_map(|(_, pipeline)| match Location::parse(&pipeline.source.repo) {
            Ok(Location::Path(path)) => path.canonicalize().ok(),
            _ => None,
        });
    // Several pipelines may come from one repository; it has one hook.
    let repositories: BTreeSet<_> = of_this_machine.collect();
    for repo in repositories {
        let place = repo.display().to_string();
        match hook::inspect(&Git::default(), &repo).await {
            Ok(Some(hook)) => judge(settings, owner, &place, &hook, findings),
            Ok(None) => {
                let help = format!("tidegate hook install {place}");
                findings.warning("hook", &place, "none is installed: pushes are not heard", &help);
            }
            Err(error) => {
                findings.bad("hook", &place, format!("failed to {error} [{}]", error.code()), &error.help())
            }
        }
    }
}

fn judge(settings: &Settings, owner: OwnerToken, place: &str, hook: &HookSettings, findings: &mut Findings) {
    let again = format!("tidegate hook install {place}");
    if !is_program(&hook.tidegate_binary) {
        let found = format!("it calls {}, which is not there", hook.tidegate_binary.display());
        findings.warning("hook", place, found, &format!("install it anew with this program: {again}"));
    }
    // Without the owner's token the list is not read, and why was said already.
    let known = match owner {
        OwnerToken::Usable => token(settings, hook).map(|()| "its token is good"),
        OwnerToken::Refused => Ok("its token was not looked up"),
    };
    let known = match known {
        Ok(known) => known,
        Err((found, help)) => {
            return findings.bad("hook", place, found, help.as_deref().unwrap_or(&again));
        }
    };
    let agent: ureq::Agent =
        ureq::Agent::config_builder().proxy(None).timeout_global(Some(PATIENCE)).build().into();
    match agent.get(format!("{}/healthz", hook.url)).call() {
        Ok(_) => findings.ok("hook", place, format!("it is there, {known}, {} answers", hook.url)),
        Err(error) => {
            let found = format!("it is there, but {} does not answer: {error}", hook.url);
            let help =
                format!("start the controller, or install the hook with its address: {again} --url URL");
            findings.warning("hook", place, found, &help);
        }
    }
}

fn is_program(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Whether the hook's token is one of this controller's.
fn token(settings: &Settings, hook: &HookSettings) -> Result<(), (String, Option<String>)> {
    let file = hook.token_file.display();
    let read = read_token_file(&hook.token_file, Privacy::Group);
    let token = read.map_err(|error| (format!("failed to {error}"), None))?;
    // Without the owner's token nothing was ever given out there, and looking must not make it.
    if !settings.state.token().exists() {
        return Err((
            format!("the state folder knows no token, so not that in {file}"),
            Some("name the controller's state folder with `--state`".into()),
        ));
    }
    let known =
        Tokens::open(&settings.state).and_then(|tokens| tokens.lookup(token.expose(), chrono::Utc::now()));
    match known {
        Ok(Shown::Good(_)) => Ok(()),
        Ok(Shown::Ended(_)) => Err((format!("its token in {file} has ended"), None)),
        Ok(Shown::Unknown) => Err((format!("its token in {file} is not known to the controller"), None)),
        Err(error) => Err((format!("failed to {error}"), Some(error.help()))),
    }
}
