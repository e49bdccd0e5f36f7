//! What the fuzzer runs: everything that reads bytes of a stranger, followed far enough to use what was read.

use std::sync::Arc;

use crate::engine::Engine as _;
pub use crate::hostile::Entry;
use crate::hostile::{self, Thrown};
use crate::{Value, Values};

use super::copy::CopyReader;
use super::options::{Address, Options};
use super::protocol::{Event, Own, Protocol};
use super::statement::{ResultColumns, Statement};
use super::types::Known;
use super::{decode, encode};

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
    hostile::stream(&mut protocol, stream, usize::from(cut) + 1, follow);
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
        Event::Row => hostile::row(protocol),
        Event::Own(Own::CopyData) => assert!(protocol.copy_data().len() < 1 << 30),
        Event::StartTls => assert!(protocol.tls_started(Some(vec![1; 32])).is_ok(), "TLS was agreed to"),
        Event::Own(Own::CopyIn) => drop(protocol.copy_fail("no")),
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
    hostile::url::<Protocol>(input, "postgresql://anna:", |url| {
        let options = Options::from_url(url, &|_| None)?;
        assert!(!options.user.contains('\0'));
        Ok(options)
    });
}

/// All of them.
pub const ENTRIES: [Entry; 4] = [
    ("postgres_stream", postgres_stream),
    ("postgres_values", postgres_values),
    ("postgres_copy", postgres_copy),
    ("postgres_url", postgres_url),
];
