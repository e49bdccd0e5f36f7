//! The SQL of a table's life. Tables are given as [`Dialect::table`] writes them.

use super::Dialect;
use super::filter::{Test, write_where};

/// A column that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    /// Its name.
    pub name: String,
    /// Its type, and what else stands behind it, in the words of the dialect.
    pub declared: String,
}

/// The primary key of a table that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimaryKey {
    /// Its column.
    pub name: String,
    /// Its type in the words of the dialect.
    pub declared: String,
    /// The engine counts it up.
    pub counts_up: bool,
}

/// `CREATE TABLE`, unless it is there.
pub fn create_table(
    dialect: Dialect,
    table: &str,
    key: Option<&PrimaryKey>,
    columns: &[NewColumn],
) -> String {
    let mut sql = format!("CREATE TABLE IF NOT EXISTS {table} (");
    let mut separator = "";
    if let Some(key) = key {
        dialect.quote(&mut sql, &key.name);
        sql.push(' ');
        match (dialect, key.counts_up) {
            (Dialect::Postgres, true) if key.declared.eq_ignore_ascii_case("BIGINT") => {
                sql.push_str("BIGSERIAL")
            }
            (Dialect::Postgres, true) => sql.push_str("SERIAL"),
            _ => sql.push_str(&key.declared),
        }
        sql.push_str(" NOT NULL");
        if dialect == Dialect::Mysql && key.counts_up {
            sql.push_str(" AUTO_INCREMENT");
        }
        separator = ", ";
    }
    for column in columns {
        sql.push_str(separator);
        dialect.quote(&mut sql, &column.name);
        sql.push(' ');
        sql.push_str(&column.declared);
        separator = ", ";
    }
    if let Some(key) = key {
        sql.push_str(", PRIMARY KEY (");
        dialect.quote(&mut sql, &key.name);
        sql.push(')');
    }
    sql.push(')');
    sql
}

/// `ALTER TABLE … ADD COLUMN`; PostgreSQL does nothing where there is one, which another may have added meanwhile.
pub fn add_column(dialect: Dialect, table: &str, column: &NewColumn) -> String {
    let condition = if dialect == Dialect::Postgres { "IF NOT EXISTS " } else { "" };
    let mut sql = format!("ALTER TABLE {table} ADD COLUMN {condition}");
    dialect.quote(&mut sql, &column.name);
    sql.push(' ');
    sql.push_str(&column.declared);
    sql
}

/// An index that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewIndex<'a> {
    /// Its name.
    pub name: &'a str,
    /// The schema of its table, where that is not the usual one.
    pub schema: Option<&'a str>,
    /// Its table's name.
    pub table: &'a str,
    /// The columns, in order.
    pub columns: &'a [&'a str],
    /// Those of them that hold text, of which MySQL takes the first ten characters.
    pub texts: &'a [&'a str],
    /// No two rows may have the same values.
    pub unique: bool,
    /// One of the same name may be there already: MySQL, which has no such words, says so with an error.
    pub may_be_there: bool,
}

/// `CREATE INDEX` over columns.
pub fn create_index(dialect: Dialect, index: &NewIndex<'_>) -> String {
    let mut sql = String::from(if index.unique { "CREATE UNIQUE INDEX " } else { "CREATE INDEX " });
    if index.may_be_there && dialect != Dialect::Mysql {
        sql.push_str("IF NOT EXISTS ");
    }
    // SQLite wants the schema with the index's name, the others with the table's.
    let (of_index, of_table) =
        if dialect == Dialect::Sqlite { (index.schema, None) } else { (None, index.schema) };
    sql.push_str(&dialect.table(of_index, index.name));
    sql.push_str(" ON ");
    sql.push_str(&dialect.table(of_table, index.table));
    sql.push_str(" (");
    for (number, column) in index.columns.iter().enumerate() {
        sql.push_str(if number == 0 { "" } else { ", " });
        dialect.quote(&mut sql, column);
        if dialect == Dialect::Mysql && index.texts.contains(column) {
            sql.push_str("(10)");
        }
    }
    sql.push(')');
    sql
}

/// `INSERT` of so many rows at once, whose values stand one row after the other.
///
/// With `returning`, PostgreSQL gives that column of the new rows.
pub fn insert(
    dialect: Dialect,
    table: &str,
    columns: &[&str],
    rows: usize,
    returning: Option<&str>,
) -> String {
    let mut sql = format!("INSERT INTO {table}");
    if columns.is_empty() {
        sql.push_str(if dialect == Dialect::Mysql { " () VALUES ()" } else { " DEFAULT VALUES" });
    } else {
        sql.reserve(columns.len() * (rows * 5 + 16));
        write_names(&mut sql, dialect, columns);
        sql.push_str(" VALUES ");
        let mut place = 1;
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for index in 0..columns.len() {
                sql.push_str(if index == 0 { "" } else { ", " });
                dialect.place(&mut sql, place);
                place += 1;
            }
            sql.push(')');
        }
    }
    if let (Some(column), Dialect::Postgres) = (returning, dialect) {
        sql.push_str(" RETURNING ");
        dialect.quote(&mut sql, column);
    }
    sql
}

/// `INSERT`, or where a row has the same values in the `keys`, over which there is a unique index, `UPDATE` of the others.
pub fn insert_or_update(
    dialect: Dialect,
    table: &str,
    columns: &[&str],
    keys: &[&str],
    rows: usize,
) -> String {
    let mut sql = insert(dialect, table, columns, rows, None);
    let others: Vec<&str> = columns.iter().filter(|column| !keys.contains(column)).copied().collect();
    if dialect == Dialect::Mysql {
        sql.push_str(" ON DUPLICATE KEY UPDATE ");
    } else {
        sql.push_str(" ON CONFLICT");
        write_names(&mut sql, dialect, keys);
    }
    write_changes(&mut sql, dialect, &others);
    if let (true, Dialect::Mysql, Some(key)) = (others.is_empty(), dialect, keys.first()) {
        dialect.quote(&mut sql, key);
        sql.push_str(" = ");
        dialect.quote(&mut sql, key);
    }
    sql
}

/// What [`change_or_insert`] is about.
#[derive(Debug, Clone, Copy)]
pub struct ChangeOrInsert<'a> {
    /// Columns that are changed, or stored.
    pub others: &'a [&'a str],
    /// Which rows are changed.
    pub tests: &'a [(&'a str, Test)],
    /// Columns that are only stored.
    pub keys: &'a [&'a str],
    /// The keys have a unique index, so that a row that another has stored meanwhile is changed.
    pub is_unique: bool,
    /// The column of a new row that is given; nothing is given where a row was changed.
    pub returning: Option<&'a str>,
}

/// One statement of PostgreSQL's that changes the rows where the tests hold, or where there is none stores one. Values come
/// in the order of `others`, `tests`, `keys`. Without `others` nothing is changed.
///
/// `INSERT … ON CONFLICT` alone would take a number of the table's sequence for each row that it only changes, and would
/// want a value for every column that must not be NULL.
pub fn change_or_insert(table: &str, wanted: &ChangeOrInsert<'_>) -> String {
    const DIALECT: Dialect = Dialect::Postgres;
    let ChangeOrInsert { others, tests, keys, is_unique, returning } = *wanted;
    let mut sql = String::with_capacity(256);
    let mut place = others.len() + 1;
    if !others.is_empty() {
        sql.push_str("WITH changed AS (");
        sql.push_str(&update(DIALECT, table, others, tests));
        place += tests.iter().map(|(_, test)| test.values()).sum::<usize>();
        sql.push_str(" RETURNING 1) ");
    }
    let mut found = String::new();
    if others.is_empty() {
        place = write_where(&mut found, DIALECT, tests, place);
    }
    sql.push_str(&format!("INSERT INTO {table}"));
    let columns: Vec<&str> = keys.iter().chain(others).copied().collect();
    write_names(&mut sql, DIALECT, &columns);
    sql.push_str(" SELECT ");
    for number in (place..place + keys.len()).chain(1..=others.len()) {
        DIALECT.place(&mut sql, number);
        sql.push_str(", ");
    }
    sql.truncate(sql.len() - 2);
    sql.push_str(" WHERE NOT EXISTS (SELECT 1 FROM ");
    if others.is_empty() {
        sql.push_str(table);
        sql.push_str(&found);
    } else {
        sql.push_str("changed");
    }
    sql.push(')');
    if is_unique {
        sql.push_str(" ON CONFLICT");
        write_names(&mut sql, DIALECT, keys);
        write_changes(&mut sql, DIALECT, others);
    }
    sql.push_str(" RETURNING ");
    match returning {
        Some(column) => DIALECT.quote(&mut sql, column),
        None => sql.push('1'),
    }
    sql
}

/// `UPDATE` of columns, whose values come first, where the tests hold.
pub fn update(dialect: Dialect, table: &str, columns: &[&str], tests: &[(&str, Test)]) -> String {
    let mut sql = format!("UPDATE {table} SET ");
    for (index, column) in columns.iter().enumerate() {
        sql.push_str(if index == 0 { "" } else { ", " });
        dialect.quote(&mut sql, column);
        sql.push_str(" = ");
        dialect.place(&mut sql, index + 1);
    }
    write_where(&mut sql, dialect, tests, columns.len() + 1);
    sql
}

/// `DELETE` where the tests hold.
pub fn delete(dialect: Dialect, table: &str, tests: &[(&str, Test)]) -> String {
    let mut sql = format!("DELETE FROM {table}");
    write_where(&mut sql, dialect, tests, 1);
    sql
}

/// `SELECT count(*)` where the tests hold.
pub fn count(dialect: Dialect, table: &str, tests: &[(&str, Test)]) -> String {
    let mut sql = format!("SELECT count(*) FROM {table}");
    write_where(&mut sql, dialect, tests, 1);
    sql
}

/// Which rows of a table, in which order.
#[derive(Debug, Clone, Default)]
pub struct Selection<'a> {
    /// The columns, by name.
    pub columns: &'a [&'a str],
    /// Each combination of values once.
    pub distinct: bool,
    /// Which rows.
    pub tests: &'a [(&'a str, Test)],
    /// Columns by which they are sorted, and whether the largest comes first.
    pub order: &'a [(&'a str, bool)],
    /// How many rows at most.
    pub limit: Option<i64>,
    /// How many rows are left out first.
    pub offset: i64,
}

/// `SELECT`.
pub fn select(dialect: Dialect, table: &str, selection: &Selection<'_>) -> String {
    let mut sql = String::with_capacity(64 + selection.columns.len() * 16);
    sql.push_str(if selection.distinct { "SELECT DISTINCT " } else { "SELECT " });
    for (index, column) in selection.columns.iter().enumerate() {
        sql.push_str(if index == 0 { "" } else { ", " });
        dialect.quote(&mut sql, column);
    }
    sql.push_str(" FROM ");
    sql.push_str(table);
    write_where(&mut sql, dialect, selection.tests, 1);
    for (index, (column, descends)) in selection.order.iter().enumerate() {
        sql.push_str(if index == 0 { " ORDER BY " } else { ", " });
        dialect.quote(&mut sql, column);
        sql.push_str(if *descends { " DESC" } else { " ASC" });
    }
    // Only PostgreSQL takes an offset without a limit.
    let limit = match (selection.limit, selection.offset, dialect) {
        (Some(limit), ..) => Some(limit.to_string()),
        (None, 0, _) | (None, _, Dialect::Postgres) => None,
        (None, _, Dialect::Sqlite) => Some("-1".to_owned()),
        (None, _, Dialect::Mysql) => Some(u64::MAX.to_string()),
    };
    if let Some(limit) = limit {
        sql.push_str(" LIMIT ");
        sql.push_str(&limit);
    }
    if selection.offset != 0 {
        sql.push_str(&format!(" OFFSET {}", selection.offset));
    }
    sql
}

/// What happens to a row that is there already: each column gets the value of the row that was to be stored.
fn write_changes(sql: &mut String, dialect: Dialect, columns: &[&str]) {
    if dialect != Dialect::Mysql {
        sql.push_str(if columns.is_empty() { " DO NOTHING" } else { " DO UPDATE SET " });
    }
    for (index, column) in columns.iter().enumerate() {
        sql.push_str(if index == 0 { "" } else { ", " });
        dialect.quote(sql, column);
        sql.push_str(if dialect == Dialect::Mysql { " = VALUES(" } else { " = excluded." });
        dialect.quote(sql, column);
        if dialect == Dialect::Mysql {
            sql.push(')');
        }
    }
}

fn write_names(sql: &mut String, dialect: Dialect, names: &[&str]) {
    sql.push_str(" (");
    for (index, name) in names.iter().enumerate() {
        sql.push_str(if index == 0 { "" } else { ", " });
        dialect.quote(sql, name);
    }
    sql.push(')');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::filter::Comparison;

    const LITE: Dialect = Dialect::Sqlite;

    fn column(name: &str, declared: &str) -> NewColumn {
        NewColumn { name: name.to_owned(), declared: declared.to_owned() }
    }

    #[test]
    fn a_table_is_made_with_its_key_in_each_dialect() {
        let key = PrimaryKey { name: "id".to_owned(), declared: "INTEGER".to_owned(), counts_up: true };
        let columns = [column("a", "TEXT")];
        let made = |dialect: Dialect| create_table(dialect, "t", Some(&key), &columns);
        assert_eq!(
            made(LITE),
            r#"CREATE TABLE IF NOT EXISTS t ("id" INTEGER NOT NULL, "a" TEXT, PRIMARY KEY ("id"))"#
        );
        assert!(made(Dialect::Postgres).contains(r#""id" SERIAL NOT NULL"#));
        assert!(made(Dialect::Mysql).contains("`id` INTEGER NOT NULL AUTO_INCREMENT"));
    }

    #[test]
    fn an_index_stands_in_the_schema_of_its_table() {
        let index = NewIndex {
            name: "i",
            schema: Some("s"),
            table: "t",
            columns: &["a", "b"],
            texts: &["b"],
            unique: false,
            may_be_there: true,
        };
        assert_eq!(create_index(LITE, &index), r#"CREATE INDEX IF NOT EXISTS "s"."i" ON "t" ("a", "b")"#);
        assert_eq!(
            create_index(Dialect::Postgres, &index),
            r#"CREATE INDEX IF NOT EXISTS "i" ON "s"."t" ("a", "b")"#
        );
        assert_eq!(create_index(Dialect::Mysql, &index), "CREATE INDEX `i` ON `s`.`t` (`a`, `b`(10))");
    }

    #[test]
    fn several_rows_are_inserted_at_once() {
        assert_eq!(
            insert(LITE, "t", &["a", "b"], 2, None),
            r#"INSERT INTO t ("a", "b") VALUES (?, ?), (?, ?)"#
        );
        assert_eq!(insert(LITE, "t", &[], 1, None), "INSERT INTO t DEFAULT VALUES");
        assert_eq!(
            insert(Dialect::Postgres, "t", &["a"], 2, Some("id")),
            r#"INSERT INTO t ("a") VALUES ($1), ($2) RETURNING "id""#
        );
    }

    #[test]
    fn a_row_that_is_there_is_updated() {
        assert_eq!(
            insert_or_update(LITE, "t", &["a", "b"], &["a"], 1),
            r#"INSERT INTO t ("a", "b") VALUES (?, ?) ON CONFLICT ("a") DO UPDATE SET "b" = excluded."b""#
        );
        assert!(insert_or_update(LITE, "t", &["a"], &["a"], 1).ends_with(r#"ON CONFLICT ("a") DO NOTHING"#));
        assert!(
            insert_or_update(Dialect::Mysql, "t", &["a"], &["a"], 1)
                .ends_with("ON DUPLICATE KEY UPDATE `a` = `a`")
        );
    }

    #[test]
    fn a_row_is_changed_or_stored_by_one_statement() {
        let tests = [("k", Test::Compare(Comparison::Equal))];
        let wanted = ChangeOrInsert {
            others: &["a"],
            tests: &tests,
            keys: &["k"],
            is_unique: true,
            returning: Some("id"),
        };
        assert_eq!(
            change_or_insert("t", &wanted),
            r#"WITH changed AS (UPDATE t SET "a" = $1 WHERE "k" = $2 RETURNING 1) "#.to_owned()
                + r#"INSERT INTO t ("k", "a") SELECT $3, $1 WHERE NOT EXISTS (SELECT 1 FROM changed) "#
                + r#"ON CONFLICT ("k") DO UPDATE SET "a" = excluded."a" RETURNING "id""#
        );
        let wanted = ChangeOrInsert { others: &[], is_unique: false, returning: None, ..wanted };
        assert_eq!(
            change_or_insert("t", &wanted),
            r#"INSERT INTO t ("k") SELECT $2 WHERE NOT EXISTS (SELECT 1 FROM t WHERE "k" = $1) RETURNING 1"#
        );
    }

    #[test]
    fn the_values_of_an_update_come_before_those_of_its_tests() {
        assert_eq!(
            update(Dialect::Postgres, "t", &["a", "b"], &[("c", Test::Compare(Comparison::Equal))]),
            r#"UPDATE t SET "a" = $1, "b" = $2 WHERE "c" = $3"#
        );
    }

    #[test]
    fn an_offset_alone_needs_a_limit_in_some_dialects() {
        let selection =
            Selection { columns: &["a"], offset: 2, order: &[("a", true)], ..Selection::default() };
        assert_eq!(select(LITE, "t", &selection), r#"SELECT "a" FROM t ORDER BY "a" DESC LIMIT -1 OFFSET 2"#);
        assert_eq!(
            select(Dialect::Postgres, "t", &selection),
            r#"SELECT "a" FROM t ORDER BY "a" DESC OFFSET 2"#
        );
    }
}
