//! Rows of files for Python: read while the interpreter is not held, made objects of in groups.

use std::path::PathBuf;

use naja_db::files::{Field, FileError, FileForm, Row, Source};
use naja_db::tables::Kind;
use naja_sql::sqlite::Cell;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};

use crate::sqlite::objects::object;

/// What stops a file on its way.
enum Stopped {
    File(FileError),
    /// Whoever took the rows.
    Taker(PyErr),
}

impl From<FileError> for Stopped {
    fn from(error: FileError) -> Stopped {
        Stopped::File(error)
    }
}

/// Gives the rows of a file (`csv`, `json` or `jsonl`), `size` at a time, as lists of dictionaries to `take`.
///
/// Errors: `OSError`; what `wrong` makes of a sentence that says what is wrong in which line; what `take` raises
/// Cost:   memory for `size` rows. A CSV file is read twice, first for what its columns look like
#[pyfunction]
fn read_rows(
    py: Python<'_>,
    path: PathBuf,
    form: &str,
    size: usize,
    take: Py<PyAny>,
    wrong: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let form = match form {
        "csv" => FileForm::Csv,
        "json" => FileForm::Json,
        "jsonl" => FileForm::JsonLines,
        other => return Err(PyValueError::new_err(format!("a file is csv, json or jsonl, not {other}"))),
    };
    let mut names = Names(Vec::new());
    let read = py.detach(|| {
        let mut source = Source::open(&path).map_err(FileError::Read)?;
        source.rows::<Stopped>(form, size, &mut |rows| {
            Python::attach(|py| {
                let list = PyList::empty(py);
                for row in rows {
                    list.append(names.dictionary(py, row)?)?;
                }
                take.call1(py, (list,)).map(drop)
            })
            .map_err(Stopped::Taker)
        })
    });
    read.map_err(|stopped| match stopped {
        Stopped::Taker(error) => error,
        Stopped::File(FileError::Read(error)) => match error.raw_os_error() {
            Some(code) => PyOSError::new_err((code, said(py, code), path)),
            None => error.into(),
        },
        Stopped::File(error) => match wrong.call1((error.to_string(),)) {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        },
    })
}

/// An error of the system's in the words that Python has for it.
fn said(py: Python<'_>, code: i32) -> String {
    let words = py.import("os").and_then(|os| os.call_method1("strerror", (code,))?.extract());
    words.unwrap_or_else(|_| format!("error {code}"))
}

/// The names of the last row, which are mostly those of the next one.
struct Names(Vec<(String, Py<PyString>)>);

impl Names {
    fn dictionary<'py>(&mut self, py: Python<'py>, row: Row) -> PyResult<Bound<'py, PyDict>> {
        let dictionary = PyDict::new(py);
        self.0.truncate(row.len());
        for (place, (name, field)) in row.into_iter().enumerate() {
            if self.0.get(place).is_none_or(|(known, _)| *known != name) {
                self.0.truncate(place);
                self.0.push((name.clone(), PyString::intern(py, &name).unbind()));
            }
            dictionary.set_item(&self.0[place].1, value(py, field)?)?;
        }
        Ok(dictionary)
    }
}

fn value(py: Python<'_>, field: Field) -> PyResult<Bound<'_, PyAny>> {
    Ok(match field {
        Field::Null => py.None().into_bound(py),
        Field::Boolean(value) => PyBool::new(py, value).to_owned().into_any(),
        Field::Integer(value) => PyInt::new(py, value).into_any(),
        Field::Real(value) => PyFloat::new(py, value).into_any(),
        Field::Text(text) => PyString::new(py, &text).into_any(),
        Field::Date(text) => object(py, Cell::Text(text.as_bytes()), Kind::Date)?,
        Field::Moment(text) => object(py, Cell::Text(text.as_bytes()), Kind::DateTime)?,
        Field::Json(text) => object(py, Cell::Text(text.as_bytes()), Kind::Json)?,
    })
}

/// Adds the function to `naja._native.db`.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(read_rows, module)?)
}
