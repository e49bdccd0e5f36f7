//! Where suspended coroutines stand: the chain from a task's coroutine through everything that it awaits.

use super::kinds::Kind;
use super::scattered::Scattered;
use super::{Task, TaskReader};
use crate::code::read_code;
use crate::memory::Memory;
use crate::objects::{Copy, ReadError};
use crate::offsets::ABSENT;
use crate::reader::Frame;

/// Coroutines that await one another in one task; a longer chain is cut off there.
const DEPTH_MAX: usize = 1000;

/// Links of the chains of all tasks together, in one call.
const LINKS_MAX: usize = 1 << 20;

/// Local variables and stack entries that are copied along with a frame: most have fewer.
const SLOTS: usize = 24;

/// More slots than this no frame has that `await`s.
const SLOTS_MAX: u64 = 1 << 20;

/// Places in code remembered.
const AWAITS_MAX: usize = 1 << 16;

/// Reads for a code object.
const READ_CODE_STEPS: u32 = 11;

/// What was read of one link of a chain.
#[derive(Default)]
struct Link {
    /// The frame of a generator that has begun and not ended.
    frame: Option<Frame>,
    /// What it awaits; 0 when the chain ends here.
    next: u64,
}

impl TaskReader {
    /// Fills in the frames of the tasks that do not run: all first links at once, then all second ones, and so on.
    pub(super) fn read_stacks(&mut self, memory: &dyn Memory, tasks: &mut [Task]) {
        let mut at: Vec<(usize, u64)> = Vec::new();
        for (index, task) in tasks.iter().enumerate() {
            if task.standing != super::Standing::Running
                && let Some(head) = self.head(memory, task.address)
                && head.coroutine != 0
            {
                at.push((index, head.coroutine));
            }
        }
        let mut links_left = LINKS_MAX;
        for _ in 0..DEPTH_MAX {
            at.truncate(links_left);
            links_left -= at.len();
            if at.is_empty() {
                break;
            }
            let addresses: Vec<u64> = at.iter().map(|(_, address)| *address).collect();
            let links = self.links(memory, &addresses);
            let mut following = Vec::with_capacity(at.len());
            for ((index, address), link) in at.into_iter().zip(links) {
                let task = &mut tasks[index];
                task.frames.extend(link.frame);
                if link.next != 0 && link.next != address {
                    following.push((index, link.next));
                }
            }
            at = following;
        }
        for task in tasks.iter_mut().filter(|task| task.code == 0) {
            task.code = task.frames.first().map_or(0, |frame| frame.code);
        }
    }

    /// The code object of a coroutine; 0 when it is none, or has ended.
    pub(super) fn coroutine_code(&mut self, memory: &dyn Memory, coroutine: u64) -> u64 {
        if coroutine == 0 || self.kind(memory, coroutine) != Kind::Generator {
            return 0;
        }
        let code = u64::from(self.located.offsets.frame.code);
        let place = coroutine.wrapping_add(u64::from(self.layout.generator_frame));
        let frame = if self.layout.generator_state == ABSENT { memory.read_u64(place) } else { Ok(place) };
        match frame {
            Ok(frame) if frame != 0 => memory.read_u64(frame.wrapping_add(code)).unwrap_or(0) & !7,
            _ => 0,
        }
    }

    fn links(&mut self, memory: &dyn Memory, addresses: &[u64]) -> Vec<Link> {
        let head = self.located.offsets.object.ob_size;
        let has_frame_inside = self.layout.generator_state != ABSENT;
        let len = match has_frame_inside {
            true => (self.layout.generator_frame + self.layout.frame_stack) as usize + 8 * SLOTS,
            false => self.layout.generator_frame as usize + 8,
        };
        let copies = Scattered::read(memory, addresses, len);
        let mut links: Vec<Link> = addresses.iter().map(|_| Link::default()).collect();
        // Frames that lie elsewhere: which link they are of, and their addresses.
        let (mut owners, mut frames) = (Vec::new(), Vec::new());
        for index in 0..addresses.len() {
            let Ok(copy) = copies.get(index) else { continue };
            let Ok(class) = copy.u64(self.located.offsets.object.ob_type) else { continue };
            match self.kinds.of(memory, &self.located, &self.layout, class) {
                Kind::Wrapper => links[index].next = copy.u64(head).unwrap_or(0),
                Kind::Generator if has_frame_inside => {
                    let copied = addresses[index];
                    links[index] = self.link_inside(memory, copied, &copy).unwrap_or_default();
                }
                Kind::Generator => match copy.u64(self.layout.generator_frame) {
                    Ok(frame) if frame != 0 => {
                        owners.push(index);
                        frames.push(frame);
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        let tops = self.links_outside(memory, &owners, &frames, &mut links);
        let places: Vec<u64> = tops.iter().map(|(_, place)| *place).collect();
        let copies = Scattered::read(memory, &places, 8);
        for (position, (index, _)) in tops.iter().enumerate() {
            links[*index].next = copies.get(position).and_then(|copy| copy.u64(0)).unwrap_or(0);
        }
        links
    }

    /// From 3.11 on the frame is a part of the generator.
    fn link_inside(&mut self, memory: &dyn Memory, address: u64, copy: &Copy<'_>) -> Result<Link, ReadError> {
        let layout = self.layout;
        let offsets = &self.located.offsets.frame;
        let at = layout.generator_frame;
        let state = copy.u8(layout.generator_state)?;
        let frame = Frame {
            code: copy.u64(at + offsets.code)? & !7,
            instruction: copy.u64(at + offsets.instruction)?,
            entered: false,
        };
        let minor = self.located.version.minor;
        let (begun, awaits) = match layout.suspended_in_await {
            ABSENT => (state as i8 == -1, state as i8 == -1 && self.is_await(memory, frame)),
            // 3.15 counts from 0, and has a second such state for a generator that is looked at just then.
            await_state if minor >= 15 => (
                (1..=3).contains(&state),
                u32::from(state) == await_state || u32::from(state) == await_state + 1,
            ),
            await_state => ((-2..0).contains(&(state as i8)), u32::from(state) == await_state),
        };
        if !begun {
            return Ok(Link { frame: self.unbegun(frame, state), next: 0 });
        }
        if !awaits {
            return Ok(Link { frame: Some(frame), next: 0 });
        }
        let first = u64::from(at + layout.frame_stack);
        let top = at + layout.frame_stack_top;
        let place = if minor <= 13 {
            first + u64::from(copy.u32(top)?).wrapping_sub(1).min(SLOTS_MAX) * 8
        } else {
            // From 3.15 on an index lies above what is awaited.
            let above = if minor >= 15 { 16 } else { 8 };
            copy.u64(top)?.wrapping_sub(above).wrapping_sub(address)
        };
        let next = match u32::try_from(place).ok().map(|place| copy.u64(place)) {
            Some(Ok(next)) => next,
            _ if place < SLOTS_MAX * 8 => memory.read_u64(address.wrapping_add(place))?,
            _ => 0,
        };
        // From 3.14 on a reference on the stack carries a tag in its low bits.
        Ok(Link { frame: Some(frame), next: next & !7 })
    }

    /// The frame of a coroutine that has not begun: it stands at its first line.
    fn unbegun(&self, frame: Frame, state: u8) -> Option<Frame> {
        let created = match (self.layout.suspended_in_await, self.located.version.minor) {
            (ABSENT, _) => -2,
            (_, 15..) => 0,
            _ => -3,
        };
        (state as i8 == created).then_some(frame)
    }

    /// Up to 3.10 frames lie elsewhere. Gives the places of what those that await have on top of their stacks.
    fn links_outside(
        &mut self,
        memory: &dyn Memory,
        owners: &[usize],
        frames: &[u64],
        links: &mut [Link],
    ) -> Vec<(usize, u64)> {
        let layout = self.layout;
        let (code, instruction) = (self.located.offsets.frame.code, self.located.offsets.frame.instruction);
        let len = [layout.frame_stack, layout.frame_stack_top, code, instruction].into_iter().max();
        let copies = Scattered::read(memory, frames, len.map_or(0, |last| last as usize + 8));
        let mut tops = Vec::new();
        for (position, index) in owners.iter().enumerate() {
            let Ok(copy) = copies.get(position) else { continue };
            let (Ok(code), Ok(instruction)) = (copy.u64(code), copy.u32(instruction)) else { continue };
            let frame = Frame { code, instruction: u64::from(instruction), entered: false };
            links[*index].frame = Some(frame);
            if (instruction as i32) < 0 || !self.is_await(memory, frame) {
                continue;
            }
            let top = if self.located.version.minor == 10 {
                let depth = copy.u32(layout.frame_stack_top).unwrap_or(0);
                let stack = copy.u64(layout.frame_stack).unwrap_or(0);
                stack.wrapping_add(u64::from(depth).wrapping_sub(1).wrapping_mul(8))
            } else {
                // Null while the frame runs.
                copy.u64(layout.frame_stack_top).ok().filter(|top| *top != 0).map_or(0, |top| top - 8)
            };
            if top != 0 {
                tops.push((*index, top));
            }
        }
        tops
    }

    fn is_await(&mut self, memory: &dyn Memory, frame: Frame) -> bool {
        if let Some(known) = self.awaits.get(&frame) {
            return *known;
        }
        if self.awaits.len() >= AWAITS_MAX {
            self.awaits.clear();
        }
        let Some(left) = self.steps_left.checked_sub(READ_CODE_STEPS) else { return false };
        self.steps_left = left;
        let code = read_code(memory, &self.located, frame.code);
        let awaits = code.is_ok_and(|code| code.is_await_at(frame.instruction));
        self.awaits.insert(frame, awaits);
        awaits
    }

    /// Forgets what is known of places in code: to be called when a code object has been freed.
    pub fn forget_code(&mut self) {
        self.awaits.clear();
    }
}
