//! What schedules ask for: git is asked where their refs stand, and the engine what follows. That a time has come is in the
//! journal before (`schedule_due`), so a crash loses none, and a repository that cannot be asked is asked again
//! (`owed`); that it is done is journaled together with the request for the build.

use super::look::LookError;
use super::{Asked, Candidate, Pushes};
use crate::domain::pipeline::Schedule;
use crate::domain::{Answer, Command, EventId, News, PipelineName, Push, Pushed, RefName};
use crate::source::Repo;
use futures_util::StreamExt;
use futures_util::stream::iter;
use std::time::Duration;

/// Pause before the next look at a ref that moved meanwhile.
const PAUSE: Duration = Duration::from_secs(1);

/// What is there to be built, or why nothing is.
type Found = Result<Box<Push>, String>;

impl Pushes {
    /// Has everything built that schedules of a pipeline ask for now.
    ///
    /// # Errors
    /// The repository cannot be asked, or the engine has ended.
    pub(super) async fn build_scheduled(&self, pipeline: &PipelineName) -> Result<(), LookError> {
        let Some(candidate) = self.candidates(None).into_iter().find(|it| it.name == *pipeline) else {
            return Ok(());
        };
        let owed: Vec<(Schedule, EventId)> = self.engine.read(|state| {
            let schedules = state.pipeline(pipeline).map(|p| p.schedules.iter());
            let owed =
                schedules.into_iter().flatten().filter_map(|it| Some((&it.schedule, it.owed.as_ref()?)));
            owed.map(|(schedule, run)| (schedule.clone(), run.id)).collect()
        });
        // One after the other: two that ask for the same commit at the same time want one build of it.
        let built = iter(owed).then(|(schedule, owed)| self.build_for(&candidate, schedule, owed));
        let built: Vec<Result<(), LookError>> = built.collect().await;
        built.into_iter().collect()
    }

    /// Has the head of a schedule's ref built. Whoever moves the ref meanwhile is faster.
    async fn build_for(
        &self,
        candidate: &Candidate,
        schedule: Schedule,
        owed: EventId,
    ) -> Result<(), LookError> {
        let repo = self.repo_of(candidate)?;
        loop {
            let found = self.find(candidate, &repo, &schedule.ref_name).await?;
            let command = Command::Scheduled { pipeline: candidate.name.clone(), owed, found };
            let answer = self.engine.ask(command).await?.answer;
            let is_overtaken = |one: &Pushed| matches!(one, Pushed::Overtaken { .. });
            if !matches!(&answer, Answer::Pushed(each) if each.iter().any(is_overtaken)) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The commit on which the ref stands, as git says now.
    async fn find(&self, candidate: &Candidate, repo: &Repo, name: &str) -> Result<Found, LookError> {
        let at = &candidate.definition.source.repo;
        let seen = self.seen(&candidate.name);
        let head_names = match name {
            "" => self.default_branch(at, repo).await?.into_iter().collect(),
            name => meant(name),
        };
        let heads = self.heads(at, repo).await?;
        let head = head_names.iter().find_map(|name| heads.iter().find(|head| head.name == *name));
        let Some(head) = head.filter(|head| !head.is_lossy) else {
            return Ok(Err(match name {
                "" => "HEAD of the repository names no branch that is there".into(),
                name => format!("there is no branch or tag `{name}`"),
            }));
        };
        let old = seen.get(&head.name).cloned();
        let ref_name = Some(head.name.clone());
        let asked = Asked { sha: head.sha.to_string(), ref_name, old, news: News::Looked };
        Ok(Ok(Box::new(self.examine_commit(&asked, candidate, repo).await?)))
    }
}

/// The full names that may be meant by the name of a ref: a branch comes before a tag.
fn meant(name: &str) -> Vec<RefName> {
    match name.starts_with("refs/") {
        true => vec![name.into()],
        false => {
            ["refs/heads/", "refs/tags/"].iter().map(|prefix| format!("{prefix}{name}").into()).collect()
        }
    }
}
