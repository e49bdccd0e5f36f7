//! Where what a sampler sees goes: a recording, a live view.

use naja_recording::{Batch, Writer};
use naja_system::Failure;

/// Takes batches as they come, some five a second.
///
/// Numbers of processes, threads, functions and stack nodes are those of the sampler and mean the same in all batches
/// of one generation; see [`Batch`].
pub trait Sink: Send {
    /// Takes over what is new. Called in the sampler's thread, so it must not wait.
    fn give(&mut self, batch: Batch);

    /// Nothing more will come.
    fn finish(self: Box<Self>) -> Finished;
}

/// What is left of a sink.
#[derive(Default)]
pub struct Finished {
    /// The recording, still open for the report; `None` when there is none, or its thread failed.
    pub writer: Option<Writer>,
    /// What went wrong.
    pub failures: Vec<Failure>,
}
