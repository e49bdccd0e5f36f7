//! The date of Easter.

/// Which church's reckoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The Julian reckoning, as a date of the Julian calendar; from the year 326 on.
    Julian,
    /// The Julian reckoning, as a date of the Gregorian calendar; 1583 to 4099.
    Orthodox,
    /// The Gregorian reckoning; 1583 to 4099.
    Western,
}

/// Month and day of Easter Sunday.
///
/// Cost:   O(1)
/// Source: the algorithms that Claus Tøndering's calendar FAQ collects
///
/// ```
/// use naja_dates::easter::{Method, sunday};
/// assert_eq!(sunday(2024, Method::Western), (3, 31));
/// assert_eq!(sunday(2024, Method::Orthodox), (5, 5));
/// ```
pub fn sunday(year: i32, method: Method) -> (u8, u8) {
    let golden = year % 19;
    let century = year / 100;
    // Days from 21 March to the paschal full moon, and the weekday on which it falls (0 is Sunday).
    let (full_moon, weekday) = match method {
        Method::Julian | Method::Orthodox => {
            let full_moon = (19 * golden + 15) % 30;
            (full_moon, (year + year / 4 + full_moon) % 7)
        }
        Method::Western => {
            let epact = (century - century / 4 - (8 * century + 13) / 25 + 19 * golden + 15) % 30;
            let full_moon = epact - (epact / 28) * (1 - (29 / (epact + 1)) * ((21 - golden) / 11));
            (full_moon, (year + year / 4 + full_moon + 2 - century + century / 4) % 7)
        }
    };
    let calendars_apart = match method {
        Method::Orthodox if year > 1600 => 10 + century - 16 - (century - 16) / 4,
        Method::Orthodox => 10,
        Method::Julian | Method::Western => 0,
    };
    // From -6 to 56 days after 21 March: 22 March to 23 May.
    let days = full_moon - weekday + calendars_apart;
    let day = 1 + (days + 27 + (days + 6) / 40) % 31;
    let month = 3 + (days + 26) / 30;
    (u8::try_from(month).expect("March, April or May"), u8::try_from(day).expect("from 1 to 31"))
}
