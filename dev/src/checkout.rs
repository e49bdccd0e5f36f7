//! Where things are in this checkout.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{Outcome, Problem};

/// The folders that chores read and write.
#[derive(Debug)]
pub(crate) struct Checkout {
    /// The folder that holds `Cargo.lock`.
    pub(crate) root: PathBuf,
    /// Where cargo leaves what it builds with the release profile.
    pub(crate) release: PathBuf,
}

impl Checkout {
    /// Finds the checkout that holds the sources of this very program.
    pub(crate) fn find() -> Outcome<Checkout> {
        // Cargo sets the variable when it runs the program; the built-in value serves a start by hand.
        let dev = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = dev
            .parent()
            .filter(|root| root.join("Cargo.lock").is_file())
            .ok_or_else(|| Problem::new(format!("`{}` is not in a checkout of naja", dev.display())))?;
        let program = env::current_exe()
            .map_err(|error| Problem::new(format!("cannot tell this program's path: {error}")))?;
        let release = program.parent().unwrap_or(root);
        Ok(Checkout { root: root.to_path_buf(), release: release.to_path_buf() })
    }

    /// A path inside the checkout.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// The interpreter of the checkout's own environment.
    pub(crate) fn python(&self) -> PathBuf {
        self.at(".venv/bin/python")
    }

    /// A command that runs in the checkout.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.root);
        // What cargo sets for this program would make the cargo that it starts believe in another package.
        for (name, _) in env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST"))
            {
                command.env_remove(name);
            }
        }
        command
    }

    /// Cargo, with a subcommand.
    ///
    /// Always the one release profile and nearly the whole workspace: choosing packages would resolve features
    /// anew, and so compile the same dependencies twice.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments);
        command
    }

    /// The members that cargo builds and tests together: all but the extension with its bindings, which maturin
    /// builds (it sets variables of its own, so each would rebuild what the other has built), and this program.
    pub(crate) const TOGETHER: [&str; 8] = [
        "--release",
        "--workspace",
        "--exclude",
        "naja-python",
        "--exclude",
        "naja-*-py",
        "--exclude",
        "naja-dev",
    ];
}
