//! Files of machine code in naja's own memory: mapped, so that only what is looked at is ever read.
//!
//! The debugging information of one interpreter is some 25 MB, of which a stack needs some 100 KB. A mapped file may
//! be cut off by its owner while it is looked at, which the kernel answers with a signal: pages that are gone read as
//! zeros then. Start at [`Bytes::of_file`].

use std::fs::File;
use std::io::{self, Read};
use std::ops::{Deref, Range};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once, OnceLock};

/// Files beyond this are not looked at.
const FILE_BYTES_MAX: u64 = 16 << 30;

/// A file that cannot be mapped is read, up to this.
const READ_BYTES_MAX: u64 = 256 << 20;

/// Bytes of a file or of memory; they live as long as anyone has them.
#[derive(Clone)]
pub(crate) struct Bytes {
    contents: Arc<Contents>,
    range: Range<usize>,
}

enum Contents {
    Mapped(Mapped),
    Owned(Vec<u8>),
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({:?})", self.range)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let whole = match &*self.contents {
            Contents::Mapped(mapped) => mapped.bytes(),
            Contents::Owned(bytes) => bytes,
        };
        whole.get(self.range.clone()).unwrap_or_default()
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes { range: 0..bytes.len(), contents: Arc::new(Contents::Owned(bytes)) }
    }
}

impl Default for Bytes {
    fn default() -> Bytes {
        Vec::new().into()
    }
}

impl Bytes {
    /// A whole file.
    ///
    /// Errors: those of opening it; it is no file, or too large.
    /// Cost: three system calls, whatever its size.
    pub(crate) fn of_file(path: &Path) -> io::Result<Bytes> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let len = usize::try_from(metadata.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        if let Some(mapped) = Mapped::new(&file, len) {
            return Ok(Bytes { contents: Arc::new(Contents::Mapped(mapped)), range: 0..len });
        }
        let mut bytes = Vec::new();
        file.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    /// A part of it; `None` where it does not reach so far.
    pub(crate) fn part(&self, offset: u64, len: u64) -> Option<Bytes> {
        let from = usize::try_from(offset).ok()?.checked_add(self.range.start)?;
        let to = from.checked_add(usize::try_from(len).ok()?)?;
        (to <= self.range.end).then(|| Bytes { contents: self.contents.clone(), range: from..to })
    }

    /// The same bytes, without the bound of this value's life.
    ///
    /// # Safety
    ///
    /// The result must not be used once all clones of this value are gone.
    pub(crate) unsafe fn unbound(&self) -> &'static [u8] {
        // SAFETY: neither a mapping nor the vector behind the `Arc` moves, and the caller keeps a clone.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }
}

/// A mapping, readable and our own.
struct Mapped {
    address: usize,
    len: usize,
    slot: &'static Slot,
}

impl Mapped {
    /// `None` where the file cannot be mapped, or so many are already that no more can be guarded.
    fn new(file: &File, len: usize) -> Option<Mapped> {
        if len == 0 {
            return None;
        }
        guard();
        let slot = SLOTS.iter().find(|slot| {
            slot.end.compare_exchange(FREE, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
        };
        if address == libc::MAP_FAILED {
            slot.end.store(FREE, Ordering::Release);
            return None;
        }
        slot.start.store(address as usize, Ordering::Release);
        slot.end.store(address as usize + len.next_multiple_of(PAGE_BYTES_MAX), Ordering::Release);
        Some(Mapped { address: address as usize, len, slot })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes are mapped from `address` on until this value is dropped; where the file has been cut
        // off since, `on_bus_error` gives zeros. Another program may write to the file meanwhile: whatever is read
        // from it is taken for hostile, and every reader checks what it has read, never what it will read.
        unsafe { std::slice::from_raw_parts(self.address as *const u8, self.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.slot.end.store(TAKEN, Ordering::Release);
        // SAFETY: the mapping is this value's own, and nothing borrows from it any more.
        unsafe { libc::munmap(self.address as *mut libc::c_void, self.len) };
        self.slot.end.store(FREE, Ordering::Release);
    }
}

/// Where a mapping lies, for the signal handler.
struct Slot {
    start: AtomicUsize,
    /// Or one of the two below.
    end: AtomicUsize,
}

const FREE: usize = 0;
/// No address is below it.
const TAKEN: usize = 1;

/// The largest page of any processor that naja runs on.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// Mappings at a time; further files are read into memory.
const SLOTS_MAX: usize = 8192;

static SLOTS: [Slot; SLOTS_MAX] =
    [const { Slot { start: AtomicUsize::new(0), end: AtomicUsize::new(FREE) } }; SLOTS_MAX];

/// What was to be done at a bus error before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

fn guard() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: an all-zero sigaction is a valid value, and the calls fill and read it. The handler does only what
        // a handler may.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut before) != 0 {
                return;
            }
            let _ = BEFORE.set(before);
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_bus_error;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
        }
    });
}

/// Puts a page of zeros where a mapped file has been cut off; for any other bus error what was there before is put
/// back, and the instruction that is repeated then meets that.
extern "C" fn on_bus_error(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid record to a handler that has asked for one.
    let address = unsafe { (*info).si_addr() } as usize;
    let holds = |slot: &Slot| {
        let end = slot.end.load(Ordering::Acquire);
        end > TAKEN && slot.start.load(Ordering::Acquire) <= address && address < end
    };
    // SAFETY: these are system calls alone, which a handler may make. The page belongs to a mapping of ours that can
    // only be read, so that no value of the program lies there.
    unsafe {
        if SLOTS.iter().any(holds) {
            let page_bytes = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(4096);
            let page = (address & !(page_bytes - 1)) as *mut libc::c_void;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            if libc::mmap(page, page_bytes, libc::PROT_READ, flags, -1, 0) != libc::MAP_FAILED {
                return;
            }
        }
        if let Some(before) = BEFORE.get() {
            libc::sigaction(libc::SIGBUS, before, std::ptr::null_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_a_mapped_file_reads_as_zeros() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("file");
        std::fs::write(&path, vec![7; 1 << 20]).expect("the folder is ours");
        let bytes = Bytes::of_file(&path).expect("it can be read");
        assert!(matches!(*bytes.contents, Contents::Mapped(_)));
        assert_eq!((bytes[0], bytes.len()), (7, 1 << 20));
        let file = File::options().write(true).open(&path).expect("the file is ours");
        file.set_len(100).expect("the file is ours");
        assert_eq!((bytes[0], bytes[500_000], bytes[(1 << 20) - 1]), (7, 0, 0));
        let part = bytes.part(90, 20).expect("it was as long as that");
        assert_eq!((part[0], part[19]), (7, 0));
        assert!(bytes.part(1 << 20, 1).is_none() && part.part(0, 21).is_none());
    }

    #[test]
    fn an_empty_file_and_a_folder_are_no_mappings() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("empty");
        std::fs::write(&path, "").expect("the folder is ours");
        assert!(Bytes::of_file(&path).is_ok_and(|bytes| bytes.is_empty()));
        assert!(Bytes::of_file(folder.path()).is_err());
    }
}
