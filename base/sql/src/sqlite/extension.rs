//! This code as an extension of SQLite: how a SQLite is reached whose names are hidden.
//!
//! SQLite hands every extension a table of its functions, whose places never change (`sqlite3ext.h`). An extension
//! that is loaded by somebody else does nothing.
#![allow(unsafe_code)] // a function that SQLite calls by its name

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::library::OK;

/// SQLite's functions, each at its place.
pub(super) type Table = *const *mut c_void;

thread_local! {
    /// What this thread was given last. It is no state of the process's, since any copy may load us at any time.
    static GIVEN: Cell<Table> = const { Cell::new(ptr::null()) };
}

/// The table of the SQLite that `load` makes load this file; null where none did.
pub(super) fn table_given<E>(load: impl FnOnce() -> Result<(), E>) -> Result<Table, E> {
    GIVEN.set(ptr::null());
    load()?;
    Ok(GIVEN.replace(ptr::null()))
}

/// What SQLite calls when it has loaded this file as an extension.
///
/// # Safety
/// Only SQLite calls it. Nothing is read or written here, whatever is given.
#[unsafe(no_mangle)]
unsafe extern "C" fn sqlite3_extension_init(
    _connection: *mut c_void,
    _message: *mut *mut c_char,
    table: Table,
) -> c_int {
    // A thread that is ending already asked for nothing.
    let _ = GIVEN.try_with(|given| given.set(table));
    OK
}
