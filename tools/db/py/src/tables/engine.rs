//! A database as Python sees it: its connections, its transactions, statements of the user's own.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use naja_db::tables::{Dialect, parameters};
use naja_sql::postgres::Options;
use naja_sql::sqlite::Definition;
use pyo3::exceptions::{PyException, PyMemoryError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::errors;
use super::links::{self, Fault, Fetched, Given, Link, Listed, Place, Started, Wanted};
use super::result::{ResultIter, SharedReading, step_of};
use super::rows::{Columns, RowType};
use super::sessions::{Session, Shared, State, lock};
use super::values::{self, Taken};
use crate::sqlite::values::{Refusal, plain};
use crate::sqlite::{functions, library};

/// The connections of a database, one for each thread.
#[pyclass(frozen, module = "naja._native.db")]
pub(super) struct Engine {
    pub(super) shared: Arc<Shared>,
    /// Makes an exception of the name of its class, what happened, the statement, and a server's code.
    pub(super) make_error: Py<PyAny>,
    row_type: Mutex<RowType>,
    ensures_schema: AtomicBool,
    /// Whether it is told when a table is changed in a transaction while other threads run.
    warns_of_threads: AtomicBool,
}

/// Whether a signal waits that Python handles: asked by the engine now and then while a statement runs or waits.
fn is_interrupted() -> bool {
    let now = Instant::now();
    if ASKED.with(|asked| asked.get().is_some_and(|asked| now - asked < ASK_AGAIN)) {
        return false;
    }
    ASKED.with(|asked| asked.set(Some(now)));
    Python::try_attach(|py| match py.check_signals() {
        Ok(()) => false,
        Err(error) => {
            INTERRUPT.with(|place| *place.borrow_mut() = Some(error));
            true
        }
    })
    .unwrap_or(false)
}

/// So often a statement that takes long asks Python for signals, which needs the interpreter.
const ASK_AGAIN: Duration = Duration::from_millis(50);

thread_local! {
    /// When this thread asked last.
    static ASKED: Cell<Option<Instant>> = const { Cell::new(None) };
    /// What a signal's handler raised while a statement ran.
    static INTERRUPT: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// What the handler of a signal raised during the last statement of this thread.
pub(super) fn interrupt() -> Option<PyErr> {
    INTERRUPT.with(|place| place.borrow_mut().take())
}

impl Engine {
    fn over(place: Place, on_connect: Vec<String>, make_error: Py<PyAny>) -> Engine {
        Engine {
            shared: Arc::new(Shared::new(place, on_connect, is_interrupted)),
            make_error,
            row_type: Mutex::new(RowType::Ordered),
            ensures_schema: AtomicBool::new(true),
            warns_of_threads: AtomicBool::new(true),
        }
    }

    /// The SQL that the database speaks.
    pub(super) fn dialect(&self) -> Dialect {
        self.shared.place().dialect()
    }

    /// This thread's connection, where it has one.
    ///
    /// Errors: `ProgrammingError` for a function that a statement of this very connection calls: it would wait for itself
    fn known(&self, py: Python<'_>) -> PyResult<Option<Arc<Session>>> {
        let known = self.shared.known();
        if known.as_ref().is_some_and(|session| session.is_inside()) {
            return Err(self.raise(py, &Fault::Inside, None));
        }
        Ok(known)
    }

    /// This thread's connection.
    pub(super) fn session(&self, py: Python<'_>) -> PyResult<Arc<Session>> {
        if let Some(session) = self.known(py)? {
            return Ok(session);
        }
        if self.shared.is_closed() {
            return Err(PyRuntimeError::new_err("Database is closed"));
        }
        let number: u64 = py.import("_thread")?.call_method0("get_ident")?.extract()?;
        let shared = &self.shared;
        py.detach(|| shared.open(number)).map_err(|error| self.raise(py, &error, None))
    }

    /// Runs something with this thread's connection while the interpreter is not held.
    pub(super) fn run<T: Send>(
        &self,
        py: Python<'_>,
        statement: Option<&str>,
        work: impl FnOnce(&mut State) -> Result<T, Fault> + Send,
    ) -> PyResult<T> {
        let session = self.session(py)?;
        py.detach(|| session.run(work)).map_err(|error| self.raise(py, &error, statement))
    }

    /// The same for what only reads.
    pub(super) fn read<T: Send>(
        &self,
        py: Python<'_>,
        statement: Option<&str>,
        work: impl FnOnce(&mut dyn Link) -> Result<T, Fault> + Send,
    ) -> PyResult<T> {
        self.run(py, statement, |state| state.read(work))
    }

    /// The same for what writes; `in_one` says that it is more than one statement, which are all done or none.
    pub(super) fn write<T: Send>(
        &self,
        py: Python<'_>,
        statement: Option<&str>,
        in_one: bool,
        work: impl FnMut(&mut dyn Link) -> Result<T, Fault> + Send,
    ) -> PyResult<T> {
        self.run(py, statement, |state| state.write(in_one, work))
    }

    pub(super) fn raise(&self, py: Python<'_>, error: &Fault, statement: Option<&str>) -> PyErr {
        if let Some(interrupt) = interrupt() {
            return interrupt;
        }
        let cause = functions::cause();
        if let Some(cause) = &cause
            && !cause.is_instance_of::<PyException>(py)
        {
            // It ends the program, as `KeyboardInterrupt` does, and not the statement alone.
            return cause.clone_ref(py);
        }
        let raised = if error.is_of_memory() {
            PyMemoryError::new_err(error.to_string())
        } else {
            let code = error.sqlstate().or(errors::code_of(self.dialect(), error.class()));
            errors::made(py, &self.make_error, error.class(), &error.to_string(), statement, code)
        };
        if cause.is_some() {
            raised.set_cause(py, cause);
        }
        raised
    }

    /// An exception of a class by its name.
    pub(super) fn error(&self, py: Python<'_>, class: &str, message: &str) -> PyErr {
        let code = errors::code_of(self.dialect(), class);
        errors::made(py, &self.make_error, class, message, None, code)
    }

    /// A moment of a zone as the clock of this thread's connection shows it: what the server makes of it for a column
    /// without a zone.
    #[cold]
    pub(super) fn on_own_clock<'py>(&self, moment: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = moment.py();
        let name = self.read(py, None, |link| Ok(link.time_zone()))?;
        let zone = py.import("zoneinfo")?.getattr("ZoneInfo")?.call1((name.as_deref().unwrap_or("UTC"),))?;
        let without = PyDict::new(py);
        without.set_item("tzinfo", py.None())?;
        moment.call_method1("astimezone", (zone,))?.call_method("replace", (), Some(&without))
    }

    /// What rows become.
    pub(super) fn rows_become(&self, py: Python<'_>) -> RowType {
        lock(&self.row_type).again(py)
    }

    /// Whether tables and columns are made where they are missing.
    pub(super) fn ensures(&self, asked: Option<bool>) -> bool {
        asked.unwrap_or_else(|| self.ensures_schema.load(Ordering::Relaxed))
    }

    pub(super) fn warns_of_threads(&self) -> bool {
        self.warns_of_threads.load(Ordering::Relaxed)
    }

    /// Values for a statement, as this engine takes them.
    pub(super) fn given<'a, 'py: 'a>(&self, taken: impl IntoIterator<Item = &'a Taken<'py>>) -> Given<'a> {
        Given::of(self.dialect(), taken)
    }
}

#[pymethods]
impl Engine {
    /// A SQLite database: a file or memory.
    #[staticmethod]
    #[pyo3(signature = (name, *, as_uri, patience_s, on_connect, make_error))]
    fn sqlite(
        py: Python<'_>,
        name: String,
        as_uri: bool,
        patience_s: f64,
        on_connect: Vec<String>,
        make_error: Py<PyAny>,
    ) -> PyResult<Engine> {
        let how = naja_sql::sqlite::How {
            as_uri,
            patience: links::patience(patience_s),
            ..naja_sql::sqlite::How::default()
        };
        Ok(Engine::over(Place::Sqlite { library: library::own(py)?, name, how }, on_connect, make_error))
    }

    /// A PostgreSQL database, by a URL; what it does not say comes from the variables that libpq knows.
    #[staticmethod]
    #[pyo3(signature = (url, *, on_connect, make_error))]
    fn postgres(
        py: Python<'_>,
        url: &str,
        on_connect: Vec<String>,
        make_error: Py<PyAny>,
    ) -> PyResult<Engine> {
        match Options::from_url(url, &|name| std::env::var(name).ok()) {
            Ok(options) => {
                Ok(Engine::over(Place::Postgres { options: Box::new(options) }, on_connect, make_error))
            }
            Err(error) => {
                let message = Fault::Postgres(error).to_string();
                Err(errors::made(py, &make_error, "ArgumentError", &message, None, None))
            }
        }
    }

    /// A MySQL or MariaDB database, by a URL; what it does not say comes from `MYSQL_HOST` and its kin.
    #[staticmethod]
    #[pyo3(signature = (url, *, on_connect, make_error))]
    fn mysql(py: Python<'_>, url: &str, on_connect: Vec<String>, make_error: Py<PyAny>) -> PyResult<Engine> {
        match naja_sql::mysql::Options::from_url(url, &|name| std::env::var(name).ok()) {
            Ok(options) => {
                Ok(Engine::over(Place::Mysql { options: Box::new(options) }, on_connect, make_error))
            }
            Err(error) => {
                let message = Fault::Mysql(error).to_string();
                Err(errors::made(py, &make_error, "ArgumentError", &message, None, None))
            }
        }
    }

    #[getter]
    fn row_type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.rows_become(py).factory(py)
    }

    #[setter]
    fn set_row_type(&self, factory: &Bound<'_, PyAny>) -> PyResult<()> {
        let row_type = RowType::of(factory)?;
        let before = std::mem::replace(&mut *lock(&self.row_type), row_type);
        drop(before);
        Ok(())
    }

    #[getter]
    fn ensure_schema(&self) -> bool {
        self.ensures_schema.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_ensure_schema(&self, ensures: bool) {
        self.ensures_schema.store(ensures, Ordering::Relaxed);
    }

    /// Nobody is told any more that a table is changed in a transaction while other threads run: for one whose threads are
    /// its own.
    fn do_not_warn_of_threads(&self) {
        self.warns_of_threads.store(false, Ordering::Relaxed);
    }

    /// The threads that have a connection, as `threading.get_ident` numbers them.
    fn threads(&self) -> Vec<u64> {
        self.shared.threads()
    }

    /// Whether the program has a transaction open in this thread.
    #[getter]
    fn in_transaction(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(match self.known(py)? {
            Some(session) => py.detach(|| session.run(|state| state.is_in_transaction_of_program())),
            None => false,
        })
    }

    /// Whether the database has a transaction open for this thread.
    #[getter]
    fn has_begun(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(match self.known(py)? {
            Some(session) => py.detach(|| session.run(|state| state.is_in_transaction())),
            None => false,
        })
    }

    /// Begins a transaction; one within another is a part of it.
    fn begin(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, None, |state| {
            state.begin();
            Ok(())
        })
    }

    /// Ends a transaction; the outermost one is committed. Whether there was one.
    fn commit(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(session) = self.known(py)? else { return Ok(false) };
        let ended = py.detach(|| session.run(State::commit));
        drop(session);
        let (was_open, is_outermost) = ended.map_err(|error| self.raise(py, &error, Some("COMMIT")))?;
        if is_outermost {
            py.detach(|| self.shared.release());
        }
        Ok(was_open)
    }

    /// Ends a transaction; the outermost one is undone. Whether there was one.
    fn rollback(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(session) = self.known(py)? else { return Ok(false) };
        let (was_open, is_outermost) = py.detach(|| session.run(State::rollback));
        drop(session);
        if is_outermost {
            py.detach(|| self.shared.release());
        }
        Ok(was_open)
    }

    /// For the face that SQLAlchemy sees: commits what it has begun.
    fn commit_outside(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, Some("COMMIT"), State::commit_outside)
    }

    /// For the face that SQLAlchemy sees: undoes what it has begun.
    fn rollback_outside(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, Some("ROLLBACK"), |state| {
            state.undo();
            Ok(())
        })
    }

    /// Nothing, but in a function that a statement of this thread's connection calls.
    ///
    /// Errors: `ProgrammingError` there
    fn check_outside(&self, py: Python<'_>) -> PyResult<()> {
        self.known(py).map(drop)
    }

    /// Closes every connection; what was not committed is undone.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.check_outside(py)?;
        py.detach(|| self.shared.close());
        Ok(())
    }

    /// Lets statements of SQLite call a function of Python's, as `sqlite3.Connection.create_function` does, in all
    /// connections of this database.
    #[pyo3(signature = (name, narg, func, deterministic))]
    fn create_function(
        &self,
        py: Python<'_>,
        name: String,
        narg: i32,
        func: &Bound<'_, PyAny>,
        deterministic: bool,
    ) -> PyResult<()> {
        self.define(py, functions::scalar(name, narg, func, deterministic)?)
    }

    /// Lets statements of SQLite call an aggregate, as `sqlite3.Connection.create_aggregate` does.
    fn create_aggregate(
        &self,
        py: Python<'_>,
        name: String,
        n_arg: i32,
        aggregate_class: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.define(py, functions::aggregate(name, n_arg, aggregate_class)?)
    }

    /// Lets statements of SQLite sort by a function, as `sqlite3.Connection.create_collation` does.
    fn create_collation(&self, py: Python<'_>, name: String, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        self.define(py, functions::collation(name, callback)?)
    }

    /// The names of all tables.
    fn tables(&self, py: Python<'_>, schema: Option<&str>) -> PyResult<Vec<String>> {
        self.read(py, None, |link| link.list(schema, Listed::Tables))
    }

    /// The names of all views.
    fn views(&self, py: Python<'_>, schema: Option<&str>) -> PyResult<Vec<String>> {
        self.read(py, None, |link| link.list(schema, Listed::Views))
    }

    /// Runs one statement of a user, whose places have names, and gives its rows as the database's row type.
    #[pyo3(signature = (text, values, step))]
    fn query(
        slf: &Bound<'_, Engine>,
        text: &str,
        values: &Bound<'_, PyDict>,
        step: usize,
    ) -> PyResult<ResultIter> {
        let py = slf.py();
        let engine = slf.get();
        let dialect = engine.dialect();
        let type_of = |name: &str| {
            values.get_item(name).ok().flatten().and_then(|value| values::type_of(dialect, &value))
        };
        let placed = parameters::place_typed(dialect, text, &type_of);
        let mut taken = Vec::with_capacity(placed.names.len());
        for name in &placed.names {
            let Some(value) = values.get_item(name)? else {
                let message = format!("A value is required for bind parameter '{name}'");
                return Err(errors::made(
                    py,
                    &engine.make_error,
                    "StatementError",
                    &message,
                    Some(text),
                    None,
                ));
            };
            taken.push(engine.value_of(py, &value, &format!("parameter `:{name}`"), text)?);
        }
        ResultIter::start(slf, &placed.sql, &taken, step_of(step, false), None)
    }

    /// Runs one statement with values in order. The names of its columns, its rows as tuples, how many rows it changed,
    /// and the number of the last new one, of engines that number rows.
    #[pyo3(signature = (text, values, begins))]
    fn execute<'py>(
        slf: &Bound<'py, Engine>,
        text: &str,
        values: &Bound<'py, PyAny>,
        begins: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let engine = slf.get();
        let mut taken = Vec::new();
        for (index, value) in values.try_iter()?.enumerate() {
            taken.push(engine.value_of(py, &value?, &format!("parameter {}", index + 1), text)?);
        }
        let given = engine.given(&taken);
        let mut rows = Fetched::new(engine.dialect());
        let (_, started) =
            engine.run(py, Some(text), |state| state.start(text, &given, begins, Wanted::ALL, &mut rows))?;
        let columns = Columns::named(py, started.names.iter().map(String::as_str));
        let list = columns.tuples(py, &rows)?;
        let names = PyTuple::new(py, started.names.iter().map(|name| PyString::new(py, name)))?;
        (names, list, started.changes, started.row_id).into_pyobject(py)
    }
}

impl Engine {
    fn define(&self, py: Python<'_>, function: Definition) -> PyResult<()> {
        if self.dialect() != Dialect::Sqlite {
            let message = "functions in Python are for SQLite, whose statements run in this process";
            return Err(self.error(py, "NotSupportedError", message));
        }
        if let Err(error) = function.check() {
            return Err(self.raise(py, &Fault::Sqlite(error), None));
        }
        match self.known(py)? {
            Some(_) => self.run(py, None, |state| state.define(function)),
            // A thread that has no connection yet needs none for that.
            None => {
                py.detach(|| self.shared.define(function));
                Ok(())
            }
        }
    }

    /// A value of a user's own statement.
    fn value_of<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyAny>,
        place: &str,
        statement: &str,
    ) -> PyResult<Taken<'py>> {
        values::as_it_is(self.dialect(), value).map_err(|refusal| {
            let (class, text) = match refusal {
                Refusal::Unsupported(text) => ("ProgrammingError", text),
                Refusal::Data(text) => ("DataError", text),
                other => return plain(other),
            };
            let message = format!("Error binding {place}: {text}");
            let code = errors::code_of(self.dialect(), class);
            errors::made(py, &self.make_error, class, &message, Some(statement), code)
        })
    }

    /// Compiles a statement and reads its first rows.
    pub(super) fn begin_reading(
        &self,
        py: Python<'_>,
        sql: &str,
        taken: &[Taken<'_>],
        wanted: Wanted,
        rows: &mut Fetched,
    ) -> PyResult<(Option<SharedReading>, Started)> {
        let session = self.session(py)?;
        let given = self.given(taken);
        let started = py.detach(|| session.run(|state| state.start(sql, &given, false, wanted, rows)));
        let (reading, started) = started.map_err(|error| self.raise(py, &error, Some(sql)))?;
        Ok((reading.map(|reading| SharedReading::new(session, reading)), started))
    }
}
