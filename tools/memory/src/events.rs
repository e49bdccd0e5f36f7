//! The events of a recording, in their order, read by two threads.
//!
//! One unpacks while the other counts. However long the recording is, a few stretches are in memory at a time. Start at
//! [`each_event`].

use std::sync::mpsc;

use naja_recording::allocations::{Slots, read_allocations};
use naja_recording::blocks::BlockError;
use naja_recording::{AllocationEvent, Reader, RecordingError, Tick};

/// Stretches that are on their way from one thread to the other: a few, so that neither waits for the other.
const UNDER_WAY_MAX: usize = 4;

/// The events of a stretch. Times stand apart, since many events have the same.
#[derive(Debug, Default)]
struct Unpacked {
    events: Vec<AllocationEvent>,
    /// From this event on, this is the time.
    times: Vec<(usize, Tick)>,
}

/// What comes out of a recording, one after the other.
pub(crate) trait Events {
    /// Time is now this; never backwards.
    fn time(&mut self, tick: Tick);
    /// Something has happened.
    fn event(&mut self, event: AllocationEvent);
}

/// Tells every event of a recording.
///
/// Errors: those of the recording
/// Cost:   some 10 ns an event
pub(crate) fn each_event(reader: &Reader<'_>, each: &mut impl Events) -> Result<(), RecordingError> {
    std::thread::scope(|scope| {
        let (to_unpack, packed) = mpsc::channel::<Vec<u8>>();
        let (done, unpacked) = mpsc::channel::<Result<Unpacked, BlockError>>();
        let (back, used) = mpsc::channel::<Unpacked>();
        scope.spawn(move || {
            let mut slots = Slots::default();
            while let Ok(data) = packed.recv() {
                let room = used.try_recv().unwrap_or_default();
                // The other side is gone once an error has ended it.
                if done.send(unpack(&data, &mut slots, room)).is_err() {
                    return;
                }
            }
        });
        let mut under_way = 0;
        let take = |each: &mut _| -> Result<(), BlockError> {
            // It answers whatever it is sent, and lives as long as it can be sent something.
            let Ok(result) = unpacked.recv() else { return Ok(()) };
            let stretch = result?;
            tell(&stretch, each);
            let _ = back.send(stretch);
            Ok(())
        };
        reader.allocation_stretches(&mut |stretch| {
            if under_way == UNDER_WAY_MAX {
                take(each)?;
                under_way -= 1;
            }
            under_way += usize::from(to_unpack.send(stretch.data).is_ok());
            Ok(())
        })?;
        drop(to_unpack);
        for _ in 0..under_way {
            take(each).map_err(|error| reader.damaged(error))?;
        }
        Ok(())
    })
}

fn unpack(data: &[u8], slots: &mut Slots, mut room: Unpacked) -> Result<Unpacked, BlockError> {
    room.events.clear();
    room.times.clear();
    let mut last = None;
    read_allocations(data, slots, &mut |tick, event| {
        if last != Some(tick) {
            last = Some(tick);
            room.times.push((room.events.len(), tick));
        }
        room.events.push(event);
    })?;
    Ok(room)
}

fn tell(stretch: &Unpacked, each: &mut impl Events) {
    for (index, (from, tick)) in stretch.times.iter().enumerate() {
        let until = stretch.times.get(index + 1).map_or(stretch.events.len(), |next| next.0);
        each.time(*tick);
        for event in stretch.events.get(*from..until).unwrap_or_default() {
            each.event(*event);
        }
    }
}
