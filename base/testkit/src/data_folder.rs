//! The folder that a database server of a test keeps its data in: whose it is, and how it is copied from a template.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As whom a server runs: servers refuse to run as root.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RunAs {
    /// As whoever runs the test.
    Us,
    /// As this user and group.
    Other(u32, u32),
}

impl RunAs {
    /// The first of `names` that is a user of this machine, where the test runs as root; none if there is no such user.
    pub(crate) fn find(names: &[&str]) -> Option<RunAs> {
        if !rustix::process::geteuid().is_root() {
            return Some(RunAs::Us);
        }
        let users = fs::read_to_string("/etc/passwd").ok()?;
        names.iter().find_map(|name| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some(RunAs::Other(fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    }

    /// A command that this user runs, in a folder that everybody may be in.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let RunAs::Other(user, group) = self {
            command.uid(user).gid(group);
        }
        command.current_dir("/").env("LC_ALL", "C");
        command
    }

    /// An empty folder of this user, which nobody else may look into.
    pub(crate) fn folder(self, prefix: &str) -> PathBuf {
        let folder =
            tempfile::Builder::new().prefix(prefix).tempdir().expect("a temporary folder can be made");
        self.give(folder.path());
        folder.keep()
    }

    /// Keeps everybody but its owner from a file.
    pub(crate) fn hide(path: &Path) {
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("its mode can be set");
    }

    /// Makes a file or a folder this user's.
    pub(crate) fn give(self, path: &Path) {
        if let RunAs::Other(user, group) = self {
            chown(path, Some(user), Some(group)).expect("root can give files away");
        }
    }
}

/// Copies a folder and all in it; `made` is told of each copy.
pub(crate) fn copy_tree(from: &Path, to: &Path, made: &dyn Fn(&Path)) {
    fs::create_dir(to).expect("a folder can be made");
    fs::set_permissions(to, Permissions::from_mode(0o700)).expect("its mode can be set");
    made(to);
    for entry in fs::read_dir(from).expect("the template can be read") {
        let entry = entry.expect("the template can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target, made);
        } else {
            fs::copy(entry.path(), &target).expect("a file can be copied");
            made(&target);
        }
    }
}
