//! A connection and the statements compiled in it.
#![allow(unsafe_code)] // SQLite's own functions; each block gives its reason

use std::cell::Cell as StdCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::library::{
    BLOB, BUSY, DONE, INTEGER, LIMIT_LENGTH, LIMIT_PARAMETERS, Library, MISUSE, NOMEM, OK, REAL, ROW,
    RawConnection, RawStatement, STATIC, STATUS_REPREPARE, TEXT, TOO_BIG, TRANSIENT,
};
use super::program::is_short;
use super::{Cell, Definition, Error, Result, Rows, Value, functions};

/// How many compiled statements are kept for their next use.
const KEPT_STATEMENTS: usize = 128;

/// After so many of SQLite's instructions, some milliseconds, a long statement asks whether it is to go on.
const ASK_EVERY: c_int = 50_000;

/// The same for a statement that is in a hurry: some microseconds.
const ASK_OFTEN: c_int = 100;

/// No value or row of a statement that is in a hurry is longer: each is copied at once.
const LENGTH_IN_A_HURRY: c_int = 64 << 10;

/// How a file is opened; a name that begins with `file:` may say more when `as_uri` is set.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Nothing may be written.
    pub read_only: bool,
    /// A file that is not there is made.
    pub create: bool,
    /// The name is a URI, as SQLite's documentation describes them.
    pub as_uri: bool,
    /// How long a statement waits for a lock that another connection has.
    pub patience: Duration,
    /// Asked now and then while a statement runs or waits; `true` ends it with an error (code 9).
    pub is_to_end: Option<fn() -> bool>,
}

impl Default for How {
    fn default() -> How {
        How {
            read_only: false,
            create: true,
            as_uri: false,
            patience: Duration::from_secs(5),
            is_to_end: None,
        }
    }
}

/// A statement of a connection: its place there, which is given back by [`Connection::release`].
#[derive(Debug, PartialEq, Eq)]
pub struct StatementId(usize);

/// A connection to a database file, or to a database in memory.
///
/// It is used by one thread at a time and may move between threads.
pub struct Connection {
    library: &'static Library,
    raw: NonNull<RawConnection>,
    statements: Vec<Option<Statement>>,
    /// Compiled and not in use, by their text.
    idle: HashMap<Box<str>, usize>,
    /// Counts uses, so that the statement that was used longest ago can be told.
    uses: u64,
    /// What SQLite's handlers are given; it stays where it is as long as the connection is open.
    waiting: Box<Waiting>,
    parameters_max: usize,
}

struct Statement {
    raw: NonNull<RawStatement>,
    text: Box<str>,
    last_use: u64,
    is_read_only: bool,
    /// How often it had been compiled anew when the next two were found out.
    reprepares: c_int,
    names: Option<Arc<[String]>>,
    is_short: Option<bool>,
}

struct Waiting {
    patience: Duration,
    is_to_end: Option<fn() -> bool>,
    /// A statement in a hurry ends then, and waits for no lock.
    until: StdCell<Option<Instant>>,
    since: StdCell<Option<Instant>>,
}

impl Statement {
    /// What was found out counts no more when it has been compiled anew since.
    fn forget_unless(&mut self, reprepares: c_int) {
        if self.reprepares != reprepares {
            self.reprepares = reprepares;
            self.names = None;
            self.is_short = None;
        }
    }
}

// SAFETY: SQLite's connections and statements belong to no thread (a library compiled for a single thread is refused).
// They must not be used by two at once: every use needs the connection mutably, and it is not `Sync`.
unsafe impl Send for Connection {}

impl Connection {
    /// Opens a file; `:memory:` and an empty name are databases that end with the connection.
    ///
    /// Errors: SQLite's own (14 where the file cannot be opened); 21 where the name holds a NUL character
    pub fn open(library: &'static Library, name: &str, how: How) -> Result<Connection> {
        // The flags are SQLITE_OPEN_READONLY, _READWRITE, _CREATE, _URI, _NOMUTEX and _EXRESCODE.
        let mut flags = if how.read_only { 0x1 } else { 0x2 };
        flags |= if how.create && !how.read_only { 0x4 } else { 0 };
        flags |= if how.as_uri { 0x40 } else { 0 };
        // Two threads never use a connection at once, so that it needs no locks of its own. Nor does it share pages with
        // other connections unless the URI says so: they would wait for each other (SQLITE_OPEN_PRIVATECACHE).
        flags |= 0x8000 | 0x40000;
        let path = CString::new(name)
            .map_err(|_| Error::new(MISUSE, "the name of the file holds a NUL character"))?;
        let mut raw = ptr::null_mut();
        // SAFETY: the name ends with NUL, the place for the answer is ours, and no other file layer is asked for.
        let code = unsafe { (library.functions.open_v2)(path.as_ptr(), &raw mut raw, flags, ptr::null()) };
        let Some(raw) = NonNull::new(raw) else { return Err(Error::new(NOMEM, "out of memory")) };
        let waiting = Waiting {
            patience: how.patience,
            is_to_end: how.is_to_end,
            until: StdCell::new(None),
            since: StdCell::new(None),
        };
        let mut connection = Connection {
            library,
            raw,
            statements: Vec::new(),
            idle: HashMap::new(),
            uses: 0,
            waiting: Box::new(waiting),
            parameters_max: 0,
        };
        // A connection that failed to open is still one, to ask why and to close.
        connection.check(code)?;
        let context = connection.context();
        // SAFETY: the connection is open. What the handlers are given lives in a box that is dropped after `close`
        // has been called, and is only read, by the thread that uses the connection.
        unsafe {
            (library.functions.busy_handler)(raw.as_ptr(), Some(wait_for_lock), context);
            connection.parameters_max =
                usize::try_from((library.functions.limit)(raw.as_ptr(), LIMIT_PARAMETERS, -1)).unwrap_or(999);
        }
        connection.ask_as_ever();
        Ok(connection)
    }

    /// Does something in a hurry, for a thread that must not be held up. A statement waits for no lock (code 5), ends
    /// with code 9 when the time is over, and with code 18 at a value of more than 64 KiB.
    ///
    /// That holds for a statement of [`Connection::take_short`]. What nobody can bound is the disk: a page that is not in memory
    /// is waited for, as is the undoing of a transaction whose process was killed.
    pub fn in_a_hurry<T>(&mut self, time: Duration, work: impl FnOnce(&mut Connection) -> T) -> T {
        /// Ends the hurry, whatever becomes of the work.
        struct Hurry<'a>(&'a mut Connection, c_int);
        impl Drop for Hurry<'_> {
            fn drop(&mut self) {
                self.0.waiting.until.set(None);
                // SAFETY: the connection is open.
                unsafe { (self.0.library.functions.limit)(self.0.raw.as_ptr(), LIMIT_LENGTH, self.1) };
                self.0.ask_as_ever();
            }
        }
        self.waiting.until.set(Some(Instant::now() + time));
        let context = self.context();
        // SAFETY: the connection is open; for the handler's context see `open`.
        let length_max = unsafe {
            (self.library.functions.progress_handler)(self.raw.as_ptr(), ASK_OFTEN, Some(ask), context);
            (self.library.functions.limit)(self.raw.as_ptr(), LIMIT_LENGTH, LENGTH_IN_A_HURRY)
        };
        work(Hurry(self, length_max).0)
    }

    /// Lets SQLite ask now and then whether a statement is to go on.
    fn ask_as_ever(&mut self) {
        let context = self.context();
        // SAFETY: the connection is open; for the handler's context see `open`.
        unsafe {
            if self.waiting.is_to_end.is_some() {
                (self.library.functions.progress_handler)(self.raw.as_ptr(), ASK_EVERY, Some(ask), context);
            } else {
                (self.library.functions.progress_handler)(self.raw.as_ptr(), 0, None, ptr::null_mut());
            }
        }
    }

    /// What handlers are given.
    fn context(&self) -> *mut c_void {
        (&raw const *self.waiting).cast_mut().cast()
    }

    /// The library that it goes through.
    pub fn library(&self) -> &'static Library {
        self.library
    }

    /// How many parameters a statement may have: 32,766, or 999 before SQLite 3.32.
    pub fn parameters_max(&self) -> usize {
        self.parameters_max
    }

    /// Whether a transaction is open.
    pub fn is_in_transaction(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { (self.library.functions.get_autocommit)(self.raw.as_ptr()) == 0 }
    }

    /// How many rows the last INSERT, UPDATE or DELETE changed.
    pub fn changes(&self) -> i64 {
        // SAFETY: the connection is open.
        i64::from(unsafe { (self.library.functions.changes)(self.raw.as_ptr()) })
    }

    /// The row id of the last row that was inserted.
    pub fn last_insert_rowid(&self) -> i64 {
        // SAFETY: the connection is open.
        unsafe { (self.library.functions.last_insert_rowid)(self.raw.as_ptr()) }
    }

    /// Forgets that row id, as if the connection were a new one.
    pub fn forget_last_insert_rowid(&mut self) {
        // SAFETY: the connection is open.
        unsafe { (self.library.functions.set_last_insert_rowid)(self.raw.as_ptr(), 0) };
    }

    /// Lets statements call a function of the program's own, or sort by one.
    ///
    /// Errors: 5 where a statement that is running may use the one that it replaces; 21 for a name or a number of arguments
    ///         that no function can have
    /// Cost:   statements that use no such function cost what they did
    pub fn define(&mut self, definition: &Definition) -> Result<()> {
        // SAFETY: the connection is open.
        let code = unsafe { functions::define(&self.library.functions, self.raw, definition) }?;
        self.check(code)
    }

    /// Runs every statement of a text that needs no values, and drops their rows.
    ///
    /// SQLite refuses some at once and asks nobody whether to wait: `PRAGMA journal_mode = WAL` while another opens the
    /// file. Outside of a transaction nothing of these is done, so that they are tried again for as long as locks are waited for.
    ///
    /// Errors: of the first that fails; those before it have been done
    pub fn run_script(&mut self, text: &str) -> Result<()> {
        let mut rest = text;
        loop {
            let (raw, after) = self.compile(rest)?;
            let done = rest.len() - after;
            if let Some(raw) = raw {
                let id = self.place(raw, &rest[..done]);
                let run = self.step_patiently(id.0);
                self.discard(id.0);
                run?;
            }
            if after == 0 {
                return Ok(());
            }
            rest = &rest[done..];
        }
    }

    fn step_patiently(&mut self, index: usize) -> Result<()> {
        let started = Instant::now();
        let mut times = 0;
        loop {
            let run = self.step_to_end(index);
            let is_refused = matches!(&run, Err(error) if error.primary() == BUSY);
            if !is_refused || self.is_in_transaction() || started.elapsed() >= self.waiting.patience {
                return run;
            }
            // SAFETY: the context is this connection's own.
            if unsafe { wait_for_lock(self.context(), times) } == 0 {
                return run;
            }
            times += 1;
        }
    }

    /// Runs one statement with its values, to its end; rows are dropped. The same text again is not compiled again.
    ///
    /// Errors: SQLite's own; 21 where the number of values is not the number of parameters
    pub fn run(&mut self, text: &str, values: &[Value<'_>]) -> Result<()> {
        let id = self.prepare(text)?;
        let run = self.run_prepared(&id, values);
        self.release(id);
        run
    }

    /// The same for a statement at hand, which is ready again afterwards.
    pub fn run_prepared(&mut self, id: &StatementId, values: &[Value<'_>]) -> Result<()> {
        // The texts outlive this call, and the statement forgets them before it ends.
        let run = self.bind(id.0, values, STATIC).and_then(|()| self.step_to_end(id.0));
        self.reset(id.0, !values.is_empty());
        run
    }

    /// Runs one statement and reads its rows, `rows_max` at most.
    pub fn read(&mut self, text: &str, values: &[Value<'_>], rows_max: usize, rows: &mut Rows) -> Result<()> {
        let id = self.prepare(text)?;
        let read = self.bind(id.0, values, STATIC).and_then(|()| {
            rows.clear(0);
            while rows.len() < rows_max && self.step(id.0)? {
                self.keep_row(&id, rows);
            }
            Ok(())
        });
        self.release(id);
        read
    }

    /// Compiles a statement, or takes it as it was compiled before.
    ///
    /// Errors: SQLite's own; 21 where the text holds no statement or more than one
    pub fn prepare(&mut self, text: &str) -> Result<StatementId> {
        self.uses += 1;
        if let Some(index) = self.idle.remove(text) {
            return Ok(StatementId(index));
        }
        let (raw, after) = self.compile(text)?;
        let Some(raw) = raw else { return Err(Error::new(MISUSE, "there is no statement to run")) };
        let id = self.place(raw, text);
        // What follows may be blank or a comment, but no second statement.
        let rest = &text[text.len() - after..];
        match if rest.trim().is_empty() { Ok((None, 0)) } else { self.compile(rest) } {
            Ok((None, _)) => Ok(id),
            Ok((Some(second), _)) => {
                // SAFETY: it was compiled just now and is used by nobody.
                unsafe { (self.library.functions.finalize)(second.as_ptr()) };
                self.discard(id.0);
                Err(Error::new(MISUSE, "only one statement can be run at a time"))
            }
            Err(error) => {
                self.discard(id.0);
                Err(error)
            }
        }
    }

    /// Takes a statement that is compiled, only reads, and is known to be made of short steps, see [`Connection::judge`].
    pub fn take_short(&mut self, text: &str) -> Option<StatementId> {
        let index = *self.idle.get(text)?;
        let reprepares = self.reprepares(index);
        let statement = self.statements[index].as_ref()?;
        if statement.is_short != Some(true) || statement.reprepares != reprepares {
            return None;
        }
        self.uses += 1;
        self.idle.remove(text);
        Some(StatementId(index))
    }

    /// Finds out whether a statement only reads and is made of short steps, so that it can be ended in time; remembered with it.
    ///
    /// Cost: the statement is compiled twice, once for each time that it is compiled at all
    pub fn judge(&mut self, id: &StatementId) {
        let reprepares = self.reprepares(id.0);
        let Some(statement) = self.statements[id.0].as_mut() else { return };
        statement.forget_unless(reprepares);
        if statement.is_short.is_some() {
            return;
        }
        let (text, is_read_only) = (statement.text.clone(), statement.is_read_only);
        let is_short = is_read_only && self.has_short_steps(&text);
        if let Some(statement) = self.statements[id.0].as_mut() {
            statement.is_short = Some(is_short);
        }
    }

    fn has_short_steps(&mut self, text: &str) -> bool {
        let Ok((Some(raw), _)) = self.compile(&format!("EXPLAIN {text}")) else { return false };
        let id = self.place(raw, "");
        let mut rows = Rows::default();
        let read = self.fetch_all(&id, &mut rows);
        self.discard(id.0);
        let text_of = |cell: Cell<'_>| match cell {
            Cell::Text(text) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        };
        // Each is its address, its name, three numbers, `p4`, and more.
        read.is_ok()
            && rows.columns() > 5
            && (0..rows.len()).all(|number| {
                let cells: Vec<String> = rows.row(number).map(text_of).collect();
                is_short(&cells[1], &cells[5])
            })
    }

    /// How often a statement was compiled anew, since a table had changed.
    fn reprepares(&self, index: usize) -> c_int {
        // SAFETY: the statement is compiled; a zero leaves the counter as it is.
        unsafe { (self.library.functions.stmt_status)(self.raw_statement(index), STATUS_REPREPARE, 0) }
    }

    /// The names of the columns of a statement that has begun; the same ones again as long as it is not compiled anew.
    pub fn column_names(&mut self, id: &StatementId) -> Arc<[String]> {
        let reprepares = self.reprepares(id.0);
        if let Some(statement) = self.statements[id.0].as_mut() {
            statement.forget_unless(reprepares);
            if let Some(names) = &statement.names {
                return names.clone();
            }
        }
        let names: Arc<[String]> = (0..self.columns(id)).map(|column| self.column_name(id, column)).collect();
        if let Some(statement) = self.statements[id.0].as_mut() {
            statement.names = Some(names.clone());
        }
        names
    }

    /// Gives the values to a statement whose rows are read by [`Connection::fetch`]; texts are copied.
    pub fn start(&mut self, id: &StatementId, values: &[Value<'_>]) -> Result<()> {
        self.bind(id.0, values, TRANSIENT)
    }

    /// Reads the next rows, `rows_max` at most and fewer when there is much text in them; whether there are more.
    pub fn fetch(&mut self, id: &StatementId, rows_max: usize, rows: &mut Rows) -> Result<bool> {
        rows.clear(0);
        while rows.len() < rows_max && !rows.is_full() {
            if !self.step(id.0)? {
                return Ok(false);
            }
            self.keep_row(id, rows);
        }
        Ok(true)
    }

    /// Reads all rows that are left, however much text is in them.
    pub fn fetch_all(&mut self, id: &StatementId, rows: &mut Rows) -> Result<()> {
        rows.clear(0);
        while self.step(id.0)? {
            self.keep_row(id, rows);
        }
        Ok(())
    }

    /// Ends a statement's run and keeps it for its next use.
    pub fn release(&mut self, id: StatementId) {
        self.reset(id.0, true);
        let uses = self.uses;
        let Some(statement) = self.statements[id.0].as_mut() else { return };
        statement.last_use = uses;
        let text = statement.text.clone();
        if let Some(twin) = self.idle.insert(text, id.0) {
            self.discard(twin);
        }
        if self.idle.len() > KEPT_STATEMENTS {
            let oldest = self.idle.values().copied().min_by_key(|index| {
                self.statements[*index].as_ref().map_or(0, |statement| statement.last_use)
            });
            if let Some(index) = oldest {
                if let Some(statement) = &self.statements[index] {
                    self.idle.remove(&statement.text);
                }
                self.discard(index);
            }
        }
    }

    /// How many columns a statement's rows have; none where it gives no rows. Its first row may tell otherwise: when a
    /// table has changed, the statement is compiled anew by then.
    pub fn columns(&self, id: &StatementId) -> usize {
        // SAFETY: the statement is compiled.
        let count = unsafe { (self.library.functions.column_count)(self.raw_statement(id.0)) };
        usize::try_from(count).unwrap_or(0)
    }

    /// The name of a column of the result.
    pub fn column_name(&self, id: &StatementId, column: usize) -> String {
        self.text_of(id, column, self.library.functions.column_name).unwrap_or_default()
    }

    /// The type that a column of the result was declared with, where it is a column of a table.
    pub fn column_type(&self, id: &StatementId, column: usize) -> Option<String> {
        self.text_of(id, column, self.library.functions.column_decltype)
    }

    /// Whether a statement changes nothing in the database.
    pub fn is_read_only(&self, id: &StatementId) -> bool {
        self.statements[id.0].as_ref().is_some_and(|statement| statement.is_read_only)
    }

    /// The names of a statement's parameters in order, with their first letter (`:name`); none for a bare `?`.
    pub fn parameters(&self, id: &StatementId) -> Vec<Option<String>> {
        let statement = self.raw_statement(id.0);
        // SAFETY: the statement is compiled.
        let count = unsafe { (self.library.functions.bind_parameter_count)(statement) };
        (1..=count)
            .map(|number| {
                // SAFETY: the number is in range; the text lives as long as the statement.
                let name = unsafe { (self.library.functions.bind_parameter_name)(statement, number) };
                // SAFETY: it is null or ends with NUL.
                (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
            })
            .collect()
    }

    fn text_of(
        &self,
        id: &StatementId,
        column: usize,
        function: unsafe extern "C" fn(*mut RawStatement, c_int) -> *const c_char,
    ) -> Option<String> {
        let column = c_int::try_from(column).ok()?;
        // SAFETY: the statement is compiled; for a column that it has not the answer is null.
        let text = unsafe { function(self.raw_statement(id.0), column) };
        // SAFETY: a text that is there ends with NUL and lives until the statement is used again.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    }

    /// Compiles the first statement of a text; how many bytes of the text are left behind it.
    fn compile(&mut self, text: &str) -> Result<(Option<NonNull<RawStatement>>, usize)> {
        if text.contains('\0') {
            return Err(Error::new(MISUSE, "the statement holds a NUL character"));
        }
        let length =
            c_int::try_from(text.len()).map_err(|_| Error::new(TOO_BIG, "the statement is too long"))?;
        let start: *const c_char = text.as_ptr().cast();
        let mut raw = ptr::null_mut();
        let mut tail = ptr::null();
        // SAFETY: the text has that many bytes, and the places for the answers are ours.
        let code = unsafe {
            (self.library.functions.prepare_v2)(self.raw.as_ptr(), start, length, &raw mut raw, &raw mut tail)
        };
        self.check(code)?;
        let done = if tail.is_null() { text.len() } else { tail.addr() - start.addr() };
        Ok((NonNull::new(raw), text.len().saturating_sub(done)))
    }

    /// Gives a compiled statement its place.
    fn place(&mut self, raw: NonNull<RawStatement>, text: &str) -> StatementId {
        // SAFETY: it was compiled just now.
        let is_read_only = unsafe { (self.library.functions.stmt_readonly)(raw.as_ptr()) != 0 };
        let statement = Statement {
            raw,
            text: text.into(),
            last_use: self.uses,
            is_read_only,
            reprepares: 0,
            names: None,
            is_short: None,
        };
        match self.statements.iter().position(Option::is_none) {
            Some(index) => {
                self.statements[index] = Some(statement);
                StatementId(index)
            }
            None => {
                self.statements.push(Some(statement));
                StatementId(self.statements.len() - 1)
            }
        }
    }

    /// Drops a statement that nobody uses.
    fn discard(&mut self, index: usize) {
        if let Some(statement) = self.statements[index].take() {
            // SAFETY: it was compiled by this connection and is not used after this.
            unsafe { (self.library.functions.finalize)(statement.raw.as_ptr()) };
        }
    }

    fn raw_statement(&self, index: usize) -> *mut RawStatement {
        self.statements[index].as_ref().expect("a statement in use is not dropped").raw.as_ptr()
    }

    /// Gives values to the parameters of a statement that is not running.
    ///
    /// With `STATIC`, texts and bytes must stay until the values are cleared: both callers do that before they return.
    fn bind(&mut self, index: usize, values: &[Value<'_>], kept: isize) -> Result<()> {
        let functions = &self.library.functions;
        let statement = self.raw_statement(index);
        // SAFETY: the statement is compiled.
        let count = unsafe { (functions.bind_parameter_count)(statement) };
        if usize::try_from(count) != Ok(values.len()) {
            let message =
                format!("the statement has {count} parameters, and {} values were given", values.len());
            return Err(Error::new(MISUSE, message));
        }
        for (number, value) in (1..).zip(values) {
            // SAFETY: the statement is not running, the number is in range, and of texts and bytes the true length is
            // given; how long they live is said above.
            let code = unsafe {
                match value {
                    Value::Null => (functions.bind_null)(statement, number),
                    Value::Integer(value) => (functions.bind_int64)(statement, number, *value),
                    Value::Real(value) => (functions.bind_double)(statement, number, *value),
                    Value::Text(text) => match c_int::try_from(text.len()) {
                        Ok(length) => {
                            (functions.bind_text)(statement, number, text.as_ptr().cast(), length, kept)
                        }
                        Err(_) => TOO_BIG,
                    },
                    Value::Bytes(bytes) => match c_int::try_from(bytes.len()) {
                        Ok(length) => {
                            (functions.bind_blob)(statement, number, bytes.as_ptr().cast(), length, kept)
                        }
                        Err(_) => TOO_BIG,
                    },
                }
            };
            if code != OK {
                return Err(Error::new(code, self.library.meaning(code)));
            }
        }
        Ok(())
    }

    /// Goes on to the next row; whether there is one.
    fn step(&mut self, index: usize) -> Result<bool> {
        let statement = self.raw_statement(index);
        // SAFETY: the statement is compiled, and its values are there.
        match unsafe { (self.library.functions.step)(statement) } {
            ROW => Ok(true),
            DONE => Ok(false),
            code => Err(self.error(code)),
        }
    }

    fn step_to_end(&mut self, index: usize) -> Result<()> {
        while self.step(index)? {}
        Ok(())
    }

    /// Ends a run; with `clear`, the statement forgets its values.
    fn reset(&mut self, index: usize, clear: bool) {
        let statement = self.raw_statement(index);
        // SAFETY: the statement is compiled. What `reset` returns is what the last step said already.
        unsafe {
            (self.library.functions.reset)(statement);
            if clear {
                (self.library.functions.clear_bindings)(statement);
            }
        }
    }

    /// Copies the row on which a statement stands.
    fn keep_row(&mut self, id: &StatementId, rows: &mut Rows) {
        if rows.is_empty() {
            rows.clear(self.columns(id));
        }
        let functions = &self.library.functions;
        let statement = self.raw_statement(id.0);
        let known = c_int::try_from(rows.columns()).unwrap_or(0);
        for column in 0..known {
            // SAFETY: the statement stands on a row. A text or bytes are as long as SQLite says, which is asked after
            // the pointer as its documentation wants, and are copied before the statement goes on.
            unsafe {
                let cell = match (functions.column_type)(statement, column) {
                    INTEGER => Cell::Integer((functions.column_int64)(statement, column)),
                    REAL => Cell::Real((functions.column_double)(statement, column)),
                    TEXT => {
                        let start = (functions.column_text)(statement, column);
                        Cell::Text(bytes_at(start, (functions.column_bytes)(statement, column)))
                    }
                    BLOB => {
                        let start = (functions.column_blob)(statement, column).cast();
                        Cell::Bytes(bytes_at(start, (functions.column_bytes)(statement, column)))
                    }
                    _ => Cell::Null,
                };
                rows.push(cell);
            }
        }
    }

    fn check(&self, code: c_int) -> Result<()> {
        if code == OK { Ok(()) } else { Err(self.error(code)) }
    }

    /// The error that was just reported.
    fn error(&self, code: c_int) -> Error {
        // SAFETY: the connection is open; the text lives until it is used again and is copied here.
        let (extended, message) = unsafe {
            let message = (self.library.functions.errmsg)(self.raw.as_ptr());
            let message = if message.is_null() {
                self.library.meaning(code)
            } else {
                CStr::from_ptr(message).to_string_lossy().into_owned()
            };
            ((self.library.functions.extended_errcode)(self.raw.as_ptr()), message)
        };
        let code = if extended & 0xff == code & 0xff { extended } else { code };
        Error { code, message }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for index in 0..self.statements.len() {
            self.discard(index);
        }
        // SAFETY: no statement is left, and nothing uses the connection after this.
        unsafe { (self.library.functions.close)(self.raw.as_ptr()) };
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("library", self.library).finish_non_exhaustive()
    }
}

/// SQLite's bytes, which may be none at all.
///
/// # Safety
/// `start` is null or has `length` bytes, which stay as they are as long as the answer is used.
pub(super) unsafe fn bytes_at<'a>(start: *const u8, length: c_int) -> &'a [u8] {
    match usize::try_from(length) {
        // SAFETY: the caller's promise.
        Ok(length) if !start.is_null() && length > 0 => unsafe { std::slice::from_raw_parts(start, length) },
        _ => &[],
    }
}

/// SQLite's busy handler: waits a little for a lock; 0 when it has waited enough.
unsafe extern "C" fn wait_for_lock(context: *mut c_void, times: c_int) -> c_int {
    // SAFETY: the context is the connection's `waiting`, which outlives the connection.
    let waiting = unsafe { &*context.cast::<Waiting>() };
    if waiting.until.get().is_some() {
        return 0;
    }
    if times == 0 {
        waiting.since.set(Some(Instant::now()));
    }
    let waited = waiting.since.get().map_or(Duration::ZERO, |since| since.elapsed());
    if waited >= waiting.patience || waiting.is_to_end.is_some_and(|is_to_end| is_to_end()) {
        return 0;
    }
    // Short at first, since most transactions are short; then long enough to leave the processor to their owners.
    let pause = Duration::from_millis(1 << times.clamp(0, 5));
    std::thread::sleep(pause.min(waiting.patience - waited));
    1
}

/// SQLite's progress handler: 1 ends the statement.
unsafe extern "C" fn ask(context: *mut c_void) -> c_int {
    // SAFETY: the context is the connection's `waiting`, which outlives the connection.
    let waiting = unsafe { &*context.cast::<Waiting>() };
    c_int::from(match waiting.until.get() {
        Some(until) => Instant::now() >= until,
        None => waiting.is_to_end.is_some_and(|is_to_end| is_to_end()),
    })
}
