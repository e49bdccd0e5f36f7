//! `naja memory`: the commands that run or touch a program; the others are `naja_memory`'s.

mod attach;
mod receive;
mod recording;
mod run;

use std::io;

use naja_memory::command::{Action, MemoryArguments};
use naja_report::text::Style;
use naja_system::Result;

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
        action => {
            let columns =
                terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
            let met = naja_memory::command::show(action, &mut io::stdout(), Style::of_stdout(columns))?;
            Ok(if say_met(&met) { ExitCode::No } else { ExitCode::Done })
        }
    }
}

/// Says which conditions of `--fail-if` hold; whether there are any.
fn say_met(met: &[String]) -> bool {
    met.iter().for_each(|sentence| print::line(&format!("failed: {sentence}")));
    !met.is_empty()
}
