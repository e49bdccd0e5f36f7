//! A file in memory into which the program's processes write notes for naja, by its path.
//!
//! It has no place in the file system: nothing stays behind, whatever ends naja, and what outlives naja finds no file.
//! The path leads through naja's own process, so it is for processes of the same user and the same `/proc`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;

/// The most that is read of it.
const BYTES_MAX: u64 = 4 << 20;

/// Such a file, open in this process as long as this value lives.
#[derive(Debug)]
pub struct Notes(File);

impl Notes {
    /// An empty one.
    ///
    /// Errors: what the system says, such as too many open descriptors.
    pub fn new() -> io::Result<Notes> {
        // SAFETY: the name is a terminated string; the call touches nothing else of ours.
        let descriptor = unsafe { libc::memfd_create(c"naja".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just opened it, and nobody else knows its number.
        Ok(Notes(unsafe { File::from_raw_fd(descriptor) }))
    }

    /// Where others open it, for appending.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }

    /// What was written so far, up to 4 MiB.
    ///
    /// Errors: what the system says.
    pub fn read(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.0.seek(SeekFrom::Start(0))?;
        (&mut self.0).take(BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    #[test]
    fn what_others_append_is_read_and_nothing_stays_behind() {
        let mut notes = Notes::new().expect("memory is there");
        let path = notes.path();
        for text in ["one\n", "two\n"] {
            let mut file = OpenOptions::new().append(true).open(&path).expect("it has a path");
            file.write_all(text.as_bytes()).expect("it takes text");
        }
        assert_eq!(notes.read().expect("it can be read"), "one\ntwo\n");
        assert_eq!(notes.read().expect("it can be read again"), "one\ntwo\n");
        drop(notes);
        assert!(OpenOptions::new().append(true).open(&path).is_err());
    }
}
