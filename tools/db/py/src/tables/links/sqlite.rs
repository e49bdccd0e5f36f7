//! SQLite: the interpreter's own copy of it.

use naja_db::tables::{Dialect, Kind, statement};
use naja_sql::Transaction;
use naja_sql::sqlite::{Cell, Connection, Definition, Error, How, Library, Rows, Value};

use super::{
    Begin, Column, Description, Fault, Fetched, Given, Index, Limit, Link, Listed, NewRow, NewRows, Reading,
    Started, Wanted,
};

const DIALECT: Dialect = Dialect::Sqlite;

/// So many rows are stored by one statement: of the sizes measured in docs/design/databases.md the fastest.
const ROWS_IN_ONE: usize = 100;

/// A connection to a file or to memory.
pub(super) struct SqliteLink {
    connection: Connection,
    /// How many functions of the program's it has.
    functions: usize,
}

impl SqliteLink {
    pub(super) fn open(library: &'static Library, name: &str, how: How) -> Result<SqliteLink, Error> {
        let mut connection = Connection::open(library, name, how)?;
        // What was committed is on the disk, however this SQLite was compiled. FULL would do with a log, but leaves the
        // deletion of a journal to chance, which is what commits without one.
        connection.run_script("PRAGMA synchronous = EXTRA")?;
        Ok(SqliteLink { connection, functions: 0 })
    }

    fn pragma(schema: Option<&str>, what: &str, name: &str) -> String {
        let mut sql = String::from("PRAGMA ");
        if let Some(schema) = schema {
            DIALECT.quote(&mut sql, schema);
            sql.push('.');
        }
        sql.push_str(what);
        sql.push('(');
        DIALECT.quote(&mut sql, name);
        sql.push(')');
        sql
    }

    fn master(schema: Option<&str>) -> String {
        DIALECT.table(schema, "sqlite_master")
    }
}

impl Link for SqliteLink {
    fn transaction(&self) -> Transaction {
        if self.connection.is_in_transaction() { Transaction::Open } else { Transaction::None }
    }

    fn functions(&self) -> usize {
        self.functions
    }

    fn take_functions(&mut self, functions: &[Definition]) -> Result<(), Fault> {
        for function in functions.get(self.functions..).unwrap_or_default() {
            self.connection.define(function)?;
            self.functions += 1;
        }
        Ok(())
    }

    fn begin(&mut self, how: Begin) -> Result<(), Fault> {
        let sql = match how {
            Begin::Writing => "BEGIN IMMEDIATE",
            Begin::Deferred => "BEGIN",
        };
        Ok(self.connection.run(sql, &[])?)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        let committed = self.connection.run("COMMIT", &[]);
        if committed.is_err() {
            self.rollback();
        }
        Ok(committed?)
    }

    fn rollback(&mut self) {
        if self.connection.is_in_transaction() {
            // A ROLLBACK fails only where SQLite has rolled back already.
            let _ = self.connection.run("ROLLBACK", &[]);
        }
    }

    fn script(&mut self, text: &str) -> Result<(), Fault> {
        Ok(self.connection.run_script(text)?)
    }

    fn run(&mut self, sql: &str, given: &Given<'_>) -> Result<i64, Fault> {
        self.connection.run(sql, given.for_sqlite())?;
        Ok(self.connection.changes())
    }

    fn run_each(&mut self, statements: &[(&str, Given<'_>)]) -> Result<(), Fault> {
        for (sql, given) in statements {
            self.connection.run(sql, given.for_sqlite())?;
        }
        Ok(())
    }

    fn define(&mut self, sql: &str) -> Result<(), Fault> {
        Ok(self.connection.run(sql, &[])?)
    }

    fn insert(&mut self, sql: &str, given: &Given<'_>) -> Result<NewRow, Fault> {
        self.connection.run(sql, given.for_sqlite())?;
        Ok(NewRow::Id(self.connection.last_insert_rowid()))
    }

    fn insert_unless_changed(&mut self, sql: &str, given: &Given<'_>) -> Result<Option<NewRow>, Fault> {
        // Only a new row gives its number.
        self.connection.forget_last_insert_rowid();
        self.connection.run(sql, given.for_sqlite())?;
        let number = self.connection.last_insert_rowid();
        Ok((number != 0).then_some(NewRow::Id(number)))
    }

    fn rows_at_once(&self, width: usize) -> usize {
        ROWS_IN_ONE.min(self.connection.parameters_max() / width.max(1)).max(1)
    }

    fn insert_rows(&mut self, rows: &NewRows<'_>) -> Result<(), Fault> {
        let width = rows.columns.len();
        let at_once = self.rows_at_once(width);
        let sql_of = |rows_in_one| statement::insert(DIALECT, rows.quoted, rows.columns, rows_in_one, None);
        let (many, rest) = rows.values.for_sqlite().split_at(rows.len() / at_once * at_once * width);
        if !many.is_empty() {
            let statement = self.connection.prepare(&sql_of(at_once))?;
            let stored = many
                .chunks(at_once * width)
                .try_for_each(|values| self.connection.run_prepared(&statement, values));
            self.connection.release(statement);
            stored?;
        }
        if rest.is_empty() { Ok(()) } else { Ok(self.connection.run(&sql_of(rest.len() / width), rest)?) }
    }

    fn count(&mut self, sql: &str, given: &Given<'_>) -> Result<i64, Fault> {
        let mut rows = Rows::default();
        self.connection.read(sql, given.for_sqlite(), 1, &mut rows)?;
        Ok(match rows.is_empty() {
            true => 0,
            false => rows.row(0).next().map_or(0, |cell| number(&cell)),
        })
    }

    fn prepare(&mut self, sql: &str) -> Result<(Reading, bool), Fault> {
        let statement = self.connection.prepare(sql)?;
        let writes = !self.connection.is_read_only(&statement);
        Ok((Reading::Sqlite(statement), writes))
    }

    fn start(
        &mut self,
        reading: &Reading,
        given: &Given<'_>,
        wanted: Wanted,
        rows: &mut Fetched,
    ) -> Result<Started, Fault> {
        let (Reading::Sqlite(statement), Fetched::Sqlite(rows)) = (reading, rows) else {
            return Ok(Started::default());
        };
        self.connection.start(statement, given.for_sqlite())?;
        let is_read_only = self.connection.is_read_only(statement);
        let has_rows = self.connection.columns(statement) > 0;
        let has_more = if is_read_only && has_rows && wanted.step > 0 {
            self.connection.fetch(statement, wanted.step, rows)?
        } else {
            self.connection.fetch_all(statement, rows)?;
            false
        };
        let names = self.connection.column_names(statement).to_vec();
        let changes = if is_read_only { -1 } else { self.connection.changes() };
        Ok(Started { names, has_more, changes, row_id: Some(self.connection.last_insert_rowid()) })
    }

    fn fetch(&mut self, reading: &Reading, step: usize, rows: &mut Fetched) -> Result<bool, Fault> {
        let (Reading::Sqlite(statement), Fetched::Sqlite(rows)) = (reading, rows) else { return Ok(false) };
        Ok(self.connection.fetch(statement, step, rows)?)
    }

    fn release(&mut self, reading: Reading) {
        if let Reading::Sqlite(statement) = reading {
            self.connection.release(statement);
        }
    }

    fn describe(&mut self, schema: Option<&str>, table: &str) -> Result<Option<Description>, Fault> {
        let mut rows = Rows::default();
        let sql = SqliteLink::pragma(schema, "table_xinfo", table);
        self.connection.read(&sql, &[], usize::MAX, &mut rows)?;
        let mut columns = Vec::with_capacity(rows.len());
        for index in 0..rows.len() {
            // cid, name, type, notnull, default, place in the key, and whether it is hidden (1) or generated (2, 3).
            let cells: Vec<Cell<'_>> = rows.row(index).collect();
            if let [_, name, declared, required, default, key_place, hidden] = cells.as_slice()
                && number(hidden) != 1
            {
                let declared = text(declared);
                let key_place = number(key_place);
                columns.push(Column {
                    kind: Kind::of_declared(&declared),
                    name: text(name),
                    // SQLite numbers a row whose INTEGER key has no value.
                    is_required: number(required) != 0
                        && *default == Cell::Null
                        && !(key_place == 1 && declared.eq_ignore_ascii_case("INTEGER")),
                    declared,
                    key_place,
                    limit: Limit::None,
                    counts_up: false,
                });
            }
        }
        if columns.is_empty() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT count(*) FROM {} WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE",
            SqliteLink::master(schema)
        );
        let has_triggers = self.count(&sql, &Given::Sqlite(vec![Value::Text(table)]))? > 0;
        Ok(Some(Description { columns, is_plain: true, has_triggers }))
    }

    fn indexes(&mut self, schema: Option<&str>, table: &str) -> Result<Vec<Index>, Fault> {
        let mut rows = Rows::default();
        // seq, name, unique, origin, partial
        let sql = SqliteLink::pragma(schema, "index_list", table);
        self.connection.read(&sql, &[], usize::MAX, &mut rows)?;
        let found: Vec<(String, bool)> = (0..rows.len())
            .map(|index| rows.row(index).collect::<Vec<Cell<'_>>>())
            .filter(|cells| cells.get(4) != Some(&Cell::Integer(1)))
            .map(|cells| {
                (cells.get(1).map(text).unwrap_or_default(), cells.get(2) == Some(&Cell::Integer(1)))
            })
            .collect();
        let mut indexes = Vec::with_capacity(found.len());
        for (name, is_unique) in found {
            // seqno, cid, name
            let sql = SqliteLink::pragma(schema, "index_info", &name);
            self.connection.read(&sql, &[], usize::MAX, &mut rows)?;
            let columns = (0..rows.len())
                .map(|index| rows.row(index).nth(2).as_ref().map(text).unwrap_or_default())
                .collect();
            indexes.push(Index { is_unique, columns });
        }
        Ok(indexes)
    }

    fn list(&mut self, schema: Option<&str>, what: Listed) -> Result<Vec<String>, Fault> {
        let kind = if what == Listed::Tables { "table" } else { "view" };
        let sql = format!(
            "SELECT name FROM {} WHERE type = '{kind}' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name",
            SqliteLink::master(schema)
        );
        let mut rows = Rows::default();
        self.connection.read(&sql, &[], usize::MAX, &mut rows)?;
        Ok((0..rows.len()).filter_map(|index| rows.row(index).next().as_ref().map(text)).collect())
    }
}

fn text(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}

fn number(cell: &Cell<'_>) -> i64 {
    if let Cell::Integer(number) = cell { *number } else { 0 }
}
