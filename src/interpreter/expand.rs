//! `$NAME` and `${NAME}` in places that no shell reads: where an upload goes, what a probe asks. Commands are left to
//! the shell.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// Why a text cannot be expanded. Reads after "failed to".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpandError {
    /// The variable is not in the step's environment.
    Unset {
        /// Its name.
        name: String,
        /// The whole text.
        text: String,
    },
    /// A `${` without its `}`, or without a name in it.
    Open {
        /// The whole text.
        text: String,
    },
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset { name, text } => write!(
                f,
                "replace `${name}` in `{text}`: it is not in the step's environment; set it in an `env` of the pipeline, the node or the step"
            ),
            Self::Open { text } => {
                write!(f, "read `{text}`: `${{` needs a name and a `}}`, as in `${{NAME}}`")
            }
        }
    }
}

impl std::error::Error for ExpandError {}

/// Replaces each `$NAME` and `${NAME}` by its value, once: what a value holds is not looked at again. A `$` that begins
/// no name stays.
pub(crate) fn expand(text: &str, env: &BTreeMap<OsString, OsString>) -> Result<OsString, ExpandError> {
    let (mut whole, mut rest) = (OsString::with_capacity(text.len()), text);
    while let Some(dollar) = rest.find('$') {
        whole.push(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let (name, next) = match after.strip_prefix('{') {
            Some(inner) => {
                let (name, next) = inner.split_at(name_length(inner));
                let next = next.strip_prefix('}').filter(|_| !name.is_empty());
                (name, next.ok_or_else(|| ExpandError::Open { text: text.into() })?)
            }
            None => after.split_at(name_length(after)),
        };
        if name.is_empty() {
            whole.push("$");
        } else {
            let unset = || ExpandError::Unset { name: name.into(), text: text.into() };
            whole.push(env.get(OsStr::new(name)).ok_or_else(unset)?);
        }
        rest = next;
    }
    whole.push(rest);
    Ok(whole)
}

/// How many bytes at the start can be a variable's name.
fn name_length(text: &str) -> usize {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !text.starts_with(is_first) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, ExpandError> {
        let pairs = [("NAME", "value"), ("ODD", "$NAME `id` $(id)"), ("_x1", "under"), ("EMPTY", "")];
        let env = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        expand(text, &env).map(|text| text.into_string().unwrap())
    }

    #[test]
    fn names_are_replaced_with_and_without_braces() {
        assert_eq!(expanded("/opt/$NAME/").unwrap(), "/opt/value/");
        assert_eq!(expanded("${NAME}s and $NAME.d").unwrap(), "values and value.d");
        assert_eq!(expanded("$_x1$EMPTY$NAME").unwrap(), "undervalue");
        assert_eq!(expanded("plain").unwrap(), "plain");
        assert_eq!(expanded("").unwrap(), "");
    }

    #[test]
    fn a_value_is_never_read_again() {
        assert_eq!(expanded("$ODD").unwrap(), "$NAME `id` $(id)");
    }

    #[test]
    fn a_dollar_without_a_name_stays() {
        assert_eq!(expanded("a$ $1 $é $(id) `$`").unwrap(), "a$ $1 $é $(id) `$`");
        assert_eq!(expanded("end$").unwrap(), "end$");
    }

    #[test]
    fn what_is_not_set_is_an_error_and_never_nothing() {
        let unset = ExpandError::Unset { name: "NOPE".into(), text: "/opt/$NOPE/x".into() };
        assert_eq!(expanded("/opt/$NOPE/x"), Err(unset));
        assert!(matches!(expanded("${NAMES}"), Err(ExpandError::Unset { .. })));
    }

    #[test]
    fn braces_must_close() {
        for text in ["${NAME", "${", "${}", "${NA ME}", "${1}"] {
            assert_eq!(expanded(text), Err(ExpandError::Open { text: text.into() }), "{text}");
        }
    }
}
