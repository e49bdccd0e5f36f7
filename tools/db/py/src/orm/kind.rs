//! Values of a model's columns: into a statement, and out of a row.

use std::borrow::Cow;

use naja_db::orm::{Type, column};
use naja_db::tables::{Dialect, Kind as Stored};
use naja_sql::sqlite::Cell;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDate, PyDateTime, PyDelta, PyFloat, PyInt, PyString, PyTime, PyType};

use crate::sqlite::objects::object;
use crate::sqlite::values::{self, Refusal};

/// What a column makes of the values that are stored in it and read from it.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Integer,
    Float,
    Boolean,
    Date,
    DateTime,
    Time,
    /// Documents; whether the driver has read them already.
    Json(bool),
    Decimal(u8),
    Uuid,
    IpAddress,
    /// A class of enumerated members, stored by their names.
    Enum(Py<PyAny>),
    /// What the program's own functions make of it, where there are any: one on the way in, one on the way out.
    Own(Option<Py<PyAny>>, Option<Py<PyAny>>),
}

/// Why a value cannot stand in a column.
pub(super) enum Wrong {
    /// It is of another type; what would have been right.
    Type(Cow<'static, str>),
    /// It is of the right type, and cannot be stored all the same.
    Value(String),
    /// What the object itself raised.
    Raised(PyErr),
}

impl From<PyErr> for Wrong {
    fn from(error: PyErr) -> Wrong {
        Wrong::Raised(error)
    }
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Wrong {
        match refusal {
            Refusal::Type(text) | Refusal::Unsupported(text) => Wrong::Type(text.into()),
            Refusal::Overflow(text) | Refusal::Value(text) | Refusal::Data(text) => Wrong::Value(text),
            Refusal::Raised(error) => Wrong::Raised(error),
        }
    }
}

impl Wrong {
    /// As an exception that names the column: `TypeError`, `ValueError`, or what the object raised.
    pub(super) fn raised(self, place: &str, given: &Bound<'_, PyAny>) -> PyErr {
        match self {
            Wrong::Type(right) => {
                let name = given.get_type().name().map(|name| name.to_string()).unwrap_or_default();
                PyTypeError::new_err(format!("{place} takes {right}, and not {name}"))
            }
            Wrong::Value(why) => PyValueError::new_err(format!("{place}: {why}")),
            Wrong::Raised(error) => error,
        }
    }
}

type Put<'py> = Result<Bound<'py, PyAny>, Wrong>;

impl Kind {
    /// By the name that the package has for it; `detail` is the class of an enumeration, or a pair of functions.
    pub(super) fn of(
        name: &str,
        scale: u32,
        detail: Option<&Bound<'_, PyAny>>,
        documents_are_read: bool,
    ) -> PyResult<Kind> {
        Ok(match (name, detail) {
            ("string" | "text", _) => Kind::Text,
            ("integer" | "biginteger", _) => Kind::Integer,
            ("float", _) => Kind::Float,
            ("boolean", _) => Kind::Boolean,
            ("date", _) => Kind::Date,
            ("datetime", _) => Kind::DateTime,
            ("time", _) => Kind::Time,
            ("json", _) => Kind::Json(documents_are_read),
            ("decimal", _) => Kind::Decimal(u8::try_from(scale).unwrap_or(u8::MAX)),
            ("uuid", _) => Kind::Uuid,
            ("ipaddress", _) => Kind::IpAddress,
            ("enum", Some(class)) => Kind::Enum(class.clone().unbind()),
            ("own", Some(pair)) => {
                let (put, get) = pair.extract()?;
                Kind::Own(put, get)
            }
            _ => return Err(PyRuntimeError::new_err(format!("no such kind of column: {name}"))),
        })
    }

    pub(super) fn again(&self, py: Python<'_>) -> Kind {
        match self {
            Kind::Text => Kind::Text,
            Kind::Integer => Kind::Integer,
            Kind::Float => Kind::Float,
            Kind::Boolean => Kind::Boolean,
            Kind::Date => Kind::Date,
            Kind::DateTime => Kind::DateTime,
            Kind::Time => Kind::Time,
            Kind::Json(is_read) => Kind::Json(*is_read),
            Kind::Decimal(scale) => Kind::Decimal(*scale),
            Kind::Uuid => Kind::Uuid,
            Kind::IpAddress => Kind::IpAddress,
            Kind::Enum(class) => Kind::Enum(class.clone_ref(py)),
            Kind::Own(put, get) => {
                let again = |one: &Option<Py<PyAny>>| one.as_ref().map(|one| one.clone_ref(py));
                Kind::Own(again(put), again(get))
            }
        }
    }

    /// A value as the database takes it. `None` is NULL, but JSON's null in a column of JSON, as SQLAlchemy has it.
    pub(super) fn put<'py>(&self, dialect: Dialect, value: &Bound<'py, PyAny>) -> Put<'py> {
        let py = value.py();
        if value.is_none() && !matches!(self, Kind::Json(_) | Kind::Own(..)) {
            return Ok(value.clone());
        }
        let is_lite = dialect == Dialect::Sqlite;
        match self {
            Kind::Text if value.is_instance_of::<PyString>() => Ok(value.clone()),
            Kind::Text => Err(Wrong::Type("text".into())),
            Kind::Integer if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() => {
                Ok(value.clone())
            }
            Kind::Integer => of_text(value, py.get_type::<PyInt>().as_any(), "a whole number"),
            Kind::Float if value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>() => {
                Ok(value.clone())
            }
            Kind::Float if is_a(value, "decimal", "Decimal")? => {
                Ok(PyFloat::new(py, value.extract()?).into_any())
            }
            Kind::Float => of_text(value, py.get_type::<PyFloat>().as_any(), "a number"),
            Kind::Boolean => boolean(value),
            Kind::Date => moment(value, Stored::Date, is_lite),
            Kind::DateTime => moment(value, Stored::DateTime, is_lite),
            Kind::Time => moment(value, Stored::Time, is_lite),
            Kind::Json(_) => Ok(json(py, "dumps")?.call1((value,))?),
            Kind::Decimal(_) => decimal(value, is_lite),
            Kind::Uuid => {
                let uuid = instance(value, class(py, "uuid", "UUID")?, "a UUID")?;
                let name = if dialect == Dialect::Postgres { "__str__" } else { "hex" };
                let found = uuid.getattr(name)?;
                Ok(if dialect == Dialect::Postgres { found.call0()? } else { found })
            }
            Kind::IpAddress if is_address(value)? => Ok(value.str()?.into_any()),
            Kind::IpAddress => of_text(value, class(py, "ipaddress", "ip_address")?, "an IP address")
                .and_then(|one| Ok(one.str()?.into_any())),
            Kind::Enum(members) => member(value, members.bind(py)),
            Kind::Own(None, _) => Ok(value.clone()),
            Kind::Own(Some(put), _) => Ok(put.bind(py).call1((value,))?),
        }
    }

    /// What SQLite gave, as an object.
    pub(super) fn of_cell<'py>(&self, py: Python<'py>, cell: Cell<'_>) -> PyResult<Bound<'py, PyAny>> {
        let stored = match self {
            Kind::Integer => Stored::Integer,
            Kind::Float => match cell {
                Cell::Integer(value) => return Ok(PyFloat::new(py, value as f64).into_any()),
                _ => Stored::Float,
            },
            Kind::Boolean => Stored::Boolean,
            Kind::Date => Stored::Date,
            Kind::DateTime => Stored::DateTime,
            Kind::Time => Stored::Time,
            Kind::Json(_) => Stored::Json,
            Kind::Decimal(scale) => Stored::Decimal(Some(*scale)),
            Kind::Text => Stored::Text,
            Kind::Uuid | Kind::IpAddress | Kind::Enum(_) | Kind::Own(..) => Stored::Any,
        };
        let found = object(py, cell, stored)?;
        match self {
            Kind::Uuid | Kind::IpAddress | Kind::Enum(_) | Kind::Own(..) => self.of_object(&found),
            _ => Ok(found),
        }
    }

    /// What a driver gave, as an object; what is right already stays as it is.
    pub(super) fn of_object<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        if let Kind::Own(_, get) = self {
            return get.as_ref().map_or_else(|| Ok(value.clone()), |get| get.bind(py).call1((value,)));
        }
        if value.is_none() {
            return Ok(value.clone());
        }
        let is_text = value.is_instance_of::<PyString>();
        match self {
            Kind::Boolean if !value.is_instance_of::<PyBool>() => {
                Ok(PyBool::new(py, value.is_truthy()?).to_owned().into_any())
            }
            Kind::Float if !value.is_instance_of::<PyFloat>() => {
                Ok(PyFloat::new(py, value.extract()?).into_any())
            }
            Kind::DateTime if is_text => of_iso(value, "datetime"),
            Kind::Date if is_text => of_iso(value, "date"),
            Kind::Time if is_text => of_iso(value, "time"),
            // MySQL's TIME is a stretch of time to its drivers.
            Kind::Time if value.is_instance_of::<PyDelta>() => {
                let start = class(py, "datetime", "datetime")?.getattr(intern!(py, "min"))?;
                start.add(value)?.call_method0(intern!(py, "time"))
            }
            Kind::Json(false) if is_text || value.is_instance_of::<PyBytes>() => {
                json(py, "loads")?.call1((value,))
            }
            Kind::Decimal(_) if !is_a(value, "decimal", "Decimal")? => {
                class(py, "decimal", "Decimal")?.call1((value.str()?,))
            }
            Kind::Uuid if is_text => class(py, "uuid", "UUID")?.call1((value,)),
            Kind::IpAddress if is_text => class(py, "ipaddress", "ip_address")?.call1((value,)),
            Kind::Enum(members) if is_text => members.bind(py).get_item(value),
            _ => Ok(value.clone()),
        }
    }
}

/// The type of a column in SQL, by the names that the package has for it.
pub(super) fn type_of(
    name: &str,
    length: u32,
    scale: u32,
    enumeration: Option<(String, Vec<String>)>,
    declared: Option<String>,
) -> PyResult<Type> {
    Ok(match (name, enumeration, declared) {
        ("string", ..) => Type::String(length),
        ("text", ..) => Type::Text,
        ("integer", ..) => Type::Integer,
        ("biginteger", ..) => Type::BigInteger,
        ("float", ..) => Type::Float,
        ("boolean", ..) => Type::Boolean,
        ("date", ..) => Type::Date,
        ("datetime", ..) => Type::DateTime,
        ("time", ..) => Type::Time,
        ("json", ..) => Type::Json,
        ("decimal", ..) => Type::Decimal(length, scale),
        ("uuid", ..) => Type::Uuid,
        ("ipaddress", ..) => Type::IpAddress,
        ("enum", Some((name, names)), _) => {
            if let Some(name) = names.iter().find(|name| !column::is_plain(name)) {
                return Err(PyValueError::new_err(format!(
                    "{name:?} cannot be the name of a value of an Enum column: it is empty, or holds a backslash or NUL"
                )));
            }
            Type::Enum { name, names }
        }
        ("own", _, Some(declared)) => Type::Declared(declared),
        _ => return Err(PyRuntimeError::new_err(format!("no such kind of column: {name}"))),
    })
}

/// A value that is no text, or a text that a function reads.
fn of_text<'py>(value: &Bound<'py, PyAny>, read: &Bound<'py, PyAny>, right: &'static str) -> Put<'py> {
    if !value.is_instance_of::<PyString>() {
        // Whole numbers of numpy and their like.
        if let Ok(number) = value.call_method0(intern!(value.py(), "__index__")) {
            return Ok(number);
        }
        return Err(Wrong::Type(right.into()));
    }
    read.call1((value,)).map_err(|_| Wrong::Value(format!("{} is not {right}", shown(value))))
}

fn shown(value: &Bound<'_, PyAny>) -> String {
    let text = value.repr().map(|text| text.to_string()).unwrap_or_default();
    if text.chars().count() > 60 { text.chars().take(57).chain("...".chars()).collect() } else { text }
}

fn boolean<'py>(value: &Bound<'py, PyAny>) -> Put<'py> {
    let py = value.py();
    if value.is_instance_of::<PyBool>() {
        return Ok(value.clone());
    }
    if value.is_instance_of::<PyInt>()
        && let Ok(number @ (0 | 1)) = value.extract::<i64>()
    {
        return Ok(PyBool::new(py, number == 1).to_owned().into_any());
    }
    Err(Wrong::Type("True or False".into()))
}

/// A day, a moment or a time; SQLite has them as text.
fn moment<'py>(value: &Bound<'py, PyAny>, stored: Stored, is_lite: bool) -> Put<'py> {
    let py = value.py();
    let (name, right) = match stored {
        Stored::Date => ("date", "a date"),
        Stored::Time => ("time", "a time"),
        _ => ("datetime", "a datetime"),
    };
    let is_right = match stored {
        Stored::Date => value.is_instance_of::<PyDate>(),
        Stored::Time => value.is_instance_of::<PyTime>(),
        _ => value.is_instance_of::<PyDateTime>() || value.is_instance_of::<PyDate>(),
    };
    let value = if is_right {
        value.clone()
    } else if value.is_instance_of::<PyString>() {
        of_iso(value, name).map_err(|_| Wrong::Value(format!("{} is not {right}", shown(value))))?
    } else {
        return Err(Wrong::Type(right.into()));
    };
    if is_lite {
        let taken = values::for_column(&value, stored)?;
        return Ok(taken_text(py, &taken));
    }
    // Of a moment only its day is kept in a column of days.
    if matches!(stored, Stored::Date) && value.is_instance_of::<PyDateTime>() {
        return Ok(value.call_method0(intern!(py, "date"))?);
    }
    Ok(value)
}

fn taken_text<'py>(py: Python<'py>, taken: &values::Taken<'py>) -> Bound<'py, PyAny> {
    match taken.value() {
        naja_sql::sqlite::Value::Text(text) => PyString::new(py, text).into_any(),
        naja_sql::sqlite::Value::Real(number) => PyFloat::new(py, number).into_any(),
        naja_sql::sqlite::Value::Integer(number) => PyInt::new(py, number).into_any(),
        _ => py.None().into_bound(py),
    }
}

fn decimal<'py>(value: &Bound<'py, PyAny>, is_lite: bool) -> Put<'py> {
    let py = value.py();
    let class = class(py, "decimal", "Decimal")?;
    let number = if value.is_instance(class)? {
        value.clone()
    } else if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
        class.call1((value.str()?,))?
    } else {
        of_text(value, class, "a decimal number")?
    };
    if is_lite {
        let taken = values::for_column(&number, Stored::Decimal(None))?;
        return Ok(taken_text(py, &taken));
    }
    Ok(number)
}

/// An instance of a class, or of a text that the class reads.
fn instance<'py>(value: &Bound<'py, PyAny>, class: &Bound<'py, PyAny>, right: &'static str) -> Put<'py> {
    if value.is_instance(class)? {
        return Ok(value.clone());
    }
    if value.is_instance_of::<PyString>() {
        return class.call1((value,)).map_err(|_| Wrong::Value(format!("{} is not {right}", shown(value))));
    }
    Err(Wrong::Type(right.into()))
}

fn is_address(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(is_a(value, "ipaddress", "IPv4Address")? || is_a(value, "ipaddress", "IPv6Address")?)
}

/// The name of a member, given by itself or by its name.
fn member<'py>(value: &Bound<'py, PyAny>, members: &Bound<'py, PyAny>) -> Put<'py> {
    let py = value.py();
    if value.is_instance(members)? {
        return Ok(value.getattr(intern!(py, "name"))?);
    }
    let known = members.getattr(intern!(py, "__members__"))?;
    if value.is_instance_of::<PyString>() && known.contains(value)? {
        return Ok(value.clone());
    }
    let name = members.cast::<PyType>().map_err(PyErr::from)?.name()?;
    Err(Wrong::Type(format!("a member of {name} or its name").into()))
}

fn of_iso<'py>(text: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    text.py().import("datetime")?.getattr(name)?.call_method1("fromisoformat", (text,))
}

fn json<'py>(py: Python<'py>, name: &str) -> PyResult<&'py Bound<'py, PyAny>> {
    class(py, "json", name)
}

fn is_a(value: &Bound<'_, PyAny>, module: &str, name: &str) -> PyResult<bool> {
    value.is_instance(class(value.py(), module, name)?)
}

/// A name of a module, looked up once.
fn class<'py>(py: Python<'py>, module: &str, name: &str) -> PyResult<&'py Bound<'py, PyAny>> {
    static KNOWN: [(&str, &str, PyOnceLock<Py<PyAny>>); 8] = [
        ("uuid", "UUID", PyOnceLock::new()),
        ("decimal", "Decimal", PyOnceLock::new()),
        ("ipaddress", "ip_address", PyOnceLock::new()),
        ("ipaddress", "IPv4Address", PyOnceLock::new()),
        ("ipaddress", "IPv6Address", PyOnceLock::new()),
        ("json", "dumps", PyOnceLock::new()),
        ("json", "loads", PyOnceLock::new()),
        ("datetime", "datetime", PyOnceLock::new()),
    ];
    let known = KNOWN.iter().find(|(one, other, _)| (*one, *other) == (module, name));
    let (_, _, place) =
        known.ok_or_else(|| PyRuntimeError::new_err(format!("{module}.{name} is not looked up here")))?;
    let found = place.get_or_try_init(py, || PyResult::Ok(py.import(module)?.getattr(name)?.unbind()))?;
    Ok(found.bind(py))
}
