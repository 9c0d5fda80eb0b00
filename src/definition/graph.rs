//! What comes after what: cycles, and what can never be reached.

use std::collections::{BTreeMap, BTreeSet};

/// For each entry, the entries that come before it.
pub(super) type Before = Vec<Vec<usize>>;

/// Cycles, each as its entries in order, so that every entry that is in one is in one of these.
pub(super) fn cycles(before: &Before) -> Vec<Vec<usize>> {
    let mut found: BTreeMap<BTreeSet<usize>, Vec<usize>> = BTreeMap::new();
    let mut seen = vec![Seen::Never; before.len()];
    for start in 0..before.len() {
        if seen[start] == Seen::Never {
            visit(start, before, &mut seen, &mut found);
        }
    }
    found.into_values().collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Never,
    /// On the way that is being walked.
    OnTheWay,
    Done,
}

/// Walks from an entry as far as it goes. The way is a list, not a recursion: a file may hold tens of thousands.
fn visit(
    start: usize,
    before: &Before,
    seen: &mut [Seen],
    found: &mut BTreeMap<BTreeSet<usize>, Vec<usize>>,
) {
    let mut way: Vec<(usize, usize)> = vec![(start, 0)];
    seen[start] = Seen::OnTheWay;
    while let Some((at, next)) = way.last_mut() {
        let Some(&needed) = before[*at].get(*next) else {
            seen[*at] = Seen::Done;
            way.pop();
            continue;
        };
        *next += 1;
        match seen[needed] {
            Seen::Done => {}
            Seen::Never => {
                seen[needed] = Seen::OnTheWay;
                way.push((needed, 0));
            }
            Seen::OnTheWay => {
                let begin = way.iter().position(|(at, _)| *at == needed).expect("BUG: it is on the way");
                let cycle: Vec<usize> = way[begin..].iter().rev().map(|(at, _)| *at).collect();
                found.entry(cycle.iter().copied().collect()).or_insert(cycle);
            }
        }
    }
}

/// What can be reached when an entry needs all (or, where `any` says so, one) of those before it.
pub(super) fn reachable(before: &Before, any: &[bool]) -> Vec<bool> {
    let waits_for = |(names, any): (&Vec<usize>, &bool)| if *any { names.len().min(1) } else { names.len() };
    let mut waits: Vec<usize> = before.iter().zip(any).map(waits_for).collect();
    let mut after = vec![Vec::new(); before.len()];
    for (at, names) in before.iter().enumerate() {
        names.iter().for_each(|name| after[*name].push(at));
    }
    let mut reached = vec![false; before.len()];
    let mut next: Vec<usize> = (0..before.len()).filter(|at| waits[*at] == 0).collect();
    while let Some(at) = next.pop() {
        reached[at] = true;
        for &later in &after[at] {
            // One that needs only one of them may have been reached by another.
            if waits[later] > 0 {
                waits[later] -= 1;
                if waits[later] == 0 {
                    next.push(later);
                }
            }
        }
    }
    reached
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
    fn a_long_way_is_no_deep_way() {
        let ring: Before = (0..50_000).map(|at| vec![(at + 1) % 50_000]).collect();
        assert_eq!(cycles(&ring).concat().len(), 50_000);
    }

    #[test]
    fn a_long_way_is_walked_once() {
        let backwards: Before =
            (0..200_000).map(|at| if at == 199_999 { Vec::new() } else { vec![at + 1] }).collect();
        assert!(reachable(&backwards, &vec![false; 200_000]).iter().all(|reached| *reached));
    }

    #[test]
    fn what_follows_a_cycle_is_out_of_reach_unless_any_suffices() {
        let before = vec![vec![], vec![1], vec![0, 1], vec![0, 1]];
        assert_eq!(reachable(&before, &[false, false, false, true]), [true, false, false, true]);
    }
}
