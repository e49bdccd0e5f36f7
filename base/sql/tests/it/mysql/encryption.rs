//! The place where TLS goes, filled with a cipher that would keep nobody out: every byte is turned over.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use naja_sql::mysql::{Address, Connection, MySqlError, Options, TlsMode, TlsProvider};
use naja_sql::{NoRows, Value};
use naja_testkit::MariaDbServer;

use super::{cache, refusal, superuser, value};
use crate::veil::{Veil, turn_over, turned};

/// The capability that a server says it has for TLS.
const TLS: u8 = 8;

/// Stands before the server, says that it is able to encrypt, and takes the veil away. Answers `hello` with `answer`;
/// gives the port.
fn before(server: &MariaDbServer, answer: &'static [u8; 5]) -> u16 {
    let socket = server.socket();
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

fn packet(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; 4];
    from.read_exact(&mut packet)?;
    let length = usize::from(packet[0]) | usize::from(packet[1]) << 8 | usize::from(packet[2]) << 16;
    packet.resize(4 + length, 0);
    from.read_exact(&mut packet[4..])?;
    Ok(packet)
}

fn pass_on(mut client: TcpStream, socket: PathBuf, answer: &[u8; 5]) -> io::Result<()> {
    let mut server = UnixStream::connect(socket)?;
    let mut greeting = packet(&mut server)?;
    // The version ends with a zero; the number, half of the nonce and a zero lie before the capabilities.
    let version = greeting[5..].iter().position(|&byte| byte == 0).expect("a version ends");
    greeting[5 + version + 1 + 13 + 1] |= TLS;
    client.write_all(&greeting)?;
    let asked = packet(&mut client)?;
    assert_eq!((asked.len(), asked[3], asked[5] & TLS), (36, 1, TLS), "TLS is asked for first");
    let mut hello = [0; 5];
    client.read_exact(&mut hello)?;
    assert_eq!(&hello, b"hello");
    client.write_all(answer)?;
    // The server does not know of the packet that asked for TLS: the numbers of the login are one too many.
    let mut veiled = Unveiled(client.try_clone()?);
    loop {
        let mut said = packet(&mut veiled)?;
        if said[3] == 2 {
            // Nor that the client believes to be encrypted.
            said[5] &= !TLS;
        }
        said[3] -= 1;
        server.write_all(&said)?;
        let mut heard = packet(&mut server)?;
        heard[3] += 1;
        client.write_all(&turned(&heard))?;
        if heard[4] != 0xfe {
            break;
        }
    }
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = turn_over(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let _ = turn_over(&mut client, &mut server);
    server.shutdown(Shutdown::Both)
}

struct Unveiled(TcpStream);

impl Read for Unveiled {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(into)?;
        for byte in &mut into[..count] {
            *byte = !*byte;
        }
        Ok(count)
    }
}

#[test]
fn everything_goes_through_the_encryption() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let address = Address::Tcp { host: "127.0.0.1".to_owned(), port: before(server, b"hello") };
    let options = Options { address, tls: TlsMode::VerifyFull, ..superuser(server) };
    let veil = Arc::new(Veil::default());
    let mut connection = Connection::open(&options, Some(Arc::clone(&veil) as Arc<dyn TlsProvider>)).unwrap();
    assert_eq!(veil.asked(), [("127.0.0.1".to_owned(), TlsMode::VerifyFull)]);
    let long = "x".repeat(3_000_000);
    assert_eq!(value(&mut connection, "SELECT length(?)", &[long.as_str().into()]), 3_000_000.into());
    assert_eq!(value(&mut connection, "SELECT repeat('x', 3000000)", &[]), long.as_str().into());
    connection.script("CREATE TEMPORARY TABLE veiled (a INT, b TEXT)").unwrap();
    let given: Vec<Vec<Value<'_>>> = (0..20_000).map(|number| vec![number.into(), "text".into()]).collect();
    for sql in
        ["INSERT INTO veiled VALUES (?, ?)", "INSERT INTO veiled VALUES (?, ?) RETURNING *, repeat('y', 500)"]
    {
        assert_eq!(connection.execute_many(sql, &mut given.iter()).unwrap().affected, Some(20_000));
    }
    assert_eq!(value(&mut connection, "SELECT count(*) FROM veiled", &[]), 40_000.into());

    // Cancelling has a connection of its own, which is encrypted as well.
    let canceller = connection.canceller().unwrap();
    let process = i64::from(connection.process().unwrap());
    let mut watcher = super::open(&superuser(server));
    std::thread::scope(|scope| {
        let asleep = scope.spawn(|| connection.execute("SELECT sleep(600)", &[], &mut NoRows));
        let sql = "SELECT count(*) FROM information_schema.processlist WHERE id = ? AND state = 'User sleep'";
        while value(&mut watcher, sql, &[process.into()]) == 0.into() {
            std::thread::yield_now();
        }
        canceller.cancel().unwrap();
        assert_eq!(refusal(asleep.join().unwrap()).code, 1317);
    });
    assert_eq!(veil.asked().len(), 2);
}

#[test]
fn a_handshake_that_fails_is_told() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let address = Address::Tcp { host: "127.0.0.1".to_owned(), port: before(server, b"oh no") };
    let options = Options { address, ..superuser(server) };
    let error = Connection::open(&options, Some(Arc::new(Veil::default()))).unwrap_err();
    assert!(matches!(error, MySqlError::Tls { .. }), "{error:?}");
    assert_eq!(error.to_string(), "cannot encrypt the connection to MySQL: no hello came back");
    // Without encryption there is the server itself, which does not offer it.
    let plain =
        Options { address: Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port() }, ..options };
    for (tls, works) in [(TlsMode::Prefer, true), (TlsMode::Require, false)] {
        let opened = Connection::open(&Options { tls, ..plain.clone() }, Some(Arc::new(Veil::default())));
        assert_eq!(opened.is_ok(), works, "{opened:?}");
    }
}
