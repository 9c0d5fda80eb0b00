//! What cargo and rustup themselves complain about before a tool has begun: a tool that is not there, a network that
//! does not answer, a manifest that cannot be read.

use super::{Kind, Verdict};
use crate::domain::Classification;

/// What rustup says that finds no toolchain where it looks: mostly it looks in the wrong place.
pub(in crate::interpreter) const NO_CHOICE: &str = "rustup could not choose a version";

/// What helps then.
pub(in crate::interpreter) const ELSEWHERE: &str = "steps get PATH, HOME, LANG and TZ of the controller only: where the toolchains are elsewhere, \
                                    say RUSTUP_HOME and CARGO_HOME in `[env]` of the pipeline; where there are none, \
                                    `rustup default stable`";

/// Complaints of one run.
#[derive(Default)]
pub(super) struct Trouble {
    first: Option<String>,
    missing: Option<&'static str>,
    toolchain: Option<String>,
    is_network: bool,
}

impl Trouble {
    /// Takes a line that a tool did not say as a message.
    pub(super) fn line(&mut self, kind: Kind, line: &str) {
        if line.starts_with("warning: spurious network error") {
            self.is_network = true;
        }
        let Some(complaint) = line.strip_prefix("error: ") else { return };
        if self.first.is_none() {
            self.first = Some(line.to_owned());
        }
        let program = match kind {
            Kind::Test => None,
            Kind::Clippy => Some("cargo-clippy"),
            Kind::Fmt => Some("cargo-fmt"),
            Kind::Deny => Some("cargo-deny"),
        };
        let is_ours = |program: &str| {
            let named = ["no such command: `", "no such subcommand: `"]
                .iter()
                .any(|start| complaint.starts_with(&format!("{start}{}`", kind.name())));
            let absent = complaint.contains("is not installed") || complaint.contains("is not applicable");
            named || (absent && complaint.contains(&format!("'{program}")))
        };
        if let Some(program) = program.filter(|program| is_ours(program)) {
            self.missing = Some(program);
        } else if complaint.starts_with("'rustfmt") && complaint.contains("is not installed") {
            self.missing = Some("rustfmt");
        } else if complaint.starts_with("toolchain '") && complaint.contains("is not installed")
            || complaint.starts_with(NO_CHOICE)
        {
            self.toolchain = Some(complaint.to_owned());
        }
    }

    /// What hindered the tool, if anything did. To be asked where the tool itself said nothing.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        if let Some(tool) = self.missing {
            let missing = Some(tool.to_owned());
            return Some(Verdict { missing, ..Verdict::of(Classification::MissingTool, None) });
        }
        if let Some(complaint) = &self.toolchain {
            let message = Some(match complaint.starts_with(NO_CHOICE) {
                true => format!("{complaint}; {ELSEWHERE}"),
                false => format!("{complaint}; install it with `rustup toolchain install`"),
            });
            let missing = Some("cargo".to_owned());
            return Some(Verdict { missing, ..Verdict::of(Classification::MissingTool, message) });
        }
        let class =
            if self.is_network { Classification::Infrastructure } else { Classification::CheckFailed };
        self.first.as_ref().map(|first| Verdict::of(class, Some(first.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(kind: Kind, lines: &str) -> Option<Verdict> {
        let mut trouble = Trouble::default();
        lines.lines().for_each(|line| trouble.line(kind, line));
        trouble.verdict()
    }

    #[test]
    fn tools_that_are_not_there_are_named() {
        let missing = |kind, lines| verdict(kind, lines).and_then(|verdict| verdict.missing);
        let cargo =
            "error: no such command: `deny`\n\nhelp: view all installed commands with `cargo --list`\n";
        assert_eq!(missing(Kind::Deny, cargo).as_deref(), Some("cargo-deny"));
        let rustup = "error: 'cargo-clippy' is not installed for the toolchain 'stable-x86_64-unknown-linux-gnu'.\n\
            To install, run `rustup component add clippy`\n";
        assert_eq!(missing(Kind::Clippy, rustup).as_deref(), Some("cargo-clippy"));
        let binary = "error: the 'cargo-fmt' binary, normally provided by the 'rustfmt' component, is not applicable to the 'x' toolchain";
        assert_eq!(missing(Kind::Fmt, binary).as_deref(), Some("cargo-fmt"));
        assert_eq!(missing(Kind::Fmt, "error: 'rustfmt' is not installed for x").as_deref(), Some("rustfmt"));
        let toolchain = verdict(Kind::Test, "error: toolchain '1.2.3' is not installed").unwrap();
        assert_eq!(toolchain.classification, Classification::MissingTool);
        assert!(toolchain.message.unwrap().contains("rustup toolchain install"));
        let elsewhere =
            verdict(Kind::Test, "error: rustup could not choose a version of cargo to run").unwrap();
        assert!(elsewhere.message.unwrap().contains("RUSTUP_HOME"));
    }

    #[test]
    fn other_complaints_are_passed_on() {
        let other =
            verdict(Kind::Test, "error: the package 'x' does not contain this feature: y\n\nhelp: z\n");
        let other = other.unwrap();
        assert_eq!((other.classification, other.missing), (Classification::CheckFailed, None));
        assert_eq!(other.message.unwrap(), "error: the package 'x' does not contain this feature: y");
        let offline =
            "warning: spurious network error (3 tries remaining): [6] no host\nerror: failed to x\n";
        assert_eq!(verdict(Kind::Test, offline).unwrap().classification, Classification::Infrastructure);
        assert_eq!(verdict(Kind::Test, "all is well\nerror[E1]: x"), None);
    }
}
