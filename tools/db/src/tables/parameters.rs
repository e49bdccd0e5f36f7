//! Named places in SQL that a user wrote: `:name`, as SQLAlchemy's `text()` has them.

use super::Dialect;

/// SQL with the dialect's places in it, and the name for each place in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The SQL.
    pub sql: String,
    /// The names, one for each value: in PostgreSQL, whose places have numbers, each once; else as often as it is used.
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
    place_typed(dialect, text, &|_| None)
}

/// The same, with the types that `type_of` knows for names written behind their places, in PostgreSQL's way.
///
/// ```
/// use naja_db::tables::{Dialect, parameters::place_typed};
/// let placed = place_typed(Dialect::Postgres, "select :a, :b, :a", &|name| (name == "a").then_some("int4"));
/// assert_eq!(placed.sql, "select $1::int4, $2, $1::int4");
/// ```
pub fn place_typed(dialect: Dialect, text: &str, type_of: &dyn Fn(&str) -> Option<&'static str>) -> Placed {
    let mut placed = Placed { sql: String::with_capacity(text.len() + 8), names: Vec::new() };
    let mut rest = text;
    let mut before = ' ';
    while let Some(letter) = rest.chars().next() {
        let skipped = match letter {
            '\'' if dialect == Dialect::Postgres && ends_with_word_e(&placed.sql) => escaped(rest),
            '\'' | '"' | '`' => quoted(rest, letter),
            '$' if dialect == Dialect::Postgres && !is_in_name(before) => dollar_quoted(rest),
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
            let number = placed.number_of(dialect, name);
            dialect.place(&mut placed.sql, number);
            if let Some(type_name) = type_of(name) {
                placed.sql.push_str("::");
                placed.sql.push_str(type_name);
            }
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

impl Placed {
    /// The number of the place for a name, the first is 1.
    fn number_of(&mut self, dialect: Dialect, name: &str) -> usize {
        // Where the same place can stand twice its type has to be clear only once: `:a is null or x = :a`.
        let known =
            self.names.iter().position(|known| known == name).filter(|_| dialect == Dialect::Postgres);
        known.map_or_else(
            || {
                self.names.push(name.to_owned());
                self.names.len()
            },
            |known| known + 1,
        )
    }
}

fn ends_with_word_e(sql: &str) -> bool {
    let mut letters = sql.chars().rev();
    matches!(letters.next(), Some('e' | 'E')) && !letters.next().is_some_and(is_in_name)
}

/// How long a text is in which a backslash takes the next letter along, as PostgreSQL's `E'it\'s'`.
fn escaped(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '\'' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

/// How long a part between `$$`, or `$name$`, is with both of these; 0 where none begins.
fn dollar_quoted(text: &str) -> usize {
    let tag = name_at_start(&text[1..]);
    if !text[1 + tag.len()..].starts_with('$') || tag.starts_with(|letter: char| letter.is_ascii_digit()) {
        return 0;
    }
    let mark = &text[..tag.len() + 2];
    text[mark.len()..].find(mark).map_or(text.len(), |end| end + 2 * mark.len())
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
        check("a = :a and b in (:b, :a)", "a = $1 and b in ($2, $1)", &["a", "b"]);
        assert_eq!(place(Dialect::Sqlite, "a = :a or :a is null").names, ["a", "a"]);
        check("select 'it''s :x', \":y\", `:z`", "select 'it''s :x', \":y\", `:z`", &[]);
        check("-- :a\n:b /* :c */", "-- :a\n$1 /* :c */", &["b"]);
        check("a::int, \\:b, x[1:2]", "a::int, :b, x[1:2]", &[]);
        check("'never ends :a", "'never ends :a", &[]);
        check("", "", &[]);
    }

    #[test]
    fn nothing_is_named_in_the_quotes_of_postgresql() {
        check("select $$:a$$, $x$ $$ :b $x$, :c", "select $$:a$$, $x$ $$ :b $x$, $1", &["c"]);
        check("select E'it\\'s :a', :b", "select E'it\\'s :a', $1", &["b"]);
        check("a like'\\' or b = :b", "a like'\\' or b = $1", &["b"]);
        check("select $1, a$b, :c, $", "select $1, a$b, $1, $", &["c"]);
        check("$never ends :a", "$never ends $1", &["a"]);
        check("$é$ :a", "$é$ :a", &[]);
        check("$a€ :b", "$a€ $1", &["b"]);
    }
}
