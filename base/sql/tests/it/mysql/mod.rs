//! MySQL's protocol, spoken to for real: MariaDB servers of the tests' own.

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

use naja_sql::mysql::{Address, Connection, Options};
use naja_testkit::MariaDbServer;

use crate::asking::{refusal, rows, table, value};

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
