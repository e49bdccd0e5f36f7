//! Where the server is, who asks, and how: from a URL, from `PG*` variables, or filled in by hand.
//!
//! Start at [`Options::from_url`]. No error here repeats a password or what may be a part of one.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::error::PostgresError;
use super::secret::Secret;

/// The port that servers listen on where nothing else is said.
const PORT: u16 = 5432;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// On the network.
    Tcp {
        /// Name or number.
        host: String,
        /// Port.
        port: u16,
    },
    /// On a socket in the file system.
    Unix {
        /// The folder that the socket lies in.
        folder: PathBuf,
        /// The port, which is a part of the socket's name.
        port: u16,
    },
}

impl Address {
    /// Whether it is on the network.
    pub fn is_tcp(&self) -> bool {
        matches!(self, Address::Tcp { .. })
    }

    fn new(host: &str, port: u16) -> Address {
        if host.starts_with('/') {
            Address::Unix { folder: PathBuf::from(host), port }
        } else {
            Address::Tcp { host: host.to_owned(), port }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix { folder, port } => write!(f, "{}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

/// Whether the connection is encrypted; never on a Unix socket.
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

const TLS_MODES: [(&str, TlsMode); 6] = [
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

/// Whether a login is tied to the encrypted connection that it goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where both sides are able to.
    #[default]
    Prefer,
    /// Else there is no login.
    Require,
}

const CHANNEL_BINDINGS: [(&str, ChannelBinding); 3] = [
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

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

/// Everything that decides how a connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where the server listens.
    pub address: Address,
    /// Who asks.
    pub user: String,
    /// What proves it; not every server asks for it.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// What the server's lists of connections say.
    pub application_name: String,
    /// Settings for the session in the form of a command line: `-c geqo=off`.
    pub command_line: Option<String>,
    /// Settings for the session, by name.
    pub settings: Vec<(String, String)>,
    /// Whether to encrypt.
    pub tls: TlsMode,
    /// Files for TLS, by their names in a URL: `sslrootcert`, `sslcert`, `sslkey`, `sslcrl`.
    pub tls_files: Vec<(String, String)>,
    /// Whether to tie the login to the encryption.
    pub channel_binding: ChannelBinding,
    /// How long making a connection may take, name look-up not counted; forever where it is not said.
    pub connect_timeout: Option<Duration>,
    /// How long the server lets a statement run. It is the server that ends it, and the connection goes on.
    pub statement_timeout: Option<Duration>,
    /// How long the server may be silent while it is asked something, after which the connection is given up. Where
    /// it is not said and there is a [`Options::statement_timeout`], 10 seconds more than that.
    pub answer_timeout: Option<Duration>,
    /// Whether and how the system looks after a silent connection.
    pub keepalive: Option<Keepalive>,
    /// How long sent bytes may stay unacknowledged; the system's default where it is not said.
    pub unacknowledged_timeout: Option<Duration>,
    /// How many prepared statements a connection keeps; 0 for poolers that hand a server on between statements.
    pub statement_cache: usize,
}

impl Options {
    /// For a user and a database at an address, all else as usual.
    pub fn new(address: Address, user: impl Into<String>, database: impl Into<String>) -> Self {
        Options {
            address,
            user: user.into(),
            password: None,
            database: database.into(),
            application_name: "naja".to_owned(),
            command_line: None,
            settings: Vec::new(),
            tls: TlsMode::default(),
            tls_files: Vec::new(),
            channel_binding: ChannelBinding::default(),
            connect_timeout: Some(Duration::from_secs(30)),
            statement_timeout: None,
            answer_timeout: None,
            keepalive: Some(Keepalive::default()),
            unacknowledged_timeout: None,
            statement_cache: 256,
        }
    }

    /// Reads `postgresql://user:password@host:port/database?option=value&…`.
    ///
    /// `postgres://` and `postgresql+driver://` mean the same. A host that begins with `/` is the folder of a Unix
    /// socket; it is written `?host=/run/postgresql`, or percent-encoded in its place. What the URL does not say comes
    /// from `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGAPPNAME`, `PGOPTIONS`, `PGSSLMODE`,
    /// `PGCHANNELBINDING` and `PGCONNECT_TIMEOUT`, which `variable` looks up, then from defaults.
    ///
    /// Options are libpq's (`host`, `port`, `user`, `password`, `dbname`, `application_name`, `options`,
    /// `connect_timeout` in seconds, `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `sslcrl`, `channel_binding`,
    /// `keepalives`, `keepalives_idle`, `keepalives_interval`, `keepalives_count`, `tcp_user_timeout` in ms), and beside
    /// them `statement_timeout` and `answer_timeout` in ms and `statement_cache`.
    ///
    /// Errors: `Options`, with a hint, and never with a password.
    ///
    /// ```
    /// use naja_sql::postgres::Options;
    /// let none = |_: &str| None;
    /// let options = Options::from_url("postgresql://anna:pa%40ss@db.example/shop?connect_timeout=5", &none)?;
    /// assert_eq!(options.to_string(), "postgresql://anna:***@db.example:5432/shop");
    /// assert_eq!(options.password.as_ref().map(|password| password.reveal()), Some("pa@ss"));
    /// let error = Options::from_url("mysql://anna@db.example/shop", &none).unwrap_err();
    /// let expected = "cannot use the database's address: a URL of PostgreSQL begins with `postgresql://`";
    /// assert_eq!(error.to_string(), expected);
    /// # Ok::<(), naja_sql::postgres::PostgresError>(())
    /// ```
    pub fn from_url(url: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, PostgresError> {
        let mut parts = Parts::default();
        parts.read_variables(variable)?;
        parts.read_url(url)?;
        parts.options(variable)
    }

    /// How long to wait for an answer at all.
    pub(crate) fn silence_max(&self) -> Option<Duration> {
        let beyond = |timeout: Duration| timeout.saturating_add(Duration::from_secs(10));
        self.answer_timeout.or_else(|| self.statement_timeout.map(beyond))
    }

    /// What the server is told at start-up.
    pub(crate) fn start_up_settings(&self) -> Vec<(String, String)> {
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut settings = vec![
            named("user", &self.user),
            named("database", &self.database),
            named("client_encoding", "UTF8"),
            named("application_name", &self.application_name),
        ];
        if let Some(command_line) = &self.command_line {
            settings.push(named("options", command_line));
        }
        if let Some(timeout) = self.statement_timeout {
            settings.push(named("statement_timeout", &timeout.as_millis().max(1).to_string()));
        }
        settings.extend(self.settings.iter().cloned());
        settings
    }
}

/// The URL again, its password covered.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let covered = if self.password.is_some() { ":***" } else { "" };
        write!(f, "postgresql://{}{covered}@", self.user)?;
        match &self.address {
            Address::Tcp { .. } => write!(f, "{}/{}", self.address, self.database),
            Address::Unix { folder, port } => {
                write!(f, "/{}?host={}&port={port}", self.database, folder.display())
            }
        }
    }
}

/// What was said so far, later words before earlier ones.
#[derive(Default)]
struct Parts {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    database: Option<String>,
    application_name: Option<String>,
    command_line: Option<String>,
    tls: Option<TlsMode>,
    tls_files: Vec<(String, String)>,
    channel_binding: Option<ChannelBinding>,
    connect_timeout_s: Option<u64>,
    statement_timeout: Option<Duration>,
    answer_timeout: Option<Duration>,
    no_keepalive: bool,
    keepalive: Keepalive,
    unacknowledged_timeout: Option<Duration>,
    statement_cache: Option<usize>,
}

/// The variables that are looked at, and the option that each of them is.
const VARIABLES: [(&str, &str); 10] = [
    ("PGHOST", "host"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGDATABASE", "dbname"),
    ("PGAPPNAME", "application_name"),
    ("PGOPTIONS", "options"),
    ("PGSSLMODE", "sslmode"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
];

/// All options of a URL, for the hint at a misspelled one.
const NAMES: [&str; 24] = [
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "application_name",
    "options",
    "sslmode",
    "channel_binding",
    "connect_timeout",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "statement_timeout",
    "answer_timeout",
    "statement_cache",
    "client_encoding",
    "gssencmode",
];

impl Parts {
    fn read_variables(&mut self, variable: &dyn Fn(&str) -> Option<String>) -> Result<(), PostgresError> {
        for (name, option) in VARIABLES {
            if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
                self.set(option, value, name)?;
            }
        }
        Ok(())
    }

    fn read_url(&mut self, url: &str) -> Result<(), PostgresError> {
        let rest = url.split_once("://").filter(|(scheme, _)| {
            let dialect = scheme.split('+').next().unwrap_or_default();
            dialect.eq_ignore_ascii_case("postgresql") || dialect.eq_ignore_ascii_case("postgres")
        });
        let Some((_, rest)) = rest else {
            return Err(PostgresError::option(
                "a URL of PostgreSQL begins with `postgresql://`",
                "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
            ));
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        if database.contains('@') {
            return Err(PostgresError::option(
                "a `/` in the user's name or in the password is not encoded",
                "write `%2F` for `/`, `%40` for `@`, `%3A` for `:`, `%3F` for `?`",
            ));
        }
        let (login, place) = match place.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, place),
        };
        if let Some(login) = login {
            let (user, password) = match login.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (login, None),
            };
            if !user.is_empty() {
                self.set("user", decoded(user, "the user's name")?, "the URL")?;
            }
            if let Some(password) = password {
                self.set("password", decoded(password, "the password")?, "the URL")?;
            }
        }
        self.read_place(place)?;
        if !database.is_empty() {
            self.set("dbname", decoded(database, "the database's name")?, "the URL")?;
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name, "the name of an option")?;
            let value = decoded(value, "the value of an option")?;
            self.set(&name, value, "the URL")?;
        }
        Ok(())
    }

    fn read_place(&mut self, place: &str) -> Result<(), PostgresError> {
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(|| {
                    PostgresError::option("`[` of an IPv6 address is not closed", "write `[::1]:5432`")
                })?;
                (host, after.strip_prefix(':'))
            }
            None => match place.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        // What stands there may be a login whose `@` was forgotten.
        if host.contains(':') && !place.starts_with('[') {
            return Err(PostgresError::option(
                "the host in the URL has a `:` in it",
                "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and an IPv6 address in brackets: `[::1]`",
            ));
        }
        if !host.is_empty() {
            self.set("host", decoded(host, "the host's name")?, "the URL")?;
        }
        match port {
            Some(port) if !port.is_empty() => self.set("port", port.to_owned(), "the URL"),
            _ => Ok(()),
        }
    }

    fn set(&mut self, name: &str, value: String, from: &str) -> Result<(), PostgresError> {
        match name {
            "host" | "hostaddr" if value.contains(',') => {
                return Err(PostgresError::option(
                    format!("{from} names several hosts"),
                    "one connection goes to one host",
                ));
            }
            "host" | "hostaddr" => self.host = Some(value),
            // What stands where the port should may be the end of a password with a `:` in it.
            "port" => {
                let port = value.parse().ok().filter(|&port| port != 0);
                self.port = Some(port.ok_or_else(|| {
                    PostgresError::option(
                        format!("the port in {from} is no number between 1 and 65535"),
                        "write `:` in a password as `%3A`, `@` as `%40` and `/` as `%2F`",
                    )
                })?);
            }
            "user" => self.user = Some(value),
            "password" => self.password = Some(Secret::new(value)),
            "dbname" => self.database = Some(value),
            "application_name" | "fallback_application_name" => self.application_name = Some(value),
            "options" => self.command_line = Some(value),
            "sslmode" => self.tls = Some(one_of(name, &value, &TLS_MODES)?),
            "channel_binding" => self.channel_binding = Some(one_of(name, &value, &CHANNEL_BINDINGS)?),
            "sslrootcert" | "sslcert" | "sslkey" | "sslcrl" => self.tls_files.push((name.to_owned(), value)),
            "connect_timeout" => self.connect_timeout_s = Some(number(name, &value)?),
            "statement_timeout" => self.statement_timeout = milliseconds(name, &value)?,
            "answer_timeout" => self.answer_timeout = milliseconds(name, &value)?,
            "keepalives" => self.no_keepalive = value == "0",
            "keepalives_idle" => self.keepalive.idle = seconds(name, &value)?,
            "keepalives_interval" => self.keepalive.interval = seconds(name, &value)?,
            "keepalives_count" => {
                let count: u64 = number(name, &value)?;
                self.keepalive.count = u32::try_from(count).ok().filter(|&count| count > 0);
            }
            "tcp_user_timeout" => self.unacknowledged_timeout = milliseconds(name, &value)?,
            "statement_cache" => {
                let count: u64 = number(name, &value)?;
                self.statement_cache = Some(usize::try_from(count).unwrap_or(usize::MAX));
            }
            "client_encoding" => {
                let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
                if !["utf8", "auto", "unicode"].iter().any(|name| plain.eq_ignore_ascii_case(name)) {
                    return Err(PostgresError::option(
                        "`client_encoding` other than UTF-8",
                        "leave it out: the server converts, whatever the database's own encoding is",
                    ));
                }
            }
            "gssencmode" if value != "require" => {}
            "target_session_attrs" if value == "any" => {}
            _ => return Err(unknown_option(name)),
        }
        Ok(())
    }

    fn options(self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Options, PostgresError> {
        let port = self.port.unwrap_or(PORT);
        let address = match &self.host {
            Some(host) if !host.is_empty() => Address::new(host, port),
            _ => local_address(port),
        };
        let named = |name: &str| variable(name).filter(|value| !value.is_empty());
        let user = self.user.or_else(|| named("USER")).or_else(|| named("LOGNAME")).ok_or_else(|| {
            PostgresError::option(
                "nobody is named who asks",
                "postgresql://USER@HOST/DATABASE, or set PGUSER",
            )
        })?;
        let mut options = Options::new(address, user.clone(), self.database.unwrap_or(user));
        options.password = self.password;
        options.command_line = self.command_line;
        options.tls = self.tls.unwrap_or_default();
        options.tls_files = self.tls_files;
        options.channel_binding = self.channel_binding.unwrap_or_default();
        options.statement_timeout = self.statement_timeout;
        options.answer_timeout = self.answer_timeout;
        options.unacknowledged_timeout = self.unacknowledged_timeout;
        options.keepalive = (!self.no_keepalive).then_some(self.keepalive);
        if let Some(name) = self.application_name {
            options.application_name = name;
        }
        if let Some(count) = self.statement_cache {
            options.statement_cache = count;
        }
        match self.connect_timeout_s {
            // As in libpq: 0 waits forever.
            Some(0) => options.connect_timeout = None,
            Some(timeout_s) => options.connect_timeout = Some(Duration::from_secs(timeout_s)),
            None => {}
        }
        Ok(options)
    }
}

/// Where a server of this machine listens: the folders of Debian and of PostgreSQL itself, else the network.
fn local_address(port: u16) -> Address {
    for folder in ["/var/run/postgresql", "/tmp"] {
        let folder = PathBuf::from(folder);
        if folder.join(format!(".s.PGSQL.{port}")).exists() {
            return Address::Unix { folder, port };
        }
    }
    Address::Tcp { host: "localhost".to_owned(), port }
}

fn one_of<T: Copy>(name: &str, value: &str, known: &[(&str, T)]) -> Result<T, PostgresError> {
    let found = known.iter().find(|(word, _)| *word == value).map(|&(_, meaning)| meaning);
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        PostgresError::option(
            format!("`{name}` is none of its words"),
            format!("one of {}", words.join(", ")),
        )
    })
}

fn number(name: &str, value: &str) -> Result<u64, PostgresError> {
    value.parse().map_err(|_| {
        PostgresError::option(format!("`{name}` is no whole number"), format!("write it as `{name}=10`"))
    })
}

fn milliseconds(name: &str, value: &str) -> Result<Option<Duration>, PostgresError> {
    number(name, value).map(|count| (count > 0).then(|| Duration::from_millis(count)))
}

fn seconds(name: &str, value: &str) -> Result<Option<Duration>, PostgresError> {
    number(name, value).map(|count| (count > 0).then(|| Duration::from_secs(count)))
}

fn unknown_option(name: &str) -> PostgresError {
    // A name that shares its beginning is what was meant more often than not.
    let near = NAMES
        .iter()
        .max_by_key(|known| known.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count());
    let shared = near.filter(|near| near.get(..3).is_some_and(|start| name.starts_with(start)));
    let shown: String = name.chars().take(40).collect();
    let hint = match shared {
        Some(near) => format!("`{near}` is one"),
        None => format!("known are {}", NAMES.join(", ")),
    };
    PostgresError::option(format!("`{shown}` is no option of a connection, or not with this value"), hint)
}

/// Takes `%XX` apart.
fn decoded(text: &str, what: &str) -> Result<String, PostgresError> {
    let wrong = || {
        PostgresError::option(
            format!("{what} in the URL is not percent-encoded as it should be"),
            "write `%` itself as `%25`, and each byte of UTF-8 as two hexadecimal digits",
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
        let value = |digit: u8| char::from(digit).to_digit(16);
        let (Some(high), Some(low)) = (value(digits[0]), value(digits[1])) else { return Err(wrong()) };
        // Two hexadecimal digits are one byte.
        bytes.push((high * 16 + low) as u8);
        rest = after;
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    if text.contains('\0') { Err(wrong()) } else { Ok(text) }
}
