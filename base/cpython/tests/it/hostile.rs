//! Reading must end, without a panic, whatever the memory holds.

use std::path::Path;

use naja_cpython::hostile;

type Entry = (&'static str, fn(&[u8]));

const ENTRIES: [Entry; 9] = [
    ("lines", hostile::lines),
    ("code", hostile::code),
    ("strings", hostile::strings),
    ("names", hostile::names),
    ("stacks", hostile::stacks),
    ("tasks", hostile::tasks),
    ("values", hostile::values),
    ("core_file", hostile::core_file),
    ("heap", hostile::heap),
];

/// Replays what fuzzing has found worth keeping: `fuzz/corpus/TARGET/*`.
#[test]
fn the_corpus_does_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut inputs = 0;
    for (name, entry) in ENTRIES {
        for file in std::fs::read_dir(corpus.join(name)).into_iter().flatten() {
            entry(&std::fs::read(file.unwrap().path()).unwrap());
            inputs += 1;
        }
    }
    assert!(inputs >= ENTRIES.len(), "the corpus is there");
}

#[test]
fn random_memory_does_no_harm() {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..180 {
        let size = 1 + (random() % [16, 300, 5000][round % 3]) as usize;
        // Small bytes make small lengths and counts, which get further than random ones.
        let mask = [0xff, 0x0f, 0x03][round / 3 % 3];
        let mut input: Vec<u8> = (0..size).map(|_| random() as u8 & mask).collect();
        if let Some(first) = input.first_mut() {
            *first = random() as u8;
        }
        for (_, entry) in ENTRIES {
            entry(&input);
        }
    }
}
