//! Puts the sampler beside the program: starts it when the program starts, ends it before the program is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use naja_profile::{Control, Observation, Recorder, Sampler, SamplerOptions, Sink};
use naja_recording::Writer;
use naja_system::{Child, Failure, Observer};

use crate::memory::beside::MemoryBeside;

/// A program that was told to end is made to when this has passed.
const END_PATIENCE: Duration = Duration::from_secs(3);

/// Opens the recording, once, in a thread of its own.
pub(crate) type Open = Box<dyn FnOnce() -> (Writer, Option<Failure>) + Send>;

/// What to sample of a program that has just started.
type Plan = Box<dyn FnOnce(&Child) -> SamplerOptions>;

/// Samples the program for as long as it lives, or until the sampler's time is over: then the program is ended.
pub(crate) struct SamplingObserver {
    start: Option<(Open, Plan)>,
    memory: Option<MemoryBeside>,
    control: Arc<Control>,
    sampler: Option<JoinHandle<Observation>>,
    observation: Option<Observation>,
}

impl SamplingObserver {
    pub(crate) fn new(open: Open, plan: impl FnOnce(&Child) -> SamplerOptions + 'static) -> SamplingObserver {
        SamplingObserver {
            start: Some((open, Box::new(plan))),
            memory: None,
            control: Arc::default(),
            sampler: None,
            observation: None,
        }
    }

    /// Records memory too.
    pub(crate) fn with_memory(self, memory: Option<MemoryBeside>) -> SamplingObserver {
        SamplingObserver { memory, ..self }
    }

    /// Shared with the sampler.
    pub(crate) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// What was seen; `None` when the sampler failed or never started.
    pub(crate) fn into_observation(self) -> Option<Observation> {
        self.observation
    }
}

impl Observer for SamplingObserver {
    fn started(&mut self, child: &Child) {
        let Some((open, plan)) = self.start.take() else { return };
        let options = plan(child);
        let pid = child.pid;
        let control = Arc::clone(&self.control);
        let sampler = std::thread::Builder::new().name("sampler".to_owned());
        let mut sink: Box<dyn Sink> = Box::new(Recorder::start(open));
        if let Some(memory) = &mut self.memory {
            sink = memory.start(child, options.interval_ns, sink);
        }
        self.sampler = sampler
            .spawn(move || {
                let observation = Sampler::new(options, sink).run(&control);
                if !control.ended.load(Ordering::Acquire) {
                    end_program(pid, &control);
                }
                observation
            })
            .ok();
    }

    fn stopped(&mut self) {
        self.control.stopped.store(true, Ordering::Release);
    }

    fn continued(&mut self) {
        self.control.stopped.store(true, Ordering::Release);
    }

    fn ended(&mut self) {
        // First, so that the sampler's last batch has all of it.
        if let Some(memory) = &mut self.memory {
            memory.end();
        }
        self.control.ended.store(true, Ordering::Release);
        self.observation = self.sampler.take().and_then(|sampler| sampler.join().ok());
    }
}

/// Asks the program to end, and makes it end where it does not.
fn end_program(pid: u32, control: &Control) {
    naja_system::ask_to_end(pid);
    let start = Instant::now();
    while start.elapsed() < END_PATIENCE {
        if control.ended.load(Ordering::Acquire) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    naja_system::make_end(pid);
}
