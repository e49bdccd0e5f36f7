//! Which rows are meant: tests of columns, all of which must hold.

use super::Dialect;

/// How a column is compared with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Not the same, and not NULL.
    NotEqual,
    /// Less.
    Less,
    /// Less or the same.
    LessOrEqual,
    /// More.
    Greater,
    /// More or the same.
    GreaterOrEqual,
}

/// What is asked of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Test {
    /// Compared with one value.
    Compare(Comparison),
    /// NULL, or with `negated` anything else. No value.
    Null {
        /// Turns it round.
        negated: bool,
    },
    /// One of so many values.
    In {
        /// How many values there are.
        count: usize,
        /// Turns it round.
        negated: bool,
    },
    /// Between two values, both included.
    Between,
    /// Text as a pattern with `%` and `_`. One value.
    Like {
        /// Small and capital letters are the same.
        any_case: bool,
        /// Turns it round.
        negated: bool,
    },
    /// Text that begins with a text, whose pattern is made by [`escaped`]. One value.
    StartsWith,
    /// Text that ends with a text, whose pattern is made by [`escaped`]. One value.
    EndsWith,
    /// No row at all: a column or an operator that is not known. No value.
    Never,
}

impl Test {
    /// What an operator of `dataset` asks, where it takes one value as it is; `None` for the others.
    ///
    /// ```
    /// use naja_db::tables::filter::{Comparison, Test};
    /// assert_eq!(Test::of_operator("gte"), Some(Test::Compare(Comparison::GreaterOrEqual)));
    /// assert_eq!(Test::of_operator("between"), None);
    /// ```
    pub fn of_operator(operator: &str) -> Option<Test> {
        Some(match operator {
            ">" | "gt" => Test::Compare(Comparison::Greater),
            "<" | "lt" => Test::Compare(Comparison::Less),
            ">=" | "gte" => Test::Compare(Comparison::GreaterOrEqual),
            "<=" | "lte" => Test::Compare(Comparison::LessOrEqual),
            "=" | "==" | "is" => Test::Compare(Comparison::Equal),
            "!=" | "<>" | "not" => Test::Compare(Comparison::NotEqual),
            "like" => Test::Like { any_case: false, negated: false },
            "ilike" => Test::Like { any_case: true, negated: false },
            "notlike" => Test::Like { any_case: false, negated: true },
            "notilike" => Test::Like { any_case: true, negated: true },
            _ => return None,
        })
    }

    /// How many values it takes.
    pub fn values(self) -> usize {
        match self {
            Test::Compare(_) | Test::Like { .. } | Test::StartsWith | Test::EndsWith => 1,
            Test::Null { .. } | Test::Never => 0,
            Test::In { count, .. } => count,
            Test::Between => 2,
        }
    }
}

/// A text in which nothing is a pattern, for [`Test::StartsWith`] and [`Test::EndsWith`].
pub fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '/') {
            pattern.push('/');
        }
        pattern.push(letter);
    }
    pattern
}

/// Writes ` WHERE …` for tests of columns, or nothing where there are none; the number of the next value's place.
pub fn write_where(sql: &mut String, dialect: Dialect, tests: &[(&str, Test)], first_place: usize) -> usize {
    let mut place = first_place;
    for (index, (column, test)) in tests.iter().enumerate() {
        sql.push_str(if index == 0 { " WHERE " } else { " AND " });
        write_test(sql, dialect, column, *test, &mut place);
    }
    place
}

fn write_test(sql: &mut String, dialect: Dialect, column: &str, test: Test, place: &mut usize) {
    let value = |sql: &mut String, place: &mut usize| {
        dialect.place(sql, *place);
        *place += 1;
    };
    match test {
        Test::Never => sql.push_str("1 = 0"),
        Test::Compare(comparison) => {
            dialect.quote(sql, column);
            sql.push_str(match comparison {
                Comparison::Equal => " = ",
                Comparison::NotEqual => " != ",
                Comparison::Less => " < ",
                Comparison::LessOrEqual => " <= ",
                Comparison::Greater => " > ",
                Comparison::GreaterOrEqual => " >= ",
            });
            value(sql, place);
        }
        Test::Null { negated } => {
            dialect.quote(sql, column);
            sql.push_str(if negated { " IS NOT NULL" } else { " IS NULL" });
        }
        // A list of nothing: no row is in it, and every row is not.
        Test::In { count: 0, negated } => sql.push_str(if negated { "1 = 1" } else { "1 = 0" }),
        Test::In { count, negated } => {
            dialect.quote(sql, column);
            sql.push_str(if negated { " NOT IN (" } else { " IN (" });
            for index in 0..count {
                sql.push_str(if index == 0 { "" } else { ", " });
                value(sql, place);
            }
            sql.push(')');
        }
        Test::Between => {
            dialect.quote(sql, column);
            sql.push_str(" BETWEEN ");
            value(sql, place);
            sql.push_str(" AND ");
            value(sql, place);
        }
        Test::Like { any_case, negated } => {
            let has_word = any_case && dialect == Dialect::Postgres;
            let lower = if any_case && !has_word { ("lower(", ")") } else { ("", "") };
            sql.push_str(lower.0);
            dialect.quote(sql, column);
            sql.push_str(lower.1);
            sql.push_str(if negated { " NOT" } else { "" });
            sql.push_str(if has_word { " ILIKE " } else { " LIKE " });
            sql.push_str(lower.0);
            value(sql, place);
            sql.push_str(lower.1);
        }
        Test::StartsWith | Test::EndsWith => {
            dialect.quote(sql, column);
            // The `%` is added to the value, which is text already.
            sql.push_str(" LIKE ");
            value(sql, place);
            sql.push_str(" ESCAPE '/'");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Dialect, Test, escaped, write_where};

    fn check(tests: &[(&str, Test)], expected: &str) {
        let mut sql = String::new();
        let next = write_where(&mut sql, Dialect::Postgres, tests, 1);
        assert_eq!(sql, expected);
        assert_eq!(next, 1 + tests.iter().map(|(_, test)| test.values()).sum::<usize>());
    }

    #[test]
    fn every_test_has_its_sql() {
        check(&[], "");
        check(&[("a", Test::Compare(Comparison::LessOrEqual))], r#" WHERE "a" <= $1"#);
        check(
            &[("a", Test::In { count: 2, negated: true }), ("b", Test::Between)],
            r#" WHERE "a" NOT IN ($1, $2) AND "b" BETWEEN $3 AND $4"#,
        );
        check(&[("a", Test::In { count: 0, negated: false })], " WHERE 1 = 0");
        check(&[("a", Test::Null { negated: false })], r#" WHERE "a" IS NULL"#);
        check(&[("a", Test::Like { any_case: true, negated: true })], r#" WHERE "a" NOT ILIKE $1"#);
        check(&[("a", Test::StartsWith)], r#" WHERE "a" LIKE $1 ESCAPE '/'"#);
    }

    #[test]
    fn a_text_that_looks_like_a_pattern_is_none() {
        assert_eq!(escaped("50%_/"), "50/%/_//");
    }
}
