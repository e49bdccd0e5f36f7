//! The terminal that pytest is given when this program draws below its output: a pseudo-terminal of the same size.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};

/// Both ends of a pseudo-terminal.
pub struct Pseudoterminal {
    /// What pytest writes to.
    pub inner: OwnedFd,
    /// Where this program reads it.
    pub outer: File,
}

impl Pseudoterminal {
    /// A new one, as large as the terminal of standard output.
    ///
    /// Errors: the system's, for example where `/dev/pts` is not mounted.
    pub fn new() -> io::Result<Pseudoterminal> {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&outer)?;
        unlockpt(&outer)?;
        let name = ptsname(&outer, Vec::new())?;
        let path = std::ffi::OsStr::from_bytes(name.as_bytes());
        let mut options = OpenOptions::new();
        // It must not become the controlling terminal of this program.
        let flags = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap_or(0);
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
        let inner = options.read(true).write(true).open(path)?;
        let made = Pseudoterminal { inner: inner.into(), outer: outer.into() };
        follow_size(&made.outer)?;
        Ok(made)
    }
}

/// Gives a pseudo-terminal the size that standard output's terminal has now.
pub fn follow_size(outer: &File) -> io::Result<()> {
    let size: Winsize = tcgetwinsize(io::stdout())?;
    Ok(tcsetwinsize(outer, size)?)
}
