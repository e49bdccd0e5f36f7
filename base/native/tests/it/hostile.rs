//! Text and files that no kernel and no compiler would write.

use std::path::Path;
use std::sync::Arc;

use naja_native::maps;
use naja_native::modules::{ModuleFiles, Modules};
use naja_native::perf_map::PerfMap;
use naja_native::stack::{Registers, StackCopy};
use naja_native::symbols::Symbols;
use naja_native::unwind::{Unwinder, blocked_at};

use crate::{Running, programs};

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn the_corpus_does_no_harm() {
    assert!(corpus("maps").iter().map(|text| maps::parse(text).len()).sum::<usize>() > 0);
    for text in corpus("perf_map") {
        let map = PerfMap::parse(&text);
        map.name(0);
        map.name(u64::MAX);
    }
}

#[test]
fn damaged_lines_of_a_blocked_thread_are_nothing() {
    for line in
        [&b""[..], b"running", b"0x", b"0 zz 0x1", b"-1 0x0 0x0", b"0x12 \xff", b"0x11111111111111111 0x1"]
    {
        assert_eq!(blocked_at(line), None, "{}", String::from_utf8_lossy(line));
    }
    let found = blocked_at(b"202 0x1 0x2 0x7ffd 0x7f1c\n").unwrap();
    assert_eq!((found.sp, found.pc), (0x7ffd, 0x7f1c));
}

/// Changes bytes of a program's file all over, then asks for everything that is read from it.
#[test]
fn a_damaged_file_does_no_harm() {
    let whole = std::fs::read(&programs().full).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged");
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..1 + round * 20 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // The first half of the rounds damages headers and tables at the end, the rest everything.
            let len = bytes.len() as u64;
            let place =
                if round % 2 == 0 { len - 1 - (random >> 33) % 4096.min(len) } else { (random >> 33) % len };
            bytes[place as usize] = (random >> 20) as u8;
        }
        bytes.truncate(whole.len() - (round % 7) * 100);
        std::fs::write(&path, &bytes).unwrap();
        naja_native::hostile::everything(&path);
    }
}

#[test]
fn registers_and_stacks_that_lead_nowhere_end_the_walk() {
    let running = Running::ready(&programs().full, &["spin"]);
    let mut files = ModuleFiles::default();
    let mut unwinder = Unwinder::new(running.pid(), &mut files).unwrap();
    let modules = Modules::read(running.pid(), &mut files).unwrap();
    let inside = modules.list().iter().map(|module| module.start + (module.end - module.start) / 2);
    let places: Vec<u64> = inside.chain([0, 1, 4096, u64::MAX - 8, u64::MAX]).collect();
    for &pc in &places {
        for &sp in &places {
            let mut stack = StackCopy::default();
            let _ = stack.fill(running.pid(), sp, 4096);
            let mut addresses = Vec::new();
            unwinder.unwind(Registers { pc, sp, fp: sp.wrapping_add(16), lr: pc }, &stack, &mut addresses);
            assert!(addresses.len() <= 1 << 16);
        }
    }
    let mut symbols = Symbols::default();
    for module in modules.list() {
        for address in [0, u64::MAX, module.start, module.start.wrapping_sub(module.bias)] {
            assert!(!symbols.frames(&Arc::clone(&module.file), address).is_empty());
        }
    }
}
