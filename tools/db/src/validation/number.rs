//! Numbers that stand in text, where the short way is exact.

/// A whole number of at most 18 digits, with or without a sign.
pub fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_short = (1..=18).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_short.then(|| text.parse().ok()).flatten()
}

/// A decimal number, with or without a fraction and an exponent: the float that is nearest to it.
///
/// `None` for what only Python's `decimal` reads: underscores, other digits, "Infinity".
pub fn float(text: &str) -> Option<f64> {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let rest = after_digits(rest)?;
    let rest = match rest.strip_prefix('.') {
        Some(fraction) if !fraction.is_empty() => after_digits(fraction)?,
        Some(_) => return None,
        None => rest,
    };
    let is_read = match rest.strip_prefix(['e', 'E']) {
        // A long exponent is decimal's: it has limits of its own.
        Some(exponent) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            digits.len() <= 4 && after_digits(digits)?.is_empty()
        }
        None => rest.is_empty(),
    };
    (is_read && text.len() <= 60).then(|| text.parse().ok()).flatten()
}

/// What follows one or more digits.
fn after_digits(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}

/// How many decimals a precision such as "0.01" keeps; `None` for any other spelling.
pub fn decimals(precision: &str) -> Option<usize> {
    let rest = after_digits(precision)?;
    let fraction = if rest.is_empty() { rest } else { rest.strip_prefix('.')? };
    (fraction.len() <= 15 && (fraction.is_empty() || after_digits(fraction)?.is_empty()))
        .then_some(fraction.len())
}

/// A float rounded to a number of decimals, halves away from zero, by its exact value and not by what is printed of it.
///
/// `None` where `decimal`, with its 28 digits, has to be asked: near a tie, and for large numbers.
pub fn rounded(value: f64, decimals: usize) -> Option<f64> {
    if decimals > 15 || value.is_nan() || value.abs() >= 1e12 {
        return None;
    }
    let halves = value.abs() * 10f64.powi(decimals as i32) * 2.0;
    if (halves - halves.round()).abs() < 1e-3 && halves.round() % 2.0 == 1.0 {
        return None;
    }
    format!("{value:.decimals$}").parse().ok()
}

/// Whether a text cannot be a number to Python's `decimal`: it has a character that stands in none, or a sign behind a
/// digit.
pub fn is_no_number(text: &str) -> bool {
    let may_stand =
        |byte: u8| byte.is_ascii_digit() || byte <= b' ' || b"+-._aefinstyAEFINSTY".contains(&byte);
    let is_range = |pair: &[u8]| pair[0].is_ascii_digit() && matches!(pair[1], b'+' | b'-');
    text.is_ascii() && (!text.bytes().all(may_stand) || text.as_bytes().windows(2).any(is_range))
}
