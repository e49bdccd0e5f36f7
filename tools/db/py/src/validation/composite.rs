//! Fields that are made of other fields, and constants.

use pyo3::exceptions::PyArithmeticError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::check::{Asked, Member, check};
use super::depth::Level;
use super::facts::Attributes;
use super::failure::{Failure, Outcome};

/// What a `Union`, a `OneOf` and an `AllOf` need to know; the list is asked each time.
pub(super) struct ManyRules {
    pub(super) fields: Py<PyAny>,
}

impl ManyRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>, name: &str) -> PyResult<Self> {
        Ok(Self { fields: attributes.get(name)?.unbind() })
    }

    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        match self.fields.bind(py).cast_exact::<PyList>() {
            Ok(fields) => Ok(fields.iter().collect()),
            Err(_) => self.fields.bind(py).try_iter()?.collect(),
        }
    }
}

/// A failure that is a verdict on the value; every other exception passes.
fn verdict(failure: Box<Failure>) -> Result<Box<Failure>, Box<Failure>> {
    if matches!(*failure, Failure::Raised(_)) { Err(failure) } else { Ok(failure) }
}

pub(super) fn union<'py>(
    rules: &ManyRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let py = asked.py();
    if value.is_none() {
        return if asked.facts.allow_null { Ok(value.clone()) } else { Err(asked.failure("null")) };
    }
    let _level = Level::enter(py)?;
    // The errors of members that the value has the type of.
    let mut candidates = Vec::new();
    for field in rules.fields(py)? {
        match check(&field, value) {
            Ok(value) => return Ok(value),
            Err(failure) => {
                let failure = verdict(failure)?;
                if !failure.is_type_alone(py)? {
                    candidates.push(failure);
                }
            }
        }
    }
    match <[Box<Failure>; 1]>::try_from(candidates) {
        Ok([only]) => Err(only),
        Err(_) => Err(asked.failure("union")),
    }
}

pub(super) fn one_of<'py>(
    rules: &ManyRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let py = asked.py();
    let _level = Level::enter(py)?;
    let mut matches = Vec::new();
    for field in rules.fields(py)? {
        match check(&field, value) {
            Ok(value) => matches.push(value),
            Err(failure) => drop(verdict(failure)?),
        }
    }
    match <[Bound<'py, PyAny>; 1]>::try_from(matches) {
        Ok([only]) => Ok(only),
        Err(matches) if matches.is_empty() => Err(asked.failure("no_match")),
        Err(_) => Err(asked.failure("multiple_matches")),
    }
}

pub(super) fn all_of<'py>(
    rules: &ManyRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let py = asked.py();
    let _level = Level::enter(py)?;
    for field in rules.fields(py)? {
        Member::of(&field)?.check_by_validate(value)?;
    }
    Ok(value.clone())
}

/// What a `Const` needs to know.
pub(super) struct ConstRules {
    pub(super) value: Py<PyAny>,
}

impl ConstRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        Ok(Self { value: attributes.get("const")?.unbind() })
    }
}

pub(super) fn constant<'py>(
    rules: &ConstRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let expected = rules.value.bind(asked.py());
    let differs = match value.ne(expected) {
        // A signalling NaN is compared with nothing.
        Err(error) if error.is_instance_of::<PyArithmeticError>(asked.py()) => true,
        compared => compared?,
    };
    if differs {
        return Err(asked.failure(if expected.is_none() { "only_null" } else { "const" }));
    }
    Ok(value.clone())
}

/// What a `Not` needs to know.
pub(super) struct NotRules {
    pub(super) negated: Py<PyAny>,
}

impl NotRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        Ok(Self { negated: attributes.get("negated")?.unbind() })
    }
}

pub(super) fn not<'py>(rules: &NotRules, asked: &Asked<'_, 'py>, value: &Bound<'py, PyAny>) -> Outcome<'py> {
    let _level = Level::enter(asked.py())?;
    match check(rules.negated.bind(asked.py()), value) {
        Ok(_) => Err(asked.failure("negated")),
        Err(failure) => {
            verdict(failure)?;
            Ok(value.clone())
        }
    }
}

/// What an `IfThenElse` needs to know.
pub(super) struct ConditionRules {
    condition: Py<PyAny>,
    then: Py<PyAny>,
    otherwise: Py<PyAny>,
}

impl ConditionRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        Ok(Self {
            condition: attributes.get("if_clause")?.unbind(),
            then: attributes.get("then_clause")?.unbind(),
            otherwise: attributes.get("else_clause")?.unbind(),
        })
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.condition)?;
        visit.call(&self.then)?;
        visit.call(&self.otherwise)
    }
}

pub(super) fn condition<'py>(
    rules: &ConditionRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let py = asked.py();
    let _level = Level::enter(py)?;
    let clause = match check(rules.condition.bind(py), value) {
        Ok(_) => &rules.then,
        Err(failure) => {
            verdict(failure)?;
            &rules.otherwise
        }
    };
    Member::of(clause.bind(py))?.check_by_validate(value)
}
