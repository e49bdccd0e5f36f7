//! MySQL's protocol, spoken to for real: MariaDB servers of the tests' own.

use std::path::Path;

use naja_testkit::MariaDbServer;

/// Where empty data are kept between runs.
fn cache() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

#[test]
fn a_server_starts() {
    use std::io::Read as _;
    let Some(mut server) = MariaDbServer::start_durable(cache()) else { return };
    let greet = |server: &MariaDbServer| {
        let mut greeting = [0; 5];
        let mut stream = std::os::unix::net::UnixStream::connect(server.socket()).expect("it listens");
        stream.read_exact(&mut greeting).expect("it speaks");
        assert_eq!(greeting[4], 10);
    };
    greet(&server);
    server.kill();
    server.restart();
    greet(&server);
}
