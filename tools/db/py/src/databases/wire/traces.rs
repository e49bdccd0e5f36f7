//! Whether a statement may leave something in a session of PostgreSQL that the next one to use it would find.
//!
//! Settings, locks that outlive the transaction, cursors, channels that are listened to: these are what a pool sets back.
//! Setting back costs the server four statements; so it is not asked to where a text shows that nothing was set.

use super::super::plan::after_comments;

/// Statements that set nothing by themselves.
const VERBS: &[&str] = &[
    "alter",
    "analyze",
    "begin",
    "comment",
    "commit",
    "create",
    "delete",
    "drop",
    "end",
    "explain",
    "grant",
    "insert",
    "lock",
    "merge",
    "refresh",
    "reindex",
    "release",
    "revoke",
    "rollback",
    "savepoint",
    "select",
    "start",
    "table",
    "truncate",
    "update",
    "vacuum",
    "values",
    "with",
];

/// Words before a `(` that call nothing, or something that sets nothing. Any other may be a function of the user's.
const WORDS: &[&str] = &[
    "abs",
    "age",
    "all",
    "and",
    "any",
    "array",
    "array_agg",
    "array_length",
    "array_to_string",
    "as",
    "avg",
    "between",
    "bigint",
    "bit",
    "bool_and",
    "bool_or",
    "btrim",
    "by",
    "cardinality",
    "case",
    "cast",
    "ceil",
    "ceiling",
    "char",
    "char_length",
    "character",
    "check",
    "clock_timestamp",
    "coalesce",
    "concat",
    "concat_ws",
    "conflict",
    "count",
    "cube",
    "current_timestamp",
    "date_part",
    "date_trunc",
    "decimal",
    "dense_rank",
    "distinct",
    "else",
    "except",
    "exists",
    "exp",
    "extract",
    "filter",
    "first_value",
    "float",
    "floor",
    "for",
    "from",
    "generate_series",
    "greatest",
    "group",
    "having",
    "in",
    "initcap",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "json_agg",
    "json_array_elements",
    "json_build_array",
    "json_build_object",
    "jsonb_agg",
    "jsonb_array_elements",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_set",
    "key",
    "lag",
    "last_value",
    "lastval",
    "lateral",
    "lead",
    "least",
    "left",
    "length",
    "like",
    "limit",
    "ln",
    "log",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "materialized",
    "max",
    "md5",
    "min",
    "mod",
    "nextval",
    "not",
    "now",
    "ntile",
    "nullif",
    "numeric",
    "octet_length",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "over",
    "overlay",
    "partition",
    "pg_sleep",
    "position",
    "power",
    "random",
    "rank",
    "regexp_replace",
    "repeat",
    "replace",
    "returning",
    "reverse",
    "right",
    "rollup",
    "round",
    "row",
    "row_number",
    "row_to_json",
    "rpad",
    "rtrim",
    "select",
    "set",
    "sets",
    "sign",
    "some",
    "split_part",
    "sqrt",
    "string_agg",
    "strpos",
    "substr",
    "substring",
    "sum",
    "then",
    "time",
    "timestamp",
    "timestamptz",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "translate",
    "trim",
    "trunc",
    "union",
    "unique",
    "unnest",
    "upper",
    "using",
    "values",
    "varchar",
    "varying",
    "when",
    "where",
    "with",
    "zone",
];

/// True where the text shows that a session is the same after it.
///
/// Triggers, views and operators may call functions that set something; that is not seen here.
pub(in crate::databases) fn is_traceless(sql: &str) -> bool {
    let start = after_comments(sql);
    let first = word_at(start);
    // A backslash may keep a quote from ending a text.
    if !is_one_of(first, VERBS) || sql.contains('\\') {
        return false;
    }
    let (mut rest, mut word, mut before, mut is_qualified) = (start, "", "", false);
    let mut is_after_point = false;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            // A name in quotes is nobody's that is known.
            '"' => {
                let length = rest[1..].find('"').map_or(rest.len(), |end| end + 2);
                (before, word) = (word, &rest[..length]);
                length
            }
            // What comes in other quotes or in comments is not looked into, so that it shows nothing.
            '$' if !rest[1..].starts_with(|next: char| next.is_ascii_digit()) => return false,
            '-' if rest.starts_with("--") => return false,
            '/' if rest.starts_with("/*") => return false,
            // Another statement.
            ';' if !rest[1..].trim().is_empty() => return false,
            '(' => {
                let is_target = is_one_of(before, &["into", "table", "references", "as"]);
                // A function of a schema is the user's, whatever its name.
                if !word.is_empty() && !is_target && (is_qualified || !is_one_of(word, WORDS)) {
                    return false;
                }
                (before, word, is_qualified) = ("", "", false);
                1
            }
            letter if is_in_word(letter) => {
                let found = word_at(rest);
                is_qualified = is_after_point;
                (before, word) = (word, found);
                found.len()
            }
            // `schema.name` is one name.
            '.' => {
                word = before;
                1
            }
            letter if letter.is_whitespace() => letter.len_utf8(),
            letter => {
                (before, word) = ("", "");
                letter.len_utf8()
            }
        };
        is_after_point = letter == '.';
        rest = &rest[length..];
    }
    true
}

fn is_in_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn word_at(text: &str) -> &str {
    &text[..text.find(|letter: char| !is_in_word(letter)).unwrap_or(text.len())]
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|one| one.eq_ignore_ascii_case(word))
}
