//! Hosts for the demo's production: a port for each node, on loopback, with a key, an account's home and a place among
//! the known hosts of its own. The demo listens itself and starts an sshd for each connection, so nothing of them is left
//! when it ends, however it ends.

use super::stage::broken;
use crate::cli::Exit;
use crate::cli::trouble::Trouble;
use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// An sshd that does not greet by then never will.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where systems put it.
const PLACES: [&str; 4] =
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/lib/ssh/sshd", "/run/current-system/sw/bin/sshd"];

/// The hosts, up.
pub(super) struct Hosts {
    sshd: PathBuf,
    hosts: Vec<Host>,
    config: PathBuf,
}

/// One of them.
struct Host {
    port: u16,
    settings: PathBuf,
    is_over: Arc<AtomicBool>,
    answering: Option<JoinHandle<()>>,
}

impl Hosts {
    /// Raises a host of each name; its home is the folder of that name in `homes`. Keys and configuration go into
    /// `folder`.
    pub(super) fn raise(folder: &Path, homes: &Path, nodes: &[&str]) -> Result<Hosts, Trouble> {
        let sshd = PLACES.iter().map(Path::new).find(|path| path.exists()).ok_or_else(|| {
            let help =
                "install it (on Debian: `apt install openssh-server`), or run the demo without `--ssh`";
            Trouble::new("TG-DEMO-006", "there is no sshd on this machine", help, Exit::Failed)
        })?;
        let failed = |what: &'static str| move |error: std::io::Error| broken(what, error);
        fs::create_dir(folder).map_err(failed("make a folder for keys"))?;
        if rustix::process::getuid().is_root() {
            // Where an sshd of root locks itself in; made at boot, which a container may not have had.
            fs::create_dir_all("/run/sshd").map_err(failed("make /run/sshd"))?;
        }
        make_key(&folder.join("user"))?;
        let mut hosts = Hosts { sshd: sshd.to_owned(), hosts: Vec::new(), config: folder.join("ssh_config") };
        let (mut known, mut config) = (String::new(), String::new());
        for name in nodes {
            let listener =
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed("listen on a free port"))?;
            let port = listener.local_addr().map_err(failed("listen on a free port"))?.port();
            let key = folder.join(name);
            make_key(&key)?;
            let public = fs::read_to_string(key.with_extension("pub")).map_err(failed("read a key"))?;
            known.push_str(&format!("[127.0.0.1]:{port} {public}"));
            config.push_str(&host(folder, name, port));
            let settings = folder.join(format!("{name}.conf"));
            fs::write(&settings, sshd_config(folder, &key, &homes.join(name), port))
                .map_err(failed("write the configuration of sshd"))?;
            hosts.hosts.push(Host::answer(sshd, settings, port, listener));
        }
        fs::write(folder.join("known_hosts"), known).map_err(failed("write the known hosts"))?;
        fs::write(&hosts.config, config).map_err(failed("write the configuration of ssh"))?;
        for (name, host) in nodes.iter().zip(&hosts.hosts) {
            if !greets(host.port) {
                return Err(broken(&format!("reach the sshd of `{name}`"), host.last_word()));
            }
        }
        Ok(hosts)
    }

    /// What `TIDEGATE_SSH_COMMAND` must be for a controller to reach them.
    pub(super) fn ssh_command(&self) -> String {
        format!("ssh -F '{}'", self.config.display())
    }

    /// Lets them be up after the demo, each by an sshd that listens itself; the numbers of their processes.
    pub(super) fn leave(mut self) -> Result<Vec<u32>, Trouble> {
        let mut processes = Vec::new();
        for mut host in self.hosts.drain(..) {
            host.end();
            let begun = sshd(&self.sshd, &host.settings)
                .and_then(|mut command| command.arg("-D").stdin(Stdio::null()).stdout(Stdio::null()).spawn());
            processes.push(begun.map_err(|error| broken("start sshd", error))?.id());
        }
        Ok(processes)
    }
}

impl Host {
    fn answer(program: &Path, settings: PathBuf, port: u16, listener: TcpListener) -> Host {
        let is_over = Arc::new(AtomicBool::new(false));
        let (program, for_sshd, over) = (program.to_owned(), settings.clone(), is_over.clone());
        let answering = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                // What hinders it is in sshd's log, or shows as a connection that ends at once.
                let _ = stream.and_then(|stream| serve(&program, &for_sshd, stream));
            }
        });
        Host { port, settings, is_over, answering: Some(answering) }
    }

    fn end(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // The thread waits for the next connection; should none come, it does no harm.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let (Ok(_), Some(answering)) = (woken, self.answering.take()) {
            let _ = answering.join();
        }
    }

    /// What its sshd said last.
    fn last_word(&self) -> String {
        let log = fs::read_to_string(log_of(&self.settings)).unwrap_or_default();
        let last = log.lines().map(str::trim).rfind(|line| !line.is_empty());
        last.map_or_else(|| format!("no greeting on port {}", self.port), str::to_owned)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}

/// An sshd for one connection, which ends with it.
fn serve(program: &Path, settings: &Path, stream: TcpStream) -> std::io::Result<()> {
    let (stdin, stdout) = (OwnedFd::from(stream.try_clone()?), OwnedFd::from(stream));
    let mut child = sshd(program, settings)?.arg("-i").stdin(stdin).stdout(stdout).spawn()?;
    std::thread::spawn(move || child.wait());
    Ok(())
}

fn sshd(program: &Path, settings: &Path) -> std::io::Result<Command> {
    let log = fs::File::options().create(true).append(true).open(log_of(settings))?;
    let mut command = Command::new(program);
    // An interrupt at the terminal is for the demo.
    command.args(["-e", "-f"]).arg(settings).stderr(log).process_group(0);
    Ok(command)
}

fn log_of(settings: &Path) -> PathBuf {
    settings.with_extension("log")
}

fn make_key(path: &Path) -> Result<(), Trouble> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "tidegate demo", "-f"]).arg(path);
    let status = command.status().map_err(|error| broken("make a key", error))?;
    if status.success() { Ok(()) } else { Err(broken("make a key", status)) }
}

fn host(folder: &Path, name: &str, port: u16) -> String {
    let (user, known) = (folder.join("user"), folder.join("known_hosts"));
    format!(
        "Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
         UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n",
        quoted_literal(&user),
        quoted_literal(&known)
    )
}

fn sshd_config(folder: &Path, key: &Path, home: &Path, port: u16) -> String {
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey \"{}\"\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
         StrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nSetEnv \"HOME={}\"\n",
        key.display(),
        quoted_literal(&folder.join("user.pub")),
        home.display()
    )
}

/// A path where ssh looks for percent signs that stand for something.
fn quoted_literal(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// Whether an sshd answers there.
fn greets(port: u16) -> bool {
    let mut greeting = [0; 4];
    let greeted = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.read_exact(&mut greeting)
    });
    greeted.is_ok() && &greeting == b"SSH-"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sshd_that_dies_at_once_is_not_waited_for_and_its_last_word_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let program = folder.path().join("sshd");
        fs::write(&program, "#!/bin/sh\necho no hostkeys available >&2\necho >&2\nexit 1\n").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, executable).unwrap();
        let host = Host::answer(&program, folder.path().join("a.conf"), port, listener);
        assert!(!greets(port));
        assert_eq!(host.last_word(), "no hostkeys available");
    }

    #[test]
    fn paths_are_quoted_and_have_no_percent_that_means_something() {
        let folder = Path::new("/tmp/a b%h");
        let config = host(folder, "prod-1", 7);
        assert!(config.contains("IdentityFile \"/tmp/a b%%h/user\"\n"), "{config}");
        let config = sshd_config(folder, &folder.join("k"), &folder.join("home"), 7);
        assert!(config.contains("HostKey \"/tmp/a b%h/k\"\n"), "{config}");
        assert!(config.contains("AuthorizedKeysFile \"/tmp/a b%%h/user.pub\"\n"), "{config}");
        assert!(config.contains("SetEnv \"HOME=/tmp/a b%h/home\"\n"), "{config}");
    }
}
