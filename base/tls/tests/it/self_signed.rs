//! A PostgreSQL server whose certificate has signed itself.

use std::fs;
use std::path::PathBuf;

use naja_sql::TlsMode;
use naja_sql::postgres::{Address, Connection, Options};
use naja_testkit::PostgresServer;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;

use super::cache;
use super::postgres::{is_encrypted, open};

/// The server, and certificates of the test's own.
struct Server {
    server: PostgresServer,
    folder: TempDir,
}

impl Server {
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
        let server = PostgresServer::start(cache())?;
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
