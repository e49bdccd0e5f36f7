//! The interpreter in the process, by its public functions.

use std::ffi::{CStr, c_char, c_int};
use std::mem::transmute;

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

static mut REAL: [Option<PythonAllocator>; 3] = [None; 3];

/// Stands between the interpreter and its allocators: of raw memory, of memory, of objects.
pub(crate) fn hook_allocators() {
    let (get, set) = (symbol(c"PyMem_GetAllocator"), symbol(c"PyMem_SetAllocator"));
    if get == 0 || set == 0 {
        return;
    }
    // SAFETY: their signatures in every CPython 3; they may be called before the interpreter is set up, and then by one
    // thread, which this is.
    unsafe {
        let get = transmute::<usize, unsafe extern "C" fn(c_int, *mut PythonAllocator)>(get);
        let set = transmute::<usize, unsafe extern "C" fn(c_int, *const PythonAllocator)>(set);
        let real = &raw mut REAL;
        for (domain, place) in (*real).iter_mut().enumerate() {
            let mut found = std::mem::MaybeUninit::<PythonAllocator>::uninit();
            get(domain as c_int, found.as_mut_ptr());
            let kept: *const PythonAllocator = place.insert(found.assume_init());
            set(domain as c_int, &PythonAllocator::told(kept));
        }
    }
}
