//! Puts the sampler beside the program: starts it when the program starts, ends it before the program is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use naja_profile::{Control, Observation, Recorder, Sampler, SamplerOptions};
use naja_recording::Writer;
use naja_system::{Child, Failure, Observer};

/// Opens the recording, once, in a thread of its own.
pub(crate) type Open = Box<dyn FnOnce() -> (Writer, Option<Failure>) + Send>;

/// Samples the program for as long as it lives.
pub(crate) struct SamplingObserver {
    interval_ns: u64,
    open: Option<Open>,
    control: Arc<Control>,
    sampler: Option<JoinHandle<Observation>>,
    observation: Option<Observation>,
}

impl SamplingObserver {
    pub(crate) fn new(interval_ns: u64, open: Open) -> SamplingObserver {
        SamplingObserver {
            interval_ns,
            open: Some(open),
            control: Arc::default(),
            sampler: None,
            observation: None,
        }
    }

    /// What was seen; `None` when the sampler failed or never started.
    pub(crate) fn into_observation(self) -> Option<Observation> {
        self.observation
    }
}

impl Observer for SamplingObserver {
    fn started(&mut self, child: &Child) {
        let Some(open) = self.open.take() else { return };
        let options = SamplerOptions::of_program(child.pid, child.started_ns, self.interval_ns);
        let control = Arc::clone(&self.control);
        let sampler = std::thread::Builder::new().name("sampler".to_owned());
        self.sampler =
            sampler.spawn(move || Sampler::new(options, Box::new(Recorder::start(open))).run(&control)).ok();
    }

    fn stopped(&mut self) {
        self.control.stopped.store(true, Ordering::Release);
    }

    fn continued(&mut self) {
        self.control.stopped.store(true, Ordering::Release);
    }

    fn ended(&mut self) {
        self.control.ended.store(true, Ordering::Release);
        self.observation = self.sampler.take().and_then(|sampler| sampler.join().ok());
    }
}
