//! Text that no person would write.

use std::path::Path;

use naja_source::imports::imports;

/// Replays what fuzzing has found worth keeping: `fuzz/corpus/imports/*`.
#[test]
fn the_corpus_does_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/imports");
    let mut whole = 0;
    for file in std::fs::read_dir(corpus).expect("the corpus is there") {
        let bytes = std::fs::read(file.expect("it can be listed").path()).expect("it can be read");
        let text = String::from_utf8_lossy(&bytes);
        whole += usize::from(imports(&text).is_whole);
        // What a file that is being written looks like.
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            imports(&text[..end]);
        }
    }
    assert!(whole > 3, "some of the corpus is Python");
}

#[test]
fn what_lies_too_deep_is_said_to_be_missing() {
    for text in [
        format!("x = {}1", "-".repeat(100_000)),
        format!("x = {}", vec!["a"; 50_000].join("+")),
        format!("a{}", "()".repeat(50_000)),
        format!("x = {}", "[".repeat(20_000)),
    ] {
        let found = imports(&format!("import a\n{text}\n"));
        assert!(!found.is_whole);
        assert_eq!(found.imports.len(), 1, "the rest is there");
    }
}
