//! MySQL and MariaDB as an engine of a [`super::link::Link`].

use std::sync::Arc;

use naja_sql::mysql::{
    Address, Event, MySqlError, Options, Own, Protocol, Secret, ServerError, Statement, TlsMode,
};
use naja_sql::{Engine as _, Sink, Transaction};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rustc_hash::FxHashMap;

use super::engine::{Cancelling, Engine, Frame, Happening, Limit, Use, Wrong};
use crate::objects::{Columns, Refused, give};

/// How to connect to a server of MySQL or MariaDB.
#[pyclass(frozen, module = "naja._native.db")]
pub(in crate::databases) struct MySqlOptions {
    options: Options,
}

#[pymethods]
impl MySqlOptions {
    /// What is not said comes from the variables of the environment that its clients read, then from their defaults.
    #[new]
    #[pyo3(signature = (*, host=None, port=None, path=None, user=None, password=None, database=None, tls="prefer", settings=Vec::new(), statement_cache=None, application_name=None))]
    #[allow(clippy::too_many_arguments)] // a call from Python, by name
    fn new(
        host: Option<String>,
        port: Option<u16>,
        path: Option<String>,
        user: Option<String>,
        password: Option<String>,
        database: Option<String>,
        tls: &str,
        settings: Vec<(String, String)>,
        statement_cache: Option<usize>,
        application_name: Option<String>,
    ) -> PyResult<MySqlOptions> {
        let variable = |name: &str| match name {
            "USER" if user.is_some() => user.clone(),
            _ => std::env::var(name).ok(),
        };
        let mut options = Options::from_url("mysql://", &variable)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        match (path, host) {
            (Some(path), _) => options.address = Address::Unix { path: path.into() },
            (None, Some(host)) => options.address = Address::Tcp { host, port: port.unwrap_or(3306) },
            (None, None) => {
                if let (Some(wanted), Address::Tcp { port, .. }) = (port, &mut options.address) {
                    *port = wanted;
                }
            }
        }
        if let Some(user) = user {
            options.user = user;
        }
        if let Some(password) = password {
            options.password = Some(Secret::new(password));
        }
        options.database = database.filter(|name| !name.is_empty()).or(options.database);
        options.tls = match tls {
            "disable" => TlsMode::Disable,
            "require" => TlsMode::Require,
            _ => TlsMode::Prefer,
        };
        options.settings.extend(settings);
        // As the drivers: an UPDATE counts the rows that were different.
        options.found_rows = false;
        if let Some(count) = statement_cache {
            options.statement_cache = count;
        }
        if let Some(name) = application_name {
            options.application_name = name;
        }
        Ok(MySqlOptions { options })
    }

    /// The path of the socket, where it is one of the file system.
    #[getter]
    fn path(&self) -> Option<String> {
        match &self.options.address {
            Address::Unix { path } => Some(path.display().to_string()),
            Address::Tcp { .. } => None,
        }
    }

    /// Host and port, where they are on the network.
    #[getter]
    fn address(&self) -> Option<(String, u16)> {
        match &self.options.address {
            Address::Tcp { host, port } => Some((host.clone(), *port)),
            Address::Unix { .. } => None,
        }
    }

    fn __repr__(&self) -> String {
        format!("<MySqlOptions {}>", self.options)
    }
}

impl MySqlOptions {
    /// The protocol; the server speaks first.
    pub(super) fn start(&self) -> Result<Box<dyn Engine>, Wrong> {
        let protocol = Protocol::start(&self.options, true).map_err(wrong)?;
        Ok(Box::new(MySql {
            protocol,
            keeps: self.options.statement_cache > 0,
            unkept: None,
            cursors: FxHashMap::default(),
            described: None,
            for_cursor: None,
            prepares_for: Use::Execution,
        }))
    }
}

struct MySql {
    protocol: Protocol,
    /// Whether statements are kept by the protocol.
    keeps: bool,
    /// The last statement that is not kept.
    unkept: Option<Arc<Statement>>,
    cursors: FxHashMap<u64, Arc<Statement>>,
    /// The columns of the last result as objects, with where their list lies.
    described: Option<(usize, Arc<Columns>)>,
    /// A statement of a result that is about to be opened: to the server a statement has one result.
    for_cursor: Option<Arc<Statement>>,
    /// What the statement that is being prepared is for.
    prepares_for: Use,
}

impl MySql {
    fn statement(&mut self, sql: &str) -> Result<Arc<Statement>, Wrong> {
        let unkept = self.unkept.as_ref().filter(|statement| statement.sql() == sql).cloned();
        let kept = if self.keeps { self.protocol.statement(sql) } else { None };
        kept.or(unkept).ok_or_else(|| Wrong::Misuse("the statement is not prepared".to_owned()))
    }

    fn with_row(
        &mut self,
        statement: &Arc<Statement>,
        row: &[Bound<'_, PyAny>],
        send: impl FnOnce(&mut Protocol, &mut dyn FnMut(&mut dyn Sink) -> bool) -> Result<bool, MySqlError>,
    ) -> Result<(), Wrong> {
        if row.len() != statement.parameter_count() {
            return Err(Wrong::Count { given: row.len(), wanted: statement.parameter_count() });
        }
        let mut refused = None;
        let sent = send(&mut self.protocol, &mut |sink| {
            for (parameter, value) in row.iter().enumerate() {
                if let Err(why) = give(value, sink) {
                    refused = Some((parameter, why));
                    return false;
                }
            }
            true
        });
        match (refused, sent) {
            (Some((parameter, Refused::Unsupported(what))), _) => Err(Wrong::Value { parameter, what }),
            (Some((parameter, Refused::Raised(error))), _) => {
                Err(Wrong::Value { parameter, what: error.to_string() })
            }
            (None, Ok(_)) => Ok(()),
            (None, Err(error)) => Err(wrong(error)),
        }
    }
}

impl Engine for MySql {
    fn receive(&mut self, bytes: &[u8]) {
        self.protocol.receive(bytes);
    }

    fn outgoing(&self) -> &[u8] {
        self.protocol.outgoing()
    }

    fn sent(&mut self, count: usize) {
        self.protocol.sent(count);
    }

    fn tls_started(&mut self, end_point: Option<Vec<u8>>) -> Result<(), Wrong> {
        self.protocol.tls_started(end_point).map_err(wrong)
    }

    fn is_open(&self) -> bool {
        self.protocol.is_open()
    }

    fn transaction(&self) -> Transaction {
        self.protocol.transaction()
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.protocol.setting(name).map(str::to_owned)
    }

    fn cancelling(&self) -> Option<Cancelling> {
        self.protocol.cancel_key().map(|key| Cancelling::Statement(key.statement()))
    }

    fn frame(&self) -> Option<Frame> {
        // Each execution stands for itself: those after one that fails are done all the same.
        Some(match self.protocol.transaction() {
            Transaction::None => Frame { begin: "START TRANSACTION", keep: "COMMIT", undo: "ROLLBACK" },
            _ => Frame {
                begin: "SAVEPOINT naja_many",
                keep: "RELEASE SAVEPOINT naja_many",
                undo: "ROLLBACK TO SAVEPOINT naja_many",
            },
        })
    }

    fn next(&mut self) -> Result<Option<Happening>, Wrong> {
        loop {
            let Some(event) = self.protocol.next_event().map_err(wrong)? else { return Ok(None) };
            return Ok(Some(match event {
                Event::Row => Happening::Row,
                Event::Ready => Happening::Ready,
                Event::Complete { affected, inserted_id, .. } => {
                    Happening::Complete { affected, last_id: inserted_id }
                }
                Event::Suspended => Happening::Suspended,
                Event::Failed(error) => Happening::Failed(refused(*error)),
                Event::StartTls => Happening::StartTls,
                Event::Prepared(statement) => {
                    if self.prepares_for == Use::Cursor {
                        self.protocol.keep_passing();
                        self.for_cursor = Some(statement);
                    } else {
                        self.unkept = Some(statement);
                    }
                    Happening::Prepared
                }
                // Nothing of this machine is given to a server that asks for it.
                Event::Own(Own::FileWanted) => {
                    self.protocol.file_done().map_err(wrong)?;
                    continue;
                }
                _ => continue,
            }));
        }
    }

    fn row(&self, sink: &mut dyn Sink) -> Result<(), Wrong> {
        self.protocol.row(sink).map_err(wrong)
    }

    fn columns(&mut self, py: Python<'_>) -> PyResult<Arc<Columns>> {
        let columns = self.protocol.columns();
        let place = columns.as_ptr().addr();
        if let Some((known, made)) = &self.described
            && *known == place
            && made.plain.iter().eq(columns.iter().map(|column| &column.name))
        {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(Columns::new(py, columns)?);
        self.described = Some((place, Arc::clone(&made)));
        Ok(made)
    }

    fn lost(&mut self, why: Option<String>) -> Wrong {
        match (self.protocol.disconnected(None), why) {
            (MySqlError::Lost { said: None, .. }, Some(why)) => Wrong::Lost(why),
            (error, _) => wrong(error),
        }
    }

    fn is_prepared(&mut self, sql: &str, what_for: Use) -> bool {
        match what_for {
            Use::Execution => self.statement(sql).is_ok(),
            Use::Cursor => self.for_cursor.as_ref().is_some_and(|statement| statement.sql() == sql),
        }
    }

    fn prepare(&mut self, sql: &str, what_for: Use) -> Result<(), Wrong> {
        self.prepares_for = what_for;
        self.protocol.prepare(sql, what_for == Use::Execution).map_err(wrong)?;
        self.protocol.sync().map_err(wrong)
    }

    fn execute(&mut self, sql: &str, row: &[Bound<'_, PyAny>], _: Limit) -> Result<(), Wrong> {
        let statement = self.statement(sql)?;
        self.with_row(&statement, row, |protocol, values| protocol.execute(&statement, values))
    }

    fn open_cursor(&mut self, cursor: u64, sql: &str, row: &[Bound<'_, PyAny>], _: u32) -> Result<(), Wrong> {
        let statement = self.for_cursor.take().filter(|statement| statement.sql() == sql);
        let statement = statement.ok_or_else(|| Wrong::Misuse("the statement is not prepared".to_owned()))?;
        self.with_row(&statement, row, |protocol, values| {
            let mut is_there = true;
            protocol.open_cursor(&statement, &mut |sink| is_there = values(sink))?;
            Ok(is_there)
        })?;
        self.cursors.insert(cursor, statement);
        Ok(())
    }

    fn read_cursor(&mut self, cursor: u64, rows: u32) -> Result<(), Wrong> {
        match self.cursors.get(&cursor) {
            Some(statement) => self.protocol.fetch(statement, rows).map_err(wrong),
            None => Err(Wrong::Misuse("the result is closed".to_owned())),
        }
    }

    fn forget_cursor(&mut self, cursor: u64) {
        if let Some(statement) = self.cursors.remove(&cursor) {
            // Nothing answers; where it cannot be said, the connection is over.
            let _ = self.protocol.close_statement(statement);
        }
    }

    fn close_cursor(&mut self, cursor: u64) -> Result<(), Wrong> {
        match self.cursors.remove(&cursor) {
            Some(statement) => self.protocol.close_statement(statement).map_err(wrong),
            None => Ok(()),
        }
    }

    fn end_batch(&mut self) -> Result<(), Wrong> {
        self.protocol.sync().map_err(wrong)
    }

    fn undo_batch(&mut self) -> Result<(), Wrong> {
        self.protocol.sync().map_err(wrong)
    }

    fn script(&mut self, sql: &str) -> Result<(), Wrong> {
        self.protocol.query(sql).map_err(wrong)
    }

    fn is_stale(&mut self, sql: &str, failure: &Wrong) -> bool {
        let Wrong::Server { fields, .. } = failure else { return false };
        let number = fields.iter().find(|(name, _)| *name == "number");
        let code = number.and_then(|(_, number)| number.parse().ok()).unwrap_or_default();
        self.protocol.is_stale(&ServerError { code, ..ServerError::default() }, sql)
    }

    fn terminate(&mut self) {
        self.protocol.terminate();
    }
}

fn wrong(error: MySqlError) -> Wrong {
    match error {
        MySqlError::Server(error) => refused(*error),
        MySqlError::Lost { said: Some(said), .. } => refused(*said),
        MySqlError::Parameter { index, what, .. } => Wrong::Value { parameter: index, what },
        MySqlError::ParameterCount { given, wanted, .. } => Wrong::Count { given, wanted },
        error @ (MySqlError::Lost { .. } | MySqlError::Protocol { .. } | MySqlError::TimedOut { .. }) => {
            Wrong::Lost(error.to_string())
        }
        error @ (MySqlError::Authentication { .. } | MySqlError::Tls { .. }) => {
            Wrong::Server { code: "28000".to_owned(), message: error.to_string(), fields: Vec::new() }
        }
        error => Wrong::Misuse(error.to_string()),
    }
}

fn refused(error: ServerError) -> Wrong {
    Wrong::Server {
        code: error.sqlstate,
        message: error.message,
        fields: vec![("number", error.code.to_string())],
    }
}
