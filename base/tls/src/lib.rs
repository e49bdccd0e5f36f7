//! TLS of the program `naja`, for connections to databases.
//!
//! For the program alone: in a process of Python the interpreter's own `ssl` encrypts, so that no second TLS is loaded
//! there. What is verified is what the URL's `sslmode` says, in libpq's meaning of the words. Start at [`provider`].

mod trust;

use std::io::{self, Read, Write};
use std::sync::Arc;

use naja_sql::{Encrypted, Socket, TlsMode, TlsProvider};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

/// What encrypts connections to databases.
pub fn provider() -> Arc<dyn TlsProvider> {
    Arc::new(Rustls)
}

/// TLS 1.2 and 1.3 by rustls.
struct Rustls;

impl TlsProvider for Rustls {
    fn encrypt(
        &self,
        mut socket: Socket,
        host: &str,
        mode: TlsMode,
        files: &[(String, String)],
    ) -> io::Result<Box<dyn Encrypted>> {
        let config = trust::config(mode, files)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("`{host}` is no name of a host"))
        })?;
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).map_err(|error| trust::explained(error, host))?;
        }
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let end_point = certificate.and_then(|certificate| naja_sql::end_point(certificate));
        Ok(Box::new(Stream { connection, socket, end_point }))
    }
}

/// An encrypted stream over a socket that never waits.
struct Stream {
    connection: ClientConnection,
    socket: Socket,
    end_point: Option<Vec<u8>>,
}

impl Stream {
    /// Sends what is encrypted already; `WouldBlock` when the system takes no more.
    fn send(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.send() {
            // What cannot be sent may have to wait for what is read here.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        loop {
            match self.connection.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A stream that ends without TLS's own end is one that broke.
                read => return read,
            }
            if self.connection.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            let processed = self.connection.process_new_packets();
            if let Err(error) = processed {
                // The other end may be told why; if not, it sees the end.
                let _ = self.send();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Nothing more is taken while something waits, so that memory stays bounded.
        self.send()?;
        let taken = self.connection.writer().write(bytes)?;
        match self.send() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl Encrypted for Stream {
    fn end_point(&self) -> Option<Vec<u8>> {
        self.end_point.clone()
    }

    fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.send_close_notify();
        // The other end sees the end in any case.
        let _ = self.send();
    }
}
