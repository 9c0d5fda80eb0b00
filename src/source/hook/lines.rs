//! The lines that git gives a post-receive hook: `OLD NEW REF`.

/// What a push did to one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The commit before; all zeros if the ref is new.
    pub old: String,
    /// The commit, or annotated tag, now; all zeros if the ref is gone.
    pub new: String,
    /// Full name of the ref; bytes that are not UTF-8 are `U+FFFD`.
    pub ref_name: String,
    /// Full name of the ref, as it is.
    pub raw: Vec<u8>,
    /// What became of the ref.
    pub kind: Kind,
    /// The ref is a tag.
    pub is_tag: bool,
}

/// What became of a ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Created,
    /// It points elsewhere now.
    Moved,
    /// It is gone.
    Deleted,
}

/// Reads the lines; those that are none of git's are left out.
pub fn parse_lines(input: &[u8]) -> Vec<Update> {
    input.split(|&byte| byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Update> {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let (old, new, raw) = (object(parts.next()?)?, object(parts.next()?)?, parts.next()?);
    if raw.is_empty() {
        return None;
    }
    let none = |name: &str| name.bytes().all(|byte| byte == b'0');
    let kind = match (none(&old), none(&new)) {
        (_, true) => Kind::Deleted,
        (true, false) => Kind::Created,
        (false, false) => Kind::Moved,
    };
    let ref_name = String::from_utf8_lossy(raw).into_owned();
    Some(Update { old, new, ref_name, kind, is_tag: raw.starts_with(b"refs/tags/"), raw: raw.to_vec() })
}

fn object(text: &[u8]) -> Option<String> {
    let whole = matches!(text.len(), 40 | 64) && text.iter().all(u8::is_ascii_hexdigit);
    whole.then(|| String::from_utf8_lossy(text).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_told_by_its_zeros() {
        let (a, b, zero) = ("a".repeat(40), "b".repeat(64), "0".repeat(40));
        let mut input =
            format!("{zero} {a} refs/heads/$(id) x\n{a} {b} refs/tags/v1\n{a} {zero} refs/heads/")
                .into_bytes();
        input.extend(b"\xff\n\nnonsense\nshort 12 refs/x\n");
        let got = parse_lines(&input);
        let seen: Vec<_> = got.iter().map(|u| (u.kind, u.is_tag, u.ref_name.as_str())).collect();
        assert_eq!(
            seen,
            [
                (Kind::Created, false, "refs/heads/$(id) x"),
                (Kind::Moved, true, "refs/tags/v1"),
                (Kind::Deleted, false, "refs/heads/\u{fffd}")
            ]
        );
        assert_eq!(got[2].raw, b"refs/heads/\xff");
    }
}
