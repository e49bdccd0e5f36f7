//! Whether something made earlier is still what it would be if it were made now.
//!
//! Keyed by content and never by time: a fresh clone, a switched branch and a restored cache all have new times.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checkout::Checkout;
use crate::step::{self, Outcome, Problem};

/// The fingerprint of everything that something is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    pub(crate) fn new() -> Stamp {
        Stamp(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes and their number (FNV-1a: it need not resist an attacker, and must stay the same for ever).
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&(bytes.len() as u64).to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a file, or every file of a folder, each with its name.
    pub(crate) fn add_path(&mut self, path: &Path) -> Outcome<()> {
        for file in files_under(path)? {
            let bytes = fs::read(&file).map_err(|error| Problem::path("read", &file, &error))?;
            self.add(file.as_os_str().as_encoded_bytes());
            self.add(&bytes);
        }
        Ok(())
    }

    /// Whether what was stored under this name was made from the same.
    pub(crate) fn is_stored(self, checkout: &Checkout, name: &str) -> bool {
        fs::read_to_string(place(checkout, name)).is_ok_and(|text| text == self.text())
    }

    /// Remembers under this name that it is made now. Call it last: a failure before leaves the old answer.
    pub(crate) fn store(self, checkout: &Checkout, name: &str) -> Outcome<()> {
        step::write(&place(checkout, name), &self.text())
    }

    pub(crate) fn text(self) -> String {
        format!("{:016x}\n", self.0)
    }
}

/// Stamps lie in the environment, so that removing `.venv` also forgets what was installed into it.
fn place(checkout: &Checkout, name: &str) -> PathBuf {
    checkout.at(".venv/stamps").join(name)
}

/// All files under a path in a fixed order, without what is built there.
pub(crate) fn files_under(path: &Path) -> Outcome<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(if path.exists() { vec![path.to_path_buf()] } else { Vec::new() });
    }
    let entries = fs::read_dir(path).map_err(|error| Problem::path("read", path, &error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        if path.is_symlink() || name == "__pycache__" || name == "target" || name == ".pytest_cache" {
            continue;
        }
        files.extend(files_under(&path)?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    #[test]
    fn where_one_part_ends_makes_a_difference() {
        let stamp = |parts: [&str; 2]| {
            let mut stamp = Stamp::new();
            parts.iter().for_each(|part| stamp.add(part.as_bytes()));
            stamp
        };
        assert_eq!(stamp(["ab", "c"]), stamp(["ab", "c"]));
        assert_ne!(stamp(["ab", "c"]), stamp(["a", "bc"]));
    }
}
