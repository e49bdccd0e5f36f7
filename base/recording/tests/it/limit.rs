//! A recording stays small: bytes for a sample, and the limit for a program that runs for days.

use naja_recording::*;

use crate::samples::{Numbers, busy, function, header, program, thread};

fn content_bytes(path: &std::path::Path) -> u64 {
    let database = rusqlite::Connection::open(path).unwrap();
    database
        .query_row(
            "SELECT (p.page_count - f.freelist_count) * s.page_size
             FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s",
            [],
            |row| row.get(0),
        )
        .unwrap()
}

/// The hardest case: 50,000 stacks at random, nothing to compress. An hour at 1,000 Hz is 3.6 million samples,
/// so 50 MB allow 13.9 bytes each.
#[test]
fn a_sample_unlike_the_one_before_takes_less_than_five_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    let mut writer = Writer::create(&path, &header()).unwrap();
    let mut batch = program(1, 50_000);
    let mut numbers = Numbers::new(3);
    writer.write(&batch).unwrap();
    let before = content_bytes(&path);
    for step in 0..200 {
        batch = Batch {
            runs: vec![ThreadRuns {
                thread: 1,
                first_tick: step * 250,
                runs: busy(&mut numbers, 250, 50_000),
            }],
            until_tick: step * 250 + 250,
            ..Batch::default()
        };
        writer.write(&batch).unwrap();
    }
    writer.finish().unwrap();
    let per_sample = (content_bytes(&path) - before) as f64 / 50_000.0;
    println!("{per_sample:.2} bytes a sample");
    assert!(per_sample < 5.0, "{per_sample:.2} bytes a sample");
}

/// A server that makes new functions, stacks, threads and processes without end.
#[test]
fn a_recording_of_ever_new_stacks_stays_within_its_limit_and_says_what_it_forgot() {
    const LIMIT: u64 = 300_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    let mut writer = Writer::create(&path, &header()).unwrap();
    writer.set_size_limit(LIMIT);
    let mut numbers = Numbers::new(9);
    let (mut generation, mut last_node, mut last_function) = (0, 0, 0);
    let mut generation_node = 1;
    let mut written = 0;
    for step in 0..800u32 {
        let mut batch = Batch::default();
        if step % 25 == 0 {
            generation = step / 25;
            generation_node = last_node + 1;
            let first = last_function + 1;
            last_function += 20;
            batch.functions = (first..=last_function).map(function).collect();
            batch.processes.push(Process {
                id: step / 25 + 2,
                parent: 1,
                last_tick: u64::from(step) * 250,
                ending: Ending::Exited(0),
                ..Process::default()
            });
        }
        batch.generation = generation;
        batch.nodes = (last_node + 1..=last_node + 200)
            .map(|id| StackNode {
                id,
                parent: if id == generation_node { 0 } else { id - 1 },
                function: last_function - id % 20,
                line: id % 300,
            })
            .collect();
        last_node += 200;
        let own = thread(step / 10 + 1);
        let first_tick = u64::from(step) * 250;
        let span = u64::from(last_node - generation_node + 1);
        batch.runs.push(ThreadRuns {
            thread: own.id,
            first_tick,
            runs: (0..250)
                .map(|_| Run {
                    ticks: 1,
                    node: generation_node + numbers.below(span) as u32,
                    state: State::Python,
                    gil: true,
                    gc: false,
                })
                .collect(),
        });
        batch.threads.push(own);
        batch.until_tick = first_tick + 250;
        batch.metrics.push(Metric { tick: first_tick, process: 1, cpu_ns: 1, rss_bytes: 1 });
        written += 250;
        writer.write(&batch).unwrap();
    }
    let dropped = writer.dropped();
    writer.finish().unwrap();

    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size < LIMIT + LIMIT / 5, "{size} bytes");
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.dropped(), dropped);
    assert!(dropped.until_tick > 0);
    let mut left = 0;
    reader
        .runs(&mut |runs| {
            assert!(runs.first_tick >= dropped.until_tick);
            left += runs.runs.iter().map(|run| u64::from(run.ticks)).sum::<u64>();
        })
        .unwrap();
    assert_eq!(left + dropped.samples, written);
    assert!(left > written / 20, "{left} of {written} samples are left");
    let nodes = reader.nodes().unwrap();
    assert!(nodes.len() < 80_000 && nodes[0].id > 1, "{}", nodes.len());
    assert!(reader.functions().unwrap()[0].id > 1);
    assert!(reader.threads().unwrap().len() < 79);
    assert!(reader.processes().unwrap().len() < 32);
    assert!(reader.metrics().unwrap()[0].tick >= dropped.until_tick);
}
