//! Names of lookups: `album__name__icontains` is a way through relations, a column, and an operator.

use std::sync::Arc;

use naja_db::orm::near::nearest;
use naja_db::orm::query::Test;
use naja_db::tables::filter::{Comparison, escaped};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

use super::mapper::Model;

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Exact,
    IExact,
    Contains,
    IContains,
    In,
    Compare(Comparison),
}

/// The operators, by their names.
const OPERATORS: [(&str, Operator); 9] = [
    ("exact", Operator::Exact),
    ("iexact", Operator::IExact),
    ("contains", Operator::Contains),
    ("icontains", Operator::IContains),
    ("in", Operator::In),
    ("gt", Operator::Compare(Comparison::Greater)),
    ("gte", Operator::Compare(Comparison::GreaterOrEqual)),
    ("lt", Operator::Compare(Comparison::Less)),
    ("lte", Operator::Compare(Comparison::LessOrEqual)),
];

/// A step from a model to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// By the column with this place.
    One(usize),
    /// By the relation to many with this place.
    Many(usize),
}

/// What one name of a filter asks.
pub(super) struct Lookup {
    pub(super) number: u32,
    pub(super) name: String,
    /// The way from the query's own model.
    pub(super) steps: Vec<Step>,
    /// The model at its end.
    pub(super) model: Arc<Model>,
    /// The column there; none asks for the other side of the last step, which is one to many.
    pub(super) column: Option<usize>,
    pub(super) operator: Operator,
}

impl Lookup {
    /// By its name.
    ///
    /// Errors: `FieldError` where a part of it is not there, with what may have been meant
    pub(super) fn of(py: Python<'_>, model: &Arc<Model>, name: &str, number: u32) -> PyResult<Lookup> {
        let mut parts: Vec<&str> = name.split("__").collect();
        let operator = match parts.as_slice() {
            [_, .., last] => OPERATORS.iter().find(|(word, _)| word == last).map(|(_, operator)| *operator),
            _ => None,
        };
        if operator.is_some() {
            parts.pop();
        }
        let last = parts.pop().unwrap_or("");
        let (steps, end) = walk(py, model, name, &parts, true)?;
        let operator = operator.unwrap_or(Operator::Exact);
        if let Some(column) = end.column(last) {
            return Ok(Lookup {
                number,
                name: name.to_owned(),
                steps,
                model: end,
                column: Some(column),
                operator,
            });
        }
        let Some(many) = end.many.iter().position(|many| many.name == last) else {
            return Err(unknown(py, &end, name, last, parts.is_empty()));
        };
        let mut steps = steps;
        steps.push(Step::Many(many));
        let model = end.target_of_many(py, many)?;
        Ok(Lookup { number, name: name.to_owned(), steps, model, column: None, operator })
    }

    /// How many of the steps are joins; from there on it is a question about links.
    pub(super) fn joins(&self) -> usize {
        self.steps.iter().position(|step| matches!(step, Step::Many(_))).unwrap_or(self.steps.len())
    }

    /// Puts the values of the lookup into a list; how many they are.
    pub(super) fn take(&self, value: &Bound<'_, PyAny>, values: &mut Vec<Py<PyAny>>) -> PyResult<Taken> {
        let column = match self.column {
            Some(column) => column,
            None => self.model.key.ok_or_else(|| PyTypeError::new_err("no key"))?,
        };
        if self.column.is_none() && value.is_none() {
            return Err(PyTypeError::new_err(format!(
                "{} has many values, and None is none of them",
                self.name
            )));
        }
        match self.operator {
            Operator::In => self.take_all(value, column, values),
            Operator::Exact if value.is_none() => Ok(Taken::Null),
            _ if value.is_none() => {
                Err(PyTypeError::new_err(format!("{}: only `exact` can ask for None", self.name)))
            }
            Operator::IExact | Operator::Contains | Operator::IContains => {
                values.push(self.pattern(value, column)?);
                Ok(Taken::One)
            }
            Operator::Exact | Operator::Compare(_) => {
                values.push(self.put(value, column)?.unbind());
                Ok(Taken::One)
            }
        }
    }

    fn put<'py>(&self, value: &Bound<'py, PyAny>, column: usize) -> PyResult<Bound<'py, PyAny>> {
        if self.column.is_none() {
            let value = self.model.key_of(value, &|| self.name.clone())?;
            return self.model.put(column, &value);
        }
        self.model.put_as(column, value, None)
    }

    fn take_all(
        &self,
        value: &Bound<'_, PyAny>,
        column: usize,
        values: &mut Vec<Py<PyAny>>,
    ) -> PyResult<Taken> {
        if value.is_instance_of::<PyString>() || value.try_iter().is_err() {
            let given = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "{} takes a list of values, and not {given}",
                self.name
            )));
        }
        let before = values.len();
        for one in value.try_iter()? {
            let one = one?;
            // NULL is the same as nothing, so that it is among no values.
            if !one.is_none() {
                values.push(self.put(&one, column)?.unbind());
            }
        }
        Ok(Taken::Several(values.len() - before))
    }

    /// A text as a pattern in which nothing is one.
    fn pattern(&self, value: &Bound<'_, PyAny>, column: usize) -> PyResult<Py<PyAny>> {
        let py = value.py();
        let text = if self.is_text(column) || value.is_instance_of::<PyString>() {
            let Ok(text) = value.cast::<PyString>() else {
                let given = value.get_type().name()?;
                return Err(PyTypeError::new_err(format!(
                    "{} looks for text, and not for {given}",
                    self.name
                )));
            };
            text.clone()
        } else {
            value.str()?
        };
        let text = escaped(text.to_str()?);
        let text = if self.operator == Operator::IExact { text } else { format!("%{text}%") };
        Ok(PyString::new(py, &text).into_any().unbind())
    }

    fn is_text(&self, column: usize) -> bool {
        matches!(self.model.columns[column].kind, super::kind::Kind::Text | super::kind::Kind::Enum(_))
            && self.model.columns[column].relation.is_none()
    }

    /// The test of the column.
    pub(super) fn test(&self, taken: Taken) -> Test {
        let column = self.column.or(self.model.key).unwrap_or(0);
        let as_text = !matches!(self.model.columns[column].kind, super::kind::Kind::Text);
        match (self.operator, taken) {
            (_, Taken::Null) => Test::IsNull,
            (_, Taken::Several(count)) => Test::In(count),
            (Operator::Compare(comparison), _) => Test::Compare(comparison),
            (Operator::Contains, _) => Test::Like { any_case: false, as_text },
            (Operator::IExact | Operator::IContains, _) => Test::Like { any_case: true, as_text },
            (Operator::Exact | Operator::In, _) => Test::Compare(Comparison::Equal),
        }
    }
}

/// How many values a lookup has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It asks for NULL.
    Null,
    One,
    Several(usize),
}

impl Taken {
    pub(super) fn as_number(self) -> u32 {
        match self {
            Taken::Null => 0,
            Taken::One => 1,
            Taken::Several(count) => u32::try_from(count).unwrap_or(u32::MAX - 2).saturating_add(2),
        }
    }
}

/// The steps that lead through relations by their names, and the model at the end.
pub(super) fn walk(
    py: Python<'_>,
    model: &Arc<Model>,
    name: &str,
    parts: &[&str],
    is_filter: bool,
) -> PyResult<(Vec<Step>, Arc<Model>)> {
    let mut steps = Vec::with_capacity(parts.len());
    let mut end = model.clone();
    for (index, part) in parts.iter().enumerate() {
        if let Some(many) = end.many.iter().position(|many| many.name == *part) {
            if !is_filter {
                return Err(field_error(
                    py,
                    &format!(
                        "{}.{part} has many values: `prefetch_related` loads them, and they sort nothing",
                        end.name
                    ),
                ));
            }
            steps.push(Step::Many(many));
            end = end.target_of_many(py, many)?;
            continue;
        }
        let Some(column) = end.column(part) else {
            return Err(unknown(py, &end, name, part, index == 0));
        };
        let Some(target) = end.target(py, column)? else {
            let message = if is_filter {
                let next = parts.get(index + 1).copied().or_else(|| name.split("__").last()).unwrap_or("");
                let known: Vec<&str> = OPERATORS.iter().map(|(word, _)| *word).collect();
                let meant = nearest(next, known.iter().copied());
                let meant =
                    meant.map(|meant| format!("; did you mean `{part}__{meant}`?")).unwrap_or_default();
                format!(
                    "{}.{part} is no relation, and `{next}` is no lookup{meant} (there are {})",
                    end.name,
                    known.join(", ")
                )
            } else {
                format!("{}.{part} is no relation", end.name)
            };
            return Err(field_error(py, &message));
        };
        steps.push(Step::One(column));
        end = target;
    }
    Ok((steps, end))
}

/// A name that a model does not have.
pub(super) fn unknown(py: Python<'_>, model: &Model, lookup: &str, part: &str, is_first: bool) -> PyErr {
    let known: Vec<&str> = model
        .columns
        .iter()
        .map(|field| field.plain.as_str())
        .chain(model.many.iter().map(|many| many.name.as_str()))
        .collect();
    let meant = nearest(part, known.iter().copied())
        .map(|meant| format!("; did you mean `{meant}`?"))
        .unwrap_or_default();
    let within = if is_first && lookup == part { String::new() } else { format!(" (in `{lookup}`)") };
    let message = format!(
        "{} has no field `{part}`{within}{meant} (there are {})",
        model.name,
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    );
    field_error(py, &message)
}

/// `FieldError` of the package.
pub(super) fn field_error(py: Python<'_>, message: &str) -> PyErr {
    let made = py
        .import("naja.orm.exceptions")
        .and_then(|module| module.getattr("FieldError"))
        .and_then(|class| class.cast_into::<PyType>().map_err(PyErr::from))
        .and_then(|class| class.call1((message,)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(_) => PyValueError::new_err(message.to_owned()),
    }
}
