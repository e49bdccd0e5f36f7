//! [`Tallies`] and the packed events, against sums that are made anew after each event.

use naja_memory::Tallies;
use naja_recording::allocations::{AllocationBlock, Slots, read_allocations};
use naja_recording::{AllocationEvent, AllocationPlace, AllocationTally, Amount};

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

fn places() -> Vec<AllocationPlace> {
    (1..=7).map(|id| AllocationPlace { id, process: 1, thread: 1 + id % 2, node: 0, allocator: 1 }).collect()
}

/// Events as they come out of a program: given and taken in any order.
fn events(seed: u64, count: usize) -> Vec<AllocationEvent> {
    let (mut random, mut slots, mut used) = (Random(seed), Slots::default(), Vec::new());
    let mut events = Vec::new();
    while events.len() < count {
        if used.is_empty() || random.below(100) < 52 {
            let (slot, place, size) = (slots.take(), 1 + random.below(7) as u32, random.below(5000));
            used.push(slot);
            events.push(match random.below(20) {
                0 => AllocationEvent::Rest { slot, place, size },
                _ => AllocationEvent::Given { slot, place, size },
            });
        } else {
            // What came last goes first, mostly.
            let last = used.len() - 1;
            let index = if random.below(2) == 0 { last } else { random.below(used.len() as u64) as usize };
            let slot = used.swap_remove(index);
            slots.free(slot);
            events.push(AllocationEvent::Taken { slot });
        }
    }
    events
}

/// A block that is in use, for the plain way: slot, place, size, its number among those of its thread.
type Used = (u32, u32, u64, Option<u64>);

/// The plain way: all that is in use is summed after each event.
fn plainly(events: &[AllocationEvent], places: &[AllocationPlace], within: u64) -> Vec<AllocationTally> {
    let mut tallies: Vec<AllocationTally> = places
        .iter()
        .map(|place| AllocationTally { place: place.id, ..AllocationTally::default() })
        .collect();
    let mut used: Vec<Used> = Vec::new();
    let mut given_to_thread = [0_u64; 4];
    let (mut highest, mut peaks) = (0, 0);
    let thread = |place: u32| places[place as usize - 1].thread as usize;
    for event in events {
        match *event {
            AllocationEvent::Given { slot, place, size } => {
                given_to_thread[thread(place)] += 1;
                used.push((slot, place, size, Some(given_to_thread[thread(place)])));
                let given = &mut tallies[place as usize - 1].given;
                *given = Amount { blocks: given.blocks + 1, bytes: given.bytes + size };
            }
            AllocationEvent::Rest { slot, place, size } => used.push((slot, place, size, None)),
            AllocationEvent::Taken { slot } => {
                let index = used.iter().position(|one| one.0 == slot).expect("it is in use");
                let (_, place, size, number) = used.remove(index);
                if number.is_some_and(|number| given_to_thread[thread(place)] - number < within) {
                    let temporary = &mut tallies[place as usize - 1].temporary;
                    *temporary = Amount { blocks: temporary.blocks + 1, bytes: temporary.bytes + size };
                }
            }
        }
        let sum: u64 = used.iter().map(|one| one.2).sum();
        for tally in &mut tallies {
            let own = used.iter().filter(|one| one.1 == tally.place);
            tally.now = own.fold(Amount::default(), |sum, one| Amount {
                blocks: sum.blocks + 1,
                bytes: sum.bytes + one.2,
            });
        }
        if sum > highest {
            (highest, peaks) = (sum, peaks + 1);
            tallies.iter_mut().for_each(|tally| tally.at_peak = tally.now);
        }
    }
    tallies.into_iter().map(|tally| AllocationTally { peak: peaks, ..tally }).collect()
}

#[test]
fn tallies_are_the_plain_sums() {
    for (seed, within) in [(1, 1), (2, 1), (3, 4), (4, 100)] {
        let (places, events) = (places(), events(seed, 3000));
        let mut tallies = Tallies::new(within);
        places.iter().for_each(|place| tallies.know(place));
        events.iter().for_each(|event| tallies.take(*event));
        assert_eq!(tallies.all(), plainly(&events, &places, within), "seed {seed}");
    }
}

#[test]
fn what_changes_is_told_and_nothing_else() {
    let (places, events) = (places(), events(5, 2000));
    let mut tallies = Tallies::default();
    places.iter().for_each(|place| tallies.know(place));
    let mut told = tallies.all();
    for stretch in events.chunks(37) {
        stretch.iter().for_each(|event| tallies.take(*event));
        for changed in tallies.take_changed() {
            told[changed.place as usize - 1] = changed;
        }
        // What was told before a later peak, and has not changed, had at that peak what it has.
        let peaks = tallies.peaks();
        let read = told.iter().map(|tally| match tally.peak == peaks {
            true => *tally,
            false => AllocationTally { at_peak: tally.now, peak: peaks, ..*tally },
        });
        assert_eq!(read.collect::<Vec<_>>(), tallies.all());
    }
    assert!(tallies.take_changed().is_empty());
}

#[test]
fn packed_events_come_out_as_they_went_in() {
    let events = events(6, 20_000);
    let mut blocks = Vec::new();
    let mut block = AllocationBlock::new(5);
    for (index, event) in events.iter().enumerate() {
        block.pass(5 + index as u64 / 7);
        block.push(*event);
        if index % 3000 == 2999 {
            let tick = block.tick();
            blocks.push(std::mem::replace(&mut block, AllocationBlock::new(tick)).to_bytes());
        }
    }
    blocks.push(block.to_bytes());
    let mut slots = Slots::default();
    let mut read = Vec::new();
    for block in &blocks {
        read_allocations(block, &mut slots, &mut |tick, event| read.push((tick, event)))
            .expect("it was written so");
    }
    let expected: Vec<_> =
        events.iter().enumerate().map(|(index, event)| (5 + index as u64 / 7, *event)).collect();
    assert_eq!(read, expected);

    // Cut anywhere, or with a byte changed, it is an error or other events, and never a panic.
    let whole = &blocks[1];
    for cut in (0..whole.len()).step_by(101) {
        let mut slots = Slots::default();
        assert!(read_allocations(&whole[..cut], &mut slots, &mut |_, _| {}).is_err());
        let mut damaged = whole.clone();
        damaged[cut] ^= 0x55;
        assert!(read_allocations(&damaged, &mut Slots::default(), &mut |_, _| {}).is_err());
    }
}
