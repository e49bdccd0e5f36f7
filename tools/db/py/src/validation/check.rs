//! Checks a value by a field: in Rust where the field is the package's, by its own Python where it is not.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};

use super::depth::Level;
use super::facts::{Default, Facts, Kind, Rules};
use super::failure::{Failure, Outcome, code_object};
use super::field::{CheckedField, facts_of};
use super::{array, boolean, choice, composite, number, object, schema, string};

/// A field that is asked, and what is known of it.
pub(super) struct Asked<'a, 'py> {
    pub(super) field: &'a Bound<'py, CheckedField>,
    pub(super) facts: &'a Facts,
}

impl<'py> Asked<'_, 'py> {
    pub(super) fn py(&self) -> Python<'py> {
        self.field.py()
    }

    /// The error for the whole value, by its code.
    pub(super) fn failure(&self, code: &str) -> Box<Failure> {
        self.try_failure(code).unwrap_or_else(Into::into)
    }

    fn try_failure(&self, code: &str) -> PyResult<Box<Failure>> {
        if self.facts.own_error {
            let error = self.field.call_method1(pyo3::intern!(self.py(), "validation_error"), (code,))?;
            return Ok(Failure::of_exception(self.py(), PyErr::from_value(error)));
        }
        let code = code_object(self.py(), code);
        Ok(Failure::single(self.text(&code)?, &code))
    }

    /// The words for an error, with the field's attributes in them.
    pub(super) fn text(&self, code: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        if self.facts.own_text {
            return self.field.call_method1(pyo3::intern!(self.py(), "get_error_text"), (code,));
        }
        error_text(self.field.as_any(), code)
    }

    /// Whether the value's key is left out: what the field is for goes out only.
    pub(super) fn is_read_only(&self) -> PyResult<bool> {
        match self.facts.read_only {
            Some(read_only) => Ok(read_only),
            None => self.field.getattr(pyo3::intern!(self.py(), "read_only"))?.is_truthy(),
        }
    }

    /// What stands in for a key that is missing.
    pub(super) fn default(&self) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.facts.default {
            Default::None => Ok(None),
            Default::Value(value) => Ok(Some(value.bind(self.py()).clone())),
            Default::Made(make) => make.bind(self.py()).call0().map(Some),
            Default::Asked => asked_default(self.field.as_any()),
        }
    }
}

fn asked_default<'py>(field: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if field.call_method0("has_default")?.is_truthy()? {
        return field.call_method0("get_default_value").map(Some);
    }
    Ok(None)
}

/// `errors[code]` of a field, with its attributes in the places that it names.
pub(super) fn error_text<'py>(
    field: &Bound<'py, PyAny>,
    code: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = field.py();
    let template = field.getattr(pyo3::intern!(py, "errors"))?.get_item(code)?;
    let plain = template.cast_exact::<PyString>().ok().and_then(|text| text.to_str().ok());
    if plain.is_some_and(|plain| !plain.contains(['{', '}'])) {
        return Ok(template);
    }
    let attributes = field.getattr(pyo3::intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
    if let Some(plain) = plain
        && let Some(text) = filled(plain, &attributes)?
    {
        return Ok(PyString::new(py, &text).into_any());
    }
    template.call_method(pyo3::intern!(py, "format"), (), Some(&attributes))
}

/// A template whose places are names of strings and whole numbers; `None` for anything that only Python formats.
fn filled(template: &str, attributes: &Bound<'_, PyDict>) -> PyResult<Option<String>> {
    let mut text = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, place)) = rest.split_once('{') {
        let Some((name, after)) = place.split_once('}') else { return Ok(None) };
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let value = if is_name && !before.contains('}') { attributes.get_item(name)? } else { None };
        let Some(value) = value else { return Ok(None) };
        text.push_str(before);
        if let Ok(shown) = value.cast_exact::<PyString>()
            && let Ok(shown) = shown.to_str()
        {
            text.push_str(shown);
        } else if value.is_exact_instance_of::<PyInt>()
            && let Ok(shown) = value.extract::<i64>()
        {
            text.push_str(&shown.to_string());
        } else {
            return Ok(None);
        }
        rest = after;
    }
    text.push_str(rest);
    Ok((!rest.contains('}')).then_some(text))
}

/// A member of a field: what is known of it, where it is one of this package's.
pub(super) enum Member<'a, 'py> {
    Known(&'a Bound<'py, CheckedField>, Bound<'py, Facts>),
    /// Something else that validates.
    Foreign(&'a Bound<'py, PyAny>),
}

impl<'a, 'py> Member<'a, 'py> {
    pub(super) fn of(field: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        match field.cast::<CheckedField>() {
            Ok(field) => Ok(Self::Known(field, facts_of(field)?)),
            Err(_) => Ok(Self::Foreign(field)),
        }
    }

    /// What `validate_or_error` comes to.
    pub(super) fn check(&self, value: &Bound<'py, PyAny>) -> Outcome<'py> {
        match self {
            Self::Known(field, facts) => {
                let facts = facts.get();
                if facts.own_validate_or_error {
                    return foreign(field.as_any(), value);
                }
                if facts.own_validate {
                    return validated(field.as_any(), value);
                }
                check_as(facts.kind, &Asked { field, facts }, value)
            }
            Self::Foreign(field) => foreign(field, value),
        }
    }

    /// What `validate` comes to.
    pub(super) fn check_by_validate(&self, value: &Bound<'py, PyAny>) -> Outcome<'py> {
        match self {
            Self::Known(field, facts) if !facts.get().own_validate => {
                check_as(facts.get().kind, &Asked { field, facts: facts.get() }, value)
            }
            Self::Known(field, _) => validated(field.as_any(), value),
            Self::Foreign(field) => validated(field, value),
        }
    }

    pub(super) fn is_read_only(&self) -> PyResult<bool> {
        match self {
            Self::Known(field, facts) => Asked { field, facts: facts.get() }.is_read_only(),
            Self::Foreign(field) => field.getattr("read_only")?.is_truthy(),
        }
    }

    pub(super) fn default(&self) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self {
            Self::Known(field, facts) => Asked { field, facts: facts.get() }.default(),
            Self::Foreign(field) => asked_default(field),
        }
    }
}

/// Asks a `validate` of Python.
fn validated<'py>(field: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Outcome<'py> {
    let _level = Level::enter(field.py())?;
    field
        .call_method1(pyo3::intern!(field.py(), "validate"), (value,))
        .map_err(|error| Failure::of_exception(field.py(), error))
}

/// Asks a `validate_or_error` of Python.
fn foreign<'py>(field: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Outcome<'py> {
    let _level = Level::enter(field.py())?;
    let pair = field.call_method1(pyo3::intern!(field.py(), "validate_or_error"), (value,))?;
    let pair: Vec<Bound<'py, PyAny>> = pair.try_iter()?.collect::<PyResult<_>>()?;
    match <[Bound<'py, PyAny>; 2]>::try_from(pair) {
        Ok([value, error]) if error.is_none() => Ok(value),
        Ok([_, error]) => Err(Box::new(Failure::Given(error.unbind()))),
        Err(_) => Err(PyTypeError::new_err("validate_or_error() has to give a value and an error").into()),
    }
}

/// What `field.validate_or_error(value)` comes to.
pub(super) fn check<'py>(field: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Outcome<'py> {
    Member::of(field)?.check(value)
}

/// Checks a value by the rules of a kind, which the field's facts must be of.
pub(super) fn check_as<'py>(kind: Kind, asked: &Asked<'_, 'py>, value: &Bound<'py, PyAny>) -> Outcome<'py> {
    match (&asked.facts.rules, kind) {
        (Rules::String(rules), _) => string::check(rules, asked, value),
        (Rules::Number(rules), _) => number::check(rules, asked, value),
        (Rules::Boolean(rules), _) => boolean::check(rules, asked, value),
        (Rules::Choice(rules), _) => choice::check(rules, asked, value),
        (Rules::Object(rules), _) => object::check(rules, asked, value),
        (Rules::Array(rules), _) => array::check(rules, asked, value),
        (Rules::Many(rules), Kind::OneOf) => composite::one_of(rules, asked, value),
        (Rules::Many(rules), Kind::AllOf) => composite::all_of(rules, asked, value),
        (Rules::Many(rules), _) => composite::union(rules, asked, value),
        (Rules::Const(rules), _) => composite::constant(rules, asked, value),
        (Rules::Not(rules), _) => composite::not(rules, asked, value),
        (Rules::Condition(rules), _) => composite::condition(rules, asked, value),
        (Rules::Schema(rules), _) => schema::check(rules, asked, value),
        (Rules::Reference(rules), _) => schema::check_reference(rules, asked, value),
        (Rules::None, Kind::NeverMatch) => Err(asked.failure("never")),
        (Rules::None, _) => Ok(value.clone()),
    }
}
