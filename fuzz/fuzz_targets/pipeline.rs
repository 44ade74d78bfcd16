//! Bytes in, the reports out to a sink: no panic, and the pieces add up.
#![no_main]

use std::ffi::OsStr;
use std::io;

use dumpmap::report::{
    CrashReport, FirstBytes, Input, Names, Privacy, SummaryReport, UnexplainedReport,
};
use dumpmap::unexplained::Request;

use dumpmap::{analyze, limits::Limits, render, source::Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let source = Source::from_bytes(bytes);
    let Ok(analysis) = analyze(&source, &Limits::default()) else { return };
    let mut accounted = 0_u64;
    let mut sweep = analysis.pieces();
    while let Some(piece) = sweep.next() {
        accounted = accounted.wrapping_add(piece.range.size());
        assert!(sweep.standing(&piece).claims.len() <= 9);
    }
    assert_eq!(accounted, analysis.totals.audit.accounted);
    assert_eq!(accounted, analysis.totals.audit.range_size);
    let path = OsStr::new("fuzz.dmp");
    let input = Input { analysis: &analysis, path, privacy: Privacy::Redacted };
    render::json::document(&SummaryReport::of(&input), &mut io::sink()).expect("a sink takes all");
    let request = Request { top: 8, pointers: true };
    let unexplained = UnexplainedReport::of(&input, request, FirstBytes::Shown);
    render::text::unexplained(&unexplained, render::Paint::Plain);
    let names = Names::of(&input);
    render::text::crash(&CrashReport::of(&names), render::Paint::Plain);
});
