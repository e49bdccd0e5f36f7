//! Keys, from the bytes that a terminal sends for them.

/// A key that means something, or a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the start.
    Home,
    /// To the end.
    End,
    /// Enter.
    Enter,
    /// Escape, alone.
    Escape,
    /// Takes the last character back.
    Backspace,
    /// Ctrl with C.
    CtrlC,
    /// Ctrl with L.
    CtrlL,
    /// Ctrl with U.
    CtrlU,
    /// Ctrl with Z.
    CtrlZ,
}

/// Takes the keys out of `bytes`. What may be the start of a longer key stays there, unless `complete` says that nothing
/// follows: then a lone escape is the Escape key.
pub fn take(bytes: &mut Vec<u8>, complete: bool) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let Some((key, len)) = first(&bytes[at..], complete) else { break };
        keys.extend(key);
        at += len;
    }
    bytes.drain(..at);
    keys
}

/// The first key, if it is one that is known, and how many bytes it has; `None` when it is not whole.
fn first(bytes: &[u8], complete: bool) -> Option<(Option<Key>, usize)> {
    match bytes[0] {
        0x1b => escape(bytes, complete),
        b'\r' | b'\n' => Some((Some(Key::Enter), 1)),
        0x7f | 0x08 => Some((Some(Key::Backspace), 1)),
        0x03 => Some((Some(Key::CtrlC), 1)),
        0x0c => Some((Some(Key::CtrlL), 1)),
        0x15 => Some((Some(Key::CtrlU), 1)),
        0x1a => Some((Some(Key::CtrlZ), 1)),
        0..0x20 => Some((None, 1)),
        first => {
            let len = match first {
                0..0x80 => 1,
                0xc0..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if bytes.len() < len && !complete {
                return None;
            }
            let text = std::str::from_utf8(&bytes[..len.min(bytes.len())]).ok();
            match text.and_then(|text| text.chars().next()) {
                Some(character) => Some((Some(Key::Char(character)), len)),
                None => Some((None, 1)),
            }
        }
    }
}

fn escape(bytes: &[u8], complete: bool) -> Option<(Option<Key>, usize)> {
    let named = |letter: u8| match letter {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        _ => None,
    };
    match (bytes.get(1), complete) {
        (None, false) => None,
        (Some(b'O'), _) if bytes.len() > 2 => Some((named(bytes[2]), 3)),
        (Some(b'O' | b'['), false) if bytes.len() == 2 => None,
        (Some(b'['), _) => match bytes[2..].iter().position(|byte| (0x40..0x7f).contains(byte)) {
            Some(end) => {
                let key = match &bytes[2..2 + end + 1] {
                    b"5~" => Some(Key::PageUp),
                    b"6~" => Some(Key::PageDown),
                    b"1~" | b"7~" => Some(Key::Home),
                    b"4~" | b"8~" => Some(Key::End),
                    [letter] => named(*letter),
                    _ => None,
                };
                Some((key, end + 3))
            }
            None if complete => Some((Some(Key::Escape), bytes.len())),
            None => None,
        },
        // Escape and then another key, pressed quickly; or Alt with a key, which means nothing here.
        _ => Some((Some(Key::Escape), 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], complete: bool, expected: &[Key], left: &[u8]) {
        let mut bytes = bytes.to_vec();
        assert_eq!((take(&mut bytes, complete).as_slice(), bytes.as_slice()), (expected, left));
    }

    #[test]
    fn keys_of_several_bytes_are_one_key() {
        check(b"\x1b[A\x1b[6~\x1bOBq", false, &[Key::Up, Key::PageDown, Key::Down, Key::Char('q')], b"");
        check("ä漢".as_bytes(), false, &[Key::Char('ä'), Key::Char('漢')], b"");
        // An unknown one is skipped as a whole: Ctrl with an arrow.
        check(b"\x1b[1;5Cq", false, &[Key::Char('q')], b"");
    }

    #[test]
    fn a_key_that_is_not_whole_waits_for_its_rest() {
        check(b"a\x1b", false, &[Key::Char('a')], b"\x1b");
        check(b"\x1b[", false, &[], b"\x1b[");
        check(b"\xe6\xbc", false, &[], b"\xe6\xbc");
        check(b"\x1b", true, &[Key::Escape], b"");
        check(b"\xff\xe6", true, &[], b"");
    }
}
