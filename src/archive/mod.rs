//! What is done with a journal beside its controller: proving it, carrying it elsewhere, keeping a copy and going on
//! from one.
//!
//! - `verify` works out the chain and says what does not fit.

mod verify;

#[cfg(test)]
mod tests;

pub use verify::{Defect, Proof, What, verify};
