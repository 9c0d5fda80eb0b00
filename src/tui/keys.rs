//! Keys and what they mean: one table, from which the help screen is made, too.

use super::act::Verb;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Open,
    Back,
    Next,
    Tab(usize),
    Help,
    Search,
    Jump,
    Sort,
    Filter,
    NextHit,
    LastHit,
    OnlyHits,
    LogHere,
    WayHere,
    Menu,
    Do(Verb),
    Pause,
    StepOn,
    StepBack,
    Faster,
    Slower,
    SeekOn,
    SeekBack,
    Suspend,
    Quit,
}

/// Where a binding applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everywhere.
    Always,
    /// Where something can be done: not in a recording.
    Live,
    /// Where a recording is played.
    Replay,
    /// In a log, before all others.
    Log,
}

/// Where keys are pressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// A recording is played.
    pub(crate) replay: bool,
    /// A log is shown.
    pub(crate) log: bool,
}

impl Place {
    /// Whether what is bound for a scope applies here.
    pub(crate) fn has(self, scope: Scope) -> bool {
        match scope {
            Scope::Always => true,
            Scope::Live => !self.replay,
            Scope::Replay => self.replay,
            Scope::Log => self.log,
        }
    }
}

/// Some keys and what they mean.
pub(crate) struct Binding {
    keys: &'static [Key],
    /// As they are shown.
    pub(crate) shown: &'static str,
    pub(crate) intent: Intent,
    pub(crate) scope: Scope,
    /// What it does.
    pub(crate) about: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Char(char),
    Ctrl(char),
    Code(KeyCode),
}

const fn bind(
    keys: &'static [Key],
    shown: &'static str,
    intent: Intent,
    scope: Scope,
    about: &'static str,
) -> Binding {
    Binding { keys, shown, intent, scope, about }
}

use Key::{Char, Code, Ctrl};
use Scope::{Always, Live, Log, Replay};

/// Everything that there is.
pub(crate) const TABLE: &[Binding] = &[
    bind(&[Code(KeyCode::Up), Char('k')], "↑ k", Intent::Up, Always, "up"),
    bind(&[Code(KeyCode::Down), Char('j')], "↓ j", Intent::Down, Always, "down"),
    bind(&[Code(KeyCode::Left), Char('h')], "← h", Intent::Left, Always, "left: the tier before"),
    bind(&[Code(KeyCode::Right), Char('l')], "→ l", Intent::Right, Always, "right: the tier after"),
    bind(&[Code(KeyCode::PageUp), Ctrl('b')], "PgUp", Intent::PageUp, Always, "a page up"),
    bind(&[Code(KeyCode::PageDown), Ctrl('f')], "PgDn", Intent::PageDown, Always, "a page down"),
    bind(&[Code(KeyCode::Home), Char('g')], "Home g", Intent::Top, Always, "to the beginning"),
    bind(
        &[Code(KeyCode::End), Char('G')],
        "End G",
        Intent::Bottom,
        Always,
        "to the end; a log follows from there",
    ),
    bind(&[Code(KeyCode::Enter)], "Enter", Intent::Open, Always, "open what is selected"),
    bind(
        &[Code(KeyCode::Esc), Code(KeyCode::Backspace)],
        "Esc",
        Intent::Back,
        Always,
        "back; leave a search",
    ),
    bind(&[Code(KeyCode::Tab)], "Tab", Intent::Next, Always, "the next screen"),
    bind(&[Char('1')], "1", Intent::Tab(0), Always, "the board: what is where"),
    bind(&[Char('2')], "2", Intent::Tab(1), Always, "what waits, and for what"),
    bind(&[Char('3')], "3", Intent::Tab(2), Always, "runs and their logs"),
    bind(&[Char('4')], "4", Intent::Tab(3), Always, "history: what happened"),
    bind(
        &[Char('/')],
        "/",
        Intent::Search,
        Always,
        "search: show only what has these words; a log as a whole",
    ),
    bind(
        &[Char(':')],
        ":",
        Intent::Jump,
        Always,
        "go to `:shop`, `:shop prod`, `:log 42`, `:history`; Tab completes",
    ),
    bind(&[Char('n')], "n", Intent::NextHit, Log, "in a log: the next line with these words"),
    bind(&[Char('N')], "N", Intent::LastHit, Log, "in a log: the one before"),
    bind(&[Char('f')], "f", Intent::OnlyHits, Log, "in a log: only these lines, or all again"),
    bind(&[Char('s')], "s", Intent::Sort, Always, "board: by name, or what needs attention first"),
    bind(&[Char('f')], "f", Intent::Filter, Always, "history: all, by people, bad, ways through tiers"),
    bind(&[Char('o')], "o", Intent::LogHere, Always, "the log of what runs, or ran last, here"),
    bind(&[Char('v')], "v", Intent::WayHere, Always, "the way of the version here through the tiers"),
    bind(&[Char('a')], "a", Intent::Menu, Live, "everything that can be done here"),
    bind(&[Char('c')], "c", Intent::Do(Verb::Confirm), Live, "confirm: give your word for a version"),
    bind(&[Char('n')], "n", Intent::Do(Verb::Deny), Live, "deny: refuse a version"),
    bind(&[Char('p')], "p", Intent::Do(Verb::Promote), Live, "promote: let a version in"),
    bind(&[Char('R')], "R", Intent::Do(Verb::Rollback), Live, "rollback: send a tier back"),
    bind(&[Char('H')], "H", Intent::Do(Verb::Hold), Live, "hold: nothing enters by itself"),
    bind(&[Char('U')], "U", Intent::Do(Verb::Resume), Live, "resume: lift a hold"),
    bind(&[Char('t')], "t", Intent::Do(Verb::Retry), Live, "retry: let a rejected version wait again"),
    bind(&[Char('X')], "X", Intent::Do(Verb::Cancel), Live, "cancel: end what is inside, or a build"),
    bind(
        &[Char('D')],
        "D",
        Intent::Do(Verb::Redeploy),
        Live,
        "redeploy: put the current version there again",
    ),
    bind(&[Char(' ')], "Space", Intent::Pause, Replay, "stop, or go on"),
    bind(&[Char('.')], ".", Intent::StepOn, Replay, "one event on"),
    bind(&[Char(',')], ",", Intent::StepBack, Replay, "one event back"),
    bind(&[Char('+'), Char('=')], "+", Intent::Faster, Replay, "twice as fast"),
    bind(&[Char('-')], "-", Intent::Slower, Replay, "half as fast"),
    bind(&[Char(']')], "]", Intent::SeekOn, Replay, "a tenth of the recording on"),
    bind(&[Char('[')], "[", Intent::SeekBack, Replay, "a tenth of the recording back"),
    bind(&[Char('?'), Code(KeyCode::F(1))], "?", Intent::Help, Always, "this help"),
    bind(&[Ctrl('z')], "^Z", Intent::Suspend, Always, "suspend; `fg` comes back"),
    bind(&[Char('q'), Ctrl('c')], "q", Intent::Quit, Always, "quit"),
];

/// What a key means; none: nothing.
pub(crate) fn intent(key: &KeyEvent, place: Place) -> Option<Intent> {
    let fits = |binding: &&Binding| place.has(binding.scope) && binding.keys.iter().any(|k| is(*k, key));
    let (log, others) = (|b: &&Binding| b.scope == Scope::Log, |b: &&Binding| b.scope != Scope::Log);
    let found = TABLE.iter().filter(log).find(fits).or_else(|| TABLE.iter().filter(others).find(fits));
    found.map(|binding| binding.intent)
}

/// Whether a key was pressed, not let go.
pub(crate) fn is_press(key: &KeyEvent) -> bool {
    key.kind != KeyEventKind::Release
}

fn is(key: Key, event: &KeyEvent) -> bool {
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.contains(KeyModifiers::ALT) {
        return false;
    }
    match key {
        Key::Char(c) => !ctrl && event.code == KeyCode::Char(c),
        Key::Ctrl(c) => ctrl && event.code == KeyCode::Char(c),
        Key::Code(code) => !ctrl && event.code == code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn no_key_means_two_things() {
        for replay in [false, true] {
            let mut seen: Vec<Key> = Vec::new();
            let place = Place { replay, log: false };
            let here = |b: &&Binding| place.has(b.scope);
            for key in TABLE.iter().filter(here).flat_map(|binding| binding.keys) {
                assert!(!seen.contains(key), "a key is bound twice");
                seen.push(*key);
            }
        }
    }

    #[test]
    fn keys_lead_to_intents() {
        let plain = |c| press(KeyCode::Char(c), KeyModifiers::NONE);
        let (live, replay) = (Place::default(), Place { replay: true, log: false });
        assert_eq!(intent(&plain('q'), live), Some(Intent::Quit));
        assert_eq!(intent(&press(KeyCode::Char('c'), KeyModifiers::CONTROL), live), Some(Intent::Quit));
        assert_eq!(intent(&plain('c'), live), Some(Intent::Do(Verb::Confirm)));
        assert_eq!(intent(&plain('c'), replay), None, "nothing can be done in a recording");
        assert_eq!(intent(&plain(' '), replay), Some(Intent::Pause));
        assert_eq!(
            intent(&press(KeyCode::Char('R'), KeyModifiers::SHIFT), live),
            Some(Intent::Do(Verb::Rollback))
        );
        assert_eq!(intent(&press(KeyCode::Char('q'), KeyModifiers::ALT), live), None);
        let log = Place { replay: false, log: true };
        assert_eq!(intent(&plain('n'), log), Some(Intent::NextHit), "nothing is denied in a log");
        assert_eq!(intent(&plain('n'), live), Some(Intent::Do(Verb::Deny)));
    }
}
