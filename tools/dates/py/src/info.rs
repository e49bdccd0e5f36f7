//! `dateutil.parser.parserinfo`: the words that a parser knows, which a user's class may change.
//!
//! The tables are read when the object is made. Methods that a subclass replaces are called for every token; as long
//! as there are none, a table in Rust answers. Start at [`Info`].

use std::cell::RefCell;
use std::collections::HashMap;

use naja_dates::parser::{Class, English, Interrupted, Meaning, Vocabulary, full_year};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

/// What of a `parserinfo` the parser needs at every text; the class itself is written in Python, over this one.
#[pyclass(name = "ParserInfo", module = "naja.dateutil.parser._parser", subclass, dict, weakref)]
pub(crate) struct Info {
    /// The default of the parser's argument of this name.
    #[pyo3(get, set)]
    dayfirst: Py<PyAny>,
    /// The default of the parser's argument of this name.
    #[pyo3(get, set)]
    yearfirst: Py<PyAny>,
    #[pyo3(get, set, name = "_year")]
    year: i64,
    #[pyo3(get, set, name = "_century")]
    century: i64,
    words: Words,
    replaced: Replaced,
}

/// Where the meaning of a token comes from.
enum Words {
    /// The tables are those of English, unchanged.
    English,
    /// Other tables; and the names of UTC as they were written.
    Table(HashMap<String, Meaning>, Vec<String>),
    /// The methods of the object.
    Methods,
}

/// Which methods a subclass has replaced.
#[derive(Clone, Copy, Default)]
struct Replaced {
    convertyear: bool,
    validate: bool,
    tzoffset: bool,
}

#[pymethods]
impl Info {
    /// Takes whatever a subclass's `__init__` takes.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(py: Python<'_>, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Info {
        let no = || false.into_pyobject(py).map(|no| no.to_owned().into_any().unbind());
        Info {
            dayfirst: no().unwrap_or_else(|never| match never {}),
            yearfirst: no().unwrap_or_else(|never| match never {}),
            year: 0,
            century: 0,
            words: Words::English,
            replaced: Replaced::default(),
        }
    }

    /// Reads the tables: `kind` is "english", "tables" or "methods", `replaced` names the replaced methods.
    #[pyo3(name = "_settle")]
    fn settle(slf: &Bound<'_, Self>, kind: &str, replaced: Vec<String>) -> PyResult<()> {
        let words = match kind {
            "english" => Words::English,
            "tables" => read_tables(slf)?,
            _ => Words::Methods,
        };
        let has = |name: &str| replaced.iter().any(|one| one == name);
        let mut info = slf.try_borrow_mut()?;
        info.words = words;
        info.replaced = Replaced {
            convertyear: has("convertyear"),
            validate: has("validate"),
            tzoffset: kind != "english",
        };
        Ok(())
    }
}

impl Info {
    pub(crate) fn day_first(&self, py: Python<'_>) -> PyResult<bool> {
        self.dayfirst.bind(py).is_truthy()
    }

    pub(crate) fn year_first(&self, py: Python<'_>) -> PyResult<bool> {
        self.yearfirst.bind(py).is_truthy()
    }

    /// The English vocabulary, where no table and no method is another.
    pub(crate) fn english(&self) -> Option<English> {
        let Replaced { convertyear, validate, tzoffset } = self.replaced;
        let stock = matches!(self.words, Words::English) && !convertyear && !validate && !tzoffset;
        // `_century` may have been set by hand; then the general way is taken.
        (stock && self.century == self.year.div_euclid(100) * 100).then_some(English { year: self.year })
    }

    pub(crate) fn validate_is_replaced(&self) -> bool {
        self.replaced.validate
    }
}

/// The tables that `parserinfo.__init__` has converted, as one.
fn read_tables(info: &Bound<'_, Info>) -> PyResult<Words> {
    let mut words: HashMap<String, Meaning> = HashMap::new();
    let mut fill = |attribute: &str, set: fn(&mut Meaning, i16)| -> PyResult<()> {
        for (word, number) in info.getattr(attribute)?.cast_into::<PyDict>()? {
            let meaning = words.entry(word.extract::<String>()?).or_insert(Meaning::NONE);
            set(meaning, number.extract()?);
        }
        Ok(())
    };
    fill("_weekdays", |meaning, number| meaning.weekday = number)?;
    fill("_months", |meaning, number| meaning.month = number.saturating_add(1))?;
    fill("_hms", |meaning, number| meaning.unit = number)?;
    fill("_ampm", |meaning, number| meaning.half = number)?;
    fill("_jump", |meaning, _| meaning.jump = true)?;
    fill("_pertain", |meaning, _| meaning.pertain = true)?;
    fill("_utczone", |meaning, _| meaning.utc = true)?;
    let mut utc_as_written = Vec::new();
    for name in info.getattr("UTCZONE")?.try_iter()? {
        utc_as_written.push(name?.extract()?);
    }
    Ok(Words::Table(words, utc_as_written))
}

/// The vocabulary of an object, and the exception that one of its methods has raised.
pub(crate) struct ObjectVocabulary<'py, 'i> {
    object: &'i Bound<'py, Info>,
    info: PyRef<'py, Info>,
    raised: RefCell<Option<PyErr>>,
}

impl<'py, 'i> ObjectVocabulary<'py, 'i> {
    pub(crate) fn new(object: &'i Bound<'py, Info>) -> PyResult<Self> {
        Ok(ObjectVocabulary { object, info: object.try_borrow()?, raised: RefCell::new(None) })
    }

    /// The exception that has interrupted the parsing, if one has.
    pub(crate) fn take_raised(&self) -> Option<PyErr> {
        self.raised.take()
    }

    fn note<T>(&self, answer: PyResult<T>) -> Result<T, Interrupted> {
        answer.map_err(|error| {
            self.raised.replace(Some(error));
            Interrupted
        })
    }

    fn meaning_by_methods(&self, token: &str) -> PyResult<Meaning> {
        let py = self.object.py();
        let token = PyString::new(py, token);
        let number = |name: &Bound<'py, PyString>| -> PyResult<i16> {
            let answer = self.object.call_method1(name, (&token,))?;
            if answer.is_none() { Ok(-1) } else { answer.extract() }
        };
        let flag = |name: &Bound<'py, PyString>| self.object.call_method1(name, (&token,))?.is_truthy();
        Ok(Meaning {
            weekday: number(intern!(py, "weekday"))?,
            month: number(intern!(py, "month"))?,
            unit: number(intern!(py, "hms"))?,
            half: number(intern!(py, "ampm"))?,
            jump: flag(intern!(py, "jump"))?,
            pertain: flag(intern!(py, "pertain"))?,
            utc: flag(intern!(py, "utczone"))?,
            utc_as_written: self.object.getattr(intern!(py, "UTCZONE"))?.contains(&token)?,
        })
    }
}

impl Vocabulary for ObjectVocabulary<'_, '_> {
    fn meaning(&self, token: &str) -> Result<Meaning, Interrupted> {
        match &self.info.words {
            Words::English => English { year: 0 }.meaning(token),
            Words::Table(words, utc_as_written) => {
                let mut meaning = words.get(&token.to_lowercase()).copied().unwrap_or(Meaning::NONE);
                meaning.utc_as_written = utc_as_written.iter().any(|name| name == token);
                Ok(meaning)
            }
            Words::Methods => self.note(self.meaning_by_methods(token)),
        }
    }

    fn zone_offset(&self, name: &str) -> Result<Option<i64>, Interrupted> {
        let answer = self.object.call_method1(intern!(self.object.py(), "tzoffset"), (name,));
        self.note(answer.and_then(|offset| offset.extract()))
    }

    fn full_year(&self, year: i64, century_specified: bool) -> Result<i64, Interrupted> {
        let now = self.info.year;
        if !self.info.replaced.convertyear && self.info.century == now.div_euclid(100) * 100 {
            return Ok(full_year(year, century_specified, now));
        }
        let answer =
            self.object.call_method1(intern!(self.object.py(), "convertyear"), (year, century_specified));
        self.note(answer.and_then(|year| year.extract()))
    }

    fn class(&self, character: char) -> Class {
        python_class(self.object.py(), character)
    }
}

/// The English vocabulary with Python's own notion of letters and digits.
pub(crate) struct PythonEnglish<'py>(pub(crate) Python<'py>, pub(crate) English);

impl Vocabulary for PythonEnglish<'_> {
    fn meaning(&self, token: &str) -> Result<Meaning, Interrupted> {
        self.1.meaning(token)
    }

    fn zone_offset(&self, name: &str) -> Result<Option<i64>, Interrupted> {
        self.1.zone_offset(name)
    }

    fn full_year(&self, year: i64, century_specified: bool) -> Result<i64, Interrupted> {
        self.1.full_year(year, century_specified)
    }

    fn class(&self, character: char) -> Class {
        python_class(self.0, character)
    }

    fn is_english(&self) -> bool {
        true
    }
}

/// What Python says that a character is.
fn python_class(py: Python<'_>, character: char) -> Class {
    let text = PyString::new(py, character.encode_utf8(&mut [0; 4]));
    let is = |name: &Bound<'_, PyString>| text.call_method0(name).and_then(|answer| answer.is_truthy());
    if is(intern!(py, "isalpha")).unwrap_or(false) {
        Class::Letter
    } else if is(intern!(py, "isdecimal")).unwrap_or(false) {
        let digit = py.get_type::<pyo3::types::PyInt>().call1((&text,)).and_then(|value| value.extract());
        Class::Digit(digit.ok())
    } else if is(intern!(py, "isdigit")).unwrap_or(false) {
        // A superscript: `int` would refuse it, and an exception for each costs more than all the rest.
        Class::Digit(None)
    } else if is(intern!(py, "isspace")).unwrap_or(false) {
        Class::Space
    } else {
        Class::Symbol
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Info>()
}
