//! The commands of this tool: `naja view`, `sql`, `convert`, `heat`, `dump` and `top`. `naja run` and `naja record` are
//! composed in the program itself.

pub mod convert;
pub mod dump;
pub mod heat;
pub mod query;
pub mod top;
pub mod view;

use std::io::Write;

use naja_system::Failure;

/// Writes to the screen.
fn print(screen: &mut dyn Write, text: &str) -> Result<(), Failure> {
    let written = screen.write_all(text.as_bytes()).and_then(|()| screen.flush());
    match written {
        // Whoever read from us has seen enough, as in `naja view … | head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new("cannot-write", "failed to write to stdout").caused_by(&error)),
        Ok(()) => Ok(()),
    }
}
