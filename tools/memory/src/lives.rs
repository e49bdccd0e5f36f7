//! From when to when memory was in use, in buckets of time: what any moment and any stretch of a recording is summed from.
//!
//! Of whatever was given in one bucket and taken in another, place by place, the amount is kept. Where that becomes too
//! much, buckets become wider, two at a time; sums over whole buckets stay exact. Start at [`Lives::new`].

use naja_recording::{AllocationEvent, Amount, PlaceId, Tick};
use rustc_hash::FxHashMap;

use crate::events::Events;

/// More buckets are finer than a screen shows.
const BUCKETS_MAX: u64 = 512;
/// Coarser than this, the time line says too little.
const BUCKETS_MIN: u32 = 32;
/// What was not taken.
pub(crate) const NEVER: u32 = u32::MAX;

/// What was given in one bucket and taken in another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    /// Whose it was: the group of the place.
    pub(crate) group: u32,
    /// The bucket in which it was given.
    pub(crate) given: u32,
    /// The bucket in which it was taken; [`NEVER`] where it was not.
    pub(crate) taken: u32,
    /// How much.
    pub(crate) amount: Amount,
}

impl Life {
    fn key(&self) -> (u32, u32, u32) {
        (self.group, self.given, self.taken)
    }
}

/// What all together were in a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Level {
    /// In use at its end, in bytes.
    pub(crate) end_bytes: u64,
    /// The most that was in use within it, in bytes.
    pub(crate) most_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Used {
    place: PlaceId,
    given: u32,
    size: u64,
}

/// Lives in the making.
#[derive(Debug)]
pub(crate) struct Lives {
    /// For each place its group.
    groups: Vec<u32>,
    bucket_ticks: u64,
    buckets: u32,
    bucket: u32,
    /// The first tick of the next bucket.
    until: Tick,
    slots: Vec<Used>,
    /// Given and taken in this bucket, group by group, and which groups that are.
    brief: Vec<Amount>,
    touched: Vec<u32>,
    /// Taken in this bucket of what was given in an earlier one: by group and bucket.
    taken: FxHashMap<(u32, u32), Amount>,
    lives: Vec<Life>,
    lives_max: usize,
    levels: Vec<Level>,
    now: u64,
    most: u64,
    peak: (u64, Tick),
    tick: Tick,
    last: Option<Used>,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Sorted by group, then by the bucket in which it was given, then taken.
    pub(crate) lives: Vec<Life>,
    /// One for each bucket.
    pub(crate) levels: Vec<Level>,
    /// The ticks of a bucket.
    pub(crate) bucket_ticks: u64,
    /// When most was in use.
    pub(crate) peak_tick: Tick,
}

impl Lives {
    /// For a recording of the ticks up to `until`; `groups` says for each place (by its number) to which group it belongs.
    /// No more than twice `lives_max` are kept at a time.
    pub(crate) fn new(groups: Vec<u32>, until: Tick, lives_max: usize) -> Lives {
        let bucket_ticks = until.div_ceil(BUCKETS_MAX).max(1);
        let count = groups.iter().max().map_or(0, |last| *last as usize + 1);
        let buckets = until.div_ceil(bucket_ticks).max(1) as u32;
        Lives {
            groups,
            bucket_ticks,
            buckets,
            bucket: 0,
            until: bucket_ticks,
            slots: Vec::new(),
            brief: vec![Amount::default(); count],
            touched: Vec::new(),
            taken: FxHashMap::default(),
            lives: Vec::new(),
            lives_max,
            levels: Vec::new(),
            now: 0,
            most: 0,
            peak: (0, 0),
            tick: 0,
            last: None,
        }
    }

    fn give(&mut self, slot: u32, place: PlaceId, given: u32, size: u64) {
        if self.groups.len() <= place as usize || place == 0 {
            return;
        }
        let index = slot as usize;
        if self.slots.len() <= index {
            self.slots.resize(index + 1, Used::default());
        }
        self.slots[index] = Used { place, given, size };
        self.now += size;
        if self.now > self.most {
            self.most = self.now;
            if self.now > self.peak.0 {
                self.peak = (self.now, self.tick);
            }
        }
    }

    fn take(&mut self, slot: u32) {
        let Some(used) = self.slots.get_mut(slot as usize).map(std::mem::take).filter(|used| used.place != 0)
        else {
            self.last = None;
            return;
        };
        self.now -= used.size;
        let group = self.groups[used.place as usize];
        let amount = if used.given == self.bucket {
            let amount = &mut self.brief[group as usize];
            if amount.blocks == 0 && amount.bytes == 0 {
                self.touched.push(group);
            }
            amount
        } else {
            self.taken.entry((group, used.given)).or_default()
        };
        amount.blocks += 1;
        amount.bytes += used.size;
        self.last = Some(used);
    }

    /// Of what was taken last, this much is left: it goes on from when it was given.
    fn rest(&mut self, slot: u32, place: PlaceId, size: u64) {
        let mut given = self.bucket;
        if let Some(last) = self.last.filter(|last| last.place == place && last.size >= size) {
            given = last.given;
            let group = self.groups[place as usize];
            let amount = match given == self.bucket {
                true => self.brief.get_mut(group as usize),
                false => self.taken.get_mut(&(group, given)),
            };
            if let Some(amount) = amount {
                amount.bytes = amount.bytes.saturating_sub(size);
                amount.blocks = amount.blocks.saturating_sub(u64::from(last.size == size));
            }
            self.last = Some(Used { size: last.size - size, ..last });
        }
        self.give(slot, place, given, size);
    }

    fn close_bucket(&mut self) {
        let bucket = self.bucket;
        for group in self.touched.drain(..) {
            let amount = std::mem::take(&mut self.brief[group as usize]);
            if amount.blocks > 0 || amount.bytes > 0 {
                self.lives.push(Life { group, given: bucket, taken: bucket, amount });
            }
        }
        for ((group, given), amount) in self.taken.drain() {
            self.lives.push(Life { group, given, taken: bucket, amount });
        }
        self.levels.push(Level { end_bytes: self.now, most_bytes: self.most });
        self.most = self.now;
        self.last = None;
        self.bucket += 1;
        self.until += self.bucket_ticks;
        if self.lives.len() > self.lives_max.saturating_mul(2) {
            merge(&mut self.lives);
            while self.lives.len() > self.lives_max && self.buckets > BUCKETS_MIN {
                self.widen();
            }
            // Where even the widest are too many, there is room for more of them: their number is that of the groups.
            self.lives_max = self.lives_max.max(self.lives.len());
        }
    }

    /// Two buckets become one.
    fn widen(&mut self) {
        self.bucket_ticks *= 2;
        self.buckets = self.buckets.div_ceil(2);
        widen(&mut self.lives);
        self.slots.iter_mut().for_each(|used| used.given /= 2);
        widen_levels(&mut self.levels);
        let is_half_over = self.bucket % 2 == 1;
        self.bucket /= 2;
        if is_half_over {
            // What the open one and the one before it are now is opened again.
            let last = self.levels.pop().unwrap_or_default();
            self.most = self.most.max(last.most_bytes);
        }
        self.until = (u64::from(self.bucket) + 1) * self.bucket_ticks;
    }

    /// What was found.
    pub(crate) fn finish(mut self) -> Found {
        while self.bucket < self.buckets {
            self.close_bucket();
        }
        for used in std::mem::take(&mut self.slots).into_iter().filter(|used| used.place != 0) {
            let amount = Amount { blocks: 1, bytes: used.size };
            let group = self.groups[used.place as usize];
            self.lives.push(Life { group, given: used.given, taken: NEVER, amount });
            if self.lives.len() > self.lives_max.saturating_mul(2).max(1 << 20) {
                merge(&mut self.lives);
            }
        }
        merge(&mut self.lives);
        let (bucket_ticks, peak_tick) = (self.bucket_ticks, self.peak.1);
        Found { lives: self.lives, levels: self.levels, bucket_ticks, peak_tick }
    }
}

impl Events for Lives {
    fn time(&mut self, tick: Tick) {
        self.tick = tick;
        // What came after the last that is known to be complete belongs to the last bucket.
        while tick >= self.until && self.bucket + 1 < self.buckets {
            self.close_bucket();
        }
    }

    #[inline]
    fn event(&mut self, event: AllocationEvent) {
        match event {
            AllocationEvent::Given { slot, place, size } => self.give(slot, place, self.bucket, size),
            AllocationEvent::Taken { slot } => self.take(slot),
            AllocationEvent::Rest { slot, place, size } => self.rest(slot, place, size),
        }
    }
}

impl Found {
    /// Two buckets become one; whether there were enough.
    pub(crate) fn widen(&mut self) -> bool {
        if self.levels.len() as u32 <= BUCKETS_MIN {
            return false;
        }
        widen(&mut self.lives);
        self.bucket_ticks *= 2;
        widen_levels(&mut self.levels);
        true
    }

    /// Groups become others: `of[group]`.
    pub(crate) fn regroup(&mut self, of: &[u32]) {
        self.lives.iter_mut().for_each(|life| life.group = of[life.group as usize]);
        merge(&mut self.lives);
    }
}

fn widen(lives: &mut Vec<Life>) {
    for life in lives.iter_mut() {
        life.given /= 2;
        if life.taken != NEVER {
            life.taken /= 2;
        }
    }
    merge(lives);
}

fn widen_levels(levels: &mut Vec<Level>) {
    let wider = levels.chunks(2).map(|pair| Level {
        end_bytes: pair.last().map_or(0, |level| level.end_bytes),
        most_bytes: pair.iter().map(|level| level.most_bytes).max().unwrap_or(0),
    });
    *levels = wider.collect();
}

/// Sorts, and sums those that differ in nothing but their amounts.
fn merge(lives: &mut Vec<Life>) {
    lives.sort_unstable_by_key(Life::key);
    lives.dedup_by(|next, kept| {
        let is_same = next.key() == kept.key();
        if is_same {
            kept.amount.blocks += next.amount.blocks;
            kept.amount.bytes += next.amount.bytes;
        }
        is_same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without order, the same in every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }
    }

    /// What a block was, for the plain way: group, when it was given and taken, and how much.
    type Plain = (u32, Tick, Option<Tick>, u64);

    /// Plays a program of two groups and many blocks; what `Lives` found, and all blocks.
    fn played(seed: u64, ticks: Tick, lives_max: usize) -> (Found, Vec<Plain>) {
        let mut random = Random(seed);
        // Two places of each group.
        let mut lives = Lives::new(vec![0, 0, 1, 0, 1], ticks, lives_max);
        let (mut free, mut used, mut all): (Vec<u32>, Vec<(u32, usize)>, Vec<Plain>) =
            ((0..4000).rev().collect(), Vec::new(), Vec::new());
        for tick in 0..ticks {
            lives.time(tick);
            for _ in 0..random.below(6) {
                if used.is_empty() || random.below(100) < 53 {
                    let (place, size) = (1 + random.below(4) as u32, random.below(900));
                    let slot = free.pop().expect("there are enough");
                    used.push((slot, all.len()));
                    all.push(([0, 1, 0, 1][place as usize - 1], tick, None, size));
                    lives.event(AllocationEvent::Given { slot, place, size });
                } else {
                    let (slot, block) = used.swap_remove(random.below(used.len() as u64) as usize);
                    free.push(slot);
                    all[block].2 = Some(tick);
                    lives.event(AllocationEvent::Taken { slot });
                }
            }
        }
        (lives.finish(), all)
    }

    fn sum(of: impl Iterator<Item = (u64, u64)>) -> Amount {
        of.fold(Amount::default(), |sum, (blocks, bytes)| Amount {
            blocks: sum.blocks + blocks,
            bytes: sum.bytes + bytes,
        })
    }

    #[test]
    fn moments_and_stretches_are_the_plain_sums() {
        for (seed, ticks, lives_max) in
            [(1, 300, 100_000), (2, 3_000, 100_000), (3, 3_000, 900), (4, 2_777, 300)]
        {
            let (mut found, all) = played(seed, ticks, lives_max);
            for _ in 0..3 {
                let width = found.bucket_ticks;
                let count = found.levels.len() as u32;
                assert_eq!(u64::from(count), ticks.div_ceil(width), "seed {seed}");
                for group in [0, 1] {
                    for (from, to) in [(0, count), (count / 3, count / 2), (count / 4, count)] {
                        let (first, last) = (u64::from(from) * width, u64::from(to) * width);
                        let kept = all.iter().filter(|one| {
                            one.0 == group
                                && (first..last).contains(&one.1)
                                && one.2.is_none_or(|taken| taken >= last)
                        });
                        let found = found.lives.iter().filter(|life| {
                            life.group == group && (from..to).contains(&life.given) && life.taken >= to
                        });
                        assert_eq!(
                            sum(found.map(|life| (life.amount.blocks, life.amount.bytes))),
                            sum(kept.map(|one| (1, one.3))),
                            "seed {seed}, {from} to {to}"
                        );
                    }
                }
                for (bucket, level) in (1..).zip(&found.levels) {
                    let end = bucket * width;
                    let in_use = all
                        .iter()
                        .filter(|one| one.1 < end && one.2.is_none_or(|taken| taken >= end))
                        .map(|one| one.3);
                    assert_eq!(level.end_bytes, in_use.sum::<u64>(), "seed {seed}, bucket {bucket}");
                    assert!(level.most_bytes >= level.end_bytes);
                }
                if !found.widen() {
                    break;
                }
            }
        }
    }

    #[test]
    fn what_is_left_of_a_mapping_is_not_given_anew() {
        let mut lives = Lives::new(vec![0, 0], 10, 100);
        lives.event(AllocationEvent::Given { slot: 0, place: 1, size: 100 });
        lives.time(5);
        // The middle is gone, and both ends stay.
        lives.event(AllocationEvent::Taken { slot: 0 });
        lives.event(AllocationEvent::Rest { slot: 0, place: 1, size: 30 });
        lives.event(AllocationEvent::Rest { slot: 1, place: 1, size: 40 });
        let found = lives.finish();
        let lives: Vec<_> =
            found.lives.iter().map(|life| (life.given, life.taken, life.amount.bytes)).collect();
        assert_eq!(lives, [(0, 5, 30), (0, NEVER, 70)]);
        assert_eq!((found.levels[4].end_bytes, found.levels[5].end_bytes), (100, 70));
    }
}
