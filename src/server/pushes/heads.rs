//! Asking repositories what they have, for all who want to know at a time: one question to a repository is under way at
//! most, and one follows it for everybody who came meanwhile. An answer is never older than the question: who asks while
//! one is under way gets the next, because a push may have come in between.

use super::Pushes;
use crate::domain::RefName;
use crate::source::{self, Head, Repo};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// An answer that several get.
type Answer<T> = Result<T, Arc<source::Error>>;

/// Repositories that are being asked, by how pipelines write them.
pub(super) struct Questions<T>(Mutex<HashMap<String, Line<T>>>);

/// The question that follows the one under way; none: nobody wants to know.
type Line<T> = Option<watch::Sender<Option<Answer<T>>>>;

impl<T> Default for Questions<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Questions<T> {
    /// The answer to a question that begins from now on.
    async fn ask<F>(self: &Arc<Self>, repo: &str, question: impl Fn() -> F + Send + 'static) -> Answer<T>
    where
        F: Future<Output = Result<T, source::Error>> + Send + 'static,
    {
        let mut answer = {
            let mut lines = self.lock();
            match lines.get_mut(repo) {
                Some(next) => next.get_or_insert_with(|| watch::channel(None).0).subscribe(),
                None => {
                    lines.insert(repo.to_owned(), None);
                    let (first, answer) = watch::channel(None);
                    tokio::spawn(self.clone().work(repo.to_owned(), first, question));
                    answer
                }
            }
        };
        match answer.wait_for(Option::is_some).await {
            Ok(answered) => answered.clone().expect("BUG: it was waited for"),
            // The question panicked, which the log says. Others and later ones are none the worse for it.
            Err(_) => Err(Arc::new(source::Error::Failed {
                what: "ls-remote".into(),
                status: "BUG".into(),
                detail: "reading its answer panicked".into(),
            })),
        }
    }

    /// Asks as long as somebody wants to know. A question whose askers have all gone is not asked.
    async fn work<F>(
        self: Arc<Self>,
        repo: String,
        first: watch::Sender<Option<Answer<T>>>,
        question: impl Fn() -> F,
    ) where
        F: Future<Output = Result<T, source::Error>> + Send + 'static,
    {
        let mut asked = first;
        let mut cleared = Cleared { questions: &self, repo: &repo, is_needed: true };
        loop {
            let answer = question().await.map_err(Arc::new);
            asked.send_replace(Some(answer));
            let mut lines = self.lock();
            match lines.get_mut(&repo).and_then(Option::take).filter(|next| !next.is_closed()) {
                Some(next) => asked = next,
                None => {
                    lines.remove(&repo);
                    // Whoever comes from here on has a line of their own.
                    cleared.is_needed = false;
                    return;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Line<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the line of a repository, should the question panic or the task be ended: who waits in it hears so, and the next
/// one begins anew.
struct Cleared<'a, T> {
    questions: &'a Questions<T>,
    repo: &'a str,
    is_needed: bool,
}

impl<T> Drop for Cleared<'_, T> {
    fn drop(&mut self) {
        if self.is_needed {
            self.questions.0.lock().unwrap_or_else(PoisonError::into_inner).remove(self.repo);
        }
    }
}

impl Pushes {
    /// All branches and tags of a pipeline's repository.
    pub(super) async fn heads(&self, at: &str, repo: &Repo) -> Answer<Arc<Vec<Head>>> {
        let repo = repo.clone();
        let question = move || {
            let repo = repo.clone();
            async move { source::ls_remote(&repo).await.map(Arc::new) }
        };
        self.heads.ask(at, question).await
    }

    /// Whether a pipeline with these globs takes what is pushed to a ref.
    pub(super) async fn takes(
        &self,
        at: &str,
        repo: &Repo,
        globs: &[String],
        name: &RefName,
    ) -> Answer<bool> {
        if !globs.is_empty() {
            return Ok(source::ref_matches(globs, name.as_str()));
        }
        Ok(self.default_branch(at, repo).await?.as_ref() == Some(name))
    }

    /// The branch that HEAD of a pipeline's repository names.
    pub(super) async fn default_branch(&self, at: &str, repo: &Repo) -> Answer<Option<RefName>> {
        let repo = repo.clone();
        let question = move || {
            let repo = repo.clone();
            async move { source::default_branch(&repo).await }
        };
        self.defaults.ask(at, question).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    fn makes_no_sense() -> Result<usize, source::Error> {
        panic!("what git said makes no sense")
    }

    #[tokio::test]
    async fn a_question_that_panics_fails_for_those_who_wait_and_for_nobody_else() {
        let questions = Arc::new(Questions::<usize>::default());
        let gate = Arc::new(Semaphore::new(0));
        let ask = || {
            let (questions, gate) = (questions.clone(), gate.clone());
            tokio::spawn(async move {
                let question = move || {
                    let gate = gate.clone();
                    async move {
                        gate.acquire().await.expect("it stays").forget();
                        makes_no_sense()
                    }
                };
                questions.ask("shop", question).await
            })
        };
        let first = ask();
        while questions.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        let waiting = ask();
        while questions.lock().get("shop").is_none_or(Option::is_none) {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
        for asked in [first, waiting] {
            assert_eq!(asked.await.expect("it is told").unwrap_err().code(), "TG-GIT-013");
        }
        assert_eq!(questions.ask("shop", || async { Ok(7) }).await.expect("an answer"), 7);
    }

    #[tokio::test]
    async fn one_question_is_under_way_and_one_is_owed_however_many_ask() {
        let (questions, count) = (Arc::new(Questions::<usize>::default()), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let ask = || {
            let (questions, count, gate) = (questions.clone(), count.clone(), gate.clone());
            tokio::spawn(async move {
                let question = move || {
                    let (number, gate) = (count.fetch_add(1, Ordering::SeqCst) + 1, gate.clone());
                    async move {
                        gate.acquire().await.expect("it stays").forget();
                        Ok(number)
                    }
                };
                questions.ask("shop", question).await.expect("an answer")
            })
        };
        let first = ask();
        while count.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let meanwhile: Vec<_> = (0..100).map(|_| ask()).collect();
        let wanted =
            || questions.lock().get("shop").and_then(Option::as_ref).map_or(0, watch::Sender::receiver_count);
        while wanted() < 100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(count.load(Ordering::SeqCst), 1, "the others wait for the next one");
        gate.add_permits(2);
        assert_eq!(first.await.unwrap(), 1);
        for asked in meanwhile {
            assert_eq!(asked.await.unwrap(), 2, "not an answer to what was asked before they came");
        }
        while !questions.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        // Who has gone is not asked for.
        let (under_way, gone) = (ask(), ask());
        while wanted() < 1 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        gate.add_permits(1);
        assert_eq!(under_way.await.unwrap(), 3);
        while !questions.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }
}
