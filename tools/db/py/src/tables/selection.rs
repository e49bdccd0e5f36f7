//! Which rows are meant, by what the user says of their columns.

use naja_db::tables::filter::{Comparison, Test, escaped};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PySet, PyString, PyTuple};

use super::engine::Engine;
use super::layout::Layout;
use super::values::{self, Taken};
use crate::sqlite::values::{Refusal, plain};

/// Tests of columns, and the values that they need.
#[derive(Default)]
pub(super) struct Selection<'py> {
    /// The column and what is asked of it.
    pub(super) tests: Vec<(usize, Test)>,
    pub(super) values: Vec<Taken<'py>>,
}

impl<'py> Selection<'py> {
    /// What the filters of `find` and its like say.
    pub(super) fn of(
        engine: &Engine,
        layout: &Layout,
        filters: &Bound<'py, PyDict>,
    ) -> PyResult<Selection<'py>> {
        let mut selection = Selection::default();
        for (name, value) in filters.iter() {
            match layout.find_object(&name)? {
                Some(column) => selection.add(engine, layout, column, &value)?,
                None => selection.tests.push((0, Test::Never)),
            }
        }
        Ok(selection)
    }

    /// What is asked of one column.
    pub(super) fn add(
        &mut self,
        engine: &Engine,
        layout: &Layout,
        column: usize,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        if let Ok(operators) = value.cast::<PyDict>() {
            for (operator, value) in operators.iter() {
                self.add_operator(engine, layout, column, &operator, &value)?;
            }
            return Ok(());
        }
        if is_list(value) {
            return self.add_list(engine, layout, column, value, false);
        }
        self.compare(engine, layout, column, Test::Compare(Comparison::Equal), value)
    }

    /// The tests with the names of the columns, as the core writes them.
    pub(super) fn named<'a>(&self, layout: &'a Layout) -> Vec<(&'a str, Test)> {
        self.tests
            .iter()
            .map(|(column, test)| {
                (layout.columns.get(*column).map_or("", |column| column.name.as_str()), *test)
            })
            .collect()
    }

    fn add_operator(
        &mut self,
        engine: &Engine,
        layout: &Layout,
        column: usize,
        operator: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = value.py();
        let Ok(operator) = operator.cast::<PyString>() else {
            self.tests.push((column, Test::Never));
            return Ok(());
        };
        let operator = operator.to_str()?;
        match operator {
            "in" | "notin" => {
                if !is_list(value) {
                    let given = value.get_type();
                    let message = format!("'{operator}' filter requires a list, got {given}");
                    return Err(engine.error(py, "QueryError", &message));
                }
                self.add_list(engine, layout, column, value, operator == "notin")
            }
            "between" | ".." => {
                let bounds = if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
                    value.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>().ok().or_else(|| {
                        let list: Vec<Bound<'py, PyAny>> = value.extract().ok()?;
                        <[Bound<'py, PyAny>; 2]>::try_from(list).ok().map(|[low, high]| (low, high))
                    })
                } else {
                    None
                };
                let Some((low, high)) = bounds else {
                    let message = "'between' filter requires a list of two values";
                    return Err(engine.error(py, "QueryError", message));
                };
                self.tests.push((column, Test::Between));
                self.take(engine, layout, column, &low)?;
                self.take(engine, layout, column, &high)
            }
            "startswith" | "endswith" => {
                let Ok(text) = value.cast::<PyString>() else {
                    let message = format!("'{operator}' filter requires a string");
                    return Err(engine.error(py, "QueryError", &message));
                };
                let pattern = escaped(text.to_str()?);
                let (test, pattern) = match operator {
                    "startswith" => (Test::StartsWith, format!("{pattern}%")),
                    _ => (Test::EndsWith, format!("%{pattern}")),
                };
                self.tests.push((column, test));
                self.values.push(Taken::of_text(pattern));
                Ok(())
            }
            _ => match Test::of_operator(operator) {
                Some(test) => self.compare(engine, layout, column, test, value),
                None => {
                    self.tests.push((column, Test::Never));
                    Ok(())
                }
            },
        }
    }

    fn add_list(
        &mut self,
        engine: &Engine,
        layout: &Layout,
        column: usize,
        list: &Bound<'py, PyAny>,
        negated: bool,
    ) -> PyResult<()> {
        let mut count = 0;
        for value in list.try_iter()? {
            self.take(engine, layout, column, &value?)?;
            count += 1;
        }
        self.tests.push((column, Test::In { count, negated }));
        Ok(())
    }

    fn compare(
        &mut self,
        engine: &Engine,
        layout: &Layout,
        column: usize,
        test: Test,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        match (test, value.is_none()) {
            (Test::Compare(Comparison::Equal), true) => {
                self.tests.push((column, Test::Null { negated: false }))
            }
            (Test::Compare(Comparison::NotEqual), true) => {
                self.tests.push((column, Test::Null { negated: true }))
            }
            (Test::Compare(_), _)
                if value.is_none() || value.is_instance_of::<PyBool>() && !is_equality(test) =>
            {
                let message = format!(
                    "Only '=', '!=' can be used with None, True and False, and `{}` was compared otherwise",
                    layout.columns[column].name
                );
                return Err(engine.error(value.py(), "ArgumentError", &message));
            }
            _ => {
                self.tests.push((column, test));
                self.take(engine, layout, column, value)?;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        engine: &Engine,
        layout: &Layout,
        column: usize,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let refused = |class: &str, text: String| {
            let name = &layout.columns[column].name;
            let message = format!("Error binding a value for the column `{name}`: {text}");
            engine.error(value.py(), class, &message)
        };
        match values::for_filter(engine.dialect(), value) {
            Ok(taken) => {
                self.values.push(taken);
                Ok(())
            }
            Err(Refusal::Unsupported(text)) => Err(refused("ProgrammingError", text)),
            Err(Refusal::Data(text)) => Err(refused("DataError", text)),
            Err(other) => Err(plain(other)),
        }
    }
}

fn is_equality(test: Test) -> bool {
    matches!(test, Test::Compare(Comparison::Equal | Comparison::NotEqual))
}

fn is_list(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() || value.is_instance_of::<PySet>()
}
