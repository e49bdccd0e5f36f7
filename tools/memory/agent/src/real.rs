//! The functions that the hooks stand for, as the next library has them.
//!
//! Memory is asked for before they are found, by the dynamic linker and while they are looked for: that comes out of a
//! small piece of our own, and is never given back.

use std::ffi::{CStr, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::linked;

/// Bytes that are there before the real functions are.
const FIRST_BYTES: usize = 64 << 10;

#[repr(C, align(16))]
struct First(std::cell::UnsafeCell<[u8; FIRST_BYTES]>);

// SAFETY: each byte is given away once, by an atomic counter.
unsafe impl Sync for First {}

static FIRST: First = First(std::cell::UnsafeCell::new([0; FIRST_BYTES]));
static FIRST_USED: AtomicUsize = AtomicUsize::new(0);
static IS_LOOKING: AtomicBool = AtomicBool::new(false);

macro_rules! functions {
    ($($name:ident = $symbol:literal: fn($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        #[derive(Clone, Copy)]
        enum Place { $(#[allow(non_camel_case_types)] $name,)* Count }

        static FOUND: [AtomicUsize; Place::Count as usize] = [const { AtomicUsize::new(0) }; Place::Count as usize];

        fn look(find: impl Fn(&CStr) -> usize) {
            $(
                FOUND[Place::$name as usize].store(find($symbol), Ordering::Release);
            )*
        }

        $(
            /// The function of this name; none while it is looked for, or where there is none.
            #[inline(always)]
            pub(crate) fn $name() -> Option<unsafe extern "C" fn($($type),*) -> $result> {
                let mut found = FOUND[Place::$name as usize].load(Ordering::Relaxed);
                if found == 0 {
                    found = find(Place::$name);
                }
                // SAFETY: what is found by this name has this signature in every C library; 0 is none.
                unsafe { std::mem::transmute::<usize, Option<unsafe extern "C" fn($($type),*) -> $result>>(found) }
            }
        )*
    };
}

functions! {
    malloc = c"malloc": fn(size: usize) -> *mut c_void;
    free = c"free": fn(block: *mut c_void) -> ();
    calloc = c"calloc": fn(count: usize, size: usize) -> *mut c_void;
    realloc = c"realloc": fn(block: *mut c_void, size: usize) -> *mut c_void;
    posix_memalign = c"posix_memalign": fn(place: *mut *mut c_void, alignment: usize, size: usize) -> c_int;
    aligned_alloc = c"aligned_alloc": fn(alignment: usize, size: usize) -> *mut c_void;
    memalign = c"memalign": fn(alignment: usize, size: usize) -> *mut c_void;
    valloc = c"valloc": fn(size: usize) -> *mut c_void;
    pvalloc = c"pvalloc": fn(size: usize) -> *mut c_void;
    mmap = c"mmap": fn(address: *mut c_void, size: usize, protection: c_int, flags: c_int, file: c_int, offset: i64) -> *mut c_void;
    munmap = c"munmap": fn(address: *mut c_void, size: usize) -> c_int;
}

/// The functions that the program itself has, for an agent that does not stand before them.
pub(crate) fn adopt() {
    look(linked::of_program);
}

#[cold]
fn find(place: Place) -> usize {
    // Whoever looks may ask for memory itself, and then gets it out of the first piece.
    if !IS_LOOKING.swap(true, Ordering::AcqRel) {
        // SAFETY: the name ends with NUL; the next library's function of this name is wanted.
        look(|name| unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) as usize });
        IS_LOOKING.store(false, Ordering::Release);
    }
    FOUND[place as usize].load(Ordering::Acquire)
}

/// Memory while there is none; null when that is used up.
#[cold]
pub(crate) fn first(size: usize, alignment: usize) -> *mut c_void {
    let alignment = alignment.max(16);
    let wanted = size.saturating_add(alignment);
    let from = FIRST_USED.fetch_add(wanted.next_multiple_of(16), Ordering::Relaxed);
    let start = FIRST.0.get() as usize;
    if from.saturating_add(wanted) > FIRST_BYTES {
        return std::ptr::null_mut();
    }
    (start + from).next_multiple_of(alignment) as *mut c_void
}

/// Whether a block came out of the first piece.
#[inline(always)]
pub(crate) fn is_first(block: *mut c_void) -> bool {
    (block as usize).wrapping_sub(FIRST.0.get() as usize) < FIRST_BYTES
}

/// Moves a block of the first piece to where it belongs; what lay behind it is copied too, and does no harm.
#[cold]
pub(crate) fn moved(block: *mut c_void, size: usize) -> *mut c_void {
    let new = match malloc() {
        Some(malloc) => {
            // SAFETY: it is the C library's own.
            unsafe { malloc(size) }
        }
        None => first(size, 16),
    };
    if !new.is_null() {
        let behind = FIRST_BYTES - (block as usize).wrapping_sub(FIRST.0.get() as usize).min(FIRST_BYTES);
        // SAFETY: so many bytes are left in the first piece, and `size` in the new block. They do not overlap, but
        // where both are of the first piece, which is why it is a move.
        unsafe { std::ptr::copy(block.cast::<u8>(), new.cast::<u8>(), size.min(behind)) };
    }
    new
}
