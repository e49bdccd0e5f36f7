//! The functions that stand for the C library's.
//!
//! Each calls the real one, and tells of it: what is taken back is told before, what is given after, so that whoever
//! gets the same memory next tells of it later. Under `errno` nothing changes: what is told makes no system calls but where
//! naja has to be waited for.

use std::ffi::{c_int, c_void};

use crate::program::is_on;
use crate::thread::{given, not_taken, taken, unmapped};
use crate::wire::Allocator;
use crate::{python, real};

const ENOMEM: c_int = 12;

/// # Safety
/// As the C library's `malloc`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    let Some(malloc) = real::malloc() else { return real::first(size, 16) };
    // SAFETY: the caller keeps to the contract of the function that it called.
    let block = unsafe { malloc(size) };
    if is_on() {
        given(Allocator::Malloc, block as usize, size);
    }
    block
}

/// # Safety
/// As the C library's `free`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn free(block: *mut c_void) {
    if real::is_first(block) {
        return;
    }
    if is_on() && !block.is_null() {
        taken(Allocator::Free, block as usize, 0);
    }
    if let Some(free) = real::free() {
        // SAFETY: the caller keeps to the contract of the function that it called.
        unsafe { free(block) }
    }
}

/// # Safety
/// As the C library's `calloc`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    // The first piece is of zeroes, and nothing of it is given twice.
    let Some(calloc) = real::calloc() else { return real::first(count.saturating_mul(size), 16) };
    // SAFETY: the caller keeps to the contract of the function that it called.
    let block = unsafe { calloc(count, size) };
    if is_on() {
        given(Allocator::Calloc, block as usize, count.saturating_mul(size));
    }
    block
}

/// # Safety
/// As the C library's `realloc`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if real::is_first(block) {
        return real::moved(block, size);
    }
    let Some(realloc) = real::realloc() else { return real::first(size, 16) };
    let was_on = is_on();
    let told = was_on && !block.is_null() && taken(Allocator::Free, block as usize, 0);
    // SAFETY: the caller keeps to the contract of the function that it called.
    let new = unsafe { realloc(block, size) };
    if was_on {
        if !new.is_null() {
            given(Allocator::Realloc, new as usize, size);
        } else if size != 0 && told {
            not_taken(Allocator::Free, block as usize);
        }
    }
    new
}

/// # Safety
/// As the C library's `posix_memalign`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn posix_memalign(
    place: *mut *mut c_void,
    alignment: usize,
    size: usize,
) -> c_int {
    let Some(posix_memalign) = real::posix_memalign() else {
        let block = real::first(size, alignment);
        if block.is_null() {
            return ENOMEM;
        }
        // SAFETY: the caller gives a place for the address.
        unsafe { place.write(block) };
        return 0;
    };
    // SAFETY: the caller keeps to the contract of the function that it called; after success the place holds the block.
    unsafe {
        let failed = posix_memalign(place, alignment, size);
        if failed == 0 && is_on() {
            given(Allocator::PosixMemalign, place.read() as usize, size);
        }
        failed
    }
}

macro_rules! aligned {
    ($($name:ident, $which:ident, $doc:literal;)*) => {$(
        #[doc = concat!("# Safety\nAs the C library's `", $doc, "`.")]
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(alignment: usize, size: usize) -> *mut c_void {
            let Some(real) = real::$name() else { return real::first(size, alignment) };
            // SAFETY: the caller keeps to the contract of the function that it called.
            let block = unsafe { real(alignment, size) };
            if is_on() {
                given(Allocator::$which, block as usize, size);
            }
            block
        }
    )*};
}

aligned! {
    aligned_alloc, AlignedAlloc, "aligned_alloc";
    memalign, Memalign, "memalign";
}

macro_rules! by_pages {
    ($($name:ident, $which:ident, $doc:literal;)*) => {$(
        #[doc = concat!("# Safety\nAs the C library's `", $doc, "`.")]
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(size: usize) -> *mut c_void {
            let Some(real) = real::$name() else { return real::first(size, 4096) };
            // SAFETY: the caller keeps to the contract of the function that it called.
            let block = unsafe { real(size) };
            if is_on() {
                given(Allocator::$which, block as usize, size);
            }
            block
        }
    )*};
}

by_pages! {
    valloc, Valloc, "valloc";
    pvalloc, Pvalloc, "pvalloc";
}

/// # Safety
/// As the C library's `mmap`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn mmap(
    address: *mut c_void,
    size: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    // SAFETY: the caller keeps to the contract of the function that it called.
    unsafe { map(address, size, protection, flags, file, offset) }
}

/// The same function under the name that programs of 32 and 64 bits share.
///
/// # Safety
/// As the C library's `mmap64`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn mmap64(
    address: *mut c_void,
    size: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    // Not the function above: in a library that was loaded later, its name means the C library's.
    // SAFETY: the caller keeps to the contract of the function that it called.
    unsafe { map(address, size, protection, flags, file, offset) }
}

/// # Safety
/// As the C library's `mmap`.
unsafe fn map(
    address: *mut c_void,
    size: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    let Some(mmap) = real::mmap() else { return libc::MAP_FAILED };
    // SAFETY: the caller keeps to the contract of the function that it called.
    let block = unsafe { mmap(address, size, protection, flags, file, offset) };
    if is_on() && block != libc::MAP_FAILED {
        given(Allocator::Mmap, block as usize, size);
    }
    block
}

/// # Safety
/// As the C library's `munmap`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn munmap(address: *mut c_void, size: usize) -> c_int {
    let Some(munmap) = real::munmap() else { return -1 };
    let mut told = false;
    if is_on() {
        unmapped(address as usize);
        told = taken(Allocator::Munmap, address as usize, size);
    }
    // SAFETY: the caller keeps to the contract of the function that it called.
    let failed = unsafe { munmap(address, size) };
    if failed != 0 && told {
        not_taken(Allocator::Munmap, address as usize);
    }
    failed
}

/// # Safety
/// As the dynamic linker's `dlclose`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn dlclose(library: *mut c_void) -> c_int {
    let Some(dlclose) = real::dlclose() else { return -1 };
    // SAFETY: the caller keeps to the contract of the function that it called.
    let failed = unsafe { dlclose(library) };
    // Other code may come to lie there.
    naja_native::own_stack::forget_rules();
    failed
}

/// What Python's own allocators are, as `PyMemAllocatorEx` has them.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct PythonAllocator {
    pub(crate) context: *mut c_void,
    pub(crate) malloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    pub(crate) calloc: unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void,
    pub(crate) realloc: unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void,
    pub(crate) free: unsafe extern "C" fn(*mut c_void, *mut c_void),
}

impl PythonAllocator {
    /// One that has nothing to give.
    pub(crate) const NONE: PythonAllocator = {
        unsafe extern "C" fn malloc(_: *mut c_void, _: usize) -> *mut c_void {
            std::ptr::null_mut()
        }
        unsafe extern "C" fn calloc(_: *mut c_void, _: usize, _: usize) -> *mut c_void {
            std::ptr::null_mut()
        }
        unsafe extern "C" fn realloc(_: *mut c_void, _: *mut c_void, _: usize) -> *mut c_void {
            std::ptr::null_mut()
        }
        unsafe extern "C" fn free(_: *mut c_void, _: *mut c_void) {}
        PythonAllocator { context: std::ptr::null_mut(), malloc, calloc, realloc, free }
    };

    /// An allocator that tells what this one does, which is that of a domain. Its context is the same: whoever reads the
    /// two in pieces, while they are changed, gets a function with the context that belongs to it.
    pub(crate) fn told(&self, domain: usize) -> PythonAllocator {
        fn of<const DOMAIN: usize>(context: *mut c_void) -> PythonAllocator {
            PythonAllocator {
                context,
                malloc: python_malloc::<DOMAIN>,
                calloc: python_calloc::<DOMAIN>,
                realloc: python_realloc::<DOMAIN>,
                free: python_free::<DOMAIN>,
            }
        }
        match domain {
            0 => of::<0>(self.context),
            1 => of::<1>(self.context),
            _ => of::<2>(self.context),
        }
    }
}

unsafe extern "C" fn python_malloc<const DOMAIN: usize>(context: *mut c_void, size: usize) -> *mut c_void {
    let real = python::real::<DOMAIN>();
    // What it asks the C library for is what it gives: told once.
    // SAFETY: it is called as the interpreter called this.
    let block = crate::thread::quietly(|| unsafe { (real.malloc)(context, size) });
    if is_on() {
        given(Allocator::PymallocMalloc, block as usize, size);
    }
    block
}

unsafe extern "C" fn python_calloc<const DOMAIN: usize>(
    context: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    let real = python::real::<DOMAIN>();
    // SAFETY: as in `python_malloc`.
    let block = crate::thread::quietly(|| unsafe { (real.calloc)(context, count, size) });
    if is_on() {
        given(Allocator::PymallocCalloc, block as usize, count.saturating_mul(size));
    }
    block
}

unsafe extern "C" fn python_realloc<const DOMAIN: usize>(
    context: *mut c_void,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    let real = python::real::<DOMAIN>();
    let was_on = is_on();
    let told = was_on && !block.is_null() && taken(Allocator::PymallocFree, block as usize, 0);
    // SAFETY: as in `python_malloc`.
    let new = crate::thread::quietly(|| unsafe { (real.realloc)(context, block, size) });
    if was_on {
        if !new.is_null() {
            given(Allocator::PymallocRealloc, new as usize, size);
        } else if told {
            not_taken(Allocator::PymallocFree, block as usize);
        }
    }
    new
}

unsafe extern "C" fn python_free<const DOMAIN: usize>(context: *mut c_void, block: *mut c_void) {
    let real = python::real::<DOMAIN>();
    if is_on() && !block.is_null() {
        taken(Allocator::PymallocFree, block as usize, 0);
    }
    // SAFETY: as in `python_malloc`.
    crate::thread::quietly(|| unsafe { (real.free)(context, block) });
}
