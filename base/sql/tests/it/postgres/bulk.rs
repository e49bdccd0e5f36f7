//! Many rows at once: executions one after the other without waiting, and COPY.

use naja_sql::postgres::{Connection, PostgresError};
use naja_sql::{NoRows, Sink, Source, Table, Transaction, Value};

use super::{connect, refusal, rows, value};

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
        .script(&format!("CREATE TABLE {name} (id int8 PRIMARY KEY, name text, score float8, ok bool)"))
        .expect("the table is new");
}

const SUMMARY: &str =
    "count(*), sum(id)::int8, count(score), sum(length(name))::int8, count(*) FILTER (WHERE ok)";

fn summary(connection: &mut Connection, name: &str) -> Vec<Value<'static>> {
    rows(connection, &format!("SELECT {SUMMARY} FROM {name}"), &[]).remove(0)
}

#[test]
fn a_hundred_thousand_rows_are_loaded_and_exported() {
    let Some(mut connection) = connect() else { return };
    make(&mut connection, "people");
    let columns = ["id", "name", "score", "ok"];
    assert_eq!(connection.copy_in(None, "people", &columns, false, &mut people(100_000)).unwrap(), 100_000);
    let loaded = summary(&mut connection, "people");
    assert_eq!(loaded, [100_000, 4_999_950_000, 66_666, 988_890, 50_000].map(Value::Integer));
    let mut exported = Table::default();
    assert_eq!(connection.copy_out("SELECT * FROM people ORDER BY id", &mut exported).unwrap(), 100_000);
    let row = |number: i64, score: Value<'static>| {
        vec![number.into(), Value::Text(format!("user {number}").into()), score, (number % 2 == 0).into()]
    };
    assert_eq!(exported.rows.len(), 100_000);
    assert_eq!(exported.rows[99_998], row(99_998, 49_999.0.into()));
    assert_eq!(exported.rows[99_999], row(99_999, Value::Null));

    make(&mut connection, "as_text");
    connection.copy_in(None, "as_text", &columns, true, &mut people(100_000)).unwrap();
    assert_eq!(summary(&mut connection, "as_text"), loaded);

    make(&mut connection, "inserted");
    let inserted =
        connection.execute_many("INSERT INTO inserted VALUES ($1, $2, $3, $4)", &mut people(100_000));
    assert_eq!(inserted.unwrap().affected, Some(100_000));
    assert_eq!(summary(&mut connection, "inserted"), loaded);

    // Answers that are longer than what is sent: neither side may wait for the other.
    let sql = "UPDATE inserted SET ok = NOT $2 WHERE id = $1 RETURNING *, repeat('x', 1000)";
    let updated = connection.execute_many(
        sql,
        &mut Made(0..20_000, |number, sink: &mut dyn Sink| {
            sink.integer(number);
            sink.boolean(true);
        }),
    );
    assert_eq!(updated.unwrap().affected, Some(20_000));
}

#[test]
fn no_rows_are_loaded_as_such() {
    let Some(mut connection) = connect() else { return };
    make(&mut connection, "nobody");
    let columns = ["id", "name", "score", "ok"];
    for as_text in [false, true] {
        assert_eq!(connection.copy_in(None, "nobody", &columns, as_text, &mut people(0)).unwrap(), 0);
    }
    let inserted = connection.execute_many("INSERT INTO nobody VALUES ($1, $2, $3, $4)", &mut people(0));
    assert_eq!(inserted.unwrap().affected, Some(0));
    let mut table = Table::default();
    assert_eq!(connection.copy_out("SELECT * FROM nobody", &mut table).unwrap(), 0);
    assert_eq!((table.columns.len(), table.rows.len()), (4, 0));
}

#[test]
fn an_error_in_a_pipeline_belongs_to_its_row_and_undoes_the_others() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE piped (a int CHECK (a <> 50007))").unwrap();
    let sql = "INSERT INTO piped VALUES ($1)";
    let numbers = || Made(0..60_000, |number, sink: &mut dyn Sink| sink.integer(number));
    let error = refusal(connection.execute_many(sql, &mut numbers()));
    assert_eq!((error.sqlstate.as_str(), error.row), ("23514", Some(50_007)));
    assert_eq!(value(&mut connection, "SELECT count(*) FROM piped", &[]), 0.into());

    // The parameter of a row cannot be sent.
    let wrong = || {
        Made(
            0..60_000,
            |number, sink: &mut dyn Sink| {
                if number == 40_001 { sink.integer(1 << 40) } else { sink.integer(number) }
            },
        )
    };
    let error = connection.execute_many(sql, &mut wrong()).unwrap_err();
    assert_eq!(error.to_string(), "parameter 1 of row 40002: 1099511627776 is out of range for int4");
    assert_eq!(value(&mut connection, "SELECT count(*) FROM piped", &[]), 0.into());
    assert_eq!(connection.transaction(), Transaction::None);

    // In a transaction it is the caller's to roll back.
    connection.script("BEGIN").unwrap();
    assert!(connection.execute_many(sql, &mut wrong()).is_err());
    assert_eq!(connection.transaction(), Transaction::Open);
    assert_eq!(value(&mut connection, "SELECT count(*) FROM piped", &[]), 40_001.into());
    assert_eq!(refusal(connection.execute_many(sql, &mut numbers())).row, Some(50_007));
    assert_eq!(connection.transaction(), Transaction::Failed);
    connection.script("ROLLBACK").unwrap();

    // Rows of the wrong width, the first one and a later one.
    for width in [0, 2] {
        let given = [vec![1.into()], vec![1.into(); width]];
        let error = connection.execute_many(sql, &mut given.iter()).unwrap_err();
        assert_eq!(error.to_string(), format!("row 2 has {width} values where 1 are wanted"));
    }
    assert_eq!(value(&mut connection, "SELECT count(*) FROM piped", &[]), 0.into());
}

#[test]
fn an_error_in_a_load_belongs_to_its_row_and_undoes_all() {
    let Some(mut connection) = connect() else { return };
    connection
        .script("CREATE TABLE \"odd \"\" name\" (\"a b\" int CHECK (\"a b\" <> 90000), c text)")
        .unwrap();
    let name = "odd \" name";
    let columns = ["a b", "c"];
    for as_text in [false, true] {
        let mut load = |from: &mut dyn FnMut(i64, &mut dyn Sink)| {
            connection.copy_in(Some("public"), name, &columns, as_text, &mut Made(0..100_000, from))
        };
        let error = refusal(load(&mut |number, sink| {
            sink.integer(number);
            sink.null();
        }));
        assert_eq!((error.sqlstate.as_str(), error.row), ("23514", Some(90_000)));
        let error = load(&mut |number, sink| {
            sink.integer(number);
            sink.text(if number == 70_000 { "\0" } else { "" });
        });
        let expected =
            "column `c` of row 70001: it holds a NUL character, which PostgreSQL cannot store in text";
        assert_eq!(error.unwrap_err().to_string(), expected);
        let error = load(&mut |number, sink| {
            sink.integer(number);
            if number < 3 {
                sink.null();
            }
        });
        assert!(matches!(error, Err(PostgresError::ParameterCount { row: 3, given: 1, wanted: 2 })));
        assert_eq!(value(&mut connection, "SELECT count(*) FROM \"odd \"\" name\"", &[]), 0.into());
    }
    let error = connection.copy_in(
        None,
        name,
        &columns,
        false,
        &mut Made(0..9, |_, sink: &mut dyn Sink| {
            sink.text("1");
            sink.null();
        }),
    );
    assert_eq!(error.unwrap_err().to_string(), "column `a b` of row 1: text cannot be loaded as int4");
    assert_eq!(
        refusal(connection.copy_in(None, "no such table", &columns, false, &mut people(1))).sqlstate,
        "42P01"
    );
    assert_eq!(refusal(connection.copy_in(None, name, &["d"], false, &mut people(1))).sqlstate, "42703");
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

/// The server answers such a load, and ends it, while rows are still being sent.
#[test]
fn a_load_without_end_ends_with_its_first_error() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE no_zero (a int CHECK (a <> 0))").unwrap();
    for as_text in [false, true, false, true, false, true] {
        let mut endless = Made(0..i64::MAX, |_, sink: &mut dyn Sink| sink.integer(0));
        let error = refusal(connection.copy_in(None, "no_zero", &["a"], as_text, &mut endless));
        assert_eq!((error.sqlstate.as_str(), error.row), ("23514", Some(0)));
        assert_eq!(value(&mut connection, "SELECT count(*) FROM no_zero", &[]), 0.into());
        let mut endless = Made(0..i64::MAX, |_, sink: &mut dyn Sink| sink.integer(0));
        let error = refusal(connection.execute_many("INSERT INTO no_zero VALUES ($1)", &mut endless));
        assert_eq!((error.sqlstate.as_str(), error.row), ("23514", Some(0)));
    }
    assert_eq!(value(&mut connection, "SELECT count(*) FROM no_zero", &[]), 0.into());
}

#[test]
fn copy_as_a_statement_of_the_caller_s_own_does_no_harm() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE copied (a int); INSERT INTO copied VALUES (1), (2)").unwrap();
    let error = refusal(connection.execute(" copy copied FROM STDIN", &[], &mut NoRows));
    assert_eq!(error.sqlstate, "57014");
    assert!(error.message.contains("rows of COPY come from a bulk load alone"), "{}", error.message);
    assert_eq!(connection.execute("COPY copied TO STDOUT", &[], &mut NoRows).unwrap().affected, Some(2));
    assert!(connection.script("COPY copied FROM STDIN; SELECT 1").is_err());
    assert_eq!(value(&mut connection, "SELECT count(*) FROM copied", &[]), 2.into());
}

#[test]
fn exports_that_fail_are_told() {
    let Some(mut connection) = connect() else { return };
    let mut table = Table::default();
    let failing = "SELECT 1 / (1000 - g) FROM generate_series(1, 2000) AS g";
    assert_eq!(refusal(connection.copy_out(failing, &mut table)).sqlstate, "22012");
    assert_eq!(table.rows.len(), 999);
    assert_eq!(
        refusal(connection.copy_out("SELECT", &mut table).map_err(|error| match error {
            PostgresError::Misuse { .. } => PostgresError::Server(Box::default()),
            error => error,
        }))
        .sqlstate,
        ""
    );
    assert_eq!(refusal(connection.copy_out("SELECT no_such_column", &mut table)).sqlstate, "42703");
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}
