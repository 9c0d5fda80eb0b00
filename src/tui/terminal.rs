//! The terminal: taken, and given back as it was, however it ends.

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

static HOOK: Once = Once::new();

/// The terminal while it is ours.
pub(super) struct Taken {
    pub(super) terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Taken {
    pub(super) fn take() -> io::Result<Taken> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                give_back();
                before(info);
                // Without one of its threads the rest would stand still for ever.
                if std::thread::current().name() != Some("main") {
                    std::process::exit(101);
                }
            }));
        });
        let out = BufWriter::with_capacity(64 << 10, io::stdout());
        let mut taken = Taken { terminal: Terminal::new(CrosstermBackend::new(out))? };
        taken.again()?;
        Ok(taken)
    }

    /// Takes it again, after it was given back.
    pub(super) fn again(&mut self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        let out = &mut io::stdout();
        execute!(out, EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste, cursor::Hide)?;
        // Everything is drawn anew. `clear` would ask the terminal for its cursor, which not every one answers.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives it back, once.
pub(super) fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // The modes first: what is written waits for a terminal that takes nothing. One that has gone needs nothing any more.
    let _ = disable_raw_mode();
    let out = &mut io::stdout();
    let _ = execute!(out, DisableBracketedPaste, DisableMouseCapture, LeaveAlternateScreen, cursor::Show);
    let _ = out.flush();
}
