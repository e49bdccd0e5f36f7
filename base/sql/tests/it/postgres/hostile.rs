//! Reading must end, without a panic and without more than the bytes can hold, whatever a server sends.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use naja_sql::postgres::hostile::ENTRIES;
use naja_sql::postgres::{Address, Connection, Options, PostgresError};
use naja_sql::{NoRows, Value};

use crate::damage::{replay, throw};

/// Replays what fuzzing has found worth keeping: `fuzz/corpus/TARGET/*`.
#[test]
fn the_corpus_and_what_comes_near_it_never_panic() {
    replay(&ENTRIES);
}

#[test]
fn random_bytes_never_panic() {
    throw(&ENTRIES);
}

/// A server that answers each piece that comes with the next of `answers`, then closes.
fn pretend(answers: Vec<Vec<u8>>) -> Options {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the test connects");
        let mut asked = [0; 4096];
        for answer in answers {
            if stream.read(&mut asked).unwrap_or(0) == 0 || stream.write_all(&answer).is_err() {
                return;
            }
        }
    });
    Options::new(Address::Tcp { host: "127.0.0.1".to_owned(), port }, "anna", "shop")
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[tag], &length[..], body].concat()
}

/// A login that is let in at once.
fn hello() -> Vec<u8> {
    [message(b'R', &[0; 4]), message(b'Z', b"I")].concat()
}

#[test]
fn whoever_speaks_another_protocol_is_told_apart() {
    for answer in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x4a\0\0\0\x0a8.0.36\0", b"SSH-2.0-OpenSSH_9.2\r\n"]
    {
        let error = Connection::open(&pretend(vec![answer.to_vec()]), None).unwrap_err();
        assert!(matches!(error, PostgresError::Protocol { .. } | PostgresError::Lost { .. }), "{error:?}");
    }
}

#[test]
fn a_connection_that_breaks_in_mid_message_is_never_used_again() {
    let described = [
        message(b'1', b""),
        message(b't', &[0, 0]),
        message(b'T', &[&[0, 1], &b"a\0"[..], &[0; 6], &23u32.to_be_bytes(), &[0; 8]].concat()),
        message(b'Z', b"I"),
    ]
    .concat();
    let row = message(b'D', &[0, 1, 0, 0, 0, 4, 0, 0, 0, 7]);
    let bound = message(b'2', b"");
    let check = |answer: Vec<u8>| {
        let mut connection =
            Connection::open(&pretend(vec![hello(), described.clone(), answer]), None).unwrap();
        let error = connection.execute("SELECT 7 AS a", &[], &mut NoRows).unwrap_err();
        assert!(!connection.is_usable(), "{error:?}");
        let again = connection.execute("SELECT 7 AS a", &[], &mut NoRows).unwrap_err();
        assert!(matches!(again, PostgresError::Misuse { .. }), "{again:?}");
        error
    };
    for cut in 1..row.len() {
        let error = check([&bound[..], &row[..cut]].concat());
        assert!(matches!(error, PostgresError::Lost { .. }), "{error:?}");
    }
    for wrong in [
        message(b'D', &[0, 1]),
        [bound.clone(), vec![b'D', 0xff, 0xff, 0xff, 0xff]].concat(),
        [bound.clone(), vec![b'D', 0, 0, 0, 3]].concat(),
        [bound.clone(), message(b'?', b"")].concat(),
        [bound.clone(), message(b'1', b"")].concat(),
        [bound.clone(), message(b'Z', b"I")].concat(),
        message(b'E', b"SERROR\0"),
        message(b'Z', b"?"),
    ] {
        let error = check(wrong);
        assert!(matches!(error, PostgresError::Protocol { .. }), "{error:?}");
    }
}

#[test]
fn a_row_that_does_not_fit_its_columns_is_an_error_of_the_row() {
    let described = [
        message(b'1', b""),
        message(b't', &[0, 0]),
        message(b'T', &[&[0, 1], &b"a\0"[..], &[0; 6], &23u32.to_be_bytes(), &[0; 8]].concat()),
        message(b'Z', b"I"),
    ]
    .concat();
    for row in [
        &[0, 2, 0, 0, 0, 1, 7][..],
        &[0, 1, 0, 0, 0, 1, 7],
        &[0, 1, 0xff, 0xff, 0xff, 0xfe],
        &[0, 1, 0x7f, 0, 0, 0],
    ] {
        let answer =
            [message(b'2', b""), message(b'D', row), message(b'C', b"SELECT 1\0"), message(b'Z', b"I")]
                .concat();
        let mut connection =
            Connection::open(&pretend(vec![hello(), described.clone(), answer]), None).unwrap();
        let error = connection.execute("SELECT 7 AS a", &[], &mut NoRows).unwrap_err();
        assert!(matches!(error, PostgresError::Value { .. } | PostgresError::Protocol { .. }), "{error:?}");
        assert!(connection.is_usable());
    }
}

#[test]
fn a_login_without_the_server_s_proof_is_none() {
    let scram = message(b'R', &[&10u32.to_be_bytes()[..], b"SCRAM-SHA-256\0\0"].concat());
    let url = |options: &Options| Options {
        password: Some(naja_sql::postgres::Secret::new("pw")),
        ..options.clone()
    };
    for second in [
        hello(),
        message(b'R', &[&12u32.to_be_bytes()[..], b"v=AAAA"].concat()),
        message(b'R', &[0, 0, 0, 11]),
    ] {
        let options = url(&pretend(vec![scram.clone(), second]));
        let error = Connection::open(&options, None).unwrap_err();
        assert!(matches!(error, PostgresError::Authentication { .. }), "{error:?}");
    }
    let early = Connection::open(&pretend(vec![message(b'Z', b"I")]), None).unwrap_err();
    assert!(matches!(early, PostgresError::Protocol { .. }), "{early:?}");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = Options {
        connect_timeout: Some(std::time::Duration::from_millis(50)),
        ..Options::new(Address::Tcp { host: "127.0.0.1".to_owned(), port }, "anna", "shop")
    };
    let error = Connection::open(&options, None).unwrap_err();
    assert!(matches!(error, PostgresError::ConnectTimedOut { .. }), "{error:?}");

    // Another lets us in, and is silent when asked.
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 4096];
        let _ = stream.read(&mut asked);
        let _ = stream.write_all(&hello());
        let _ = held.recv();
    });
    let options = Options {
        address: Address::Tcp { host: "127.0.0.1".to_owned(), port },
        connect_timeout: None,
        answer_timeout: Some(std::time::Duration::from_millis(50)),
        ..options
    };
    let mut connection = Connection::open(&options, None).unwrap();
    let error = connection.execute("SELECT $1::int", &[Value::Integer(1)], &mut NoRows).unwrap_err();
    assert!(matches!(error, PostgresError::TimedOut { silent_ms: 50 }), "{error:?}");
    assert!(!connection.is_usable());
    drop(hold);
}
