//! How a connection begins: what the server says of itself, what the client answers, and the session's settings.

use super::error::MySqlError;
use super::message::{Fields, MESSAGE_BYTES_MAX, write_number, write_sized, write_text};
use super::options::Options;

/// What either side is able to do. The upper half is MariaDB's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Capabilities(u64);

/// MySQL says it always; MariaDB leaves it out where it has more to say in the upper half.
const MYSQL: u64 = 1;
const FOUND_ROWS: u64 = 1 << 1;
const LONG_FLAGS: u64 = 1 << 2;
const WITH_DATABASE: u64 = 1 << 3;
pub(crate) const LOCAL_FILES: u64 = 1 << 7;
const PROTOCOL_41: u64 = 1 << 9;
pub(crate) const TLS: u64 = 1 << 11;
const TRANSACTIONS: u64 = 1 << 13;
const NONCE: u64 = 1 << 15;
const MULTI_STATEMENTS: u64 = 1 << 16;
const MULTI_RESULTS: u64 = 1 << 17;
const PREPARED_MULTI_RESULTS: u64 = 1 << 18;
const METHODS: u64 = 1 << 19;
const ATTRIBUTES: u64 = 1 << 20;
const LONG_ANSWERS: u64 = 1 << 21;
/// No packet stands between descriptions and rows, and rows end with what statements end with.
pub(crate) const NO_EOF: u64 = 1 << 24;
/// Many rows of parameters in one packet.
pub(crate) const BULK: u64 = 1 << 34;
/// Types that MySQL has not, in descriptions of columns.
pub(crate) const EXTENDED_METADATA: u64 = 1 << 35;
/// Descriptions of columns are not repeated at each execution.
pub(crate) const CACHED_METADATA: u64 = 1 << 36;

/// `utf8mb4_general_ci`, which every server knows; the session's own settings then name the character set again.
const UTF8MB4: u8 = 45;

impl Capabilities {
    pub(crate) fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    /// What both are able to do.
    pub(crate) fn both(self, other: Capabilities) -> Capabilities {
        let both = self.0 & other.0;
        // Without the packet's end this has no form of its own.
        Capabilities(if both & NO_EOF == 0 { both & !CACHED_METADATA } else { both })
    }
}

/// What is asked of the server.
pub(crate) fn wanted(options: &Options, encrypts: bool) -> Capabilities {
    let mut bits = LONG_FLAGS
        | PROTOCOL_41
        | TRANSACTIONS
        | NONCE
        | MULTI_STATEMENTS
        | MULTI_RESULTS
        | PREPARED_MULTI_RESULTS
        | METHODS
        | ATTRIBUTES
        | LONG_ANSWERS
        | NO_EOF
        | BULK
        | EXTENDED_METADATA
        | CACHED_METADATA;
    let asked = [
        (FOUND_ROWS, options.found_rows),
        (WITH_DATABASE, options.database.is_some()),
        (LOCAL_FILES, options.local_infile),
        (TLS, encrypts),
    ];
    for (bit, _) in asked.iter().filter(|(_, asked)| *asked) {
        bits |= bit;
    }
    // What only MySQL says of itself is said back to it.
    Capabilities(bits | MYSQL)
}

/// What the server says of itself.
#[derive(Debug, Default)]
pub(crate) struct Greeting {
    pub(crate) version: String,
    pub(crate) is_mariadb: bool,
    /// The number of the connection.
    pub(crate) connection: u32,
    pub(crate) capabilities: Capabilities,
    /// The method by which passwords are asked for.
    pub(crate) method: String,
    pub(crate) nonce: Vec<u8>,
}

impl Greeting {
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<Greeting, MySqlError> {
        if fields.u8()? != 10 {
            return Err(MySqlError::Protocol { what: "a greeting of another protocol than version 10" });
        }
        let version = String::from_utf8_lossy(fields.bytes_to_zero()?).into_owned();
        let connection = fields.u32()?;
        let mut nonce = fields.bytes(8)?.to_vec();
        fields.u8()?;
        let low = fields.u16()?;
        // The server's character set and state.
        fields.bytes(3)?;
        let high = fields.u16()?;
        let nonce_bytes = fields.u8()?;
        fields.bytes(6)?;
        let beyond = fields.u32()?;
        let mut bits = u64::from(low) | u64::from(high) << 16;
        if bits & MYSQL == 0 {
            bits |= u64::from(beyond) << 32;
        }
        if bits & PROTOCOL_41 == 0 || bits & NONCE == 0 {
            return Err(MySqlError::Protocol { what: "a server older than MySQL 4.1" });
        }
        // At least 13 bytes, whatever the server says, of which the last is a zero.
        let rest = fields.bytes(usize::from(nonce_bytes).saturating_sub(8).max(13))?;
        nonce.extend_from_slice(rest.strip_suffix(&[0]).unwrap_or(rest));
        let method = if bits & METHODS != 0 {
            // Some servers leave the zero at the end out.
            let method = fields.0.split(|&byte| byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(method).into_owned()
        } else {
            String::new()
        };
        // MariaDB puts a version before its own that old replicas of MySQL can read.
        let own = version.strip_prefix("5.5.5-").filter(|own| own.contains("MariaDB"));
        let version = own.map(str::to_owned).unwrap_or(version);
        let is_mariadb = version.contains("MariaDB") || bits & MYSQL == 0;
        Ok(Greeting { version, is_mariadb, connection, capabilities: Capabilities(bits), method, nonce })
    }
}

/// Writes what comes before TLS.
pub(crate) fn ask_for_tls(out: &mut Vec<u8>, capabilities: Capabilities) {
    let bits = capabilities.0.to_le_bytes();
    out.extend_from_slice(&bits[..4]);
    // 2^30 fits.
    out.extend((MESSAGE_BYTES_MAX as u32).to_le_bytes());
    out.push(UTF8MB4);
    out.extend([0; 19]);
    out.extend_from_slice(&bits[4..]);
}

/// Writes who one is, with the answer of a method of login.
pub(crate) fn respond(
    out: &mut Vec<u8>,
    capabilities: Capabilities,
    options: &Options,
    (method, answer): (&str, &[u8]),
) -> Result<(), MySqlError> {
    ask_for_tls(out, capabilities);
    write_text(out, &options.user)?;
    if capabilities.has(LONG_ANSWERS) {
        write_sized(out, answer);
    } else {
        // No first answer of any method is longer than 64 bytes.
        out.push(answer.len() as u8);
        out.extend_from_slice(answer);
    }
    if capabilities.has(WITH_DATABASE)
        && let Some(database) = &options.database
    {
        write_text(out, database)?;
    }
    if capabilities.has(METHODS) {
        write_text(out, method)?;
    }
    if capabilities.has(ATTRIBUTES) {
        let mut attributes = Vec::new();
        for (name, value) in [("program_name", &*options.application_name), ("_client_name", "naja")] {
            write_sized(&mut attributes, name.as_bytes());
            write_sized(&mut attributes, value.as_bytes());
        }
        write_number(out, attributes.len() as u64);
        out.extend_from_slice(&attributes);
    }
    Ok(())
}

/// Errors: `Options` for a setting whose name is none, `Unsendable` for a NUL character in a name.
pub(crate) fn check(options: &Options) -> Result<(), MySqlError> {
    let names = [Some(&options.user), options.database.as_ref()];
    if names.into_iter().flatten().any(|name| name.contains('\0')) {
        return Err(MySqlError::Unsendable { what: "a NUL character in a name".to_owned() });
    }
    for (name, _) in &options.settings {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if name.is_empty() || !name.chars().all(fits) {
            return Err(MySqlError::option("a setting has a name that is none", "such as `sql_mode`"));
        }
    }
    Ok(())
}

/// The statements that are run first: the character set, whatever the server does by itself, the settings, and the
/// question how much the server takes at once.
pub(crate) fn settings(options: &Options, is_mariadb: bool) -> String {
    let mut sql = "SET NAMES utf8mb4".to_owned();
    if let Some(timeout) = options.statement_timeout {
        let timeout_ms = timeout.as_millis().max(1);
        sql.push_str(&if is_mariadb {
            format!(", @@session.max_statement_time={}.{:03}", timeout_ms / 1000, timeout_ms % 1000)
        } else {
            format!(", @@session.max_execution_time={timeout_ms}")
        });
    }
    for (name, value) in &options.settings {
        let is_number = value.parse::<f64>().is_ok_and(f64::is_finite);
        let value = if is_number { value.clone() } else { quoted(value) };
        sql.push_str(&format!(", @@session.{name}={value}"));
    }
    sql.push_str("; SELECT @@max_allowed_packet");
    sql
}

/// A text as a literal that means the same whether or not `\` has a meaning in the session.
fn quoted(text: &str) -> String {
    if text.contains('\\') {
        let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        return format!("CONVERT(x'{digits}' USING utf8mb4)");
    }
    format!("'{}'", text.replace('\'', "''"))
}
