//! Times of day: `5pm`, `17:00:05.123 UTC`, `2:57 p.m. EST`, `14h30`, `17 Uhr`.

use super::names::Role;
use super::scan::Scan;
use super::token::Kind;

/// A time of day, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) hour: u8,
    /// Absent for `5pm`.
    pub(super) minute: Option<u8>,
    pub(super) second: Option<u8>,
    pub(super) microsecond: u32,
    /// Seconds east of Greenwich, where a zone is said.
    pub(super) offset: Option<i32>,
    /// Whether there was a colon, `am` or `pm`: without, it is a time only behind a word such as `at`.
    pub(super) certain: bool,
    /// The token behind it.
    pub(super) end: usize,
}

/// What stands in front of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    /// Nothing but white space or a comma.
    Bare,
    /// A word such as `at`.
    Word,
    /// The `T` of ISO 8601, or a zero-width place where only a time can stand.
    Iso,
}

impl Scan<'_> {
    /// The time of day that starts at token `at`.
    pub(super) fn clock(&self, at: usize, lead: Lead) -> Option<Clock> {
        match self.role(at) {
            Some(Role::Noon) => return Some(Clock::whole(12, at + 1)),
            Some(Role::Midnight) => return Some(Clock::whole(0, at + 1)),
            _ => {}
        }
        let (hour, digits) = self.number(at)?;
        if lead == Lead::Iso && (digits == 6 || digits == 4) {
            return self.packed_clock(at, hour, digits);
        }
        if digits > 2 || hour > 24 {
            return None;
        }
        let mut clock = Clock {
            hour: u8::try_from(hour).ok()?,
            minute: None,
            second: None,
            microsecond: 0,
            offset: None,
            certain: false,
            end: at + 1,
        };
        self.minutes(&mut clock, lead);
        self.half_of_day(&mut clock)?;
        let usual = clock.certain || (lead == Lead::Word && clock.minute.is_some());
        if !usual || clock.hour > 23 {
            return None;
        }
        self.zone(&mut clock, lead);
        Some(clock)
    }

    /// `T083000`, `T0830`.
    fn packed_clock(&self, at: usize, packed: u32, digits: u8) -> Option<Clock> {
        let (packed, second) = if digits == 6 { (packed / 100, Some(packed % 100)) } else { (packed, None) };
        let part = |value: u32, below: u32| u8::try_from(value).ok().filter(|_| value < below);
        let mut clock = Clock {
            hour: part(packed / 100, 24)?,
            minute: Some(part(packed % 100, 60)?),
            second: match second {
                Some(second) => Some(part(second, 60)?),
                None => None,
            },
            microsecond: 0,
            offset: None,
            certain: true,
            end: at + 1,
        };
        self.zone(&mut clock, Lead::Iso);
        Some(clock)
    }

    fn minutes(&self, clock: &mut Clock, lead: Lead) {
        let at = clock.end;
        let two_digits = |at| match self.number(at) {
            Some((value, 2)) if value < 60 => u8::try_from(value).ok(),
            _ => None,
        };
        if self.sign(at) == Some(':') {
            let Some(minute) = two_digits(at + 1) else { return };
            clock.minute = Some(minute);
            clock.certain = true;
            clock.end = at + 2;
            self.seconds(clock, ':', two_digits);
        } else if self.sign(at) == Some('.') {
            let Some(minute) = two_digits(at + 1) else { return };
            let behind = self.skip_space(at + 2);
            let said = matches!(self.role(behind), Some(Role::Am | Role::Pm | Role::Clock))
                || (self.letter(behind, b'a') && self.sign(behind + 1) == Some('.'));
            // Elsewhere, digits with a point between are an amount.
            if lead == Lead::Word && self.sign(at + 2) != Some('.') || said {
                clock.minute = Some(minute);
                clock.end = at + 2;
            }
        } else {
            // `14h30`, `9 h 30`; `17 Uhr` and `9h` have no minutes.
            let word = self.skip_space(at);
            if self.role(word) != Some(Role::Clock) || lead == Lead::Iso {
                return;
            }
            clock.certain = self.text(word).len() > 1;
            clock.end = word + 1;
            let next = self.skip_space(word + 1);
            if let Some(minute) = two_digits(next).filter(|_| !clock.certain) {
                (clock.minute, clock.certain, clock.end) = (Some(minute), true, next + 1);
            }
        }
    }

    fn seconds(&self, clock: &mut Clock, separator: char, two_digits: impl Fn(usize) -> Option<u8>) {
        let at = clock.end;
        if self.sign(at) != Some(separator) {
            return;
        }
        let Some(second) = two_digits(at + 1) else { return };
        clock.second = Some(second);
        clock.end = at + 2;
        if matches!(self.sign(clock.end), Some('.' | ','))
            && let Kind::Number { .. } = self.kind(clock.end + 1)
        {
            let digits = self.text(clock.end + 1).bytes().chain(std::iter::repeat(b'0')).take(6);
            clock.microsecond = digits.fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
            clock.end += 2;
        }
    }

    /// `am`, `p.m.`, `o'clock`, `Uhr` behind the digits; nothing where the hour contradicts it.
    fn half_of_day(&self, clock: &mut Clock) -> Option<()> {
        let word = self.skip_blank(clock.end);
        let dotted = self.sign(word + 1) == Some('.') && self.letter(word + 2, b'm');
        let (half, end) = if self.letter(word, b'a') && dotted {
            (Role::Am, word + 3 + usize::from(self.sign(word + 3) == Some('.')))
        } else if self.letter(word, b'p') && dotted {
            (Role::Pm, word + 3 + usize::from(self.sign(word + 3) == Some('.')))
        } else {
            match self.role(word) {
                Some(half @ (Role::Am | Role::Pm)) if self.text(word).len() == 2 => (half, word + 1),
                Some(Role::Clock) if self.text(word).len() > 1 => {
                    (clock.certain, clock.end) = (true, word + 1);
                    return Some(());
                }
                _ => return Some(()),
            }
        };
        match (half, clock.hour) {
            (_, 0) => return None,
            (Role::Am, 12) => clock.hour = 0,
            (Role::Pm, 1..12) => clock.hour += 12,
            _ => {}
        }
        (clock.certain, clock.end) = (true, end);
        Some(())
    }

    /// `Z`, `+02:00`, `-0700 (PDT)`, ` EST`.
    pub(super) fn zone(&self, clock: &mut Clock, lead: Lead) {
        let touching = clock.end;
        if self.role(touching) == Some(Role::Zulu) {
            (clock.offset, clock.end) = (Some(0), touching + 1);
            return;
        }
        let at = self.skip_blank(touching);
        if let Some(sign @ ('+' | '-' | '−')) = self.sign(at) {
            let exact = clock.second.is_some() || lead == Lead::Iso;
            if let Some((seconds, end)) = self.offset(at + 1, at == touching && exact, exact) {
                clock.offset = Some(if sign == '+' { seconds } else { -seconds });
                clock.end = end;
            }
        } else if let Some(minutes) = self.word(at).and_then(|word| word.zone_minutes) {
            // In lower case `est` and `west` are words.
            if self.text(at).bytes().all(|byte| byte.is_ascii_uppercase()) {
                (clock.offset, clock.end) = (Some(i32::from(minutes) * 60), at + 1);
            }
        }
        let paren = self.skip_blank(clock.end);
        if clock.offset.is_some()
            && self.sign(paren) == Some('(')
            && matches!(self.kind(paren + 1), Kind::Word(_))
            && self.sign(paren + 2) == Some(')')
        {
            clock.end = paren + 3;
        }
    }

    /// The digits of an offset: `0700` anywhere, `02:00` and `02` where they cannot be another time.
    fn offset(&self, at: usize, hours_alone: bool, colon: bool) -> Option<(i32, usize)> {
        let (value, digits) = self.number(at)?;
        let seconds = |hours: u32, minutes: u32| {
            i32::try_from(hours * 3600 + minutes * 60).ok().filter(|_| hours < 15 && minutes < 60)
        };
        if digits == 4 {
            return Some((seconds(value / 100, value % 100)?, at + 1));
        }
        if digits != 2 {
            return None;
        }
        if colon
            && self.sign(at + 1) == Some(':')
            && let Some((minutes, 2)) = self.number(at + 2)
        {
            return Some((seconds(value, minutes)?, at + 3));
        }
        hours_alone.then(|| seconds(value, 0)).flatten().map(|seconds| (seconds, at + 1))
    }
}

impl Clock {
    fn whole(hour: u8, end: usize) -> Self {
        Self { hour, minute: Some(0), second: None, microsecond: 0, offset: None, certain: true, end }
    }
}
