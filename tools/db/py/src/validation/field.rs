//! The part of `typesystem.Field` that is written in Rust.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::check::{Asked, check_as};
use super::error::ValidationResult;
use super::facts::{Facts, Kind, read, read_as};
use super::failure::Failure;

/// What `Field` comes from: it keeps what was read of the field, and has the `validate` of each class of the package.
#[pyclass(subclass, frozen, name = "CheckedField", module = "naja._native.db.validation")]
pub(crate) struct CheckedField {
    kept: Mutex<Kept>,
}

/// What was read of a field.
#[derive(Default)]
struct Kept {
    facts: Option<Py<Facts>>,
    /// How often an attribute was set: what was read before is not kept after.
    changes: u64,
}

impl CheckedField {
    /// Nothing of Python's may run while this is held, not even an object's end.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        let mut kept = self.kept();
        kept.changes += 1;
        let old = kept.facts.take();
        drop(kept);
        drop(old);
    }
}

/// What is known of a field, read now where nothing is kept.
pub(super) fn facts_of<'py>(field: &Bound<'py, CheckedField>) -> PyResult<Bound<'py, Facts>> {
    let this = field.get();
    let changes = {
        let kept = this.kept();
        if let Some(facts) = &kept.facts {
            return Ok(facts.bind(field.py()).clone());
        }
        kept.changes
    };
    let (facts, is_lasting) = read(field)?;
    let facts = Bound::new(field.py(), facts)?;
    if is_lasting {
        let mut kept = this.kept();
        if kept.changes == changes && kept.facts.is_none() {
            kept.facts = Some(facts.clone().unbind());
        }
    }
    Ok(facts)
}

/// Checks a value by the rules of one kind, whatever the field's own class has for `validate`.
fn validate_as<'py>(
    kind: Kind,
    field: &Bound<'py, CheckedField>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let kept = facts_of(field)?;
    let checked = if kept.get().can_be(kind) {
        check_as(kind, &Asked { field, facts: kept.get() }, value)
    } else {
        check_as(kind, &Asked { field, facts: &read_as(kind, field)? }, value)
    };
    checked.map_err(|failure| failure.into_exception(field.py()))
}

#[pymethods]
impl CheckedField {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { kept: Mutex::default() }
    }

    /// Drops what was read of the field's attributes.
    fn _forget(&self) {
        self.forget();
    }

    /// The checked value or the error, as a pair that is true where there is no error.
    fn validate_or_error(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<ValidationResult> {
        let facts = facts_of(slf)?;
        let facts = facts.get();
        let checked = if facts.own_validate {
            slf.call_method1(pyo3::intern!(slf.py(), "validate"), (value,))
                .map_err(|error| Failure::of_exception(slf.py(), error))
        } else {
            check_as(facts.kind, &Asked { field: slf, facts }, value)
        };
        match checked {
            Ok(value) => Ok(ValidationResult::of_value(value)),
            Err(failure) => Ok(ValidationResult::of_error(failure.into_error(slf.py())?)),
        }
    }

    fn _validate_string<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::String, slf, value)
    }

    fn _validate_number<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Number, slf, value)
    }

    fn _validate_boolean<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Boolean, slf, value)
    }

    fn _validate_choice<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Choice, slf, value)
    }

    fn _validate_object<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Object, slf, value)
    }

    fn _validate_array<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Array, slf, value)
    }

    fn _validate_union<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Union, slf, value)
    }

    fn _validate_any<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Any, slf, value)
    }

    fn _validate_const<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Const, slf, value)
    }

    fn _validate_never_match<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::NeverMatch, slf, value)
    }

    fn _validate_one_of<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::OneOf, slf, value)
    }

    fn _validate_all_of<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::AllOf, slf, value)
    }

    fn _validate_not<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Not, slf, value)
    }

    fn _validate_if_then_else<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::IfThenElse, slf, value)
    }

    fn _validate_schema<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Schema, slf, value)
    }

    fn _validate_reference<'py>(
        slf: &Bound<'py, Self>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validate_as(Kind::Reference, slf, value)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Never waits: whoever holds the lock is not collecting garbage.
        let Ok(kept) = self.kept.try_lock() else { return Ok(()) };
        visit.call(&kept.facts)
    }

    fn __clear__(&self) {
        self.forget();
    }
}
