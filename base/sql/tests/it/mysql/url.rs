//! URLs and what they mean.

use std::time::Duration;

use naja_sql::mysql::{Address, Keepalive, MySqlError, Options, Secret, TlsMode};

fn read(url: &str) -> Result<Options, MySqlError> {
    let user = |name: &str| (name == "USER").then(|| "me".to_owned());
    Options::from_url(url, &user)
}

#[test]
fn a_url_says_what_drivers_read_in_it() {
    let check = |url: &str, shown: &str| {
        assert_eq!(read(url).unwrap_or_else(|error| panic!("{url}: {error}")).to_string(), shown, "{url}");
    };
    check("mysql://anna@db.example", "mysql://anna@db.example:3306/");
    check("mysql://anna:pw@db.example:6000/shop", "mysql://anna:***@db.example:6000/shop");
    check("MariaDB://db.example/shop", "mysql://me@db.example:3306/shop");
    check("mysql+aiomysql://anna@[::1]:6000/shop", "mysql://anna@[::1]:6000/shop");
    check("mysql+pymysql://anna@[::1]/shop", "mysql://anna@[::1]:3306/shop");
    check("mysql://anna@%2Frun%2Fmy.sock/shop", "mysql://anna@/shop?unix_socket=/run/my.sock");
    check(
        "mysql://anna@localhost/shop?unix_socket=/run/my.sock",
        "mysql://anna@/shop?unix_socket=/run/my.sock",
    );
    check("mysql://anna@here/shop?host=there", "mysql://anna@there:3306/shop");
    check("mysql://%61nna@db.example:/sh%20op", "mysql://anna@db.example:3306/sh op");
    check("mysql://anna:p@ss:w@db.example/shop", "mysql://anna:***@db.example:3306/shop");
    check("mysql://@db.example/?user=anna&passwd=x&db=shop", "mysql://anna:***@db.example:3306/shop");
    check("mysql://anna@:6000/shop", "mysql://anna@localhost:6000/shop");
}

#[test]
fn options_of_a_url_are_all_read() {
    let options = read(
        "mysql://anna@db.example/shop?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=5&\
         statement_timeout=1500&answer_timeout=20000&keepalives_idle=60&keepalives_interval=10&keepalives_count=3&\
         tcp_user_timeout=2000&statement_cache=7&application_name=till&charset=utf8mb4&sql_mode=ANSI_QUOTES&\
         autocommit=false&found_rows=0&local_infile=1&clear_password=1&server_public_key=0",
    )
    .unwrap();
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = Options {
        database: Some("shop".to_owned()),
        tls: TlsMode::VerifyFull,
        tls_files: vec![named("sslrootcert", "/ca.pem")],
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
        settings: vec![named("sql_mode", "ANSI_QUOTES"), named("autocommit", "0")],
        found_rows: false,
        local_infile: true,
        clear_password: true,
        server_public_key: false,
        ..Options::new(Address::Tcp { host: "db.example".to_owned(), port: 3306 }, "anna")
    };
    assert_eq!(options, expected);
    let options = read("mysql://anna@db.example/shop?keepalives=0&connect_timeout=0&read_timeout=3").unwrap();
    assert_eq!((options.keepalive, options.connect_timeout), (None, None));
    assert_eq!(options.answer_timeout, Some(Duration::from_secs(3)));
}

#[test]
fn the_drivers_words_for_encryption_mean_the_same() {
    let check = |query: &str, tls: TlsMode, files: &[(&str, &str)]| {
        let options = read(&format!("mysql://anna@db.example/shop?{query}")).unwrap();
        let files: Vec<_> = files.iter().map(|&(name, file)| (name.to_owned(), file.to_owned())).collect();
        assert_eq!((options.tls, options.tls_files), (tls, files), "{query}");
    };
    check("", TlsMode::Prefer, &[]);
    check("ssl=true", TlsMode::Require, &[]);
    check("ssl=0", TlsMode::Disable, &[]);
    check("ssl_disabled=True", TlsMode::Disable, &[]);
    check("ssl_ca=/ca.pem", TlsMode::VerifyCa, &[("sslrootcert", "/ca.pem")]);
    check("ssl_verify_identity=true&ssl_ca=/ca.pem", TlsMode::VerifyFull, &[("sslrootcert", "/ca.pem")]);
    check("ssl=true&ssl_verify_cert=1", TlsMode::VerifyCa, &[]);
    check("ssl_cert=/c.pem&ssl_key=/k.pem", TlsMode::Prefer, &[("sslcert", "/c.pem"), ("sslkey", "/k.pem")]);
    // Whoever says that there is none means it.
    check("sslmode=disable&ssl_ca=/ca.pem", TlsMode::Disable, &[("sslrootcert", "/ca.pem")]);
}

#[test]
fn variables_say_what_the_url_does_not() {
    let variables = |name: &str| {
        let value = match name {
            "MYSQL_HOST" => "db.example",
            "MYSQL_TCP_PORT" => "6000",
            "MYSQL_UNIX_PORT" => "/run/my.sock",
            "MYSQL_PWD" => "secret",
            "USER" => "me",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let read = |url: &str| Options::from_url(url, &variables).unwrap();
    let options = read("mysql:///shop");
    assert_eq!(options.address, Address::Unix { path: "/run/my.sock".into() });
    assert_eq!(options.password, Some(Secret::new("secret")));
    assert_eq!(options.to_string(), "mysql://me:***@/shop?unix_socket=/run/my.sock");
    let options = read("mysql://anna:other@here/shop");
    assert_eq!(options.address, Address::Tcp { host: "here".to_owned(), port: 6000 });
    assert_eq!(options.password, Some(Secret::new("other")));
}

#[test]
fn a_wrong_url_is_told_with_a_hint_and_without_the_password() {
    let check = |url: &str, what: &str, hint: &str| {
        let error = read(url).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot use the database's address: {what}"), "{url}");
        let failure = naja_system::Failure::from(error);
        let shown = format!("{failure:?}");
        assert!(shown.contains(hint), "{url}: {shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert_eq!(failure.name(), "bad-database-url");
    };
    check(
        "postgresql://anna@h/shop",
        "a URL of MySQL begins with `mysql://`, one of MariaDB also with `mariadb://`",
        "mysql://USER:PASSWORD@HOST:PORT/DATABASE",
    );
    let port = "the port in the URL is no number between 1 and 65535";
    for url in ["mysql://h:0", "mysql://h:65536", "mysql://h:s3cret", "mysql://h?port=-1"] {
        check(url, port, "%3A");
    }
    check(
        "mysql://anna:s3cret/w@h/shop",
        "a `/` in the user's name or in the password is not encoded",
        "%2F",
    );
    check("mysql://anna:%zz@h", "the password in the URL is not percent-encoded as it should be", "%25");
    check("mysql://[::1", "`[` of an IPv6 address is not closed", "[::1]:3306");
    check(
        "mysql://anna:s3cret:3306/shop",
        "the host in the URL has a `:` in it",
        "mysql://USER:PASSWORD@HOST",
    );
    check("mysql://a,b/shop", "the URL names several hosts", "one host");
    check("mysql://h?sslmode=on", "`sslmode` is none of its words", "disable, allow, prefer, require");
    check("mysql://h?found_rows=maybe", "`found_rows` is none of its words", "1, 0, true");
    check("mysql://h?charset=latin1", "`charset` other than utf8mb4", "leave it out");
    check(
        "mysql://h?connect_time=x",
        "`connect_time` is no option of a connection, or not with this value",
        "`connect_timeout` is one",
    );
    let error = Options::from_url("mysql://h", &|_| None).unwrap_err();
    assert_eq!(error.to_string(), "cannot use the database's address: nobody is named who asks");
}
