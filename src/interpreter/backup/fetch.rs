//! What of a node is the backup, where it is from in words, and how its bytes get into a file on this machine.

use crate::domain::pipeline::{Node, Script};
use crate::interpreter::environment;
use std::ffi::OsString;
use std::path::Path;

/// The script that puts a command's output into a file.
const FETCH: &str = include_str!("fetch.sh");

/// What of a node is the backup.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    /// What a command writes to its standard output.
    Output(&'a Script),
    /// What is in a file.
    File(&'a str),
}

impl What<'_> {
    /// The command whose output is the backup, where that is.
    pub(super) fn command(self) -> Vec<OsString> {
        match self {
            What::Output(script) => environment::argv(script),
            What::File(path) => ["cat", "--", path].map(OsString::from).to_vec(),
        }
    }
}

/// The command that is the gate's step for a node of this machine: when it ends with 0, the backup is in `target`, and what
/// it said on the way is in the run's log.
pub(super) fn argv(what: What<'_>, target: &Path) -> Vec<OsString> {
    let fetch = ["/bin/sh", "-c", FETCH].map(OsString::from);
    fetch.into_iter().chain([target.as_os_str().to_owned()]).chain(what.command()).collect()
}

/// Where a backup is from, as a URL: of the node, with the file or, behind a `#`, the command.
pub(super) fn source(node: &Node, what: What<'_>) -> String {
    let command = |script: &Script| match script {
        Script::Shell(text) => text.trim().to_owned(),
        Script::Argv(words) => words.join(" "),
    };
    match (&node.ssh, what) {
        (Some(host), What::File(path)) => format!("ssh://{host}{path}"),
        (Some(host), What::Output(script)) => format!("ssh://{host}#{}", command(script)),
        (None, What::File(path)) => format!("file://{path}"),
        (None, What::Output(script)) => format!("local:{}", command(script)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn node(ssh: Option<&str>) -> Node {
        Node { name: "a1".into(), was: None, ssh: ssh.map(Into::into), env: BTreeMap::new() }
    }

    #[test]
    fn what_is_fetched_never_becomes_part_of_our_script() {
        let odd = Script::Shell("echo '$(id)' \"$0\"".into());
        let words = argv(What::Output(&odd), Path::new("/t/$(id)"));
        assert_eq!(words[2], FETCH);
        assert_eq!(words[3..], ["/t/$(id)", "/bin/sh", "-c", "echo '$(id)' \"$0\""]);
        assert_eq!(argv(What::File("/-x"), Path::new("/t"))[3..], ["/t", "cat", "--", "/-x"]);
    }

    #[test]
    fn where_it_is_from_is_a_url() {
        let (here, there) = (node(None), node(Some("deploy@a1.internal")));
        let dump = Script::Argv(vec!["pg_dump".into(), "-Fc".into(), "shop".into()]);
        assert_eq!(source(&here, What::File("/b/shop.dump")), "file:///b/shop.dump");
        assert_eq!(source(&here, What::Output(&dump)), "local:pg_dump -Fc shop");
        assert_eq!(source(&there, What::File("/b/shop.dump")), "ssh://deploy@a1.internal/b/shop.dump");
        assert_eq!(source(&there, What::Output(&dump)), "ssh://deploy@a1.internal#pg_dump -Fc shop");
    }
}
