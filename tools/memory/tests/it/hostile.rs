//! What an agent writes may be anything: the corpus of the fuzz target, and what comes near it.

use std::path::Path;

#[test]
fn the_corpus_of_rings_and_what_comes_near_it_does_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/memory_ring");
    let files = std::fs::read_dir(corpus).expect("the target has a corpus");
    let seeds: Vec<Vec<u8>> =
        files.map(|file| std::fs::read(file.expect("a file").path()).expect("it can be read")).collect();
    assert!(seeds.len() >= 4, "the corpus is missing");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for seed in seeds.iter().filter(|seed| !seed.is_empty()) {
        naja_memory::hostile::ring(seed);
        for round in 0..3000 {
            let mut bytes = seed.clone();
            for _ in 0..1 + round % 4 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = (random >> 33) as usize % bytes.len();
                bytes[place] = (random >> 24) as u8;
            }
            naja_memory::hostile::ring(&bytes);
        }
    }
}
