//! Booleans, and what is taken for one.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use super::check::Asked;
use super::facts::Attributes;
use super::failure::Outcome;

/// What a `Boolean` needs to know; the tables may change in place and are asked each time.
pub(super) struct BooleanRules {
    coerce: bool,
    values: Py<PyAny>,
    nulls: Py<PyAny>,
}

impl BooleanRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        Ok(Self {
            coerce: attributes.flag("coerce_types")?,
            values: attributes.get_of_class("coerce_values")?.unbind(),
            nulls: attributes.get_of_class("coerce_null_values")?.unbind(),
        })
    }
}

pub(super) fn check<'py>(
    rules: &BooleanRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let py = asked.py();
    if value.is_exact_instance_of::<PyBool>() {
        return Ok(value.clone());
    }
    if value.is_none() {
        return if asked.facts.allow_null { Ok(value.clone()) } else { Err(asked.failure("null")) };
    }
    if !rules.coerce {
        return Err(asked.failure("type"));
    }
    let word = match value.cast::<PyString>() {
        Ok(text) if is_small(text) => value.clone(),
        Ok(text) => text.call_method0(pyo3::intern!(py, "lower"))?,
        Err(_) => value.clone(),
    };
    // What cannot be hashed stands in no table.
    let found = |table: &Py<PyAny>| table.bind(py).contains(&word).unwrap_or(false);
    if asked.facts.allow_null && found(&rules.nulls) {
        return Ok(py.None().into_bound(py));
    }
    let values = rules.values.bind(py);
    let value = match values.cast_exact::<PyDict>() {
        Ok(values) => values.get_item(&word).unwrap_or(None),
        Err(_) if found(&rules.values) => Some(values.get_item(&word)?),
        Err(_) => None,
    };
    value.ok_or_else(|| asked.failure("type"))
}

/// Whether a plain string is in small letters already.
fn is_small(text: &Bound<'_, PyString>) -> bool {
    let is_small = |text: &str| text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    text.is_exact_instance_of::<PyString>() && text.to_str().is_ok_and(is_small)
}
