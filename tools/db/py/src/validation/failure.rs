//! Why a value is not valid, until Python wants to know it.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString};

use super::classes::classes;
use super::error::ErrorBase;

/// One message: what is wrong, and where in the value.
pub(super) struct Problem {
    pub(super) text: Py<PyAny>,
    pub(super) code: Py<PyAny>,
    /// The keys that lead to the value, the innermost one first.
    pub(super) path: Vec<Py<PyAny>>,
}

impl Problem {
    /// A problem of the value at `key`.
    pub(super) fn at(text: Bound<'_, PyAny>, code: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> Self {
        Self { text: text.unbind(), code: code.clone().unbind(), path: vec![key.clone().unbind()] }
    }

    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            text: self.text.clone_ref(py),
            code: self.code.clone_ref(py),
            path: self.path.iter().map(|key| key.clone_ref(py)).collect(),
        }
    }

    /// What a message of Python's says.
    fn of_message(message: &Bound<'_, PyAny>) -> PyResult<Self> {
        let index = message.getattr("index")?;
        let mut path: Vec<Py<PyAny>> =
            index.try_iter()?.map(|key| key.map(Bound::unbind)).collect::<PyResult<_>>()?;
        path.reverse();
        Ok(Self { text: message.getattr("text")?.unbind(), code: message.getattr("code")?.unbind(), path })
    }
}

/// How a check can fail.
pub(super) enum Failure {
    /// By an exception that is no verdict on the value.
    Raised(PyErr),
    /// By an error that Python code made: it is handed on as it is.
    Given(Py<PyAny>),
    /// By a verdict of this crate; Python's object is made where it is needed.
    Problems(Vec<Problem>),
}

impl From<PyErr> for Box<Failure> {
    fn from(error: PyErr) -> Self {
        Self::new(Failure::Raised(error))
    }
}

/// The checked value, or why there is none.
pub(super) type Outcome<'py> = Result<Bound<'py, PyAny>, Box<Failure>>;

impl Failure {
    /// One problem of the value itself.
    pub(super) fn single(text: Bound<'_, PyAny>, code: &Bound<'_, PyAny>) -> Box<Self> {
        let problem = Problem { text: text.unbind(), code: code.clone().unbind(), path: Vec::new() };
        Box::new(Self::Problems(vec![problem]))
    }

    /// Adds the messages to those of the value around it, where this one stands at `key`.
    ///
    /// Errors: the exception, where it is no verdict.
    pub(super) fn add_to(self, problems: &mut Vec<Problem>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        match self {
            Self::Raised(error) => return Err(error),
            Self::Given(error) => {
                let named = PyDict::new(key.py());
                named.set_item("add_prefix", key)?;
                for message in error.bind(key.py()).call_method("messages", (), Some(&named))?.try_iter()? {
                    problems.push(Problem::of_message(&message?)?);
                }
            }
            Self::Problems(inner) => problems.extend(inner.into_iter().map(|mut problem| {
                problem.path.push(key.clone().unbind());
                problem
            })),
        }
        Ok(())
    }

    /// Whether this says no more than that the value has another type; of the exceptions, only a verdict can.
    pub(super) fn is_type_alone(&self, py: Python<'_>) -> PyResult<bool> {
        match self {
            Self::Raised(_) => Ok(false),
            Self::Given(error) => {
                let messages = error.bind(py).call_method0("messages")?;
                let messages: Vec<Bound<'_, PyAny>> = messages.extract()?;
                let [message] = &messages[..] else { return Ok(false) };
                Ok(message.getattr("code")?.eq("type")? && !message.getattr("index")?.is_truthy()?)
            }
            Self::Problems(problems) => {
                let [problem] = &problems[..] else { return Ok(false) };
                Ok(problem.path.is_empty() && problem.code.bind(py).eq("type")?)
            }
        }
    }

    /// The object that Python sees: a `ValidationError`.
    ///
    /// Errors: the exception, where it is no verdict.
    pub(super) fn into_error(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Self::Raised(error) => Err(error),
            Self::Given(error) => Ok(error.into_bound(py)),
            Self::Problems(problems) => {
                let classes = classes(py)?;
                let error = classes.new_error.bind(py).call1(classes.new_validation_error.bind(py))?;
                error.cast::<ErrorBase>()?.borrow().set_problems(problems);
                Ok(error)
            }
        }
    }

    /// The exception to raise.
    pub(super) fn into_exception(self, py: Python<'_>) -> PyErr {
        match self.into_error(py) {
            Ok(error) => PyErr::from_value(error),
            Err(error) => error,
        }
    }

    /// Takes a verdict that Python code raised for one, and lets everything else pass.
    pub(super) fn of_exception(py: Python<'_>, error: PyErr) -> Box<Self> {
        match classes(py) {
            Ok(classes) if error.is_instance(py, classes.validation_error.bind(py)) => {
                Box::new(Self::Given(error.into_value(py).into_any()))
            }
            _ => Box::new(Self::Raised(error)),
        }
    }
}

/// The index of a problem as Python's messages have it.
pub(super) fn index_of<'py>(py: Python<'py>, problem: &Problem) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, problem.path.iter().rev().map(|key| key.bind(py)))
}

/// The codes of errors, each as one object for the whole process.
const CODES: [&str; 34] = [
    "additional_items",
    "blank",
    "choice",
    "const",
    "empty",
    "exact_items",
    "exclusive_maximum",
    "exclusive_minimum",
    "finite",
    "format",
    "integer",
    "invalid",
    "invalid_key",
    "invalid_property",
    "max_items",
    "max_length",
    "max_properties",
    "maximum",
    "min_items",
    "min_length",
    "min_properties",
    "minimum",
    "multiple_matches",
    "multiple_of",
    "negated",
    "never",
    "no_match",
    "null",
    "only_null",
    "pattern",
    "required",
    "type",
    "union",
    "unique_items",
];

static OBJECTS: PyOnceLock<Vec<Py<PyString>>> = PyOnceLock::new();

/// A code as Python's object.
pub(super) fn code_object<'py>(py: Python<'py>, code: &str) -> Bound<'py, PyString> {
    let objects =
        OBJECTS.get_or_init(py, || CODES.iter().map(|code| PyString::intern(py, code).unbind()).collect());
    match CODES.binary_search(&code) {
        Ok(place) => objects[place].bind(py).clone(),
        Err(_) => PyString::intern(py, code),
    }
}
