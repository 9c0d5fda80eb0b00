//! Hosts for the demo's production: an sshd for each node, on loopback, with a key, an account's home and a place among the
//! known hosts of its own. They end with the demo.

use super::stage::broken;
use crate::cli::Exit;
use crate::cli::trouble::Trouble;
use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An sshd that does not greet by then never will.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where systems put it.
const PLACES: [&str; 4] =
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/lib/ssh/sshd", "/run/current-system/sw/bin/sshd"];

/// The hosts, up.
pub(super) struct Hosts {
    sshds: Vec<Child>,
    config: PathBuf,
}

impl Hosts {
    /// Raises a host for each name and port; its home is the folder of that name in `homes`. Keys and configuration go
    /// into `folder`.
    pub(super) fn raise(folder: &Path, homes: &Path, nodes: &[(&str, u16)]) -> Result<Hosts, Trouble> {
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
        let mut hosts = Hosts { sshds: Vec::new(), config: folder.join("ssh_config") };
        let (mut known, mut config) = (String::new(), String::new());
        for (name, port) in nodes {
            let key = folder.join(name);
            make_key(&key)?;
            let public = fs::read_to_string(key.with_extension("pub")).map_err(failed("read a key"))?;
            known.push_str(&format!("[127.0.0.1]:{port} {public}"));
            config.push_str(&host(folder, name, *port));
            let settings = folder.join(format!("{name}.conf"));
            fs::write(&settings, sshd_config(folder, &key, &homes.join(name), *port))
                .map_err(failed("write the configuration of sshd"))?;
            hosts.sshds.push(begin(sshd, &settings).map_err(failed("start sshd"))?);
        }
        fs::write(folder.join("known_hosts"), known).map_err(failed("write the known hosts"))?;
        fs::write(&hosts.config, config).map_err(failed("write the configuration of ssh"))?;
        for (name, port) in nodes {
            if !greets(*port) {
                return Err(broken(
                    &format!("reach the sshd of `{name}`"),
                    format_args!("no greeting on port {port}"),
                ));
            }
        }
        Ok(hosts)
    }

    /// What `TIDEGATE_SSH_COMMAND` must be for a controller to reach them.
    pub(super) fn ssh_command(&self) -> String {
        format!("ssh -F '{}'", self.config.display())
    }

    /// Lets them run on.
    pub(super) fn leave(mut self) {
        self.sshds.clear();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for sshd in &mut self.sshds {
            // Gone already is what is wanted.
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
    }
}

fn make_key(path: &Path) -> Result<(), Trouble> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "tidegate demo", "-f"]).arg(path);
    let status = command.status().map_err(|error| broken("make a key", error))?;
    if status.success() { Ok(()) } else { Err(broken("make a key", status)) }
}

fn host(folder: &Path, name: &str, port: u16) -> String {
    let folder = folder.display();
    format!(
        "Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  \
         UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
    )
}

fn sshd_config(folder: &Path, key: &Path, home: &Path, port: u16) -> String {
    let (folder, key, home) = (folder.display(), key.display(), home.display());
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {key}\nAuthorizedKeysFile {folder}/user.pub\nPidFile none\n\
         UsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nSetEnv HOME={home}\n"
    )
}

fn begin(sshd: &Path, settings: &Path) -> std::io::Result<Child> {
    let log = fs::File::create(settings.with_extension("log"))?;
    Command::new(sshd)
        .args(["-D", "-e", "-f"])
        .arg(settings)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        // An interrupt at the terminal is for the demo.
        .process_group(0)
        .spawn()
}

fn greets(port: u16) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let mut greeting = [0; 4];
        let greeted = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.read_exact(&mut greeting)
        });
        if greeted.is_ok() && &greeting == b"SSH-" {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
