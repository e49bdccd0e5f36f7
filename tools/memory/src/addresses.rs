//! Which memory is in use, by its addresses: out of what is given and taken come events about slots, each with the
//! address that it is about.

use std::collections::BTreeMap;

use naja_recording::allocations::Slots;
use naja_recording::{AllocationEvent, PlaceId};
use rustc_hash::FxHashMap;

use crate::wire::Allocator;

/// Memory that is in use.
#[derive(Clone, Copy, Debug)]
struct Used {
    slot: u32,
    place: PlaceId,
    size: u64,
}

/// What a thread's last taking took, in case that it did not.
#[derive(Clone, Debug, Default)]
struct LastTaken {
    parts: Vec<(u64, Used)>,
    is_mapping: bool,
}

#[derive(Debug, Default)]
struct Process {
    blocks: FxHashMap<u64, Used>,
    /// Mappings, which may be given back in parts.
    mappings: BTreeMap<u64, Used>,
    last_taken: FxHashMap<u32, LastTaken>,
}

/// The memory of all processes.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    processes: Vec<Process>,
    slots: Slots,
}

impl Addresses {
    fn process(&mut self, number: u32) -> &mut Process {
        let index = number as usize;
        if self.processes.len() <= index {
            self.processes.resize_with(index + 1, Process::default);
        }
        &mut self.processes[index]
    }

    /// Memory was given; what was known to be there is gone.
    pub(crate) fn given(
        &mut self,
        process: u32,
        place: PlaceId,
        allocator: Allocator,
        address: u64,
        size: u64,
        tell: &mut dyn FnMut(AllocationEvent, u64),
    ) {
        if allocator == Allocator::Mmap {
            // A mapping may be put over others.
            self.cut(process, address, size, tell);
        }
        let slot = self.slots.take();
        let used = Used { slot, place, size };
        let known = self.process(process);
        let before = match allocator {
            Allocator::Mmap => known.mappings.insert(address, used),
            _ => known.blocks.insert(address, used),
        };
        if let Some(before) = before {
            // Its end was not seen. It has to come before, or the slots would not be the same for a reader.
            self.slots.free(slot);
            self.slots.free(before.slot);
            tell(AllocationEvent::Taken { slot: before.slot }, address);
            let slot = self.slots.take();
            let known = self.process(process);
            match allocator {
                Allocator::Mmap => known.mappings.insert(address, Used { slot, ..used }),
                _ => known.blocks.insert(address, Used { slot, ..used }),
            };
            tell(AllocationEvent::Given { slot, place, size }, address);
            return;
        }
        tell(AllocationEvent::Given { slot, place, size }, address);
    }

    /// Memory was taken back; what was given before anybody looked is passed over.
    pub(crate) fn taken(
        &mut self,
        process: u32,
        thread: u32,
        allocator: Allocator,
        address: u64,
        size: u64,
        tell: &mut dyn FnMut(AllocationEvent, u64),
    ) {
        let is_mapping = allocator == Allocator::Munmap;
        if is_mapping {
            let parts = self.cut(process, address, size, tell);
            self.process(process).last_taken.insert(thread, LastTaken { parts, is_mapping });
            return;
        }
        let Some(used) = self.process(process).blocks.remove(&address) else { return };
        self.slots.free(used.slot);
        tell(AllocationEvent::Taken { slot: used.slot }, address);
        // A block that `realloc` could not make larger stays: it is the last that its thread has taken.
        let last = self.process(process).last_taken.entry(thread).or_default();
        last.is_mapping = false;
        last.parts.clear();
        last.parts.push((address, used));
    }

    /// A process has no memory any more.
    pub(crate) fn forget(&mut self, process: u32, tell: &mut dyn FnMut(AllocationEvent, u64)) {
        let gone = std::mem::take(self.process(process));
        for (address, used) in gone.blocks.into_iter().chain(gone.mappings) {
            self.slots.free(used.slot);
            tell(AllocationEvent::Taken { slot: used.slot }, address);
        }
    }

    /// What a thread said last was taken back was not.
    pub(crate) fn not_taken(
        &mut self,
        process: u32,
        thread: u32,
        tell: &mut dyn FnMut(AllocationEvent, u64),
    ) {
        let Some(LastTaken { parts, is_mapping }) = self.process(process).last_taken.remove(&thread) else {
            return;
        };
        for (address, used) in parts {
            let slot = self.slots.take();
            let known = self.process(process);
            let again = Used { slot, ..used };
            match is_mapping {
                true => known.mappings.insert(address, again),
                false => known.blocks.insert(address, again),
            };
            tell(AllocationEvent::Rest { slot, place: used.place, size: used.size }, address);
        }
    }

    /// Takes a stretch of addresses out of mappings: the parts that are gone.
    fn cut(
        &mut self,
        process: u32,
        address: u64,
        size: u64,
        tell: &mut dyn FnMut(AllocationEvent, u64),
    ) -> Vec<(u64, Used)> {
        let end = address.saturating_add(size);
        let mappings = &self.process(process).mappings;
        let first = mappings.range(..=address).next_back().map_or(address, |(start, _)| *start);
        let touched: Vec<(u64, Used)> = mappings
            .range(first..end)
            .filter(|(start, used)| start.saturating_add(used.size) > address)
            .map(|(start, used)| (*start, *used))
            .collect();
        let mut gone = Vec::with_capacity(touched.len());
        for (start, used) in touched {
            let used_end = start.saturating_add(used.size);
            self.process(process).mappings.remove(&start);
            self.slots.free(used.slot);
            tell(AllocationEvent::Taken { slot: used.slot }, start);
            let before = (start < address).then(|| (start, address - start));
            let after = (used_end > end).then(|| (end, used_end - end));
            for (start, size) in before.into_iter().chain(after) {
                let slot = self.slots.take();
                self.process(process).mappings.insert(start, Used { slot, size, ..used });
                tell(AllocationEvent::Rest { slot, place: used.place, size }, start);
            }
            let from = start.max(address);
            gone.push((from, Used { size: used_end.min(end) - from, ..used }));
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does things to memory, and shows the events.
    fn check(work: impl FnOnce(&mut Addresses, &mut dyn FnMut(AllocationEvent, u64)), expected: &[&str]) {
        let mut events = Vec::new();
        let mut tell = |event, _| {
            events.push(match event {
                AllocationEvent::Given { slot, place, size } => format!("{slot}: {size} to {place}"),
                AllocationEvent::Rest { slot, place, size } => format!("{slot}: {size} left to {place}"),
                AllocationEvent::Taken { slot } => format!("{slot}: taken"),
            });
        };
        work(&mut Addresses::default(), &mut tell);
        assert_eq!(events, expected);
    }

    #[test]
    fn the_slot_that_was_freed_last_is_used_first() {
        check(
            |addresses, tell| {
                addresses.given(1, 7, Allocator::Malloc, 0x10, 100, tell);
                addresses.given(1, 7, Allocator::Malloc, 0x20, 200, tell);
                addresses.taken(1, 1, Allocator::Free, 0x10, 0, tell);
                addresses.given(1, 8, Allocator::Malloc, 0x30, 300, tell);
                addresses.given(2, 9, Allocator::Malloc, 0x20, 400, tell);
                // Of another process, and unknown there.
                addresses.taken(2, 1, Allocator::Free, 0x30, 0, tell);
            },
            &["0: 100 to 7", "1: 200 to 7", "0: taken", "0: 300 to 8", "2: 400 to 9"],
        );
    }

    #[test]
    fn memory_that_is_given_twice_was_taken_in_between() {
        check(
            |addresses, tell| {
                addresses.given(1, 7, Allocator::Malloc, 0x10, 100, tell);
                addresses.given(1, 8, Allocator::Malloc, 0x10, 50, tell);
                addresses.taken(1, 1, Allocator::Free, 0x10, 0, tell);
            },
            &["0: 100 to 7", "0: taken", "0: 50 to 8", "0: taken"],
        );
    }

    #[test]
    fn a_mapping_may_be_taken_in_parts() {
        check(
            |addresses, tell| {
                addresses.given(1, 7, Allocator::Mmap, 0x1000, 0x4000, tell);
                // A hole in its middle, then what is on both sides of the hole.
                addresses.taken(1, 1, Allocator::Munmap, 0x2000, 0x1000, tell);
                addresses.taken(1, 1, Allocator::Munmap, 0x1000, 0x4000, tell);
            },
            &["0: 16384 to 7", "0: taken", "0: 4096 left to 7", "1: 8192 left to 7", "0: taken", "1: taken"],
        );
    }

    #[test]
    fn what_was_not_taken_is_there_again() {
        check(
            |addresses, tell| {
                addresses.given(1, 7, Allocator::Malloc, 0x10, 100, tell);
                addresses.taken(1, 3, Allocator::Free, 0x10, 0, tell);
                addresses.not_taken(1, 3, tell);
                addresses.taken(1, 3, Allocator::Free, 0x10, 0, tell);
            },
            &["0: 100 to 7", "0: taken", "0: 100 left to 7", "0: taken"],
        );
    }
}
