//! What things are and what follows from what. Pure: no clock, no disk, no process, no async; time enters inside commands.
//!
//! Three functions carry everything: [`decide()`] turns a command into facts or a refusal, [`apply()`] folds an event into
//! the state, [`outstanding()`] says what should be in flight; [`proceed()`] is what follows by itself in between.

pub mod id;
pub mod span;
pub mod size;
pub mod cores;
pub mod role;
pub mod scope;
pub mod blocker;
pub mod outcome;
pub mod pipeline;
pub mod diagnostic;
pub mod event;
pub mod state;
pub mod backup;
pub mod confirmation;
pub mod promotion;
pub mod command;
pub mod rejection;
pub mod effect;
pub mod outliving;
pub mod plan;
mod apply;
mod decide;
mod holdings;
mod proceed;
mod reload;

pub use apply::apply;
pub use blocker::Blocker;
pub use command::{Actor, Answer, Command, Deed, News, Push, Pushed};
pub use cores::Cores;
pub use decide::{Decision, decide};
pub use diagnostic::{Diagnostic, Severity};
pub use effect::{Effect, Fallback, Job, Work, is_wanted, outstanding, preparations, work};
pub use event::{Envelope, Event, Fact};
pub use id::*;
pub use outcome::{Classification, Failure, Outcome, Status};
pub use pipeline::Pipeline;
pub use proceed::{Next, Room, proceed};
pub use rejection::Rejection;
pub use role::Role;
pub use scope::{BadName, Names, Scope};
pub use size::parse_size;
pub use span::Span;
pub use state::State;

/// A moment, in whole microseconds.
pub type Time = chrono::DateTime<chrono::Utc>;
