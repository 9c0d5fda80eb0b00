//! One try of one event for one notice, of whichever form: what is needed for it, and what came of it.

use super::letter::{Letter, commit};
use super::patience::Sent;
use super::program::Programs;
use super::rule::Rule;
use super::{forge, post, status};
use crate::clock::Clock;
use crate::domain::pipeline::Forge;
use crate::engine::Engine;
use crate::interpreter::expand::expand;
use crate::interpreter::secrets::{Secrets, read_listed};
use crate::journal::Record;
use crate::{printable, wire};
use post::{PATIENCE, Post, post};
use std::ffi::OsString;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Header with the number of the event.
const EVENT_ID: &str = "X-Tidegate-Event-Id";

/// What all tries have in common.
pub(super) struct Sending {
    pub(super) engine: Engine,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) programs: Programs,
    /// The controller's own variables that notices get.
    pub(super) inherited: Vec<(OsString, OsString)>,
    /// Bounds posts under way.
    pub(super) posts: Semaphore,
    /// Bounds programs that run.
    pub(super) running: Semaphore,
}

impl Sending {
    /// Tries once. When the future is dropped, the receiver may have the event all the same.
    pub(super) async fn send(&self, rule: &Rule, record: &Record) -> Sent {
        let notice = &rule.notice;
        let permits = if notice.run.is_some() { &self.running } else { &self.posts };
        let _permit = permits.acquire().await.expect("BUG: nobody closes it");
        let state = &self.programs.state;
        let secrets = match read_listed(&rule.secrets, &notice.secrets, &self.inherited, state).await {
            Ok(secrets) => secrets,
            Err(why) => return Sent::later(format!("failed to {why}")),
        };
        let letter = self.engine.read(|state| Letter::of(record, rule, state));
        let sent = if let Some(script) = &notice.run {
            let env = letter.environment(rule, &self.inherited, &secrets);
            self.programs.run(script, rule, &letter, env, &secrets).await
        } else if let Some(forge) = notice.forge {
            self.set_status(forge, rule, record, &letter, &secrets).await
        } else {
            self.post(rule, &letter, &secrets).await
        };
        without_secrets(sent, &secrets)
    }

    async fn post(&self, rule: &Rule, letter: &Letter, secrets: &Secrets) -> Sent {
        let url = match self.url(rule, letter, secrets) {
            Ok(url) => url,
            Err(never) => return never,
        };
        let headers = vec![(EVENT_ID, letter.id.to_string())];
        let body = letter.body.to_string();
        match post(Post { url, headers, body }, PATIENCE).await {
            Ok(answer) => post::judge(&answer, self.clock.now()),
            Err(error) => Sent::later(format!("no answer: {}", printable::line(&error))),
        }
    }

    async fn set_status(
        &self,
        forge: Forge,
        rule: &Rule,
        record: &Record,
        letter: &Letter,
        secrets: &Secrets,
    ) -> Sent {
        // An event that this release cannot read says nothing that it could pass on.
        let Ok(envelope) = wire::decode(&record.body) else { return Sent::Taken };
        let event = &envelope.fact.event;
        let status = self
            .engine
            .read(|state| status::status(event, &rule.pipeline, |version| commit(state, rule, version)));
        let Some(status) = status else { return Sent::Taken };
        let (Some(project), [(_, token)]) = (&rule.notice.project, secrets.values()) else {
            let help = "load the pipeline's file again";
            return Sent::Never { why: "its definition is of an older release".into(), help };
        };
        let api = match self.url(rule, letter, secrets) {
            Ok(url) => url,
            Err(never) => return never,
        };
        let token = token.to_string_lossy();
        match post(forge::request(forge, &api, project, &token, &status), PATIENCE).await {
            Ok(answer) => forge::verdict(forge, &answer, self.clock.now()),
            Err(error) => Sent::later(format!("no answer: {}", printable::line(&error))),
        }
    }

    /// The address, with the environment put in.
    fn url(&self, rule: &Rule, letter: &Letter, secrets: &Secrets) -> Result<String, Sent> {
        let env = letter.environment(rule, &self.inherited, secrets);
        let text = rule.notice.url.as_deref().unwrap_or_default();
        let url = expand(text, &env).map_err(|error| Sent::Never {
            why: format!("failed to {error}"),
            help: "name in `url` only what every event that the notice is told of has",
        })?;
        Ok(url.to_string_lossy().into_owned())
    }
}

fn without_secrets(sent: Sent, secrets: &Secrets) -> Sent {
    match sent {
        Sent::Taken => Sent::Taken,
        Sent::Later { why, after } => Sent::Later { why: secrets.hide_text(&why), after },
        Sent::Never { why, help } => Sent::Never { why: secrets.hide_text(&why), help },
    }
}
