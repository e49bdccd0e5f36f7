//! Memory beside samples: what the program's agent tells goes into the recording that the sampler writes, on its clock.
//!
//! Both number what they see in their own way; [`JoiningSink`] puts them together before anything is written. Start at
//! [`MemoryBeside::prepare`].

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use naja_memory::{Detail, Receiver, Recorder, Settings};
use naja_profile::{Finished, Sink};
use naja_recording::Batch;
use naja_recording::joined::{Feed, Joined, add};
use naja_system::{Child, Result};
use tempfile::TempDir;

use super::attach::{Meeting, beside, leave};
use super::recording::WRITE_EVERY;
use super::run::{cannot_listen, environment, listen};

/// Hears a program's agent while a sampler writes.
pub(crate) struct MemoryBeside {
    receiver: Option<Receiver>,
    /// Where the agent finds naja.
    _folder: Option<TempDir>,
    batches: Option<mpsc::Receiver<Batch>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// The processes that were heard of, by their numbers in the system.
    heard: Heard,
    /// The process that the agent was brought into, and how it is to leave.
    visit: Option<Arc<Visit>>,
}

/// Numbers of processes, which grow while they are heard of.
type Heard = Arc<Mutex<Vec<u32>>>;

/// An agent in a process that runs already.
struct Visit {
    pid: u32,
    meeting: Meeting,
    warnings: Mutex<Vec<String>>,
}

impl MemoryBeside {
    /// Listens, and gives the variables that a program is to have in its environment.
    ///
    /// Errors: `cannot-listen`; `library-not-found`
    pub(crate) fn prepare() -> Result<(MemoryBeside, Vec<(OsString, OsString)>)> {
        let settings = Settings { follow: true, ..Settings::default() };
        let (folder, receiver) = listen(settings)?;
        let environment = environment(&receiver)?;
        Ok((MemoryBeside::new(receiver, Some(folder)), environment))
    }

    fn new(receiver: Receiver, folder: Option<TempDir>) -> MemoryBeside {
        MemoryBeside {
            receiver: Some(receiver),
            _folder: folder,
            batches: None,
            ended: Arc::default(),
            thread: None,
            heard: Arc::default(),
            visit: None,
        }
    }

    /// Brings the agent into a process that runs already, and hears from now on.
    ///
    /// Errors: `cannot-listen`; those of attaching
    pub(crate) fn attach(pid: u32, follow: bool, start_ns: u64, interval_ns: u64) -> Result<MemoryBeside> {
        let meeting = Meeting::of(pid).map_err(|error| cannot_listen(&error))?;
        let settings = Settings { follow, ..Settings::default() };
        let receiver =
            Receiver::open(meeting.own_place(), settings).map_err(|error| cannot_listen(&error))?;
        meeting.give(&meeting.own_place()).map_err(|error| cannot_listen(&error))?;
        let mut beside = MemoryBeside::new(receiver, None);
        beside.listen(start_ns, interval_ns);
        let visit = Arc::new(Visit { pid, meeting, warnings: Mutex::default() });
        if let Err(failure) = visit.begin() {
            beside.end();
            return Err(failure);
        }
        beside.visit = Some(visit);
        Ok(beside)
    }

    fn listen(&mut self, start_ns: u64, interval_ns: u64) {
        let Some(receiver) = self.receiver.take() else { return };
        let (sender, batches) = mpsc::channel();
        self.batches = Some(batches);
        let (ended, heard) = (Arc::clone(&self.ended), Arc::clone(&self.heard));
        let thread = std::thread::Builder::new().name("memory".to_owned());
        self.thread =
            thread.spawn(move || hear(receiver, interval_ns, start_ns, &sender, &ended, &heard)).ok();
    }

    /// Hears from now on.
    pub(crate) fn start(&mut self, child: &Child, interval_ns: u64, inner: Box<dyn Sink>) -> Box<dyn Sink> {
        self.listen(child.started_ns, interval_ns);
        self.join(inner)
    }

    /// What is heard goes to `inner` with what the sampler sees.
    pub(crate) fn join(&mut self, inner: Box<dyn Sink>) -> Box<dyn Sink> {
        let Some(batches) = self.batches.take() else { return inner };
        Box::new(JoiningSink {
            inner,
            batches,
            joined: Joined::default(),
            until_tick: 0,
            generation: 0,
            ended: Arc::clone(&self.ended),
            visit: self.visit.clone().map(|visit| (visit, Arc::clone(&self.heard))),
        })
    }

    /// The program has ended: what it told last is on its way to the sink when this returns.
    pub(crate) fn end(&mut self) {
        self.ended.store(true, Ordering::Release);
        // That the thread failed is seen in the recording, which lacks what it would have told.
        let _ = self.thread.take().map(JoinHandle::join);
    }

    /// What went wrong when the agent left.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warnings = self.visit.as_ref().map(|visit| lock(&visit.warnings).clone());
        warnings.unwrap_or_default()
    }
}

impl Visit {
    fn begin(&self) -> Result<()> {
        beside(|files| self.meeting.begin(self.pid, files), pause)
    }

    fn end(&self, processes: &[u32]) {
        let warnings = beside(|files| Ok(leave(self.pid, processes, files)), pause);
        lock(&self.warnings).extend(warnings.unwrap_or_else(|failure| vec![failure.one_line()]));
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hear(
    mut receiver: Receiver,
    interval_ns: u64,
    start_ns: u64,
    sender: &Sender<Batch>,
    ended: &AtomicBool,
    heard: &Mutex<Vec<u32>>,
) {
    let mut recorder = Recorder::begin(Detail::Exact, interval_ns);
    recorder.set_start_ns(start_ns);
    let mut told = Instant::now();
    while !ended.load(Ordering::Acquire) {
        receiver.hear(&mut |event| recorder.take(event));
        let mut heard = lock(heard);
        let known = heard.len();
        heard.extend(receiver.processes().skip(known).map(|process| process.pid));
        drop(heard);
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
    ended: Arc<AtomicBool>,
    /// What leaves when nothing more is to be heard.
    visit: Option<(Arc<Visit>, Heard)>,
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
        if let Some((visit, heard)) = self.visit.take() {
            let processes = lock(&heard).clone();
            visit.end(&processes);
        }
        self.ended.store(true, Ordering::Release);
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
