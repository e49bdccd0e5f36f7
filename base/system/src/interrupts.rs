//! Ctrl-C and its like as something to be asked about, so that work in progress is ended and not cut off.

use std::io;

use crate::signals::Signals;

/// The wish to end: Ctrl-C, `kill`, a terminal that was closed.
///
/// With [`Interrupts::wait`] it is held back once; whoever asks a second time means it, so that from the first on these
/// signals act as usual. With [`Interrupts::next`] every one of them is handed out.
pub struct Interrupts {
    signals: Option<Signals>,
}

/// One wish to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interruption {
    /// Ctrl-C, or SIGINT of another program; else SIGTERM or SIGHUP.
    pub is_ctrl_c: bool,
    /// It came from the terminal, and so to the other programs of this process group as well.
    pub is_of_terminal: bool,
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

    /// The next wish that has come in, if any; never waits, and goes on holding back later ones.
    ///
    /// The kernel merges signals of one kind that come faster than they are asked for.
    pub fn next(&self) -> Option<Interruption> {
        let received = self.signals.as_ref()?.next()?;
        Some(Interruption {
            is_ctrl_c: received.signal == libc::SIGINT,
            is_of_terminal: received.code == libc::SI_KERNEL,
        })
    }
}
