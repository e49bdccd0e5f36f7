//! Messages as they lie in bytes: frames out of a growing buffer, fields out of a frame, and messages to be sent.
//!
//! A length that is read here is never trusted: nothing is allocated for it before the bytes are there.

use crate::received::Received;

use super::error::{PostgresError, ServerError};

/// The largest message that PostgreSQL takes or sends, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = (1 << 30) - 1;

/// A whole message in the buffer; its place, so that the buffer can be changed while it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    start: usize,
    end: usize,
}

impl Frame {
    /// The next whole message, if all of it is there.
    pub(crate) fn next(input: &mut Received) -> Result<Option<Frame>, PostgresError> {
        let bytes = input.unread();
        let Some((&[tag, a, b, c, d], _)) = bytes.split_first_chunk::<5>() else { return Ok(None) };
        let length = i32::from_be_bytes([a, b, c, d]);
        let length = usize::try_from(length).unwrap_or(0);
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(PostgresError::Protocol { what: "a message with an impossible length" });
        }
        if bytes.len() <= length {
            return Ok(None);
        }
        let place = input.take(5, 1 + length);
        Ok(Some(Frame { tag, start: place.start, end: place.end }))
    }

    /// What is in the message, as long as nothing was pushed since.
    pub(crate) fn body(self, input: &Received) -> &[u8] {
        input.at(self.start..self.end)
    }
}

/// Reads fields of a message, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

/// A message ended before its fields did. Kept out of line: else an error is made for every field.
#[cold]
#[inline(never)]
fn short() -> PostgresError {
    PostgresError::Protocol { what: "a message is shorter than what it should hold" }
}

impl<'a> Fields<'a> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], PostgresError> {
        let (chunk, rest) = self.0.split_first_chunk::<N>().ok_or_else(short)?;
        self.0 = rest;
        Ok(*chunk)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, PostgresError> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, PostgresError> {
        self.chunk().map(u16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, PostgresError> {
        self.chunk().map(i32::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, PostgresError> {
        self.chunk().map(u32::from_be_bytes)
    }

    /// That many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], PostgresError> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(short)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// The bytes up to a zero byte, which is skipped.
    pub(crate) fn bytes_to_zero(&mut self) -> Result<&'a [u8], PostgresError> {
        let end = self.0.iter().position(|&byte| byte == 0).ok_or_else(short)?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    /// Text up to a zero byte. Messages of a server that has not yet heard of the encoding may be in any.
    pub(crate) fn text(&mut self) -> Result<String, PostgresError> {
        self.bytes_to_zero().map(|text| String::from_utf8_lossy(text).into_owned())
    }

    /// A value with its length before it; none for NULL.
    pub(crate) fn value(&mut self) -> Result<Option<&'a [u8]>, PostgresError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length)
                    .map_err(|_| PostgresError::Protocol { what: "a value with a negative length" })?;
                self.bytes(length).map(Some)
            }
        }
    }
}

/// Reads the fields of an error or a notice.
pub(crate) fn server_error(body: &[u8]) -> Result<ServerError, PostgresError> {
    let mut fields = Fields(body);
    let mut error = ServerError::default();
    let mut internal_position = 0;
    loop {
        let field = fields.u8()?;
        if field == 0 {
            return Ok(error);
        }
        let text = fields.text()?;
        match field {
            // The untranslated severity comes second, and only from servers since 9.6.
            b'S' if error.severity.is_empty() => error.severity = text,
            b'V' => error.severity = text,
            b'C' => error.sqlstate = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            b'P' => error.position = text.parse().ok(),
            b'p' => internal_position = text.parse().unwrap_or(0),
            b'q' => error.internal = Some((internal_position, text)),
            b'W' => error.context = Some(text),
            b's' => error.schema = Some(text),
            b't' => error.table = Some(text),
            b'c' => error.column = Some(text),
            b'd' => error.data_type = Some(text),
            b'n' => error.constraint = Some(text),
            b'R' => error.routine = Some(text),
            _ => {}
        }
    }
}

/// Writes one message: its tag, its length, what `body` writes.
///
/// Errors: `Unsendable` when it grows larger than PostgreSQL takes, or `body` says so; then nothing is written.
pub(crate) fn write(
    out: &mut Vec<u8>,
    tag: u8,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), PostgresError>,
) -> Result<(), PostgresError> {
    let start = out.len();
    out.push(tag);
    let written = write_sized(out, body);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Writes what has a length before it that counts itself: a message without its tag.
pub(crate) fn write_sized(
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), PostgresError>,
) -> Result<(), PostgresError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out)?;
    end_sized(out, start)
}

/// Writes the length of what began at `start` with four bytes of room for it.
pub(crate) fn end_sized(out: &mut [u8], start: usize) -> Result<(), PostgresError> {
    let length = out.len() - start;
    if length > MESSAGE_BYTES_MAX {
        return Err(PostgresError::Unsendable {
            what: format!("{length} bytes in one message, 1 GiB is the limit"),
        });
    }
    // Below 2^30, as was just checked.
    out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(())
}

/// Writes text and a zero byte after it.
///
/// Errors: `Unsendable` when there is a zero byte in it.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), PostgresError> {
    if text.as_bytes().contains(&0) {
        return Err(PostgresError::Unsendable {
            what: "a NUL character in a statement or a name".to_owned(),
        });
    }
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    Ok(())
}
