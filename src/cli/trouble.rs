//! Why a command came to nothing, in the one form that all of them say it.

use super::{Exit, talk};

/// What went wrong: a stable code, words, the way out, and how the command ends.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) help: String,
    pub(super) exit: Exit,
}

impl Trouble {
    pub(super) fn new(
        code: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
        exit: Exit,
    ) -> Trouble {
        Trouble { code: code.into(), message: message.into(), help: help.into(), exit }
    }

    /// Says it, and how the command ends.
    pub(super) fn say(&self) -> Exit {
        talk::fail(&self.code, &self.message, &self.help);
        self.exit
    }
}

/// Errors whose words read after "failed to".
macro_rules! from_error {
    ($($error:ty => $exit:expr),* $(,)?) => {
        $(impl From<$error> for Trouble {
            fn from(error: $error) -> Trouble {
                Trouble::new(error.code(), format!("failed to {error}"), error.help(), $exit)
            }
        })*
    };
}

from_error! {
    crate::settings::SettingsError => Exit::Usage,
    crate::settings::StateDirError => Exit::Failed,
    crate::settings::TokenError => Exit::Failed,
    crate::archive::Error => Exit::Failed,
    crate::artifact::Error => Exit::Failed,
    crate::source::Error => Exit::Failed,
}

impl From<crate::journal::Error> for Trouble {
    fn from(error: crate::journal::Error) -> Trouble {
        let help = error.help().unwrap_or_default();
        Trouble::new(error.code(), format!("failed to {error}"), help, Exit::Failed)
    }
}

impl From<crate::engine::ReplayError> for Trouble {
    fn from(error: crate::engine::ReplayError) -> Trouble {
        Trouble::new(error.code(), error.to_string(), error.help(), Exit::Failed)
    }
}
