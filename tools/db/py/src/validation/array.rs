//! Lists.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PySet};

use super::check::{Asked, Member};
use super::depth::Level;
use super::distinct::make_hashable;
use super::facts::Attributes;
use super::failure::{Failure, Outcome, Problem, code_object};
use super::field::CheckedField;

/// What an `Array` needs to know.
pub(super) struct ArrayRules {
    items: Py<PyAny>,
    additional: Py<PyAny>,
    least: Option<i64>,
    most: Option<i64>,
    is_unique: bool,
}

impl ArrayRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        Ok(Self {
            items: attributes.get("items")?.unbind(),
            additional: attributes.get("additional_items")?.unbind(),
            least: attributes.bound("min_items")?,
            most: attributes.bound("max_items")?,
            is_unique: attributes.flag("unique_items")?,
        })
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.items)?;
        visit.call(&self.additional)
    }

    pub(super) fn holds_a_field(&self, py: Python<'_>) -> bool {
        [&self.items, &self.additional].iter().any(|held| held.bind(py).is_instance_of::<CheckedField>())
    }

    fn length_error(&self, length: i64) -> Option<&'static str> {
        match (self.least, self.most) {
            (Some(least), Some(most)) if least == most && length != least => Some("exact_items"),
            (Some(1), _) if length < 1 => Some("empty"),
            (Some(least), _) if length < least => Some("min_items"),
            (_, Some(most)) if length > most => Some("max_items"),
            _ => None,
        }
    }
}

pub(super) fn check<'py>(
    rules: &ArrayRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let py = asked.py();
    let Ok(list) = value.cast::<PyList>() else {
        if !value.is_none() {
            return Err(asked.failure("type"));
        }
        return if asked.facts.allow_null { Ok(value.clone()) } else { Err(asked.failure("null")) };
    };
    if let Some(code) = rules.length_error(list.len() as i64) {
        return Err(asked.failure(code));
    }
    let _level = Level::enter(py)?;
    let items = rules.items.bind(py);
    let by_place = items.cast::<PyList>().ok();
    let every = if by_place.is_none() && !items.is_none() { Some(Member::of(items)?) } else { None };
    let additional = rules.additional.bind(py);
    let additional =
        if additional.is_instance_of::<CheckedField>() { Some(Member::of(additional)?) } else { None };
    let mut seen = if rules.is_unique { Some(PySet::empty(py)?) } else { None };
    let mut checked: Vec<Bound<'py, PyAny>> = Vec::with_capacity(list.len());
    let mut problems: Vec<Problem> = Vec::new();
    for (place, item) in list.iter().enumerate() {
        let made = match (&every, by_place, &additional) {
            (Some(every), _, _) => every.check(&item),
            (None, Some(fields), _) if place < fields.len() => {
                let field = fields.get_item(place)?;
                Member::of(&field)?.check(&item)
            }
            (None, Some(_), Some(additional)) => additional.check(&item),
            _ => Ok(item),
        };
        let made = match made {
            Ok(made) => {
                checked.push(made.clone());
                made
            }
            Err(failure) => {
                failure.add_to(&mut problems, PyInt::new(py, place).as_any())?;
                py.None().into_bound(py)
            }
        };
        if let Some(seen) = &mut seen {
            let made = make_hashable(&made)?;
            if seen.contains(&made)? {
                let code = code_object(py, "unique_items");
                let text = asked.text(&code)?;
                problems.push(Problem::at(text, code.as_any(), PyInt::new(py, place).as_any()));
            } else {
                seen.add(made)?;
            }
        }
    }
    if !problems.is_empty() {
        return Err(Box::new(Failure::Problems(problems)));
    }
    Ok(PyList::new(py, checked)?.into_any())
}
