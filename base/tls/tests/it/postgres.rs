//! PostgreSQL.

use std::path::Path;

use naja_sql::postgres::{Address, ChannelBinding, Connection, Options, PostgresError};
use naja_sql::{Secret, Table, TlsMode, Value};
use naja_testkit::PostgresServer;

use super::{ENCRYPTED, Kilobytes, cache, trusting};

struct Server(PostgresServer);

impl Server {
    fn start() -> Option<Server> {
        PostgresServer::start_with(cache(), ENCRYPTED).map(Server)
    }

    fn options(&self, tls: TlsMode) -> Options {
        let address = Address::Tcp { host: "localhost".to_owned(), port: self.0.port() };
        Options { tls, ..Options::new(address, "postgres", "postgres") }
    }

    fn trusting(&self, tls: TlsMode, authority: &Path) -> Options {
        Options { tls_files: trusting(authority), ..self.options(tls) }
    }
}

pub(super) fn open(options: &Options) -> Result<Connection, PostgresError> {
    Connection::open(options, Some(naja_tls::provider()))
}

#[track_caller]
pub(super) fn is_encrypted(options: &Options) -> bool {
    let mut connection = open(options).expect("a connection");
    let mut table = Table::default();
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    connection.execute(sql, &[], &mut table).expect("it can be asked");
    table.rows == [[Value::Boolean(true)]]
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
        let expected = "cannot encrypt the connection to PostgreSQL: the server's certificate is signed by nobody trusted; \
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
    let error = open(&server.trusting(TlsMode::VerifyFull, Path::new("missing.crt")))
        .expect_err("there is no file")
        .to_string();
    assert!(error.contains("cannot read `") && error.contains("missing.crt"), "{error}");
}

#[test]
fn a_login_is_tied_to_the_certificate() {
    let Some(server) = Server::start() else { return };
    let mut superuser = open(&server.options(TlsMode::Require)).expect("a connection");
    superuser.script("CREATE ROLE scram_user LOGIN PASSWORD 'secret'").expect("the superuser may");
    let mut options = server.trusting(TlsMode::VerifyFull, &server.0.certificates().authority());
    options.user = "scram_user".to_owned();
    options.password = Some(Secret::new("secret"));
    options.channel_binding = ChannelBinding::Require;
    assert!(is_encrypted(&options));
}

#[test]
fn much_goes_both_ways_at_once() {
    let Some(server) = Server::start() else { return };
    let mut connection = open(&server.options(TlsMode::Require)).expect("a connection");
    connection.script("CREATE TEMP TABLE t (a text)").expect("it is made");
    assert_eq!(connection.copy_in(None, "t", &["a"], false, &mut Kilobytes(20_000)).expect("a load"), 20_000);
    // Each answer is as large as its request, and is read while requests are written.
    let done = connection.execute_many("INSERT INTO t VALUES ($1) RETURNING a", &mut Kilobytes(20_000));
    assert_eq!(done.expect("a pipeline").affected, Some(20_000));
    let mut table = Table::default();
    connection.execute("SELECT count(*), sum(length(a)) FROM t", &[], &mut table).expect("a sum");
    assert_eq!(table.rows, [[Value::Integer(40_000), Value::Integer(40_000 * 1024)]]);
    let mut table = Table::default();
    connection.execute("SELECT a FROM t", &[], &mut table).expect("all rows");
    assert_eq!(table.rows.len(), 40_000);
    // Cancelling needs a second connection, which is encrypted as well.
    connection.canceller().expect("there is a key").cancel().expect("the server takes note");
}
