//! Who may log in, by every method that servers use, and who may not.

use naja_sql::Value;
use naja_sql::mysql::{Address, Connection, MySqlError, Options, Secret, TlsMode};
use naja_testkit::MariaDbServer;
use naja_testkit::mariadb::PASSWORD;

use super::{cache, open, over_tcp, superuser, value};

/// Passwords of all kinds.
const PASSWORDS: [&str; 4] = [
    "p w",
    "naïve 蛇 🐍",
    "'\"\\",
    "a password that is longer than the block of any of the hashes that are taken of it, by far",
];

fn with_password(server: &MariaDbServer, user: &str, password: &str) -> Options {
    Options { password: Some(Secret::new(password)), ..over_tcp(server, user) }
}

fn refused(options: &Options) -> MySqlError {
    match Connection::open(options, None) {
        Ok(_) => panic!("{options} was let in"),
        Err(error) => {
            let shown = format!("{error} {error:?} {options} {options:?}");
            assert!(!shown.contains("s3cret") && !shown.contains("wr0ng"), "{shown}");
            error
        }
    }
}

#[test]
fn every_method_lets_the_right_password_in_and_no_other() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let user = |connection: &mut Connection| {
        value(connection, "SELECT substring_index(current_user(), '@', 1)", &[])
    };
    assert_eq!(user(&mut open(&over_tcp(server, "no_password_user"))), "no_password_user".into());
    for name in ["native_user", "ed25519_user", "either_user"] {
        for options in [
            with_password(server, name, PASSWORD),
            Options {
                password: Some(Secret::new(PASSWORD)),
                user: name.to_owned(),
                database: None,
                ..superuser(server)
            },
        ] {
            let mut connection = open(&options);
            assert_eq!(user(&mut connection), name.into());
            assert!(!format!("{connection:?} {:?}", connection.canceller()).contains(PASSWORD));
        }
        for wrong in ["wr0ng", "", "s3cret\0"] {
            let error = refused(&with_password(server, name, wrong));
            assert!(["28000", "54000"].contains(&error.sqlstate()), "{name}: {error:?}");
        }
        let error = refused(&with_password(server, name, "wr0ng"));
        assert_eq!(error.server().map(|said| said.code), Some(1045), "{error:?}");
        assert_eq!(refused(&over_tcp(server, name)).sqlstate(), "28000");
    }
    assert_eq!(refused(&with_password(server, "locked_user", PASSWORD)).server().unwrap().code, 4151);
    assert_eq!(refused(&over_tcp(server, "no_such_user")).sqlstate(), "28000");
    assert_eq!(refused(&over_tcp(server, "socket_user")).sqlstate(), "28000");
    let unknown = Options { database: Some("no_such_database".to_owned()), ..superuser(server) };
    assert_eq!(refused(&unknown).server().unwrap().code, 1049);

    let mut administrator = open(&superuser(server));
    for (user, method) in [("native_user", "mysql_native_password"), ("ed25519_user", "ed25519")] {
        for password in PASSWORDS {
            let quoted = password.replace('\\', "\\\\").replace('\'', "''");
            let sql = format!("ALTER USER {user} IDENTIFIED VIA {method} USING PASSWORD('{quoted}')");
            administrator.script(&sql).unwrap();
            open(&with_password(server, user, password));
            assert_eq!(refused(&with_password(server, user, &format!("{password}x"))).sqlstate(), "28000");
        }
    }
}

#[test]
fn encryption_that_cannot_be_had_is_said_so() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    for tls in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
        let error = refused(&Options { tls, ..over_tcp(server, "root") });
        assert!(matches!(error, MySqlError::Tls { .. }), "{error:?}");
        let expected = format!(
            "cannot encrypt the connection to MySQL: `sslmode={}` asks for TLS, which this program does not have",
            tls.name()
        );
        assert_eq!(error.to_string(), expected);
        // A Unix socket needs none.
        open(&Options { tls, ..superuser(server) });
    }
    for tls in [TlsMode::Disable, TlsMode::Allow, TlsMode::Prefer] {
        open(&Options { tls, ..over_tcp(server, "root") });
    }
}

#[test]
fn nobody_at_the_address_is_said_so() {
    let nowhere = |address: Address| refused(&Options::new(address, "anna"));
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = nowhere(Address::Tcp { host: "127.0.0.1".to_owned(), port });
    assert_eq!(error.to_string(), format!("cannot connect to MySQL at 127.0.0.1:{port}"));
    assert_eq!((error.sqlstate(), error.name()), ("08001", "database-unreachable"));
    assert!(std::error::Error::source(&error).is_some());
    let error = nowhere(Address::Unix { path: "/no/such/socket".into() });
    assert_eq!(error.to_string(), "cannot connect to MySQL at /no/such/socket");
}

#[test]
fn a_url_leads_to_the_server() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let (socket, port) = (server.socket(), server.port());
    let socket = socket.display().to_string();
    let encoded: String = socket.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for url in [
        format!("mysql://root@127.0.0.1:{port}/test"),
        format!("mariadb://root@/test?unix_socket={socket}"),
        format!("mysql+pymysql://root@{encoded}/test?charset=utf8mb4"),
        format!("mysql+aiomysql://?unix_socket={socket}&user=root&database=test&application_name=x"),
    ] {
        let options = Options::from_url(&url, &|_| None).unwrap();
        assert_eq!(value(&mut open(&options), "SELECT database()", &[]), "test".into(), "{url}");
    }
    let variables = |name: &str| match name {
        "MYSQL_UNIX_PORT" => Some(socket.clone()),
        "USER" => Some("root".to_owned()),
        _ => None,
    };
    let options = Options::from_url("mysql:///?sql_mode=ANSI_QUOTES&time_zone=%2B02:00", &variables).unwrap();
    let mut connection = open(&options);
    assert_eq!(value(&mut connection, "SELECT @@sql_mode", &[]), "ANSI_QUOTES".into());
    assert_eq!(value(&mut connection, "SELECT @@time_zone", &[]), "+02:00".into());
    assert_eq!(value(&mut connection, "SELECT 1", &[]), Value::Integer(1));
}

#[test]
fn the_session_is_as_the_options_say() {
    let Some(server) = MariaDbServer::shared(cache()) else { return };
    let settings = [
        ("sql_mode", "NO_BACKSLASH_ESCAPES"),
        ("lock_wait_timeout", "7"),
        ("default_storage_engine", "it's \\ none"),
    ];
    let with = |count: usize| Options {
        settings: settings[..count]
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..superuser(server)
    };
    let mut connection = open(&with(2));
    assert_eq!(value(&mut connection, "SELECT @@sql_mode", &[]), "NO_BACKSLASH_ESCAPES".into());
    assert_eq!(value(&mut connection, "SELECT @@lock_wait_timeout", &[]), 7.into());
    assert_eq!(value(&mut connection, "SELECT @@character_set_client", &[]), "utf8mb4".into());
    assert!(connection.is_mariadb());
    assert!(
        connection
            .setting("server_version")
            .is_some_and(|version| version.contains("MariaDB") && !version.starts_with("5.5.5-"))
    );
    assert_eq!(connection.setting("no_such_setting"), None);
    let error = refused(&with(3));
    assert_eq!(error.server().map(|said| &*said.message), Some("Unknown storage engine 'it's \\ none'"));
    let wrong = Options { settings: vec![("x=1; DROP".to_owned(), "1".to_owned())], ..superuser(server) };
    assert!(matches!(refused(&wrong), MySqlError::Options { .. }));
}
