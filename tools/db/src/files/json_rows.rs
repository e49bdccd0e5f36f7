//! JSON: a list of objects, or an object a line. Names keep their order.

use std::fmt;
use std::io::{BufRead, Read};
use std::marker::PhantomData;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

use super::FileError;
use super::{Field, Row};

/// Gives the rows of a list of objects, without holding the list.
pub(super) fn list<E: From<FileError>>(
    reader: impl Read,
    take: &mut dyn FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    let mut refused = None;
    let mut json = serde_json::Deserializer::from_reader(reader);
    let visitor = List { take, refused: &mut refused, rows: PhantomData };
    let read = json.deserialize_seq(visitor).and_then(|()| json.end());
    match (refused, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(of_json(&error, 0).into()),
    }
}

/// Gives the rows of a file with an object a line; empty lines are passed over.
pub(super) fn lines<E: From<FileError>>(
    reader: impl BufRead,
    take: &mut dyn FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    for (line, text) in (1..).zip(reader.split(b'\n')) {
        let text = text.map_err(FileError::Read)?;
        let text = std::str::from_utf8(&text).map_err(|_| FileError::NoText { line })?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        let object: Object = serde_json::from_str(text).map_err(|error| of_json(&error, line))?;
        take(object.0)?;
    }
    Ok(())
}

/// An error of a file, or of one of its lines, which counts for itself.
fn of_json(error: &serde_json::Error, line: u64) -> FileError {
    let line = if line > 0 { line } else { error.line() as u64 };
    if error.is_data() {
        return FileError::NoObject { line };
    }
    let text = error.to_string();
    let why = text.split(" at line ").next().unwrap_or(&text).to_owned();
    FileError::NoJson { line, why }
}

struct Object(Row);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Object, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
                let mut row: Row = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    // Of a name that stands twice, the last value counts, as everywhere.
                    match row.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, field)) => *field = of_value(value),
                        None => row.push((name, of_value(value))),
                    }
                }
                Ok(Object(row))
            }
        }

        json.deserialize_map(Names)
    }
}

struct List<'t, E> {
    take: &'t mut dyn FnMut(Row) -> Result<(), E>,
    /// What `take` gave, which JSON's own errors cannot carry.
    refused: &'t mut Option<E>,
    rows: PhantomData<Row>,
}

impl<'de, E> Visitor<'de> for List<'_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        while let Some(object) = list.next_element::<Object>()? {
            if let Err(error) = (self.take)(object.0) {
                *self.refused = Some(error);
                return Err(de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

fn of_value(value: Value) -> Field {
    match value {
        Value::Null => Field::Null,
        Value::Bool(value) => Field::Boolean(value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Field::Integer(value),
            // Above 64 bits a number would lose digits.
            (None, Some(value)) if number.is_f64() => Field::Real(value),
            _ => Field::Text(number.to_string()),
        },
        Value::String(text) => Field::Text(text),
        list @ (Value::Array(_) | Value::Object(_)) => Field::Json(list.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, as_lines: bool) -> Result<Vec<Row>, FileError> {
        let mut all = Vec::new();
        let mut take = |row| {
            all.push(row);
            Ok::<(), FileError>(())
        };
        if as_lines {
            lines(text.as_bytes(), &mut take)?
        } else {
            list(text.as_bytes(), &mut take)?
        }
        Ok(all)
    }

    #[test]
    fn names_keep_their_order_and_values_their_type() {
        let text =
            r#"[{"z": 1, "a": null, "m": 0.5, "l": [1, {"x": 2}], "big": 18446744073709551615, "z": true}]"#;
        let expected: Row = vec![
            ("z".to_owned(), Field::Boolean(true)),
            ("a".to_owned(), Field::Null),
            ("m".to_owned(), Field::Real(0.5)),
            ("l".to_owned(), Field::Json(r#"[1,{"x":2}]"#.to_owned())),
            ("big".to_owned(), Field::Text("18446744073709551615".to_owned())),
        ];
        assert_eq!(rows(text, false).expect("it is JSON"), [expected]);
        assert_eq!(rows("{\"a\": 1}\n\n{\"b\": 2}\r\n", true).expect("lines").len(), 2);
    }

    #[test]
    fn what_is_no_row_is_named_with_its_line() {
        let check = |text: &str, as_lines: bool, expected: &str| {
            assert_eq!(rows(text, as_lines).expect_err(text).to_string(), expected);
        };
        check("[{\"a\": 1},\n 5]", false, "line 2: an object is needed, one for each row");
        check("{\"a\": 1}", false, "line 1: an object is needed, one for each row");
        check("{\"a\": 1}\n[1]\n", true, "line 2: an object is needed, one for each row");
        check("[{\"a\": 1},\n nonsense]", false, "line 2: no JSON: expected ident");
        check("{\"a\": 1\n", true, "line 1: no JSON: EOF while parsing an object");
    }
}
