//! Input that wants to do harm: no panic, no endless loop.

use std::path::Path;

use naja_dates::hostile::ENTRIES;

#[test]
fn the_corpus_of_rules_and_zones_does_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut inputs = 0;
    for (name, run) in ENTRIES {
        for file in std::fs::read_dir(corpus.join(name)).into_iter().flatten() {
            let file = file.expect("the corpus can be read").path();
            run(&std::fs::read(&file).expect("the corpus can be read"));
            inputs += 1;
        }
    }
    assert!(inputs >= ENTRIES.len(), "the corpus is there");
}

#[test]
fn a_file_with_any_one_byte_changed_does_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/tzif/new_york_slim");
    let file = std::fs::read(corpus).expect("the corpus is there");
    let (_, run) = ENTRIES.iter().find(|(name, _)| *name == "tzif").expect("files are an entry");
    for at in 0..file.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff, file[at] ^ 1] {
            let mut broken = file.clone();
            broken[at] = byte;
            run(&broken);
        }
    }
}
