//! What is known of the refs of a pipeline's repository.

use crate::domain::id::{EventId, Sha};
use serde::{Deserialize, Serialize};

/// What was last seen on a ref.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefHead {
    /// The last commit that a push named.
    pub seen: Sha,
    /// The last commit that was taken.
    pub taken: Option<Sha>,
}

/// A look at a ref that is owed to a forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedLook {
    /// The number of its `look_owed`.
    pub id: EventId,
    /// Who pushed, as the forge says.
    pub by: String,
}
