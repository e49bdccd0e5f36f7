//! What Python takes for white space, and a text without it at its ends.

/// Whether Python's `str.isspace` holds for a character; Rust's list lacks the four separators of ASCII.
pub fn is_white(character: char) -> bool {
    matches!(character, '\u{1c}'..='\u{1f}') || character.is_whitespace()
}

/// A text as `str.strip` leaves it.
pub fn stripped(text: &str) -> &str {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return text };
    if first.is_ascii_graphic() && last.is_ascii_graphic() {
        return text;
    }
    text.trim_matches(is_white)
}
