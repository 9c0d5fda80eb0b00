//! Codes that no test produces, and why none can. The list should get shorter.

pub(super) const UNSEEN: [(&str, &str); 6] = [
    ("TG-BACKUP-010", "a file would have to change while it is copied, which takes a certain moment"),
    ("TG-BACKUP-011", "the system would have to fail at a file that it let be read a moment before"),
    ("TG-BUNDLE-004", "what breaks is a mistake in the program, which would be mended rather than kept"),
    ("TG-BUNDLE-005", "a node would have to hang for a minute, and `doctor` gives up on each before"),
    ("TG-JOURNAL-010", "a program has the one SQLite that it was built with, and this one is well"),
    ("TG-SERVE-006", "it ends the controller for a broken invariant: there would have to be a mistake in it"),
];
