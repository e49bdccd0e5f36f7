//! A connection and the thread that uses it.
//!
//! The thread never holds the interpreter, does one job after the other, and ends with the [`Worker`]. A job that
//! nobody waits for any more is skipped or interrupted; whether the connection may serve somebody else afterwards is
//! asked of [`Worker::is_reusable`].
//!
//! While it has no job, another thread may borrow the connection: [`Worker::now`], by which an event loop runs short statements
//! itself.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use naja_db::tables::{Dialect, Kind};
use naja_sql::sqlite::{Connection, Definition, Error, How, Library, Rows, StatementId};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySequence, PyString, PyTuple};

use super::hub::{Hub, Reply};
use super::plan::{Plan, Query};
use super::record::Record;
use super::values::{self, Owned};
use crate::sqlite::objects::object;
use crate::sqlite::{functions, library};

/// So many rows are read at a time for whoever iterates.
const ROWS_A_STEP: usize = 256;

/// How long an event loop may be held up by a statement that it runs itself.
const BUDGET: Duration = Duration::from_micros(200);

/// How long the end of the interpreter waits for statements that were interrupted.
const PATIENCE_AT_END: Duration = Duration::from_secs(5);

/// A connection that is used by coroutines.
#[pyclass(frozen, weakref, module = "naja._native.db")]
pub(super) struct Worker {
    shared: Arc<Shared>,
    bench: Arc<Mutex<Bench>>,
    sent: AtomicU64,
}

/// What the thread and its owner both see.
struct Shared {
    /// In which process its thread is, as [`FORKS`] counts them.
    process: u32,
    sender: Mutex<Sender<Job>>,
    /// The last job that was done; jobs are done in the order of their numbers.
    done: AtomicU64,
    cancelled: Mutex<Vec<u64>>,
    has_cancelled: AtomicBool,
    is_ending: AtomicBool,
    has_ended: Mutex<bool>,
    end: Condvar,
    /// The connection is as if it were new, as far as SQL can tell.
    is_pristine: AtomicBool,
    /// Somebody else takes it from here.
    is_new_turn: AtomicBool,
    /// What the file was when it was opened.
    file: Mutex<Option<(u64, u64)>>,
    name: String,
}

struct Job {
    number: u64,
    work: Work,
    reply: Option<Reply>,
}

enum Work {
    Open {
        how: How,
        judges: bool,
    },
    Run {
        plan: Arc<Plan>,
        values: Vec<Owned>,
        want: Want,
    },
    /// Statements, each with its rows of values.
    Many(Vec<(Arc<Plan>, Vec<Vec<Owned>>)>),
    ReadOn(u64),
    Forget(u64),
    Define(Definition),
    Begin(Option<String>),
    Commit(Option<String>),
    Rollback(Option<String>),
    End,
}

/// What is wanted of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// The row id of the last new row, else how many rows were changed.
    Number,
    /// The first row.
    One,
    All,
    /// The first rows; the others are read on.
    Some,
    /// What a driver knows: columns, rows, how many were changed, the last row id.
    Raw,
}

/// What a job has come to.
pub(super) enum Outcome {
    Nothing,
    Number(i64),
    One(Read),
    All(Read),
    Some(Read, bool),
    Raw(Read, i64, i64),
}

/// Rows and what they are called.
pub(super) struct Read {
    plan: Arc<Plan>,
    names: Arc<[String]>,
    rows: Rows,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many forks are between this process and the one that has loaded this module.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Every worker of this process, for its end.
static ALL: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
    static RUNNING: Cell<u64> = const { Cell::new(0) };
}

/// Asked by SQLite now and then while a statement of this thread runs or waits.
fn is_to_end() -> bool {
    OWN.with_borrow(|own| own.as_ref().is_some_and(|shared| shared.is_cancelled(RUNNING.get())))
}

impl Shared {
    fn is_of_this_process(&self) -> bool {
        self.process == FORKS.load(Ordering::Relaxed)
    }

    fn is_cancelled(&self, number: u64) -> bool {
        self.is_ending.load(Ordering::Relaxed)
            || self.has_cancelled.load(Ordering::Relaxed) && lock(&self.cancelled).contains(&number)
    }

    fn has_done(&self, number: u64) {
        self.done.store(number, Ordering::Release);
        if self.has_cancelled.load(Ordering::Relaxed) {
            let mut cancelled = lock(&self.cancelled);
            cancelled.retain(|one| *one > number);
            self.has_cancelled.store(!cancelled.is_empty(), Ordering::Relaxed);
        }
    }
}

/// A statement that is read on, and what its rows are called.
type Open = (StatementId, Arc<Plan>, Arc<[String]>);

/// The connection and what is known of it: whoever runs something in it holds its lock.
struct Bench {
    shared: Arc<Shared>,
    library: &'static Library,
    connection: Option<Connection>,
    /// Statements that are read on, by the number of the job that started them.
    reading: HashMap<u64, Open>,
    /// Statements are looked at for whether the event loop may run them.
    judges: bool,
    /// Something was written in the transaction that is open, if one is.
    has_written: bool,
    /// The program has begun a transaction.
    has_begun: bool,
    /// SQLite has ended it by itself, after an error or an interrupt.
    is_lost: bool,
    is_clean: bool,
    /// Statements may call functions in Python.
    calls_python: bool,
}

/// Does the jobs, one after the other, until the last.
fn work(shared: &Arc<Shared>, bench: &Mutex<Bench>, jobs: &Receiver<Job>) {
    OWN.set(Some(shared.clone()));
    while let Ok(Job { number, work, reply }) = jobs.recv() {
        let is_end = matches!(work, Work::End);
        RUNNING.set(number);
        let is_skipped =
            shared.is_cancelled(number) && !matches!(work, Work::End | Work::Forget(_) | Work::Rollback(_));
        let mut bench = lock(bench);
        let outcome = if is_skipped {
            Err(interrupted())
        } else {
            // A panic is a mistake of ours; whoever waits has to hear of it.
            catch_unwind(AssertUnwindSafe(|| bench.run_in_its_thread(number, work))).unwrap_or_else(|_| {
                bench.is_clean = false;
                Err(Error { code: 2, message: "naja's worker failed; see the message above".to_owned() })
            })
        };
        bench.tell();
        drop(bench);
        shared.has_done(number);
        if let Some(reply) = reply {
            let cause = functions::cause().filter(|_| outcome.is_err());
            reply.send(outcome, cause);
        }
        if is_end {
            break;
        }
    }
    drop(lock(bench).close());
    *lock(&shared.has_ended) = true;
    shared.end.notify_all();
}

impl Bench {
    /// What the owner may ask without waiting.
    fn tell(&self) {
        let is_pristine = self.is_clean
            && self.reading.is_empty()
            && !self.has_begun
            && self.connection.as_ref().is_some_and(|connection| !connection.is_in_transaction());
        self.shared.is_pristine.store(is_pristine, Ordering::Release);
    }

    fn close(&mut self) -> Option<Connection> {
        let mut connection = self.connection.take()?;
        for (statement, _, _) in std::mem::take(&mut self.reading).into_values() {
            connection.release(statement);
        }
        if connection.is_in_transaction() {
            // A ROLLBACK fails only where SQLite has rolled back already.
            let _ = connection.run("ROLLBACK", &[]);
        }
        Some(connection)
    }

    /// Runs a job. The interpreter is not held meanwhile, but knows the thread where functions may be called: each call would
    /// make itself known else, which takes 30 times as long as a call.
    fn run_in_its_thread(&mut self, number: u64, work: Work) -> Result<Outcome, Error> {
        if !self.calls_python {
            return self.run(number, work);
        }
        let done = Python::try_attach(|py| py.detach(|| self.run(number, work)));
        done.unwrap_or_else(|| Err(interrupted()))
    }

    fn run(&mut self, number: u64, work: Work) -> Result<Outcome, Error> {
        match work {
            Work::Open { how, judges } => self.open(how, judges),
            Work::End => {
                drop(self.close());
                Ok(Outcome::Nothing)
            }
            Work::Forget(number) => {
                if let (Some((statement, _, _)), Some(connection)) =
                    (self.reading.remove(&number), self.connection.as_mut())
                {
                    connection.release(statement);
                }
                Ok(Outcome::Nothing)
            }
            Work::Define(function) => {
                let Some(connection) = self.connection.as_mut() else { return Err(closed()) };
                self.is_clean = false;
                self.calls_python = true;
                connection.define(&function).map(|()| Outcome::Nothing)
            }
            Work::Begin(savepoint) => self.begin(savepoint),
            Work::Commit(savepoint) => self.commit(savepoint),
            Work::Rollback(savepoint) => self.rollback(savepoint),
            Work::Run { plan, values, want } => self.guarded(&plan.clone(), |bench, connection| {
                let statement = connection.prepare(&plan.sql)?;
                if bench.judges && plan.verb.may_read {
                    connection.judge(&statement);
                }
                bench.run_one(connection, number, plan, statement, &values, want)
            }),
            Work::Many(runs) => {
                for (plan, rows) in &runs {
                    self.guarded(plan, |bench, connection| bench.run_many(connection, number, plan, rows))?;
                }
                Ok(Outcome::Nothing)
            }
            Work::ReadOn(number) => {
                let (Some(connection), Some((statement, plan, names))) =
                    (self.connection.as_mut(), self.reading.get(&number))
                else {
                    return Err(closed());
                };
                let mut rows = Rows::default();
                let read = connection.fetch(statement, ROWS_A_STEP, &mut rows);
                let read =
                    read.map(|has_more| (Read { plan: plan.clone(), names: names.clone(), rows }, has_more));
                if !matches!(read, Ok((_, true)))
                    && let Some((statement, _, _)) = self.reading.remove(&number)
                {
                    connection.release(statement);
                }
                read.map(|(read, has_more)| Outcome::Some(read, has_more))
            }
        }
    }

    /// Runs a statement once for each row of values, and stops at the first error.
    fn run_many(
        &mut self,
        connection: &mut Connection,
        number: u64,
        plan: &Plan,
        rows: &[Vec<Owned>],
    ) -> Result<Outcome, Error> {
        self.has_written = true;
        for values in rows {
            if self.shared.is_cancelled(number) {
                return Err(interrupted());
            }
            let values: Vec<_> = values.iter().map(Owned::value).collect();
            connection.run(&plan.sql, &values)?;
        }
        Ok(Outcome::Nothing)
    }

    fn open(&mut self, how: How, judges: bool) -> Result<Outcome, Error> {
        let mut connection = Connection::open(self.library, &self.shared.name, how)?;
        // What was committed is on the disk, however this SQLite was compiled. FULL would do with a log, but leaves the
        // deletion of a journal to chance, which is what commits without one.
        connection.run("PRAGMA synchronous = EXTRA", &[])?;
        *lock(&self.shared.file) = identity(&self.shared.name);
        self.connection = Some(connection);
        self.judges = judges;
        Ok(Outcome::Nothing)
    }

    /// Runs something that may end the program's transaction by failing.
    fn guarded(
        &mut self,
        plan: &Plan,
        work: impl FnOnce(&mut Bench, &mut Connection) -> Result<Outcome, Error>,
    ) -> Result<Outcome, Error> {
        if self.is_lost {
            return Err(lost());
        }
        let Some(mut connection) = self.connection.take() else { return Err(closed()) };
        self.is_clean &= plan.verb.is_clean;
        if self.shared.is_new_turn.swap(false, Ordering::Relaxed) {
            connection.forget_last_insert_rowid();
        }
        let was_open = connection.is_in_transaction();
        self.has_written &= was_open;
        let done = work(self, &mut connection);
        self.is_lost = done.is_err() && self.has_begun && was_open && !connection.is_in_transaction();
        self.connection = Some(connection);
        done
    }

    fn run_one(
        &mut self,
        connection: &mut Connection,
        number: u64,
        plan: Arc<Plan>,
        statement: StatementId,
        values: &[Owned],
        want: Want,
    ) -> Result<Outcome, Error> {
        let values: Vec<_> = values.iter().map(Owned::value).collect();
        let is_read_only = connection.is_read_only(&statement);
        self.has_written |= !is_read_only;
        let mut rows = Rows::default();
        let mut has_more = false;
        let read = connection.start(&statement, &values).and_then(|()| match want {
            // Of what only reads, a first row shows that it can be done.
            Want::Number | Want::One if is_read_only => {
                connection.fetch(&statement, 1, &mut rows).map(|_| ())
            }
            Want::Some if is_read_only => {
                connection.fetch(&statement, ROWS_A_STEP, &mut rows).map(|more| has_more = more)
            }
            _ => connection.fetch_all(&statement, &mut rows),
        });
        let names = match want {
            Want::Number => Arc::from([]),
            _ => connection.column_names(&statement),
        };
        if has_more && read.is_ok() {
            self.reading.insert(number, (statement, plan.clone(), names.clone()));
        } else {
            connection.release(statement);
        }
        read?;
        let changes = if plan.verb.counts { connection.changes() } else { -1 };
        let row_id = connection.last_insert_rowid();
        let read = Read { plan, names, rows };
        Ok(match want {
            Want::Number => Outcome::Number(if row_id == 0 { changes } else { row_id }),
            Want::One => Outcome::One(read),
            Want::All => Outcome::All(read),
            Want::Some => Outcome::Some(read, has_more),
            Want::Raw => Outcome::Raw(read, changes, row_id),
        })
    }

    /// Runs a statement for the event loop, which must not be held up: none where it is the worker's to do.
    fn run_now(&mut self, plan: &Arc<Plan>, values: &[Owned], want: Want) -> Option<Result<Outcome, Error>> {
        let connection = self.connection.as_mut()?;
        // With pages that were written, reading another may write one of them out and wait for the disk.
        if self.is_lost || self.has_written && connection.is_in_transaction() {
            return None;
        }
        let statement = connection.take_short(&plan.sql)?;
        let start = Instant::now();
        let done = self.guarded(plan, |bench, connection| {
            connection.in_a_hurry(BUDGET, |connection| {
                // It reads no rows on, and needs no number.
                bench.run_one(connection, 0, plan.clone(), statement, values, want)
            })
        });
        self.tell();
        // Locked, ended, changed or too large: the worker begins anew, and nothing was changed.
        let is_over = done.as_ref().is_err_and(|error| matches!(error.primary(), 5 | 6 | 9 | 17 | 18));
        let is_long = done.as_ref().is_err_and(|error| matches!(error.primary(), 9 | 18));
        plan.has_run(is_long || start.elapsed() >= BUDGET);
        (!is_over).then_some(done)
    }

    fn begin(&mut self, savepoint: Option<String>) -> Result<Outcome, Error> {
        if self.is_lost {
            return Err(lost());
        }
        let Some(connection) = self.connection.as_mut() else { return Err(closed()) };
        match savepoint {
            Some(name) => connection.run(&format!("SAVEPOINT {name}"), &[])?,
            None => {
                connection.run("BEGIN", &[])?;
                self.has_begun = true;
                self.has_written = false;
            }
        }
        Ok(Outcome::Nothing)
    }

    fn commit(&mut self, savepoint: Option<String>) -> Result<Outcome, Error> {
        let is_lost = self.is_lost;
        let Some(connection) = self.connection.as_mut() else { return Err(closed()) };
        let is_root = savepoint.is_none();
        let done = match savepoint {
            _ if is_lost => Err(lost()),
            Some(name) => connection.run(&format!("RELEASE SAVEPOINT {name}"), &[]),
            None => connection.run("COMMIT", &[]),
        };
        if is_root {
            if done.is_err() && connection.is_in_transaction() {
                // Whoever hears of the error thinks that nothing was stored.
                let _ = connection.run("ROLLBACK", &[]);
            }
            self.has_begun = false;
            self.is_lost = false;
        }
        done.map(|()| Outcome::Nothing)
    }

    /// Undoes what there is to undo; after an error SQLite may have done that already.
    fn rollback(&mut self, savepoint: Option<String>) -> Result<Outcome, Error> {
        let Some(connection) = self.connection.as_mut() else { return Err(closed()) };
        let is_open = connection.is_in_transaction();
        match savepoint {
            Some(name) if is_open && !self.is_lost => {
                connection.run(&format!("ROLLBACK TO SAVEPOINT {name}"), &[])?;
            }
            Some(_) => {}
            None => {
                self.has_begun = false;
                self.is_lost = false;
                if is_open {
                    connection.run("ROLLBACK", &[])?;
                }
            }
        }
        Ok(Outcome::Nothing)
    }
}

fn interrupted() -> Error {
    Error { code: 9, message: "interrupted".to_owned() }
}

fn closed() -> Error {
    Error { code: 21, message: "Cannot operate on a closed database.".to_owned() }
}

fn lost() -> Error {
    let message = "the transaction was rolled back by the database after an earlier error; roll it back";
    Error { code: 4, message: message.to_owned() }
}

/// The file by its device and number.
fn identity(name: &str) -> Option<(u64, u64)> {
    fs::metadata(name).ok().map(|file| (file.dev(), file.ino()))
}

impl Read {
    fn record<'py>(
        &self,
        py: Python<'py>,
        shape: &Arc<super::plan::Shape>,
        index: usize,
    ) -> PyResult<Bound<'py, Record>> {
        Bound::new(py, Record { values: self.tuple(py, index)?.unbind(), shape: shape.clone() })
    }

    fn tuple<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyTuple>> {
        let cells = self.rows.row(index);
        let Some(processors) = self.plan.processors() else {
            let objects: Vec<_> = cells.map(|cell| object(py, cell, Kind::Any)).collect::<PyResult<_>>()?;
            return PyTuple::new(py, objects);
        };
        let processors = processors.bind(py);
        let mut objects = Vec::with_capacity(cells.len());
        for (place, cell) in cells.enumerate() {
            let raw = object(py, cell, Kind::Any)?;
            let processor = match processors.cast::<PyTuple>() {
                Ok(by_place) if place < by_place.len() => Some(by_place.get_item(place)?),
                Ok(_) => None,
                Err(_) => processors.cast::<PyDict>()?.get_item(&self.names[place])?,
            };
            objects.push(match processor {
                Some(processor) if !processor.is_none() => processor.call1((raw,))?,
                _ => raw,
            });
        }
        PyTuple::new(py, objects)
    }

    fn records<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        if let Some(maker) = &self.plan.maker {
            let made: Vec<_> = (0..self.rows.len())
                .map(|index| maker.row(py, &mut self.rows.row(index)))
                .collect::<PyResult<_>>()?;
            return PyList::new(py, made);
        }
        let shape = self.plan.shape(py, &self.names)?;
        let records: Vec<_> =
            (0..self.rows.len()).map(|index| self.record(py, &shape, index)).collect::<PyResult<_>>()?;
        PyList::new(py, records)
    }
}

impl Outcome {
    /// As what is awaited.
    pub(super) fn object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Outcome::Nothing => Ok(py.None().into_bound(py)),
            Outcome::Number(number) => Ok(number.into_pyobject(py)?.into_any()),
            Outcome::One(read) if read.rows.is_empty() => Ok(py.None().into_bound(py)),
            Outcome::One(Read { plan, rows, .. }) if plan.maker.is_some() => match &plan.maker {
                Some(maker) => maker.row(py, &mut rows.row(0)),
                None => Ok(py.None().into_bound(py)),
            },
            Outcome::One(read) => {
                let shape = read.plan.shape(py, &read.names)?;
                Ok(read.record(py, &shape, 0)?.into_any())
            }
            Outcome::All(read) => Ok(read.records(py)?.into_any()),
            Outcome::Some(read, has_more) => Ok((read.records(py)?, has_more).into_pyobject(py)?.into_any()),
            Outcome::Raw(read, changes, row_id) => {
                let names = PyTuple::new(py, read.names.iter().map(|name| PyString::new(py, name)))?;
                let rows: Vec<_> =
                    (0..read.rows.len()).map(|index| read.tuple(py, index)).collect::<PyResult<_>>()?;
                Ok((names, PyList::new(py, rows)?, changes, row_id).into_pyobject(py)?.into_any())
            }
        }
    }
}

impl Worker {
    fn send(&self, hub: &Hub, future: Py<PyAny>, work: Work) -> PyResult<u64> {
        if !self.shared.is_of_this_process() {
            return Err(PyRuntimeError::new_err(
                "this connection belongs to the process that this one was forked from; connect again in the child",
            ));
        }
        Ok(self.post(work, Some(Reply::new(hub, future))))
    }

    /// See [`Worker::now`].
    fn outcome_now(
        &self,
        hub: &Hub,
        want: u8,
        plan: &Arc<Plan>,
        values: impl FnOnce() -> PyResult<Vec<Owned>>,
    ) -> PyResult<Option<Result<Outcome, Error>>> {
        let want = wanted(want)?;
        // What is read on is the thread's, and so is what it has been given before.
        let is_idle = || self.shared.done.load(Ordering::Acquire) == self.sent.load(Ordering::Relaxed);
        if !self.shared.is_of_this_process() || !plan.verb.may_read || want == Want::Some || !is_idle() {
            return Ok(None);
        }
        if plan.is_away() {
            return Ok(None);
        }
        // This may call the program's own functions.
        let values = values()?;
        let bench = match self.bench.try_lock() {
            Ok(bench) => Some(bench),
            Err(TryLockError::Poisoned(bench)) => Some(bench.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        // Nobody knows how long the program's own functions take.
        let Some(mut bench) = bench.filter(|bench| is_idle() && !bench.calls_python) else { return Ok(None) };
        let start = Instant::now();
        let outcome = bench.run_now(plan, &values, want);
        hub.spend(start.elapsed());
        Ok(outcome)
    }

    fn post(&self, work: Work, reply: Option<Reply>) -> u64 {
        let number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        // Where the thread has ended, the job comes back, and its reply says so when it is dropped.
        let _ = lock(&self.shared.sender).send(Job { number, work, reply });
        number
    }
}

/// The values of a text's names.
fn named(hub: &Hub, plan: &Plan, given: Option<&Bound<'_, PyDict>>, py: Python<'_>) -> PyResult<Vec<Owned>> {
    let found = match given {
        Some(given) => plan.keys(py)?.iter().map(|key| given.get_item(key)).collect::<PyResult<Vec<_>>>()?,
        None => vec![None; plan.names.len()],
    };
    // As many as there are places, all of them found, are no others.
    if let Some(given) = given
        && (given.len() != found.len() || found.iter().any(Option::is_none))
    {
        for name in given.keys() {
            let name: &str = name.extract()?;
            if !plan.names.iter().any(|known| known == name) {
                let message =
                    format!("This text() construct doesn't define a bound parameter named '{name}'");
                return Err(hub.error(py, "ArgumentError", &message, 0));
            }
        }
    }
    let value = |(place, value): (usize, Option<Bound<'_, PyAny>>)| match value {
        Some(value) => values::of_text(hub, &value, place + 1),
        None => {
            let message = format!("A value is required for bind parameter '{}'", plan.names[place]);
            Err(hub.error(py, "InvalidRequestError", &message, 0))
        }
    };
    found.into_iter().enumerate().map(value).collect()
}

fn in_order(hub: &Hub, given: &Bound<'_, PyAny>) -> PyResult<Vec<Owned>> {
    let given = given.cast::<PySequence>().map_err(PyErr::from)?;
    (0..given.len()?).map(|place| values::as_it_is(hub, &given.get_item(place)?, place + 1)).collect()
}

fn wanted(word: u8) -> PyResult<Want> {
    [Want::Number, Want::One, Want::All, Want::Some, Want::Raw]
        .get(usize::from(word))
        .copied()
        .ok_or_else(|| PyValueError::new_err("no such want"))
}

#[pymethods]
impl Worker {
    /// Starts the thread; nothing is opened yet.
    #[new]
    fn new(py: Python<'_>, name: String) -> PyResult<Worker> {
        let library = library::own(py)?;
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::new(Shared {
            process: FORKS.load(Ordering::Relaxed),
            sender: Mutex::new(sender),
            done: AtomicU64::new(0),
            cancelled: Mutex::new(Vec::new()),
            has_cancelled: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            has_ended: Mutex::new(false),
            end: Condvar::new(),
            is_pristine: AtomicBool::new(false),
            is_new_turn: AtomicBool::new(false),
            file: Mutex::new(None),
            name,
        });
        let bench = Bench {
            shared: shared.clone(),
            library,
            connection: None,
            reading: HashMap::new(),
            has_begun: false,
            is_lost: false,
            is_clean: true,
            calls_python: false,
            judges: false,
            has_written: false,
        };
        let bench = Arc::new(Mutex::new(bench));
        let (own, at) = (shared.clone(), bench.clone());
        thread::Builder::new().name("naja-sqlite".to_owned()).spawn(move || work(&own, &at, &receiver))?;
        let mut all = lock(&ALL);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&shared));
        Ok(Worker { shared, bench, sent: AtomicU64::new(0) })
    }

    /// Opens the connection; a statement waits `patience_s` for a lock. Where `judges`, statements may be given to `now`.
    fn open(
        &self,
        hub: &Hub,
        future: Py<PyAny>,
        as_uri: bool,
        patience_s: f64,
        judges: bool,
    ) -> PyResult<u64> {
        let patience = Duration::try_from_secs_f64(patience_s.max(0.0)).unwrap_or(Duration::MAX);
        let how = How { as_uri, patience, is_to_end: Some(is_to_end), ..How::default() };
        self.send(hub, future, Work::Open { how, judges })
    }

    /// Runs a text (`str`) or a `Query` here and now, and gives what its future would have; `NotImplemented` where it is
    /// a job for the thread: it is busy, the statement is new, writes, has instructions that take long, or has run
    /// out of its time, or the file is locked.
    fn now<'py>(
        &self,
        hub: &Hub,
        want: u8,
        what: &Bound<'py, PyAny>,
        given: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = what.py();
        let found = match what.cast::<Query>() {
            Ok(query) => self.outcome_now(hub, want, &query.get().plan, || in_order(hub, given))?,
            Err(_) => {
                let plan = Plan::of_text(Dialect::Sqlite, what.cast::<PyString>()?.to_str()?);
                let given = if given.is_none() { None } else { Some(given.cast::<PyDict>()?) };
                self.outcome_now(hub, want, &plan, || named(hub, &plan, given, py))?
            }
        };
        match found {
            Some(outcome) => hub.object(py, outcome, None),
            None => Ok(py.NotImplemented().into_bound(py)),
        }
    }

    /// Runs a text with named places. What is wanted of it: 0 a number, 1 the first row, 2 all rows, 3 the first rows
    /// and whether there are more.
    fn text(
        &self,
        py: Python<'_>,
        hub: &Hub,
        future: Py<PyAny>,
        want: u8,
        text: &str,
        given: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<u64> {
        let plan = Plan::of_text(Dialect::Sqlite, text);
        let values = named(hub, &plan, given, py)?;
        self.send(hub, future, Work::Run { plan, values, want: wanted(want)? })
    }

    /// Runs a text once for each set of values.
    fn text_many(
        &self,
        py: Python<'_>,
        hub: &Hub,
        future: Py<PyAny>,
        text: &str,
        given: Vec<Option<Bound<'_, PyDict>>>,
    ) -> PyResult<u64> {
        let plan = Plan::of_text(Dialect::Sqlite, text);
        let rows =
            given.iter().map(|one| named(hub, &plan, one.as_ref(), py)).collect::<PyResult<Vec<_>>>()?;
        self.send(hub, future, Work::Many(vec![(plan, rows)]))
    }

    /// Runs SQL that is ready with values in order; also 4: all that a driver knows.
    fn run(
        &self,
        hub: &Hub,
        future: Py<PyAny>,
        want: u8,
        query: &Query,
        given: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let values = in_order(hub, given)?;
        self.send(hub, future, Work::Run { plan: query.plan.clone(), values, want: wanted(want)? })
    }

    /// Runs SQL that is ready, each once for each of its sets of values.
    fn run_many(
        &self,
        hub: &Hub,
        future: Py<PyAny>,
        given: Vec<(PyRef<'_, Query>, Vec<Bound<'_, PyAny>>)>,
    ) -> PyResult<u64> {
        let mut runs = Vec::with_capacity(given.len());
        for (query, sets) in &given {
            let rows = sets.iter().map(|one| in_order(hub, one)).collect::<PyResult<Vec<_>>>()?;
            runs.push((query.plan.clone(), rows));
        }
        self.send(hub, future, Work::Many(runs))
    }

    /// As `run`, for SQL of which nothing is known.
    fn plain(
        &self,
        hub: &Hub,
        future: Py<PyAny>,
        want: u8,
        sql: String,
        given: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let values = in_order(hub, given)?;
        self.send(hub, future, Work::Run { plan: Plan::of_sql(sql, None), values, want: wanted(want)? })
    }

    /// As `run_many`, for SQL of which nothing is known.
    fn plain_many(
        &self,
        hub: &Hub,
        future: Py<PyAny>,
        sql: String,
        given: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let rows = given.iter().map(|one| in_order(hub, one)).collect::<PyResult<Vec<_>>>()?;
        self.send(hub, future, Work::Many(vec![(Plan::of_sql(sql, None), rows)]))
    }

    /// The next rows of the statement that a job has started.
    fn read_on(&self, hub: &Hub, future: Py<PyAny>, number: u64) -> PyResult<u64> {
        self.send(hub, future, Work::ReadOn(number))
    }

    /// Ends the statement that a job has started; nothing where it has ended.
    fn forget(&self, number: u64) {
        if self.shared.is_of_this_process() {
            self.post(Work::Forget(number), None);
        }
    }

    /// Lets statements call a function of Python's, which is called on the worker's thread.
    fn create_function(
        &self,
        hub: &Hub,
        future: Py<PyAny>,
        name: String,
        narg: i32,
        func: &Bound<'_, PyAny>,
        deterministic: bool,
    ) -> PyResult<u64> {
        self.send(hub, future, Work::Define(functions::scalar(name, narg, func, deterministic)?))
    }

    fn begin(&self, hub: &Hub, future: Py<PyAny>, savepoint: Option<String>) -> PyResult<u64> {
        self.send(hub, future, Work::Begin(savepoint))
    }

    fn commit(&self, hub: &Hub, future: Py<PyAny>, savepoint: Option<String>) -> PyResult<u64> {
        self.send(hub, future, Work::Commit(savepoint))
    }

    fn rollback(&self, hub: &Hub, future: Py<PyAny>, savepoint: Option<String>) -> PyResult<u64> {
        self.send(hub, future, Work::Rollback(savepoint))
    }

    /// Closes the connection and ends the thread, after the jobs that it has.
    fn end(&self, hub: &Hub, future: Py<PyAny>) -> PyResult<u64> {
        self.send(hub, future, Work::End)
    }

    /// Nobody waits for this job any more: it is not begun, or interrupted.
    fn cancel(&self, number: u64) {
        if self.shared.done.load(Ordering::Acquire) < number {
            lock(&self.shared.cancelled).push(number);
            self.shared.has_cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// Whether somebody else may use the connection: nothing runs, is open or was set in it.
    fn is_reusable(&self) -> bool {
        self.shared.is_of_this_process()
            && self.shared.done.load(Ordering::Acquire) == self.sent.load(Ordering::Relaxed)
            && self.shared.is_pristine.load(Ordering::Acquire)
    }

    /// Lets the connection serve somebody else; whether its file is still the one that has the name.
    fn turn(&self) -> bool {
        self.shared.is_new_turn.store(true, Ordering::Relaxed);
        let file = *lock(&self.shared.file);
        self.is_reusable() && file.is_some() && file == identity(&self.shared.name)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.shared.is_of_this_process() {
            // Whoever drops it awaits nothing of it.
            self.shared.is_ending.store(true, Ordering::Relaxed);
            self.post(Work::End, None);
        }
    }
}

/// Called in the child of a fork, before anything else there.
#[pyfunction]
pub(super) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Interrupts every worker of this process and waits until they have closed their connections: for its end.
#[pyfunction]
pub(super) fn end_all(py: Python<'_>) {
    let all = std::mem::take(&mut *lock(&ALL));
    // A child has none of its parent's threads. Its copies of the connections are not closed: that would drop locks.
    let (all, of_parent): (Vec<_>, Vec<_>) =
        all.iter().filter_map(Weak::upgrade).partition(|shared: &Arc<Shared>| shared.is_of_this_process());
    of_parent.into_iter().for_each(std::mem::forget);
    py.detach(|| {
        let until = Instant::now() + PATIENCE_AT_END;
        for shared in &all {
            shared.is_ending.store(true, Ordering::Relaxed);
            let _ = lock(&shared.sender).send(Job { number: u64::MAX, work: Work::End, reply: None });
        }
        for shared in &all {
            let mut has_ended = lock(&shared.has_ended);
            while !*has_ended && Instant::now() < until {
                let left = until.saturating_duration_since(Instant::now());
                has_ended =
                    shared.end.wait_timeout(has_ended, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    });
}
