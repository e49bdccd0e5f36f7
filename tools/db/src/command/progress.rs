//! How far long work is.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How far long work is, on a terminal.
pub(super) struct Progress {
    started: Instant,
    shown: Option<Instant>,
    is_on: bool,
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress { started: Instant::now(), shown: None, is_on: io::stderr().is_terminal() }
    }

    pub(super) fn show(&mut self, rows: u64, err: &mut dyn Write) {
        let now = Instant::now();
        let is_due = self.shown.is_none_or(|shown| now - shown > Duration::from_millis(100));
        if self.is_on && is_due && now - self.started > Duration::from_millis(500) {
            self.shown = Some(now);
            let per_second = rows as f64 / (now - self.started).as_secs_f64();
            let _ = write!(err, "\r{rows} rows, {per_second:.0} a second\x1b[K");
            let _ = err.flush();
        }
    }

    pub(super) fn clear(&mut self, err: &mut dyn Write) {
        if self.shown.take().is_some() {
            let _ = write!(err, "\r\x1b[K");
        }
    }
}
