//! The stack of a thread of this very process, walked by pointer.
//!
//! For an agent that lives beside the interpreter and asks at every allocation: nothing here allocates, locks, calls the
//! interpreter or is called by it. A stack is compared with what the same thread's was before; frames that cannot
//! have changed are not looked at. Start at [`OwnStack::refresh`].

use crate::locate::Located;
use crate::offsets::ABSENT;

/// Owners that are the interpreter's own entry records, not frames of Python functions.
const OWNERS_ENTRY: std::ops::RangeInclusive<u8> = 3..=4;

/// Where the walk finds what it needs, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct OwnLayout {
    /// From the thread's state to the innermost frame, or to the record that names it.
    thread_frame: usize,
    /// Within that record; [`NONE`] where the state names the frame itself.
    record_frame: usize,
    thread_chunk: usize,
    previous: usize,
    code: usize,
    instruction: usize,
    owner: usize,
    /// Frames are objects of their own, and say with an `int` where they stand (up to 3.10).
    frames_are_objects: bool,
    chunk_data: usize,
    /// Whether the loop was entered for a frame, in 3.11; [`NONE`] where all are, or the interpreter's own records tell.
    entered: usize,
}

const NONE: usize = usize::MAX;

/// How many numbers an [`OwnLayout`] is.
pub const LAYOUT_WORDS: usize = 10;

impl OwnLayout {
    /// As numbers, for another process.
    pub fn to_words(self) -> [u64; LAYOUT_WORDS] {
        [
            self.thread_frame,
            self.record_frame,
            self.thread_chunk,
            self.previous,
            self.code,
            self.instruction,
            self.owner,
            usize::from(self.frames_are_objects),
            self.chunk_data,
            self.entered,
        ]
        .map(|word| word as u64)
    }

    /// The other way round.
    pub fn from_words(words: [u64; LAYOUT_WORDS]) -> OwnLayout {
        let words = words.map(|word| word as usize);
        let [
            thread_frame,
            record_frame,
            thread_chunk,
            previous,
            code,
            instruction,
            owner,
            are_objects,
            chunk_data,
            entered,
        ] = words;
        let frames_are_objects = are_objects != 0;
        OwnLayout {
            thread_frame,
            record_frame,
            thread_chunk,
            previous,
            code,
            instruction,
            owner,
            frames_are_objects,
            chunk_data,
            entered,
        }
    }

    /// Of an interpreter.
    pub fn of(located: &Located) -> OwnLayout {
        let offsets = &located.offsets;
        let minor = located.version.minor;
        // A piece of the data stack that is left goes back to the system at once, and `OwnStack::unmapped` hears of it. Later
        // versions may keep it for its next use.
        let pieces_are_unmapped = minor <= 13 && !located.free_threaded;
        let place = |offset: u32| if offset == ABSENT { NONE } else { offset as usize };
        let has_record = offsets.thread.cframe != ABSENT;
        OwnLayout {
            thread_frame: place(if has_record { offsets.thread.cframe } else { offsets.thread.frame }),
            record_frame: if has_record { place(offsets.thread.cframe_frame) } else { NONE },
            thread_chunk: if pieces_are_unmapped { place(offsets.thread.datastack_chunk) } else { NONE },
            previous: place(offsets.frame.previous),
            code: place(offsets.frame.code),
            instruction: place(offsets.frame.instruction),
            owner: place(offsets.frame.owner),
            frames_are_objects: offsets.frame.owner == ABSENT,
            chunk_data: place(offsets.chunk.data),
            // It stands right before the owner.
            entered: if minor == 11 { place(offsets.frame.owner).wrapping_sub(1) } else { NONE },
        }
    }
}

/// A frame as it was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnFrame {
    /// Where it lies.
    pub address: usize,
    /// Its code object; 0 for the interpreter's own records.
    pub code: usize,
    /// Its instruction field, as it is stored; up to 3.10 an `int`.
    pub instruction: usize,
    /// Whether the interpreter's loop was entered for it. From 3.12 on the frame outside of it tells, where that is one of
    /// the interpreter's own records.
    pub entered: bool,
}

/// How a stack differs from what it was: its frames, the outermost first, are the first `kept` of the old ones and the new
/// ones behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Frames that are the same.
    pub kept: usize,
    /// Frames that were there behind them.
    pub gone: usize,
}

/// A thread's stack as it was seen last.
pub struct OwnStack<'a> {
    /// The outermost first.
    frames: &'a mut [OwnFrame],
    depth: usize,
    /// The newest piece of the thread's data stack.
    chunk: usize,
    /// The frame with which that piece begins. As long as the piece is there that frame has not returned, so that nothing
    /// has happened in those outside of it.
    boundary: usize,
}

impl<'a> OwnStack<'a> {
    /// A stack that is empty, with room for as many frames as `frames` has; those outside of it are not seen.
    pub fn new(frames: &'a mut [OwnFrame]) -> OwnStack<'a> {
        OwnStack { frames, depth: 0, chunk: 0, boundary: 0 }
    }

    /// The frames, the outermost first.
    pub fn frames(&self) -> &[OwnFrame] {
        self.frames.get(..self.depth).unwrap_or_default()
    }

    /// Forgets all frames.
    pub fn clear(&mut self) {
        (self.depth, self.chunk, self.boundary) = (0, 0, 0);
    }

    /// To be told before memory is given back to the system: a piece of the data stack goes that way.
    #[inline]
    pub fn unmapped(&mut self, address: usize) {
        if address == self.chunk {
            (self.chunk, self.boundary) = (0, 0);
        }
    }

    /// Brings it up to date; none where nothing has changed.
    ///
    /// Cost: about 1 ns for each frame in the newest piece of the data stack (16 KiB, some hundred frames); before 3.11
    ///       for each frame. 1.5 ns for each frame there is where the stack is not the same but for the places in its frames.
    ///
    /// # Safety
    /// `thread_state` is the state of the calling thread, and `layout` that of its interpreter.
    #[inline]
    pub unsafe fn refresh(&mut self, layout: &OwnLayout, thread_state: usize) -> Option<Change> {
        // SAFETY: the caller promises the state and the layout. What it names are the frames of the calling thread, which
        // are not touched while it is here.
        unsafe {
            let innermost = layout.innermost(thread_state);
            let boundary = match layout.thread_chunk {
                NONE => 0,
                place if word(thread_state + place) == self.chunk => self.boundary,
                _ => 0,
            };
            match self.moved_within(layout, innermost, boundary) {
                Same::All => None,
                Same::Frames(first) => Some(self.look_again(layout, first)),
                Same::Unknown => self.walk(layout, thread_state, innermost),
            }
        }
    }

    /// Whether these are the same frames, down to the boundary, and which of them stand elsewhere.
    ///
    /// # Safety
    /// As [`OwnStack::refresh`]; `innermost` is the thread's innermost frame.
    #[inline]
    unsafe fn moved_within(&self, layout: &OwnLayout, innermost: usize, boundary: usize) -> Same {
        let mut first = NONE;
        let mut expected = innermost;
        let mut index = self.depth;
        while index > boundary {
            index -= 1;
            // SAFETY: the index is below the depth, which is no more than there is room for.
            let known = unsafe { self.frames.get_unchecked(index) };
            if known.address != expected {
                return Same::Unknown;
            }
            // The address comes out of what is known and not out of the frame above, so that the processor reads many at
            // once; it is read only once it is known to be the same.
            // SAFETY: it is the address of a frame of the thread's, as the frame above says, or its state.
            unsafe {
                if layout.stands_elsewhere(known) {
                    first = index;
                }
                expected = word(known.address + layout.previous);
            }
        }
        match (index, expected, first) {
            (0, 1.., _) => Same::Unknown,
            (_, _, NONE) => Same::All,
            (_, _, first) => Same::Frames(first),
        }
    }

    /// Reads again where the frames from this one on stand.
    ///
    /// # Safety
    /// These are frames of the calling thread.
    #[cold]
    unsafe fn look_again(&mut self, layout: &OwnLayout, first: usize) -> Change {
        for frame in self.frames.get_mut(first..self.depth).unwrap_or_default() {
            // SAFETY: the caller promises the frames.
            *frame = unsafe { layout.frame(frame.address) };
        }
        Change { kept: first, gone: self.depth - first }
    }

    /// Takes the whole chain, and finds how much of it is the same.
    ///
    /// # Safety
    /// As [`OwnStack::moved_within`].
    #[cold]
    unsafe fn walk(&mut self, layout: &OwnLayout, thread_state: usize, innermost: usize) -> Option<Change> {
        // SAFETY: the caller promises the thread and its frames.
        unsafe {
            let before = self.depth;
            let mut depth = 0;
            let mut address = innermost;
            while address != 0 && depth < self.frames.len() {
                depth += 1;
                address = word(address + layout.previous);
            }
            let chunk =
                if layout.thread_chunk == NONE { 0 } else { word(thread_state + layout.thread_chunk) };
            let chunk_first = chunk + if chunk == 0 { 0 } else { layout.chunk_data };
            (self.depth, self.chunk, self.boundary) = (depth, chunk, 0);
            let mut kept = depth.min(before);
            let mut address = innermost;
            for index in (0..depth).rev() {
                if address == chunk_first {
                    self.boundary = index;
                }
                let frame = layout.frame(address);
                let known = self.frames.get_unchecked_mut(index);
                if *known != frame {
                    *known = frame;
                    kept = kept.min(index);
                }
                address = word(address + layout.previous);
            }
            let change = Change { kept, gone: before - kept };
            (change.gone > 0 || depth > kept).then_some(change)
        }
    }
}

/// What a first look at a stack says.
enum Same {
    All,
    /// The same frames, of which those from this one on stand elsewhere.
    Frames(usize),
    Unknown,
}

impl OwnLayout {
    /// # Safety
    /// `thread_state` is the state of the calling thread.
    #[inline]
    unsafe fn innermost(&self, thread_state: usize) -> usize {
        // SAFETY: the caller promises the state; its record lies on the thread's own C stack.
        unsafe {
            let first = word(thread_state + self.thread_frame);
            if self.record_frame == NONE || first == 0 { first } else { word(first + self.record_frame) }
        }
    }

    /// # Safety
    /// `known.address` is a frame of the calling thread.
    #[inline]
    unsafe fn stands_elsewhere(&self, known: &OwnFrame) -> bool {
        // SAFETY: the caller promises the frame.
        unsafe {
            if self.frames_are_objects {
                // The same memory may hold the frame of another function.
                integer(known.address + self.instruction) != known.instruction
                    || word(known.address + self.code) != known.code
            } else {
                // It points into the code object, and so tells that apart too.
                word(known.address + self.instruction) != known.instruction
            }
        }
    }

    /// # Safety
    /// `address` is that of a frame of the calling thread.
    #[inline]
    unsafe fn frame(&self, address: usize) -> OwnFrame {
        // SAFETY: the caller promises the frame.
        unsafe {
            if self.frames_are_objects {
                let code = word(address + self.code);
                let instruction = integer(address + self.instruction);
                return OwnFrame { address, code, instruction, entered: true };
            }
            let is_entry = OWNERS_ENTRY.contains(&((address + self.owner) as *const u8).read());
            OwnFrame {
                address,
                // The lowest bits of a pointer may be a mark.
                code: if is_entry { 0 } else { word(address + self.code) & !7 },
                instruction: word(address + self.instruction),
                entered: self.entered != NONE && ((address + self.entered) as *const u8).read() != 0,
            }
        }
    }
}

/// # Safety
/// A word lies there that nobody writes meanwhile.
#[inline]
unsafe fn word(address: usize) -> usize {
    // SAFETY: the caller promises it.
    unsafe { (address as *const usize).read() }
}

/// # Safety
/// As [`word`], of an `int`.
#[inline]
unsafe fn integer(address: usize) -> usize {
    // SAFETY: the caller promises it.
    unsafe { (address as *const u32).read() as usize }
}
