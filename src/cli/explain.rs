//! `explain`: what is at an address, who says so, and who says otherwise.

use std::path::PathBuf;

use clap::Args;
use dumpmap::render::{json, text};
use dumpmap::report::{AddressText, Details, ExplainReport, Names};

use super::unexplained::first_bytes;
use super::{Done, Failure, Format, Options, input, output, supported};

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
    /// 0x7ff6e7900000, 7ff6`e7900000, module+0x12, @rsp
    #[arg(required = true)]
    addresses: Vec<String>,
    /// Also counts the pointers into each piece, in stacks and modules' data
    #[arg(long)]
    pointers: bool,
    /// Also shows 16 bytes of memory that nobody explains, as text
    #[arg(long)]
    first_bytes: bool,
}

pub(super) fn run(args: &Explain, options: &Options) -> Done {
    let format =
        supported("explain", options.format, &[Format::Text, Format::Json, Format::Jsonl])?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let address = |text: &String| {
        let address = AddressText::parse(text)?.resolve(&analysis)?;
        Ok((text.clone(), address))
    };
    let queries: Result<Vec<_>, String> = args.addresses.iter().map(address).collect();
    let queries = queries.map_err(|what| Failure::Message(format!("explain: {what}")))?;
    let details = Details { pointers: args.pointers, first_bytes: first_bytes(args.first_bytes) };
    let names = Names::of(&input::input(&analysis, &args.dump, options));
    let report = ExplainReport::of(&names, &queries, details);
    output::write(options, &[&args.dump], |out, paint| match format {
        Format::Json => json::document(&report, out),
        Format::Jsonl => json::lines(&report.addresses, out),
        _ => out.write_all(text::explain(&report, paint).as_bytes()),
    })
}
