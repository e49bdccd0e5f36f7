//! Resident memory beside what is in use, and what is known of the difference.
//!
//! While a program is recorded, its mappings are looked at whenever more is resident than before; never so often that the
//! looks cost more than a fiftieth of the time. What cannot be known is not guessed: it is named together, with its sum.
//! Start at [`Looks::look`] and [`Resident::of`].

use std::fs;
use std::time::{Duration, Instant};

use naja_recording::{Reader, RecordingError, ResidentParts};
use naja_report::text::bytes;
use rustc_hash::FxHashMap;
use serde::Serialize;

/// So many times as long as a look took, there is none.
const PAUSE: u32 = 50;
/// A look is worth it where resident memory has grown by a part of that.
const GROWTH_PARTS: u64 = 50;
/// How memory that is shared with children, and of no file, is called.
const SHARED: &str = "/dev/zero";
/// How a mapping of the recorder's own is called.
const OWN_BUFFER: &str = "/memfd:naja";

/// The looks at the mappings of processes.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// The most that was resident at a look, process by process.
    highest: FxHashMap<u32, u64>,
    not_before: Option<Instant>,
}

impl Looks {
    /// Looks at the mappings of a process, if it has more resident memory than at the last look.
    pub(crate) fn look(&mut self, pid: u32, process: u32, rss_bytes: u64) -> Option<ResidentParts> {
        let highest = self.highest.get(&process).copied().unwrap_or(0);
        let start = Instant::now();
        if rss_bytes <= highest + highest / GROWTH_PARTS || self.not_before.is_some_and(|time| start < time) {
            return None;
        }
        let text = fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?;
        let parts = parts_of(&text);
        self.not_before = Some(start + start.elapsed().max(Duration::from_micros(100)) * PAUSE);
        // A process that is over has no mappings.
        if parts.resident_bytes == 0 {
            return None;
        }
        self.highest.insert(process, rss_bytes);
        Some(ResidentParts { process, ..parts })
    }
}

/// Sums the mappings of a process, as the system lists them.
fn parts_of(smaps: &str) -> ResidentParts {
    let mut parts = ResidentParts::default();
    let mut name = "";
    for line in smaps.lines() {
        let Some((key, value)) = line.split_once(':').filter(|(key, _)| !key.contains('-')) else {
            // `7f12-7f34 r-xp 00000000 08:01 1234   /usr/lib/libc.so.6`: the sixth word and what follows.
            name = line.splitn(6, ' ').nth(5).unwrap_or("").trim();
            continue;
        };
        let kib = || value.trim().split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        let is_kernels = matches!(name, "[vvar]" | "[vvar_vclock]" | "[vdso]" | "[vsyscall]");
        let is_own = !is_kernels && (!name.starts_with('/') || name.starts_with(SHARED));
        match key {
            "Size" if is_own => parts.own_mapped_bytes += kib() << 10,
            "Rss" => {
                let bytes = kib() << 10;
                parts.resident_bytes += bytes;
                match name {
                    _ if name.starts_with(OWN_BUFFER) => parts.recorder_bytes += bytes,
                    _ if is_own => parts.own_bytes += bytes,
                    _ => parts.files_bytes += bytes,
                }
            }
            _ => {}
        }
    }
    parts
}

/// A part of resident memory, or of what is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is.
    pub name: &'static str,
    /// How much.
    pub bytes: u64,
    /// Whether it is a part of the last one before it that is not.
    pub within: bool,
}

/// What is known of a process's resident memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resident {
    /// Of which process and when.
    pub about: String,
    /// The figures.
    pub parts: Vec<Part>,
    /// What follows from them.
    pub notes: Vec<String>,
}

impl Resident {
    /// Of the process and the moment with the most, where somebody looked.
    pub(crate) fn of(reader: &Reader<'_>) -> Result<Option<Resident>, RecordingError> {
        let looks = reader.resident_parts()?;
        let Some(most) = looks.into_iter().max_by_key(|look| look.resident_bytes) else { return Ok(None) };
        let pid = reader.processes()?.into_iter().find(|process| process.id == most.process);
        let pid = pid.map_or(0, |process| process.pid);
        let seconds = most.tick as f64 * reader.header().interval_ns as f64 / 1e9;
        Ok(Some(Resident {
            about: format!("resident memory of process {pid} after {seconds:.2} s"),
            parts: parts(&most),
            notes: notes(&most),
        }))
    }
}

fn parts(look: &ResidentParts) -> Vec<Part> {
    let part = |name, bytes, within| Part { name, bytes, within };
    let in_use = look.blocks_bytes + look.mapped_bytes + look.objects_bytes;
    let mut parts = vec![
        part("resident", look.resident_bytes, false),
        part("code and mapped files", look.files_bytes, true),
        part("naja's buffers", look.recorder_bytes, true),
        part("memory of its own", look.own_bytes, true),
        part("in use then, as recorded", in_use, false),
        part("from the C library's allocator", look.blocks_bytes, true),
        part("mapped", look.mapped_bytes, true),
    ];
    if look.objects_bytes > 0 {
        parts.push(part("from Python's allocators", look.objects_bytes, true));
    }
    let untouched = look.own_mapped_bytes.saturating_sub(look.own_bytes);
    parts.push(part("mapped and not resident: never touched, or given back", untouched, false));
    parts
}

/// What lies between memory of its own and what is in use.
fn notes(look: &ResidentParts) -> Vec<String> {
    let in_use = look.blocks_bytes + look.mapped_bytes + look.objects_bytes;
    let holders = match look.objects_bytes {
        0 => "the C library's allocator holds free, and its",
        _ => "Python's and the C library's allocators hold free, and their",
    };
    let note = if look.own_bytes >= in_use {
        format!(
            "{} more of its own than in use, at least: what {holders} bookkeeping; stacks; data of libraries; and what was there before the recording",
            bytes(look.own_bytes - in_use)
        )
    } else {
        format!(
            "{} more in use than resident, at least: memory that was mapped or given and not touched",
            bytes(in_use - look.own_bytes)
        )
    };
    vec![note]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_summed_by_what_they_are() {
        let smaps = "\
55d0-55d1 r-xp 00001000 08:01 123                        /usr/bin/python3.12
Size:                 40 kB
Rss:                  36 kB
VmFlags: rd ex mr mw me
55f0-55f9 rw-p 00000000 00:00 0                          [heap]
Size:                400 kB
Rss:                 300 kB
7f10-7f20 rw-p 00000000 00:00 0
Size:               1024 kB
Rss:                  24 kB
7f20-7f21 rw-s 00000000 00:01 7                          /memfd:naja (deleted)
Size:                512 kB
Rss:                 128 kB
7f30-7f40 rw-s 00000000 00:01 9                          /dev/zero (deleted)
Size:                100 kB
Rss:                  10 kB
7fff-8000 r-xp 00000000 00:00 0                          [vdso]
Size:                  8 kB
Rss:                   4 kB
";
        let parts = parts_of(smaps);
        let kib = [
            parts.resident_bytes,
            parts.files_bytes,
            parts.recorder_bytes,
            parts.own_bytes,
            parts.own_mapped_bytes,
        ]
        .map(|bytes| bytes >> 10);
        assert_eq!(kib, [502, 40, 128, 334, 1524]);
        assert_eq!(parts_of("nonsense\n\n: :\nRss: much kB"), ResidentParts::default());
    }
}
