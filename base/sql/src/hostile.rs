//! What the fuzzers of all engines do in the same way with the bytes of a stranger.

use std::fmt;
use std::ops::ControlFlow;

use crate::connection::Blocking;
use crate::engine::{Engine, ErrorOf, EventOf};
use crate::sink_calls::forward_sink;
use crate::{Column, Rows, Values};

/// A fuzz target: its name, which is its folder in the corpus, and what it runs.
pub type Entry = (&'static str, fn(&[u8]));

/// A row of values that is thrown away as soon as it is complete.
#[derive(Default)]
pub(crate) struct Thrown {
    pub(crate) values: Values,
    /// How many calls there were.
    pub(crate) told: usize,
}

impl Thrown {
    fn count(&mut self) {
        self.told += 1;
    }
}

impl Rows for Thrown {
    fn columns(&mut self, _: &[Column]) {}

    fn row(&mut self) -> ControlFlow<()> {
        self.values.take();
        ControlFlow::Continue(())
    }
}

forward_sink!(Thrown, values, count);

/// The stream of a server, in pieces of so many bytes; `follow` does what an event asks for.
pub(crate) fn stream<E: Engine>(
    protocol: &mut E,
    stream: &[u8],
    piece: usize,
    follow: impl Fn(&mut E, &EventOf<E>),
) {
    let mut told = 0;
    for bytes in stream.chunks(piece) {
        protocol.receive(bytes);
        loop {
            match protocol.next_event() {
                Ok(Some(event)) => {
                    told += 1;
                    follow(protocol, &event);
                }
                Ok(None) => break,
                Err(_) => {
                    assert!(
                        protocol.next_event().is_err() && !protocol.is_open(),
                        "a broken connection goes on"
                    );
                    break;
                }
            }
        }
        let outgoing = protocol.outgoing().len();
        protocol.sent(outgoing);
    }
    // A message has at least four bytes; one more event is what the end of each batch tells.
    assert!(told <= 8 + stream.len(), "{told} events out of {} bytes", stream.len());
}

/// The row that has come.
pub(crate) fn row<E: Engine>(protocol: &E) {
    let _ = protocol.row(&mut Thrown::default());
}

/// A URL, read by `read`; none of its errors may repeat the password that comes after `before_password`.
pub(crate) fn url<E: Blocking<Options: fmt::Debug>>(
    input: &[u8],
    before_password: &str,
    read: impl Fn(&str) -> Result<E::Options, ErrorOf<E>>,
) {
    let text = String::from_utf8_lossy(input);
    if let Ok(options) = read(&text) {
        let _ = E::start(&options, false);
        let _ = (options.to_string(), format!("{options:?}"));
    }
    let secret = "s3cr3tw0rd";
    if !text.contains(secret)
        && let Err(error) = read(&format!("{before_password}{secret}{text}"))
    {
        assert!(!format!("{error} {error:?}").contains(secret), "{error}");
    }
}
