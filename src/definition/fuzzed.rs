//! What must hold for the reading of pipeline files, whatever bytes they are.

use super::{digest_of, load, render};
use crate::domain::{Diagnostic, Severity};

/// A pipeline file: it loads, and says the same when it is read again; or it is refused with places and ways out.
pub fn pipeline_file(bytes: &[u8]) {
    let said = match load("p.toml", bytes) {
        Ok(loaded) => {
            assert_eq!(digest_of(&loaded.pipeline), loaded.digest);
            let remark = [bytes, b"\n# a remark changes nothing\n"].concat();
            let again = load("p.toml", &remark).expect("a remark at the end keeps nothing from loading");
            assert_eq!(again.digest, loaded.digest, "a remark changed the meaning");
            assert!(loaded.warnings.iter().all(|one| one.severity == Severity::Warning));
            loaded.warnings
        }
        Err(said) => {
            assert!(said.iter().any(|one| one.severity == Severity::Error), "refused without an error");
            said
        }
    };
    let text = std::str::from_utf8(bytes).ok();
    said.iter().for_each(|one| judge(one, text));
    let drawn = render(&said, &|_| text, false, 100);
    assert!(drawn.chars().all(|c| c == '\n' || !c.is_control()), "a diagnostic acts on the terminal");
}

fn judge(one: &Diagnostic, text: Option<&str>) {
    assert!(one.code.starts_with("TG-DEF-"), "{one:?}");
    assert!(one.help.as_deref().is_some_and(|help| !help.is_empty()), "no way out: {one:?}");
    assert!(one.line >= 1 && one.column >= 1, "{one:?}");
    assert!((one.end_line, one.end_column) >= (one.line, one.column), "ends before it begins: {one:?}");
    if let Some(text) = text {
        // One more than there are: what is missing is missing at the end.
        let lines = text.split('\n').count() + 1;
        assert!(one.end_line as usize <= lines, "beyond the file, which has {lines} lines: {one:?}");
    }
}
