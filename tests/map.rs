//! `regions --map`: the address space in letters or blocks of colour, at any
//! width.

mod support;

use std::collections::BTreeMap;

use dumpmap::render::sanitize;
use support::run;

const FULL: &str = "fixtures/scenarios/x86-exhausted.info.dmp";
const X64: &str = "fixtures/scenarios/x64-basic.mini.dmp";

fn map(args: &[&str]) -> String {
    let output = run(["regions"].iter().chain(args).chain(&["--map"]));
    assert_eq!(output.status, Some(0), "{}", output.stderr);
    output.stdout
}

/// The lines of cells, without what stands beside them.
fn cells(text: &str, margin: usize) -> Vec<&str> {
    let lines = text.lines().filter(|line| line.starts_with("0x"));
    lines.map(|line| line.get(margin..).unwrap_or("")).collect()
}

#[test]
fn fits_every_width() {
    for dump in [FULL, X64, "fixtures/linux-maps.dmp", "fixtures/rebuilt-map.dmp"] {
        for width in [1, 2, 10, 23, 24, 40, 80, 100, 200, 1000] {
            let text = map(&[dump, "--width", &width.to_string()]);
            // Words are not broken: the longest of title and legend.
            for line in text.lines() {
                let word = line.split(' ').map(str::len).max().unwrap_or(0).max(16);
                assert!(sanitize::width(line) <= width.max(word), "{dump} {width}: {line}");
                assert_eq!(line.trim_end(), line, "{dump} {width}");
            }
        }
    }
}

#[test]
fn a_cell_is_its_share_of_the_range() {
    for (width, columns) in [(80, 68), (40, 28), (200, 188)] {
        let text = map(&[FULL, "--width", &width.to_string()]);
        assert!(text.starts_with("Address space 0x0-0x7fff0000 (2.00 GiB)\n"));
        let lines = cells(&text, 12);
        assert_eq!(lines.len(), 16);
        let mut letters: BTreeMap<char, usize> = BTreeMap::new();
        for line in &lines {
            assert_eq!(line.len(), columns);
            line.chars().for_each(|letter| *letters.entry(letter).or_default() += 1);
        }
        let all = 16 * columns;
        // 94.8 % of the range is private data, and each cell has one letter.
        let private = letters[&'P'] as f64 / all as f64;
        assert!((private - 0.948).abs() < 0.01, "{private}");
        let free = letters[&'.'] as f64 / all as f64;
        assert!((free - 0.046).abs() < 0.01, "{free}");
    }
}

#[test]
fn each_line_begins_where_it_says() {
    let text = map(&[FULL, "--width", "76"]);
    let starts: Vec<u64> = text
        .lines()
        .filter_map(|line| u64::from_str_radix(line.strip_prefix("0x")?.get(..8)?, 16).ok())
        .collect();
    let expected: Vec<u64> = (0..16).map(|line| 0x7fff_0000 / 16 * line).collect();
    assert_eq!(starts, expected);
}

#[test]
fn colour_has_blocks_and_the_same_letters() {
    let plain = map(&[FULL]);
    let colour = map(&[FULL, "--color", "always"]);
    assert!(colour.contains("\u{1b}[38;2;0;0;0m\u{1b}[48;2;244;244;0m"), "VMMap's yellow");
    let mut stripped = String::new();
    let mut rest = colour.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        stripped.push_str(before);
        rest = after.split_once('m').expect("the end of an escape").1;
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
    assert!(!map(&[FULL, "--color", "never"]).contains('\u{1b}'));
}

#[test]
fn a_filter_leaves_the_rest_blank() {
    let all = map(&[X64]);
    let some = map(&[X64, "--kind", "image"]);
    let (all, some) = (cells(&all, 16), cells(&some, 16));
    assert_eq!(all.len(), some.len());
    for (all, some) in all.iter().zip(&some) {
        for (at, letter) in all.chars().enumerate() {
            let shown = some.chars().nth(at).unwrap_or(' ');
            assert!(shown == 'I' || (shown == ' ' && letter != 'I'), "{all}\n{some}");
        }
    }
    assert!(some.iter().any(|line| line.contains('I')));
}

#[test]
fn what_it_cannot_draw() {
    assert_eq!(map(&["fixtures/no-streams.dmp"]), "the map has no memory to draw\n");
    for args in [
        &["--map", "--width", "0"][..],
        &["--map", "--width", "many"],
        &["--width", "80"],
        &["--map", "--sort", "size"],
        &["--map", "-f", "json"],
    ] {
        let output = run(["regions", FULL].iter().chain(args));
        assert_eq!(output.status, Some(2), "{args:?}: {}", output.stdout);
        assert_eq!(output.stdout, "");
    }
}
