//! What a process's memory holds of the files that it maps, to compare before and after something was done to it.

use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The mapped files of a process at one moment.
pub struct Image {
    /// Stretches that cannot be written, with where they lie, and what they hold.
    protected: Vec<(String, Vec<u8>)>,
    /// All words of those that can.
    words: Vec<u64>,
    /// The files' names.
    pub names: Vec<String>,
}

impl Image {
    /// That of a process.
    ///
    /// # Panics
    /// When it has ended, or may not be read.
    pub fn of(pid: u32) -> Image {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it runs");
        let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("it may be read");
        let mut image = Image { protected: Vec::new(), words: Vec::new(), names: Vec::new() };
        for line in maps.lines() {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let Some(name) = fields.get(5).filter(|name| name.starts_with('/')) else { continue };
            let Range { start, end } = stretch(line);
            let mut bytes = vec![0; (end - start) as usize];
            image.names.push((*name).to_owned());
            if !fields[1].starts_with('r') || memory.read_exact_at(&mut bytes, start).is_err() {
                continue;
            }
            if fields[1].contains('w') {
                let word = |word: &[u8]| u64::from_le_bytes(word.try_into().expect("eight bytes"));
                image.words.extend(bytes.chunks_exact(8).map(word));
            } else {
                image.protected.push((format!("{} {} {name}", fields[0], fields[1]), bytes));
            }
        }
        image
    }

    /// Whether anything of a file that can be written leads there.
    pub fn leads_to(&self, range: &Range<u64>) -> bool {
        self.words.iter().any(|word| range.contains(word))
    }

    /// The first stretch that is not in the other, or does not hold the same there.
    pub fn first_that_differs<'a>(&'a self, other: &Image) -> Option<&'a str> {
        let differs = |(place, bytes): &&(String, Vec<u8>)| {
            !other.protected.iter().any(|(there, held)| there == place && held == bytes)
        };
        self.protected.iter().find(differs).map(|(place, _)| place.as_str())
    }
}

/// Where a file lies in a process, from its first byte to its last, if it does.
///
/// # Panics
/// When the process has ended.
pub fn range_of(pid: u32, name: &str) -> Option<Range<u64>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it runs");
    let mut lines = maps.lines().filter(|line| line.contains(name));
    let first = stretch(lines.next()?);
    Some(first.start..lines.next_back().map_or(first.end, |last| stretch(last).end))
}

fn stretch(line: &str) -> Range<u64> {
    let number = |text| u64::from_str_radix(text, 16).expect("a number");
    let (start, end) = line.split(' ').next().and_then(|first| first.split_once('-')).expect("a stretch");
    number(start)..number(end)
}
