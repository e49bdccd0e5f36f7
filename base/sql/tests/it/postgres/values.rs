//! Every type there and back, in binary and in text, with what lies at its ends.

use naja_sql::postgres::Connection;
use naja_sql::{Table, Value};

use super::{connect, rows, table, value};

fn decimal(digits: &str) -> Value<'_> {
    Value::Decimal(digits.into())
}

fn json(text: &str) -> Value<'_> {
    Value::Json(text.into())
}

fn bytes(bytes: &[u8]) -> Value<'_> {
    Value::Bytes(bytes.into())
}

fn day(year: i32, month: u8, day: u8) -> Value<'static> {
    Value::Date { year, month, day }
}

fn moment(microseconds: i64, offset_s: Option<i32>) -> Value<'static> {
    Value::Moment { microseconds, offset_s }
}

fn time(hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>) -> Value<'static> {
    Value::Time { hour, minute, second, microsecond, offset_s }
}

fn array(elements: &[Value<'static>]) -> Value<'static> {
    Value::Array(elements.to_vec())
}

const INFINITY: Value<'_> = Value::Infinite { positive: true };
const MINUS_INFINITY: Value<'_> = Value::Infinite { positive: false };

/// The types, each with values that it holds and the literals that mean them.
fn examples() -> Vec<(&'static str, Vec<(Value<'static>, &'static str)>)> {
    let interval = |months, days, microseconds| Value::Interval { months, days, microseconds };
    vec![
        ("bool", vec![(true.into(), "true"), (false.into(), "false")]),
        ("int2", vec![((-32_768).into(), "-32768"), (32_767.into(), "32767"), (0.into(), "0")]),
        (
            "int4",
            vec![(i64::from(i32::MIN).into(), "-2147483648"), (i64::from(i32::MAX).into(), "2147483647")],
        ),
        ("int8", vec![(i64::MIN.into(), "-9223372036854775808"), (i64::MAX.into(), "9223372036854775807")]),
        ("oid", vec![(0.into(), "0"), (4_294_967_295.into(), "4294967295")]),
        (
            "float4",
            vec![
                (0.1.into(), "0.1"),
                ((-1.5).into(), "-1.5"),
                (f64::INFINITY.into(), "Infinity"),
                (f64::NEG_INFINITY.into(), "-Infinity"),
            ],
        ),
        (
            "float8",
            vec![
                (0.1.into(), "0.1"),
                (f64::MAX.into(), "1.7976931348623157e308"),
                (5e-324.into(), "5e-324"),
                (f64::INFINITY.into(), "Infinity"),
                (f64::NEG_INFINITY.into(), "-Infinity"),
            ],
        ),
        (
            "numeric",
            [
                "0",
                "0.00",
                "-12.50",
                "1",
                "10000",
                "100000000",
                "0.0001",
                "0.00000001",
                "-0.000000000000000001",
            ]
            .into_iter()
            .chain(["123456789012345678901234567890.123456789", "9999.9999", "NaN", "Infinity", "-Infinity"])
            .map(|digits| (decimal(digits), digits))
            .collect(),
        ),
        (
            "text",
            vec![
                ("".into(), ""),
                ("a".into(), "a"),
                ("naïve 蛇 🐍 \\ \" ' \t\n{}".into(), "naïve 蛇 🐍 \\ \" ' \t\n{}"),
            ],
        ),
        ("varchar(5)", vec![("abcde".into(), "abcde")]),
        ("bpchar(3)", vec![("ab ".into(), "ab")]),
        ("name", vec![("pg_class".into(), "pg_class")]),
        ("bytea", vec![(bytes(b""), "\\x"), (bytes(b"\0\xff\\'"), "\\x00ff5c27")]),
        (
            "date",
            vec![
                (day(1970, 1, 1), "1970-01-01"),
                (day(2024, 2, 29), "2024-02-29"),
                (day(0, 12, 31), "0001-12-31 BC"),
                (day(-4712, 1, 1), "4713-01-01 BC"),
                (day(5_874_897, 12, 31), "5874897-12-31"),
                (INFINITY, "infinity"),
                (MINUS_INFINITY, "-infinity"),
            ],
        ),
        (
            "time",
            vec![
                (time(0, 0, 0, 0, None), "00:00"),
                (time(23, 59, 59, 999_999, None), "23:59:59.999999"),
                (time(24, 0, 0, 0, None), "24:00"),
            ],
        ),
        (
            "timetz",
            vec![
                (time(12, 30, 0, 1, Some(7_200)), "12:30:00.000001+02"),
                (time(0, 0, 0, 0, Some(-57_599)), "00:00:00-15:59:59"),
            ],
        ),
        (
            "timestamp",
            vec![
                (moment(0, None), "1970-01-01 00:00:00"),
                (moment(-1, None), "1969-12-31 23:59:59.999999"),
                (moment(-62_167_219_200_000_000, None), "0001-01-01 00:00:00 BC"),
                (moment(-210_863_520_000_000_000, None), "4713-01-01 00:00:00 BC"),
                (moment(9_223_371_158_400_000_000, None), "294246-12-31 00:00:00"),
                (INFINITY, "infinity"),
                (MINUS_INFINITY, "-infinity"),
            ],
        ),
        (
            "timestamptz",
            vec![
                (moment(0, Some(0)), "1970-01-01 00:00:00+00"),
                (moment(1_709_209_800_000_001, Some(0)), "2024-02-29 14:30:00.000001+02"),
                (moment(-62_167_219_200_000_000, Some(0)), "0001-01-01 00:00:00+00 BC"),
                (INFINITY, "infinity"),
                (MINUS_INFINITY, "-infinity"),
            ],
        ),
        (
            "interval",
            vec![
                (interval(0, 0, 0), "0"),
                (interval(14, -3, 14_706_000_007), "1 year 2 mons -3 days 04:05:06.000007"),
                (interval(-i32::MAX, i32::MAX, -1), "-2147483647 mons 2147483647 days -00:00:00.000001"),
            ],
        ),
        (
            "uuid",
            vec![(
                Value::Uuid([
                    0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40,
                    0xff,
                ]),
                "123e4567-e89b-12d3-a456-4266141740ff",
            )],
        ),
        (
            "json",
            vec![
                (json("{\"b\": 1,  \"a\": [null, \"ü\"]}"), "{\"b\": 1,  \"a\": [null, \"ü\"]}"),
                (json("null"), "null"),
            ],
        ),
        ("jsonb", vec![(json("{\"a\": [null, \"ü\"], \"b\": 1}"), "{\"b\": 1, \"a\": [null, \"ü\"]}")]),
        (
            "int4[]",
            vec![
                (array(&[]), "{}"),
                (array(&[1.into(), Value::Null, 3.into()]), "{1,NULL,3}"),
                (array(&[array(&[1.into(), 2.into()]), array(&[3.into(), 4.into()])]), "{{1,2},{3,4}}"),
            ],
        ),
        (
            "text[]",
            vec![(
                array(&["".into(), "NULL".into(), "a\"b\\c,{}".into(), Value::Null]),
                r#"{"","NULL","a\"b\\c,{}",NULL}"#,
            )],
        ),
        ("bool[]", vec![(array(&[true.into(), false.into()]), "{t,f}")]),
        ("float8[]", vec![(array(&[0.5.into(), f64::INFINITY.into()]), "{0.5,Infinity}")]),
        ("numeric[]", vec![(array(&[decimal("1.50"), decimal("NaN")]), "{1.50,NaN}")]),
        ("bytea[]", vec![(array(&[bytes(b"\x01").into_owned()]), r#"{"\\x01"}"#)]),
        ("date[]", vec![(array(&[day(2024, 2, 29), INFINITY]), "{2024-02-29,infinity}")]),
        ("timestamptz[]", vec![(array(&[moment(0, Some(0))]), r#"{"1970-01-01 00:00:00+00"}"#)]),
        ("jsonb[]", vec![(array(&[json("[1]").into_owned()]), "{[1]}")]),
        ("uuid[]", vec![(array(&[Value::Uuid([7; 16])]), "{07070707-0707-0707-0707-070707070707}")]),
    ]
}

#[test]
fn every_type_comes_back_as_it_went() {
    let Some(mut connection) = connect() else { return };
    for (name, values) in examples() {
        for (expected, literal) in values {
            let sql = format!("SELECT $1::text::{name}");
            assert_eq!(value(&mut connection, &sql, &[literal.into()]), expected, "{name} from {literal}");
            let sql = format!("SELECT $1::{name}");
            assert_eq!(
                value(&mut connection, &sql, std::slice::from_ref(&expected)),
                expected,
                "{name} in binary"
            );
            // The server itself says that both are the same.
            let sql = format!("SELECT $1::{name}::text = $2::text::{name}::text");
            assert_eq!(
                value(&mut connection, &sql, &[expected.clone(), literal.into()]),
                true.into(),
                "{name} {literal}"
            );
        }
        assert_eq!(
            value(&mut connection, &format!("SELECT $1::{name}"), &[Value::Null]),
            Value::Null,
            "{name}"
        );
    }
}

#[test]
fn every_type_is_loaded_and_exported_as_it_is() {
    let Some(mut connection) = connect() else { return };
    for as_text in [false, true] {
        for (name, values) in examples() {
            connection
                .script(&format!("DROP TABLE IF EXISTS loaded; CREATE TABLE loaded (a {name}, b int)"))
                .unwrap();
            let mut given: Vec<Vec<Value<'_>>> =
                (1..).zip(values).map(|(number, (value, _))| vec![value, number.into()]).collect();
            given.push(vec![Value::Null, Value::Null]);
            let count = connection.copy_in(Some("public"), "loaded", &["a", "b"], as_text, &mut given.iter());
            assert_eq!(count.unwrap(), given.len() as u64, "{name}");
            let selected = table(&mut connection, "SELECT * FROM loaded", &[]);
            assert_eq!(selected.rows, given, "{name}, as text: {as_text}");
            let mut exported = Table::default();
            connection.copy_out("SELECT * FROM loaded; ", &mut exported).unwrap();
            assert_eq!(exported.rows, given, "{name}, as text: {as_text}");
            assert_eq!(exported.columns, selected.columns);
        }
    }
}

#[test]
fn not_a_number_comes_back_as_such() {
    let Some(mut connection) = connect() else { return };
    for name in ["float4", "float8"] {
        let Value::Real(nan) = value(&mut connection, &format!("SELECT $1::{name}"), &[f64::NAN.into()])
        else {
            panic!("{name} is no float")
        };
        assert!(nan.is_nan());
    }
}

#[test]
fn moments_beyond_the_64_bits_of_1970_come_in_text() {
    let Some(mut connection) = connect() else { return };
    let last = "294276-12-31 23:59:59.999999";
    assert_eq!(value(&mut connection, "SELECT $1::timestamp", &[last.into()]), last.into());
    assert_eq!(
        value(&mut connection, "SELECT $1::timestamptz", &[format!("{last}+00").as_str().into()]),
        format!("{last}+00:00").as_str().into()
    );
}

#[test]
fn types_that_are_not_known_come_and_go_in_text() {
    let Some(mut connection) = connect() else { return };
    connection
        .script(
            "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN posint AS int CHECK (value > 0);
             CREATE TYPE pair AS (a int, b text)",
        )
        .unwrap();
    let unknown = table(
        &mut connection,
        "SELECT $1::mood, $2::inet, $3::int4range, $4::pair, $5::money, $6::posint, $7::mood[], $8::bit(3), 'a'::\"char\"",
        &[
            "happy".into(),
            "10.0.0.1/8".into(),
            "[1,5)".into(),
            "(1,x)".into(),
            "1.50".into(),
            7.into(),
            array(&["sad".into(), "happy".into()]),
            "101".into(),
        ],
    );
    let texts = ["happy", "10.0.0.1/8", "[1,5)", "(1,x)", "$1.50"].map(Value::from);
    assert_eq!(unknown.rows[0][..5], texts);
    assert_eq!(unknown.rows[0][5], 7.into(), "a domain comes as what it is made of");
    assert_eq!(unknown.rows[0][6..], ["{sad,happy}", "101", "a"].map(Value::from));
    assert_eq!(unknown.columns[5].type_name, "int4");

    connection.script("CREATE TABLE moods (a mood, b posint)").unwrap();
    let given = [vec!["sad".into(), 1.into()], vec![Value::Null, 2.into()]];
    assert_eq!(connection.copy_in(None, "moods", &["a", "b"], false, &mut given.iter()).unwrap(), 2);
    let mut exported = Table::default();
    connection.copy_out("SELECT a, b, a FROM moods -- all of them", &mut exported).unwrap();
    assert_eq!(exported.rows, [["sad".into(), 1.into(), "sad".into()], [Value::Null, 2.into(), Value::Null]]);
}

/// Values of other kinds than the parameter's, where the meaning is plain.
#[test]
fn values_fit_parameters_of_other_types_where_the_meaning_is_plain() {
    let Some(mut connection) = connect() else { return };
    let mut check = |name: &str, given: Value<'_>, expected: &str| {
        let sql = format!("SELECT ($1::{name})::text");
        assert_eq!(
            value(&mut connection, &sql, std::slice::from_ref(&given)),
            expected.into(),
            "{given:?} as {name}"
        );
    };
    check("int4", true.into(), "1");
    check("int4", 3.0.into(), "3");
    check("int4", "12".into(), "12");
    check("int8", decimal("12"), "12");
    check("bool", 1.into(), "true");
    check("bool", "yes".into(), "true");
    check("float8", 3.into(), "3");
    check("float8", 9_007_199_254_740_993.into(), "9.007199254740992e+15");
    check("float8", decimal("1.25"), "1.25");
    check("numeric", 12.into(), "12");
    check("numeric", 0.1.into(), "0.1");
    check("numeric", 1e300.into(), &format!("1{}", "0".repeat(300)));
    check("numeric", decimal("1E+5"), "100000");
    check("numeric", decimal("12.5e-3"), "0.0125");
    check("numeric", decimal("+.5"), "0.5");
    check("text", 12.into(), "12");
    check("text", 0.1.into(), "0.1");
    check("text", true.into(), "true");
    check("text", day(0, 2, 29), "0001-02-29 BC");
    check("text", moment(1, Some(-5_400)), "1970-01-01 00:00:00.000001-01:30");
    check("text", Value::Uuid([1; 16]), "01010101-0101-0101-0101-010101010101");
    check("text", bytes(b"\x01\xff"), "\\x01ff");
    check("json", 12.into(), "12");
    check("jsonb", "[1]".into(), "[1]");
    check("date", moment(86_400_000_000, None), "1970-01-02");
    check("timestamp", day(1970, 1, 2), "1970-01-02 00:00:00");
    check("timestamp", moment(3_600_000_000, Some(7_200)), "1970-01-01 01:00:00");
    check("timestamptz", moment(3_600_000_000, Some(7_200)), "1969-12-31 23:00:00+00");
    check("time", time(1, 2, 3, 0, Some(60)), "01:02:03");
    check("interval", time(1, 2, 3, 0, None), "01:02:03");
    check(
        "interval",
        Value::Interval { months: 1, days: -1, microseconds: -1 },
        "1 mon -1 days -00:00:00.000001",
    );
    check("int4[]", "{1,2}".into(), "{1,2}");
    check("int4[]", array(&["1".into(), 2.into()]), "{1,2}");
    check("text[]", array(&[1.into(), true.into()]), "{1,true}");
}

#[test]
fn a_moment_without_a_zone_is_of_the_session_s() {
    let Some(mut connection) = connect() else { return };
    connection.script("SET TimeZone TO 'Asia/Kathmandu'; CREATE TEMP TABLE zoned (a timestamptz)").unwrap();
    let noon = moment(43_200_000_000, None);
    let utc = moment(43_200_000_000 - 19_800_000_000, Some(0));
    assert_eq!(value(&mut connection, "SELECT $1::timestamptz", std::slice::from_ref(&noon)), utc);
    let given = [vec![noon]];
    connection.copy_in(None, "zoned", &["a"], false, &mut given.iter()).unwrap();
    assert_eq!(rows(&mut connection, "SELECT a FROM zoned", &[]), [[utc]]);
}

#[test]
fn values_that_a_type_cannot_hold_are_named() {
    let Some(mut connection) = connect() else { return };
    let check = |connection: &mut Connection, name: &str, given: Value<'_>, expected: &str| {
        let error =
            connection.execute(&format!("SELECT $1::{name}"), &[given], &mut Table::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("parameter 1 of row 1: {expected}"));
        assert!(connection.is_usable());
    };
    check(&mut connection, "int2", 32_768.into(), "32768 is out of range for int2");
    check(&mut connection, "int4", (1 << 31).into(), "2147483648 is out of range for int4");
    check(&mut connection, "oid", (-1).into(), "-1 is out of range for oid");
    check(&mut connection, "float4", 1e39.into(), "1e39 is out of range for float4");
    check(
        &mut connection,
        "text",
        "a\0b".into(),
        "it holds a NUL character, which PostgreSQL cannot store in text",
    );
    check(&mut connection, "date", day(2023, 2, 29), "there is no day 2023-2-29");
    check(&mut connection, "date", day(i32::MAX, 1, 1), "the day is out of range for date");
    check(&mut connection, "time", time(24, 0, 1, 0, None), "there is no time 24:0:1");
    check(&mut connection, "numeric", decimal("1e200000"), "the number has more digits than numeric holds");
    let ragged = array(&[array(&[1.into()]), array(&[1.into(), 2.into()])]);
    check(&mut connection, "int4[]", ragged, "the rows of a nested array are not equally long");
    // Values of which only the server knows that they do not fit.
    for (name, given, sqlstate) in [
        ("int4", Value::from("twelve"), "22P02"),
        ("int4", 1.5.into(), "22P02"),
        ("date", "2023-02-29".into(), "22008"),
        ("json", "{".into(), "22P02"),
        ("uuid", "x".into(), "22P02"),
    ] {
        let error =
            connection.execute(&format!("SELECT $1::{name}"), &[given], &mut Table::default()).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate, "{error}");
        assert!(connection.is_usable());
    }
}

#[test]
fn text_that_is_not_utf_8_is_an_error_of_its_column() {
    let Some(mut connection) = connect() else { return };
    connection
        .script(
            "CREATE DATABASE no_encoding ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
        )
        .unwrap();
    let server = naja_testkit::PostgresServer::shared(super::cache()).unwrap();
    let mut other = super::open(&naja_sql::postgres::Options {
        database: "no_encoding".to_owned(),
        settings: vec![("client_encoding".to_owned(), "SQL_ASCII".to_owned())],
        ..super::superuser(server)
    });
    let error = other.execute("SELECT 1 AS one, chr(255) AS odd", &[], &mut Table::default()).unwrap_err();
    assert!(error.to_string().starts_with("column `odd` cannot be read: it is not UTF-8"), "{error}");
    assert_eq!(value(&mut other, "SELECT 1", &[]), 1.into());
}
