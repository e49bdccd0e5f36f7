//! What tests ask of a connection, whichever engine it is.

use naja_sql::{Blocking, Connection, Error, Refusal, Table, Value};

/// The rows of one statement.
pub(crate) fn rows<E: Blocking>(
    connection: &mut Connection<E>,
    sql: &str,
    parameters: &[Value<'_>],
) -> Vec<Vec<Value<'static>>> {
    table(connection, sql, parameters).rows
}

pub(crate) fn table<E: Blocking>(
    connection: &mut Connection<E>,
    sql: &str,
    parameters: &[Value<'_>],
) -> Table {
    let mut table = Table::default();
    connection
        .execute(sql, parameters, &mut table)
        .unwrap_or_else(|error| panic!("{sql}: {error}: {error:?}"));
    table
}

/// The one value of the one row.
pub(crate) fn value<E: Blocking>(
    connection: &mut Connection<E>,
    sql: &str,
    parameters: &[Value<'_>],
) -> Value<'static> {
    let mut rows = rows(connection, sql, parameters);
    match (rows.len(), rows.pop()) {
        (1, Some(mut row)) if row.len() == 1 => row.remove(0),
        _ => panic!("{sql} gives more or less than one value"),
    }
}

/// What the server said when it refused.
pub(crate) fn refusal<T: std::fmt::Debug, R: Refusal>(result: Result<T, Error<R>>) -> R {
    match result {
        Err(Error::Server(error)) => *error,
        other => panic!("not refused: {other:?}"),
    }
}
