//! What is looked at: which screen, what is selected, what is searched for. Selection goes by identity, not by place: rows
//! move while one looks.

use super::act::{Deed, Request, Verb};
use super::controller::Refusal;
use super::found::Found;
use super::input::Input;
use super::screens::waiting::Waits;
use crate::domain::{Blocker, EventId, PipelineName, RunId, TierName, VersionLabel};
use ratatui::layout::Rect;

/// A screen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Screen {
    /// What is where.
    Board,
    /// What waits.
    Waiting,
    /// Runs.
    Runs,
    /// What happened.
    History,
    /// One pipeline.
    Pipeline,
    /// One version's way.
    Way(PipelineName, VersionLabel),
    /// One log.
    Log(RunId),
    /// A file that is refused.
    File(String),
    /// The keys.
    Help,
}

/// The screens that have a number.
pub(crate) const TABS: [(Screen, &str); 4] = [
    (Screen::Board, "board"),
    (Screen::Waiting, "waiting"),
    (Screen::Runs, "logs"),
    (Screen::History, "history"),
];

/// What a search and a filter leave of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinds {
    All,
    People,
    Bad,
    Ways,
}

impl Kinds {
    pub(crate) fn next(self) -> Kinds {
        match self {
            Kinds::All => Kinds::People,
            Kinds::People => Kinds::Bad,
            Kinds::Bad => Kinds::Ways,
            Kinds::Ways => Kinds::All,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kinds::All => "everything",
            Kinds::People => "by people",
            Kinds::Bad => "what went wrong",
            Kinds::Ways => "ways through tiers",
        }
    }
}

/// What lies over the screen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Over {
    /// Everything that can be done; which is chosen.
    Menu(usize),
    /// Something that is about to be done.
    Dialog(Box<Dialog>),
    /// A line that leads somewhere.
    Jump(Input),
}

/// Something that is about to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dialog {
    /// The ways to do it, by version.
    pub(crate) deeds: Vec<Deed>,
    /// Which of them.
    pub(crate) chosen: usize,
    /// The reason.
    pub(crate) why: Input,
    /// How far it is.
    pub(crate) stage: Stage,
    /// What is chosen was drawn: nothing is done that nobody could read.
    pub(crate) seen: bool,
}

/// How far a dialog is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    /// It asks.
    Asks,
    /// It asks again: what it would do is another thing than was shown.
    Changed,
    /// It needs a reason first.
    WantsWhy,
    /// The controller is asked.
    Sent(Request),
    /// The controller refuses.
    Refused(Refusal),
}

impl Dialog {
    /// Chooses another deed, which is to be read first.
    pub(crate) fn choose(&mut self, chosen: usize) {
        self.seen &= self.chosen == chosen;
        self.chosen = chosen;
    }
}

/// What a deed came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    /// For what it waits: how long it still does is said when it is drawn.
    pub(crate) waits_for: Vec<Blocker>,
    /// Of which deed; empty: the text says it.
    pub(crate) of: String,
}

impl<T: Into<String>> From<T> for Said {
    fn from(text: T) -> Said {
        Said { text: text.into(), waits_for: Vec::new(), of: String::new() }
    }
}

/// What a place on the screen stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Spot {
    Tab(usize),
    Tier(PipelineName, Option<TierName>),
    Version(PipelineName, VersionLabel),
    Run(RunId),
    /// Something that waits.
    Waits(Waits),
    /// An event of the history.
    Entry(EventId),
    Menu(Verb),
}

/// Everything about the looking.
pub(crate) struct Look {
    /// The screens that were opened one from another; the last is shown. Never empty.
    pub(crate) stack: Vec<Screen>,
    pub(crate) over: Option<Over>,
    /// The pipeline and tier that are selected.
    pub(crate) pipeline: Option<PipelineName>,
    pub(crate) tier: Option<TierName>,
    /// The person has done something: from then on nothing is selected but by them.
    pub(crate) touched: bool,
    /// The version that is selected below the tiers of a pipeline; none: a tier is.
    pub(crate) version: Option<VersionLabel>,
    pub(crate) run: Option<RunId>,
    /// Which of the things that wait is selected: a tier may have several.
    pub(crate) waits: Option<Waits>,
    /// The event of the history that is selected; none: the newest.
    pub(crate) entry: Option<EventId>,
    /// How far a text is scrolled, in lines; for a log from its end.
    pub(crate) scroll: usize,
    /// A log that is not followed: the line at its bottom, counted since the beginning.
    pub(crate) line: Option<u64>,
    /// What is searched for; with the place of the cursor while it is written.
    pub(crate) search: Input,
    pub(crate) searching: bool,
    /// The screens below the one that is shown, and what was searched for in them.
    kept: Vec<(Screen, Input)>,
    /// The line of a log, counted since the beginning, that the search has come to.
    pub(crate) hit: Option<u64>,
    /// Of a log only the lines that the search finds are shown.
    pub(crate) only_hits: bool,
    /// Which of the hits of a log was shown, counted from one, and how many there are.
    pub(crate) hits: (Option<usize>, usize),
    /// What can be opened of the event of the history that was shown: a version's way, a log.
    pub(crate) opens: (bool, bool),
    pub(crate) kinds: Kinds,
    pub(crate) by_attention: bool,
    /// What the last deed came to, until the next key.
    pub(crate) said: Option<Said>,
    /// What was drawn where.
    pub(crate) spots: Vec<(Rect, Spot)>,
    /// How many rows the list or text had that was drawn.
    pub(crate) page: usize,
    /// The farthest that the text can be scrolled.
    pub(crate) scroll_limit: usize,
    /// What the search found in the list that is shown.
    pub(crate) found: Found,
}

impl Look {
    pub(crate) fn new() -> Look {
        Look {
            stack: vec![Screen::Board],
            over: None,
            pipeline: None,
            tier: None,
            touched: false,
            version: None,
            run: None,
            waits: None,
            entry: None,
            scroll: 0,
            line: None,
            search: Input::default(),
            searching: false,
            kept: Vec::new(),
            hit: None,
            only_hits: false,
            hits: (None, 0),
            opens: (false, false),
            kinds: Kinds::All,
            by_attention: true,
            said: None,
            spots: Vec::new(),
            page: 10,
            scroll_limit: 0,
            found: Found::default(),
        }
    }

    /// The journal is another one: what was selected of the old one is nothing.
    pub(crate) fn anew(&mut self) {
        (self.run, self.entry, self.found) = (None, None, Found::default());
        self.stack.retain(|screen| !matches!(screen, Screen::Log(_)));
        if self.stack.is_empty() {
            self.stack.push(Screen::Runs);
        }
    }

    pub(crate) fn screen(&self) -> &Screen {
        self.stack.last().expect("BUG: no screen")
    }

    pub(crate) fn open(&mut self, screen: Screen) {
        if *self.screen() != screen {
            self.kept.push((self.screen().clone(), std::mem::take(&mut self.search)));
            self.stack.push(screen);
        }
        self.begin();
    }

    pub(crate) fn tab(&mut self, screen: Screen) {
        self.stack = vec![screen];
        self.kept.clear();
        self.begin();
    }

    fn begin(&mut self) {
        self.scroll = 0;
        self.line = None;
        self.leave_search();
    }

    /// Everything is shown again.
    pub(crate) fn leave_search(&mut self) {
        self.search = Input::default();
        (self.searching, self.hit, self.only_hits, self.hits) = (false, None, false, (None, 0));
    }

    /// One step back; a search is left first.
    pub(crate) fn back(&mut self) {
        if !self.search.text.is_empty() {
            self.leave_search();
        } else if self.stack.len() > 1 {
            self.stack.pop();
            self.begin();
            // What was searched for there still is.
            if let Some((screen, search)) = self.kept.pop()
                && screen == *self.screen()
            {
                self.search = search;
            }
        } else if *self.screen() != Screen::Board {
            self.tab(Screen::Board);
        }
    }

    /// Whether a text has what is searched for, whatever the case.
    pub(crate) fn finds(&self, text: &str) -> bool {
        finds(&self.search.text, text)
    }

    /// Selects something that waits, and where it does.
    pub(crate) fn wait(&mut self, waits: &Waits) {
        self.pipeline = waits.pipeline.clone();
        (self.tier, self.version) = (waits.tier.clone(), None);
        self.waits = Some(waits.clone());
    }

    /// What was drawn at a place.
    pub(crate) fn spot(&self, column: u16, row: u16) -> Option<&Spot> {
        let there = |area: &Rect| area.contains(ratatui::layout::Position { x: column, y: row });
        self.spots.iter().rev().find(|(area, _)| there(area)).map(|(_, spot)| spot)
    }
}

/// Whether each word of a search is in a text.
pub(crate) fn finds(search: &str, text: &str) -> bool {
    if search.is_empty() {
        return true;
    }
    let text = text.to_lowercase();
    search.to_lowercase().split_whitespace().all(|word| text.contains(word))
}
