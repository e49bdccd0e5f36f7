//! The protocol without a connection: driven by bytes, as an event loop does.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use naja_sql::mysql::{Address, Event, MySqlError, Options, Protocol, Secret, Statement, TlsMode};
use naja_sql::{Engine as _, Sink, Table, Transaction};
use naja_testkit::MariaDbServer;

use super::{cache, superuser};

/// A protocol over a socket, whose bytes come in pieces of one size.
struct Driven {
    protocol: Protocol,
    stream: UnixStream,
    piece: usize,
    waiting: Vec<u8>,
}

impl Driven {
    fn start(server: &MariaDbServer, piece: usize) -> Driven {
        let stream = UnixStream::connect(server.socket()).expect("the server listens");
        let protocol = Protocol::start(&superuser(server), false).expect("the options are right");
        let mut driven = Driven { protocol, stream, piece, waiting: Vec::new() };
        driven.until_ready();
        driven
    }

    fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.protocol.next_event().expect("the server is honest") {
                return event;
            }
            let outgoing = self.protocol.take_outgoing();
            self.stream.write_all(&outgoing).expect("the server reads");
            if self.waiting.is_empty() {
                self.waiting.resize(65_536, 0);
                let count = self.stream.read(&mut self.waiting).expect("the server writes");
                self.waiting.truncate(count);
            }
            let rest = self.waiting.split_off(self.piece.min(self.waiting.len()));
            self.protocol.receive(&std::mem::replace(&mut self.waiting, rest));
        }
    }

    /// What happens up to the end of a batch, in words, the rows among it.
    fn until_ready(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let event = self.event();
            told.push(match &event {
                Event::Row => {
                    let mut table = Table::default();
                    self.protocol.row(&mut table).expect("a row has come and can be read");
                    let _ = naja_sql::Rows::row(&mut table);
                    format!("row {:?}", table.rows[0])
                }
                Event::Failed(error) => format!("failed {} at {:?}", error.code, error.row),
                Event::Prepared(statement) => format!("prepared {}", statement.sql()),
                Event::Complete { affected: Some(affected), row, .. } => format!("{affected} done in {row}"),
                event => format!("{event:?}"),
            });
            if matches!(event, Event::Ready) {
                return told;
            }
        }
    }

    fn prepared(&mut self, sql: &str) -> Arc<Statement> {
        self.protocol.prepare(sql, true).expect("it can be sent");
        self.until_ready();
        self.protocol.statement(sql).expect("it is kept")
    }
}

/// Puts one integer.
fn one(value: i64) -> impl FnMut(&mut dyn Sink) -> bool {
    move |sink| {
        sink.integer(value);
        true
    }
}

#[test]
fn bytes_may_come_in_pieces_of_any_size() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let mut all = Vec::new();
    for piece in [1, 3, 17, 65_536] {
        let mut driven = Driven::start(server, piece);
        let statement = driven.prepared("SELECT CAST(? AS UNSIGNED) AS a, repeat('x', 20) AS b");
        for value in [1, 2] {
            driven.protocol.execute(&statement, &mut one(value)).unwrap();
        }
        driven.protocol.sync().unwrap();
        let mut told = driven.until_ready();
        driven.protocol.query("SELECT 1 AS c; DO 2; SELECT no_such_column; SELECT 3").unwrap();
        told.extend(driven.until_ready());
        assert!(driven.protocol.is_idle() && driven.protocol.is_open());
        all.push(told);
    }
    let x = "x".repeat(20);
    let expected = [
        "Columns",
        &*format!("row [Integer(1), Text({x:?})]"),
        "1 done in 0",
        "Columns",
        &*format!("row [Integer(2), Text({x:?})]"),
        "1 done in 1",
        "Ready",
        "Columns",
        "row [Integer(1)]",
        "1 done in 0",
        "0 done in 1",
        "failed 1054 at None",
        "Ready",
    ];
    for told in all {
        assert_eq!(told, expected);
    }
}

#[test]
fn requests_need_not_wait_for_the_answers_of_others() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let mut driven = Driven::start(server, 100);
    let statement = driven.prepared("SELECT ?");
    let protocol = &mut driven.protocol;
    protocol.prepare("SELECT 'second'", true).unwrap();
    protocol.execute(&statement, &mut one(1)).unwrap();
    protocol.sync().unwrap();
    protocol.prepare("SELECT no_such_column", true).unwrap();
    protocol.query("BEGIN; CREATE TEMPORARY TABLE asked (a INT PRIMARY KEY)").unwrap();
    protocol.execute(&statement, &mut one(2)).unwrap();
    assert!(matches!(protocol.query("SELECT 1"), Err(MySqlError::Misuse { .. })));
    protocol.sync().unwrap();
    assert!(!protocol.is_idle());
    assert_eq!(driven.until_ready(), ["prepared SELECT 'second'", "Ready"]);
    assert_eq!(driven.until_ready(), ["Columns", "row [Integer(1)]", "1 done in 0", "Ready"]);
    assert_eq!(driven.until_ready(), ["failed 1054 at None", "Ready"]);
    assert_eq!(driven.until_ready(), ["0 done in 0", "0 done in 1", "Ready"]);
    assert_eq!(driven.protocol.transaction(), Transaction::Open);
    assert_eq!(driven.until_ready(), ["Columns", "row [Integer(2)]", "1 done in 0", "Ready"]);
    assert!(driven.protocol.is_idle());

    // One that fails does not keep the others from being done, and says which it is.
    let insert = driven.prepared("INSERT INTO asked VALUES (?)");
    for value in [1, 1, 2] {
        driven.protocol.execute(&insert, &mut one(value)).unwrap();
    }
    driven.protocol.sync().unwrap();
    assert_eq!(driven.until_ready(), ["1 done in 0", "failed 1062 at Some(1)", "1 done in 2", "Ready"]);
}

/// A packet of the server.
fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let [a, b, c, ..] = (body.len() as u32).to_le_bytes();
    [&[a, b, c, sequence], body].concat()
}

const TLS: u32 = 1 << 11;
const COMMON: u32 = 0x81ff_f7fe | 1;

/// What MySQL 8 says first, but for its own TLS.
fn greeting(capabilities: u32, method: &str) -> Vec<u8> {
    let [a, b, c, d] = capabilities.to_le_bytes();
    let head = [&b"\x0a8.0.36\0\x07\0\0\0abcdefgh\0"[..], &[a, b, 255, 2, 0, c, d, 21], &[0; 10]].concat();
    packet(0, &[&head[..], b"ijklmnopqrst\0", method.as_bytes(), b"\0"].concat())
}

const NONCE: &[u8] = b"abcdefghijklmnopqrst";
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

fn tcp(tls: TlsMode) -> Options {
    let address = Address::Tcp { host: "db.example".to_owned(), port: 3306 };
    Options { tls, password: Some(Secret::new("pencil")), ..Options::new(address, "anna") }
}

/// Answers with a packet; what happens, and what is sent then.
fn answered(protocol: &mut Protocol, bytes: &[u8]) -> Result<Vec<u8>, MySqlError> {
    protocol.receive(bytes);
    assert!(protocol.next_event()?.is_none(), "nothing is told before the login is over");
    Ok(protocol.take_outgoing())
}

#[test]
fn encryption_comes_before_everything_else() {
    let mut protocol = Protocol::start(&tcp(TlsMode::Require), true).unwrap();
    assert!(protocol.take_outgoing().is_empty(), "the server speaks first");
    assert!(matches!(protocol.tls_started(None), Err(MySqlError::Misuse { .. })));
    protocol.receive(&greeting(COMMON | TLS, "caching_sha2_password"));
    assert!(matches!(protocol.next_event(), Ok(Some(Event::StartTls))));
    let asked = protocol.take_outgoing();
    // 32 bytes, the first packet after the server's, and nobody's name in it.
    assert_eq!((asked.len(), &asked[..4]), (36, &[32, 0, 0, 1][..]));
    assert_eq!(u32::from_le_bytes(asked[4..8].try_into().unwrap()) & TLS, TLS);
    assert!(protocol.next_event().unwrap().is_none());
    protocol.tls_started(None).unwrap();
    let said = protocol.take_outgoing();
    assert_eq!(said[3], 2);
    assert_eq!(said[4..36], asked[4..36]);
    assert!(said.windows(5).any(|bytes| bytes == b"anna\0"));

    // Bytes that came with the greeting were not encrypted, and nobody knows from whom they are.
    let mut protocol = Protocol::start(&tcp(TlsMode::Require), true).unwrap();
    protocol.receive(&[greeting(COMMON | TLS, "x"), packet(2, OK)].concat());
    assert!(matches!(protocol.next_event(), Err(MySqlError::Tls { .. })));

    let mut protocol = Protocol::start(&tcp(TlsMode::Require), true).unwrap();
    protocol.receive(&greeting(COMMON, "mysql_native_password"));
    assert!(matches!(protocol.next_event(), Err(MySqlError::Tls { .. })));
    for (tls, can_encrypt) in [(TlsMode::Prefer, false), (TlsMode::Disable, true), (TlsMode::Allow, true)] {
        let mut protocol = Protocol::start(&tcp(tls), can_encrypt).unwrap();
        let said = answered(&mut protocol, &greeting(COMMON | TLS, "mysql_native_password")).unwrap();
        assert_eq!(u32::from_le_bytes(said[4..8].try_into().unwrap()) & TLS, 0);
    }
}

/// MySQL's own SHA-2 logins, which MariaDB does not have: the bytes are as its documentation and drivers have them.
#[test]
fn a_password_is_sent_only_when_the_server_does_not_know_its_hash() {
    let hello = || greeting(COMMON, "caching_sha2_password");
    let start = |options: &Options| {
        let mut protocol = Protocol::start(options, false).unwrap();
        let said = answered(&mut protocol, &hello()).unwrap();
        assert!(said.windows(22).any(|bytes| bytes == b"caching_sha2_password\0"));
        // 32 bytes with their length before them.
        let place = said.windows(6).position(|bytes| bytes == b"anna\0\x20").unwrap() + 6;
        assert_eq!(said[place..place + 32], sha2_answer("pencil", NONCE));
        protocol
    };
    let network = tcp(TlsMode::Disable);
    // The server knew the hash.
    let mut protocol = start(&network);
    assert!(answered(&mut protocol, &packet(2, &[1, 3])).unwrap().is_empty());
    let settings = answered(&mut protocol, &packet(3, OK)).unwrap();
    assert!(settings.windows(9).any(|bytes| bytes == b"SET NAMES"));
    protocol.receive(&packet(1, OK));
    assert!(matches!(protocol.next_event(), Ok(Some(Event::Ready))));

    // It did not: on a socket that nobody listens to the password goes as it is,
    let local = Options { address: Address::Unix { path: "/socket".into() }, ..network.clone() };
    let mut protocol = start(&local);
    assert_eq!(answered(&mut protocol, &packet(2, &[1, 4])).unwrap(), packet(3, b"pencil\0"));
    // on the network for the server's key alone, each time as other bytes,
    let mut sent = Vec::new();
    for _ in 0..2 {
        let mut protocol = start(&network);
        assert_eq!(answered(&mut protocol, &packet(2, &[1, 4])).unwrap(), packet(3, &[2]));
        let key = packet(4, &[&[1], PUBLIC_KEY.as_bytes()].concat());
        let encrypted = answered(&mut protocol, &key).unwrap();
        assert_eq!((encrypted.len(), &encrypted[..4]), (4 + 256, &[0, 1, 0, 5][..]));
        assert!(!encrypted.windows(6).any(|bytes| bytes == b"pencil"));
        sent.push(encrypted);
        answered(&mut protocol, &packet(6, OK)).unwrap();
    }
    assert_ne!(sent[0], sent[1]);
    // and not at all where the caller does not trust such keys.
    let mut protocol = start(&Options { server_public_key: false, ..network.clone() });
    let refused = answered(&mut protocol, &packet(2, &[1, 4]));
    assert!(matches!(refused, Err(MySqlError::Authentication { .. })), "{refused:?}");
    // A key that is none.
    let mut protocol = start(&network);
    answered(&mut protocol, &packet(2, &[1, 4])).unwrap();
    let refused = answered(&mut protocol, &packet(4, b"\x01-----BEGIN PUBLIC KEY-----"));
    assert!(matches!(refused, Err(MySqlError::Authentication { .. })), "{refused:?}");
}

/// SHA256(password) XOR SHA256(SHA256(SHA256(password)), nonce).
fn sha2_answer(password: &str, nonce: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let once = Sha256::digest(password);
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(once));
    hash.update(nonce);
    once.iter().zip(hash.finalize()).map(|(one, other)| one ^ other).collect()
}

#[test]
fn a_password_goes_in_the_clear_only_where_that_is_allowed() {
    let switch = packet(2, b"\xfemysql_clear_password\0");
    let ask = |options: &Options, tls: bool| {
        let mut protocol = Protocol::start(options, tls).unwrap();
        protocol.receive(&greeting(COMMON | TLS, "mysql_native_password"));
        match protocol.next_event()? {
            Some(Event::StartTls) => {
                protocol.take_outgoing();
                protocol.tls_started(None)?;
                protocol.take_outgoing();
                answered(&mut protocol, &packet(3, b"\xfemysql_clear_password\0"))
            }
            _ => {
                protocol.take_outgoing();
                answered(&mut protocol, &switch)
            }
        }
    };
    let network = tcp(TlsMode::Prefer);
    let refused = ask(&network, false);
    assert!(matches!(refused, Err(MySqlError::Authentication { .. })), "{refused:?}");
    assert_eq!(ask(&network, true).unwrap(), packet(4, b"pencil\0"));
    assert_eq!(
        ask(&Options { clear_password: true, ..network.clone() }, false).unwrap(),
        packet(3, b"pencil\0")
    );
    let local = Options { address: Address::Unix { path: "/socket".into() }, ..network };
    assert_eq!(ask(&local, false).unwrap(), packet(3, b"pencil\0"));
}

#[test]
fn methods_that_are_not_known_are_refused_by_name() {
    let ask = |answer: &[u8]| {
        let mut protocol = Protocol::start(&tcp(TlsMode::Disable), false).unwrap();
        answered(&mut protocol, &greeting(COMMON, "mysql_native_password")).unwrap();
        answered(&mut protocol, &packet(2, answer)).unwrap_err().to_string()
    };
    assert_eq!(
        ask(b"\xfeauth_gssapi_client\0x"),
        "cannot log in to MySQL: the server asks for `auth_gssapi_client`, which this client does not know"
    );
    assert_eq!(
        ask(b"\xfe"),
        "cannot log in to MySQL: the server asks for a password hashed as before MySQL 4.1"
    );
}

/// Of a key of 2,048 bits that was made for this test.
const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA3GVtWv5qpYq3cmtJF1wK
beXn9XWFOJ3zArpWAcJMbR8ABuyU3PuD7A5lX8V5KzN4IQrwt7AZgBtLLdBwoWYF
SpGSOUGxUu6TUeXg/QEIypaTXAxQkBbl2Jg+VuaIyU0gQp+/6prdZwylwseTT0ti
FZmNr6xY6ulMWk8c0qFd7PwTMseHzFNPKJBAIh/gw33YhA/NdDkBoN/FAHPWnpKb
qJFvUipTx7iIacxROBLY7b+ryONgq8vkjOzujYt5lFIERT7RIonuQ3vKPfBZntuv
zxuqKFFOAOvY3np7LsGMwkgJIFRT4pOd8X1wL6tD9uAx0262sqNghWW70or4Qmbo
GwIDAQAB
-----END PUBLIC KEY-----
";
