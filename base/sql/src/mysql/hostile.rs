//! What the fuzzer runs: everything that reads bytes of a stranger, followed far enough to use what was read.

use std::sync::Arc;

use crate::engine::Engine as _;
pub use crate::hostile::Entry;
use crate::hostile::{self, Thrown};
use crate::secret::Secret;
use crate::{Value, Values};

use super::message::Fields;
use super::options::{Address, Options};
use super::protocol::{Event, Own, Protocol};
use super::rsa::PublicKey;
use super::statement::{ResultColumns, Statement};
use super::types::{Definition, Kind, Known};
use super::{decode, encode, types};

/// A greeting of MariaDB with all that it is able to do but TLS.
const GREETING: &[u8] = b"\x54\0\0\0\x0a10.11.14-MariaDB\0\x07\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15\
    \0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";

/// The answer to the login, and to the session's settings.
const LET_IN: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";
const SETTINGS: &[u8] = b"\x07\0\0\x01\0\0\0\x02\0\0\0";

/// The stream of a server. The first byte says what the connection is doing, the second how the bytes are cut.
pub fn mysql_stream(input: &[u8]) {
    let Some((&[doing, cut], stream)) = input.split_first_chunk() else { return };
    let address = Address::Tcp { host: "db.example".to_owned(), port: 3306 };
    let mut options = Options::new(address, "anna");
    options.password = Some(Secret::new("pencil"));
    options.local_infile = doing & 0x20 != 0;
    let can_encrypt = doing & 0x80 != 0;
    let Ok(mut protocol) = Protocol::start(&options, can_encrypt) else { return };
    if !can_encrypt && doing & 0x40 == 0 {
        // Past the login, which a random stream would hardly pass.
        for bytes in [GREETING, LET_IN, SETTINGS] {
            protocol.receive(bytes);
            while let Ok(Some(_)) = protocol.next_event() {}
        }
        assert!(protocol.is_open(), "the login is one");
        ask(&mut protocol, doing);
    }
    hostile::stream(&mut protocol, stream, usize::from(cut) + 1, follow);
}

/// Requests that wait for the answers of the stream.
fn ask(protocol: &mut Protocol, doing: u8) {
    let columns = usize::from(doing >> 3 & 3);
    let mut described = ResultColumns::default();
    for &known in &KNOWN[columns * 4..][..4] {
        described.push(Definition { name: "c".to_owned(), type_name: String::new(), known });
    }
    let statement = Arc::new(Statement::new(1, "".into(), 0, Arc::new(described)));
    let asked = match doing & 7 {
        0 => protocol.query("SELECT 1"),
        1 => protocol.prepare("SELECT 1", true),
        2 => protocol.fetch(&statement, 2).and_then(|()| protocol.sync()),
        3 => protocol.prepare("SELECT 1", true).and_then(|()| protocol.query("SELECT 2")),
        4 => Ok(()),
        5 => protocol.open_cursor(&statement, &mut |_| {}).and_then(|()| protocol.sync()),
        doing => {
            let executed =
                (0..doing).try_for_each(|_| protocol.execute(&statement, &mut |_| true).map(|_| ()));
            executed.and_then(|()| protocol.sync())
        }
    };
    assert!(asked.is_ok(), "requests are made before anything has come");
}

fn follow(protocol: &mut Protocol, event: &Event) {
    match event {
        Event::Row => hostile::row(protocol),
        Event::StartTls => assert!(
            protocol.tls_started(Some(vec![1; 32])).is_ok() || !protocol.is_open(),
            "TLS was agreed to"
        ),
        Event::Own(Own::FileWanted) => {
            assert!(
                protocol.file_data(b"1\t2\n").is_ok() && protocol.file_done().is_ok(),
                "a file is wanted"
            );
        }
        _ => {}
    }
}

/// Columns of every kind.
const KNOWN: [Known; 20] = {
    const fn signed(kind: Kind) -> Known {
        Known { kind, unsigned: false }
    }
    [
        signed(Kind::Int1),
        signed(Kind::Int2),
        signed(Kind::Int4),
        signed(Kind::Int8),
        Known { kind: Kind::Int1, unsigned: true },
        Known { kind: Kind::Int2, unsigned: true },
        Known { kind: Kind::Int4, unsigned: true },
        Known { kind: Kind::Int8, unsigned: true },
        signed(Kind::Float),
        signed(Kind::Double),
        signed(Kind::Decimal),
        signed(Kind::Year),
        signed(Kind::Date),
        signed(Kind::Time),
        signed(Kind::Moment),
        signed(Kind::Text),
        signed(Kind::Json),
        signed(Kind::Uuid),
        signed(Kind::Bytes),
        signed(Kind::Null),
    ]
};

/// One value: the first byte says of which type, and in which form; or the description of a column, or a public key.
pub fn mysql_values(input: &[u8]) {
    let Some((&kind, bytes)) = input.split_first() else { return };
    let mut rows = Thrown::default();
    match kind {
        250.. => {
            if let Ok(key) = PublicKey::from_pem(bytes) {
                let _ = key.encrypt(b"pencil\0", [7; 20]);
            }
            return;
        }
        246..250 => {
            let _ = types::definition(bytes, kind % 2 == 0);
            return;
        }
        _ => {}
    }
    let known = KNOWN[usize::from(kind) % KNOWN.len()];
    let read = if kind < 128 {
        decode::binary(known, &mut Fields(bytes), &mut rows)
    } else {
        decode::text(known, bytes, &mut rows)
    };
    assert!(rows.told <= 1, "{} values out of one", rows.told);
    if read.is_err() {
        return;
    }
    // What was read can be written again, and is then read as the same.
    let values = rows.values.take();
    let [value] = &values[..] else { panic!("{} values out of one", values.len()) };
    let mut written = Vec::new();
    let Ok([code, _]) = encode::binary(value, &mut written) else { return };
    let kind = match code {
        6 => Kind::Null,
        8 => Kind::Int8,
        5 => Kind::Double,
        246 => Kind::Decimal,
        10 => Kind::Date,
        11 => Kind::Time,
        12 => Kind::Moment,
        252 => Kind::Bytes,
        _ => match value {
            Value::Json(_) => Kind::Json,
            Value::Uuid(_) => Kind::Uuid,
            _ => Kind::Text,
        },
    };
    let mut again = Values::default();
    let mut fields = Fields(&written);
    let reread = decode::binary(Known { kind, unsigned: false }, &mut fields, &mut again);
    assert!(reread.is_ok() && fields.0.is_empty(), "{value:?} was written as {written:?}");
    assert!(again.take() == values, "{value:?} was written as {written:?}");
}

/// A URL; none of its errors may repeat the password.
pub fn mysql_url(input: &[u8]) {
    hostile::url::<Protocol>(input, "mysql://anna:", |url| {
        let options = Options::from_url(url, &|_| None)?;
        assert!(!options.user.contains('\0'));
        Ok(options)
    });
}

/// All of them.
pub const ENTRIES: [Entry; 3] =
    [("mysql_stream", mysql_stream), ("mysql_values", mysql_values), ("mysql_url", mysql_url)];
