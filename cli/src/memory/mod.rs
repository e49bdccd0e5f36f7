//! `naja memory`: the commands that run or touch a program; the others are `naja_memory`'s.

mod attach;
pub(crate) mod beside;
mod heap;
mod live;
mod receive;
pub(crate) mod recording;
mod run;

use std::io::{self, Write};

use naja_memory::command::{Action, MemoryArguments};
use naja_report::text::Style;
use naja_system::{Failure, Result};

use crate::{ExitCode, print};

/// Runs `naja memory`. Does not return when a program was started: it ends as the program ended.
///
/// Errors: those of starting a program, of recordings, and of [`naja_memory::command::show`]
pub(crate) fn memory(arguments: &MemoryArguments) -> Result<ExitCode> {
    match &arguments.action {
        Action::Receive(arguments) => receive::receive(arguments),
        Action::Run(arguments) => run::run(arguments),
        Action::Attach(arguments) => attach::attach(arguments),
        Action::Detach(arguments) => attach::detach(arguments),
        Action::Heap(arguments) => heap::heap(arguments),
        Action::Live(arguments) => live::live(arguments),
        action => {
            let style = Style::of_stdout(columns(&io::stdout()));
            let met = naja_memory::command::show(action, &mut io::stdout(), style)?;
            Ok(if say_met(&met) { ExitCode::No } else { ExitCode::Done })
        }
    }
}

/// Says which conditions of `--fail-if` hold; whether there are any.
fn say_met(met: &[String]) -> bool {
    met.iter().for_each(|sentence| print::line(&format!("failed: {sentence}")));
    !met.is_empty()
}

/// How wide a terminal is, where it is one.
fn columns(stream: &io::Stdout) -> Option<usize> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0))
}

/// Prints on standard output; a reader that has gone is no failure.
fn screen(text: &str) -> Result<()> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("cannot-write", "cannot write to standard output").caused_by(&error))
        }
        _ => Ok(()),
    }
}
