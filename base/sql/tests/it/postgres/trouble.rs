//! Statements that are cancelled, that take too long, and servers that go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use naja_sql::postgres::{Connection, Options, PostgresError};
use naja_sql::{NoRows, Sink, Table, Transaction};
use naja_testkit::PostgresServer;

use super::{cache, connect, open, over_tcp, refusal, superuser, value};

/// Waits until the server says that this connection's process is doing it.
fn wait_until(watcher: &mut Connection, process: Option<u32>, condition: &str) {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND {condition}");
    let process = i64::from(process.expect("the server has told it"));
    while value(watcher, &sql, &[process.into()]) == 0.into() {
        std::thread::yield_now();
    }
}

#[test]
fn a_statement_is_cancelled_from_another_thread() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let mut watcher = open(&superuser(server));
    for options in [superuser(server), over_tcp(server, "postgres")] {
        let mut connection = open(&options);
        let canceller = connection.canceller().unwrap();
        let process = connection.process();
        assert!(!format!("{canceller:?}").contains("secret"));
        std::thread::scope(|scope| {
            let asleep = scope.spawn(|| connection.execute("SELECT pg_sleep(600)", &[], &mut NoRows));
            wait_until(&mut watcher, process, "wait_event = 'PgSleep'");
            canceller.cancel().unwrap();
            let error = refusal(asleep.join().unwrap());
            assert_eq!(error.sqlstate, "57014");
            assert_eq!(error.message, "canceling statement due to user request");
        });
        assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
    }
}

#[test]
fn whoever_waits_is_asked_whether_to_go_on() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let mut watcher = open(&superuser(server));
    let mut connection = open(&superuser(server));
    let process = connection.process();
    let enough = Arc::new(AtomicBool::new(false));
    connection.set_interrupt_check(Some(Box::new({
        let enough = Arc::clone(&enough);
        move || enough.swap(false, Ordering::SeqCst)
    })));
    for in_transaction in [false, true] {
        if in_transaction {
            connection.script("BEGIN").unwrap();
        }
        std::thread::scope(|scope| {
            let asleep = scope.spawn(|| connection.execute("SELECT pg_sleep(600)", &[], &mut NoRows));
            wait_until(&mut watcher, process, "wait_event = 'PgSleep'");
            enough.store(true, Ordering::SeqCst);
            assert!(matches!(asleep.join().unwrap(), Err(PostgresError::Interrupted)));
        });
        assert!(connection.is_usable());
    }
    assert_eq!(connection.transaction(), Transaction::Failed);
    connection.script("ROLLBACK").unwrap();
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

#[test]
fn a_statement_that_takes_too_long_is_ended_by_the_server() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let mut connection =
        open(&Options { statement_timeout: Some(Duration::from_millis(30)), ..superuser(server) });
    assert_eq!(value(&mut connection, "SHOW statement_timeout", &[]), "30ms".into());
    let error = refusal(connection.execute("SELECT pg_sleep(600)", &[], &mut NoRows));
    assert_eq!(error.sqlstate, "57014");
    assert_eq!(error.message, "canceling statement due to statement timeout");
    connection.script("BEGIN").unwrap();
    assert_eq!(refusal(connection.script("SELECT pg_sleep(600)")).sqlstate, "57014");
    assert_eq!(connection.transaction(), Transaction::Failed);
    connection.script("ROLLBACK").unwrap();
    assert_eq!(value(&mut connection, "SELECT 1", &[]), 1.into());
}

#[test]
fn a_server_that_is_silent_for_too_long_is_given_up() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let mut connection = open(&superuser(server));
    connection.set_answer_timeout(Some(Duration::from_millis(30)));
    let error = connection.execute("SELECT pg_sleep(600)", &[], &mut NoRows).unwrap_err();
    assert!(matches!(error, PostgresError::TimedOut { silent_ms: 30 }), "{error:?}");
    assert!(!connection.is_usable());
    assert!(matches!(connection.script("SELECT 1"), Err(PostgresError::Misuse { .. })));
}

#[test]
fn a_connection_that_the_server_ends_says_why() {
    let Some(mut administrator) = connect() else { return };
    let mut connection = connect().unwrap();
    let process = i64::from(connection.process().unwrap());
    // While it is asked something,
    std::thread::scope(|scope| {
        let asleep = scope.spawn(|| connection.execute("SELECT pg_sleep(600)", &[], &mut NoRows));
        wait_until(&mut administrator, u32::try_from(process).ok(), "wait_event = 'PgSleep'");
        value(&mut administrator, "SELECT pg_terminate_backend($1)", &[process.into()]);
        let error = asleep.join().unwrap().unwrap_err();
        assert!(matches!(error, PostgresError::Lost { said: Some(_), .. }), "{error:?}");
        assert_eq!(error.server().unwrap().sqlstate, "57P01");
        assert_eq!(
            error.to_string(),
            "the connection to PostgreSQL broke: terminating connection due to administrator command (57P01)"
        );
    });
    assert!(!connection.is_usable());
    // while it is looked after,
    let mut connection = connect().unwrap();
    connection.look().unwrap();
    let process = i64::from(connection.process().unwrap());
    value(&mut administrator, "SELECT pg_terminate_backend($1, 60000)", &[process.into()]);
    let error = connection.look().unwrap_err();
    assert_eq!(error.server().map(|said| said.sqlstate.as_str()), Some("57P01"), "{error:?}");
    assert!(!connection.is_usable());
    // and while it is not.
    let mut connection = connect().unwrap();
    let process = i64::from(connection.process().unwrap());
    value(&mut administrator, "SELECT pg_terminate_backend($1, 60000)", &[process.into()]);
    let error = connection.execute("SELECT 1", &[], &mut NoRows).unwrap_err();
    assert_eq!(error.server().map(|said| said.sqlstate.as_str()), Some("57P01"), "{error:?}");
    assert!(!connection.is_usable());
}

#[test]
fn a_server_that_is_killed_leaves_errors_and_nobody_waiting() {
    let Some(server) = PostgresServer::start(cache()) else { return };
    let mut watcher = open(&superuser(&server));
    let mut sleeper = open(&superuser(&server));
    let mut loader = open(&over_tcp(&server, "postgres"));
    let mut idle = open(&superuser(&server));
    idle.script("CREATE TABLE filled (a int)").unwrap();
    let process = sleeper.process();
    std::thread::scope(|scope| {
        let asleep = scope.spawn(|| sleeper.execute("SELECT pg_sleep(600)", &[], &mut NoRows));
        let filling = scope.spawn(|| loader.copy_in(None, "filled", &["a"], false, &mut Endless));
        wait_until(&mut watcher, process, "wait_event = 'PgSleep'");
        server.kill(process);
        for lost in [asleep.join().unwrap().map(|_| 0), filling.join().unwrap()] {
            let error = lost.unwrap_err();
            assert!(matches!(error, PostgresError::Lost { .. }), "{error:?}");
            assert_eq!(error.sqlstate(), "08006");
        }
    });
    for connection in [&mut sleeper, &mut loader, &mut idle, &mut watcher] {
        // The server ends them one after the other.
        while connection.execute("SELECT 1", &[], &mut Table::default()).is_ok() {}
        assert!(!connection.is_usable());
    }
    // The server has restarted by itself or does so now; without its first process there is none.
    server.kill(None);
    let error = loop {
        match Connection::open(&over_tcp(&server, "postgres"), None) {
            Err(PostgresError::Server(error)) => assert_eq!(error.sqlstate, "57P03", "{error}"),
            Err(PostgresError::Lost { .. }) | Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, PostgresError::Connect { .. }), "{error:?}");
}

/// Rows without end.
struct Endless;

impl naja_sql::Source for Endless {
    fn next_row(&mut self, sink: &mut dyn Sink) -> bool {
        sink.integer(1);
        true
    }
}
