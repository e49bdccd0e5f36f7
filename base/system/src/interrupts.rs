//! Ctrl-C and its like as something to be asked about, so that work in progress is ended and not cut off.

use std::io;

use crate::signals::Signals;

/// The wish to end: Ctrl-C, `kill`, a terminal that was closed.
///
/// Held back once; whoever asks a second time means it, so that from the first on these signals act as usual.
pub struct Interrupts {
    signals: Option<Signals>,
}

impl Interrupts {
    /// Holds back SIGINT, SIGTERM and SIGHUP in this thread and in those that it starts from now on.
    ///
    /// Call it before the first other thread starts. Errors: no descriptor left.
    pub fn hold() -> io::Result<Interrupts> {
        let signals = Signals::hold_only(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP])?;
        Ok(Interrupts { signals: Some(signals) })
    }

    /// Waits until the end is wished for, `timeout_ms` at most. Says whether it is.
    ///
    /// After it was, the signals end this process if they come again.
    pub fn wait(&mut self, timeout_ms: u32) -> bool {
        let Some(signals) = &self.signals else { return true };
        if !signals.wait(i32::try_from(timeout_ms).unwrap_or(i32::MAX)) {
            return false;
        }
        while signals.next().is_some() {}
        if let Some(signals) = self.signals.take() {
            signals.inherited_mask.apply();
        }
        true
    }
}
