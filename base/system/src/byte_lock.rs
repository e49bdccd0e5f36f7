//! A lock on one byte of a file that lasts as long as its holder, however that ends.
//!
//! It is an "open file description" lock: other locks that the same process takes on the file through other
//! descriptors (SQLite's, for one) neither conflict with it nor release it, and the kernel drops it with the
//! last descriptor, after `kill -9` too.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Locks the byte at `offset` (it need not exist) until `file` is closed; false if another holds it.
///
/// Closing `file` also releases the classic record locks that this process holds on the same file: let it be
/// closed after them.
pub fn try_lock(file: &File, offset: i64) -> io::Result<bool> {
    let mut lock = byte(offset);
    match control(file, libc::F_OFD_SETLK, &mut lock) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether someone holds the byte at `offset` locked. `file` may be open for reading alone.
pub fn is_locked(file: &File, offset: i64) -> io::Result<bool> {
    let mut lock = byte(offset);
    control(file, libc::F_OFD_GETLK, &mut lock)?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

fn byte(offset: i64) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: offset,
        l_len: 1,
        l_pid: 0,
    }
}

fn control(file: &File, operation: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: both operations take a pointer to one `flock`, which lives beyond the call.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), operation, std::ptr::from_mut(lock)) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
