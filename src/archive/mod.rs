//! What is done with a journal beside its controller: proving it, carrying it elsewhere, keeping a copy and going on
//! from one.
//!
//! - `verify` works out the chain and says what does not fit.
//! - `export` and `import` write and read a journal as JSON lines.
//! - `backup` and `restore` keep a whole state folder and go on from it; `folder` is what the backup lies in.

mod backup;
mod error;
mod export;
mod folder;
mod import;
mod restore;
mod verify;

#[cfg(test)]
mod tests;

pub use backup::{Made, backup};
pub use error::Error;
pub use export::export;
pub use folder::{Kept, Manifest};
pub use import::{Imported, import};
pub use restore::{Restored, restore};
pub use verify::{Defect, Proof, What, verify};
