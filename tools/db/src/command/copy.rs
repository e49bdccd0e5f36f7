//! `naja db URL copy OTHER`: tables with their rows and indexes into another database, of the same engine or another.
//!
//! It is one transaction of the other database. Between two of one engine a table is made by the engine's own words; else
//! what has no words there is told.

use std::ops::ControlFlow;

use naja_sql::{EachRow, Value};
use naja_system::{Failure, Result};

use crate::database::{Database, DatabaseError, Definition, Entry, Statements, TableName};
use crate::tables::Dialect;
use crate::tables::statement::{Selection, select};

use super::progress::Progress;
use super::{Base, CopyArguments, Streams, explained};

/// So many rows are kept before they are stored.
const ROWS: usize = 10_000;
/// So much text in them ends it earlier.
const BYTES: usize = 8 << 20;

pub(super) fn copy(base: &Base, options: &CopyArguments, streams: &mut Streams<'_>) -> Result<()> {
    let target = Base::of(&options.to, base.library)?;
    if base.place.is_same(&target.place) {
        return Err(Failure::new("usage", format!("`{}` is the database that is copied from", target.shown)));
    }
    let mut from = base.read()?;
    let chosen = chosen(base, &mut *from, &options.tables)?;
    let mut to = target.write()?;
    let refused = |error| target.failed(error);
    to.begin().map_err(refused)?;
    let there: Vec<TableName> = to.entries().map_err(refused)?.into_iter().map(|entry| entry.name).collect();
    let mut work = Work { base, target: &target, from: &mut *from, to: &mut *to, total: 0 };
    let mut progress = Progress::new();
    let mut after = Vec::new();
    for entry in &chosen {
        let copied = work.table(&entry.name, &there, &mut |rows| progress.show(rows, streams.err))?;
        progress.clear(streams.err);
        for what in copied.left_out {
            let _ = writeln!(streams.err, "`{}`: not copied is {what}", entry.name);
        }
        after.extend(copied.statements.after);
    }
    let total = work.total;
    for statement in after {
        to.run(&statement, &[]).map_err(refused)?;
    }
    to.commit().map_err(refused)?;
    let _ = writeln!(streams.err, "{total} rows of {} tables copied to `{}`", chosen.len(), target.shown);
    Ok(())
}

/// The tables that are meant: those that are named, or all.
fn chosen(base: &Base, from: &mut dyn Database, named: &[String]) -> Result<Vec<Entry>> {
    let mut chosen = Vec::new();
    for name in named {
        let entry = base.entry(from, name)?;
        if !entry.is_table() {
            return Err(Failure::new(
                "usage",
                format!("`{name}` is a {}; only tables are copied", entry.kind),
            )
            .hint("`export` writes its rows into a file"));
        }
        chosen.push(entry);
    }
    if named.is_empty() {
        chosen = from.entries().map_err(|error| base.failed(error))?;
        chosen.retain(Entry::is_table);
    }
    Ok(chosen)
}

/// What is done while tables are copied.
struct Work<'w> {
    base: &'w Base,
    target: &'w Base,
    from: &'w mut dyn Database,
    to: &'w mut dyn Database,
    /// Rows so far.
    total: u64,
}

/// What is left to do and to say of a table.
struct Copied {
    statements: Statements,
    left_out: Vec<String>,
}

impl Work<'_> {
    fn table(&mut self, table: &TableName, there: &[TableName], seen: &mut dyn FnMut(u64)) -> Result<Copied> {
        let is_own = self.from.dialect() == self.to.dialect();
        let name = if is_own { table.clone() } else { TableName::plain(&table.name) };
        if there.contains(&name) {
            return Err(Failure::new(
                "table-is-there",
                format!("`{}` has a table `{name}` already", self.target.shown),
            )
            .hint("nothing was copied; drop it there, or name the tables that are to be copied"));
        }
        let definition = self.from.definition(table).map_err(|error| self.base.failed(error))?;
        let (statements, left_out) = match is_own {
            true => (definition.own.clone(), Vec::new()),
            false => definition.elsewhere(&name, self.to.dialect()),
        };
        for statement in &statements.before {
            self.to.run(statement, &[]).map_err(|error| self.target.failed(error))?;
        }
        self.rows(table, &name, &definition, seen)?;
        self.to.settle(&name, &definition).map_err(|error| self.target.failed(error))?;
        Ok(Copied { statements, left_out })
    }

    fn rows(
        &mut self,
        table: &TableName,
        name: &TableName,
        definition: &Definition,
        seen: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let is_own = self.from.dialect() == self.to.dialect();
        // By the same engine's words generated columns make themselves.
        let columns: Vec<&str> = definition
            .columns
            .iter()
            .filter(|column| !(is_own && column.is_generated))
            .map(|column| column.name.as_str())
            .collect();
        let sql = reading(self.from.dialect(), table, &columns);
        let Work { from, to, total, .. } = self;
        let before = *total;
        let mut group = Group { rows: Vec::new(), bytes: 0, before, total, failed: None };
        let mut on_row = |row: Vec<Value<'static>>| {
            group.bytes += row.iter().map(size).sum::<usize>();
            group.rows.push(row);
            if group.rows.len() < ROWS && group.bytes < BYTES {
                return ControlFlow::Continue(());
            }
            group.store(&mut **to, name, &columns);
            seen(*group.total);
            if group.failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let read = from.execute(&sql, &[], &mut EachRow::new(&mut |_| (), &mut on_row));
        if group.failed.is_none() && read.is_ok() {
            group.store(&mut **to, name, &columns);
        }
        if let Some((first, last, error)) = group.failed {
            let message =
                format!("cannot store rows {first} to {last} of `{table}` in `{}`", self.target.shown);
            return Err(explained(Failure::new("cannot-store", message), &error));
        }
        read.map(|_| ()).map_err(|error| self.base.failed(error))
    }
}

fn reading(dialect: Dialect, table: &TableName, columns: &[&str]) -> String {
    select(dialect, &table.quoted(dialect), &Selection { columns, ..Selection::default() })
}

/// Rows on their way.
struct Group<'t> {
    rows: Vec<Vec<Value<'static>>>,
    bytes: usize,
    /// How many rows of other tables there were.
    before: u64,
    total: &'t mut u64,
    /// The first and the last of the rows that could not be stored, and why.
    failed: Option<(u64, u64, DatabaseError)>,
}

impl Group<'_> {
    fn store(&mut self, to: &mut dyn Database, table: &TableName, columns: &[&str]) {
        let (first, count) = (*self.total - self.before + 1, self.rows.len() as u64);
        match to.load(table, columns, &mut self.rows.iter()) {
            Ok(_) => *self.total += count,
            Err(error) => self.failed = Some((first, first + count - 1, error)),
        }
        self.rows.clear();
        self.bytes = 0;
    }
}

/// About how much memory a value takes.
fn size(value: &Value<'_>) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) | Value::Decimal(text) => text.len() + 32,
        Value::Bytes(bytes) => bytes.len() + 32,
        Value::Array(elements) => elements.iter().map(size).sum::<usize>() + 32,
        _ => 32,
    }
}
