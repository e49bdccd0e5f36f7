//! Named places in SQL that a user wrote: `:name`, as SQLAlchemy's `text()` has them.

use super::Dialect;

/// SQL with the dialect's places in it, and the name for each place in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The SQL.
    pub sql: String,
    /// The names, one for each place; a name stands as often as it is used.
    pub names: Vec<String>,
}

/// Finds the names. Not a name is what stands in quotes or in a comment, `::type`, and `\:`, which becomes `:`.
///
/// ```
/// use naja_db::tables::{Dialect, parameters::place};
/// let placed = place(Dialect::Sqlite, "select ':x', a::text from t where b = :b");
/// assert_eq!(placed.sql, "select ':x', a::text from t where b = ?");
/// assert_eq!(placed.names, ["b"]);
/// ```
pub fn place(dialect: Dialect, text: &str) -> Placed {
    let mut placed = Placed { sql: String::with_capacity(text.len() + 8), names: Vec::new() };
    let mut rest = text;
    let mut before = ' ';
    while let Some(letter) = rest.chars().next() {
        let skipped = match letter {
            '\'' | '"' | '`' => quoted(rest, letter),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            ':' if rest.starts_with("::") => rest.len() - rest.trim_start_matches(':').len(),
            _ => 0,
        };
        if skipped > 0 {
            placed.sql.push_str(&rest[..skipped]);
            before = rest[..skipped].chars().next_back().unwrap_or(' ');
            rest = &rest[skipped..];
            continue;
        }
        if rest.starts_with("\\:") {
            placed.sql.push(':');
            before = ':';
            rest = &rest[2..];
            continue;
        }
        let name = rest.strip_prefix(':').map_or("", name_at_start);
        if !name.is_empty() && !is_in_name(before) && !rest[1 + name.len()..].starts_with(':') {
            placed.names.push(name.to_owned());
            let number = placed.names.len();
            dialect.place(&mut placed.sql, number);
            rest = &rest[1 + name.len()..];
            before = '?';
            continue;
        }
        placed.sql.push(letter);
        before = letter;
        rest = &rest[letter.len_utf8()..];
    }
    placed
}

/// How long a quoted part is, with both its quotes; all that is left where it does not end.
fn quoted(text: &str, mark: char) -> usize {
    text[1..].find(mark).map_or(text.len(), |end| end + 2)
}

fn name_at_start(text: &str) -> &str {
    let end = text.find(|letter: char| !is_in_name(letter)).unwrap_or(text.len());
    &text[..end]
}

fn is_in_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::{Dialect, place};

    fn check(text: &str, sql: &str, names: &[&str]) {
        let placed = place(Dialect::Postgres, text);
        assert_eq!(
            (placed.sql.as_str(), placed.names.as_slice()),
            (sql, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()[..])
        );
    }

    #[test]
    fn names_are_found_where_values_can_stand() {
        check("a = :a and b in (:b, :a)", "a = $1 and b in ($2, $3)", &["a", "b", "a"]);
        check("select 'it''s :x', \":y\", `:z`", "select 'it''s :x', \":y\", `:z`", &[]);
        check("-- :a\n:b /* :c */", "-- :a\n$1 /* :c */", &["b"]);
        check("a::int, \\:b, x[1:2]", "a::int, :b, x[1:2]", &[]);
        check("'never ends :a", "'never ends :a", &[]);
        check("", "", &[]);
    }
}
