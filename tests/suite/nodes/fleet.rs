//! Real sshd processes on loopback as nodes: each has a port, a host key and a home folder of its own, and can be killed,
//! started again and given another key, as a real host can.

use crate::whole::port::Port;
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A node is up within that time, or never.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Fleet {
    folder: PathBuf,
    pub(crate) nodes: Vec<Node>,
}

pub(crate) struct Node {
    pub(crate) name: String,
    /// Its account's home.
    pub(crate) home: PathBuf,
    port: Port,
    folder: PathBuf,
    sshd: Option<Child>,
}

/// Where sshd is; none: this machine has none, and nodes are not tested on it.
fn sshd() -> Option<PathBuf> {
    let known = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/lib/ssh/sshd", "/sbin/sshd"];
    known.iter().map(PathBuf::from).find(|path| path.exists())
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

impl Fleet {
    /// Nodes of these names, all up, and `ssh_config` in the folder, by which they are known. `more`: lines for each
    /// sshd's configuration.
    pub(crate) fn raise(folder: &Path, names: &[&str], more: &str) -> Option<Fleet> {
        let Some(program) = sshd() else {
            eprintln!("not tested here: there is no sshd");
            return None;
        };
        // Where a privileged sshd wants to lock itself in.
        let _ = fs::create_dir_all("/run/sshd");
        let keys = folder.join("keys");
        fs::create_dir_all(&keys).expect("a folder");
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&keys.join("user"))]);
        let mut fleet = Fleet { folder: folder.to_owned(), nodes: Vec::new() };
        for name in names {
            fleet.nodes.push(Node::make(folder, name, more));
        }
        for node in &mut fleet.nodes {
            node.begin(&program);
        }
        fleet.write_config();
        fleet.nodes.iter().for_each(Node::wait_until_up);
        Some(fleet)
    }

    /// What ssh needs to know: ports, the key, and the nodes' host keys as they are now.
    pub(crate) fn write_config(&self) {
        let (user, known) = (self.folder.join("keys/user"), self.folder.join("known_hosts"));
        let account = rustix::process::getuid().is_root().then_some("root".to_owned());
        let account = account.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "root".into());
        let (mut config, mut hosts) = (String::new(), String::new());
        for node in &self.nodes {
            let key = fs::read_to_string(node.folder.join("host.pub")).expect("a key");
            writeln!(hosts, "[127.0.0.1]:{} {}", node.port.number, key.trim()).expect("text");
            writeln!(
                config,
                "Host {}\n  HostName 127.0.0.1\n  Port {}\n  User {account}\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
                 UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null",
                node.name,
                node.port.number,
                user.display(),
                known.display()
            )
            .expect("text");
        }
        fs::write(known, hosts).expect("written");
        fs::write(self.folder.join("ssh_config"), config).expect("written");
    }

    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name == name).expect("a node of that name")
    }
}

impl Node {
    fn make(folder: &Path, name: &str, more: &str) -> Node {
        let place = folder.join("nodes").join(name);
        let home = place.join("home");
        fs::create_dir_all(&home).expect("a folder");
        let port = Port::reserve();
        let node = Node { name: name.to_owned(), home, port, folder: place, sshd: None };
        node.make_key();
        let config = format!(
            "{more}\nPort {2}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {1}/keys/user.pub\nPidFile none\n\
             UsePAM no\nStrictModes no\nPermitRootLogin yes\nMaxStartups 200\nMaxSessions 50\nSetEnv HOME={0}/home\n",
            node.folder.display(),
            folder.display(),
            node.port.number,
        );
        fs::write(node.folder.join("sshd_config"), config).expect("written");
        node
    }

    fn make_key(&self) {
        let key = self.folder.join("host");
        let _ = fs::remove_file(&key);
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&key)]);
    }

    fn begin(&mut self, program: &Path) {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let child = Command::new(program)
            .args(["-D", "-e", "-f", text(&self.folder.join("sshd_config"))])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn();
        self.sshd = Some(child.expect("sshd starts"));
    }

    /// Waits until the node greets.
    pub(crate) fn wait_until_up(&self) {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let mut greeting = [0; 4];
            let greeted = TcpStream::connect(("127.0.0.1", self.port.number)).and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                stream.read_exact(&mut greeting)
            });
            if greeted.is_ok() && &greeting == b"SSH-" {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        panic!("{} does not come up: {log}", self.name);
    }

    /// Takes the power away: sshd, its sessions, and all that they started.
    pub(crate) fn kill(&mut self) {
        self.close();
        for (pid, _) in self.processes() {
            let pid = rustix::process::Pid::from_raw(pid).expect("a process");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    /// Ends sshd and its connections; what sessions started lives on.
    pub(crate) fn close(&mut self) {
        let Some(mut sshd) = self.sshd.take() else { return };
        let group = rustix::process::Pid::from_child(&sshd);
        // The group is that of the listener and of all its connections.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = sshd.wait();
    }

    /// Starts sshd again.
    pub(crate) fn start(&mut self) {
        self.begin(&sshd().expect("there was one"));
        self.wait_until_up();
    }

    /// Becomes another host at the same address.
    pub(crate) fn change_key(&mut self) {
        self.close();
        self.make_key();
        self.start();
    }

    /// What runs below its account, but for what sshd itself needs.
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
        let mark = [b"HOME=", self.home.as_os_str().as_encoded_bytes()].concat();
        crate::whole::world::those_that(|environ| environ.split(|byte| *byte == 0).any(|one| one == mark))
    }

    /// Waits until nothing runs there.
    pub(crate) fn wait_until_idle(&self) {
        let begin = Instant::now();
        loop {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "still there: {processes:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where it listens on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    /// The id of sshd, and of the group of its connections.
    pub(crate) fn pid(&self) -> u32 {
        self.sshd.as_ref().expect("it is up").id()
    }

    /// Waits until a file there holds a text.
    pub(crate) fn wait_until(&self, name: &str, text: &str) {
        let begin = Instant::now();
        loop {
            let found = fs::read_to_string(self.home.join(name)).unwrap_or_default();
            if found.contains(text) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "`{text}` is not in {name}: {found}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.home.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
