//! The view on a terminal: waits for keys and for new figures, and writes what has changed.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use naja_system::Failure;
use naja_system::terminal::{self, Terminal, TerminalEvent};

use super::{TopArguments, Watched, choices};
use crate::top::grid::Grid;
use crate::top::keys;
use crate::top::model::Model;
use crate::top::ui::{Action, Page, Ui};
use crate::top::view::{Scene, frame};

/// The longest that new batches and an end stay unnoticed.
const LOOK: Duration = Duration::from_millis(200);

/// Until the first figures have come, they are waited for more closely.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// How long the rest of a key may take to come, over a slow line.
const KEY_REST: Duration = Duration::from_millis(60);

/// A source file that is larger is not shown.
const SOURCE_BYTES_MAX: u64 = 4 << 20;

/// Shows the view until the person quits, or a signal asks to.
pub(super) fn run(args: &TopArguments, watched: &mut Watched, terminal: Terminal) -> Result<(), Failure> {
    terminal
        .enter()
        .map_err(|error| Failure::new("no-terminal", "the terminal cannot be used").caused_by(&error))?;
    let hook = ScreenHook::set();
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let ui = choices(args, watched);
    let mut screen = Screen {
        delay: Duration::from_secs_f64(args.delay),
        colour: !no_colour,
        terminal,
        ui,
        watched,
        frozen: None,
        shown: None,
        pending: Vec::new(),
        drawn: Instant::now(),
        any_figures: false,
    };
    let signal = screen.run();
    let Screen { terminal, .. } = screen;
    drop(terminal);
    drop(hook);
    match signal {
        // What was started for the view ends with it.
        Some(signal) => {
            if let Some(program) = &mut watched.program {
                program.end();
            }
            terminal::end_by(signal)
        }
        None => Ok(()),
    }
}

struct Screen<'a> {
    delay: Duration,
    colour: bool,
    terminal: Terminal,
    ui: Ui,
    watched: &'a mut Watched,
    /// The figures that are shown while the display is paused.
    frozen: Option<Box<Model>>,
    shown: Option<Grid>,
    /// Bytes of a key that is not whole yet.
    pending: Vec<u8>,
    drawn: Instant,
    any_figures: bool,
}

impl Screen<'_> {
    /// Runs until the end; gives the signal that asked for it, if one did.
    fn run(&mut self) -> Option<i32> {
        self.draw();
        loop {
            let new = self.watched.take_batches();
            // The first figures at once, and the end; then at their times.
            let at_once = new && (!self.any_figures || self.watched.ended.is_some());
            self.any_figures |= new && self.watched.model.program().is_some();
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
        let look = if self.any_figures { LOOK } else { FIRST_LOOK };
        self.delay.saturating_sub(self.drawn.elapsed()).min(look).max(Duration::from_millis(1))
    }

    /// Follows the keys that have come; says whether one of them ends the view.
    fn press(&mut self, complete: bool) -> bool {
        for key in keys::take(&mut self.pending, complete) {
            match self.ui.press(key) {
                Action::Quit => return true,
                Action::Draw => {}
                Action::Repaint => self.shown = None,
                Action::Stop => self.stop(),
                Action::Reset => {
                    self.watched.model.reset();
                    // What is frozen stays to be read; the zero shows when the display goes on.
                }
            }
            self.follow_pause();
            self.read_source();
            // After each one: the next may choose among rows that this one has brought.
            self.draw();
        }
        false
    }

    fn follow_pause(&mut self) {
        if self.ui.paused && self.frozen.is_none() {
            self.frozen = Some(Box::new(self.watched.model.clone()));
        } else if !self.ui.paused {
            self.frozen = None;
        }
    }

    fn stop(&mut self) {
        // The sampler stops with the rest of naja: ticks that pass meanwhile are not its fault.
        self.watched.control.stopped.store(true, Ordering::Release);
        // That the terminal is gone is told by the next read.
        let _ = self.terminal.stop();
        self.watched.control.stopped.store(true, Ordering::Release);
        self.repaint();
    }

    fn repaint(&mut self) {
        self.shown = None;
        self.draw();
    }

    /// Reads the source of the function that is looked into, once.
    fn read_source(&mut self) {
        let model = self.frozen.as_deref().unwrap_or(&self.watched.model);
        let pid = self.watched.pid;
        if let Some(detail) = self.ui.details.last_mut()
            && detail.source.is_none()
        {
            let file = model.counts.function(detail.function).map(|function| function.file.as_str());
            detail.source = Some(file.and_then(|file| source(pid, file)).unwrap_or_default());
        }
    }

    fn draw(&mut self) {
        let (height, width) = self.terminal.size();
        let (height, width) = (usize::from(height), usize::from(width));
        let output = if self.ui.page == Page::Output { self.watched.output() } else { None };
        let scene = Scene {
            model: self.frozen.as_deref().unwrap_or(&self.watched.model),
            pid: self.watched.pid,
            ended: self.watched.ended.as_deref(),
            output: output.as_deref(),
            window_s: self.watched.window_ns as f64 / 1e9,
        };
        let grid = Grid::new(&frame(&scene, &mut self.ui, height, width), height, width);
        let bytes = grid.changes(self.shown.as_ref(), self.colour);
        // That the terminal is gone is told by the next read.
        let _ = self.terminal.write(&bytes);
        self.shown = Some(grid);
        self.drawn = Instant::now();
    }
}

/// The lines of a source file as the process sees it, which may live in a container, or else as naja does.
fn source(pid: u32, file: &str) -> Option<Vec<String>> {
    let inside = match file.strip_prefix('/') {
        Some(inside) => format!("/proc/{pid}/root/{inside}"),
        None => format!("/proc/{pid}/cwd/{file}"),
    };
    let read = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        let fits = data.is_file() && data.len() <= SOURCE_BYTES_MAX;
        fits.then(|| std::fs::read(path).ok()).flatten()
    };
    let bytes = read(Path::new(&inside)).or_else(|| read(Path::new(file)))?;
    Some(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
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
