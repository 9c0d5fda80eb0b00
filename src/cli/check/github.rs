//! Diagnostics as commands of GitHub's runner, which shows them beside the lines of a pull request.

use crate::domain::{Diagnostic, Severity};
use crate::printable;

/// One line; whatever stands in the diagnostic, it stays within that line and within its field.
pub(super) fn command(diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let Diagnostic { file, line, column, end_line, end_column, .. } = diagnostic;
    // Columns are shown only where beginning and end stand in one line.
    let place = match line == end_line {
        true => format!("line={line},col={column},endColumn={end_column}"),
        false => format!("line={line},endLine={end_line}"),
    };
    let mut message = data(&diagnostic.message);
    if let Some(help) = &diagnostic.help {
        message += &format!("%0Ahelp: {}", data(help));
    }
    // A path is shown in a pull request only as git would write it.
    let file = property(file.strip_prefix("./").unwrap_or(file));
    format!("::{level} file={file},{place},title={}::{message}", property(&diagnostic.code))
}

/// Text after the second `::`.
fn data(text: &str) -> String {
    printable::line(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which `:` and `,` would end too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(file: &str, message: &str) -> Diagnostic {
        Diagnostic {
            code: "TG-DEF-005".into(),
            severity: Severity::Error,
            file: file.into(),
            line: 3,
            column: 8,
            end_line: 3,
            end_column: 12,
            message: message.into(),
            help: Some("did you mean `abort`?".into()),
            text: None,
        }
    }

    #[test]
    fn a_diagnostic_is_one_command() {
        assert_eq!(
            command(&diagnostic("pipelines/shop.toml", "`on_newer` cannot be `abrot`")),
            "::error file=pipelines/shop.toml,line=3,col=8,endColumn=12,title=TG-DEF-005\
             ::`on_newer` cannot be `abrot`%0Ahelp: did you mean `abort`?"
        );
        let several = Diagnostic { end_line: 5, severity: Severity::Warning, ..diagnostic("a", "b") };
        assert!(command(&several).starts_with("::warning file=a,line=3,endLine=5,title=TG-DEF-005::b"));
    }

    #[test]
    fn hostile_names_and_messages_stay_in_their_place() {
        let hostile = "a\n::stop-commands::x\r\n,line=9::100%\u{1b}[2J\u{2028}b";
        let said = command(&diagnostic(hostile, hostile));
        assert!(!said.chars().any(|c| c.is_control() || c == '\u{2028}'), "{said:?}");
        let (head, message) = said[2..].split_once("::").expect("two parts");
        assert_eq!(head.matches(',').count(), 4, "{head}");
        assert!(message.contains("::stop-commands::x") && message.contains("100%25"), "{message}");
        assert!(!head.contains("::") && head.contains("%2Cline=9%3A%3A100%25"), "{head}");
    }
}
