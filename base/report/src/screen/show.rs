//! Shows a view on a terminal: waits for keys and for news, and writes what has changed of the picture.
//!
//! The terminal is given back however it ends. Start at [`show`].

use std::time::{Duration, Instant};

use naja_system::Failure;
use naja_system::terminal::{self, Terminal, TerminalEvent};

use super::grid::{Grid, Line};
use super::keys::{self, Key};

/// How long the rest of a key may take to come, over a slow line.
const KEY_REST: Duration = Duration::from_millis(60);

/// What is to be done after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Draw what has changed.
    Draw,
    /// Draw everything anew.
    Repaint,
    /// End.
    Quit,
    /// Stop, as a shell's job.
    Stop,
}

/// What is shown.
pub trait View {
    /// Takes over what is new; whether that is to be drawn at once, and not only when its time has come.
    fn take_news(&mut self) -> bool;

    /// Follows a key.
    fn press(&mut self, key: Key) -> Action;

    /// The picture, of so many rows and columns.
    fn lines(&mut self, height: usize, width: usize) -> Vec<Line>;

    /// How long news may wait to be looked for.
    fn patience(&self) -> Duration;

    /// Called before naja stops as a shell's job, and when it goes on.
    fn stopped(&mut self) {}
}

/// Shows a view until the person quits. A signal that asks for the end is what comes back: see [`terminal::end_by`].
///
/// Errors: `no-terminal`
pub fn show(view: &mut dyn View, terminal: Terminal, delay: Duration) -> Result<Option<i32>, Failure> {
    terminal
        .enter()
        .map_err(|error| Failure::new("no-terminal", "the terminal cannot be used").caused_by(&error))?;
    let hook = ScreenHook::set();
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mut screen = Screen {
        view,
        terminal,
        delay,
        colour: !no_colour,
        shown: None,
        pending: Vec::new(),
        drawn: Instant::now(),
    };
    let signal = screen.run();
    let Screen { terminal, .. } = screen;
    drop(terminal);
    drop(hook);
    Ok(signal)
}

struct Screen<'a> {
    view: &'a mut dyn View,
    terminal: Terminal,
    delay: Duration,
    colour: bool,
    shown: Option<Grid>,
    /// Bytes of a key that is not whole yet.
    pending: Vec<u8>,
    drawn: Instant,
}

impl Screen<'_> {
    /// Runs until the end; gives the signal that asked for it, if one did.
    fn run(&mut self) -> Option<i32> {
        self.draw();
        loop {
            let at_once = self.view.take_news();
            if at_once || self.drawn.elapsed() >= self.delay {
                self.draw();
            }
            match self.terminal.wait(self.patience()) {
                TerminalEvent::Keys(bytes) => {
                    self.pending.extend(bytes);
                    if self.press(false) {
                        return None;
                    }
                }
                TerminalEvent::Nothing => {
                    if self.press(true) {
                        return None;
                    }
                }
                TerminalEvent::Redraw => self.repaint(),
                TerminalEvent::Stop => self.stop(),
                TerminalEvent::End(signal) => return Some(signal),
            }
        }
    }

    fn patience(&self) -> Duration {
        if !self.pending.is_empty() {
            return KEY_REST;
        }
        let until_drawn = self.delay.saturating_sub(self.drawn.elapsed());
        until_drawn.min(self.view.patience()).max(Duration::from_millis(1))
    }

    /// Follows the keys that have come; says whether one of them ends the view.
    fn press(&mut self, complete: bool) -> bool {
        for key in keys::take(&mut self.pending, complete) {
            match self.view.press(key) {
                Action::Quit => return true,
                Action::Draw => {}
                Action::Repaint => self.shown = None,
                Action::Stop => self.stop(),
            }
            // After each one: the next may choose among rows that this one has brought.
            self.draw();
        }
        false
    }

    fn stop(&mut self) {
        self.view.stopped();
        // That the terminal is gone is told by the next read.
        let _ = self.terminal.stop();
        self.view.stopped();
        self.repaint();
    }

    fn repaint(&mut self) {
        self.shown = None;
        self.draw();
    }

    fn draw(&mut self) {
        let (height, width) = self.terminal.size();
        let (height, width) = (usize::from(height), usize::from(width));
        let grid = Grid::new(&self.view.lines(height, width), height, width);
        let bytes = grid.changes(self.shown.as_ref(), self.colour);
        // That the terminal is gone is told by the next read.
        let _ = self.terminal.write(&bytes);
        self.shown = Some(grid);
        self.drawn = Instant::now();
    }
}

/// While it lives, a panic of this thread gives the terminal back before its message is written; that of another
/// thread, which leaves the view standing, is not written over it.
struct ScreenHook;

impl ScreenHook {
    fn set() -> ScreenHook {
        let before = std::panic::take_hook();
        let screen_thread = std::thread::current().id();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().id() == screen_thread {
                terminal::restore();
                before(info);
            }
        }));
        ScreenHook
    }
}

impl Drop for ScreenHook {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::panic::take_hook());
        }
    }
}
