//! The line of a log that says why something failed. Mostly that is the last one; some programs say a word of farewell
//! after it, and some a summary.

/// So many lines from the end are looked at.
const LINES: usize = 40;

/// What programs say after the error: their own advertisements, and where more is to be read.
const FAREWELLS: [&str; 13] = [
    "[notice]",
    "[end of output]",
    "npm notice",
    "note: this error originates from",
    "note: this is an issue with the package",
    "hint: see above",
    "error: subprocess-exited-with-error",
    "a complete log of this run can be found in",
    "a full log of this run can be found in",
    "to see a list of scripts, run",
    "error: process completed with exit code",
    "see above for output",
    "npm run",
];

/// What an error begins with, or says after the name of a file or a kind.
const BEGINNINGS: [&str; 5] = ["error", "fatal", "failed", "panic", "npm err"];
const WITHIN: [&str; 5] = ["error: ", "exception: ", "fatal: ", "panicked at ", "error["];

/// The line that says best why a step failed: the last that looks like an error (of a panic of Rust, the line after it),
/// else the last one. Empty lines, farewells and our own words do not count.
pub(super) fn of(log: &str) -> Option<&str> {
    let is_anothers = |line: &&str| !line.is_empty() && !line.starts_with("tidegate: ");
    let lines = log.lines().rev().map(str::trim).filter(is_anothers);
    let mut last = None;
    let mut below = None;
    for line in lines.take(LINES) {
        let plain = line.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '[').to_lowercase();
        // npm begins each line of an error with these words.
        let said = ["npm error", "npm err!"].iter().find_map(|before| plain.strip_prefix(before));
        let said = said.map_or(plain.as_str(), str::trim_start);
        let is_farewell = FAREWELLS.iter().any(|words| said.starts_with(words) || plain.starts_with(words));
        let is_path_of_log = said.starts_with('/') && said.ends_with(".log");
        if is_farewell || is_path_of_log || said.is_empty() {
            continue;
        }
        let is_error = BEGINNINGS.iter().any(|word| plain.starts_with(word))
            || WITHIN.iter().any(|word| plain.contains(word));
        if plain.contains("panicked at ") && line.ends_with(':') {
            return below.or(Some(line));
        }
        if is_error {
            return Some(line);
        }
        (last, below) = (last.or(Some(line)), Some(line));
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_unless_an_error_stands_before_it() {
        for (log, want) in [
            ("", None),
            ("\n \n", None),
            ("one\ntwo\n\n", Some("two")),
            (
                "Traceback (most recent call last):\n  x\nValueError: no such port\n",
                Some("ValueError: no such port"),
            ),
            (
                "cc -c a.c\na.c:3:1: error: expected `;`\nmake: *** [Makefile:2: all] Error 1\n",
                Some("a.c:3:1: error: expected `;`"),
            ),
            (
                "thread 'main' panicked at src/main.rs:2:5:\nboom\nnote: run with `RUST_BACKTRACE=1`",
                Some("boom"),
            ),
            ("0 errors so far\nnothing to do", Some("nothing to do")),
        ] {
            assert_eq!(of(log), want, "{log}");
        }
    }

    #[test]
    fn an_advertisement_is_no_cause() {
        let pip = "\
  error: subprocess-exited-with-error

  × Getting requirements to build wheel did not run successfully.
  │ exit code: 1
  ╰─> [14 lines of output]
      error: Multiple top-level packages discovered in a flat-layout: ['a', 'b'].

      To avoid accidental inclusion of unwanted files or directories,
      setuptools will not proceed with this build.
      [end of output]

  note: This error originates from a subprocess, and is likely not a problem with pip.
error: subprocess-exited-with-error

× Getting requirements to build wheel did not run successfully.
│ exit code: 1
╰─> See above for output.

note: This error originates from a subprocess, and is likely not a problem with pip.

[notice] A new release of pip is available: 23.2.1 -> 26.3
[notice] To update, run: pip install --upgrade pip
";
        let want = "error: Multiple top-level packages discovered in a flat-layout: ['a', 'b'].";
        assert_eq!(of(pip), Some(want));
        let npm = "\
npm error Missing script: \"build\"
npm error
npm error To see a list of scripts, run:
npm error   npm run
npm error A complete log of this run can be found in: /root/.npm/_logs/2026-11-25T08_00_00_000Z-debug-0.log
";
        assert_eq!(of(npm), Some("npm error Missing script: \"build\""));
        let old_npm = "\
npm ERR! Test failed.  See above for more details.
npm ERR! A complete log of this run can be found in:
npm ERR!     /home/ann/.npm/_logs/2026-11-25T08_00_00_000Z-debug.log
";
        assert_eq!(of(old_npm), Some("npm ERR! Test failed.  See above for more details."));
    }
}
