//! Blocks of memory from a chosen function of the C library, or of Python where that is in the process.
//!
//! Who tests what a program's allocations look like from outside has to make some of each kind. A block that is not given back
//! stays. Start at [`Block`].

use std::ffi::{CStr, c_int, c_void};
use std::hint::black_box;
use std::mem::transmute;
use std::sync::{Mutex, PoisonError};

unsafe extern "C" {
    fn valloc(size: usize) -> *mut c_void;
    fn pvalloc(size: usize) -> *mut c_void;
}

/// The least alignment that is asked for.
const ALIGNMENT: usize = size_of::<*mut c_void>();

/// A function of the C library that gives memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the function of its name
pub enum Giver {
    Malloc,
    Calloc,
    /// A block of one byte, made larger.
    Realloc,
    PosixMemalign,
    AlignedAlloc,
    Memalign,
    Valloc,
    Pvalloc,
}

/// Memory from the C library. It is not read or written.
#[derive(Debug)]
pub struct Block(*mut c_void);

// SAFETY: any thread may give memory of the C library back.
unsafe impl Send for Block {}
// SAFETY: what is shared of it is a number.
unsafe impl Sync for Block {}

impl Block {
    /// So many bytes; nothing where there are none.
    pub fn new(giver: Giver, size: usize) -> Option<Block> {
        // SAFETY: any size may be asked for; the alignments are powers of two, and `place` is a place for an address.
        let block = unsafe {
            match giver {
                Giver::Malloc => libc::malloc(size),
                Giver::Calloc => libc::calloc(1, size),
                Giver::Realloc => libc::realloc(black_box(libc::malloc(1)), size),
                Giver::PosixMemalign => {
                    let mut place = std::ptr::null_mut();
                    let failed = libc::posix_memalign(&mut place, ALIGNMENT, size);
                    if failed == 0 { place } else { std::ptr::null_mut() }
                }
                Giver::AlignedAlloc => libc::aligned_alloc(ALIGNMENT, size),
                Giver::Memalign => libc::memalign(ALIGNMENT, size),
                Giver::Valloc => valloc(size),
                Giver::Pvalloc => pvalloc(size),
            }
        };
        let block = black_box(block);
        (!block.is_null()).then_some(Block(block))
    }

    /// Gives it back.
    pub fn free(self) {
        // SAFETY: it is of the C library, and this is its only owner.
        unsafe { libc::free(black_box(self.0)) };
    }
}

/// A part of the interpreter's allocators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the domain of its name
pub enum Domain {
    Raw,
    Mem,
    Object,
}

/// A function of such a part that gives memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the function of its name
pub enum PythonGiver {
    Malloc,
    Calloc,
    Realloc,
}

/// Memory from the interpreter in this process. It is not read or written.
#[derive(Debug)]
pub struct PythonBlock(*mut c_void, Domain);

// SAFETY: it is given back by a call that says what it needs; the address alone may be anywhere.
unsafe impl Send for PythonBlock {}
// SAFETY: what is shared of it is a number.
unsafe impl Sync for PythonBlock {}

impl PythonBlock {
    /// So many bytes; nothing where there are none, or no interpreter.
    ///
    /// The calling thread holds the interpreter's lock.
    pub fn new(domain: Domain, giver: PythonGiver, size: usize) -> Option<PythonBlock> {
        let name = match (domain, giver) {
            (Domain::Raw, PythonGiver::Malloc) => c"PyMem_RawMalloc",
            (Domain::Raw, PythonGiver::Calloc) => c"PyMem_RawCalloc",
            (Domain::Raw, PythonGiver::Realloc) => c"PyMem_RawRealloc",
            (Domain::Mem, PythonGiver::Malloc) => c"PyMem_Malloc",
            (Domain::Mem, PythonGiver::Calloc) => c"PyMem_Calloc",
            (Domain::Mem, PythonGiver::Realloc) => c"PyMem_Realloc",
            (Domain::Object, PythonGiver::Malloc) => c"PyObject_Malloc",
            (Domain::Object, PythonGiver::Calloc) => c"PyObject_Calloc",
            (Domain::Object, PythonGiver::Realloc) => c"PyObject_Realloc",
        };
        let function = symbol(name)?;
        // SAFETY: the functions of these names have had these signatures in every CPython 3; null may be made larger.
        let block = unsafe {
            match giver {
                PythonGiver::Malloc => {
                    transmute::<*mut c_void, extern "C" fn(usize) -> *mut c_void>(function)(size)
                }
                PythonGiver::Calloc => {
                    transmute::<*mut c_void, extern "C" fn(usize, usize) -> *mut c_void>(function)(1, size)
                }
                PythonGiver::Realloc => {
                    let null = std::ptr::null_mut();
                    type Realloc = extern "C" fn(*mut c_void, usize) -> *mut c_void;
                    transmute::<*mut c_void, Realloc>(function)(null, size)
                }
            }
        };
        (!block.is_null()).then_some(PythonBlock(block, domain))
    }

    /// Gives it back. The calling thread holds the interpreter's lock.
    pub fn free(self) {
        let name = match self.1 {
            Domain::Raw => c"PyMem_RawFree",
            Domain::Mem => c"PyMem_Free",
            Domain::Object => c"PyObject_Free",
        };
        if let Some(function) = symbol(name) {
            // SAFETY: it is of that part of the interpreter, and this is its only owner.
            unsafe { transmute::<*mut c_void, extern "C" fn(*mut c_void)>(function)(self.0) };
        }
    }
}

/// What was mapped here, and where: start and size. What was given back may be another's by now, so that it is taken out.
static MADE: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Whether all of a stretch was mapped here and is still; from now on it is not.
fn made_here(start: usize, size: usize) -> bool {
    let end = start.saturating_add(size);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let within = |from: usize, len: usize| (from.max(start), (from + len).min(end));
    let known: usize =
        made.iter().map(|(from, len)| within(*from, *len)).map(|(a, b)| b.saturating_sub(a)).sum();
    if known < size {
        return false;
    }
    // In place: what is counted here is the program's memory, not this list's.
    let count = made.len();
    for index in 0..count {
        let Some(part) = made.get_mut(index) else { break };
        let (from, len) = *part;
        let before = if from < start { len.min(start - from) } else { 0 };
        let behind = from.max(end);
        let left = (from + len).saturating_sub(behind);
        *part = if before > 0 { (from, before) } else { (behind, left) };
        if before > 0 && left > 0 {
            made.push((behind, left));
        }
    }
    made.retain(|(_, len)| *len > 0);
    true
}

/// Makes room for what is noted of pages, so that they take no other memory than their own.
pub fn make_room_for_pages() {
    const PARTS: usize = 1024;
    MADE.lock().unwrap_or_else(PoisonError::into_inner).reserve(PARTS);
}

/// Pages of memory without a file. They stay until they are given back.
#[derive(Debug)]
pub struct Pages {
    start: usize,
}

impl Pages {
    /// So many bytes, at this address if that is free; 0 stands for any.
    pub fn new(size: usize, address: usize) -> Option<Pages> {
        let (protection, flags) = (libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let place = std::ptr::without_provenance_mut(address);
        // SAFETY: a new mapping, which is put over no other.
        let start = unsafe { libc::mmap(place, size, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        let start = start as usize;
        MADE.lock().unwrap_or_else(PoisonError::into_inner).push((start, size));
        Some(Pages { start })
    }

    /// Where they begin.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Gives a part of them back, and says whether the system took it. What lies beyond them is given back too where it is of
    /// pages that were made here, and else nothing is.
    pub fn unmap(&self, offset: usize, size: usize) -> bool {
        let start = self.start.wrapping_add(offset);
        if !made_here(start, size) {
            return false;
        }
        let place = std::ptr::without_provenance_mut(start);
        // SAFETY: the stretch was mapped here, and nobody has a reference into it.
        let failed: c_int = unsafe { libc::munmap(place, size) };
        failed == 0
    }
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends with NUL; all that is loaded is searched.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Ends the process as the C library does; before that, where it is wanted, the interpreter in it.
pub fn end_process(finalizes: bool) -> ! {
    if let Some(function) = symbol(c"Py_FinalizeEx").filter(|_| finalizes) {
        // SAFETY: it has this signature; the calling thread holds the interpreter's lock, and comes back to nothing of it.
        unsafe { transmute::<*mut c_void, extern "C" fn() -> c_int>(function)() };
    }
    // SAFETY: as a program may call it.
    unsafe { libc::exit(0) }
}

/// Names the calling thread; 0 where the system has taken it.
pub fn name_thread(name: &str) -> i32 {
    let Ok(name) = std::ffi::CString::new(name) else { return -1 };
    // SAFETY: the name ends with NUL, and is copied.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }
}
