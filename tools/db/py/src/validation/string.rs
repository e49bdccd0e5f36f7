//! Strings and their formats.

use naja_db::validation::format::{self, Answer, Clock, Day, Offset};
use naja_db::validation::white::stripped;
use pyo3::prelude::*;
use pyo3::types::{PyDate, PyDateTime, PyDelta, PyDict, PyString, PyTime, PyTzInfo};

use super::check::Asked;
use super::classes::{Classes, classes};
use super::facts::Attributes;
use super::failure::{Failure, Outcome, code_object};

/// The formats that are known here, as long as the table of formats has the package's own object for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Date,
    Time,
    DateTime,
    Uuid,
    Email,
    IpAddress,
    Url,
}

impl Format {
    /// Their names in the table.
    pub(super) const NAMES: [(&str, Self); 7] = [
        ("date", Self::Date),
        ("time", Self::Time),
        ("datetime", Self::DateTime),
        ("uuid", Self::Uuid),
        ("email", Self::Email),
        ("ipaddress", Self::IpAddress),
        ("url", Self::Url),
    ];
}

/// What a `String` needs to know.
pub(super) struct StringRules {
    allow_blank: bool,
    trim: bool,
    coerce: bool,
    least: Option<i64>,
    most: Option<i64>,
    /// The bound method `search` of the pattern.
    search: Option<Py<PyAny>>,
    format: Option<Py<PyAny>>,
}

impl StringRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        let pattern = attributes.get("pattern_regex")?;
        let search = if pattern.is_none() { None } else { Some(pattern.getattr("search")?.unbind()) };
        let format = attributes.get("format")?;
        Ok(Self {
            allow_blank: attributes.flag("allow_blank")?,
            trim: attributes.flag("trim_whitespace")?,
            coerce: attributes.flag("coerce_types")?,
            least: attributes.bound("min_length")?,
            most: attributes.bound("max_length")?,
            search,
            format: (!format.is_none()).then(|| format.unbind()),
        })
    }

    /// The object that the table of formats has for the field's, as it is now.
    fn format<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.format {
            Some(name) => classes(py)?.formats.bind(py).get_item(name),
            None => Ok(None),
        }
    }
}

pub(super) fn check<'py>(
    rules: &StringRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let py = asked.py();
    let text = match value.cast_exact::<PyString>() {
        Ok(text) => cleaned(rules, text)?,
        Err(_) if value.is_none() => {
            if asked.facts.allow_null {
                return Ok(value.clone());
            }
            if rules.allow_blank && rules.coerce {
                return Ok(PyString::intern(py, "").into_any());
            }
            return Err(asked.failure("null"));
        }
        Err(_) => {
            if let Some(format) = rules.format(py)?
                && format.call_method1("is_native_type", (value,))?.is_truthy()?
            {
                return Ok(value.clone());
            }
            if !value.is_instance_of::<PyString>() {
                return Err(asked.failure("type"));
            }
            cleaned_by_python(rules, value)?
        }
    };
    let length = text.len()?;
    if length == 0 && !rules.allow_blank {
        if asked.facts.allow_null && rules.coerce {
            return Ok(py.None().into_bound(py));
        }
        return Err(asked.failure("blank"));
    }
    if rules.least.is_some_and(|least| (length as i64) < least) {
        return Err(asked.failure("min_length"));
    }
    if rules.most.is_some_and(|most| length as i64 > most) {
        return Err(asked.failure("max_length"));
    }
    if let Some(search) = &rules.search
        && !search.bind(py).call1((&text,))?.is_truthy()?
    {
        return Err(asked.failure("pattern"));
    }
    match rules.format(py)? {
        Some(format) => formatted(&format, &text),
        None => Ok(text.into_any()),
    }
}

/// The text without null characters and without white space at its ends: the same object, where it had neither.
fn cleaned<'py>(rules: &StringRules, text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
    let Ok(whole) = text.to_str() else {
        // Half a surrogate pair: only Python has strings with such.
        return cleaned_by_python(rules, text.as_any());
    };
    if whole.as_bytes().contains(&0) {
        let whole = whole.replace('\0', "");
        return Ok(PyString::new(text.py(), if rules.trim { stripped(&whole) } else { &whole }));
    }
    let kept = if rules.trim { stripped(whole) } else { whole };
    Ok(if kept.len() == whole.len() { text.clone() } else { PyString::new(text.py(), kept) })
}

fn cleaned_by_python<'py>(rules: &StringRules, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let mut text = value.call_method1("replace", ("\0", ""))?;
    if rules.trim {
        text = text.call_method0("strip")?;
    }
    Ok(text.cast_into::<PyString>()?)
}

/// What a format makes of a text.
fn formatted<'py>(format: &Bound<'py, PyAny>, text: &Bound<'py, PyString>) -> Outcome<'py> {
    let py = format.py();
    let classes = classes(py)?;
    let known = classes.known_formats.iter().find(|(known, _)| format.is(known)).map(|(_, known)| *known);
    if let Some(known) = known
        && let Ok(plain) = text.to_str()
        && plain.is_ascii()
    {
        let answer = by_rust(known, classes, text, plain)?;
        match answer {
            Made::Value(value) => return Ok(value),
            Made::Error(code) => return Err(format_failure(format, code)?),
            Made::Unsure => {}
        }
    }
    format
        .call_method1(pyo3::intern!(py, "validate"), (text,))
        .map_err(|error| Failure::of_exception(py, error))
}

fn format_failure(format: &Bound<'_, PyAny>, code: &str) -> PyResult<Box<Failure>> {
    let code = code_object(format.py(), code);
    Ok(Failure::single(super::check::error_text(format, &code)?, &code))
}

/// What the short way makes of a text.
enum Made<'py> {
    Value(Bound<'py, PyAny>),
    Error(&'static str),
    Unsure,
}

impl<'py> Made<'py> {
    /// An object of Python that refuses parts that are out of range.
    fn real<T>(object: PyResult<Bound<'py, T>>) -> Self {
        object.map_or(Self::Error("invalid"), |object| Self::Value(object.into_any()))
    }
}

fn by_rust<'py>(
    known: Format,
    classes: &Classes,
    text: &Bound<'py, PyString>,
    plain: &str,
) -> PyResult<Made<'py>> {
    let py = text.py();
    let as_it_is = |answer: Answer<()>| match answer {
        Answer::Read(()) => Made::Value(text.clone().into_any()),
        Answer::Not => Made::Error("format"),
        Answer::Unsure => Made::Unsure,
    };
    Ok(match known {
        Format::Date => match format::date(plain) {
            Answer::Read(Day { year, month, day }) => Made::real(PyDate::new(py, year.into(), month, day)),
            Answer::Not => Made::Error("format"),
            Answer::Unsure => Made::Unsure,
        },
        Format::Time => match format::time(plain) {
            Answer::Read(Clock { hour, minute, second, microsecond }) => {
                Made::real(PyTime::new(py, hour, minute, second, microsecond, None))
            }
            Answer::Not => Made::Error("format"),
            Answer::Unsure => Made::Unsure,
        },
        Format::DateTime => match format::datetime(plain) {
            Answer::Read((day, clock, offset)) => Made::real(datetime(py, day, clock, offset)),
            Answer::Not => Made::Error("format"),
            Answer::Unsure => Made::Unsure,
        },
        Format::Uuid => match format::uuid(plain) {
            Answer::Read(value) => Made::Value(uuid(py, classes, value)?),
            Answer::Not => Made::Error("format"),
            Answer::Unsure => Made::Unsure,
        },
        Format::IpAddress => match format::ipv4(plain) {
            Answer::Read(value) => Made::Value(ipv4(py, classes, value)?),
            Answer::Not => Made::Error("format"),
            Answer::Unsure => Made::Unsure,
        },
        Format::Email => as_it_is(format::email(plain)),
        Format::Url => as_it_is(format::url(plain)),
    })
}

fn datetime<'py>(
    py: Python<'py>,
    day: Day,
    clock: Clock,
    offset: Offset,
) -> PyResult<Bound<'py, PyDateTime>> {
    let zone = match offset {
        Offset::Missing => None,
        Offset::Utc => Some(PyTzInfo::utc(py)?.to_owned()),
        Offset::East(0) => Some(PyTzInfo::utc(py)?.to_owned()),
        Offset::East(seconds) => Some(PyTzInfo::fixed_offset(py, PyDelta::new(py, 0, seconds, 0, true)?)?),
    };
    let Clock { hour, minute, second, microsecond } = clock;
    PyDateTime::new(py, day.year.into(), day.month, day.day, hour, minute, second, microsecond, zone.as_ref())
}

fn ipv4<'py>(py: Python<'py>, classes: &Classes, value: u32) -> PyResult<Bound<'py, PyAny>> {
    let class = classes.ipv4.bind(py);
    let Some(set) = &classes.ipv4_part else { return class.call1((value,)) };
    let made = classes.object_new.bind(py).call1(classes.new_ipv4.bind(py))?;
    set.bind(py).call1((&made, value))?;
    Ok(made)
}

fn uuid<'py>(py: Python<'py>, classes: &Classes, value: u128) -> PyResult<Bound<'py, PyAny>> {
    let class = classes.uuid.bind(py);
    match &classes.uuid_parts {
        Some((set_number, set_safety, unknown)) => {
            let made = classes.object_new.bind(py).call1(classes.new_uuid.bind(py))?;
            set_number.bind(py).call1((&made, value))?;
            set_safety.bind(py).call1((&made, unknown))?;
            Ok(made)
        }
        None => {
            let named = PyDict::new(py);
            named.set_item("int", value)?;
            class.call((), Some(&named))
        }
    }
}
