//! The types of columns: what is known of each, and what it is called.

use super::error::MySqlError;
use super::message::Fields;

/// The number of the character set that stands for bytes.
const BINARY: u16 = 63;
/// Bits that a description of a column has.
const UNSIGNED: u16 = 32;
const ENUM: u16 = 256;
const SET: u16 = 2048;

/// How a value of a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Int1,
    Int2,
    /// Three bytes in the table, four on the way.
    Int4,
    Int8,
    Float,
    Double,
    Decimal,
    Year,
    Date,
    Time,
    /// DATETIME and TIMESTAMP, which differ only in the table.
    Moment,
    Text,
    Json,
    Uuid,
    Bytes,
}

/// What is known of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) kind: Kind,
    pub(crate) unsigned: bool,
}

/// A column as the server describes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) known: Known,
}

/// Reads the description of a column. `extended`: with what MariaDB says beyond MySQL.
pub(crate) fn definition(body: &[u8], extended: bool) -> Result<Definition, MySqlError> {
    let mut fields = Fields(body);
    // Catalogue, database, table and the table's own name.
    for _ in 0..4 {
        fields.sized()?;
    }
    let name = fields.text()?;
    fields.sized()?;
    let extension = if extended { extension(fields.sized()?)? } else { None };
    // The length of what follows, which is known.
    fields.number()?;
    let charset = fields.u16()?;
    let length = fields.u32()?;
    let code = fields.u8()?;
    let flags = fields.u16()?;
    let mut known = Known { kind: kind(code, charset)?, unsigned: flags & UNSIGNED != 0 };
    let type_name = match extension {
        Some(extension) => {
            match extension {
                "json" if known.kind == Kind::Text => known.kind = Kind::Json,
                "uuid" if known.kind == Kind::Text => known.kind = Kind::Uuid,
                _ => {}
            }
            extension.to_owned()
        }
        None => type_name(code, charset, length, flags),
    };
    Ok(Definition { name, type_name, known })
}

/// What MariaDB calls a type (`uuid`, `inet6`, `point`) or a form of text (`json`); the last of them.
fn extension(bytes: &[u8]) -> Result<Option<&str>, MySqlError> {
    let mut fields = Fields(bytes);
    let mut found = None;
    while !fields.0.is_empty() {
        fields.u8()?;
        let name = fields.sized()?;
        found = std::str::from_utf8(name).ok().filter(|name| name.len() <= 64);
    }
    Ok(found)
}

fn kind(code: u8, charset: u16) -> Result<Kind, MySqlError> {
    Ok(match code {
        6 => Kind::Null,
        1 => Kind::Int1,
        2 => Kind::Int2,
        3 | 9 => Kind::Int4,
        8 => Kind::Int8,
        4 => Kind::Float,
        5 => Kind::Double,
        0 | 246 => Kind::Decimal,
        13 => Kind::Year,
        10 | 14 => Kind::Date,
        11 | 19 => Kind::Time,
        7 | 12 | 17 | 18 => Kind::Moment,
        245 => Kind::Json,
        // BIT, and GEOMETRY in the server's own form.
        16 | 255 => Kind::Bytes,
        15 | 247..=254 if charset == BINARY => Kind::Bytes,
        15 | 247..=254 => Kind::Text,
        _ => return Err(MySqlError::Protocol { what: "a column of an unknown type" }),
    })
}

fn type_name(code: u8, charset: u16, length: u32, flags: u16) -> String {
    let binary = charset == BINARY;
    let name = match code {
        // What MySQL calls BOOLEAN.
        1 if length == 1 => "tinyint(1)",
        1 => "tinyint",
        2 => "smallint",
        3 => "int",
        9 => "mediumint",
        8 => "bigint",
        4 => "float",
        5 => "double",
        6 => "null",
        0 | 246 => "decimal",
        7 | 17 => "timestamp",
        10 | 14 => "date",
        11 | 19 => "time",
        12 | 18 => "datetime",
        13 => "year",
        16 => "bit",
        245 => "json",
        255 => "geometry",
        247 => "enum",
        248 => "set",
        _ if flags & ENUM != 0 => "enum",
        _ if flags & SET != 0 => "set",
        254 if binary => "binary",
        254 => "char",
        249..=252 if binary => "blob",
        249..=252 => "text",
        _ if binary => "varbinary",
        _ => "varchar",
    };
    let unsigned = flags & UNSIGNED != 0 && matches!(code, 0..=5 | 8 | 9 | 246);
    if unsigned { format!("{name} unsigned") } else { name.to_owned() }
}
