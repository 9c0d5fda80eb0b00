//! What things are and what follows from what. Pure: no clock, no disk, no process, no async; time enters inside commands.

pub mod id;
pub mod span;
pub mod blocker;
pub mod outcome;
pub mod pipeline;
pub mod diagnostic;
pub mod event;

pub use blocker::{Blocker, Role};
pub use diagnostic::{Diagnostic, Severity};
pub use event::Event;
pub use id::*;
pub use outcome::{Classification, Failure, Outcome, Status};
pub use pipeline::Pipeline;
pub use span::Span;
