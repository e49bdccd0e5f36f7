//! A library of naja's that is loaded into this very process, and functions of it.
//!
//! It stays loaded. Start at [`LoadedLibrary::open`].

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::transmute;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::{Failure, Result};

/// A library in this process.
#[derive(Debug)]
pub struct LoadedLibrary {
    handle: *mut c_void,
}

// SAFETY: a handle may be used by every thread; it is never closed.
unsafe impl Send for LoadedLibrary {}
// SAFETY: as above.
unsafe impl Sync for LoadedLibrary {}

impl LoadedLibrary {
    /// Loads it, its names for itself alone.
    ///
    /// Errors: `library-not-loaded`, with the linker's words
    pub fn open(path: &Path) -> Result<LoadedLibrary> {
        let refused = |why: &str| {
            Failure::new("library-not-loaded", format!("cannot load `{}` into this process", path.display()))
                .caused_by(&std::io::Error::other(why.to_owned()))
        };
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| refused("its name has a NUL"))?;
        // SAFETY: the name ends with NUL; what is loaded is naja's own.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            // SAFETY: the linker's words, or null, until its next error in this thread.
            let words = unsafe { libc::dlerror() };
            if words.is_null() {
                return Err(refused("the linker does not say why"));
            }
            // SAFETY: they end with NUL.
            return Err(refused(&unsafe { CStr::from_ptr(words) }.to_string_lossy()));
        }
        Ok(LoadedLibrary { handle })
    }

    /// Calls `int name(const char *text, int number)`; nothing where it has no such function.
    pub fn call_with(&self, name: &CStr, text: &CStr, number: i32) -> Option<i32> {
        let function = self.function(name)?;
        // SAFETY: naja's own functions that are called so have this signature.
        let function =
            unsafe { transmute::<*mut c_void, extern "C" fn(*const c_char, c_int) -> c_int>(function) };
        Some(function(text.as_ptr(), number))
    }

    /// Calls `int name(void)`; nothing where it has no such function.
    pub fn call(&self, name: &CStr) -> Option<i32> {
        let function = self.function(name)?;
        // SAFETY: as in `call_with`.
        let function = unsafe { transmute::<*mut c_void, extern "C" fn() -> c_int>(function) };
        Some(function())
    }

    fn function(&self, name: &CStr) -> Option<*mut c_void> {
        // SAFETY: the handle is open, the name ends with NUL.
        let found = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        (!found.is_null()).then_some(found)
    }
}
