//! Statements, one after the other: prepared, kept, prepared again; scripts, transactions, results in steps.

use std::ops::ControlFlow;

use naja_sql::mysql::{Connection, MySqlError, Options, Step};
use naja_sql::{Column, Driver, NoRows, Rows, Sink, Table, Transaction, Value};
use naja_testkit::MariaDbServer;

use super::{cache, connect, open, refusal, rows, superuser, table, value};

#[test]
fn the_same_text_is_prepared_once_and_the_least_used_goes() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let mut connection = open(&Options { statement_cache: 3, ..superuser(server) });
    let status = |connection: &mut Connection, name: &str| -> i64 {
        let mut table = Table::default();
        connection.run_text(&format!("SHOW SESSION STATUS LIKE '{name}'"), &mut table).unwrap();
        match &table.rows[0][1] {
            Value::Text(count) => count.parse().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    for _ in 0..5 {
        assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
    }
    assert_eq!(status(&mut connection, "Com_stmt_prepare"), 1);
    for number in 0..10 {
        assert_eq!(value(&mut connection, &format!("SELECT {number}"), &[]), number.into());
    }
    // 1 was prepared before.
    assert_eq!(status(&mut connection, "Com_stmt_prepare"), 10);
    assert_eq!(value(&mut connection, "SELECT 9", &[]), 9.into());
    connection.describe("SELECT 'at last'").unwrap();
    assert_eq!(status(&mut connection, "Com_stmt_prepare") - status(&mut connection, "Com_stmt_close"), 4);
    let mut connection = open(&Options { statement_cache: 0, ..superuser(server) });
    for number in 0..10 {
        assert_eq!(value(&mut connection, "SELECT ?", &[number.into()]), number.into());
    }
    assert_eq!(status(&mut connection, "Com_stmt_prepare"), 10);
    assert!(status(&mut connection, "Com_stmt_close") >= 8);
}

#[test]
fn a_table_that_changes_under_a_statement_is_read_with_its_new_columns() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE changed (a INT, b TEXT); INSERT INTO changed VALUES (1, 'x')").unwrap();
    let sql = "SELECT * FROM changed";
    for _ in 0..2 {
        assert_eq!(rows(&mut connection, sql, &[]), [[1.into(), "x".into()]]);
    }
    connection
        .script("ALTER TABLE changed ADD COLUMN c DATE DEFAULT '2024-02-29', MODIFY a VARCHAR(9)")
        .unwrap();
    for _ in 0..2 {
        let table = table(&mut connection, sql, &[]);
        let day = Value::Date { year: 2024, month: 2, day: 29 };
        assert_eq!(table.rows, [["1".into(), "x".into(), day]]);
        assert_eq!(
            table.columns.iter().map(|column| &*column.type_name).collect::<Vec<_>>(),
            ["varchar", "text", "date"]
        );
    }
    connection.script("DROP TABLE changed; CREATE TABLE changed (z DOUBLE)").unwrap();
    let table = table(&mut connection, sql, &[]);
    assert_eq!((table.rows.len(), table.columns[0].name.as_str()), (0, "z"));
}

#[test]
fn errors_say_which_and_leave_the_connection_usable() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE refusing (a INT PRIMARY KEY, b VARCHAR(3) NOT NULL)").unwrap();
    connection.script("INSERT INTO refusing VALUES (1, 'a')").unwrap();
    let check = |connection: &mut Connection, sql: &str, code: u16, sqlstate: &str| {
        let error = refusal(connection.execute(sql, &[], &mut NoRows));
        assert_eq!(
            (error.code, error.sqlstate.as_str(), error.row),
            (code, sqlstate, None),
            "{sql}: {error}"
        );
        let error = refusal(connection.script(sql));
        assert_eq!(
            (error.code, error.sqlstate.as_str(), error.row),
            (code, sqlstate, None),
            "{sql}: {error}"
        );
        assert!(connection.is_usable());
    };
    check(&mut connection, "INSERT INTO refusing VALUES (1, 'b')", 1062, "23000");
    check(&mut connection, "INSERT INTO refusing VALUES (2, NULL)", 1048, "23000");
    check(&mut connection, "INSERT INTO refusing VALUES (2, 'abcd')", 1406, "22001");
    check(&mut connection, "SELECT * FROM no_such_table", 1146, "42S02");
    check(&mut connection, "SELECT no_such_column", 1054, "42S22");
    check(&mut connection, "SELEC 1", 1064, "42000");
    let error = connection.execute("INSERT INTO refusing VALUES (1, 'b')", &[], &mut NoRows).unwrap_err();
    assert_eq!(error.to_string(), "MySQL refused: Duplicate entry '1' for key 'PRIMARY' (1062, 23000)");
    assert_eq!((error.name(), error.sqlstate()), ("database-refused", "23000"));

    let error = connection.execute("SELECT ?, ?", &[1.into()], &mut NoRows).unwrap_err();
    assert!(matches!(error, MySqlError::ParameterCount { row: 0, given: 1, wanted: 2 }), "{error:?}");
    assert_eq!(error.to_string(), "row 1 has 1 values where 2 are wanted");
    for wrong in [
        f64::NAN.into(),
        f64::INFINITY.into(),
        Value::Decimal("NaN".into()),
        Value::Array(vec![1.into()]),
        Value::Infinite { positive: true },
        Value::Date { year: 2023, month: 2, day: 29 },
        Value::Date { year: 10_000, month: 1, day: 1 },
        Value::Interval { months: 1, days: 0, microseconds: 0 },
        Value::Interval { months: 0, days: 35, microseconds: 0 },
        Value::Moment { microseconds: i64::MAX, offset_s: None },
        Value::Time { hour: 1, minute: 60, second: 0, microsecond: 0, offset_s: None },
    ] {
        let error = connection.execute("SELECT ?, ?", &[1.into(), wrong], &mut NoRows).unwrap_err();
        assert!(matches!(error, MySqlError::Parameter { row: 0, index: 1, .. }), "{error:?}");
    }
    assert_eq!(value(&mut connection, "SELECT count(*) FROM refusing", &[]), 1.into());
}

#[test]
fn what_was_inserted_and_how_many_rows_are_told() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let mut connection = open(&superuser(server));
    connection.script("CREATE TABLE numbered (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT)").unwrap();
    let mut run = |sql: &str| connection.execute(sql, &[], &mut NoRows).unwrap();
    let outcome = run("INSERT INTO numbered (a) VALUES (1)");
    assert_eq!((outcome.affected, outcome.inserted_id), (Some(1), Some(1)));
    let outcome = run("INSERT INTO numbered (a) VALUES (1), (2)");
    assert_eq!((outcome.affected, outcome.inserted_id), (Some(2), Some(2)));
    let outcome = run("SELECT * FROM numbered");
    assert_eq!((outcome.affected, outcome.inserted_id), (Some(3), None));
    // The rows that were found, and not only those that were different.
    assert_eq!(run("UPDATE numbered SET a = 1").affected, Some(3));
    assert_eq!(run("DELETE FROM numbered WHERE a > 5").affected, Some(0));
    let mut connection = open(&Options { found_rows: false, ..superuser(server) });
    connection.script("UPDATE numbered SET a = 1").unwrap();
    let outcome = connection.run_text("UPDATE numbered SET a = 1 + (id = 3)", &mut NoRows).unwrap();
    assert_eq!(outcome.affected, Some(1));
}

#[test]
fn a_transaction_is_where_the_server_says() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE kept (a INT PRIMARY KEY)").unwrap();
    assert_eq!(connection.transaction(), Transaction::None);
    connection.execute("BEGIN", &[], &mut NoRows).unwrap();
    assert_eq!(connection.transaction(), Transaction::Open);
    connection.execute("INSERT INTO kept VALUES (?)", &[1.into()], &mut NoRows).unwrap();
    connection.script("SAVEPOINT one").unwrap();
    // An error ends no transaction.
    assert!(connection.script("INSERT INTO kept VALUES (1)").is_err());
    assert_eq!(connection.transaction(), Transaction::Open);
    connection.script("ROLLBACK TO one").unwrap();
    connection.script("COMMIT").unwrap();
    assert_eq!(connection.transaction(), Transaction::None);
    connection.script("BEGIN; INSERT INTO kept VALUES (2); ROLLBACK").unwrap();
    assert_eq!(value(&mut connection, "SELECT sum(a) FROM kept", &[]), Value::Decimal("1".into()));
}

#[test]
fn a_script_ends_at_its_first_error() {
    let Some(mut connection) = connect() else { return };
    connection.script("CREATE TABLE scripted (a INT)").unwrap();
    let sql = "INSERT INTO scripted VALUES (1); SELECT nothing; INSERT INTO scripted VALUES (2)";
    assert_eq!(refusal(connection.script(sql)).code, 1054);
    assert_eq!(value(&mut connection, "SELECT count(*) FROM scripted", &[]), 1.into());
    let mut table = Table::default();
    let outcome = connection.run_text("SELECT 1 AS a; SELECT NULL AS b, '' AS c", &mut table).unwrap();
    assert_eq!(outcome.affected, Some(1));
    assert_eq!(table.rows, [vec![1.into()], vec![Value::Null, "".into()]]);
    assert_eq!(table.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(refusal(connection.script("")).code, 1065);
    // One statement is one: nothing can be put behind it.
    assert_eq!(refusal(connection.execute("SELECT 1; SELECT 2", &[], &mut NoRows)).code, 1064);
}

#[test]
fn a_procedure_gives_several_results() {
    let Some(mut connection) = connect() else { return };
    connection
        .script("CREATE PROCEDURE several(n INT) BEGIN SELECT n AS a; SELECT 'x' AS b, 2.5 AS c; END")
        .unwrap();
    for _ in 0..2 {
        let table = table(&mut connection, "CALL several(?)", &[7.into()]);
        assert_eq!(table.rows, [vec![7.into()], vec!["x".into(), Value::Decimal("2.5".into())]]);
        assert_eq!(table.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    }
    let mut table = Table::default();
    connection.run_text("CALL several(8); SELECT 3", &mut table).unwrap();
    assert_eq!(table.rows, [vec![8.into()], vec!["x".into(), Value::Decimal("2.5".into())], vec![3.into()]]);
}

#[test]
fn what_cannot_be_prepared_is_run_as_text() {
    let Some(mut connection) = connect() else { return };
    // MariaDB prepares nearly everything, but not what prepares.
    let sql = "PREPARE seven FROM 'SELECT 7'";
    assert_eq!(refusal(connection.describe(sql)).code, 1295);
    connection.execute(sql, &[], &mut NoRows).unwrap();
    assert_eq!(value(&mut connection, "EXECUTE seven", &[]), 7.into());
    assert_eq!(refusal(connection.execute("EXECUTE seven", &[1.into()], &mut NoRows)).code, 1295);
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

/// Takes so many rows and no more.
struct Some_(Table, usize);

impl Rows for Some_ {
    fn columns(&mut self, columns: &[Column]) {
        self.0.columns(columns);
    }

    fn row(&mut self) -> ControlFlow<()> {
        let _ = self.0.row();
        if self.0.rows.len() == self.1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Sink for Some_ {
    fn null(&mut self) {}
    fn boolean(&mut self, _: bool) {}
    fn integer(&mut self, value: i64) {
        self.0.integer(value);
    }
    fn real(&mut self, _: f64) {}
    fn decimal(&mut self, _: &str) {}
    fn text(&mut self, _: &str) {}
    fn json(&mut self, _: &str) {}
    fn bytes(&mut self, _: &[u8]) {}
    fn date(&mut self, _: i32, _: u8, _: u8) {}
    fn time(&mut self, _: u8, _: u8, _: u8, _: u32, _: Option<i32>) {}
    fn moment(&mut self, _: i64, _: Option<i32>) {}
    fn interval(&mut self, _: i32, _: i32, _: i64) {}
    fn uuid(&mut self, _: [u8; 16]) {}
    fn array(&mut self, _: usize) {}
}

const NUMBERS: &str = "SELECT seq FROM seq_1_to_100000";

#[test]
fn a_result_is_read_in_steps() {
    let Some(mut connection) = connect() else { return };
    connection.start(NUMBERS, &mut |_| {}).unwrap();
    assert!(matches!(connection.script("SELECT 1"), Err(MySqlError::Misuse { .. })));
    let mut table = Table::default();
    assert_eq!(connection.step(&mut table, 3).unwrap(), Step::More);
    assert_eq!(table.rows.concat(), [1, 2, 3].map(Value::Integer));
    while connection.step(&mut table, 10_000).unwrap() == Step::More {}
    assert_eq!(table.rows.len(), 100_000);
    assert!(matches!(connection.step(&mut table, 1), Err(MySqlError::Misuse { .. })));
    // Left in the middle.
    connection.start(NUMBERS, &mut |_| {}).unwrap();
    assert_eq!(connection.step(&mut Table::default(), 1).unwrap(), Step::More);
    connection.abandon().unwrap();
    connection.abandon().unwrap();
    let mut some = Some_(Table::default(), 2);
    connection.execute(NUMBERS, &[], &mut some).unwrap();
    assert_eq!(some.0.rows.len(), 2);
    let mut some = Some_(Table::default(), 2);
    connection.run_text(NUMBERS, &mut some).unwrap();
    assert_eq!(some.0.rows.len(), 2);
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

#[test]
fn a_cursor_lets_other_statements_in_between() {
    let Some(mut connection) = connect() else { return };
    let sql = "SELECT seq, ? FROM seq_1_to_5";
    let mut cursor = connection.open_cursor(sql, &mut |sink| sink.text("x")).unwrap();
    let mut other = connection.open_cursor(sql, &mut |sink| sink.integer(2)).unwrap();
    let mut table = Table::default();
    assert!(connection.fetch(&mut cursor, 2, &mut table).unwrap());
    assert_eq!(value(&mut connection, "SELECT 'between'", &[]), "between".into());
    assert!(connection.fetch(&mut other, 1, &mut table).unwrap());
    assert!(!connection.fetch(&mut cursor, 10, &mut table).unwrap());
    assert!(!connection.fetch(&mut cursor, 10, &mut table).unwrap());
    let numbers: Vec<_> = table.rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(numbers, [1, 2, 1, 3, 4, 5].map(Value::Integer));
    assert_eq!((&table.rows[0][1], &table.rows[2][1]), (&"x".into(), &2.into()));
    connection.close_cursor(cursor).unwrap();
    connection.close_cursor(other).unwrap();
    let refused = connection.open_cursor("SET @a = 1", &mut |_| {});
    assert!(matches!(refused, Err(MySqlError::Misuse { .. })), "{refused:?}");
    assert_eq!(refusal(connection.open_cursor("SELECT nothing", &mut |_| {})).code, 1054);
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

#[test]
fn a_driver_is_driven_without_knowing_which() {
    fn drive(driver: &mut dyn Driver<Error = MySqlError>) -> Result<Vec<Vec<Value<'static>>>, MySqlError> {
        driver.script("CREATE TEMPORARY TABLE driven (a INT, b TEXT)")?;
        let given = [vec![1.into(), "one".into()], vec![2.into(), Value::Null]];
        let outcome = driver.execute_many("INSERT INTO driven VALUES (?, ?)", &mut given.iter())?;
        assert_eq!(outcome.affected, Some(2));
        let mut table = Table::default();
        driver.execute("SELECT * FROM driven WHERE a > ?", &[0.into()], &mut table)?;
        assert!(driver.is_usable());
        assert_eq!(driver.transaction(), Transaction::None);
        Ok(table.rows)
    }
    let Some(mut connection) = connect() else { return };
    assert_eq!(drive(&mut connection).unwrap(), [[1.into(), "one".into()], [2.into(), Value::Null]]);
}
