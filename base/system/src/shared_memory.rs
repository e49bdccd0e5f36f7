//! Memory that another process writes while this one reads.
//!
//! Nothing in it is trusted: bytes are copied out, and words are read and written as atomics.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A mapping of a memory file.
pub struct SharedMemory {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: everything in it is read and written as an atomic.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// Maps the first `len` bytes of a file that nobody may make shorter afterwards, or whose maker is trusted not to: memory
    /// of a file that has become shorter ends the process that reads it.
    ///
    /// Errors: the system's, and `InvalidData` for a file that is shorter already
    pub fn of_file(file: &File, len: usize) -> io::Result<SharedMemory> {
        if file.metadata()?.len() < len as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the shared memory is too small"));
        }
        // SAFETY: the system chooses where; nothing of ours is mapped there.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(SharedMemory { start, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The word at a place that is a multiple of eight; none outside.
    pub fn word(&self, offset: usize) -> Option<&AtomicU64> {
        let is_inside = offset.is_multiple_of(8) && offset.checked_add(8).is_some_and(|end| end <= self.len);
        // SAFETY: it is inside of the mapping, which lives as long as `self`, and aligned, since mappings are.
        is_inside.then(|| unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(offset).cast()) })
    }

    /// The half word at a place that is a multiple of four; none outside.
    pub fn half_word(&self, offset: usize) -> Option<&AtomicU32> {
        let is_inside = offset.is_multiple_of(4) && offset.checked_add(4).is_some_and(|end| end <= self.len);
        // SAFETY: as in `word`.
        is_inside.then(|| unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(offset).cast()) })
    }

    /// Appends a copy of what lies at a place; what is outside is left out.
    pub fn copy(&self, offset: usize, len: usize, into: &mut Vec<u8>) {
        let offset = offset.min(self.len);
        let len = len.min(self.len - offset);
        into.reserve(len);
        // SAFETY: it is inside of the mapping, and there is room. The writer has given these bytes away; if it lies, they
        // are some bytes.
        unsafe {
            let from = self.start.as_ptr().add(offset);
            let to = into.as_mut_ptr().add(into.len());
            std::ptr::copy_nonoverlapping(from, to, len);
            into.set_len(into.len() + len);
        }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: it is the mapping that was made, and nothing borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
