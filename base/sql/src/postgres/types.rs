//! The types of PostgreSQL whose binary form is known here: their numbers, their names, what they are.

/// What a value of a type is, and so how its bytes are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytea,
    Date,
    Time,
    Timetz,
    Timestamp,
    Timestamptz,
    Interval,
    Uuid,
    Json,
    Jsonb,
}

/// One type: its number, the number of its arrays, its name, what it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) oid: u32,
    pub(crate) array_oid: u32,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// Numbers are PostgreSQL's own, fixed in `pg_type.dat` since these types exist.
const TYPES: &[Type] = &[
    Type { oid: 16, array_oid: 1000, name: "bool", kind: Kind::Bool },
    Type { oid: 17, array_oid: 1001, name: "bytea", kind: Kind::Bytea },
    Type { oid: 19, array_oid: 1003, name: "name", kind: Kind::Text },
    Type { oid: 20, array_oid: 1016, name: "int8", kind: Kind::Int8 },
    Type { oid: 21, array_oid: 1005, name: "int2", kind: Kind::Int2 },
    Type { oid: 23, array_oid: 1007, name: "int4", kind: Kind::Int4 },
    Type { oid: 25, array_oid: 1009, name: "text", kind: Kind::Text },
    Type { oid: 26, array_oid: 1028, name: "oid", kind: Kind::Oid },
    Type { oid: 114, array_oid: 199, name: "json", kind: Kind::Json },
    Type { oid: 700, array_oid: 1021, name: "float4", kind: Kind::Float4 },
    Type { oid: 701, array_oid: 1022, name: "float8", kind: Kind::Float8 },
    Type { oid: 705, array_oid: 0, name: "unknown", kind: Kind::Text },
    Type { oid: 1042, array_oid: 1014, name: "bpchar", kind: Kind::Text },
    Type { oid: 1043, array_oid: 1015, name: "varchar", kind: Kind::Text },
    Type { oid: 1082, array_oid: 1182, name: "date", kind: Kind::Date },
    Type { oid: 1083, array_oid: 1183, name: "time", kind: Kind::Time },
    Type { oid: 1114, array_oid: 1115, name: "timestamp", kind: Kind::Timestamp },
    Type { oid: 1184, array_oid: 1185, name: "timestamptz", kind: Kind::Timestamptz },
    Type { oid: 1186, array_oid: 1187, name: "interval", kind: Kind::Interval },
    Type { oid: 1266, array_oid: 1270, name: "timetz", kind: Kind::Timetz },
    Type { oid: 1700, array_oid: 1231, name: "numeric", kind: Kind::Numeric },
    Type { oid: 2950, array_oid: 2951, name: "uuid", kind: Kind::Uuid },
    Type { oid: 3802, array_oid: 3807, name: "jsonb", kind: Kind::Jsonb },
];

/// What is known about a type by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// One value.
    Scalar(&'static Type),
    /// An array of such values, of any number of dimensions.
    Array(&'static Type),
    /// Nothing: its values are asked for, and sent, in text.
    Nothing,
}

impl Known {
    /// Looks the number up.
    ///
    /// Cost: a walk over some twenty lines, at preparation of a statement alone.
    pub(crate) fn by_oid(oid: u32) -> Known {
        for known in TYPES {
            if known.oid == oid {
                return Known::Scalar(known);
            }
            if known.array_oid == oid && oid != 0 {
                return Known::Array(known);
            }
        }
        Known::Nothing
    }

    /// The kind of the values, or of the elements of an array.
    pub(crate) fn kind(self) -> Option<Kind> {
        match self {
            Known::Scalar(known) | Known::Array(known) => Some(known.kind),
            Known::Nothing => None,
        }
    }

    /// The name of the type whose number is `oid`.
    pub(crate) fn name(self, oid: u32) -> String {
        match self {
            Known::Scalar(known) => known.name.to_owned(),
            Known::Array(known) => format!("{}[]", known.name),
            Known::Nothing => format!("type {oid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, TYPES};

    #[test]
    fn no_number_means_two_types() {
        let mut numbers: Vec<u32> = TYPES.iter().flat_map(|one| [one.oid, one.array_oid]).collect();
        numbers.retain(|&number| number != 0);
        numbers.sort_unstable();
        let count = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
        assert_eq!(Known::by_oid(0), Known::Nothing);
    }
}
