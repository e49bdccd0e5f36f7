//! One statement after the other: preparation, rows as they come, transactions, cursors, scripts.

use std::ops::ControlFlow;

use naja_sql::postgres::{Options, PostgresError, Step};
use naja_sql::{Column, Driver, NoRows, Outcome, Rows, Table, Transaction, Value};
use naja_testkit::PostgresServer;

use super::{cache, connect, open, refusal, rows, superuser, table, value};

#[test]
fn statements_say_how_many_rows_they_touched() {
    let Some(mut connection) = connect() else { return };
    let mut check = |sql: &str, affected: Option<u64>| {
        assert_eq!(
            connection.execute(sql, &[], &mut NoRows).unwrap(),
            Outcome { affected, inserted_id: None },
            "{sql}"
        );
    };
    check("CREATE TABLE counted (a int)", None);
    check("INSERT INTO counted SELECT generate_series(1, 7)", Some(7));
    check("UPDATE counted SET a = a + 1 WHERE a > 5", Some(2));
    check("DELETE FROM counted WHERE a = 1", Some(1));
    check("SELECT * FROM counted", Some(6));
    check("", None);
    check("-- nothing", None);
    check("/* also\n */ COPY counted TO '/dev/null'", Some(6));
    check("DROP TABLE counted", None);
}

#[test]
fn a_result_without_rows_still_has_its_columns() {
    let Some(mut connection) = connect() else { return };
    let result =
        table(&mut connection, "SELECT 1 AS one, 'x'::text AS one, ARRAY[1] AS \"Ü\" WHERE false", &[]);
    let column = |name: &str, kind: &str| Column { name: name.to_owned(), type_name: kind.to_owned() };
    assert_eq!(result.columns, [column("one", "int4"), column("one", "text"), column("Ü", "int4[]")]);
    assert!(result.rows.is_empty());
    // A table without columns has rows all the same.
    connection
        .script("CREATE TEMP TABLE bare (); INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES")
        .unwrap();
    assert_eq!(rows(&mut connection, "SELECT * FROM bare", &[]).len(), 2);
}

#[test]
fn an_error_says_all_that_the_server_says() {
    let Some(mut connection) = connect() else { return };
    connection
        .script("CREATE TABLE strict (a int CONSTRAINT positive CHECK (a > 0), b text NOT NULL UNIQUE)")
        .unwrap();
    let mut fail = |sql: &str| refusal(connection.execute(sql, &[], &mut NoRows));
    let error = fail("INSERT INTO strict VALUES (0, 'x')");
    assert_eq!((error.sqlstate.as_str(), error.severity.as_str(), error.row), ("23514", "ERROR", None));
    assert_eq!(error.message, "new row for relation \"strict\" violates check constraint \"positive\"");
    assert_eq!(error.detail.as_deref(), Some("Failing row contains (0, x)."));
    assert_eq!(
        (error.schema.as_deref(), error.table.as_deref(), error.constraint.as_deref()),
        (Some("public"), Some("strict"), Some("positive"))
    );
    let error = fail("INSERT INTO strict VALUES (1, NULL)");
    assert_eq!((error.sqlstate.as_str(), error.column.as_deref()), ("23502", Some("b")));
    let error = fail("SELECT ü FROM strict");
    assert_eq!((error.sqlstate.as_str(), error.position), ("42703", Some(8)));
    let error = fail("SELECT strcit.a FROM strict");
    assert_eq!((error.sqlstate.as_str(), error.position), ("42P01", Some(8)));
    let error = fail("SELECT abs('x'::text)");
    assert!(error.hint.is_some_and(|hint| hint.starts_with("No function matches")));
    let error = fail("DO 'BEGIN PERFORM 1/0; END'");
    assert_eq!(error.sqlstate, "22012");
    assert!(error.context.is_some_and(|context| context.contains("PL/pgSQL")));
    assert_eq!(value(&mut connection, "SELECT count(*) FROM strict", &[]), 0.into());
}

#[test]
fn a_statement_takes_as_many_parameters_as_the_protocol_counts() {
    let Some(mut connection) = connect() else { return };
    let list: Vec<String> = (1..=65_535).map(|place| format!("${place}::int")).collect();
    let sql = format!("SELECT sum(v)::int8 FROM unnest(ARRAY[{}]) AS v", list.join(","));
    let parameters: Vec<Value<'_>> = (1..=65_535).map(Value::Integer).collect();
    assert_eq!(value(&mut connection, &sql, &parameters), (65_535 * 65_536 / 2).into());
    let error = connection.execute(&sql, &parameters[..65_534], &mut NoRows).unwrap_err();
    assert_eq!(error.to_string(), "row 1 has 65534 values where 65535 are wanted");
    let error = connection.execute("SELECT $65536::int", &[1.into()], &mut NoRows).unwrap_err();
    assert!(matches!(error, PostgresError::Server(_)), "{error}");
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

#[test]
fn statements_that_cannot_be_sent_are_refused_before() {
    let Some(mut connection) = connect() else { return };
    for sql in ["SELECT 1\0", "\0"] {
        assert!(matches!(connection.execute(sql, &[], &mut NoRows), Err(PostgresError::Unsendable { .. })));
        assert!(matches!(connection.script(sql), Err(PostgresError::Unsendable { .. })));
    }
    let error = connection.execute("SELECT $1::int", &[], &mut NoRows).unwrap_err();
    assert_eq!(error.to_string(), "row 1 has 0 values where 1 are wanted");
    let error = connection.execute("SELECT 1", &[1.into()], &mut NoRows).unwrap_err();
    assert_eq!(error.to_string(), "row 1 has 1 values where 0 are wanted");
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

fn prepared(connection: &mut naja_sql::postgres::Connection) -> Value<'static> {
    // In text, so that the question does not count itself.
    let mut table = Table::default();
    connection.run_text("SELECT count(*) FROM pg_prepared_statements", &mut table).expect("it can be asked");
    table.rows.remove(0).remove(0)
}

#[test]
fn the_same_text_is_prepared_once_and_the_oldest_is_forgotten() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let mut connection = open(&Options { statement_cache: 3, ..superuser(server) });
    for _ in 0..5 {
        assert_eq!(value(&mut connection, "SELECT $1::int", &[1.into()]), 1.into());
    }
    assert_eq!(prepared(&mut connection), "1".into());
    for number in 0..10 {
        assert_eq!(value(&mut connection, &format!("SELECT {number}"), &[]), number.into());
    }
    // One more than are kept is told to be closed with the next preparation.
    assert_eq!(prepared(&mut connection), "4".into());
    let mut without = open(&Options { statement_cache: 0, ..superuser(server) });
    for _ in 0..2 {
        assert_eq!(value(&mut without, "SELECT $1::int", &[1.into()]), 1.into());
    }
    assert_eq!(prepared(&mut without), "0".into());
}

#[test]
fn a_prepared_statement_survives_changes_of_its_table() {
    let Some(mut connection) = connect() else { return };
    let mut other = connect().unwrap();
    connection.script("CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)").unwrap();
    let sql = "SELECT * FROM changing";
    assert_eq!(rows(&mut connection, sql, &[]), [[Value::from(1)]]);
    other.script("ALTER TABLE changing ADD b text DEFAULT 'x'").unwrap();
    assert_eq!(rows(&mut connection, sql, &[]), [[1.into(), "x".into()]]);
    other.script("ALTER TABLE changing ALTER a TYPE text").unwrap();
    assert_eq!(rows(&mut connection, sql, &[]), [["1", "x"].map(Value::from)]);
    for forget in ["DEALLOCATE ALL", "DISCARD ALL"] {
        connection.script(forget).unwrap();
        assert_eq!(rows(&mut connection, sql, &[]).len(), 1);
    }
    // By a name that only the server knew.
    connection.script("DO 'DECLARE n text; BEGIN FOR n IN SELECT name FROM pg_prepared_statements LOOP EXECUTE ''DEALLOCATE '' || n; END LOOP; END'").unwrap();
    assert_eq!(rows(&mut connection, sql, &[]).len(), 1);

    // In a transaction the error cannot be undone, but it is the last of its kind.
    connection.script("BEGIN").unwrap();
    other.script("ALTER TABLE changing ADD c int").unwrap();
    assert_eq!(refusal(connection.execute(sql, &[], &mut NoRows)).sqlstate, "0A000");
    assert_eq!(connection.transaction(), Transaction::Failed);
    connection.script("ROLLBACK").unwrap();
    assert_eq!(rows(&mut connection, sql, &[])[0].len(), 3);
}

#[test]
fn rows_come_as_they_are_asked_for() {
    let Some(mut connection) = connect() else { return };
    let sql = "SELECT generate_series(1, $1::int)";
    connection.start(sql, &mut |sink| sink.integer(10)).unwrap();
    for busy in [connection.script("SELECT 1"), connection.start("SELECT 1", &mut |_| {})] {
        assert!(matches!(busy, Err(PostgresError::Misuse { .. })));
    }
    let mut table = Table::default();
    assert_eq!(connection.step(&mut table, 4).unwrap(), Step::More);
    assert_eq!(table.rows.len(), 4);
    assert_eq!(connection.step(&mut table, 6).unwrap(), Step::More);
    assert_eq!(
        connection.step(&mut table, 1).unwrap(),
        Step::Done(Outcome { affected: Some(10), inserted_id: None })
    );
    assert_eq!(table.rows.concat(), (1..=10).map(Value::Integer).collect::<Vec<_>>());
    assert!(matches!(connection.step(&mut table, 1), Err(PostgresError::Misuse { .. })));

    // More than the connection could hold is given up at once.
    connection.start(sql, &mut |sink| sink.integer(i64::from(i32::MAX))).unwrap();
    assert_eq!(connection.step(&mut table, 3).unwrap(), Step::More);
    connection.abandon().unwrap();
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());

    // In a transaction it is read to its end, and the transaction goes on.
    connection.script("BEGIN").unwrap();
    connection.start(sql, &mut |sink| sink.integer(100_000)).unwrap();
    connection.step(&mut table, 3).unwrap();
    connection.abandon().unwrap();
    assert_eq!(connection.transaction(), Transaction::Open);
    connection.script("COMMIT").unwrap();
}

/// Asks for no more after so many rows.
struct UpTo(usize, Table);

impl Rows for UpTo {
    fn columns(&mut self, columns: &[Column]) {
        self.1.columns(columns);
    }

    fn row(&mut self) -> ControlFlow<()> {
        let _ = self.1.row();
        if self.1.rows.len() < self.0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl naja_sql::Sink for UpTo {
    fn null(&mut self) {}
    fn boolean(&mut self, _: bool) {}
    fn integer(&mut self, value: i64) {
        self.1.integer(value);
    }
    fn real(&mut self, _: f64) {}
    fn decimal(&mut self, _: &str) {}
    fn text(&mut self, text: &str) {
        self.1.text(text);
    }
    fn json(&mut self, _: &str) {}
    fn bytes(&mut self, _: &[u8]) {}
    fn date(&mut self, _: i32, _: u8, _: u8) {}
    fn time(&mut self, _: u8, _: u8, _: u8, _: u32, _: Option<i32>) {}
    fn moment(&mut self, _: i64, _: Option<i32>) {}
    fn interval(&mut self, _: i32, _: i32, _: i64) {}
    fn uuid(&mut self, _: [u8; 16]) {}
    fn array(&mut self, _: usize) {}
}

#[test]
fn whoever_has_enough_gets_no_more() {
    let Some(mut connection) = connect() else { return };
    let sql = "SELECT generate_series(1, 1000)";
    let mut some = UpTo(3, Table::default());
    connection.execute(sql, &[], &mut some).unwrap();
    connection.run_text(sql, &mut UpTo(1, Table::default())).unwrap();
    connection.copy_out(sql, &mut UpTo(1, Table::default())).unwrap();
    assert_eq!(some.1.rows.len(), 3);
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

#[test]
fn an_error_in_the_middle_of_the_rows_ends_them() {
    let Some(mut connection) = connect() else { return };
    let mut table = Table::default();
    let result = connection.execute("SELECT 1 / (5 - g) FROM generate_series(1, 9) AS g", &[], &mut table);
    assert_eq!(refusal(result).sqlstate, "22012");
    assert_eq!(table.rows.len(), 4);
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

#[test]
fn a_transaction_is_where_the_server_says() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE kept (a int)").unwrap();
    assert_eq!(connection.transaction(), Transaction::None);
    connection.execute("BEGIN", &[], &mut NoRows).unwrap();
    assert_eq!(connection.transaction(), Transaction::Open);
    connection.execute("INSERT INTO kept VALUES ($1)", &[1.into()], &mut NoRows).unwrap();
    connection.script("SAVEPOINT one").unwrap();
    assert!(connection.script("SELECT 1/0").is_err());
    assert_eq!(connection.transaction(), Transaction::Failed);
    assert_eq!(refusal(connection.execute("SELECT 1", &[], &mut NoRows)).sqlstate, "25P02");
    connection.script("ROLLBACK TO one").unwrap();
    assert_eq!(connection.transaction(), Transaction::Open);
    connection.script("COMMIT").unwrap();
    assert_eq!(value(&mut connection, "SELECT a FROM kept", &[]), 1.into());
    // An error that comes only when all is to be committed.
    connection
        .script("CREATE TABLE late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO late VALUES (1)")
        .unwrap();
    let error = refusal(connection.execute("INSERT INTO late VALUES (1)", &[], &mut NoRows));
    assert_eq!((error.sqlstate.as_str(), error.row), ("23505", None));
    assert_eq!(value(&mut connection, "SELECT count(*) FROM late", &[]), 1.into());
}

#[test]
fn a_script_is_one_transaction_and_ends_at_its_first_error() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE scripted (a int)").unwrap();
    assert_eq!(
        refusal(
            connection.script("INSERT INTO scripted VALUES (1); SELECT 1/0; INSERT INTO scripted VALUES (2)")
        )
        .sqlstate,
        "22012"
    );
    assert_eq!(value(&mut connection, "SELECT count(*) FROM scripted", &[]), 0.into());
    let mut table = Table::default();
    let outcome = connection.run_text("SELECT 1 AS a; ; SELECT NULL AS b, '' AS c", &mut table).unwrap();
    assert_eq!(outcome.affected, Some(1));
    assert_eq!(table.rows, [vec!["1".into()], vec![Value::Null, "".into()]]);
    assert_eq!(table.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    connection.script("").unwrap();
}

#[test]
fn a_cursor_lets_other_statements_in_between() {
    let Some(mut connection) = connect() else { return };
    let sql = "SELECT generate_series(1, $1::int)";
    assert!(matches!(
        connection.open_cursor(sql, &mut |sink| sink.integer(5)),
        Err(PostgresError::Misuse { .. })
    ));
    connection.script("BEGIN").unwrap();
    let mut cursor = connection.open_cursor(sql, &mut |sink| sink.integer(5)).unwrap();
    let mut other = connection.open_cursor(sql, &mut |sink| sink.integer(2)).unwrap();
    let mut table = Table::default();
    assert!(connection.fetch(&mut cursor, 2, &mut table).unwrap());
    assert_eq!(value(&mut connection, "SELECT 'between'", &[]), "between".into());
    assert!(connection.fetch(&mut other, 1, &mut table).unwrap());
    assert!(!connection.fetch(&mut cursor, 10, &mut table).unwrap());
    assert_eq!(table.rows.concat(), [1, 2, 1, 3, 4, 5].map(Value::Integer));
    connection.close_cursor(cursor).unwrap();
    connection.script("COMMIT").unwrap();
    assert_eq!(refusal(connection.fetch(&mut other, 1, &mut table)).sqlstate, "34000");
}

#[test]
fn remarks_and_notifications_are_kept_until_they_are_taken() {
    let Some(mut connection) = connect() else { return };
    connection.script("DO 'BEGIN RAISE NOTICE ''look''; RAISE WARNING ''out''; END'").unwrap();
    let notices = connection.take_notices();
    let said: Vec<_> =
        notices.iter().map(|notice| (notice.severity.as_str(), notice.message.as_str())).collect();
    assert_eq!(said, [("NOTICE", "look"), ("WARNING", "out")]);
    assert!(connection.take_notices().is_empty());
    connection.script("DO 'BEGIN FOR i IN 1..1500 LOOP RAISE NOTICE ''%'', i; END LOOP; END'").unwrap();
    let notices = connection.take_notices();
    assert_eq!((notices.len(), notices[999].message.as_str()), (1_000, "1500"));

    connection.script("LISTEN news").unwrap();
    connection.execute("SELECT pg_notify('news', $1)", &["hello".into()], &mut NoRows).unwrap();
    let told = connection.take_notifications();
    assert_eq!((told[0].channel.as_str(), told[0].payload.as_str()), ("news", "hello"));
    assert_eq!(Some(told[0].process), connection.process());
    // Told by somebody else while nothing is asked.
    connect().unwrap().script("NOTIFY news, 'from afar'").unwrap();
    let told = loop {
        connection.look().unwrap();
        if let Some(told) = connection.take_notifications().pop() {
            break told;
        }
    };
    assert_eq!(told.payload, "from afar");
}

#[test]
fn the_session_is_as_the_options_say() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let mut connection = open(&Options {
        application_name: "a \"name\"".to_owned(),
        command_line: Some("-c geqo=off".to_owned()),
        settings: vec![("search_path".to_owned(), "elsewhere".to_owned())],
        ..superuser(server)
    });
    let mut shown = |name: &str| value(&mut connection, &format!("SHOW {name}"), &[]);
    assert_eq!(shown("application_name"), "a \"name\"".into());
    assert_eq!(shown("geqo"), "off".into());
    assert_eq!(shown("search_path"), "elsewhere".into());
    assert_eq!(shown("client_encoding"), "UTF8".into());
    assert!(connection.setting("server_version").is_some_and(|version| !version.is_empty()));
    assert_eq!(connection.setting("no_such_setting"), None);
}

#[test]
fn a_driver_is_driven_without_knowing_which() {
    fn drive(
        driver: &mut dyn Driver<Error = PostgresError>,
    ) -> Result<Vec<Vec<Value<'static>>>, PostgresError> {
        driver.script("CREATE TEMP TABLE driven (a int, b text)")?;
        let given = [vec![1.into(), "one".into()], vec![2.into(), Value::Null]];
        assert_eq!(
            driver.execute_many("INSERT INTO driven VALUES ($1, $2)", &mut given.iter())?.affected,
            Some(2)
        );
        let mut table = Table::default();
        driver.execute("SELECT * FROM driven WHERE a > $1", &[0.into()], &mut table)?;
        assert!(driver.is_usable());
        assert_eq!(driver.transaction(), Transaction::None);
        Ok(table.rows)
    }
    let Some(mut connection) = connect() else { return };
    assert_eq!(drive(&mut connection).unwrap(), [[1.into(), "one".into()], [2.into(), Value::Null]]);
}
