//! Samples summed into buckets of time: the rows on which the page computes.
//!
//! Invariant: the ticks of all rows together are the ticks of all runs that were added; coarsening merges rows
//! and loses none. Start at [`Samples::add`].

use naja_recording::{NodeId, Run, State, ThreadId, ThreadRuns, Tick};

/// More buckets than this are finer than a screen shows.
const BUCKETS_MAX: u64 = 1_500;

/// Coarser than this the time line says too little; what is then still too much is folded, see `fold`.
const BUCKETS_MIN: u64 = 250;

/// More rows than this make the page too big (three to four bytes a row) and a selection too slow.
pub(super) const ROWS_MAX: usize = 1_200_000;

/// Ticks of one thread that had the same stack and the same flags within one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The thread.
    pub thread: ThreadId,
    /// 0-based number of the bucket, from the first tick on.
    pub bucket: u32,
    /// The stack; 0 when the thread ran no Python code.
    pub node: NodeId,
    /// State in the low four bits, then [`GIL`] and [`GC`].
    pub flags: u8,
    /// How many ticks.
    pub ticks: u32,
}

/// Flag of a row: the thread held the GIL.
pub const GIL: u8 = 1 << 4;
/// Flag of a row: the collector was running.
pub const GC: u8 = 1 << 5;

impl Row {
    /// What the thread was doing.
    pub fn state(self) -> State {
        State::from_number(self.flags & 15).unwrap_or_default()
    }

    fn key(self) -> (ThreadId, u32, NodeId, u8) {
        (self.thread, self.bucket, self.node, self.flags)
    }
}

/// Collects runs into rows.
#[derive(Clone, Debug)]
pub struct Samples {
    first_tick: Tick,
    /// Number of ticks from the first on.
    ticks: u64,
    bucket_ticks: u64,
    /// The buckets may not become wider than this.
    bucket_ticks_max: u64,
    rows: Vec<Row>,
    rows_max: usize,
    /// Number of rows at which to compact next.
    compact_at: usize,
}

impl Samples {
    /// For a recording that holds the ticks from `first_tick` up to `until_tick`.
    pub fn new(first_tick: Tick, until_tick: Tick) -> Self {
        Self::with_limit(first_tick, until_tick, ROWS_MAX)
    }

    /// As [`Samples::new`], but keeps at most `rows_max` rows where coarser buckets can achieve it.
    pub fn with_limit(first_tick: Tick, until_tick: Tick, rows_max: usize) -> Self {
        let ticks = until_tick.saturating_sub(first_tick);
        Samples {
            first_tick,
            ticks,
            bucket_ticks: ticks.div_ceil(BUCKETS_MAX).max(1),
            bucket_ticks_max: ticks / BUCKETS_MIN,
            rows: Vec::new(),
            rows_max,
            compact_at: rows_max.saturating_mul(2),
        }
    }

    /// Adds a stretch of one thread.
    ///
    /// Cost: O(runs), plus now and then a sort of what was collected.
    pub fn add(&mut self, runs: &ThreadRuns) {
        let mut tick = runs.first_tick.saturating_sub(self.first_tick);
        for run in &runs.runs {
            let end = tick + u64::from(run.ticks);
            while tick < end {
                // A run may end a little after the last complete tick; the rest belongs to the last bucket.
                let bucket = tick.min(self.ticks.saturating_sub(1)) / self.bucket_ticks;
                let border = (bucket + 1) * self.bucket_ticks;
                let stop = if tick < border { end.min(border) } else { end };
                self.push(runs.thread, bucket, run, stop - tick);
                tick = stop;
            }
        }
        if self.rows.len() > self.compact_at {
            self.compact();
            self.compact_at = self.rows.len().max(self.rows_max).saturating_mul(2);
        }
    }

    fn push(&mut self, thread: ThreadId, bucket: u64, run: &Run, ticks: u64) {
        let mut flags = run.state as u8;
        flags |= if run.gil { GIL } else { 0 };
        flags |= if run.gc { GC } else { 0 };
        let row = Row {
            thread,
            bucket: u32::try_from(bucket).unwrap_or(u32::MAX),
            node: run.node,
            flags,
            ticks: u32::try_from(ticks).unwrap_or(u32::MAX),
        };
        match self.rows.last_mut() {
            Some(last) if last.key() == row.key() => last.ticks = last.ticks.saturating_add(row.ticks),
            _ => self.rows.push(row),
        }
    }

    /// Merges equal rows; doubles the buckets' width until few enough rows are left, or it is the widest.
    fn compact(&mut self) {
        merge_equal(&mut self.rows);
        while self.rows.len() > self.rows_max && self.bucket_ticks * 2 <= self.bucket_ticks_max {
            self.bucket_ticks *= 2;
            for row in &mut self.rows {
                row.bucket /= 2;
            }
            merge_equal(&mut self.rows);
        }
    }

    /// The rows in order of thread, bucket, node, flags, and the width of a bucket in ticks.
    pub fn finish(mut self) -> (Vec<Row>, u64) {
        self.compact();
        (self.rows, self.bucket_ticks)
    }
}

/// Sorts rows and sums those that differ in nothing but their ticks.
pub(super) fn merge_equal(rows: &mut Vec<Row>) {
    rows.sort_unstable_by_key(|row| row.key());
    rows.dedup_by(|next, kept| {
        let equal = next.key() == kept.key();
        if equal {
            kept.ticks = kept.ticks.saturating_add(next.ticks);
        }
        equal
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ticks: u32, node: NodeId) -> Run {
        Run { ticks, node, state: State::Python, gil: true, gc: false }
    }

    fn stretch(first_tick: Tick, runs: Vec<Run>) -> ThreadRuns {
        ThreadRuns { thread: 1, first_tick, runs }
    }

    #[test]
    fn a_run_is_cut_at_the_borders_of_buckets() {
        let mut samples = Samples::new(0, 15_000);
        samples.add(&stretch(5, vec![run(10, 7)]));
        let (rows, bucket_ticks) = samples.finish();
        assert_eq!(bucket_ticks, 10);
        let cut: Vec<_> = rows.iter().map(|row| (row.bucket, row.ticks)).collect();
        assert_eq!(cut, [(0, 5), (1, 5)]);
    }

    #[test]
    fn coarser_buckets_lose_no_tick() {
        let mut samples = Samples::with_limit(0, 3_000, 1_300);
        for tick in 0..3_000 {
            samples.add(&stretch(tick, vec![run(1, 1 + u32::try_from(tick).unwrap() % 5)]));
        }
        let (rows, bucket_ticks) = samples.finish();
        // 8 ticks a bucket would still be too many rows, and 16 would be fewer than 250 buckets.
        assert_eq!((rows.len(), bucket_ticks), (1_875, 8));
        assert_eq!(rows.iter().map(|row| row.ticks).sum::<u32>(), 3_000);
    }

    #[test]
    fn flags_tell_state_gil_and_collector() {
        let mut samples = Samples::new(0, 1);
        let run = Run { ticks: 1, node: 1, state: State::IoWait, gil: false, gc: true };
        samples.add(&stretch(0, vec![run]));
        let (rows, _) = samples.finish();
        assert_eq!((rows[0].state(), rows[0].flags & GIL, rows[0].flags & GC), (State::IoWait, 0, GC));
    }
}
