//! What goes wrong between here and a node, told from what ssh says, with the way out.

use crate::printable;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::process::ExitStatus;

/// Columns of what a node says that are shown.
const SHOWN: usize = 200;

/// Text of a node for people: one line, and not a long one.
pub(super) fn short(text: &str) -> String {
    let line = printable::line(text);
    printable::truncate_width(&line, SHOWN).into_owned()
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// There is no way to the node. Nothing was done there.
    Unreachable,
    /// The node is not who it should be, or refuses us, or its account is not fit for our work. Nothing was done there.
    Refused,
    /// The connection ended in the middle. What was going on there is ended by the node's side, or never came.
    Lost,
    /// The node said no to something: no room, no permission.
    Failed,
    /// What was to be sent is not what was built.
    Corrupt,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Of what kind.
    pub kind: Kind,
    /// For people: a sentence without full stop, the way out behind a semicolon. It may hold text from outside.
    pub message: String,
}

impl Trouble {
    /// Of a kind, with words.
    pub fn new(kind: Kind, message: impl Into<String>) -> Trouble {
        Trouble { kind, message: message.into() }
    }

    /// ssh could not even be started.
    pub(super) fn no_client(program: &str, error: &std::io::Error) -> Trouble {
        let help = if error.kind() == std::io::ErrorKind::NotFound {
            "; install the OpenSSH client on the controller, or say where it is with `ssh_command`"
        } else {
            ""
        };
        Trouble::new(Kind::Unreachable, format!("failed to start `{program}`: {error}{help}"))
    }

    /// ssh ended before the node said anything of ours.
    pub(super) fn before_start(
        host: &str,
        status: Option<ExitStatus>,
        ssh_said: &str,
        printed: &str,
    ) -> Trouble {
        if let Some((_, (words, kind, help))) = found(ssh_said) {
            let exact = if *words == CHANGED_KEY { forget(ssh_said) } else { None };
            let help = exact.as_deref().unwrap_or(help);
            return Trouble::new(*kind, format!("`{host}`: {}; {help}", telling(ssh_said)));
        }
        match status.and_then(|status| status.code()) {
            Some(255) | None => {
                let said = telling(ssh_said);
                let said = if said.is_empty() { "ssh ended without a word" } else { said };
                let help = format!("try `ssh {host} true` as the user who runs tidegate");
                Trouble::new(Kind::Unreachable, format!("`{host}`: {said}; {help}"))
            }
            Some(code) => {
                let printed = telling(if printed.trim().is_empty() { ssh_said } else { printed });
                let message = format!(
                    "the login on `{host}` ended with status {code} before it ran anything, and printed `{printed}`; \
                     the account needs a login shell that runs commands"
                );
                Trouble::new(Kind::Refused, message)
            }
        }
    }

    /// What the login prints has no end.
    pub(super) fn prints_on(host: &str) -> Trouble {
        let message = format!("the login on `{host}` prints without end; its profile must print nothing");
        Trouble::new(Kind::Refused, message)
    }

    /// ssh ended in the middle.
    pub(super) fn lost(host: &str, ssh_said: &str) -> Trouble {
        let said = telling(ssh_said);
        let said = if said.is_empty() { "it ended without a word" } else { said };
        Trouble::new(Kind::Lost, format!("the connection to `{host}` was lost: {said}"))
    }

    /// Somebody else has the lock by now.
    pub(super) fn turn(host: &str) -> Trouble {
        let message = format!(
            "somebody else has taken `{host}`, which heard nothing of this run for too long; it does no more there"
        );
        Trouble::new(Kind::Failed, message)
    }

    /// The node is not fit for our work.
    pub(super) fn unfit(host: &str, what: &str) -> Trouble {
        let message = match what {
            "turn" => return Trouble::turn(host),
            "home" => format!(
                "the account on `{host}` has no home folder that it can write to; tidegate keeps its lock in `.tidegate` there"
            ),
            "room" => {
                format!("no room on `{host}` to write a line to `.tidegate` in the home folder; free some")
            }
            "timeout" => format!(
                "`{host}` has no `timeout` that is fit for this: of coreutils, or of busybox 1.30 or newer, 1.35 for \
                 `confirm_within`"
            ),
            tool => format!(
                "`{host}` has no `{}` in its PATH; it comes with coreutils and util-linux, or with busybox",
                short(tool)
            ),
        };
        Trouble::new(Kind::Refused, message)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Trouble {}

/// What OpenSSH's own words mean.
const KNOWN: [(&str, Kind, &str); 15] = [
    (
        "Session open refused by peer",
        Kind::Failed,
        "sshd there allows too few sessions on one connection; `MaxSessions` must be 3 at least",
    ),
    (
        CHANGED_KEY,
        Kind::Refused,
        "if the node was replaced on purpose: `ssh-keygen -R HOST`, and add its new key to known_hosts",
    ),
    (
        "Host key verification failed",
        Kind::Refused,
        "compare the node's key with your own record, then add it: `ssh-keyscan HOST >> ~/.ssh/known_hosts`",
    ),
    (
        "host key is known for",
        Kind::Refused,
        "compare the node's key with your own record, then add it: `ssh-keyscan HOST >> ~/.ssh/known_hosts`",
    ),
    ("is marked as revoked", Kind::Refused, "the node's key is on the list of revoked keys"),
    ("revoked by file", Kind::Refused, "the node's key is on the list of revoked keys"),
    (
        "Permission denied (",
        Kind::Refused,
        "the node takes none of the keys that tidegate's user has; add one to authorized_keys there, or to the agent here",
    ),
    (
        "Too many authentication failures",
        Kind::Refused,
        "say which key with `IdentityFile` and `IdentitiesOnly yes`",
    ),
    ("Could not resolve hostname", Kind::Unreachable, "is the name right, and known to this machine?"),
    ("Connection refused", Kind::Unreachable, "no sshd listens there; is the node up, and the port right?"),
    ("Connection timed out", Kind::Unreachable, "is the node up, and does a firewall let ssh through?"),
    ("Operation timed out", Kind::Unreachable, "is the node up, and does a firewall let ssh through?"),
    ("No route to host", Kind::Unreachable, "is the node up, and its network?"),
    ("Network is unreachable", Kind::Unreachable, "is this machine's network up?"),
    (
        "Bad configuration option",
        Kind::Unreachable,
        "this ssh is older than OpenSSH 7.6, or its configuration is wrong",
    ),
];

/// How ssh begins to speak of a key that is not the one that it knows.
const CHANGED_KEY: &str = "REMOTE HOST IDENTIFICATION HAS CHANGED";

/// The way out of a changed key, with the file and the name that ssh has just named: `Offending ED25519 key in FILE:LINE`
/// and `Host key for NAME has changed and …`. None where it said neither, or something that no shell would take as it is.
fn forget(ssh_said: &str) -> Option<String> {
    let place = ssh_said.lines().find(|line| line.starts_with("Offending "))?.split_once(" key in ")?.1;
    let file = place.trim_end().rsplit_once(':')?.0;
    let named = ssh_said.lines().find_map(|line| line.strip_prefix("Host key for "))?;
    let name = named.split_once(" has changed")?.0;
    if [file, name].iter().any(|word| word.contains(['\'', '`']) || word.chars().any(char::is_control)) {
        return None;
    }
    Some(format!(
        "if the node was replaced on purpose: `ssh-keygen -f '{file}' -R '{name}'`, then add its new key there"
    ))
}

/// The one of ssh's words that ends it, for a key that is not to be trusted: what is wrong with it was said before.
const NO_KEY: &str = "Host key verification failed";

type Known = &'static (&'static str, Kind, &'static str);

/// What of ssh's own words is in a text, and the line. Sought from the end: a node may print its own before, but not once
/// ssh has given up, nor before its key is known.
fn found(text: &str) -> Option<(&str, Known)> {
    let of = |line: &str| KNOWN.iter().find(|(words, ..)| line.contains(words));
    let lines = text.lines().map(str::trim);
    let last = lines.clone().rev().find_map(|line| Some((line, of(line)?)))?;
    if last.1.0 != NO_KEY {
        return Some(last);
    }
    let mut others = KNOWN.iter().filter(|known| known.0 != NO_KEY);
    others.find_map(|known| Some((lines.clone().find(|line| line.contains(known.0))?, known))).or(Some(last))
}

/// The line that tells most: the last that is not decoration.
fn telling(text: &str) -> &str {
    let is_telling = |line: &&str| line.chars().any(char::is_alphanumeric) && !line.starts_with("debug");
    let named = found(text).map(|(line, _)| line);
    named.or_else(|| text.lines().map(str::trim).rfind(is_telling)).unwrap_or("").trim_matches(['@', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn before_start(code: i32, ssh_said: &str, printed: &str) -> Trouble {
        Trouble::before_start("a1", Some(ExitStatus::from_raw(code << 8)), ssh_said, printed)
    }

    #[test]
    fn what_ssh_says_has_a_kind_and_a_way_out() {
        let changed = "@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@\n\
                       Host key verification failed.\n";
        let trouble = before_start(255, changed, "");
        assert_eq!(trouble.kind, Kind::Refused);
        assert!(
            trouble.message.contains("IDENTIFICATION HAS CHANGED!; if the node was replaced"),
            "{trouble}"
        );
        let named = changed.replace(
            "Host key ver",
            "Offending ED25519 key in /root/.ssh/known_hosts:3\r\n  remove with:\r\n\
             Host key for [::1]:2222 has changed and you have requested strict checking.\r\nHost key ver",
        );
        let command = "`ssh-keygen -f '/root/.ssh/known_hosts' -R '[::1]:2222'`, then add";
        assert!(before_start(255, &named, "").message.contains(command));
        let hostile = named.replace("known_hosts:3", "x' -R y; id #:3");
        assert!(before_start(255, &hostile, "").message.contains("`ssh-keygen -R HOST`"));
        let trouble = before_start(255, "ssh: connect to host a1 port 22: Connection refused\r\n", "");
        assert_eq!(trouble.kind, Kind::Unreachable);
        assert!(trouble.message.contains("is the node up"), "{trouble}");
        let trouble = before_start(255, "root@a1: Permission denied (publickey).\n", "");
        assert_eq!(trouble.kind, Kind::Refused);
        let trouble = before_start(255, "kex_exchange_identification: read: Connection reset by peer\n", "");
        assert_eq!(trouble.kind, Kind::Unreachable);
        assert!(trouble.message.contains("Connection reset by peer; try `ssh a1 true`"), "{trouble}");
    }

    #[test]
    fn what_a_node_prints_is_not_taken_for_words_of_ssh() {
        let banner =
            "Access of those whose keys were revoked has timed out.\nConnection refused by policy.\n";
        let trouble = before_start(255, &format!("{banner}root@a1: Permission denied (publickey).\n"), "");
        assert_eq!(trouble.kind, Kind::Refused);
        assert!(trouble.message.contains("authorized_keys"), "{trouble}");
        let known =
            format!("{banner}Received disconnect from ::1 port 22:2: Too many authentication failures\n");
        assert!(before_start(255, &known, "").message.contains("IdentitiesOnly"), "{known}");
        let silent = "Sessions that timed out are revoked.\nConnection closed by 127.0.0.1 port 22\n";
        let trouble = before_start(255, silent, "");
        assert!(trouble.message.contains("Connection closed by"), "{trouble}");
        let revoked = "@ WARNING: REVOKED HOST KEY DETECTED! @\nThe ED25519 host key for a1 is marked as revoked.\n\
                       Host key verification failed.\n";
        assert!(before_start(255, revoked, "").message.contains("list of revoked keys"));
    }

    #[test]
    fn a_login_that_runs_nothing_is_a_refusal() {
        let trouble = before_start(1, "", "This account is currently not available.\n");
        assert_eq!(trouble.kind, Kind::Refused);
        assert!(trouble.message.contains("`This account is currently not available.`"), "{trouble}");
    }
}
