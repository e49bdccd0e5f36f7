//! `parse_many` and `parse_with_format`, which the original does not have.
//!
//! Most columns have few shapes: a text of a shape that was seen before is read by its layout, any other is parsed.
//! Start at [`parse_many`].

use naja_dates::calendar::ordinal;
use naja_dates::parser::{English, FormatError, Layout, Options, Parsed, Tokens, Whole, format_of};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyList, PySlice, PyString, PyTimeAccess,
    PyTzInfoAccess,
};

use crate::info::Info;
use crate::naive;
use crate::parse::{Moment, Request, default_info, parser_error};

/// How many shapes are kept; a column with more is parsed text by text.
const LAYOUTS: usize = 8;

/// Rows of an array that are copied at a time.
const BLOCK_ROWS: usize = 4096;

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

    /// The whole date that a text says, by a layout that was learnt before.
    #[inline]
    fn whole(&mut self, text: &[u8]) -> Option<Whole> {
        let english = self.english.as_ref().filter(|_| self.is_plain)?;
        for at in 0..self.layouts.len() {
            if let Some(whole) = self.layouts[at].read_whole(text, english) {
                if at > 0 {
                    // The next text is likely to have the same shape.
                    self.layouts.swap(0, at);
                }
                return Some(whole);
            }
        }
        None
    }

    /// What a text says, by a layout, which it may be the first of.
    fn by_layout(&mut self, text: &[u8]) -> Option<Parsed> {
        let english = self.english?;
        for at in 0..self.layouts.len() {
            if let Some(parsed) = self.layouts[at].read(text, &english) {
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
        {
            if let Some(whole) = self.whole(text.as_bytes())
                && whole.offset_s.is_none()
            {
                return datetime_of(object.py(), &whole);
            }
            // What cannot be made is parsed too: that error shows its place.
            if let Some(parsed) = self.by_layout(text.as_bytes())
                && let Ok(moment) = self.moment(object, &parsed)
            {
                return Ok(moment);
            }
        }
        self.request.parse_into(object, self.info, &mut self.tokens)
    }

    fn moment(&self, object: &Bound<'py, PyAny>, parsed: &Parsed) -> PyResult<Bound<'py, PyAny>> {
        self.request.check(object, parsed)?;
        Moment { timestr: object, info: self.info, parsed }.build(&self.request)
    }
}

/// The `datetime` of a text without a zone.
#[inline]
fn datetime_of<'py>(py: Python<'py>, whole: &Whole) -> PyResult<Bound<'py, PyAny>> {
    let &Whole { year, month, day, hour, minute, second, microsecond, .. } = whole;
    PyDateTime::new(py, year.into(), month, day, hour, minute, second, microsecond, None).map(Bound::into_any)
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
        Request { default, ignoretz, tzinfos, dayfirst, yearfirst, fuzzy, require, ..Request::default() };
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
        && !error.is_instance_of::<pyo3::exceptions::PyArithmeticError>(py)
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
    let mut read = |row: usize, value: PyResult<Bound<'py, PyAny>>| {
        if row % 65_536 == 65_535 {
            py.check_signals()?;
        }
        match reader.read(&value?) {
            Ok(moment) => Ok(moment),
            Err(error) => note(error, row, errors, &failed).map(|()| py.None().into_bound(py)),
        }
    };
    // A list that is only looked at costs less than an iterator over it, and its length is known.
    let moments = match values.cast_exact::<PyList>() {
        Ok(list) => {
            let moments = (0..list.len()).map(|row| Answered(read(row, list.get_item(row))));
            PyList::new(py, moments)?
        }
        Err(_) => {
            let moments = values.try_iter()?.enumerate().map(|(row, value)| read(row, value));
            PyList::new(py, moments.collect::<PyResult<Vec<_>>>()?)?
        }
    };
    Ok((moments.into_any(), failed))
}

/// A row's answer, on its way into a list.
struct Answered<'py>(PyResult<Bound<'py, PyAny>>);

impl<'py> IntoPyObject<'py> for Answered<'py> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, _: Python<'py>) -> PyResult<Self::Output> {
        self.0
    }
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
    let mut times = Vec::with_capacity(rows);
    let mut block = vec![0_u32; BLOCK_ROWS.min(rows) * width];
    let mut bytes: Vec<u8> = Vec::with_capacity(width);
    while times.len() < rows {
        // Copied, since another thread may write into the array; in blocks that stay in the processor's cache.
        let next = rows.min(times.len() + BLOCK_ROWS);
        let part = native.get_item(PySlice::new(py, times.len() as isize, next as isize, 1))?;
        let block = &mut block[..(next - times.len()) * width];
        PyBuffer::<u32>::get(&part.call_method1("view", ("u4",))?)?.copy_to_slice(py, block)?;
        for characters in block.chunks_exact(width) {
            let end = characters.iter().rposition(|character| *character != 0).map_or(0, |last| last + 1);
            let characters = &characters[..end];
            bytes.clear();
            // Beyond ASCII no layout fits, so that what is cut off here does not matter.
            bytes.extend(characters.iter().map(|code| *code as u8));
            let is_ascii = characters.iter().fold(0, |all, code| all | code) < 128;
            let whole = if is_ascii { reader.whole(&bytes) } else { None };
            times.push(match whole.as_ref().and_then(time_of) {
                Some(time) => time,
                None => {
                    let text: String =
                        characters.iter().map(|code| char::from_u32(*code).unwrap_or('\u{fffd}')).collect();
                    row_time(reader, PyString::new(py, &text).as_any(), times.len(), errors, failed)?
                }
            });
        }
        py.check_signals()?;
    }
    Ok(times)
}

/// Microseconds since 1970, in UTC where the text has an offset that a `datetime` can have.
#[inline]
fn time_of(whole: &Whole) -> Option<i64> {
    let offset = whole.offset_s.unwrap_or(0);
    let time_of_day = (i64::from(whole.hour) * 60 + i64::from(whole.minute)) * 60 + i64::from(whole.second);
    let days = ordinal(whole.year.into(), whole.month.into(), whole.day.into()) - EPOCH_DAY;
    (offset.abs() < 86_400)
        .then(|| days * DAY_MICROSECONDS + (time_of_day - offset) * 1_000_000 + i64::from(whole.microsecond))
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
