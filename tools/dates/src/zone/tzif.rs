//! Reads TZif files of all versions (RFC 9636).
//!
//! Nothing in the file is believed: every count is checked against the bytes that are there, and no memory is asked
//! for before they are.

use super::error::ZoneError;

/// How every TZif file begins.
pub const MAGIC: &[u8; 4] = b"TZif";

const HEADER: usize = 44;

/// What a TZif file says. Leap seconds and the indicators of how its sources were written are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TzifData {
    /// When the offset changes: seconds since 1970, ascending.
    pub transitions_s: Vec<i64>,
    /// Which of `types` holds after each transition.
    pub type_indices: Vec<u8>,
    /// The local time types.
    pub types: Vec<TimeType>,
    /// The POSIX rule for times after the last transition; empty where there is none.
    pub rule: Vec<u8>,
}

/// One way of telling local time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeType {
    /// Seconds east of UTC.
    pub offset_s: i32,
    /// Whether it is daylight saving time.
    pub is_dst: bool,
    /// `CEST`.
    pub abbreviation: String,
}

struct Counts {
    version: u8,
    indicators_utc: usize,
    indicators_std: usize,
    leap_seconds: usize,
    transitions: usize,
    types: usize,
    abbreviations: usize,
}

struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], ZoneError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ZoneError::Truncated(what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn counts(&mut self) -> Result<Counts, ZoneError> {
        if !self.rest.starts_with(MAGIC) {
            return Err(ZoneError::Magic);
        }
        let header = self.take(HEADER, "header")?;
        let count = |index: usize| {
            let at = 20 + index * 4;
            let bytes = header[at..at + 4].try_into().expect("four bytes of a header of 44");
            u32::from_be_bytes(bytes) as usize
        };
        Ok(Counts {
            // '2' is version 2; anything below is version 1.
            version: header[4].saturating_sub(b'0').max(1),
            indicators_utc: count(0),
            indicators_std: count(1),
            leap_seconds: count(2),
            transitions: count(3),
            types: count(4),
            abbreviations: count(5),
        })
    }
}

impl Counts {
    /// Bytes of the block that these counts describe.
    fn block_size(&self, time_size: usize) -> Option<usize> {
        let sum = [
            self.transitions.checked_mul(time_size + 1)?,
            self.types.checked_mul(6)?,
            self.abbreviations,
            self.leap_seconds.checked_mul(time_size + 4)?,
            self.indicators_std,
            self.indicators_utc,
        ];
        sum.into_iter().try_fold(0_usize, usize::checked_add)
    }
}

impl TzifData {
    /// Reads a file, and says how many of the bytes belonged to it.
    ///
    /// Errors: all of [`ZoneError`] but `Rule` and `Empty`; the rule is not looked into here.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), ZoneError> {
        let mut input = Bytes { rest: bytes };
        let mut counts = input.counts()?;
        let mut time_size = 4;
        let version = counts.version;
        if version >= 2 {
            // The first block is for readers of version 1; the second has the same in 64 bits.
            let size = counts.block_size(4).ok_or(ZoneError::Truncated("first block"))?;
            input.take(size, "first block")?;
            counts = input.counts()?;
            time_size = 8;
        }
        let mut data = Self::block(&mut input, &counts, time_size)?;
        if version >= 2 {
            let (newline, rest) = input.rest.split_first().ok_or(ZoneError::Footer)?;
            let end = rest.iter().position(|&byte| byte == b'\n').filter(|_| *newline == b'\n');
            let end = end.ok_or(ZoneError::Footer)?;
            data.rule = rest[..end].to_vec();
            input.rest = &rest[end + 1..];
        }
        Ok((data, bytes.len() - input.rest.len()))
    }

    fn block(input: &mut Bytes<'_>, counts: &Counts, time_size: usize) -> Result<Self, ZoneError> {
        let size = |count: usize, each: usize| count.checked_mul(each).ok_or(ZoneError::Truncated("block"));
        let times = input.take(size(counts.transitions, time_size)?, "transition times")?;
        let type_indices = input.take(counts.transitions, "transition types")?.to_vec();
        let types = input.take(size(counts.types, 6)?, "local time types")?;
        let abbreviations = input.take(counts.abbreviations, "abbreviations")?;
        input.take(size(counts.leap_seconds, time_size + 4)?, "leap seconds")?;
        input.take(counts.indicators_std, "indicators")?;
        input.take(counts.indicators_utc, "indicators")?;
        let time = |bytes: &[u8]| match bytes.try_into() {
            Ok(eight) => i64::from_be_bytes(eight),
            Err(_) => i64::from(i32::from_be_bytes(bytes.try_into().expect("times are of 8 bytes or 4"))),
        };
        if let Some(&index) = type_indices.iter().find(|&&index| usize::from(index) >= counts.types) {
            return Err(ZoneError::TypeIndex { index, types: counts.types });
        }
        Ok(Self {
            transitions_s: times.chunks_exact(time_size).map(time).collect(),
            type_indices,
            types: types
                .chunks_exact(6)
                .map(|entry| TimeType::read(entry, abbreviations))
                .collect::<Result<_, _>>()?,
            rule: Vec::new(),
        })
    }
}

impl TimeType {
    fn read(entry: &[u8], abbreviations: &[u8]) -> Result<Self, ZoneError> {
        let offset = i32::from_be_bytes(entry[..4].try_into().expect("entries are of 6 bytes"));
        let at = usize::from(entry[5]);
        let unknown = || ZoneError::Abbreviation(entry[5]);
        let text = abbreviations.get(at..).ok_or_else(unknown)?;
        let end = text.iter().position(|&byte| byte == 0).ok_or_else(unknown)?;
        let abbreviation = str::from_utf8(&text[..end]).map_err(|_| unknown())?.to_owned();
        Ok(Self { offset_s: offset, is_dst: entry[4] != 0, abbreviation })
    }
}
