//! One of a set of values.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use super::check::Asked;
use super::distinct::is_same;
use super::facts::Attributes;
use super::failure::Outcome;

/// What a `Choice` needs to know; the list is asked each time.
pub(super) struct ChoiceRules {
    pub(super) choices: Py<PyAny>,
    coerce: bool,
}

impl ChoiceRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        Ok(Self { choices: attributes.get("choices")?.unbind(), coerce: attributes.flag("coerce_types")? })
    }

    fn has(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let choices = self.choices.bind(value.py());
        let is_key = |choice: Bound<'_, PyAny>| is_same(value, &choice.get_item(0)?);
        if let Ok(choices) = choices.cast_exact::<PyList>() {
            for choice in choices {
                if is_key(choice)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        for choice in choices.try_iter()? {
            if is_key(choice?)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

pub(super) fn check<'py>(
    rules: &ChoiceRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let py = asked.py();
    if value.is_none() {
        return if asked.facts.allow_null { Ok(value.clone()) } else { Err(asked.failure("null")) };
    }
    if rules.has(value)? {
        return Ok(value.clone());
    }
    let is_blank = value.cast::<PyString>().is_ok_and(|text| text.is_empty().unwrap_or(false));
    if !is_blank {
        return Err(asked.failure("choice"));
    }
    if asked.facts.allow_null && rules.coerce {
        return Ok(py.None().into_bound(py));
    }
    Err(asked.failure("required"))
}
