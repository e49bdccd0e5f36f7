//! The part of `typesystem.Field` that is written in Rust.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::check::{Asked, check_as};
use super::error::ValidationResult;
use super::facts::{Facts, Kind, read, read_as};
use super::failure::Failure;

/// What `Field` comes from: it keeps what was read of the field, and has the `validate` of each class of the package.
///
/// Almost no field changes once it is in use, so what is read first costs a load to look at; what is read after a change
/// lies behind a lock.
#[pyclass(subclass, frozen, name = "CheckedField", module = "naja._native.db.validation")]
pub(crate) struct CheckedField {
    first: OnceLock<Py<Facts>>,
    /// How often an attribute was set: what was read before is not used after.
    changes: AtomicUsize,
    /// The number of changes that `first` was read after.
    first_after: AtomicUsize,
    later: Mutex<Option<(usize, Py<Facts>)>>,
}

impl CheckedField {
    fn changes(&self) -> usize {
        self.changes.load(Ordering::Acquire)
    }

    /// Nothing of Python's may run while this is held, not even an object's end.
    fn later(&self) -> MutexGuard<'_, Option<(usize, Py<Facts>)>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        let old = self.later().take();
        drop(old);
    }

    fn known<'py>(&self, py: Python<'py>, changes: usize) -> Option<Bound<'py, Facts>> {
        if let Some(facts) = self.first.get()
            && self.first_after.load(Ordering::Acquire) == changes
        {
            return Some(facts.bind(py).clone());
        }
        let later = self.later();
        later.as_ref().filter(|(after, _)| *after == changes).map(|(_, facts)| facts.bind(py).clone())
    }

    fn keep(&self, changes: usize, facts: &Bound<'_, Facts>) {
        // What names another field may lead back to this one, and the collector of garbage has to let go of it.
        if self.first.get().is_none() && !facts.get().holds_a_field(facts.py()) {
            self.first_after.store(changes, Ordering::Release);
            if self.first.set(facts.clone().unbind()).is_ok() {
                return;
            }
        }
        let old = self.later().replace((changes, facts.clone().unbind()));
        drop(old);
    }
}

/// What is known of a field, read now where nothing is kept.
pub(super) fn facts_of<'py>(field: &Bound<'py, CheckedField>) -> PyResult<Bound<'py, Facts>> {
    let this = field.get();
    let changes = this.changes();
    if let Some(facts) = this.known(field.py(), changes) {
        return Ok(facts);
    }
    let (facts, is_lasting) = read(field)?;
    let facts = Bound::new(field.py(), facts)?;
    if is_lasting && this.changes() == changes {
        this.keep(changes, &facts);
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
        Self {
            first: OnceLock::new(),
            changes: AtomicUsize::new(0),
            first_after: AtomicUsize::new(0),
            later: Mutex::default(),
        }
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
        visit.call(self.first.get())?;
        // Never waits: whoever holds the lock is not collecting garbage.
        match self.later.try_lock().as_deref() {
            Ok(Some((_, facts))) => visit.call(facts),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.forget();
    }
}
