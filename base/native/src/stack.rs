//! A copy of the upper end of a thread's stack.

use std::io;

/// What a copy holds at first; most stacks of real programs fit.
pub const COPY_BYTES_FIRST: usize = 16 << 10;

/// The most that is copied: a main thread's stack may be 8 MiB by default.
pub const COPY_BYTES_MAX: usize = 8 << 20;

/// Where a thread stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// The instruction.
    pub pc: u64,
    /// The stack pointer.
    pub sp: u64,
    /// The frame pointer (`rbp`, `x29`); [`UNKNOWN`] where it is not known.
    pub fp: u64,
    /// The link register (`x30`); not used on x86-64.
    pub lr: u64,
}

/// Stands for a register that was not read. No stack lies there, so that a walk which needs it ends.
pub const UNKNOWN: u64 = 1;

/// A copy of stack memory, from the stack pointer up.
#[derive(Debug, Default)]
pub struct StackCopy {
    start: u64,
    len: usize,
    bytes: Vec<u8>,
}

impl StackCopy {
    /// Copies up to `len` bytes from `sp` on, fewer where the stack ends before.
    ///
    /// Errors: when nothing can be read there.
    /// Cost: one system call, some 3.5 µs for 32 KiB.
    pub fn fill(&mut self, pid: u32, sp: u64, len: usize) -> io::Result<()> {
        let len = len.min(COPY_BYTES_MAX);
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        self.start = sp;
        self.len = 0;
        self.len = copy(pid, sp, &mut self.bytes[..len])?;
        Ok(())
    }

    /// How many bytes were copied.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was copied.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address after the last that was copied.
    pub fn end(&self) -> u64 {
        self.start.wrapping_add(self.len as u64)
    }

    /// The word at an address; `None` where it was not copied.
    pub fn word(&self, address: u64) -> Option<u64> {
        let from = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let bytes = self.bytes.get(..self.len)?.get(from..from.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// Copies memory of a process into `buffer`. Returns how many bytes could be read, at least one.
pub(crate) fn copy(pid: u32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::NotFound)?;
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: `local` describes `buffer`, which is ours to write for as long as the call lasts; the kernel
    // checks the other process's addresses itself.
    let count = unsafe { libc::process_vm_readv(pid, &local, 1, &remote, 1, 0) };
    match usize::try_from(count) {
        Ok(count) => Ok(count),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Writes into memory of a process, all of it or none that counts.
#[cfg(target_arch = "x86_64")]
pub(crate) fn write(pid: u32, address: u64, bytes: &[u8]) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::NotFound)?;
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: `local` describes `bytes`, which are read; the kernel checks the other process's addresses itself.
    let count = unsafe { libc::process_vm_writev(pid, &local, 1, &remote, 1, 0) };
    match usize::try_from(count) {
        Ok(count) if count == bytes.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
