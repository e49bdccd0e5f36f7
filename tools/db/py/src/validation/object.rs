//! Objects of JSON: dictionaries, and whatever else is a mapping.

use pyo3::exceptions::PyAssertionError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PySet, PyString};

use super::check::{Asked, Member};
use super::classes::classes;
use super::depth::Level;
use super::entries::{Entries, as_dict};
use super::facts::Attributes;
use super::failure::{Failure, Outcome, Problem, code_object};
use super::field::CheckedField;

/// A value with keys.
pub(super) enum Source<'py> {
    Dict(Bound<'py, PyDict>),
    Mapping(Bound<'py, PyAny>),
}

impl<'py> Source<'py> {
    /// `None` for a value that is no mapping.
    pub(super) fn of(value: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return Ok(Some(Self::Dict(dict.clone())));
        }
        let is_mapping = value.is_instance_of::<PyDict>()
            || value.is_instance(classes(value.py())?.mapping.bind(value.py()))?;
        Ok(is_mapping.then(|| Self::Mapping(value.clone())))
    }

    pub(super) fn get(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self {
            Self::Dict(dict) => dict.get_item(key),
            Self::Mapping(mapping) if mapping.contains(key)? => mapping.get_item(key).map(Some),
            Self::Mapping(_) => Ok(None),
        }
    }

    pub(super) fn has(&self, key: &Bound<'py, PyAny>) -> PyResult<bool> {
        match self {
            Self::Dict(dict) => dict.contains(key),
            Self::Mapping(mapping) => mapping.contains(key),
        }
    }

    pub(super) fn len(&self) -> PyResult<usize> {
        match self {
            Self::Dict(dict) => Ok(dict.len()),
            Self::Mapping(mapping) => mapping.len(),
        }
    }

    /// The keys as they are now.
    pub(super) fn keys(&self) -> PyResult<Vec<Bound<'py, PyAny>>> {
        match self {
            Self::Dict(dict) => Ok(dict.keys().iter().collect()),
            Self::Mapping(mapping) => mapping.call_method0("keys")?.try_iter()?.collect(),
        }
    }

    /// Calls for each key; Python's error where the keys change on the way.
    pub(super) fn each_key(&self, mut each: impl FnMut(&Bound<'py, PyAny>) -> PyResult<()>) -> PyResult<()> {
        match self {
            Self::Dict(dict) => {
                let mut entries = Entries::of(dict);
                while let Some((key, _)) = entries.next()? {
                    each(&key)?;
                }
            }
            Self::Mapping(mapping) => {
                for key in mapping.call_method0("keys")?.try_iter()? {
                    each(&key?)?;
                }
            }
        }
        Ok(())
    }
}

/// What an `Object` needs to know; its dictionaries of fields are asked each time.
pub(super) struct ObjectRules {
    properties: Py<PyAny>,
    pattern_properties: Py<PyAny>,
    additional: Py<PyAny>,
    names: Py<PyAny>,
    required: Py<PyAny>,
    least: Option<i64>,
    most: Option<i64>,
    /// The bound methods `search` of the patterns that have been used.
    searches: Py<PyDict>,
}

impl ObjectRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        Ok(Self {
            properties: attributes.get("properties")?.unbind(),
            pattern_properties: attributes.get("pattern_properties")?.unbind(),
            additional: attributes.get("additional_properties")?.unbind(),
            names: attributes.get("property_names")?.unbind(),
            required: attributes.get("required")?.unbind(),
            least: attributes.bound("min_properties")?,
            most: attributes.bound("max_properties")?,
            searches: PyDict::new(attributes.field.py()).unbind(),
        })
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.properties)?;
        visit.call(&self.pattern_properties)?;
        visit.call(&self.additional)?;
        visit.call(&self.names)?;
        visit.call(&self.required)?;
        visit.call(&self.searches)
    }

    pub(super) fn holds_a_field(&self, py: Python<'_>) -> bool {
        [&self.additional, &self.names].iter().any(|held| held.bind(py).is_instance_of::<CheckedField>())
    }

    /// `re.search` of a pattern that is compiled once.
    fn finds(&self, pattern: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let searches = self.searches.bind(key.py());
        let search = match searches.get_item(pattern)? {
            Some(search) => search,
            None => {
                let search =
                    classes(key.py())?.research.bind(key.py()).call1((pattern,))?.getattr("search")?;
                searches.set_item(pattern, &search)?;
                search
            }
        };
        Ok(!search.call1((key,))?.is_none())
    }
}

/// The message for a key.
pub(super) fn problem_at(asked: &Asked<'_, '_>, code: &str, key: &Bound<'_, PyAny>) -> PyResult<Problem> {
    let code = code_object(asked.py(), code);
    Ok(Problem::at(asked.text(&code)?, code.as_any(), key))
}

/// Adds a message for each key that has to be there and is not.
pub(super) fn require<'py>(
    asked: &Asked<'_, 'py>,
    source: &Source<'py>,
    required: &Bound<'py, PyAny>,
    problems: &mut Vec<Problem>,
) -> PyResult<()> {
    let mut look = |key: Bound<'py, PyAny>| {
        if !source.has(&key)? {
            problems.push(problem_at(asked, "required", &key)?);
        }
        Ok(())
    };
    match required.cast_exact::<PyList>() {
        Ok(required) => required.iter().try_for_each(look),
        Err(_) => required.try_iter()?.try_for_each(|key| look(key?)),
    }
}

/// Takes a member's value, or its messages.
pub(super) fn take<'py>(
    checked: Outcome<'py>,
    key: &Bound<'py, PyAny>,
    validated: &Bound<'py, PyDict>,
    problems: &mut Vec<Problem>,
) -> PyResult<()> {
    match checked {
        Ok(value) => validated.set_item(key, value),
        Err(failure) => failure.add_to(problems, key),
    }
}

pub(super) fn check<'py>(
    rules: &ObjectRules,
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
    let mut problems = Vec::new();
    check_names(rules, asked, &source, &mut problems)?;
    if let Some(code) = size_error(rules, &source)? {
        return Err(asked.failure(code));
    }
    require(asked, &source, rules.required.bind(py), &mut problems)?;
    let properties = as_dict(rules.properties.bind(py))?;
    let mut entries = Entries::of(&properties);
    while let Some((key, field)) = entries.next()? {
        let member = Member::of(&field)?;
        match source.get(&key)? {
            Some(item) => take(member.check(&item), &key, &validated, &mut problems)?,
            None => {
                if let Some(default) = member.default()? {
                    validated.set_item(&key, default)?;
                }
            }
        }
    }
    check_patterns(rules, &source, &validated, &mut problems)?;
    check_additional(rules, asked, &source, &validated, &mut problems)?;
    if !problems.is_empty() {
        return Err(Box::new(Failure::Problems(problems)));
    }
    Ok(validated.into_any())
}

fn check_names<'py>(
    rules: &ObjectRules,
    asked: &Asked<'_, 'py>,
    source: &Source<'py>,
    problems: &mut Vec<Problem>,
) -> PyResult<()> {
    let names = rules.names.bind(asked.py());
    let names = if names.is_none() { None } else { Some(Member::of(names)?) };
    source.each_key(|key| {
        if !key.is_instance_of::<PyString>() {
            problems.push(problem_at(asked, "invalid_key", key)?);
        } else if let Some(names) = &names
            && let Err(failure) = names.check(key)
        {
            if let Failure::Raised(error) = *failure {
                return Err(error);
            }
            problems.push(problem_at(asked, "invalid_property", key)?);
        }
        Ok(())
    })
}

fn size_error(rules: &ObjectRules, source: &Source<'_>) -> PyResult<Option<&'static str>> {
    if rules.least.is_none() && rules.most.is_none() {
        return Ok(None);
    }
    let size = source.len()? as i64;
    Ok(match (rules.least, rules.most) {
        (Some(1), _) if size < 1 => Some("empty"),
        (Some(least), _) if size < least => Some("min_properties"),
        (_, Some(most)) if size > most => Some("max_properties"),
        _ => None,
    })
}

fn check_patterns<'py>(
    rules: &ObjectRules,
    source: &Source<'py>,
    validated: &Bound<'py, PyDict>,
    problems: &mut Vec<Problem>,
) -> PyResult<()> {
    let patterns = rules.pattern_properties.bind(validated.py());
    if !patterns.is_truthy()? {
        return Ok(());
    }
    let patterns = as_dict(patterns)?;
    for key in source.keys()? {
        if !key.is_instance_of::<PyString>() {
            continue;
        }
        let mut entries = Entries::of(&patterns);
        while let Some((pattern, field)) = entries.next()? {
            if rules.finds(&pattern, &key)?
                && let Some(item) = source.get(&key)?
            {
                take(Member::of(&field)?.check(&item), &key, validated, problems)?;
            }
        }
    }
    Ok(())
}

/// What becomes of keys that no property has taken and that have no message yet.
fn check_additional<'py>(
    rules: &ObjectRules,
    asked: &Asked<'_, 'py>,
    source: &Source<'py>,
    validated: &Bound<'py, PyDict>,
    problems: &mut Vec<Problem>,
) -> PyResult<()> {
    let py = asked.py();
    let additional = rules.additional.bind(py);
    if additional.is_none() {
        return Ok(());
    }
    let refused = PySet::empty(py)?;
    for problem in problems.iter() {
        if let Some(key) = problem.path.last() {
            refused.add(key)?;
        }
    }
    let is_taken =
        |key: &Bound<'py, PyAny>| Ok::<_, PyErr>(validated.contains(key)? || refused.contains(key)?);
    let truth = additional.cast_exact::<PyBool>().ok().map(|truth| truth.is_true());
    let member = match truth {
        Some(_) => None,
        None if additional.is_instance_of::<CheckedField>() => Some(Member::of(additional)?),
        None => {
            return Err(PyAssertionError::new_err(
                "additional_properties has to be a field, True, False or None",
            ));
        }
    };
    for key in source.keys()? {
        if is_taken(&key)? {
            continue;
        }
        match (&member, truth) {
            (Some(member), _) => {
                if let Some(item) = source.get(&key)? {
                    take(member.check(&item), &key, validated, problems)?;
                }
            }
            (None, Some(true)) => {
                if let Some(item) = source.get(&key)? {
                    validated.set_item(&key, item)?;
                }
            }
            _ => problems.push(problem_at(asked, "invalid_property", &key)?),
        }
    }
    Ok(())
}
