//! The user's cache folder, and folders in it that nobody else can read.
//!
//! What lies there may vanish at any time; nothing depends on it. Start at [`folder`].

use std::ffi::OsString;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::{Failure, Result};

/// Where a part of naja keeps what can be made again: `$XDG_CACHE_HOME/naja/PART`, else `~/.cache/naja/PART`.
///
/// The folder need not exist yet: see [`create_private`].
///
/// Errors: `no-cache-folder` when neither the variable nor a home folder is set.
pub fn folder(part: &str) -> Result<PathBuf> {
    folder_from(std::env::var_os("XDG_CACHE_HOME"), std::env::home_dir(), part)
}

fn folder_from(variable: Option<OsString>, home: Option<PathBuf>, part: &str) -> Result<PathBuf> {
    // A relative path there is to be ignored: it would mean another folder for each working directory.
    let variable = variable.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.filter(|path| path.is_absolute());
    let base = variable.or_else(|| home.map(|home| home.join(".cache")));
    let base = base.ok_or_else(|| {
        Failure::new("no-cache-folder", "there is no cache folder for this user")
            .hint("set HOME, or XDG_CACHE_HOME, to an absolute path")
    })?;
    Ok(base.join("naja").join(part))
}

/// Creates a folder, and those above it where missing, and makes it readable by its owner alone.
///
/// Errors: `cache-not-writable`, with the system's reason.
pub fn create_private(path: &Path) -> Result<()> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.and_then(|()| close_to_others(path)).map_err(|error| {
        Failure::new("cache-not-writable", format!("cannot use the folder `{}`", path.display()))
            .caused_by(&error)
            .hint("set XDG_CACHE_HOME to a folder that can be written")
    })
}

/// A folder made by someone else, or under another mask, may be open.
fn close_to_others(path: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variable: Option<&str>, home: Option<&str>, expected: Option<&str>) {
        let folder = folder_from(variable.map(OsString::from), home.map(PathBuf::from), "x");
        assert_eq!(folder.ok(), expected.map(PathBuf::from));
    }

    #[test]
    fn the_variable_comes_first_and_must_be_absolute() {
        check(Some("/c"), Some("/home/a"), Some("/c/naja/x"));
        check(Some("c"), Some("/home/a"), Some("/home/a/.cache/naja/x"));
        check(Some(""), Some("/home/a"), Some("/home/a/.cache/naja/x"));
        check(None, Some("/home/a"), Some("/home/a/.cache/naja/x"));
        check(None, None, None);
        check(Some("c"), Some(""), None);
    }
}
