//! Texts of ISO 8601.

use naja_dates::Error;
use naja_dates::iso::{Zone, datetime, zone};

#[test]
fn every_way_to_write_a_day_is_read() {
    for text in ["2003-09-25", "20030925", "2003-W39-4", "2003W394", "2003-268", "2003268"] {
        assert_eq!(datetime(text.as_bytes(), None).expect(text).0, (2003, 9, 25), "{text}");
    }
    assert_eq!(datetime(b"2003", None).expect("a year").0, (2003, 1, 1));
}

#[test]
fn separator_is_any_character_unless_one_is_wanted() {
    assert!(datetime(b"2003-09-25x10", None).is_ok());
    assert_eq!(
        datetime(b"2003-09-25x10", Some(b'T')),
        Err(Error::Iso { sentence: "String contains unknown ISO components", at: 10 })
    );
}

#[test]
fn offset_of_nothing_is_utc() {
    assert_eq!(zone(b"+00:00", true), Ok(Zone::Utc));
    assert_eq!(zone(b"+00:00", false), Ok(Zone::Offset(0)));
    assert_eq!(zone(b"-0330", true), Ok(Zone::Offset(-12_600)));
}

#[test]
fn broken_text_is_refused_wherever_it_ends() {
    let text = b"2003-09-25T10:49:41.5-03:00";
    for end in 0..text.len() {
        let _ = datetime(&text[..end], None);
    }
    assert_eq!(datetime(b"2003-09-25T1", None), Err(Error::Iso { sentence: "ISO time too short", at: 12 }));
    assert!(datetime(b"2003-366", None).is_err());
}
