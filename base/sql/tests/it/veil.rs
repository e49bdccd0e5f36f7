//! A cipher in the place of TLS that would keep nobody out: every byte is turned over.

use std::io::{self, Read, Write};
use std::sync::Mutex;

use naja_sql::{Encrypted, Socket, TlsMode, TlsProvider};

/// Says hello, hears hello, and turns bytes over; remembers what it was asked for.
#[derive(Default)]
pub(crate) struct Veil(Mutex<Vec<(String, TlsMode)>>);

struct Veiled(Socket);

pub(crate) fn turned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

impl Veil {
    /// The hosts that it was asked to encrypt for, and how.
    pub(crate) fn asked(&self) -> Vec<(String, TlsMode)> {
        self.0.lock().expect("nobody has panicked").clone()
    }
}

impl TlsProvider for Veil {
    fn encrypt(
        &self,
        mut socket: Socket,
        host: &str,
        mode: TlsMode,
        _: &[(String, String)],
    ) -> io::Result<Box<dyn Encrypted>> {
        self.0.lock().expect("nobody has panicked").push((host.to_owned(), mode));
        // The socket waits by itself meanwhile.
        socket.write_all(b"hello")?;
        let mut answer = [0; 5];
        socket.read_exact(&mut answer)?;
        if answer == *b"hello" {
            Ok(Box::new(Veiled(socket)))
        } else {
            Err(io::Error::other("no hello came back"))
        }
    }
}

impl Encrypted for Veiled {
    fn end_point(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Read for Veiled {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(into)?;
        for byte in &mut into[..count] {
            *byte = !*byte;
        }
        Ok(count)
    }
}

impl Write for Veiled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&turned(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn turn_over(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    let mut bytes = vec![0; 16_384];
    loop {
        match from.read(&mut bytes)? {
            0 => return Ok(()),
            count => to.write_all(&turned(&bytes[..count]))?,
        }
    }
}
