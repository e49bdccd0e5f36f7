//! Puts the agent's functions in the place of the C library's, in a process that already runs.
//!
//! Each library calls others through slots of its own, which the dynamic linker fills in: those that name a function
//! of ours are changed, in every library but this one and the dynamic linker. A slot is changed only where it holds what
//! the dynamic linker must have put there, so that a library which is just being loaded is left alone; and it is changed
//! in one piece, so that other threads may call through it meanwhile. Start at [`put`]; [`take_back`] leaves every byte as
//! it was.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_int, c_void};
use std::ptr::null;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::maps;
use crate::ring;

/// A function of the C library and the agent's own for it.
pub(crate) struct Pair {
    pub(crate) name: &'static CStr,
    pub(crate) hook: usize,
    /// 0 where the C library has none.
    pub(crate) real: usize,
}

/// How many functions there are.
pub(crate) const PAIRS: usize = 13;

struct Cell<T>(UnsafeCell<T>);

// SAFETY: they are written before any slot is changed, and later under the dynamic linker's lock alone (`dl_iterate_phdr`).
unsafe impl<T> Sync for Cell<T> {}

static FUNCTIONS: Cell<[Pair; PAIRS]> =
    Cell(UnsafeCell::new([const { Pair { name: c"", hook: 0, real: 0 } }; PAIRS]));

/// A slot that was changed, and what it held.
#[derive(Clone, Copy)]
struct Changed {
    slot: usize,
    before: usize,
}

/// Slots that can be changed; a process has some thousand.
const CHANGED_MAX: usize = 1 << 16;

static CHANGED: Cell<*mut Changed> = Cell(UnsafeCell::new(std::ptr::null_mut()));
static CHANGED_COUNT: AtomicUsize = AtomicUsize::new(0);
/// How many libraries were ever loaded when slots were last changed.
static LOADED: AtomicU64 = AtomicU64::new(0);

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Put,
    TakeBack,
}

/// Changes the slots of all libraries for these functions; false where there is no memory for it.
pub(crate) fn put(functions: [Pair; PAIRS]) -> bool {
    let place = ring::map(CHANGED_MAX * size_of::<Changed>()).cast::<Changed>();
    if place.is_null() {
        return false;
    }
    // SAFETY: no slot is changed yet, so that nobody reads these.
    unsafe {
        *FUNCTIONS.0.get() = functions;
        *CHANGED.0.get() = place;
    }
    CHANGED_COUNT.store(0, Ordering::Relaxed);
    LOADED.store(0, Ordering::Relaxed);
    each_library(Work::Put);
    true
}

/// Changes those of libraries that were loaded since.
pub(crate) fn put_again() {
    each_library(Work::Put);
}

/// Gives every slot back what it held.
pub(crate) fn take_back() {
    LOADED.store(0, Ordering::Relaxed);
    each_library(Work::TakeBack);
    // SAFETY: no slot is changed any more, so that nobody reads it; it is a mapping of our own.
    unsafe {
        let place = std::mem::replace(&mut *CHANGED.0.get(), std::ptr::null_mut());
        if !place.is_null() {
            ring::unmap(place.cast(), CHANGED_MAX * size_of::<Changed>());
        }
    }
}

fn each_library(mut work: Work) {
    // SAFETY: the function gets each library as long as it cannot go, and `work`, which lives through the call.
    unsafe { libc::dl_iterate_phdr(Some(library), (&raw mut work).cast()) };
}

unsafe extern "C" fn library(info: *mut libc::dl_phdr_info, _: usize, work: *mut c_void) -> c_int {
    // SAFETY: the dynamic linker gives a library that is loaded; `work` is that of `each_library`.
    let (info, work) = unsafe { (&*info, *work.cast::<Work>()) };
    if work == Work::Put && LOADED.swap(info.dlpi_adds, Ordering::Relaxed) == info.dlpi_adds {
        // The first of them tells that no library was loaded since; later ones are told by the place in the list.
        if is_first(info) {
            return 1;
        }
    }
    // SAFETY: as above.
    if let Some(library) = unsafe { Library::of(info) } {
        // SAFETY: the library is loaded as long as this function runs.
        unsafe { library.change(work) };
    }
    0
}

/// Whether it is the first that is told: the program itself, which alone has no name.
fn is_first(info: &libc::dl_phdr_info) -> bool {
    // SAFETY: it is null or a text.
    info.dlpi_name.is_null() || unsafe { *info.dlpi_name } == 0
}

/// The machine's numbers for slots: of a function, of an address, and of a plain word.
#[cfg(target_arch = "x86_64")]
const KINDS: [u64; 3] = [7, 6, 1];
#[cfg(target_arch = "aarch64")]
const KINDS: [u64; 3] = [1026, 1025, 257];

#[repr(C)]
struct Relocation {
    place: u64,
    info: u64,
    addend: i64,
}

#[repr(C)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: u64,
    size: u64,
}

#[repr(C)]
struct Dynamic {
    tag: u64,
    value: u64,
}

/// A library's own tables.
struct Library {
    bias: usize,
    symbols: *const Symbol,
    names: *const u8,
    tables: [(*const Relocation, usize); 2],
    /// What can be run.
    code: (usize, usize),
    /// What can be written only until the dynamic linker is ready.
    protected: (usize, usize),
}

impl Library {
    /// None for those that are left alone.
    ///
    /// # Safety
    /// The library is loaded.
    unsafe fn of(info: &libc::dl_phdr_info) -> Option<Library> {
        const DT_STRTAB: u64 = 5;
        const DT_SYMTAB: u64 = 6;
        const DT_RELA: u64 = 7;
        const DT_RELASZ: u64 = 8;
        const DT_PLTRELSZ: u64 = 2;
        const DT_JMPREL: u64 = 23;
        let bias = info.dlpi_addr as usize;
        // SAFETY: a plain question.
        let linker = unsafe { libc::getauxval(libc::AT_BASE) } as usize;
        if (bias == linker && linker != 0) || is_kernel(info) {
            return None;
        }
        // SAFETY: the table has so many entries.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        let own = library as *const () as usize;
        let (mut code, mut protected, mut dynamic) = ((usize::MAX, 0), (0, 0), null::<Dynamic>());
        for header in headers {
            let start = bias.wrapping_add(header.p_vaddr as usize);
            let end = start.wrapping_add(header.p_memsz as usize);
            match header.p_type {
                libc::PT_LOAD if header.p_flags & libc::PF_X != 0 => {
                    if (start..end).contains(&own) {
                        return None;
                    }
                    code = (code.0.min(start), code.1.max(end));
                }
                libc::PT_GNU_RELRO => protected = (start & !(PAGE - 1), end & !(PAGE - 1)),
                libc::PT_DYNAMIC => dynamic = start as *const Dynamic,
                _ => {}
            }
        }
        if dynamic.is_null() {
            return None;
        }
        let mut library =
            Library { bias, symbols: null(), names: null(), tables: [(null(), 0); 2], code, protected };
        // Some linkers leave addresses as the file has them.
        let place = |value: u64| if (value as usize) < bias { bias + value as usize } else { value as usize };
        // SAFETY: the section ends with an entry of zeroes.
        unsafe {
            while (*dynamic).tag != 0 {
                let value = (*dynamic).value;
                match (*dynamic).tag {
                    DT_STRTAB => library.names = place(value) as *const u8,
                    DT_SYMTAB => library.symbols = place(value) as *const Symbol,
                    DT_RELA => library.tables[0].0 = place(value) as *const Relocation,
                    DT_RELASZ => library.tables[0].1 = value as usize,
                    DT_JMPREL => library.tables[1].0 = place(value) as *const Relocation,
                    DT_PLTRELSZ => library.tables[1].1 = value as usize,
                    _ => {}
                }
                dynamic = dynamic.add(1);
            }
        }
        (!library.names.is_null() && !library.symbols.is_null()).then_some(library)
    }

    /// # Safety
    /// The library is loaded.
    unsafe fn change(&self, work: Work) {
        let mut is_open = false;
        let mut is_left_alone = false;
        for (table, bytes) in self.tables.into_iter().filter(|(table, _)| !table.is_null()) {
            for index in 0..bytes / size_of::<Relocation>() {
                // SAFETY: the table has so many entries, each of which has a symbol with a name and a place in the library.
                unsafe {
                    let Relocation { place, info, addend } = table.add(index).read();
                    let kind = info & 0xffff_ffff;
                    if !KINDS.contains(&kind) || addend != 0 {
                        continue;
                    }
                    let symbol = &*self.symbols.add((info >> 32) as usize);
                    let Some(pair) = self.function(symbol) else { continue };
                    let slot = self.bias.wrapping_add(place as usize);
                    // A library that has such a function of its own may mean that one.
                    let may_wait = kind == KINDS[0]
                        && (symbol.section == 0
                            || self.bias.wrapping_add(symbol.value as usize) == pair.real);
                    let Some((from, to)) = self.wanted(work, pair, slot, may_wait) else { continue };
                    if (self.protected.0..self.protected.1).contains(&slot) && !is_open {
                        if is_left_alone || maps::is_writable(slot) {
                            // The dynamic linker is at work on it.
                            is_left_alone = true;
                            continue;
                        }
                        is_open = self.protect(libc::PROT_READ | libc::PROT_WRITE);
                        if !is_open {
                            continue;
                        }
                    }
                    let word = &*(slot as *const AtomicUsize);
                    let _ = word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
                }
            }
        }
        if is_open {
            self.protect(libc::PROT_READ);
        }
    }

    /// # Safety
    /// The symbol is the library's.
    unsafe fn function(&self, symbol: &Symbol) -> Option<&'static Pair> {
        // SAFETY: the caller promises the symbol; nobody writes the functions while slots are changed.
        unsafe {
            let name = self.names.add(symbol.name as usize);
            if !b"mfcrpavd".contains(&*name) {
                return None;
            }
            let name = CStr::from_ptr(name.cast());
            (*FUNCTIONS.0.get()).iter().find(|pair| pair.name == name && pair.real != 0)
        }
    }

    /// What a slot holds and what it is to hold.
    ///
    /// # Safety
    /// It is a slot of the library's.
    unsafe fn wanted(&self, work: Work, pair: &Pair, slot: usize, may_wait: bool) -> Option<(usize, usize)> {
        // SAFETY: the caller promises the slot.
        let held = unsafe { (*(slot as *const AtomicUsize)).load(Ordering::Acquire) };
        if work == Work::TakeBack {
            return (held == pair.hook).then(|| (held, before(slot).unwrap_or(pair.real)));
        }
        // Until it is first called through, a slot leads back into its own library, which then looks for the function.
        let is_not_yet_found = may_wait && (self.code.0..self.code.1).contains(&held);
        ((held == pair.real || is_not_yet_found) && note(slot, held)).then_some((held, pair.hook))
    }

    fn protect(&self, protection: c_int) -> bool {
        let (start, end) = self.protected;
        // SAFETY: it is what the dynamic linker protects itself.
        unsafe { libc::syscall(libc::SYS_mprotect, start, end - start, protection) == 0 }
    }
}

const PAGE: usize = 4096;

fn is_kernel(info: &libc::dl_phdr_info) -> bool {
    // SAFETY: it is null or a text.
    !info.dlpi_name.is_null()
        && unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes().starts_with(b"linux-vdso")
}

fn note(slot: usize, before: usize) -> bool {
    let count = CHANGED_COUNT.load(Ordering::Relaxed);
    // SAFETY: the dynamic linker's lock is held, and there is room for that many.
    unsafe {
        let place = *CHANGED.0.get();
        if count >= CHANGED_MAX || place.is_null() {
            return false;
        }
        place.add(count).write(Changed { slot, before });
    }
    CHANGED_COUNT.store(count + 1, Ordering::Relaxed);
    true
}

fn before(slot: usize) -> Option<usize> {
    let count = CHANGED_COUNT.load(Ordering::Relaxed);
    // SAFETY: as in `note`; so many were written.
    let changed = unsafe {
        let place = *CHANGED.0.get();
        if place.is_null() {
            return None;
        }
        std::slice::from_raw_parts(place, count)
    };
    // The memory of a library that is gone may hold another's slot: the last is what counts.
    changed.iter().rev().find(|changed| changed.slot == slot).map(|changed| changed.before)
}
