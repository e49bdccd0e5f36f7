//! The connections of a database: one for each thread, opened when it is first needed.
//!
//! What runs here runs while the interpreter is not held. A thread never waits for a lock of this file while it holds
//! the interpreter.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use naja_db::tables::parameters;
use naja_db::tables::{Dialect, Kind};
use naja_sql::sqlite::{Connection, Error, How, Library, Rows, StatementId};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::errors;
use super::result::{ResultIter, SharedStatement};
use crate::sqlite::library;
use crate::sqlite::objects::{Columns, RowType};
use crate::sqlite::values::{self, Taken};

/// How many connections are kept open for the next transaction, as many as SQLAlchemy's pool keeps.
const KEPT_CONNECTIONS: usize = 5;

/// The connections of a database, one for each thread.
#[pyclass(frozen, module = "naja._native.db")]
pub(super) struct Engine {
    pub(super) shared: Arc<Shared>,
    /// Makes an exception of the name of its class, what happened, and the statement.
    pub(super) make_error: Py<PyAny>,
    row_type: Mutex<RowType>,
    ensures_schema: AtomicBool,
}

/// What belongs to no thread and to no interpreter.
pub(super) struct Shared {
    library: &'static Library,
    name: String,
    how: How,
    on_connect: Vec<String>,
    is_in_memory: bool,
    is_closed: AtomicBool,
    /// The process whose connections these are: they may not be used after a fork.
    process: AtomicU32,
    sessions: Mutex<HashMap<ThreadId, (u64, Arc<Session>)>>,
    idle: Mutex<Vec<Connection>>,
    /// Tables are changed by one thread at a time.
    pub(super) schema: Mutex<()>,
}

/// A thread's connection.
pub(super) struct Session {
    state: Mutex<State>,
    /// Statements whose results were dropped while somebody else used the connection.
    abandoned: Mutex<Vec<StatementId>>,
    has_abandoned: AtomicBool,
}

/// A connection and the transactions that the program has begun in it.
pub(super) struct State {
    pub(super) connection: Connection,
    /// How many transactions of the program are open; only the outermost one is one of the database.
    depth: usize,
    /// The database has been told of it: it is told by the first statement that writes.
    has_begun: bool,
}

/// Of a poisoned lock what is in it: a panic leaves connections as they are, and SQLite keeps its own books.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Runs something that writes, in the transaction of the program or in one of its own.
    ///
    /// `in_one` says that it is more than one statement, which are all done or none.
    pub(super) fn write<T>(
        &mut self,
        in_one: bool,
        work: impl FnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.begin_if_due()?;
        let begins = in_one && !self.connection.is_in_transaction();
        if begins {
            self.connection.run("BEGIN IMMEDIATE", &[])?;
        }
        let done = work(&mut self.connection);
        if self.depth > 0 || !self.connection.is_in_transaction() {
            return done;
        }
        match done {
            // What another face of this connection has begun is committed with it, as in the original.
            Ok(done) => match self.connection.run("COMMIT", &[]) {
                Ok(()) => Ok(done),
                Err(error) => {
                    self.undo();
                    Err(error)
                }
            },
            Err(error) => {
                if begins {
                    self.undo();
                }
                Err(error)
            }
        }
    }

    /// Tells the database of the program's transaction, if it is not told yet.
    pub(super) fn begin_if_due(&mut self) -> Result<(), Error> {
        if self.depth == 0 {
            return Ok(());
        }
        match (self.has_begun, self.connection.is_in_transaction()) {
            (true, true) => Ok(()),
            (true, false) => Err(lost()),
            (false, is_open) => {
                if !is_open {
                    // At once for writing, so that it waits for others here and not in the middle.
                    self.connection.run("BEGIN IMMEDIATE", &[])?;
                }
                self.has_begun = true;
                Ok(())
            }
        }
    }

    fn undo(&mut self) {
        if self.connection.is_in_transaction() {
            // A ROLLBACK fails only where SQLite has rolled back already.
            let _ = self.connection.run("ROLLBACK", &[]);
        }
    }
}

/// SQLite ended a transaction by itself after an error (a full disk, for one); what follows must not be a new one.
fn lost() -> Error {
    Error {
        code: 4,
        message: "the transaction was rolled back by the database after an earlier error; call rollback()"
            .to_owned(),
    }
}

impl Session {
    fn new(connection: Connection) -> Arc<Session> {
        let state = State { connection, depth: 0, has_begun: false };
        Arc::new(Session {
            state: Mutex::new(state),
            abandoned: Mutex::new(Vec::new()),
            has_abandoned: AtomicBool::new(false),
        })
    }

    /// Runs something with the connection. The interpreter must not be held.
    pub(super) fn run<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        if self.has_abandoned.swap(false, Ordering::Relaxed) {
            for statement in std::mem::take(&mut *lock(&self.abandoned)) {
                state.connection.release(statement);
            }
        }
        work(&mut state)
    }

    /// Takes back the statement of a result that nobody reads on, now or when the connection is used next.
    pub(super) fn abandon(&self, statement: StatementId) {
        match self.state.try_lock() {
            Ok(mut state) => state.connection.release(statement),
            Err(_) => {
                lock(&self.abandoned).push(statement);
                self.has_abandoned.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl Shared {
    /// This thread's connection, where it has one.
    fn known(&self) -> Option<Arc<Session>> {
        let process = std::process::id();
        if self.process.load(Ordering::Relaxed) != process {
            self.process.store(process, Ordering::Relaxed);
            // A child of the process whose connections these are. They are not closed here: that would take away the
            // locks of the parent's file.
            std::mem::take(&mut *lock(&self.sessions)).into_values().for_each(std::mem::forget);
            std::mem::take(&mut *lock(&self.idle)).into_iter().for_each(std::mem::forget);
        }
        lock(&self.sessions).get(&std::thread::current().id()).map(|(_, session)| session.clone())
    }

    fn open(&self) -> Result<Connection, Error> {
        if let Some(connection) = lock(&self.idle).pop() {
            return Ok(connection);
        }
        let mut connection = Connection::open(self.library, &self.name, self.how)?;
        // What was committed is on the disk.
        connection.run_script("PRAGMA synchronous = FULL")?;
        for statement in &self.on_connect {
            connection.run_script(statement)?;
        }
        Ok(connection)
    }

    /// Whether a table is changed within a transaction while other threads run.
    pub(super) fn is_changed_in_threads(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(session) = self.known() else { return Ok(false) };
        if !py.detach(|| session.run(|state| state.depth > 0)) {
            return Ok(false);
        }
        let count: usize = py.import("threading")?.call_method0("active_count")?.extract()?;
        Ok(count > 1)
    }

    /// Gives back this thread's connection after a transaction; a database in memory would end with it.
    fn release(&self) {
        if self.is_in_memory {
            return;
        }
        self.forget(std::thread::current().id());
    }

    fn forget(&self, thread: ThreadId) {
        let session = lock(&self.sessions).remove(&thread);
        let Some(session) = session.and_then(|(_, session)| Arc::into_inner(session)) else { return };
        let mut state = session.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        for statement in session.abandoned.into_inner().unwrap_or_else(PoisonError::into_inner) {
            state.connection.release(statement);
        }
        state.undo();
        let mut idle = lock(&self.idle);
        if idle.len() < KEPT_CONNECTIONS && !self.is_closed.load(Ordering::Relaxed) && !self.is_in_memory {
            idle.push(state.connection);
        }
    }
}

/// Gives back a thread's connections when it ends, so that programs with many short threads do not keep files open.
struct AtThreadEnd(RefCell<Vec<Weak<Shared>>>);

impl Drop for AtThreadEnd {
    fn drop(&mut self) {
        let thread = std::thread::current().id();
        for shared in self.0.take() {
            if let Some(shared) = shared.upgrade() {
                shared.forget(thread);
            }
        }
    }
}

thread_local! {
    static AT_THREAD_END: AtThreadEnd = const { AtThreadEnd(RefCell::new(Vec::new())) };
}

/// Whether a signal waits that Python handles: asked by SQLite now and then while a statement runs or waits.
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
    /// This thread's connection.
    pub(super) fn session(&self, py: Python<'_>) -> PyResult<Arc<Session>> {
        if let Some(session) = self.shared.known() {
            return Ok(session);
        }
        if self.shared.is_closed.load(Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("Database is closed"));
        }
        let number: u64 = py.import("_thread")?.call_method0("get_ident")?.extract()?;
        let shared = &self.shared;
        let connection = py.detach(|| shared.open()).map_err(|error| self.raise(py, &error, None))?;
        let session = Session::new(connection);
        lock(&shared.sessions).insert(std::thread::current().id(), (number, session.clone()));
        // A thread that is ending already has no such place; its connection then goes with the database.
        let _ = AT_THREAD_END.try_with(|end| end.0.borrow_mut().push(Arc::downgrade(shared)));
        Ok(session)
    }

    /// Runs something with this thread's connection while the interpreter is not held.
    pub(super) fn run<T: Send>(
        &self,
        py: Python<'_>,
        statement: Option<&str>,
        work: impl FnOnce(&mut State) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let session = self.session(py)?;
        py.detach(|| session.run(work)).map_err(|error| self.raise(py, &error, statement))
    }

    pub(super) fn raise(&self, py: Python<'_>, error: &Error, statement: Option<&str>) -> PyErr {
        match interrupt() {
            Some(interrupt) => interrupt,
            None => errors::raised(py, &self.make_error, error, statement),
        }
    }

    /// An exception of a class by its name.
    pub(super) fn error(&self, py: Python<'_>, class: &str, message: &str) -> PyErr {
        errors::made(py, &self.make_error, class, message, None)
    }

    /// What rows become.
    pub(super) fn rows_become(&self, py: Python<'_>) -> RowType {
        lock(&self.row_type).again(py)
    }

    /// Whether tables and columns are made where they are missing.
    pub(super) fn ensures(&self, asked: Option<bool>) -> bool {
        asked.unwrap_or_else(|| self.ensures_schema.load(Ordering::Relaxed))
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (name, *, as_uri, patience_s, on_connect, make_error))]
    fn new(
        py: Python<'_>,
        name: String,
        as_uri: bool,
        patience_s: f64,
        on_connect: Vec<String>,
        make_error: Py<PyAny>,
    ) -> PyResult<Engine> {
        let patience = Duration::try_from_secs_f64(patience_s.max(0.0)).unwrap_or(Duration::MAX);
        let how = How { as_uri, patience, is_to_end: Some(is_interrupted), ..How::default() };
        let is_in_memory = name.is_empty() || name == ":memory:" || (as_uri && name.contains("mode=memory"));
        let shared = Shared {
            library: library::own(py)?,
            name,
            how,
            on_connect,
            is_in_memory,
            is_closed: AtomicBool::new(false),
            process: AtomicU32::new(std::process::id()),
            sessions: Mutex::new(HashMap::new()),
            idle: Mutex::new(Vec::new()),
            schema: Mutex::new(()),
        };
        Ok(Engine {
            shared: Arc::new(shared),
            make_error,
            row_type: Mutex::new(RowType::Ordered),
            ensures_schema: AtomicBool::new(true),
        })
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

    /// The version of SQLite.
    #[getter]
    fn sqlite_version(&self) -> &str {
        self.shared.library.version()
    }

    /// The threads that have a connection, as `threading.get_ident` numbers them.
    fn threads(&self) -> Vec<u64> {
        lock(&self.shared.sessions).values().map(|(number, _)| *number).collect()
    }

    /// Whether the program has a transaction open in this thread.
    #[getter]
    fn in_transaction(&self, py: Python<'_>) -> bool {
        match self.shared.known() {
            Some(session) => py.detach(|| session.run(|state| state.depth > 0)),
            None => false,
        }
    }

    /// Whether the database has a transaction open for this thread.
    #[getter]
    fn has_begun(&self, py: Python<'_>) -> bool {
        match self.shared.known() {
            Some(session) => py.detach(|| session.run(|state| state.connection.is_in_transaction())),
            None => false,
        }
    }

    /// Begins a transaction; one within another is a part of it.
    fn begin(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, None, |state| {
            state.depth += 1;
            Ok(())
        })
    }

    /// Ends a transaction; the outermost one is committed. Whether there was one.
    fn commit(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(session) = self.shared.known() else { return Ok(false) };
        let ended = py.detach(|| {
            session.run(|state| {
                if state.depth == 0 {
                    return Ok((false, false));
                }
                state.depth -= 1;
                if state.depth > 0 {
                    return Ok((true, false));
                }
                let has_begun = std::mem::take(&mut state.has_begun);
                if state.connection.is_in_transaction() {
                    if let Err(error) = state.connection.run("COMMIT", &[]) {
                        state.undo();
                        return Err(error);
                    }
                } else if has_begun {
                    return Err(lost());
                }
                Ok((true, true))
            })
        });
        drop(session);
        let (was_open, is_outermost) = ended.map_err(|error| self.raise(py, &error, Some("COMMIT")))?;
        if is_outermost {
            py.detach(|| self.shared.release());
        }
        Ok(was_open)
    }

    /// Ends a transaction; the outermost one is undone. Whether there was one.
    fn rollback(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(session) = self.shared.known() else { return Ok(false) };
        let (was_open, is_outermost) = py.detach(|| {
            session.run(|state| {
                if state.depth == 0 {
                    return (false, false);
                }
                state.depth -= 1;
                if state.depth == 0 {
                    state.has_begun = false;
                    state.undo();
                }
                (true, state.depth == 0)
            })
        });
        drop(session);
        if is_outermost {
            py.detach(|| self.shared.release());
        }
        Ok(was_open)
    }

    /// For the face that SQLAlchemy sees: commits what it has begun.
    fn commit_outside(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, Some("COMMIT"), |state| {
            if state.connection.is_in_transaction() { state.connection.run("COMMIT", &[]) } else { Ok(()) }
        })
    }

    /// For the face that SQLAlchemy sees: undoes what it has begun.
    fn rollback_outside(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, Some("ROLLBACK"), |state| {
            state.undo();
            Ok(())
        })
    }

    /// Closes every connection; what was not committed is undone.
    fn close(&self, py: Python<'_>) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        let sessions = std::mem::take(&mut *lock(&self.shared.sessions));
        let idle = std::mem::take(&mut *lock(&self.shared.idle));
        py.detach(|| {
            for (_, session) in sessions.into_values() {
                session.run(|state| {
                    state.depth = 0;
                    state.undo();
                });
            }
            drop(idle);
        });
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
        let placed = parameters::place(Dialect::Sqlite, text);
        let mut taken = Vec::with_capacity(placed.names.len());
        for name in &placed.names {
            let Some(value) = values.get_item(name)? else {
                let message = format!("A value is required for bind parameter '{name}'");
                return Err(errors::made(py, &engine.make_error, "StatementError", &message, Some(text)));
            };
            taken.push(engine.value_of(py, &value, &format!("parameter `:{name}`"), text)?);
        }
        ResultIter::start(slf, &placed.sql, &taken, step, None)
    }

    /// Runs one statement with values in order. The names of its columns, the first rows as tuples, whether that was
    /// all (else the result to read on), how many rows it changed, and the row id of the last new one.
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
        let given = values::values(&taken);
        let mut rows = Rows::default();
        let (names, changes, last_row) = engine.run(py, Some(text), |state| {
            let statement = state.connection.prepare(text)?;
            let is_read_only = state.connection.is_read_only(&statement);
            let mut begun = if is_read_only { Ok(()) } else { state.begin_if_due() };
            if begins && begun.is_ok() && !state.connection.is_in_transaction() {
                begun = state.connection.run("BEGIN", &[]);
            }
            let done = begun.and_then(|()| state.connection.start(&statement, &given)).and_then(|()| {
                let names: Vec<String> = (0..state.connection.columns(&statement))
                    .map(|column| state.connection.column_name(&statement, column))
                    .collect();
                state.connection.fetch_all(&statement, &mut rows)?;
                let changes = if is_read_only { -1 } else { state.connection.changes() };
                Ok((names, changes, state.connection.last_insert_rowid()))
            });
            state.connection.release(statement);
            done
        })?;
        let columns = Columns { names: Vec::new(), kinds: vec![Kind::Any; names.len()] };
        let list = PyList::empty(py);
        for index in 0..rows.len() {
            list.append(columns.tuple(py, rows.row(index))?)?;
        }
        let names = PyTuple::new(py, names.iter().map(|name| PyString::new(py, name)))?;
        PyTuple::new(
            py,
            [
                names.into_any(),
                list.into_any(),
                changes.into_pyobject(py)?.into_any(),
                last_row.into_pyobject(py)?.into_any(),
            ],
        )
    }
}

impl Engine {
    /// A value of a user's own statement.
    fn value_of<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyAny>,
        place: &str,
        statement: &str,
    ) -> PyResult<Taken<'py>> {
        values::as_it_is(value).map_err(|refusal| match refusal {
            values::Refusal::Unsupported(text) => {
                let message = format!("Error binding {place}: {text}");
                errors::made(py, &self.make_error, "ProgrammingError", &message, Some(statement))
            }
            other => values::plain(other),
        })
    }

    /// Compiles a statement and reads its first rows.
    pub(super) fn begin_reading(
        &self,
        py: Python<'_>,
        sql: &str,
        taken: &[Taken<'_>],
        step: usize,
        rows: &mut Rows,
    ) -> PyResult<(Option<SharedStatement>, Vec<String>)> {
        let session = self.session(py)?;
        let given = values::values(taken);
        let started = py.detach(|| {
            session.run(|state| {
                let statement = state.connection.prepare(sql)?;
                let is_read_only = state.connection.is_read_only(&statement);
                let begun = if is_read_only { Ok(()) } else { state.begin_if_due() };
                let read = begun.and_then(|()| state.connection.start(&statement, &given)).and_then(|()| {
                    let names: Vec<String> = (0..state.connection.columns(&statement))
                        .map(|column| state.connection.column_name(&statement, column))
                        .collect();
                    // What writes is done at once and whole, also where it returns rows.
                    let has_more = if is_read_only && !names.is_empty() {
                        state.connection.fetch(&statement, step, rows)?
                    } else {
                        state.connection.fetch_all(&statement, rows)?;
                        false
                    };
                    Ok((has_more, names))
                });
                match read {
                    Ok((true, names)) => Ok((Some(statement), names)),
                    Ok((false, names)) => {
                        state.connection.release(statement);
                        Ok((None, names))
                    }
                    Err(error) => {
                        state.connection.release(statement);
                        Err(error)
                    }
                }
            })
        });
        let (statement, names) = started.map_err(|error| self.raise(py, &error, Some(sql)))?;
        Ok((statement.map(|statement| SharedStatement::new(session, statement)), names))
    }
}
