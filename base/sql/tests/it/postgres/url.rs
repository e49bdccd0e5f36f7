//! URLs and what they mean.

use std::time::Duration;

use naja_sql::postgres::{Address, ChannelBinding, Keepalive, Options, PostgresError, Secret, TlsMode};

fn read(url: &str) -> Result<Options, PostgresError> {
    let user = |name: &str| (name == "USER").then(|| "me".to_owned());
    Options::from_url(url, &user)
}

#[test]
fn a_url_says_what_libpq_reads_in_it() {
    let check = |url: &str, shown: &str| {
        assert_eq!(read(url).unwrap_or_else(|error| panic!("{url}: {error}")).to_string(), shown, "{url}");
    };
    check("postgresql://anna@db.example", "postgresql://anna@db.example:5432/anna");
    check("postgresql://anna:pw@db.example:6000/shop", "postgresql://anna:***@db.example:6000/shop");
    check("POSTGRES://db.example/shop", "postgresql://me@db.example:5432/shop");
    check("postgresql+asyncpg://anna@[::1]:6000/shop", "postgresql://anna@[::1]:6000/shop");
    check("postgresql://anna@[::1]/shop", "postgresql://anna@[::1]:5432/shop");
    check("postgresql://anna@%2Frun%2Fpg:6000/shop", "postgresql://anna@/shop?host=/run/pg&port=6000");
    check("postgresql://anna@/shop?host=/run/pg", "postgresql://anna@/shop?host=/run/pg&port=5432");
    check("postgresql://anna@here/shop?host=there", "postgresql://anna@there:5432/shop");
    check("postgresql://%61nna@db.example:/sh%20op", "postgresql://anna@db.example:5432/sh op");
    check("postgresql://anna:p@ss:w@db.example/shop", "postgresql://anna:***@db.example:5432/shop");
    check("postgresql://@db.example/?user=anna&dbname=shop", "postgresql://anna@db.example:5432/shop");
}

#[test]
fn options_of_a_url_are_all_read() {
    let options = read(
        "postgresql://anna@db.example/shop?sslmode=verify-full&sslrootcert=/ca.pem&channel_binding=require&\
         connect_timeout=5&statement_timeout=1500&answer_timeout=20000&keepalives_idle=60&keepalives_interval=10&\
         keepalives_count=3&tcp_user_timeout=2000&statement_cache=7&application_name=till&options=-c%20geqo%3Doff&\
         client_encoding=utf-8&gssencmode=disable&target_session_attrs=any",
    )
    .unwrap();
    let expected = Options {
        tls: TlsMode::VerifyFull,
        tls_files: vec![("sslrootcert".to_owned(), "/ca.pem".to_owned())],
        channel_binding: ChannelBinding::Require,
        connect_timeout: Some(Duration::from_secs(5)),
        statement_timeout: Some(Duration::from_millis(1_500)),
        answer_timeout: Some(Duration::from_secs(20)),
        keepalive: Some(Keepalive {
            idle: Some(Duration::from_secs(60)),
            interval: Some(Duration::from_secs(10)),
            count: Some(3),
        }),
        unacknowledged_timeout: Some(Duration::from_secs(2)),
        statement_cache: 7,
        application_name: "till".to_owned(),
        command_line: Some("-c geqo=off".to_owned()),
        ..Options::new(Address::Tcp { host: "db.example".to_owned(), port: 5432 }, "anna", "shop")
    };
    assert_eq!(options, expected);
    let options =
        read("postgresql://anna@db.example/shop?keepalives=0&connect_timeout=0&statement_timeout=0").unwrap();
    assert_eq!((options.keepalive, options.connect_timeout, options.statement_timeout), (None, None, None));
}

#[test]
fn variables_count_where_the_url_says_nothing() {
    let variables = |name: &str| {
        let value = match name {
            "PGHOST" => "db.example",
            "PGPORT" => "6000",
            "PGUSER" => "anna",
            "PGPASSWORD" => "pw",
            "PGDATABASE" => "shop",
            "PGSSLMODE" => "require",
            "PGCONNECT_TIMEOUT" => "3",
            "PGAPPNAME" => "",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let options = Options::from_url("postgresql://", &variables).unwrap();
    assert_eq!(options.to_string(), "postgresql://anna:***@db.example:6000/shop");
    assert_eq!((options.tls, options.connect_timeout), (TlsMode::Require, Some(Duration::from_secs(3))));
    assert_eq!(options.application_name, "naja");
    let options =
        Options::from_url("postgresql://bert:other@there:1/else?sslmode=disable", &variables).unwrap();
    assert_eq!(options.to_string(), "postgresql://bert:***@there:1/else");
    assert_eq!((options.tls, options.password), (TlsMode::Disable, Some(Secret::new("other"))));
    let wrong = |name: &str| (name == "PGPORT").then(|| "many".to_owned());
    let error = Options::from_url("postgresql://", &wrong).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot use the database's address: the port in PGPORT is no number between 1 and 65535"
    );
}

#[test]
fn a_wrong_url_is_explained() {
    let check = |url: &str, what: &str, hint: &str| match read(url) {
        Err(PostgresError::Options { what: said, hint: hinted }) => {
            assert_eq!(said, what, "{url}");
            assert!(hinted.as_deref().is_some_and(|hinted| hinted.contains(hint)), "{url}: {hinted:?}");
        }
        other => panic!("{url}: {other:?}"),
    };
    for url in ["", "shop", "mysql://anna@db.example/shop", "sqlite:///shop.db", "postgresql:/shop", "://"] {
        check(
            url,
            "a URL of PostgreSQL begins with `postgresql://`",
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        );
    }
    let port = "the port in the URL is no number between 1 and 65535";
    for url in ["postgresql://h:0", "postgresql://h:65536", "postgresql://h:x", "postgresql://h?port=-1"] {
        check(url, port, "%3A");
    }
    check(
        "postgresql://anna:p/w@db.example/shop",
        "a `/` in the user's name or in the password is not encoded",
        "%2F",
    );
    check("postgresql://anna:%zz@h", "the password in the URL is not percent-encoded as it should be", "%25");
    check("postgresql://an%na@h", "the user's name in the URL is not percent-encoded as it should be", "%25");
    check(
        "postgresql://h/%ff",
        "the database's name in the URL is not percent-encoded as it should be",
        "UTF-8",
    );
    check(
        "postgresql://h/a%00b",
        "the database's name in the URL is not percent-encoded as it should be",
        "UTF-8",
    );
    check("postgresql://[::1", "`[` of an IPv6 address is not closed", "[::1]:5432");
    for url in ["postgresql://anna:pw:5432/shop", "postgresql://::1/shop"] {
        check(url, "the host in the URL has a `:` in it", "postgresql://USER:PASSWORD@HOST");
    }
    check("postgresql://a,b/shop", "the URL names several hosts", "one host");
    check("postgresql://h?sslmode=on", "`sslmode` is none of its words", "disable, allow, prefer, require");
    check(
        "postgresql://h?connect_timeout=soon",
        "`connect_timeout` is no whole number",
        "connect_timeout=10",
    );
    check(
        "postgresql://h?aplication_name=x",
        "`aplication_name` is no option of a connection, or not with this value",
        "known are host",
    );
    check(
        "postgresql://h?connect_time=x",
        "`connect_time` is no option of a connection, or not with this value",
        "`connect_timeout` is one",
    );
    check("postgresql://h?client_encoding=latin1", "`client_encoding` other than UTF-8", "leave it out");
    let error = Options::from_url("postgresql://h", &|_| None).unwrap_err();
    assert_eq!(error.to_string(), "cannot use the database's address: nobody is named who asks");
}
