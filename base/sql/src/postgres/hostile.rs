//! What the fuzzer runs: everything that reads bytes of a stranger, followed far enough to use what was read.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::{Column, Rows, Sink, Value, Values};

use super::copy::CopyReader;
use super::options::{Address, Options};
use super::protocol::{Event, Protocol};
use super::statement::{ResultColumns, Statement};
use super::types::Known;
use super::{decode, encode};

/// Events that one input may cause for each of its bytes, at most.
const EVENTS_PER_BYTE: usize = 1;

/// A row of values that is thrown away as soon as it is complete.
#[derive(Default)]
struct Thrown {
    values: Values,
    told: usize,
}

impl Rows for Thrown {
    fn columns(&mut self, _: &[Column]) {}

    fn row(&mut self) -> ControlFlow<()> {
        self.values.take();
        ControlFlow::Continue(())
    }
}

/// Counts the call, and keeps the value.
macro_rules! tell {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        impl Sink for Thrown {
            $(fn $name(&mut self, $($argument: $kind),*) {
                self.told += 1;
                self.values.$name($($argument),*);
            })*
        }
    };
}

tell! {
    null();
    boolean(value: bool);
    integer(value: i64);
    real(value: f64);
    decimal(digits: &str);
    text(text: &str);
    json(text: &str);
    bytes(bytes: &[u8]);
    date(year: i32, month: u8, day: u8);
    time(hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>);
    moment(microseconds: i64, offset_s: Option<i32>);
    interval(months: i32, days: i32, microseconds: i64);
    uuid(bytes: [u8; 16]);
    array(length: usize);
    infinite(positive: bool);
}

/// Types of every kind, and one that is not known.
const OIDS: [u32; 26] = [
    16, 17, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1266, 1700,
    2950, 3802, 1007, 1009, 1231, 600,
];

/// The stream of a server. The first byte says what the connection is doing, the second how the bytes are cut.
pub fn postgres_stream(input: &[u8]) {
    let Some((&[doing, cut], stream)) = input.split_first_chunk() else { return };
    let options = Options::new(Address::Tcp { host: "db.example".to_owned(), port: 5432 }, "anna", "shop");
    let can_encrypt = doing & 0x80 != 0;
    let Ok(mut protocol) = Protocol::start(&options, can_encrypt) else { return };
    if !can_encrypt && doing & 0x40 == 0 {
        // Past the login, which a random stream would hardly pass.
        protocol.receive(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
        while let Ok(Some(_)) = protocol.next_event() {}
        ask(&mut protocol, doing);
    }
    let mut told = 0;
    let piece = usize::from(cut) + 1;
    for bytes in stream.chunks(piece) {
        protocol.receive(bytes);
        loop {
            match protocol.next_event() {
                Ok(Some(event)) => {
                    told += 1;
                    follow(&mut protocol, &event);
                }
                Ok(None) => break,
                Err(_) => {
                    assert!(
                        protocol.next_event().is_err() && !protocol.is_open(),
                        "a broken connection goes on"
                    );
                    break;
                }
            }
        }
        let outgoing = protocol.outgoing().len();
        protocol.sent(outgoing);
    }
    assert!(told <= 8 + stream.len() * EVENTS_PER_BYTE, "{told} events out of {} bytes", stream.len());
}

/// Requests that wait for the answers of the stream.
fn ask(protocol: &mut Protocol, doing: u8) {
    let known: Vec<Known> = OIDS.iter().map(|&oid| Known::by_oid(oid)).collect();
    let mut columns = ResultColumns::default();
    for (oid, known) in OIDS.iter().zip(&known).skip(usize::from(doing >> 3 & 7)).take(4) {
        columns.push("c".to_owned(), *oid, *known);
    }
    let statement = Arc::new(Statement {
        name: String::new(),
        sql: "".into(),
        parameter_oids: Vec::new(),
        parameters: Vec::new(),
        columns: Arc::new(columns),
    });
    let asked = match doing & 7 {
        0 => protocol.query("SELECT 1"),
        1 => protocol.prepare("SELECT 1", true),
        2 => protocol.fetch("portal", &statement, 2).and_then(|()| protocol.sync()),
        3 => protocol.prepare("SELECT 1", true).and_then(|()| protocol.query("SELECT 2")),
        4 => Ok(()),
        doing => {
            let executed =
                (0..doing).try_for_each(|_| protocol.execute(&statement, &mut |_| true).map(|_| ()));
            executed.and_then(|()| if doing == 7 { protocol.sync_undone() } else { protocol.sync() })
        }
    };
    assert!(asked.is_ok(), "requests are made before anything has come");
}

fn follow(protocol: &mut Protocol, event: &Event) {
    match event {
        Event::Row => {
            let mut rows = Thrown::default();
            if let Ok(row) = protocol.row() {
                let _ = row.write_into(&mut rows);
            }
        }
        Event::CopyData => assert!(protocol.copy_data().len() < 1 << 30),
        Event::StartTls => assert!(protocol.tls_started(Some(vec![1; 32])).is_ok(), "TLS was agreed to"),
        Event::CopyIn => drop(protocol.copy_fail("no")),
        _ => {}
    }
}

/// One value: the first byte says of which type.
pub fn postgres_values(input: &[u8]) {
    let Some((&kind, bytes)) = input.split_first() else { return };
    let known = Known::by_oid(OIDS[usize::from(kind) % OIDS.len()]);
    let mut rows = Thrown::default();
    let read = decode::decode(known, bytes, &mut rows);
    assert!(rows.told <= 1 + bytes.len(), "{} values out of {} bytes", rows.told, bytes.len());
    if read.is_err() {
        return;
    }
    // What was read can be written again, and is then read as the same.
    let values = rows.values.take();
    let [value] = &values[..] else { panic!("{} values out of one", values.len()) };
    let mut written = Vec::new();
    if !matches!(encode::binary(known, value, &mut written), Ok(true)) {
        return;
    }
    let mut again = Values::default();
    let reread = decode::decode(known, &written, &mut again);
    assert!(reread.is_ok(), "{value:?} was written as {written:?}");
    assert!(same(&again.take(), &values), "{value:?} was written as {written:?}");
}

fn same(one: &[Value<'_>], other: &[Value<'_>]) -> bool {
    // NaN is never equal to itself.
    one == other || format!("{one:?}") == format!("{other:?}")
}

/// A bulk export: the first byte says how the bytes are cut.
pub fn postgres_copy(input: &[u8]) {
    let Some((&[cut, from], stream)) = input.split_first_chunk() else { return };
    let mut columns = ResultColumns::default();
    for oid in OIDS.iter().skip(usize::from(from) % OIDS.len()).take(3) {
        columns.push("c".to_owned(), *oid, Known::by_oid(*oid));
    }
    let mut reader = CopyReader::new(&columns);
    let mut rows = Thrown::default();
    for piece in stream.chunks(usize::from(cut) + 1) {
        if reader.push(piece, &mut rows).is_err() {
            break;
        }
    }
    assert!(rows.told <= stream.len(), "{} values out of {} bytes", rows.told, stream.len());
}

/// A URL; none of its errors may repeat the password.
pub fn postgres_url(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let none = |_: &str| None;
    if let Ok(options) = Options::from_url(&text, &none) {
        assert!(!options.user.contains('\0'));
        let _ = Protocol::start(&options, false);
        let _ = (options.to_string(), format!("{options:?}"));
    }
    let secret = "s3cr3tw0rd";
    if !text.contains(secret) {
        let url = format!("postgresql://anna:{secret}{text}");
        if let Err(error) = Options::from_url(&url, &none) {
            assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        }
    }
}

/// A fuzz target: its name, which is its folder in the corpus, and what it runs.
pub type Entry = (&'static str, fn(&[u8]));

/// All of them.
pub const ENTRIES: [Entry; 4] = [
    ("postgres_stream", postgres_stream),
    ("postgres_values", postgres_values),
    ("postgres_copy", postgres_copy),
    ("postgres_url", postgres_url),
];
