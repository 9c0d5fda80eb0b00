//! The stable codes of diagnostics about pipeline files. A code is never given a new meaning.

/// What a diagnostic is about. The number is its stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    Syntax,
    NotText,
    UnknownKey,
    WrongType,
    UnknownValue,
    MissingKey,
    OutOfRange,
    BadSpan,
    BadSize,
    BadName,
    NameTwice,
    UnknownTier,
    UnknownNeed,
    Cycle,
    Unreachable,
    BadGlob,
    UnknownArtifact,
    BadPath,
    NodesWithoutDeploy,
    DeployDoesNothing,
    UnknownSecret,
    BadVariable,
    SayOne,
    DoesNotGoWith,
    WindowNeverOpens,
    FreezeIsEmpty,
    UnknownZone,
    BadCron,
    BadAddress,
    BadShare,
    Empty,
    UnknownNode,
    UnusedSecret,
    NotExecuted,
    PipelineTwice,
    UnknownKind,
    UnknownDefinitionShape,
    FreezeIsOver,
    NeverComes,
    BadRef,
    RefNotTaken,
    BackupComesLater,
    GuardHere,
    FenceElsewhere,
    FencesNothing,
    AccountsOfOneBuild,
    ManyProblems,
}

impl Code {
    /// As it stands in diagnostics: `TG-DEF-003`.
    pub(super) fn text(self) -> String {
        format!("TG-DEF-{:03}", self as u32 + 1)
    }
}
