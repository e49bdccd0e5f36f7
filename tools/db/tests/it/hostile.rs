//! What the fuzzer is fed, replayed.

use std::path::Path;

use naja_db::hostile::TARGETS;

#[test]
fn the_corpus_of_each_target_does_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in TARGETS {
        let mut count = 0;
        for file in std::fs::read_dir(corpus.join(name)).expect("each target has a corpus") {
            let input = std::fs::read(file.expect("it can be listed").path()).expect("it can be read");
            // Whole, and cut off anywhere, as a broken file is.
            for end in 0..=input.len() {
                target(&input[..end]);
            }
            count += 1;
        }
        assert!(count > 3, "{name}");
    }
}
