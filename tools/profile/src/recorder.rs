//! The thread that writes the recording, so that a slow disk never delays a sample.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use naja_recording::{Batch, Writer};
use naja_system::Failure;

use crate::sink::{Finished, Sink};

/// Writes batches to a recording, in a thread of its own.
pub struct Recorder {
    sender: Sender<Batch>,
    thread: JoinHandle<(Writer, Vec<Failure>)>,
}

impl Recorder {
    /// Opens the recording in the new thread, and writes there.
    pub fn start(open: impl FnOnce() -> (Writer, Option<Failure>) + Send + 'static) -> Recorder {
        let (sender, batches) = channel();
        let thread = std::thread::spawn(move || write(open, &batches));
        Recorder { sender, thread }
    }
}

impl Sink for Recorder {
    fn give(&mut self, batch: Batch) {
        // The receiver lives as long as its thread, which ends only after the sender.
        let _ = self.sender.send(batch);
    }

    /// Waits until everything is written.
    fn finish(self: Box<Self>) -> Finished {
        drop(self.sender);
        match self.thread.join() {
            Ok((writer, failures)) => Finished { writer: Some(writer), failures },
            Err(_) => Finished {
                writer: None,
                failures: vec![Failure::new(
                    "recording-failed",
                    "the thread that writes the recording failed",
                )],
            },
        }
    }
}

fn write(
    open: impl FnOnce() -> (Writer, Option<Failure>),
    batches: &Receiver<Batch>,
) -> (Writer, Vec<Failure>) {
    let (mut writer, failure) = open();
    let mut failures: Vec<Failure> = failure.into_iter().collect();
    for batch in batches {
        // That another program reads the file just now is no error: the batch goes with the next one.
        let Err(error) = writer.write(&batch) else { continue };
        failures.push(Failure::from(error).context("the recording ends early"));
        // What is stored stays; what is not, and what comes, is kept in memory for the report.
        if let Err(error) = writer.go_on_in_memory() {
            failures.push(error.into());
            break;
        }
    }
    (writer, failures)
}
