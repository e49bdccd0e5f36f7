//! `dateutil.parser.parse`.
//!
//! The usual call goes from the text to the `datetime` without any Python: English words, no default or an ordinary
//! one. What cannot go that way (a `datetime` of another class, numbers that no `datetime` takes) goes through the
//! object's own `replace`, whose exceptions are then the original's. Start at [`parse`].

use std::cell::Cell;

use naja_dates::Error;
use naja_dates::parser::{self, English, Name, Options, Parsed, Tokens};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyString, PyTuple, PyType, PyTzInfo};

use crate::info::{Info, ObjectVocabulary, PythonEnglish};
use crate::naive::{self, Naive};
use crate::text::Text;
use crate::zones;

thread_local! {
    /// Memory for tokens; taken while it is used, because a vocabulary of a user may parse in turn.
    static TOKENS: Cell<Option<Box<Tokens>>> = const { Cell::new(None) };
}

/// The `parserinfo` of the parser that is used when none is given.
static DEFAULT_INFO: PyOnceLock<Py<Info>> = PyOnceLock::new();

/// How a text is to be read, as the caller says it.
#[derive(Default)]
pub(crate) struct Request<'a, 'py> {
    pub(crate) default: Option<&'a Bound<'py, PyAny>>,
    pub(crate) ignoretz: Option<&'a Bound<'py, PyAny>>,
    pub(crate) tzinfos: Option<&'a Bound<'py, PyAny>>,
    pub(crate) dayfirst: Option<&'a Bound<'py, PyAny>>,
    pub(crate) yearfirst: Option<&'a Bound<'py, PyAny>>,
    pub(crate) fuzzy: Option<&'a Bound<'py, PyAny>>,
    pub(crate) fuzzy_with_tokens: Option<&'a Bound<'py, PyAny>>,
    pub(crate) require: Option<&'a Bound<'py, PyAny>>,
    /// Nobody will see what is raised, so no place in the text is noted.
    pub(crate) unseen: bool,
}

/// Parse a string in one of the formats that people write, and give a `datetime`.
///
/// A part that the string does not have comes from `default` (today at midnight); `require` names parts that must be
/// there.
#[pyfunction]
#[pyo3(signature = (timestr, parserinfo=None, *, default=None, ignoretz=None, tzinfos=None, dayfirst=None,
    yearfirst=None, fuzzy=None, fuzzy_with_tokens=None, require=None))]
#[expect(clippy::too_many_arguments, reason = "they are the original's")]
pub(crate) fn parse<'py>(
    timestr: &Bound<'py, PyAny>,
    parserinfo: Option<&Bound<'py, PyAny>>,
    default: Option<&Bound<'py, PyAny>>,
    ignoretz: Option<&Bound<'py, PyAny>>,
    tzinfos: Option<&Bound<'py, PyAny>>,
    dayfirst: Option<&Bound<'py, PyAny>>,
    yearfirst: Option<&Bound<'py, PyAny>>,
    fuzzy: Option<&Bound<'py, PyAny>>,
    fuzzy_with_tokens: Option<&Bound<'py, PyAny>>,
    require: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let request = Request {
        default,
        ignoretz,
        tzinfos,
        dayfirst,
        yearfirst,
        fuzzy,
        fuzzy_with_tokens,
        require,
        unseen: false,
    };
    let py = timestr.py();
    match parserinfo {
        Some(info) if info.is_truthy()? => parse_with(timestr, info.cast::<Info>()?, &request),
        _ => parse_with(timestr, default_info(py)?, &request),
    }
}

/// Notes the `parserinfo` of the parser that is used when none is given.
#[pyfunction]
fn set_default_info(info: &Bound<'_, Info>) {
    DEFAULT_INFO.get_or_init(info.py(), || info.clone().unbind());
}

pub(crate) fn default_info(py: Python<'_>) -> PyResult<&Bound<'_, Info>> {
    let info = DEFAULT_INFO.get(py).ok_or_else(|| PyValueError::new_err("the parser is not set up"))?;
    Ok(info.bind(py))
}

/// As [`parse`] with the parser that is used when none is given.
pub(crate) fn parse_by_default<'py>(
    timestr: &Bound<'py, PyAny>,
    request: &Request<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    parse_with(timestr, default_info(timestr.py())?, request)
}

fn parse_with<'py>(
    timestr: &Bound<'py, PyAny>,
    info: &Bound<'py, Info>,
    request: &Request<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut tokens = TOKENS.take().unwrap_or_default();
    let answer = request.parse_into(timestr, info, &mut tokens);
    TOKENS.set(Some(tokens));
    answer
}

impl<'py> Request<'_, 'py> {
    /// Parses a text; `tokens` is memory.
    pub(crate) fn parse_into(
        &self,
        timestr: &Bound<'py, PyAny>,
        info: &Bound<'py, Info>,
        tokens: &mut Tokens,
    ) -> PyResult<Bound<'py, PyAny>> {
        let text = Text::from_object(timestr)?;
        let text = text.as_str();
        let parsed = match read(&text, info, self, tokens)? {
            Ok(parsed) => parsed,
            Err(error) => {
                if self.unseen && error != Error::TooManyDigits {
                    return Err(PyValueError::new_err(()));
                }
                let error = not_understood(timestr, error);
                return Err(noted(timestr.py(), error, tokens.shown(&text)));
            }
        };
        self.check(timestr, &parsed)?;
        let moment = Moment { timestr, info, parsed: &parsed }.build(self);
        let moment =
            moment.map_err(|error| if self.unseen { error } else { self.shown_part(&text, info, error) })?;
        if is_true(self.fuzzy_with_tokens)? {
            let skipped = PyTuple::new(timestr.py(), tokens.skipped(&text))?;
            return Ok((moment, skipped).into_pyobject(timestr.py())?.into_any());
        }
        Ok(moment)
    }

    /// Notes where the part stands that the calendar does not have.
    #[cold]
    fn shown_part(&self, text: &str, info: &Bound<'py, Info>, error: PyErr) -> PyErr {
        let py = info.py();
        let Ok((Some(english), options)) = self.english(info) else { return error };
        let sentence = error.value(py).to_string();
        noted(py, error, parser::shown_part(text, options, &english, &sentence))
    }

    /// Whether the text says something, and what it has to.
    pub(crate) fn check(&self, timestr: &Bound<'_, PyAny>, parsed: &Parsed) -> PyResult<()> {
        if parsed.is_empty() {
            return Err(parser_error(timestr, &Error::NoDate.to_string(), None));
        }
        self.require.map_or(Ok(()), |required| check_required(timestr, parsed, required))
    }

    /// The English vocabulary, where that is the one, and how ambiguous texts are read.
    pub(crate) fn english(&self, info: &Bound<'_, Info>) -> PyResult<(Option<English>, Options)> {
        let py = info.py();
        let info = info.try_borrow()?;
        let options = Options {
            day_first: self.dayfirst.map_or_else(|| info.day_first(py), |given| given.is_truthy())?,
            year_first: self.yearfirst.map_or_else(|| info.year_first(py), |given| given.is_truthy())?,
            fuzzy: is_true(self.fuzzy)? || is_true(self.fuzzy_with_tokens)?,
        };
        Ok((info.english(), options))
    }

    /// Whether nothing but the text decides about the answer.
    pub(crate) fn is_plain(&self) -> bool {
        let Request { default, ignoretz, tzinfos, require, .. } = self;
        [default, ignoretz, tzinfos, require].iter().all(|given| given.is_none())
    }
}

/// What the text says; the inner error is one of the text's, the outer an exception of the vocabulary's.
fn read(
    text: &str,
    info: &Bound<'_, Info>,
    request: &Request<'_, '_>,
    tokens: &mut Tokens,
) -> PyResult<Result<Parsed, Error>> {
    let py = info.py();
    let (english, options) = request.english(info)?;
    if let Some(english) = english {
        let vocabulary = PythonEnglish(py, english);
        let mut parsed = match parser::parse(text, options, &vocabulary, tokens) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Err(error)),
        };
        return Ok(parsed.complete(&vocabulary).map(|()| parsed).map_err(Error::from));
    }
    let validate_is_replaced = info.try_borrow()?.validate_is_replaced();
    read_with_object(text, info, options, tokens, validate_is_replaced)
}

fn read_with_object(
    text: &str,
    info: &Bound<'_, Info>,
    options: Options,
    tokens: &mut Tokens,
    validate_is_replaced: bool,
) -> PyResult<Result<Parsed, Error>> {
    let vocabulary = ObjectVocabulary::new(info)?;
    let answer = parser::parse(text, options, &vocabulary, tokens);
    let completed = answer.and_then(|mut parsed| {
        if !validate_is_replaced {
            parsed.complete(&vocabulary)?;
        }
        Ok(parsed)
    });
    match vocabulary.take_raised() {
        // What the original takes for a text that it does not understand.
        Some(error) if is_misunderstanding(info.py(), &error) => Ok(Err(Error::UnknownFormat)),
        Some(error) => Err(error),
        None => match completed {
            Ok(parsed) if validate_is_replaced => validated(info, parsed),
            other => Ok(other),
        },
    }
}

fn is_misunderstanding(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<pyo3::exceptions::PyIndexError>(py)
}

/// Lets the `validate` of a subclass look at what was read, and change it.
fn validated(info: &Bound<'_, Info>, parsed: Parsed) -> PyResult<Result<Parsed, Error>> {
    let py = info.py();
    let result = result_object(py, &parsed)?;
    if !info.call_method1(intern!(py, "validate"), (&result,))?.is_truthy()? {
        return Ok(Err(Error::UnknownFormat));
    }
    parsed_from(&result).map(Ok)
}

/// What the original's private object says.
fn parsed_from(result: &Bound<'_, PyAny>) -> PyResult<Parsed> {
    let number = |name: &str| -> PyResult<Option<i64>> { result.getattr(name)?.extract() };
    let name: Option<String> = result.getattr("tzname")?.extract()?;
    Ok(Parsed {
        year: number("year")?,
        month: number("month")?,
        day: number("day")?,
        weekday: number("weekday")?,
        hour: number("hour")?,
        minute: number("minute")?,
        second: number("second")?,
        microsecond: number("microsecond")?,
        zone_name: name.as_deref().and_then(Name::new),
        zone_offset: number("tzoffset")?,
        half: number("ampm")?,
        century_specified: true,
    })
}

/// The original's private object for what a text says.
fn result_object<'py>(py: Python<'py>, parsed: &Parsed) -> PyResult<Bound<'py, PyAny>> {
    let result = class(py, "_Result", &RESULT)?.call0()?;
    for (name, value) in [
        ("year", parsed.year),
        ("month", parsed.month),
        ("day", parsed.day),
        ("weekday", parsed.weekday),
        ("hour", parsed.hour),
        ("minute", parsed.minute),
        ("second", parsed.second),
        ("microsecond", parsed.microsecond),
        ("tzoffset", parsed.zone_offset),
        ("ampm", parsed.half),
    ] {
        result.setattr(name, value)?;
    }
    result.setattr("tzname", parsed.zone_name.as_ref().map(Name::as_str))?;
    result.setattr("century_specified", parsed.century_specified)?;
    Ok(result)
}

/// What a text says, and what was passed over.
type Parts<'py> = (Option<Bound<'py, PyAny>>, Option<Bound<'py, PyTuple>>);

/// The original's private `_parse`: what the text says and what was passed over, or two times `None`.
#[pyfunction]
#[pyo3(signature = (info, timestr, dayfirst=None, yearfirst=None, fuzzy=None, fuzzy_with_tokens=None))]
fn parse_parts<'py>(
    info: &Bound<'py, Info>,
    timestr: &Bound<'py, PyAny>,
    dayfirst: Option<&Bound<'py, PyAny>>,
    yearfirst: Option<&Bound<'py, PyAny>>,
    fuzzy: Option<&Bound<'py, PyAny>>,
    fuzzy_with_tokens: Option<&Bound<'py, PyAny>>,
) -> PyResult<Parts<'py>> {
    let py = timestr.py();
    let request = Request { dayfirst, yearfirst, fuzzy, fuzzy_with_tokens, ..Request::default() };
    let text = Text::from_object(timestr)?;
    let text = text.as_str();
    let mut tokens = Tokens::default();
    let parsed = match read(&text, info, &request, &mut tokens)? {
        Ok(parsed) => parsed,
        Err(error @ Error::TooManyDigits) => return Err(not_understood(timestr, error)),
        Err(_) => return Ok((None, None)),
    };
    let skipped =
        if is_true(fuzzy_with_tokens)? { Some(PyTuple::new(py, tokens.skipped(&text))?) } else { None };
    Ok((Some(result_object(py, &parsed)?), skipped))
}

/// The original's private `_build_naive`.
#[pyfunction]
fn build_naive<'py>(res: &Bound<'py, PyAny>, default: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    naive::replaced(default, &parsed_from(res)?)
}

/// The original's private `_build_tzaware`.
#[pyfunction]
fn build_aware<'py>(
    info: &Bound<'py, Info>,
    naive: Bound<'py, PyAny>,
    res: &Bound<'py, PyAny>,
    tzinfos: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let moment = Moment { timestr: res, info, parsed: &parsed_from(res)? };
    match moment.zone(tzinfos)? {
        Zone::Naive => Ok(naive),
        Zone::Fixed(zone) => with_zone(&naive, &zone),
        Zone::Asked => moment.in_asked_zone(naive, tzinfos),
    }
}

/// The tokens of a text, as the original cuts it.
#[pyfunction]
fn split(timestr: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let text = Text::from_object(timestr)?;
    let text = text.as_str();
    let english = English { year: 2000 };
    let mut tokens = Tokens::default();
    // The tokens are there whatever they mean together.
    let _ = parser::parse(&text, Options::default(), &PythonEnglish(timestr.py(), english), &mut tokens);
    Ok(tokens.pieces(&text).map(|piece| piece.replace(',', ".")).collect())
}

fn check_required(timestr: &Bound<'_, PyAny>, parsed: &Parsed, required: &Bound<'_, PyAny>) -> PyResult<()> {
    if required.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(
            "`require` is a collection of names, such as {\"year\", \"month\"}",
        ));
    }
    let mut missing = Vec::new();
    for name in required.try_iter()? {
        let name: String = name?.extract()?;
        let is_there = match name.as_str() {
            "year" => parsed.year.is_some(),
            "month" => parsed.month.is_some(),
            "day" => parsed.day.is_some(),
            "weekday" => parsed.weekday.is_some(),
            "hour" => parsed.hour.is_some(),
            "minute" => parsed.minute.is_some(),
            "second" => parsed.second.is_some(),
            "microsecond" => parsed.microsecond.is_some(),
            "tzinfo" => parsed.zone_name.is_some() || parsed.zone_offset.is_some(),
            _ => return Err(PyValueError::new_err(format!("`require` knows no part named '{name}'"))),
        };
        if !is_there {
            missing.push(name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    missing.sort();
    Err(parser_error(timestr, &format!("String lacks {}", missing.join(", ")), None))
}

/// What a text says, on its way to become a `datetime`.
pub(crate) struct Moment<'a, 'py> {
    pub(crate) timestr: &'a Bound<'py, PyAny>,
    pub(crate) info: &'a Bound<'py, Info>,
    pub(crate) parsed: &'a Parsed,
}

/// What is known of the zone without asking any object.
enum Zone<'py> {
    Naive,
    Fixed(Bound<'py, PyAny>),
    /// Only the `datetime` itself can tell: a name that local time or the caller has.
    Asked,
}

impl<'py> Moment<'_, 'py> {
    fn py(&self) -> Python<'py> {
        self.timestr.py()
    }

    pub(crate) fn build(&self, request: &Request<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let zone = if is_true(request.ignoretz)? { Zone::Naive } else { self.zone(request.tzinfos)? };
        let default = naive::default(self.py(), request.default, self.parsed)?;
        let naive = match Naive::from_parts(&default, self.parsed) {
            Some(naive) => naive,
            None => return self.build_slowly(default.object(self.py())?, &zone, request),
        };
        let fixed = match &zone {
            Zone::Fixed(zone) => Some(zone.cast::<PyTzInfo>()?),
            Zone::Naive | Zone::Asked => None,
        };
        match naive.object(self.py(), fixed, &default) {
            Ok(object) if matches!(zone, Zone::Asked) => self.in_asked_zone(object, request.tzinfos),
            Ok(object) => Ok(object),
            Err(error) => Err(self.unbuildable(error)),
        }
    }

    /// The same by the methods of the default, which may be of any class.
    fn build_slowly(
        &self,
        default: Bound<'py, PyAny>,
        zone: &Zone<'py>,
        request: &Request<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let object = naive::replaced(default, self.parsed).map_err(|error| self.unbuildable(error))?;
        match zone {
            Zone::Naive => Ok(object),
            Zone::Fixed(zone) => with_zone(&object, zone),
            Zone::Asked => self.in_asked_zone(object, request.tzinfos),
        }
    }

    fn unbuildable(&self, error: PyErr) -> PyErr {
        if error.is_instance_of::<PyValueError>(self.py()) {
            let sentence = error.value(self.py()).to_string();
            return parser_error(self.timestr, &sentence, Some(error));
        }
        error
    }

    fn zone(&self, tzinfos: Option<&Bound<'py, PyAny>>) -> PyResult<Zone<'py>> {
        let py = self.py();
        let Parsed { zone_name, zone_offset, .. } = self.parsed;
        let name = zone_name.as_ref().map(Name::as_str);
        if let Some(tzinfos) = tzinfos
            && knows(tzinfos, name)?
        {
            return Ok(Zone::Asked);
        }
        let Some(name) = name else {
            return match zone_offset {
                Some(0) => Ok(Zone::Fixed(zones::utc(py)?.clone().into_any())),
                Some(seconds) => self.fixed(None, *seconds),
                None => Ok(Zone::Naive),
            };
        };
        if local_names(py)?.contains(name)? {
            return Ok(Zone::Asked);
        }
        match zone_offset {
            Some(0) => Ok(Zone::Fixed(zones::utc(py)?.clone().into_any())),
            Some(seconds) => self.fixed(Some(name), *seconds),
            None => {
                warn_of_unknown(py, name)?;
                Ok(Zone::Naive)
            }
        }
    }

    fn fixed(&self, name: Option<&str>, seconds: i64) -> PyResult<Zone<'py>> {
        let py = self.py();
        match (name, i32::try_from(seconds)) {
            (None, Ok(seconds)) => Ok(Zone::Fixed(zones::offset(py, seconds)?.into_any())),
            _ => zones::named_offset(name, &seconds.into_pyobject(py)?.into_any()).map(Zone::Fixed),
        }
    }

    /// Attaches the caller's zone, or local time, and takes the half of a repeated hour that has the name.
    fn in_asked_zone(
        &self,
        object: Bound<'py, PyAny>,
        tzinfos: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py();
        let Parsed { zone_name, zone_offset, .. } = self.parsed;
        let name = zone_name.as_ref().map(Name::as_str);
        if let Some(tzinfos) = tzinfos
            && knows(tzinfos, name)?
        {
            let answer = if tzinfos.is_callable() {
                tzinfos.call1((name, *zone_offset))?
            } else {
                tzinfos.call_method1(intern!(py, "get"), (name,))?
            };
            let aware = with_zone(&object, &caller_zone(name, answer)?)?;
            return with_name(aware, name);
        }
        let aware = with_name(with_zone(&object, &zones::local(py)?)?, name)?;
        if has_name(&aware, name)? {
            return Ok(aware);
        }
        // A winter time of the United Kingdom that is called GMT, read where local time is another.
        if self.info.getattr(intern!(py, "UTCZONE"))?.contains(name)? {
            return with_zone(&aware, zones::utc(py)?);
        }
        Ok(aware)
    }
}

/// Whether the caller's `tzinfos` has a say: a function always, a dictionary where it has the name.
fn knows(tzinfos: &Bound<'_, PyAny>, name: Option<&str>) -> PyResult<bool> {
    Ok(tzinfos.is_callable() || (tzinfos.is_truthy()? && tzinfos.contains(name)?))
}

/// The names of local time: `time.tzname`.
fn local_names(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static TIME: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let time = TIME.get_or_try_init(py, || py.import("time").map(Bound::unbind))?;
    time.bind(py).getattr(intern!(py, "tzname"))
}

/// What `tzinfos` has answered, as a zone or `None`.
fn caller_zone<'py>(name: Option<&str>, answer: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if answer.is_none() || answer.is_instance_of::<PyTzInfo>() {
        Ok(answer)
    } else if answer.is_instance_of::<PyString>() {
        zones::from_text(&answer)
    } else if answer.is_instance_of::<PyInt>() {
        zones::named_offset(name, &answer)
    } else {
        Err(PyTypeError::new_err("Offset must be tzinfo subclass, tz string, or int offset."))
    }
}

fn with_zone<'py>(object: &Bound<'py, PyAny>, zone: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let arguments = PyDict::new(py);
    arguments.set_item(intern!(py, "tzinfo"), zone)?;
    object.call_method(intern!(py, "replace"), (), Some(&arguments))
}

fn has_name(object: &Bound<'_, PyAny>, name: Option<&str>) -> PyResult<bool> {
    object.call_method0(intern!(object.py(), "tzname"))?.eq(name)
}

/// The second occurrence of a repeated hour, where only that one has the name.
fn with_name<'py>(object: Bound<'py, PyAny>, name: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
    if has_name(&object, name)? {
        return Ok(object);
    }
    let py = object.py();
    let arguments = PyDict::new(py);
    arguments.set_item(intern!(py, "fold"), 1)?;
    let second = object.call_method(intern!(py, "replace"), (), Some(&arguments))?;
    Ok(if has_name(&second, name)? { second } else { object })
}

fn is_true(flag: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    flag.map_or(Ok(false), |flag| flag.is_truthy())
}

static PARSER_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static WARNING: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static RESULT: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// A class of the package, which is imported only when it is needed.
fn class<'py>(
    py: Python<'py>,
    name: &str,
    kept: &'static PyOnceLock<Py<PyType>>,
) -> PyResult<&'py Bound<'py, PyType>> {
    let class = kept.get_or_try_init(py, || {
        let class = py.import("naja.dateutil.parser._parser")?.getattr(name)?;
        Ok::<_, PyErr>(class.cast_into::<PyType>()?.unbind())
    })?;
    Ok(class.bind(py))
}

/// The exception for a text that gives no date.
#[cold]
fn not_understood(timestr: &Bound<'_, PyAny>, error: Error) -> PyErr {
    let py = timestr.py();
    if error == Error::TooManyDigits {
        // Programs catch what the original's arithmetic raises here, so the same arithmetic raises it.
        let one = py.import("decimal").and_then(|decimal| decimal.getattr("Decimal")?.call1(("1E+28",)));
        if let Err(raised) = one.and_then(|one| one.rem(1)) {
            return raised;
        }
    }
    parser_error(timestr, &error.to_string(), None)
}

/// `ParserError(sentence + ": %s", text)`.
pub(crate) fn parser_error(timestr: &Bound<'_, PyAny>, sentence: &str, cause: Option<PyErr>) -> PyErr {
    let py = timestr.py();
    let class = match class(py, "ParserError", &PARSER_ERROR) {
        Ok(class) => class.clone(),
        Err(error) => return error,
    };
    let error = PyErr::from_type(class, (format!("{sentence}: %s"), timestr.clone().unbind()));
    error.set_cause(py, cause);
    error
}

/// An exception with a note, which Python prints below its message.
pub(crate) fn noted(py: Python<'_>, error: PyErr, note: Option<String>) -> PyErr {
    if let Some(note) = note {
        // Without the note the exception is still the right one.
        let _ = error.value(py).call_method1(intern!(py, "add_note"), (note,));
    }
    error
}

fn warn_of_unknown(py: Python<'_>, name: &str) -> PyResult<()> {
    let class = class(py, "UnknownTimezoneWarning", &WARNING)?;
    let sentence = std::ffi::CString::new(format!(
        "tzname {name} identified but not understood.  Pass `tzinfos` argument in order to correctly return a \
         timezone-aware datetime.  In a future version, this will raise an exception."
    ))
    .expect("a name has no null character");
    PyErr::warn(py, class, &sentence, 1)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(parse, module)?)?;
    module.add_function(wrap_pyfunction!(parse_parts, module)?)?;
    module.add_function(wrap_pyfunction!(build_naive, module)?)?;
    module.add_function(wrap_pyfunction!(build_aware, module)?)?;
    module.add_function(wrap_pyfunction!(split, module)?)?;
    module.add_function(wrap_pyfunction!(set_default_info, module)?)
}
