//! Bytes that are nearly right.

use std::path::Path;

/// A fuzz target: its name, which is its folder in the corpus, and what it runs.
type Entry = (&'static str, fn(&[u8]));

/// Runs what is in the corpus, and what comes near it.
pub(crate) fn replay(entries: &[Entry]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut random = Random::default();
    for (name, entry) in entries {
        let folder = corpus.join(name);
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .expect("the corpus is there")
            .map(|file| file.expect("it can be listed").path())
            .collect();
        files.sort();
        assert!(files.len() > 3, "the corpus of {name} is there");
        for file in files {
            let whole = std::fs::read(&file).expect("it can be read");
            entry(&whole);
            for _ in 0..400 {
                entry(&damaged(&whole, &mut random));
            }
        }
    }
}

/// Runs random bytes.
pub(crate) fn throw(entries: &[Entry]) {
    let mut random = Random::default();
    for round in 0..20_000 {
        let size = 2 + random.next() % [8, 40, 400][round % 3];
        // Small bytes make small lengths and counts, which get further than random ones.
        let mask = [0xff, 0x0f, 0x03][round / 3 % 3];
        let mut input: Vec<u8> = (0..size).map(|_| random.next() as u8 & mask).collect();
        input[0] = random.next() as u8;
        for (_, entry) in entries {
            entry(&input);
        }
    }
}

/// The same numbers each time.
struct Random(u64);

impl Default for Random {
    fn default() -> Random {
        Random(0x2545_F491_4F6C_DD1D)
    }
}

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize
    }
}

/// One to four bytes changed, a length made negative or huge, a piece cut out or doubled.
fn damaged(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    for _ in 0..1 + random.next() % 4 {
        let place = random.next() % bytes.len();
        match random.next() % 6 {
            0 => bytes[place] = random.next() as u8,
            1 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][random.next() % 5],
            2 => bytes[place] = bytes[place].wrapping_add(1),
            3 => bytes.truncate(place + 1),
            4 => {
                let end = (place + random.next() % 8).min(bytes.len());
                let piece = bytes[place..end].to_vec();
                bytes.splice(place..place, piece);
            }
            _ => {
                let end = (place + 4).min(bytes.len());
                let length =
                    [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0x80, 0, 0, 0], [0, 0, 0, 0]][random.next() % 4];
                bytes.splice(place..end, length);
            }
        }
    }
    bytes
}
