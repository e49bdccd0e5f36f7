//! Queries: which rows of which tables, and their SQL.
//!
//! A [`Select`] names its tables by their places in [`From`]; conditions name columns by a place and a name. Values are
//! not in it: each test takes so many of them, in the order in which the tests are written.

use crate::tables::Dialect;
use crate::tables::filter::Comparison;

use super::{Places, Writer};

/// Tables that are read together. The first one has the place 0, each join the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// The first table.
    pub table: String,
    /// The others, each joined to one before it.
    pub joins: Vec<Join>,
}

/// A table that is joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The place of the table that it is joined to.
    pub parent: usize,
    /// The column there.
    pub column: String,
    /// The table.
    pub table: String,
    /// Its column that has the same value.
    pub key: String,
    /// Rows without a partner stay, with NULL for all of the partner's columns.
    pub is_outer: bool,
}

/// A column: the place of its table, and its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnAt {
    /// The place of its table.
    pub table: usize,
    /// Its name.
    pub name: String,
}

/// What is asked of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Test {
    /// Compared with one value.
    Compare(Comparison),
    /// NULL. No value.
    IsNull,
    /// One of so many values.
    In(usize),
    /// Text like a pattern, in which `/` stands before what is none. One value.
    Like {
        /// Small and capital letters are the same.
        any_case: bool,
        /// The column is no text, and is compared as if it were.
        as_text: bool,
    },
}

/// Which rows are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Those whose column passes.
    Test(ColumnAt, Test),
    /// Those of which all conditions hold; every row, where there are none.
    All(Vec<Condition>),
    /// Those of which one holds.
    Any(Vec<Condition>),
    /// Those of which it does not hold.
    Not(Box<Condition>),
    /// Those whose column is among the values of a column of other rows.
    Among(ColumnAt, Box<Rows>),
    /// SQL that something else has made; a place stands between each two pieces.
    Written(Vec<String>),
}

/// Rows of other tables, and the column of them that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The tables.
    pub from: From,
    /// The column.
    pub column: ColumnAt,
    /// Which rows.
    pub condition: Condition,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The tables.
    pub from: From,
    /// Which rows.
    pub condition: Condition,
    /// The columns by which they are sorted, and whether the largest comes first.
    pub order: Vec<(ColumnAt, bool)>,
    /// There is a most of rows: one value.
    pub has_limit: bool,
    /// Rows are left out first: one value, behind that of the limit.
    pub has_offset: bool,
}

/// What is wanted of the rows of a [`Select`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want<'a> {
    /// These columns.
    Columns(&'a [ColumnAt]),
    /// How many there are.
    Count,
    /// Whether there is one.
    Exists,
}

impl Select {
    /// The SQL. Its values are those of the condition, then the limit's, then the offset's.
    pub fn write(&self, dialect: Dialect, places: Places, want: Want<'_>) -> String {
        let mut writer = Writer::new(dialect, places);
        match want {
            Want::Columns(columns) => {
                self.write_columns(&mut writer, columns);
                self.write_rest(&mut writer, true);
            }
            Want::Count if self.has_limit || self.has_offset => {
                writer.word("SELECT count(*) FROM (SELECT 1 AS one");
                self.write_rest(&mut writer, false);
                writer.word(") AS counted");
            }
            Want::Count => {
                writer.word("SELECT count(*)");
                self.write_rest(&mut writer, false);
            }
            Want::Exists => {
                writer.word("SELECT EXISTS (SELECT 1");
                self.write_rest(&mut writer, false);
                writer.word(")");
            }
        }
        writer.finish()
    }

    fn write_columns(&self, writer: &mut Writer, columns: &[ColumnAt]) {
        writer.word("SELECT ");
        for (index, column) in columns.iter().enumerate() {
            writer.word(if index == 0 { "" } else { ", " });
            self.from.write_column(writer, column);
            if writer.places() == Places::Named && !self.from.joins.is_empty() {
                // Such a layer may find values by the names of columns.
                writer.word(&format!(" AS c{index}"));
            }
        }
    }

    fn write_rest(&self, writer: &mut Writer, is_sorted: bool) {
        self.from.write(writer);
        write_where(writer, &self.from, &self.condition);
        if is_sorted {
            self.write_order(writer);
        }
        self.write_limit(writer);
    }

    fn write_order(&self, writer: &mut Writer) {
        for (index, (column, descends)) in self.order.iter().enumerate() {
            writer.word(if index == 0 { " ORDER BY " } else { ", " });
            self.from.write_column(writer, column);
            writer.word(if *descends { " DESC" } else { "" });
        }
    }

    fn write_limit(&self, writer: &mut Writer) {
        if self.has_limit {
            writer.word(" LIMIT ");
            writer.place();
        } else if self.has_offset {
            // Only PostgreSQL takes an offset without a limit.
            writer.word(match writer.dialect {
                Dialect::Postgres => "",
                Dialect::Sqlite => " LIMIT -1",
                Dialect::Mysql => " LIMIT 18446744073709551615",
            });
        }
        if self.has_offset {
            writer.word(" OFFSET ");
            writer.place();
        }
    }

    /// Writes ` WHERE …` for a statement that changes the rows of the first table, whose primary key is `key`.
    ///
    /// Such a statement has no joins and no limit: where the query has, its rows are looked up by their keys.
    pub(super) fn write_for_change(&self, writer: &mut Writer, key: &str) {
        if self.from.joins.is_empty() && !self.has_limit && !self.has_offset {
            write_where(writer, &self.from, &self.condition);
            return;
        }
        writer.word(" WHERE ");
        writer.column(&self.from.table, key);
        // MySQL reads no table while it changes it, nor a limited query in IN, but it does read a table made of either.
        let is_wrapped = writer.dialect == Dialect::Mysql;
        writer.word(if is_wrapped { " IN (SELECT wanted.one FROM (" } else { " IN (" });
        writer.word("SELECT ");
        self.from.write_column(writer, &ColumnAt { table: 0, name: key.to_owned() });
        writer.word(if is_wrapped { " AS one" } else { "" });
        self.write_rest(writer, self.has_limit || self.has_offset);
        writer.word(if is_wrapped { ") AS wanted)" } else { ")" });
    }
}

impl From {
    /// One table.
    pub fn table(name: &str) -> From {
        From { table: name.to_owned(), joins: Vec::new() }
    }

    /// The table that has a place.
    fn table_at(&self, place: usize) -> &str {
        match place.checked_sub(1) {
            None => &self.table,
            Some(join) => &self.joins[join].table,
        }
    }

    /// Whether a table was named before this place already, so that it needs another name here.
    fn is_again(&self, place: usize) -> bool {
        (0..place).any(|before| self.table_at(before) == self.table_at(place))
    }

    /// What the table of a place is called in the query: by its own name, where it is the first of that name.
    fn alias(&self, place: usize) -> String {
        if !self.is_again(place) {
            return self.table_at(place).to_owned();
        }
        let names: Vec<&str> = (0..=self.joins.len()).map(|place| self.table_at(place)).collect();
        // Whatever tables are called, there is a name that none of them has.
        let mut alias = format!("t{place}");
        while names.contains(&alias.as_str()) {
            alias.push('_');
        }
        alias
    }

    fn write_column(&self, writer: &mut Writer, column: &ColumnAt) {
        if self.is_again(column.table) {
            writer.column(&self.alias(column.table), &column.name);
        } else {
            writer.column(self.table_at(column.table), &column.name);
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.word(" FROM ");
        writer.name(&self.table);
        for (index, join) in self.joins.iter().enumerate() {
            let place = index + 1;
            writer.word(if join.is_outer { " LEFT JOIN " } else { " JOIN " });
            writer.name(&join.table);
            if self.is_again(place) {
                writer.word(" AS ");
                writer.name(&self.alias(place));
            }
            writer.word(" ON ");
            self.write_column(writer, &ColumnAt { table: place, name: join.key.clone() });
            writer.word(" = ");
            self.write_column(writer, &ColumnAt { table: join.parent, name: join.column.clone() });
        }
    }
}

impl Condition {
    fn is_everything(&self) -> bool {
        matches!(self, Condition::All(all) if all.iter().all(Condition::is_everything))
    }
}

fn write_where(writer: &mut Writer, from: &From, condition: &Condition) {
    if !condition.is_everything() {
        writer.word(" WHERE ");
        write_condition(writer, from, condition, false);
    }
}

/// `is_inner`: it stands beside others, so that several need brackets.
fn write_condition(writer: &mut Writer, from: &From, condition: &Condition, is_inner: bool) {
    match condition {
        Condition::Test(column, test) => write_test(writer, from, column, *test),
        Condition::All(all) => {
            let all: Vec<&Condition> = all.iter().filter(|one| !one.is_everything()).collect();
            write_all(writer, from, &all, " AND ", "1 = 1", is_inner);
        }
        Condition::Any(any) => {
            write_all(writer, from, &any.iter().collect::<Vec<_>>(), " OR ", "1 = 0", is_inner);
        }
        Condition::Not(one) => {
            writer.word("NOT (");
            write_condition(writer, from, one, false);
            writer.word(")");
        }
        Condition::Among(column, rows) => {
            from.write_column(writer, column);
            writer.word(" IN (SELECT ");
            rows.from.write_column(writer, &rows.column);
            rows.from.write(writer);
            write_where(writer, &rows.from, &rows.condition);
            writer.word(")");
        }
        Condition::Written(pieces) => {
            writer.word("(");
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 {
                    writer.place();
                }
                writer.word(piece);
            }
            writer.word(")");
        }
    }
}

fn write_all(
    writer: &mut Writer,
    from: &From,
    all: &[&Condition],
    between: &str,
    of_nothing: &str,
    is_inner: bool,
) {
    let has_brackets = is_inner && all.len() > 1;
    writer.word(if has_brackets { "(" } else { "" });
    if all.is_empty() {
        writer.word(of_nothing);
    }
    for (index, one) in all.iter().enumerate() {
        writer.word(if index == 0 { "" } else { between });
        write_condition(writer, from, one, all.len() > 1 || is_inner);
    }
    writer.word(if has_brackets { ")" } else { "" });
}

fn write_test(writer: &mut Writer, from: &From, column: &ColumnAt, test: Test) {
    match test {
        Test::Compare(comparison) => {
            from.write_column(writer, column);
            writer.word(match comparison {
                Comparison::Equal => " = ",
                Comparison::NotEqual => " != ",
                Comparison::Less => " < ",
                Comparison::LessOrEqual => " <= ",
                Comparison::Greater => " > ",
                Comparison::GreaterOrEqual => " >= ",
            });
            writer.place();
        }
        Test::IsNull => {
            from.write_column(writer, column);
            writer.word(" IS NULL");
        }
        // Among none is nothing.
        Test::In(0) => writer.word("1 = 0"),
        Test::In(count) => {
            from.write_column(writer, column);
            writer.word(" IN (");
            for index in 0..count {
                writer.word(if index == 0 { "" } else { ", " });
                writer.place();
            }
            writer.word(")");
        }
        Test::Like { any_case, as_text } => write_like(writer, from, column, any_case, as_text),
    }
}

fn write_like(writer: &mut Writer, from: &From, column: &ColumnAt, any_case: bool, as_text: bool) {
    // PostgreSQL has a word for it; the others are asked for small letters on both sides.
    let is_lowered = any_case && writer.dialect != Dialect::Postgres;
    writer.word(if is_lowered { "lower(" } else { "" });
    writer.word(if as_text { "CAST(" } else { "" });
    from.write_column(writer, column);
    if as_text {
        writer.word(if writer.dialect == Dialect::Mysql { " AS CHAR)" } else { " AS TEXT)" });
    }
    writer.word(if is_lowered {
        ") LIKE lower("
    } else if any_case {
        " ILIKE "
    } else {
        " LIKE "
    });
    writer.place();
    writer.word(if is_lowered { ") ESCAPE '/'" } else { " ESCAPE '/'" });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(table: usize, name: &str) -> ColumnAt {
        ColumnAt { table, name: name.to_owned() }
    }

    fn equal(table: usize, name: &str) -> Condition {
        Condition::Test(at(table, name), Test::Compare(Comparison::Equal))
    }

    fn join(parent: usize, column: &str, table: &str, is_outer: bool) -> Join {
        Join { parent, column: column.to_owned(), table: table.to_owned(), key: "id".to_owned(), is_outer }
    }

    fn select(joins: Vec<Join>, condition: Condition) -> Select {
        Select {
            from: From { table: "t".to_owned(), joins },
            condition,
            order: Vec::new(),
            has_limit: false,
            has_offset: false,
        }
    }

    fn check(select: &Select, dialect: Dialect, expected: &str) {
        assert_eq!(select.write(dialect, Places::OfDialect, Want::Columns(&[at(0, "id")])), expected);
    }

    #[test]
    fn one_table_by_its_key() {
        let one = Select { has_limit: true, ..select(Vec::new(), equal(0, "id")) };
        check(&one, Dialect::Sqlite, r#"SELECT "t"."id" FROM "t" WHERE "t"."id" = ? LIMIT ?"#);
        check(&one, Dialect::Postgres, r#"SELECT "t"."id" FROM "t" WHERE "t"."id" = $1 LIMIT $2"#);
        check(&one, Dialect::Mysql, "SELECT `t`.`id` FROM `t` WHERE `t`.`id` = ? LIMIT ?");
        let named = one.write(Dialect::Sqlite, Places::Named, Want::Exists);
        assert_eq!(named, r#"SELECT EXISTS (SELECT 1 FROM "t" WHERE "t"."id" = :p1 LIMIT :p2)"#);
    }

    #[test]
    fn the_same_table_twice_has_two_names() {
        let joins =
            vec![join(0, "home", "t1", false), join(0, "away", "t1", true), join(2, "next", "t", false)];
        let query = select(joins, Condition::All(vec![equal(1, "a"), equal(2, "b"), equal(3, "c")]));
        check(
            &query,
            Dialect::Sqlite,
            "SELECT \"t\".\"id\" FROM \"t\" JOIN \"t1\" ON \"t1\".\"id\" = \"t\".\"home\" \
             LEFT JOIN \"t1\" AS \"t2\" ON \"t2\".\"id\" = \"t\".\"away\" \
             JOIN \"t\" AS \"t3\" ON \"t3\".\"id\" = \"t2\".\"next\" \
             WHERE \"t1\".\"a\" = ? AND \"t2\".\"b\" = ? AND \"t3\".\"c\" = ?",
        );
    }

    #[test]
    fn conditions_keep_together_what_belongs_together() {
        let either = Condition::Any(vec![equal(0, "a"), Condition::Test(at(0, "b"), Test::IsNull)]);
        let neither = Condition::Not(Box::new(Condition::All(vec![equal(0, "c"), equal(0, "d")])));
        let written = Condition::Written(vec!["x > ".to_owned(), " OR y < ".to_owned(), String::new()]);
        check(
            &select(Vec::new(), Condition::All(vec![either, neither, written, Condition::All(vec![])])),
            Dialect::Postgres,
            "SELECT \"t\".\"id\" FROM \"t\" WHERE (\"t\".\"a\" = $1 OR \"t\".\"b\" IS NULL) AND \
             NOT (\"t\".\"c\" = $2 AND \"t\".\"d\" = $3) AND (x > $4 OR y < $5)",
        );
        check(
            &select(Vec::new(), Condition::Not(Box::new(Condition::All(vec![])))),
            Dialect::Sqlite,
            r#"SELECT "t"."id" FROM "t" WHERE NOT (1 = 1)"#,
        );
        check(
            &select(Vec::new(), Condition::Any(vec![])),
            Dialect::Sqlite,
            r#"SELECT "t"."id" FROM "t" WHERE 1 = 0"#,
        );
    }

    #[test]
    fn text_is_looked_for_in_each_dialect() {
        let like = |any_case, as_text| {
            select(Vec::new(), Condition::Test(at(0, "a"), Test::Like { any_case, as_text }))
        };
        check(
            &like(true, false),
            Dialect::Sqlite,
            r#"SELECT "t"."id" FROM "t" WHERE lower("t"."a") LIKE lower(?) ESCAPE '/'"#,
        );
        check(
            &like(true, false),
            Dialect::Postgres,
            r#"SELECT "t"."id" FROM "t" WHERE "t"."a" ILIKE $1 ESCAPE '/'"#,
        );
        check(
            &like(false, true),
            Dialect::Mysql,
            "SELECT `t`.`id` FROM `t` WHERE CAST(`t`.`a` AS CHAR) LIKE ? ESCAPE '/'",
        );
    }

    #[test]
    fn rows_that_are_linked_are_found_once() {
        let links = From { table: "links".to_owned(), joins: vec![join(0, "other", "others", false)] };
        let rows = Rows { from: links, column: at(0, "own"), condition: equal(1, "name") };
        check(
            &select(Vec::new(), Condition::Among(at(0, "id"), Box::new(rows))),
            Dialect::Sqlite,
            "SELECT \"t\".\"id\" FROM \"t\" WHERE \"t\".\"id\" IN (SELECT \"links\".\"own\" FROM \"links\" \
             JOIN \"others\" ON \"others\".\"id\" = \"links\".\"other\" WHERE \"others\".\"name\" = ?)",
        );
    }

    #[test]
    fn a_limit_counts_before_the_rows_are_counted() {
        let all = select(Vec::new(), Condition::All(Vec::new()));
        assert_eq!(all.write(Dialect::Sqlite, Places::OfDialect, Want::Count), r#"SELECT count(*) FROM "t""#);
        let some = Select { has_offset: true, order: vec![(at(0, "a"), true)], ..all };
        assert_eq!(
            some.write(Dialect::Mysql, Places::OfDialect, Want::Count),
            "SELECT count(*) FROM (SELECT 1 AS one FROM `t` LIMIT 18446744073709551615 OFFSET ?) AS counted"
        );
        check(&some, Dialect::Postgres, r#"SELECT "t"."id" FROM "t" ORDER BY "t"."a" DESC OFFSET $1"#);
    }
}
