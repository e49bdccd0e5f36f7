//! `naja db` on servers that encrypt.

use std::path::Path;

use naja_testkit::naja::block;
use naja_testkit::{Certificates, MariaDbServer, PostgresServer, ServerOptions};

use super::naja;

const ENCRYPTED: ServerOptions = ServerOptions { is_durable: false, is_encrypted: true };

/// What the command says of whether it is encrypted, or of why it does not connect.
fn asked(url: &str, files: &Certificates, mode: &str, authority: Option<&Path>, sql: &str) -> String {
    let authority = authority.map(|path| format!("&sslrootcert={}", path.display())).unwrap_or_default();
    let url = format!("{url}?sslmode={mode}{authority}");
    let mut command = naja().command();
    command.args(["db", &url, "query", "--format", "csv", sql]);
    let folder = files.authority();
    let folder = folder.parent().and_then(Path::to_str).expect("it lies in a folder");
    let answer = command.output().expect("it runs");
    block(&answer, &[(folder, "[FOLDER]")])
}

#[track_caller]
fn check(url: &str, files: &Certificates, engine: &str, sql: &str, answers: [&str; 2]) {
    let done = |answer: &str| format!("exit code 0\n--- stdout\n{answer}--- stderr\n");
    let refused = |url: &str, why: &str| {
        format!(
            "exit code 2\n--- stdout\n--- stderr\nerror[cannot-open-database]: cannot open the database `{url}`\n  \
             caused by: cannot encrypt the connection to {engine}: {why}\n  \
             hint: `sslmode=prefer` goes on without encryption, where that is acceptable\n"
        )
    };
    let is = |mode, authority: Option<&Path>| asked(url, files, mode, authority, sql);
    assert_eq!(is("disable", None), done(answers[0]));
    assert_eq!(is("require", None), done(answers[1]));
    let (root, other) = (files.authority(), files.other());
    for mode in ["require", "verify-ca", "verify-full"] {
        assert_eq!(is(mode, Some(&root)), done(answers[1]), "{mode}");
        let why =
            "the server's certificate is signed by nobody trusted; `sslrootcert=FILE` names whom to trust";
        assert_eq!(is(mode, Some(&other)), refused(url, why), "{mode}");
    }
    let by_number = url.replace("localhost", "127.0.0.1");
    let refusal = asked(&by_number, files, "verify-full", Some(&root), sql);
    assert_eq!(refusal, refused(&by_number, "the server's certificate is not for `127.0.0.1`"));
}

#[test]
fn postgresql_is_spoken_to_encrypted_and_only_if_it_is_trusted() {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let Some(server) = PostgresServer::start_with(cache, ENCRYPTED) else { return };
    let url = format!("postgresql://postgres@localhost:{}/postgres", server.port());
    let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    check(&url, &server.certificates(), "PostgreSQL", sql, ["ssl\r\nfalse\r\n", "ssl\r\ntrue\r\n"]);
}

#[test]
fn mariadb_is_spoken_to_encrypted_and_only_if_it_is_trusted() {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let Some(server) = MariaDbServer::start_with(cache, ENCRYPTED) else { return };
    let url = format!("mysql://root@localhost:{}/test", server.port());
    let sql = "select variable_value <> '' as it_is from information_schema.session_status where variable_name = 'Ssl_cipher'";
    check(&url, &server.certificates(), "MySQL", sql, ["it_is\r\n0\r\n", "it_is\r\n1\r\n"]);
}
