//! What the dynamic linker has loaded, in its own order, and which of them a function is of.

use std::ffi::{CStr, c_char, c_int, c_void};

/// The dynamic linker's record of a library, as far as it is public.
#[repr(C)]
struct LinkMap {
    bias: usize,
    name: *const c_char,
    dynamic: *const c_void,
    next: *mut LinkMap,
    previous: *mut LinkMap,
}

#[repr(C)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
}

unsafe extern "C" {
    fn dladdr1(
        address: *const c_void,
        info: *mut libc::Dl_info,
        more: *mut *mut c_void,
        what: c_int,
    ) -> c_int;
}

const RTLD_DL_SYMENT: c_int = 1;
const RTLD_DL_LINKMAP: c_int = 2;

fn about(address: usize, what: c_int) -> *mut c_void {
    let mut more = std::ptr::null_mut();
    // SAFETY: an all-zero answer is a valid value, which the function fills in, and `more` as it is asked to.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if dladdr1(address as *const c_void, &mut info, &mut more, what) == 0 {
            return std::ptr::null_mut();
        }
    }
    more
}

/// What the dynamic linker calls this library.
pub(crate) fn own_handle() -> usize {
    about(about as *const () as usize, RTLD_DL_LINKMAP) as usize
}

/// Where the function of a name is that the program calls: of the first library that has one. 0 where there is none.
///
/// Not what `dlsym` says: that may be where a program, which has its address fixed, leads to the function.
pub(crate) fn of_program(name: &CStr) -> usize {
    let mut map = own_handle() as *mut LinkMap;
    // SAFETY: the list is the dynamic linker's own, from this library to the program itself; libraries that are loaded
    // meanwhile come behind, and those that the program was started with stay.
    unsafe {
        while !map.is_null() && !(*map).previous.is_null() {
            map = (*map).previous;
        }
        while !map.is_null() {
            let found = of_library(map, name);
            if found != 0 && about(found, RTLD_DL_LINKMAP) == map.cast() && is_defined(found) {
                return found;
            }
            map = (*map).next;
        }
    }
    0
}

/// What a library, or one that it needs, has of a name; 0 for nothing.
///
/// # Safety
/// The library is loaded, and stays.
unsafe fn of_library(map: *mut LinkMap, name: &CStr) -> usize {
    // SAFETY: the caller promises the library. It cannot be searched by its record alone unless it was opened as such; this
    // opens it once more, which loads nothing. The program itself has no name.
    unsafe {
        let path = (*map).name;
        let path = if path.is_null() || *path == 0 { std::ptr::null() } else { path };
        let handle = libc::dlopen(path, libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        if handle.is_null() {
            return 0;
        }
        let found = libc::dlsym(handle, name.as_ptr()) as usize;
        libc::dlclose(handle);
        found
    }
}

/// # Safety
/// Something of a library lies there.
unsafe fn is_defined(address: usize) -> bool {
    let symbol = about(address, RTLD_DL_SYMENT).cast::<Symbol>();
    // SAFETY: it is null or the library's own.
    symbol.is_null() || unsafe { (*symbol).section != 0 }
}

/// Where this library's own function of a name is: within the library, too, its name stands for the program's.
pub(crate) fn of_own(name: &CStr) -> usize {
    // SAFETY: the name ends with NUL; the handle is this library's, which is searched before what it needs itself.
    unsafe { libc::dlsym(own_handle() as *mut c_void, name.as_ptr()) as usize }
}
