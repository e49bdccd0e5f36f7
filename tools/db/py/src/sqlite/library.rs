//! The SQLite that Python's own `sqlite3` uses in this process.
//!
//! A copy is taken only when it is that one: its functions are looked up by their names, or, where these are hidden, SQLite
//! is asked for them. Start at [`own`].

use std::path::PathBuf;
use std::sync::OnceLock;

use naja_sql::sqlite::{Cell, Connection, How, Library, NotFound, Rows};
use pyo3::exceptions::PyImportError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};

/// The copy that Python's `sqlite3` uses, looked for once.
///
/// Errors: `ImportError` where Python has no `sqlite3`, or its library cannot be reached
pub(crate) fn own(py: Python<'_>) -> PyResult<&'static Library> {
    static OWN: OnceLock<Result<&Library, String>> = OnceLock::new();
    if OWN.get().is_none() {
        let _ = OWN.set(look(py, &module(py)?)?);
    }
    match OWN.get() {
        Some(Ok(library)) => Ok(library),
        Some(Err(why)) => Err(refused(why)),
        None => Err(refused("it was not looked for")),
    }
}

/// The module in C behind `sqlite3`. Where a program has put another one in its place (`sys.modules["sqlite3"] =
/// pysqlite3`), it is that one's: all who import `sqlite3` from then on use it.
pub(crate) fn module(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    if let Some(face) = modules.cast::<PyDict>()?.get_item(intern!(py, "sqlite3"))?
        // A function that nobody replaces; those in C know whose they are.
        && let Ok(module) = face.getattr("adapt").and_then(|adapt| adapt.getattr("__self__"))
        && module.is_instance_of::<PyModule>()
    {
        return Ok(module);
    }
    // Not loaded yet: then `sqlite3` will be made of this one.
    Ok(py.import(intern!(py, "_sqlite3"))?.into_any())
}

/// Looks for the copy of a module; why it cannot be had.
fn look(py: Python<'_>, module: &Bound<'_, PyAny>) -> PyResult<Result<&'static Library, String>> {
    let file: Option<PathBuf> = module.getattr(intern!(py, "__file__")).and_then(|file| file.extract()).ok();
    // A module without a file is built into the interpreter. What the program has loaded goes before what a module is
    // linked with (`LD_PRELOAD`).
    let by_name = [file.map(|file| Library::of_module(&file)), Some(Library::of_program())];
    let mut why: Option<NotFound> = None;
    for found in by_name.into_iter().flatten() {
        match found {
            Ok(library) => {
                let library = kept(library);
                if is_of(py, module, library)? {
                    return Ok(Ok(library));
                }
            }
            Err(error) => {
                why.get_or_insert(error);
            }
        }
    }
    let by_name = why.map_or_else(|| "another copy has its names".to_owned(), |why| why.to_string());
    Ok(match by_extension(py, module) {
        Ok(Ok(library)) => Ok(kept(library)),
        Ok(Err(why)) => {
            Err(format!("{by_name}, and it gives its extensions no table that could be used ({why})"))
        }
        Err(why) => Err(format!("{by_name}, and it loads no extensions ({})", why.value(py))),
    })
}

/// For good, as connections want it: one or two in a process.
fn kept(library: Library) -> &'static Library {
    Box::leak(Box::new(library))
}

/// Whether a module uses this copy. A database in memory that has a name is seen by all connections of one copy, and by
/// none of another.
fn is_of(py: Python<'_>, module: &Bound<'_, PyAny>, library: &'static Library) -> PyResult<bool> {
    let name = format!("file:naja-{}-{library:p}?mode=memory&cache=shared", std::process::id());
    let options = PyDict::new(py);
    options.set_item("uri", true)?;
    let connect = || module.call_method("connect", (&name,), Some(&options));
    let theirs = connect()?;
    theirs.call_method1("execute", ("CREATE TABLE seen (a)",))?;
    const COUNT: &str = "SELECT count(*) FROM sqlite_master";
    let how = How { as_uri: true, ..How::default() };
    let mut rows = Rows::default();
    let is_seen = Connection::open(library, &name, how)
        .and_then(|mut connection| connection.read(COUNT, &[], 1, &mut rows))
        .is_ok_and(|()| !rows.is_empty() && rows.row(0).next() == Some(Cell::Integer(1)));
    // A SQLite that was compiled without such databases cannot be asked.
    let can_be_asked = || {
        let again = connect()?;
        let count = again.call_method1("execute", (COUNT,))?.call_method0("fetchone")?.get_item(0)?;
        again.call_method0("close")?;
        count.eq(1)
    };
    let is_of = is_seen || !can_be_asked()?;
    theirs.call_method0("close")?;
    Ok(is_of)
}

/// Has a module's SQLite load naja's own file as an extension, to which it gives its functions.
fn by_extension(py: Python<'_>, module: &Bound<'_, PyAny>) -> PyResult<Result<Library, NotFound>> {
    let file = py.import("naja._native")?.getattr(intern!(py, "__file__"))?;
    let connection = module.call_method1("connect", (":memory:",))?;
    connection.call_method1("enable_load_extension", (true,))?;
    let found = Library::of_extension(|| connection.call_method1("load_extension", (&file,)).map(drop));
    connection.call_method0("close")?;
    found
}

fn refused(why: &str) -> PyErr {
    PyImportError::new_err(format!(
        "naja cannot use the SQLite of this Python: {why}. It must be the one that `sqlite3` uses, since two copies in one \
         process lose data. Hint: a Python whose `sqlite3` is linked with a shared library, or was built with \
         --enable-loadable-sqlite-extensions; or the package pysqlite3-binary in its place, before naja is imported: \
         import sys, pysqlite3; sys.modules[\"sqlite3\"] = pysqlite3"
    ))
}
