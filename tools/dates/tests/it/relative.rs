//! Distances in years, months and smaller parts.

use naja_dates::relative::{Delta, Moment};

fn day(year: i64, month: i64, day: i64) -> Moment {
    Moment { year, month, day, hour: 0, minute: 0, second: 0, microsecond: 0 }
}

#[test]
fn month_is_cut_to_its_last_day() {
    let month = Delta { months: 1, ..Delta::default() };
    assert_eq!(month.apply(day(2024, 1, 31)), Some(day(2024, 2, 29)));
}

#[test]
fn weekday_is_looked_for_last() {
    let last_friday = Delta { day: Some(31), weekday: Some((4, -1)), ..Delta::default() };
    assert_eq!(last_friday.apply(day(2003, 9, 17)), Some(day(2003, 9, 26)));
}

#[test]
fn what_lies_outside_the_calendar_is_none() {
    assert_eq!(Delta { days: 1, ..Delta::default() }.apply(day(9999, 12, 31)), None);
    assert_eq!(Delta { years: i64::MAX, ..Delta::default() }.apply(day(2003, 1, 1)), None);
    assert_eq!(Delta { hour: Some(24), ..Delta::default() }.apply(day(2003, 1, 1)), None);
}

#[test]
fn distance_added_gives_the_other_moment() {
    let (from, to) = (day(2003, 1, 31), Moment { hour: 5, microsecond: 7, ..day(1999, 2, 28) });
    let distance = Delta::between(to, from).expect("both are moments");
    assert_eq!(distance.apply(from), Some(to));
}
