//! Encrypted connections to a real PostgreSQL server.

use std::fs;
use std::path::{Path, PathBuf};

use naja_sql::postgres::{Address, ChannelBinding, Connection, Options, PostgresError};
use naja_sql::{Secret, Source, Table, TlsMode, Value};
use naja_testkit::PostgresServer;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// A server whose certificate for `localhost` is signed by an authority of the test's own.
struct Server {
    server: PostgresServer,
    folder: TempDir,
}

impl Server {
    fn start() -> Option<Server> {
        let started = Server::without_certificate()?;
        let authority_key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        started.write("root.crt", &authority.self_signed(&authority_key).expect("signed").pem());
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = certificate.signed_by(&key, &issuer).expect("signed");
        let other = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let other = other.self_signed(&KeyPair::generate().expect("a key")).expect("signed");
        started.write("other.crt", &other.pem());
        started.encrypt(&certificate.pem(), &key.serialize_pem());
        Some(started)
    }

    /// A server whose certificate has signed itself, as an authority's does; it is `root.crt`, too.
    fn self_signed(change: impl Fn(&mut CertificateParams)) -> Option<Server> {
        let started = Server::without_certificate()?;
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut parameters);
        let certificate = parameters.self_signed(&key).expect("signed").pem();
        started.write("root.crt", &certificate);
        // The same names, and another key.
        let twin = parameters.self_signed(&KeyPair::generate().expect("a key")).expect("signed");
        started.write("twin.crt", &twin.pem());
        started.encrypt(&certificate, &key.serialize_pem());
        Some(started)
    }

    fn without_certificate() -> Option<Server> {
        let server = PostgresServer::start(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
        Some(Server { server, folder: tempfile::tempdir().expect("a folder") })
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("it can be written");
    }

    /// Gives the server its files, by itself, since they have to be its own, and waits until it encrypts.
    fn encrypt(&self, certificate: &str, key: &str) {
        let folder = self.server.socket_folder().to_owned();
        let mut connection = Connection::open(
            &Options::new(Address::Unix { folder, port: self.server.port() }, "postgres", "postgres"),
            None,
        )
        .expect("the socket needs no encryption");
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let sql = format!(
                "COPY (SELECT unnest(string_to_array('{}', E'\\n'))) TO PROGRAM 'umask 077; cat > {name}'",
                text.trim_end()
            );
            connection.script(&sql).expect("the server writes its file");
        }
        for sql in [
            "ALTER SYSTEM SET ssl = on",
            "CREATE ROLE scram_user LOGIN PASSWORD 'secret'",
            "SELECT pg_reload_conf()",
        ] {
            connection.script(sql).expect("the superuser may");
        }
        while Connection::open(&self.options(TlsMode::Require), Some(naja_tls::provider())).is_err() {
            std::thread::yield_now();
        }
    }

    fn options(&self, tls: TlsMode) -> Options {
        let address = Address::Tcp { host: "localhost".to_owned(), port: self.server.port() };
        Options { tls, ..Options::new(address, "postgres", "postgres") }
    }

    fn trusting(&self, tls: TlsMode, file: &str) -> Options {
        let path: PathBuf = self.folder.path().join(file);
        let path = path.to_str().expect("a plain name").to_owned();
        Options { tls_files: vec![("sslrootcert".to_owned(), path)], ..self.options(tls) }
    }
}

fn open(options: &Options) -> Result<Connection, PostgresError> {
    Connection::open(options, Some(naja_tls::provider()))
}

#[track_caller]
fn is_encrypted(options: &Options) -> bool {
    let mut connection = open(options).expect("a connection");
    let mut table = Table::default();
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    connection.execute(sql, &[], &mut table).expect("it can be asked");
    table.rows == [[Value::Boolean(true)]]
}

#[test]
fn the_mode_says_what_is_encrypted_and_whom_one_trusts() {
    let Some(server) = Server::start() else { return };
    assert!(!is_encrypted(&server.options(TlsMode::Disable)));
    for mode in [TlsMode::Prefer, TlsMode::Require] {
        assert!(is_encrypted(&server.options(mode)), "{mode:?}");
    }
    for mode in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
        assert!(is_encrypted(&server.trusting(mode, "root.crt")), "{mode:?}");
        let error =
            open(&server.trusting(mode, "other.crt")).expect_err("somebody else is trusted").to_string();
        let expected = "cannot encrypt the connection to PostgreSQL: the server's certificate is signed by nobody trusted; \
            `sslrootcert=FILE` names whom to trust";
        assert_eq!(error, expected, "{mode:?}");
    }
    let by_number = |mode| Options {
        address: Address::Tcp { host: "127.0.0.1".to_owned(), port: server.server.port() },
        ..server.trusting(mode, "root.crt")
    };
    assert!(is_encrypted(&by_number(TlsMode::VerifyCa)));
    let error = open(&by_number(TlsMode::VerifyFull)).expect_err("the certificate is for a name").to_string();
    assert!(error.ends_with("the server's certificate is not for `127.0.0.1`"), "{error}");
    let error =
        open(&server.trusting(TlsMode::VerifyFull, "missing.crt")).expect_err("there is no file").to_string();
    assert!(error.contains("cannot read `") && error.contains("missing.crt"), "{error}");
}

const VERIFYING: [TlsMode; 3] = [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull];

#[test]
fn a_certificate_that_is_named_itself_is_trusted() {
    let Some(server) = Server::self_signed(|_| {}) else { return };
    for mode in VERIFYING {
        assert!(is_encrypted(&server.trusting(mode, "root.crt")), "{mode:?}");
        let error = open(&server.trusting(mode, "twin.crt")).expect_err("it is another one").to_string();
        assert!(error.ends_with("`sslrootcert=FILE` names whom to trust"), "{mode:?}: {error}");
    }
    let by_number = |mode| Options {
        address: Address::Tcp { host: "127.0.0.1".to_owned(), port: server.server.port() },
        ..server.trusting(mode, "root.crt")
    };
    assert!(is_encrypted(&by_number(TlsMode::VerifyCa)));
    let error = open(&by_number(TlsMode::VerifyFull)).expect_err("it is for a name").to_string();
    assert!(error.ends_with("the server's certificate is not for `127.0.0.1`"), "{error}");
}

#[test]
fn a_certificate_that_is_named_itself_is_not_trusted_after_its_time() {
    let Some(server) = Server::self_signed(|parameters| {
        parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }) else {
        return;
    };
    for mode in VERIFYING {
        let error = open(&server.trusting(mode, "root.crt")).expect_err("it has ended").to_string();
        assert!(error.ends_with("the server's certificate is no longer valid"), "{mode:?}: {error}");
    }
}

#[test]
fn a_login_is_tied_to_the_certificate() {
    let Some(server) = Server::start() else { return };
    let mut options = server.trusting(TlsMode::VerifyFull, "root.crt");
    options.user = "scram_user".to_owned();
    options.password = Some(Secret::new("secret"));
    options.channel_binding = ChannelBinding::Require;
    assert!(is_encrypted(&options));
}

/// So many rows of a kilobyte each.
struct Kilobytes(u32);

impl Source for Kilobytes {
    fn next_row(&mut self, sink: &mut dyn naja_sql::Sink) -> bool {
        let Some(left) = self.0.checked_sub(1) else { return false };
        self.0 = left;
        sink.text(&"x".repeat(1024));
        true
    }
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
