//! MariaDB.

use std::path::Path;

use naja_sql::mysql::{Address, Connection, MySqlError, Options};
use naja_sql::{Secret, Table, TlsMode, Value};
use naja_testkit::MariaDbServer;
use naja_testkit::mariadb::PASSWORD;

use super::{ENCRYPTED, Kilobytes, cache, trusting};

struct Server(MariaDbServer);

impl Server {
    fn start() -> Option<Server> {
        MariaDbServer::start_with(cache(), ENCRYPTED).map(Server)
    }

    fn options(&self, tls: TlsMode) -> Options {
        // Names are not looked up by the server, so that `localhost` is for it whoever comes from 127.0.0.1.
        let address = Address::Tcp { host: "localhost".to_owned(), port: self.0.port() };
        Options { tls, database: Some("test".to_owned()), ..Options::new(address, "root") }
    }

    fn trusting(&self, tls: TlsMode, authority: &Path) -> Options {
        Options { tls_files: trusting(authority), ..self.options(tls) }
    }
}

fn open(options: &Options) -> Result<Connection, MySqlError> {
    Connection::open(options, Some(naja_tls::provider()))
}

#[track_caller]
fn is_encrypted(options: &Options) -> bool {
    let mut connection = open(options).expect("a connection");
    let mut table = Table::default();
    connection.execute("SHOW STATUS LIKE 'Ssl_cipher'", &[], &mut table).expect("it can be asked");
    table.rows != [[Value::from("Ssl_cipher"), Value::from("")]]
}

#[test]
fn the_mode_says_what_is_encrypted_and_whom_one_trusts() {
    let Some(server) = Server::start() else { return };
    let files = server.0.certificates();
    assert!(!is_encrypted(&server.options(TlsMode::Disable)));
    for mode in [TlsMode::Prefer, TlsMode::Require] {
        assert!(is_encrypted(&server.options(mode)), "{mode:?}");
    }
    for mode in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
        assert!(is_encrypted(&server.trusting(mode, &files.authority())), "{mode:?}");
        let error =
            open(&server.trusting(mode, &files.other())).expect_err("somebody else is trusted").to_string();
        let expected = "cannot encrypt the connection to MySQL: the server's certificate is signed by nobody trusted; \
            `sslrootcert=FILE` names whom to trust";
        assert_eq!(error, expected, "{mode:?}");
    }
    let by_number = |mode| Options {
        address: Address::Tcp { host: "127.0.0.1".to_owned(), port: server.0.port() },
        ..server.trusting(mode, &files.authority())
    };
    assert!(is_encrypted(&by_number(TlsMode::VerifyCa)));
    let error = open(&by_number(TlsMode::VerifyFull)).expect_err("the certificate is for a name").to_string();
    assert!(error.ends_with("the server's certificate is not for `127.0.0.1`"), "{error}");
}

#[test]
fn a_user_who_must_encrypt_is_let_in_encrypted_alone() {
    let Some(server) = Server::start() else { return };
    let login = |tls| Options {
        user: "tls_user".to_owned(),
        password: Some(Secret::new(PASSWORD)),
        database: None,
        ..server.options(tls)
    };
    assert!(is_encrypted(&login(TlsMode::Require)));
    let error = open(&login(TlsMode::Disable)).expect_err("this user must").to_string();
    assert!(error.contains("1045") && !error.contains(PASSWORD), "{error}");
}

#[test]
fn much_goes_both_ways_at_once() {
    let Some(server) = Server::start() else { return };
    let mut connection = open(&server.options(TlsMode::Require)).expect("a connection");
    connection.script("CREATE TABLE t (a TEXT)").expect("it is made");
    for sql in ["INSERT INTO t VALUES (?)", "INSERT INTO t VALUES (?) RETURNING a"] {
        let done = connection.execute_many(sql, &mut Kilobytes(20_000));
        assert_eq!(done.expect("many rows").affected, Some(20_000));
    }
    let mut table = Table::default();
    connection.execute("SELECT a FROM t", &[], &mut table).expect("all rows");
    assert_eq!(table.rows.len(), 40_000);
    // Cancelling needs a second connection, which is encrypted as well.
    connection.canceller().expect("there is a number").cancel().expect("the server takes note");
}
