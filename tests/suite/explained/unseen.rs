//! Codes that no test names, and why. The list should get shorter.

/// The machine would have to refuse something, or break.
const SYSTEM: &str = "a test cannot make the system do that";
/// Something would have to be wrong in tidegate itself, or written by another release.
const OURS: &str = "no input brings it about";
/// It is there for a moment only, or after a week.
const MOMENT: &str = "takes a certain moment";
/// A test sees it by its words or number.
const WORDS: &str = "a test sees it, not by the code";
/// Nothing is in the way of a test.
const UNWRITTEN: &str = "nobody has written the test";

pub(super) const UNSEEN: [(&str, &str); 51] = [
    ("TG-ADOPT-005", UNWRITTEN),
    ("TG-ARTIFACT-005", UNWRITTEN),
    ("TG-ARTIFACT-009", SYSTEM),
    ("TG-ASK-003", UNWRITTEN),
    ("TG-ASK-011", UNWRITTEN),
    ("TG-ASK-016", UNWRITTEN),
    ("TG-ASK-019", UNWRITTEN),
    ("TG-AUTH-003", OURS),
    ("TG-BACKUP-010", MOMENT),
    ("TG-BACKUP-011", SYSTEM),
    ("TG-CARGO-001", UNWRITTEN),
    ("TG-CLI-002", OURS),
    ("TG-CLI-007", UNWRITTEN),
    ("TG-CLI-008", UNWRITTEN),
    ("TG-CLI-009", SYSTEM),
    ("TG-CLI-010", SYSTEM),
    ("TG-CLI-026", UNWRITTEN),
    ("TG-CLI-027", SYSTEM),
    ("TG-DEMO-003", MOMENT),
    ("TG-DEMO-004", MOMENT),
    ("TG-DEMO-005", MOMENT),
    ("TG-DOCTOR-001", SYSTEM),
    ("TG-GIT-015", SYSTEM),
    ("TG-GIT-016", SYSTEM),
    ("TG-HOOK-006", UNWRITTEN),
    ("TG-HOOK-007", WORDS),
    ("TG-HTTP-016", MOMENT),
    ("TG-HTTP-030", OURS),
    ("TG-HTTP-031", SYSTEM),
    ("TG-INIT-004", OURS),
    ("TG-INIT-007", UNWRITTEN),
    ("TG-JOURNAL-005", SYSTEM),
    ("TG-JOURNAL-006", SYSTEM),
    ("TG-JOURNAL-008", OURS),
    ("TG-JOURNAL-010", SYSTEM),
    ("TG-NOTE-004", SYSTEM),
    ("TG-NOTE-005", MOMENT),
    ("TG-NOTE-006", SYSTEM),
    ("TG-NOTE-007", SYSTEM),
    ("TG-NOTE-008", MOMENT),
    ("TG-PUSH-004", UNWRITTEN),
    ("TG-SERVE-002", SYSTEM),
    ("TG-SERVE-003", SYSTEM),
    ("TG-SERVE-004", SYSTEM),
    ("TG-SERVE-006", OURS),
    ("TG-SERVE-007", WORDS),
    ("TG-STATE-002", SYSTEM),
    ("TG-STATE-014", SYSTEM),
    ("TG-TOKEN-010", SYSTEM),
    ("TG-WATCH-006", SYSTEM),
    ("TG-WS-003", WORDS),
];
