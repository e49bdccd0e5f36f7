//! The SQLite that the program `naja` brings, for databases that a command opens.
//!
//! For the program alone: a process of Python has a SQLite already, and two copies in one process lose data
//! (`docs/design/databases.md`). It is the copy that recordings are written with. Start at [`library`].
#![allow(unsafe_code)] // the addresses of SQLite's functions; the block gives its reason

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;

use naja_sql::sqlite::Library;
use rusqlite::ffi;

/// The bundled library.
pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // SAFETY: each name is answered with SQLite's own function of that name, of the version that is linked in.
        unsafe { Library::of_functions(address) }.expect("the bundled SQLite is new and complete")
    })
}

/// Where one of SQLite's functions is; null for a name that is not in the list.
fn address(name: &CStr) -> *mut c_void {
    match name.to_bytes() {
        b"sqlite3_libversion_number" => ffi::sqlite3_libversion_number as *const () as *mut c_void,
        b"sqlite3_libversion" => ffi::sqlite3_libversion as *const () as *mut c_void,
        b"sqlite3_threadsafe" => ffi::sqlite3_threadsafe as *const () as *mut c_void,
        b"sqlite3_errstr" => ffi::sqlite3_errstr as *const () as *mut c_void,
        b"sqlite3_open_v2" => ffi::sqlite3_open_v2 as *const () as *mut c_void,
        b"sqlite3_close" => ffi::sqlite3_close as *const () as *mut c_void,
        b"sqlite3_errmsg" => ffi::sqlite3_errmsg as *const () as *mut c_void,
        b"sqlite3_extended_errcode" => ffi::sqlite3_extended_errcode as *const () as *mut c_void,
        b"sqlite3_busy_handler" => ffi::sqlite3_busy_handler as *const () as *mut c_void,
        b"sqlite3_get_autocommit" => ffi::sqlite3_get_autocommit as *const () as *mut c_void,
        b"sqlite3_changes" => ffi::sqlite3_changes as *const () as *mut c_void,
        b"sqlite3_last_insert_rowid" => ffi::sqlite3_last_insert_rowid as *const () as *mut c_void,
        b"sqlite3_limit" => ffi::sqlite3_limit as *const () as *mut c_void,
        b"sqlite3_progress_handler" => ffi::sqlite3_progress_handler as *const () as *mut c_void,
        b"sqlite3_prepare_v2" => ffi::sqlite3_prepare_v2 as *const () as *mut c_void,
        b"sqlite3_finalize" => ffi::sqlite3_finalize as *const () as *mut c_void,
        b"sqlite3_step" => ffi::sqlite3_step as *const () as *mut c_void,
        b"sqlite3_reset" => ffi::sqlite3_reset as *const () as *mut c_void,
        b"sqlite3_clear_bindings" => ffi::sqlite3_clear_bindings as *const () as *mut c_void,
        b"sqlite3_stmt_readonly" => ffi::sqlite3_stmt_readonly as *const () as *mut c_void,
        b"sqlite3_stmt_status" => ffi::sqlite3_stmt_status as *const () as *mut c_void,
        b"sqlite3_bind_parameter_count" => ffi::sqlite3_bind_parameter_count as *const () as *mut c_void,
        b"sqlite3_bind_parameter_name" => ffi::sqlite3_bind_parameter_name as *const () as *mut c_void,
        b"sqlite3_bind_null" => ffi::sqlite3_bind_null as *const () as *mut c_void,
        b"sqlite3_bind_int64" => ffi::sqlite3_bind_int64 as *const () as *mut c_void,
        b"sqlite3_bind_double" => ffi::sqlite3_bind_double as *const () as *mut c_void,
        b"sqlite3_bind_text" => ffi::sqlite3_bind_text as *const () as *mut c_void,
        b"sqlite3_bind_blob" => ffi::sqlite3_bind_blob as *const () as *mut c_void,
        b"sqlite3_column_count" => ffi::sqlite3_column_count as *const () as *mut c_void,
        b"sqlite3_column_name" => ffi::sqlite3_column_name as *const () as *mut c_void,
        b"sqlite3_column_decltype" => ffi::sqlite3_column_decltype as *const () as *mut c_void,
        b"sqlite3_column_type" => ffi::sqlite3_column_type as *const () as *mut c_void,
        b"sqlite3_column_int64" => ffi::sqlite3_column_int64 as *const () as *mut c_void,
        b"sqlite3_column_double" => ffi::sqlite3_column_double as *const () as *mut c_void,
        b"sqlite3_column_text" => ffi::sqlite3_column_text as *const () as *mut c_void,
        b"sqlite3_column_blob" => ffi::sqlite3_column_blob as *const () as *mut c_void,
        b"sqlite3_column_bytes" => ffi::sqlite3_column_bytes as *const () as *mut c_void,
        b"sqlite3_set_last_insert_rowid" => ffi::sqlite3_set_last_insert_rowid as *const () as *mut c_void,
        b"sqlite3_interrupt" => ffi::sqlite3_interrupt as *const () as *mut c_void,
        b"sqlite3_create_function_v2" => ffi::sqlite3_create_function_v2 as *const () as *mut c_void,
        b"sqlite3_create_collation_v2" => ffi::sqlite3_create_collation_v2 as *const () as *mut c_void,
        b"sqlite3_user_data" => ffi::sqlite3_user_data as *const () as *mut c_void,
        b"sqlite3_aggregate_context" => ffi::sqlite3_aggregate_context as *const () as *mut c_void,
        b"sqlite3_value_type" => ffi::sqlite3_value_type as *const () as *mut c_void,
        b"sqlite3_value_int64" => ffi::sqlite3_value_int64 as *const () as *mut c_void,
        b"sqlite3_value_double" => ffi::sqlite3_value_double as *const () as *mut c_void,
        b"sqlite3_value_text" => ffi::sqlite3_value_text as *const () as *mut c_void,
        b"sqlite3_value_blob" => ffi::sqlite3_value_blob as *const () as *mut c_void,
        b"sqlite3_value_bytes" => ffi::sqlite3_value_bytes as *const () as *mut c_void,
        b"sqlite3_result_null" => ffi::sqlite3_result_null as *const () as *mut c_void,
        b"sqlite3_result_int64" => ffi::sqlite3_result_int64 as *const () as *mut c_void,
        b"sqlite3_result_double" => ffi::sqlite3_result_double as *const () as *mut c_void,
        b"sqlite3_result_text" => ffi::sqlite3_result_text as *const () as *mut c_void,
        b"sqlite3_result_blob" => ffi::sqlite3_result_blob as *const () as *mut c_void,
        b"sqlite3_result_error" => ffi::sqlite3_result_error as *const () as *mut c_void,
        b"sqlite3_result_error_nomem" => ffi::sqlite3_result_error_nomem as *const () as *mut c_void,
        b"sqlite3_result_error_toobig" => ffi::sqlite3_result_error_toobig as *const () as *mut c_void,
        _ => std::ptr::null_mut(),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::{c_char, c_int};

    use naja_sql::sqlite::{Cell, Connection, How, Library, Rows};
    use rusqlite::ffi;

    use super::library;

    unsafe extern "C" {
        /// What makes `naja_sql` an extension of SQLite.
        fn sqlite3_extension_init(
            connection: *mut ffi::sqlite3,
            message: *mut *mut c_char,
            table: *const ffi::sqlite3_api_routines,
        ) -> c_int;
    }

    #[test]
    fn the_bundled_library_answers() {
        let mut connection =
            Connection::open(library(), ":memory:", How::default()).expect("memory is there");
        let mut rows = Rows::default();
        connection.read("SELECT sqlite_version()", &[], 1, &mut rows).expect("it is SQLite");
        let version = rusqlite::version();
        assert_eq!(rows.row(0).next(), Some(Cell::Text(version.as_bytes())));
    }

    /// SQLite calls an extension of its own for each connection that is opened, as it does one from a file.
    #[test]
    fn the_functions_are_where_the_table_for_extensions_has_them() {
        let by_name = library();
        let found = Library::of_extension(|| {
            // SAFETY: these are SQLite's functions, called as its documentation says.
            unsafe {
                assert_eq!(ffi::sqlite3_auto_extension(Some(sqlite3_extension_init)), 0);
            }
            let opened = Connection::open(by_name, ":memory:", How::default()).map(drop);
            // SAFETY: as above.
            unsafe { ffi::sqlite3_reset_auto_extension() };
            opened
        });
        let by_table = found.expect("memory is there").expect("the table is complete");
        assert_eq!(&by_table, by_name);
    }
}
