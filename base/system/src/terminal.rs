//! The terminal as a screen: keys without waiting for a line, the size, and signals that must not break it.
//!
//! The invariant: however the program ends (a return, a panic, SIGTERM, a hang-up), the terminal is given back as it
//! was found; only SIGKILL is beyond that. Linux only; this file is the platform's seam. Start at [`Terminal::open`].

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Mutex;
use std::time::Duration;

use crate::process::SignalMask;
use crate::signals::{read_signal, set_default_action};

/// What comes back from [`Terminal::wait`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TerminalEvent {
    /// Bytes of keys that were pressed, as the terminal sends them.
    Keys(Vec<u8>),
    /// The size has changed, or the program was stopped and goes on: everything is to be drawn anew.
    Redraw,
    /// The program was asked to stop (Ctrl-Z pressed elsewhere, `kill -TSTP`): see [`Terminal::stop`].
    Stop,
    /// The program was asked to end, by this signal, or the terminal is gone.
    End(i32),
    /// Nothing happened in the time given.
    Nothing,
}

/// The controlling terminal, taken for a screen. Dropping it gives it back.
pub struct Terminal {
    tty: File,
    signals: OwnedFd,
    mask_before: SignalMask,
}

/// What is needed to give the terminal back: here, so that a panic's message can be written to a usable screen.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

struct Taken {
    tty: File,
    settings: libc::termios,
}

/// Alternate screen, no wrapping at the margin, no cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[2J";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1049l";

/// Signals that are taken from the descriptor instead of acting on the process.
const HELD: [libc::c_int; 7] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGWINCH, libc::SIGTSTP, libc::SIGCONT];

impl Terminal {
    /// Opens the controlling terminal; nothing of it changes before [`Terminal::enter`].
    ///
    /// Holds back this process's signals in this thread and in those that it starts from now on, so call it before
    /// they start. Errors: there is no controlling terminal.
    pub fn open() -> io::Result<Terminal> {
        let tty = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        // Asked first: it fails where the file is no terminal, and nothing was changed yet.
        settings(&tty)?;
        let (signals, mask_before) = hold_signals()?;
        Ok(Terminal { tty, signals, mask_before })
    }

    /// Rows and columns, at least one of each; 24 and 80 where the terminal does not know.
    pub fn size(&self) -> (u16, u16) {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: `size` is writable and of the type that this request fills.
        let result = unsafe { libc::ioctl(self.tty.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
        if result != 0 || size.ws_row == 0 || size.ws_col == 0 {
            (24, 80)
        } else {
            (size.ws_row, size.ws_col)
        }
    }

    /// Writes to the screen. Waits while the terminal takes nothing.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tty.write_all(bytes)
    }

    /// Waits for a key or a signal, for `patience` at most.
    pub fn wait(&mut self, patience: Duration) -> TerminalEvent {
        let poll = |descriptor| libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        let mut polls = [poll(self.signals.as_raw_fd()), poll(self.tty.as_raw_fd())];
        // Rounded up, so that a short patience does not become none.
        let patience_ms = patience.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
        // SAFETY: two valid, writable entries.
        let ready = unsafe { libc::poll(polls.as_mut_ptr(), 2, patience_ms) };
        if ready <= 0 {
            return TerminalEvent::Nothing;
        }
        if polls[0].revents != 0
            && let Some(received) = read_signal(self.signals.as_raw_fd())
        {
            return self.on_signal(received.signal);
        }
        if polls[1].revents == 0 {
            return TerminalEvent::Nothing;
        }
        let mut bytes = [0; 256];
        match self.tty.read(&mut bytes) {
            Ok(count) if count > 0 => TerminalEvent::Keys(bytes[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => TerminalEvent::Nothing,
            // Its window was closed.
            _ => TerminalEvent::End(libc::SIGHUP),
        }
    }

    fn on_signal(&self, signal: libc::c_int) -> TerminalEvent {
        match signal {
            libc::SIGWINCH => TerminalEvent::Redraw,
            libc::SIGTSTP => TerminalEvent::Stop,
            // Stopped by SIGSTOP: a shell has had the terminal meanwhile.
            libc::SIGCONT => {
                let _ = self.enter();
                TerminalEvent::Redraw
            }
            signal => TerminalEvent::End(signal),
        }
    }

    /// Gives the terminal back, stops this process as Ctrl-Z does, and takes the terminal again when it goes on.
    ///
    /// Errors: the terminal is gone.
    pub fn stop(&mut self) -> io::Result<()> {
        restore();
        set_default_action(libc::SIGTSTP);
        // SAFETY: numbers only; 0 is this process's own group, which a shell stops as a whole.
        unsafe { libc::kill(0, libc::SIGTSTP) };
        // The process stops here, as the signal is let through in this thread.
        self.mask_before.apply();
        mask_of_held().block();
        self.enter()
    }

    /// Takes the terminal: keys come one by one and are not shown, the screen is an empty one of its own.
    ///
    /// Errors: the terminal is gone.
    pub fn enter(&self) -> io::Result<()> {
        let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if taken.is_none() {
            *taken = Some(Taken { tty: self.tty.try_clone()?, settings: settings(&self.tty)? });
        }
        let mut raw = taken.as_ref().map_or_else(|| settings(&self.tty), |taken| Ok(taken.settings))?;
        // SAFETY: changes flags of a struct that was filled by `tcgetattr`.
        unsafe { libc::cfmakeraw(&raw mut raw) };
        // SAFETY: an open terminal and a filled struct.
        if unsafe { libc::tcsetattr(self.tty.as_raw_fd(), libc::TCSANOW, &raw const raw) } != 0 {
            return Err(io::Error::last_os_error());
        }
        (&self.tty).write_all(ENTER)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
        self.mask_before.apply();
    }
}

/// Gives the terminal back as it was found; does nothing when no one has taken it.
pub fn restore() {
    let taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(mut taken) = taken {
        // Where that fails, the terminal is gone.
        let _ = taken.tty.write_all(LEAVE);
        // SAFETY: an open terminal and the settings that it had. What was typed and not read is forgotten: it was
        // meant for the screen, not for the shell.
        unsafe { libc::tcsetattr(taken.tty.as_raw_fd(), libc::TCSAFLUSH, &raw const taken.settings) };
    }
}

/// Ends this process by a signal, as if it had not been held back; with code 128 + signal where that fails.
pub fn end_by(signal: i32) -> ! {
    crate::signals::end_self(signal);
    // SAFETY: takes a number; nothing of this program is left to be written.
    unsafe { libc::_exit(128 + signal) }
}

fn settings(tty: &File) -> io::Result<libc::termios> {
    // SAFETY: an all-zero termios is a valid value of this plain C struct, and it is writable.
    unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        if libc::tcgetattr(tty.as_raw_fd(), &raw mut settings) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(settings)
    }
}

fn mask_of_held() -> SignalMask {
    // SAFETY: `sigset_t` is a plain C struct for which all zeroes is a value, and it is writable.
    unsafe {
        let mut held: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut held);
        for signal in HELD {
            libc::sigaddset(&raw mut held, signal);
        }
        SignalMask(held)
    }
}

/// Holds the signals back and gives the descriptor that they are read from, and the mask before.
fn hold_signals() -> io::Result<(OwnedFd, SignalMask)> {
    let held = mask_of_held();
    // SAFETY: `held` is an initialised set; -1 asks for a new descriptor.
    let descriptor = unsafe { libc::signalfd(-1, &raw const held.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if descriptor == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and has no other owner.
    let signals = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Ok((signals, held.block()))
}

impl SignalMask {
    /// Blocks these signals in this thread beside those that are blocked, and gives the mask before.
    fn block(&self) -> SignalMask {
        // SAFETY: the set is initialised, and `before` is writable.
        unsafe {
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const self.0, &raw mut before);
            SignalMask(before)
        }
    }
}
