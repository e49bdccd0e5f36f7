//! Python's objects on their way into a statement.

use naja_db::tables::Kind;
use naja_db::tables::kind::Guess;
use naja_sql::sqlite::Value;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateAccess, PyDateTime, PyDict, PyFloat, PyInt, PyList,
    PyMemoryView, PyString, PyTime, PyTimeAccess, PyTuple,
};

/// A value that was taken out of an object; it holds the object as long as it needs its text.
#[derive(Debug)]
pub(crate) enum Taken<'py> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Bound<'py, PyString>),
    OwnText(String),
    Bytes(Bound<'py, PyBytes>),
    OwnBytes(Vec<u8>),
}

impl Taken<'_> {
    /// As a statement takes it. The text of the object was made when it was taken, so that this cannot fail.
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Taken::Null => Value::Null,
            Taken::Integer(value) => Value::Integer(*value),
            Taken::Real(value) => Value::Real(*value),
            Taken::Text(text) => text.to_str().map_or(Value::Null, Value::Text),
            Taken::OwnText(text) => Value::Text(text),
            Taken::Bytes(bytes) => Value::Bytes(bytes.as_bytes()),
            Taken::OwnBytes(bytes) => Value::Bytes(bytes),
        }
    }
}

/// Why an object cannot be stored: the class of the exception in the original, and the reason.
pub(crate) enum Refusal {
    /// `StatementError`: the column is of another type.
    Type(String),
    /// `ProgrammingError`: no database has such values.
    Unsupported(String),
    /// `OverflowError`
    Overflow(String),
    /// `ValueError`
    Value(String),
    /// `DataError`: the database has no place for it.
    Data(String),
    /// What the object itself raised.
    Raised(PyErr),
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Refusal {
        Refusal::Raised(error)
    }
}

/// The value of a row for a column.
pub(crate) fn for_column<'py>(object: &Bound<'py, PyAny>, kind: Kind) -> Result<Taken<'py>, Refusal> {
    // SQLAlchemy writes JSON's null for a None: what reads the table expects it.
    if object.is_none() && kind != Kind::Json {
        return Ok(Taken::Null);
    }
    match kind {
        Kind::Integer | Kind::Float | Kind::Text | Kind::Bytes | Kind::Any => as_it_is(object),
        Kind::Boolean => truth(object).map(|value| Taken::Integer(i64::from(value))),
        Kind::DateTime => {
            if let Ok(moment) = object.cast::<PyDateTime>() {
                return Ok(Taken::OwnText(datetime_text(moment)));
            }
            match object.cast::<PyDate>() {
                Ok(day) => Ok(Taken::OwnText(format!("{} 00:00:00.000000", date_text(day)))),
                Err(_) => Err(other_type("DateTime", "datetime and date", object)),
            }
        }
        Kind::Date => match object.cast::<PyDate>() {
            Ok(day) => Ok(Taken::OwnText(date_text(day))),
            Err(_) => Err(other_type("Date", "date", object)),
        },
        Kind::Time => match object.cast::<PyTime>() {
            Ok(time) => Ok(Taken::OwnText(time_text(time))),
            Err(_) => Err(other_type("Time", "time", object)),
        },
        Kind::Json => json_text(object).map(Taken::Text),
        Kind::Decimal(_) => decimal(object),
    }
}

/// A value that columns are compared with: what it is decides, not the column.
pub(crate) fn for_filter<'py>(object: &Bound<'py, PyAny>) -> Result<Taken<'py>, Refusal> {
    if let Ok(moment) = object.cast::<PyDateTime>() {
        return Ok(Taken::OwnText(datetime_text(moment)));
    }
    if let Ok(day) = object.cast::<PyDate>() {
        return Ok(Taken::OwnText(date_text(day)));
    }
    if let Ok(time) = object.cast::<PyTime>() {
        return Ok(Taken::OwnText(time_text(time)));
    }
    as_it_is(object)
}

/// A value as Python's `sqlite3` takes it.
pub(crate) fn as_it_is<'py>(object: &Bound<'py, PyAny>) -> Result<Taken<'py>, Refusal> {
    if let Ok(text) = object.cast::<PyString>() {
        text.to_str()?;
        return Ok(Taken::Text(text.clone()));
    }
    if object.is_none() {
        return Ok(Taken::Null);
    }
    if let Ok(number) = object.cast::<PyInt>() {
        return integer(number);
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(Taken::Real(number.value()));
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Taken::Bytes(bytes.clone()));
    }
    rarer(object)
}

#[cold]
fn rarer<'py>(object: &Bound<'py, PyAny>) -> Result<Taken<'py>, Refusal> {
    let py = object.py();
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        return Ok(Taken::OwnBytes(bytes.to_vec()));
    }
    if object.is_instance_of::<PyMemoryView>() {
        let bytes =
            object.call_method0(intern!(py, "tobytes"))?.cast_into::<PyBytes>().map_err(PyErr::from)?;
        return Ok(Taken::Bytes(bytes));
    }
    if let Ok(moment) = object.cast::<PyDateTime>() {
        // As the adapters of `sqlite3` write it: no fraction where there is none.
        let text = moment.call_method1(intern!(py, "isoformat"), (" ",))?;
        return Ok(Taken::Text(text.cast_into::<PyString>().map_err(PyErr::from)?));
    }
    if let Ok(day) = object.cast::<PyDate>() {
        return Ok(Taken::OwnText(date_text(day)));
    }
    if let Ok(time) = object.cast::<PyTime>() {
        return Ok(Taken::OwnText(time_text(time)));
    }
    if is_decimal(object)? {
        return decimal(object);
    }
    // Whole numbers of numpy and their like.
    if let Ok(number) = object.call_method0(intern!(py, "__index__")) {
        return integer(number.cast::<PyInt>().map_err(PyErr::from)?);
    }
    // The program's own adapters of `sqlite3`, which the original goes through.
    if let Some(adapted) = adapted(object)? {
        return as_it_is(&adapted);
    }
    let name = object.get_type().name()?;
    Err(Refusal::Unsupported(format!("type '{name}' is not supported")))
}

fn integer<'py>(number: &Bound<'py, PyInt>) -> Result<Taken<'py>, Refusal> {
    match number.extract::<i64>() {
        Ok(value) => Ok(Taken::Integer(value)),
        Err(_) => Err(Refusal::Overflow("Python int too large to convert to SQLite INTEGER".to_owned())),
    }
}

/// What a column of truth values makes of an object: 0 and 1 are such values as well.
pub(crate) fn truth(object: &Bound<'_, PyAny>) -> Result<bool, Refusal> {
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(value.is_true());
    }
    for number in [0_i64, 1] {
        if object.eq(number)? {
            return Ok(number == 1);
        }
    }
    if object.is_instance_of::<PyInt>() {
        return Err(Refusal::Value(format!("Value {} is not None, True, or False", object.repr()?)));
    }
    Err(Refusal::Type(format!("Not a boolean value: {}", object.repr()?)))
}

fn decimal<'py>(object: &Bound<'py, PyAny>) -> Result<Taken<'py>, Refusal> {
    if !is_decimal(object)? {
        return as_it_is(object);
    }
    let text = object.str()?.to_str()?.to_owned();
    let digits = text.split(['e', 'E']).next().unwrap_or("");
    let significant =
        digits.trim_start_matches(['-', '+', '0', '.']).chars().filter(char::is_ascii_digit).count();
    // SQLite keeps numbers with a fraction in 53 bits: 15 digits come back as they were.
    if significant > 15 {
        return Err(Refusal::Value(format!(
            "Decimal('{text}') has {significant} digits, and SQLite keeps 15; store it as text, or in PostgreSQL"
        )));
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Taken::Real(value)),
        _ => Err(Refusal::Value(format!("Decimal('{text}') is no number that SQLite can store"))),
    }
}

/// The type of a column that is made for a value; `None` where Python has to say, of types that the user made.
pub(crate) fn guess(object: &Bound<'_, PyAny>) -> PyResult<Option<Guess>> {
    Ok(Some(if object.is_none() || object.is_instance_of::<PyString>() {
        Guess::Text
    } else if object.is_instance_of::<PyBool>() {
        Guess::Boolean
    } else if object.is_instance_of::<PyInt>() {
        Guess::BigInteger
    } else if object.is_instance_of::<PyFloat>() {
        Guess::Float
    } else if object.is_instance_of::<PyDateTime>() {
        Guess::DateTime
    } else if object.is_instance_of::<PyDate>() {
        Guess::Date
    } else if object.is_instance_of::<PyTime>() {
        Guess::Time
    } else if object.is_instance_of::<PyDict>()
        || object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
    {
        Guess::Json
    } else if object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>() {
        Guess::Bytes
    } else if is_decimal(object)? {
        Guess::Decimal
    } else {
        return Ok(None);
    }))
}

fn other_type(column: &str, accepted: &str, object: &Bound<'_, PyAny>) -> Refusal {
    let given = object.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    Refusal::Type(format!(
        "SQLite {column} type only accepts Python {accepted} objects as input; this is of type {given}"
    ))
}

fn date_text(day: &Bound<'_, PyDate>) -> String {
    format!("{:04}-{:02}-{:02}", day.get_year(), day.get_month(), day.get_day())
}

fn datetime_text(moment: &Bound<'_, PyDateTime>) -> String {
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}",
        moment.get_year(),
        moment.get_month(),
        moment.get_day(),
        moment.get_hour(),
        moment.get_minute(),
        moment.get_second(),
        moment.get_microsecond()
    )
}

fn time_text(time: &Bound<'_, PyTime>) -> String {
    format!(
        "{:02}:{:02}:{:02}.{:06}",
        time.get_hour(),
        time.get_minute(),
        time.get_second(),
        time.get_microsecond()
    )
}

fn is_decimal(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    // Nobody has a Decimal who has not imported its module.
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    match modules.cast::<PyDict>()?.get_item(intern!(py, "decimal"))? {
        Some(module) => object.is_instance(&module.getattr(intern!(py, "Decimal"))?),
        None => Ok(false),
    }
}

/// What an adapter that the program registered makes of an object.
fn adapted<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = object.py();
    let module = super::library::module(py)?;
    let protocol = module.getattr(intern!(py, "PrepareProtocol"))?;
    let adapted = module.call_method1(intern!(py, "adapt"), (object, protocol, object))?;
    Ok((!adapted.is(object)).then_some(adapted))
}

/// An object as the JSON document that `json.dumps` makes of it; its UTF-8 is made with it.
pub(crate) fn json_text<'py>(object: &Bound<'py, PyAny>) -> Result<Bound<'py, PyString>, Refusal> {
    let text = json_dumps(object.py())?.call1((object,))?;
    let text = text.cast_into::<PyString>().map_err(PyErr::from)?;
    text.to_str()?;
    Ok(text)
}

fn json_dumps(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let dumps = DUMPS.get_or_try_init(py, || PyResult::Ok(py.import("json")?.getattr("dumps")?.unbind()))?;
    Ok(dumps.bind(py))
}

/// A refusal without its place, as the plainest exception.
pub(crate) fn plain(refusal: Refusal) -> PyErr {
    match refusal {
        Refusal::Type(text) | Refusal::Unsupported(text) => PyTypeError::new_err(text),
        Refusal::Overflow(text) => PyOverflowError::new_err(text),
        Refusal::Value(text) | Refusal::Data(text) => PyValueError::new_err(text),
        Refusal::Raised(error) => error,
    }
}
