//! Cargo's command lines: what each gate says to cargo, with a user's own arguments where they are meant.

use super::Kind;
use std::ffi::{OsStr, OsString};

/// What follows `cargo`.
pub(super) fn of(kind: Kind, args: &[OsString]) -> Vec<OsString> {
    // `+nightly` is for rustup and stands before everything.
    let is_toolchain = |arg: &OsString| arg.as_encoded_bytes().starts_with(b"+");
    let (toolchain, args) = args.split_at(args.iter().take_while(|arg| is_toolchain(arg)).count());
    let mut words: Vec<OsString> = toolchain.to_vec();
    words.push(kind.name().into());
    let (own, rest) = match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], Some(&args[at + 1..])),
        None => (args, None),
    };
    match kind {
        Kind::Test | Kind::Clippy => {
            if !says(own, "--message-format") {
                words.push("--message-format=json".into());
            }
            words.extend_from_slice(own);
            let rest = match (kind, rest) {
                (Kind::Clippy, None) => Some(["-D", "warnings"].map(OsString::from).to_vec()),
                (_, rest) => rest.map(<[OsString]>::to_vec),
            };
            behind(&mut words, rest.unwrap_or_default());
        }
        Kind::Fmt => {
            if !says(own, "--check") {
                words.push("--check".into());
            }
            words.extend_from_slice(own);
            let mut rest = rest.unwrap_or_default().to_vec();
            if !says(&rest, "--color") {
                rest.extend(["--color", "never"].map(OsString::from));
            }
            behind(&mut words, rest);
        }
        Kind::Deny => {
            if !says(args, "--format") {
                words.extend(["--format", "json"].map(OsString::from));
            }
            if !args.iter().any(|arg| arg == "check") {
                words.push("check".into());
            }
            words.extend_from_slice(args);
        }
    }
    words
}

/// Whether an option is among the words, with its value or before it.
fn says(words: &[OsString], option: &str) -> bool {
    let begins = |word: &OsStr| {
        let rest = word.as_encoded_bytes().strip_prefix(option.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
    };
    words.iter().any(|word| begins(word))
}

fn behind(words: &mut Vec<OsString>, rest: Vec<OsString>) {
    if !rest.is_empty() {
        words.push("--".into());
        words.extend(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: Kind, args: &str) -> String {
        let args: Vec<OsString> = args.split_whitespace().map(OsString::from).collect();
        of(kind, &args).join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn what_stands_behind_the_dashes_stays_there() {
        assert_eq!(said(Kind::Test, ""), "test --message-format=json");
        assert_eq!(
            said(Kind::Test, "--workspace -- --ignored x"),
            "test --message-format=json --workspace -- --ignored x"
        );
        assert_eq!(said(Kind::Test, "--message-format short"), "test --message-format short");
        assert_eq!(said(Kind::Fmt, "--all"), "fmt --check --all -- --color never");
        assert_eq!(said(Kind::Fmt, "--check -- --color=always"), "fmt --check -- --color=always");
    }

    #[test]
    fn clippy_denies_warnings_unless_told_otherwise() {
        assert_eq!(said(Kind::Clippy, ""), "clippy --message-format=json -- -D warnings");
        let all = "clippy --message-format=json --all-targets -- -D warnings";
        assert_eq!(said(Kind::Clippy, "--all-targets"), all);
        let own = "clippy --message-format=json -- -W clippy::pedantic";
        assert_eq!(said(Kind::Clippy, "-- -W clippy::pedantic"), own);
        assert_eq!(said(Kind::Clippy, "--"), "clippy --message-format=json");
    }

    #[test]
    fn deny_takes_arguments_of_check_or_its_own_with_check() {
        assert_eq!(said(Kind::Deny, ""), "deny --format json check");
        assert_eq!(said(Kind::Deny, "licenses bans"), "deny --format json check licenses bans");
        assert_eq!(
            said(Kind::Deny, "--all-features check licenses"),
            "deny --format json --all-features check licenses"
        );
    }

    #[test]
    fn a_toolchain_comes_first() {
        assert_eq!(said(Kind::Fmt, "+nightly --all"), "+nightly fmt --check --all -- --color never");
    }
}
