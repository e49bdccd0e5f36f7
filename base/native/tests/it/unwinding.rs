//! From registers to names.

use std::path::Path;

use naja_native::modules::ModuleFiles;
use naja_native::pause::{PauseError, Pauser};
use naja_native::stack::{COPY_BYTES_FIRST, Registers, StackCopy};
use naja_native::symbols::{NativeFrame, Symbols};
use naja_native::unwind::{End, Unwinder, blocked_at};
use object::{Object as _, ObjectSection as _};

use crate::{Running, programs};

/// The stack of a paused program: how its walk ended, and its addresses.
fn paused(running: &Running, unwinder: &mut Unwinder, len: usize) -> (End, Vec<u64>) {
    let (mut stack, mut registers) = (StackCopy::default(), Registers::default());
    let mut pauser = Pauser::default();
    let mut body = |found: Registers| {
        registers = found;
        stack.fill(running.pid(), found.sp, len).unwrap();
    };
    // On a busy machine a program may get no processor to stop on.
    while pauser.pause(running.pid(), &mut body) == Err(PauseError::Late) {}
    let mut addresses = Vec::new();
    let end = unwinder.unwind(registers, &stack, &mut addresses);
    (end, addresses)
}

fn names(unwinder: &Unwinder, addresses: &[u64]) -> Vec<NativeFrame> {
    let mut symbols = Symbols::default();
    let frames = |address: &u64| match unwinder.modules().find(*address) {
        Some(module) => symbols.frames(&module.file, address.wrapping_sub(module.bias)).to_vec(),
        None => Vec::new(),
    };
    addresses.iter().flat_map(frames).collect()
}

/// Samples until the program is in its endless leaf, and not in the call before, which tells that it is ready.
fn names_in_the_leaf(running: &Running, unwinder: &mut Unwinder) -> Vec<NativeFrame> {
    loop {
        let (end, addresses) = paused(running, unwinder, COPY_BYTES_FIRST);
        assert_eq!(end, End::Root);
        let found = names(unwinder, &addresses);
        if found[1].function == "zoo::Snake<int>::shed" {
            return found;
        }
    }
}

fn line_of(text: &str) -> u32 {
    let source = include_str!("../data/chain.c");
    source.lines().position(|line| line.contains(text)).unwrap() as u32 + 1
}

#[test]
fn a_stack_is_named_with_its_inlined_calls_and_lines() {
    let running = Running::ready(&programs().full, &["spin"]);
    let mut unwinder = Unwinder::new(running.pid(), &mut ModuleFiles::default()).unwrap();
    let found = names_in_the_leaf(&running, &mut unwinder);
    let functions: Vec<&str> = found.iter().map(|frame| frame.function.as_str()).collect();
    let expected = ["leaf", "zoo::Snake<int>::shed", "through_library", "middle", "outer", "main"];
    assert_eq!(functions[..6], expected, "{functions:?}");
    assert_eq!(found[0].line, line_of("the leaf's line"));
    assert_eq!(found[3].line, line_of("the call that is inlined"));
    assert_eq!(Path::new(&found[3].file).file_name().unwrap(), "chain.c");
    assert_eq!(Path::new(&found[1].file).file_name().unwrap(), "library.cpp");
}

#[test]
fn a_stripped_program_is_unwound_as_well() {
    let running = Running::ready(&programs().stripped, &["spin"]);
    let mut unwinder = Unwinder::new(running.pid(), &mut ModuleFiles::default()).unwrap();
    let found = names_in_the_leaf(&running, &mut unwinder);
    let functions: Vec<&str> = found.iter().map(|frame| frame.function.as_str()).collect();
    assert_eq!(functions[..5], ["", "zoo::Snake<int>::shed", "through_library", "", ""], "{functions:?}");
}

#[test]
fn a_blocked_thread_is_unwound_without_a_pause_where_no_frame_pointer_is_needed() {
    let running = Running::ready(&programs().full, &["wait"]);
    let pid = running.pid();
    let mut unwinder = Unwinder::new(pid, &mut ModuleFiles::default()).unwrap();
    let registers = loop {
        let line = std::fs::read(format!("/proc/{pid}/task/{pid}/syscall")).unwrap();
        if let Some(registers) = blocked_at(&line).filter(|_| !line.starts_with(b"running")) {
            break registers;
        }
    };
    let mut stack = StackCopy::default();
    stack.fill(pid, registers.sp, COPY_BYTES_FIRST).unwrap();
    let mut addresses = Vec::new();
    let end = unwinder.unwind(registers, &stack, &mut addresses);
    let functions: Vec<String> =
        names(&unwinder, &addresses).into_iter().map(|frame| frame.function).collect();
    assert!(functions.iter().any(|name| name == "waiter"), "{functions:?}");
    // `outer` makes room on its stack as it goes, so that its frame pointer is needed: nobody on the way has
    // saved it, and the walk says so.
    match end {
        End::Root => assert!(functions.iter().any(|name| name == "main"), "{functions:?}"),
        End::RegisterUnknown => {
            let (end, addresses) = paused(&running, &mut unwinder, COPY_BYTES_FIRST);
            assert_eq!(end, End::Root);
            assert!(names(&unwinder, &addresses).iter().any(|frame| frame.function == "main"));
        }
        other => panic!("{other:?} {functions:?}"),
    }
}

#[test]
fn a_stack_that_was_copied_too_short_says_so() {
    let running = Running::ready(&programs().full, &["deep"]);
    let mut unwinder = Unwinder::new(running.pid(), &mut ModuleFiles::default()).unwrap();
    assert_eq!(paused(&running, &mut unwinder, COPY_BYTES_FIRST).0, End::CopyTooShort);
    let (end, addresses) = paused(&running, &mut unwinder, 16 * COPY_BYTES_FIRST);
    assert_eq!(end, End::Root);
    let functions = names(&unwinder, &addresses);
    assert_eq!(functions.iter().filter(|frame| frame.function == "deep").count(), 201);
}

#[test]
fn stubs_of_calls_to_other_libraries_have_no_name_of_another_function() {
    let running = Running::ready(&programs().full, &["spin"]);
    let unwinder = Unwinder::new(running.pid(), &mut ModuleFiles::default()).unwrap();
    let modules = unwinder.modules().list();
    let module = modules.iter().find(|module| module.file.path().ends_with("/full")).unwrap();
    let bytes = std::fs::read(&programs().full).unwrap();
    let elf = object::File::parse(&*bytes).unwrap();
    let name_in = |section: &str| {
        let section = elf.section_by_name(section)?;
        let frames = Symbols::default().frames(&module.file, section.address() + section.size() / 2);
        Some(frames.iter().map(|frame| frame.function.clone()).collect::<Vec<_>>())
    };
    let stubs: Vec<_> = [".plt", ".plt.sec", ".plt.got"].into_iter().filter_map(name_in).collect();
    assert!(!stubs.is_empty() && stubs.iter().all(|names| names.iter().all(String::is_empty)), "{stubs:?}");
}
