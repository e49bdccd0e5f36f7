//! The view on a terminal: waits for keys and for new figures, and writes what has changed.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use naja_report::screen::{self, Key, Line, View, show};
use naja_system::Failure;
use naja_system::terminal::{self, Terminal};

use super::{TopArguments, Watched, choices};
use crate::top::model::Model;
use crate::top::ui::{Action, Page, Ui};
use crate::top::view::{Scene, frame};

/// The longest that new batches and an end stay unnoticed.
const LOOK: Duration = Duration::from_millis(200);

/// Until the first figures have come, they are waited for more closely.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// A source file that is larger is not shown.
const SOURCE_BYTES_MAX: u64 = 4 << 20;

/// Shows the view until the person quits, or a signal asks to.
pub(super) fn run(args: &TopArguments, watched: &mut Watched, terminal: Terminal) -> Result<(), Failure> {
    let ui = choices(args, watched);
    let mut view = TopView { ui, watched, frozen: None, any_figures: false };
    let signal = show(&mut view, terminal, Duration::from_secs_f64(args.delay))?;
    if let Some(signal) = signal {
        // What was started for the view ends with it.
        if let Some(program) = &mut watched.program {
            program.end();
        }
        terminal::end_by(signal);
    }
    Ok(())
}

struct TopView<'a> {
    ui: Ui,
    watched: &'a mut Watched,
    /// The figures that are shown while the display is paused.
    frozen: Option<Box<Model>>,
    any_figures: bool,
}

impl View for TopView<'_> {
    fn take_news(&mut self) -> bool {
        let new = self.watched.take_batches();
        // The first figures at once, and the end; then at their times.
        let at_once = new && (!self.any_figures || self.watched.ended.is_some());
        self.any_figures |= new && self.watched.model.program().is_some();
        at_once
    }

    fn press(&mut self, key: Key) -> screen::Action {
        let action = match self.ui.press(key) {
            Action::Quit => return screen::Action::Quit,
            Action::Draw => screen::Action::Draw,
            Action::Repaint => screen::Action::Repaint,
            Action::Stop => screen::Action::Stop,
            Action::Reset => {
                // What is frozen stays to be read; the zero shows when the display goes on.
                self.watched.model.reset();
                screen::Action::Draw
            }
        };
        self.follow_pause();
        self.read_source();
        action
    }

    fn lines(&mut self, height: usize, width: usize) -> Vec<Line> {
        let output = if self.ui.page == Page::Output { self.watched.output() } else { None };
        let scene = Scene {
            model: self.frozen.as_deref().unwrap_or(&self.watched.model),
            pid: self.watched.pid,
            ended: self.watched.ended.as_deref(),
            output: output.as_deref(),
            window_s: self.watched.window_ns as f64 / 1e9,
        };
        frame(&scene, &mut self.ui, height, width)
    }

    fn patience(&self) -> Duration {
        if self.any_figures { LOOK } else { FIRST_LOOK }
    }

    fn stopped(&mut self) {
        // The sampler stops with the rest of naja: ticks that pass meanwhile are not its fault.
        self.watched.control.stopped.store(true, Ordering::Release);
    }
}

impl TopView<'_> {
    fn follow_pause(&mut self) {
        if self.ui.paused && self.frozen.is_none() {
            self.frozen = Some(Box::new(self.watched.model.clone()));
        } else if !self.ui.paused {
            self.frozen = None;
        }
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
