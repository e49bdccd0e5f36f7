//! The file in which users of libpq keep their passwords: `~/.pgpass`, or the one that `PGPASSFILE` or `passfile` names.
//!
//! A line is `host:port:database:user:password`; `*` stands for anything, `\` before a `:` or a `\` takes its meaning away,
//! and the first line that fits counts. Start at [`find`].

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::secret::Secret;

use super::options::Address;

/// Folders of sockets that are written `localhost` in the file, as libpq has it: Debian's and PostgreSQL's own.
pub(crate) const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The password of a user of a database; none where the file says none, or cannot be read, or others than its owner may
/// read it as well.
pub(crate) fn find(file: &Path, address: &Address, database: &str, user: &str) -> Option<Secret> {
    let about = std::fs::metadata(file).ok()?;
    if !about.is_file() || about.permissions().mode() & 0o077 != 0 {
        return None;
    }
    let text = std::fs::read(file).ok()?;
    let (host, port) = match address {
        Address::Tcp { host, port } => (host.as_str(), port),
        Address::Unix { folder, port } => match folder.to_str()? {
            folder if SOCKET_FOLDERS.contains(&folder) => ("localhost", port),
            folder => (folder, port),
        },
    };
    password(&String::from_utf8_lossy(&text), [host, &port.to_string(), database, user])
}

fn password(text: &str, wanted: [&str; 4]) -> Option<Secret> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (password, place) = fields.get(..5)?.split_last()?;
        let fits = |(field, wanted): (&String, &str)| field == "*" || unescaped(field) == wanted;
        place.iter().zip(wanted).all(fits).then(|| Secret::new(unescaped(password)))
    })
}

/// What lies between the `:` of a line, as it stands there.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == ':' {
            fields.push(String::new());
        } else if let Some(field) = fields.last_mut() {
            field.push(letter);
            field.extend((letter == '\\').then(|| letters.next()).flatten());
        }
    }
    fields
}

fn unescaped(field: &str) -> String {
    let mut text = String::new();
    let mut letters = field.chars();
    while let Some(letter) = letters.next() {
        text.push(if letter == '\\' { letters.next().unwrap_or(letter) } else { letter });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::password;

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# db.example:*:*:*:no\n\
            broken line\n\
            db.example:6000:shop:anna:one\n\
            db.example:*:shop:anna:two\\:\\\\2:rest\n\
            \\:\\:1:5432:a\\:b:*:three\n\
            db.example:5432:\\*:*:four\n\
            *:*:*:bert:\n";
        let check = |wanted: [&str; 4], expected: Option<&str>| {
            let found = password(text, wanted);
            assert_eq!(found.as_ref().map(|found| found.reveal()), expected, "{wanted:?}");
        };
        check(["db.example", "6000", "shop", "anna"], Some("one"));
        check(["db.example", "5432", "shop", "anna"], Some("two:\\2"));
        check(["::1", "5432", "a:b", "anyone"], Some("three"));
        check(["db.example", "5432", "*", "anyone"], Some("four"));
        check(["db.example", "5432", "other", "anna"], None);
        check(["elsewhere", "1", "x", "bert"], Some(""));
    }
}
