//! The protocol without a connection: driven by bytes, as an event loop does.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use naja_sql::postgres::{
    Address, ChannelBinding, Event, Options, PostgresError, Protocol, Secret, Statement, TlsMode,
};
use naja_sql::{Engine as _, Sink, Table, Transaction};
use naja_testkit::PostgresServer;

use super::{cache, superuser};

/// A protocol over a socket, whose bytes come in pieces of one size.
struct Driven {
    protocol: Protocol,
    stream: UnixStream,
    piece: usize,
    waiting: Vec<u8>,
}

impl Driven {
    fn start(server: &PostgresServer, piece: usize) -> Driven {
        let socket = server.socket_folder().join(format!(".s.PGSQL.{}", server.port()));
        let stream = UnixStream::connect(socket).expect("the server listens");
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
                Event::Failed(error) => format!("failed {} at {:?}", error.sqlstate, error.row),
                Event::Prepared(statement) => format!("prepared {}", statement.sql()),
                Event::Complete { affected, row, .. } => {
                    format!("Complete {{ affected: {affected:?}, row: {row} }}")
                }
                Event::Own(own) => format!("{own:?}"),
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
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let mut all = Vec::new();
    for piece in [1, 3, 17, 65_536] {
        let mut driven = Driven::start(server, piece);
        let statement = driven.prepared("SELECT 12 / $1::int AS a, repeat('x', 20) AS b");
        for value in [1, 2, 0, 3] {
            driven.protocol.execute(&statement, &mut one(value)).unwrap();
        }
        driven.protocol.sync().unwrap();
        let mut told = driven.until_ready();
        driven.protocol.query("SELECT 1 AS c; COPY (SELECT 2) TO STDOUT; SELECT no_such_column").unwrap();
        told.extend(driven.until_ready());
        assert!(driven.protocol.is_idle() && driven.protocol.is_open());
        all.push(told);
    }
    let x = "x".repeat(20);
    let expected = [
        &*format!("row [Integer(12), Text({x:?})]"),
        "Complete { affected: Some(1), row: 0 }",
        &*format!("row [Integer(6), Text({x:?})]"),
        "Complete { affected: Some(1), row: 1 }",
        "failed 22012 at Some(2)",
        "Ready",
        "Columns",
        "row [Text(\"1\")]",
        "Complete { affected: Some(1), row: 0 }",
        "CopyOut",
        "CopyData",
        "CopyDone",
        "Complete { affected: Some(1), row: 1 }",
        "failed 42703 at None",
        "Ready",
    ];
    for told in all {
        assert_eq!(told, expected);
    }
}

#[test]
fn requests_need_not_wait_for_the_answers_of_others() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let mut driven = Driven::start(server, 100);
    let statement = driven.prepared("SELECT $1::int");
    let protocol = &mut driven.protocol;
    protocol.prepare("SELECT 'second'", true).unwrap();
    protocol.execute(&statement, &mut one(1)).unwrap();
    protocol.sync().unwrap();
    protocol.prepare("SELECT no_such_column", true).unwrap();
    protocol.query("BEGIN").unwrap();
    protocol.execute(&statement, &mut one(2)).unwrap();
    assert!(matches!(protocol.query("SELECT 1"), Err(PostgresError::Misuse { .. })));
    protocol.sync().unwrap();
    assert!(!protocol.is_idle());
    assert_eq!(driven.until_ready(), ["prepared SELECT 'second'", "Ready"]);
    assert_eq!(driven.until_ready(), ["row [Integer(1)]", "Complete { affected: Some(1), row: 0 }", "Ready"]);
    assert_eq!(driven.until_ready(), ["failed 42703 at None", "Ready"]);
    assert_eq!(driven.until_ready(), ["Complete { affected: None, row: 0 }", "Ready"]);
    assert_eq!(driven.protocol.transaction(), Transaction::Open);
    assert_eq!(driven.until_ready(), ["row [Integer(2)]", "Complete { affected: Some(1), row: 0 }", "Ready"]);
    assert!(driven.protocol.is_idle());
}

#[test]
fn what_is_asked_after_an_error_waits_for_the_end_of_its_batch() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let mut driven = Driven::start(server, 65_536);
    let statement = driven.prepared("SELECT 1 / $1::int");
    driven.protocol.execute(&statement, &mut one(0)).unwrap();
    // Nothing asks the server to answer before the end of the batch, but an answer that is as long as its buffer.
    let long = driven.prepared_without_ready();
    assert!(long, "the error has come");
    driven.protocol.execute(&statement, &mut one(1)).unwrap();
    driven.protocol.sync().unwrap();
    assert_eq!(driven.until_ready(), ["Ready"]);
    driven.protocol.execute(&statement, &mut one(1)).unwrap();
    driven.protocol.sync_undone().unwrap();
    assert_eq!(driven.until_ready(), ["row [Integer(1)]", "Complete { affected: Some(1), row: 0 }", "Ready"]);
    assert_eq!(driven.protocol.transaction(), Transaction::None);
}

impl Driven {
    /// Waits for the error of a batch that has not ended; the server tells errors at once.
    fn prepared_without_ready(&mut self) -> bool {
        matches!(self.event(), Event::Failed(_))
    }
}

fn encrypted() -> Options {
    let address = Address::Tcp { host: "db.example".to_owned(), port: 5432 };
    Options {
        tls: TlsMode::Require,
        password: Some(Secret::new("pencil")),
        ..Options::new(address, "anna", "shop")
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

#[test]
fn encryption_comes_before_everything_else() {
    let mut protocol = Protocol::start(&encrypted(), true).unwrap();
    assert_eq!(protocol.take_outgoing(), SSL_REQUEST);
    assert!(protocol.next_event().unwrap().is_none());
    assert!(matches!(protocol.tls_started(None), Err(PostgresError::Misuse { .. })));
    protocol.receive(b"S");
    assert!(matches!(protocol.next_event(), Ok(Some(Event::StartTls))));
    assert!(protocol.take_outgoing().is_empty());
    protocol.tls_started(None).unwrap();
    let start_up = protocol.take_outgoing();
    assert_eq!(start_up[4..8], [0, 3, 0, 0]);
    assert!(start_up.windows(10).any(|bytes| bytes == b"user\0anna\0"));

    // Bytes that came with the answer were not encrypted, and nobody knows from whom they are.
    let mut protocol = Protocol::start(&encrypted(), true).unwrap();
    protocol.receive(&[&b"S"[..], &message(b'R', &[0; 4])].concat());
    assert!(matches!(protocol.next_event(), Err(PostgresError::Tls { .. })));

    let mut protocol = Protocol::start(&encrypted(), true).unwrap();
    protocol.receive(b"N");
    assert!(matches!(protocol.next_event(), Err(PostgresError::Tls { .. })));
    let mut protocol = Protocol::start(&Options { tls: TlsMode::Prefer, ..encrypted() }, true).unwrap();
    assert_eq!(protocol.take_outgoing(), SSL_REQUEST);
    protocol.receive(b"N");
    assert!(protocol.next_event().unwrap().is_none());
    assert_eq!(protocol.take_outgoing(), start_up);
}

#[test]
fn a_login_is_bound_to_the_encryption_where_both_sides_can() {
    let first_message = |binding: ChannelBinding, end_point: Option<Vec<u8>>, mechanisms: &[u8]| {
        let mut protocol = Protocol::start(&Options { channel_binding: binding, ..encrypted() }, true)?;
        protocol.receive(b"S");
        protocol.next_event()?;
        protocol.tls_started(end_point)?;
        protocol.take_outgoing();
        protocol.receive(&message(b'R', &[&[0, 0, 0, 10], mechanisms].concat()));
        protocol.next_event()?;
        let sent = protocol.take_outgoing();
        Ok::<String, PostgresError>(String::from_utf8_lossy(&sent).into_owned())
    };
    let (plain, both) = (&b"SCRAM-SHA-256\0\0"[..], &b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"[..]);
    let hash = || Some(vec![7; 32]);
    let check = |binding, end_point, mechanisms, mechanism: &str, header: &str| {
        let sent = first_message(binding, end_point, mechanisms).unwrap();
        assert!(sent.contains(&format!("{mechanism}\0")) && sent.contains(header), "{sent:?}");
    };
    check(ChannelBinding::Prefer, hash(), both, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=");
    check(ChannelBinding::Require, hash(), both, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=");
    check(ChannelBinding::Prefer, hash(), plain, "SCRAM-SHA-256", "y,,n=,r=");
    check(ChannelBinding::Prefer, None, both, "SCRAM-SHA-256", "n,,n=,r=");
    check(ChannelBinding::Disable, hash(), both, "SCRAM-SHA-256", "n,,n=,r=");
    for (end_point, mechanisms) in [(None, both), (hash(), plain), (hash(), &b"OAUTHBEARER\0\0"[..])] {
        let refused = first_message(ChannelBinding::Require, end_point, mechanisms);
        assert!(matches!(refused, Err(PostgresError::Authentication { .. })), "{refused:?}");
    }
}
