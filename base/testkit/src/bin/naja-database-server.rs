//! A database server for tests that are not written in Rust: `naja-database-server postgresql .cache/servers`.
//!
//! It says in one line of JSON where the server listens, then does what the lines of standard input say, and answers each
//! with one line: `restart`, which ends it without a goodbye first, or `kill`. When standard input ends the server is gone.
//! The word `durable` behind makes it wait for the disk, `encrypted` makes it speak TLS. Exit code 3: there is no such
//! server on this machine.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use naja_testkit::{Certificates, MariaDbServer, PostgresServer, ServerOptions};

/// There is no such server on this machine.
const NOT_INSTALLED: u8 = 3;

enum Server {
    Postgres(PostgresServer),
    MariaDb(MariaDbServer),
}

impl Server {
    fn start(engine: &str, cache: &Path, wanted: ServerOptions) -> Option<Server> {
        match engine {
            "postgresql" => PostgresServer::start_with(cache, wanted).map(Server::Postgres),
            "mariadb" => MariaDbServer::start_with(cache, wanted).map(Server::MariaDb),
            _ => panic!("a server is `postgresql` or `mariadb`, not `{engine}`"),
        }
    }

    fn place(&self) -> String {
        match self {
            Server::Postgres(server) => place(
                "postgresql",
                "postgres",
                "postgres",
                &server.socket_folder().display().to_string(),
                server.port(),
                &server.certificates(),
            ),
            Server::MariaDb(server) => {
                let socket = server.socket().display().to_string();
                place("mysql", "root", "test", &socket, server.port(), &server.certificates())
            }
        }
    }

    fn restart(&mut self) {
        match self {
            Server::Postgres(server) => server.restart(),
            Server::MariaDb(server) => server.restart(),
        }
    }

    fn kill(&self) {
        match self {
            Server::Postgres(server) => server.kill(None),
            Server::MariaDb(server) => server.kill(),
        }
    }
}

fn place(
    scheme: &str,
    user: &str,
    database: &str,
    socket: &str,
    port: u16,
    certificates: &Certificates,
) -> String {
    serde_json::json!({
        "url": format!("{scheme}://{user}@127.0.0.1:{port}/{database}"),
        "scheme": scheme,
        "user": user,
        "database": database,
        "socket": socket,
        "port": port,
        "authority": certificates.authority(),
        "other": certificates.other(),
    })
    .to_string()
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [engine, cache, rest @ ..] = words.as_slice() else {
        panic!("naja-database-server ENGINE CACHE [durable] [encrypted]");
    };
    let has = |wanted: &str| rest.iter().any(|word| word == wanted);
    let wanted = ServerOptions { is_durable: has("durable"), is_encrypted: has("encrypted") };
    let Some(mut server) = Server::start(engine, Path::new(cache), wanted) else {
        return ExitCode::from(NOT_INSTALLED);
    };
    let mut answers = std::io::stdout();
    let mut answer = |line: &str| writeln!(answers, "{line}").and_then(|()| answers.flush());
    if answer(&server.place()).is_err() {
        return ExitCode::FAILURE;
    }
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.as_str() {
            "restart" => server.restart(),
            "kill" => server.kill(),
            other => panic!("a server is told `restart` or `kill`, not `{other}`"),
        }
        if answer("done").is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}
