//! Does one thing with an archive, as often as asked, and says how many bytes came out.
//!
//! `plain ARCHIVE BYTES TIMES`: decodes the first BYTES of its only member with the crate that
//! dumpmap uses for the format, in a loop that does nothing else (`cab`: with the crate of that
//! name). `row ARCHIVE - TIMES`: the summary of the dump in it, of its streams alone.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::ops::ControlFlow;
use std::path::Path;

use dumpmap::archive::for_each_dump;
use dumpmap::limits::{Depth, Limits};
use dumpmap::report::{Input, Privacy, SummaryReport};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, archive, bytes, times] = args.as_slice() else {
        return Err("usage: unpack plain|row ARCHIVE BYTES TIMES".into());
    };
    let mut done = 0;
    for _ in 0..times.parse::<u32>()? {
        done = match what.as_str() {
            "plain" => plain(archive, bytes.parse()?)?,
            _ => row(archive)?,
        };
    }
    println!("{done}");
    Ok(())
}

fn plain(archive: &str, bytes: u64) -> Result<u64, Failure> {
    let file = BufReader::with_capacity(64 << 10, File::open(archive)?);
    match Path::new(archive).extension().and_then(|suffix| suffix.to_str()) {
        Some("gz") => drain(flate2::bufread::MultiGzDecoder::new(file), bytes),
        Some("zst") => drain(ruzstd::decoding::StreamingDecoder::new(file)?, bytes),
        Some("zip") => drain(zip::ZipArchive::new(file)?.by_index(0)?, bytes),
        Some("cab") => drain(cab::Cabinet::new(file)?.read_file("big.dmp")?, bytes),
        _ => Err("not one of .gz .zst .zip .cab".into()),
    }
}

/// Keeps what it reads, as anyone must who wants to look at it.
fn drain(reader: impl Read, bytes: u64) -> Result<u64, Failure> {
    if bytes > 64 << 20 {
        return Ok(io::copy(&mut reader.take(bytes), &mut io::sink())?);
    }
    let mut kept = Cursor::new(Vec::new());
    Ok(io::copy(&mut reader.take(bytes), &mut kept)?)
}

/// Returns how far the dump was unpacked.
fn row(archive: &str) -> Result<u64, Failure> {
    let limits = Limits { depth: Depth::Streams, ..Limits::default() };
    let mut unpacked = None;
    for_each_dump(archive.as_ref(), &limits, &mut |_, dump| {
        unpacked = Some(dump.map_err(Failure::from).and_then(|source| {
            let analysis = dumpmap::analyze(&source, &limits)?;
            let input =
                Input { analysis: &analysis, path: archive.as_ref(), privacy: Privacy::Full };
            serde_json::to_writer(io::sink(), &SummaryReport::of(&input))?;
            Ok(source.unpacked())
        }));
        ControlFlow::Continue(())
    })?;
    unpacked.ok_or("no dump")?
}
