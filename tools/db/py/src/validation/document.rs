//! JSON of Python's strings: as tokens, or as plain values.

use std::borrow::Cow;

use naja_db::validation::json::{self, Fault, Sink, Span, Stop, Unit, Value, Words};
use naja_db::validation::place::place_of;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};
use rustc_hash::FxHashMap;

use super::token::{self, Token};

/// The characters of a Python string.
enum Units<'a> {
    Ascii(&'a [u8]),
    Wide(Vec<u32>),
}

impl<'a> Units<'a> {
    fn of(content: &'a Bound<'_, PyString>) -> PyResult<Self> {
        match content.to_str() {
            Ok(text) if text.is_ascii() => Ok(Self::Ascii(text.as_bytes())),
            Ok(text) => Ok(Self::Wide(text.chars().map(u32::from).collect())),
            Err(_) => {
                let bytes = content.call_method1("encode", ("utf-32-le", "surrogatepass"))?;
                let (codes, _) = bytes.cast::<PyBytes>()?.as_bytes().as_chunks::<4>();
                Ok(Self::Wide(codes.iter().map(|code| u32::from_le_bytes(*code)).collect()))
            }
        }
    }
}

/// Line and column of the character at an index, both from 1.
pub(super) fn place_in(content: &Bound<'_, PyString>, index: isize) -> PyResult<(usize, usize)> {
    let Ok(index) = usize::try_from(index) else { return Ok((1, 1)) };
    let place = match Units::of(content)? {
        Units::Ascii(units) => place_of(units, index),
        Units::Wide(units) => place_of(&units, index),
    };
    Ok((place.line, place.column))
}

/// Line and column of the character at an index, both from 1.
#[pyfunction]
pub(super) fn place(content: &Bound<'_, PyString>, index: isize) -> PyResult<(usize, usize)> {
    place_in(content, index)
}

/// A string of Python from its code points.
fn text_of<'py>(py: Python<'py>, codes: impl Iterator<Item = u32> + Clone) -> PyResult<Bound<'py, PyString>> {
    if let Some(text) = codes.clone().map(char::from_u32).collect::<Option<String>>() {
        return Ok(PyString::new(py, &text));
    }
    let bytes: Vec<u8> = codes.flat_map(u32::to_le_bytes).collect();
    let text = PyBytes::new(py, &bytes).call_method1("decode", ("utf-32-le", "surrogatepass"))?;
    Ok(text.cast_into()?)
}

/// How a sink refuses.
enum Refusal {
    /// By a complaint about the document.
    Fault(Fault),
    Raised(PyErr),
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// Makes Python's values of the scanner's.
struct Maker<'a, 'py, T> {
    content: &'a [T],
    py: Python<'py>,
    /// Keys that came before: the same text is the same object.
    keys: FxHashMap<Cow<'a, str>, Bound<'py, PyString>>,
}

impl<'a, 'py, T: Unit> Maker<'a, 'py, T> {
    fn plain(&self, start: usize, end: usize) -> PyResult<Bound<'py, PyString>> {
        text_of(self.py, self.content[start..end].iter().map(|unit| unit.code()))
    }

    fn value(&self, value: Value<'_>, span: Span) -> Result<Bound<'py, PyAny>, Refusal> {
        let py = self.py;
        Ok(match value {
            Value::Null => py.None().into_bound(py),
            Value::Bool(truth) => PyBool::new(py, truth).to_owned().into_any(),
            Value::Whole(number) => PyInt::new(py, number).into_any(),
            Value::Float(number) => PyFloat::new(py, number).into_any(),
            Value::Plain(start, end) => self.plain(start, end)?.into_any(),
            Value::Escaped(codes) => text_of(py, codes.iter().copied())?.into_any(),
            Value::Long(digits) => py.get_type::<PyInt>().call1((digits,)).map_err(|_| {
                // Python refuses to read thousands of digits, since that takes long.
                Refusal::Fault(Fault { text: "Number has too many digits", index: span.start })
            })?,
        })
    }

    fn key(&mut self, value: Value<'_>, span: Span) -> Result<Bound<'py, PyAny>, Refusal> {
        let Value::Plain(start, end) = value else { return self.value(value, span) };
        let codes = self.content[start..end].iter().map(|unit| char::from_u32(unit.code()));
        let Some(text) = codes.collect::<Option<String>>() else {
            return Ok(self.plain(start, end)?.into_any());
        };
        let py = self.py;
        let kept = self.keys.entry(text.into()).or_insert_with_key(|text| PyString::new(py, text));
        Ok(kept.clone().into_any())
    }
}

/// A list or an object that is being filled.
enum Filling<'py> {
    List(Bound<'py, PyList>),
    Dict(Bound<'py, PyDict>, Option<Bound<'py, PyAny>>),
}

impl<'py> Filling<'py> {
    fn add(&mut self, value: Bound<'py, PyAny>) -> PyResult<()> {
        match self {
            Self::List(list) => list.append(value),
            Self::Dict(dict, key) => match key.take() {
                Some(key) => dict.set_item(key, value),
                None => Ok(()),
            },
        }
    }

    fn name(&mut self, name: Bound<'py, PyAny>) {
        if let Self::Dict(_, key) = self {
            *key = Some(name);
        }
    }
}

/// Builds values, or tokens where the text that they stand in is given.
struct Builder<'a, 'py, T> {
    maker: Maker<'a, 'py, T>,
    tokens_of: Option<&'a Bound<'py, PyString>>,
    open: Vec<Filling<'py>>,
    done: Option<Bound<'py, PyAny>>,
}

impl<'py, T: Unit> Builder<'_, 'py, T> {
    fn add(&mut self, value: Bound<'py, PyAny>) -> Result<(), Refusal> {
        match self.open.last_mut() {
            Some(filling) => filling.add(value)?,
            None => self.done = Some(value),
        }
        Ok(())
    }

    fn as_token(&self, value: Bound<'py, PyAny>, span: Span) -> PyResult<Bound<'py, PyAny>> {
        match self.tokens_of {
            Some(content) => token::scalar(Token::new(value, span.start, span.end, content), self.maker.py),
            None => Ok(value),
        }
    }
}

impl<T: Unit> Sink for Builder<'_, '_, T> {
    type Error = Refusal;

    fn scalar(&mut self, value: Value<'_>, span: Span) -> Result<(), Refusal> {
        let value = self.maker.value(value, span)?;
        let value = self.as_token(value, span)?;
        self.add(value)
    }

    fn key(&mut self, value: Value<'_>, span: Span) -> Result<(), Refusal> {
        let name = self.maker.key(value, span)?;
        let name = self.as_token(name, span)?;
        if let Some(filling) = self.open.last_mut() {
            filling.name(name);
        }
        Ok(())
    }

    fn open_list(&mut self) -> Result<(), Refusal> {
        self.open.push(Filling::List(PyList::empty(self.maker.py)));
        Ok(())
    }

    fn open_object(&mut self) -> Result<(), Refusal> {
        self.open.push(Filling::Dict(PyDict::new(self.maker.py), None));
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Refusal> {
        let Some(filled) = self.open.pop() else { return Ok(()) };
        let py = self.maker.py;
        let place = |value| self.tokens_of.map(|content| Token::new(value, span.start, span.end, content));
        let value = match filled {
            Filling::List(list) => match place(list.clone().into_any()) {
                Some(placed) => token::list(placed, py)?,
                None => list.into_any(),
            },
            Filling::Dict(dict, _) => match place(dict.clone().into_any()) {
                Some(placed) => token::dict(placed, py)?,
                None => dict.into_any(),
            },
        };
        self.add(value)
    }
}

/// A value, or what is wrong with the document and where.
type Read<'py> = (Option<Bound<'py, PyAny>>, Option<(&'static str, usize)>);

fn read<'py, T: Unit>(
    content: &[T],
    words: Words,
    tokens_of: Option<&Bound<'py, PyString>>,
    py: Python<'py>,
) -> PyResult<Read<'py>> {
    let maker = Maker { content, py, keys: FxHashMap::default() };
    let mut builder = Builder { maker, tokens_of, open: Vec::new(), done: None };
    match json::scan(content, words, &mut builder) {
        Ok(()) => Ok((builder.done, None)),
        Err(Stop::Fault(fault) | Stop::Sink(Refusal::Fault(fault))) => {
            Ok((None, Some((fault.text, fault.index))))
        }
        Err(Stop::Sink(Refusal::Raised(error))) => Err(error),
    }
}

fn read_content<'py>(content: &Bound<'py, PyString>, as_tokens: bool) -> PyResult<Read<'py>> {
    let py = content.py();
    let words = Words { names_trailing_comma: py.version_info() >= (3, 13) };
    let tokens_of = as_tokens.then_some(content);
    match Units::of(content)? {
        Units::Ascii(units) => read(units, words, tokens_of, py),
        Units::Wide(units) => read(&units, words, tokens_of, py),
    }
}

/// The token of a document of JSON and `None`, or `None` and what is wrong with it: a text and an index.
#[pyfunction]
pub(super) fn tokenize<'py>(content: &Bound<'py, PyString>) -> PyResult<Read<'py>> {
    read_content(content, true)
}

/// The same without places: plain values.
#[pyfunction]
pub(super) fn parse<'py>(content: &Bound<'py, PyString>) -> PyResult<Read<'py>> {
    read_content(content, false)
}
