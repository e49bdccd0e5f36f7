//! MySQL's protocol, spoken to for real: MariaDB servers of the tests' own.

mod bulk;
mod hostile;
mod login;
mod protocol;
mod statements;
mod trouble;
mod values;

use std::path::Path;

use naja_sql::mysql::{Address, Connection, MySqlError, Options, ServerError};
use naja_sql::{Table, Value};
use naja_testkit::MariaDbServer;

/// Where empty data are kept between runs.
fn cache() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The administrator in the database `test`, over the server's socket.
fn superuser(server: &MariaDbServer) -> Options {
    let address = Address::Unix { path: server.socket() };
    Options { database: Some("test".to_owned()), ..Options::new(address, "root") }
}

/// A user over the network.
fn over_tcp(server: &MariaDbServer, user: &str) -> Options {
    Options::new(Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port() }, user)
}

fn open(options: &Options) -> Connection {
    Connection::open(options, None).unwrap_or_else(|error| panic!("{options}: {error}: {error:?}"))
}

/// A connection to the server that the tests of this process share; none where there is no MariaDB.
fn connect() -> Option<Connection> {
    MariaDbServer::shared(cache()).map(|server| open(&superuser(server)))
}

/// The rows of one statement.
fn rows(connection: &mut Connection, sql: &str, parameters: &[Value<'_>]) -> Vec<Vec<Value<'static>>> {
    table(connection, sql, parameters).rows
}

fn table(connection: &mut Connection, sql: &str, parameters: &[Value<'_>]) -> Table {
    let mut table = Table::default();
    connection
        .execute(sql, parameters, &mut table)
        .unwrap_or_else(|error| panic!("{sql}: {error}: {error:?}"));
    table
}

/// The one value of the one row.
fn value(connection: &mut Connection, sql: &str, parameters: &[Value<'_>]) -> Value<'static> {
    let mut rows = rows(connection, sql, parameters);
    match (rows.len(), rows.pop()) {
        (1, Some(mut row)) if row.len() == 1 => row.remove(0),
        _ => panic!("{sql} gives more or less than one value"),
    }
}

/// What the server said when it refused.
fn refusal<T: std::fmt::Debug>(result: Result<T, MySqlError>) -> ServerError {
    match result {
        Err(MySqlError::Server(error)) => *error,
        other => panic!("not refused: {other:?}"),
    }
}
