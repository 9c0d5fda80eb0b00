//! What something is like, in one sign. Each has a form of its own, so that colour is never needed.

use super::Tone;

/// What a tier or run is like, in one sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// Something failed, or is not where it should be.
    Failed,
    /// A person must say something.
    Person,
    /// Something runs.
    Runs,
    /// Somebody holds it.
    Held,
    /// Time or something else must pass.
    Waits,
    /// All is well.
    Fine,
    /// Nothing is there yet.
    Nothing,
}

impl Sign {
    /// All of them, and what each is for.
    pub const ALL: [(Sign, &'static str); 7] = [
        (Sign::Failed, "failed, rejected, goes back, or a node is not as it should be"),
        (Sign::Person, "waits for a person: a confirmation, or to be promoted by hand"),
        (Sign::Runs, "runs: gates, deploys, a build"),
        (Sign::Held, "held: nothing enters by itself"),
        (Sign::Waits, "waits for time, or for something before it"),
        (Sign::Fine, "as it should be"),
        (Sign::Nothing, "nothing there yet"),
    ];

    pub(crate) fn tone(self) -> Tone {
        match self {
            Sign::Failed => Tone::Bad,
            Sign::Person | Sign::Runs | Sign::Held | Sign::Waits => Tone::Wait,
            Sign::Fine => Tone::Good,
            Sign::Nothing => Tone::Quiet,
        }
    }

    /// The sign; where only ASCII is shown, another.
    pub(crate) fn form(self, unicode: bool) -> &'static str {
        let (wide, plain) = match self {
            Sign::Failed => ("✗", "x"),
            Sign::Person => ("◆", "?"),
            Sign::Runs => ("▶", ">"),
            Sign::Held => ("∥", "="),
            Sign::Waits => ("◷", "~"),
            Sign::Fine => ("✓", "+"),
            Sign::Nothing => ("·", "-"),
        };
        if unicode { wide } else { plain }
    }
}
