//! Bulk loads and exports: the statements that begin them, and the rows out of a stream of bytes whose pieces need not
//! be rows. Rows on their way in are [`super::row_writer`]'s.

use std::ops::ControlFlow;

use crate::Rows;

use super::decode;
use super::error::PostgresError;
use super::message::Fields;
use super::protocol::CopyTarget;
use super::statement::{ResultColumns, Statement};
use super::types::Known;

/// The columns of a table that a bulk load fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyInto {
    table: String,
    columns: String,
}

impl CopyInto {
    /// All names are quoted as they stand.
    pub fn new(schema: Option<&str>, table: &str, columns: &[&str]) -> Self {
        let schema = schema.map(|schema| format!("{}.", quoted(schema))).unwrap_or_default();
        let columns = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
        CopyInto { table: format!("{schema}{}", quoted(table)), columns }
    }

    /// What is to be prepared, not kept, so that the columns' types are known: [`Protocol::copy_target`] asks for that.
    ///
    /// [`Protocol::copy_target`]: super::Protocol::copy_target
    pub fn describe_sql(&self) -> String {
        format!("SELECT {} FROM {} LIMIT 0", self.columns, self.table)
    }

    /// What begins the load, as text.
    pub fn copy_sql(&self, target: &CopyTarget) -> String {
        let format = if target.is_binary() { "binary" } else { "text" };
        format!("COPY {} ({}) FROM STDIN (FORMAT {format})", self.table, self.columns)
    }
}

/// A name as SQL takes it, whatever is in it.
///
/// ```
/// assert_eq!(naja_sql::postgres::quoted("a \"b\""), "\"a \"\"b\"\"\"");
/// ```
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What begins an export of a query in binary, those columns in text whose types are not known.
pub(crate) fn export_sql(query: &str, statement: &Statement) -> String {
    let names: Vec<String> = (1..=statement.columns().len()).map(|place| format!("c{place}")).collect();
    let values = names.iter().zip(&statement.columns.known).map(|(name, known)| match known {
        Known::Nothing => format!("{name}::text"),
        _ => name.clone(),
    });
    let (values, names) = (values.collect::<Vec<_>>().join(", "), names.join(", "));
    // The line's end closes a comment that the query may end with.
    format!("COPY (SELECT {values} FROM ({query}\n) AS q({names})) TO STDOUT (FORMAT binary)")
}

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Takes pieces of `COPY … TO STDOUT (FORMAT binary)`, gives rows.
#[derive(Debug)]
pub(crate) struct CopyReader<'a> {
    columns: &'a ResultColumns,
    bytes: Vec<u8>,
    start: usize,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Rows,
    End,
}

impl<'a> CopyReader<'a> {
    pub(crate) fn new(columns: &'a ResultColumns) -> Self {
        CopyReader { columns, bytes: Vec::new(), start: 0, place: Place::Header }
    }

    /// Takes a piece and tells `rows` the rows that it completes.
    ///
    /// Errors: `Protocol` for what is no such stream, `Value` for a value that cannot be read.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        rows: &mut dyn Rows,
    ) -> Result<ControlFlow<()>, PostgresError> {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
        self.bytes.extend_from_slice(piece);
        if self.place == Place::Header && !self.header()? {
            return Ok(ControlFlow::Continue(()));
        }
        while self.place == Place::Rows {
            let rest = self.bytes.get(self.start..).unwrap_or_default();
            let Some(length) = self.row_length(rest)? else { break };
            if length == 0 {
                self.place = Place::End;
                break;
            }
            let mut fields = Fields(rest.get(2..length).unwrap_or_default());
            for (known, column) in self.columns.known.iter().zip(&self.columns.list) {
                match fields.value()? {
                    None => rows.null(),
                    Some(bytes) => decode::decode(*known, bytes, rows)
                        .map_err(|what| PostgresError::Value { column: column.name.clone(), what })?,
                }
            }
            self.start += length;
            if rows.row().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Skips the header; false as long as it is not all there.
    fn header(&mut self) -> Result<bool, PostgresError> {
        const WRONG: PostgresError = PostgresError::Protocol { what: "a bulk export with a wrong beginning" };
        let Some((signature, rest)) = self.bytes.split_at_checked(SIGNATURE.len()) else { return Ok(false) };
        if signature != SIGNATURE {
            return Err(WRONG);
        }
        let mut fields = Fields(rest);
        let (Ok(flags), Ok(extension)) = (fields.u32(), fields.u32()) else { return Ok(false) };
        // No flag of the upper half is known that a reader may not overlook.
        if flags >> 16 != 0 {
            return Err(WRONG);
        }
        let header = usize::try_from(extension).ok().and_then(|extra| extra.checked_add(SIGNATURE.len() + 8));
        let header = header.ok_or(WRONG)?;
        if self.bytes.len() < header {
            return Ok(false);
        }
        self.start = header;
        self.place = Place::Rows;
        Ok(true)
    }

    /// How many bytes the next row has; 0 at the end of all, nothing while it is not all there.
    fn row_length(&self, rest: &[u8]) -> Result<Option<usize>, PostgresError> {
        let mut fields = Fields(rest);
        let Ok(count) = fields.u16() else { return Ok(None) };
        if count == u16::MAX {
            return Ok(Some(0));
        }
        if usize::from(count) != self.columns.known.len() {
            return Err(PostgresError::Protocol { what: "a row that has not as many values as columns" });
        }
        for _ in 0..count {
            let Ok(length) = fields.i32() else { return Ok(None) };
            if length == -1 {
                continue;
            }
            let length = usize::try_from(length)
                .map_err(|_| PostgresError::Protocol { what: "a value with a negative length" })?;
            if fields.bytes(length).is_err() {
                return Ok(None);
            }
        }
        Ok(Some(rest.len() - fields.0.len()))
    }

    /// Whether the stream has come to its end.
    pub(crate) fn is_complete(&self) -> bool {
        self.place == Place::End
    }
}
