//! A statement as it is run, and what its rows are called.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use naja_db::tables::Dialect;
use naja_db::tables::parameters;
use naja_sql::sqlite::Cell;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use rustc_hash::FxHashMap;

use super::wire::traces;

/// How many texts are remembered.
const PLANS_MAX: usize = 512;

/// After a run that took too long for the event loop, so many go to the worker at once: at first, and at most where
/// it takes too long again and again.
const RUNS_AWAY: (u32, u32) = (16, 1024);

type Plans = Mutex<FxHashMap<Box<str>, Arc<Plan>>>;

/// A statement.
pub(super) struct Plan {
    pub(super) sql: Box<str>,
    /// The names of its places, for a text of the program's.
    pub(super) names: Vec<String>,
    /// The same as objects.
    keys: PyOnceLock<Py<PyTuple>>,
    pub(super) verb: Verb,
    /// A session of PostgreSQL is the same after it.
    pub(super) is_traceless: bool,
    /// Of a compiled expression: what is made of each column's values, and the columns' own names.
    extra: Option<Extra>,
    shape: Mutex<Option<Arc<Shape>>>,
    /// What makes objects of the rows in place of records.
    pub(super) maker: Option<Arc<dyn RowMaker>>,
    /// How many runs are to be the worker's before the event loop tries again, and how many were the last time.
    away: AtomicU32,
    was_away: AtomicU32,
}

/// Makes an object of each row.
pub(crate) trait RowMaker: Send + Sync {
    /// The object of a row; called on the event loop's thread, while it holds the interpreter.
    fn row<'py>(
        &self,
        py: Python<'py>,
        cells: &mut dyn Iterator<Item = Cell<'_>>,
    ) -> PyResult<Bound<'py, PyAny>>;

    /// The same of values that are objects already.
    fn row_of_objects<'py>(&self, values: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>>;
}

/// What is known of a statement by its first words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verb {
    /// It says how many rows it changed.
    pub(super) counts: bool,
    /// A connection is the same after it: it sets nothing, attaches nothing, makes nothing temporary.
    pub(super) is_clean: bool,
    /// It may be a statement that only reads, and does not begin or set anything.
    pub(super) may_read: bool,
}

struct Extra {
    /// Functions by the places of columns, a tuple with `None` where there is none, or by their names, a dictionary.
    processors: Option<Py<PyAny>>,
    /// Places of columns by what is not their name.
    others: Py<PyDict>,
    /// The functions are called when a value is asked for, and only for numbers and texts.
    is_lazy: bool,
}

/// The columns of a result.
pub(super) struct Shape {
    pub(super) names: Py<PyTuple>,
    /// The place for each name; of two columns with one name the last.
    pub(super) by_name: Py<PyDict>,
    pub(super) others: Option<Py<PyDict>>,
    /// What is made of the columns' values when they are asked for, by place.
    pub(super) lazy: Option<Py<PyTuple>>,
    plain: Arc<[String]>,
}

/// SQL that is ready, and what is made of its rows: made once for an expression.
#[pyclass(frozen, module = "naja._native.db")]
pub(crate) struct Query {
    pub(super) plan: Arc<Plan>,
}

impl Query {
    /// Of SQL that is ready, and what makes objects of its rows.
    pub(crate) fn of(sql: String, maker: Option<Arc<dyn RowMaker>>) -> Query {
        let mut plan = Plan::new(sql, Vec::new(), None);
        plan.maker = maker;
        Query { plan: Arc::new(plan) }
    }
}

#[pymethods]
impl Query {
    /// `processors` are functions by the places or the names of columns; where `is_lazy`, they are called when a value
    /// is asked for. `others` has the places of columns by other names.
    #[new]
    #[pyo3(signature = (sql, processors=None, others=None, is_lazy=false))]
    fn new(sql: String, processors: Option<Py<PyAny>>, others: Option<Py<PyDict>>, is_lazy: bool) -> Query {
        let plan = match others {
            Some(others) if is_lazy => Plan::of_lazy_sql(sql, processors, others),
            others => Plan::of_sql(sql, others.map(|others| (processors, others))),
        };
        Query { plan }
    }
}

impl Plan {
    /// Of a text with named places, as it was found before.
    pub(super) fn of_text(dialect: Dialect, text: &str) -> Arc<Plan> {
        static PLANS: OnceLock<[Plans; 3]> = OnceLock::new();
        let [sqlite, postgres, mysql] = PLANS.get_or_init(Default::default);
        let plans = match dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
            Dialect::Mysql => mysql,
        };
        if let Some(plan) = plans.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
            return plan.clone();
        }
        let placed = parameters::place(dialect, text);
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
        let extra = extra.map(|(processors, others)| Extra { processors, others, is_lazy: false });
        Arc::new(Plan::new(sql, Vec::new(), extra))
    }

    /// Of SQL that is ready, whose values are processed when they are asked for.
    pub(super) fn of_lazy_sql(sql: String, processors: Option<Py<PyAny>>, others: Py<PyDict>) -> Arc<Plan> {
        Arc::new(Plan::new(sql, Vec::new(), Some(Extra { processors, others, is_lazy: true })))
    }

    fn new(sql: String, names: Vec<String>, extra: Option<Extra>) -> Plan {
        let (verb, is_traceless) = (Verb::of(&sql), traces::is_traceless(&sql));
        Plan {
            sql: sql.into(),
            names,
            keys: PyOnceLock::new(),
            verb,
            is_traceless,
            extra,
            shape: Mutex::new(None),
            maker: None,
            away: AtomicU32::new(0),
            was_away: AtomicU32::new(0),
        }
    }

    /// The event loop has run it, and that took too long or not: then the next runs are the worker's, twice as many each
    /// time.
    pub(super) fn has_run(&self, is_too_long: bool) {
        // Two threads that count at once lose a few of them.
        let before = self.was_away.load(Ordering::Relaxed);
        if is_too_long {
            let away = (2 * before).clamp(RUNS_AWAY.0, RUNS_AWAY.1);
            self.was_away.store(away, Ordering::Relaxed);
            self.away.store(away, Ordering::Relaxed);
        } else if before > 0 {
            self.was_away.store(0, Ordering::Relaxed);
        }
    }

    /// Whether this run is the worker's, since an earlier one took too long.
    pub(super) fn is_away(&self) -> bool {
        let left = self.away.load(Ordering::Relaxed);
        if left > 0 {
            self.away.store(left - 1, Ordering::Relaxed);
        }
        left > 0
    }

    /// The names of its places, as keys of a dictionary.
    pub(super) fn keys<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyTuple>> {
        let made = || {
            let keys = self.names.iter().map(|name| PyString::intern(py, name));
            PyResult::Ok(PyTuple::new(py, keys)?.unbind())
        };
        Ok(self.keys.get_or_try_init(py, made)?.bind(py))
    }

    /// The columns of a result with these names, as objects; made once.
    pub(super) fn shape(&self, py: Python<'_>, names: &Arc<[String]>) -> PyResult<Arc<Shape>> {
        if let Some(shape) = self.shape.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
            && (Arc::ptr_eq(&shape.plain, names) || shape.plain == *names)
        {
            return Ok(shape.clone());
        }
        let others = self.extra.as_ref().map(|extra| extra.others.clone_ref(py));
        let lazy =
            self.extra.as_ref().filter(|extra| extra.is_lazy).and_then(|extra| extra.processors.as_ref());
        let lazy = lazy.map(|processors| by_place(processors.bind(py), names)).transpose()?;
        let shape = Arc::new(Shape::new(py, names, others, lazy)?);
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner) = Some(shape.clone());
        Ok(shape)
    }

    /// What is made of the columns' values as they are read.
    pub(super) fn processors(&self) -> Option<&Py<PyAny>> {
        self.extra.as_ref().filter(|extra| !extra.is_lazy)?.processors.as_ref()
    }
}

/// Functions for columns with these names: from a tuple as it is, from a dictionary by name.
fn by_place(processors: &Bound<'_, PyAny>, names: &[String]) -> PyResult<Py<PyTuple>> {
    if let Ok(by_place) = processors.cast::<PyTuple>() {
        return Ok(by_place.clone().unbind());
    }
    let by_name = processors.cast::<PyDict>()?;
    let found = names.iter().map(|name| by_name.get_item(name)).collect::<PyResult<Vec<_>>>()?;
    Ok(PyTuple::new(processors.py(), found)?.unbind())
}

impl Shape {
    fn new(
        py: Python<'_>,
        names: &Arc<[String]>,
        others: Option<Py<PyDict>>,
        lazy: Option<Py<PyTuple>>,
    ) -> PyResult<Shape> {
        let objects = PyTuple::new(py, names.iter().map(|name| PyString::intern(py, name)))?;
        let by_name = PyDict::new(py);
        for (place, name) in objects.iter().enumerate() {
            by_name.set_item(name, place)?;
        }
        Ok(Shape { names: objects.unbind(), by_name: by_name.unbind(), others, lazy, plain: names.clone() })
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
        let may_read = is_one_of(first, &["SELECT", "WITH", "VALUES"]);
        let is_clean = counts
            || may_read
            || is_one_of(first, &["DROP", "ALTER", "EXPLAIN", "ANALYZE", "REINDEX"])
            || is_one_of(first, &["BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"])
            || is_one_of(first, &["CREATE"])
                && !words.next().is_some_and(|word| is_one_of(word, &["TEMP", "TEMPORARY"]));
        Verb { counts, is_clean, may_read }
    }
}

/// SQL without the blanks and comments at its start.
pub(super) fn after_comments(sql: &str) -> &str {
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
