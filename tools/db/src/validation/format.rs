//! The formats of strings: dates, times, UUIDs, addresses.
//!
//! Every function is given ASCII text and answers for it alone; other text goes the way that Python's `re` sees it.

/// What a text comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<T> {
    /// It has the format; the parts may still be no real date.
    Read(T),
    /// It has not.
    Not,
    /// The short way does not know; the long one does.
    Unsure,
}

/// Year, month and day, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Four digits.
    pub year: u16,
    /// One or two digits.
    pub month: u8,
    /// One or two digits.
    pub day: u8,
}

/// A time of day, as written; a part that is not written is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// One or two digits.
    pub hour: u8,
    /// One or two digits.
    pub minute: u8,
    /// One or two digits.
    pub second: u8,
    /// The first six decimals.
    pub microsecond: u32,
}

/// The offset of a datetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// None is written.
    Missing,
    /// `Z`.
    Utc,
    /// Seconds east of UTC.
    East(i32),
}

/// A reader over bytes that only moves on when it reads.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self.rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = (count >= least).then(|| self.rest.split_at(count))?;
        self.rest = rest;
        Some(digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let first = *self.rest.first().filter(|first| bytes.contains(first))?;
        self.rest = &self.rest[1..];
        Some(first)
    }

    fn day(&mut self) -> Option<Day> {
        let year = self.digits(4, 4)? as u16;
        self.one_of(b"-")?;
        let month = self.digits(1, 2)? as u8;
        self.one_of(b"-")?;
        Some(Day { year, month, day: self.digits(1, 2)? as u8 })
    }

    /// Hours and minutes, and as much of seconds and decimals as stands there.
    fn clock(&mut self) -> Option<Clock> {
        let hour = self.digits(1, 2)? as u8;
        self.one_of(b":")?;
        let mut clock = Clock { hour, minute: self.digits(1, 2)? as u8, second: 0, microsecond: 0 };
        let minutes_end = self.rest;
        if self.one_of(b":").is_some() {
            match self.digits(1, 2) {
                Some(second) => clock.second = second as u8,
                None => self.rest = minutes_end,
            }
            let seconds_end = self.rest;
            if self.rest.len() < minutes_end.len() && self.one_of(b".").is_some() {
                let written = self.rest;
                match self.digits(1, 6) {
                    Some(decimals) => {
                        let count = written.len() - self.rest.len();
                        clock.microsecond = decimals * 10u32.pow(6 - count as u32);
                        // Decimals beyond a microsecond are allowed, six of them, and mean nothing.
                        let _ = self.digits(0, 6);
                    }
                    None => self.rest = seconds_end,
                }
            }
        }
        Some(clock)
    }

    fn offset(&mut self) -> Option<Offset> {
        let Some(sign) = self.one_of(b"Z+-") else { return Some(Offset::Missing) };
        if sign == b'Z' {
            return Some(Offset::Utc);
        }
        let hours = self.digits(2, 2)?;
        let _ = self.rest.len() > 1 && self.one_of(b":").is_some();
        let minutes = if self.rest.is_empty() { 0 } else { self.digits(2, 2)? };
        let seconds = (hours * 3600 + minutes * 60) as i32;
        Some(Offset::East(if sign == b'-' { -seconds } else { seconds }))
    }

    /// Whether everything is read. `$` also matches before a last line feed, which the long way knows.
    fn ended<T>(&self, read: T) -> Answer<T> {
        match self.rest {
            [] => Answer::Read(read),
            [b'\n'] => Answer::Unsure,
            _ => Answer::Not,
        }
    }
}

/// `2018-9-14`.
pub fn date(text: &str) -> Answer<Day> {
    let mut reader = Reader { rest: text.as_bytes() };
    match reader.day() {
        Some(day) => reader.ended(day),
        None => Answer::Not,
    }
}

/// `9:30`, `09:30:15.25`; what follows is not looked at, as in the original.
pub fn time(text: &str) -> Answer<Clock> {
    Reader { rest: text.as_bytes() }.clock().map_or(Answer::Not, Answer::Read)
}

/// `2018-09-14T09:30:15Z`, with a space for the `T`, and with an offset or without.
pub fn datetime(text: &str) -> Answer<(Day, Clock, Offset)> {
    let mut reader = Reader { rest: text.as_bytes() };
    let read = || {
        let day = reader.day()?;
        reader.one_of(b"T ")?;
        Some((day, reader.clock()?, reader.offset()?))
    };
    match { read }() {
        Some(parts) => reader.ended(parts),
        None if text.ends_with('\n') => Answer::Unsure,
        None => Answer::Not,
    }
}

/// A UUID of versions 1 to 5 in small letters. What goes on after it is the long way's.
pub fn uuid(text: &str) -> Answer<u128> {
    let bytes = text.as_bytes();
    if bytes.len() < 36 {
        return Answer::Not;
    }
    let mut value = 0u128;
    for (place, byte) in bytes[..36].iter().enumerate() {
        let fits = match (place, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => false,
            (14, byte) => matches!(byte, b'1'..=b'5'),
            (19, byte) => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            (_, byte) => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        };
        if !fits {
            return Answer::Not;
        }
        let digit = if byte.is_ascii_digit() { byte - b'0' } else { byte - b'a' + 10 };
        value = value << 4 | u128::from(digit);
    }
    if bytes.len() == 36 { Answer::Read(value) } else { Answer::Unsure }
}

/// An IPv4 address in its four-part form; IPv6 and whatever looks odd is the long way's.
pub fn ipv4(text: &str) -> Answer<u32> {
    let mut value = 0u32;
    let mut parts = 0;
    for part in text.split('.') {
        let is_plain = (1..=3).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'));
        let Some(octet) = is_plain.then(|| part.parse::<u8>().ok()).flatten() else { return Answer::Unsure };
        value = value << 8 | u32::from(octet);
        parts += 1;
    }
    if parts == 4 { Answer::Read(value) } else { Answer::Unsure }
}

/// Whether a text is a mail address: dots between plain parts, and a domain with a dot. Quoted names are the long way's.
pub fn email(text: &str) -> Answer<()> {
    if text.starts_with('"') || text.ends_with('\n') {
        return Answer::Unsure;
    }
    let Some((name, domain)) = text.split_once('@') else { return Answer::Not };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-!#$%&'*+/=?^_`{}|~".contains(&byte);
    let named = name.split('.').all(|part| !part.is_empty() && part.bytes().all(is_name));
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let Some((labels, top)) = domain.rsplit_once('.') else { return Answer::Not };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_top = (2..=63).contains(&top.len()) && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    if named && is_top && labels.split('.').all(is_label) { Answer::Read(()) } else { Answer::Not }
}

/// Whether a text is a URL with a scheme and a host. A plain one is told here, everything else is the long way's.
pub fn url(text: &str) -> Answer<()> {
    let Some((scheme, rest)) = text.split_once("://") else { return Answer::Unsure };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Brackets and control characters have rules of their own.
    let is_plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && !text.contains(['[', ']']);
    if is_scheme && is_plain && !host.is_empty() { Answer::Read(()) } else { Answer::Unsure }
}
