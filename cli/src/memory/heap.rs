//! `naja memory heap`: opens a process or a core file, and shows how its Python's allocator uses memory.
//!
//! Nothing is changed in the process, and it is not stopped. Start at [`heap`].

use std::io;

use naja_memory::command::HeapArguments;
use naja_memory::heap::{HeapReport, LiveHeap, page, text};
use naja_profile::attach;
use naja_report::text::Style;
use naja_system::{Failure, Result};

use super::{columns, screen};
use crate::ExitCode;

/// Shows the heap of a process or of a core file.
///
/// Errors: those of [`attach::open`] and of core files; `other-allocator`, `heap-not-found`, `heap-unsteady`, `cannot-write`
pub(super) fn heap(arguments: &HeapArguments) -> Result<ExitCode> {
    let report = match (&arguments.core, arguments.pid.or(arguments.pid_option)) {
        (Some(path), _) => HeapReport::of_core(path)?,
        (None, Some(pid)) => {
            let attached = attach::open(pid)?;
            HeapReport::of_process(&LiveHeap {
                memory: &attached.memory,
                located: &attached.located,
                command: &attached.command.join(" "),
                is_stopped: attached.stopped,
            })?
        }
        (None, None) => return Err(Failure::new("usage", "give a process or a core file")),
    };
    if let Some(path) = &arguments.output {
        let html = page::html(&report);
        naja_system::replace_file(path, html.as_bytes()).map_err(|error| {
            Failure::new("cannot-write", format!("failed to write the page to `{}`", path.display()))
                .caused_by(&error)
                .hint("`-o FILE.html` names the file")
        })?;
        if !arguments.json {
            screen(&format!("wrote {} ({} kB)\n", path.display(), html.len() / 1000))?;
            return Ok(ExitCode::Done);
        }
    }
    match arguments.json {
        true => screen(&format!("{}\n", report.json()))?,
        false => screen(&text::text(&report, Style::of_stdout(columns(&io::stdout()))))?,
    }
    Ok(ExitCode::Done)
}
