//! Schemas, and references to them by name.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::check::{Asked, Member};
use super::classes::classes;
use super::depth::Level;
use super::entries::{Entries, as_dict};
use super::facts::Attributes;
use super::failure::{Failure, Outcome};
use super::object::{Source, problem_at, require, take};

/// What a `Schema` needs to know; fields and required keys are asked each time.
pub(super) struct SchemaRules {
    fields: Py<PyAny>,
    required: Py<PyAny>,
    /// What is called with the values by name, where results are objects of a class.
    into: Option<Py<PyAny>>,
}

impl SchemaRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        let into = attributes.get("into")?;
        Ok(Self {
            fields: attributes.get("fields")?.unbind(),
            required: attributes.get("required")?.unbind(),
            into: (!into.is_none()).then(|| into.unbind()),
        })
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.fields)?;
        visit.call(&self.required)?;
        visit.call(&self.into)
    }
}

pub(super) fn check<'py>(
    rules: &SchemaRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let py = asked.py();
    if value.is_none() {
        return if asked.facts.allow_null { Ok(value.clone()) } else { Err(asked.failure("null")) };
    }
    let Some(source) = Source::of(value)? else { return Err(asked.failure("type")) };
    let _level = Level::enter(py)?;
    let validated = PyDict::new(py);
    let (mut missing, mut problems) = (Vec::new(), Vec::new());
    let mut required = Required::of(rules.required.bind(py));
    let mut found = 0;
    let fields = as_dict(rules.fields.bind(py))?;
    let mut entries = Entries::of(&fields);
    while let Some((key, field)) = entries.next()? {
        let member = Member::of(&field)?;
        let item = source.get(&key)?;
        if required.is_next(&key) && item.is_none() {
            missing.push(problem_at(asked, "required", &key)?);
        }
        found += usize::from(item.is_some() && key.is_exact_instance_of::<PyString>());
        if member.is_read_only()? {
            continue;
        }
        match item {
            Some(item) => take(member.check(&item), &key, &validated, &mut problems)?,
            None => {
                if let Some(default) = member.default()? {
                    validated.set_item(&key, default)?;
                }
            }
        }
    }
    if !required.are_done() {
        missing.clear();
        require(asked, &source, rules.required.bind(py), &mut missing)?;
    }
    let mut invalid = Vec::new();
    // Where every key is a field's there is no other one to look at.
    if found != source.len()? {
        source.each_key(|key| {
            if !key.is_instance_of::<PyString>() {
                invalid.push(problem_at(asked, "invalid_key", key)?);
            }
            Ok(())
        })?;
    }
    if !(invalid.is_empty() && missing.is_empty() && problems.is_empty()) {
        invalid.append(&mut missing);
        invalid.append(&mut problems);
        return Err(Box::new(Failure::Problems(invalid)));
    }
    match &rules.into {
        Some(into) => {
            into.bind(py).call((), Some(&validated)).map_err(|error| Failure::of_exception(py, error))
        }
        None => Ok(validated.into_any()),
    }
}

/// The required keys, which as a rule are keys of the fields, in their order.
struct Required<'a, 'py> {
    keys: Option<&'a Bound<'py, PyList>>,
    next: usize,
}

impl<'a, 'py> Required<'a, 'py> {
    fn of(keys: &'a Bound<'py, PyAny>) -> Self {
        Self { keys: keys.cast_exact::<PyList>().ok(), next: 0 }
    }

    /// Whether this object is the next one.
    fn is_next(&mut self, key: &Bound<'py, PyAny>) -> bool {
        let next =
            self.keys.filter(|keys| self.next < keys.len()).and_then(|keys| keys.get_item(self.next).ok());
        let is_next = next.is_some_and(|next| next.is(key));
        self.next += usize::from(is_next);
        is_next
    }

    /// Whether each has been met. If not, somebody has changed the list.
    fn are_done(&self) -> bool {
        self.keys.is_some_and(|keys| keys.len() == self.next)
    }
}

/// What a `Reference` needs to know; the name is looked up each time.
pub(super) struct ReferenceRules {
    pub(super) definitions: Py<PyAny>,
    to: Py<PyAny>,
    /// Whether a subclass says itself what its target is.
    own_target: bool,
}

impl ReferenceRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        let reference = attributes.field.py().import("naja.typesystem.schemas")?.getattr("Reference")?;
        let own_target = !attributes.field.get_type().getattr("target")?.is(reference.getattr("target")?);
        Ok(Self {
            definitions: attributes.get("definitions")?.unbind(),
            to: attributes.get("to")?.unbind(),
            own_target,
        })
    }

    fn target<'py>(&self, asked: &Asked<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = asked.py();
        if self.own_target {
            return asked.field.getattr("target");
        }
        let definitions = self.definitions.bind(py);
        if definitions.get_type().is(&classes(py)?.definitions)
            && let Ok(table) =
                definitions.getattr(pyo3::intern!(py, "_definitions"))?.cast_into_exact::<PyDict>()
            && let Some(target) = table.get_item(&self.to)?
        {
            return Ok(target);
        }
        definitions.get_item(&self.to)
    }
}

pub(super) fn check_reference<'py>(
    rules: &ReferenceRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    if value.is_none() {
        return if asked.facts.allow_null { Ok(value.clone()) } else { Err(asked.failure("null")) };
    }
    let _level = Level::enter(asked.py())?;
    let target = rules.target(asked)?;
    Member::of(&target)?.check_by_validate(value)
}
