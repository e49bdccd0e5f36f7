//! Every type there and back, in binary and in text, with what lies at its ends.

use naja_sql::mysql::Connection;
use naja_sql::{Table, Value};

use super::{connect, rows, table, value};

fn decimal(digits: &str) -> Value<'_> {
    Value::Decimal(digits.into())
}

fn bytes(bytes: &[u8]) -> Value<'_> {
    Value::Bytes(bytes.into())
}

fn day(year: i32, month: u8, day: u8) -> Value<'static> {
    Value::Date { year, month, day }
}

fn moment(microseconds: i64) -> Value<'static> {
    Value::Moment { microseconds, offset_s: None }
}

fn stretch(microseconds: i64) -> Value<'static> {
    Value::Interval { months: 0, days: 0, microseconds }
}

/// The types as they are declared and as they are called, each with values that it holds and the literals that mean them.
#[expect(clippy::type_complexity, reason = "a table")]
fn examples() -> Vec<(&'static str, &'static str, Vec<(Value<'static>, &'static str)>)> {
    let hour = 3_600_000_000i64;
    vec![
        ("TINYINT", "tinyint", vec![((-128).into(), "-128"), (127.into(), "127"), (0.into(), "0")]),
        ("BOOLEAN", "tinyint(1)", vec![(1.into(), "TRUE"), (0.into(), "FALSE")]),
        ("TINYINT UNSIGNED", "tinyint unsigned", vec![(255.into(), "255")]),
        ("SMALLINT", "smallint", vec![((-32_768).into(), "-32768"), (32_767.into(), "32767")]),
        ("SMALLINT UNSIGNED", "smallint unsigned", vec![(65_535.into(), "65535")]),
        ("MEDIUMINT", "mediumint", vec![((-8_388_608).into(), "-8388608"), (8_388_607.into(), "8388607")]),
        ("MEDIUMINT UNSIGNED", "mediumint unsigned", vec![(16_777_215.into(), "16777215")]),
        ("INT", "int", vec![((-2_147_483_648).into(), "-2147483648"), (2_147_483_647.into(), "2147483647")]),
        ("INT UNSIGNED", "int unsigned", vec![(4_294_967_295.into(), "4294967295")]),
        (
            "BIGINT",
            "bigint",
            vec![(i64::MIN.into(), "-9223372036854775808"), (i64::MAX.into(), "9223372036854775807")],
        ),
        (
            "BIGINT UNSIGNED",
            "bigint unsigned",
            vec![
                (i64::MAX.into(), "9223372036854775807"),
                (decimal("9223372036854775808"), "9223372036854775808"),
                (decimal("18446744073709551615"), "18446744073709551615"),
            ],
        ),
        ("FLOAT", "float", vec![(0.1.into(), "0.1"), ((-1.5).into(), "-1.5"), (0.0.into(), "0")]),
        (
            "DOUBLE",
            "double",
            vec![(0.1.into(), "0.1"), (f64::MAX.into(), "1.7976931348623157e308"), (5e-300.into(), "5e-300")],
        ),
        (
            "DECIMAL(65,30)",
            "decimal",
            vec![
                (decimal("0.000000000000000000000000000000"), "0"),
                (decimal("-12.500000000000000000000000000000"), "-12.5"),
                (
                    decimal("99999999999999999999999999999999999.999999999999999999999999999999"),
                    "99999999999999999999999999999999999.999999999999999999999999999999",
                ),
            ],
        ),
        ("DECIMAL(5,2) UNSIGNED", "decimal unsigned", vec![(decimal("1.50"), "1.5")]),
        ("YEAR", "year", vec![(1901.into(), "1901"), (2155.into(), "2155"), (0.into(), "0")]),
        (
            "DATE",
            "date",
            vec![
                (day(1970, 1, 1), "'1970-01-01'"),
                (day(2024, 2, 29), "'2024-02-29'"),
                (day(1, 1, 1), "'0001-01-01'"),
                (day(9999, 12, 31), "'9999-12-31'"),
            ],
        ),
        (
            "DATETIME(6)",
            "datetime",
            vec![
                (moment(0), "'1970-01-01 00:00:00'"),
                (moment(-1), "'1969-12-31 23:59:59.999999'"),
                (moment(1_709_209_800_000_001), "'2024-02-29 12:30:00.000001'"),
                (moment(1_709_209_800_000_000), "'2024-02-29 12:30:00'"),
                (moment(253_402_300_799_999_999), "'9999-12-31 23:59:59.999999'"),
            ],
        ),
        ("DATETIME", "datetime", vec![(moment(1_709_209_800_000_000), "'2024-02-29 12:30:00'")]),
        (
            "TIMESTAMP(6) NULL",
            "timestamp",
            vec![
                (moment(1_000_000), "'1970-01-01 00:00:01'"),
                (moment(1_709_209_800_000_001), "'2024-02-29 12:30:00.000001'"),
            ],
        ),
        (
            "TIME(6)",
            "time",
            vec![
                (stretch(0), "'00:00:00'"),
                (stretch(-1), "'-00:00:00.000001'"),
                (stretch(24 * hour), "'24:00:00'"),
                (stretch(839 * hour - 1), "'838:59:59.999999'"),
                (stretch(1 - 839 * hour), "'-838:59:59.999999'"),
                (stretch(-25 * hour - 1_500_000), "'-25:00:01.5'"),
            ],
        ),
        ("TIME", "time", vec![(stretch(12 * hour + 60_000_000), "'12:01:00'")]),
        ("BIT(12)", "bit", vec![(bytes(b"\x0a\xbc"), "b'101010111100'"), (bytes(b"\0\0"), "0")]),
        (
            "VARCHAR(100)",
            "varchar",
            vec![("".into(), "''"), ("naïve 蛇 🐍 \\ \" ' \t\n{}".into(), "'naïve 蛇 🐍 \\\\ \" '' \t\n{}'")],
        ),
        ("CHAR(5)", "char", vec![("abc".into(), "'abc'")]),
        ("VARCHAR(20) CHARACTER SET latin1", "varchar", vec![("naïve €".into(), "'naïve €'")]),
        ("TEXT", "text", vec![("a\0b".into(), "'a\\0b'")]),
        ("TINYTEXT", "text", vec![("x".into(), "'x'")]),
        ("LONGTEXT", "text", vec![("x".into(), "'x'")]),
        ("VARBINARY(9)", "varbinary", vec![(bytes(b""), "''"), (bytes(b"\0\xff\\'"), "x'00ff5c27'")]),
        ("BINARY(3)", "binary", vec![(bytes(b"a\0\0"), "x'610000'")]),
        ("BLOB", "blob", vec![(bytes(b"\0\xff\xfe"), "x'00fffe'")]),
        ("LONGBLOB", "blob", vec![(bytes(b"x"), "'x'")]),
        ("ENUM('small', 'grün')", "enum", vec![("small".into(), "'small'"), ("grün".into(), "'grün'")]),
        ("SET('a', 'b', 'c')", "set", vec![("a,c".into(), "'c,a'"), ("".into(), "''")]),
        (
            "JSON",
            "json",
            vec![(
                Value::Json("{\"b\": 1,  \"a\": [null, \"ü\"]}".into()),
                "'{\"b\": 1,  \"a\": [null, \"ü\"]}'",
            )],
        ),
        (
            "UUID",
            "uuid",
            vec![(
                Value::Uuid([
                    0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40,
                    0xff,
                ]),
                "'123e4567-e89b-12d3-a456-4266141740ff'",
            )],
        ),
        ("INET6", "inet6", vec![("2001:db8::ff00:42:8329".into(), "'2001:db8::ff00:42:8329'")]),
        (
            "POINT",
            "point",
            vec![(
                bytes(b"\0\0\0\0\x01\x01\0\0\0\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40"),
                "PointFromText('POINT(1 2)')",
            )],
        ),
    ]
}

#[test]
fn every_value_comes_back_in_binary_and_in_text() {
    let Some(mut connection) = connect() else { return };
    for (number, (declared, name, values)) in examples().into_iter().enumerate() {
        let made =
            format!("CREATE TABLE typed_{number} (id INT PRIMARY KEY, v {declared}) CHARACTER SET utf8mb4");
        connection.script(&made).unwrap();
        for (index, (expected, literal)) in values.iter().enumerate() {
            let id = index as i64;
            connection.script(&format!("INSERT INTO typed_{number} VALUES ({}, {literal})", 2 * id)).unwrap();
            let insert = format!("INSERT INTO typed_{number} VALUES (?, ?)");
            connection
                .execute(&insert, &[(2 * id + 1).into(), expected.clone()], &mut naja_sql::NoRows)
                .unwrap_or_else(|error| panic!("{declared}: {expected:?}: {error}"));
            let select = format!("SELECT v FROM typed_{number} WHERE id DIV 2 = {id} ORDER BY id");
            let read = table(&mut connection, &select, &[]);
            assert_eq!(read.columns[0].type_name, name, "{declared}");
            assert_eq!(read.rows, [[expected.clone()], [expected.clone()]], "{declared} {literal}");
            let mut in_text = Table::default();
            connection.run_text(&select, &mut in_text).unwrap();
            assert_eq!((in_text.columns, in_text.rows), (read.columns, read.rows), "{declared} {literal}");
        }
        let insert = format!("INSERT INTO typed_{number} VALUES (-1, ?)");
        connection.execute(&insert, &[Value::Null], &mut naja_sql::NoRows).unwrap();
        assert_eq!(
            value(&mut connection, &format!("SELECT v FROM typed_{number} WHERE id < 0"), &[]),
            Value::Null
        );
    }
}

#[test]
fn rows_of_many_columns_have_their_nulls_where_they_were() {
    let Some(mut connection) = connect() else { return };
    for count in [1usize, 6, 7, 8, 9, 14, 15, 16, 300] {
        let given: Vec<Value<'_>> = (0..count)
            .map(|place| if place % 3 == 1 { Value::Null } else { Value::Integer(place as i64) })
            .collect();
        let sql = format!("SELECT {}", vec!["?"; count].join(", "));
        assert_eq!(rows(&mut connection, &sql, &given), [given]);
    }
}

#[test]
fn a_parameter_is_what_it_is_given_as() {
    let Some(mut connection) = connect() else { return };
    let mut back = |given: Value<'static>| value(&mut connection, "SELECT ?", &[given]);
    assert_eq!(back(true.into()), 1.into());
    assert_eq!(back(i64::MIN.into()), i64::MIN.into());
    assert_eq!(back("x".into()), "x".into());
    assert_eq!(back(bytes(b"\xff")), bytes(b"\xff"));
    assert_eq!(back(decimal("-1.50")), decimal("-1.50"));
    assert_eq!(back(0.5.into()), 0.5.into());
    assert_eq!(back(Value::Null), Value::Null);
    assert_eq!(back(day(2024, 2, 29)), day(2024, 2, 29));
    // What its clock shows: there is no type with a time zone.
    let zoned = Value::Moment { microseconds: 1_500_000, offset_s: Some(3600) };
    assert_eq!(back(zoned), moment(1_500_000));
    let time = Value::Time { hour: 23, minute: 59, second: 59, microsecond: 1, offset_s: None };
    assert_eq!(back(time), stretch(86_399_000_001));
}

#[test]
fn a_number_beyond_what_is_signed_goes_as_such() {
    let Some(mut connection) = connect() else { return };
    connection
        .start("SELECT ?, ? = 18446744073709551615", &mut |sink| {
            sink.unsigned(u64::MAX);
            sink.unsigned(u64::MAX);
        })
        .unwrap();
    let mut table = Table::default();
    connection.step(&mut table, u64::MAX).unwrap();
    assert_eq!(table.rows, [[decimal("18446744073709551615"), 1.into()]]);
}

#[test]
fn days_that_no_calendar_has_are_text() {
    let Some(mut connection) = connect() else { return };
    connection
        .script("SET sql_mode = 'ALLOW_INVALID_DATES'; CREATE TABLE odd (id INT, d DATE, m DATETIME(3))")
        .unwrap();
    for (id, literal) in ["0000-00-00", "2024-00-00", "2023-02-31"].iter().enumerate() {
        connection
            .script(&format!("INSERT INTO odd VALUES ({id}, '{literal}', '{literal} 01:02:03.5')"))
            .unwrap();
    }
    connection.script("INSERT INTO odd VALUES (3, 0, 0)").unwrap();
    let sql = "SELECT d, m FROM odd ORDER BY id";
    let read = rows(&mut connection, sql, &[]);
    let text = |text: &'static str| Value::Text(text.into());
    let zero = [text("0000-00-00"), text("0000-00-00 00:00:00")];
    assert_eq!(
        read[1..],
        [
            [text("2024-00-00"), text("2024-00-00 01:02:03.500000")],
            [text("2023-02-31"), text("2023-02-31 01:02:03.500000")],
            zero.clone(),
        ]
    );
    assert_eq!(read[0][0], zero[0]);
    let mut in_text = Table::default();
    connection.run_text(sql, &mut in_text).unwrap();
    assert_eq!(in_text.rows, read);
}

#[test]
fn large_values_go_in_several_packets() {
    let Some(mut connection) = connect() else { return };
    // Around one packet and two of 16 MiB less one byte, with what stands before the value.
    for size in [0xff_ffff - 40, 0xff_ffff - 10, 0xff_ffff, 2 * 0xff_ffff - 30, 40_000_000] {
        for size in size - 3..size + 3 {
            check_size(&mut connection, size);
        }
    }
}

fn check_size(connection: &mut Connection, size: usize) {
    let long: Vec<u8> = (0..size).map(|place| (place % 251) as u8).collect();
    let read = rows(connection, "SELECT ?, 'after'", &[bytes(&long)]);
    let [row] = &read[..] else { panic!("one row") };
    assert!(row[0] == bytes(&long), "{size} bytes come back");
    assert_eq!(row[1], "after".into());
}
