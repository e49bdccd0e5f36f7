//! Whether a thread may be made to load a library just now: whether it holds none of the locks that this takes.
//!
//! Those are the locks of `malloc`, of the dynamic linker, and of what starts and ends threads and processes. A thread that
//! holds one stands in a function of the C library that has taken it, or in one that is called by it, which its stack
//! shows. Where the stack cannot be read that far, the thread is left alone. Start at [`Moments::of`].

use std::io;
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::modules::{Module, ModuleFile, ModuleFiles};
use crate::stack::{Registers, StackCopy};
use crate::unwind::{End, Unwinder};

/// What is read of a stack: who has taken a lock stands near its end.
const STACK_BYTES: usize = 256 << 10;

/// Frames that begin a thread: the C library's own functions around it.
const ROOT_FRAMES_MAX: usize = 4;

/// Functions within which a lock may be held, or a half-made state be seen.
const HOLDERS: [&str; 40] = [
    "malloc",
    "free",
    "calloc",
    "realloc",
    "reallocarray",
    "memalign",
    "aligned_alloc",
    "posix_memalign",
    "valloc",
    "pvalloc",
    "cfree",
    "malloc_trim",
    "malloc_stats",
    "malloc_info",
    "mallinfo",
    "mallinfo2",
    "mallopt",
    "malloc_usable_size",
    "fork",
    "_Fork",
    "vfork",
    "__libc_fork",
    "__vfork",
    "exit",
    "_exit",
    "quick_exit",
    "pthread_create",
    "pthread_exit",
    "pthread_atfork",
    "pthread_key_create",
    "pthread_key_delete",
    "dl_iterate_phdr",
    "__cxa_finalize",
    "__cxa_atexit",
    "__register_atfork",
    "atexit",
    "on_exit",
    "pthread_getattr_np",
    "__nptl_deallocate_tsd",
    "_dl_find_object",
];
/// And all whose names begin like that.
const HOLDERS_BEGIN: [&str; 5] = ["__libc_mall", "__libc_dl", "dl", "_dl_", "__libc_free"];

/// What may be done with a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It may be borrowed.
    Free,
    /// Not yet: it is within a function that it will come out of.
    Within,
    /// It is not known.
    Unknown,
}

/// What a library is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    C,
    Linker,
    /// Has an allocator of its own, or is naja's.
    Allocator,
    Other,
}

/// Looks at threads of one process.
pub(crate) struct Moments {
    pid: u32,
    unwinder: Unwinder,
    stack: StackCopy,
    addresses: Vec<u64>,
    kinds: FxHashMap<usize, Kind>,
    /// The functions of the C library, by their addresses in the file.
    functions: FxHashMap<usize, Vec<(Range<u64>, bool)>>,
}

impl Moments {
    /// Errors: those of what is mapped
    pub(crate) fn new(pid: u32, files: &mut ModuleFiles) -> io::Result<Moments> {
        Ok(Moments {
            pid,
            unwinder: Unwinder::new(pid, files)?,
            stack: StackCopy::default(),
            addresses: Vec::new(),
            kinds: FxHashMap::default(),
            functions: FxHashMap::default(),
        })
    }

    fn kind(&mut self, file: &Arc<ModuleFile>) -> Kind {
        *self.kinds.entry(Arc::as_ptr(file) as usize).or_insert_with(|| kind_of(file))
    }

    /// What may be done with a thread that stands still.
    pub(crate) fn of(&mut self, registers: &libc::user_regs_struct, files: &mut ModuleFiles) -> Moment {
        let at = Registers { pc: registers.rip, sp: registers.rsp, fp: registers.rbp, lr: 0 };
        self.unwinder.refresh_where_due(files);
        if self.stack.fill(self.pid, at.sp, STACK_BYTES).is_err() {
            return Moment::Unknown;
        }
        self.addresses.clear();
        let mut addresses = std::mem::take(&mut self.addresses);
        let end = self.unwinder.unwind(at, &self.stack, &mut addresses);
        let moment = self.of_stack(&addresses, end);
        self.addresses = addresses;
        moment
    }

    fn of_stack(&mut self, addresses: &[u64], end: End) -> Moment {
        // Whether the frames so far, up to the last, are all of the C library and not known by name.
        let mut nameless = 0;
        for address in addresses {
            let Some(module) = self.unwinder.modules().find(*address) else {
                // Code that is made while the program runs.
                if nameless > 0 {
                    return Moment::Within;
                }
                continue;
            };
            let module: Module = module.clone();
            match self.kind(&module.file) {
                Kind::Linker | Kind::Allocator => return Moment::Within,
                Kind::Other if nameless > 0 => return Moment::Within,
                Kind::Other => {}
                Kind::C => match self.is_holder(&module, *address) {
                    Some(true) => return Moment::Within,
                    Some(false) => nameless = 0,
                    None => nameless += 1,
                },
            }
        }
        let is_all = nameless == addresses.len();
        match end {
            End::Root if nameless <= ROOT_FRAMES_MAX && !is_all => Moment::Free,
            End::Root => Moment::Within,
            // The stack goes on in code that cannot be followed: what stands near its end was seen.
            _ if nameless == 0 && !addresses.is_empty() => Moment::Free,
            _ => Moment::Unknown,
        }
    }

    /// Whether a function of the C library may hold a lock; none where it has no name.
    fn is_holder(&mut self, module: &Module, address: u64) -> Option<bool> {
        let key = Arc::as_ptr(&module.file) as usize;
        let functions = self.functions.entry(key).or_insert_with(|| {
            let mut found: Vec<(Range<u64>, bool)> = Vec::new();
            for (name, range) in module.file.function_ranges(&|_| true) {
                let is_holder = HOLDERS.contains(&name.as_str())
                    || HOLDERS_BEGIN.iter().any(|begin| name.starts_with(begin));
                found.push((range, is_holder));
            }
            found.sort_by_key(|(range, _)| (range.start, range.end));
            found
        });
        let address = address.wrapping_sub(module.bias);
        let after = functions.partition_point(|(range, _)| range.start <= address);
        // Several names may stand for one function.
        let near = functions.get(after.saturating_sub(8)..after).unwrap_or_default();
        let mut named = near.iter().filter(|(range, _)| range.contains(&address)).peekable();
        named.peek()?;
        Some(named.any(|(_, is_holder)| *is_holder))
    }
}

fn kind_of(file: &Arc<ModuleFile>) -> Kind {
    let name = file.name();
    let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    if begins(&["ld-musl"]) {
        return Kind::C;
    }
    if begins(&["ld-", "ld.", "ld64"]) {
        return Kind::Linker;
    }
    if begins(&["libc.", "libc-", "libpthread", "libdl"]) {
        return Kind::C;
    }
    let is_allocator =
        begins(&["libnaja_memory_agent", "libjemalloc", "libtcmalloc", "libmimalloc", "libasan"]);
    if is_allocator { Kind::Allocator } else { Kind::Other }
}
