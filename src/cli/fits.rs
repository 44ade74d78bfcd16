//! `fits`: would an allocation have fitted. The exit code does not depend on
//! the answer.

use std::path::PathBuf;

use clap::Args;
use dumpmap::fits::Request;
use dumpmap::render::{csv, json, markdown, text};
use dumpmap::report::FitsReport;

use super::{Done, Format, Options, input, output, supported, values};

#[derive(Debug, Args)]
#[command(after_help = "The exit code is 0 whatever the answer is: 2 means that there is none, \
    because the arguments or the file are wrong. A dump whose map does not know what was free \
    has the answer \"cannot tell\".")]
pub(super) struct Fits {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
    /// How much, such as 64M, 1.5GiB or 0x4000, and at which multiples
    /// [default: 64K on Windows, else a page]
    #[arg(value_name = "SIZE[,ALIGN]", value_parser = request)]
    size: (u64, Option<u64>),
    /// How many fences and owners are listed
    #[arg(long, value_name = "N", default_value = "10")]
    top: usize,
}

pub(super) fn run(args: &Fits, options: &Options) -> Done {
    use Format::{Csv, Json, Jsonl, Markdown, Text};
    let format = supported("fits", options.format, &[Text, Json, Jsonl, Csv, Markdown])?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let (size, align) = args.size;
    let request = Request { size, align, top: args.top };
    let report = FitsReport::of(&input::input(&analysis, &args.dump, options), &request);
    let fences = report.answer.as_ref().map_or(&[][..], |answer| &answer.fences.top);
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json::document(&report, out),
        Jsonl => json::lines(fences, out),
        Csv => csv::rows(fences, out),
        Markdown => out.write_all(markdown::fits(&report).as_bytes()),
        _ => out.write_all(text::fits(&report, paint).as_bytes()),
    })
}

fn request(text: &str) -> Result<(u64, Option<u64>), String> {
    let (size, align) = match text.split_once(',') {
        Some((size, align)) => (values::size(size)?, Some(values::size(align)?)),
        None => (values::size(text)?, None),
    };
    if size == 0 {
        return Err("an allocation has at least 1 byte".into());
    }
    match align {
        Some(align) if !align.is_power_of_two() => {
            Err(format!("{align} is no alignment; write a power of two, such as 64K"))
        }
        _ => Ok((size, align)),
    }
}
