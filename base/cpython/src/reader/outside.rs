//! The places outside the data-stack chunks that walks have needed: heap frames, generators, and what the
//! interpreter keeps on the C stack. The next copy holds them all.

use rustc_hash::FxHashMap;

use super::Frame;
use crate::memory::Range;

/// Places closer to each other than this are copied as one range: a range costs as much as some 6 KiB of
/// memory.
const MERGE_GAP_BYTES: u64 = 2048;

/// Places remembered for one thread. Beyond it the least recently used is forgotten.
const PLACES_MAX: usize = 4096;

/// Samples after which a place that was not needed is forgotten.
const AGE_MAX: u32 = 200;

/// Samples for which a place that was among the innermost frames is taken for one of those that come and go.
const MOVING_SAMPLES: u32 = 64;

/// Samples after which a thread's places are told again which of them are still needed. Telling them at
/// every sample would cost as much as the walk.
const NEWS: u32 = 64;

/// What lies around a place on the C stack is copied with it, as far as its page goes: each call from C lies
/// a little deeper or higher than the last.
const C_STACK_SLACK_BYTES: u64 = 1024;
const PAGE_BYTES: u64 = 4096;

/// Callers remembered for one thread. Beyond it all are forgotten, and learnt anew within a few samples.
const CALLERS_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    address: u64,
    /// Samples since it was last needed.
    age: u32,
    /// Samples since it was last among the innermost frames.
    rest: u32,
}

/// The places of one thread.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Sorted by address.
    places: Vec<Place>,
    /// By address: the frame that was last seen there, and the address of the one that had called it.
    callers: FxHashMap<u64, (Frame, u64)>,
    /// Samples until it wants to know again which places are needed.
    news_in: u32,
}

impl Outside {
    /// Whether it is time to [`touch`](Self::touch) every place that the last walk needed.
    pub(super) fn wants_to_know(&mut self) -> bool {
        if self.places.is_empty() {
            return false;
        }
        if self.news_in > 0 && self.places.len() <= PLACES_MAX {
            self.news_in -= 1;
            return false;
        }
        self.news_in = NEWS;
        true
    }

    /// Remembers that `address` was needed.
    pub(super) fn touch(&mut self, address: u64) {
        self.place(address).age = 0;
    }

    fn place(&mut self, address: u64) -> &mut Place {
        let index = match self.places.binary_search_by_key(&address, |place| place.address) {
            Ok(index) => index,
            Err(index) => {
                // It is new because calls come and go there.
                self.places.insert(index, Place { address, age: 0, rest: 0 });
                index
            }
        };
        &mut self.places[index]
    }

    /// Remembers which frame was seen at an address, and the address of the one that had called it: one of the
    /// innermost frames of a valid stack.
    pub(super) fn learn_caller(&mut self, address: u64, frame: Frame, caller: u64) {
        let place = self.place(address);
        place.age = 0;
        place.rest = 0;
        if self.callers.len() >= CALLERS_MAX {
            self.callers.clear();
        }
        self.callers.insert(address, (frame, caller));
    }

    /// The frame that was last seen at an address, and the address of its caller then.
    pub(super) fn last_caller(&self, address: u64) -> Option<(Frame, u64)> {
        self.callers.get(&address).copied()
    }

    /// Forgets what lies in a range that can no longer be read.
    pub(super) fn forget(&mut self, range: Range) {
        let end = range.address.saturating_add(range.len as u64);
        self.places.retain(|place| place.address < range.address || place.address >= end);
    }

    /// Ages every place by one sample, and forgets the oldest.
    pub(super) fn age(&mut self) {
        if self.places.is_empty() {
            return;
        }
        let limit = if self.places.len() > PLACES_MAX { 2 } else { AGE_MAX };
        self.places.retain_mut(|place| {
            place.age += 1;
            place.rest = place.rest.saturating_add(1);
            place.age <= limit
        });
    }

    /// The ranges that hold `size` bytes from every place on where calls come and go, by address.
    pub(super) fn moving_ranges(&self, size: u64, each: &mut dyn FnMut(Range)) {
        let moving = self.places.iter().filter(|place| place.rest <= MOVING_SAMPLES);
        merge(moving.map(|place| (place.address, size)), each);
    }

    /// Likewise for all other places.
    pub(super) fn resting_ranges(&self, size: u64, each: &mut dyn FnMut(Range)) {
        let resting = self.places.iter().filter(|place| place.rest > MOVING_SAMPLES);
        merge(resting.map(|place| (place.address, size)), each);
    }

    /// Likewise for places on the C stack, with what lies around them.
    pub(super) fn c_stack_ranges(&self, size: u64, each: &mut dyn FnMut(Range)) {
        let around = |place: &Place| {
            let address = place.address;
            let start = address.saturating_sub(C_STACK_SLACK_BYTES).max(page(address));
            let end = address.saturating_add(size);
            let page_end = page(end.saturating_sub(1)).saturating_add(PAGE_BYTES);
            (start, end.saturating_add(C_STACK_SLACK_BYTES).min(page_end).saturating_sub(start))
        };
        merge(self.places.iter().map(around), each);
    }
}

/// The address of the page that an address lies in.
fn page(address: u64) -> u64 {
    address & !(PAGE_BYTES - 1)
}

/// Joins (address, length) pairs, sorted by address, into ranges: neighbours become one.
pub(super) fn merge(places: impl Iterator<Item = (u64, u64)>, each: &mut dyn FnMut(Range)) {
    let mut open: Option<(u64, u64)> = None;
    let range = |(start, stop): (u64, u64)| Range { address: start, len: (stop - start) as usize };
    for (address, len) in places {
        let end = address.saturating_add(len);
        open = match open {
            Some((start, stop)) if address <= stop.saturating_add(MERGE_GAP_BYTES) => {
                Some((start, end.max(stop)))
            }
            Some(whole) => {
                each(range(whole));
                Some((address, end))
            }
            None => Some((address, end)),
        };
    }
    if let Some(whole) = open {
        each(range(whole));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(places: &[u64]) -> Outside {
        let mut outside = Outside::default();
        places.iter().for_each(|place| outside.touch(*place));
        outside
    }

    fn ranges(places: &[u64]) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        outside(places).moving_ranges(100, &mut |range| found.push((range.address, range.len)));
        found
    }

    #[test]
    fn neighbours_are_copied_as_one_range() {
        assert_eq!(ranges(&[]), []);
        assert_eq!(ranges(&[5000, 1000, 1050, 90_000]), [(1000, 150), (5000, 100), (90_000, 100)]);
        assert_eq!(ranges(&[1000, 3000, 5000]), [(1000, 4100)]);
        assert_eq!(ranges(&[u64::MAX - 10]), [(u64::MAX - 10, 10)]);
    }

    #[test]
    fn what_is_copied_around_a_place_on_the_c_stack_stays_on_its_page() {
        let mut found = Vec::new();
        let outside = outside(&[0x1010, 0x9800, u64::MAX - 10]);
        outside.c_stack_ranges(16, &mut |range| found.push((range.address, range.len)));
        assert_eq!(found[..2], [(0x1000, 0x420), (0x9400, 0x810)]);
        assert_eq!(found[2].0, u64::MAX - 10 - 1024);
    }

    #[test]
    fn a_place_that_is_not_needed_is_forgotten_in_the_end() {
        let mut outside = outside(&[1000]);
        (0..AGE_MAX).for_each(|_| outside.age());
        outside.touch(2000);
        outside.age();
        assert_eq!(outside.places, [Place { address: 2000, age: 1, rest: 1 }]);
    }

    #[test]
    fn places_of_innermost_frames_are_copied_apart_from_the_others() {
        let mut outside = outside(&[1000, 2000]);
        (0..=MOVING_SAMPLES).for_each(|_| outside.age());
        outside.learn_caller(2000, Frame::default(), 1000);
        let mut found = Vec::new();
        outside.moving_ranges(100, &mut |range| found.push(range.address));
        outside.resting_ranges(100, &mut |range| found.push(range.address));
        assert_eq!(found, [2000, 1000]);
    }

    #[test]
    fn the_last_caller_of_a_frame_is_known() {
        let mut outside = Outside::default();
        let frame = |code| Frame { code, instruction: 3, entered: true };
        outside.learn_caller(1000, frame(7), 500);
        outside.learn_caller(1000, frame(8), 600);
        assert_eq!(outside.last_caller(1000), Some((frame(8), 600)));
        assert_eq!(outside.last_caller(1008), None);
    }
}
