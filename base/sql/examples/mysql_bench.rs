//! How long round trips, many rows and results take against a MariaDB server of this machine, in microseconds.
//!
//! `cargo run --release -p naja-sql --example mysql_bench [ROUNDS]` starts a server of its own (which waits for no disk, so
//! that it is the protocol that is measured) and prints a table for `docs/design/databases.md`. With `serve` it prints the
//! server's port and socket instead and waits until its input ends, for whoever measures another driver.
#![allow(clippy::print_stdout, reason = "a measurement is for whoever runs it")]

use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use naja_sql::mysql::{Address, Connection, MySqlError, Options};
use naja_sql::{NoRows, Sink, Source};
use naja_testkit::MariaDbServer;

const ROWS: i64 = 100_000;
const TRIPS: i64 = 20_000;

/// The five values of a row that other benchmarks of this repository store as well.
struct People(std::ops::Range<i64>);

impl Source for People {
    fn next_row(&mut self, sink: &mut dyn Sink) -> bool {
        let Some(number) = self.0.next() else { return false };
        sink.text(&format!("user{number}"));
        sink.integer(number % 90);
        sink.real(number as f64 * 0.5);
        sink.text(&format!("city{}", number % 100));
        sink.boolean(number % 2 == 0);
        true
    }
}

fn main() -> Result<(), MySqlError> {
    let word = std::env::args().nth(1).unwrap_or_default();
    let cache = std::env::temp_dir().join("naja-mysql-bench");
    let Some(server) = MariaDbServer::start(Path::new(&cache)) else { return Ok(()) };
    if word == "serve" {
        println!("{} {}", server.port(), server.socket().display());
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        return Ok(());
    }
    let rounds = word.parse().unwrap_or(5);
    let local = Options::new(Address::Unix { path: server.socket() }, "root");
    let local = Options { database: Some("test".to_owned()), ..local };
    let network = Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port() };
    let network = Options { address: network, ..local.clone() };
    let mut connection = Connection::open(&local, None)?;
    connection.script(
        "CREATE TABLE people (id BIGINT AUTO_INCREMENT PRIMARY KEY, name TEXT, age INT, score DOUBLE, city TEXT, ok BOOL)",
    )?;
    println!("| what | µs each: best | median | worst |\n|---|---:|---:|---:|");
    let insert = "INSERT INTO people (name, age, score, city, ok) VALUES (?, ?, ?, ?, ?)";
    let empty = "TRUNCATE people";

    measure("one insert and its answer, in a transaction", rounds, TRIPS, || {
        connection.script(empty)?;
        connection.script("BEGIN")?;
        let started = Instant::now();
        for number in 0..TRIPS {
            let name = format!("user{number}");
            connection.execute(
                insert,
                &[name.as_str().into(), (number % 90).into(), 0.5.into(), "city".into(), true.into()],
                &mut NoRows,
            )?;
        }
        let took = started.elapsed();
        connection.script("COMMIT")?;
        Ok(took)
    })?;
    // A comment is no word for which rows go in one packet.
    let one_by_one = format!("/* one by one */ {insert}");
    for (what, sql) in [
        ("a row of `execute_many`, executions without waiting", one_by_one.as_str()),
        ("a row of `execute_many`, many in one packet", insert),
    ] {
        measure(what, rounds, ROWS, || {
            connection.script(empty)?;
            let started = Instant::now();
            connection.execute_many(sql, &mut People(0..ROWS))?;
            Ok(started.elapsed())
        })?;
    }
    measure("a row of `SELECT *`", rounds, ROWS, || {
        let started = Instant::now();
        connection.execute("SELECT * FROM people", &[], &mut NoRows)?;
        Ok(started.elapsed())
    })?;
    measure("a row of `SELECT *`, as text", rounds, ROWS, || {
        let started = Instant::now();
        connection.run_text("SELECT * FROM people", &mut NoRows)?;
        Ok(started.elapsed())
    })?;
    for (what, options) in [("Unix socket", &local), ("TCP", &network)] {
        let mut connection = Connection::open(options, None)?;
        measure(&format!("fetch one row by its key, {what}"), rounds, TRIPS, || {
            let started = Instant::now();
            for number in 0..TRIPS {
                let key = [(number + 1).into()];
                connection.execute("SELECT * FROM people WHERE id = ?", &key, &mut NoRows)?;
            }
            Ok(started.elapsed())
        })?;
        measure(&format!("connect and close, {what}"), rounds, 100, || {
            let started = Instant::now();
            for _ in 0..100 {
                Connection::open(options, None)?.close();
            }
            Ok(started.elapsed())
        })?;
    }
    Ok(())
}

fn measure(
    what: &str,
    rounds: usize,
    count: i64,
    mut once: impl FnMut() -> Result<Duration, MySqlError>,
) -> Result<(), MySqlError> {
    once()?;
    let mut times = (0..rounds.max(1)).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    times.sort();
    let each = |index: usize| times[index].as_secs_f64() * 1e6 / count as f64;
    println!("| {what} | {:.2} | {:.2} | {:.2} |", each(0), each(times.len() / 2), each(times.len() - 1));
    Ok(())
}
