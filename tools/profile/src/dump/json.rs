//! A dump as JSON: `processes`, and `threads` in the form that users of py-spy know, with more in it.
//!
//! Fields are added and never change their meaning; `docs/tools/profile.md` lists them.

use naja_recording::FunctionKind;
use serde_json::{Value, json};

use super::{Frame, LocalVariable, ProcessDump, ThreadDump};
use crate::task_tree;
use naja_report::short_path;

/// The version of the form.
const FORMAT: u32 = 1;

/// All processes as one JSON value.
pub fn value(processes: &[ProcessDump]) -> Value {
    let threads =
        processes.iter().flat_map(|process| process.threads.iter().map(move |one| thread(process, one)));
    json!({
        "format": FORMAT,
        "processes": processes.iter().map(process_info).collect::<Vec<_>>(),
        "threads": threads.collect::<Vec<_>>(),
    })
}

fn process_info(process: &ProcessDump) -> Value {
    json!({
        "pid": process.pid,
        "parent": process.parent,
        "command": process.command,
        "command_line": process.command.join(" "),
        "version": process.version,
        "free_threaded": process.free_threaded,
        "binary": process.binary,
        "working_directory": process.folder,
        "stopped": process.stopped,
        "interpreters": process.interpreters,
        "other_threads": process.other_threads,
        "tasks": process.tasks.as_ref().map(|tasks| task_tree::json(tasks, &process.folder)),
    })
}

fn thread(process: &ProcessDump, thread: &ThreadDump) -> Value {
    json!({
        "pid": process.pid,
        "thread_id": thread.ident,
        "thread_name": thread.name,
        "os_thread_id": thread.os_tid,
        "interpreter": thread.interpreter,
        "active": thread.is_active(),
        "state": thread.state.word(),
        "owns_gil": thread.holds_gil,
        "collects_garbage": thread.collects,
        "signal": thread.signal,
        "complete": !thread.torn,
        "frames": thread.frames.iter().map(|one| frame(one, &process.folder)).collect::<Vec<_>>(),
        "process_info": { "pid": process.pid, "command_line": process.command.join(" "), "parent": process.parent },
    })
}

fn frame(frame: &Frame, folder: &str) -> Value {
    json!({
        "kind": match frame.kind {
            FunctionKind::Python => "python",
            FunctionKind::Native => "native",
            FunctionKind::Task => "task",
        },
        "name": frame.name,
        "qualified_name": frame.qualified_name,
        "filename": frame.file,
        "short_filename": short_path(&frame.file, folder),
        "module": frame.module,
        "line": frame.line,
        "locals": frame.locals.as_ref().map(|locals| locals.iter().map(local).collect::<Vec<_>>()),
    })
}

fn local(local: &LocalVariable) -> Value {
    json!({
        "name": local.name,
        "addr": local.address,
        "arg": local.is_argument,
        "type": local.class,
        "repr": local.value.to_string(),
    })
}
