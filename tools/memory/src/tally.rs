//! What allocations come to, place by place: in all, now, and when most memory was in use.
//!
//! It is fed with events about slots, while they happen or out of a recording. Start at [`Tallies::take`].

use naja_recording::{AllocationEvent, AllocationPlace, AllocationTally, Amount, PlaceId, Tick};

use crate::events::Events;

/// Memory that is in use.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    place: PlaceId,
    size: u64,
    /// How much its thread had been given by then, this included.
    sequence: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    given: Amount,
    now: Amount,
    /// What it had at the peak with that number; see [`Tallies::tally`].
    at_peak: Amount,
    peak: u64,
    temporary: Amount,
    thread: u32,
    has_changed: bool,
}

/// All places.
#[derive(Debug)]
pub struct Tallies {
    tallies: Vec<Tally>,
    changed: Vec<PlaceId>,
    slots: Vec<Slot>,
    /// How much each thread was given.
    sequences: Vec<u64>,
    now: Amount,
    given: Amount,
    peak: Amount,
    /// Counts the peaks, each higher than the last.
    peaks: u64,
    /// Memory that is taken back before its thread was given so many other blocks is temporary.
    temporary_within: u64,
}

impl Default for Tallies {
    fn default() -> Self {
        Tallies::new(1)
    }
}

impl Tallies {
    /// Of nothing yet. Memory is temporary that is taken back before its thread has been given `temporary_within` others.
    pub fn new(temporary_within: u64) -> Tallies {
        Tallies {
            tallies: Vec::new(),
            changed: Vec::new(),
            slots: Vec::new(),
            sequences: Vec::new(),
            now: Amount::default(),
            given: Amount::default(),
            peak: Amount::default(),
            peaks: 0,
            temporary_within,
        }
    }

    /// Makes a place known, in the order of their numbers, before anything happens there.
    pub fn know(&mut self, place: &AllocationPlace) {
        let (index, thread) = (place.id as usize, place.thread as usize);
        if self.tallies.len() <= index {
            self.tallies.resize(index + 1, Tally::default());
        }
        if self.sequences.len() <= thread {
            self.sequences.resize(thread + 1, 0);
        }
        self.tallies[index].thread = place.thread;
    }

    /// Takes note of an event; of a place that is not known nothing is taken.
    ///
    /// Cost: some nanoseconds
    #[inline]
    pub fn take(&mut self, event: AllocationEvent) {
        match event {
            AllocationEvent::Given { slot, place, size } => {
                let Some(tally) = self.tallies.get_mut(place as usize) else { return };
                let one = Amount { blocks: 1, bytes: size };
                add(&mut tally.given, one);
                let sequence = match self.sequences.get_mut(tally.thread as usize) {
                    Some(sequence) => {
                        *sequence += 1;
                        *sequence
                    }
                    None => 0,
                };
                add(&mut self.given, one);
                self.use_slot(slot, Slot { place, size, sequence });
            }
            AllocationEvent::Rest { slot, place, size } => {
                if (place as usize) < self.tallies.len() {
                    // What was there long enough to be taken in part is not temporary.
                    self.use_slot(slot, Slot { place, size, sequence: 0 });
                }
            }
            AllocationEvent::Taken { slot } => self.free_slot(slot),
        }
    }

    fn use_slot(&mut self, number: u32, slot: Slot) {
        let index = number as usize;
        if self.slots.len() <= index {
            self.slots.resize(index + 1, Slot::default());
        }
        self.slots[index] = slot;
        let one = Amount { blocks: 1, bytes: slot.size };
        let tally = &mut self.tallies[slot.place as usize];
        tally.changes(slot.place, self.peaks, &mut self.changed);
        add(&mut tally.now, one);
        add(&mut self.now, one);
        if self.now.bytes > self.peak.bytes {
            self.peak = self.now;
            self.peaks += 1;
        }
    }

    fn free_slot(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize).map(std::mem::take) else { return };
        let Some(tally) = self.tallies.get_mut(slot.place as usize).filter(|_| slot.place != 0) else {
            return;
        };
        let one = Amount { blocks: 1, bytes: slot.size };
        tally.changes(slot.place, self.peaks, &mut self.changed);
        subtract(&mut tally.now, one);
        let sequence = self.sequences.get(tally.thread as usize).copied().unwrap_or(0);
        if slot.sequence != 0 && sequence - slot.sequence < self.temporary_within {
            add(&mut tally.temporary, one);
        }
        subtract(&mut self.now, one);
    }

    /// What is in use.
    pub fn now(&self) -> Amount {
        self.now
    }

    /// What was given in all.
    pub fn given(&self) -> Amount {
        self.given
    }

    /// The most that was in use at once.
    pub fn peak(&self) -> Amount {
        self.peak
    }

    /// How many peaks there were, each higher than the one before.
    pub fn peaks(&self) -> u64 {
        self.peaks
    }

    /// What a place has come to.
    pub fn tally(&self, place: PlaceId) -> AllocationTally {
        let tally = self.tallies.get(place as usize).copied().unwrap_or_default();
        let Tally { given, now, temporary, .. } = tally;
        // What has not changed since the last peak is what it was then.
        let at_peak = if tally.peak == self.peaks { tally.at_peak } else { now };
        AllocationTally { place, given, now, at_peak, peak: self.peaks, temporary }
    }

    /// What every place has come to.
    pub fn all(&self) -> Vec<AllocationTally> {
        (1..self.tallies.len()).map(|place| self.tally(place as PlaceId)).collect()
    }

    /// What the places have come to that have changed since the last call.
    pub fn take_changed(&mut self) -> Vec<AllocationTally> {
        let changed = std::mem::take(&mut self.changed);
        for place in &changed {
            self.tallies[*place as usize].has_changed = false;
        }
        changed.into_iter().map(|place| self.tally(place)).collect()
    }
}

impl Events for Tallies {
    fn time(&mut self, _: Tick) {}

    #[inline]
    fn event(&mut self, event: AllocationEvent) {
        self.take(event);
    }
}

impl Tally {
    /// Before it changes: what it has is what it had at the last peak, unless it has changed since.
    #[inline]
    fn changes(&mut self, place: PlaceId, peaks: u64, changed: &mut Vec<PlaceId>) {
        if self.peak != peaks {
            (self.at_peak, self.peak) = (self.now, peaks);
        }
        if !self.has_changed {
            self.has_changed = true;
            changed.push(place);
        }
    }
}

#[inline]
fn add(to: &mut Amount, what: Amount) {
    to.blocks += what.blocks;
    to.bytes = to.bytes.saturating_add(what.bytes);
}

#[inline]
fn subtract(from: &mut Amount, what: Amount) {
    from.blocks = from.blocks.saturating_sub(what.blocks);
    from.bytes = from.bytes.saturating_sub(what.bytes);
}
