//! Names of tables, columns and indexes, as `dataset` wants them.

use super::NameError;

/// How long a name may be, in characters and in bytes of UTF-8: PostgreSQL's limit, which holds everywhere so that a
/// program can change its database.
const LENGTH_MAX: usize = 63;

/// The name of a column as it is stored: without blanks around it, and cut to 63 bytes.
///
/// Errors: [`NameError::Column`] where nothing is left, or it holds a `.` or a `-`
///
/// ```
/// use naja_db::tables::names::column_name;
/// assert_eq!(column_name(" last name ").as_deref(), Ok("last name"));
/// assert!(column_name("a.b").is_err());
/// ```
pub fn column_name(name: &str) -> Result<&str, NameError> {
    let name = cut(strip(name), true);
    if name.is_empty() || name.contains(['.', '-']) {
        return Err(NameError::Column(name.to_owned()));
    }
    Ok(name)
}

/// What two names of columns have in common that mean the same one: letters in upper case, no blanks.
///
/// ```
/// use naja_db::tables::names::column_key;
/// assert_eq!(column_key("Last Name "), "LASTNAME");
/// ```
pub fn column_key(name: &str) -> String {
    strip(&name.to_uppercase()).replace(' ', "")
}

/// The name of a table as it is stored: without blanks around it, and cut to 63 characters.
///
/// Errors: [`NameError::Table`] where nothing is left
pub fn table_name(name: &str) -> Result<&str, NameError> {
    let name = cut(strip(name), false);
    if name.is_empty() { Err(NameError::Table(name.to_owned())) } else { Ok(name) }
}

/// Without what Python's `str.strip` takes away: Unicode's white space and the four separators of ASCII.
fn strip(name: &str) -> &str {
    name.trim_matches(|letter: char| letter.is_whitespace() || ('\x1c'..='\x1f').contains(&letter))
}

fn cut(name: &str, to_bytes: bool) -> &str {
    let end = name.char_indices().nth(LENGTH_MAX).map_or(name.len(), |(end, _)| end);
    if !to_bytes {
        return &name[..end];
    }
    let mut end = end;
    while end > LENGTH_MAX {
        end = name[..end].char_indices().next_back().map_or(0, |(start, _)| start);
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::{column_key, column_name, table_name};

    #[test]
    fn a_name_is_cut_between_characters() {
        let long = "€".repeat(40);
        assert_eq!(column_name(&long).map(str::len), Ok(63));
        assert_eq!(table_name(&long).map(str::len), Ok(120));
        assert_eq!(column_name(&"a".repeat(70)).map(str::len), Ok(63));
    }

    #[test]
    fn a_name_of_nothing_is_refused() {
        for name in ["", "  ", "-", "a-b", "a.b"] {
            assert!(column_name(name).is_err(), "{name:?}");
        }
        assert!(table_name(" \x1f").is_err());
        assert_eq!(table_name(" a-b "), Ok("a-b"));
    }

    #[test]
    fn blanks_and_case_do_not_tell_columns_apart() {
        assert_eq!(column_key(" PLACE "), column_key("place"));
        assert_eq!(column_key("a b"), "AB");
    }
}
