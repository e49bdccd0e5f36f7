//! Functions of the program's own in statements of SQLite.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering as Memory};

use naja_sql::sqlite::{
    Aggregate, Answer, Body, Cell, Collation, Connection, Definition, Refusal, Rows, Running, Scalar,
};

use crate::sqlite::in_memory;

/// Gives back its first argument; without one it fails, as it does for some words.
struct Echo;

impl Scalar for Echo {
    fn call(&self, arguments: &[Cell<'_>]) -> Result<Answer, Refusal> {
        match arguments {
            [] => Err(Refusal::Failed("nothing was said".to_owned())),
            [Cell::Text(b"big"), ..] => Err(Refusal::TooBig),
            [Cell::Text(b"memory"), ..] => Err(Refusal::NoMemory),
            [Cell::Text(b"panic"), ..] => panic!("this is shown by the test"),
            [Cell::Null, ..] => Ok(Answer::Null),
            [Cell::Integer(value), ..] => Ok(Answer::Integer(*value)),
            [Cell::Real(value), ..] => Ok(Answer::Real(*value)),
            [Cell::Text(text), ..] => Ok(Answer::Text(String::from_utf8_lossy(text).into_owned())),
            [Cell::Bytes(bytes), ..] => Ok(Answer::Bytes(bytes.to_vec())),
        }
    }
}

/// Counts how many of itself there are.
struct Sums(Arc<AtomicUsize>);
struct Sum(Arc<AtomicUsize>, i64);

impl Aggregate for Sums {
    fn start(&self) -> Result<Box<dyn Running>, Refusal> {
        self.0.fetch_add(1, Memory::Relaxed);
        Ok(Box::new(Sum(self.0.clone(), 0)))
    }
}

impl Running for Sum {
    fn step(&mut self, arguments: &[Cell<'_>]) -> Result<(), Refusal> {
        match arguments {
            [Cell::Integer(value)] => self.1 += value,
            _ => return Err(Refusal::Failed("no number".to_owned())),
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Answer, Refusal> {
        Ok(Answer::Integer(self.1))
    }
}

impl Drop for Sum {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Memory::Relaxed);
    }
}

struct Backwards;

impl Collation for Backwards {
    fn compare(&self, one: &[u8], other: &[u8]) -> Result<Ordering, Refusal> {
        if one == b"bad" || other == b"bad" { Err(Refusal::NoMemory) } else { Ok(other.cmp(one)) }
    }
}

fn define(connection: &mut Connection, name: &str, arguments: i32, body: Body) {
    let definition = Definition { name: name.to_owned(), arguments, is_deterministic: true, body };
    connection.define(&definition).expect("it can be defined");
}

fn read(connection: &mut Connection, sql: &str) -> Result<Vec<String>, (i32, String)> {
    let mut rows = Rows::default();
    connection.read(sql, &[], usize::MAX, &mut rows).map_err(|error| (error.code, error.message))?;
    Ok((0..rows.len()).flat_map(|row| rows.row(row).map(|cell| format!("{cell:?}"))).collect())
}

#[test]
fn values_go_into_a_function_and_out_of_it_as_they_are() {
    let Some(mut connection) = in_memory() else { return };
    define(&mut connection, "echo", -1, Body::Scalar(Arc::new(Echo)));
    let sql = "SELECT echo(NULL), echo(-7), echo(0.5), echo('ü'), echo(x'00ff'), echo(''), echo(1, 2, 3)";
    let expected =
        ["Null", "Integer(-7)", "Real(0.5)", "Text([195, 188])", "Bytes([0, 255])", "Text([])", "Integer(1)"];
    assert_eq!(read(&mut connection, sql).expect("it is called"), expected);
}

#[test]
fn a_function_that_fails_ends_its_statement_and_nothing_else() {
    let Some(mut connection) = in_memory() else { return };
    define(&mut connection, "echo", -1, Body::Scalar(Arc::new(Echo)));
    assert_eq!(read(&mut connection, "SELECT echo()"), Err((1, "nothing was said".to_owned())));
    assert_eq!(read(&mut connection, "SELECT echo('big')").expect_err("it is refused").0, 18);
    assert_eq!(read(&mut connection, "SELECT echo('memory')").expect_err("it is refused").0, 7);
    let panicked = read(&mut connection, "SELECT echo('panic')").expect_err("it is refused");
    assert_eq!(panicked, (1, "a function of naja failed; see the message above".to_owned()));
    assert_eq!(read(&mut connection, "SELECT echo(1)").expect("it goes on"), ["Integer(1)"]);
}

#[test]
fn an_aggregate_lives_as_long_as_its_group() {
    let Some(mut connection) = in_memory() else { return };
    let living = Arc::new(AtomicUsize::new(0));
    define(&mut connection, "total_of", 1, Body::Aggregate(Arc::new(Sums(living.clone()))));
    connection
        .run_script("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2), (1, 3), (2, 5)")
        .expect("rows");
    let sums = read(&mut connection, "SELECT total_of(b) FROM t GROUP BY a").expect("sums");
    assert_eq!(sums, ["Integer(5)", "Integer(5)"]);
    assert_eq!(read(&mut connection, "SELECT total_of(b) FROM t WHERE a > 5").expect("no rows"), ["Null"]);
    let error = read(&mut connection, "SELECT total_of('x') FROM t").expect_err("it fails");
    assert_eq!(error, (1, "no number".to_owned()));
    assert_eq!(living.load(Memory::Relaxed), 0);
}

#[test]
fn a_collation_sorts_and_one_that_fails_stops() {
    let Some(mut connection) = in_memory() else { return };
    define(&mut connection, "backwards", 0, Body::Collation(Arc::new(Backwards)));
    let sql = "SELECT column1 FROM (VALUES ('a'), ('c'), ('b')) ORDER BY 1 COLLATE backwards";
    assert_eq!(read(&mut connection, sql).expect("sorted"), ["Text([99])", "Text([98])", "Text([97])"]);
    // What is asked between two rows is asked of the next one.
    let sql = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100)
        SELECT CASE i WHEN 50 THEN 'bad' ELSE i || '' END AS text FROM n ORDER BY text COLLATE backwards";
    assert_eq!(read(&mut connection, sql).expect_err("it is interrupted").0, 9);
    define(&mut connection, "backwards", 0, Body::NoCollation);
    let error = read(&mut connection, "SELECT 'a' < 'b' COLLATE backwards").expect_err("it is gone");
    assert_eq!(error.1, "no such collation sequence: backwards");
}

#[test]
fn what_cannot_be_defined_is_refused_and_what_is_taken_away_is_gone() {
    let Some(mut connection) = in_memory() else { return };
    let weak = {
        let echo: Arc<dyn Scalar> = Arc::new(Echo);
        define(&mut connection, "echo", 1, Body::Scalar(echo.clone()));
        Arc::downgrade(&echo)
    };
    assert!(weak.upgrade().is_some());
    define(&mut connection, "echo", 1, Body::NoFunction);
    assert!(weak.upgrade().is_none(), "what is not needed is dropped");
    assert_eq!(read(&mut connection, "SELECT echo(1)").expect_err("it is gone").1, "no such function: echo");
    for (name, arguments) in [("a".repeat(256).as_str(), 1), ("a\0b", 1), ("a", 128), ("a", -2)] {
        let body = Body::Scalar(Arc::new(Echo));
        let definition = Definition { name: name.to_owned(), arguments, is_deterministic: false, body };
        assert_eq!(connection.define(&definition).expect_err(name).code, 21, "{name} {arguments}");
    }
}

#[test]
fn a_function_that_a_statement_is_using_is_not_replaced() {
    let Some(mut connection) = in_memory() else { return };
    define(&mut connection, "echo", 1, Body::Scalar(Arc::new(Echo)));
    let statement = connection.prepare("SELECT echo(1) UNION ALL SELECT echo(2)").expect("it is SQL");
    let mut rows = Rows::default();
    connection.start(&statement, &[]).expect("it has no values");
    assert!(connection.fetch(&statement, 1, &mut rows).expect("a row"));
    let body = Body::Scalar(Arc::new(Echo));
    let again = Definition { name: "echo".to_owned(), arguments: 1, is_deterministic: false, body };
    assert!(connection.define(&again).expect_err("it is in use").is_locked());
    connection.release(statement);
    connection.define(&again).expect("nobody uses it");
    assert_eq!(read(&mut connection, "SELECT echo(3)").expect("it is called"), ["Integer(3)"]);
}
