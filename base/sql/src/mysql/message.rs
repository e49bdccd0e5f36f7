//! Packets as they lie in bytes: whole ones out of a growing buffer, fields out of a packet, and packets to be sent.
//!
//! A length that is read here is never trusted: nothing is allocated for it before the bytes are there.

use crate::received::Received;

use super::error::{MySqlError, ServerError};

/// What one packet holds at most; whatever is as long or longer goes on in another.
pub(crate) const PACKET_BYTES_MAX: usize = 0xff_ffff;

/// What MySQL sends or takes in several packets that belong together, at most.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// Length and number of a packet.
const HEAD: usize = 4;

/// What one packet holds, or several that belong together; its place, so that the buffer can be changed while it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// The number of the first packet.
    pub(crate) sequence: u8,
    /// The number that comes after the last one.
    pub(crate) next: u8,
    start: usize,
    end: usize,
}

impl Frame {
    /// The next packet and those that continue it, if all of them are there.
    ///
    /// Errors: `Protocol` for packets that belong together and are not numbered so, or are too many.
    pub(crate) fn next(input: &mut Received) -> Result<Option<Frame>, MySqlError> {
        let bytes = input.unread();
        let Some(&[_, _, _, sequence]) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
        let (mut end, mut next, mut length) = (0, sequence, 0);
        loop {
            let Some((&[a, b, c, number], _)) = bytes.get(end..).and_then(<[u8]>::split_first_chunk::<HEAD>)
            else {
                return Ok(None);
            };
            if number != next {
                return Err(MySqlError::Protocol {
                    what: "packets that are not numbered one after the other",
                });
            }
            let packet = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            length += packet;
            if length > MESSAGE_BYTES_MAX + PACKET_BYTES_MAX {
                return Err(MySqlError::Protocol { what: "more than 1 GiB in one message" });
            }
            end += HEAD + packet;
            if bytes.len() < end {
                return Ok(None);
            }
            next = next.wrapping_add(1);
            if packet < PACKET_BYTES_MAX {
                break;
            }
        }
        if length >= PACKET_BYTES_MAX {
            join(input.unread_mut(), length);
        }
        let place = input.take(HEAD, end);
        Ok(Some(Frame { sequence, next, start: place.start, end: place.start + length }))
    }

    /// What is in it, as long as nothing was pushed since.
    pub(crate) fn body(self, input: &Received) -> &[u8] {
        input.at(self.start..self.end)
    }
}

/// Closes the gaps between packets that belong together and hold `length` bytes.
fn join(bytes: &mut [u8], length: usize) {
    let mut done = PACKET_BYTES_MAX;
    while done < length {
        let packet = (length - done).min(PACKET_BYTES_MAX);
        let from = HEAD + done + HEAD * (done / PACKET_BYTES_MAX);
        bytes.copy_within(from..from + packet, HEAD + done);
        done += packet;
    }
}

/// Reads fields of a packet, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

/// A packet ended before its fields did. Kept out of line: else an error is made for every field.
#[cold]
#[inline(never)]
fn short() -> MySqlError {
    MySqlError::Protocol { what: "a packet is shorter than what it should hold" }
}

impl<'a> Fields<'a> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], MySqlError> {
        let (chunk, rest) = self.0.split_first_chunk::<N>().ok_or_else(short)?;
        self.0 = rest;
        Ok(*chunk)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, MySqlError> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, MySqlError> {
        self.chunk().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, MySqlError> {
        self.chunk().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, MySqlError> {
        self.chunk().map(u64::from_le_bytes)
    }

    /// That many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], MySqlError> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(short)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// The bytes up to a zero byte, which is skipped.
    pub(crate) fn bytes_to_zero(&mut self) -> Result<&'a [u8], MySqlError> {
        let end = self.0.iter().position(|&byte| byte == 0).ok_or_else(short)?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    /// A number of one to nine bytes.
    pub(crate) fn number(&mut self) -> Result<u64, MySqlError> {
        Ok(match self.u8()? {
            0xfc => u64::from(self.u16()?),
            0xfd => {
                let [a, b, c] = self.chunk()?;
                u64::from(u32::from_le_bytes([a, b, c, 0]))
            }
            0xfe => self.u64()?,
            0xfb | 0xff => return Err(MySqlError::Protocol { what: "a number that is none" }),
            small => u64::from(small),
        })
    }

    /// Bytes with their length before them.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], MySqlError> {
        let length = usize::try_from(self.number()?).map_err(|_| short())?;
        self.bytes(length)
    }

    /// The same as text. Messages of a server that has not yet heard of the encoding may be in any.
    pub(crate) fn text(&mut self) -> Result<String, MySqlError> {
        self.sized().map(|text| String::from_utf8_lossy(text).into_owned())
    }

    /// The same, or nothing for NULL, as rows in text have it.
    pub(crate) fn sized_or_null(&mut self) -> Result<Option<&'a [u8]>, MySqlError> {
        if self.0.first() == Some(&0xfb) {
            self.0 = &self.0[1..];
            return Ok(None);
        }
        self.sized().map(Some)
    }
}

/// Reads an error, whose first byte was read.
pub(crate) fn server_error(mut fields: Fields<'_>) -> Result<ServerError, MySqlError> {
    let code = fields.u16()?;
    let mut sqlstate = "";
    // Before the login the state may be left out.
    if let Some((b'#', rest)) = fields.0.split_first()
        && let Some((state, message)) = rest.split_at_checked(5)
    {
        sqlstate = std::str::from_utf8(state).unwrap_or_default();
        fields.0 = message;
    }
    let message = String::from_utf8_lossy(fields.0).into_owned();
    Ok(ServerError { code, sqlstate: sqlstate.to_owned(), message, row: None })
}

/// Writes one message, in as many packets as it needs, numbered from `sequence`; gives the number after the last.
///
/// Errors: `Unsendable` when it grows larger than `bytes_max`, or `body` says so; then nothing is written.
pub(crate) fn write(
    out: &mut Vec<u8>,
    sequence: u8,
    bytes_max: usize,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), MySqlError>,
) -> Result<u8, MySqlError> {
    let start = begin(out);
    let written = body(out).and_then(|()| end(out, start, sequence, bytes_max));
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Leaves room for the head of a message; gives its place.
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend([0; HEAD]);
    start
}

/// Writes the head of what began at `start`, and more of them where it needs several packets.
pub(crate) fn end(out: &mut Vec<u8>, start: usize, sequence: u8, bytes_max: usize) -> Result<u8, MySqlError> {
    let length = out.len() - start - HEAD;
    if length >= bytes_max {
        return Err(MySqlError::Unsendable {
            what: format!("{length} bytes at once; the server's `max_allowed_packet` is {bytes_max}"),
        });
    }
    let mut next = sequence;
    let mut head = |length: usize| {
        let [a, b, c, ..] = length.to_le_bytes();
        let head = [a, b, c, next];
        next = next.wrapping_add(1);
        head
    };
    if length < PACKET_BYTES_MAX {
        out[start..start + HEAD].copy_from_slice(&head(length));
        return Ok(next);
    }
    let body = out.split_off(start + HEAD);
    out.truncate(start);
    let mut rest = &body[..];
    loop {
        let (packet, after) = rest.split_at(rest.len().min(PACKET_BYTES_MAX));
        out.extend(head(packet.len()));
        out.extend_from_slice(packet);
        // A packet that is full says that another follows, which may be empty.
        if packet.len() < PACKET_BYTES_MAX {
            return Ok(next);
        }
        rest = after;
    }
}

/// Writes a number of one to nine bytes.
pub(crate) fn write_number(out: &mut Vec<u8>, number: u64) {
    let bytes = number.to_le_bytes();
    match number {
        0..=250 => out.push(bytes[0]),
        251..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Writes bytes with their length before them.
pub(crate) fn write_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    write_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes text and a zero byte after it.
///
/// Errors: `Unsendable` when there is a zero byte in it.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), MySqlError> {
    if text.as_bytes().contains(&0) {
        return Err(MySqlError::Unsendable { what: "a NUL character in a name".to_owned() });
    }
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_into_packets_is_put_together_again() {
        let sizes = [
            0,
            1,
            PACKET_BYTES_MAX - 1,
            PACKET_BYTES_MAX,
            PACKET_BYTES_MAX + 1,
            2 * PACKET_BYTES_MAX,
            40_000_000,
        ];
        for size in sizes {
            let body: Vec<u8> = (0..size).map(|place| (place % 251) as u8).collect();
            let mut out = Vec::new();
            let next = write(&mut out, 250, usize::MAX, |out| {
                out.extend_from_slice(&body);
                Ok(())
            });
            let packets = size / PACKET_BYTES_MAX + 1;
            assert_eq!(out.len(), size + HEAD * packets);
            assert_eq!(next.unwrap(), 250u8.wrapping_add(packets as u8));
            let mut input = Received::default();
            input.push(&out[..out.len() - 1]);
            assert!(Frame::next(&mut input).unwrap().is_none());
            input.push(&out[out.len() - 1..]);
            input.push(&[1, 0, 0, 7, 9]);
            let frame = Frame::next(&mut input).unwrap().unwrap();
            assert!(frame.body(&input) == body, "{size} bytes");
            assert_eq!((frame.sequence, frame.next), (250, 250u8.wrapping_add(packets as u8)));
            let frame = Frame::next(&mut input).unwrap().unwrap();
            assert_eq!((frame.body(&input), frame.sequence), (&[9][..], 7));
            assert!(Frame::next(&mut input).unwrap().is_none() && input.unread().is_empty());
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_not_written() {
        let mut out = vec![1];
        let written = write(&mut out, 0, 3, |out| {
            out.extend([0; 3]);
            Ok(())
        });
        assert!(matches!(written, Err(MySqlError::Unsendable { .. })));
        assert_eq!(out, [1]);
    }

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for number in [0, 250, 251, 252, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            let mut fields = Fields(&out);
            assert_eq!((fields.number().unwrap(), fields.0), (number, &[][..]));
            for cut in 0..out.len() {
                assert!(Fields(&out[..cut]).number().is_err());
            }
        }
        assert!(Fields(&[0xfb]).number().is_err() && Fields(&[0xff]).number().is_err());
    }
}
