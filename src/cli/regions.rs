//! `regions`: every piece, region or allocation, filtered and sorted. Rows are
//! written as they come, unless they have to be sorted.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dumpmap::addr::AddressRange;
use dumpmap::analysis::Analysis;
use dumpmap::evidence::RegionKind;
use dumpmap::explained::is_without_memory;
use dumpmap::map::{MemoryType, State};
use dumpmap::render::{Paint, RegionLines, csv, markdown, text};
use dumpmap::report::{
    AddressText, By, DumpView, Filter, Input, Names, ProtectionIs, Row, SCHEMA_VERSION,
    SummaryReport, rows,
};

use super::{Done, Failure, Format, Options, input, output, supported, values};

#[derive(Debug, Args)]
pub(super) struct Regions {
    /// A .dmp file; - reads standard input
    dump: PathBuf,
    /// Only these kinds: image, mapped, heap, stack, private, free …
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    kind: Vec<RegionKind>,
    /// Only these states: commit, reserve, free
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    state: Vec<State>,
    /// Only these protections: R, RW, RX, RWX, guard, or a PAGE_ name
    #[arg(long, value_name = "PROTECT", value_delimiter = ',', value_parser = protection)]
    protect: Vec<ProtectionIs>,
    /// Only these types: image, mapped, private
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = memory_type)]
    types: Vec<MemoryType>,
    /// Only rows of at least this size, such as 64K
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "0",
        hide_default_value = true)]
    min_size: u64,
    /// Only the row that holds this address
    #[arg(long, value_name = "ADDRESS", conflicts_with = "range", value_parser = AddressText::parse)]
    at: Option<AddressText>,
    /// Only rows that have bytes in A-B
    #[arg(long, value_name = "A-B")]
    range: Option<String>,
    /// Only this module, such as ntdll
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// Only what belongs to this thread
    #[arg(long, value_name = "ID", value_parser = thread)]
    thread: Option<u32>,
    /// Only rows with this in their name or use
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The order of rows
    #[arg(long, value_name = "KEY", default_value = "address")]
    sort: Sort,
    /// Only the first N rows
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Draws the address space instead of listing it
    #[arg(long, conflicts_with_all = ["sort", "top", "by"])]
    map: bool,
    /// Columns of the map
    #[arg(long, value_name = "COLUMNS", requires = "map", default_value = "80",
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    width: u16,
    /// What one row is
    #[arg(long, value_name = "WHAT", default_value = "piece")]
    by: Rows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    Address,
    Size,
    Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rows {
    /// A run of bytes with one answer
    Piece,
    /// A VirtualQuery region
    Region,
    /// The regions of one allocation
    Allocation,
}

pub(super) fn run(args: &Regions, options: &Options) -> Done {
    use Format::{Csv, Json, Jsonl, Markdown, Text};
    let format = supported("regions", options.format, &[Text, Json, Jsonl, Csv, Markdown])?;
    let source = input::open(&args.dump, options)?;
    let analysis = input::load(&source, &args.dump, options)?;
    let input = input::input(&analysis, &args.dump, options);
    let filter = filter(args, &analysis).map_err(Failure::Message)?;
    let names = Names::of(&input);
    if args.map {
        supported("regions --map", options.format, &[Text])?;
        let report = SummaryReport::of(&input);
        return output::write(options, &[&args.dump], |out, paint| {
            let (source, claims) = (analysis.map.source, &analysis.evidence.claims);
            let pieces = rows(&input, By::Piece).filter(|row| {
                let winner = row.standing.claims.first().copied();
                let bare = is_without_memory(&row.region, winner, source, claims);
                report.strip.shows(row.region.state, bare)
            });
            let drawn = text::map(&report, pieces, usize::from(args.width), paint, |row| {
                filter.shows(&names, row)
            });
            out.write_all(drawn.as_bytes())
        });
    }
    output::write(options, &[&args.dump], |out, paint| match format {
        Json => json(args, &input, &names, &filter, out),
        Jsonl => jsonl(args, &input, &names, &filter, out),
        Csv => {
            let mut lines = RegionLines::new(&names);
            let mut table = csv::Lines::new(out);
            each(args, &input, &names, &filter, |row| table.row(lines.line(row)))?;
            table.finish()
        }
        Markdown => {
            let mut table = text::regions_table();
            each(args, &input, &names, &filter, |row| {
                table.rows.push(text::region_cells(&names, row));
                Ok(())
            })?;
            out.write_all(markdown::table(&table).as_bytes())
        }
        _ => in_text(args, &input, &names, &filter, out, paint),
    })
}

fn json(
    args: &Regions,
    input: &Input<'_>,
    names: &Names<'_>,
    filter: &Filter,
    out: &mut dyn Write,
) -> io::Result<()> {
    let dump = dumpmap::render::json::compact(&DumpView::of(input))?;
    write!(out, "{{\"schema_version\":\"{SCHEMA_VERSION}\",\n\"dump\":{dump},\n\"regions\":[")?;
    let mut lines = RegionLines::new(names);
    let mut separator: &[u8] = b"\n";
    each(args, input, names, filter, |row| {
        out.write_all(separator)?;
        separator = b",\n";
        out.write_all(lines.line(row))
    })?;
    out.write_all(b"\n]}\n")
}

fn jsonl(
    args: &Regions,
    input: &Input<'_>,
    names: &Names<'_>,
    filter: &Filter,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lines = RegionLines::new(names);
    each(args, input, names, filter, |row| {
        out.write_all(lines.line(row))?;
        out.write_all(b"\n")
    })?;
    Ok(())
}

fn in_text(
    args: &Regions,
    input: &Input<'_>,
    names: &Names<'_>,
    filter: &Filter,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    out.write_all(text::regions_heading(names, paint).as_bytes())?;
    let (mut shown, mut bytes) = (0_u64, 0_u64);
    let all = each(args, input, names, filter, |row| {
        shown += 1;
        bytes = bytes.saturating_add(row.range.size());
        out.write_all(text::region(names, row, paint).as_bytes())
    })?;
    let noun = match args.by {
        Rows::Piece => "piece",
        Rows::Region => "region",
        Rows::Allocation => "allocation",
    };
    out.write_all(text::regions_footer(shown, all, bytes, noun, paint).as_bytes())
}

/// Calls `write` for the rows that the filter shows, in the order asked for.
/// Answers how many rows there were before filtering.
fn each(
    args: &Regions,
    input: &Input<'_>,
    names: &Names<'_>,
    filter: &Filter,
    mut write: impl FnMut(&Row) -> io::Result<()>,
) -> io::Result<u64> {
    let by = match args.by {
        Rows::Piece => By::Piece,
        Rows::Region => By::Region,
        Rows::Allocation => By::Allocation,
    };
    let top = args.top.unwrap_or(usize::MAX);
    let (mut all, mut shown) = (0_u64, 0_usize);
    let mut kept: Vec<Row> = Vec::new();
    for row in rows(input, by) {
        all += 1;
        if !filter.shows(names, &row) {
            continue;
        }
        match args.sort {
            Sort::Address if shown < top => write(&row)?,
            Sort::Address => {}
            Sort::Size | Sort::Kind => {
                kept.push(row);
                // Never more than twice what will be written.
                if kept.len() / 2 >= top {
                    sort(&mut kept, args.sort);
                    kept.truncate(top);
                }
            }
        }
        shown += 1;
    }
    sort(&mut kept, args.sort);
    kept.iter().take(top).try_for_each(write)?;
    Ok(all)
}

fn sort(rows: &mut [Row], by: Sort) {
    match by {
        Sort::Address => {}
        Sort::Size => rows.sort_by_key(|row| (Reverse(row.range.size()), row.range.start())),
        Sort::Kind => rows.sort_by_key(|row| (row.kind, row.range.start())),
    }
}

fn filter(args: &Regions, analysis: &Analysis<'_>) -> Result<Filter, String> {
    let at = args.at.as_ref().map(|address| address.resolve(analysis)).transpose()?;
    let range = args.range.as_ref().map(|range| values::range(range, analysis)).transpose()?;
    Ok(Filter {
        kinds: args.kind.clone(),
        states: args.state.clone(),
        types: args.types.clone(),
        protections: args.protect.clone(),
        min_size: args.min_size,
        range: at.and_then(|address| AddressRange::new(address, 1)).or(range),
        module: args.module.clone(),
        thread: args.thread,
        name: args.name.clone(),
    })
}

fn kind(text: &str) -> Result<RegionKind, String> {
    one_of(text, &RegionKind::ALL, RegionKind::as_str)
}

fn state(text: &str) -> Result<State, String> {
    let states = [State::Commit, State::Reserve, State::Free, State::Unknown];
    one_of(text, &states, State::as_str)
}

fn memory_type(text: &str) -> Result<MemoryType, String> {
    let types = [MemoryType::Image, MemoryType::Mapped, MemoryType::Private];
    one_of(text, &types, MemoryType::as_str)
}

fn protection(text: &str) -> Result<ProtectionIs, String> {
    ProtectionIs::parse(text)
        .ok_or_else(|| "one of R, RW, RX, RWX, X, WC, WCX, NA, guard, or a PAGE_ name".into())
}

/// Thread ids are decimal, or hexadecimal with `0x` as debuggers show them.
fn thread(text: &str) -> Result<u32, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "a thread id: 1234 or 0x4d2".into())
}

fn one_of<T: Copy>(text: &str, values: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    values.iter().copied().find(|value| name(*value).eq_ignore_ascii_case(text)).ok_or_else(|| {
        let names: Vec<&str> = values.iter().map(|value| name(*value)).collect();
        format!("one of {}", names.join(", "))
    })
}
