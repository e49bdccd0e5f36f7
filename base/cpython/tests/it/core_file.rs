//! Cores that hold nothing but what was read of a living process: small enough to be kept as seeds of the fuzzer.
//!
//! `NAJA_TEST_SEEDS=FOLDER cargo test -p naja-cpython --test it -- core_file` writes them there. Start at
//! [`what_was_read_of_a_process_is_enough`].

use std::cell::RefCell;
use std::path::Path;
use std::process::Command;

use naja_cpython::code::read_code;
use naja_cpython::core_file::CoreFile;
use naja_cpython::locate::{FoundBy, Located, Locator};
use naja_cpython::memory::{LiveProcess, Memory, MemoryError, Range};
use naja_cpython::objects::thread_names;
use naja_cpython::offsets::Version;
use naja_cpython::reader::{Frame, StackReader, Thread};
use naja_testkit::interpreters::interpreters;
use naja_testkit::target::Target;

/// It imports as little as it can: every name of a module that is read makes the core larger.
const PROGRAM: &str = r#"
import _thread, sys, threading
def generate():
    yield sys.stdin.read()
def main(text):
    print("0", flush=True)
    return list(generate())
lock = _thread.allocate_lock()
lock.acquire()
threading.Thread(target=lock.acquire, name="слуга", daemon=True).start()
main("näja")
"#;

/// A process's memory that remembers which parts of it were read.
struct Recorder {
    memory: LiveProcess,
    read: RefCell<Vec<Range>>,
}

impl Memory for Recorder {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        self.memory.read(address, buffer)?;
        self.read.borrow_mut().push(Range { address, len: buffer.len() });
        Ok(())
    }

    fn read_many(&self, ranges: &[Range], buffer: &mut [u8]) -> Result<usize, MemoryError> {
        let good = self.memory.read_many(ranges, buffer)?;
        let mut end = 0;
        for range in ranges {
            end += range.len;
            if end <= good {
                self.read.borrow_mut().push(*range);
            }
        }
        Ok(good)
    }
}

impl Recorder {
    /// What was read, in order of address, without overlaps.
    fn parts(&self) -> Vec<(u64, Vec<u8>)> {
        let mut ranges = self.read.borrow().clone();
        ranges.sort();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for Range { address, len } in ranges {
            // Whole pairs of words: a list is known by the address of its first field, whichever of them is read.
            let (address, end) = (address & !15, (address + len as u64).next_multiple_of(16));
            match merged.last_mut() {
                Some((_, last)) if address <= *last + GAP => *last = end.max(*last),
                _ => merged.push((address, end)),
            }
        }
        let read = |(start, end): (u64, u64)| {
            let mut bytes = vec![0; (end - start) as usize];
            self.memory.read(start, &mut bytes).map(|()| (start, bytes))
        };
        let parts: Vec<_> = merged.into_iter().map(read).collect();
        parts.into_iter().map(|part| part.unwrap()).collect()
    }
}

/// A line of `/proc/PID/maps`.
struct Mapped {
    start: u64,
    end: u64,
    flags: u32,
    offset: u64,
    path: String,
}

fn mapped(pid: u32) -> Vec<Mapped> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (start, end) = fields[0].split_once('-').unwrap();
        let flag = |letter, bit| if fields[1].contains(letter) { bit } else { 0 };
        let path = fields.get(5).copied().unwrap_or_default().to_owned();
        let flags = flag('r', 4) | flag('w', 2) | flag('x', 1);
        Mapped { start: hex(start), end: hex(end), flags, offset: hex(fields[2]), path }
    };
    text.lines().map(line).collect()
}

/// Where the fuzzer takes files to be that are never there.
fn nowhere(path: &str) -> String {
    format!("/nowhere/{}", Path::new(path).file_name().unwrap().to_str().unwrap())
}

#[derive(Default)]
struct Core {
    headers: Vec<u8>,
    content: Vec<u8>,
}

/// What lies between two parts takes less room than a segment for each.
const GAP: u64 = 48;
/// Zeroes take no more room in the file than this.
const ZEROES: usize = 1024;
/// A shorter run of zeroes costs less than a segment of its own.
const RUN_MIN: usize = 128;

impl Core {
    fn header(&mut self, kind: u32, flags: u32, offset: u64, address: u64, len: u64) {
        [kind, flags].iter().for_each(|word| self.headers.extend(word.to_le_bytes()));
        for word in [offset, address, 0, len, len, 1] {
            self.headers.extend(word.to_le_bytes());
        }
    }

    /// Offsets are those in `content`, which begins with zeroes, until the whole is put together.
    fn hold(&mut self, flags: u32, address: u64, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            // Words stay whole.
            let zeroes = bytes[at..].iter().take(ZEROES).take_while(|byte| **byte == 0).count() & !7;
            let len = if zeroes >= RUN_MIN {
                self.header(1, flags, 0, address + at as u64, zeroes as u64);
                zeroes
            } else {
                let run = bytes[at..].windows(RUN_MIN).position(|run| run.iter().all(|byte| *byte == 0));
                let len = run.map_or(usize::MAX, |run| run.next_multiple_of(8)).max(8).min(bytes.len() - at);
                self.header(1, flags, self.content.len() as u64, address + at as u64, len as u64);
                self.content.extend(&bytes[at..at + len]);
                len
            };
            at += len;
        }
    }

    fn note(&self, kind: u32, content: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        [5, content.len() as u32, kind].iter().for_each(|word| note.extend(word.to_le_bytes()));
        note.extend(b"CORE\0\0\0\0");
        note.extend(content);
        note.resize(note.len().next_multiple_of(4), 0);
        note
    }

    fn whole(self) -> Vec<u8> {
        let count = self.headers.len() / 56;
        let mut file = vec![0; 64];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16] = 4;
        file[18] = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
        file[32] = 64;
        file[54] = 56;
        file[56..58].copy_from_slice(&(count as u16).to_le_bytes());
        let content_at = (64 + self.headers.len()) as u64;
        let mut headers = self.headers;
        for header in headers.chunks_exact_mut(56) {
            let offset = u64::from_le_bytes(header[8..16].try_into().unwrap()) + content_at;
            header[8..16].copy_from_slice(&offset.to_le_bytes());
        }
        file.extend(headers);
        file.extend(self.content);
        file
    }
}

/// A core of what was read; with `hidden`, of a program that exports nothing.
fn core_of(pid: u32, parts: &[(u64, Vec<u8>)], located: &Located, hidden: bool) -> Vec<u8> {
    let maps = mapped(pid);
    let of_interpreter = |map: &&Mapped| Path::new(&map.path) == located.binary;
    let mut core = Core { content: vec![0; ZEROES], ..Core::default() };
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut status = vec![0; 36];
    status[12] = 6;
    status[32..36].copy_from_slice(&pid.to_le_bytes());
    let mut notes = core.note(1, &status);
    let mut info = vec![0; 136];
    info[24..28].copy_from_slice(&pid.to_le_bytes());
    info[56..65].copy_from_slice(b"python x ");
    notes.extend(core.note(3, &info));
    let first = maps.iter().find(of_interpreter).unwrap();
    notes.extend(core.note(6, &words(&[3, first.start + 64, 0, 0])));
    let files: Vec<&Mapped> = maps.iter().filter(of_interpreter).collect();
    let mut content = words(&[files.len() as u64, 1]);
    // Memory that the file has zeroed comes right behind it: parts of it would not be known to be the file's.
    let zeroed =
        |end| maps.iter().find(|map| map.start == end && map.path.is_empty()).map_or(end, |map| map.end);
    files.iter().for_each(|map| content.extend(words(&[map.start, zeroed(map.end), map.offset])));
    files.iter().for_each(|map| content.extend(format!("{}\0", nowhere(&map.path)).bytes()));
    notes.extend(core.note(0x4649_4c45, &content));
    core.header(4, 0, core.content.len() as u64, 0, notes.len() as u64);
    core.content.extend(notes);
    for (address, bytes) in parts {
        let (address, mut bytes) = (*address, bytes.clone());
        if hidden && files.iter().any(|map| (map.start..map.end).contains(&address)) {
            hide_symbols(&mut bytes);
        }
        // A part may reach over the border between two mappings.
        let mut at = address;
        while let Some(map) = maps.iter().find(|map| (map.start..map.end).contains(&at)) {
            let part = &bytes[(at - address) as usize..];
            let part = &part[..part.len().min((map.end - at) as usize)];
            core.hold(map.flags, at, part);
            at += part.len() as u64;
            if at == address + bytes.len() as u64 {
                break;
            }
        }
    }
    // What is looked for among the constants, which are read from the file where it is there.
    let constants = files.iter().find(|map| map.flags == 4 && map.offset > 0).unwrap_or(&first);
    core.hold(4, constants.end - 64, format!("Fatal Python error: \0{}\0", located.version).as_bytes());
    core.whole()
}

/// The same core, with another name for the folder that the interpreter is installed in.
fn nameless(mut core: Vec<u8>, folder: &Path) -> Vec<u8> {
    let name = folder.to_str().unwrap().as_bytes();
    for at in 0..core.len() - name.len() {
        if core[at..].starts_with(name) {
            core[at + 1..at + name.len()].fill(b'x');
        }
    }
    core
}

/// Takes the exported symbols away, as a stripped program has none.
fn hide_symbols(bytes: &mut [u8]) {
    for entry in bytes.chunks_exact_mut(8) {
        if *entry == 0x6fff_fef5_u64.to_le_bytes() {
            entry.copy_from_slice(&0x6fff_0000_u64.to_le_bytes());
        }
    }
}

/// Names of threads, and functions and lines of each stack.
fn told(memory: &dyn Memory, located: &Located) -> Option<Vec<String>> {
    let mut reader = StackReader::new(located.into());
    for _ in 0..8 {
        reader.sample(memory, &mut |_| false).ok()?;
    }
    let names = thread_names(memory, located, reader.interpreters()[0].address);
    let stack = |thread: &Thread| {
        let place = |frame: &Frame| {
            let code = read_code(memory, located, frame.code).ok()?;
            Some(format!("{} {}:{}", code.qualified_name, code.file, code.line_at(frame.instruction)))
        };
        let frames: Option<Vec<String>> = thread.frames.iter().map(place).collect();
        Some(format!("{:?} {:?}: {}", thread.outcome, names.get(&thread.ident), frames?.join(", ")))
    };
    let mut stacks: Vec<String> = reader.threads().iter().map(stack).collect::<Option<_>>()?;
    stacks.sort();
    Some(stacks)
}

/// Waits until the program stands still: its two threads have been seen alike several times.
fn at_rest(memory: &dyn Memory, located: &Located) -> Vec<String> {
    let mut last = Vec::new();
    let mut alike = 0;
    while alike < 5 {
        let now = told(memory, located).unwrap_or_default();
        alike = if now == last && now.len() == 2 { alike + 1 } else { 0 };
        last = now;
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    last
}

/// What a core tells, and what led to its interpreter; nothing where it has none.
fn told_by(core: &[u8], path: &Path) -> Option<(Version, FoundBy, Vec<String>)> {
    std::fs::write(path, core).unwrap();
    let core = CoreFile::open(path).ok()?;
    let located = Locator::default().locate_in_core(&core).ok()?;
    Some((located.version, located.found_by, told(&core, &located)?))
}

#[test]
fn what_was_read_of_a_process_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let seeds = std::env::var_os("NAJA_TEST_SEEDS");
    for interpreter in interpreters().iter().filter(|one| one.implementation == "cpython") {
        let mut command = interpreter.command();
        command.args(["-I", "-S", "-c", PROGRAM]);
        let target = Target::spawn(command, tempfile::tempdir().unwrap());
        let pid = target.pid();
        let live = LiveProcess::new(pid);
        let located = Locator::default().locate(pid, &live).unwrap();
        let expected = at_rest(&live, &located);
        let recorder = Recorder { memory: live, read: RefCell::default() };
        Locator::default().locate(pid, &recorder).unwrap();
        assert_eq!(told(&recorder, &located).as_ref(), Some(&expected), "{interpreter}");
        for (kind, found_by) in [("whole", FoundBy::Symbol), ("stripped", FoundBy::Scan)] {
            let expected = Some((located.version, found_by, expected.clone()));
            let path = folder.path().join(kind);
            let mut parts = recorder.parts();
            let core = |parts: &[(u64, Vec<u8>)]| core_of(pid, parts, &located, found_by == FoundBy::Scan);
            assert_eq!(told_by(&core(&parts), &path), expected, "{interpreter}: {kind}");
            let Some(seeds) = &seeds else { continue };
            // A seed is the better the smaller it is.
            for index in (0..parts.len()).rev() {
                let part = parts.remove(index);
                if told_by(&core(&parts), &path) != expected {
                    parts.insert(index, part);
                }
            }
            let (_, minor, _) = interpreter.version;
            let threads = if interpreter.free_threaded { "t" } else { "" };
            let seed = nameless(core(&parts), interpreter.path.ancestors().nth(2).unwrap());
            std::fs::write(Path::new(seeds).join(format!("python-3.{minor}{threads}-{kind}")), seed).unwrap();
        }
    }
}

#[test]
fn a_pipe_in_place_of_a_mapped_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("python3.12");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut core = Core { content: vec![0; ZEROES], ..Core::default() };
    let mut notes = core.note(1, &[0; 36]);
    let mut content = words(&[1, 1, 0x10_000, 0x20_000, 0]);
    content.extend(format!("{}\0", pipe.display()).bytes());
    notes.extend(core.note(0x4649_4c45, &content));
    core.header(4, 0, core.content.len() as u64, 0, notes.len() as u64);
    core.content.extend(notes);
    core.hold(6, 0x40_000, &[0; 64]);
    let path = folder.path().join("core");
    std::fs::write(&path, core.whole()).unwrap();
    let core = CoreFile::open(&path).unwrap();
    assert_eq!(core.read(0x10_000, &mut [0; 8]), Err(MemoryError::Unmapped));
    assert_eq!(core.missing_files(), [pipe]);
}
