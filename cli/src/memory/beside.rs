//! Memory beside samples: what the program's agent tells goes into the recording that the sampler writes, on its clock.
//!
//! Both number what they see in their own way; [`JoiningSink`] puts them together before anything is written. Start at
//! [`MemoryBeside::prepare`].

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

use naja_memory::{Detail, Receiver, Recorder, Settings};
use naja_profile::{Finished, Sink};
use naja_recording::Batch;
use naja_recording::joined::{Feed, Joined, add};
use naja_system::{Child, Result};
use tempfile::TempDir;

use super::recording::WRITE_EVERY;
use super::run::{environment, listen};

/// Hears a program's agent while a sampler writes.
pub(crate) struct MemoryBeside {
    receiver: Option<Receiver>,
    /// Where the agent finds naja.
    _folder: TempDir,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryBeside {
    /// Listens, and gives the variables that a program is to have in its environment.
    ///
    /// Errors: `cannot-listen`; `library-not-found`
    pub(crate) fn prepare() -> Result<(MemoryBeside, Vec<(OsString, OsString)>)> {
        let settings = Settings { follow: true, ..Settings::default() };
        let (folder, receiver) = listen(settings)?;
        let environment = environment(&receiver)?;
        let beside =
            MemoryBeside { receiver: Some(receiver), _folder: folder, ended: Arc::default(), thread: None };
        Ok((beside, environment))
    }

    /// Hears from now on; what is heard goes to `inner` with what the sampler sees.
    pub(crate) fn start(&mut self, child: &Child, interval_ns: u64, inner: Box<dyn Sink>) -> Box<dyn Sink> {
        let Some(receiver) = self.receiver.take() else { return inner };
        let (sender, batches) = mpsc::channel();
        let (ended, start_ns) = (Arc::clone(&self.ended), child.started_ns);
        let thread = std::thread::Builder::new().name("memory".to_owned());
        self.thread = thread.spawn(move || hear(receiver, interval_ns, start_ns, &sender, &ended)).ok();
        Box::new(JoiningSink { inner, batches, joined: Joined::default(), until_tick: 0, generation: 0 })
    }

    /// The program has ended: what it told last is on its way to the sink when this returns.
    pub(crate) fn end(&mut self) {
        self.ended.store(true, Ordering::Release);
        // That the thread failed is seen in the recording, which lacks what it would have told.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn hear(mut receiver: Receiver, interval_ns: u64, start_ns: u64, sender: &Sender<Batch>, ended: &AtomicBool) {
    let mut recorder = Recorder::begin(Detail::Exact, interval_ns);
    recorder.set_start_ns(start_ns);
    let mut told = Instant::now();
    while !ended.load(Ordering::Acquire) {
        receiver.hear(&mut |event| recorder.take(event));
        if told.elapsed() >= WRITE_EVERY {
            if sender.send(recorder.batch(&receiver)).is_err() {
                // Nobody writes any more: the agent notices that nobody reads.
                return;
            }
            told = Instant::now();
        }
    }
    receiver.finish(&mut |event| recorder.take(event));
    let _ = sender.send(recorder.last_batch(&receiver));
}

/// Puts what is beside into the sampler's batches.
struct JoiningSink {
    inner: Box<dyn Sink>,
    batches: mpsc::Receiver<Batch>,
    joined: Joined,
    until_tick: u64,
    generation: u32,
}

impl Sink for JoiningSink {
    fn give(&mut self, batch: Batch) {
        (self.until_tick, self.generation) = (batch.until_tick, batch.generation);
        let mut batch = self.joined.join(Feed::Main, batch);
        for beside in self.batches.try_iter() {
            add(&mut batch, self.joined.join(Feed::Beside, beside));
        }
        self.inner.give(batch);
    }

    fn finish(mut self: Box<Self>) -> Finished {
        // What came after the sampler's last batch.
        let rest = Batch { until_tick: self.until_tick, generation: self.generation, ..Batch::default() };
        let mut rest = self.joined.join(Feed::Main, rest);
        let mut has_more = false;
        for beside in self.batches.iter() {
            has_more = true;
            add(&mut rest, self.joined.join(Feed::Beside, beside));
        }
        if has_more {
            self.inner.give(rest);
        }
        self.inner.finish()
    }
}
