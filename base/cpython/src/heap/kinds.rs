//! What is in the blocks that are in use: objects by their type, as far as they can be told from other memory.
//!
//! A block's object begins at its start or behind what the collector and managed dictionaries keep before it. What leads to
//! a type by its second word is taken for an object: other memory does not, but by a rare chance. Start at [`kinds_of`].

use std::collections::HashMap;

use super::layout::{Layout, pool};
use super::{quad, word};
use crate::locate::Located;
use crate::memory::{Memory, Range};

/// Where in a block an object may begin: alone; behind the collector's header; behind that and a managed dictionary's.
const STARTS: [usize; 3] = [0, 16, 32];
/// Names of types that are longer are cut.
const NAME_BYTES_MAX: usize = 100;
/// Pools that are read in one call.
const BATCH: usize = 16;
/// Types that are told apart; further ones are counted with what is no object.
const TYPES_MAX: usize = 10_000;

/// What is in some pools' blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// How many pools were looked at.
    pub pools: usize,
    /// For each type the blocks that hold its objects, and their bytes. Without a name: what is no object, such as the tables
    /// of dictionaries and the items of lists, and objects that cannot be told.
    pub types: Vec<(Option<String>, u64, u64)>,
}

/// Looks at the blocks of these pools, which the process may use meanwhile: a pool that is not what its header says is left
/// out.
///
/// Cost: a copy of the pools, some 10 µs each
pub fn kinds_of(memory: &dyn Memory, located: &Located, layout: &Layout, pools: &[u64]) -> Kinds {
    let mut types = Types { memory, located, known: HashMap::new() };
    let mut sums: HashMap<Option<String>, (u64, u64)> = HashMap::new();
    let mut kinds = Kinds::default();
    let len = layout.pool_bytes as usize;
    let mut bytes = vec![0; len * BATCH];
    for batch in pools.chunks(BATCH) {
        let ranges: Vec<Range> = batch.iter().map(|address| Range { address: *address, len }).collect();
        let good = memory.read_many(&ranges, &mut bytes[..len * ranges.len()]).unwrap_or(0) / len;
        for (address, bytes) in batch.iter().zip(bytes.chunks_exact(len)).take(good) {
            let Some((block_bytes, blocks)) = used_blocks(layout, *address, bytes) else { continue };
            kinds.pools += 1;
            for block in blocks {
                let sum = sums.entry(types.of_block(block)).or_default();
                sum.0 += 1;
                sum.1 += block_bytes as u64;
            }
        }
    }
    kinds.types = sums.into_iter().map(|(name, (blocks, bytes))| (name, blocks, bytes)).collect();
    kinds.types.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    kinds
}

/// The blocks of a pool that are in use, and how large they are. `None` where the pool contradicts itself.
fn used_blocks<'p>(layout: &Layout, address: u64, pool: &'p [u8]) -> Option<(usize, Vec<&'p [u8]>)> {
    let (used, class) = (quad(pool, pool::USED), quad(pool, pool::CLASS));
    let class = u8::try_from(class).ok().filter(|class| usize::from(*class) < super::CLASSES)?;
    let block_bytes = Layout::block_bytes(class) as usize;
    let count = layout.blocks_per_pool(class) as usize;
    let place_of = |offset: usize| {
        let offset = offset.checked_sub(pool::SIZE)?;
        (offset.is_multiple_of(block_bytes) && offset / block_bytes < count).then_some(offset / block_bytes)
    };
    // Behind this no block was ever used.
    let next = quad(pool, pool::NEXT_OFFSET) as usize;
    let touched = (next.checked_sub(pool::SIZE)? / block_bytes).min(count);
    let mut is_used = vec![true; touched];
    let mut free = word(pool, pool::FREE_BLOCK);
    // Each free block's first word leads to the next one.
    for _ in 0..=count {
        if free == 0 {
            break;
        }
        let offset = usize::try_from(free.checked_sub(address)?).ok()?;
        let slot = is_used.get_mut(place_of(offset)?)?;
        if !std::mem::replace(slot, false) {
            return None;
        }
        free = word(pool, offset);
    }
    let blocks = pool.get(pool::SIZE..)?.chunks_exact(block_bytes);
    let blocks: Vec<&[u8]> =
        blocks.zip(&is_used).filter(|(_, is_used)| **is_used).map(|(block, _)| block).collect();
    (blocks.len() == used as usize).then_some((block_bytes, blocks))
}

/// Types by their addresses.
struct Types<'a> {
    memory: &'a dyn Memory,
    located: &'a Located,
    known: HashMap<u64, Option<String>>,
}

impl Types<'_> {
    /// The name of the type of the object in a block, if there is one.
    fn of_block(&mut self, block: &[u8]) -> Option<String> {
        let ob_type = self.located.offsets.object.ob_type as usize;
        STARTS.iter().find_map(|start| {
            let object = block.get(*start..).filter(|object| object.len() >= ob_type + 8)?;
            // An object that is in use is referred to.
            if quad(object, 0) == 0 {
                return None;
            }
            self.name(word(object, ob_type))
        })
    }

    /// The name of a type; `None` for what is none.
    fn name(&mut self, address: u64) -> Option<String> {
        if !address.is_multiple_of(8) || address < 0x1_0000 || address >> 47 != 0 {
            return None;
        }
        if self.known.len() >= TYPES_MAX * 10 {
            return self.known.get(&address).cloned().flatten();
        }
        if let Some(known) = self.known.get(&address) {
            return known.clone();
        }
        let name = self.read_name(address);
        self.known.insert(address, name.clone());
        name
    }

    fn read_name(&self, address: u64) -> Option<String> {
        // A type's type is a type of which `type` is the type: `type` itself, or a metaclass.
        let metatype = self.type_of(address)?;
        let is_type = |address| self.type_name(address).as_deref() == Some("type");
        if !is_type(metatype) && !is_type(self.type_of(metatype)?) {
            return None;
        }
        self.type_name(address)
    }

    fn type_of(&self, address: u64) -> Option<u64> {
        let at = address.checked_add(u64::from(self.located.offsets.object.ob_type))?;
        self.memory.read_u64(at).ok().filter(|address| address.is_multiple_of(8) && *address > 0xffff)
    }

    /// A type's name, which C writes with its module and Python without.
    fn type_name(&self, address: u64) -> Option<String> {
        let at = address.checked_add(u64::from(self.located.offsets.object.type_name))?;
        let text = self.memory.read_u64(at).ok()?;
        let mut bytes = [0; NAME_BYTES_MAX];
        // The text may end just before what is not mapped.
        let to_page = 4096 - (text % 4096) as usize;
        let len = to_page.min(NAME_BYTES_MAX);
        self.memory.read(text, bytes.get_mut(..len)?).ok()?;
        if len < NAME_BYTES_MAX && !bytes.get(..len)?.contains(&0) {
            let rest = text.checked_add(len as u64)?;
            let _ = self.memory.read(rest, bytes.get_mut(len..)?);
        }
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES_MAX);
        let name = std::str::from_utf8(bytes.get(..end)?).ok()?;
        let is_name = !name.is_empty() && !name.chars().any(char::is_control);
        is_name.then(|| name.to_owned())
    }
}
