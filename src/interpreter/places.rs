//! What lies where in the state folder, as far as the work of pipelines goes. Making and removing is left to others, and
//! where a mirror of a repository lies is for `source` to say.
//!
//! ```text
//! work/<pipeline>/cache                           TIDEGATE_CACHE, kept between versions
//! work/<pipeline>/caches/<account>                the same of steps that run as an account
//! work/<pipeline>/builds/<request>/               one build: `checkout`, `artifacts`, `ready` once it is checked out,
//!                                                 `tmp` of fenced steps, `lent` while it belongs to an account
//! work/<pipeline>/versions/<request>/             the checkout that a version command runs in
//! work/<pipeline>/gates/<run>/                    one gate's own: `checkout`, `artifacts`
//! work/<pipeline>/deploys/<tier>/<node>/<run>/    one deploy's own: the same, and `kept` when it lives on
//! work/<pipeline>/notices/<event>-<try>/          one try of a notice that runs something
//! logs/<pipeline>/<run>.log, <run>.events         what a run wrote and said
//! ```

use crate::domain::pipeline::Sandbox;
use crate::domain::{EventId, NodeName, PipelineName, RunId, TierName};
use crate::settings::StateDir;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The longest name that is a folder's name as it is, in bytes.
const LONGEST: usize = 100;

/// Paths of one pipeline.
#[derive(Clone, Debug)]
pub struct Places {
    state: StateDir,
    pipeline: String,
}

/// A folder of one piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Places {
    /// Those of the pipeline whose folders are called `home`.
    pub fn new(state: &StateDir, home: &PipelineName) -> Places {
        Places { state: state.clone(), pipeline: folder_name(home.as_str()).into_owned() }
    }

    fn work(&self) -> PathBuf {
        self.state.work().join(&self.pipeline)
    }

    /// The folder that steps keep between versions.
    pub fn cache(&self) -> PathBuf {
        self.work().join("cache")
    }

    /// The same for steps of that isolation: an account has its own, so that nobody runs what another one left there.
    pub fn cache_for(&self, sandbox: Option<&Sandbox>) -> PathBuf {
        match sandbox.and_then(Sandbox::account) {
            Some(name) => self.work().join("caches").join(&*folder_name(name)),
            None => self.cache(),
        }
    }

    /// The folders of all builds.
    pub fn builds(&self) -> PathBuf {
        self.work().join("builds")
    }

    /// The folder of one build.
    pub fn build(&self, request: EventId) -> Folder {
        Folder(self.builds().join(request.to_string()))
    }

    /// The folder that a version command runs in.
    pub fn version(&self, request: EventId) -> Folder {
        Folder(self.work().join("versions").join(request.to_string()))
    }

    /// The folder of one gate's run.
    pub fn gate(&self, run: RunId) -> Folder {
        Folder(self.work().join("gates").join(run.to_string()))
    }

    /// The folders of all deploys on a node.
    pub fn deploys(&self, tier: &TierName, node: &NodeName) -> PathBuf {
        self.work().join("deploys").join(&*folder_name(tier.as_str())).join(&*folder_name(node.as_str()))
    }

    /// The folder of one deploy's run.
    pub fn deploy(&self, tier: &TierName, node: &NodeName, run: RunId) -> Folder {
        Folder(self.deploys(tier, node).join(run.to_string()))
    }

    /// The folder of one try of a notice that runs something. `number`: counts the tries of all notices.
    pub fn notice(&self, event: EventId, number: u64) -> PathBuf {
        self.work().join("notices").join(format!("{event}-{number}"))
    }

    /// The log of a run as a path below the state folder, always with `/` and ASCII only.
    pub fn log_ref(&self, run: RunId) -> String {
        format!("logs/{}/{run}.log", self.pipeline)
    }

    /// The log of a run.
    pub fn log(&self, run: RunId) -> PathBuf {
        self.state.path().join(self.log_ref(run))
    }

    /// The file in which a run says things.
    pub fn events(&self, run: RunId) -> PathBuf {
        self.log(run).with_extension("events")
    }

    /// The same for a question about a node's health: nobody listens there.
    pub fn probe_events(&self, run: RunId) -> PathBuf {
        self.log(run).with_extension("probe")
    }
}

impl Folder {
    /// A folder that was found.
    pub(super) fn at(path: PathBuf) -> Folder {
        Folder(path)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The workspace: the files of the commit.
    pub fn checkout(&self) -> PathBuf {
        self.0.join("checkout")
    }

    /// What was built, for steps that come after the build.
    pub fn artifacts(&self) -> PathBuf {
        self.0.join("artifacts")
    }

    /// Temporary files of steps that may write nowhere else.
    pub fn scratch(&self) -> PathBuf {
        self.0.join("tmp")
    }

    /// There while the workspace belongs to an account: its user id.
    pub fn lent(&self) -> PathBuf {
        self.0.join("lent")
    }

    /// There once the workspace is whole.
    pub fn ready(&self) -> PathBuf {
        self.0.join("ready")
    }

    /// There when something that a deploy left running may still need the folder.
    pub fn kept(&self) -> PathBuf {
        self.0.join("kept")
    }
}

/// A name as the name of a folder: as it is where that is harmless, else its digest, so that no two names meet and no
/// name leaves its place.
fn folder_name(name: &str) -> Cow<'_, str> {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && !name.starts_with('.') && name.len() <= LONGEST && name.chars().all(is_harmless) {
        return Cow::Borrowed(name);
    }
    let digest = Sha256::digest(name.as_bytes());
    let mut hex = String::from("%");
    for byte in &digest[..16] {
        write!(hex, "{byte:02x}").expect("BUG: a string takes all");
    }
    Cow::Owned(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_readable_and_odd_ones_stay_in_place() {
        assert_eq!(folder_name("shop-2.x"), "shop-2.x");
        let long = "x".repeat(300);
        for odd in ["", ".", "..", "../up", "a/b", "né", "a\n", "%x", &long] {
            let safe = folder_name(odd);
            assert!(safe.len() == 33 && safe.starts_with('%'), "{odd:?} became {safe}");
        }
        assert_ne!(folder_name("a/b"), folder_name("a/c"));
    }

    #[test]
    fn a_log_lies_where_its_ref_says() {
        let state = StateDir::new("/state");
        let places = Places::new(&state, &"shop".into());
        assert_eq!(places.log_ref(RunId(42)), "logs/shop/42.log");
        assert_eq!(places.log(RunId(42)), Path::new("/state/logs/shop/42.log"));
        assert_eq!(places.events(RunId(42)), Path::new("/state/logs/shop/42.events"));
        let deploy = places.deploy(&"prod".into(), &"../a1".into(), RunId(3));
        assert!(deploy.path().starts_with("/state/work/shop/deploys/prod/"));
        assert!(!deploy.path().to_str().unwrap().contains(".."));
    }
}
