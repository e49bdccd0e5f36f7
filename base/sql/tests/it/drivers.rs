//! The same scenario through every engine's driver, with the same answers.

use std::ops::ControlFlow;
use std::path::Path;

use naja_sql::{Driver, EachRow, NoRows, Table, Transaction, Value, mysql, postgres};
use naja_testkit::{MariaDbServer, PostgresServer};

/// What differs: how parameters are written, and what types are called.
struct Words {
    numbered: bool,
    integer: &'static str,
    real: &'static str,
    bytes: &'static str,
}

impl Words {
    /// The statement as the engine reads it.
    fn sql(&self, text: &str) -> String {
        let text =
            text.replace("INTEGER", self.integer).replace("REAL", self.real).replace("BYTES", self.bytes);
        if !self.numbered {
            return text;
        }
        let mut pieces = text.split('?');
        let mut sql = pieces.next().unwrap_or_default().to_owned();
        for (number, piece) in (1..).zip(pieces) {
            sql.push_str(&format!("${number}{piece}"));
        }
        sql
    }
}

fn cache() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

#[test]
fn sqlite_does_what_the_others_do() {
    let words = Words { numbered: false, integer: "INTEGER", real: "REAL", bytes: "BLOB" };
    if let Some(mut connection) = crate::sqlite::in_memory() {
        scenario(&mut connection, &words);
    }
}

#[test]
fn postgresql_does_what_the_others_do() {
    let words = Words { numbered: true, integer: "BIGINT", real: "DOUBLE PRECISION", bytes: "BYTEA" };
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let folder = server.socket_folder().to_owned();
    let address = postgres::Address::Unix { folder, port: server.port() };
    let options = postgres::Options::new(address, "postgres", "postgres");
    scenario(&mut postgres::Connection::open(&options, None).expect("the server is there"), &words);
}

#[test]
fn mariadb_does_what_the_others_do() {
    let words = Words { numbered: false, integer: "BIGINT", real: "DOUBLE", bytes: "BLOB" };
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let options = mysql::Options::new(mysql::Address::Unix { path: server.socket() }, "root");
    let options = mysql::Options { database: Some("test".to_owned()), ..options };
    scenario(&mut mysql::Connection::open(&options, None).expect("the server is there"), &words);
}

/// Everything that the trait promises, in one life of a table.
fn scenario<D: Driver>(driver: &mut D, words: &Words) {
    let made = words.sql(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(20), score REAL, data BYTES);
         INSERT INTO people VALUES (1, 'anna', 0.5, NULL)",
    );
    driver.script(&made).expect("every engine does it");
    assert_eq!(driver.transaction(), Transaction::None);

    // One row, and what is told of it.
    let insert = words.sql("INSERT INTO people VALUES (?, ?, ?, ?)");
    let bytes = Value::Bytes(b"\0\xff".into());
    let row = [2.into(), "naïve 🐍".into(), (-1.5).into(), bytes.clone()];
    assert_eq!(driver.execute(&insert, &row, &mut NoRows).expect("every engine does it").affected, Some(1));
    let rows: Vec<Vec<Value<'_>>> = (3..500)
        .map(|id| {
            let name = if id % 2 == 0 { Value::Null } else { Value::Text(format!("user {id}").into()) };
            vec![id.into(), name, (id as f64 / 2.0).into(), Value::Null]
        })
        .collect();
    assert_eq!(
        driver.execute_many(&insert, &mut rows.iter()).expect("every engine does it").affected,
        Some(497)
    );

    // Rows come in order, with their names, as often as they are asked for.
    let select = words.sql("SELECT id, name AS who, score, data FROM people WHERE id <= ? ORDER BY id");
    for _ in 0..2 {
        let mut table = Table::default();
        let outcome = driver.execute(&select, &[4.into()], &mut table).expect("every engine does it");
        assert_eq!(outcome.affected, Some(4));
        let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "who", "score", "data"]);
        let expected = [
            vec![1.into(), "anna".into(), 0.5.into(), Value::Null],
            row.to_vec(),
            rows[0].clone(),
            rows[1].clone(),
        ];
        assert_eq!(table.rows, expected);
    }
    let mut taken = 0;
    let mut three = |row: Vec<Value<'static>>| {
        assert_eq!(row.len(), 4);
        taken += 1;
        if taken == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    driver
        .execute(&select, &[400.into()], &mut EachRow::new(&mut |_| {}, &mut three))
        .expect("every engine does it");
    assert_eq!(taken, 3);

    let count = |driver: &mut D| {
        let mut table = Table::default();
        driver
            .execute("SELECT count(*), min(id), max(id) FROM people", &[], &mut table)
            .expect("every engine does it");
        table.rows.remove(0)
    };
    let update = words.sql("UPDATE people SET score = ? WHERE id > ?");
    // Rows that are found count, whether or not anything in them changes.
    for _ in 0..2 {
        let outcome =
            driver.execute(&update, &[1.0.into(), 489.into()], &mut NoRows).expect("every engine does it");
        assert_eq!(outcome.affected, Some(10));
    }

    // What fails leaves no trace, and the connection usable.
    let before = [499, 1, 499].map(Value::Integer);
    assert_eq!(count(driver), before);
    let wrong = [vec![600.into(), "x".into(), 0.0.into(), Value::Null], row.to_vec()];
    driver.execute_many(&insert, &mut wrong.iter()).expect_err("no engine does it");
    driver.execute(&insert, &row, &mut NoRows).expect_err("no engine does it");
    driver.execute(&insert, &row[..2], &mut NoRows).expect_err("no engine does it");
    driver.execute("SELECT * FROM no_such_table", &[], &mut NoRows).expect_err("no engine does it");
    driver.script("nonsense").expect_err("no engine does it");
    assert!(driver.is_usable());
    assert_eq!(driver.transaction(), Transaction::None);
    assert_eq!(count(driver), before);
    assert_eq!(
        driver.execute_many(&insert, &mut rows[..0].iter()).expect("every engine does it").affected,
        Some(0)
    );

    // Transactions.
    driver.execute("BEGIN", &[], &mut NoRows).expect("every engine does it");
    assert_eq!(
        driver.execute_many(&insert, &mut wrong[..1].iter()).expect("every engine does it").affected,
        Some(1)
    );
    assert_eq!(driver.transaction(), Transaction::Open);
    assert_eq!(count(driver)[0], 500.into());
    driver.execute("ROLLBACK", &[], &mut NoRows).expect("every engine does it");
    assert_eq!(driver.transaction(), Transaction::None);
    assert_eq!(count(driver), before);
    driver.script("BEGIN; DELETE FROM people WHERE id > 3; COMMIT").expect("every engine does it");
    assert_eq!(count(driver), [3.into(), 1.into(), 3.into()]);
}
