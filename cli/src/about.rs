//! `naja about`: which naja this is, and where its parts lie.

use std::fmt::Write as _;

use naja_system::{Failure, Result, python_package};

/// The answer, one part a line.
///
/// Errors: `package-not-found` where the program was copied away from its package.
pub(crate) fn about() -> Result<String> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new("package-not-found", "cannot tell this program's own path").caused_by(&error)
    })?;
    let mut text = String::new();
    let parts = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("program", program.display().to_string()),
        ("package", python_package()?.display().to_string()),
    ];
    for (name, value) in parts {
        writeln!(text, "{name:<8} {value}").expect("a string takes all text");
    }
    Ok(text)
}
