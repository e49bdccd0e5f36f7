//! Many small reads as few system calls.

use crate::memory::{Memory, Range};
use crate::objects::{Copy, ReadError};

/// Ranges with a smaller gap between them are read as one. A gap this small holds no whole page, so that what lies
/// in it is mapped where its neighbours are.
const GAP_MAX: u64 = 512;

/// Copies of `len` bytes at each of many addresses.
pub(super) struct Scattered {
    bytes: Vec<u8>,
    /// For each address, in the order given: where its copy starts, if it could be read.
    places: Vec<Option<usize>>,
    len: usize,
}

impl Scattered {
    /// Reads them all, in one system call for each thousand as long as all are mapped.
    ///
    /// Cost: 0.4 µs for each stretch of neighbours.
    pub(super) fn read(memory: &dyn Memory, addresses: &[u64], len: usize) -> Scattered {
        // Null pointers lead nowhere: nothing is tried for them.
        let mut order: Vec<usize> = (0..addresses.len()).filter(|index| addresses[*index] != 0).collect();
        order.sort_unstable_by_key(|index| addresses[*index]);
        let mut ranges: Vec<Range> = Vec::new();
        // For each address, its range and its place in there.
        let mut within = vec![(usize::MAX, 0); addresses.len()];
        for index in order {
            let address = addresses[index];
            let end = address.saturating_add(len as u64);
            match ranges.last_mut() {
                Some(last) if address <= (last.address + last.len as u64).saturating_add(GAP_MAX) => {
                    last.len = last.len.max((end - last.address) as usize);
                }
                _ => ranges.push(Range { address, len: (end - address) as usize }),
            }
            let last = ranges.len() - 1;
            within[index] = (last, (address - ranges[last].address) as usize);
        }
        let mut starts = Vec::with_capacity(ranges.len());
        let mut total = 0;
        for range in &ranges {
            starts.push(total);
            total += range.len;
        }
        let mut bytes = vec![0; total];
        let readable = fill(memory, &ranges, &mut bytes);
        let mut places: Vec<Option<usize>> = within
            .iter()
            .map(|(range, offset)| {
                readable.get(*range).copied().unwrap_or(false).then(|| starts[*range] + offset)
            })
            .collect();
        // One bad address in a stretch takes its neighbours along: those are read alone.
        let is_bad = |(index, place): &(usize, &mut Option<usize>)| place.is_none() && addresses[*index] != 0;
        for (index, place) in places.iter_mut().enumerate().filter(is_bad) {
            let mut copy = vec![0; len];
            if memory.read(addresses[index], &mut copy).is_ok() {
                *place = Some(bytes.len());
                bytes.extend_from_slice(&copy);
            }
        }
        Scattered { bytes, places, len }
    }

    /// The copy of what lies at the address with this index.
    pub(super) fn get(&self, index: usize) -> Result<Copy<'_>, ReadError> {
        let place = self.places.get(index).copied().flatten();
        let bytes = place.and_then(|start| self.bytes.get(start..start + self.len));
        bytes.map(Copy).ok_or(ReadError::Implausible("an object"))
    }
}

/// Fills `bytes` from the ranges, and says of each whether it could be read.
fn fill(memory: &dyn Memory, ranges: &[Range], bytes: &mut [u8]) -> Vec<bool> {
    let mut readable = vec![false; ranges.len()];
    let (mut first, mut start) = (0, 0);
    while first < ranges.len() {
        let Ok(mut good) = memory.read_many(&ranges[first..], &mut bytes[start..]) else { break };
        while let Some(range) = ranges.get(first)
            && good >= range.len
        {
            good -= range.len;
            readable[first] = true;
            start += range.len;
            first += 1;
        }
        // The copy ended at this one: go on behind it.
        if let Some(range) = ranges.get(first) {
            start += range.len;
            first += 1;
        }
    }
    readable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::LiveProcess;

    #[test]
    fn what_is_not_mapped_harms_nothing_else() {
        let words: Vec<u64> = (0..5000).collect();
        let at = |index: usize| &raw const words[index] as u64;
        let addresses = [at(4000), 16, at(1), at(2), u64::MAX - 3, at(4999)];
        let copies = Scattered::read(&LiveProcess::own(), &addresses, 8);
        let read = |index: usize| copies.get(index).and_then(|copy| copy.u64(0)).ok();
        assert_eq!(
            (0..6).map(read).collect::<Vec<_>>(),
            [Some(4000), None, Some(1), Some(2), None, Some(4999)]
        );
    }
}
