//! The place where TLS goes, filled with a cipher that would keep nobody out: every byte is turned over.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use naja_sql::postgres::{Address, Connection, Options, PostgresError, TlsMode, TlsProvider};
use naja_sql::{NoRows, Value};
use naja_testkit::PostgresServer;

use super::{cache, refusal, superuser, value};
use crate::veil::{Veil, turn_over};

/// Stands before the server and takes the veil away. Answers `hello` with `answer`; gives the port.
fn before(server: &PostgresServer, answer: &'static [u8; 5]) -> u16 {
    let socket = server.socket_folder().join(format!(".s.PGSQL.{}", server.port()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let socket = socket.clone();
            std::thread::spawn(move || client.and_then(|client| pass_on(client, socket, answer)));
        }
    });
    port
}

fn pass_on(mut client: TcpStream, socket: PathBuf, answer: &[u8; 5]) -> io::Result<()> {
    let mut asked = [0; 8];
    client.read_exact(&mut asked)?;
    assert_eq!(asked, [0, 0, 0, 8, 4, 210, 22, 47], "TLS is asked for first");
    client.write_all(b"S")?;
    client.read_exact(&mut asked[..5])?;
    assert_eq!(&asked[..5], b"hello");
    client.write_all(answer)?;
    let mut server = UnixStream::connect(socket)?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = turn_over(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let _ = turn_over(&mut client, &mut server);
    server.shutdown(Shutdown::Both)
}

#[test]
fn everything_goes_through_the_encryption() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let address = Address::Tcp { host: "127.0.0.1".to_owned(), port: before(server, b"hello") };
    let options = Options { address, tls: TlsMode::VerifyFull, ..superuser(server) };
    let veil = Arc::new(Veil::default());
    let mut connection = Connection::open(&options, Some(Arc::clone(&veil) as Arc<dyn TlsProvider>)).unwrap();
    assert_eq!(veil.asked(), [("127.0.0.1".to_owned(), TlsMode::VerifyFull)]);
    let long = "x".repeat(3_000_000);
    assert_eq!(value(&mut connection, "SELECT length($1)", &[long.as_str().into()]), 3_000_000.into());
    assert_eq!(value(&mut connection, "SELECT repeat('x', 3000000)", &[]), long.as_str().into());
    connection.script("CREATE TEMP TABLE veiled (a int, b text)").unwrap();
    let given: Vec<Vec<Value<'_>>> = (0..20_000).map(|number| vec![number.into(), "text".into()]).collect();
    let sql = "INSERT INTO veiled VALUES ($1, $2) RETURNING *, repeat('y', 500)";
    assert_eq!(connection.execute_many(sql, &mut given.iter()).unwrap().affected, Some(20_000));
    assert_eq!(connection.copy_in(None, "veiled", &["a", "b"], false, &mut given.iter()).unwrap(), 20_000);
    assert_eq!(value(&mut connection, "SELECT count(*) FROM veiled", &[]), 40_000.into());

    // Cancelling has a connection of its own, which is encrypted as well.
    let canceller = connection.canceller().unwrap();
    let process = i64::from(connection.process().unwrap());
    let mut watcher = super::open(&superuser(server));
    std::thread::scope(|scope| {
        let asleep = scope.spawn(|| connection.execute("SELECT pg_sleep(600)", &[], &mut NoRows));
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
        while value(&mut watcher, sql, &[process.into()]) == 0.into() {
            std::thread::yield_now();
        }
        canceller.cancel().unwrap();
        assert_eq!(refusal(asleep.join().unwrap()).sqlstate, "57014");
    });
    assert_eq!(veil.asked().len(), 2);
}

#[test]
fn a_handshake_that_fails_is_told() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let address = Address::Tcp { host: "127.0.0.1".to_owned(), port: before(server, b"oh no") };
    let options = Options { address, ..superuser(server) };
    let error = Connection::open(&options, Some(Arc::new(Veil::default()))).unwrap_err();
    assert!(matches!(error, PostgresError::Tls { .. }), "{error:?}");
    assert_eq!(error.to_string(), "cannot encrypt the connection to PostgreSQL: no hello came back");
    // Without encryption there is the server itself, which does not offer it.
    let plain =
        Options { address: Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port() }, ..options };
    for (tls, works) in [(TlsMode::Prefer, true), (TlsMode::Require, false)] {
        let opened = Connection::open(&Options { tls, ..plain.clone() }, Some(Arc::new(Veil::default())));
        assert_eq!(opened.is_ok(), works, "{opened:?}");
    }
}
