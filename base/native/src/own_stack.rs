//! The native stack of the calling thread, for an agent that asks at every allocation.
//!
//! Nothing here allocates or locks, and nothing is read but this process's own tables and the thread's own stack, within its
//! bounds. A stack is compared with what the same thread's was before: as soon as a return address is met that lies where
//! it lay, and all outer ones do, the rest is the same. Start at [`OwnNativeStack::refresh`].

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Pointer, RegisterRule,
    UnwindContext, UnwindContextStorage, UnwindSection, UnwindTableRow, X86_64,
};

/// How many rules a thread keeps; a power of two.
pub const RULES: usize = 4096;

/// A return address, and where it lies on the stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnReturn {
    /// Where it lies.
    pub slot: usize,
    /// Where the callee returns to.
    pub address: usize,
}

/// How a stack differs from what it was: its return addresses, the outermost first, are the first `kept` of the old ones
/// and `new` ones behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnChange {
    /// Those that are the same.
    pub kept: usize,
    /// Those that were there behind them.
    pub gone: usize,
    /// Those that are new.
    pub new: usize,
}

/// How to go from a function to its caller, at one instruction.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    address: usize,
    /// Bytes from the register to the caller's stack.
    offset: i32,
    /// Words from the caller's stack to the caller's frame pointer, or one of the marks.
    saved: i16,
    base: Base,
}

const SAVED_NOWHERE: i16 = 0;
const SAVED_UNKNOWN: i16 = i16::MAX;
const SAVED_AT_POINTER: i16 = i16::MIN;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Base {
    /// The outermost function.
    Root = 0,
    /// No table says.
    Lost,
    StackPointer,
    FramePointer,
    /// A word at the frame pointer, where a function has aligned its stack.
    AtFramePointer,
}

/// The stack of a thread as it was seen last.
#[derive(Debug)]
pub struct OwnNativeStack<'a> {
    /// The outermost first.
    known: &'a mut [OwnReturn],
    depth: usize,
    /// The innermost first, while they are looked for.
    fresh: &'a mut [OwnReturn],
    rules: &'a mut [Rule],
    /// Where the thread's stack lies.
    bounds: Range<usize>,
    /// Code that is left out: whoever asks.
    own: Range<usize>,
    generation: usize,
}

/// Grows when code has been unloaded, so that rules of its addresses hold no more.
static GENERATION: AtomicUsize = AtomicUsize::new(0);

/// To be told after a library was unloaded.
pub fn forget_rules() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Where the calling thread's stack lies; empty where that is not known.
///
/// Cost: some µs; for the main thread it reads `/proc/self/maps`. It may allocate.
pub fn own_bounds() -> Range<usize> {
    // SAFETY: the attributes are written before they are read, and destroyed after.
    unsafe {
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return 0..0;
        }
        let (mut start, mut size) = (std::ptr::null_mut::<c_void>(), 0);
        let found = libc::pthread_attr_getstack(attributes.as_ptr(), &mut start, &mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        if found == 0 { start as usize..(start as usize).saturating_add(size) } else { 0..0 }
    }
}

impl<'a> OwnNativeStack<'a> {
    /// A stack that is empty. `known` and `fresh` are equally long: no more is seen; `rules` has [`RULES`], all zero bytes at
    /// first. Returns into `own` are left out.
    pub fn new(
        known: &'a mut [OwnReturn],
        fresh: &'a mut [OwnReturn],
        rules: &'a mut [Rule],
        bounds: Range<usize>,
        own: Range<usize>,
    ) -> OwnNativeStack<'a> {
        OwnNativeStack { known, depth: 0, fresh, rules, bounds, own, generation: 0 }
    }

    /// The return addresses, the outermost first.
    pub fn returns(&self) -> &[OwnReturn] {
        self.known.get(..self.depth).unwrap_or_default()
    }

    /// Brings it up to date; none where nothing has changed.
    ///
    /// Cost: some 5 ns for each function that was called since, 1 ns for each that was there.
    ///
    /// # Safety
    /// The bounds are those of the calling thread's stack.
    #[inline(never)]
    pub unsafe fn refresh(&mut self) -> Option<OwnChange> {
        let (mut address, mut stack, mut frame) = registers();
        let generation = GENERATION.load(Ordering::Relaxed);
        if generation != self.generation {
            self.generation = generation;
            self.rules.iter_mut().for_each(|rule| rule.address = 0);
        }
        let mut left = self.depth;
        let mut new = 0;
        let mut kept = 0;
        while new < self.fresh.len() {
            let rule = self.rule(address);
            // SAFETY: what is read is checked to lie in the thread's stack, above what this function uses.
            let next = unsafe { rule.apply(&self.bounds, stack, frame) };
            let Some((caller, caller_frame)) = next else { break };
            let slot = caller - 8;
            // SAFETY: `apply` has checked it.
            address = unsafe { word(slot) };
            (stack, frame) = (caller, caller_frame);
            if self.own.contains(&address) {
                continue;
            }
            while left > 0 && self.known.get(left - 1).is_some_and(|known| known.slot < slot) {
                left -= 1;
            }
            let found = OwnReturn { slot, address };
            // SAFETY: the slots of what is known lie in the thread's stack, above this one.
            if left > 0 && self.known.get(left - 1) == Some(&found) && unsafe { self.are_there(left - 1) } {
                kept = left;
                break;
            }
            if let Some(place) = self.fresh.get_mut(new) {
                *place = found;
            }
            new += 1;
        }
        let gone = self.depth - kept;
        if gone == 0 && new == 0 {
            return None;
        }
        // What there is no room for is the outermost.
        let new = new.min(self.known.len().saturating_sub(kept));
        let fresh = self.fresh.get(..new).unwrap_or_default().iter().rev();
        for (place, one) in self.known.iter_mut().skip(kept).zip(fresh) {
            *place = *one;
        }
        self.depth = kept + new;
        Some(OwnChange { kept, gone, new })
    }

    /// Whether the outermost `count` return addresses lie where they lay.
    ///
    /// # Safety
    /// They lie in the calling thread's stack.
    unsafe fn are_there(&self, count: usize) -> bool {
        let outer = self.known.get(..count).unwrap_or_default();
        // SAFETY: the caller promises it.
        outer.iter().rev().all(|known| unsafe { word(known.slot) } == known.address)
    }

    fn rule(&mut self, address: usize) -> Rule {
        let place = (address ^ address >> 12) & (RULES - 1);
        match self.rules.get_mut(place) {
            Some(rule) if rule.address == address => *rule,
            Some(rule) => {
                *rule = find(address);
                *rule
            }
            None => find(address),
        }
    }
}

impl Rule {
    const fn lost(address: usize) -> Rule {
        Rule { address, offset: 0, saved: SAVED_NOWHERE, base: Base::Lost }
    }

    /// The caller's stack pointer and frame pointer; none where there is no caller, or none is known.
    ///
    /// # Safety
    /// The bounds are those of the calling thread's stack.
    #[inline(always)]
    unsafe fn apply(&self, bounds: &Range<usize>, stack: usize, frame: usize) -> Option<(usize, usize)> {
        let is_in =
            |place: usize| place >= stack && place < bounds.end.wrapping_sub(8) && place >= bounds.start;
        let offset = self.offset as isize as usize;
        let caller = match self.base {
            Base::StackPointer => stack.wrapping_add(offset),
            Base::FramePointer => frame.wrapping_add(offset),
            Base::AtFramePointer => {
                let place = frame.wrapping_add(offset);
                // SAFETY: it lies in the stack.
                if is_in(place) { unsafe { word(place) } } else { return None }
            }
            Base::Root | Base::Lost => return None,
        };
        // The caller's stack lies further out, and the return address below it.
        if caller <= stack || caller % 8 != 0 || !is_in(caller - 8) {
            return None;
        }
        let place = match self.saved {
            SAVED_NOWHERE => return Some((caller, frame)),
            SAVED_UNKNOWN => return Some((caller, 0)),
            SAVED_AT_POINTER => frame,
            words => caller.wrapping_add((words as isize * 8) as usize),
        };
        // SAFETY: it lies in the stack.
        Some((caller, if is_in(place) { unsafe { word(place) } } else { 0 }))
    }
}

/// The instruction pointer, stack pointer and frame pointer here.
#[inline(always)]
fn registers() -> (usize, usize, usize) {
    let (address, stack, frame);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it reads registers.
    unsafe {
        std::arch::asm!(
            "lea {address}, [rip]", "mov {stack}, rsp", "mov {frame}, rbp",
            address = out(reg) address, stack = out(reg) stack, frame = out(reg) frame,
            options(nomem, nostack, preserves_flags)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // Nothing is known of other processors, so that their stacks are empty.
        (address, stack, frame) = (0, 0, 0);
    }
    (address, stack, frame)
}

/// # Safety
/// A word lies there that nobody writes meanwhile.
#[inline(always)]
unsafe fn word(place: usize) -> usize {
    // SAFETY: the caller promises it.
    unsafe { (place as *const usize).read() }
}

/// What `_dl_find_object` tells of the code at an address.
#[repr(C)]
struct Object {
    flags: u64,
    start: usize,
    end: usize,
    link_map: usize,
    frames: usize,
    reserved: [u64; 7],
}

/// The room that a row of rules needs, without the heap.
struct Room;

impl UnwindContextStorage<usize> for Room {
    type Rules = [(gimli::Register, RegisterRule<usize>); 32];
    type Stack = [UnwindTableRow<usize, Room>; 4];
}

/// Finds the rule of an address.
#[cold]
#[inline(never)]
fn find(address: usize) -> Rule {
    looked_up(address).unwrap_or(Rule::lost(address))
}

fn looked_up(address: usize) -> Option<Rule> {
    // A return address may belong to what follows the call; the call itself does not.
    let inside = address.checked_sub(1)?;
    let (header_at, end) = tables(inside)?;
    let bytes = |from: usize| -> Option<&'static [u8]> {
        let len = end.checked_sub(from)?;
        // SAFETY: the object is mapped from its header to its end, and stays so while its code is on the stack.
        Some(unsafe { std::slice::from_raw_parts(from as *const u8, len) })
    };
    let bases = BaseAddresses::default().set_eh_frame_hdr(header_at as u64);
    let header = EhFrameHdr::new(bytes(header_at)?, LittleEndian).parse(&bases, 8).ok()?;
    let Pointer::Direct(frames_at) = header.eh_frame_ptr() else { return None };
    let bases = bases.set_eh_frame(frames_at);
    let frames = EhFrame::from(EndianSlice::new(bytes(frames_at as usize)?, LittleEndian));
    let entry = header.table()?.fde_for_address(&frames, &bases, inside as u64, EhFrame::cie_from_offset);
    let entry = entry.ok().filter(|entry| entry.contains(inside as u64))?;
    if entry.is_signal_trampoline() {
        return None;
    }
    let mut context = UnwindContext::<usize, Room>::new_in();
    let row = entry.unwind_info_for_address(&frames, &bases, &mut context, inside as u64).ok()?;
    let saved = match row.register(X86_64::RBP) {
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => SAVED_NOWHERE,
        Some(RegisterRule::Offset(offset)) => words(offset).unwrap_or(SAVED_UNKNOWN),
        // Where a function has aligned its stack, the frame pointer itself says where it lies.
        Some(RegisterRule::Expression(expression)) => {
            let code = expression.get(&frames).ok()?;
            if code.0.slice() == [0x76, 0] { SAVED_AT_POINTER } else { SAVED_UNKNOWN }
        }
        _ => SAVED_UNKNOWN,
    };
    match row.register(X86_64::RA) {
        Some(RegisterRule::Offset(-8)) => {}
        Some(RegisterRule::Undefined) => return Some(Rule { base: Base::Root, ..Rule::lost(address) }),
        _ => return None,
    }
    let (base, offset) = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => match *register {
            X86_64::RSP => (Base::StackPointer, *offset),
            X86_64::RBP => (Base::FramePointer, *offset),
            _ => return None,
        },
        // A word at a distance from the frame pointer.
        CfaRule::Expression(expression) => {
            let code = expression.get(&frames).ok()?;
            match code.0.slice() {
                [0x76, distance, 0x06] if *distance < 0x80 => {
                    (Base::AtFramePointer, i64::from((*distance << 1) as i8 >> 1))
                }
                _ => return None,
            }
        }
    };
    Some(Rule { address, offset: i32::try_from(offset).ok()?, saved, base })
}

fn words(offset: i64) -> Option<i16> {
    let words = i16::try_from(offset / 8).ok()?;
    (offset % 8 == 0 && words > SAVED_AT_POINTER && words < 0).then_some(words)
}

/// Where the object that holds the code at an address is mapped; empty where that is not known.
pub fn own_object(address: usize) -> Range<usize> {
    object(address).map_or(0..0, |object| object.start..object.end)
}

/// Where the tables of the code at an address begin, and where its object ends.
fn tables(address: usize) -> Option<(usize, usize)> {
    let object = object(address)?;
    (object.frames != 0).then_some((object.frames, object.end))
}

fn object(address: usize) -> Option<Object> {
    let mut place = MaybeUninit::<Object>::zeroed();
    let find = match FIND_OBJECT.load(Ordering::Relaxed) {
        UNKNOWN => {
            // SAFETY: the name ends with NUL.
            let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) } as usize;
            FIND_OBJECT.store(found, Ordering::Relaxed);
            found
        }
        found => found,
    };
    if find == 0 {
        return walked(address);
    }
    // SAFETY: the function has this signature since it is there (glibc 2.35), and fills the place on success, for x86-64
    // without more than these. It takes no lock.
    unsafe {
        let find = std::mem::transmute::<usize, extern "C" fn(*mut c_void, *mut Object) -> c_int>(find);
        if find(address as *mut c_void, place.as_mut_ptr()) != 0 {
            return None;
        }
        Some(place.assume_init())
    }
}

/// Not looked for yet.
const UNKNOWN: usize = 1;
static FIND_OBJECT: AtomicUsize = AtomicUsize::new(UNKNOWN);

/// The same where the C library is older: through the list of what is loaded.
fn walked(address: usize) -> Option<Object> {
    struct Search {
        address: usize,
        found: Option<Object>,
    }
    unsafe extern "C" fn each(object: *mut libc::dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
        // SAFETY: the list's own record, and the search of the caller.
        let (object, search) = unsafe { (&*object, &mut *search.cast::<Search>()) };
        // SAFETY: the record says how many there are.
        let parts = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
        let base = object.dlpi_addr as usize;
        let range = |part: &libc::Elf64_Phdr| {
            let start = base.wrapping_add(part.p_vaddr as usize);
            start..start.wrapping_add(part.p_memsz as usize)
        };
        let loads = || parts.iter().filter(|part| part.p_type == libc::PT_LOAD);
        if !loads().any(|part| range(part).contains(&search.address)) {
            return 0;
        }
        let header = parts.iter().find(|part| part.p_type == libc::PT_GNU_EH_FRAME).map(range);
        let start = loads().map(|part| range(part).start).min().unwrap_or(0);
        // The tables lie in the part with their header.
        let within = |header: &Range<usize>| loads().map(range).find(|load| load.contains(&header.start));
        let end = header.as_ref().and_then(within).map_or(0, |load| load.end);
        let frames = header.map_or(0, |header| header.start);
        search.found = Some(Object { flags: 0, start, end, link_map: 0, frames, reserved: [0; 7] });
        1
    }
    let mut search = Search { address, found: None };
    // SAFETY: the function is called before this returns, with the search.
    unsafe { libc::dl_iterate_phdr(Some(each), (&raw mut search).cast()) };
    search.found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_stack(work: &mut dyn FnMut(&mut OwnNativeStack<'_>)) {
        let mut known = vec![OwnReturn::default(); 1024];
        let mut fresh = known.clone();
        let mut rules = vec![Rule::lost(0); RULES];
        work(&mut OwnNativeStack::new(&mut known, &mut fresh, &mut rules, own_bounds(), 0..0));
    }

    #[inline(never)]
    fn nested(
        stack: &mut OwnNativeStack<'_>,
        depth: usize,
        work: &mut dyn FnMut(&mut OwnNativeStack<'_>),
    ) -> usize {
        let mut room = [depth; 40];
        std::hint::black_box(&mut room);
        if depth > 0 {
            return nested(stack, depth - 1, work) + std::hint::black_box(room)[depth % 40];
        }
        work(stack);
        room[0]
    }

    /// The same from the runtime's own unwinder.
    fn backtrace_depth() -> usize {
        extern "C" fn each(_: *mut c_void, count: *mut c_void) -> c_int {
            // SAFETY: the count of the caller below.
            unsafe { *count.cast::<usize>() += 1 };
            0
        }
        unsafe extern "C" {
            fn _Unwind_Backtrace(
                each: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
                data: *mut c_void,
            ) -> c_int;
        }
        let mut count = 0_usize;
        // SAFETY: the function calls back before it returns.
        unsafe { _Unwind_Backtrace(each, (&raw mut count).cast()) };
        count
    }

    #[test]
    fn a_stack_is_unwound_to_its_root() {
        std::thread::spawn(|| {
            with_stack(&mut |stack| {
                for depth in [0, 3, 30] {
                    let mut depths = (0, 0);
                    nested(stack, depth, &mut |stack| {
                        // SAFETY: the bounds are this thread's.
                        unsafe { stack.refresh() };
                        depths = (stack.returns().len(), backtrace_depth());
                    });
                    // Both see this function's callers; one has the function that asks, the other its own.
                    let (own, other) = depths;
                    assert!(own.abs_diff(other) <= 2, "{depth}: {own} of {other}");
                    assert!(own > depth, "{own}");
                }
            });
        })
        .join()
        .expect("no panic");
    }

    #[test]
    fn what_has_not_changed_is_not_told_again() {
        with_stack(&mut |stack| {
            nested(stack, 20, &mut |stack| {
                let mut changes = Vec::new();
                // One call in the code, whatever the compiler makes of a loop.
                for _ in 0..std::hint::black_box(3) {
                    // SAFETY: the bounds are this thread's.
                    changes.push(unsafe { stack.refresh() });
                }
                assert!(changes[0].is_some_and(|change| change.new > 20));
                assert_eq!((changes[1], changes[2]), (None, None));
                let outer = stack.returns().len();
                nested(stack, 5, &mut |stack| {
                    // SAFETY: the bounds are this thread's.
                    let change = unsafe { stack.refresh() }.expect("it is deeper");
                    assert!(change.gone <= 1 && (5..=9).contains(&change.new), "{change:?}");
                    assert_eq!(change.kept + change.gone, outer);
                });
            });
        });
    }

    #[test]
    fn a_stack_that_is_not_the_threads_own_is_empty() {
        let mut known = vec![OwnReturn::default(); 8];
        let mut fresh = known.clone();
        let mut rules = vec![Rule::lost(0); RULES];
        let mut stack = OwnNativeStack::new(&mut known, &mut fresh, &mut rules, 0x1000..0x2000, 0..0);
        // SAFETY: nothing lies within these bounds, and so nothing is read.
        assert_eq!(unsafe { stack.refresh() }, None);
    }
}
