//! The functions of a SQLite that is loaded already.
#![allow(unsafe_code)] // dlopen and dlsym; each block gives its reason

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(super) const OK: c_int = 0;
pub(super) const BUSY: c_int = 5;
pub(super) const LOCKED: c_int = 6;
pub(super) const NOMEM: c_int = 7;
pub(super) const TOO_BIG: c_int = 18;
pub(super) const MISUSE: c_int = 21;
pub(super) const ROW: c_int = 100;
pub(super) const DONE: c_int = 101;

pub(super) const INTEGER: c_int = 1;
pub(super) const REAL: c_int = 2;
pub(super) const TEXT: c_int = 3;
pub(super) const BLOB: c_int = 4;

/// How long a value or a row may be, as a number of `sqlite3_limit`.
pub(super) const LIMIT_LENGTH: c_int = 0;
/// How many parameters a statement may have, as another.
pub(super) const LIMIT_PARAMETERS: c_int = 9;

/// How often a statement was compiled anew, as a number of `sqlite3_stmt_status`.
pub(super) const STATUS_REPREPARE: c_int = 5;

/// What SQLite is to do with a text that it is given: nothing, since it stays where it is.
pub(super) const STATIC: isize = 0;
/// The same: copy it at once.
pub(super) const TRANSIENT: isize = -1;

/// The oldest SQLite whose functions are all here, and which knows `ON CONFLICT DO UPDATE`: 3.24, of 2018.
const OLDEST: c_int = 3_024_000;

/// SQLite's connection, seen from outside.
#[repr(C)]
pub(super) struct RawConnection {
    _private: [u8; 0],
}

/// SQLite's statement, seen from outside.
#[repr(C)]
pub(super) struct RawStatement {
    _private: [u8; 0],
}

macro_rules! functions {
    ($($name:ident = $symbol:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// Each of SQLite's functions that is used here, by its name without `sqlite3_`.
        #[derive(Clone, Copy)]
        pub(super) struct Functions {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            /// Looks all of them up by `find`; the name of the first that is not there.
            fn find(find: impl Fn(&CStr) -> *mut c_void) -> Result<Functions, &'static CStr> {
                $(
                    let $name = find($symbol);
                    if $name.is_null() {
                        return Err($symbol);
                    }
                )*
                Ok(Functions {
                    // SAFETY: a function of this name has had this signature in every SQLite since 3.8.7; they are
                    // part of its stable interface.
                    $($name: unsafe {
                        std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>($name)
                    },)*
                })
            }
        }
    };
}

functions! {
    libversion_number = c"sqlite3_libversion_number": fn() -> c_int;
    libversion = c"sqlite3_libversion": fn() -> *const c_char;
    threadsafe = c"sqlite3_threadsafe": fn() -> c_int;
    errstr = c"sqlite3_errstr": fn(c_int) -> *const c_char;
    open_v2 = c"sqlite3_open_v2": fn(*const c_char, *mut *mut RawConnection, c_int, *const c_char) -> c_int;
    close = c"sqlite3_close": fn(*mut RawConnection) -> c_int;
    errmsg = c"sqlite3_errmsg": fn(*mut RawConnection) -> *const c_char;
    extended_errcode = c"sqlite3_extended_errcode": fn(*mut RawConnection) -> c_int;
    busy_handler = c"sqlite3_busy_handler": fn(*mut RawConnection, Option<unsafe extern "C" fn(*mut c_void, c_int) -> c_int>, *mut c_void) -> c_int;
    get_autocommit = c"sqlite3_get_autocommit": fn(*mut RawConnection) -> c_int;
    changes = c"sqlite3_changes": fn(*mut RawConnection) -> c_int;
    last_insert_rowid = c"sqlite3_last_insert_rowid": fn(*mut RawConnection) -> i64;
    set_last_insert_rowid = c"sqlite3_set_last_insert_rowid": fn(*mut RawConnection, i64);
    limit = c"sqlite3_limit": fn(*mut RawConnection, c_int, c_int) -> c_int;
    progress_handler = c"sqlite3_progress_handler": fn(*mut RawConnection, c_int, Option<unsafe extern "C" fn(*mut c_void) -> c_int>, *mut c_void);
    prepare_v2 = c"sqlite3_prepare_v2": fn(*mut RawConnection, *const c_char, c_int, *mut *mut RawStatement, *mut *const c_char) -> c_int;
    finalize = c"sqlite3_finalize": fn(*mut RawStatement) -> c_int;
    step = c"sqlite3_step": fn(*mut RawStatement) -> c_int;
    reset = c"sqlite3_reset": fn(*mut RawStatement) -> c_int;
    clear_bindings = c"sqlite3_clear_bindings": fn(*mut RawStatement) -> c_int;
    stmt_readonly = c"sqlite3_stmt_readonly": fn(*mut RawStatement) -> c_int;
    stmt_status = c"sqlite3_stmt_status": fn(*mut RawStatement, c_int, c_int) -> c_int;
    bind_parameter_count = c"sqlite3_bind_parameter_count": fn(*mut RawStatement) -> c_int;
    bind_parameter_name = c"sqlite3_bind_parameter_name": fn(*mut RawStatement, c_int) -> *const c_char;
    bind_null = c"sqlite3_bind_null": fn(*mut RawStatement, c_int) -> c_int;
    bind_int64 = c"sqlite3_bind_int64": fn(*mut RawStatement, c_int, i64) -> c_int;
    bind_double = c"sqlite3_bind_double": fn(*mut RawStatement, c_int, f64) -> c_int;
    bind_text = c"sqlite3_bind_text": fn(*mut RawStatement, c_int, *const c_char, c_int, isize) -> c_int;
    bind_blob = c"sqlite3_bind_blob": fn(*mut RawStatement, c_int, *const c_void, c_int, isize) -> c_int;
    column_count = c"sqlite3_column_count": fn(*mut RawStatement) -> c_int;
    column_name = c"sqlite3_column_name": fn(*mut RawStatement, c_int) -> *const c_char;
    column_decltype = c"sqlite3_column_decltype": fn(*mut RawStatement, c_int) -> *const c_char;
    column_type = c"sqlite3_column_type": fn(*mut RawStatement, c_int) -> c_int;
    column_int64 = c"sqlite3_column_int64": fn(*mut RawStatement, c_int) -> i64;
    column_double = c"sqlite3_column_double": fn(*mut RawStatement, c_int) -> f64;
    column_text = c"sqlite3_column_text": fn(*mut RawStatement, c_int) -> *const u8;
    column_blob = c"sqlite3_column_blob": fn(*mut RawStatement, c_int) -> *const c_void;
    column_bytes = c"sqlite3_column_bytes": fn(*mut RawStatement, c_int) -> c_int;
}

/// A copy of SQLite that is loaded into this process. It is never unloaded.
pub struct Library {
    pub(super) functions: Functions,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SQLite {}", self.version())
    }
}

/// Why no SQLite was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFound {
    /// The file is not loaded into this process.
    NotLoaded(PathBuf),
    /// What is loaded keeps SQLite's functions to itself, or lacks this one.
    Hidden(String),
    /// It is too old, as `3.8.2`.
    TooOld(String),
    /// It was compiled for a single thread.
    SingleThread,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotFound::NotLoaded(file) => write!(f, "`{}` is not loaded", file.display()),
            NotFound::Hidden(name) => write!(f, "the function `{name}` cannot be found"),
            NotFound::TooOld(version) => write!(f, "SQLite {version} is too old; 3.24 or later is needed"),
            NotFound::SingleThread => f.write_str("this SQLite was compiled for a single thread"),
        }
    }
}

impl std::error::Error for NotFound {}

impl Library {
    /// The SQLite that a loaded module uses, as the file of Python's `_sqlite3`: whichever other copies there are, the
    /// module's own libraries are searched, in the order of the dynamic linker.
    ///
    /// Errors: [`NotFound`]
    /// Cost:   some 40 look-ups of the linker, about 10 µs; ask once for each process.
    pub fn of_module(file: &Path) -> Result<Library, NotFound> {
        let not_loaded = || NotFound::NotLoaded(file.to_owned());
        let name = CString::new(file.as_os_str().as_bytes()).map_err(|_| not_loaded())?;
        // SAFETY: the name ends with NUL. `RTLD_NOLOAD` loads nothing, so no constructor runs.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        if handle.is_null() {
            return Err(not_loaded());
        }
        // The handle is kept: it counts as a use of the library, whose functions stay where they are for good.
        Library::in_handle(handle)
    }

    /// The SQLite that the program itself has, for a Python with `_sqlite3` built into it.
    ///
    /// Errors: [`NotFound`]
    pub fn of_program() -> Result<Library, NotFound> {
        // SAFETY: a null name asks for the program, which is loaded.
        let handle = unsafe { libc::dlopen(std::ptr::null(), libc::RTLD_LAZY) };
        Library::in_handle(handle)
    }

    fn in_handle(handle: *mut c_void) -> Result<Library, NotFound> {
        // SAFETY: the handle is open, and the name ends with NUL; what has such a name is SQLite's function.
        unsafe { Library::of_functions(|name| libc::dlsym(handle, name.as_ptr())) }
    }

    /// A SQLite whose functions somebody else finds; null where one is not there.
    ///
    /// Errors: [`NotFound`]
    ///
    /// # Safety
    /// Each address is that of SQLite's function of that name, and stays so for good.
    pub unsafe fn of_functions(find: impl Fn(&CStr) -> *mut c_void) -> Result<Library, NotFound> {
        let functions =
            Functions::find(find).map_err(|name| NotFound::Hidden(name.to_string_lossy().into_owned()))?;
        let library = Library { functions };
        // SAFETY: these two need no connection and may be called at any time.
        let (number, is_threadsafe) =
            unsafe { ((functions.libversion_number)(), (functions.threadsafe)() != 0) };
        match (number >= OLDEST, is_threadsafe) {
            (false, _) => Err(NotFound::TooOld(library.version().to_owned())),
            (_, false) => Err(NotFound::SingleThread),
            _ => Ok(library),
        }
    }

    /// Its version, as `3.40.1`.
    pub fn version(&self) -> &str {
        // SAFETY: a constant text of the library, which is never unloaded.
        let text = unsafe { CStr::from_ptr((self.functions.libversion)()) };
        text.to_str().unwrap_or("of unknown version")
    }

    /// What a result code means, in the library's words.
    pub(super) fn meaning(&self, code: c_int) -> String {
        // SAFETY: any number may be asked for, and the answer is a constant text.
        let text = unsafe { CStr::from_ptr((self.functions.errstr)(code)) };
        text.to_string_lossy().into_owned()
    }
}
