//! The sampler's loop: wakes on time, samples every process of the program, hands batches to the recording.
//!
//! Time is divided into ticks of equal length, and each is sampled at a random moment inside it, so that no
//! program can run in step with the sampler. A tick in which naja did not get to run is missed, and told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use naja_cpython::locate::Locator;
use naja_recording::{Batch, Metric, ProcessId, State, ThreadId, Tick};
use naja_system::timer;
use rustc_hash::FxHashSet;

use crate::births::{self, Births, Changes};
use crate::native::{Names, NativeShared, NativeSink};
use crate::observation::{self, Observation};
use crate::sink::Sink;
use crate::stacks::Stacks;
use crate::target::{SampleCounts, Shared, Target, add_ticks};
use crate::task_lanes::Tasks;

/// A batch is written this often: what a kill of naja can lose.
const BATCH_NS: u64 = 230_000_000;

/// Memory is read this often.
const METRIC_NS: u64 = 25_000_000;

/// Highest memory and times, which cost more to read.
const TOTALS_NS: u64 = 250_000_000;

/// The longest the loop sleeps before it looks whether the program has ended.
const SLEEP_MAX_NS: u64 = 10_000_000;

/// The kernel has told by then how a process ended.
const ENDING_TOLD_NS: u64 = 50_000_000;

/// Living processes beyond which further children are counted and not observed.
const LIVING_MAX: usize = 1024;

/// Processes that have ended and are kept for the report; there may be twice as many for a while.
const ENDED_MAX: usize = 1024;

/// What to sample.
#[derive(Clone, Copy, Debug)]
pub struct SamplerOptions {
    /// The program's process.
    pub pid: u32,
    /// When it started, on [`timer::now_ns`]'s clock.
    pub start_ns: u64,
    /// Length of a tick in nanoseconds.
    pub interval_ns: u64,
    /// Whether the program's child processes are sampled too, those that live already and those to come.
    pub subprocesses: bool,
    /// When to stop, on [`timer::now_ns`]'s clock; `None` for when the program ends.
    pub until_ns: Option<u64>,
    /// Nobody else waits for the program: the sampler itself looks whether it has ended.
    pub attached: bool,
    /// Whether native functions are sampled too. Threads are paused for that, each for some 10 to 40 µs.
    pub native: bool,
    /// Which tasks of asyncio are told apart.
    pub tasks: Tasks,
}

impl SamplerOptions {
    /// For a program that somebody else waits for, with all its children, until it ends.
    pub fn of_program(pid: u32, start_ns: u64, interval_ns: u64) -> SamplerOptions {
        SamplerOptions {
            pid,
            start_ns,
            interval_ns,
            subprocesses: true,
            until_ns: None,
            attached: false,
            native: false,
            tasks: Tasks::None,
        }
    }
}

/// What the thread that waits for the program tells the sampler, and what the sampler tells it.
#[derive(Debug, Default)]
pub struct Control {
    /// The program has ended and can be read for the last time, or the sampling is to end.
    pub ended: AtomicBool,
    /// The program is stopped (Ctrl-Z), and so is naja, or was a moment ago.
    pub stopped: AtomicBool,
    /// Ticks that were sampled up to now.
    pub ticks_sampled: AtomicU64,
    /// The sampler has ended because its time was over.
    pub time_over: AtomicBool,
}

/// Sleeps until a moment; `false` when the program ended meanwhile.
fn sleep(
    mut alarms: Option<&mut timer::Alarms>,
    moment_ns: u64,
    following_ns: u64,
    control: &Control,
) -> bool {
    loop {
        let now = timer::now_ns();
        if now >= moment_ns {
            return true;
        }
        match &mut alarms {
            Some(alarms) if moment_ns <= now + SLEEP_MAX_NS => alarms.sleep_until(moment_ns, following_ns),
            _ => timer::sleep_until(moment_ns.min(now + SLEEP_MAX_NS)),
        }
        if control.ended.load(Ordering::Acquire) {
            return false;
        }
    }
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
    /// Children that lived before the recording began and have no place in it yet; what the first search finds.
    older: FxHashSet<u32>,
    has_searched: bool,
    locator: Locator,
    sink: Box<dyn Sink>,
    /// What native stacks need, and whom to ask for their names.
    native: Option<(NativeShared, Names)>,
    random: u64,
    next_batch_ns: u64,
    next_metric_ns: u64,
    next_totals_ns: u64,
    processes_given: ProcessId,
    children_unobserved: u64,
    /// Processes that have ended and are not in `targets` any more, and the ticks of their threads.
    processes_unlisted: u64,
    unlisted_ticks: [u64; State::ALL.len()],
}

impl Sampler {
    /// A sampler that hands what it sees to `sink`.
    pub fn new(options: SamplerOptions, sink: Box<dyn Sink>) -> Sampler {
        let (sink, native) = match options.native {
            true => {
                let native = NativeShared::default();
                let sink = NativeSink::start(sink, native.places.new_ones());
                let names = sink.names();
                (Box::new(sink) as Box<dyn Sink>, Some((native, names)))
            }
            false => (sink, None),
        };
        let mut target = Target::new(1, options.pid, 0, 0);
        if options.attached {
            target.count_from_now();
        }
        let seed = options.start_ns ^ (u64::from(options.pid) << 32) ^ 0x9E37_79B9_7F4A_7C15;
        Sampler {
            targets: vec![target],
            options,
            stacks: Stacks::default(),
            threads_given: 0,
            counts: SampleCounts::default(),
            ticks_missed: 0,
            ticks_stopped: 0,
            memory_course: MemoryCourse::default(),
            metrics: Vec::new(),
            births: Births::new(options.pid, 1),
            older: FxHashSet::default(),
            has_searched: false,
            locator: Locator::default(),
            sink,
            native,
            random: seed | 1,
            next_batch_ns: options.start_ns + BATCH_NS,
            next_metric_ns: 0,
            next_totals_ns: options.start_ns,
            processes_given: 1,
            children_unobserved: 0,
            processes_unlisted: 0,
            unlisted_ticks: [0; State::ALL.len()],
        }
    }

    /// Samples until the program has ended. Blocks: give it a thread.
    pub fn run(mut self, control: &Control) -> Observation {
        // Without it every wake-up is some 50 µs late; the samples are good all the same.
        let _ = timer::wake_precisely();
        // Without them a wake costs more.
        let mut alarms = timer::Alarms::new().ok();
        let (mut next, mut moment): (Tick, _) = (0, self.moment(0));
        while !control.ended.load(Ordering::Acquire) {
            let following = self.moment(next + 1);
            if !sleep(alarms.as_mut(), moment, following, control) {
                break;
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
            control.ticks_sampled.fetch_add(1, Ordering::Release);
            if self.is_done(now) {
                control.time_over.store(self.is_time_over(now), Ordering::Release);
                next = tick + 1;
                break;
            }
            moment = if tick == next { following } else { self.moment(tick + 1) };
            next = tick + 1;
        }
        self.finish(next)
    }

    /// Whether the time is over, or nothing is left to sample.
    fn is_done(&self, now_ns: u64) -> bool {
        self.is_time_over(now_ns)
            || (self.options.attached
                && self.targets.iter().all(Target::has_ended)
                && !self.births.any_waiting())
    }

    fn is_time_over(&self, now_ns: u64) -> bool {
        self.options.until_ns.is_some_and(|until_ns| now_ns >= until_ns)
    }

    /// A random moment inside a tick.
    fn moment(&mut self, tick: Tick) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let inside = (u128::from(self.random) * u128::from(self.options.interval_ns)) >> 64;
        self.options.start_ns + tick * self.options.interval_ns + inside as u64
    }

    fn sample(&mut self, tick: Tick, now_ns: u64) {
        if let Some((native, _)) = &mut self.native {
            native.settle();
        }
        let changes = self.births.look(now_ns);
        self.apply(&changes, tick, now_ns);
        if !self.births.tells_of_execution() {
            self.for_each_living(tick, now_ns, |target, shared| target.check_program(shared.now_ns));
        }
        self.for_each_living(tick, now_ns, Target::sample);
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
            self.give_batch(tick + 1, now_ns);
        }
    }

    /// Does something with every process that has not ended.
    fn for_each_living(&mut self, tick: Tick, now_ns: u64, act: impl Fn(&mut Target, &mut Shared<'_>)) {
        for target in self.targets.iter_mut().filter(|target| !target.has_ended()) {
            let mut shared = Shared {
                tick,
                now_ns,
                stacks: &mut self.stacks,
                threads_given: &mut self.threads_given,
                counts: &mut self.counts,
                locator: &mut self.locator,
                native: self.native.as_mut().map(|(native, _)| native),
                tasks: self.options.tasks,
            };
            act(target, &mut shared);
        }
    }

    /// Follows what has happened to the program's processes.
    fn apply(&mut self, changes: &Changes, tick: Tick, now_ns: u64) {
        for &pid in &changes.executed {
            if let Some(target) = self.latest(pid) {
                target.became_another_program();
            }
        }
        for &(pid, ending) in &changes.ended {
            if let Some(target) = self.latest(pid) {
                target.may_have_ended(ending, tick);
            }
        }
        for &pid in &changes.born {
            self.take_in(pid, tick);
        }
        if changes.search {
            self.search(tick, now_ns);
        } else if !changes.with_threads.is_empty() {
            self.for_each_living(tick, now_ns, |target, shared| {
                if changes.with_threads.contains(&target.process.pid) {
                    target.find_threads(shared);
                }
            });
        }
    }

    /// The process with this number in the system: the last one, as numbers are given again.
    fn latest(&mut self, pid: u32) -> Option<&mut Target> {
        self.targets.iter_mut().rev().find(|target| target.process.pid == pid)
    }

    /// A child becomes a process of the recording.
    fn take_in(&mut self, pid: u32, tick: Tick) {
        if !self.options.subprocesses {
            return self.births.forget(pid);
        }
        if self.targets.iter().filter(|target| !target.has_ended()).count() >= LIVING_MAX {
            self.children_unobserved += 1;
            return self.births.forget(pid);
        }
        self.processes_given += 1;
        let id = self.processes_given;
        let parent = self.births.parent(pid);
        self.births.named(pid, id);
        let mut target = Target::new(id, pid, parent, tick);
        if self.older.remove(&pid) {
            target.count_from_now();
        }
        self.targets.push(target);
    }

    /// Searches `/proc` for threads and child processes that are not known yet.
    fn search(&mut self, tick: Tick, now_ns: u64) {
        self.for_each_living(tick, now_ns, Target::find_threads);
        if !self.options.subprocesses {
            return;
        }
        let living = self.targets.iter().filter(|target| !target.has_ended());
        let mut parents: Vec<u32> = living.map(|target| target.process.pid).collect();
        parents.extend(self.births.waiting());
        // A child may have children by the time it is seen.
        while let Some(parent) = parents.pop() {
            for child in births::children(parent) {
                if self.births.found(child, parent, now_ns) {
                    parents.push(child);
                    if self.options.attached && !self.has_searched {
                        self.older.insert(child);
                    }
                }
            }
        }
        self.has_searched = true;
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
    fn give_batch(&mut self, until_tick: Tick, now_ns: u64) {
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
            // How it ended may be told a moment after its end was seen.
            let ended_at = self.options.start_ns + target.process.last_tick * self.options.interval_ns;
            if target.has_ended() && now_ns > ended_at + ENDING_TOLD_NS {
                self.births.forget_ended(target.process.pid, target.process.id);
            }
        }
        self.sink.give(batch);
        if self.stacks.is_large() {
            self.stacks.begin_anew();
            self.targets.iter_mut().for_each(Target::forget_stacks);
        }
        self.drop_ended();
    }

    /// Drops ended processes when there are very many, so that a server that starts one for each request is
    /// observed in bounded space. Those stay that used most processor time, the program itself, and parents.
    fn drop_ended(&mut self) {
        let ended = self.targets.iter().filter(|target| target.has_ended()).count();
        if ended < 2 * ENDED_MAX {
            return;
        }
        let parents: FxHashSet<ProcessId> = self
            .targets
            .iter()
            .filter(|target| !target.has_ended())
            .map(|target| target.process.parent)
            .collect();
        let may_go = |target: &Target| {
            target.has_ended() && target.process.parent != 0 && !parents.contains(&target.process.id)
        };
        let mut cpu: Vec<u64> =
            self.targets.iter().filter(|target| may_go(target)).map(Target::cpu_ns).collect();
        let surplus = cpu.len().saturating_sub(ENDED_MAX);
        if surplus == 0 {
            return;
        }
        let (_, limit_ns, _) = cpu.select_nth_unstable(surplus - 1);
        let limit_ns = *limit_ns;
        let mut left = surplus;
        for target in self.targets.extract_if(.., |target| {
            let goes = left > 0 && may_go(target) && target.cpu_ns() <= limit_ns;
            left -= usize::from(goes);
            goes
        }) {
            self.births.forget_ended(target.process.pid, target.process.id);
            self.processes_unlisted += 1;
            add_ticks(&mut self.unlisted_ticks, &target.thread_ticks());
        }
    }

    fn finish(mut self, until_tick: Tick) -> Observation {
        let now_ns = timer::now_ns();
        // Children that were born since the last look, and what each has used in the end.
        for _ in 0..2 {
            // Twice: what the first look has searched for is told by the second.
            let changes = self.births.look_at_the_end();
            self.apply(&changes, until_tick, now_ns);
        }
        for target in &mut self.targets {
            if !target.has_ended() {
                target.refresh_totals();
                target.check_alive(until_tick);
            }
        }
        self.give_batch(until_tick, now_ns);
        observation::observe(observation::Seen {
            targets: self.targets,
            processes_unlisted: self.processes_unlisted,
            unlisted_ticks: self.unlisted_ticks,
            stacks: self.stacks,
            counts: self.counts,
            ticks: until_tick,
            ticks_missed: self.ticks_missed,
            ticks_stopped: self.ticks_stopped,
            interval_ns: self.options.interval_ns,
            memory_course: self.memory_course.points,
            sink: self.sink,
            native: self.native,
            children_unnamed: self.births.unnamed(),
            children_unobserved: self.children_unobserved,
        })
    }
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
    use naja_recording::Writer;

    use super::*;
    use crate::recorder::Recorder;

    #[test]
    fn a_course_keeps_its_peak_and_stays_short() {
        let mut course = MemoryCourse::default();
        (0..100_000_u64).for_each(|index| course.push(if index == 70_001 { 9 } else { 1 }));
        assert!(course.points.len() < COURSE_POINTS_MAX);
        let position = course.points.iter().position(|value| *value == 9).expect("the peak is kept");
        let share = position as f64 / course.points.len() as f64;
        assert!((0.65..0.75).contains(&share), "{share}");
    }

    /// Samples a program until a condition holds, with a tree of few nodes and a small recording.
    fn sample_until(
        program: &str,
        nodes_max: usize,
        size_limit: Option<u64>,
        done: impl Fn(&Sampler) -> bool,
    ) -> Option<(Observation, tempfile::TempDir)> {
        let Some(python) = naja_testkit::interpreters::interpreters().last() else {
            naja_testkit::not_tested("sampling: there is no CPython from 3.8 on");
            return None;
        };
        let target = naja_testkit::target::Target::start(python, program);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("run.naja");
        let options = SamplerOptions::of_program(target.pid(), timer::now_ns(), 1_000_000);
        let recorder = Recorder::start(move || {
            let header = naja_recording::Header { interval_ns: 1_000_000, ..Default::default() };
            let mut writer = Writer::create(&path, &header).expect("the folder is ours");
            writer.set_size_limit(size_limit.unwrap_or(naja_recording::DEFAULT_SIZE_LIMIT));
            (writer, None)
        });
        let mut sampler = Sampler::new(options, Box::new(recorder));
        sampler.stacks = Stacks::with_nodes_max(nodes_max);
        let mut next = 0;
        while !done(&sampler) {
            let now = timer::now_ns();
            let tick = ((now - options.start_ns) / options.interval_ns).max(next);
            sampler.sample(tick, now);
            next = tick + 1;
            timer::sleep_until(options.start_ns + next * options.interval_ns);
        }
        let mut observation = sampler.finish(next);
        if let Some(mut writer) = observation.writer.take() {
            writer.complete().expect("the recording is complete");
        }
        assert!(observation.failures.is_empty(), "{:?}", observation.failures);
        Some((observation, folder))
    }

    #[test]
    fn a_program_that_has_long_been_running_is_seen_to_stop_within_a_tick() {
        // The system is asked of it in some ticks alone by then.
        const RUNNING_TICKS: u64 = 800;
        let program = "
print('{}', flush=True)
total = 0
while True:
    total += 1
";
        let ticks_at_stop = std::cell::Cell::new(None);
        let stop = |pid: u32| {
            let pid = pid.to_string();
            let told = std::process::Command::new("kill").args(["-STOP", &pid]).status();
            assert!(told.expect("there is a `kill`").success());
            let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
            while !stat().contains(") T ") {}
        };
        let enough = |sampler: &Sampler| {
            let ticks = sampler.targets[0].thread_ticks();
            let running = ticks[State::Python as usize];
            match ticks_at_stop.get() {
                None if running < RUNNING_TICKS => {}
                None => {
                    stop(sampler.targets[0].process.pid);
                    ticks_at_stop.set(Some(running));
                }
                Some(before) => return ticks[State::IoWait as usize] >= 100 || running > before + 1,
            }
            false
        };
        let Some((observation, _folder)) = sample_until(program, 100_000, None, enough) else { return };
        let running = observation.processes[0].threads[0].ticks[State::Python as usize];
        let before = ticks_at_stop.get().expect("it was stopped");
        assert!(running <= before + 1, "{} ticks after its stop", running - before);
    }

    #[test]
    fn totals_stay_exact_and_the_recording_small_over_many_generations_of_stacks() {
        // One thread never moves; the other stands in ever new stacks.
        let program = "
import itertools, sys, threading, time
def idle():
    threading.Event().wait()
threading.Thread(target=idle, daemon=True).start()
def leaf():
    end = time.perf_counter() + 0.001
    while time.perf_counter() < end: pass
def turn(depth, path):
    if depth == 0: leaf()
    elif path >> depth & 1:
        turn(depth - 1, path)
    else:
        turn(depth - 1, path)
print('{}', flush=True)
for path in itertools.count():
    turn(20, path * 37)
";
        const NODES_MAX: usize = 150;
        const SIZE_LIMIT: u64 = 96 << 10;
        let enough = |sampler: &Sampler| sampler.stacks.generation() >= 6;
        let Some((observation, folder)) = sample_until(program, NODES_MAX, Some(SIZE_LIMIT), enough) else {
            return;
        };
        // Every tick in which a thread was seen is in the totals of exactly one line.
        let threads = &observation.processes[0].threads;
        let in_states = |states: &[State]| -> u64 {
            threads
                .iter()
                .map(|thread| states.iter().map(|state| thread.ticks[*state as usize]).sum::<u64>())
                .sum()
        };
        let own = |hot: &[observation::Hot], count: fn(&observation::Hot) -> u64| {
            hot.iter().map(count).sum::<u64>()
        };
        let running = in_states(&[State::Python, State::Native]);
        let waiting =
            in_states(&[State::GilWait, State::IoWait, State::LockWait, State::Sleep, State::ChildWait]);
        assert_eq!(own(&observation.functions, |hot| hot.own_running), running);
        assert_eq!(own(&observation.waits, |hot| hot.own_waiting), waiting);
        assert!(running > 100 && waiting > 100, "{running} {waiting}");
        let len = std::fs::metadata(folder.path().join("run.naja")).expect("a recording").len();
        assert!(len <= SIZE_LIMIT, "{len} bytes");
    }

    #[test]
    fn threads_and_processes_that_end_are_kept_in_bounded_number() {
        let program = "
import threading
print('{}', flush=True)
while True:
    thread = threading.Thread(target=lambda: sum(range(20_000)))
    thread.start()
    thread.join()
";
        let enough = |sampler: &Sampler| sampler.threads_given >= 600;
        let Some((observation, _folder)) = sample_until(program, 100_000, None, enough) else { return };
        let [process] = observation.processes.as_slice() else { panic!("{:?}", observation.processes) };
        assert!(process.threads.len() < 2 * 200 + 200, "{} threads", process.threads.len());
        assert!(process.threads.len() as u64 + process.threads_unlisted >= 600);
    }

    #[test]
    fn ended_processes_beyond_a_number_are_summed_up() {
        let mut own_child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep is there");
        let options = SamplerOptions::of_program(own_child.id(), timer::now_ns(), 1_000_000);
        let recorder = Recorder::start(|| {
            (Writer::in_memory(&naja_recording::Header::default()).expect("there is memory"), None)
        });
        let mut sampler = Sampler::new(options, Box::new(recorder));
        // Numbers that no process can have: they have ended when they are looked at first.
        for number in 0..3 * ENDED_MAX as u32 {
            assert!(sampler.births.found(u32::MAX - number, own_child.id(), 0));
            sampler.take_in(u32::MAX - number, 0);
            sampler.sample(u64::from(number), timer::now_ns());
        }
        sampler.give_batch(u64::MAX >> 20, timer::now_ns());
        assert!(sampler.targets.len() <= 2 * ENDED_MAX, "{} processes", sampler.targets.len());
        assert_eq!(sampler.targets.len() as u64 + sampler.processes_unlisted, 3 * ENDED_MAX as u64 + 1);
        assert_eq!(sampler.targets[0].process.pid, own_child.id(), "the program itself stays");
        own_child.kill().expect("it lives");
        own_child.wait().expect("it ends");
    }
}
