//! Who may log in, by every method that servers use, and who may not.

use naja_sql::Value;
use naja_sql::postgres::{Address, ChannelBinding, Connection, Options, PostgresError, Secret, TlsMode};
use naja_testkit::PostgresServer;

use super::{cache, open, over_tcp, superuser, value};

/// Passwords whose normal form matters: plain, with a non-breaking space and a ligature, and with what the rules forbid.
const PASSWORDS: [&str; 4] = ["s3cret", "p\u{a0}\u{fb01}x\u{ad}", "\u{1F40D}\u{2168}", "א1"];

fn server_with_users() -> Option<&'static PostgresServer> {
    let server = PostgresServer::shared(cache())?;
    let mut connection = open(&superuser(server));
    for (user, kind) in
        [("md5_user", "md5"), ("scram_user", "scram-sha-256"), ("clear_user", "scram-sha-256")]
    {
        let sql = format!("SET password_encryption = '{kind}'; CREATE ROLE {user} LOGIN PASSWORD 's3cret'");
        connection.script(&sql).expect("the role is new");
    }
    connection
        .script("CREATE ROLE rejected_user LOGIN; CREATE ROLE trusted LOGIN")
        .expect("the roles are new");
    Some(server)
}

fn with_password(server: &PostgresServer, user: &str, password: &str) -> Options {
    Options { password: Some(Secret::new(password)), ..over_tcp(server, user) }
}

fn refused(options: &Options) -> PostgresError {
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
fn a_password_that_nobody_says_comes_from_the_file_of_libpq() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(server) = server_with_users() else { return };
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join(".pgpass");
    let lines = format!("127.0.0.1:1:*:*:wr0ng\n127.0.0.1:{}:postgres:scram_user:s3cret\n", server.port());
    std::fs::write(&file, lines).expect("it can be written");
    let readable_to = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("it is ours");
    };
    let place = format!("127.0.0.1:{}/postgres", server.port());
    let read = |url: &str, variable: &str, value: &std::path::Path| {
        let value = value.display().to_string();
        let look_up = |name: &str| (name == variable).then(|| value.clone());
        Options::from_url(url, &look_up).expect("the URL is right")
    };
    let url = format!("postgresql://scram_user@{place}");
    readable_to(0o600);
    for options in [
        read(&url, "PGPASSFILE", &file),
        read(&url, "HOME", folder.path()),
        read(&format!("{url}?passfile={}", file.display()), "", folder.path()),
    ] {
        assert_eq!(value(&mut open(&options), "SELECT user::text", &[]), "scram_user".into());
    }
    // What is said counts more, and the file is about nobody else.
    let said = format!("postgresql://scram_user:wr0ng@{place}");
    assert_eq!(refused(&read(&said, "PGPASSFILE", &file)).sqlstate(), "28P01");
    assert!(read(&url.replace("scram", "md5"), "PGPASSFILE", &file).password.is_none());
    // As in libpq: others must not be able to read it.
    readable_to(0o640);
    assert!(read(&url, "PGPASSFILE", &file).password.is_none());
}

#[test]
fn every_method_lets_the_right_password_in_and_no_other() {
    let Some(server) = server_with_users() else { return };
    assert_eq!(value(&mut open(&over_tcp(server, "trusted")), "SELECT user::text", &[]), "trusted".into());
    for user in ["md5_user", "scram_user", "clear_user"] {
        let mut connection = open(&with_password(server, user, "s3cret"));
        assert_eq!(value(&mut connection, "SELECT user::text", &[]), user.into());
        assert!(!format!("{connection:?}").contains("s3cret"));
        for wrong in ["wr0ng", "", "s3cret\0"] {
            let error = refused(&with_password(server, user, wrong));
            assert!(["28P01", "54000"].contains(&error.sqlstate()), "{user}: {error:?}");
        }
        assert_eq!(refused(&with_password(server, user, "wr0ng")).sqlstate(), "28P01");
        let error = refused(&over_tcp(server, user));
        let expected = format!(
            "cannot log in to PostgreSQL: the server asks for the password of `{user}`, and none was given"
        );
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(refused(&with_password(server, "rejected_user", "s3cret")).sqlstate(), "28000");
    assert_eq!(refused(&over_tcp(server, "no_such_user")).sqlstate(), "28000");
    let unknown = Options { database: "no_such_database".to_owned(), ..superuser(server) };
    assert_eq!(refused(&unknown).sqlstate(), "3D000");

    let mut administrator = open(&superuser(server));
    for password in PASSWORDS {
        administrator.script(&format!("ALTER ROLE scram_user PASSWORD '{password}'")).unwrap();
        open(&with_password(server, "scram_user", password));
        assert_eq!(
            refused(&with_password(server, "scram_user", &format!("{password}x"))).sqlstate(),
            "28P01"
        );
    }
}

#[test]
fn encryption_that_cannot_be_had_is_said_so() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    for tls in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
        let error = refused(&Options { tls, ..over_tcp(server, "postgres") });
        assert!(matches!(error, PostgresError::Tls { .. }), "{error:?}");
        let expected = format!(
            "cannot encrypt the connection to PostgreSQL: `sslmode={}` asks for TLS, which this program does not have",
            tls.name()
        );
        assert_eq!(error.to_string(), expected);
        // A Unix socket needs none.
        open(&Options { tls, ..superuser(server) });
    }
    for tls in [TlsMode::Disable, TlsMode::Allow, TlsMode::Prefer] {
        open(&Options { tls, ..over_tcp(server, "postgres") });
    }
    let error =
        refused(&Options { channel_binding: ChannelBinding::Require, ..over_tcp(server, "postgres") });
    assert!(matches!(error, PostgresError::Authentication { .. }), "{error:?}");
}

#[test]
fn nobody_at_the_address_is_said_so() {
    let nowhere = |address: Address| refused(&Options::new(address, "anna", "shop"));
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = nowhere(Address::Tcp { host: "127.0.0.1".to_owned(), port });
    assert_eq!(error.to_string(), format!("cannot connect to PostgreSQL at 127.0.0.1:{port}"));
    assert_eq!((error.sqlstate(), error.name()), ("08001", "database-unreachable"));
    assert!(std::error::Error::source(&error).is_some());
    let error = nowhere(Address::Tcp { host: "no-such-host.invalid".to_owned(), port });
    assert_eq!(error.to_string(), format!("cannot connect to PostgreSQL at no-such-host.invalid:{port}"));
    let error = nowhere(Address::Unix { folder: "/no/such/folder".into(), port });
    assert_eq!(error.to_string(), format!("cannot connect to PostgreSQL at /no/such/folder/.s.PGSQL.{port}"));
}

#[test]
fn a_url_leads_to_the_server() {
    let Some(server) = PostgresServer::shared(cache()) else { return };
    let folder = server.socket_folder().display();
    let encoded: String = folder.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let port = server.port();
    for url in [
        format!("postgresql://postgres@127.0.0.1:{port}/postgres"),
        format!("postgres://postgres@/postgres?host={folder}&port={port}"),
        format!("postgresql+psycopg2://postgres@{encoded}:{port}"),
        format!("postgresql://?host={folder}&port={port}&user=postgres&dbname=postgres&application_name=x"),
    ] {
        let options = Options::from_url(&url, &|_| None).unwrap();
        assert_eq!(value(&mut open(&options), "SELECT 1", &[]), Value::Integer(1), "{url}");
    }
    let variables = |name: &str| match name {
        "PGHOST" => Some(folder.to_string()),
        "PGPORT" => Some(port.to_string()),
        "PGUSER" => Some("postgres".to_owned()),
        "PGOPTIONS" => Some("-c geqo=off".to_owned()),
        _ => None,
    };
    let options = Options::from_url("postgresql://", &variables).unwrap();
    assert_eq!(value(&mut open(&options), "SHOW geqo", &[]), "off".into());
}
