//! JSON of Python's strings: as tokens, or as plain values.

use std::borrow::Cow;

use naja_db::validation::json::{self, Fault, Sink, Span, Stop, Unit, Value, Words};
use naja_db::validation::outline::{Outline, Step};
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

/// The places of a document's values: `naja.typesystem.validate_json` asks when a value is wrong.
#[pyclass(frozen, name = "Outline", module = "naja._native.db.validation")]
pub(super) struct PlacesOfValues {
    content: Py<PyString>,
    outline: Outline,
}

/// A character: line, column and index.
type Where = (usize, usize, usize);

#[pymethods]
impl PlacesOfValues {
    #[new]
    fn new(content: Bound<'_, PyString>) -> PyResult<Self> {
        let words = words(content.py());
        let outline = match Units::of(&content)? {
            Units::Ascii(units) => Outline::of(units, words),
            Units::Wide(units) => Outline::of(&units, words),
        };
        Ok(Self { content: content.unbind(), outline: outline.unwrap_or_default() })
    }

    /// The first and the last character of the value to which an index leads, or of the last one on the way to it.
    fn find(&self, py: Python<'_>, index: Vec<Bound<'_, PyAny>>) -> PyResult<(Where, Where)> {
        let mut steps = Vec::with_capacity(index.len());
        for key in &index {
            if let Ok(name) = key.cast::<PyString>() {
                steps.push(Step::Key(match Units::of(name)? {
                    Units::Ascii(units) => units.iter().map(|unit| u32::from(*unit)).collect(),
                    Units::Wide(units) => units,
                }));
            } else if let Ok(place) = key.extract() {
                steps.push(Step::Item(place));
            } else {
                break;
            }
        }
        let content = self.content.bind(py);
        Ok(match Units::of(content)? {
            Units::Ascii(units) => self.ends(units, &steps),
            Units::Wide(units) => self.ends(&units, &steps),
        })
    }
}

impl PlacesOfValues {
    fn ends<T: Unit>(&self, units: &[T], steps: &[Step]) -> (Where, Where) {
        let span = self.outline.find(units, steps).unwrap_or(Span { start: 0, end: 0 });
        let place = |index| {
            let place = place_of(units, index);
            (place.line, place.column, index)
        };
        (place(span.start), place(span.end))
    }
}

/// A string of Python from characters.
fn text_of<'py, T: Unit>(py: Python<'py>, units: &[T]) -> PyResult<Bound<'py, PyString>> {
    if let Some(text) = T::text(units) {
        return Ok(PyString::new(py, &text));
    }
    let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.code().to_le_bytes()).collect();
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
    fn value(&self, value: Value<'_>, span: Span) -> Result<Bound<'py, PyAny>, Refusal> {
        let py = self.py;
        Ok(match value {
            Value::Null => py.None().into_bound(py),
            Value::Bool(truth) => PyBool::new(py, truth).to_owned().into_any(),
            Value::Whole(number) => PyInt::new(py, number).into_any(),
            Value::Float(number) => PyFloat::new(py, number).into_any(),
            Value::Plain(start, end) => text_of(py, &self.content[start..end])?.into_any(),
            Value::Escaped(codes) => text_of(py, codes)?.into_any(),
            Value::Long(digits) => py.get_type::<PyInt>().call1((digits,)).map_err(|_| {
                // Python refuses to read thousands of digits, since that takes long.
                Refusal::Fault(Fault { text: "Number has too many digits", index: span.start })
            })?,
        })
    }

    fn key(&mut self, value: Value<'_>, span: Span) -> Result<Bound<'py, PyAny>, Refusal> {
        let Value::Plain(start, end) = value else { return self.value(value, span) };
        let content = self.content;
        let Some(text) = T::text(&content[start..end]) else { return self.value(value, span) };
        if let Some(kept) = self.keys.get(&text) {
            return Ok(kept.clone().into_any());
        }
        let made = PyString::new(self.py, &text);
        self.keys.insert(text, made.clone());
        Ok(made.into_any())
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

fn words(py: Python<'_>) -> Words {
    Words { names_trailing_comma: py.version_info() >= (3, 13) }
}

fn read_content<'py>(content: &Bound<'py, PyString>, as_tokens: bool) -> PyResult<Read<'py>> {
    let py = content.py();
    let words = words(py);
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
