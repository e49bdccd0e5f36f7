//! How long round trips, pipelines and bulk loads take against a server of this machine, in microseconds.
//!
//! `cargo run --release -p naja-sql --example postgres_bench [ROUNDS]` starts a server of its own (without fsync, so
//! that it is the protocol that is measured and not the disk) and prints a table for `docs/design/databases.md`.
#![allow(clippy::print_stdout, reason = "a measurement is for whoever runs it")]

use std::path::Path;
use std::time::Instant;

use naja_sql::postgres::{Address, Connection, Options, PostgresError};
use naja_sql::{NoRows, Sink, Source};
use naja_testkit::PostgresServer;

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

fn main() -> Result<(), PostgresError> {
    let rounds = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(5);
    let cache = std::env::temp_dir().join("naja-postgres-bench");
    let Some(server) = PostgresServer::start(Path::new(&cache)) else { return Ok(()) };
    let local = Options::new(
        Address::Unix { folder: server.socket_folder().to_owned(), port: server.port() },
        "postgres",
        "postgres",
    );
    let network = Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port() };
    let network = Options { address: network, ..local.clone() };
    let mut connection = Connection::open(&local, None)?;
    connection.script("CREATE TABLE people (id bigserial PRIMARY KEY, name text, age int, score float8, city text, ok bool)")?;
    println!("| what | µs each: best | median | worst |\n|---|---:|---:|---:|");
    let insert = "INSERT INTO people (name, age, score, city, ok) VALUES ($1, $2, $3, $4, $5)";
    let columns = ["name", "age", "score", "city", "ok"];
    let empty = "TRUNCATE people RESTART IDENTITY";

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
    measure("a row of `execute_many`", rounds, ROWS, || {
        connection.script(empty)?;
        let started = Instant::now();
        connection.execute_many(insert, &mut People(0..ROWS))?;
        Ok(started.elapsed())
    })?;
    for (what, as_text) in [("a row of `copy_in`, as text", true), ("a row of `copy_in`, binary", false)] {
        measure(what, rounds, ROWS, || {
            connection.script(empty)?;
            let started = Instant::now();
            connection.copy_in(None, "people", &columns, as_text, &mut People(0..ROWS))?;
            Ok(started.elapsed())
        })?;
    }
    connection.script("ANALYZE people")?;
    measure("a row of `copy_out`", rounds, ROWS, || {
        let started = Instant::now();
        connection.copy_out("SELECT * FROM people", &mut NoRows)?;
        Ok(started.elapsed())
    })?;
    measure("a row of `SELECT *`", rounds, ROWS, || {
        let started = Instant::now();
        connection.execute("SELECT * FROM people", &[], &mut NoRows)?;
        Ok(started.elapsed())
    })?;
    for (what, options) in [("Unix socket", &local), ("TCP", &network)] {
        let mut connection = Connection::open(options, None)?;
        measure(&format!("fetch one row by its key, {what}"), rounds, TRIPS, || {
            let started = Instant::now();
            for number in 0..TRIPS {
                connection.execute(
                    "SELECT * FROM people WHERE id = $1",
                    &[(number + 1).into()],
                    &mut NoRows,
                )?;
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
    mut once: impl FnMut() -> Result<std::time::Duration, PostgresError>,
) -> Result<(), PostgresError> {
    once()?;
    let mut times = (0..rounds.max(1)).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    times.sort();
    let each = |index: usize| times[index].as_secs_f64() * 1e6 / count as f64;
    println!("| {what} | {:.2} | {:.2} | {:.2} |", each(0), each(times.len() / 2), each(times.len() - 1));
    Ok(())
}
