//! Where the server is, who asks, and how: from a URL, from `PG*` variables, or filled in by hand.
//!
//! Start at [`Options::from_url`]. No error here repeats a password or what may be a part of one.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;
use crate::stream::{Care, Keepalive, TLS_MODES, TlsMode};
use crate::url;

use super::error::PostgresError;
use super::password_file;

/// The port that servers listen on where nothing else is said.
const PORT: u16 = 5432;

const FORM: url::Form = url::Form {
    schemes: &["postgresql", "postgres"],
    other_scheme: "a URL of PostgreSQL begins with `postgresql://`",
    example: "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    example_ipv6: "[::1]:5432",
    database: "dbname",
};

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
    /// `PGCHANNELBINDING` and `PGCONNECT_TIMEOUT`, which `variable` looks up, then from defaults; a password that nobody
    /// says comes from the file that `passfile` or `PGPASSFILE` names, else from `.pgpass` in `HOME`.
    ///
    /// Options are libpq's (`host`, `port`, `user`, `password`, `passfile`, `dbname`, `application_name`, `options`,
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

    /// Where no password is said, looks for one in the file that users of libpq keep: `file`, else `PGPASSFILE`, else
    /// `.pgpass` in `HOME`. [`Options::from_url`] has done so; this is for whoever has changed the address or the user since.
    ///
    /// A file that others than its owner may read is not used, as in libpq.
    pub fn find_password(&mut self, file: Option<String>, variable: &dyn Fn(&str) -> Option<String>) {
        if self.password.as_ref().is_some_and(|password| !password.reveal().is_empty()) {
            return;
        }
        let named = |name: &str| variable(name).filter(|value| !value.is_empty());
        let file = file.or_else(|| named("PGPASSFILE")).map(PathBuf::from);
        if let Some(file) = file.or_else(|| Some(PathBuf::from(named("HOME")?).join(".pgpass")))
            && let Some(found) = password_file::find(&file, &self.address, &self.database, &self.user)
        {
            self.password = Some(found);
        }
    }

    /// How long to wait for an answer at all.
    pub(crate) fn silence_max(&self) -> Option<Duration> {
        let beyond = |timeout: Duration| timeout.saturating_add(Duration::from_secs(10));
        self.answer_timeout.or_else(|| self.statement_timeout.map(beyond))
    }

    /// What is done about silence.
    pub(crate) fn care(&self) -> Care {
        Care { keepalive: self.keepalive, unacknowledged_timeout: self.unacknowledged_timeout }
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
    password_file: Option<String>,
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
const NAMES: [&str; 25] = [
    "host",
    "port",
    "user",
    "password",
    "passfile",
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
        for (name, value) in url::parts(url, &FORM)? {
            self.set(&name, value, "the URL")?;
        }
        Ok(())
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
            "port" => self.port = Some(url::port(&value, from)?),
            "user" => self.user = Some(value),
            "password" => self.password = Some(Secret::new(value)),
            "passfile" => self.password_file = Some(value),
            "dbname" => self.database = Some(value),
            "application_name" | "fallback_application_name" => self.application_name = Some(value),
            "options" => self.command_line = Some(value),
            "sslmode" => self.tls = Some(url::one_of(name, &value, &TLS_MODES)?),
            "channel_binding" => self.channel_binding = Some(url::one_of(name, &value, &CHANNEL_BINDINGS)?),
            "sslrootcert" | "sslcert" | "sslkey" | "sslcrl" => self.tls_files.push((name.to_owned(), value)),
            "connect_timeout" => self.connect_timeout_s = Some(url::number(name, &value)?),
            "statement_timeout" => self.statement_timeout = url::milliseconds(name, &value)?,
            "answer_timeout" => self.answer_timeout = url::milliseconds(name, &value)?,
            "keepalives" => self.no_keepalive = value == "0",
            "keepalives_idle" => self.keepalive.idle = url::seconds(name, &value)?,
            "keepalives_interval" => self.keepalive.interval = url::seconds(name, &value)?,
            "keepalives_count" => {
                let count: u64 = url::number(name, &value)?;
                self.keepalive.count = u32::try_from(count).ok().filter(|&count| count > 0);
            }
            "tcp_user_timeout" => self.unacknowledged_timeout = url::milliseconds(name, &value)?,
            "statement_cache" => {
                let count: u64 = url::number(name, &value)?;
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
            _ => return Err(url::unknown_option(name, &NAMES).into()),
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
        options.find_password(self.password_file, variable);
        Ok(options)
    }
}

/// Where a server of this machine listens: the folders of Debian and of PostgreSQL itself, else the network.
fn local_address(port: u16) -> Address {
    for folder in password_file::SOCKET_FOLDERS {
        let folder = PathBuf::from(folder);
        if folder.join(format!(".s.PGSQL.{port}")).exists() {
            return Address::Unix { folder, port };
        }
    }
    Address::Tcp { host: "localhost".to_owned(), port }
}
