//! The functions of a SQLite that is loaded already.
#![allow(unsafe_code)] // dlopen and dlsym; each block gives its reason

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::extension;

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

/// How functions of the program's own get texts: as UTF-8.
pub(super) const UTF8: c_int = 1;
/// A function gives the same for the same.
pub(super) const DETERMINISTIC: c_int = 0x800;

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

/// A call of a function of the program's own, as SQLite knows it.
#[repr(C)]
pub(super) struct RawContext {
    _private: [u8; 0],
}

/// An argument of such a call.
#[repr(C)]
pub(super) struct RawValue {
    _private: [u8; 0],
}

/// What SQLite calls for a call with its arguments.
pub(super) type Callback = unsafe extern "C" fn(*mut RawContext, c_int, *mut *mut RawValue);
/// What it calls when an aggregate has seen its last row.
pub(super) type Ending = unsafe extern "C" fn(*mut RawContext);
/// What it calls to put two texts in order.
pub(super) type Comparison =
    unsafe extern "C" fn(*mut c_void, c_int, *const c_void, c_int, *const c_void) -> c_int;
/// What it calls when it needs a function no more.
pub(super) type Destructor = unsafe extern "C" fn(*mut c_void);

macro_rules! functions {
    ($($name:ident = $symbol:literal at $position:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
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

            /// Whether all of them are at the same addresses.
            fn are_those_of(&self, other: &Functions) -> bool {
                $(std::ptr::fn_addr_eq(self.$name, other.$name))&&*
            }

            /// The place of `sqlite3_libversion_number`.
            const VERSION_AT: usize = 67;

            /// The place of a function in the table that SQLite gives its extensions.
            fn position(name: &CStr) -> Option<usize> {
                $(
                    if name == $symbol {
                        return Some($position);
                    }
                )*
                None
            }
        }
    };
}

functions! {
    libversion_number = c"sqlite3_libversion_number" at 67: fn() -> c_int;
    libversion = c"sqlite3_libversion" at 66: fn() -> *const c_char;
    threadsafe = c"sqlite3_threadsafe" at 144: fn() -> c_int;
    errstr = c"sqlite3_errstr" at 183: fn(c_int) -> *const c_char;
    open_v2 = c"sqlite3_open_v2" at 135: fn(*const c_char, *mut *mut RawConnection, c_int, *const c_char) -> c_int;
    close = c"sqlite3_close" at 16: fn(*mut RawConnection) -> c_int;
    errmsg = c"sqlite3_errmsg" at 53: fn(*mut RawConnection) -> *const c_char;
    extended_errcode = c"sqlite3_extended_errcode" at 166: fn(*mut RawConnection) -> c_int;
    busy_handler = c"sqlite3_busy_handler" at 13: fn(*mut RawConnection, Option<unsafe extern "C" fn(*mut c_void, c_int) -> c_int>, *mut c_void) -> c_int;
    get_autocommit = c"sqlite3_get_autocommit" at 60: fn(*mut RawConnection) -> c_int;
    changes = c"sqlite3_changes" at 15: fn(*mut RawConnection) -> c_int;
    last_insert_rowid = c"sqlite3_last_insert_rowid" at 65: fn(*mut RawConnection) -> i64;
    set_last_insert_rowid = c"sqlite3_set_last_insert_rowid" at 216: fn(*mut RawConnection, i64);
    limit = c"sqlite3_limit" at 151: fn(*mut RawConnection, c_int, c_int) -> c_int;
    progress_handler = c"sqlite3_progress_handler" at 75: fn(*mut RawConnection, c_int, Option<unsafe extern "C" fn(*mut c_void) -> c_int>, *mut c_void);
    prepare_v2 = c"sqlite3_prepare_v2" at 116: fn(*mut RawConnection, *const c_char, c_int, *mut *mut RawStatement, *mut *const c_char) -> c_int;
    finalize = c"sqlite3_finalize" at 57: fn(*mut RawStatement) -> c_int;
    step = c"sqlite3_step" at 94: fn(*mut RawStatement) -> c_int;
    reset = c"sqlite3_reset" at 77: fn(*mut RawStatement) -> c_int;
    clear_bindings = c"sqlite3_clear_bindings" at 118: fn(*mut RawStatement) -> c_int;
    stmt_readonly = c"sqlite3_stmt_readonly" at 185: fn(*mut RawStatement) -> c_int;
    stmt_status = c"sqlite3_stmt_status" at 170: fn(*mut RawStatement, c_int, c_int) -> c_int;
    bind_parameter_count = c"sqlite3_bind_parameter_count" at 7: fn(*mut RawStatement) -> c_int;
    bind_parameter_name = c"sqlite3_bind_parameter_name" at 9: fn(*mut RawStatement, c_int) -> *const c_char;
    bind_null = c"sqlite3_bind_null" at 6: fn(*mut RawStatement, c_int) -> c_int;
    bind_int64 = c"sqlite3_bind_int64" at 5: fn(*mut RawStatement, c_int, i64) -> c_int;
    bind_double = c"sqlite3_bind_double" at 3: fn(*mut RawStatement, c_int, f64) -> c_int;
    bind_text = c"sqlite3_bind_text" at 10: fn(*mut RawStatement, c_int, *const c_char, c_int, isize) -> c_int;
    bind_blob = c"sqlite3_bind_blob" at 2: fn(*mut RawStatement, c_int, *const c_void, c_int, isize) -> c_int;
    column_count = c"sqlite3_column_count" at 22: fn(*mut RawStatement) -> c_int;
    column_name = c"sqlite3_column_name" at 30: fn(*mut RawStatement, c_int) -> *const c_char;
    column_decltype = c"sqlite3_column_decltype" at 25: fn(*mut RawStatement, c_int) -> *const c_char;
    column_type = c"sqlite3_column_type" at 38: fn(*mut RawStatement, c_int) -> c_int;
    column_int64 = c"sqlite3_column_int64" at 29: fn(*mut RawStatement, c_int) -> i64;
    column_double = c"sqlite3_column_double" at 27: fn(*mut RawStatement, c_int) -> f64;
    column_text = c"sqlite3_column_text" at 36: fn(*mut RawStatement, c_int) -> *const u8;
    column_blob = c"sqlite3_column_blob" at 19: fn(*mut RawStatement, c_int) -> *const c_void;
    column_bytes = c"sqlite3_column_bytes" at 20: fn(*mut RawStatement, c_int) -> c_int;
    interrupt = c"sqlite3_interrupt" at 64: fn(*mut RawConnection);
    create_function_v2 = c"sqlite3_create_function_v2" at 162: fn(*mut RawConnection, *const c_char, c_int, c_int, *mut c_void, Option<Callback>, Option<Callback>, Option<Ending>, Option<Destructor>) -> c_int;
    create_collation_v2 = c"sqlite3_create_collation_v2" at 126: fn(*mut RawConnection, *const c_char, c_int, *mut c_void, Option<Comparison>, Option<Destructor>) -> c_int;
    user_data = c"sqlite3_user_data" at 101: fn(*mut RawContext) -> *mut c_void;
    aggregate_context = c"sqlite3_aggregate_context" at 0: fn(*mut RawContext, c_int) -> *mut c_void;
    value_type = c"sqlite3_value_type" at 113: fn(*mut RawValue) -> c_int;
    value_int64 = c"sqlite3_value_int64" at 107: fn(*mut RawValue) -> i64;
    value_double = c"sqlite3_value_double" at 105: fn(*mut RawValue) -> f64;
    value_text = c"sqlite3_value_text" at 109: fn(*mut RawValue) -> *const u8;
    value_blob = c"sqlite3_value_blob" at 102: fn(*mut RawValue) -> *const c_void;
    value_bytes = c"sqlite3_value_bytes" at 103: fn(*mut RawValue) -> c_int;
    result_null = c"sqlite3_result_null" at 84: fn(*mut RawContext);
    result_int64 = c"sqlite3_result_int64" at 83: fn(*mut RawContext, i64);
    result_double = c"sqlite3_result_double" at 79: fn(*mut RawContext, f64);
    result_text = c"sqlite3_result_text" at 85: fn(*mut RawContext, *const c_char, c_int, isize);
    result_blob = c"sqlite3_result_blob" at 78: fn(*mut RawContext, *const c_void, c_int, isize);
    result_error = c"sqlite3_result_error" at 80: fn(*mut RawContext, *const c_char, c_int);
    result_error_nomem = c"sqlite3_result_error_nomem" at 137: fn(*mut RawContext);
    result_error_toobig = c"sqlite3_result_error_toobig" at 138: fn(*mut RawContext);
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

/// Whether they are the same copy, found twice.
impl PartialEq for Library {
    fn eq(&self, other: &Library) -> bool {
        self.functions.are_those_of(&other.functions)
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

    /// A SQLite that keeps its names to itself, by the table of its functions that it gives to every extension.
    ///
    /// `load` has that SQLite load the file of which this code is a part as an extension, in this thread. The file is
    /// loaded already and stays so.
    ///
    /// Errors: what `load` gives, or else [`NotFound`]; [`NotFound::Hidden`] also where nothing was loaded
    pub fn of_extension<E>(load: impl FnOnce() -> Result<(), E>) -> Result<Result<Library, NotFound>, E> {
        let table = extension::table_given(load)?;
        if table.is_null() {
            return Ok(Err(NotFound::Hidden("sqlite3_extension_init".to_owned())));
        }
        // The table only grew, and had the version from the start. From 3.24 on it has everything that is used here.
        // SAFETY: SQLite has given the table, a constant of the library.
        let number = unsafe { table.add(Functions::VERSION_AT).read() };
        // SAFETY: the function at this place has had this signature in every version.
        let number = unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> c_int>(number)() };
        if number < OLDEST {
            let (major, minor, patch) = (number / 1_000_000, number / 1000 % 1000, number % 1000);
            return Ok(Err(NotFound::TooOld(format!("{major}.{minor}.{patch}"))));
        }
        let find = |name: &CStr| match Functions::position(name) {
            // SAFETY: the place is within the table of this version.
            Some(position) => unsafe { table.add(position).read() },
            None => std::ptr::null_mut(),
        };
        // SAFETY: the table has the address of each function at its place, which never changes.
        Ok(unsafe { Library::of_functions(find) })
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
