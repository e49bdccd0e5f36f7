//! The view where there is no screen: a table, or a line of JSON, every so often.

use std::io::Write;
use std::time::{Duration, Instant};

use naja_system::Failure;

use super::{TopArguments, TopFormat, Watched, choices};
use crate::top::view::{Scene, json, text};

/// Rows of a table, and of the lists in JSON.
const ROWS: usize = 20;
const JSON_ROWS: usize = 200;
const COLUMNS: usize = 100;

/// The longest that an end stays unnoticed.
const LOOK: Duration = Duration::from_millis(50);

/// Prints until the program has ended, or as often as was asked for.
pub(super) fn run(args: &TopArguments, format: TopFormat, watched: &mut Watched) -> Result<(), Failure> {
    let delay = Duration::from_secs_f64(args.delay);
    let mut next = Instant::now() + delay;
    let mut printed = 0;
    while args.count.is_none_or(|count| printed < count) {
        watched.take_batches();
        let is_last = watched.ended.is_some();
        if Instant::now() < next && !is_last {
            std::thread::sleep(LOOK.min(next.saturating_duration_since(Instant::now())));
            continue;
        }
        next += delay;
        // After a pause, from now on: what was missed is not printed in a burst.
        next = next.max(Instant::now());
        if !print(&picture(args, format, watched))? || is_last {
            return Ok(());
        }
        printed += 1;
    }
    Ok(())
}

fn picture(args: &TopArguments, format: TopFormat, watched: &Watched) -> String {
    let mut ui = choices(args, watched);
    ui.page = crate::top::ui::Page::Functions;
    let scene = Scene {
        model: &watched.model,
        pid: watched.pid,
        ended: watched.ended.as_deref(),
        output: None,
        window_s: watched.window_ns as f64 / 1e9,
    };
    match format {
        TopFormat::Text => format!("{}\n", text(&scene, &ui, ROWS, COLUMNS)),
        TopFormat::Json => format!("{}\n", json(&scene, &ui, JSON_ROWS)),
    }
}

/// Whether anybody still reads.
fn print(picture: &str) -> Result<bool, Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(picture.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new("cannot-write", "failed to write to stdout").caused_by(&error)),
    }
}
