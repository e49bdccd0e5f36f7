//! Values as asyncpg takes them: of the type that the server wants, and no other.
//!
//! Else a number would become text in silence, and a moment lose its zone. Types that are not known here take what
//! the server reads.

use naja_sql::Sink;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateTime, PyDelta, PyFloat, PyInt, PyList, PyMemoryView,
    PyString, PyTime, PyTuple, PyTzInfo, PyTzInfoAccess,
};

use crate::objects::{Refused, give as give_as_it_is, is_of};

/// More dimensions than any array of PostgreSQL has.
const DIMENSIONS_MAX: usize = 6;

/// What a value for a type has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Boolean,
    Integer,
    Real,
    Decimal,
    Text,
    Bytes,
    Date,
    Time,
    Moment,
    ZonedMoment,
    Interval,
    Uuid,
    Array,
    Unknown,
}

impl Form {
    /// By the number of the type, fixed in `pg_type.dat`.
    fn of(type_number: u32) -> Form {
        match type_number {
            16 => Form::Boolean,
            20 | 21 | 23 | 26 => Form::Integer,
            700 | 701 => Form::Real,
            1700 => Form::Decimal,
            19 | 25 | 114 | 1042 | 1043 | 3802 => Form::Text,
            17 => Form::Bytes,
            1082 => Form::Date,
            1083 | 1266 => Form::Time,
            1114 => Form::Moment,
            1184 => Form::ZonedMoment,
            1186 => Form::Interval,
            2950 => Form::Uuid,
            199
            | 1000..=1003
            | 1005
            | 1007
            | 1009
            | 1014..=1016
            | 1021
            | 1022
            | 1028
            | 1115
            | 1182
            | 1183
            | 1185
            | 1187
            | 1231
            | 1270
            | 2951
            | 3807 => Form::Array,
            _ => Form::Unknown,
        }
    }
}

/// The type of an array's elements, by the number of the array's.
fn element_of(type_number: u32) -> Option<u32> {
    Some(match type_number {
        199 => 114,
        1000 => 16,
        1001 => 17,
        1003 => 19,
        1005 => 21,
        1007 => 23,
        1009 => 25,
        1014 => 1042,
        1015 => 1043,
        1016 => 20,
        1021 => 700,
        1022 => 701,
        1028 => 26,
        1115 => 1114,
        1182 => 1082,
        1183 => 1083,
        1185 => 1184,
        1187 => 1186,
        1231 => 1700,
        1270 => 1266,
        2951 => 2950,
        3807 => 3802,
        _ => return None,
    })
}

/// Tells `sink` a value for a parameter of this type.
///
/// Errors: a sentence about a value of another type.
pub(super) fn give(type_number: u32, object: &Bound<'_, PyAny>, sink: &mut dyn Sink) -> Result<(), Refused> {
    if object.is_none() {
        sink.null();
        return Ok(());
    }
    match Form::of(type_number) {
        Form::Text if object.is_instance_of::<PyString>() => {}
        Form::Text => return wanted("expected str", object),
        Form::Integer if object.is_instance_of::<PyInt>() => {
            if object.extract::<i64>().is_err() {
                return Err(Refused::Unsupported("value out of int64 range".to_owned()));
            }
            if let Ok(value) = object.cast::<PyBool>() {
                sink.integer(i64::from(value.is_true()));
                return Ok(());
            }
        }
        Form::Integer if object.hasattr(intern!(object.py(), "__index__"))? => {}
        Form::Integer => return wanted("an integer is required", object),
        Form::Real => return real(object, sink),
        Form::Boolean if object.is_instance_of::<PyBool>() => {}
        Form::Boolean => return wanted("a boolean is required", object),
        Form::Bytes
            if object.is_instance_of::<PyBytes>()
                || object.is_instance_of::<PyByteArray>()
                || object.is_instance_of::<PyMemoryView>() => {}
        Form::Bytes => return wanted("a bytes-like object is required", object),
        Form::Decimal
            if object.is_instance_of::<PyInt>()
                || object.is_instance_of::<PyFloat>()
                || object.is_instance_of::<PyString>()
                || is_of(object, "decimal", &["Decimal"])? => {}
        Form::Decimal => return wanted("a number is required", object),
        Form::Date if object.is_instance_of::<PyDate>() => {}
        Form::Date => return wanted("expected a datetime.date", object),
        Form::Time if object.is_instance_of::<PyTime>() => {}
        Form::Time => return wanted("expected a datetime.time", object),
        Form::Moment => naive(object)?,
        Form::ZonedMoment => return zoned(object, sink),
        Form::Interval if object.is_instance_of::<PyDelta>() => {}
        Form::Interval => return wanted("expected a datetime.timedelta", object),
        Form::Uuid if is_of(object, "uuid", &["UUID"])? => {}
        Form::Uuid if object.is_instance_of::<PyString>() => return uuid(object, sink),
        Form::Uuid => return wanted("expected a uuid.UUID or str", object),
        Form::Array => return array(element_of(type_number).unwrap_or_default(), object, sink, 0),
        Form::Unknown => {}
    }
    give_as_it_is(object, sink)
}

#[cold]
fn wanted(what: &str, object: &Bound<'_, PyAny>) -> Result<(), Refused> {
    Err(Refused::Unsupported(format!("{what}, got {}", object.get_type().name()?)))
}

fn real(object: &Bound<'_, PyAny>, sink: &mut dyn Sink) -> Result<(), Refused> {
    if object.is_instance_of::<PyString>() {
        return wanted("a number is required", object);
    }
    match object.extract::<f64>() {
        Ok(value) => sink.real(value),
        Err(_) => return wanted("a number is required", object),
    }
    Ok(())
}

fn array(element: u32, object: &Bound<'_, PyAny>, sink: &mut dyn Sink, depth: usize) -> Result<(), Refused> {
    let elements: Vec<_> = if let Ok(list) = object.cast::<PyList>() {
        list.iter().collect()
    } else if let Ok(tuple) = object.cast::<PyTuple>() {
        tuple.iter().collect()
    } else {
        return wanted("a list or a tuple is required", object);
    };
    if depth == DIMENSIONS_MAX {
        return Err(Refused::Unsupported(format!("an array has at most {DIMENSIONS_MAX} dimensions")));
    }
    sink.array(elements.len());
    for one in &elements {
        if one.is_instance_of::<PyList>() || one.is_instance_of::<PyTuple>() {
            array(element, one, sink, depth + 1)?;
        } else {
            give(element, one, sink)?;
        }
    }
    Ok(())
}

fn uuid(object: &Bound<'_, PyAny>, sink: &mut dyn Sink) -> Result<(), Refused> {
    let text = object.str()?;
    let digits: String = text.to_str()?.chars().filter(|letter| *letter != '-').collect();
    match u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32 && !digits.starts_with('+')) {
        Some(number) => sink.uuid(number.to_be_bytes()),
        None => return Err(Refused::Unsupported("invalid UUID".to_owned())),
    }
    Ok(())
}

/// A moment for a column without zones must have none: its clock alone would be another moment.
fn naive(object: &Bound<'_, PyAny>) -> Result<(), Refused> {
    if let Ok(moment) = object.cast::<PyDateTime>() {
        if moment.get_tzinfo().is_some() {
            return Err(Refused::Unsupported(
                "the column has no time zones: a datetime with `tzinfo` is no value for it".to_owned(),
            ));
        }
        return Ok(());
    }
    if object.is_instance_of::<PyDate>() { Ok(()) } else { wanted("expected a datetime.datetime", object) }
}

/// A moment without a zone is one of the program's own zone.
fn zoned(object: &Bound<'_, PyAny>, sink: &mut dyn Sink) -> Result<(), Refused> {
    let py = object.py();
    if let Ok(moment) = object.cast::<PyDateTime>() {
        if moment.get_tzinfo().is_some() {
            return give_as_it_is(object, sink);
        }
        let local = moment.call_method1(intern!(py, "astimezone"), (PyTzInfo::utc(py)?,))?;
        return give_as_it_is(&local, sink);
    }
    let Ok(day) = object.cast::<PyDate>() else { return wanted("expected a datetime.datetime", object) };
    let midnight = PyTime::new(py, 0, 0, 0, 0, None)?;
    let moment = py.get_type::<PyDateTime>().call_method1(intern!(py, "combine"), (day, midnight))?;
    zoned(&moment, sink)
}
