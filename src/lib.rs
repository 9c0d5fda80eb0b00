//! tidegate: a self-hosted continuous-delivery pipeline runner in one binary.
//!
//! A push to a git repository is built once, and the result is let through a row of tiers, each guarded by gates and
//! promotion rules. One task, the engine, owns the truth: it turns commands into events, has them journaled, folds them
//! into the state, and asks the state what should be in flight.
//!
//! The modules below stand in import order: each may import only those above it (`tests/suite/house.rs` checks that).
//!
//! | module | answers for | must never |
//! |---|---|---|
//! | [`glob`] | globs, as pipeline files have them | know what they are matched with |
//! | [`domain`] | what things are and what follows from what: pipelines, versions, events, `decide`, `apply`, `outstanding` | know a clock, a disk, a process, or async |
//! | [`printable`] | making text from outside safe for a terminal | know where the text came from |
//! | [`wire`] | the envelope around an event, its JSON, events of older releases | decide |
//! | [`definition`] | pipeline files: reading, checking (every problem at once), lowering to the domain; the schemas | stop at the first problem |
//! | [`settings`] | the controller's own options | |
//! | [`clock`] | what time it is | |
//! | [`disk`] | whether there is room on the disk of the state folder | decide what follows |
//! | [`journal`] | the durable, ordered list of events | acknowledge before it is durable |
//! | [`bus`] | the live broadcast | be anybody's store |
//! | [`source`] | git: examining pushes, checkouts, versions, hooks | put a ref name into a command line |
//! | [`artifact`] | the content-addressed store of what builds made | |
//! | [`runner`] | subprocesses: spawn, capture, stop, report; speaks messages only | know tiers, gates or policy |
//! | [`remote`] | nodes reached by ssh: one connection a deploy, commands that end with it, files put in place | put a value into a command line |
//! | [`interpreter`] | turning an effect into real work: builds, gates, deploys | decide what comes next |
//! | [`watch`] | noticing that definition files changed | parse them |
//! | [`engine`] | the loop; the only writer of the journal | do I/O of its own beside the journal |
//! | [`archive`] | proving the journal, carrying it elsewhere, backups and going on from one | change a journal that a controller has |
//! | [`notice`] | telling others of events: posts, programs, commit statuses | get in the way of a delivery |
//! | [`server`] | HTTP, `/events` | hold state that is not a fold of events |
//! | [`words`] | how things are said to people, on the command line and on screens | print |
//! | [`tui`] | the terminal's screens: a fold of the stream and its pictures | reach into the engine |
//! | [`cli`] | the command line: one file a family of commands | decide, or change the state but by commands |
//! | `fuzzed` | what must hold for every reader of text from outside; only in tests and under a fuzzer | be in the program |
//!
//! # Glossary
//!
//! A *pipeline* is one TOML file. A *version* is a label of one commit, built once. A *tier* is an environment with
//! *gates* (checks), *nodes* (hosts) and a *promotion rule*. A *promotion* is a version's way through a tier. A
//! *blocker* is one typed reason why something does not go on now. A *step* is one subprocess; a *run* is one try of
//! one step. The *journal* is the only truth; *state* is a fold over it. A *definition* is a pipeline file as loaded,
//! known by its *digest*.

pub mod glob;
pub mod domain;
pub mod printable;
pub mod wire;
pub mod definition;
pub mod settings;
pub mod clock;
pub mod disk;
pub mod journal;
pub mod bus;
pub mod source;
pub mod artifact;
pub mod runner;
pub mod remote;
pub mod interpreter;
pub mod watch;
pub mod engine;
pub mod archive;
pub mod notice;
pub mod server;
pub mod words;
pub mod tui;
pub mod cli;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
