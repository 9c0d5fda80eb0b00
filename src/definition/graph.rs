//! What comes after what: cycles, and what can never be reached.

use std::collections::{BTreeMap, BTreeSet};

/// For each entry, the entries that come before it.
pub(super) type Before = Vec<Vec<usize>>;

/// Each cycle once, as its entries in order.
pub(super) fn cycles(before: &Before) -> Vec<Vec<usize>> {
    let mut found: BTreeMap<BTreeSet<usize>, Vec<usize>> = BTreeMap::new();
    let mut done = vec![false; before.len()];
    for start in 0..before.len() {
        visit(start, before, &mut Vec::new(), &mut done, &mut found);
    }
    found.into_values().collect()
}

fn visit(
    at: usize,
    before: &Before,
    way: &mut Vec<usize>,
    done: &mut [bool],
    found: &mut BTreeMap<BTreeSet<usize>, Vec<usize>>,
) {
    if let Some(begin) = way.iter().position(|other| *other == at) {
        let cycle: Vec<usize> = way[begin..].iter().rev().copied().collect();
        found.entry(cycle.iter().copied().collect()).or_insert(cycle);
        return;
    }
    if done[at] {
        return;
    }
    way.push(at);
    for next in &before[at] {
        visit(*next, before, way, done, found);
    }
    way.pop();
    done[at] = true;
}

/// What can be reached when an entry needs all (or, where `any` says so, one) of those before it.
pub(super) fn reachable(before: &Before, any: &[bool]) -> Vec<bool> {
    let mut reached = vec![false; before.len()];
    loop {
        let fresh: Vec<usize> = (0..before.len())
            .filter(|at| !reached[*at])
            .filter(|at| match before[*at].as_slice() {
                [] => true,
                names if any[*at] => names.iter().any(|name| reached[*name]),
                names => names.iter().all(|name| reached[*name]),
            })
            .collect();
        if fresh.is_empty() {
            return reached;
        }
        fresh.into_iter().for_each(|at| reached[at] = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cycle_is_found_once() {
        let before = vec![vec![2], vec![0], vec![1], vec![3], vec![], vec![4, 0]];
        let found: BTreeSet<BTreeSet<usize>> =
            cycles(&before).into_iter().map(|cycle| cycle.into_iter().collect()).collect();
        assert_eq!(found, BTreeSet::from([BTreeSet::from([0, 1, 2]), BTreeSet::from([3])]));
    }

    #[test]
    fn what_follows_a_cycle_is_out_of_reach_unless_any_suffices() {
        let before = vec![vec![], vec![1], vec![0, 1], vec![0, 1]];
        assert_eq!(reachable(&before, &[false, false, false, true]), [true, false, false, true]);
    }
}
