//! One thread of an observed process: its stack and state now, and its runs since the last batch.

use naja_cpython::reader::Frame;
use naja_recording::{NodeId, Run, State, Thread, ThreadRuns, Tick};

use crate::os_thread::{Activity, OsThread};
use crate::target::Shared;

/// One thread of an observed process.
#[derive(Debug)]
pub(crate) struct TargetThread {
    pub(crate) thread: Thread,
    /// `thread` has changed since it was last written.
    pub(crate) changed: bool,
    pub(crate) os: OsThread,
    /// It may have run since the last tick.
    pub(crate) ran: bool,
    /// It is one of the interpreter's threads, and its stack was read since it last ran.
    pub(crate) stack_is_known: bool,
    /// The system was not asked what it is doing in this tick: see [`TargetThread::is_trusted`].
    pub(crate) presumed_running: bool,
    /// How often in a row the system, when asked, has said that it runs while it was seen at bytecode.
    confirmations: u32,
    /// The stack of the last sample and the node of each of its frames, outermost first.
    pub(crate) frames: Vec<Frame>,
    pub(crate) path: Vec<NodeId>,
    pub(crate) fingerprint: u64,
    /// What the last sample showed.
    pub(crate) now: Now,
    /// Ticks per state, over its whole life.
    pub(crate) ticks: [u64; State::ALL.len()],
    /// Ticks in which it held the GIL.
    pub(crate) gil_ticks: u64,
    /// Ticks in which the collector ran in it.
    pub(crate) gc_ticks: u64,
    pub(crate) ended: bool,
    /// The name that the system had for it, and how often to look for another.
    system_name: String,
    name_looks: u8,
    runs: Vec<Run>,
    /// Runs before a gap, not taken yet.
    earlier: Vec<ThreadRuns>,
    runs_from: Tick,
    next_tick: Tick,
}

/// A thread that holds the GIL, stands at bytecode that calls nothing, and has moved since the last sample is running:
/// only a page fault or a stop can keep it from that. After so many confirmations in a row by the system it is asked in
/// one of [`ASKED_OF`] ticks alone. A program with page faults in one of 200 samples, the worst for this rule, has 0.23 % of
/// its ticks taken for running by mistake.
const TRUSTED_AFTER: u32 = 256;
const ASKED_OF: u64 = 4;

/// Looks at the system's name of a thread after the first.
const NAME_LOOKS: u8 = 4;

/// What a sample showed of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) node: NodeId,
    pub(crate) state: State,
    pub(crate) gil: bool,
    pub(crate) gc: bool,
}

impl TargetThread {
    pub(crate) fn new(thread: Thread, os: OsThread, tick: Tick) -> TargetThread {
        TargetThread {
            system_name: thread.name.clone(),
            name_looks: NAME_LOOKS,
            thread,
            changed: true,
            os,
            ran: true,
            stack_is_known: false,
            presumed_running: false,
            confirmations: 0,
            frames: Vec::new(),
            path: Vec::new(),
            fingerprint: 0,
            now: Now::default(),
            ticks: [0; State::ALL.len()],
            gil_ticks: 0,
            gc_ticks: 0,
            ended: false,
            runs: Vec::new(),
            earlier: Vec::new(),
            runs_from: tick,
            next_tick: tick,
        }
    }

    /// Looks whether a thread that Python has no name for has got one from the system: `name` reads that. A thread
    /// is named after it starts, if at all, so that a few looks are enough.
    pub(crate) fn refresh_name(&mut self, name: impl FnOnce(u32) -> String) {
        if self.ended || self.name_looks == 0 || self.thread.name != self.system_name {
            return;
        }
        self.name_looks -= 1;
        let name = name(self.thread.os_tid);
        if !name.is_empty() && name != self.system_name {
            self.system_name.clone_from(&name);
            self.thread.name = name;
            self.changed = true;
        }
    }

    /// Whether it was blocked when last looked at.
    pub(crate) fn is_blocked(&self) -> bool {
        self.ended || (self.stack_is_known && matches!(self.os.last_seen(), Activity::Call { .. }))
    }

    /// Whether it needs no question to the system, as it seems to be running Python like before; to be confirmed by what
    /// its stack shows.
    pub(crate) fn is_trusted(&self, tick: Tick) -> bool {
        self.confirmations >= TRUSTED_AFTER
            && self.now.state == State::Python
            && self.now.gil
            // Spread evenly, and in step with no program.
            && tick.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - ASKED_OF.trailing_zeros()) != 0
    }

    /// Notes whether the system agrees with what the stack shows of a thread that seems to be running bytecode.
    pub(crate) fn confirm(&mut self, is_running: bool) {
        self.confirmations = if is_running { self.confirmations.saturating_add(1) } else { 0 };
    }

    /// The tree of stacks was begun anew: the numbers of its nodes are void.
    pub(crate) fn forget_stack(&mut self) {
        self.lose();
        self.frames = Vec::new();
        self.path = Vec::new();
    }

    /// Nothing is known of it now.
    pub(crate) fn lose(&mut self) {
        self.now = Now::default();
        self.stack_is_known = false;
    }

    /// Notes what the sample of this tick showed. Ticks since the last one were missed.
    pub(crate) fn note(&mut self, shared: &mut Shared<'_>) {
        if self.ended {
            return;
        }
        let missed = shared.tick.saturating_sub(self.next_tick);
        self.push(Now::default(), missed);
        self.push(self.now, 1);
        shared.stacks.count(self.now.node, self.now.state);
    }

    /// Notes that it has not run since the last tick, so that nothing about it has changed.
    pub(crate) fn repeat(&mut self, shared: &mut Shared<'_>) {
        if !self.ended {
            shared.counts.taken += self.hold(shared);
        }
    }

    /// The same of what is no thread of the system, so that nothing was sampled; gives how many ticks were noted.
    pub(crate) fn hold(&mut self, shared: &mut Shared<'_>) -> u64 {
        let ticks = (shared.tick + 1).saturating_sub(self.next_tick);
        self.push(self.now, ticks);
        (0..ticks).for_each(|_| shared.stacks.count(self.now.node, self.now.state));
        ticks
    }

    /// Leaves out all ticks before `tick` that were not noted: there was nothing then.
    pub(crate) fn skip_to(&mut self, tick: Tick) {
        if tick > self.next_tick {
            let runs = self.take_runs();
            self.earlier.extend(runs);
            self.runs_from = tick;
            self.next_tick = tick;
        }
    }

    /// The runs before gaps that [`skip_to`](Self::skip_to) has made, since this was last asked; to be taken before
    /// [`take_runs`](Self::take_runs).
    pub(crate) fn take_earlier_runs(&mut self) -> Vec<ThreadRuns> {
        std::mem::take(&mut self.earlier)
    }

    fn push(&mut self, now: Now, ticks: u64) {
        if ticks == 0 {
            return;
        }
        self.next_tick += ticks;
        self.ticks[now.state as usize] += ticks;
        self.gil_ticks += if now.gil { ticks } else { 0 };
        self.gc_ticks += if now.gc { ticks } else { 0 };
        let run = Run { ticks: 0, node: now.node, state: now.state, gil: now.gil, gc: now.gc };
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        match self.runs.last_mut() {
            Some(last) if (Run { ticks: 0, ..*last }) == run => last.ticks = last.ticks.saturating_add(ticks),
            _ => self.runs.push(Run { ticks, ..run }),
        }
    }

    /// Brings the thread's times up to date. They are the system's own, not counted from samples.
    pub(crate) fn refresh_times(&mut self) {
        if !self.ended {
            self.os.refresh_times();
        }
    }

    /// The runs since this was last asked.
    pub(crate) fn take_runs(&mut self) -> Option<ThreadRuns> {
        if self.runs.is_empty() {
            return None;
        }
        let runs = ThreadRuns {
            thread: self.thread.id,
            first_tick: self.runs_from,
            runs: std::mem::take(&mut self.runs),
        };
        self.runs_from = self.next_tick;
        Some(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_the_system_confirms_is_asked_in_one_of_four_ticks_until_it_does_not() {
        let mut thread = TargetThread::new(Thread::default(), OsThread::none(), 0);
        thread.now = Now { node: 1, state: State::Python, gil: true, gc: false };
        let trusted = |thread: &TargetThread| (0..10_000).filter(|tick| thread.is_trusted(*tick)).count();
        (1..TRUSTED_AFTER).for_each(|_| thread.confirm(true));
        assert_eq!(trusted(&thread), 0);
        thread.confirm(true);
        assert!((7_400..7_600).contains(&trusted(&thread)), "{}", trusted(&thread));
        // What holds no GIL, or stands at a call, may be blocked at any time.
        for (state, gil) in [(State::Native, true), (State::Python, false), (State::Sleep, false)] {
            thread.now = Now { state, gil, ..thread.now };
            assert_eq!(trusted(&thread), 0);
        }
        thread.now = Now { state: State::Python, gil: true, ..thread.now };
        thread.confirm(false);
        assert_eq!(trusted(&thread), 0);
    }
}
