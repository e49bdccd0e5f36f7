//! From when until when memory was in use, told in stretches of time that snapshots divide.
//!
//! Snapshot `n` ends stretch `n`. Two questions: what was in use across snapshots ([`Lifetimes::across`]), and what was in
//! use when most was, stretch by stretch ([`Lifetimes::at_peaks`]). The second reads the events twice: first for when the peaks
//! are, then for who had what.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use naja_recording::{AllocationEvent, Amount, PlaceId, Tick};
use naja_system::Failure;
use rustc_hash::FxHashMap;

use crate::capture::{Capture, Snapshot};

/// Memory that was in use from a stretch of time on until another, which it is not in; none where it was in use at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// So many snapshots came before it was given.
    pub from: usize,
    /// So many came before it was taken back.
    pub until: Option<usize>,
}

impl Ord for Lifetime {
    fn cmp(&self, other: &Lifetime) -> Ordering {
        let key = |one: &Lifetime| (one.from, one.until.is_none(), one.until);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Lifetime {
    fn partial_cmp(&self, other: &Lifetime) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Of each place, what lived how long.
pub type Lifetimes = BTreeMap<PlaceId, BTreeMap<Lifetime, Amount>>;

/// The most that was in use in a stretch of time.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    /// So many events came before.
    events: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Alive {
    place: PlaceId,
    size: u64,
    from: usize,
}

/// Follows the events of one process and the snapshots between them.
struct Walk<'s> {
    snapshots: &'s [Snapshot],
    stretch: usize,
    events: u64,
    alive: FxHashMap<u32, Alive>,
    /// What was taken last, and in which stretch: what comes next may be what is left of it.
    gone: Option<(Alive, usize)>,
    now: u64,
    found: Lifetimes,
}

impl<'s> Walk<'s> {
    fn new(snapshots: &'s [Snapshot]) -> Walk<'s> {
        Walk {
            snapshots,
            stretch: 0,
            events: 0,
            alive: FxHashMap::default(),
            gone: None,
            now: 0,
            found: Lifetimes::default(),
        }
    }

    /// Up to this tick; whether a new stretch has begun.
    fn pass(&mut self, tick: Tick) -> bool {
        let before = self.stretch;
        while self.snapshots.get(self.stretch).is_some_and(|snapshot| snapshot.tick < tick) {
            self.stretch += 1;
        }
        self.stretch != before
    }

    /// Takes note of an event in a stretch, or at its border.
    fn take(&mut self, capture: &Capture, event: AllocationEvent, border: usize) {
        let is_own = |place| capture.place(place).is_some_and(|one| one.process == capture.process);
        match event {
            AllocationEvent::Given { slot, place, size } if is_own(place) => {
                self.settle();
                self.begin(slot, Alive { place, size, from: border });
            }
            AllocationEvent::Rest { slot, place, size } if is_own(place) => {
                let from = match &mut self.gone {
                    Some((gone, _)) if gone.place == place => {
                        gone.size = gone.size.saturating_sub(size);
                        // It has lived as long as what it is left of.
                        gone.from
                    }
                    _ => border,
                };
                self.begin(slot, Alive { place, size, from });
            }
            AllocationEvent::Taken { slot } => {
                let Some(alive) = self.alive.remove(&slot) else { return };
                self.settle();
                self.now -= alive.size;
                self.gone = Some((alive, border));
            }
            _ => {}
        }
    }

    fn begin(&mut self, slot: u32, alive: Alive) {
        self.now += alive.size;
        self.alive.insert(slot, alive);
    }

    fn settle(&mut self) {
        if let Some((gone, until)) = self.gone.take().filter(|(gone, _)| gone.size > 0) {
            note(&mut self.found, gone, Some(until));
        }
    }

    /// What was found, with what lives at the end.
    fn finish(mut self) -> Lifetimes {
        self.settle();
        let end = self.snapshots.len() + 1;
        let left = self.alive.into_values().filter(|alive| alive.from < end);
        left.for_each(|alive| note(&mut self.found, alive, None));
        self.found
    }
}

fn note(found: &mut Lifetimes, alive: Alive, until: Option<usize>) {
    if until.is_none_or(|until| until > alive.from) {
        let lifetime = Lifetime { from: alive.from, until };
        let amount = found.entry(alive.place).or_default().entry(lifetime).or_default();
        amount.blocks += 1;
        amount.bytes += alive.size;
    }
}

/// What was in use across snapshots, and what was left.
///
/// Errors: those of the recording
pub fn across(capture: &Capture, snapshots: &[Snapshot]) -> Result<Lifetimes, Failure> {
    let mut walk = Walk::new(snapshots);
    capture.each_event(&mut |tick, event| {
        walk.pass(tick);
        walk.take(capture, event, walk.stretch);
    })?;
    Ok(walk.finish())
}

/// What was in use at the peak of each stretch, and how many bytes each peak has: one more than there are snapshots.
///
/// Errors: those of the recording
pub fn at_peaks(capture: &Capture, snapshots: &[Snapshot]) -> Result<(Lifetimes, Vec<u64>), Failure> {
    let peaks = peaks(capture, snapshots)?;
    let mut walk = Walk::new(snapshots);
    capture.each_event(&mut |tick, event| {
        walk.pass(tick);
        walk.events += 1;
        // What is given after a stretch's peak is there from the next on; what is taken up to the peak is not there.
        let is_late = peaks.get(walk.stretch).is_some_and(|peak| walk.events > peak.events);
        walk.take(capture, event, walk.stretch + usize::from(is_late));
    })?;
    Ok((walk.finish(), peaks.iter().map(|peak| peak.bytes).collect()))
}

fn peaks(capture: &Capture, snapshots: &[Snapshot]) -> Result<Vec<Peak>, Failure> {
    let mut peaks = vec![Peak::default(); snapshots.len() + 1];
    let mut walk = Walk::new(snapshots);
    capture.each_event(&mut |tick, event| {
        let before = walk.stretch;
        if walk.pass(tick) {
            let new = peaks.get_mut(before + 1..=walk.stretch).into_iter().flatten();
            new.for_each(|peak| *peak = Peak { events: walk.events, bytes: walk.now });
        }
        walk.events += 1;
        walk.take(capture, event, 0);
        if let Some(peak) = peaks.get_mut(walk.stretch).filter(|peak| walk.now > peak.bytes) {
            *peak = Peak { events: walk.events, bytes: walk.now };
        }
    })?;
    let rest = peaks.get_mut(walk.stretch + 1..).into_iter().flatten();
    rest.for_each(|peak| *peak = Peak { events: walk.events, bytes: walk.now });
    Ok(peaks)
}
