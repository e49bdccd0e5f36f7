//! The stream that a connection goes through: a socket, and the place where somebody else encrypts it.
//!
//! It knows no engine: where to connect and what to do about silence comes in as [`Place`] and [`Care`].
//! Sockets never block by themselves: [`Stream::wait`] is the one place that waits, so that bytes can come while
//! others go, and so that a time-out or a signal is seen.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// On the network.
    Tcp(TcpStream),
    /// In the file system.
    Unix(UnixStream),
}

/// Where a socket goes to.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// On the network.
    Tcp { host: &'a str, port: u16 },
    /// In the file system.
    Unix(Cow<'a, Path>),
}

/// When the system looks whether the other end is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keepalive {
    /// After so much silence; the system's own default (two hours) where it is not said.
    pub idle: Option<Duration>,
    /// Then again and again after so much.
    pub interval: Option<Duration>,
    /// Until it was in vain so many times.
    pub count: Option<u32>,
}

/// What is done about silence on the network.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Care {
    pub(crate) keepalive: Option<Keepalive>,
    /// How long sent bytes may stay unacknowledged.
    pub(crate) unacknowledged_timeout: Option<Duration>,
}

/// Whether a connection is encrypted; never on a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Not.
    Disable,
    /// Not, as long as the server does not insist.
    Allow,
    /// Where both sides are able to.
    #[default]
    Prefer,
    /// Always, with whoever answers.
    Require,
    /// Always, with a certificate that is signed by somebody trusted.
    VerifyCa,
    /// Always, and the certificate is for this host.
    VerifyFull,
}

/// The words for them in a URL.
pub(crate) const TLS_MODES: [(&str, TlsMode); 6] = [
    ("disable", TlsMode::Disable),
    ("allow", TlsMode::Allow),
    ("prefer", TlsMode::Prefer),
    ("require", TlsMode::Require),
    ("verify-ca", TlsMode::VerifyCa),
    ("verify-full", TlsMode::VerifyFull),
];

impl TlsMode {
    /// Whether a connection without encryption is none.
    pub fn is_required(self) -> bool {
        matches!(self, TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull)
    }

    /// Its word in a URL.
    pub fn name(self) -> &'static str {
        TLS_MODES.iter().find(|(_, mode)| *mode == self).map_or("prefer", |(name, _)| name)
    }
}

impl Socket {
    /// Connects. Every address of a name is tried in its turn until `deadline`.
    ///
    /// Errors: the reason of the last address; `TimedOut` after the deadline.
    pub(crate) fn connect(place: &Place<'_>, care: Care, deadline: Option<Instant>) -> io::Result<Socket> {
        match place {
            Place::Unix(path) => UnixStream::connect(path).map(Socket::Unix),
            Place::Tcp { host, port } => {
                let stream = connect_tcp(host, *port, deadline)?;
                look_after(&stream, care)?;
                Ok(Socket::Tcp(stream))
            }
        }
    }

    /// A second handle of the same socket.
    pub(crate) fn try_clone(&self) -> io::Result<Socket> {
        match self {
            Socket::Tcp(stream) => stream.try_clone().map(Socket::Tcp),
            Socket::Unix(stream) => stream.try_clone().map(Socket::Unix),
        }
    }

    /// Whether reading and writing give `WouldBlock` instead of waiting.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.set_nonblocking(nonblocking),
            Socket::Unix(stream) => stream.set_nonblocking(nonblocking),
        }
    }

    /// How long one reading or writing may take while the socket waits by itself.
    pub(crate) fn set_timeouts(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => {
                stream.set_read_timeout(timeout)?;
                stream.set_write_timeout(timeout)
            }
            Socket::Unix(stream) => {
                stream.set_read_timeout(timeout)?;
                stream.set_write_timeout(timeout)
            }
        }
    }
}

fn connect_tcp(host: &str, port: u16, deadline: Option<Instant>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        let connected = match deadline {
            None => TcpStream::connect(address),
            Some(deadline) => match time_left(deadline) {
                Some(left) => TcpStream::connect_timeout(&address, left),
                None => Err(io::ErrorKind::TimedOut.into()),
            },
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What is left until `deadline`, if anything.
pub(crate) fn time_left(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

fn look_after(stream: &TcpStream, care: Care) -> io::Result<()> {
    // Requests are written whole, and each is waited for.
    stream.set_nodelay(true)?;
    if let Some(Keepalive { idle, interval, count }) = care.keepalive {
        sockopt::set_socket_keepalive(stream, true)?;
        if let Some(idle) = idle {
            sockopt::set_tcp_keepidle(stream, idle)?;
        }
        if let Some(interval) = interval {
            sockopt::set_tcp_keepintvl(stream, interval)?;
        }
        if let Some(count) = count {
            sockopt::set_tcp_keepcnt(stream, count)?;
        }
    }
    if let Some(timeout) = care.unacknowledged_timeout {
        sockopt::set_tcp_user_timeout(stream, u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX))?;
    }
    Ok(())
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(into),
            Socket::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream that somebody encrypts. Reading and writing give `WouldBlock` where the socket below does.
pub trait Encrypted: Read + Write + Send {
    /// The hash of the server's certificate by RFC 5929 (`tls-server-end-point`), for channel binding.
    fn end_point(&self) -> Option<Vec<u8>>;

    /// Whether bytes that were taken are not with the system yet; reading and writing send them as soon as that is
    /// possible without waiting.
    fn wants_write(&self) -> bool {
        false
    }
}

/// Encrypts sockets on which the server has agreed to TLS.
pub trait TlsProvider: Send + Sync {
    /// Does the handshake and gives the stream. The socket waits by itself until this returns, and gives up at the
    /// time-out for connecting; afterwards it gives `WouldBlock`.
    ///
    /// `mode` says what is to be verified, `files` are the options of a URL that name files for TLS: `sslrootcert`,
    /// `sslcert`, `sslkey`, `sslcrl`.
    fn encrypt(
        &self,
        socket: Socket,
        host: &str,
        mode: TlsMode,
        files: &[(String, String)],
    ) -> io::Result<Box<dyn Encrypted>>;
}

/// A socket, perhaps with encryption over it.
pub(crate) struct Stream {
    socket: Socket,
    encrypted: Option<Box<dyn Encrypted>>,
    /// Nothing can be read before the socket says so.
    drained: bool,
}

/// What a stream is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Something can be read or written, or the other side has closed.
    Ready,
    /// A signal came.
    Interrupted,
    /// Nothing happened in time.
    TimedOut,
}

impl Stream {
    pub(crate) fn new(socket: Socket) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        Ok(Stream { socket, encrypted: None, drained: true })
    }

    /// Lets `provider` encrypt it, until `deadline`; gives what [`Encrypted::end_point`] says.
    pub(crate) fn encrypt(
        &mut self,
        provider: &dyn TlsProvider,
        host: &str,
        (mode, files): (TlsMode, &[(String, String)]),
        deadline: Option<Instant>,
    ) -> io::Result<Option<Vec<u8>>> {
        let left = match deadline.map(time_left) {
            Some(None) => return Err(io::ErrorKind::TimedOut.into()),
            Some(left) => left,
            None => None,
        };
        self.socket.set_nonblocking(false)?;
        self.socket.set_timeouts(left)?;
        let encrypted = provider.encrypt(self.socket.try_clone()?, host, mode, files)?;
        self.socket.set_timeouts(None)?;
        self.socket.set_nonblocking(true)?;
        let end_point = encrypted.end_point();
        self.encrypted = Some(encrypted);
        Ok(end_point)
    }

    /// Whether it is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.encrypted.is_some()
    }

    /// Waits until something can be read, or written if `to_write` is set.
    pub(crate) fn wait(&mut self, to_write: bool, timeout: Option<Duration>) -> io::Result<Waited> {
        let to_write = to_write || self.encrypted.as_ref().is_some_and(|stream| stream.wants_write());
        let events = if to_write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut waiting = [PollFd::new(&self.socket, events)];
        match poll(&mut waiting, timeout.as_ref()) {
            Ok(0) => Ok(Waited::TimedOut),
            Ok(_) => {
                // Also when it was closed or broke: reading tells.
                self.drained = waiting[0].revents() == PollFlags::OUT;
                Ok(Waited::Ready)
            }
            Err(rustix::io::Errno::INTR) => Ok(Waited::Interrupted),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what is there; nothing where one would have to wait, 0 at the end.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        if self.drained && self.encrypted.is_none() {
            return Ok(None);
        }
        let read = match &mut self.encrypted {
            Some(stream) => stream.read(into),
            None => self.socket.read(into),
        };
        let read = unless_blocked(read)?;
        self.drained = read.is_none_or(|count| count < into.len() && count > 0);
        Ok(read)
    }

    /// Writes as much as is taken; nothing where one would have to wait.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        unless_blocked(match &mut self.encrypted {
            Some(stream) => stream.write(bytes),
            None => self.socket.write(bytes),
        })
    }
}

fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
