//! Bytes that are to be sent to a server, in one buffer.

/// So much may lie unsent behind what was sent before it is moved to the front.
const SENT_BYTES: usize = 64 * 1024;

/// What is to be sent.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Requests are appended here.
    pub(crate) bytes: Vec<u8>,
    /// How many of them are sent.
    sent: usize,
    /// Where a message of many rows begins that may get more: from there on nothing is sent yet.
    pub(crate) open: Option<usize>,
}

impl Outgoing {
    /// What can be sent now.
    pub(crate) fn unsent(&self) -> &[u8] {
        self.bytes.get(self.sent..self.open.unwrap_or(self.bytes.len())).unwrap_or_default()
    }

    /// That many bytes of [`Outgoing::unsent`] were sent.
    pub(crate) fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            // What one large value has needed is not kept for all that follow.
            self.bytes.shrink_to(16 * SENT_BYTES);
            self.sent = 0;
        } else if self.sent >= SENT_BYTES && self.sent * 2 > self.bytes.len() {
            self.bytes.drain(..self.sent);
            self.open = self.open.map(|place| place - self.sent);
            self.sent = 0;
        }
    }
}
