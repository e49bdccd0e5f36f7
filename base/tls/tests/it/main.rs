//! Encrypted connections to real servers.

mod mysql;
mod postgres;
mod self_signed;

use std::path::Path;

use naja_sql::Source;
use naja_testkit::ServerOptions;

const ENCRYPTED: ServerOptions = ServerOptions { is_durable: false, is_encrypted: true };

/// Where empty data are kept.
fn cache() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Files by the name that a URL has for them.
fn trusting(authority: &Path) -> Vec<(String, String)> {
    let path = authority.to_str().expect("a plain name").to_owned();
    vec![("sslrootcert".to_owned(), path)]
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
