//! Which notice of an edited definition goes on where which of before was. A notice has no name: the same text is the
//! same notice, wherever it stands, and of the others the first that is new takes the place of the first that is gone.

/// For each of `after` the place in `before` that it goes on from; none: it is new.
pub(super) fn matched<T: PartialEq>(before: &[T], after: &[T]) -> Vec<Option<usize>> {
    let mut left: Vec<Option<usize>> = (0..before.len()).map(Some).collect();
    let mut found: Vec<Option<usize>> = after
        .iter()
        .map(|one| left.iter_mut().find(|at| at.is_some_and(|at| before[at] == *one))?.take())
        .collect();
    let mut gone = left.into_iter().flatten();
    for place in found.iter_mut().filter(|place| place.is_none()) {
        *place = gone.next();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::matched;

    #[test]
    fn the_same_goes_on_wherever_it_stands() {
        assert_eq!(matched(&["a", "b"], &["b", "a"]), [Some(1), Some(0)]);
        assert_eq!(matched(&["a", "b"], &["b"]), [Some(1)]);
        assert_eq!(matched(&["a", "a"], &["a", "a", "a"]), [Some(0), Some(1), None]);
    }

    #[test]
    fn what_was_edited_in_its_place_goes_on_and_more_is_new() {
        assert_eq!(matched(&["a", "b"], &["A", "b"]), [Some(0), Some(1)]);
        assert_eq!(matched(&["a", "b"], &["b", "c", "d"]), [Some(1), Some(0), None]);
        assert_eq!(matched(&[], &["a"]), [None]);
        assert!(matched(&["a"], &[]).is_empty());
    }
}
