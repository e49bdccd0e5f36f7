//! `naja memory receive`: records what agents tell that are already in a program.
//!
//! `naja.memray` in that program starts it, reads `ready`, and ends it by a line on its standard input or by its own end. What
//! the line says, a JSON object, is kept beside the allocations. Start at [`receive`].

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use naja_memory::command::ReceiveArguments;
use naja_memory::{Detail, Receiver, Recorder, Settings};
use naja_recording::Writer;
use naja_system::{Failure, Result};
use serde_json::{Map, Value, json};

use super::recording::{INTERVAL_NS, Recording};
use super::run::cannot_listen;
use crate::run::report;
use crate::{ExitCode, print};

/// How often what was heard is written where somebody looks.
const LIVE_EVERY: Duration = Duration::from_millis(50);

/// Records until standard input ends.
///
/// Errors: `cannot-listen`, `bad-notes`, those of a recording that cannot be made
pub(super) fn receive(arguments: &ReceiveArguments) -> Result<ExitCode> {
    let notes = object(&arguments.notes)?;
    let header = report::header(&arguments.command, INTERVAL_NS);
    let mut writer = match &arguments.output {
        Some(path) => Writer::create(path, &header)?,
        None => Writer::in_memory(&header)?,
    };
    writer.set_report(&report_of(&notes))?;
    let wanted = Settings {
        python_allocators: arguments.python_allocators,
        follow: arguments.follow,
        native: arguments.native,
        sample_bytes: None,
    };
    let receiver = Receiver::open(arguments.place.clone(), wanted).map_err(|error| cannot_listen(&error))?;
    print::data(b"ready\n");

    let ended = Arc::new(AtomicBool::new(false));
    let listener = {
        let ended = Arc::clone(&ended);
        std::thread::spawn(move || {
            let mut line = String::new();
            // Where it cannot be read there is nobody any more.
            let _ = io::stdin().lock().read_line(&mut line);
            ended.store(true, Ordering::Release);
            line
        })
    };
    let detail = if arguments.aggregate { Detail::Aggregated } else { Detail::Addressed };
    let recorder = Recorder::begin(detail, INTERVAL_NS);
    let mut recording = Recording::begin(receiver, recorder, Box::new(|| (writer, None)));
    let every = Duration::from_millis(arguments.interval.max(1));
    let (mut measured, mut written) = (Instant::now(), Instant::now());
    while !ended.load(Ordering::Acquire) {
        recording.go_on();
        if measured.elapsed() >= every {
            recording.measure();
            measured = Instant::now();
        }
        if arguments.live && written.elapsed() >= LIVE_EVERY {
            recording.write();
            written = Instant::now();
        }
    }
    let mut recorded = recording.end();
    let line = listener.join().unwrap_or_default();
    if let Ok(more) = object(&line) {
        let notes: Map<String, Value> = notes.into_iter().chain(more).collect();
        recorded.writer.set_report(&report_of(&notes))?;
    }
    recorded.writer.complete()?;
    recorded.warnings.iter().for_each(|warning| print::line(&format!("warning: {warning}")));
    let _ = io::stderr().flush();
    Ok(ExitCode::Done)
}

fn report_of(notes: &Map<String, Value>) -> String {
    json!({ "memory": notes }).to_string()
}

fn object(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text)
        .map_err(|error| Failure::new("bad-notes", "the notes are no JSON object").caused_by(&error))
}
