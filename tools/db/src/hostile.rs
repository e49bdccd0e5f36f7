//! What a stranger may give: entry points for the fuzzer, and for the tests that replay what it found.

use crate::database::{Place, without_password};
use crate::files::{FileError, FileForm, Source};
use crate::orm::near::nearest;
use crate::orm::{Places, Writer};
use crate::tables::{Dialect, names, parameters};

/// A target and its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target: the name of its corpus, and what is fed.
pub const TARGETS: [Target; 2] = [("db_rows", rows), ("db_text", text)];

/// A file of rows; its first byte says of which form.
pub fn rows(input: &[u8]) {
    let Some((form, mut bytes)) = input.split_first() else { return };
    let form = [FileForm::Csv, FileForm::Json, FileForm::JsonLines][usize::from(*form) % 3];
    let mut source = Source::of_stream(&mut bytes).expect("a temporary file can be made");
    let mut count = 0;
    let read = source.rows::<FileError>(form, 3, &mut |rows| {
        assert!((1..=3).contains(&rows.len()));
        count += rows.len();
        Ok(())
    });
    assert!(count <= input.len());
    if let Err(error) = read {
        assert!(!error.to_string().is_empty());
    }
}

/// A statement with places, a URL, and names, all of the same text.
pub fn text(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let placed = parameters::place(Dialect::Postgres, text);
    assert!(placed.names.len() <= text.len());
    if placed.names.is_empty() && !text.contains("\\:") {
        assert_eq!(placed.sql, text);
    }
    let _ = Place::of(text, &|_| None);
    let _ = without_password(text);
    if let Ok(name) = names::column_name(text) {
        assert!(name.len() <= 63 && !name.contains(['.', '-']));
        assert!(!names::column_key(name).contains(' '));
    }
    // Names of lookups come from programs that may have them from strangers.
    let is_short = text.chars().count() <= 64;
    assert!(!is_short || nearest(text, ["id", text]).is_some());
    let mut writer = Writer::new(Dialect::Mysql, Places::OfDialect);
    writer.column(text, text);
    assert_eq!(writer.finish(), format!("{0}.{0}", Dialect::Mysql.table(None, text)));
    let quoted = Dialect::Sqlite.table(None, text);
    assert_eq!(quoted[1..quoted.len() - 1].replace("\"\"", "\""), text);
}
