//! What goes on while the controller is killed: a forge delivers, people confirm, and pipeline files are saved.

use super::world::World;
use crate::deliveries::{Delivery, NOWHERE, SECRET, git_settings};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;
use tidegate::domain::pipeline::Forge;

/// Something that the controller said to have taken: what kind of event, about what, and its number.
pub(super) type Acknowledged = (&'static str, String, u64);

/// Everything goes on; only people go on; nobody does.
const ALL: u8 = 0;
const PEOPLE: u8 = 1;
const NOBODY: u8 = 2;

/// Makes the repository of a world one that lives at a forge whose deliveries are believed.
pub(super) fn at_a_forge(world: &World) {
    fs::create_dir(world.path("acme")).expect("a folder");
    symlink(world.path("shop.git"), world.path("acme/shop.git")).expect("a link");
    fs::write(world.path("gitconfig"), git_settings(world.folder.path())).expect("a file");
    fs::write(world.path("secret"), SECRET).expect("a file");
    fs::set_permissions(world.path("secret"), fs::Permissions::from_mode(0o600)).expect("private");
    let settings = "[webhook.github]\nsecret = { file = \"secret\" }\n";
    fs::write(world.path("tidegate.toml"), settings).expect("a file");
}

/// The load on one controller.
pub(super) struct Load {
    phase: Arc<AtomicU8>,
    threads: Vec<JoinHandle<()>>,
}

/// What a thread of it knows.
#[derive(Clone)]
struct Hand {
    url: String,
    token: String,
    phase: Arc<AtomicU8>,
    say: Sender<Acknowledged>,
}

impl Load {
    /// Begins: these commits are pushed to the branch `hooked` one after another, with a delivery each; the versions
    /// that wait in front of `prod` are confirmed; the pipeline is saved with other descriptions.
    pub(super) fn begin(
        world: &World,
        commits: Vec<String>,
        pipeline: &str,
        say: Sender<Acknowledged>,
    ) -> Load {
        let phase = Arc::new(AtomicU8::new(ALL));
        let (url, token) = (format!("http://{}", world.address), world.read("state/token").trim().to_owned());
        let hand = Hand { url, token, phase: phase.clone(), say };
        let (work, file) = (world.path("work"), world.path("pipelines/shop.toml"));
        let text = world.filled(pipeline);
        let (forge, people) = (hand.clone(), hand.clone());
        let threads = vec![
            std::thread::spawn(move || forge.deliver(&work, &commits)),
            std::thread::spawn(move || people.confirm()),
            std::thread::spawn(move || hand.edit(&file, &text)),
        ];
        Load { phase, threads }
    }

    /// From now on people only confirm what waits.
    pub(super) fn calm(&self) {
        self.phase.store(PEOPLE, Ordering::Relaxed);
    }

    /// Ends it.
    pub(super) fn end(self) {
        self.phase.store(NOBODY, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("nothing unexpected"));
    }
}

impl Hand {
    fn goes_on(&self, until: u8) -> bool {
        std::thread::sleep(Duration::from_millis(60));
        self.phase.load(Ordering::Relaxed) <= until
    }

    fn deliver(&self, work: &PathBuf, commits: &[String]) {
        let mut before = NOWHERE.to_owned();
        for (number, sha) in commits.iter().enumerate() {
            let to = format!("{sha}:refs/heads/hooked");
            let pushed = Command::new("git").args(["push", "-q", "origin", &to]).current_dir(work).status();
            assert!(pushed.is_ok_and(|status| status.success()), "git pushes");
            let delivery =
                Delivery::of(Forge::Github, &number.to_string(), "refs/heads/hooked", &before, sha);
            before.clone_from(sha);
            // A forge delivers again what was not answered.
            while self.goes_on(ALL) {
                if let Some(answer) = self.post(&delivery.path(), &delivery.headers(), &delivery.body) {
                    if let Some(id) = answer["accepted"][0]["id"].as_u64() {
                        self.say.send(("rebuild_requested", sha.clone(), id)).expect("somebody counts");
                    }
                    break;
                }
            }
            if !self.goes_on(ALL) {
                return;
            }
        }
    }

    fn confirm(&self) {
        while self.goes_on(PEOPLE) {
            let Some(state) = self.get("/api/pipelines/shop") else { continue };
            let tiers = state["pipeline"]["tiers"].as_array().cloned().unwrap_or_default();
            let prod = tiers.into_iter().find(|tier| tier["name"] == "prod").unwrap_or_default();
            for waiting in prod["waiting"].as_array().into_iter().flatten() {
                let Some(version) = waiting["version"].as_str() else { continue };
                let headers = [
                    ("content-type", "application/json".to_owned()),
                    ("authorization", format!("Bearer {}", self.token)),
                ];
                let path = "/api/pipelines/shop/tiers/prod/confirm";
                let body = json!({ "version": version }).to_string();
                let answer = self.post(path, &headers, &body).unwrap_or_default();
                if let Some(id) = answer["ids"][0].as_u64() {
                    self.say.send(("manual_confirm", version.to_owned(), id)).expect("somebody counts");
                }
            }
        }
    }

    fn edit(&self, file: &PathBuf, text: &str) {
        let mut number = 0;
        while self.goes_on(ALL) {
            number += 1;
            fs::write(file, format!("description = \"save {number}\"\n{text}")).expect("saved");
        }
    }

    fn get(&self, path: &str) -> Option<Value> {
        let mut answer = ureq::get(format!("{}{path}", self.url)).call().ok()?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }

    /// The answer, if one came and it was a good one.
    fn post(&self, path: &str, headers: &[(&'static str, String)], body: &str) -> Option<Value> {
        let mut request = ureq::post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut answer = request.send(body).ok()?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }
}
