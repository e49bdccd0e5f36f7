//! SQLite, by the system's own library, which stands for the one that an interpreter has loaded.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use naja_sql::sqlite::{Category, Cell, Connection, How, Library, NotFound, Rows, Value};

/// The system's library, loaded as an interpreter's module would have loaded it; none where there is none.
fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            // SAFETY: SQLite's library runs nothing when it is loaded.
            #[expect(unsafe_code, reason = "the library has to come from somewhere")]
            let handle = unsafe { libc::dlopen(c"libsqlite3.so.0".as_ptr(), libc::RTLD_LAZY) };
            if handle.is_null() {
                naja_testkit::not_tested("SQLite's driver: the system has no libsqlite3.so.0");
                return None;
            }
            Some(Library::of_module(Path::new("libsqlite3.so.0")).expect("a usable SQLite"))
        })
        .as_ref()
}

pub(crate) fn in_memory() -> Option<Connection> {
    Some(Connection::open(library()?, ":memory:", How::default()).expect("memory is always there"))
}

fn read(connection: &mut Connection, sql: &str, values: &[Value<'_>]) -> Vec<Vec<String>> {
    let mut rows = Rows::default();
    connection.read(sql, values, usize::MAX, &mut rows).expect("it can be read");
    (0..rows.len()).map(|row| rows.row(row).map(|cell| format!("{cell:?}")).collect()).collect()
}

#[test]
fn what_is_not_loaded_is_not_found() {
    let missing = Path::new("/no/such/module.so");
    assert_eq!(Library::of_module(missing).err(), Some(NotFound::NotLoaded(missing.to_owned())));
    // The C library is loaded, and has no SQLite in it.
    let error = Library::of_module(Path::new("libc.so.6")).expect_err("it is no SQLite");
    assert_eq!(error, NotFound::Hidden("sqlite3_libversion_number".to_owned()));
}

#[test]
fn every_value_comes_back() {
    let Some(mut connection) = in_memory() else { return };
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Real(-0.5),
        Value::Text("a\0€"),
        Value::Text(""),
        Value::Bytes(b""),
        Value::Bytes(&[0, 255]),
    ];
    let mut rows = Rows::default();
    connection.read("SELECT ?, ?, ?, ?, ?, ?, ?", &values, 1, &mut rows).expect("it is a statement");
    let cells: Vec<Cell<'_>> = rows.row(0).collect();
    let expected = [
        Cell::Null,
        Cell::Integer(i64::MIN),
        Cell::Real(-0.5),
        Cell::Text("a\0€".as_bytes()),
        Cell::Text(b""),
        Cell::Bytes(b""),
        Cell::Bytes(&[0, 255]),
    ];
    assert_eq!(cells, expected);
}

#[test]
fn a_statement_is_compiled_once_and_forgets_its_values() {
    let Some(mut connection) = in_memory() else { return };
    connection
        .run_script("CREATE TABLE t (a, b); ; INSERT INTO t VALUES (1, 2); -- the end")
        .expect("a script");
    for number in 0..300 {
        connection
            .run("INSERT INTO t VALUES (?, ?)", &[Value::Integer(number), Value::Text("x")])
            .expect("a row");
    }
    let first = connection.prepare("SELECT ?").expect("a statement");
    let second = connection.prepare("SELECT ?").expect("the same, while the first is in use");
    connection.release(first);
    connection.release(second);
    assert_eq!(
        read(&mut connection, "SELECT count(*), sum(a) FROM t", &[]),
        [["Integer(301)", "Integer(44851)"]]
    );
}

#[test]
fn more_statements_than_are_kept_can_be_used() {
    let Some(mut connection) = in_memory() else { return };
    for round in 0..2 {
        for number in 0..200 {
            let sql = format!("SELECT {number} + {round}");
            assert_eq!(read(&mut connection, &sql, &[]), [[format!("Integer({})", number + round)]]);
        }
    }
}

#[test]
fn a_result_is_read_in_steps() {
    let Some(mut connection) = in_memory() else { return };
    let numbers =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i FROM n";
    let statement = connection.prepare(numbers).expect("a statement");
    connection.start(&statement, &[]).expect("it has no values");
    let mut rows = Rows::default();
    let mut lengths = Vec::new();
    while connection.fetch(&statement, 4, &mut rows).expect("rows") {
        lengths.push(rows.len());
    }
    lengths.push(rows.len());
    assert_eq!(lengths, [4, 4, 2]);
    connection.release(statement);
}

#[test]
fn an_error_says_what_and_of_which_kind() {
    let Some(mut connection) = in_memory() else { return };
    connection.run_script("CREATE TABLE t (a UNIQUE)").expect("a table");
    connection.run("INSERT INTO t VALUES (1)", &[]).expect("a row");
    let unique = connection.run("INSERT INTO t VALUES (1)", &[]).expect_err("it is there");
    assert_eq!((unique.code, unique.category()), (2067, Category::Integrity));
    assert_eq!(unique.message, "UNIQUE constraint failed: t.a");
    for (sql, category) in [
        ("SELEC", Category::Operational),
        ("SELECT * FROM missing", Category::Operational),
        ("", Category::Programming),
        ("-- nothing", Category::Programming),
        ("SELECT 1; SELECT 2", Category::Programming),
        ("SELECT 1; nonsense", Category::Operational),
        ("SELECT ?", Category::Programming),
        ("SELECT '\0'", Category::Programming),
    ] {
        let error = connection.run(sql, &[]).expect_err(sql);
        assert_eq!(error.category(), category, "{sql}: {error}");
    }
    assert_eq!(read(&mut connection, "SELECT 1 ; -- and a comment", &[]), [["Integer(1)"]]);
}

#[test]
fn a_lock_is_waited_for_as_long_as_is_said() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().join("t.db");
    let name = name.to_str().expect("a plain name");
    let open = |patience: Duration| {
        Connection::open(library, name, How { patience, ..How::default() }).expect("a file")
    };
    let mut first = open(Duration::ZERO);
    first.run_script("CREATE TABLE t (a); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").expect("a transaction");
    assert!(first.is_in_transaction());
    let refused = open(Duration::ZERO).run("INSERT INTO t VALUES (2)", &[]).expect_err("it is locked");
    assert!(refused.is_locked(), "{refused}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| open(Duration::from_secs(600)).run("INSERT INTO t VALUES (3)", &[]));
        first.run("COMMIT", &[]).expect("it is ours");
        waiting.join().expect("no panic").expect("it waited");
    });
    assert_eq!(read(&mut first, "SELECT a FROM t ORDER BY a", &[]), [["Integer(1)"], ["Integer(3)"]]);
}

#[test]
fn what_sqlite_refuses_at_once_is_tried_again() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    // Whoever opens a new file turns its log on, and reads and writes it.
    for round in 0..20 {
        let name = folder.path().join(format!("{round}.db"));
        let name = name.to_str().expect("a plain name");
        let start = std::sync::Barrier::new(16);
        std::thread::scope(|scope| {
            for number in 0..16 {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let how = How { patience: Duration::from_secs(600), ..How::default() };
                    let mut connection = Connection::open(library, name, how).expect("a file");
                    connection.run_script("PRAGMA journal_mode = WAL").expect("it is tried again");
                    let script = format!("CREATE TABLE t{number} (a); INSERT INTO t{number} VALUES (1)");
                    connection.run_script(&script).expect("it is waited for");
                });
            }
        });
    }
}

#[test]
fn a_statement_that_takes_long_can_be_ended() {
    let Some(library) = library() else { return };
    let how = How { is_to_end: Some(|| true), ..How::default() };
    let mut connection = Connection::open(library, ":memory:", how).expect("memory is always there");
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    assert_eq!(connection.run(endless, &[]).expect_err("it is ended").primary(), 9);
    assert_eq!(read(&mut connection, "SELECT 1", &[]), [["Integer(1)"]]);
}

#[test]
fn a_statement_in_a_hurry_ends_in_time_and_undoes_nothing() {
    let Some(mut connection) = in_memory() else { return };
    connection.run_script("CREATE TABLE t (a); INSERT INTO t VALUES (1); BEGIN").expect("a transaction");
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n";
    let mut rows = Rows::default();
    let mut hurried = |connection: &mut Connection, sql: &str| {
        connection.in_a_hurry(Duration::from_micros(200), |connection| {
            connection.read(sql, &[], usize::MAX, &mut rows)
        })
    };
    assert_eq!(hurried(&mut connection, endless).expect_err("it is ended").primary(), 9);
    assert!(connection.is_in_transaction());
    hurried(&mut connection, "SELECT a FROM t").expect("it is short");
    // A long value is not copied.
    connection.run("UPDATE t SET a = zeroblob(100000)", &[]).expect("it is a row");
    assert_eq!(hurried(&mut connection, "SELECT a FROM t").expect_err("it is long").primary(), 18);
    assert!(connection.is_in_transaction());
    assert_eq!(read(&mut connection, "SELECT length(a) FROM t", &[]), [["Integer(100000)"]]);
}

#[test]
fn a_statement_in_a_hurry_waits_for_no_lock() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().join("t.db");
    let how = How { patience: Duration::from_secs(600), ..How::default() };
    let open = || Connection::open(library, name.to_str().expect("a plain name"), how).expect("a file");
    let (mut first, mut second) = (open(), open());
    first.run_script("CREATE TABLE t (a); BEGIN EXCLUSIVE").expect("a transaction");
    let locked = second
        .in_a_hurry(Duration::from_secs(600), |connection| connection.run("SELECT a FROM t", &[]))
        .expect_err("it is locked");
    assert!(locked.is_locked(), "{locked}");
    first.run("COMMIT", &[]).expect("it is ours");
    assert!(read(&mut second, "SELECT a FROM t", &[]).is_empty());
}

#[test]
fn only_a_statement_that_was_judged_is_taken_as_short() {
    let Some(mut connection) = in_memory() else { return };
    connection.run_script("CREATE TABLE t (a, b)").expect("a table");
    let mut check = |sql: &str, expected: bool| {
        assert_eq!(connection.take_short(sql), None, "{sql}: not compiled yet");
        let id = connection.prepare(sql).expect("it is a statement");
        connection.judge(&id);
        assert_eq!(connection.take_short(sql), None, "{sql}: in use");
        connection.release(id);
        let taken = connection.take_short(sql);
        assert_eq!(taken.is_some(), expected, "{sql}");
        taken.into_iter().for_each(|id| connection.release(id));
    };
    check("SELECT a, max(b) FROM t WHERE b > ?1 GROUP BY a ORDER BY 2 LIMIT 3", true);
    check("SELECT count(*) FROM t", false);
    check("SELECT a FROM t WHERE a LIKE 'x%'", false);
    check("SELECT * FROM pragma_table_info('t')", false);
    check("INSERT INTO t VALUES (1, 2)", false);
    check("BEGIN", false);
    check("EXPLAIN SELECT 1", false);
    // A table that changed has the statement compiled anew, and what was found out of it no longer holds.
    let sql = "SELECT a FROM t";
    let id = connection.prepare(sql).expect("it is a statement");
    connection.judge(&id);
    connection.release(id);
    connection
        .run_script("DROP TABLE t; CREATE VIEW t AS SELECT count(*) AS a FROM sqlite_master")
        .expect("a view");
    let id = connection.take_short(sql).expect("nobody has run it since");
    connection.fetch_all(&id, &mut Rows::default()).expect("it is compiled anew");
    connection.release(id);
    assert_eq!(connection.take_short(sql), None);
}

#[test]
fn a_table_that_changes_under_a_statement_is_read_with_the_columns_it_has() {
    let Some(mut connection) = in_memory() else { return };
    connection.run_script("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2)").expect("a table");
    assert_eq!(read(&mut connection, "SELECT * FROM t", &[]), [["Integer(1)", "Integer(2)"]]);
    connection.run_script("ALTER TABLE t ADD COLUMN c DEFAULT 3").expect("a column");
    assert_eq!(read(&mut connection, "SELECT * FROM t", &[]), [["Integer(1)", "Integer(2)", "Integer(3)"]]);
    connection.run_script("DROP TABLE t; CREATE TABLE t (a); INSERT INTO t VALUES (4)").expect("a table");
    assert_eq!(read(&mut connection, "SELECT * FROM t", &[]), [["Integer(4)"]]);
}

#[test]
fn a_file_that_cannot_be_opened_is_told() {
    let Some(library) = library() else { return };
    let error = Connection::open(library, "/no/such/folder/t.db", How::default()).expect_err("no folder");
    assert_eq!((error.primary(), error.message.as_str()), (14, "unable to open database file"));
    let error = Connection::open(library, "a\0b", How::default()).expect_err("no name");
    assert_eq!(error.category(), Category::Programming);
}

#[test]
fn the_face_of_all_engines_takes_and_gives_values() {
    use naja_sql::{Driver, Table, Transaction, Value};
    let Some(mut connection) = in_memory() else { return };
    let driver: &mut dyn Driver<Error = naja_sql::sqlite::Error> = &mut connection;
    driver.script("create table t (a integer, b text); create index i on t (a)").expect("both are run");
    let rows =
        [vec![Value::from(1), Value::Date { year: 2020, month: 2, day: 29 }], vec![Value::Null, "x".into()]];
    let done = driver.execute_many("insert into t values (?, ?)", &mut rows.iter()).expect("both are stored");
    assert_eq!(done.affected, Some(2));
    let broken = [vec![Value::from(2), Value::Null], vec![Value::from(3)]];
    driver.execute_many("insert into t values (?, ?)", &mut broken.iter()).expect_err("a row is too short");
    assert_eq!(driver.transaction(), Transaction::None);
    let done =
        driver.execute("insert into t values (7, null)", &[], &mut naja_sql::NoRows).expect("it is stored");
    assert_eq!((done.affected, done.inserted_id), (Some(1), Some(3)));
    let done = driver.execute("delete from t where a = 7", &[], &mut naja_sql::NoRows).expect("it is gone");
    assert_eq!((done.affected, done.inserted_id), (Some(1), None));
    let done = driver.execute("create table u (a)", &[], &mut naja_sql::NoRows).expect("it is made");
    assert_eq!((done.affected, done.inserted_id), (None, None));
    let mut table = Table::default();
    let done = driver.execute("select a, b from t order by a", &[], &mut table).expect("it is read");
    assert_eq!(done.affected, Some(2));
    assert_eq!(table.columns[0].type_name, "INTEGER");
    assert_eq!(table.rows, [[Value::Null, Value::from("x")], [Value::from(1), Value::from("2020-02-29")]]);
}
