//! PostgreSQL, spoken to for real: servers of the tests' own.

mod bulk;
mod encryption;
mod hostile;
mod login;
mod protocol;
mod statements;
mod trouble;
mod url;
mod values;

use std::path::Path;

use naja_sql::postgres::{Address, Connection, Options};
use naja_testkit::PostgresServer;

use crate::asking::{refusal, rows, table, value};

/// Where empty clusters are kept between runs.
fn cache() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The superuser of a server's own database, over its socket.
fn superuser(server: &PostgresServer) -> Options {
    let folder = server.socket_folder().to_owned();
    Options::new(Address::Unix { folder, port: server.port() }, "postgres", "postgres")
}

/// A user over the network.
fn over_tcp(server: &PostgresServer, user: &str) -> Options {
    Options::new(Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port() }, user, "postgres")
}

fn open(options: &Options) -> Connection {
    Connection::open(options, None).unwrap_or_else(|error| panic!("{options}: {error}: {error:?}"))
}

/// A connection to the server that the tests of this process share; none where there is no PostgreSQL.
fn connect() -> Option<Connection> {
    PostgresServer::shared(cache()).map(|server| open(&superuser(server)))
}
