//! The sampler's loop: wakes on time, samples every process of the program, hands batches to the recording.
//!
//! Time is divided into ticks of equal length, and each is sampled at a random moment inside it, so that no
//! program can run in step with the sampler. A tick in which naja did not get to run is missed, and told.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use naja_cpython::locate::Locator;
use naja_recording::{Batch, Metric, ProcessId, ThreadId, Tick, Writer};
use naja_system::{Failure, timer};

use crate::observation::{self, Observation};
use crate::recorder::Recorder;
use crate::stacks::Stacks;
use crate::target::{SampleCounts, Shared, Target};

/// A batch is written this often: what a kill of naja can lose.
const BATCH_NS: u64 = 200_000_000;

/// Memory is read this often.
const METRIC_NS: u64 = 25_000_000;

/// Highest memory and times, which cost more to read.
const TOTALS_NS: u64 = 250_000_000;

/// New processes and threads are looked for at most this often, and only when the system has made any.
const BIRTHS_NS: u64 = 2_000_000;

/// The longest the loop sleeps before it looks whether the program has ended.
const SLEEP_MAX_NS: u64 = 10_000_000;

/// Processes beyond which further children are counted and not observed.
const TARGETS_MAX: usize = 1024;

/// What to sample.
#[derive(Clone, Copy, Debug)]
pub struct SamplerOptions {
    /// The program's process.
    pub pid: u32,
    /// When it started, on [`timer::now_ns`]'s clock.
    pub start_ns: u64,
    /// Length of a tick in nanoseconds.
    pub interval_ns: u64,
}

/// What the thread that waits for the program tells the sampler.
#[derive(Debug, Default)]
pub struct Control {
    /// The program has ended and can be read for the last time.
    pub ended: AtomicBool,
    /// The program is stopped (Ctrl-Z), and so is naja, or was a moment ago.
    pub stopped: AtomicBool,
}

/// Observes one program and all its children.
pub struct Sampler {
    options: SamplerOptions,
    targets: Vec<Target>,
    stacks: Stacks,
    threads_given: ThreadId,
    counts: SampleCounts,
    ticks_missed: u64,
    ticks_stopped: u64,
    /// Resident memory over time, of all processes together, thinned out as it grows.
    memory_course: MemoryCourse,
    metrics: Vec<Metric>,
    births: Births,
    locator: Locator,
    recorder: Recorder,
    random: u64,
    next_batch_ns: u64,
    next_metric_ns: u64,
    next_totals_ns: u64,
    unnamed_children: u64,
}

impl Sampler {
    /// A sampler that writes to what `open` opens; it is called in a thread of its own.
    pub fn new(
        options: SamplerOptions,
        open: impl FnOnce() -> (Writer, Option<Failure>) + Send + 'static,
    ) -> Sampler {
        let seed = options.start_ns ^ (u64::from(options.pid) << 32) ^ 0x9E37_79B9_7F4A_7C15;
        Sampler {
            targets: vec![Target::new(1, options.pid, 0, 0)],
            options,
            stacks: Stacks::default(),
            threads_given: 0,
            counts: SampleCounts::default(),
            ticks_missed: 0,
            ticks_stopped: 0,
            memory_course: MemoryCourse::default(),
            metrics: Vec::new(),
            births: Births::new(),
            locator: Locator::default(),
            recorder: Recorder::start(open),
            random: seed | 1,
            next_batch_ns: options.start_ns + BATCH_NS,
            next_metric_ns: 0,
            next_totals_ns: options.start_ns,
            unnamed_children: 0,
        }
    }

    /// Samples until the program has ended. Blocks: give it a thread.
    pub fn run(mut self, control: &Control) -> Observation {
        // Without it every wake-up is some 50 µs late; the samples are good all the same.
        let _ = timer::wake_precisely();
        let mut next: Tick = 0;
        while !control.ended.load(Ordering::Acquire) {
            let moment = self.moment(next);
            if !self.sleep(moment, control) {
                continue;
            }
            let now = timer::now_ns();
            // A sample that comes a little late is still its own tick's, as its moment was drawn before it was
            // late; only when a whole tick has passed without naja is one missed.
            let current = now.saturating_sub(self.options.start_ns) / self.options.interval_ns;
            let tick = if current <= next + 1 { next } else { current };
            if control.stopped.swap(false, Ordering::AcqRel) {
                self.ticks_stopped += tick - next;
            } else {
                self.ticks_missed += tick - next;
            }
            self.sample(tick, now);
            next = tick + 1;
        }
        self.finish(next)
    }

    /// A random moment inside a tick.
    fn moment(&mut self, tick: Tick) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let inside = (u128::from(self.random) * u128::from(self.options.interval_ns)) >> 64;
        self.options.start_ns + tick * self.options.interval_ns + inside as u64
    }

    /// Sleeps until a moment; `false` when the program ended meanwhile.
    fn sleep(&self, moment_ns: u64, control: &Control) -> bool {
        loop {
            let now = timer::now_ns();
            if now >= moment_ns {
                return true;
            }
            timer::sleep_until(moment_ns.min(now + SLEEP_MAX_NS));
            if control.ended.load(Ordering::Acquire) {
                return false;
            }
        }
    }

    fn sample(&mut self, tick: Tick, now_ns: u64) {
        if self.births.any(now_ns) {
            self.find_births(tick, now_ns);
        }
        for target in self.targets.iter_mut().filter(|target| !target.has_ended()) {
            let mut shared = Shared {
                tick,
                now_ns,
                stacks: &mut self.stacks,
                threads_given: &mut self.threads_given,
                counts: &mut self.counts,
                locator: &mut self.locator,
            };
            target.sample(&mut shared);
        }
        if now_ns >= self.next_metric_ns {
            self.next_metric_ns = now_ns + METRIC_NS;
            self.take_metrics(tick);
        }
        if now_ns >= self.next_totals_ns {
            self.next_totals_ns = now_ns + TOTALS_NS;
            self.targets.iter_mut().filter(|target| !target.has_ended()).for_each(Target::refresh_totals);
        }
        if now_ns >= self.next_batch_ns {
            self.next_batch_ns = now_ns + BATCH_NS;
            self.give_batch(tick + 1);
        }
    }

    /// Looks for threads and child processes that are not known yet.
    fn find_births(&mut self, tick: Tick, now_ns: u64) {
        let mut born: Vec<(u32, ProcessId)> = Vec::new();
        for target in self.targets.iter_mut().filter(|target| !target.has_ended()) {
            let mut shared = Shared {
                tick,
                now_ns,
                stacks: &mut self.stacks,
                threads_given: &mut self.threads_given,
                counts: &mut self.counts,
                locator: &mut self.locator,
            };
            target.find_threads(&mut shared);
            born.extend(children(target.process.pid).map(|pid| (pid, target.process.id)));
        }
        // A child may have children by the time it is seen.
        while let Some((pid, parent)) = born.pop() {
            if self.targets.iter().any(|target| target.process.pid == pid && !target.has_ended()) {
                continue;
            }
            if self.targets.len() >= TARGETS_MAX {
                self.unnamed_children += 1;
                continue;
            }
            let id = self.targets.len() as ProcessId + 1;
            self.targets.push(Target::new(id, pid, parent, tick));
            born.extend(children(pid).map(|child| (child, id)));
        }
    }

    fn take_metrics(&mut self, tick: Tick) {
        let mut rss_bytes = 0;
        for target in self.targets.iter_mut().filter(|target| !target.has_ended()) {
            if let Some(metric) = target.metric(tick) {
                rss_bytes += metric.rss_bytes;
                target.process.peak_rss_bytes = target.process.peak_rss_bytes.max(metric.rss_bytes);
                self.metrics.push(metric);
            }
        }
        if rss_bytes > 0 {
            self.memory_course.push(rss_bytes);
        }
    }

    /// Hands everything new to the recording.
    fn give_batch(&mut self, until_tick: Tick) {
        let generation = self.stacks.generation();
        let (functions, nodes) = self.stacks.take_new();
        let mut batch = Batch {
            generation,
            functions,
            nodes,
            until_tick,
            metrics: std::mem::take(&mut self.metrics),
            ..Batch::default()
        };
        for target in &mut self.targets {
            if std::mem::take(&mut target.changed) || !target.has_ended() {
                batch.processes.push(target.process.clone());
            }
            target.take_new(&mut batch);
        }
        self.recorder.give(batch);
        if self.stacks.is_large() {
            self.stacks.begin_anew();
        }
    }

    fn finish(mut self, until_tick: Tick) -> Observation {
        let now_ns = timer::now_ns();
        // Children that were born since the last look, and what each has used in the end.
        self.find_births(until_tick, now_ns);
        for target in &mut self.targets {
            if !target.has_ended() {
                target.refresh_totals();
                target.check_alive(until_tick);
            }
        }
        self.give_batch(until_tick);
        observation::observe(observation::Seen {
            targets: self.targets,
            stacks: self.stacks,
            counts: self.counts,
            ticks: until_tick,
            ticks_missed: self.ticks_missed,
            ticks_stopped: self.ticks_stopped,
            interval_ns: self.options.interval_ns,
            memory_course: self.memory_course.points,
            recorder: self.recorder,
            unnamed_children: self.unnamed_children,
        })
    }
}

/// Notices that the system has made a process or a thread: the newest number it has given has changed.
#[derive(Debug)]
struct Births {
    loadavg: Option<File>,
    newest: [u8; 12],
    again_at_ns: u64,
}

impl Births {
    fn new() -> Births {
        Births { loadavg: File::open("/proc/loadavg").ok(), newest: [0; 12], again_at_ns: 0 }
    }

    fn any(&mut self, now_ns: u64) -> bool {
        if now_ns < self.again_at_ns {
            return false;
        }
        self.again_at_ns = now_ns + BIRTHS_NS;
        let mut text = [0; 128];
        let Some(Ok(len)) = self.loadavg.as_ref().map(|file| file.read_at(&mut text, 0)) else {
            self.again_at_ns = now_ns + 10 * BIRTHS_NS;
            return true;
        };
        // Load averages, running/all, and last the newest number.
        let mut newest = [0; 12];
        let word = text[..len].rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let len = word.len().min(newest.len());
        newest[..len].copy_from_slice(&word[..len]);
        let changed = newest != self.newest;
        self.newest = newest;
        changed
    }
}

/// The children of a process, of all its threads.
fn children(pid: u32) -> impl Iterator<Item = u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.flat_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
    })
}

/// A course of values that keeps at most some hundred points, whatever its length: the highest of each
/// stretch.
#[derive(Debug, Default)]
struct MemoryCourse {
    points: Vec<u64>,
    per_point: u32,
    in_last: u32,
}

const COURSE_POINTS_MAX: usize = 256;

impl MemoryCourse {
    fn push(&mut self, value: u64) {
        self.per_point = self.per_point.max(1);
        if self.in_last > 0
            && let Some(last) = self.points.last_mut()
        {
            *last = (*last).max(value);
        } else {
            self.points.push(value);
        }
        self.in_last = (self.in_last + 1) % self.per_point;
        if self.points.len() == COURSE_POINTS_MAX {
            let pairs = self.points.chunks(2).map(|pair| pair.iter().copied().max().unwrap_or(0));
            self.points = pairs.collect();
            self.per_point *= 2;
            self.in_last = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_keeps_its_peak_and_stays_short() {
        let mut course = MemoryCourse::default();
        (0..100_000_u64).for_each(|index| course.push(if index == 70_001 { 9 } else { 1 }));
        assert!(course.points.len() < COURSE_POINTS_MAX);
        let position = course.points.iter().position(|value| *value == 9).expect("the peak is kept");
        let share = position as f64 / course.points.len() as f64;
        assert!((0.65..0.75).contains(&share), "{share}");
    }

    #[test]
    fn a_child_is_found() {
        let mut births = Births::new();
        births.any(0);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep is there");
        assert!(births.any(BIRTHS_NS));
        assert!(children(std::process::id()).any(|pid| pid == child.id()));
        child.kill().expect("it lives");
        child.wait().expect("it ends");
    }
}
