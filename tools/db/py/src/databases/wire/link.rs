//! A connection as asyncio's protocol: a queue of requests, and the futures that wait for their answers.
//!
//! Everything runs on the thread of the event loop. Requests are sent as they come, without waiting for the answers to
//! those before; what has to be prepared first holds up those behind it. A request that nobody waits for any more stays
//! in its place, and its answer is thrown away. Start at [`Link::text`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use naja_db::tables::Dialect;
use naja_sql::Transaction;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PySequence, PyString, PyTuple};
use rustc_hash::FxHashMap;

use super::super::plan::{Plan, Query};
use super::engine::{Cancelling, Engine, Happening, Limit, Wrong};
use super::mysql::MySqlOptions;
use super::postgres::PostgresOptions;
use super::request::{Request, Want, Work};
use crate::objects::{Documents, Manner, Objects};

/// Bytes that are gathered of many rows before they are written.
const CHUNK_BYTES: usize = 64 * 1024;

/// A connection to a server.
#[pyclass(frozen, weakref, module = "naja._native.db")]
pub(super) struct Link {
    event_loop: Py<PyAny>,
    /// Makes an exception: what kind of failure it is, its code, its message, what else is known.
    make_error: Py<PyAny>,
    dialect: Dialect,
    manner: Manner,
    /// The transport has as much to write as it wants to hold.
    is_paused: AtomicBool,
    state: Mutex<State>,
}

struct State {
    engine: Box<dyn Engine>,
    transport: Option<Py<PyAny>>,
    phase: Phase,
    over_because: Option<String>,
    /// Waits for the login, or for the moment to encrypt.
    opening: Option<Py<PyAny>>,
    /// Not sent yet, the first first.
    waiting: VecDeque<Request>,
    /// Sent and not answered.
    sent: VecDeque<Sent>,
    /// What is being prepared is the first that waits.
    is_preparing: bool,
    /// The last that was sent has more rows to send.
    is_streaming: bool,
    /// What is sent has many rows: nothing comes between these, and what they end with.
    is_exclusive: bool,
    has_traces: bool,
    /// The request that sets the session back, until it is answered: the transaction that the server told of last is gone
    /// for whoever asks after it.
    resetting: Option<u64>,
    requests: u64,
    /// Results that are read piece by piece.
    cursors: FxHashMap<u64, Arc<Plan>>,
    idle_waiters: Vec<Py<PyAny>>,
    notices: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    Over,
}

enum Sent {
    /// A statement of the request with this number.
    Preparation(u64, Option<Wrong>),
    Request(Box<Request>),
    /// What keeps or undoes the many executions of a request.
    Ending(Box<Request>),
}

impl Link {
    fn lock(&self) -> PyResult<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(PyRuntimeError::new_err(
                "a connection belongs to the thread of its event loop, and was used from another or from within itself",
            )),
        }
    }

    fn exception(&self, py: Python<'_>, wrong: &Wrong, request: Option<&Request>) -> PyErr {
        exception(py, &self.make_error, wrong, request)
    }

    /// SQLAlchemy's exception for values that do not fit their text.
    fn mistake(&self, py: Python<'_>, class: &str, message: &str) -> PyErr {
        made(py, &self.make_error, "mistake", class, message, PyDict::new(py))
    }

    // Futures.

    fn future(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.event_loop.call_method0(py, intern!(py, "create_future"))
    }

    fn settle(py: Python<'_>, future: &Py<PyAny>, outcome: PyResult<Bound<'_, PyAny>>) {
        let future = future.bind(py);
        let settled = (|| {
            // Somebody cancelled it: what was done has no taker.
            if future.call_method0(intern!(py, "done"))?.is_truthy()? {
                return Ok(());
            }
            let set_exception = intern!(py, "set_exception");
            let settled = match outcome {
                Ok(object) => future.call_method1(intern!(py, "set_result"), (object,)),
                // A future takes no StopIteration, which a function of the program's may raise.
                Err(error) => future.call_method1(set_exception, (error.clone_ref(py),)).or_else(|_| {
                    let other = PyRuntimeError::new_err(format!("a value could not be made: {error}"));
                    future.call_method1(set_exception, (other,))
                }),
            };
            settled.map(drop)
        })();
        if let Err(error) = settled {
            error.write_unraisable(py, Some(future));
        }
    }

    fn complete(&self, py: Python<'_>, state: &mut State, mut request: Request) {
        if state.resetting == Some(request.number) {
            state.resetting = None;
        }
        let wrong = request.wrong.take();
        let Some(future) = request.future.take() else {
            // Whoever sent it waits for nothing, and relies on it: what is not set back is nobody's any more.
            if let (Work::Script(_), Some(_), false) = (&request.work, wrong, request.is_abandoned) {
                let wrong = Wrong::Lost("the connection could not be set back for its next user".to_owned());
                self.end(py, state, &wrong);
            }
            return;
        };
        let outcome = match wrong {
            Some(wrong) => Err(self.exception(py, &wrong, Some(&request))),
            None => request.answer(py),
        };
        Self::settle(py, &future, outcome);
    }

    fn open_is_done(&self, py: Python<'_>, state: &mut State, outcome: PyResult<&str>) {
        if let Some(future) = state.opening.take() {
            Self::settle(py, &future, outcome.and_then(|word| Ok(word.into_pyobject(py)?.into_any())));
        }
    }

    /// The connection is over: everybody who waits hears why.
    fn end(&self, py: Python<'_>, state: &mut State, wrong: &Wrong) {
        if state.phase == Phase::Over {
            return;
        }
        state.phase = Phase::Over;
        state.over_because = match wrong {
            Wrong::Server { message, .. } => Some(message.clone()),
            Wrong::Lost(what) => Some(what.clone()),
            _ => None,
        };
        let error = self.exception(py, wrong, None);
        self.open_is_done(py, state, Err(error));
        let sent = std::mem::take(&mut state.sent).into_iter().filter_map(|sent| match sent {
            Sent::Request(request) | Sent::Ending(request) => Some(*request),
            Sent::Preparation(..) => None,
        });
        for request in sent.chain(std::mem::take(&mut state.waiting)) {
            if let Some(future) = request.future {
                Self::settle(py, &future, Err(self.exception(py, wrong, None)));
            }
        }
        for future in std::mem::take(&mut state.idle_waiters) {
            Self::settle(py, &future, Err(self.exception(py, wrong, None)));
        }
        if let Some(transport) = &state.transport {
            let _ = transport.call_method0(py, intern!(py, "abort"));
        }
    }

    // Sending.

    /// Takes a request, and sends it if nothing is before it.
    fn ask(&self, py: Python<'_>, work: Work, waits: bool, has_traces: bool) -> PyResult<Option<Py<PyAny>>> {
        let mut state = self.lock()?;
        if state.phase != Phase::Open {
            let why = state.over_because.as_deref().map_or_else(String::new, |why| format!(": {why}"));
            let wrong = Wrong::Misuse(format!("connection is closed{why}"));
            return Err(self.exception(py, &wrong, None));
        }
        let future = if waits { Some(self.future(py)?) } else { None };
        state.requests += 1;
        state.has_traces |= has_traces;
        // An engine may have nothing to say to it, so that no bytes come that would be looked at.
        let is_unanswered = matches!(work, Work::Close { .. });
        let request = Request::new(state.requests, future.as_ref().map(|future| future.clone_ref(py)), work);
        state.waiting.push_back(request);
        self.pump(py, &mut state);
        if is_unanswered {
            self.digest(py, &mut state);
        }
        Ok(future)
    }

    /// Sends what waits, as far as it can be sent, and writes it.
    fn pump(&self, py: Python<'_>, state: &mut State) {
        if let Err(wrong) = self.send_waiting(py, state) {
            self.end(py, state, &wrong);
        }
        self.flush(py, state);
    }

    fn send_waiting(&self, py: Python<'_>, state: &mut State) -> Result<(), Wrong> {
        while state.phase == Phase::Open && !state.is_preparing && !state.is_exclusive {
            let Some(mut request) = state.waiting.pop_front() else { break };
            if matches!(request.work, Work::Many { .. }) && !state.sent.is_empty() {
                // Whether it is in a transaction has to be known.
                state.waiting.push_front(request);
                break;
            }
            let what_for = request.what_for();
            if let Some(plan) = request.sql()
                && !state.engine.is_prepared(&plan.sql, what_for)
            {
                match state.engine.prepare(&plan.sql, what_for) {
                    Ok(()) => {
                        state.is_preparing = true;
                        state.sent.push_back(Sent::Preparation(request.number, None));
                        state.waiting.push_front(request);
                    }
                    Err(wrong) => {
                        request.wrong = Some(wrong);
                        self.complete(py, state, request);
                    }
                }
                continue;
            }
            if let Work::Many { .. } = request.work {
                (state.is_streaming, state.is_exclusive) = (true, true);
                request.frame = state.engine.frame();
                if let Some(frame) = request.frame {
                    state.engine.script(frame.begin)?;
                    state.sent.push_back(Sent::Request(Box::new(Request::unwaited(frame.begin))));
                }
                state.sent.push_back(Sent::Request(Box::new(request)));
                Self::stream(py, state)?;
                continue;
            }
            match Self::send(py, &mut *state.engine, &request) {
                Ok(()) => state.sent.push_back(Sent::Request(Box::new(request))),
                Err(wrong) => {
                    request.wrong = Some(wrong);
                    self.complete(py, state, request);
                }
            }
        }
        Ok(())
    }

    fn send(py: Python<'_>, engine: &mut dyn Engine, request: &Request) -> Result<(), Wrong> {
        match &request.work {
            Work::Run { plan, row, want } => {
                let limit = if matches!(want, Want::One | Want::Value) { Limit::Rows(1) } else { Limit::All };
                engine.execute(&plan.sql, row.bind(py).as_slice(), limit)?;
            }
            Work::Open { plan, row, cursor, rows } => {
                engine.open_cursor(*cursor, &plan.sql, row.bind(py).as_slice(), *rows)?;
            }
            Work::Read { cursor, rows, .. } => engine.read_cursor(*cursor, *rows)?,
            Work::Close { cursor } => engine.close_cursor(*cursor)?,
            Work::Script(sql) => return engine.script(sql),
            Work::Many { .. } => return Ok(()),
        }
        engine.end_batch()
    }

    /// Sends more rows of the request that has them, as many as are written at once.
    fn stream(py: Python<'_>, state: &mut State) -> Result<(), Wrong> {
        let Some(Sent::Request(request)) = state.sent.back_mut() else { return Ok(()) };
        let Work::Many { plan, rows, next } = &mut request.work else { return Ok(()) };
        let is_unwanted = request.future.is_none();
        let mut has_more = !is_unwanted && request.wrong.is_none();
        let mut is_undone = is_unwanted;
        while has_more && state.engine.outgoing().len() < CHUNK_BYTES {
            let Some(row) = rows.get(*next) else {
                has_more = false;
                break;
            };
            match state.engine.execute(&plan.sql, row.bind(py).as_slice(), Limit::All) {
                Ok(()) => *next += 1,
                Err(Wrong::Lost(what)) => return Err(Wrong::Lost(what)),
                Err(wrong) => {
                    request.wrong = Some(wrong);
                    (has_more, is_undone) = (false, true);
                }
            }
        }
        if has_more {
            return Ok(());
        }
        state.is_streaming = false;
        // Within a transaction what was done stays, as with one statement after the other.
        if is_undone && state.engine.transaction() == Transaction::None {
            state.engine.undo_batch()
        } else {
            state.engine.end_batch()
        }
    }

    fn flush(&self, py: Python<'_>, state: &mut State) {
        let count = state.engine.outgoing().len();
        if count == 0 {
            return;
        }
        let Some(transport) = &state.transport else { return };
        let bytes = PyBytes::new(py, state.engine.outgoing());
        state.engine.sent(count);
        if let Err(error) = transport.call_method1(py, intern!(py, "write"), (bytes,)) {
            let wrong = Wrong::Lost(format!("the connection cannot be written to: {}", error.value(py)));
            self.end(py, state, &wrong);
        }
    }

    // Answers.

    fn digest(&self, py: Python<'_>, state: &mut State) {
        let mut next = state.engine.next();
        while state.phase != Phase::Over {
            next = match next {
                Ok(Some(Happening::Row)) => self.rows(py, state),
                Ok(Some(happening)) => {
                    self.happened(py, state, happening);
                    state.engine.next()
                }
                Ok(None) => break,
                Err(wrong) => {
                    self.end(py, state, &wrong);
                    return;
                }
            };
        }
        self.pump(py, state);
        if state.is_idle() {
            for future in std::mem::take(&mut state.idle_waiters) {
                Self::settle(py, &future, Ok(py.None().into_bound(py)));
            }
        }
    }

    fn happened(&self, py: Python<'_>, state: &mut State, happening: Happening) {
        match happening {
            Happening::StartTls => self.open_is_done(py, state, Ok("tls")),
            Happening::Notice(text) => {
                // What nobody takes is not kept for ever.
                if state.notices.len() >= 100 {
                    state.notices.remove(0);
                }
                state.notices.push(text);
            }
            // Rows are taken together.
            Happening::Prepared | Happening::Row => {}
            Happening::Complete { affected, last_id } => {
                if let Some(Sent::Request(request)) = state.sent.front_mut() {
                    request.affected = match (&request.work, request.affected) {
                        (Work::Many { .. }, Some(before)) => Some(before + affected.unwrap_or(0)),
                        _ => affected,
                    };
                    request.last_id = last_id;
                }
            }
            Happening::Suspended => {
                if let Some(Sent::Request(request)) = state.sent.front_mut() {
                    request.is_suspended = true;
                }
            }
            Happening::Failed(wrong) => match state.sent.front_mut() {
                // The first tells most.
                Some(Sent::Request(request) | Sent::Ending(request)) => {
                    request.wrong.get_or_insert(wrong);
                }
                Some(Sent::Preparation(_, why)) => *why = Some(wrong),
                None => {}
            },
            Happening::Ready => self.batch_is_done(py, state),
        }
    }

    fn batch_is_done(&self, py: Python<'_>, state: &mut State) {
        if state.phase == Phase::Opening {
            state.phase = Phase::Open;
            self.open_is_done(py, state, Ok("ready"));
            return;
        }
        match state.sent.pop_front() {
            None => {}
            Some(Sent::Preparation(number, why)) => {
                state.is_preparing = false;
                let Some(why) = why else { return };
                // It may have been cancelled meanwhile.
                if state.waiting.front().is_some_and(|request| request.number == number)
                    && let Some(mut request) = state.waiting.pop_front()
                {
                    request.wrong = Some(why);
                    self.complete(py, state, request);
                }
            }
            Some(Sent::Request(mut request)) => {
                if let (Some(wrong), Some(plan)) = (&request.wrong, request.sql())
                    && state.engine.is_stale(&plan.sql, wrong)
                    && !request.was_stale
                    && request.future.is_some()
                    && request.frame.is_none()
                {
                    request.start_again();
                    state.is_exclusive = false;
                    state.waiting.push_front(*request);
                    return;
                }
                if let Some(frame) = request.frame.take() {
                    let is_kept = request.wrong.is_none() && request.future.is_some();
                    let ended = state.engine.script(if is_kept { frame.keep } else { frame.undo });
                    state.sent.push_back(Sent::Ending(request));
                    if let Err(wrong) = ended {
                        self.end(py, state, &wrong);
                    }
                    return;
                }
                if let Work::Open { cursor, .. } | Work::Read { cursor, .. } = request.work
                    && !request.is_suspended
                    && state.cursors.remove(&cursor).is_some()
                {
                    state.engine.forget_cursor(cursor);
                }
                state.is_exclusive &= !matches!(request.work, Work::Many { .. });
                self.complete(py, state, *request);
            }
            Some(Sent::Ending(request)) => {
                state.is_exclusive = false;
                self.complete(py, state, *request);
            }
        }
    }

    /// Takes the row that is there and those behind it; gives what comes after them.
    fn rows(&self, py: Python<'_>, state: &mut State) -> Result<Option<Happening>, Wrong> {
        let State { engine, sent, .. } = state;
        let mut request = match sent.front_mut() {
            Some(Sent::Request(request)) if request.wants_rows() => Some(request),
            _ => None,
        };
        let columns = engine.columns(py)?;
        let mut objects = Objects::new(py, &columns, self.manner);
        if let Some(request) = &mut request {
            request.begin_rows(py, Arc::clone(&columns))?;
        }
        loop {
            if let Some(request) = request.as_mut().filter(|request| request.wrong.is_none()) {
                let taken = engine.row(&mut objects).and_then(|()| Ok(request.take(py, objects.tuple()?)?));
                if let Err(wrong) = taken {
                    objects.forget();
                    request.wrong = Some(wrong);
                }
            }
            match engine.next()? {
                Some(Happening::Row) => {}
                other => return Ok(other),
            }
        }
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.sent.is_empty() && self.waiting.is_empty()
    }
}

fn exception(py: Python<'_>, make_error: &Py<PyAny>, wrong: &Wrong, request: Option<&Request>) -> PyErr {
    let fields = PyDict::new(py);
    let (kind, code, message) = match wrong {
        Wrong::Raised(error) => return error.clone_ref(py),
        Wrong::Server { code, message, fields: told } => {
            for (name, value) in told {
                // A dictionary takes any string.
                let _ = fields.set_item(name, value);
            }
            ("server", code.as_str(), message.clone())
        }
        Wrong::Value { parameter, what } => ("value", "22000", place_of(*parameter, request) + what),
        Wrong::Count { given, wanted } => (
            "count",
            "07001",
            format!("the server expects {wanted} values for this query, {given} were given"),
        ),
        Wrong::Lost(what) => ("lost", "08003", what.clone()),
        Wrong::Misuse(what) => ("misuse", "", what.clone()),
    };
    made(py, make_error, kind, code, &message, fields)
}

fn made(
    py: Python<'_>,
    make_error: &Py<PyAny>,
    kind: &str,
    code: &str,
    message: &str,
    fields: Bound<'_, PyDict>,
) -> PyErr {
    match make_error.bind(py).call1((kind, code, message, fields)) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// Which value is meant, by its number and its name.
fn place_of(parameter: usize, request: Option<&Request>) -> String {
    let number = parameter + 1;
    let mut place = format!("invalid input for query argument ${number}");
    if let Some(request) = request {
        if let Some(name) = request.sql().and_then(|plan| plan.names.get(parameter)) {
            place += &format!(" (`{name}`)");
        }
        if let Work::Many { next, .. } = &request.work {
            place += &format!(" of row {}", next + 1);
        }
    }
    place + ": "
}

/// The values of a text's names.
fn named(
    link: &Link,
    py: Python<'_>,
    plan: &Plan,
    given: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyTuple>> {
    let keys = plan.keys(py)?;
    let mut values = Vec::with_capacity(keys.len());
    for (key, name) in keys.iter_borrowed().zip(&plan.names) {
        match given.map(|given| given.get_item(key)).transpose()?.flatten() {
            Some(value) => values.push(value),
            None => {
                let message = format!("A value is required for bind parameter '{name}'");
                return Err(unknown(link, py, plan, given)?
                    .unwrap_or_else(|| link.mistake(py, "InvalidRequestError", &message)));
            }
        }
    }
    // In PostgreSQL each name stands once: where there are more values than names, there is one without a place.
    let may_repeat = link.dialect != Dialect::Postgres;
    if given.is_some_and(|given| may_repeat || given.len() > values.len())
        && let Some(error) = unknown(link, py, plan, given)?
    {
        return Err(error);
    }
    Ok(PyTuple::new(py, values)?.unbind())
}

/// The exception for a value that has no place.
fn unknown(
    link: &Link,
    py: Python<'_>,
    plan: &Plan,
    given: Option<&Bound<'_, PyDict>>,
) -> PyResult<Option<PyErr>> {
    for name in given.into_iter().flat_map(|given| given.keys()) {
        let name: &str = name.extract()?;
        if !plan.names.iter().any(|known| known == name) {
            let message = format!("This text() construct doesn't define a bound parameter named '{name}'");
            return Ok(Some(link.mistake(py, "ArgumentError", &message)));
        }
    }
    Ok(None)
}

fn in_order(given: &Bound<'_, PyAny>) -> PyResult<Py<PyTuple>> {
    match given.cast::<PyTuple>() {
        Ok(tuple) => Ok(tuple.clone().unbind()),
        Err(_) => Ok(given.cast::<PySequence>()?.to_tuple()?.unbind()),
    }
}

fn wanted(word: u8) -> PyResult<Want> {
    [Want::Value, Want::One, Want::All, Want::Mappings, Want::Raw, Want::Number]
        .get(usize::from(word))
        .copied()
        .ok_or_else(|| PyRuntimeError::new_err("no such want"))
}

/// Lets the loop call again for the rows that are still to be sent, after whatever else it has to do.
fn stream_on_later(link: &Bound<'_, Link>, is_streaming: bool) -> PyResult<()> {
    let py = link.py();
    if is_streaming && !link.get().is_paused.load(Ordering::Relaxed) {
        let stream_on = link.getattr(intern!(py, "stream_on"))?;
        link.get().event_loop.call_method1(py, intern!(py, "call_soon"), (stream_on,))?;
    }
    Ok(())
}

#[pymethods]
impl Link {
    /// A connection that is not made yet: `make_error` makes its exceptions, `documents_are_parsed` and
    /// `singles_are_exact` say what becomes of JSON and of floats of 32 bits.
    #[new]
    fn new(
        py: Python<'_>,
        event_loop: Py<PyAny>,
        options: &Bound<'_, PyAny>,
        make_error: Py<PyAny>,
        documents_are_parsed: bool,
        singles_are_exact: bool,
    ) -> PyResult<Link> {
        let (dialect, engine) = match options.cast::<PostgresOptions>() {
            Ok(options) => (Dialect::Postgres, options.get().start()),
            Err(_) => (Dialect::Mysql, options.cast::<MySqlOptions>()?.get().start()),
        };
        let engine = engine.map_err(|wrong| exception(py, &make_error, &wrong, None))?;
        let documents = if documents_are_parsed { Documents::Parsed } else { Documents::AsText };
        let state = State {
            engine,
            transport: None,
            phase: Phase::Opening,
            over_because: None,
            opening: None,
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            is_preparing: false,
            is_streaming: false,
            is_exclusive: false,
            has_traces: false,
            resetting: None,
            requests: 0,
            cursors: FxHashMap::default(),
            idle_waiters: Vec::new(),
            notices: Vec::new(),
        };
        Ok(Link {
            event_loop,
            make_error,
            dialect,
            manner: Manner { documents, singles_are_exact },
            is_paused: AtomicBool::new(false),
            state: Mutex::new(state),
        })
    }

    // What asyncio calls.

    fn connection_made(&self, py: Python<'_>, transport: Py<PyAny>) -> PyResult<()> {
        let mut state = self.lock()?;
        state.transport = Some(transport);
        self.flush(py, &mut state);
        Ok(())
    }

    fn data_received(slf: &Bound<'_, Self>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let (link, py) = (slf.get(), slf.py());
        let mut state = link.lock()?;
        state.engine.receive(data.as_bytes());
        let was_streaming = state.is_streaming;
        link.digest(py, &mut state);
        let has_begun = state.is_streaming && !was_streaming;
        drop(state);
        stream_on_later(slf, has_begun)
    }

    /// The transport closes.
    fn eof_received(&self) -> bool {
        false
    }

    fn connection_lost(&self, py: Python<'_>, why: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let mut state = self.lock()?;
        let why = why.map(|why| format!("the connection was lost: {why}"));
        let wrong = state.engine.lost(why);
        self.end(py, &mut state, &wrong);
        state.transport = None;
        Ok(())
    }

    fn pause_writing(&self) {
        // It is called while something is written, so that nothing else may be touched.
        self.is_paused.store(true, Ordering::Relaxed);
    }

    fn resume_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().is_paused.store(false, Ordering::Relaxed);
        Self::stream_on(slf)
    }

    /// Sends more of a request that has many rows.
    fn stream_on(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (link, py) = (slf.get(), slf.py());
        if link.is_paused.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut state = link.lock()?;
        if state.phase != Phase::Open || !state.is_streaming {
            return Ok(());
        }
        if let Err(wrong) = Self::stream(py, &mut state) {
            link.end(py, &mut state, &wrong);
        }
        // Where nothing more was to be said everything may be answered already, so that no bytes come that would be looked
        // at. What waits behind it follows at once.
        link.digest(py, &mut state);
        let is_streaming = state.is_streaming;
        drop(state);
        stream_on_later(slf, is_streaming)
    }

    // Opening and closing.

    /// A future for the login: it gives `ready`, or `tls` where the stream is to be encrypted first.
    fn opened(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut state = self.lock()?;
        let future = self.future(py)?;
        state.opening = Some(future.clone_ref(py));
        if state.phase == Phase::Open {
            self.open_is_done(py, &mut state, Ok("ready"));
        } else if state.phase == Phase::Over {
            let error = self.exception(py, &Wrong::Lost("the connection was lost".to_owned()), None);
            self.open_is_done(py, &mut state, Err(error));
        }
        Ok(future)
    }

    /// The stream is encrypted from now on, by this transport; the certificate is the server's.
    fn encrypted(&self, py: Python<'_>, transport: Py<PyAny>, certificate: Option<&[u8]>) -> PyResult<()> {
        let end_point = certificate.and_then(naja_sql::end_point);
        let mut state = self.lock()?;
        state.transport = Some(transport);
        state.engine.tls_started(end_point).map_err(|wrong| self.exception(py, &wrong, None))?;
        self.flush(py, &mut state);
        Ok(())
    }

    /// Says goodbye and closes; what waits fails.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = self.lock()?;
        if state.phase == Phase::Over {
            return Ok(());
        }
        state.engine.terminate();
        self.flush(py, &mut state);
        // The transport writes what it has before it closes.
        let transport = state.transport.take();
        self.end(py, &mut state, &Wrong::Lost("the connection was closed".to_owned()));
        drop(state);
        if let Some(transport) = transport {
            transport.call_method0(py, intern!(py, "close"))?;
        }
        Ok(())
    }

    /// Closes without a word.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = self.lock()?;
        self.end(py, &mut state, &Wrong::Lost("the connection was given up".to_owned()));
        Ok(())
    }

    /// What it is in, as a sum: 1 it is open, 2 not everything that was asked is answered, 4 a transaction is open,
    /// 8 a statement may have set something that lasts.
    #[getter]
    fn condition(&self) -> PyResult<u8> {
        let state = self.lock()?;
        let is_open = state.phase == Phase::Open && state.engine.is_open();
        Ok(u8::from(is_open)
            + 2 * u8::from(!state.is_idle())
            + 4 * u8::from(state.resetting.is_none() && state.engine.transaction() != Transaction::None)
            + 8 * u8::from(state.has_traces))
    }

    /// How many requests it has had.
    #[getter]
    fn requests(&self) -> PyResult<u64> {
        Ok(self.lock()?.requests)
    }

    /// How another connection has the running statement cancelled: bytes, which it sends and nothing else, or a
    /// statement.
    #[getter]
    fn cancelling<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.lock()?.engine.cancelling().map(|how| match how {
            Cancelling::Message(message) => PyBytes::new(py, &message).into_any(),
            Cancelling::Statement(sql) => PyString::new(py, &sql).into_any(),
        }))
    }

    fn setting(&self, name: &str) -> PyResult<Option<String>> {
        Ok(self.lock()?.engine.setting(name))
    }

    /// What the server has remarked since the last call, the last hundred.
    fn take_notices(&self) -> PyResult<Vec<String>> {
        Ok(std::mem::take(&mut self.lock()?.notices))
    }

    /// A future for the moment when everything that was asked is answered.
    fn idle(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut state = self.lock()?;
        let future = self.future(py)?;
        if state.phase == Phase::Over || state.is_idle() {
            Self::settle(py, &future, Ok(py.None().into_bound(py)));
        } else {
            state.idle_waiters.push(future.clone_ref(py));
        }
        Ok(future)
    }

    /// Nobody waits for this future any more. True where its statement runs, nothing else was sent behind it, and the
    /// server could be asked to end it.
    fn cancel(&self, future: &Bound<'_, PyAny>) -> PyResult<bool> {
        let mut state = self.lock()?;
        let is_its = |request: &Request| request.future.as_ref().is_some_and(|known| known.is(future));
        if let Some(place) = state.waiting.iter().position(is_its) {
            let was_preparing = place == 0 && state.is_preparing;
            state.waiting.remove(place);
            return Ok(was_preparing && state.sent.len() == 1);
        }
        let count = state.sent.len();
        let found = state.sent.iter_mut().find_map(|sent| match sent {
            Sent::Request(request) | Sent::Ending(request) if is_its(request) => Some(request),
            _ => None,
        });
        let Some(request) = found else { return Ok(false) };
        (request.future, request.is_abandoned) = (None, true);
        request.rows.clear();
        Ok(count == 1)
    }

    // Requests.

    /// Runs a text with named places. What is wanted of it: 0 the first value, 1 the first row, 2 all rows, 3 all rows
    /// as a driver has them, 4 all that a cursor knows, 5 the last new id or the number of rows.
    fn text(
        &self,
        py: Python<'_>,
        want: u8,
        text: &str,
        given: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let plan = Plan::of_text(self.dialect, text);
        let row = named(self, py, &plan, given)?;
        let has_traces = !plan.is_traceless;
        self.ask(py, Work::Run { plan, row, want: wanted(want)? }, true, has_traces)
    }

    /// Runs a text once for each set of values.
    fn text_many(
        slf: &Bound<'_, Self>,
        text: &str,
        given: Vec<Option<Bound<'_, PyDict>>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let (link, py) = (slf.get(), slf.py());
        let plan = Plan::of_text(link.dialect, text);
        let rows = given.iter().map(|one| named(link, py, &plan, one.as_ref())).collect::<PyResult<_>>()?;
        Self::many(slf, plan, rows)
    }

    /// Runs SQL that is ready with values in order.
    fn run(
        &self,
        py: Python<'_>,
        want: u8,
        query: &Query,
        given: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let plan = Arc::clone(&query.plan);
        let has_traces = !plan.is_traceless;
        self.ask(py, Work::Run { plan, row: in_order(given)?, want: wanted(want)? }, true, has_traces)
    }

    /// Runs SQL that is ready once for each set of values.
    fn run_many(
        slf: &Bound<'_, Self>,
        query: &Query,
        given: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let rows = given.iter().map(in_order).collect::<PyResult<_>>()?;
        Self::many(slf, Arc::clone(&query.plan), rows)
    }

    /// Runs statements in text, without values and rows. `leaves_traces` says that the session is not the same after
    /// it; where nobody waits for it there is no future.
    #[pyo3(signature = (sql, *, waits=true, leaves_traces=false))]
    fn script(
        &self,
        py: Python<'_>,
        sql: String,
        waits: bool,
        leaves_traces: bool,
    ) -> PyResult<Option<Py<PyAny>>> {
        self.ask(py, Work::Script(sql), waits, leaves_traces)
    }

    /// Sets the session back for its next user; it can be asked at once, since this comes before.
    fn reset(&self, py: Python<'_>, sql: String) -> PyResult<()> {
        self.ask(py, Work::Script(sql), false, false)?;
        let mut state = self.lock()?;
        state.has_traces = false;
        state.resetting = Some(state.requests).filter(|_| !state.is_idle());
        Ok(())
    }

    /// The first rows of a text's result: the result's number, and a future for the rows and whether there are more.
    fn open_text(
        &self,
        py: Python<'_>,
        text: &str,
        given: Option<&Bound<'_, PyDict>>,
        rows: u32,
    ) -> PyResult<(u64, Option<Py<PyAny>>)> {
        let plan = Plan::of_text(self.dialect, text);
        let row = named(self, py, &plan, given)?;
        self.open(py, plan, row, rows)
    }

    /// The first rows of what SQL that is ready gives; as `open_text`.
    fn open_query(
        &self,
        py: Python<'_>,
        query: &Query,
        given: &Bound<'_, PyAny>,
        rows: u32,
    ) -> PyResult<(u64, Option<Py<PyAny>>)> {
        self.open(py, Arc::clone(&query.plan), in_order(given)?, rows)
    }

    /// The next rows of a result, and whether there are more.
    fn read_on(&self, py: Python<'_>, cursor: u64, rows: u32) -> PyResult<Option<Py<PyAny>>> {
        let plan = self.lock()?.cursors.get(&cursor).cloned();
        match plan {
            Some(plan) => self.ask(py, Work::Read { plan, cursor, rows }, true, false),
            None => Err(self.exception(py, &Wrong::Misuse("the result is closed".to_owned()), None)),
        }
    }

    /// Lets go of a result; nothing where it is gone, or the connection is.
    fn close_cursor(&self, py: Python<'_>, cursor: u64) -> PyResult<()> {
        let mut state = self.lock()?;
        let was_open = state.cursors.remove(&cursor).is_some() && state.phase == Phase::Open;
        drop(state);
        if was_open {
            self.ask(py, Work::Close { cursor }, false, false)?;
        }
        Ok(())
    }
}

impl Link {
    fn open(
        &self,
        py: Python<'_>,
        plan: Arc<Plan>,
        row: Py<PyTuple>,
        rows: u32,
    ) -> PyResult<(u64, Option<Py<PyAny>>)> {
        let cursor = {
            let mut state = self.lock()?;
            let cursor = state.requests + 1;
            state.cursors.insert(cursor, Arc::clone(&plan));
            cursor
        };
        let has_traces = !plan.is_traceless;
        let future = self.ask(py, Work::Open { plan, row, cursor, rows }, true, has_traces)?;
        Ok((cursor, future))
    }

    fn many(slf: &Bound<'_, Self>, plan: Arc<Plan>, rows: Vec<Py<PyTuple>>) -> PyResult<Option<Py<PyAny>>> {
        let (link, py) = (slf.get(), slf.py());
        let has_traces = !plan.is_traceless;
        let future = link.ask(py, Work::Many { plan, rows, next: 0 }, true, has_traces)?;
        let is_streaming = link.lock()?.is_streaming;
        stream_on_later(slf, is_streaming)?;
        Ok(future)
    }
}
