//! Which of up to three numbers is the year, which the month, which the day.

use super::Options;
use crate::Error;
use crate::calendar::days_in_month;

/// What is known of a number from how it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Year,
    Month,
}

/// The numbers of a date, in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Ymd {
    values: [i64; 3],
    len: usize,
    pub(super) century_specified: bool,
    year_at: Option<usize>,
    month_at: Option<usize>,
}

/// Year, month and day, as far as they are known.
pub(super) type Resolved = (Option<i64>, Option<i64>, Option<i64>);

/// The place in a [`Resolved`] of each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Year,
    Month,
    Day,
}

impl Ymd {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a number as it was written: more than two digits are a year's.
    pub(super) fn push_digits(
        &mut self,
        value: i64,
        digits: usize,
        label: Option<Label>,
    ) -> Result<(), Error> {
        if digits > 2 { self.push_year(value, label) } else { self.push_labelled(value, label) }
    }

    /// Adds a number by its value: more than 100 is a year's.
    pub(super) fn push_value(&mut self, value: i64, exceeds_100: bool) -> Result<(), Error> {
        if exceeds_100 { self.push_year(value, None) } else { self.push_labelled(value, None) }
    }

    pub(super) fn push_month(&mut self, value: i64) -> Result<(), Error> {
        self.push_labelled(value, Some(Label::Month))
    }

    fn push_year(&mut self, value: i64, label: Option<Label>) -> Result<(), Error> {
        self.century_specified = true;
        if label == Some(Label::Month) {
            return Err(Error::UnknownFormat);
        }
        self.push_labelled(value, Some(Label::Year))
    }

    fn push_labelled(&mut self, value: i64, label: Option<Label>) -> Result<(), Error> {
        // A fourth number can never be resolved, whatever follows.
        *self.values.get_mut(self.len).ok_or(Error::UnknownFormat)? = value;
        let place = match label {
            Some(Label::Year) => &mut self.year_at,
            Some(Label::Month) => &mut self.month_at,
            None => {
                self.len += 1;
                return Ok(());
            }
        };
        if place.is_some() {
            return Err(Error::UnknownFormat);
        }
        *place = Some(self.len);
        self.len += 1;
        Ok(())
    }

    /// Whether a number may be the day, by the month and the year that are known; `None` where that month is none.
    pub(super) fn could_be_day(&self, value: i64, has_fraction: bool) -> Option<bool> {
        let longest = match (self.month_at, self.year_at) {
            (None, _) => 31,
            // Permissive: the year may be a leap year.
            (Some(month), None) => month_length(2000, self.values[month])?,
            (Some(month), Some(year)) => month_length(self.values[year], self.values[month])?,
        };
        Some(value >= 1 && (value < longest || (value == longest && !has_fraction)))
    }

    /// Decides what each number is.
    pub(super) fn resolve(&self, options: Options) -> Result<([Option<Part>; 3], Resolved), Error> {
        let parts = self.parts(options)?;
        let mut resolved = (None, None, None);
        for (part, value) in parts.iter().zip(self.values) {
            match part {
                Some(Part::Year) => resolved.0 = Some(value),
                Some(Part::Month) => resolved.1 = Some(value),
                Some(Part::Day) => resolved.2 = Some(value),
                None => {}
            }
        }
        Ok((parts, resolved))
    }

    fn parts(&self, options: Options) -> Result<[Option<Part>; 3], Error> {
        use Part::{Day, Month, Year};
        if let Some(parts) = self.labelled() {
            return Ok(parts);
        }
        let [first, second, third] = self.values;
        let Options { day_first, year_first, .. } = options;
        Ok(match (self.len, self.month_at) {
            (0, _) => [None; 3],
            (1, Some(_)) => [Some(Month), None, None],
            (1, None) => [Some(if first > 31 { Year } else { Day }), None, None],
            (2, Some(month)) => {
                let other = self.values[1 - month];
                let other = Some(if other > 31 { Year } else { Day });
                if month == 0 { [Some(Month), other, None] } else { [other, Some(Month), None] }
            }
            (2, None) if first > 31 => [Some(Year), Some(Month), None],
            (2, None) if second > 31 => [Some(Month), Some(Year), None],
            (2, None) if day_first && second <= 12 => [Some(Day), Some(Month), None],
            (2, None) => [Some(Month), Some(Day), None],
            // Apr-2003-25, or 4-25-2003 with the month in letters.
            (_, Some(0)) if second > 31 => [Month, Year, Day].map(Some),
            (_, Some(0)) => [Month, Day, Year].map(Some),
            (_, Some(1)) if first > 31 || (year_first && third <= 31) => [Year, Month, Day].map(Some),
            // A year of two digits is mostly written by hand, and then last.
            (_, Some(1)) => [Day, Month, Year].map(Some),
            (_, Some(_)) if second > 31 => [Day, Year, Month].map(Some),
            (_, Some(_)) => [Year, Day, Month].map(Some),
            (_, None)
                if first > 31 || self.year_at == Some(0) || (year_first && second <= 12 && third <= 31) =>
            {
                if day_first && third <= 12 { [Year, Day, Month] } else { [Year, Month, Day] }.map(Some)
            }
            (_, None) if first > 12 || (day_first && second <= 12) => [Day, Month, Year].map(Some),
            (_, None) => [Month, Day, Year].map(Some),
        })
    }

    /// The answer where the labels alone give it: all numbers have one, or two of three have.
    fn labelled(&self) -> Option<[Option<Part>; 3]> {
        let labels = usize::from(self.year_at.is_some()) + usize::from(self.month_at.is_some());
        if labels == 0 || !(self.len == labels || (self.len == 3 && labels == 2)) {
            return None;
        }
        let mut parts = [None; 3];
        if let Some(year) = self.year_at {
            parts[year] = Some(Part::Year);
        }
        if let Some(month) = self.month_at {
            parts[month] = Some(Part::Month);
        }
        if self.len == 3 {
            let day = parts.iter_mut().find(|part| part.is_none())?;
            *day = Some(Part::Day);
        }
        Some(parts)
    }
}

fn month_length(year: i64, month: i64) -> Option<i64> {
    (1..=12).contains(&month).then(|| days_in_month(year, month))
}
