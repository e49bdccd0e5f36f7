//! Statements that are cancelled, that take too long, and servers that go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use naja_sql::mysql::{Connection, MySqlError, Options};
use naja_sql::{NoRows, Sink, Table, Transaction};
use naja_testkit::MariaDbServer;

use super::{cache, connect, open, over_tcp, refusal, superuser, value};

/// Waits until the server says that this connection is doing it.
fn wait_until(watcher: &mut Connection, process: Option<u32>, condition: &str) {
    let sql = format!("SELECT count(*) FROM information_schema.processlist WHERE id = ? AND {condition}");
    let process = i64::from(process.expect("the server has told it"));
    while value(watcher, &sql, &[process.into()]) == 0.into() {
        std::thread::yield_now();
    }
}

const ASLEEP: &str = "state = 'User sleep'";
const SLEEP: &str = "SELECT sleep(600)";

#[test]
fn a_statement_is_cancelled_from_another_thread() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let mut watcher = open(&superuser(server));
    for options in [superuser(server), over_tcp(server, "root")] {
        let mut connection = open(&options);
        let canceller = connection.canceller().unwrap();
        let process = connection.process();
        std::thread::scope(|scope| {
            let asleep = scope.spawn(|| connection.execute(SLEEP, &[], &mut NoRows));
            wait_until(&mut watcher, process, ASLEEP);
            canceller.cancel().unwrap();
            let error = refusal(asleep.join().unwrap());
            assert_eq!((error.code, error.sqlstate.as_str()), (1317, "70100"));
            assert_eq!(error.message, "Query execution was interrupted");
        });
        assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
    }
}

#[test]
fn whoever_waits_is_asked_whether_to_go_on() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let mut watcher = open(&superuser(server));
    let mut connection = open(&superuser(server));
    let process = connection.process();
    let enough = Arc::new(AtomicBool::new(false));
    connection.set_interrupt_check(Some(Box::new({
        let enough = Arc::clone(&enough);
        move || enough.swap(false, Ordering::SeqCst)
    })));
    connection.script("CREATE TABLE interrupted (a INT)").unwrap();
    for in_transaction in [false, true] {
        if in_transaction {
            connection.script("BEGIN; INSERT INTO interrupted VALUES (1)").unwrap();
        }
        std::thread::scope(|scope| {
            let asleep = scope.spawn(|| connection.execute(SLEEP, &[], &mut NoRows));
            wait_until(&mut watcher, process, ASLEEP);
            enough.store(true, Ordering::SeqCst);
            assert!(matches!(asleep.join().unwrap(), Err(MySqlError::Interrupted)));
        });
        assert!(connection.is_usable());
    }
    // Cancelling ends no transaction.
    assert_eq!(connection.transaction(), Transaction::Open);
    connection.script("COMMIT").unwrap();
    assert_eq!(value(&mut connection, "SELECT count(*) FROM interrupted", &[]), 1.into());
}

#[test]
fn a_statement_that_takes_too_long_is_ended_by_the_server() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let timeout = Some(Duration::from_millis(30));
    let mut connection = open(&Options { statement_timeout: timeout, ..superuser(server) });
    assert_eq!(value(&mut connection, "SELECT @@max_statement_time", &[]), 0.03.into());
    let error = refusal(connection.execute(SLEEP, &[], &mut NoRows));
    assert_eq!((error.code, error.sqlstate.as_str()), (1969, "70100"));
    connection.script("BEGIN").unwrap();
    assert_eq!(refusal(connection.script(SLEEP)).code, 1969);
    connection.script("ROLLBACK").unwrap();
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

#[test]
fn a_server_that_is_silent_for_too_long_is_given_up() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let mut connection = open(&superuser(server));
    connection.set_answer_timeout(Some(Duration::from_millis(30)));
    let error = connection.execute(SLEEP, &[], &mut NoRows).unwrap_err();
    assert!(matches!(error, MySqlError::TimedOut { silent_ms: 30 }), "{error:?}");
    assert!(!connection.is_usable());
    assert!(matches!(connection.script("SELECT 1"), Err(MySqlError::Misuse { .. })));
}

#[test]
fn a_connection_that_the_server_ends_is_told_and_over() {
    let Some(mut administrator) = connect() else { return };
    let mut connection = connect().unwrap();
    let process = connection.process();
    // While it is asked something,
    std::thread::scope(|scope| {
        let asleep = scope.spawn(|| connection.execute(SLEEP, &[], &mut NoRows));
        wait_until(&mut administrator, process, ASLEEP);
        administrator.script(&format!("KILL CONNECTION {}", process.unwrap())).unwrap();
        let error = asleep.join().unwrap().unwrap_err();
        // MariaDB closes the stream without a word.
        assert!(matches!(error, MySqlError::Lost { .. }), "{error:?}");
        assert_eq!((error.sqlstate(), error.name()), ("08S01", "database-lost"));
        assert!(error.to_string().starts_with("the connection to MySQL broke"), "{error}");
    });
    assert!(!connection.is_usable());
    // while it is looked after,
    let mut connection = connect().unwrap();
    connection.look().unwrap();
    administrator.script(&format!("KILL CONNECTION {}", connection.process().unwrap())).unwrap();
    let error = loop {
        if let Err(error) = connection.look() {
            break error;
        }
    };
    assert!(matches!(error, MySqlError::Lost { .. }), "{error:?}");
    assert!(!connection.is_usable());
    // and while it is not.
    let mut connection = connect().unwrap();
    let process = i64::from(connection.process().unwrap());
    administrator.script(&format!("KILL CONNECTION {process}")).unwrap();
    let sql = "SELECT count(*) FROM information_schema.processlist WHERE id = ?";
    while value(&mut administrator, sql, &[process.into()]) != 0.into() {}
    let error = connection.execute("SELECT 1", &[], &mut NoRows).unwrap_err();
    assert!(matches!(error, MySqlError::Lost { .. }), "{error:?}");
    assert!(!connection.is_usable());
}

#[test]
fn a_server_that_is_killed_leaves_errors_and_nobody_waiting() {
    let Some(mut server) = MariaDbServer::start_durable(cache()) else { return };
    let mut watcher = open(&superuser(&server));
    let mut sleeper = open(&superuser(&server));
    let mut loader = open(&Options { database: Some("test".to_owned()), ..over_tcp(&server, "root") });
    let mut idle = open(&superuser(&server));
    idle.script("CREATE TABLE filled (a INT); CREATE TABLE stored (a INT)").unwrap();
    idle.script("INSERT INTO stored VALUES (1); BEGIN; INSERT INTO stored VALUES (2)").unwrap();
    let process = sleeper.process();
    std::thread::scope(|scope| {
        let asleep = scope.spawn(|| sleeper.execute(SLEEP, &[], &mut NoRows));
        let filling = scope.spawn(|| loader.execute_many("INSERT INTO filled VALUES (?)", &mut Endless));
        wait_until(&mut watcher, process, ASLEEP);
        server.kill();
        for lost in [asleep.join().unwrap(), filling.join().unwrap()] {
            let error = lost.unwrap_err();
            assert!(matches!(error, MySqlError::Lost { .. }), "{error:?}");
            assert_eq!(error.sqlstate(), "08S01");
        }
    });
    for connection in [&mut sleeper, &mut loader, &mut idle, &mut watcher] {
        assert!(connection.execute("SELECT 1", &[], &mut Table::default()).is_err());
        assert!(!connection.is_usable());
    }
    let error = Connection::open(&over_tcp(&server, "root"), None).unwrap_err();
    assert!(matches!(error, MySqlError::Connect { .. }), "{error:?}");

    // What was committed is there again, and nothing else.
    server.restart();
    let mut connection = open(&superuser(&server));
    assert_eq!(value(&mut connection, "SELECT a FROM stored", &[]), 1.into());
    assert_eq!(value(&mut connection, "SELECT count(*) FROM filled", &[]), 0.into());
}

/// Rows without end.
struct Endless;

impl naja_sql::Source for Endless {
    fn next_row(&mut self, sink: &mut dyn Sink) -> bool {
        sink.integer(1);
        true
    }
}
