//! What has happened to memory, packed into blocks of bytes, and back.
//!
//! Memory that is in use has a slot: a number that is free again when the memory is, and then the first to be used again.
//! So no addresses are needed (a recording may keep them beside, for who asks for each block), and reading needs memory for what is in use at once and not for all that ever was. As in
//! [`blocks`](crate::blocks), any bytes give a value or a [`BlockError`]. Start at [`AllocationBlock`].

use crate::blocks::{
    BlockError, MAX_CONTENT, pack_quickly, put_varint, take_bytes, take_len, take_varint, unpack, unzigzag,
    zigzag,
};
use crate::model::{AllocationEvent, PlaceId, Tick};

/// What stands for memory that is in use no more.
const TAKEN: u64 = 0;
/// What stands for the rest of memory of which a part was taken: it is not given anew.
const REST: u64 = 1;
/// What stands for time that has passed.
const TIME: u64 = 2;
/// The first place.
const PLACES: u64 = 3;
/// A block whose content is as long as that is full, in bytes.
pub const FULL_LEN: usize = 256 << 10;
/// No slot is higher.
pub const SLOTS_MAX: u64 = 1 << 31;

/// Events, packed as they come.
#[derive(Clone, Debug, Default)]
pub struct AllocationBlock {
    first_tick: Tick,
    tick: Tick,
    count: u64,
    last_slot: u64,
    kinds: Vec<u8>,
    sizes: Vec<u8>,
    slots: Vec<u8>,
    addresses: Vec<u8>,
    last_address: u64,
}

impl AllocationBlock {
    /// An empty block from a tick on.
    pub fn new(tick: Tick) -> AllocationBlock {
        AllocationBlock { first_tick: tick, tick, ..AllocationBlock::default() }
    }

    /// Appends an event.
    pub fn push(&mut self, event: AllocationEvent) {
        self.count += 1;
        match event {
            AllocationEvent::Given { slot, place, size } => {
                put_varint(&mut self.kinds, PLACES + u64::from(place));
                put_varint(&mut self.sizes, size);
                self.last_slot = u64::from(slot);
            }
            AllocationEvent::Rest { slot, place, size } => {
                put_varint(&mut self.kinds, REST);
                put_varint(&mut self.kinds, u64::from(place));
                put_varint(&mut self.sizes, size);
                self.last_slot = u64::from(slot);
            }
            AllocationEvent::Taken { slot } => {
                put_varint(&mut self.kinds, TAKEN);
                put_varint(&mut self.slots, zigzag(self.last_slot as i64 - i64::from(slot)));
                self.last_slot = u64::from(slot);
            }
        }
    }

    /// Keeps the address of what was given last, or is left. A block has those of all or of none.
    pub fn push_address(&mut self, address: u64) {
        put_varint(&mut self.addresses, zigzag(address.wrapping_sub(self.last_address).cast_signed()));
        self.last_address = address;
    }

    /// Time has passed up to this tick; never backwards.
    pub fn pass(&mut self, tick: Tick) {
        if tick > self.tick {
            put_varint(&mut self.kinds, TIME);
            put_varint(&mut self.kinds, tick - self.tick);
            self.tick = tick;
        }
    }

    /// How many events it holds.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// First tick.
    pub fn first_tick(&self) -> Tick {
        self.first_tick
    }

    /// The tick up to which time has passed.
    pub fn tick(&self) -> Tick {
        self.tick
    }

    /// Whether it is to be closed.
    pub fn is_full(&self) -> bool {
        self.kinds.len() + self.sizes.len() + self.slots.len() + self.addresses.len() >= FULL_LEN
    }

    /// The block's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.kinds.len() + self.sizes.len() + self.slots.len() + 32);
        put_varint(&mut content, self.first_tick);
        put_varint(&mut content, self.kinds.len() as u64);
        put_varint(&mut content, self.sizes.len() as u64);
        for part in [&self.kinds, &self.sizes, &self.slots] {
            content.extend_from_slice(part);
        }
        pack_quickly(&content)
    }

    /// The addresses, packed apart; nothing where none were kept.
    pub fn addresses_to_bytes(&self) -> Vec<u8> {
        if self.addresses.is_empty() { Vec::new() } else { pack_quickly(&self.addresses) }
    }
}

/// The addresses of a block, one for each event that gives memory or leaves some, in their order.
///
/// Errors: [`BlockError`] for anything that [`AllocationBlock::addresses_to_bytes`] does not write
pub fn read_addresses(block: &[u8]) -> Result<Vec<u64>, BlockError> {
    let content = unpack(block, MAX_CONTENT)?;
    let mut rest = content.as_slice();
    let mut addresses = Vec::new();
    let mut last = 0_u64;
    while !rest.is_empty() {
        last = last.wrapping_add_signed(unzigzag(take_varint(&mut rest)?));
        addresses.push(last);
    }
    Ok(addresses)
}

/// Which slots are free, on both sides of the file.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    free: Vec<u32>,
    next: u32,
}

impl Slots {
    /// The next to be used: the one that was freed last.
    pub fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// It is free again.
    pub fn free(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// How many there ever were at once.
    pub fn count(&self) -> u32 {
        self.next
    }
}

/// Reads the events of a block one after the other, each with its tick. `slots` are as the block before has left them.
///
/// Errors: [`BlockError`] for anything that [`AllocationBlock`] does not write
/// Cost:   O(length of the content); some 10 ns an event
pub fn read_allocations(
    block: &[u8],
    slots: &mut Slots,
    each: &mut dyn FnMut(Tick, AllocationEvent),
) -> Result<(), BlockError> {
    let content = unpack(block, MAX_CONTENT)?;
    let mut rest = content.as_slice();
    let mut tick = take_varint(&mut rest)?;
    let kinds_len = take_len(&mut rest)?;
    let sizes_len = take_len(&mut rest)?;
    let mut kinds = take_bytes(&mut rest, kinds_len)?;
    let mut sizes = take_bytes(&mut rest, sizes_len)?;
    let mut last_slot = 0;
    while !kinds.is_empty() {
        let event = match take_varint(&mut kinds)? {
            TIME => {
                tick = tick.checked_add(take_varint(&mut kinds)?).ok_or(BlockError::Range)?;
                continue;
            }
            TAKEN => {
                let difference = unzigzag(take_varint(&mut rest)?);
                let slot = i64::from(last_slot).checked_sub(difference).ok_or(BlockError::Range)?;
                let slot = u32::try_from(slot).map_err(|_| BlockError::Range)?;
                if slot >= slots.next {
                    return Err(BlockError::Range);
                }
                slots.free(slot);
                last_slot = slot;
                AllocationEvent::Taken { slot }
            }
            kind => {
                let is_rest = kind == REST;
                let place = if is_rest { take_varint(&mut kinds)? } else { kind - PLACES };
                let place = PlaceId::try_from(place).map_err(|_| BlockError::Range)?;
                let size = take_varint(&mut sizes)?;
                if u64::from(slots.next) >= SLOTS_MAX {
                    return Err(BlockError::Range);
                }
                let slot = slots.take();
                last_slot = slot;
                if is_rest {
                    AllocationEvent::Rest { slot, place, size }
                } else {
                    AllocationEvent::Given { slot, place, size }
                }
            }
        };
        each(tick, event);
    }
    if sizes.is_empty() && rest.is_empty() { Ok(()) } else { Err(BlockError::Trailing) }
}
