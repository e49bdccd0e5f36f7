//! Reading must end, without a panic and without more than the bytes can hold, whatever a server sends.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use naja_sql::mysql::hostile::ENTRIES;
use naja_sql::mysql::{Address, Connection, MySqlError, Options};
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

/// A server that says hello, then answers each piece that comes with the next of `answers`, then closes.
fn pretend(answers: Vec<Vec<u8>>) -> Options {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the test connects");
        let mut asked = [0; 4096];
        for (number, answer) in answers.into_iter().enumerate() {
            if number > 0 && stream.read(&mut asked).unwrap_or(0) == 0 {
                return;
            }
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    });
    Options::new(Address::Tcp { host: "127.0.0.1".to_owned(), port }, "anna")
}

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let [a, b, c, ..] = (body.len() as u32).to_le_bytes();
    [&[a, b, c, sequence], body].concat()
}

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
const END: &[u8] = &[0xfe, 0, 0, 2, 0];

/// An old server, which says neither MariaDB's nor MySQL's newer words.
fn greeting() -> Vec<u8> {
    let capabilities: u32 = 0x000f_a7ff;
    let [a, b, c, d] = capabilities.to_le_bytes();
    let head = [&b"\x0a5.5.62\0\x07\0\0\0abcdefgh\0"[..], &[a, b, 33, 2, 0, c, d, 21], &[0; 10]].concat();
    packet(0, &[&head[..], b"ijklmnopqrst\0mysql_native_password\0"].concat())
}

/// The description of an integer called `a`.
fn column() -> Vec<u8> {
    [&b"\x03def\0\0\0\x01a\0"[..], &[12, 63, 0, 11, 0, 0, 0, 3, 0, 0, 0, 0, 0]].concat()
}

/// Up to the end of a login, and the answer to a statement that is prepared: no parameters, one column.
fn until_prepared() -> Vec<Vec<u8>> {
    let settings = [
        packet(1, &[0, 0, 0, 10, 0, 0, 0]),
        packet(2, &[1]),
        packet(3, &column()),
        packet(4, END),
        packet(5, b"\x0816777216"),
        packet(6, END),
    ];
    let prepared = [packet(1, &[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), packet(2, &column()), packet(3, END)];
    vec![greeting(), packet(2, OK), settings.concat(), prepared.concat()]
}

/// The head of a result with that column.
fn head() -> Vec<u8> {
    [packet(1, &[1]), packet(2, &column()), packet(3, END)].concat()
}

const ROW: &[u8] = &[0, 0, 7, 0, 0, 0];

fn connected(answer: Vec<u8>) -> Connection {
    let answers = [until_prepared(), vec![answer]].concat();
    Connection::open(&pretend(answers), None).expect("the login is one")
}

#[test]
fn a_server_that_has_none_of_the_newer_words_is_understood() {
    let answer = [head(), packet(4, ROW), packet(5, END)].concat();
    let mut connection = connected(answer);
    assert!(!connection.is_mariadb());
    let mut table = naja_sql::Table::default();
    connection.execute("SELECT 7 AS a", &[], &mut table).unwrap();
    assert_eq!(table.rows, [[Value::Integer(7)]]);
    assert_eq!((table.columns[0].name.as_str(), table.columns[0].type_name.as_str()), ("a", "int"));
}

#[test]
fn whoever_speaks_another_protocol_is_told_apart() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x01\0\0\0\x09",
    ] {
        let error = Connection::open(&pretend(vec![answer.to_vec()]), None).unwrap_err();
        assert!(matches!(error, MySqlError::Protocol { .. } | MySqlError::Lost { .. }), "{error:?}");
    }
    // Refused before a word was said.
    let refused = packet(0, b"\xff\x10\x04Too many connections");
    let error = Connection::open(&pretend(vec![refused]), None).unwrap_err();
    assert_eq!(error.server().map(|said| (said.code, &*said.message)), Some((1040, "Too many connections")));
}

#[test]
fn a_connection_that_breaks_in_mid_packet_is_never_used_again() {
    let check = |answer: Vec<u8>| {
        let mut connection = connected(answer);
        let error = connection.execute("SELECT 7 AS a", &[], &mut NoRows).unwrap_err();
        assert!(!connection.is_usable(), "{error:?}");
        let again = connection.execute("SELECT 7 AS a", &[], &mut NoRows).unwrap_err();
        assert!(matches!(again, MySqlError::Misuse { .. }), "{again:?}");
        error
    };
    let whole = [head(), packet(4, ROW), packet(5, END)].concat();
    for cut in 1..whole.len() {
        let error = check(whole[..cut].to_vec());
        assert!(matches!(error, MySqlError::Lost { .. }), "{error:?}");
    }
    for wrong in [
        packet(2, OK),
        packet(1, &[]),
        packet(1, &[0]),
        packet(1, &[0xfb]),
        packet(1, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        packet(1, &[0xfc, 0, 0]),
        packet(1, b"\xff"),
        [packet(1, &[1]), packet(3, &column())].concat(),
        [packet(1, &[1]), packet(2, &column()[..9])].concat(),
        [packet(1, &[1]), packet(2, &column()), packet(3, ROW)].concat(),
        [head(), packet(4, &[9])].concat(),
        [head(), packet(4, &[0xfe, 0])].concat(),
    ] {
        let error = check(wrong.clone());
        assert!(matches!(error, MySqlError::Protocol { .. }), "{wrong:?}: {error:?}");
    }
    // The server ends the connection by itself, and says so before it is asked.
    let words = b"\xff\xbf\x0f#HY000The client was disconnected by the server because of inactivity.";
    for answer in [packet(0, words), packet(1, words)] {
        let error = check(answer);
        assert!(matches!(error, MySqlError::Lost { said: Some(_), .. }), "{error:?}");
        assert_eq!(error.server().unwrap().code, 4031);
    }
}

#[test]
fn a_row_that_does_not_fit_its_columns_is_an_error_of_the_row() {
    for row in [&[0][..], &[0, 0], &[0, 0, 7, 0, 0], &[0, 0, 7, 0, 0, 0, 0], &[0, 4, 7, 0, 0, 0]] {
        let mut connection = connected([head(), packet(4, row), packet(5, END)].concat());
        let error = connection.execute("SELECT 7 AS a", &[], &mut NoRows).unwrap_err();
        assert!(
            matches!(error, MySqlError::Value { .. } | MySqlError::Protocol { .. }),
            "{row:?}: {error:?}"
        );
        assert!(connection.is_usable());
    }
}

#[test]
fn a_login_that_never_ends_is_ended() {
    let again = |sequence: u8| packet(sequence, b"\xfemysql_native_password\0abcdefghijklmnopqrst\0");
    let answers = std::iter::once(greeting()).chain((1..40).map(|number| again(2 * number))).collect();
    let error = Connection::open(&pretend(answers), None).unwrap_err();
    assert!(matches!(error, MySqlError::Protocol { .. }), "{error:?}");
}

#[test]
fn a_file_that_was_not_offered_is_not_sent() {
    let wish = packet(1, b"\xfb/etc/passwd");
    let mut answers = until_prepared();
    answers.truncate(3);
    answers.push(wish);
    let mut connection = Connection::open(&pretend(answers), None).unwrap();
    let error = connection.script("SELECT 1").unwrap_err();
    assert!(matches!(error, MySqlError::Protocol { .. }), "{error:?}");
    assert!(!connection.is_usable());
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let timeout = std::time::Duration::from_millis(50);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let options = Options { connect_timeout: Some(timeout), ..Options::new(address, "anna") };
    let error = Connection::open(&options, None).unwrap_err();
    assert!(matches!(error, MySqlError::ConnectTimedOut { .. }), "{error:?}");

    // Another lets us in, and is silent when asked.
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 4096];
        for answer in &until_prepared()[..3] {
            let _ = stream.write_all(answer);
            let _ = stream.read(&mut asked);
        }
        let _ = held.recv();
    });
    let options = Options {
        address: Address::Tcp { host: "127.0.0.1".to_owned(), port },
        connect_timeout: None,
        answer_timeout: Some(timeout),
        ..options
    };
    let mut connection = Connection::open(&options, None).unwrap();
    let error = connection.execute("SELECT ?", &[Value::Integer(1)], &mut NoRows).unwrap_err();
    assert!(matches!(error, MySqlError::TimedOut { silent_ms: 50 }), "{error:?}");
    assert!(!connection.is_usable());
    drop(hold);
}
