//! Codes that no test produces, and why none can. The list should get shorter.

pub(super) const UNSEEN: [(&str, &str); 2] = [
    ("TG-JOURNAL-010", "a program has the one SQLite that it was built with, and this one is well"),
    ("TG-SERVE-006", "it ends the controller for a broken invariant: there would have to be a mistake in it"),
];
