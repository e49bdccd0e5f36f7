//! The SQL that makes tables and takes them away.

use std::collections::BTreeSet;

use crate::tables::Dialect;

use super::column::write_text;
use super::{Column, Places, Type, Writer};

/// A table that is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The columns of its primary key, by their places; of one alone the engine may count it up.
    pub primary_key: Vec<usize>,
}

/// The statements that make the tables that are not there yet, those first that others refer to.
///
/// `is_there` says whether a table is there.
pub fn create(dialect: Dialect, tables: &[Table], is_there: &dyn Fn(&str) -> bool) -> Vec<String> {
    let missing: Vec<&Table> = in_order(tables).into_iter().filter(|table| !is_there(&table.name)).collect();
    let mut statements = Vec::new();
    let mut types = BTreeSet::new();
    let mut made: BTreeSet<&str> =
        tables.iter().map(|table| table.name.as_str()).filter(|name| is_there(name)).collect();
    let mut late = Vec::new();
    for table in missing {
        if dialect == Dialect::Postgres {
            statements
                .extend(table.columns.iter().filter_map(|column| create_type(&column.kind, &mut types)));
        }
        made.insert(&table.name);
        statements.push(create_table(dialect, table, &made, &mut late));
        if dialect != Dialect::Mysql {
            let indexed = table.columns.iter().filter(|column| column.has_index);
            statements.extend(indexed.map(|column| create_index(dialect, table, column)));
        }
    }
    statements.extend(late);
    statements
}

/// The statements that take tables away, those last that others refer to.
pub fn drop(dialect: Dialect, tables: &[Table], is_there: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut statements = Vec::new();
    let ordered = in_order(tables);
    // A reference to a table that is made later stands by itself, and goes first.
    for (table, column) in late_references(dialect, &ordered) {
        if is_there(&table.name) {
            let mut writer = Writer::new(dialect, Places::OfDialect);
            writer.word("ALTER TABLE ");
            writer.name(&table.name);
            writer.word(if dialect == Dialect::Mysql {
                " DROP FOREIGN KEY "
            } else {
                " DROP CONSTRAINT IF EXISTS "
            });
            writer.name(&constraint_name(&table.name, &column.name));
            statements.push(writer.finish());
        }
    }
    for table in ordered.iter().rev().filter(|table| is_there(&table.name)) {
        let mut writer = Writer::new(dialect, Places::OfDialect);
        writer.word("DROP TABLE IF EXISTS ");
        writer.name(&table.name);
        statements.push(writer.finish());
    }
    if dialect == Dialect::Postgres {
        let mut types = BTreeSet::new();
        for column in tables.iter().flat_map(|table| &table.columns) {
            if let Type::Enum { name, .. } = &column.kind
                && types.insert(name)
            {
                let mut writer = Writer::new(dialect, Places::OfDialect);
                writer.word("DROP TYPE IF EXISTS ");
                writer.name(name);
                statements.push(writer.finish());
            }
        }
    }
    statements
}

/// The query for the names of all tables that a name without a schema can mean.
pub fn names_of_tables(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')",
        Dialect::Postgres => {
            "SELECT c.relname::text FROM pg_catalog.pg_class c \
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_catalog.pg_table_is_visible(c.oid)"
        }
        Dialect::Mysql => "SELECT table_name FROM information_schema.tables WHERE table_schema = database()",
    }
}

/// Tables in an order in which each stands behind those that it refers to, as far as there is one.
fn in_order(tables: &[Table]) -> Vec<&Table> {
    let mut ordered: Vec<&Table> = Vec::with_capacity(tables.len());
    let mut waiting: Vec<&Table> = tables.iter().collect();
    while !waiting.is_empty() {
        let is_waiting =
            |name: &str, of: &Table| name != of.name && waiting.iter().any(|one| one.name == name);
        let (ready, others): (Vec<&Table>, Vec<&Table>) = waiting
            .iter()
            .partition(|table| !references(table).any(|(_, reference)| is_waiting(&reference.table, table)));
        if ready.is_empty() {
            // They refer to each other in a circle: the first one goes, and what it refers to comes later.
            ordered.push(waiting.remove(0));
        } else {
            ordered.extend(ready);
            waiting = others;
        }
    }
    ordered
}

fn references(table: &Table) -> impl Iterator<Item = (&Column, &super::Reference)> {
    table.columns.iter().filter_map(|column| Some((column, column.references.as_ref()?)))
}

/// References to tables that stand behind their own in this order. SQLite wants no table to be there.
fn late_references<'a>(dialect: Dialect, ordered: &[&'a Table]) -> Vec<(&'a Table, &'a Column)> {
    let mut late = Vec::new();
    for (place, table) in ordered.iter().enumerate() {
        for (column, reference) in references(table) {
            if dialect != Dialect::Sqlite
                && ordered[place + 1..].iter().any(|one| one.name == reference.table)
            {
                late.push((*table, column));
            }
        }
    }
    late
}

fn create_type(kind: &Type, made: &mut BTreeSet<String>) -> Option<String> {
    let Type::Enum { name, names } = kind else { return None };
    if !made.insert(name.clone()) {
        return None;
    }
    let mut sql = String::from("CREATE TYPE ");
    Dialect::Postgres.quote(&mut sql, name);
    sql.push_str(" AS ENUM (");
    for (index, name) in names.iter().enumerate() {
        sql.push_str(if index == 0 { "" } else { ", " });
        write_text(&mut sql, name);
    }
    sql.push(')');
    // There is no IF NOT EXISTS for types.
    Some(format!("DO $naja$ BEGIN {sql}; EXCEPTION WHEN duplicate_object THEN NULL; END $naja$"))
}

fn create_table(dialect: Dialect, table: &Table, made: &BTreeSet<&str>, late: &mut Vec<String>) -> String {
    let mut writer = Writer::new(dialect, Places::OfDialect);
    writer.word("CREATE TABLE IF NOT EXISTS ");
    writer.name(&table.name);
    writer.word(" (");
    for (place, column) in table.columns.iter().enumerate() {
        writer.word(if place == 0 { "" } else { ", " });
        writer.name(&column.name);
        writer.word(" ");
        let counts_up =
            table.primary_key == [place] && column.references.is_none() && column.kind.counts_up();
        writer.word(&declared(dialect, column, counts_up));
        if !column.is_nullable {
            writer.word(" NOT NULL");
        }
        if counts_up && dialect == Dialect::Mysql {
            writer.word(" AUTO_INCREMENT");
        }
    }
    if !table.primary_key.is_empty() {
        writer.word(", PRIMARY KEY (");
        writer.names(table.primary_key.iter().map(|place| table.columns[*place].name.as_str()));
        writer.word(")");
    }
    for column in &table.columns {
        // A unique column with an index has a unique index, made by itself.
        if column.is_unique && (!column.has_index || dialect == Dialect::Mysql) {
            writer.word(", UNIQUE (");
            writer.name(&column.name);
            writer.word(")");
        } else if column.has_index && dialect == Dialect::Mysql {
            writer.word(", INDEX ");
            writer.name(&index_name(&table.name, &column.name));
            writer.word(" (");
            writer.name(&column.name);
            // MySQL wants to know how much of a text goes into an index.
            writer.word(if column.kind == Type::Text { "(191))" } else { ")" });
        }
    }
    for (column, reference) in references(table) {
        let clause = foreign_key(dialect, column, reference);
        if dialect == Dialect::Sqlite || made.contains(reference.table.as_str()) {
            writer.word(", ");
            writer.word(&clause);
        } else {
            let mut alter = Writer::new(dialect, Places::OfDialect);
            alter.word("ALTER TABLE ");
            alter.name(&table.name);
            alter.word(" ADD CONSTRAINT ");
            alter.name(&constraint_name(&table.name, &column.name));
            alter.word(" ");
            alter.word(&clause);
            late.push(alter.finish());
        }
    }
    writer.word(")");
    writer.finish()
}

fn declared(dialect: Dialect, column: &Column, counts_up: bool) -> String {
    let mut declared = String::new();
    match (dialect, &column.kind, counts_up) {
        (Dialect::Postgres, Type::Integer, true) => declared.push_str("SERIAL"),
        (Dialect::Postgres, Type::BigInteger, true) => declared.push_str("BIGSERIAL"),
        // SQLite counts up a key that is called so and nothing else; it has 64 bits there.
        (Dialect::Sqlite, Type::BigInteger, true) => declared.push_str("INTEGER"),
        _ => column.kind.write(dialect, &mut declared),
    }
    declared
}

fn foreign_key(dialect: Dialect, column: &Column, reference: &super::Reference) -> String {
    let mut writer = Writer::new(dialect, Places::OfDialect);
    writer.word("FOREIGN KEY (");
    writer.name(&column.name);
    writer.word(") REFERENCES ");
    writer.name(&reference.table);
    writer.word(" (");
    writer.name(&reference.column);
    writer.word(")");
    if let Some(on_delete) = reference.on_delete {
        writer.word(" ON DELETE ");
        writer.word(on_delete.words());
    }
    writer.finish()
}

fn create_index(dialect: Dialect, table: &Table, column: &Column) -> String {
    let mut writer = Writer::new(dialect, Places::OfDialect);
    writer.word(if column.is_unique {
        "CREATE UNIQUE INDEX IF NOT EXISTS "
    } else {
        "CREATE INDEX IF NOT EXISTS "
    });
    writer.name(&index_name(&table.name, &column.name));
    writer.word(" ON ");
    writer.name(&table.name);
    writer.word(" (");
    writer.name(&column.name);
    writer.word(")");
    writer.finish()
}

/// As SQLAlchemy calls it, cut to what every engine takes.
fn index_name(table: &str, column: &str) -> String {
    cut(format!("ix_{table}_{column}"))
}

fn constraint_name(table: &str, column: &str) -> String {
    cut(format!("fk_{table}_{column}"))
}

fn cut(mut name: String) -> String {
    let end = (0..=name.len().min(60)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    name.truncate(end);
    name
}

#[cfg(test)]
mod tests {
    use super::super::{OnDelete, Reference};
    use super::*;

    const ALL: [Dialect; 3] = [Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql];

    fn column(name: &str, kind: Type) -> Column {
        Column {
            name: name.to_owned(),
            kind,
            is_nullable: false,
            has_index: false,
            is_unique: false,
            references: None,
        }
    }

    fn to(table: &str) -> Option<Reference> {
        Some(Reference {
            table: table.to_owned(),
            column: "id".to_owned(),
            on_delete: Some(OnDelete::Cascade),
        })
    }

    fn table(name: &str, referred: &[&str]) -> Table {
        let mut columns = vec![column("id", Type::Integer)];
        columns.extend(
            referred.iter().map(|other| Column { references: to(other), ..column(other, Type::Integer) }),
        );
        Table { name: name.to_owned(), columns, primary_key: vec![0] }
    }

    fn nothing(_: &str) -> bool {
        false
    }

    #[test]
    fn a_table_is_made_in_each_dialect() {
        let mut albums = table("albums", &["labels"]);
        albums.columns.push(Column {
            is_nullable: true,
            has_index: true,
            ..column("name", Type::String(100))
        });
        let made = ALL.map(|dialect| create(dialect, &[albums.clone(), table("labels", &[])], &nothing));
        assert_eq!(
            made[0],
            [
                r#"CREATE TABLE IF NOT EXISTS "labels" ("id" INTEGER NOT NULL, PRIMARY KEY ("id"))"#,
                "CREATE TABLE IF NOT EXISTS \"albums\" (\"id\" INTEGER NOT NULL, \"labels\" INTEGER NOT NULL, \
                 \"name\" VARCHAR(100), PRIMARY KEY (\"id\"), FOREIGN KEY (\"labels\") REFERENCES \"labels\" (\"id\") \
                 ON DELETE CASCADE)",
                r#"CREATE INDEX IF NOT EXISTS "ix_albums_name" ON "albums" ("name")"#,
            ]
        );
        assert!(made[1][0].contains(r#""id" SERIAL NOT NULL"#));
        assert!(made[2][1].contains("`id` INTEGER NOT NULL AUTO_INCREMENT"));
        assert!(made[2][1].contains("INDEX `ix_albums_name` (`name`)"));
        assert_eq!(made[2].len(), 2);
    }

    #[test]
    fn tables_that_refer_to_each_other_get_their_references_when_both_are_there() {
        let tables = [table("a", &["b"]), table("b", &["a"]), table("c", &["c"])];
        let made = create(Dialect::Postgres, &tables, &nothing);
        assert_eq!(made.len(), 4);
        assert!(made[0].contains(r#""c""#) && made[0].contains("FOREIGN KEY"));
        assert!(made[3].starts_with(r#"ALTER TABLE "a" ADD CONSTRAINT "fk_a_b" FOREIGN KEY ("b")"#));
        let dropped = drop(Dialect::Postgres, &tables, &|_| true);
        assert_eq!(dropped[0], r#"ALTER TABLE "a" DROP CONSTRAINT IF EXISTS "fk_a_b""#);
        assert_eq!(dropped[1], r#"DROP TABLE IF EXISTS "b""#);
        assert!(create(Dialect::Sqlite, &tables, &nothing).iter().all(|one| one.starts_with("CREATE TABLE")));
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let tables = [table("a", &[]), table("b", &["a"])];
        assert_eq!(create(Dialect::Mysql, &tables, &|_| true), Vec::<String>::new());
        let made = create(Dialect::Mysql, &tables, &|name| name == "a");
        assert!(made.len() == 1 && made[0].contains("REFERENCES `a` (`id`)"));
        assert_eq!(drop(Dialect::Sqlite, &tables, &|name| name == "a"), [r#"DROP TABLE IF EXISTS "a""#]);
    }

    #[test]
    fn an_enumeration_is_a_type_of_its_own_in_postgresql_alone() {
        let kind = Type::Enum { name: "status".to_owned(), names: vec!["A".to_owned(), "it's".to_owned()] };
        let mut one = table("t", &[]);
        one.columns.push(column("status", kind));
        let made = create(Dialect::Postgres, &[one.clone()], &nothing);
        assert!(made[0].contains(r#"CREATE TYPE "status" AS ENUM ('A', 'it''s')"#));
        assert_eq!(drop(Dialect::Postgres, &[one], &|_| true)[1], r#"DROP TYPE IF EXISTS "status""#);
    }

    #[test]
    fn a_large_key_of_sqlite_counts_up() {
        let mut one = table("t", &[]);
        one.columns[0].kind = Type::BigInteger;
        assert!(create(Dialect::Sqlite, &[one.clone()], &nothing)[0].contains(r#""id" INTEGER NOT NULL"#));
        assert!(create(Dialect::Postgres, &[one], &nothing)[0].contains(r#""id" BIGSERIAL NOT NULL"#));
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        let tables = [table("t\"; DROP TABLE x; --", &[])];
        let made = create(Dialect::Sqlite, &tables, &nothing);
        assert!(made[0].starts_with(r#"CREATE TABLE IF NOT EXISTS "t""; DROP TABLE x; --" ("#));
    }
}
