//! Text for a shell on a node: quoted values, a script, and all of it as one line that any login shell hands on unread.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// What every session runs, whatever it is for. It holds nothing that a login shell (sh, bash, zsh, fish, tcsh) could
/// take for its own: no `!`, no backslash, no line end.
pub const LINE: &str = r#"/bin/sh -c 'IFS= read -r s; eval "$s"'"#;

/// A script and what it is given.
#[derive(Clone, Default)]
pub struct Payload {
    text: Vec<u8>,
}

impl Payload {
    /// Nothing yet.
    pub fn new() -> Payload {
        Payload::default()
    }

    /// A variable of the script, which no program gets, not even where the login has one of that name for all. `name` is one
    /// of ours.
    pub fn set(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Payload {
        self.text.extend(
            [b"unset ", name.as_bytes(), b"\n", name.as_bytes(), b"=", &quoted(value.as_ref()), b"\n"]
                .concat(),
        );
        self
    }

    /// What the script's `environment` sets: variables for a program, and for nothing else on the way to it. Names that no
    /// shell can set are left out; which, is told.
    pub fn environment<'a>(
        mut self,
        env: impl IntoIterator<Item = (&'a OsString, &'a OsString)>,
    ) -> (Payload, Vec<OsString>) {
        let mut left_out = Vec::new();
        self.text.extend(b"environment() {\n:\n");
        for (name, value) in env {
            if is_name(name.as_bytes()) {
                let value = quoted(value);
                self.text.extend([b"export ", name.as_bytes(), b"=", &value, b"\n"].concat());
            } else {
                left_out.push(name.clone());
            }
        }
        self.text.extend(b"}\n");
        (self, left_out)
    }

    /// The positional parameters.
    pub fn arguments(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Payload {
        self.text.extend(b"set --");
        for word in words {
            self.text.extend([b" ", &quoted(word.as_ref())[..]].concat());
        }
        self.text.push(b'\n');
        self
    }

    /// A script of this folder: whole lines, comments on lines of their own.
    pub fn script(mut self, text: &'static str) -> Payload {
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            self.text.extend([line.as_bytes(), b"\n"].concat());
        }
        self
    }

    /// All of it as one line with its end. Simple commands, each with a `;`, may be put before it.
    pub fn into_line(self) -> Vec<u8> {
        let quoted = quoted(&OsString::from_vec(self.text));
        // A shell's IFS begins as space, tab and a line end.
        let mut line = b"n=${IFS#??};case $n in ?);;*)n=$(printf '\\nx');n=${n%x};esac;eval ".to_vec();
        for byte in quoted {
            match byte {
                b'\n' => line.extend(b"'\"$n\"'"),
                other => line.push(other),
            }
        }
        line.push(b'\n');
        line
    }
}

/// A call of a script's function, as one line with its end. Words with a line end cannot be said so.
pub(super) fn call(words: &[&OsStr]) -> Vec<u8> {
    let mut line: Vec<u8> = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(&b' ');
    line.push(b'\n');
    line
}

/// A word as a shell takes it for exactly these bytes.
pub(super) fn quoted(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            other => quoted.push(other),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// Names that some shell keeps to itself: setting one would end it.
const KEPT: [&[u8]; 8] =
    [b"UID", b"EUID", b"PPID", b"BASHOPTS", b"SHELLOPTS", b"BASH_VERSINFO", b"OPTIND", b"TIDEGATE_EVENTS"];

fn is_name(name: &[u8]) -> bool {
    if KEPT.contains(&name) {
        return false;
    }

    let is_start = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    name.first().is_some_and(is_start) && name.iter().all(|byte| is_start(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// What the line makes `shell` write, as a login shell on a node would be handed it.
    fn shown(shell: &str, payload: Payload) -> Vec<u8> {
        let mut child = Command::new(shell)
            .args(["-c", LINE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&payload.into_line()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{shell}: {output:?}");
        output.stdout
    }

    fn shells() -> Vec<&'static str> {
        let all = ["/bin/sh", "/bin/bash", "/bin/dash", "/usr/bin/fish", "/usr/bin/tcsh", "/bin/zsh"];
        all.into_iter().filter(|shell| std::path::Path::new(shell).exists()).collect()
    }

    #[test]
    fn every_value_arrives_as_it_is_through_every_login_shell() {
        let odd: Vec<u8> = (1..=255).collect();
        let values = ["", "$(touch /x) `id` $HOME \\ ! ' \" \n\n", "it's\nlast\n", "-n"];
        let mut wanted = Vec::new();
        let mut words: Vec<OsString> = values.iter().map(OsString::from).collect();
        words.push(OsString::from_vec(odd));
        for word in &words {
            wanted.extend([word.as_bytes(), b"|"].concat());
        }
        for shell in shells() {
            let payload = Payload::new().arguments(&words).script("printf '%s|' \"$@\"\n");
            assert_eq!(shown(shell, payload), wanted, "{shell}");
        }
    }

    #[test]
    fn only_the_environment_reaches_programs() {
        let env = [("A", "1\n2"), ("B C", "x"), ("", "y"), ("0D", "z")];
        let env: Vec<(OsString, OsString)> =
            env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let (payload, left_out) =
            Payload::new().set("own", "hidden").environment(env.iter().map(|(name, value)| (name, value)));
        assert_eq!(left_out, ["B C", "", "0D"]);
        let payload = payload.script("# not this\n(environment; sh -c 'printf \"%s,%s\" \"$A\" \"$own\"')\n");
        assert_eq!(shown("/bin/sh", payload), b"1\n2,");
    }

    #[test]
    fn what_a_login_gives_to_all_is_not_given_our_values() {
        let payload = Payload::new().set("own", "hidden").script("sh -c 'printf %s \"$own\"'\n");
        let text = [b"own=theirs; export own\n".to_vec(), payload.text].concat();
        assert_eq!(shown("/bin/sh", Payload { text }), b"");
    }

    #[test]
    fn the_line_is_one_line() {
        let line = Payload::new().set("a", "b\nc").script("echo\n").into_line();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
