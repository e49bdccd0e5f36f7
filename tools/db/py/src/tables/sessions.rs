//! A database's connections: one for each thread, opened when it is first needed, and its transactions.
//!
//! What runs here runs while the interpreter is not held. A thread never waits for a lock of this file while it holds
//! the interpreter.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::ThreadId;

use naja_db::tables::Dialect;
use naja_sql::Transaction;
use naja_sql::sqlite::Definition;
use pyo3::prelude::*;

use crate::sqlite::functions;

use super::links::{Begin, Fault, Fetched, Given, Link, Place, Reading, Started, Wanted};

/// How many connections are kept open for the next transaction, as many as SQLAlchemy's pool keeps.
const KEPT_CONNECTIONS: usize = 5;

/// What belongs to no thread and to no interpreter.
pub(super) struct Shared {
    opener: Arc<Opener>,
    pub(super) is_in_memory: bool,
    is_closed: AtomicBool,
    /// The process whose connections these are: they may not be used after a fork.
    process: AtomicU32,
    sessions: Mutex<HashMap<ThreadId, (u64, Arc<Session>)>>,
    idle: Mutex<Vec<Box<dyn Link>>>,
    /// Tables are changed by one thread at a time, where the engine does not see to that.
    pub(super) schema: Mutex<()>,
}

/// How a connection is opened.
struct Opener {
    place: Place,
    on_connect: Vec<String>,
    is_interrupted: fn() -> bool,
    /// Functions of the program's that statements may call, in the order in which they were defined, and how many there are.
    functions: Mutex<Vec<Definition>>,
    functions_count: AtomicUsize,
}

/// A thread's connection.
pub(super) struct Session {
    state: Mutex<State>,
    process: u32,
    /// Statements whose results were dropped while somebody else used the connection.
    abandoned: Mutex<Vec<Reading>>,
    has_abandoned: AtomicBool,
}

/// A connection and the transactions that the program has begun in it.
pub(super) struct State {
    /// None in a child of the process that it belongs to.
    link: Option<Box<dyn Link>>,
    opener: Arc<Opener>,
    /// How many transactions of the program are open; only the outermost one is one of the database.
    depth: usize,
    /// The database has been told of it: it is told by the first statement that needs it.
    has_begun: bool,
}

/// So often what the server has ended in favour of another is begun: each time one of those who wait for each other goes on.
const TRIES: u32 = 30;

/// Of a poisoned lock what is in it: a panic leaves connections as they are, and databases keep their own books.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Opener {
    fn open(&self) -> Result<Box<dyn Link>, Fault> {
        let mut link = self.place.open(self.is_interrupted)?;
        link.take_functions(&lock(&self.functions))?;
        for statement in &self.on_connect {
            link.script(statement)?;
        }
        Ok(link)
    }
}

impl State {
    /// The connection, ready for a statement: a new one where the other end is gone and no transaction went with it.
    pub(super) fn link(&mut self) -> Result<&mut dyn Link, Fault> {
        let is_there = match &mut self.link {
            // In a transaction it would be asked in vain: what is lost is lost.
            Some(link) => link.is_usable() && (link.transaction() != Transaction::None || link.look()),
            None => false,
        };
        if !is_there {
            if self.has_begun {
                return Err(Fault::BROKEN);
            }
            self.link = Some(self.opener.open()?);
        }
        let link = self.link.as_deref_mut().ok_or(Fault::Foreign)?;
        if link.functions() != self.opener.functions_count.load(Ordering::Relaxed) {
            match link.take_functions(&lock(&self.opener.functions)) {
                // A statement that is read calls the one that was there before. It is done by the next one.
                Err(fault) if fault.is_locked() => {}
                defined => defined?,
            }
        }
        Ok(link)
    }

    /// Lets statements call a function of the program's, in this connection and all others of the database.
    pub(super) fn define(&mut self, function: Definition) -> Result<(), Fault> {
        self.link()?;
        let opener = self.opener.clone();
        let mut functions = lock(&opener.functions);
        functions.push(function);
        let defined = match &mut self.link {
            Some(link) => link.take_functions(&functions),
            None => Err(Fault::Foreign),
        };
        if defined.is_err() {
            functions.pop();
        }
        opener.functions_count.store(functions.len(), Ordering::Relaxed);
        defined
    }

    /// Whether the database has a transaction open.
    pub(super) fn is_in_transaction(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.transaction() != Transaction::None)
    }

    /// Whether the program has one open.
    pub(super) fn is_in_transaction_of_program(&self) -> bool {
        self.depth > 0
    }

    /// Reads something, in the transaction of the program where that holds for reading too.
    pub(super) fn read<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Link) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.opener.place.dialect() != Dialect::Sqlite {
            self.begin_if_due()?;
        }
        work(self.link()?)
    }

    /// Runs something that writes, in the transaction of the program or in one of its own.
    ///
    /// `in_one` says that it is more than one statement, which are all done or none.
    pub(super) fn write<T>(
        &mut self,
        in_one: bool,
        mut work: impl FnMut(&mut dyn Link) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.begin_if_due()?;
        let is_open = self.is_in_transaction();
        let begins = in_one && !is_open;
        let mut tries = 1;
        let done = loop {
            let link = self.link()?;
            if begins {
                link.begin(Begin::Writing)?;
            }
            let done = work(link);
            // Of two that wait for each other the server undoes one whole, which is all of it where nothing was open. SQLite
            // refuses at once what has read before another wrote, and nothing of it is done.
            let ended = matches!(&done, Err(fault) if fault.is_deadlock());
            if !ended || is_open || self.depth > 0 || tries == TRIES {
                break done;
            }
            tries += 1;
            self.undo();
        };
        if self.depth > 0 || !self.is_in_transaction() {
            return done;
        }
        match done {
            // What another face of this connection has begun is committed with it, as in the original.
            Ok(done) => self.link()?.commit().map(|()| done),
            Err(error) => {
                if begins {
                    self.undo();
                }
                Err(error)
            }
        }
    }

    /// Runs a statement of the user's and reads its first rows; where there are more, it stays to be read on.
    ///
    /// `begins` begins a transaction, which nobody but the user ends.
    pub(super) fn start(
        &mut self,
        sql: &str,
        given: &Given<'_>,
        begins: bool,
        wanted: Wanted,
        rows: &mut Fetched,
    ) -> Result<(Option<Reading>, Started), Fault> {
        if self.opener.place.dialect() != Dialect::Sqlite {
            self.begin_if_due()?;
        }
        let (reading, writes) = self.link()?.prepare(sql)?;
        let begun = if writes { self.begin_if_due() } else { Ok(()) };
        let is_open = self.is_in_transaction();
        let link = self.link.as_mut().ok_or(Fault::Foreign)?;
        let started = begun
            .and_then(|()| if begins && !is_open { link.begin(Begin::Deferred) } else { Ok(()) })
            .and_then(|()| link.start(&reading, given, wanted, rows));
        match started {
            Ok(started) if started.has_more => Ok((Some(reading), started)),
            other => {
                link.release(reading);
                other.map(|started| (None, started))
            }
        }
    }

    /// Tells the database of the program's transaction, if it is not told yet.
    fn begin_if_due(&mut self) -> Result<(), Fault> {
        if self.depth == 0 {
            return Ok(());
        }
        if self.has_begun {
            let link = self.link.as_ref().filter(|link| link.is_usable()).ok_or(Fault::BROKEN)?;
            return if link.transaction() == Transaction::None { Err(Fault::ROLLED_BACK) } else { Ok(()) };
        }
        let link = self.link()?;
        if link.transaction() == Transaction::None {
            // At once for writing, so that it waits for others here and not in the middle.
            link.begin(Begin::Writing)?;
        }
        self.has_begun = true;
        Ok(())
    }

    /// Begins a transaction of the program's; one within another is a part of it.
    pub(super) fn begin(&mut self) {
        self.depth += 1;
    }

    /// Ends a transaction of the program's: whether there was one, and whether it was the outermost, which is committed.
    pub(super) fn commit(&mut self) -> Result<(bool, bool), Fault> {
        if self.depth == 0 {
            return Ok((false, false));
        }
        self.depth -= 1;
        if self.depth > 0 {
            return Ok((true, false));
        }
        let has_begun = std::mem::take(&mut self.has_begun);
        let is_usable = self.link.as_ref().is_some_and(|link| link.is_usable());
        if has_begun && !is_usable {
            return Err(Fault::BROKEN);
        }
        match self.link.as_mut().map(|link| (link.transaction(), link)) {
            Some((Transaction::Open, link)) => link.commit()?,
            Some((Transaction::Failed, link)) => {
                link.rollback();
                return Err(Fault::ROLLED_BACK);
            }
            Some((Transaction::None, _)) | None if has_begun => return Err(Fault::ROLLED_BACK),
            Some((Transaction::None, _)) | None => {}
        }
        Ok((true, true))
    }

    /// Ends a transaction of the program's: whether there was one, and whether it was the outermost, which is undone.
    pub(super) fn rollback(&mut self) -> (bool, bool) {
        if self.depth == 0 {
            return (false, false);
        }
        self.depth -= 1;
        if self.depth == 0 {
            self.has_begun = false;
            self.undo();
        }
        (true, self.depth == 0)
    }

    /// Commits what another face of this connection has begun.
    pub(super) fn commit_outside(&mut self) -> Result<(), Fault> {
        match self.is_in_transaction() {
            true => self.link()?.commit(),
            false => Ok(()),
        }
    }

    /// Undoes what is open.
    pub(super) fn undo(&mut self) {
        if self.is_in_transaction()
            && let Some(link) = &mut self.link
        {
            link.rollback();
        }
    }
}

impl Session {
    fn new(link: Box<dyn Link>, opener: Arc<Opener>) -> Arc<Session> {
        let state = State { link: Some(link), opener, depth: 0, has_begun: false };
        Arc::new(Session {
            state: Mutex::new(state),
            process: std::process::id(),
            abandoned: Mutex::new(Vec::new()),
            has_abandoned: AtomicBool::new(false),
        })
    }

    /// Runs something with the connection. The interpreter must not be held, and not [`Session::is_inside`].
    pub(super) fn run<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let _running = Running::begin(self);
        drop(functions::cause());
        if self.has_abandoned.swap(false, Ordering::Relaxed) {
            let abandoned = std::mem::take(&mut *lock(&self.abandoned));
            if let Some(link) = &mut state.link {
                abandoned.into_iter().for_each(|reading| link.release(reading));
            }
        }
        work(&mut state)
    }

    /// Whether this thread is in the middle of a statement of this connection, in a function that it calls.
    pub(super) fn is_inside(&self) -> bool {
        RUNNING.with_borrow(|running| running.contains(&ptr::from_ref(self).addr()))
    }

    /// Reads the next rows of a statement; not [`Session::is_inside`].
    pub(super) fn fetch(&self, reading: &Reading, step: usize, rows: &mut Fetched) -> Result<bool, Fault> {
        if self.process != std::process::id() {
            return Err(Fault::Foreign);
        }
        self.run(|state| match &mut state.link {
            Some(link) => link.fetch(reading, step, rows),
            None => Err(Fault::Foreign),
        })
    }

    /// Takes back the statement of a result that nobody reads on, now or when the connection is used next.
    pub(super) fn abandon(&self, reading: Reading) {
        if self.process != std::process::id() {
            return;
        }
        match self.state.try_lock() {
            Ok(mut state) => {
                if let Some(link) = &mut state.link {
                    link.release(reading);
                }
            }
            Err(_) => {
                lock(&self.abandoned).push(reading);
                self.has_abandoned.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// This thread runs something with a connection.
struct Running;

impl Running {
    fn begin(session: &Session) -> Running {
        // A thread that is ending has no such list any more, and calls no functions.
        let _ = RUNNING.try_with(|running| running.borrow_mut().push(ptr::from_ref(session).addr()));
        Running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = RUNNING.try_with(|running| running.borrow_mut().pop());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            // Closing it here would say goodbye for the parent.
            std::mem::forget(state.link.take());
        }
    }
}

impl Shared {
    pub(super) fn new(place: Place, on_connect: Vec<String>, is_interrupted: fn() -> bool) -> Shared {
        Shared {
            is_in_memory: place.is_in_memory(),
            opener: Arc::new(Opener {
                place,
                on_connect,
                is_interrupted,
                functions: Mutex::new(Vec::new()),
                functions_count: AtomicUsize::new(0),
            }),
            is_closed: AtomicBool::new(false),
            process: AtomicU32::new(std::process::id()),
            sessions: Mutex::new(HashMap::new()),
            idle: Mutex::new(Vec::new()),
            schema: Mutex::new(()),
        }
    }

    /// Where the database is.
    pub(super) fn place(&self) -> &Place {
        &self.opener.place
    }

    /// Lets statements of connections that are opened later call a function of the program's, and all others when they are
    /// used next.
    pub(super) fn define(&self, function: Definition) {
        let mut functions = lock(&self.opener.functions);
        functions.push(function);
        self.opener.functions_count.store(functions.len(), Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// This thread's connection, where it has one.
    pub(super) fn known(&self) -> Option<Arc<Session>> {
        let process = std::process::id();
        if self.process.load(Ordering::Relaxed) != process {
            self.process.store(process, Ordering::Relaxed);
            // A child of the process whose connections these are. They are not closed here: that would take away the
            // locks of the parent's file, or say goodbye to the parent's server.
            std::mem::take(&mut *lock(&self.sessions)).into_values().for_each(std::mem::forget);
            std::mem::take(&mut *lock(&self.idle)).into_iter().for_each(std::mem::forget);
        }
        lock(&self.sessions).get(&std::thread::current().id()).map(|(_, session)| session.clone())
    }

    /// A connection for this thread, which Python calls `number`.
    pub(super) fn open(self: &Arc<Self>, number: u64) -> Result<Arc<Session>, Fault> {
        let idle = lock(&self.idle).pop();
        let link = match idle {
            Some(link) => link,
            None => self.opener.open()?,
        };
        let session = Session::new(link, self.opener.clone());
        lock(&self.sessions).insert(std::thread::current().id(), (number, session.clone()));
        // A thread that is ending already has no such place; its connection then goes with the database.
        let _ = AT_THREAD_END.try_with(|end| end.0.borrow_mut().push(Arc::downgrade(self)));
        Ok(session)
    }

    /// The threads that have a connection, by Python's numbers.
    pub(super) fn threads(&self) -> Vec<u64> {
        lock(&self.sessions).values().map(|(number, _)| *number).collect()
    }

    /// Whether a table is changed within a transaction while other threads run.
    pub(super) fn is_changed_in_threads(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(session) = self.known().filter(|session| !session.is_inside()) else { return Ok(false) };
        if !py.detach(|| session.run(|state| state.depth > 0)) {
            return Ok(false);
        }
        let count: usize = py.import("threading")?.call_method0("active_count")?.extract()?;
        Ok(count > 1)
    }

    /// Gives back this thread's connection after a transaction; a database in memory would end with it.
    pub(super) fn release(&self) {
        if !self.is_in_memory {
            self.forget(std::thread::current().id());
        }
    }

    fn forget(&self, thread: ThreadId) {
        let session = lock(&self.sessions).remove(&thread);
        // While somebody still reads a result, the connection stays that result's.
        let Some(session) = session.and_then(|(_, session)| Arc::into_inner(session)) else { return };
        let link = session.run(|state| {
            state.undo();
            state.link.take()
        });
        let mut idle = lock(&self.idle);
        if let Some(link) = link
            && link.is_usable()
            && idle.len() < KEPT_CONNECTIONS
            && !self.is_closed()
            && !self.is_in_memory
        {
            idle.push(link);
        }
    }

    /// Closes every connection; what was not committed is undone.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        let sessions = std::mem::take(&mut *lock(&self.sessions));
        let idle = std::mem::take(&mut *lock(&self.idle));
        for (_, session) in sessions.into_values() {
            session.run(|state| {
                state.depth = 0;
                state.has_begun = false;
                state.undo();
            });
        }
        drop(idle);
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
    /// The connections whose statements run in this thread, each called by a function of the one before.
    static RUNNING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    static AT_THREAD_END: AtThreadEnd = const { AtThreadEnd(RefCell::new(Vec::new())) };
}
