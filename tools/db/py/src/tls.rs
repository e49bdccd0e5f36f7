//! TLS for connections that block, by the interpreter's own `ssl`: no second library is loaded into the process.
//!
//! `ssl` never touches the socket: bytes go through its buffers in memory, so that nothing waits while the interpreter is
//! held.

use std::io::{self, Read, Write};

use naja_sql::{Encrypted, Socket, TlsMode, TlsProvider};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// So many bytes are read from the socket at once: the largest record of TLS.
const RECORD_BYTES: usize = 16 * 1024;

/// The interpreter's `ssl`.
pub(crate) struct PythonTls {
    /// Whether files and variables of libpq's say whom to trust, where the URL does not.
    pub(crate) is_of_libpq: bool,
}

impl TlsProvider for PythonTls {
    fn encrypt(
        &self,
        mut socket: Socket,
        host: &str,
        mode: TlsMode,
        files: &[(String, String)],
    ) -> io::Result<Box<dyn Encrypted>> {
        let stream = Python::attach(|py| Buffers::new(py, self.is_of_libpq, host, mode, files))
            .map_err(|error| told(&error))?;
        loop {
            let (is_done, bytes) = Python::attach(|py| stream.shake(py)).map_err(|error| told(&error))?;
            socket.write_all(&bytes)?;
            if is_done {
                break;
            }
            let mut record = [0; RECORD_BYTES];
            let count = socket.read(&mut record)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Python::attach(|py| stream.take(py, &record[..count])).map_err(|error| told(&error))?;
        }
        let end_point = Python::attach(|py| stream.end_point(py)).map_err(|error| told(&error))?;
        Ok(Box::new(Stream { socket, buffers: stream, unsent: Vec::new(), end_point }))
    }
}

/// An exception of Python's as an error of the system's, in its own words.
fn told(error: &PyErr) -> io::Error {
    Python::attach(|py| io::Error::new(io::ErrorKind::InvalidData, error.value(py).to_string()))
}

/// `ssl.SSLObject`, and the buffers before and behind it.
struct Buffers {
    tls: Py<PyAny>,
    incoming: Py<PyAny>,
    outgoing: Py<PyAny>,
    wants_read: Py<PyAny>,
    ends: Py<PyAny>,
}

impl Buffers {
    fn new(
        py: Python<'_>,
        is_of_libpq: bool,
        host: &str,
        mode: TlsMode,
        files: &[(String, String)],
    ) -> PyResult<Buffers> {
        let named = PyDict::new(py);
        for (name, path) in files {
            named.set_item(name, path)?;
        }
        let context =
            py.import("naja._tls")?.call_method1("context_of", (mode.name(), named, is_of_libpq))?;
        let ssl = py.import("ssl")?;
        let incoming = ssl.call_method0("MemoryBIO")?;
        let outgoing = ssl.call_method0("MemoryBIO")?;
        let options = PyDict::new(py);
        options.set_item("server_hostname", host)?;
        let tls = context.call_method("wrap_bio", (&incoming, &outgoing), Some(&options))?;
        Ok(Buffers {
            tls: tls.unbind(),
            incoming: incoming.unbind(),
            outgoing: outgoing.unbind(),
            wants_read: ssl.getattr("SSLWantReadError")?.unbind(),
            ends: ssl.getattr("SSLZeroReturnError")?.unbind(),
        })
    }

    /// A step of the handshake: whether it was the last, and what is to be sent.
    fn shake(&self, py: Python<'_>) -> PyResult<(bool, Vec<u8>)> {
        let is_done = match self.tls.bind(py).call_method0(intern!(py, "do_handshake")) {
            Ok(_) => true,
            Err(error) if error.matches(py, self.wants_read.bind(py))? => false,
            Err(error) => return Err(error),
        };
        Ok((is_done, self.to_send(py)?))
    }

    fn take(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
        self.incoming.bind(py).call_method1(intern!(py, "write"), (PyBytes::new(py, bytes),)).map(|_| ())
    }

    fn to_send(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        self.outgoing.bind(py).call_method0(intern!(py, "read"))?.extract()
    }

    /// Reads what is there; nothing where more has to come first.
    fn read(&self, py: Python<'_>, into: &mut [u8]) -> PyResult<Option<usize>> {
        match self.tls.bind(py).call_method1(intern!(py, "read"), (into.len(),)) {
            Ok(bytes) => {
                let bytes = bytes.cast::<PyBytes>()?.as_bytes();
                into[..bytes.len()].copy_from_slice(bytes);
                Ok(Some(bytes.len()))
            }
            Err(error) if error.matches(py, self.wants_read.bind(py))? => Ok(None),
            Err(error) if error.matches(py, self.ends.bind(py))? => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    fn write(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<usize> {
        self.tls.bind(py).call_method1(intern!(py, "write"), (PyBytes::new(py, bytes),))?.extract()
    }

    fn end_point(&self, py: Python<'_>) -> PyResult<Option<Vec<u8>>> {
        let certificate = self.tls.bind(py).call_method1("getpeercert", (true,))?;
        let certificate: Option<Bound<'_, PyBytes>> = certificate.extract()?;
        Ok(certificate.and_then(|certificate| naja_sql::end_point(certificate.as_bytes())))
    }
}

/// An encrypted stream over a socket that never waits.
struct Stream {
    socket: Socket,
    buffers: Buffers,
    /// Encrypted, and not with the system yet.
    unsent: Vec<u8>,
    end_point: Option<Vec<u8>>,
}

impl Stream {
    /// Sends what is encrypted already; `WouldBlock` when the system takes no more.
    fn send(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let count = self.socket.write(&self.unsent)?;
            self.unsent.drain(..count);
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
        let mut record = [0; RECORD_BYTES];
        loop {
            let read = Python::attach(|py| self.buffers.read(py, into)).map_err(|error| told(&error))?;
            if let Some(count) = read {
                return Ok(count);
            }
            let count = self.socket.read(&mut record)?;
            if count == 0 {
                // A stream that ends without TLS's own end is one that broke.
                return Ok(0);
            }
            Python::attach(|py| self.buffers.take(py, &record[..count])).map_err(|error| told(&error))?;
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Nothing more is taken while something waits, so that memory stays bounded.
        self.send()?;
        let bytes = &bytes[..bytes.len().min(4 * RECORD_BYTES)];
        let (taken, encrypted) = Python::attach(|py| {
            let taken = self.buffers.write(py, bytes)?;
            Ok((taken, self.buffers.to_send(py)?))
        })
        .map_err(|error: PyErr| told(&error))?;
        self.unsent = encrypted;
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
        !self.unsent.is_empty()
    }
}
