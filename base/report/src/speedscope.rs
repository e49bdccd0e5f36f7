//! The file format of speedscope: sampled profiles that share their frames.
//!
//! A file is written as its profiles come; the frames come last. Start at [`Speedscope::begin`].

use std::io::{self, Write};

use serde_json::json;

/// A file in the making.
pub struct Speedscope<'o> {
    out: &'o mut dyn Write,
    has_any: bool,
}

/// Samples of one stack.
#[derive(Clone, Copy, Debug)]
pub struct Samples<S> {
    /// The stack.
    pub stack: S,
    /// How many samples.
    pub count: u64,
    /// The weight of each.
    pub weight: f64,
}

/// A frame, as the file has it.
#[derive(Clone, Copy, Debug)]
pub struct SpeedscopeFrame<'f> {
    /// Its name.
    pub name: &'f str,
    /// Its file; empty where there is none.
    pub file: &'f str,
    /// The line; 0 where it is not known.
    pub line: u32,
}

impl<'o> Speedscope<'o> {
    /// Begins one.
    pub fn begin(out: &'o mut dyn Write, exporter: &str, name: &str) -> io::Result<Speedscope<'o>> {
        write!(
            out,
            "{{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":{},\"name\":{},\
             \"activeProfileIndex\":0,\"profiles\":[",
            json!(exporter),
            json!(name),
        )?;
        Ok(Speedscope { out, has_any: false })
    }

    /// A profile: `whole` is the weight of all samples in `unit` (`seconds`, `bytes`), `path` gives a stack's frames, the
    /// outermost first.
    pub fn profile<S: Copy>(
        &mut self,
        name: &str,
        unit: &str,
        whole: f64,
        samples: &[Samples<S>],
        path: &dyn Fn(S) -> Vec<u32>,
    ) -> io::Result<()> {
        write!(
            self.out,
            "{}{{\"type\":\"sampled\",\"name\":{},\"unit\":{},\"startValue\":0,\"endValue\":{whole},\"samples\":[",
            if self.has_any { "," } else { "" },
            json!(name),
            json!(unit),
        )?;
        self.has_any = true;
        let mut comma = "";
        for one in samples {
            let path = format!("{:?}", path(one.stack));
            for _ in 0..one.count {
                write!(self.out, "{comma}{path}")?;
                comma = ",";
            }
        }
        write!(self.out, "],\"weights\":[")?;
        comma = "";
        for one in samples {
            for _ in 0..one.count {
                write!(self.out, "{comma}{}", one.weight)?;
                comma = ",";
            }
        }
        write!(self.out, "]}}")
    }

    /// Ends it; `unit` is that of the profile without samples which stands where there was none.
    pub fn end<'f>(
        mut self,
        unit: &str,
        frames: impl Iterator<Item = SpeedscopeFrame<'f>>,
    ) -> io::Result<()> {
        if !self.has_any {
            // A file without a profile cannot be opened.
            self.profile::<u32>("no samples", unit, 0.0, &[], &|_| Vec::new())?;
        }
        write!(self.out, "],\"shared\":{{\"frames\":[")?;
        for (index, frame) in frames.enumerate() {
            // All four, also where nothing is known: readers of py-spy's files, its own tests among them, ask for each.
            let frame_json = json!({
                "name": frame.name,
                "file": (!frame.file.is_empty()).then_some(frame.file),
                "line": (frame.line != 0).then_some(frame.line),
                "col": null,
            });
            write!(self.out, "{}{frame_json}", if index == 0 { "" } else { "," })?;
        }
        writeln!(self.out, "]}}}}")
    }
}
