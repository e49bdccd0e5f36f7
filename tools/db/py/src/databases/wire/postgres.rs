//! PostgreSQL as an engine of a [`super::link::Link`].

use std::sync::Arc;

use naja_sql::postgres::{
    Address, ChannelBinding, Event, Options, Own, PostgresError, Protocol, Secret, ServerError, Statement,
    TlsMode,
};
use naja_sql::{Engine as _, Sink, Transaction};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rustc_hash::FxHashMap;

use super::engine::{Cancelling, Engine, Frame, Happening, Limit, Use, Wrong};
use super::strict;
use crate::objects::{Columns, Refused, give};

/// Statements whose columns are kept as objects; beyond, all are made again.
const COLUMNS_MAX: usize = 1_024;

/// How to connect to a server of PostgreSQL.
#[pyclass(frozen, module = "naja._native.db")]
pub(in crate::databases) struct PostgresOptions {
    options: Options,
    is_strict: bool,
}

#[pymethods]
impl PostgresOptions {
    /// What is not said comes from the variables of the environment that libpq reads, then from its defaults.
    /// `is_strict` takes values only of the types that asyncpg takes.
    #[new]
    #[pyo3(signature = (*, host=None, port=None, user=None, password=None, database=None, tls="prefer", settings=Vec::new(), statement_cache=None, application_name=None, channel_binding=None, passfile=None, is_strict=true))]
    #[allow(clippy::too_many_arguments)] // a call from Python, by name
    fn new(
        host: Option<String>,
        port: Option<u16>,
        user: Option<String>,
        password: Option<String>,
        database: Option<String>,
        tls: &str,
        settings: Vec<(String, String)>,
        statement_cache: Option<usize>,
        application_name: Option<String>,
        channel_binding: Option<&str>,
        passfile: Option<String>,
        is_strict: bool,
    ) -> PyResult<PostgresOptions> {
        let variable = |name: &str| match name {
            "PGHOST" if host.is_some() => host.clone(),
            "PGUSER" if user.is_some() => user.clone(),
            // How to encrypt is said by the caller, who has looked at the environment.
            "PGSSLMODE" | "PGCONNECT_TIMEOUT" => None,
            // The file of passwords is looked into once it is known for what.
            "PGPASSFILE" | "HOME" => None,
            _ => std::env::var(name).ok(),
        };
        let wrong = |error: PostgresError| PyValueError::new_err(error.to_string());
        let mut options = Options::from_url("postgresql://", &variable).map_err(wrong)?;
        if let (Some(wanted), Address::Tcp { port, .. } | Address::Unix { port, .. }) =
            (port, &mut options.address)
        {
            *port = wanted;
        }
        if let Some(database) = database.filter(|name| !name.is_empty()) {
            options.database = database;
        }
        if let Some(password) = password {
            options.password = Some(Secret::new(password));
        }
        options.tls = match tls {
            "disable" => TlsMode::Disable,
            "require" => TlsMode::Require,
            _ => TlsMode::Prefer,
        };
        options.channel_binding = match channel_binding {
            None => options.channel_binding,
            Some("disable") => ChannelBinding::Disable,
            Some("prefer") => ChannelBinding::Prefer,
            Some("require") => ChannelBinding::Require,
            Some(_) => return Err(PyValueError::new_err("`channel_binding` is disable, prefer or require")),
        };
        if let Some(name) = application_name {
            options.application_name = name;
        }
        if let Some(count) = statement_cache {
            options.statement_cache = count;
        }
        options.settings = settings;
        options.find_password(passfile, &|name| std::env::var(name).ok());
        Ok(PostgresOptions { options, is_strict })
    }

    /// The path of the socket, where it is one of the file system.
    #[getter]
    fn path(&self) -> Option<String> {
        match &self.options.address {
            Address::Unix { .. } => Some(self.options.address.to_string()),
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

    #[getter]
    fn user(&self) -> &str {
        &self.options.user
    }

    #[getter]
    fn database(&self) -> &str {
        &self.options.database
    }

    fn __repr__(&self) -> String {
        format!("<PostgresOptions {}>", self.options)
    }
}

impl PostgresOptions {
    /// The protocol, with its first bytes to be sent.
    pub(super) fn start(&self) -> Result<Box<dyn Engine>, Wrong> {
        let protocol = Protocol::start(&self.options, true).map_err(wrong)?;
        Ok(Box::new(Postgres {
            protocol,
            is_strict: self.is_strict,
            keeps: self.options.statement_cache > 0,
            unkept: None,
            statements: FxHashMap::default(),
            columns: FxHashMap::default(),
            cursors: FxHashMap::default(),
        }))
    }
}

struct Postgres {
    protocol: Protocol,
    is_strict: bool,
    /// Whether statements are kept by the protocol.
    keeps: bool,
    /// The last statement, where none are kept.
    unkept: Option<Arc<Statement>>,
    /// Statements by where the list of their columns lies, and these as objects.
    statements: FxHashMap<usize, Arc<Statement>>,
    columns: FxHashMap<usize, Arc<Columns>>,
    cursors: FxHashMap<u64, Arc<Statement>>,
}

/// Where the list of columns lies: the same for all executions of a statement, as long as it is kept.
fn place_of(columns: &[naja_sql::Column]) -> usize {
    columns.as_ptr().addr()
}

fn portal(cursor: u64) -> String {
    format!("naja_{cursor}")
}

impl Postgres {
    fn statement(&mut self, sql: &str) -> Result<Arc<Statement>, Wrong> {
        if !self.keeps {
            let unkept = self.unkept.as_ref().filter(|statement| statement.sql() == sql);
            return unkept.cloned().ok_or_else(|| Wrong::Misuse("the statement is not prepared".to_owned()));
        }
        self.protocol.statement(sql).ok_or_else(|| Wrong::Misuse("the statement is not prepared".to_owned()))
    }

    fn keep(&mut self, statement: Arc<Statement>) {
        if !self.keeps {
            self.unkept = Some(Arc::clone(&statement));
        }
        if statement.columns().is_empty() {
            return;
        }
        if self.statements.len() >= COLUMNS_MAX {
            self.statements.clear();
            self.columns.clear();
        }
        self.statements.insert(place_of(statement.columns()), statement);
    }

    /// Puts the values of a row into the message that `send` makes.
    fn with_row(
        &mut self,
        statement: &Arc<Statement>,
        row: &[Bound<'_, PyAny>],
        send: impl FnOnce(&mut Protocol, &mut dyn FnMut(&mut dyn Sink) -> bool) -> Result<bool, PostgresError>,
    ) -> Result<(), Wrong> {
        let types = statement.parameter_types();
        if row.len() != types.len() {
            return Err(Wrong::Count { given: row.len(), wanted: types.len() });
        }
        let is_strict = self.is_strict;
        let mut refused = None;
        let sent = send(&mut self.protocol, &mut |sink| {
            for (parameter, (value, &type_number)) in row.iter().zip(types).enumerate() {
                let given =
                    if is_strict { strict::give(type_number, value, sink) } else { give(value, sink) };
                if let Err(why) = given {
                    refused = Some((parameter, why));
                    return false;
                }
            }
            true
        });
        match (refused, sent) {
            (Some((parameter, why)), _) => Err(match why {
                Refused::Unsupported(what) => Wrong::Value { parameter, what },
                Refused::Raised(error) => Wrong::Value { parameter, what: error.to_string() },
            }),
            (None, Ok(_)) => Ok(()),
            (None, Err(PostgresError::Parameter { index, what, .. })) => {
                Err(Wrong::Value { parameter: index, what })
            }
            (None, Err(error)) => Err(wrong(error)),
        }
    }
}

impl Engine for Postgres {
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
        self.protocol.cancel_key().map(|key| Cancelling::Message(key.message()))
    }

    fn frame(&self) -> Option<Frame> {
        None
    }

    fn next(&mut self) -> Result<Option<Happening>, Wrong> {
        loop {
            let Some(event) = self.protocol.next_event().map_err(wrong)? else { return Ok(None) };
            return Ok(Some(match event {
                Event::Row => Happening::Row,
                Event::Ready => Happening::Ready,
                Event::Complete { affected, .. } => Happening::Complete { affected, last_id: None },
                Event::Suspended => Happening::Suspended,
                Event::Failed(error) => Happening::Failed(refused(*error)),
                Event::StartTls => Happening::StartTls,
                Event::Prepared(statement) => {
                    self.keep(statement);
                    Happening::Prepared
                }
                Event::Own(Own::Notice(notice)) => {
                    Happening::Notice(format!("{}: {}", notice.severity, notice.message))
                }
                Event::Own(Own::CopyIn) => {
                    let reason = "data for COPY FROM STDIN cannot be sent by naja.databases";
                    self.protocol.copy_fail(reason).map_err(wrong)?;
                    continue;
                }
                // Data that nobody wants, notifications that nobody listens to.
                _ => continue,
            }));
        }
    }

    fn row(&self, sink: &mut dyn Sink) -> Result<(), Wrong> {
        self.protocol.row(sink).map_err(wrong)
    }

    fn columns(&mut self, py: Python<'_>) -> PyResult<Arc<Columns>> {
        let place = place_of(self.protocol.columns());
        if let Some(known) = self.columns.get(&place) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(Columns::new(py, self.protocol.columns())?);
        // Only of a statement that is held, so that the place is nobody else's.
        if self.statements.contains_key(&place) {
            self.columns.insert(place, Arc::clone(&made));
        }
        Ok(made)
    }

    fn lost(&mut self, why: Option<String>) -> Wrong {
        let error = self.protocol.disconnected(None);
        match (error.server(), why) {
            (Some(_), _) | (None, None) => wrong(error),
            (None, Some(why)) => Wrong::Lost(why),
        }
    }

    fn is_prepared(&mut self, sql: &str, _: Use) -> bool {
        if self.keeps { self.protocol.statement(sql).is_some() } else { self.statement(sql).is_ok() }
    }

    fn prepare(&mut self, sql: &str, _: Use) -> Result<(), Wrong> {
        self.protocol.prepare(sql, true).map_err(wrong)
    }

    fn execute(&mut self, sql: &str, row: &[Bound<'_, PyAny>], limit: Limit) -> Result<(), Wrong> {
        let statement = self.statement(sql)?;
        self.with_row(&statement, row, |protocol, values| match limit {
            Limit::All => protocol.execute(&statement, values),
            Limit::Rows(_) => {
                let mut is_there = true;
                protocol.open_portal("", &statement, &mut |sink| is_there = values(sink))?;
                Ok(is_there)
            }
        })?;
        if let Limit::Rows(rows) = limit {
            self.protocol.fetch("", &statement, rows).map_err(wrong)?;
        }
        Ok(())
    }

    fn open_cursor(
        &mut self,
        cursor: u64,
        sql: &str,
        row: &[Bound<'_, PyAny>],
        rows: u32,
    ) -> Result<(), Wrong> {
        let statement = self.statement(sql)?;
        self.with_row(&statement, row, |protocol, values| {
            let mut is_there = true;
            protocol.open_portal(&portal(cursor), &statement, &mut |sink| is_there = values(sink))?;
            Ok(is_there)
        })?;
        self.protocol.fetch(&portal(cursor), &statement, rows).map_err(wrong)?;
        self.cursors.insert(cursor, statement);
        Ok(())
    }

    fn read_cursor(&mut self, cursor: u64, rows: u32) -> Result<(), Wrong> {
        match self.cursors.get(&cursor) {
            Some(statement) => self.protocol.fetch(&portal(cursor), statement, rows).map_err(wrong),
            None => Err(Wrong::Misuse("the result is closed".to_owned())),
        }
    }

    fn forget_cursor(&mut self, cursor: u64) {
        self.cursors.remove(&cursor);
    }

    fn close_cursor(&mut self, cursor: u64) -> Result<(), Wrong> {
        self.cursors.remove(&cursor);
        self.protocol.close_portal(&portal(cursor)).map_err(wrong)
    }

    fn end_batch(&mut self) -> Result<(), Wrong> {
        self.protocol.sync().map_err(wrong)
    }

    fn undo_batch(&mut self) -> Result<(), Wrong> {
        self.protocol.sync_undone().map_err(wrong)
    }

    fn script(&mut self, sql: &str) -> Result<(), Wrong> {
        self.protocol.query(sql).map_err(wrong)
    }

    fn is_stale(&mut self, sql: &str, failure: &Wrong) -> bool {
        let Wrong::Server { code, fields, .. } = failure else { return false };
        let routine = fields.iter().find(|(name, _)| *name == "server_source_function");
        let error = ServerError {
            sqlstate: code.clone(),
            routine: routine.map(|(_, routine)| routine.clone()),
            ..ServerError::default()
        };
        self.protocol.is_stale(&error, sql)
    }

    fn terminate(&mut self) {
        self.protocol.terminate();
    }
}

fn wrong(error: PostgresError) -> Wrong {
    match error {
        PostgresError::Server(error) => refused(*error),
        PostgresError::Lost { said: Some(said), .. } => refused(*said),
        PostgresError::Parameter { index, what, .. } => Wrong::Value { parameter: index, what },
        PostgresError::ParameterCount { given, wanted, .. } => Wrong::Count { given, wanted },
        error @ (PostgresError::Lost { .. }
        | PostgresError::Protocol { .. }
        | PostgresError::TimedOut { .. }) => Wrong::Lost(error.to_string()),
        error @ (PostgresError::Authentication { .. } | PostgresError::Tls { .. }) => Wrong::Server {
            code: error.sqlstate().to_owned(),
            message: error.to_string(),
            fields: Vec::new(),
        },
        error => Wrong::Misuse(error.to_string()),
    }
}

fn refused(error: ServerError) -> Wrong {
    let mut fields = Vec::new();
    let mut field = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    field("severity", Some(error.severity));
    field("detail", error.detail);
    field("hint", error.hint);
    field("position", number(error.position));
    let (internal_position, internal_query) = error.internal.unzip();
    field("internal_position", number(internal_position));
    field("internal_query", internal_query);
    field("context", error.context);
    field("schema_name", error.schema);
    field("table_name", error.table);
    field("column_name", error.column);
    field("data_type_name", error.data_type);
    field("constraint_name", error.constraint);
    field("server_source_function", error.routine);
    Wrong::Server { code: error.sqlstate, message: error.message, fields }
}
