//! How an event loop hears from workers: a queue, and one byte in a pipe when it was empty.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use naja_sql::sqlite::Error;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use super::worker::Outcome;

/// So long may statements that the loop runs itself follow each other before it has its turn.
const TURN: Duration = Duration::from_micros(200);

/// What the program does with the result of each, more or less.
const AROUND: Duration = Duration::from_micros(5);

/// The end that workers hold.
pub(super) struct Mailbox {
    letters: Mutex<Vec<Letter>>,
    bell: PipeWriter,
}

/// What became of a job, for the future that waits for it.
struct Letter {
    future: Py<PyAny>,
    outcome: Result<Outcome, Error>,
    /// What a function of the program's raised, which the statement called.
    cause: Option<PyErr>,
}

/// The promise of one letter; where the job is dropped undone, the letter says so.
pub(super) struct Reply {
    mailbox: Arc<Mailbox>,
    future: Option<Py<PyAny>>,
}

impl Reply {
    pub(super) fn new(hub: &Hub, future: Py<PyAny>) -> Reply {
        Reply { mailbox: hub.mailbox.clone(), future: Some(future) }
    }

    pub(super) fn send(mut self, outcome: Result<Outcome, Error>, cause: Option<PyErr>) {
        self.deliver(outcome, cause);
    }

    fn deliver(&mut self, outcome: Result<Outcome, Error>, cause: Option<PyErr>) {
        let Some(future) = self.future.take() else { return };
        let mut letters = self.mailbox.letters.lock().unwrap_or_else(PoisonError::into_inner);
        let rings = letters.is_empty();
        letters.push(Letter { future, outcome, cause });
        drop(letters);
        if rings {
            // There is a byte for each time that the queue was empty, which is far from filling a pipe.
            let _ = (&self.mailbox.bell).write(&[1]);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let message = "the connection was closed before the statement was run".to_owned();
        // 21 is SQLite's code for a wrong use of its interface.
        self.deliver(Err(Error { code: 21, message }), None);
    }
}

/// The end that an event loop holds: it reads `fileno()` and calls `collect` when there is something.
#[pyclass(frozen, weakref, module = "naja._native.db")]
pub(super) struct Hub {
    mailbox: Arc<Mailbox>,
    ear: PipeReader,
    /// Makes an exception of the name of its class, SQLite's words and its code.
    make_error: Py<PyAny>,
    /// What statements that the loop ran itself have taken, in nanoseconds, since it was last given a turn.
    spent_ns: AtomicU64,
}

impl Hub {
    /// The loop has run a statement itself.
    pub(super) fn spend(&self, time: Duration) {
        let spent_ns = u64::try_from((time + AROUND).as_nanos()).unwrap_or(u64::MAX);
        self.spent_ns.fetch_add(spent_ns, Ordering::Relaxed);
    }

    /// What a job has come to, as the object or the exception that its future has; `cause` is what a function of the
    /// program's raised.
    pub(super) fn object<'py>(
        &self,
        py: Python<'py>,
        outcome: Result<Outcome, Error>,
        cause: Option<PyErr>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match outcome {
            Ok(outcome) => outcome.object(py),
            Err(error) => {
                let class = crate::sqlite::errors::class_of(&error);
                let raised = self.error(py, class, &error.message, error.code);
                if cause.is_some() {
                    raised.set_cause(py, cause);
                }
                Err(raised)
            }
        }
    }

    /// An exception of `sqlite3` or SQLAlchemy by the name of its class.
    pub(super) fn error(&self, py: Python<'_>, class: &str, message: &str, code: i32) -> PyErr {
        match self.make_error.bind(py).call1((class, message, code)) {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        }
    }
}

#[pymethods]
impl Hub {
    #[new]
    fn new(make_error: Py<PyAny>) -> PyResult<Hub> {
        let (ear, bell) = pipe()?;
        let mailbox = Arc::new(Mailbox { letters: Mutex::new(Vec::new()), bell });
        Ok(Hub { mailbox, ear, make_error, spent_ns: AtomicU64::new(0) })
    }

    /// Whether the loop has run statements itself for so long that it is to have a turn; asked once, it begins to
    /// count anew.
    fn is_due(&self) -> bool {
        let is_due = self.spent_ns.load(Ordering::Relaxed) >= TURN.as_nanos() as u64;
        if is_due {
            self.spent_ns.store(0, Ordering::Relaxed);
        }
        is_due
    }

    /// The end of the pipe that is read; whoever listens to it sets it to not blocking.
    fn fileno(&self) -> i32 {
        self.ear.as_raw_fd()
    }

    /// Completes the futures of everything that was done since the last call.
    fn collect(&self, py: Python<'_>) {
        // The bytes first: who rings after this finds the queue empty and rings again.
        let _ = (&self.ear).read(&mut [0; 64]);
        let letters =
            std::mem::take(&mut *self.mailbox.letters.lock().unwrap_or_else(PoisonError::into_inner));
        for Letter { future, outcome, cause } in letters {
            let future = future.bind(py);
            if let Err(error) = self.complete(py, future, outcome, cause) {
                error.write_unraisable(py, Some(future));
            }
        }
    }
}

impl Hub {
    fn complete(
        &self,
        py: Python<'_>,
        future: &Bound<'_, PyAny>,
        outcome: Result<Outcome, Error>,
        cause: Option<PyErr>,
    ) -> PyResult<()> {
        // Somebody cancelled it: what was done has no taker.
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        let made = self.object(py, outcome, cause);
        let set_exception = intern!(py, "set_exception");
        let done = match made {
            Ok(object) => future.call_method1(intern!(py, "set_result"), (object,)),
            // A future takes no StopIteration, which a function of the program's may raise.
            Err(error) => future.call_method1(set_exception, (error.clone_ref(py),)).or_else(|_| {
                let other = PyRuntimeError::new_err(format!("a value could not be made: {error}"));
                future.call_method1(set_exception, (other,))
            }),
        };
        done.map(drop)
    }
}
