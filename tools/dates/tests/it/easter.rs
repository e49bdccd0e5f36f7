//! Easter.

use naja_dates::easter::{Method, sunday};

#[test]
fn easter_is_where_the_almanacs_put_it() {
    for (year, western, orthodox) in [
        (1990, (4, 15), (4, 15)),
        (2000, (4, 23), (4, 30)),
        (2008, (3, 23), (4, 27)),
        (2024, (3, 31), (5, 5)),
        (2038, (4, 25), (4, 25)),
    ] {
        assert_eq!(sunday(year, Method::Western), western, "{year}");
        assert_eq!(sunday(year, Method::Orthodox), orthodox, "{year}");
    }
}
