//! Looking where refs stand, instead of believing what is told: for webhooks, which may be late, repeated or lost, and
//! for polling.

use super::{Asked, Candidate, Pushes, bare_push};
use crate::domain::{Actor, Command, Digest, News, PipelineName, RefName, Rejection, Role, Sha};
use crate::engine::Refusal;
use crate::server::rebuild::{Ignored, RebuildAnswer};
use crate::source::{self, Head, Repo};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// As whom looking by oneself acts.
const POLL: &str = "poll";

/// How often a webhook looks until git shows what was delivered, or nobody else was faster.
const LOOKS: usize = 4;

/// Pause before the next of these looks.
const PAUSE: Duration = Duration::from_secs(1);

/// More refs than this that nobody has heard of before, at one look, are not news: they stood there before.
const FEW: usize = 8;

/// Refs that are forgotten at one look; the rest at the next.
const GONE_AT_ONCE: usize = 1_000;

/// Why a repository could not be looked at. `Display` reads after "failed to".
#[derive(Debug)]
pub enum LookError {
    /// Git failed.
    Git(Arc<source::Error>),
    /// The engine did not take it.
    Engine(Refusal),
}

impl LookError {
    /// The stable code.
    pub fn code(&self) -> String {
        match self {
            Self::Git(error) => error.code().to_owned(),
            Self::Engine(refusal) => refusal.code().to_string(),
        }
    }

    /// Whether every other look ends the same.
    pub(in crate::server) fn is_final(&self) -> bool {
        match self {
            Self::Git(error) => error.is_final(),
            Self::Engine(refusal) => matches!(refusal, Refusal::Rejected(_)) && !self.is_for_room(),
        }
    }

    /// Whether it goes on as soon as there is room in the queue of the pipeline.
    pub(super) fn is_for_room(&self) -> bool {
        matches!(self, Self::Engine(Refusal::Rejected(Rejection::QueueFull(_))))
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Self::Git(error) => error.help().to_string(),
            Self::Engine(refusal) => refusal.help().to_string(),
        }
    }
}

impl fmt::Display for LookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Git(error) => error.fmt(f),
            Self::Engine(refusal) => write!(f, "tell the engine: {refusal}"),
        }
    }
}

impl std::error::Error for LookError {}

impl From<source::Error> for LookError {
    fn from(error: source::Error) -> Self {
        Self::Git(Arc::new(error))
    }
}

impl From<Arc<source::Error>> for LookError {
    fn from(error: Arc<source::Error>) -> Self {
        Self::Git(error)
    }
}

impl From<Refusal> for LookError {
    fn from(refusal: Refusal) -> Self {
        Self::Engine(refusal)
    }
}

/// What a look at one pipeline's repository came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Polled {
    /// What was new, and what the pipeline made of it.
    pub answer: RebuildAnswer,
    /// Refs that stood there before anybody was interested in them; nothing is built of them.
    pub found_there: usize,
}

/// What somebody who may be late says.
pub(in crate::server) struct Delivered<'a> {
    /// The full name of a branch or tag.
    pub(in crate::server) ref_name: &'a RefName,
    /// Where it was moved to; of an annotated tag its own object. None: wherever it stands is news.
    pub(in crate::server) after: Option<&'a str>,
    /// Where it was before.
    pub(in crate::server) before: Option<&'a str>,
}

impl Pushes {
    /// What a pipeline makes of a delivery, after a look where the ref stands. A delivery that is out of date, or was
    /// heard of before, moves nothing.
    pub(in crate::server) async fn look(
        &self,
        by: &Actor,
        candidate: &Candidate,
        told: &Delivered<'_>,
    ) -> Result<RebuildAnswer, LookError> {
        let repo = self.repo_of(candidate)?;
        let name = told.ref_name;
        let from = &candidate.definition.source;
        if !self.takes(&from.repo, &repo, &from.refs, name).await? {
            let reason = format!("ref `{name}` is not among the refs of the pipeline");
            return Ok(ignored(candidate, reason));
        }
        let mut reason = format!("others were faster each time that `{name}` was looked at");
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let seen = self.seen(&candidate.name).remove(name);
            let heads = self.heads(&from.repo, &repo).await?;
            let Some(head) = heads.iter().find(|head| head.name == *name) else {
                return Ok(ignored(candidate, format!("out of date: there is no `{name}` any more")));
            };
            // What is said of an annotated tag is not its commit: there git's word is all there is.
            let is_branch = name.as_str().starts_with("refs/heads/");
            if is_branch && told.after.is_some_and(|after| head.sha != after) {
                reason = format!("out of date: `{name}` stands at {}", head.sha);
                if told.before.is_some_and(|before| head.sha == before) {
                    // A forge may tell of a push before each of its servers knows it.
                    continue;
                }
                return Ok(ignored(candidate, reason));
            }
            if let Some(answer) = self.bring(by, candidate, head, seen, News::Looked).await? {
                return Ok(answer);
            }
        }
        Ok(ignored(candidate, reason))
    }

    /// Looks at every ref that a pipeline takes, and asks for a build of those that moved since the journal saw them.
    ///
    /// Of a repository that nobody has heard of before, only the branch that HEAD names is built (or the only ref that
    /// is taken); and where more than a few refs are new at once, none of these: they stood there before, and building
    /// every old tag is not what somebody wants who writes a glob. For the same reason the first look under a `[source]`
    /// takes no ref for news that the journal does not know: an edit may have let it in, and an old tag must not become
    /// the newest version. That a first look was there is in the journal (`looked_over`), so that a ref which comes up
    /// while no controller is there is new to the next one.
    ///
    /// # Errors
    /// The repository cannot be asked, or the engine has ended. What could be told before that was.
    pub async fn poll(&self, pipeline: &PipelineName) -> Result<Polled, LookError> {
        let mut polled = Polled::default();
        let found = self.candidates(None).into_iter().find(|candidate| candidate.name == *pipeline);
        let Some(candidate) = found else { return Ok(polled) };
        let Some((digest, is_known)) = self.looked_over(&candidate) else { return Ok(polled) };
        let repo = self.repo_of(&candidate)?;
        let by = Actor { name: POLL.into(), role: Role::Trigger, email: None };
        let seen = self.seen(pipeline);
        let heads = source::ls_remote(&repo).await?;
        self.forget(pipeline, &seen, &heads).await?;
        let heads = source::among(heads, &repo, &candidate.definition.source.refs).await?;
        let is_whole = |head: &Head| !head.is_lossy && source::check_ref(head.name.as_str()).is_ok();
        let heads: Vec<Head> = heads.into_iter().filter(is_whole).collect();
        let interest = interest(&repo, &seen, &heads, is_known).await?;
        let mut failed = None;
        let moved = heads.iter().filter(|head| seen.get(&head.name) != Some(&head.sha));
        let mut moved: Vec<_> = moved.map(|head| (interest.of(&seen, &head.name), head)).collect();
        // What is news comes first, and while that cannot be told nothing is noted as having stood there: a look that is
        // cut short leaves the journal either without a word of this repository, so that the next one finds the same
        // news, or with the news in it. Were it the other way round, the next look would take HEAD's branch for old.
        moved.sort_by_key(|(news, _)| *news == News::FoundThere);
        for (news, head) in moved {
            if news == News::FoundThere && failed.is_some() {
                break;
            }
            polled.found_there += usize::from(news == News::FoundThere);
            let seen = seen.get(&head.name).cloned();
            match self.bring(&by, &candidate, head, seen, news).await {
                Ok(answer) => {
                    let answer = answer.unwrap_or_default();
                    polled.answer.accepted.extend(answer.accepted);
                    polled.answer.ignored.extend(answer.ignored);
                }
                Err(error @ LookError::Engine(_)) => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if !is_known {
            self.engine.ask(Command::LookedOver { pipeline: pipeline.clone(), digest }).await?;
        }
        Ok(polled)
    }

    /// The digest of a pipeline's definition, and whether all refs were looked at under its source; none: it is another
    /// one by now, and looked at soon.
    fn looked_over(&self, candidate: &Candidate) -> Option<(Digest, bool)> {
        self.engine.read(|state| {
            let p = state.pipeline(&candidate.name)?;
            let in_force = p.in_force.as_ref()?;
            let is_same = Arc::ptr_eq(&in_force.definition, &candidate.definition);
            is_same.then(|| (in_force.digest.clone(), p.is_looked_over))
        })
    }

    /// Forgets refs of a pipeline that are gone from its repository.
    ///
    /// # Errors
    /// The repository cannot be asked, or the engine has ended.
    pub async fn forget_gone(&self, pipeline: &PipelineName) -> Result<(), LookError> {
        let found = self.candidates(None).into_iter().find(|candidate| candidate.name == *pipeline);
        let (Some(candidate), seen) = (found, self.seen(pipeline)) else { return Ok(()) };
        if seen.is_empty() {
            return Ok(());
        }
        let heads = self.heads(&candidate.definition.source.repo, &self.repo_of(&candidate)?).await?;
        Ok(self.forget(pipeline, &seen, &heads).await?)
    }

    /// Has refs forgotten that were seen and are not there. Where nothing is there at all, the repository may be about to
    /// be filled again.
    async fn forget(
        &self,
        pipeline: &PipelineName,
        seen: &BTreeMap<RefName, Sha>,
        heads: &[Head],
    ) -> Result<(), Refusal> {
        let there: BTreeSet<&RefName> = heads.iter().map(|head| &head.name).collect();
        // Others are not listed.
        let is_listed =
            |name: &RefName| ["refs/heads/", "refs/tags/"].iter().any(|it| name.as_str().starts_with(it));
        let gone = seen.iter().filter(|(name, _)| is_listed(name) && !there.contains(name));
        let gone: Vec<_> = gone.map(|(name, sha)| (name.clone(), sha.clone())).take(GONE_AT_ONCE).collect();
        if gone.is_empty() || there.is_empty() {
            return Ok(());
        }
        self.engine.ask(Command::ForgetRefs { pipeline: pipeline.clone(), gone }).await.map(|_| ())
    }

    /// Where the journal last saw each ref.
    pub(super) fn seen(&self, pipeline: &PipelineName) -> BTreeMap<RefName, Sha> {
        self.engine.read(|state| {
            let refs = state.pipeline(pipeline).map(|p| p.refs.iter());
            refs.into_iter().flatten().map(|(name, head)| (name.clone(), head.seen.clone())).collect()
        })
    }

    /// Asks git about a commit on which a ref stands, and the engine what follows; none: the journal saw the ref
    /// elsewhere meanwhile.
    async fn bring(
        &self,
        by: &Actor,
        candidate: &Candidate,
        head: &Head,
        seen: Option<Sha>,
        news: News,
    ) -> Result<Option<RebuildAnswer>, LookError> {
        let (sha, ref_name) = (head.sha.to_string(), Some(head.name.clone()));
        let asked = Asked { sha, ref_name, old: seen.clone(), news };
        let is_news = news == News::Looked && seen.as_ref() != Some(&head.sha);
        let mut push = match is_news {
            true => {
                let taken = |it: &Candidate| it.name == candidate.name;
                let previous = self.candidates(Some(&head.name)).into_iter().find(taken);
                let previous = previous.and_then(|it| it.previous);
                self.examine_one(&asked, &Candidate { previous, ..candidate.clone() }).await?
            }
            false => bare_push(candidate, &asked),
        };
        push.news = news;
        let (answer, _) = self.tell(by.clone(), None, false, vec![push]).await?;
        let is_answered = !answer.accepted.is_empty() || !answer.ignored.is_empty();
        Ok(is_answered.then_some(answer))
    }
}

fn ignored(candidate: &Candidate, reason: String) -> RebuildAnswer {
    let ignored = vec![Ignored { pipeline: candidate.name.clone(), reason }];
    RebuildAnswer { accepted: Vec::new(), ignored }
}

/// Which of the refs that nobody has heard of before are news.
#[derive(Debug, PartialEq)]
enum Interest {
    All,
    Only(Option<RefName>),
}

impl Interest {
    fn of(&self, seen: &BTreeMap<RefName, Sha>, name: &RefName) -> News {
        match self {
            _ if seen.contains_key(name) => News::Looked,
            Self::Only(only) if only.as_ref() != Some(name) => News::FoundThere,
            _ => News::Looked,
        }
    }
}

async fn interest(
    repo: &Repo,
    seen: &BTreeMap<RefName, Sha>,
    heads: &[Head],
    is_known: bool,
) -> Result<Interest, source::Error> {
    let unheard = heads.iter().filter(|head| !seen.contains_key(&head.name)).count();
    Ok(match (seen.is_empty(), unheard) {
        (_, 0..=FEW) if is_known => Interest::All,
        (true, 0..=1) => Interest::All,
        (true, _) => Interest::Only(source::default_branch(repo).await?),
        (false, _) => Interest::Only(None),
    })
}
