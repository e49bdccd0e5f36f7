//! `parse_many` and `parse_with_format`, which the original does not have.
//!
//! Most columns have few shapes: a text of a shape that was seen before is read by its layout, any other is parsed.
//! Start at [`parse_many`].

use naja_dates::calendar::ordinal;
use naja_dates::parser::{English, FormatError, Layout, Options, Parsed, Tokens, format_of};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyList, PyString, PyTimeAccess, PyTzInfoAccess,
};

use crate::info::Info;
use crate::naive::{self, Naive};
use crate::parse::{Moment, Request, default_info, parser_error};

/// How many shapes are kept; a column with more is parsed text by text.
const LAYOUTS: usize = 8;

/// The ordinal of 1 January 1970.
const EPOCH_DAY: i64 = 719_163;

const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// numpy's "not a time".
const NOT_A_TIME: i64 = i64::MIN;

/// What becomes of a text that is no date.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Errors {
    Raise,
    None,
    Collect,
}

/// Reads the texts of one column.
struct Reader<'a, 'py> {
    info: &'a Bound<'py, Info>,
    request: Request<'a, 'py>,
    english: Option<English>,
    options: Options,
    layouts: Vec<Layout>,
    /// Texts without a known shape; layouts are no longer learnt when there are too many of them.
    misses: usize,
    /// Nothing but the text decides, and `datetime.datetime` is what it always is.
    is_plain: bool,
    tokens: Tokens,
}

impl<'a, 'py> Reader<'a, 'py> {
    fn new(info: &'a Bound<'py, Info>, request: Request<'a, 'py>) -> PyResult<Self> {
        let (english, options) = request.english(info)?;
        let is_plain = request.is_plain() && !naive::is_datetime_replaced(info.py())?;
        Ok(Reader {
            info,
            request,
            english,
            options,
            layouts: Vec::new(),
            misses: 0,
            is_plain,
            tokens: Tokens::default(),
        })
    }

    /// What a text says, by a layout.
    #[inline]
    fn by_layout(&mut self, text: &[u8]) -> Option<Parsed> {
        let english = self.english?;
        for at in 0..self.layouts.len() {
            if let Some(parsed) = self.layouts[at].read(text, &english) {
                // The next text is likely to have the same shape.
                self.layouts.swap(0, at);
                return Some(parsed);
            }
        }
        if self.layouts.len() < LAYOUTS && self.misses < 64 {
            self.misses += 1;
            let layout = Layout::learn(std::str::from_utf8(text).ok()?, self.options, &english)?;
            let parsed = layout.read(text, &english);
            self.layouts.push(layout);
            return parsed;
        }
        None
    }

    fn read(&mut self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(string) = object.cast::<PyString>()
            && let Ok(text) = string.to_str()
            && let Some(parsed) = self.by_layout(text.as_bytes())
        {
            if self.is_plain
                && let Some(naive) = Naive::whole(&parsed)
            {
                return naive.alone(object.py());
            }
            return self.moment(object, &parsed);
        }
        self.request.parse_into(object, self.info, &mut self.tokens)
    }

    fn moment(&self, object: &Bound<'py, PyAny>, parsed: &Parsed) -> PyResult<Bound<'py, PyAny>> {
        self.request.check(object, parsed)?;
        Moment { timestr: object, info: self.info, parsed }.build(&self.request)
    }
}

/// Parse every string of a list, of a numpy array or of anything that can be iterated over.
///
/// A list gives a list of datetimes; a numpy array of strings gives an array of `datetime64[us]`, times with an offset
/// in UTC. `errors` says what becomes of a string that is no date: "raise" raises `ParserError` with its row, "none"
/// puts `None` (or `NaT`) in its place, "collect" does too and gives a second value, a dictionary from row to
/// exception.
#[pyfunction]
#[pyo3(signature = (values, parserinfo=None, *, default=None, ignoretz=None, tzinfos=None, dayfirst=None,
    yearfirst=None, fuzzy=None, require=None, errors="raise"))]
#[expect(clippy::too_many_arguments, reason = "they are those of `parse`")]
fn parse_many<'py>(
    values: &Bound<'py, PyAny>,
    parserinfo: Option<&Bound<'py, PyAny>>,
    default: Option<&Bound<'py, PyAny>>,
    ignoretz: Option<&Bound<'py, PyAny>>,
    tzinfos: Option<&Bound<'py, PyAny>>,
    dayfirst: Option<&Bound<'py, PyAny>>,
    yearfirst: Option<&Bound<'py, PyAny>>,
    fuzzy: Option<&Bound<'py, PyAny>>,
    require: Option<&Bound<'py, PyAny>>,
    errors: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let py = values.py();
    let errors = match errors {
        "raise" => Errors::Raise,
        "none" => Errors::None,
        "collect" => Errors::Collect,
        _ => return Err(PyValueError::new_err("`errors` is \"raise\", \"none\" or \"collect\"")),
    };
    if values.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("`values` is a collection of strings; `parse` takes one"));
    }
    let request =
        Request { default, ignoretz, tzinfos, dayfirst, yearfirst, fuzzy, fuzzy_with_tokens: None, require };
    let info = match parserinfo {
        Some(info) => info.cast::<Info>()?,
        None => default_info(py)?,
    };
    let reader = Reader::new(info, request)?;
    let dtype = values.getattr_opt(intern!(py, "dtype"))?;
    let (answer, failed) = match dtype {
        Some(dtype) => parse_array(reader, values, &dtype, errors)?,
        None => parse_list(reader, values, errors)?,
    };
    if errors == Errors::Collect {
        return Ok((answer, failed).into_pyobject(py)?.into_any());
    }
    Ok(answer)
}

/// Notes an exception, or raises it with its row.
fn note(error: PyErr, row: usize, errors: Errors, failed: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = failed.py();
    if !error.is_instance_of::<PyValueError>(py)
        && !error.is_instance_of::<pyo3::exceptions::PyOverflowError>(py)
    {
        return Err(error);
    }
    match errors {
        Errors::Raise => {
            error.value(py).call_method1("add_note", (format!("in row {row}"),))?;
            Err(error)
        }
        Errors::None => Ok(()),
        Errors::Collect => failed.set_item(row, error.into_value(py)),
    }
}

/// The answer, and the exceptions by row.
type Answer<'py> = (Bound<'py, PyAny>, Bound<'py, PyDict>);

fn parse_list<'py>(
    mut reader: Reader<'_, 'py>,
    values: &Bound<'py, PyAny>,
    errors: Errors,
) -> PyResult<Answer<'py>> {
    let py = values.py();
    let failed = PyDict::new(py);
    // A list that is only looked at costs less than an iterator over it; it may change while texts are parsed.
    let list = values.cast_exact::<PyList>().ok();
    let mut iterator = if list.is_none() { Some(values.try_iter()?) } else { None };
    let mut next = |row: usize| match (list, &mut iterator) {
        (Some(list), _) => list.get_item(row).ok().map(Ok),
        (None, Some(iterator)) => iterator.next(),
        (None, None) => None,
    };
    let mut moments = Vec::with_capacity(list.map_or(0, |list| list.len()));
    let mut row = 0;
    while let Some(value) = next(row) {
        moments.push(match reader.read(&value?) {
            Ok(moment) => moment,
            Err(error) => {
                note(error, row, errors, &failed)?;
                py.None().into_bound(py)
            }
        });
        if row % 65_536 == 65_535 {
            py.check_signals()?;
        }
        row += 1;
    }
    Ok((PyList::new(py, moments)?.into_any(), failed))
}

fn parse_array<'py>(
    mut reader: Reader<'_, 'py>,
    values: &Bound<'py, PyAny>,
    dtype: &Bound<'py, PyAny>,
    errors: Errors,
) -> PyResult<Answer<'py>> {
    let py = values.py();
    let failed = PyDict::new(py);
    let kind: String = dtype.getattr("kind")?.extract()?;
    let numpy = py.import("numpy")?;
    let flat = numpy.call_method1("ascontiguousarray", (values,))?.call_method1("reshape", (-1,))?;
    let times = if kind == "U" {
        parse_characters(&mut reader, &numpy, &flat, dtype, errors, &failed)?
    } else {
        let rows: Vec<Bound<'py, PyAny>> = flat.call_method0("tolist")?.extract()?;
        let mut times = Vec::with_capacity(rows.len());
        for (row, value) in rows.iter().enumerate() {
            times.push(row_time(&mut reader, value, row, errors, &failed)?);
        }
        times
    };
    let answer = numpy.call_method1("empty", (times.len(), "datetime64[us]"))?;
    if !times.is_empty() {
        PyBuffer::<i64>::get(&answer.call_method1("view", ("i8",))?)?.copy_from_slice(py, &times)?;
    }
    Ok((answer.call_method1("reshape", (values.getattr("shape")?,))?, failed))
}

/// An array of strings of one width, each character in four bytes.
fn parse_characters<'py>(
    reader: &mut Reader<'_, 'py>,
    numpy: &Bound<'py, PyModule>,
    flat: &Bound<'py, PyAny>,
    dtype: &Bound<'py, PyAny>,
    errors: Errors,
    failed: &Bound<'py, PyDict>,
) -> PyResult<Vec<i64>> {
    let py = flat.py();
    let width = dtype.getattr("itemsize")?.extract::<usize>()? / 4;
    let native = numpy.call_method1("asarray", (flat, dtype.call_method1("newbyteorder", ("=",))?))?;
    let rows = native.len()?;
    if rows == 0 {
        return Ok(Vec::new());
    }
    if width == 0 {
        return Err(PyValueError::new_err("an array of empty strings has no dates"));
    }
    let characters = PyBuffer::<u32>::get(&native.call_method1("view", ("u4",))?)?.to_vec(py)?;
    let mut times = Vec::with_capacity(rows);
    let mut bytes: Vec<u8> = Vec::with_capacity(width);
    for (row, characters) in characters.chunks_exact(width).enumerate() {
        let end = characters.iter().rposition(|character| *character != 0).map_or(0, |last| last + 1);
        let characters = &characters[..end];
        bytes.clear();
        // Beyond ASCII no layout fits, so that what is cut off here does not matter.
        bytes.extend(characters.iter().map(|code| *code as u8));
        let is_ascii = characters.iter().all(|code| *code < 128);
        let parsed = if is_ascii && reader.is_plain { reader.by_layout(&bytes) } else { None };
        times.push(match parsed.and_then(|parsed| time_of(&parsed)) {
            Some(time) => time,
            None => {
                let text: String =
                    characters.iter().map(|code| char::from_u32(*code).unwrap_or('\u{fffd}')).collect();
                row_time(reader, PyString::new(py, &text).as_any(), row, errors, failed)?
            }
        });
        if row % 65_536 == 65_535 {
            py.check_signals()?;
        }
    }
    Ok(times)
}

/// Microseconds since 1970, where the text has the whole date and no zone but an offset.
fn time_of(parsed: &Parsed) -> Option<i64> {
    let (year, month, day) = (parsed.year?, parsed.month?, parsed.day?);
    let hour = parsed.hour.unwrap_or(0);
    let minute = parsed.minute.unwrap_or(0);
    let second = parsed.second.unwrap_or(0);
    let is_valid = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=naja_dates::calendar::days_in_month(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    // The name of a zone may be one of local time's.
    if !is_valid
        || parsed.zone_name.is_some()
        || parsed.zone_offset.is_some_and(|offset| offset.abs() >= 86_400)
    {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second - parsed.zone_offset.unwrap_or(0);
    let days = ordinal(year, month, day) - EPOCH_DAY;
    Some(days * DAY_MICROSECONDS + seconds * 1_000_000 + parsed.microsecond.unwrap_or(0))
}

fn row_time<'py>(
    reader: &mut Reader<'_, 'py>,
    value: &Bound<'py, PyAny>,
    row: usize,
    errors: Errors,
    failed: &Bound<'py, PyDict>,
) -> PyResult<i64> {
    match reader.read(value).and_then(|moment| microseconds(&moment)) {
        Ok(time) => Ok(time),
        Err(error) => note(error, row, errors, failed).map(|()| NOT_A_TIME),
    }
}

/// Microseconds since 1970, in UTC where the object has a zone.
fn microseconds(moment: &Bound<'_, PyAny>) -> PyResult<i64> {
    let datetime = moment.cast::<PyDateTime>()?;
    let day = ordinal(datetime.get_year().into(), datetime.get_month().into(), datetime.get_day().into());
    let seconds = (i64::from(datetime.get_hour()) * 60 + i64::from(datetime.get_minute())) * 60
        + i64::from(datetime.get_second());
    let mut time =
        (day - EPOCH_DAY) * DAY_MICROSECONDS + seconds * 1_000_000 + i64::from(datetime.get_microsecond());
    if datetime.get_tzinfo().is_some()
        && let Ok(offset) = moment.call_method0("utcoffset")?.cast::<PyDelta>()
    {
        let seconds = i64::from(offset.get_days()) * 86_400 + i64::from(offset.get_seconds());
        time -= seconds * 1_000_000 + i64::from(offset.get_microseconds());
    }
    Ok(time)
}

/// Parse a string, and give beside the datetime the format by which `strptime` reads it too.
#[pyfunction]
#[pyo3(signature = (timestr, *, default=None, ignoretz=None, tzinfos=None, dayfirst=None, yearfirst=None))]
fn parse_with_format<'py>(
    timestr: &Bound<'py, PyAny>,
    default: Option<&Bound<'py, PyAny>>,
    ignoretz: Option<&Bound<'py, PyAny>>,
    tzinfos: Option<&Bound<'py, PyAny>>,
    dayfirst: Option<&Bound<'py, PyAny>>,
    yearfirst: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, String)> {
    let request = Request { default, ignoretz, tzinfos, dayfirst, yearfirst, ..Request::default() };
    let info = default_info(timestr.py())?;
    let moment = request.parse_into(timestr, info, &mut Tokens::default())?;
    let (english, options) = request.english(info)?;
    let english =
        english.ok_or_else(|| PyValueError::new_err("the default parser has other words than English"))?;
    let text = crate::text::Text::from_object(timestr)?;
    match format_of(&text.as_str(), options, &english) {
        Ok((_, format)) => Ok((moment, format)),
        Err(FormatError::NotParsed(error)) => Err(parser_error(timestr, &error.to_string(), None)),
        Err(FormatError::Unsayable(piece)) => {
            let sentence = format!("No directive of strptime reads '{}' in", piece.replace('%', "%%"));
            Err(parser_error(timestr, &sentence, None))
        }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(parse_many, module)?)?;
    module.add_function(wrap_pyfunction!(parse_with_format, module)?)
}
