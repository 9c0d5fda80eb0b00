//! One person looking: what is known, what is looked at, and what keys and the mouse make of both. Without threads, clock
//! or terminal: whoever has those tells it, asks what it wants, and lets it draw.

mod deeds;
mod hits;
mod jumps;
mod moves;
mod play;
#[cfg(test)]
mod tests;
mod wants;

use super::input::Input as Line;
use super::keys::{self, Intent};
use super::look::{Look, Over, Screen, Spot, TABS};
use super::message::{Message, Want};
use super::palette::Palette;
use super::picture::{Key, Link, Picture};
use super::replay::{Player, Recording};
use super::screens::{self, Played, Source};
use crate::domain::{EventId, PipelineName, Time};
use crate::server::view::StateView;
use crate::words::Clock;
use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{
    Event as Input, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

/// What is to happen with the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    On,
    /// The person leaves for a while.
    Suspend,
    /// The person leaves.
    Quit,
}

/// One person looking.
pub struct Session {
    picture: Picture,
    look: Look,
    palette: Palette,
    address: String,
    player: Option<Player>,
    wants: Vec<Want>,
    /// Something is to be drawn that is not.
    dirty: bool,
    /// When what was drawn changes by time alone.
    wake: Option<Time>,
    /// The first look back was asked for.
    looked_back: bool,
    /// Who looks was asked for.
    asked_who: bool,
    /// The version whose way is shown, and since when.
    rests: Option<(Key, Time)>,
}

impl Session {
    /// Somebody who looks at a controller.
    pub fn live(address: &str, palette: Palette, pipeline: Option<PipelineName>) -> Session {
        Session::new(address, palette, pipeline, Link::Connecting, None)
    }

    /// Somebody who looks at a recording, from an event on.
    pub fn replay(
        name: &str,
        recording: Recording,
        palette: Palette,
        speed: f64,
        from: Option<EventId>,
        pipeline: Option<PipelineName>,
    ) -> Session {
        let player = Player::new(recording, speed, from);
        let late = player.begins_late();
        let mut session = Session::new(name, palette, pipeline, Link::Recorded, Some(player));
        session.follow_player();
        session.picture.note =
            late.map(|id| format!("it begins with event {id}: what was before is not in it"));
        session
    }

    fn new(
        address: &str,
        palette: Palette,
        pipeline: Option<PipelineName>,
        link: Link,
        player: Option<Player>,
    ) -> Session {
        let mut look = Look::new();
        if let Some(name) = pipeline {
            look.pipeline = Some(name);
            look.touched = true;
            look.open(Screen::Pipeline);
        }
        let picture = Picture::new(link);
        Session {
            picture,
            look,
            palette,
            address: address.into(),
            player,
            wants: Vec::new(),
            dirty: true,
            wake: None,
            looked_back: false,
            asked_who: false,
            rests: None,
        }
    }

    /// The last event that is known.
    pub fn last(&self) -> EventId {
        self.picture.last
    }

    /// The state that is shown; none: not known yet.
    pub fn state(&self) -> Option<StateView> {
        match &self.player {
            Some(player) => Some(player.view()),
            None => self.picture.view.clone(),
        }
    }

    /// Takes what is told.
    pub fn take(&mut self, message: Message, here: Time) {
        match &message {
            Message::Answer(request, answer) => {
                self.answered(request, answer, here);
                self.dirty = true;
            }
            Message::Back => self.asked_who = false,
            Message::Anew => {
                self.looked_back = false;
                self.look.anew();
            }
            _ => {}
        }
        let unseen = self.is_unseen(&message);
        let before = self.picture.changes;
        self.picture.take(message, here);
        self.dirty |= self.picture.changes != before && !unseen;
    }

    /// Whether it changes nothing that is shown: what a run writes that is known, and that nobody looks at.
    fn is_unseen(&self, message: &Message) -> bool {
        let Message::Chunk(_, live) = message else { return false };
        let run = live.run();
        let is_known = run.is_some_and(|run| self.picture.runs.all.contains_key(&run));
        is_known && run != self.run_shown()
    }

    /// The run whose log is shown.
    fn run_shown(&self) -> Option<crate::domain::RunId> {
        match self.look.screen() {
            Screen::Log(run) => Some(*run),
            Screen::Runs => self.look.run,
            _ => None,
        }
    }

    /// Takes what a person does.
    pub fn input(&mut self, input: &Input, here: Time) -> Flow {
        // Moves of the mouse change nothing.
        self.dirty |= !matches!(input, Input::Mouse(mouse) if matches!(mouse.kind, MouseEventKind::Moved));
        match input {
            Input::Key(key) if keys::is_press(key) => self.key(key, here),
            Input::Mouse(mouse) => self.mouse(mouse, here),
            Input::Paste(text) => {
                match &mut self.look.over {
                    Some(Over::Dialog(dialog)) => dialog.why.paste(text),
                    Some(Over::Jump(line)) => line.paste(text),
                    None if self.look.searching => self.look.search.paste(text),
                    _ => {}
                }
                Flow::On
            }
            _ => Flow::On,
        }
    }

    fn key(&mut self, key: &KeyEvent, here: Time) -> Flow {
        self.look.said = None;
        self.look.touched = true;
        self.picture.note = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return Flow::Quit,
                KeyCode::Char('z') => return Flow::Suspend,
                _ => {}
            }
        }
        match (&mut self.look.over, self.look.searching) {
            (Some(Over::Dialog(_)), _) => self.dialog_key(key),
            (Some(Over::Menu(_)), _) => return self.menu_key(key, here),
            (Some(Over::Jump(_)), _) => self.jump_key(key),
            (None, true) => match key.code {
                KeyCode::Enter => {
                    self.look.searching = false;
                    self.go_to_hit(None);
                }
                KeyCode::Esc => self.look.leave_search(),
                KeyCode::Backspace if self.look.search.text.is_empty() => self.look.searching = false,
                _ => {
                    self.look.search.key(key);
                    self.look.scroll = 0;
                }
            },
            (None, false) => {
                if let Some(intent) = keys::intent(key, self.place()) {
                    return self.intent(intent, here);
                }
            }
        }
        Flow::On
    }

    fn mouse(&mut self, mouse: &MouseEvent, here: Time) -> Flow {
        match mouse.kind {
            MouseEventKind::ScrollUp => return self.wheel(Intent::Up, here),
            MouseEventKind::ScrollDown => return self.wheel(Intent::Down, here),
            MouseEventKind::Down(MouseButton::Left) => {}
            _ => return Flow::On,
        }
        self.look.touched = true;
        let Some(spot) = self.look.spot(mouse.column, mouse.row).cloned() else { return Flow::On };
        match (&self.look.over, spot) {
            (Some(Over::Menu(_)), Spot::Menu(verb)) => self.begin(verb),
            (Some(_), _) => {}
            (None, Spot::Tab(at)) => self.look.tab(TABS[at].0.clone()),
            (None, spot) => {
                if !self.choose(&spot) {
                    return self.intent(Intent::Open, here);
                }
            }
        }
        Flow::On
    }

    fn wheel(&mut self, intent: Intent, here: Time) -> Flow {
        self.look.touched = true;
        let far = match (&self.look.over, self.look.screen()) {
            (Some(_), _) => return Flow::On,
            (None, Screen::Log(_) | Screen::Way(..) | Screen::File(_) | Screen::Help) => 3,
            _ => 1,
        };
        for _ in 0..far {
            self.intent(intent, here);
        }
        Flow::On
    }

    /// Where keys are pressed.
    fn place(&self) -> keys::Place {
        keys::Place { replay: self.player.is_some(), log: matches!(self.look.screen(), Screen::Log(_)) }
    }

    fn intent(&mut self, intent: Intent, here: Time) -> Flow {
        match intent {
            Intent::Quit => return Flow::Quit,
            Intent::Suspend => return Flow::Suspend,
            Intent::Tab(at) => self.look.tab(TABS[at].0.clone()),
            Intent::Next => {
                let base = self.look.stack.first().cloned();
                let at = TABS.iter().position(|(screen, _)| Some(screen) == base.as_ref()).unwrap_or(0);
                self.look.tab(TABS[(at + 1) % TABS.len()].0.clone());
            }
            Intent::Help => self.look.open(Screen::Help),
            Intent::Back => self.look.back(),
            Intent::Search => self.look.searching = true,
            Intent::Jump => self.look.over = Some(Over::Jump(Line::default())),
            Intent::Sort => self.look.by_attention = !self.look.by_attention,
            Intent::Filter => self.look.kinds = self.look.kinds.next(),
            Intent::NextHit => self.go_to_hit(Some(true)),
            Intent::LastHit => self.go_to_hit(Some(false)),
            Intent::OnlyHits => self.only_hits(),
            Intent::Menu => self.look.over = self.look.pipeline.is_some().then_some(Over::Menu(0)),
            Intent::Do(verb) => self.begin(verb),
            Intent::Pause
            | Intent::StepOn
            | Intent::StepBack
            | Intent::Faster
            | Intent::Slower
            | Intent::SeekOn
            | Intent::SeekBack => self.play(intent),
            moves => self.moved(moves, here),
        }
        Flow::On
    }

    /// Whether something is to be drawn.
    pub fn is_dirty(&mut self, here: Time) -> bool {
        if self.player.as_mut().is_some_and(|player| player.advance(here)) {
            self.follow_player();
        }
        if self.wake.is_some_and(|wake| wake <= here) {
            self.dirty = true;
        }
        self.dirty
    }

    /// After how long something is to be done though nothing is told; none: never.
    pub fn wakes(&self, here: Time) -> Option<TimeDelta> {
        let drawn = self.wake.map(|wake| wake - here);
        let asks = self.asks_at(here).map(|at| at - here);
        let plays = self.player.as_ref().and_then(Player::wake);
        [drawn, asks, plays].into_iter().flatten().min().map(|after| after.max(TimeDelta::zero()))
    }

    /// Draws all of it.
    pub fn draw(&mut self, buffer: &mut Buffer, here: Time) {
        let now = match &mut self.player {
            Some(player) => {
                if let Some(view) = player.new_view(self.picture.view.is_some()) {
                    self.picture.view = Some(view);
                }
                player.now
            }
            None => self.picture.now(here),
        };
        self.settle(now);
        let clock = Clock::at(now);
        let played = self.player.as_ref().map(|player| Played {
            speed: player.speed,
            playing: player.playing,
            at: player.place(),
        });
        let source = Source { address: &self.address, played, here };
        screens::draw(buffer, &self.picture, &mut self.look, self.palette, &clock, &source);
        self.dirty = false;
        self.wake = clock.wake().map(|after| {
            let speed = self.player.as_ref().map_or(1.0, |player| player.speed.max(1.0));
            let moves = self.player.as_ref().is_none_or(|player| player.playing);
            // A recording that is stopped has no time that passes.
            let after = if moves { after.num_milliseconds() as f64 / speed } else { 86_400_000.0 };
            here + TimeDelta::milliseconds(after.max(100.0) as i64)
        });
    }

    /// Says something above the keys, until the next one.
    pub(super) fn say(&mut self, text: &str) {
        self.look.said = Some(text.into());
        self.dirty = true;
    }

    /// All of it is to be drawn again, on a screen that may show anything.
    pub fn redraw(&mut self) {
        self.dirty = true;
        // Whoever stopped the program did not look meanwhile.
        if let Some(player) = &mut self.player {
            player.rest();
        }
    }
}
