//! Where the server is, who asks, and how: from a URL, from `MYSQL_*` variables, or filled in by hand.
//!
//! Start at [`Options::from_url`]. No error here repeats a password or what may be a part of one.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;
use crate::stream::{Care, Keepalive, TLS_MODES, TlsMode};
use crate::url;

use super::error::MySqlError;

/// The port that servers listen on where nothing else is said.
const PORT: u16 = 3306;

const FORM: url::Form = url::Form {
    schemes: &["mysql", "mariadb"],
    other_scheme: "a URL of MySQL begins with `mysql://`, one of MariaDB also with `mariadb://`",
    example: "mysql://USER:PASSWORD@HOST:PORT/DATABASE",
    example_ipv6: "[::1]:3306",
    database: "database",
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
        /// The socket.
        path: PathBuf,
    },
}

impl Address {
    /// Whether it is on the network.
    pub fn is_tcp(&self) -> bool {
        matches!(self, Address::Tcp { .. })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix { path } => write!(f, "{}", path.display()),
        }
    }
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
    /// The database that is used first; none where it is not said.
    pub database: Option<String>,
    /// What the server's lists of connections say.
    pub application_name: String,
    /// Settings for the session, by name: `sql_mode`, `time_zone`, `innodb_lock_wait_timeout`.
    pub settings: Vec<(String, String)>,
    /// Whether to encrypt.
    pub tls: TlsMode,
    /// Files for TLS, by their names in a URL: `sslrootcert`, `sslcert`, `sslkey`, `sslcrl`.
    pub tls_files: Vec<(String, String)>,
    /// Whether a password may be sent in the clear on the network without encryption, if the server asks for that.
    pub clear_password: bool,
    /// Whether a password may be encrypted for the key that the server sends, where there is no other encryption: who
    /// listens cannot read it, who stands between can.
    pub server_public_key: bool,
    /// Whether an UPDATE counts the rows that it found, as every other database does, or those that were different.
    pub found_rows: bool,
    /// Whether `LOAD DATA LOCAL INFILE` is possible: [`super::Connection::load`] alone gives the server anything.
    pub local_infile: bool,
    /// How long making a connection may take, name look-up not counted; forever where it is not said.
    pub connect_timeout: Option<Duration>,
    /// How long the server lets a statement run. It is the server that ends it, and the connection goes on. MySQL itself
    /// ends only statements that read.
    pub statement_timeout: Option<Duration>,
    /// How long the server may be silent while it is asked something, after which the connection is given up. Where
    /// it is not said and there is a [`Options::statement_timeout`], 10 seconds more than that.
    pub answer_timeout: Option<Duration>,
    /// Whether and how the system looks after a silent connection.
    pub keepalive: Option<Keepalive>,
    /// How long sent bytes may stay unacknowledged; the system's default where it is not said.
    pub unacknowledged_timeout: Option<Duration>,
    /// How many prepared statements a connection keeps.
    pub statement_cache: usize,
}

impl Options {
    /// For a user at an address, all else as usual.
    pub fn new(address: Address, user: impl Into<String>) -> Self {
        Options {
            address,
            user: user.into(),
            password: None,
            database: None,
            application_name: "naja".to_owned(),
            settings: Vec::new(),
            tls: TlsMode::default(),
            tls_files: Vec::new(),
            clear_password: false,
            server_public_key: true,
            found_rows: true,
            local_infile: false,
            connect_timeout: Some(Duration::from_secs(30)),
            statement_timeout: None,
            answer_timeout: None,
            keepalive: Some(Keepalive::default()),
            unacknowledged_timeout: None,
            statement_cache: 256,
        }
    }

    /// Reads `mysql://user:password@host:port/database?option=value&…`.
    ///
    /// `mariadb://` and `mysql+driver://` mean the same. Without a host it is the socket of a server of this machine,
    /// where there is one; another is written `?unix_socket=/path`. What the URL does not say comes from `MYSQL_HOST`,
    /// `MYSQL_TCP_PORT`, `MYSQL_UNIX_PORT`, `MYSQL_PWD` and `USER`, which `variable` looks up, then from defaults.
    ///
    /// Options are `host`, `port`, `unix_socket`, `user`, `password`, `database`, `connect_timeout` in seconds; for TLS
    /// `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `sslcrl` as PostgreSQL's, and the drivers' words for the same
    /// (`ssl_ca`, `ssl_cert`, `ssl_key`, `ssl`, `ssl_disabled`, `ssl_verify_cert`, `ssl_verify_identity`); `charset`, which
    /// can only be UTF-8; `sql_mode`, `time_zone`, `autocommit` for the session; `statement_timeout` and `answer_timeout`
    /// in ms, `read_timeout` in seconds; `keepalives`, `keepalives_idle`, `keepalives_interval`, `keepalives_count`,
    /// `tcp_user_timeout` in ms; `application_name`, `statement_cache`; and with 0 or 1 `found_rows`, `local_infile`,
    /// `clear_password`, `server_public_key`.
    ///
    /// Errors: `Options`, with a hint, and never with a password.
    ///
    /// ```
    /// use naja_sql::mysql::Options;
    /// let none = |_: &str| None;
    /// let options = Options::from_url("mysql+pymysql://anna:pa%40ss@db.example/shop?connect_timeout=5", &none)?;
    /// assert_eq!(options.to_string(), "mysql://anna:***@db.example:3306/shop");
    /// assert_eq!(options.password.as_ref().map(|password| password.reveal()), Some("pa@ss"));
    /// let error = Options::from_url("postgresql://anna@db.example/shop", &none).unwrap_err();
    /// assert!(error.to_string().ends_with("begins with `mysql://`, one of MariaDB also with `mariadb://`"));
    /// # Ok::<(), naja_sql::mysql::MySqlError>(())
    /// ```
    pub fn from_url(url: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, MySqlError> {
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

    /// What is done about silence.
    pub(crate) fn care(&self) -> Care {
        Care { keepalive: self.keepalive, unacknowledged_timeout: self.unacknowledged_timeout }
    }
}

/// The URL again, its password covered.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let covered = if self.password.is_some() { ":***" } else { "" };
        write!(f, "mysql://{}{covered}@", self.user)?;
        let database = self.database.as_deref().unwrap_or_default();
        match &self.address {
            Address::Tcp { .. } => write!(f, "{}/{database}", self.address),
            Address::Unix { path } => write!(f, "/{database}?unix_socket={}", path.display()),
        }
    }
}

/// What was said so far, later words before earlier ones.
#[derive(Default)]
struct Parts {
    host: Option<String>,
    port: Option<u16>,
    socket: Option<String>,
    user: Option<String>,
    password: Option<Secret>,
    database: Option<String>,
    application_name: Option<String>,
    settings: Vec<(String, String)>,
    tls: Option<TlsMode>,
    /// What the drivers' words ask for beyond encryption itself.
    verify: Option<TlsMode>,
    tls_files: Vec<(String, String)>,
    flags: Vec<(Flag, bool)>,
    connect_timeout_s: Option<u64>,
    statement_timeout: Option<Duration>,
    answer_timeout: Option<Duration>,
    no_keepalive: bool,
    keepalive: Keepalive,
    unacknowledged_timeout: Option<Duration>,
    statement_cache: Option<usize>,
}

#[derive(Clone, Copy)]
enum Flag {
    FoundRows,
    LocalInfile,
    ClearPassword,
    ServerPublicKey,
}

/// The variables that are looked at, and the option that each of them is.
const VARIABLES: [(&str, &str); 4] = [
    ("MYSQL_HOST", "host"),
    ("MYSQL_TCP_PORT", "port"),
    ("MYSQL_UNIX_PORT", "unix_socket"),
    ("MYSQL_PWD", "password"),
];

/// All options of a URL, for the hint at a misspelled one.
const NAMES: [&str; 33] = [
    "host",
    "port",
    "unix_socket",
    "user",
    "password",
    "database",
    "application_name",
    "charset",
    "sql_mode",
    "time_zone",
    "autocommit",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "ssl",
    "ssl_ca",
    "ssl_disabled",
    "ssl_verify_cert",
    "ssl_verify_identity",
    "connect_timeout",
    "read_timeout",
    "statement_timeout",
    "answer_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "statement_cache",
    "found_rows",
    "local_infile",
];

const SWITCH: [(&str, bool); 6] =
    [("1", true), ("0", false), ("true", true), ("false", false), ("True", true), ("False", false)];

impl Parts {
    fn read_variables(&mut self, variable: &dyn Fn(&str) -> Option<String>) -> Result<(), MySqlError> {
        for (name, option) in VARIABLES {
            if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
                self.set(option, value, name)?;
            }
        }
        Ok(())
    }

    fn read_url(&mut self, url: &str) -> Result<(), MySqlError> {
        let parts = url::parts(url, &FORM)?;
        // A place in the URL counts more than a socket of the environment.
        if parts.iter().any(|(name, _)| name == "host" || name == "port") {
            self.socket = None;
        }
        for (name, value) in parts {
            self.set(&name, value, "the URL")?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: String, from: &str) -> Result<(), MySqlError> {
        let on = |value: &str| url::one_of(name, value, &SWITCH);
        let mut flag = |flag| on(&value).map(|on| self.flags.push((flag, on)));
        match name {
            "host" if value.contains(',') => {
                return Err(MySqlError::option(
                    format!("{from} names several hosts"),
                    "one connection goes to one host",
                ));
            }
            "host" if value.starts_with('/') => self.socket = Some(value),
            "host" => self.host = Some(value),
            "port" => self.port = Some(url::port(&value, from)?),
            "unix_socket" | "socket" => self.socket = Some(value),
            "user" => self.user = Some(value),
            "password" | "passwd" => self.password = Some(Secret::new(value)),
            "database" | "db" | "dbname" => self.database = Some(value),
            "application_name" | "program_name" => self.application_name = Some(value),
            "sql_mode" | "time_zone" => self.settings.push((name.to_owned(), value)),
            "autocommit" => {
                let on = if on(&value)? { "1" } else { "0" };
                self.settings.push((name.to_owned(), on.to_owned()));
            }
            "sslmode" => self.tls = Some(url::one_of(name, &value, &TLS_MODES)?),
            "ssl" => self.tls = Some(if on(&value)? { TlsMode::Require } else { TlsMode::Disable }),
            "ssl_disabled" => self.tls = on(&value)?.then_some(TlsMode::Disable),
            "ssl_verify_cert" if on(&value)? => self.verify = self.verify.or(Some(TlsMode::VerifyCa)),
            "ssl_verify_identity" | "ssl_check_hostname" if on(&value)? => {
                self.verify = Some(TlsMode::VerifyFull);
            }
            "ssl_verify_cert" | "ssl_verify_identity" | "ssl_check_hostname" => {}
            "sslrootcert" | "sslcert" | "sslkey" | "sslcrl" => self.tls_files.push((name.to_owned(), value)),
            "ssl_ca" => {
                self.verify = self.verify.or(Some(TlsMode::VerifyCa));
                self.tls_files.push(("sslrootcert".to_owned(), value));
            }
            "ssl_cert" | "ssl_key" | "ssl_crl" => self.tls_files.push((name.replace('_', ""), value)),
            "connect_timeout" => self.connect_timeout_s = Some(url::number(name, &value)?),
            "statement_timeout" => self.statement_timeout = url::milliseconds(name, &value)?,
            "answer_timeout" => self.answer_timeout = url::milliseconds(name, &value)?,
            "read_timeout" => self.answer_timeout = url::seconds(name, &value)?,
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
            "charset" => {
                let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
                if !["utf8", "utf8mb4"].iter().any(|name| plain.eq_ignore_ascii_case(name)) {
                    return Err(MySqlError::option(
                        "`charset` other than utf8mb4",
                        "leave it out: the server converts, whatever the tables' own character sets are",
                    ));
                }
            }
            "found_rows" => flag(Flag::FoundRows)?,
            "local_infile" => flag(Flag::LocalInfile)?,
            "clear_password" => flag(Flag::ClearPassword)?,
            "server_public_key" => flag(Flag::ServerPublicKey)?,
            _ => return Err(url::unknown_option(name, &NAMES).into()),
        }
        Ok(())
    }

    fn options(self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Options, MySqlError> {
        let address = match (self.socket, self.host.filter(|host| !host.is_empty()), self.port) {
            (Some(path), ..) => Address::Unix { path: PathBuf::from(path) },
            (None, Some(host), port) => Address::Tcp { host, port: port.unwrap_or(PORT) },
            // Whoever names a port means the network.
            (None, None, Some(port)) => Address::Tcp { host: "localhost".to_owned(), port },
            (None, None, None) => local_address(),
        };
        let named = |name: &str| variable(name).filter(|value| !value.is_empty());
        let user =
            self.user.or_else(|| named("USER")).or_else(|| named("LOGNAME")).ok_or_else(|| {
                MySqlError::option("nobody is named who asks", "mysql://USER@HOST/DATABASE")
            })?;
        let mut options = Options::new(address, user);
        options.password = self.password;
        options.database = self.database;
        options.settings = self.settings;
        options.tls = match (self.tls, self.verify) {
            (None | Some(TlsMode::Require), Some(verify)) => verify,
            (tls, _) => tls.unwrap_or_default(),
        };
        options.tls_files = self.tls_files;
        options.statement_timeout = self.statement_timeout;
        options.answer_timeout = self.answer_timeout;
        options.unacknowledged_timeout = self.unacknowledged_timeout;
        options.keepalive = (!self.no_keepalive).then_some(self.keepalive);
        for (flag, on) in self.flags {
            match flag {
                Flag::FoundRows => options.found_rows = on,
                Flag::LocalInfile => options.local_infile = on,
                Flag::ClearPassword => options.clear_password = on,
                Flag::ServerPublicKey => options.server_public_key = on,
            }
        }
        if let Some(name) = self.application_name {
            options.application_name = name;
        }
        if let Some(count) = self.statement_cache {
            options.statement_cache = count;
        }
        match self.connect_timeout_s {
            // 0 waits forever.
            Some(0) => options.connect_timeout = None,
            Some(timeout_s) => options.connect_timeout = Some(Duration::from_secs(timeout_s)),
            None => {}
        }
        Ok(options)
    }
}

/// Where a server of this machine listens: the socket of Debian or of MySQL itself, else the network.
fn local_address() -> Address {
    for path in ["/run/mysqld/mysqld.sock", "/tmp/mysql.sock"] {
        let path = PathBuf::from(path);
        if path.exists() {
            return Address::Unix { path };
        }
    }
    Address::Tcp { host: "localhost".to_owned(), port: PORT }
}
