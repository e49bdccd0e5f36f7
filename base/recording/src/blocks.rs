//! Samples and stack nodes packed into blocks of bytes, and back.
//!
//! Every block carries a checksum of its content, and reading trusts nothing: any bytes give a value or a
//! [`BlockError`], in time and memory proportional to the block (at most [`MAX_CONTENT`] when unpacked).
//! Start at [`RunBlock`] for writing and [`read_runs`] for reading. The byte layout is described in
//! `docs/reference/recording-format.md`.

use std::fmt;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::model::{NodeId, Run, StackNode, State, ThreadId, ThreadRuns, Tick};

/// A block's content is never longer than this, so that a damaged length cannot ask for all memory.
pub const MAX_CONTENT: usize = 1 << 20;
/// Ticks in a recording stay below this (17 years at 1,000 Hz), so that sums cannot overflow.
pub const MAX_TICK: Tick = 1 << 39;

const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;
/// In the block format of LZ4.
const QUICK: u8 = 2;
/// Form byte and checksum.
const HEAD_LEN: usize = 5;
/// Shorter contents do not shrink enough to be worth a second look.
const DEFLATE_FROM: usize = 64;

const STATE_MASK: u8 = 0x0f;
const GIL: u8 = 0x10;
const GC: u8 = 0x20;
const LONG: u8 = 0x40;

/// Why a block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// It ends within a value.
    Short,
    /// Bytes follow its last value.
    Trailing,
    /// Its first byte names no form that this version knows.
    Form,
    /// The compressed bytes cannot be unpacked, or unpack to another length than stated.
    Deflate,
    /// It would unpack to more than is allowed.
    Large,
    /// The content is not what was written.
    Checksum,
    /// A number is outside of its range.
    Range,
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BlockError::Short => "the block is cut short",
            BlockError::Trailing => "the block has bytes after its end",
            BlockError::Form => "the block has an unknown form",
            BlockError::Deflate => "the block cannot be unpacked",
            BlockError::Large => "the block is too large",
            BlockError::Checksum => "the block's checksum is wrong",
            BlockError::Range => "a number in the block is out of range",
        })
    }
}

impl std::error::Error for BlockError {}

/// The runs of one thread, packed as they come. The last run stays open, since the next may continue it.
#[derive(Clone, Debug)]
pub struct RunBlock {
    thread: ThreadId,
    first_tick: Tick,
    end_tick: Tick,
    last: Option<Run>,
    previous_node: NodeId,
    states: Vec<u8>,
    nodes: Vec<u8>,
    ticks: Vec<u8>,
}

impl RunBlock {
    /// An empty block of a thread from a tick on.
    pub fn new(thread: ThreadId, first_tick: Tick) -> RunBlock {
        RunBlock {
            thread,
            first_tick,
            end_tick: first_tick,
            last: None,
            previous_node: 0,
            states: Vec::new(),
            nodes: Vec::new(),
            ticks: Vec::new(),
        }
    }

    /// Appends a run; one that equals the last one makes that one longer. True if it did only that.
    pub fn push(&mut self, run: Run) -> bool {
        self.end_tick += Tick::from(run.ticks);
        if let Some(last) = &mut self.last
            && (last.node, last.state, last.gil, last.gc) == (run.node, run.state, run.gil, run.gc)
            && let Some(ticks) = last.ticks.checked_add(run.ticks)
        {
            last.ticks = ticks;
            return true;
        }
        if let Some(last) = self.last.replace(run) {
            let previous = self.previous_node;
            put_run(last, previous, &mut self.states, &mut self.nodes, &mut self.ticks);
            self.previous_node = last.node;
        }
        false
    }

    /// Whose runs they are.
    pub fn thread(&self) -> ThreadId {
        self.thread
    }

    /// First tick.
    pub fn first_tick(&self) -> Tick {
        self.first_tick
    }

    /// The tick after the last run.
    pub fn end_tick(&self) -> Tick {
        self.end_tick
    }

    /// About how many bytes the content has.
    pub fn content_len(&self) -> usize {
        self.states.len() + self.nodes.len() + self.ticks.len()
    }

    /// The block's bytes. `small` spends time to make them fewer: for a block that is not rewritten.
    pub fn to_bytes(&self, small: bool) -> Vec<u8> {
        let (mut states, mut nodes, mut ticks) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(last) = self.last {
            put_run(last, self.previous_node, &mut states, &mut nodes, &mut ticks);
        }
        let mut content = Vec::with_capacity(self.content_len() + 64);
        put_varint(&mut content, u64::from(self.thread));
        put_varint(&mut content, self.first_tick);
        put_varint(&mut content, (self.states.len() + states.len()) as u64);
        put_varint(&mut content, (self.nodes.len() + nodes.len()) as u64);
        for part in [&self.states, &states, &self.nodes, &nodes, &self.ticks, &ticks] {
            content.extend_from_slice(part);
        }
        pack(&content, small)
    }
}

/// Stack nodes with consecutive numbers, packed as they come.
#[derive(Clone, Debug)]
pub struct NodeBlock {
    first: NodeId,
    count: u32,
    parents: Vec<u8>,
    functions: Vec<u8>,
    lines: Vec<u8>,
}

impl NodeBlock {
    /// An empty block whose first node will be `first`.
    pub fn new(first: NodeId) -> NodeBlock {
        NodeBlock { first, count: 0, parents: Vec::new(), functions: Vec::new(), lines: Vec::new() }
    }

    /// Appends the next node; false, and nothing done, if it breaks the order of numbers.
    #[must_use]
    pub fn push(&mut self, node: &StackNode) -> bool {
        let expected = self.first.checked_add(self.count);
        // The last number is left unused, so that there always is a next one.
        let usable = node.id < NodeId::MAX && node.parent < node.id && node.function > 0;
        if expected != Some(node.id) || !usable {
            return false;
        }
        put_varint(&mut self.parents, u64::from(node.id - node.parent));
        put_varint(&mut self.functions, u64::from(node.function));
        put_varint(&mut self.lines, u64::from(node.line));
        self.count += 1;
        true
    }

    /// Number of the first node.
    pub fn first(&self) -> NodeId {
        self.first
    }

    /// How many nodes it holds.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// About how many bytes the content has.
    pub fn content_len(&self) -> usize {
        self.parents.len() + self.functions.len() + self.lines.len()
    }

    /// The block's bytes. `small` spends time to make them fewer: for a block that is not rewritten.
    pub fn to_bytes(&self, small: bool) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.content_len() + 16);
        put_varint(&mut content, u64::from(self.first));
        put_varint(&mut content, u64::from(self.count));
        for part in [&self.parents, &self.functions, &self.lines] {
            content.extend_from_slice(part);
        }
        pack(&content, small)
    }
}

/// The runs of a block.
///
/// Errors: [`BlockError`] for anything that [`RunBlock`] does not write.
/// Cost:   O(length of the content); at most [`MAX_CONTENT`] runs.
pub fn read_runs(block: &[u8]) -> Result<ThreadRuns, BlockError> {
    let content = unpack(block, MAX_CONTENT)?;
    let mut rest = content.as_slice();
    let thread = take_u32(&mut rest)?;
    let first_tick = take_varint(&mut rest)?;
    let run_count = take_len(&mut rest)?;
    let nodes_len = take_len(&mut rest)?;
    let states = take_bytes(&mut rest, run_count)?;
    let mut nodes = take_bytes(&mut rest, nodes_len)?;
    let mut end = first_tick;
    if thread == 0 || first_tick > MAX_TICK {
        return Err(BlockError::Range);
    }

    let mut runs = Vec::with_capacity(run_count);
    let mut node: i64 = 0;
    for &packed in states {
        if packed & !(STATE_MASK | GIL | GC | LONG) != 0 {
            return Err(BlockError::Range);
        }
        node = node.checked_add(unzigzag(take_varint(&mut nodes)?)).ok_or(BlockError::Range)?;
        let ticks = if packed & LONG == 0 { 1 } else { take_u32(&mut rest)? };
        end += Tick::from(ticks);
        if ticks == 0 || end > MAX_TICK {
            return Err(BlockError::Range);
        }
        runs.push(Run {
            ticks,
            node: NodeId::try_from(node).map_err(|_| BlockError::Range)?,
            state: State::from_number(packed & STATE_MASK).ok_or(BlockError::Range)?,
            gil: packed & GIL != 0,
            gc: packed & GC != 0,
        });
    }
    if !nodes.is_empty() || !rest.is_empty() {
        return Err(BlockError::Trailing);
    }
    Ok(ThreadRuns { thread, first_tick, runs })
}

/// The nodes of a block: consecutive numbers, each parent's less than its own, so no cycle is possible.
///
/// Errors: [`BlockError`] for anything that [`NodeBlock`] does not write.
/// Cost:   O(length of the content).
pub fn read_nodes(block: &[u8]) -> Result<Vec<StackNode>, BlockError> {
    let content = unpack(block, MAX_CONTENT)?;
    let mut rest = content.as_slice();
    let first = take_u32(&mut rest)?;
    let count = take_len(&mut rest)?;
    let end = u64::from(first) + count as u64;
    // Three varints each: a count beyond that is a lie, found before anything is allocated for it.
    if first == 0 || end > u64::from(u32::MAX) || count > rest.len() / 3 {
        return Err(BlockError::Range);
    }
    let mut nodes = Vec::with_capacity(count);
    for id in first..first + count as u32 {
        let up = take_u32(&mut rest)?;
        if up == 0 || up > id {
            return Err(BlockError::Range);
        }
        nodes.push(StackNode { id, parent: id - up, function: 0, line: 0 });
    }
    for node in &mut nodes {
        node.function = take_u32(&mut rest)?;
        if node.function == 0 {
            return Err(BlockError::Range);
        }
    }
    for node in &mut nodes {
        node.line = take_u32(&mut rest)?;
    }
    if rest.is_empty() { Ok(nodes) } else { Err(BlockError::Trailing) }
}

/// Wraps a content: form, checksum, and the content itself, deflated if asked and if that is shorter.
pub fn pack(content: &[u8], small: bool) -> Vec<u8> {
    let mut block = Vec::with_capacity(HEAD_LEN + content.len());
    block.push(PLAIN);
    block.extend_from_slice(&checksum(content).to_le_bytes());
    if small && content.len() >= DEFLATE_FROM {
        let mut deflated = block.clone();
        deflated[0] = DEFLATED;
        put_varint(&mut deflated, content.len() as u64);
        let mut encoder = DeflateEncoder::new(deflated, Compression::new(4));
        let done = encoder.write_all(content).and_then(|()| encoder.finish());
        let deflated = done.expect("writing into memory cannot fail");
        if deflated.len() < HEAD_LEN + content.len() {
            return deflated;
        }
    }
    block.extend_from_slice(content);
    block
}

/// Wraps a content in a form that costs little time to make and to read; for what comes in large amounts.
pub(crate) fn pack_quickly(content: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(HEAD_LEN + content.len() / 2);
    block.push(QUICK);
    block.extend_from_slice(&checksum(content).to_le_bytes());
    put_varint(&mut block, content.len() as u64);
    block.extend_from_slice(&lz4_flex::block::compress(content));
    block
}

/// The content of a block that [`pack`] made, if it is at most `max` bytes long.
pub fn unpack(block: &[u8], max: usize) -> Result<Vec<u8>, BlockError> {
    let (&form, rest) = block.split_first().ok_or(BlockError::Short)?;
    let (sum, mut rest) = rest.split_first_chunk::<4>().ok_or(BlockError::Short)?;
    let content = match form {
        PLAIN if rest.len() > max => return Err(BlockError::Large),
        PLAIN => rest.to_vec(),
        DEFLATED => {
            let len = take_varint(&mut rest)?;
            let len = usize::try_from(len).map_err(|_| BlockError::Large)?;
            if len > max {
                return Err(BlockError::Large);
            }
            let mut content = Vec::with_capacity(len);
            // One byte more than stated is enough to see that the statement is wrong.
            DeflateDecoder::new(rest)
                .take(len as u64 + 1)
                .read_to_end(&mut content)
                .map_err(|_| BlockError::Deflate)?;
            if content.len() != len {
                return Err(BlockError::Deflate);
            }
            content
        }
        QUICK => {
            let len = take_len(&mut rest)?;
            if len > max {
                return Err(BlockError::Large);
            }
            let mut content = vec![0; len];
            match lz4_flex::block::decompress_into(rest, &mut content) {
                Ok(found) if found == len => content,
                _ => return Err(BlockError::Deflate),
            }
        }
        _ => return Err(BlockError::Form),
    };
    if checksum(&content).to_le_bytes() != *sum {
        return Err(BlockError::Checksum);
    }
    Ok(content)
}

fn checksum(content: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    crc.sum()
}

fn put_run(run: Run, previous: NodeId, states: &mut Vec<u8>, nodes: &mut Vec<u8>, ticks: &mut Vec<u8>) {
    let mut packed = run.state as u8;
    packed |= if run.gil { GIL } else { 0 };
    packed |= if run.gc { GC } else { 0 };
    packed |= if run.ticks == 1 { 0 } else { LONG };
    states.push(packed);
    put_varint(nodes, zigzag(i64::from(run.node) - i64::from(previous)));
    if run.ticks != 1 {
        put_varint(ticks, u64::from(run.ticks));
    }
}

pub(crate) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64, BlockError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(BlockError::Short)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return Err(BlockError::Range);
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(BlockError::Range)
}

fn take_u32(bytes: &mut &[u8]) -> Result<u32, BlockError> {
    u32::try_from(take_varint(bytes)?).map_err(|_| BlockError::Range)
}

/// A length: never more than what a block can hold.
pub(crate) fn take_len(bytes: &mut &[u8]) -> Result<usize, BlockError> {
    let len = usize::try_from(take_varint(bytes)?).map_err(|_| BlockError::Range)?;
    if len > MAX_CONTENT {
        return Err(BlockError::Range);
    }
    Ok(len)
}

pub(crate) fn take_bytes<'b>(bytes: &mut &'b [u8], len: usize) -> Result<&'b [u8], BlockError> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or(BlockError::Short)?;
    *bytes = rest;
    Ok(taken)
}

/// Small numbers of either sign become small numbers without one.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
