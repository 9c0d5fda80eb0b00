//! From a commit on a ref to what the engine makes of it: which pipelines may take it, what git says of it, and the
//! question to the engine. All ways in end here: `POST /rebuild`, the forges' webhooks, and looking by oneself.
//!
//! A push that is *told* by the hook is believed if it follows on where the journal saw the ref: git called the hook as the
//! ref moved. Whatever else says that a ref moved may be late, repeated or lost, so there git is asked where the ref stands
//! now (`Pushes::look`, `Pushes::poll`), and the engine takes that only if the journal has not seen the ref elsewhere
//! meanwhile. What a forge was answered before git could say is owed (`Pushes::owe`), and looked at until it is done
//! (`Pushes::pay`), and so is what schedules ask for.

mod heads;
mod look;
mod owed;
mod scheduled;

pub(super) use look::Delivered;
pub use look::{LookError, Polled};

use super::problem::Problem;
use super::rebuild::{Accepted, Ignored, RebuildAnswer};
use crate::domain::pipeline::{Pipeline, VersionRule};
use crate::domain::{Actor, Answer, Command, News, PipelineName, Push, Pushed, RefName, Sha};
use crate::engine::{Engine, Refusal};
use crate::settings::StateDir;
use crate::source::{self, Git, Head, Location, Repo};
use futures_util::StreamExt;
use futures_util::stream::iter;
use std::path::PathBuf;
use std::sync::Arc;

/// Pipelines for which git is asked at once.
const AT_ONCE: usize = 8;

/// Asks git about pushes, and the engine what follows. Cheap to clone.
#[derive(Clone)]
pub struct Pushes {
    engine: Engine,
    git: Git,
    /// Where mirrors are.
    work: PathBuf,
    /// Looks that are owed to forges and schedules.
    owed: Arc<owed::Owed>,
    /// Repositories that are asked what they have.
    heads: Arc<heads::Questions<Arc<Vec<Head>>>>,
    /// Repositories that are asked which branch HEAD names.
    defaults: Arc<heads::Questions<Option<RefName>>>,
}

/// A pipeline that a push may concern.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) name: PipelineName,
    /// What its folders are called.
    home: PipelineName,
    pub(super) definition: Arc<Pipeline>,
    /// The last commit taken from the ref.
    previous: Option<Sha>,
}

/// The parts of a request that were checked.
pub(super) struct Asked {
    pub(super) sha: String,
    pub(super) ref_name: Option<RefName>,
    pub(super) old: Option<Sha>,
    /// How it became known.
    pub(super) news: News,
}

impl Pushes {
    /// For the pipelines of that engine, with mirrors in that state folder.
    pub fn new(engine: Engine, git: Git, state: &StateDir) -> Pushes {
        let (owed, heads, defaults) = Default::default();
        Pushes { engine, git, work: state.work(), owed, heads, defaults }
    }

    /// Every pipeline in force.
    pub(super) fn candidates(&self, ref_name: Option<&RefName>) -> Vec<Candidate> {
        self.engine.read(|state| {
            let in_force = state.pipelines.iter().filter_map(|(name, p)| Some((name, p, p.definition()?)));
            let candidates = in_force.map(|(name, p, definition)| Candidate {
                name: name.clone(),
                home: p.home.clone(),
                definition: definition.clone(),
                previous: ref_name.and_then(|name| p.refs.get(name)?.taken.clone()),
            });
            candidates.collect()
        })
    }

    /// The source of a pipeline.
    pub(super) fn repo_of(&self, candidate: &Candidate) -> Result<Repo, source::Error> {
        let from = &candidate.definition.source;
        let mirror = source::mirror::place(&self.work, &candidate.home);
        Ok(Repo::new(self.git.clone(), Location::parse(&from.repo)?, mirror)
            .with_submodules(from.submodules)
            .with_lfs(from.lfs))
    }

    /// Asks git for all of them. What fails for one is its reason to be left out; what fails for all is the answer.
    pub(super) async fn examine(
        &self,
        asked: &Asked,
        candidates: Vec<Candidate>,
    ) -> Result<(Vec<Push>, Vec<Ignored>), Problem> {
        let examined = iter(candidates).map(async |candidate| {
            let pushed = self.examine_one(asked, &candidate).await;
            (candidate.name, pushed)
        });
        let mut examined: Vec<_> = examined.buffer_unordered(AT_ONCE).collect().await;
        examined.sort_by(|(a, _), (b, _)| a.cmp(b));
        let all_failed = examined.iter().all(|(_, pushed)| pushed.is_err());
        let (mut pushes, mut ignored) = (Vec::new(), Vec::new());
        for (pipeline, pushed) in examined {
            match pushed {
                Ok(push) => pushes.push(push),
                Err(error) if all_failed => return Err(error.into()),
                Err(error) => ignored.push(Ignored { pipeline, reason: format!("failed to {error}") }),
            }
        }
        Ok((pushes, ignored))
    }

    /// Tells the engine of what `POST /rebuild` asks. Where a hook may be late, git is asked where the ref stands.
    pub(super) async fn ask_told(
        &self,
        by: Actor,
        why: Option<String>,
        again: bool,
        told: (&Asked, &[Candidate]),
        pushes: Vec<Push>,
    ) -> Result<RebuildAnswer, LookError> {
        let (asked, candidates) = told;
        let commits: Vec<_> = pushes.iter().map(|push| (push.pipeline.clone(), push.sha.clone())).collect();
        let (mut answer, overtaken) = self.tell(by.clone(), why, again, pushes).await?;
        let Some(ref_name) = &asked.ref_name else { return Ok(answer) };
        for candidate in candidates.iter().filter(|it| overtaken.contains(&it.name)) {
            let commit =
                commits.iter().find(|(name, _)| *name == candidate.name).map(|(_, sha)| sha.as_str());
            let told = Delivered { ref_name, after: commit, before: asked.old.as_ref().map(Sha::as_str) };
            match self.look(&by, candidate, &told).await {
                Ok(looked) => {
                    answer.accepted.extend(looked.accepted);
                    answer.ignored.extend(looked.ignored);
                }
                Err(error) if candidates.len() == 1 => return Err(error),
                Err(error) => {
                    let (pipeline, reason) = (candidate.name.clone(), format!("failed to {error}"));
                    answer.ignored.push(Ignored { pipeline, reason });
                }
            }
        }
        Ok(answer)
    }

    /// Tells the engine of pushes, and says what each pipeline makes of it, and which want git to be asked again.
    pub(super) async fn tell(
        &self,
        by: Actor,
        why: Option<String>,
        again: bool,
        pushes: Vec<Push>,
    ) -> Result<(RebuildAnswer, Vec<PipelineName>), Refusal> {
        let receipt = self.engine.ask(Command::Push { by: Some(by), why, again, pushes }).await?;
        let (mut answer, mut overtaken) = (RebuildAnswer::default(), Vec::new());
        let Answer::Pushed(each) = receipt.answer else {
            panic!("BUG: a push is answered as something else")
        };
        for pushed in each {
            match pushed {
                Pushed::Taken { pipeline, fact, version } => {
                    answer.accepted.push(Accepted { pipeline, id: receipt.ids[fact], version });
                }
                Pushed::Ignored { pipeline, reason } => answer.ignored.push(Ignored { pipeline, reason }),
                Pushed::Overtaken { pipeline } => overtaken.push(pipeline),
            }
        }
        Ok((answer, overtaken))
    }

    async fn examine_one(&self, asked: &Asked, candidate: &Candidate) -> Result<Push, source::Error> {
        let from = &candidate.definition.source;
        let repo = self.repo_of(candidate)?;
        let mut push = bare_push(candidate, asked);
        push.ref_taken = is_ref_taken(&repo, &from.refs, asked.ref_name.as_ref()).await?;
        if !push.ref_taken {
            return Ok(push);
        }
        self.examine_commit(asked, candidate, &repo).await
    }

    /// The same for a ref that is built whatever refs the pipeline takes.
    async fn examine_commit(
        &self,
        asked: &Asked,
        candidate: &Candidate,
        repo: &Repo,
    ) -> Result<Push, source::Error> {
        let from = &candidate.definition.source;
        let mut push = bare_push(candidate, asked);
        let found = source::examine(repo, &asked.sha, candidate.previous.as_ref(), &from.paths).await?;
        if candidate.definition.version == VersionRule::Tag {
            if matches!(repo.location(), Location::Url(_)) {
                source::mirror::fetch_tags(repo).await?;
            }
            push.tag_missing = source::tags_at(repo, &found.sha).await?.is_empty();
        }
        push.sha = found.sha;
        push.author = found.author_name;
        push.subject = found.subject;
        push.touched = found.touched;
        push.emails = vec![found.author_email];
        if !push.emails.contains(&found.committer_email) {
            push.emails.push(found.committer_email);
        }
        push.emails.retain(|address| !address.is_empty());
        Ok(push)
    }
}

/// A push of which git was not asked yet.
fn bare_push(candidate: &Candidate, asked: &Asked) -> Push {
    Push {
        pipeline: candidate.name.clone(),
        sha: asked.sha.as_str().into(),
        ref_name: asked.ref_name.clone(),
        old: asked.old.clone(),
        news: asked.news,
        author: String::new(),
        subject: String::new(),
        emails: Vec::new(),
        ref_taken: true,
        touched: true,
        tag_missing: false,
    }
}

/// Whether a pipeline takes what is pushed to a ref. A commit that somebody names without a ref is always taken.
async fn is_ref_taken(
    repo: &Repo,
    globs: &[String],
    ref_name: Option<&RefName>,
) -> Result<bool, source::Error> {
    match ref_name {
        None => Ok(true),
        Some(name) if globs.is_empty() => Ok(source::default_branch(repo).await?.as_ref() == Some(name)),
        Some(name) => Ok(source::ref_matches(globs, name.as_str())),
    }
}
