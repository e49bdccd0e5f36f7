//! From when until when memory was in use, told in stretches of time that snapshots divide.
//!
//! Snapshot `n` ends stretch `n`. Two questions: what was in use across snapshots ([`Lifetimes::across`]), and what was in
//! use when most was, stretch by stretch ([`Lifetimes::at_peaks`]). The second reads the events twice: first for when the peaks
//! are, then for who had what.

use std::collections::BTreeMap;

use naja_recording::{AllocationEvent, Amount, PlaceId, Tick};
use naja_system::Failure;
use rustc_hash::FxHashMap;

use crate::capture::{Capture, Snapshot};

/// Memory that was in use from a stretch of time on until another, which it is not in; none where it was in use at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime {
    /// So many snapshots came before it was given.
    pub from: usize,
    /// So many came before it was taken back.
    pub until: Option<usize>,
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
    last_taken: Option<Alive>,
}

/// What an event does to a place.
enum Change {
    Begins(Alive, u32),
    Ends(Alive),
}

impl<'s> Walk<'s> {
    fn new(snapshots: &'s [Snapshot]) -> Walk<'s> {
        Walk { snapshots, stretch: 0, events: 0, alive: FxHashMap::default(), last_taken: None }
    }

    /// Up to this tick; whether a new stretch has begun.
    fn pass(&mut self, tick: Tick) -> bool {
        let before = self.stretch;
        while self.snapshots.get(self.stretch).is_some_and(|snapshot| snapshot.tick < tick) {
            self.stretch += 1;
        }
        self.stretch != before
    }

    fn change(&mut self, capture: &Capture, event: AllocationEvent, from: usize) -> Option<Change> {
        let is_own = |place| capture.place(place).is_some_and(|one| one.process == capture.process);
        match event {
            AllocationEvent::Given { slot, place, size } if is_own(place) => {
                Some(Change::Begins(Alive { place, size, from }, slot))
            }
            AllocationEvent::Rest { slot, place, size } if is_own(place) => {
                // It has lived as long as what it is left of.
                let from = self.last_taken.filter(|last| last.place == place).map_or(from, |last| last.from);
                Some(Change::Begins(Alive { place, size, from }, slot))
            }
            AllocationEvent::Taken { slot } => {
                let alive = self.alive.remove(&slot)?;
                self.last_taken = Some(alive);
                Some(Change::Ends(alive))
            }
            _ => None,
        }
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
    let mut found = Lifetimes::default();
    let mut walk = Walk::new(snapshots);
    capture.each_event(&mut |tick, event| {
        walk.pass(tick);
        let stretch = walk.stretch;
        match walk.change(capture, event, stretch) {
            Some(Change::Begins(alive, slot)) => {
                walk.alive.insert(slot, alive);
            }
            Some(Change::Ends(alive)) => note(&mut found, alive, Some(stretch)),
            None => {}
        }
    })?;
    walk.alive.into_values().for_each(|alive| note(&mut found, alive, None));
    Ok(found)
}

/// What was in use at the peak of each stretch, and how many bytes each peak has: one more than there are snapshots.
///
/// Errors: those of the recording
pub fn at_peaks(capture: &Capture, snapshots: &[Snapshot]) -> Result<(Lifetimes, Vec<u64>), Failure> {
    let peaks = peaks(capture, snapshots)?;
    let mut found = Lifetimes::default();
    let mut walk = Walk::new(snapshots);
    // What is given after a stretch's peak is there from the next on; what is taken up to the peak is not there.
    let after = |stretch: usize, events: u64| {
        let is_late = peaks.get(stretch).is_some_and(|peak| events > peak.events);
        stretch + usize::from(is_late)
    };
    capture.each_event(&mut |tick, event| {
        walk.pass(tick);
        walk.events += 1;
        let border = after(walk.stretch, walk.events);
        match walk.change(capture, event, border) {
            Some(Change::Begins(alive, slot)) => {
                walk.alive.insert(slot, alive);
            }
            Some(Change::Ends(alive)) => note(&mut found, alive, Some(border)),
            None => {}
        }
    })?;
    let end = peaks.len();
    let left = walk.alive.into_values().filter(|alive| alive.from < end);
    left.for_each(|alive| note(&mut found, alive, None));
    Ok((found, peaks.iter().map(|peak| peak.bytes).collect()))
}

fn peaks(capture: &Capture, snapshots: &[Snapshot]) -> Result<Vec<Peak>, Failure> {
    let mut peaks = vec![Peak::default(); snapshots.len() + 1];
    let mut walk = Walk::new(snapshots);
    let mut now = 0_u64;
    capture.each_event(&mut |tick, event| {
        let before = walk.stretch;
        if walk.pass(tick) {
            let new = peaks.get_mut(before + 1..=walk.stretch).into_iter().flatten();
            new.for_each(|peak| *peak = Peak { events: walk.events, bytes: now });
        }
        walk.events += 1;
        match walk.change(capture, event, 0) {
            Some(Change::Begins(alive, slot)) => {
                walk.alive.insert(slot, alive);
                now += alive.size;
            }
            Some(Change::Ends(alive)) => now -= alive.size,
            None => {}
        }
        if let Some(peak) = peaks.get_mut(walk.stretch).filter(|peak| now > peak.bytes) {
            *peak = Peak { events: walk.events, bytes: now };
        }
    })?;
    let rest = peaks.get_mut(walk.stretch + 1..).into_iter().flatten();
    rest.for_each(|peak| *peak = Peak { events: walk.events, bytes: now });
    Ok(peaks)
}
