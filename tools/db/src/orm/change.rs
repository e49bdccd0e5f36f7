//! Statements that change rows.

use crate::tables::Dialect;

use super::query::Select;
use super::{Places, Writer};

/// `INSERT` of so many rows at once, whose values stand one row after the other.
///
/// With `returning`, PostgreSQL gives that column of the new rows.
pub fn insert(
    dialect: Dialect,
    places: Places,
    table: &str,
    columns: &[&str],
    rows: usize,
    returning: Option<&str>,
) -> String {
    let mut writer = start_of_insert(dialect, places, "INSERT INTO ", table, columns);
    if columns.is_empty() {
        writer.word(if dialect == Dialect::Mysql { " () VALUES ()" } else { " DEFAULT VALUES" });
    } else {
        writer.word(" VALUES ");
        for row in 0..rows {
            writer.word(if row == 0 { "(" } else { ", (" });
            for index in 0..columns.len() {
                writer.word(if index == 0 { "" } else { ", " });
                writer.place();
            }
            writer.word(")");
        }
    }
    if let (Some(column), Dialect::Postgres) = (returning, dialect) {
        writer.word(" RETURNING ");
        writer.name(column);
    }
    writer.finish()
}

/// `INSERT` of so many rows of two columns, of which those that are there already stay as they are.
pub fn insert_missing(
    dialect: Dialect,
    places: Places,
    table: &str,
    columns: [&str; 2],
    rows: usize,
) -> String {
    let verb = if dialect == Dialect::Mysql { "INSERT IGNORE INTO " } else { "INSERT INTO " };
    let mut writer = start_of_insert(dialect, places, verb, table, &columns);
    writer.word(" VALUES ");
    for row in 0..rows {
        writer.word(if row == 0 { "(" } else { ", (" });
        writer.place();
        writer.word(", ");
        writer.place();
        writer.word(")");
    }
    if dialect != Dialect::Mysql {
        writer.word(" ON CONFLICT DO NOTHING");
    }
    writer.finish()
}

fn start_of_insert(dialect: Dialect, places: Places, verb: &str, table: &str, columns: &[&str]) -> Writer {
    let mut writer = Writer::new(dialect, places);
    writer.word(verb);
    writer.name(table);
    if !columns.is_empty() {
        writer.word(" (");
        writer.names(columns.iter().copied());
        writer.word(")");
    }
    writer
}

/// `UPDATE` of columns, whose values come first, in the rows of a query. Its table's primary key is `key`.
pub fn update(places: Places, dialect: Dialect, rows: &Select, key: &str, columns: &[&str]) -> String {
    let mut writer = Writer::new(dialect, places);
    writer.word("UPDATE ");
    writer.name(&rows.from.table);
    writer.word(" SET ");
    for (index, column) in columns.iter().enumerate() {
        writer.word(if index == 0 { "" } else { ", " });
        writer.name(column);
        writer.word(" = ");
        writer.place();
    }
    rows.write_for_change(&mut writer, key);
    writer.finish()
}

/// `DELETE` of the rows of a query. Its table's primary key is `key`.
pub fn delete(places: Places, dialect: Dialect, rows: &Select, key: &str) -> String {
    let mut writer = Writer::new(dialect, places);
    writer.word("DELETE FROM ");
    writer.name(&rows.from.table);
    rows.write_for_change(&mut writer, key);
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::super::query::{ColumnAt, Condition, From, Join, Test};
    use super::*;
    use crate::tables::filter::Comparison;

    const OWN: Places = Places::OfDialect;

    fn rows(joins: Vec<Join>, has_limit: bool) -> Select {
        let column = ColumnAt { table: joins.len(), name: "name".to_owned() };
        Select {
            from: From { table: "t".to_owned(), joins },
            condition: Condition::Test(column, Test::Compare(Comparison::Equal)),
            order: vec![(ColumnAt { table: 0, name: "id".to_owned() }, false)],
            has_limit,
            has_offset: false,
        }
    }

    fn other() -> Vec<Join> {
        let (column, table, key) = ("o".to_owned(), "others".to_owned(), "id".to_owned());
        vec![Join { parent: 0, column, table, key, is_outer: false }]
    }

    #[test]
    fn rows_are_inserted_in_each_dialect() {
        assert_eq!(
            insert(Dialect::Sqlite, OWN, "t", &["a", "b"], 2, Some("id")),
            r#"INSERT INTO "t" ("a", "b") VALUES (?, ?), (?, ?)"#
        );
        assert_eq!(
            insert(Dialect::Postgres, OWN, "t", &["a"], 1, Some("id")),
            r#"INSERT INTO "t" ("a") VALUES ($1) RETURNING "id""#
        );
        assert_eq!(insert(Dialect::Mysql, OWN, "t", &[], 1, None), "INSERT INTO `t` () VALUES ()");
        assert_eq!(
            insert_missing(Dialect::Sqlite, OWN, "t", ["a", "b"], 2),
            r#"INSERT INTO "t" ("a", "b") VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING"#
        );
        assert!(insert_missing(Dialect::Mysql, OWN, "t", ["a", "b"], 1).starts_with("INSERT IGNORE"));
    }

    #[test]
    fn rows_of_one_table_are_changed_at_once() {
        assert_eq!(
            update(OWN, Dialect::Postgres, &rows(Vec::new(), false), "id", &["a", "b"]),
            r#"UPDATE "t" SET "a" = $1, "b" = $2 WHERE "t"."name" = $3"#
        );
        assert_eq!(
            delete(OWN, Dialect::Mysql, &rows(Vec::new(), false), "id"),
            "DELETE FROM `t` WHERE `t`.`name` = ?"
        );
    }

    #[test]
    fn rows_that_are_found_through_others_are_changed_by_their_keys() {
        assert_eq!(
            delete(OWN, Dialect::Sqlite, &rows(other(), false), "id"),
            "DELETE FROM \"t\" WHERE \"t\".\"id\" IN (SELECT \"t\".\"id\" FROM \"t\" \
             JOIN \"others\" ON \"others\".\"id\" = \"t\".\"o\" WHERE \"others\".\"name\" = ?)"
        );
        assert_eq!(
            update(OWN, Dialect::Mysql, &rows(Vec::new(), true), "id", &["a"]),
            "UPDATE `t` SET `a` = ? WHERE `t`.`id` IN (SELECT wanted.one FROM (SELECT `t`.`id` AS one FROM `t` \
             WHERE `t`.`name` = ? ORDER BY `t`.`id` LIMIT ?) AS wanted)"
        );
    }
}
