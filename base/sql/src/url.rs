//! The URL of a database: its parts, and what the words of its options may be.
//!
//! No error here repeats a password or what may be a part of one. Start at [`parts`].

use std::time::Duration;

/// What is wrong with a URL, and what would be right.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl Wrong {
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Wrong {
        Wrong { what: what.into(), hint: hint.into() }
    }
}

/// How the URLs of an engine look.
pub(crate) struct Form {
    /// What stands before `://`, without a driver behind a `+`.
    pub(crate) schemes: &'static [&'static str],
    /// What is told where another word stands there.
    pub(crate) other_scheme: &'static str,
    /// One with all parts.
    pub(crate) example: &'static str,
    /// An IPv6 address with the engine's port.
    pub(crate) example_ipv6: &'static str,
    /// What the option is called that names the database.
    pub(crate) database: &'static str,
}

/// Takes a URL apart into options: `user`, `password`, `host`, `port` and the database, then those behind the `?`.
pub(crate) fn parts(url: &str, form: &Form) -> Result<Vec<(String, String)>, Wrong> {
    let rest = url.split_once("://").filter(|(scheme, _)| {
        let dialect = scheme.split('+').next().unwrap_or_default();
        form.schemes.iter().any(|known| dialect.eq_ignore_ascii_case(known))
    });
    let Some((_, rest)) = rest else { return Err(Wrong::new(form.other_scheme, form.example)) };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
    if database.contains('@') {
        return Err(Wrong::new(
            "a `/` in the user's name or in the password is not encoded",
            "write `%2F` for `/`, `%40` for `@`, `%3A` for `:`, `%3F` for `?`",
        ));
    }
    let mut parts = Vec::new();
    let mut part = |name: &str, text: &str, what: &str| {
        decoded(text, what).map(|value| parts.push((name.to_owned(), value)))
    };
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
            part("user", user, "the user's name")?;
        }
        if let Some(password) = password {
            part("password", password, "the password")?;
        }
    }
    let (host, port) = host_and_port(place, form)?;
    if !host.is_empty() {
        part("host", host, "the host's name")?;
    }
    if let Some(port) = port.filter(|port| !port.is_empty()) {
        part("port", port, "the port")?;
    }
    if !database.is_empty() {
        part(form.database, database, "the database's name")?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name, "the name of an option")?;
        part(&name, value, "the value of an option")?;
    }
    Ok(parts)
}

fn host_and_port<'a>(place: &'a str, form: &Form) -> Result<(&'a str, Option<&'a str>), Wrong> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(|| {
                Wrong::new("`[` of an IPv6 address is not closed", format!("write `{}`", form.example_ipv6))
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
        return Err(Wrong::new(
            "the host in the URL has a `:` in it",
            format!("{}, and an IPv6 address in brackets: `[::1]`", form.example),
        ));
    }
    Ok((host, port))
}

/// The port that `from` gives.
pub(crate) fn port(value: &str, from: &str) -> Result<u16, Wrong> {
    // What stands where the port should may be the end of a password with a `:` in it.
    value.parse().ok().filter(|&port| port != 0).ok_or_else(|| {
        Wrong::new(
            format!("the port in {from} is no number between 1 and 65535"),
            "write `:` in a password as `%3A`, `@` as `%40` and `/` as `%2F`",
        )
    })
}

/// What one of a few words means.
pub(crate) fn one_of<T: Copy>(name: &str, value: &str, known: &[(&str, T)]) -> Result<T, Wrong> {
    let found = known.iter().find(|(word, _)| *word == value).map(|&(_, meaning)| meaning);
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        Wrong::new(format!("`{name}` is none of its words"), format!("one of {}", words.join(", ")))
    })
}

pub(crate) fn number(name: &str, value: &str) -> Result<u64, Wrong> {
    value
        .parse()
        .map_err(|_| Wrong::new(format!("`{name}` is no whole number"), format!("write it as `{name}=10`")))
}

/// A time in milliseconds; 0 is none.
pub(crate) fn milliseconds(name: &str, value: &str) -> Result<Option<Duration>, Wrong> {
    number(name, value).map(|count| (count > 0).then(|| Duration::from_millis(count)))
}

/// A time in seconds; 0 is none.
pub(crate) fn seconds(name: &str, value: &str) -> Result<Option<Duration>, Wrong> {
    number(name, value).map(|count| (count > 0).then(|| Duration::from_secs(count)))
}

/// What is told about a word that is no option; `names` are those that are.
pub(crate) fn unknown_option(name: &str, names: &[&str]) -> Wrong {
    // A name that shares its beginning is what was meant more often than not.
    let near = names
        .iter()
        .max_by_key(|known| known.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count());
    let shared = near.filter(|near| near.get(..3).is_some_and(|start| name.starts_with(start)));
    let shown: String = name.chars().take(40).collect();
    let hint = match shared {
        Some(near) => format!("`{near}` is one"),
        None => format!("known are {}", names.join(", ")),
    };
    Wrong::new(format!("`{shown}` is no option of a connection, or not with this value"), hint)
}

/// Takes `%XX` apart.
fn decoded(text: &str, what: &str) -> Result<String, Wrong> {
    let wrong = || {
        Wrong::new(
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
