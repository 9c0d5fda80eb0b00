//! What the demo plays on: a folder with a repository, a pipeline and nodes, and a controller of its own. What it began
//! it ends.

use super::hosts::Hosts;
use crate::cli::trouble::Trouble;
use crate::cli::{Exit, talk};
use crate::runner::keeper;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PIPELINE: &str = include_str!("shop.toml");
const ACTIVATE: &str = include_str!("activate.sh");
const NODES: [&str; 3] = ["stage-1", "prod-1", "prod-2"];

/// The demo's folder and what runs for it.
pub(super) struct Stage {
    folder: PathBuf,
    program: PathBuf,
    ports: [u16; 3],
    hosts: Option<Hosts>,
    controller: Option<Child>,
    address: String,
}

/// What does not work on this machine, in the demo's words.
pub(super) fn broken(what: &str, error: impl std::fmt::Display) -> Trouble {
    let help = "the demo needs git, a writable temporary folder and free ports on 127.0.0.1";
    Trouble::new("TG-DEMO-002", format!("failed to {what}: {error}"), help, Exit::Failed)
}

impl Stage {
    /// Makes the folder, with a repository without commits in it. `by_ssh`: production has hosts of its own.
    pub(super) fn build(by_ssh: bool) -> Result<Stage, Trouble> {
        let program = std::env::current_exe().map_err(|error| broken("find this program", error))?;
        let folder = fresh_folder().map_err(|error| broken("make a folder", error))?;
        let ports = free_ports().map_err(|error| broken("find free ports", error))?;
        let mut stage =
            Stage { folder, program, ports, hosts: None, controller: None, address: String::new() };
        stage.furnish(by_ssh).map_err(|error| broken("write into the demo's folder", error))?;
        if by_ssh {
            stage.hosts = Some(Hosts::raise(&stage.folder.join("ssh"), &stage.nodes(), &NODES[1..])?);
        }
        stage.git(&stage.folder, &["init", "-q", "--bare", "shop.git"])?;
        stage.git(&stage.repo(), &["symbolic-ref", "HEAD", "refs/heads/main"])?;
        stage.git(&stage.folder, &["init", "-q", "work"])?;
        stage.git(&stage.work(), &["symbolic-ref", "HEAD", "refs/heads/main"])?;
        let repo = stage.repo().display().to_string();
        stage.git(&stage.work(), &["remote", "add", "origin", &repo])?;
        Ok(stage)
    }

    fn furnish(&self, by_ssh: bool) -> std::io::Result<()> {
        let nodes = self.nodes();
        fs::create_dir(self.folder.join("pipelines"))?;
        for node in NODES {
            fs::create_dir_all(nodes.join(node))?;
        }
        std::os::unix::fs::symlink(&self.program, nodes.join("tidegate"))?;
        fs::write(nodes.join("activate"), ACTIVATE)?;
        fs::set_permissions(nodes.join("activate"), fs::Permissions::from_mode(0o755))?;
        let text = |path: &Path| toml::Value::String(path.display().to_string()).to_string();
        let mut pipeline = PIPELINE.replace("@REPO@", &text(&self.repo())).replace("@PLACE@", &text(&nodes));
        for (at, port) in self.ports.iter().enumerate() {
            pipeline = pipeline.replace(&format!("@PORT{}@", at + 1), &port.to_string());
        }
        for node in NODES[1..].iter().filter(|_| by_ssh) {
            let name = format!("  name = \"{node}\"\n");
            pipeline = pipeline.replace(&name, &format!("{name}  ssh = \"{node}\"\n"));
        }
        fs::write(self.pipeline(), pipeline)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn repo(&self) -> PathBuf {
        self.folder.join("shop.git")
    }

    fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    fn nodes(&self) -> PathBuf {
        self.folder.join("nodes")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The pipeline's file.
    pub(super) fn pipeline(&self) -> PathBuf {
        self.folder.join("pipelines/shop.toml")
    }

    /// Where the controller answers.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts the controller, and waits until it says where it answers.
    pub(super) fn start_controller(&mut self) -> Result<(), Trouble> {
        let listen = if self.address.is_empty() { "127.0.0.1:0" } else { &self.address };
        let mut command = Command::new(&self.program);
        if let Some(hosts) = &self.hosts {
            command.env("TIDEGATE_SSH_COMMAND", hosts.ssh_command());
        }
        let mut child = command
            .args(["serve", "--listen", listen, "--pipelines"])
            .arg(self.folder.join("pipelines"))
            .arg("--state")
            .arg(self.state())
            .current_dir(&self.folder)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // An interrupt at the terminal is for the demo, which then ends the controller itself.
            .process_group(0)
            .spawn()
            .map_err(|error| broken("start the controller", error))?;
        let mut said = BufReader::new(child.stderr.take().expect("BUG: its stderr is a pipe"));
        self.controller = Some(child);
        let log = fs::File::options().create(true).append(true).open(self.folder.join("controller.log"));
        let mut log = log.map_err(|error| broken("write the controller's log", error))?;
        self.address = address_in(&mut said, &mut log)?;
        std::thread::spawn(move || {
            // The log is only for those who look; that it cannot be written stops nothing.
            let _ = std::io::copy(&mut said, &mut log);
        });
        Ok(())
    }

    /// Ends the controller as a crash would.
    pub(super) fn kill_controller(&mut self) {
        if let Some(mut child) = self.controller.take() {
            // Gone already is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The number of the controller's process.
    pub(super) fn controller(&self) -> u32 {
        self.controller.as_ref().map_or(0, Child::id)
    }

    /// Lets all run on when the demo ends; what has to be ended then, beside what runs on the nodes.
    pub(super) fn leave(mut self) -> Result<Vec<u32>, Trouble> {
        let controller = self.controller.take().map(|controller| controller.id());
        self.folder = PathBuf::new();
        let sshds = self.hosts.take().map_or(Ok(Vec::new()), Hosts::leave)?;
        Ok(controller.into_iter().chain(sshds).collect())
    }

    /// A command of tidegate, as a person would type it.
    pub(super) fn tidegate(&self, arguments: &[&str]) -> Result<(), Trouble> {
        let status = Command::new(&self.program)
            .args(arguments)
            .env("TIDEGATE_URL", self.url())
            .env("TIDEGATE_STATE", self.state())
            .env_remove("TIDEGATE_TOKEN")
            .status()
            .map_err(|error| broken("run a command", error))?;
        match status.success() {
            true => Ok(()),
            false => Err(broken(&format!("run `tidegate {}`", arguments.join(" ")), status)),
        }
    }

    /// Commits a page under a version, and pushes it.
    pub(super) fn push(&self, version: &str, page: &str, subject: &str) -> Result<(), Trouble> {
        let work = self.work();
        let written = fs::write(work.join("page.html"), page);
        let written = written.and_then(|()| fs::write(work.join("VERSION"), format!("{version}\n")));
        written.map_err(|error| broken("write a page", error))?;
        self.git(&work, &["add", "-A"])?;
        self.git(&work, &["commit", "-q", "-m", subject])?;
        self.git(&work, &["push", "-q", "-u", "origin", "main"])
    }

    fn git(&self, folder: &Path, arguments: &[&str]) -> Result<(), Trouble> {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(arguments);
        // Neither the user's settings nor those of a repository around decide what happens here.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_"))
        {
            command.env_remove(name);
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "ann@example.org");
        }
        let status = command.status().map_err(|error| broken("run git", error))?;
        if status.success() { Ok(()) } else { Err(broken(&format!("run `git {}`", arguments[0]), status)) }
    }

    /// What the nodes show now: name and first heading.
    pub(super) fn show_nodes(&self) {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        for (node, port) in NODES.iter().zip(self.ports) {
            let url = format!("http://127.0.0.1:{port}/");
            let page = agent.get(&url).call().and_then(|mut answer| answer.body_mut().read_to_string());
            let shown = match &page {
                Ok(page) => heading(page),
                Err(_) => "nothing answers",
            };
            talk::show(format_args!("         {node:<10} {url:<26} {}", crate::printable::line(shown)));
        }
    }
}

/// Reads what the controller says until it says where it answers.
fn address_in(said: &mut impl BufRead, log: &mut impl Write) -> Result<String, Trouble> {
    let mut words = String::new();
    loop {
        let mut line = String::new();
        let read = said.read_line(&mut line).map_err(|error| broken("hear the controller", error))?;
        log.write_all(line.as_bytes()).map_err(|error| broken("write the controller's log", error))?;
        words.push_str(&line);
        let address =
            line.split_once(" answers at http://").and_then(|(_, rest)| rest.split_whitespace().next());
        match address {
            Some(address) => return Ok(address.to_owned()),
            None if read == 0 => return Err(broken("start the controller", words.trim())),
            None => {}
        }
    }
}

fn heading(page: &str) -> &str {
    page.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>")).map_or("?", |(heading, _)| heading)
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill_controller();
        if self.folder.as_os_str().is_empty() {
            return;
        }
        keeper::end(&self.state());
        for node in NODES {
            let pid = fs::read_to_string(self.nodes().join(node).join("pid")).ok();
            let pid = pid.and_then(|text| text.trim().parse().ok()).and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid.filter(|pid| is_ours(*pid, &self.folder)) {
                // Gone already is what is wanted.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            talk::say(format_args!("failed to remove {}: {error}", self.folder.display()));
        }
    }
}

/// Whether a process is a node of this demo, and not another one that got its number since.
fn is_ours(pid: rustix::process::Pid, folder: &Path) -> bool {
    let command = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()));
    let place = folder.as_os_str().as_encoded_bytes();
    command.is_ok_and(|bytes| bytes.windows(place.len()).any(|window| window == place))
}

fn fresh_folder() -> std::io::Result<PathBuf> {
    let base = std::env::temp_dir().canonicalize()?;
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = base.join(format!("tidegate-demo-{name}"));
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

fn free_ports<const COUNT: usize>() -> std::io::Result<[u16; COUNT]> {
    // All at once, so that they differ.
    let listeners = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; COUNT];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}
