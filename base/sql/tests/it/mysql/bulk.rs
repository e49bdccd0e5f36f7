//! Many rows at once: in one packet, and as executions one after the other.

use naja_sql::mysql::{Connection, MySqlError, Options};
use naja_sql::{NoRows, Sink, Source, Table, Transaction, Value};
use naja_testkit::MariaDbServer;

use super::{cache, connect, open, refusal, rows, superuser, value};

/// Rows that are made as they are asked for.
struct Made<F>(std::ops::Range<i64>, F);

impl<F: FnMut(i64, &mut dyn Sink)> Source for Made<F> {
    fn next_row(&mut self, sink: &mut dyn Sink) -> bool {
        let Some(number) = self.0.next() else { return false };
        (self.1)(number, sink);
        true
    }
}

fn people(count: i64) -> impl Source {
    Made(0..count, |number: i64, sink: &mut dyn Sink| {
        sink.integer(number);
        sink.text(&format!("user {number}"));
        if number % 3 == 0 {
            sink.null()
        } else {
            sink.real(number as f64 / 2.0)
        }
        sink.boolean(number % 2 == 0);
    })
}

fn make(connection: &mut Connection, name: &str) {
    connection
        .script(&format!("CREATE TABLE {name} (id BIGINT PRIMARY KEY, name TEXT, score DOUBLE, ok BOOL)"))
        .expect("the table is new");
}

fn summary(connection: &mut Connection, name: &str) -> Vec<Value<'static>> {
    let sql = format!(
        "SELECT count(*), CAST(sum(id) AS INT), count(score), CAST(sum(length(name)) AS INT), CAST(sum(ok) AS INT) FROM {name}"
    );
    rows(connection, &sql, &[]).remove(0)
}

#[test]
fn a_hundred_thousand_rows_are_inserted() {
    let Some(mut connection) = connect() else { return };
    let expected = [100_000, 4_999_950_000, 66_666, 988_890, 50_000].map(Value::Integer);
    make(&mut connection, "bulked");
    let inserted = connection.execute_many("INSERT INTO bulked VALUES (?, ?, ?, ?)", &mut people(100_000));
    assert_eq!(inserted.unwrap().affected, Some(100_000));
    assert_eq!(summary(&mut connection, "bulked"), expected);
    assert_eq!(connection.transaction(), Transaction::None);
    assert_eq!(value(&mut connection, "SELECT @@autocommit", &[]), 1.into());
    // One after the other, since a comment is no word that is known.
    make(&mut connection, "piped");
    let sql = "/* one by one */ INSERT INTO piped VALUES (?, ?, ?, ?)";
    assert_eq!(connection.execute_many(sql, &mut people(100_000)).unwrap().affected, Some(100_000));
    assert_eq!(summary(&mut connection, "piped"), expected);

    // Answers that are longer than what is sent: neither side may wait for the other.
    let sql = "SELECT ?, repeat('x', 1000)";
    let selected = connection
        .execute_many(sql, &mut Made(0..20_000, |number, sink: &mut dyn Sink| sink.integer(number)));
    assert_eq!(selected.unwrap().affected, Some(20_000));
    for (sql, affected) in [
        ("UPDATE bulked SET ok = ? WHERE id = ?", 1_000),
        ("DELETE FROM bulked WHERE ok = ? AND id = ?", 500),
    ] {
        let mut pairs = Made(0..1_000, |number, sink: &mut dyn Sink| {
            sink.boolean(number % 2 == 0 || sql.starts_with("DELETE"));
            sink.integer(number);
        });
        assert_eq!(connection.execute_many(sql, &mut pairs).unwrap().affected, Some(affected), "{sql}");
    }
}

#[test]
fn no_rows_are_no_rows() {
    let Some(mut connection) = connect() else { return };
    make(&mut connection, "nobody");
    for sql in ["INSERT INTO nobody VALUES (?, ?, ?, ?)", "/**/ INSERT INTO nobody VALUES (?, ?, ?, ?)"] {
        assert_eq!(connection.execute_many(sql, &mut people(0)).unwrap().affected, Some(0));
    }
    assert_eq!(value(&mut connection, "SELECT count(*) FROM nobody", &[]), 0.into());
    // A statement without parameters runs as often as there are rows.
    let mut none = Made(0..3, |_, _: &mut dyn Sink| {});
    let sql = "INSERT INTO nobody SELECT count(*), NULL, NULL, NULL FROM nobody";
    assert_eq!(connection.execute_many(sql, &mut none).unwrap().affected, Some(3));
}

#[test]
fn an_error_undoes_all_rows_and_nothing_else() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE failing (a INT PRIMARY KEY, b INT)").unwrap();
    let numbers = |wrong: i64| {
        Made(0..60_000, move |number, sink: &mut dyn Sink| {
            sink.integer(if number == wrong { 0 } else { number })
        })
    };
    for sql in ["INSERT INTO failing (a) VALUES (?)", "/**/ INSERT INTO failing (a) VALUES (?)"] {
        for in_transaction in [false, true] {
            if in_transaction {
                connection.script("BEGIN; INSERT INTO failing VALUES (-1, 0)").unwrap();
            }
            let error = refusal(connection.execute_many(sql, &mut numbers(50_007)));
            assert_eq!(error.code, 1062, "{error}");
            if sql.starts_with("/**/") {
                assert_eq!(error.row, Some(50_007));
            }
            // A value that cannot be sent.
            let mut wrong =
                Made(
                    0..10_000,
                    |number, sink: &mut dyn Sink| {
                        if number == 9_000 { sink.array(0) } else { sink.integer(number) }
                    },
                );
            let error = connection.execute_many(sql, &mut wrong).unwrap_err();
            assert!(matches!(error, MySqlError::Parameter { row: 9_000, index: 0, .. }), "{error:?}");
            let mut short = Made(0..10, |number, sink: &mut dyn Sink| {
                if number < 5 {
                    sink.integer(number)
                }
            });
            let error = connection.execute_many(sql, &mut short).unwrap_err();
            assert!(matches!(error, MySqlError::ParameterCount { row: 5, given: 0, wanted: 1 }), "{error:?}");
            let expected = if in_transaction { Transaction::Open } else { Transaction::None };
            assert_eq!(connection.transaction(), expected);
            assert_eq!(
                value(&mut connection, "SELECT count(*) FROM failing", &[]),
                i64::from(in_transaction).into()
            );
            assert_eq!(value(&mut connection, "SELECT @@autocommit", &[]), 1.into());
            if in_transaction {
                connection.script("ROLLBACK").unwrap();
            }
        }
    }
    assert_eq!(value(&mut connection, "SELECT count(*) FROM failing", &[]), 0.into());
}

#[test]
fn rows_of_other_types_go_into_other_packets() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE mixed (id INT, v TEXT)").unwrap();
    let mut mixed = Made(0..1_000, |number, sink: &mut dyn Sink| {
        sink.integer(number);
        match number % 7 {
            0 | 1 => sink.null(),
            2 => sink.integer(number),
            3 => sink.real(number as f64 + 0.5),
            4 => sink.text("text"),
            5 => sink.bytes(b"bytes"),
            _ => sink.unsigned(u64::MAX),
        }
    });
    assert_eq!(
        connection.execute_many("INSERT INTO mixed VALUES (?, ?)", &mut mixed).unwrap().affected,
        Some(1_000)
    );
    let read = rows(&mut connection, "SELECT v FROM mixed ORDER BY id", &[]);
    let texts: Vec<_> = read[700..707].concat();
    let text = |text: &'static str| Value::Text(text.into());
    let expected = [
        Value::Null,
        Value::Null,
        text("702"),
        text("703.5"),
        text("text"),
        text("bytes"),
        text("18446744073709551615"),
    ];
    assert_eq!(texts, expected);
    // All of them NULL, and long ones between short ones.
    let mut nulls = Made(0..100, |_, sink: &mut dyn Sink| {
        sink.null();
        sink.null();
    });
    assert_eq!(
        connection.execute_many("INSERT INTO mixed VALUES (?, ?)", &mut nulls).unwrap().affected,
        Some(100)
    );
    connection.script("CREATE TABLE sized (id INT, v LONGBLOB)").unwrap();
    let long = vec![7; 17_000_000];
    let mut sizes = Made(0..9, |number, sink: &mut dyn Sink| {
        sink.integer(number);
        sink.bytes(if number % 4 == 3 { &long } else { b"short" });
    });
    assert_eq!(
        connection.execute_many("INSERT INTO sized VALUES (?, ?)", &mut sizes).unwrap().affected,
        Some(9)
    );
    assert_eq!(
        value(&mut connection, "SELECT CAST(sum(length(v)) AS INT) FROM sized", &[]),
        34_000_035.into()
    );
}

#[test]
fn what_is_larger_than_the_server_takes_is_refused_before_it_is_sent() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let mut administrator = open(&superuser(server));
    administrator.script("CREATE TABLE large (v LONGBLOB); SET GLOBAL max_allowed_packet = 1048576").unwrap();
    let mut connection = open(&superuser(server));
    let check = |connection: &mut Connection, size: usize, fits: bool| {
        let bytes = vec![1; size];
        let parameters = [Value::Bytes(bytes.as_slice().into())];
        let executed = connection.execute("SELECT length(?)", &parameters, &mut NoRows);
        let mut once = [parameters.to_vec()].into_iter();
        let mut source = Made(0..1, |_, sink: &mut dyn Sink| once.next().unwrap()[0].write_into(sink));
        let many = connection.execute_many("INSERT INTO large VALUES (?)", &mut source);
        for result in [executed, many] {
            match result {
                Ok(_) => assert!(fits, "{size} bytes are taken"),
                Err(error) => {
                    assert!(!fits && matches!(error, MySqlError::Unsendable { .. }), "{size}: {error:?}")
                }
            }
        }
        assert!(connection.is_usable());
    };
    check(&mut connection, 1_048_576 - 100, true);
    check(&mut connection, 1_048_576, false);
    check(&mut connection, 20_000_000, false);
    let error = connection.script(&"x".repeat(1_048_576)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "MySQL cannot be sent this: 1048577 bytes at once; the server's `max_allowed_packet` is 1048576"
    );
    assert_eq!(value(&mut connection, "SELECT count(*) FROM large", &[]), 1.into());
    administrator.script("SET GLOBAL max_allowed_packet = 67108864").unwrap();
}

#[test]
fn a_deadlock_in_the_middle_leaves_no_row() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let mut other = open(&superuser(server));
    let mut connection = open(&superuser(server));
    other.script("CREATE TABLE locked (id INT PRIMARY KEY, v INT)").unwrap();
    other.script("INSERT INTO locked SELECT seq, 0 FROM seq_1_to_50").unwrap();
    // The session that has changed less is the one that loses.
    other.script("BEGIN; UPDATE locked SET v = 2 WHERE id > 1").unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            // Row 1 first, then a row of the other's, then many more.
            let mut ids = Made(1..2_000, |number, sink: &mut dyn Sink| sink.integer(number));
            connection.execute_many("/**/ UPDATE locked SET v = 1 WHERE id = ?", &mut ids)
        });
        let sql = "SELECT variable_value > 0 FROM information_schema.global_status \
                   WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'";
        while value(&mut other, sql, &[]) == 0.into() {
            std::thread::yield_now();
        }
        // What was sent behind the one that fails is done all the same, once the others' rows are free.
        other.script("UPDATE locked SET v = 2 WHERE id = 1; COMMIT").unwrap();
        assert_eq!(refusal(waiting.join().unwrap()).code, 1213);
    });
    let sql = "SELECT count(*) FROM locked WHERE v = 1";
    assert_eq!(value(&mut connection, sql, &[]), 0.into());
    assert_eq!(connection.transaction(), Transaction::None);
    assert_eq!(value(&mut connection, "SELECT @@autocommit", &[]), 1.into());
}

#[test]
fn a_file_is_loaded_from_what_the_caller_gives_and_from_nothing_else() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let sql = "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE loaded";
    let mut closed = open(&superuser(server));
    closed.script("CREATE TABLE loaded (a INT, b VARCHAR(100))").unwrap();
    let refused = closed.load(sql, &mut &b"1\tx\n"[..]);
    assert!(matches!(refused, Err(MySqlError::Misuse { .. })), "{refused:?}");
    // The server itself refuses what this client has not offered.
    let error = refusal(closed.script(sql));
    assert!([1148, 4166].contains(&error.code), "{error}");

    let mut connection = open(&Options { local_infile: true, ..superuser(server) });
    let lines: String = (0..50_000).map(|number| format!("{number}\tline {number}\n")).collect();
    assert_eq!(connection.load(sql, &mut lines.as_bytes()).unwrap(), 50_000);
    assert_eq!(
        rows(&mut connection, "SELECT * FROM loaded WHERE a = 49999", &[]),
        [[49_999.into(), "line 49999".into()]]
    );
    assert_eq!(connection.load(sql, &mut &b""[..]).unwrap(), 0);
    // Nobody has anything to give: the file that is named stays where it is.
    connection.script(sql).unwrap();
    connection.run_text(sql, &mut Table::default()).unwrap();
    assert_eq!(value(&mut connection, "SELECT count(*) FROM loaded", &[]), 50_000.into());
    let refused = connection.load("SELECT 1", &mut &b"1"[..]);
    assert!(matches!(refused, Err(MySqlError::Misuse { .. })), "{refused:?}");
    assert_eq!(
        refusal(connection.load("LOAD DATA LOCAL INFILE 'x' INTO TABLE missing", &mut &b"1"[..])).code,
        1146
    );
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}
