//! What the engines write differently.

use std::fmt::Write as _;

/// An engine's SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite 3.24 or later.
    Sqlite,
    /// PostgreSQL 11 or later.
    Postgres,
    /// MySQL 8 or MariaDB 10.5, or later.
    Mysql,
}

impl Dialect {
    /// Writes a name in quotes, whatever it is, so that it never is anything but a name.
    pub fn quote(self, sql: &mut String, name: &str) {
        let mark = if self == Dialect::Mysql { '`' } else { '"' };
        sql.push(mark);
        for letter in name.chars() {
            if letter == mark {
                sql.push(mark);
            }
            sql.push(letter);
        }
        sql.push(mark);
    }

    /// Writes the place of a value; `number` counts from 1.
    pub fn place(self, sql: &mut String, number: usize) {
        match self {
            Dialect::Postgres => {
                let _ = write!(sql, "${number}");
            }
            Dialect::Sqlite | Dialect::Mysql => sql.push('?'),
        }
    }

    /// A table's name in quotes, with its schema where it has one.
    pub fn table(self, schema: Option<&str>, name: &str) -> String {
        let mut sql = String::with_capacity(name.len() + 2);
        if let Some(schema) = schema {
            self.quote(&mut sql, schema);
            sql.push('.');
        }
        self.quote(&mut sql, name);
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::Dialect;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(Dialect::Sqlite.table(None, r#"a" drop table b; --"#), r#""a"" drop table b; --""#);
        assert_eq!(Dialect::Mysql.table(Some("s`"), "t"), "`s```.`t`");
    }
}
