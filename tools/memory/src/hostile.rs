//! An entry for tests and fuzzing: everything that is read of what an agent, which may be anybody, writes into a ring.

use naja_recording::AllocationEvent;
use naja_recording::allocations::{AllocationBlock, Slots, read_allocations};

use crate::addresses::Addresses;
use crate::decode::{Decoder, Record};

/// Reads bytes as a ring has them, in two pieces that are cut where their first byte says, and packs what they tell.
/// What is packed is read again as it was.
pub fn ring(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let (first, second) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    let mut decoder = Decoder::default();
    let mut addresses = Addresses::default();
    let mut block = AllocationBlock::new(0);
    let mut told = Vec::new();
    for piece in [first, second] {
        decoder.room().extend_from_slice(piece);
        while let Ok(Some(record)) = decoder.next_record() {
            let mut tell = |event: AllocationEvent, _| {
                block.push(event);
                told.push(event);
            };
            match record {
                Record::Given { allocator, address, size, .. } => {
                    addresses.given(1, 1, allocator, address, size, &mut tell);
                }
                Record::Taken { allocator, address, size, .. } => {
                    addresses.taken(1, 1, allocator, address, size, &mut tell);
                }
                Record::NotTaken => addresses.not_taken(1, 1, &mut tell),
                Record::Stack { .. } | Record::Native { .. } | Record::Code { .. } => {}
            }
        }
    }
    let mut read = Vec::new();
    read_allocations(&block.to_bytes(), &mut Slots::default(), &mut |_, event| read.push(event))
        .expect("what is packed can be read");
    assert_eq!(read, told);
}
