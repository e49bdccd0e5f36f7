//! Names of code that a program makes while it runs: the files `/tmp/perf-PID.map` that just-in-time compilers, and
//! CPython with `-X perf`, write for profilers.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Files beyond this are not read.
const BYTES_MAX: u64 = 64 << 20;

/// Functions of made code, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerfMap {
    /// (address, size, name), sorted; of two at one address the later one holds.
    functions: Vec<(u64, u64, String)>,
}

impl PerfMap {
    /// The map that a process has written, as far as it is; empty when there is none.
    ///
    /// Cost: reads the whole file.
    pub fn read(pid: u32) -> PerfMap {
        // In a container the process knows itself by another number, and has another `/tmp`.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let own = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let own = own.and_then(|numbers| numbers.split_whitespace().last()).map(str::to_owned);
        let own = own.unwrap_or_else(|| pid.to_string());
        let path = PathBuf::from(format!("/proc/{pid}/root/tmp/perf-{own}.map"));
        // The process, or anyone who can write to its `/tmp`, may have put something there that is read without end.
        let mut text = Vec::new();
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() && metadata.len() <= BYTES_MAX => {
                let file = File::open(&path);
                let _ = file.and_then(|file| file.take(BYTES_MAX).read_to_end(&mut text));
                PerfMap::parse(&text)
            }
            _ => PerfMap::default(),
        }
    }

    /// Takes the text of such a file apart: lines of address, size (both hexadecimal) and name. Other lines are left
    /// out.
    pub fn parse(text: &[u8]) -> PerfMap {
        let function = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            let mut fields = line.trim_end().splitn(3, ' ');
            let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
            let (address, size) = (hex(fields.next()?)?, hex(fields.next()?)?);
            let name = fields.next().filter(|name| !name.is_empty())?;
            Some((address, size, name.to_owned()))
        };
        let mut functions: Vec<_> = text.split(|byte| *byte == b'\n').filter_map(function).collect();
        functions.sort_by_key(|(address, _, _)| *address);
        PerfMap { functions }
    }

    /// The function that holds an address.
    pub fn name(&self, address: u64) -> Option<&str> {
        let after = self.functions.partition_point(|(start, _, _)| *start <= address);
        let (start, size, name) = self.functions.get(after.checked_sub(1)?)?;
        (address - start < *size).then_some(name)
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_that_holds_an_address_is_found() {
        let map = PerfMap::parse(b"7f00 10 py::f:/a b.py\nnonsense\n7f10 8 g\n7f00 10 h\n\n7f20 zz i\n");
        assert_eq!(map.name(0x7f08), Some("h"));
        assert_eq!(map.name(0x7f17), Some("g"));
        assert_eq!((map.name(0x7f18), map.name(0)), (None, None));
        assert_eq!(PerfMap::parse(b"1 2 py::f:/a b.py").name(1), Some("py::f:/a b.py"));
    }
}
