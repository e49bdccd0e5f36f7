//! A dump as text for a person: one process after the other, innermost frames first.

use std::fmt::Write;

use naja_recording::State;

use super::{Frame, LocalVariable, ProcessDump, ThreadDump};
use crate::task_tree;
use naja_report::short_path;

/// How a dump is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextOptions {
    /// Whole paths of files.
    pub full_filenames: bool,
    /// Characters of one value beyond which the rest is left out; all where it is `None`.
    pub value_characters: Option<usize>,
}

/// The text of all processes, with a blank line between them.
pub fn text(processes: &[ProcessDump], options: TextOptions) -> String {
    let mut out = String::new();
    for (index, process) in processes.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        write_process(&mut out, process, options).expect("memory can be written");
    }
    out
}

fn write_process(out: &mut String, process: &ProcessDump, options: TextOptions) -> std::fmt::Result {
    writeln!(out, "Process {}: {}", process.pid, shown_command(&process.command))?;
    let free_threaded = if process.free_threaded { " free-threaded" } else { "" };
    writeln!(out, "CPython {}{free_threaded} ({})", process.version, one_line(&process.binary))?;
    if let Some(parent) = process.parent {
        writeln!(out, "Started by process {parent}")?;
    }
    if process.stopped {
        writeln!(out, "Stopped: nothing in it moves until it gets SIGCONT, or its debugger lets it go on")?;
    }
    for thread in &process.threads {
        writeln!(out)?;
        write_thread(out, thread, process, options)?;
    }
    if process.threads.iter().all(ThreadDump::is_foreign) {
        writeln!(out, "\nNo thread runs Python")?;
    }
    match process.other_threads {
        0 => {}
        1 => writeln!(out, "\n1 more thread runs no Python")?,
        count => writeln!(out, "\n{count} more threads run no Python")?,
    }
    let Some(tasks) = &process.tasks else { return Ok(()) };
    let title = |ident: u64| {
        let thread = process.threads.iter().find(|thread| thread.ident == ident);
        thread.map_or_else(
            || format!("thread {ident:#x}"),
            |one| format!("thread {} \"{}\"", number(one), one_line(&one.name)),
        )
    };
    let folder = (!options.full_filenames).then_some(process.folder.as_str());
    write!(out, "\n{}", task_tree::text(tasks, folder, &title))
}

fn number(thread: &ThreadDump) -> String {
    if thread.os_tid == 0 { format!("{:#x}", thread.ident) } else { thread.os_tid.to_string() }
}

fn write_thread(
    out: &mut String,
    thread: &ThreadDump,
    process: &ProcessDump,
    options: TextOptions,
) -> std::fmt::Result {
    let active = match (thread.is_active(), thread.holds_gil) {
        (true, true) => "active+gil",
        (true, false) => "active",
        (false, true) => "idle+gil",
        (false, false) => "idle",
    };
    write!(out, "Thread {} ({active}): \"{}\"", number(thread), one_line(&thread.name))?;
    let state = sentence(thread);
    if !state.is_empty() {
        write!(out, " {state}")?;
    }
    if thread.is_foreign() {
        write!(out, "{}runs no Python", if state.is_empty() { "" } else { ", " })?;
    } else if process.interpreters.len() > 1 {
        write!(out, ", interpreter {}", thread.interpreter)?;
    }
    writeln!(out)?;
    for frame in &thread.frames {
        write_frame(out, frame, &process.folder, options)?;
    }
    match (thread.frames.is_empty(), thread.torn) {
        (true, false) if thread.is_foreign() => writeln!(out, "    (no native frame)"),
        (true, true) => writeln!(out, "    (its stack changes too fast to be read whole)"),
        (true, false) => writeln!(out, "    (no Python frame)"),
        (false, true) => {
            writeln!(out, "    (from a moment before: the stack changes too fast to be read whole)")
        }
        (false, false) => Ok(()),
    }
}

/// What a thread was doing, in words.
fn sentence(thread: &ThreadDump) -> String {
    let mut words = vec![
        match thread.state {
            State::Python => "running Python",
            State::Native => "in native code",
            State::GilWait => "waiting for the GIL",
            State::IoWait => "waiting for I/O",
            State::LockWait => "waiting for a lock",
            State::Sleep => "sleeping",
            State::ChildWait => "waiting for a child process",
            State::Stopped => "stopped",
            State::Lost => "",
        }
        .to_owned(),
    ];
    if thread.collects {
        words.push("collecting garbage".to_owned());
    }
    if let Some(signal) = thread.signal {
        words.push(format!("got signal {signal}"));
    }
    words.retain(|word| !word.is_empty());
    words.join(", ")
}

fn write_frame(out: &mut String, frame: &Frame, folder: &str, options: TextOptions) -> std::fmt::Result {
    let file = if options.full_filenames { &frame.file } else { short_path(&frame.file, folder) };
    let place = match (file.is_empty(), frame.line) {
        (true, _) => String::new(),
        (false, 0) => format!(" ({})", one_line(file)),
        (false, line) => format!(" ({}:{line})", one_line(file)),
    };
    writeln!(out, "    {}{place}", one_line(&frame.qualified_name))?;
    let Some(locals) = &frame.locals else { return Ok(()) };
    let (arguments, others): (Vec<_>, Vec<_>) = locals.iter().partition(|local| local.is_argument);
    write_locals(out, "Arguments", &arguments, options)?;
    write_locals(out, "Locals", &others, options)
}

fn write_locals(
    out: &mut String,
    heading: &str,
    locals: &[&LocalVariable],
    options: TextOptions,
) -> std::fmt::Result {
    if locals.is_empty() {
        return Ok(());
    }
    writeln!(out, "        {heading}:")?;
    for local in locals {
        let mut value = local.value.to_string();
        let end = options.value_characters.and_then(|most| value.char_indices().nth(most));
        if let Some((end, _)) = end {
            value.truncate(end);
            value.push('…');
        }
        writeln!(out, "            {}: {value}", one_line(&local.name))?;
    }
    Ok(())
}

/// The words of a command line; those with blanks in quotes.
fn shown_command(words: &[String]) -> String {
    let word = |word: &String| match word.is_empty() || word.contains(char::is_whitespace) {
        true => format!("'{}'", one_line(word)),
        false => one_line(word),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A name may hold anything; a terminal must not be steered by it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
