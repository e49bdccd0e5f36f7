//! How long round trips, many rows, results and bulk loads take against a server of this machine, in microseconds.
//!
//! `cargo run --release -p naja-sql --example bench postgres [ROUNDS]`, or `mysql` for MariaDB, starts a server of its own
//! (which waits for no disk, so that it is the protocol that is measured) and prints a table for
//! `docs/design/databases.md`. `bench mysql serve` prints the server's port and socket instead and waits until its input
//! ends, for whoever measures another driver.
#![allow(clippy::print_stdout, reason = "a measurement is for whoever runs it")]

use std::error::Error;
use std::io::Read as _;
use std::time::{Duration, Instant};

use naja_sql::{Blocking, Connection, NoRows, Sink, Source, mysql, postgres};
use naja_testkit::{MariaDbServer, PostgresServer};

const ROWS: i64 = 100_000;
const TRIPS: i64 = 20_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

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

/// An engine's words for what is measured.
struct Words {
    empty: &'static str,
    insert: &'static str,
    by_key: &'static str,
}

fn main() -> Outcome<()> {
    let mut words = std::env::args().skip(1);
    let (engine, word) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let rounds = word.parse().unwrap_or(5);
    match engine.as_str() {
        "postgres" => on_postgres(rounds),
        "mysql" => on_mysql(rounds, word == "serve"),
        _ => Err("name one of postgres, mysql".into()),
    }
}

fn on_postgres(rounds: usize) -> Outcome<()> {
    use postgres::{Address, Options};
    let cache = std::env::temp_dir().join("naja-postgres-bench");
    let Some(server) = PostgresServer::start(&cache) else { return Ok(()) };
    let folder = server.socket_folder().to_owned();
    let local = Options::new(Address::Unix { folder, port: server.port() }, "postgres", "postgres");
    let network = Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port() };
    let network = Options { address: network, ..local.clone() };
    let words = Words {
        empty: "TRUNCATE people RESTART IDENTITY",
        insert: "INSERT INTO people (name, age, score, city, ok) VALUES ($1, $2, $3, $4, $5)",
        by_key: "SELECT * FROM people WHERE id = $1",
    };
    let mut connection = postgres::Connection::open(&local, None)?;
    connection.script("CREATE TABLE people (id bigserial PRIMARY KEY, name text, age int, score float8, city text, ok bool)")?;
    round_trips(&mut connection, rounds, &words)?;
    many(&mut connection, rounds, &words, "a row of `execute_many`", words.insert)?;
    let columns = ["name", "age", "score", "city", "ok"];
    for (what, as_text) in [("a row of `copy_in`, as text", true), ("a row of `copy_in`, binary", false)] {
        measure(what, rounds, ROWS, || {
            connection.script(words.empty)?;
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
    results(&mut connection, rounds)?;
    connections::<postgres::Protocol>(rounds, &words, [("Unix socket", &local), ("TCP", &network)])
}

fn on_mysql(rounds: usize, serves: bool) -> Outcome<()> {
    use mysql::{Address, Options};
    let cache = std::env::temp_dir().join("naja-mysql-bench");
    let Some(server) = MariaDbServer::start(&cache) else { return Ok(()) };
    if serves {
        println!("{} {}", server.port(), server.socket().display());
        std::io::stdin().read_to_end(&mut Vec::new())?;
        return Ok(());
    }
    let local = Options::new(Address::Unix { path: server.socket() }, "root");
    let local = Options { database: Some("test".to_owned()), ..local };
    let network = Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port() };
    let network = Options { address: network, ..local.clone() };
    let words = Words {
        empty: "TRUNCATE people",
        insert: "INSERT INTO people (name, age, score, city, ok) VALUES (?, ?, ?, ?, ?)",
        by_key: "SELECT * FROM people WHERE id = ?",
    };
    let mut connection = mysql::Connection::open(&local, None)?;
    connection.script(
        "CREATE TABLE people (id BIGINT AUTO_INCREMENT PRIMARY KEY, name TEXT, age INT, score DOUBLE, city TEXT, ok BOOL)",
    )?;
    round_trips(&mut connection, rounds, &words)?;
    // A comment is no word for which rows go in one packet.
    let one_by_one = format!("/* one by one */ {}", words.insert);
    for (what, sql) in [
        ("a row of `execute_many`, executions without waiting", one_by_one.as_str()),
        ("a row of `execute_many`, many in one packet", words.insert),
    ] {
        many(&mut connection, rounds, &words, what, sql)?;
    }
    results(&mut connection, rounds)?;
    measure("a row of `SELECT *`, as text", rounds, ROWS, || {
        let started = Instant::now();
        connection.run_text("SELECT * FROM people", &mut NoRows)?;
        Ok(started.elapsed())
    })?;
    connections::<mysql::Protocol>(rounds, &words, [("Unix socket", &local), ("TCP", &network)])
}

fn round_trips<E: Blocking>(connection: &mut Connection<E>, rounds: usize, words: &Words) -> Outcome<()> {
    println!("| what | µs each: best | median | worst |\n|---|---:|---:|---:|");
    measure("one insert and its answer, in a transaction", rounds, TRIPS, || {
        connection.script(words.empty)?;
        connection.script("BEGIN")?;
        let started = Instant::now();
        for number in 0..TRIPS {
            let name = format!("user{number}");
            connection.execute(
                words.insert,
                &[name.as_str().into(), (number % 90).into(), 0.5.into(), "city".into(), true.into()],
                &mut NoRows,
            )?;
        }
        let took = started.elapsed();
        connection.script("COMMIT")?;
        Ok(took)
    })
}

fn many<E: Blocking>(
    connection: &mut Connection<E>,
    rounds: usize,
    words: &Words,
    what: &str,
    sql: &str,
) -> Outcome<()> {
    measure(what, rounds, ROWS, || {
        connection.script(words.empty)?;
        let started = Instant::now();
        connection.execute_many(sql, &mut People(0..ROWS))?;
        Ok(started.elapsed())
    })
}

fn results<E: Blocking>(connection: &mut Connection<E>, rounds: usize) -> Outcome<()> {
    measure("a row of `SELECT *`", rounds, ROWS, || {
        let started = Instant::now();
        connection.execute("SELECT * FROM people", &[], &mut NoRows)?;
        Ok(started.elapsed())
    })
}

fn connections<E: Blocking>(rounds: usize, words: &Words, ways: [(&str, &E::Options); 2]) -> Outcome<()> {
    for (what, options) in ways {
        let mut connection = Connection::<E>::open(options, None)?;
        measure(&format!("fetch one row by its key, {what}"), rounds, TRIPS, || {
            let started = Instant::now();
            for number in 0..TRIPS {
                connection.execute(words.by_key, &[(number + 1).into()], &mut NoRows)?;
            }
            Ok(started.elapsed())
        })?;
        measure(&format!("connect and close, {what}"), rounds, 100, || {
            let started = Instant::now();
            for _ in 0..100 {
                Connection::<E>::open(options, None)?.close();
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
    mut once: impl FnMut() -> Outcome<Duration>,
) -> Outcome<()> {
    once()?;
    let mut times = (0..rounds.max(1)).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    times.sort();
    let each = |index: usize| times[index].as_secs_f64() * 1e6 / count as f64;
    println!("| {what} | {:.2} | {:.2} | {:.2} |", each(0), each(times.len() / 2), each(times.len() - 1));
    Ok(())
}
