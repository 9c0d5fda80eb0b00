//! What comes to the loop: what is said first (keys, signals) goes before everything that is told. Whoever tells waits
//! while much is not taken yet, so that neither keys nor memory suffer from a controller that says much.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So much that is told may wait; a piece of a log may have 64 KiB.
const TOLD: usize = 256;

/// So much that goes first may wait: what is pasted comes in one piece.
const FIRST: usize = 4_096;

/// One thing that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum One<F, T> {
    /// What goes first.
    First(F),
    /// What is told.
    Told(T),
}

/// What came and was not taken yet.
pub(super) struct Inbox<F, T> {
    held: Mutex<Held<F, T>>,
    changed: Condvar,
}

struct Held<F, T> {
    first: VecDeque<F>,
    told: VecDeque<T>,
    /// Nobody takes anything any more.
    closed: bool,
}

impl<F, T> Inbox<F, T> {
    pub(super) fn new() -> Inbox<F, T> {
        let held = Held { first: VecDeque::new(), told: VecDeque::new(), closed: false };
        Inbox { held: Mutex::new(held), changed: Condvar::new() }
    }

    fn held(&self) -> MutexGuard<'_, Held<F, T>> {
        // Queues are whole at any moment, whatever panicked.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something in when there is room; false: nobody takes it any more.
    fn put(&self, is_full: impl Fn(&Held<F, T>) -> bool, put: impl FnOnce(&mut Held<F, T>)) -> bool {
        let mut held = self.held();
        while is_full(&held) && !held.closed {
            held = self.changed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        let goes_on = !held.closed;
        if goes_on {
            put(&mut held);
            self.changed.notify_all();
        }
        goes_on
    }

    /// Something that goes first.
    pub(super) fn first(&self, one: F) -> bool {
        self.put(|held| held.first.len() >= FIRST, |held| held.first.push_back(one))
    }

    /// Something that is told.
    pub(super) fn tell(&self, one: T) -> bool {
        self.put(|held| held.told.len() >= TOLD, |held| held.told.push_back(one))
    }

    /// The next; waits for it, at most so long if a time is given.
    pub(super) fn next(&self, patience: Option<Duration>) -> Option<One<F, T>> {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut held = self.held();
        loop {
            let one = held.first.pop_front().map(One::First).or_else(|| held.told.pop_front().map(One::Told));
            if one.is_some() {
                self.changed.notify_all();
                return one;
            }
            held = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(held).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return None,
                Some(left) => self.changed.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Nobody takes anything any more: whoever waits for room goes.
    pub(super) fn close(&self) {
        self.held().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn what_goes_first_overtakes_and_the_rest_keeps_its_order() {
        let inbox = Inbox::new();
        (0..3).for_each(|n| assert!(inbox.tell(n)));
        assert!(inbox.first('a') && inbox.first('b'));
        let all: Vec<One<char, i32>> = std::iter::from_fn(|| inbox.next(Some(Duration::ZERO))).collect();
        use One::{First, Told};
        assert_eq!(all, [First('a'), First('b'), Told(0), Told(1), Told(2)]);
    }

    #[test]
    fn whoever_tells_much_waits_and_goes_when_nobody_listens() {
        let inbox = Arc::new(Inbox::<char, usize>::new());
        let teller = inbox.clone();
        let telling = thread::spawn(move || (0..).take_while(|n| teller.tell(*n)).count());
        for n in 0..1_000 {
            assert_eq!(inbox.next(None), Some(One::Told(n)));
            assert!(inbox.held().told.len() <= TOLD);
        }
        // However long nobody takes anything, a key finds room.
        assert!(inbox.first('q'));
        assert_eq!(inbox.next(None), Some(One::First('q')));
        inbox.close();
        assert!(telling.join().unwrap() <= 1_000 + TOLD);
        assert!(!inbox.first('q'));
    }
}
