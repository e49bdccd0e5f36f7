//! A statement as it is run, and what its rows are called.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use naja_db::tables::Dialect;
use naja_db::tables::parameters;
use naja_sql::sqlite::Cell;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use rustc_hash::FxHashMap;

/// How many texts are remembered.
const PLANS_MAX: usize = 512;

/// A statement.
pub(super) struct Plan {
    pub(super) sql: Box<str>,
    /// The names of its places, for a text of the program's.
    pub(super) names: Vec<String>,
    pub(super) verb: Verb,
    /// Of a compiled expression: what is made of each column's values, and the columns' own names.
    extra: Option<Extra>,
    shape: Mutex<Option<Arc<Shape>>>,
    /// What makes objects of the rows in place of records.
    pub(super) maker: Option<Arc<dyn RowMaker>>,
}

/// Makes an object of each row.
pub(crate) trait RowMaker: Send + Sync {
    /// The object of a row; called on the event loop's thread, while it holds the interpreter.
    fn row<'py>(
        &self,
        py: Python<'py>,
        cells: &mut dyn Iterator<Item = Cell<'_>>,
    ) -> PyResult<Bound<'py, PyAny>>;
}

/// SQL with the dialect's own places that is run more than once, and what makes objects of its rows.
#[pyclass(frozen, module = "naja._native.db")]
pub(crate) struct Ready(pub(super) Arc<Plan>);

impl Ready {
    pub(crate) fn new(sql: String, maker: Option<Arc<dyn RowMaker>>) -> Ready {
        let mut plan = Plan::new(sql, Vec::new(), None);
        plan.maker = maker;
        Ready(Arc::new(plan))
    }
}

#[pymethods]
impl Ready {
    #[getter]
    fn sql(&self) -> &str {
        &self.0.sql
    }
}

/// What is known of a statement by its first words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verb {
    /// It says how many rows it changed.
    pub(super) counts: bool,
    /// A connection is the same after it: it sets nothing, attaches nothing, makes nothing temporary.
    pub(super) is_clean: bool,
}

struct Extra {
    /// Functions by the places of columns, a tuple with `None` where there is none, or by their names, a dictionary.
    processors: Option<Py<PyAny>>,
    /// Places of columns by what is not their name.
    others: Py<PyDict>,
}

/// The columns of a result.
pub(super) struct Shape {
    pub(super) names: Py<PyTuple>,
    /// The place for each name; of two columns with one name the last.
    pub(super) by_name: Py<PyDict>,
    pub(super) others: Option<Py<PyDict>>,
    plain: Vec<String>,
}

impl Plan {
    /// Of a text with named places, as it was found before.
    pub(super) fn of_text(text: &str) -> Arc<Plan> {
        static PLANS: OnceLock<Mutex<FxHashMap<Box<str>, Arc<Plan>>>> = OnceLock::new();
        let plans = PLANS.get_or_init(Mutex::default);
        if let Some(plan) = plans.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
            return plan.clone();
        }
        let placed = parameters::place(Dialect::Sqlite, text);
        let plan = Arc::new(Plan::new(placed.sql, placed.names, None));
        let mut plans = plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= PLANS_MAX {
            plans.clear();
        }
        plans.insert(text.into(), plan.clone());
        plan
    }

    /// Of SQL that is ready.
    pub(super) fn of_sql(sql: String, extra: Option<(Option<Py<PyAny>>, Py<PyDict>)>) -> Arc<Plan> {
        let extra = extra.map(|(processors, others)| Extra { processors, others });
        Arc::new(Plan::new(sql, Vec::new(), extra))
    }

    fn new(sql: String, names: Vec<String>, extra: Option<Extra>) -> Plan {
        let verb = Verb::of(&sql);
        Plan { sql: sql.into(), names, verb, extra, shape: Mutex::new(None), maker: None }
    }

    /// The columns of a result with these names, as objects; made once.
    pub(super) fn shape(&self, py: Python<'_>, names: &[String]) -> PyResult<Arc<Shape>> {
        if let Some(shape) = self.shape.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
            && shape.plain == names
        {
            return Ok(shape.clone());
        }
        let others = self.extra.as_ref().map(|extra| extra.others.clone_ref(py));
        let shape = Arc::new(Shape::new(py, names, others)?);
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner) = Some(shape.clone());
        Ok(shape)
    }

    /// What is made of the columns' values.
    pub(super) fn processors(&self) -> Option<&Py<PyAny>> {
        self.extra.as_ref()?.processors.as_ref()
    }
}

impl Shape {
    fn new(py: Python<'_>, names: &[String], others: Option<Py<PyDict>>) -> PyResult<Shape> {
        let objects = PyTuple::new(py, names.iter().map(|name| PyString::intern(py, name)))?;
        let by_name = PyDict::new(py);
        for (place, name) in objects.iter().enumerate() {
            by_name.set_item(name, place)?;
        }
        Ok(Shape { names: objects.unbind(), by_name: by_name.unbind(), others, plain: names.to_vec() })
    }

    /// The names, as a dictionary's keys where each is there once.
    pub(super) fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (names, by_name) = (self.names.bind(py), self.by_name.bind(py));
        if by_name.len() == names.len() {
            return by_name.call_method0(intern!(py, "keys"));
        }
        Ok(names.clone().into_any())
    }
}

impl Verb {
    /// From the first words. Whatever is not known counts as what leaves traces.
    fn of(sql: &str) -> Verb {
        let is_one_of = |word: &str, all: &[&str]| all.iter().any(|one| one.eq_ignore_ascii_case(word));
        let mut words = after_comments(sql)
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .enumerate()
            // What does not begin with a word is not known.
            .filter(|(place, word)| *place == 0 || !word.is_empty())
            .map(|(_, word)| word);
        let first = words.next().unwrap_or("");
        let counts = is_one_of(first, &["INSERT", "UPDATE", "DELETE", "REPLACE"]);
        let is_clean = counts
            || is_one_of(
                first,
                &["SELECT", "WITH", "VALUES", "DROP", "ALTER", "EXPLAIN", "ANALYZE", "REINDEX"],
            )
            || is_one_of(first, &["BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"])
            || is_one_of(first, &["CREATE"])
                && !words.next().is_some_and(|word| is_one_of(word, &["TEMP", "TEMPORARY"]));
        Verb { counts, is_clean }
    }
}

/// SQL without the blanks and comments at its start.
fn after_comments(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let end = if rest.starts_with("--") {
            rest.find('\n').map(|end| end + 1)
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else {
            return rest;
        };
        rest = end.map_or("", |end| rest[end..].trim_start());
    }
}
