//! The interpreter in the process, by its public functions.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int};
use std::mem::{MaybeUninit, transmute};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::hooks::PythonAllocator;

/// What was found.
pub(crate) struct Found {
    /// The calling thread's state, null where it has none.
    pub(crate) thread_state: unsafe extern "C" fn() -> usize,
    /// As `PY_VERSION_HEX`; the last byte is not filled in before 3.11.
    pub(crate) version: u32,
    pub(crate) is_free_threaded: bool,
    /// Address of `_PyRuntime`.
    pub(crate) runtime: usize,
}

fn symbol(name: &CStr) -> usize {
    // SAFETY: the name ends with NUL; all that is loaded is searched.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) as usize }
}

/// The interpreter, if the process has one.
pub(crate) fn find() -> Option<Found> {
    let thread_state = symbol(c"PyGILState_GetThisThreadState");
    let get_version = symbol(c"Py_GetVersion");
    if thread_state == 0 || get_version == 0 {
        return None;
    }
    // SAFETY: these have had this signature in every CPython 3. The version may be asked for before anything is set up.
    let (thread_state, text) = unsafe {
        let get_version = transmute::<usize, unsafe extern "C" fn() -> *const c_char>(get_version);
        (transmute::<usize, unsafe extern "C" fn() -> usize>(thread_state), CStr::from_ptr(get_version()))
    };
    let text = text.to_bytes();
    let version = match symbol(c"Py_Version") {
        0 => from_text(text),
        // SAFETY: a constant of that type, from 3.11 on.
        place => unsafe { (place as *const u32).read() },
    };
    let is_free_threaded = text.windows(14).any(|part| part == b"free-threading");
    Some(Found { thread_state, version, is_free_threaded, runtime: symbol(c"_PyRuntime") })
}

/// `3.10.13 (main, …)` as a number.
fn from_text(text: &[u8]) -> u32 {
    let digits = text.split(|byte| !byte.is_ascii_digit() && *byte != b'.').next().unwrap_or_default();
    let mut version = 0;
    for (place, part) in digits.split(|byte| *byte == b'.').take(3).enumerate() {
        let number = part.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        version |= (number & 0xff) << (24 - 8 * place);
    }
    version
}

struct Real(UnsafeCell<[PythonAllocator; DOMAINS]>);

// SAFETY: it is written before the interpreter is told of the functions that read it.
unsafe impl Sync for Real {}

/// Of raw memory, of memory, of objects.
pub(crate) const DOMAINS: usize = 3;

static REAL: Real = Real(UnsafeCell::new([PythonAllocator::NONE; DOMAINS]));
static ARE_HOOKED: AtomicBool = AtomicBool::new(false);

/// The interpreter's own allocator.
#[inline(always)]
pub(crate) fn real<const DOMAIN: usize>() -> &'static PythonAllocator {
    // SAFETY: it is written before anybody can ask, and then no more.
    unsafe { &(*REAL.0.get())[DOMAIN] }
}

type Get = unsafe extern "C" fn(c_int, *mut PythonAllocator);
type Set = unsafe extern "C" fn(c_int, *const PythonAllocator);

fn functions() -> Option<(Get, Set)> {
    let (get, set) = (symbol(c"PyMem_GetAllocator"), symbol(c"PyMem_SetAllocator"));
    // SAFETY: their signatures in every CPython 3.
    (get != 0 && set != 0).then(|| unsafe { (transmute::<usize, Get>(get), transmute::<usize, Set>(set)) })
}

/// Stands between the interpreter and its allocators.
///
/// A program may run meanwhile: threads that read an allocator while it is written find an old or a new function, each
/// of which takes the context that stays.
pub(crate) fn hook_allocators() {
    let Some((get, set)) = functions() else { return };
    // SAFETY: they may be called before the interpreter is set up as well as later, by any thread.
    unsafe {
        let real = &mut *REAL.0.get();
        for (domain, place) in real.iter_mut().enumerate() {
            let mut found = MaybeUninit::<PythonAllocator>::uninit();
            get(domain as c_int, found.as_mut_ptr());
            *place = found.assume_init();
        }
        for (domain, place) in real.iter().enumerate() {
            set(domain as c_int, &place.told(domain));
        }
    }
    ARE_HOOKED.store(true, Ordering::Release);
}

/// Gives the interpreter its allocators back; false where somebody has put others before ours, which still call them.
pub(crate) fn unhook_allocators() -> bool {
    if !ARE_HOOKED.load(Ordering::Acquire) {
        return true;
    }
    let Some((get, set)) = functions() else { return false };
    let mut are_ours = true;
    // SAFETY: as in `hook_allocators`.
    unsafe {
        let real = &*REAL.0.get();
        for (domain, place) in real.iter().enumerate() {
            let mut found = MaybeUninit::<PythonAllocator>::uninit();
            get(domain as c_int, found.as_mut_ptr());
            if std::ptr::fn_addr_eq(found.assume_init().malloc, place.told(domain).malloc) {
                set(domain as c_int, place);
            } else {
                are_ours = false;
            }
        }
    }
    if are_ours {
        ARE_HOOKED.store(false, Ordering::Release);
    }
    are_ours
}
