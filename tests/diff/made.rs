//! Made dumps: each kind of change, slopes, the command line, bad input.

use dumpmap::diff::{Per, RunChoice, What, Who};
use dumpmap::synth::{
    DumpBuilder, Mapping, MiscInfo, Module, PAGE_EXECUTE_READ, PAGE_READONLY, PAGE_READWRITE,
    Region, Thread, ThreadInfo, maps_text,
};
use serde_json::Value;

use crate::support::{Output, run};
use crate::{all, assert_adds_up, compare_bytes};

const MIB: u64 = 1 << 20;

/// A folder with dumps, gone when it is dropped.
struct Folder(std::path::PathBuf);

impl Folder {
    fn with(dumps: &[(&str, Vec<u8>)]) -> Folder {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("diff-{}-{next}", std::process::id());
        let folder = Folder(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        for (name, bytes) in dumps {
            std::fs::write(folder.0.join(name), bytes).unwrap();
        }
        folder
    }

    /// Runs `diff`; words that end in `.dmp` are files of the folder.
    fn diff(&self, args: &str) -> Output {
        let path = |word: &str| match word.ends_with(".dmp") {
            true => self.0.join(word).to_string_lossy().into_owned(),
            false => word.to_owned(),
        };
        run(std::iter::once("diff".to_owned()).chain(args.split_whitespace().map(path)))
    }

    fn json(&self, args: &str) -> Value {
        let output = self.diff(&format!("{args} -f json"));
        assert_eq!((output.status, output.stderr.as_str()), (Some(0), ""), "{args}");
        crate::schema::check("diff", &output.stdout);
        serde_json::from_str(&output.stdout).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process of one run, in a dump written at `time`.
fn process(time: u32, regions: Vec<Region>) -> DumpBuilder {
    let mut misc = MiscInfo::new(77);
    misc.times = Some((1000, 0, 0));
    DumpBuilder::windows_x64()
        .regions(regions)
        .module(Module::new(r"C:\Users\Ann Lee\app.exe", 0x1_0000, 0x2000))
        .thread(Thread::new(5))
        .misc(misc)
        .patch(20, time.to_le_bytes())
}

fn image(base: u64) -> [Region; 2] {
    [
        Region::image(base, 0x1000, PAGE_READONLY, base),
        Region::image(base + 0x1000, 0x1000, PAGE_EXECUTE_READ, base),
    ]
}

/// The image, and these regions with free memory between.
fn filled(regions: &[Region]) -> Vec<Region> {
    let mut out: Vec<Region> = image(0x1_0000).into();
    let mut at = 0x1_2000;
    for region in regions {
        if region.base > at {
            out.push(Region::free(at, region.base - at));
        }
        at = region.base + region.size;
        out.push(*region);
    }
    out.push(Region::free(at, 0x1000_0000 - at));
    out
}

fn before() -> Vec<u8> {
    process(
        2000,
        filled(&[
            Region::commit(0x10_0000, 0x1_0000, PAGE_READWRITE),
            Region::commit(0x20_0000, 0x1_0000, PAGE_READWRITE),
            Region::reserve(0x30_0000, 0x4_0000),
            Region::commit(0x40_0000, 0x2_0000, PAGE_READWRITE),
            Region::commit(0x50_0000, 0x1_0000, PAGE_READWRITE),
        ]),
    )
    .build()
}

fn after() -> Vec<u8> {
    process(
        9200,
        filled(&[
            Region::mapped(0x10_0000, 0x1_0000, PAGE_READONLY),
            Region::commit(0x30_0000, 0x3_0000, PAGE_READWRITE).within(0x30_0000),
            Region::reserve(0x33_0000, 0x1_0000).within(0x30_0000),
            Region::commit(0x40_0000, 0x1_0000, PAGE_READWRITE),
            Region::reserve(0x41_0000, 0x1_0000).within(0x40_0000),
            Region::commit(0x50_0000, 0x1_0000, PAGE_EXECUTE_READ),
            Region::commit(0x60_0000, 0x8_0000, PAGE_READWRITE),
        ]),
    )
    .build()
}

#[test]
fn every_change_by_its_name() {
    let diff = compare_bytes(&[before(), after()], &all(RunChoice::Decide));
    assert!(diff.run.same, "{:?}", diff.run);
    assert_adds_up(&diff, "made");
    let rows: Vec<(u64, What, u64, i128)> = {
        let mut rows = diff.regions.rows.clone();
        rows.sort_by_key(|row| row.change.range.start());
        let of = |row: &dumpmap::diff::RegionRow| {
            let range = row.change.range;
            (range.start(), row.change.what, range.size(), row.change.committed())
        };
        rows.iter().map(of).collect()
    };
    let expected = [
        (0x10_0000, What::Replaced, 0x1_0000, 0),
        (0x20_0000, What::Gone, 0x1_0000, -0x1_0000),
        (0x30_0000, What::Committed, 0x3_0000, 0x3_0000),
        (0x41_0000, What::Decommitted, 0x1_0000, -0x1_0000),
        (0x50_0000, What::Protection, 0x1_0000, 0),
        (0x60_0000, What::New, 0x8_0000, 0x8_0000),
    ];
    assert_eq!(rows, expected);
    let order: Vec<What> = diff.regions.rows.iter().map(|row| row.change.what).collect();
    assert_eq!(order[..2], [What::New, What::Committed], "what grew most comes first");
}

#[test]
fn a_dump_and_itself() {
    for run in [RunChoice::Decide, RunChoice::Same, RunChoice::Other] {
        let diff = compare_bytes(&[before(), before()], &all(run));
        assert!(!diff.difference && diff.owners.is_empty() && diff.regions.rows.is_empty());
        assert_adds_up(&diff, "itself");
    }
    let folder = Folder::with(&[("a.dmp", before())]);
    for option in ["", "--other-run", "--same-run", "--by region"] {
        let text = folder.diff(&format!("a.dmp a.dmp {option}"));
        assert_eq!(text.status, Some(0), "{}", text.stderr);
        assert!(text.stdout.lines().any(|line| line == "no difference"), "{}", text.stdout);
    }
}

#[test]
fn slopes_over_three_dumps() {
    let dump = |time, sizes: &[u64]| {
        let regions: Vec<Region> = sizes
            .iter()
            .enumerate()
            .map(|(at, size)| Region::commit((at as u64 + 1) * 16 * MIB, *size, PAGE_READWRITE))
            .collect();
        process(time, filled(&regions)).build()
    };
    let dumps = [
        dump(10_000, &[MIB]),
        dump(13_600, &[MIB, 2 * MIB]),
        dump(20_800, &[MIB, 2 * MIB, 4 * MIB]),
    ];
    let diff = compare_bytes(&dumps, &all(RunChoice::Decide));
    let axis = diff.axis.as_ref().unwrap();
    assert_eq!(axis.per, Per::Hour);
    // 0, 2 and 6 MiB more after 0, 1 and 3 hours.
    assert_eq!(diff.total.slope(axis), Some(2.0 * MIB as f64));
    assert!(diff.total.only_grew());
    assert_eq!(diff.total.committed(), 6 * MIB as i128);

    let folder = Folder::with(&[
        ("a.dmp", dumps[0].clone()),
        ("b.dmp", dumps[1].clone()),
        ("c.dmp", dumps[2].clone()),
    ]);
    let report = folder.json("a.dmp b.dmp c.dmp");
    assert_eq!(report["slope_per"], "hour");
    assert_eq!(report["total"]["slope"], 2.0 * MIB as f64);
    let text = folder.diff("a.dmp b.dmp c.dmp").stdout;
    let words = text.replace('\n', " ");
    assert!(words.contains("2 MiB per hour, never less than in the dump before"), "{text}");
    assert!(text.contains("Per hour"), "{text}");
    let back = folder.json("c.dmp b.dmp a.dmp");
    assert_eq!(back["notes"].as_array().unwrap().len(), 2);
    assert!(
        back["conclusion"][0].as_str().unwrap().starts_with("committed memory shrank by 6 MiB")
    );
    // Without times the dumps are one step apart.
    let dump = |sizes| dump(0, sizes);
    let dumps = [dump(&[MIB]), dump(&[2 * MIB]), dump(&[3 * MIB])];
    let diff = compare_bytes(&dumps, &all(RunChoice::Decide));
    let axis = diff.axis.as_ref().unwrap();
    assert_eq!((axis.per, diff.total.slope(axis)), (Per::Dump, Some(MIB as f64)));
}

/// An image at a base, of which one section became writable, and allocations.
fn another_run(base: u64, protect: u32, allocations: &[u64]) -> Vec<u8> {
    let mut regions = vec![
        Region::image(base, 0x1000, PAGE_READONLY, base),
        Region::image(base + 0x1000, 0x1000, protect, base),
    ];
    let mut at = base + 0x10_0000;
    for size in allocations {
        regions.push(Region::commit(at, *size, PAGE_READWRITE));
        at += size.next_multiple_of(0x1_0000) + 0x1_0000;
    }
    DumpBuilder::windows_x64()
        .regions(regions)
        .module(Module::new(r"C:\app.exe", base, 0x2000))
        .misc(MiscInfo::new(base as u32))
        .build()
}

#[test]
fn two_runs_without_aslr() {
    let few = [0x4000, 0x4000, 0x4000, 0x9000];
    let many = [0x4000, 0x4000, 0x4000, 0x4000, 0x4000, 0xa000];
    let dumps = [
        another_run(0x4000_0000, PAGE_EXECUTE_READ, &few),
        another_run(0x7000_0000, PAGE_READWRITE, &many),
    ];
    let diff = compare_bytes(&dumps, &all(RunChoice::Decide));
    assert!(!diff.run.same);
    assert_adds_up(&diff, "two runs");
    assert!(diff.images.is_empty(), "the image only moved");
    let [row] = &diff.regions.rows[..] else { panic!("{:?}", diff.regions.rows) };
    assert_eq!((row.change.what, row.change.range.start()), (What::Protection, 0x1000));
    let titles: Vec<(String, i128, i128)> = diff
        .owners
        .iter()
        .map(|row| (row.who.title(), row.series.count(), row.series.committed()))
        .collect();
    let expected = [
        ("16 KiB allocations, Read/Write".to_owned(), 2, 0x8000),
        ("32-64 KiB allocations, Read/Write".to_owned(), 0, 0x1000),
    ];
    assert_eq!(titles, expected);
}

#[test]
fn images_of_another_build() {
    let dump = |timestamp| {
        let mut module = Module::new("app.exe", 0x1_0000, 0x2000);
        module.timestamp = timestamp;
        DumpBuilder::windows_x64().regions(image(0x1_0000)).module(module).build()
    };
    let diff = compare_bytes(&[dump(1), dump(2)], &all(RunChoice::Decide));
    assert_eq!(diff.images.rebuilt.len(), 1);
    assert!(diff.difference && diff.owners.is_empty());
}

#[test]
fn threads_with_one_start_and_one_name() {
    let dump = |threads: u32| {
        let mut builder = process(3000, image(0x1_0000).into());
        for id in 0..threads {
            builder = builder
                .thread(Thread::new(100 + id))
                .thread_info(ThreadInfo::new(100 + id, 0x1_1010));
            builder = builder.thread_name(100 + id, format!("pool-{id}").as_str());
        }
        builder.build()
    };
    let diff = compare_bytes(&[dump(1), dump(12)], &all(RunChoice::Decide));
    assert!(diff.run.same);
    assert!(diff.difference, "11 threads more are a difference, without any memory of theirs");
    let title = Who::Threads { start: Some("app.exe+0x1010".into()), name: Some("pool-#".into()) };
    assert_eq!(title.title(), "threads pool-# at app.exe+0x1010");
}

#[test]
fn linux_by_address_and_by_name() {
    let maps = |heap: u64, more: &[Mapping]| {
        let mut lines = vec![
            Mapping::new(0x40_0000, 0x40_2000, "r-xp", "/bin/app"),
            Mapping::new(0x100_0000, 0x100_0000 + heap, "rw-p", "[heap]"),
        ];
        lines.extend(more.iter().cloned());
        lines.push(Mapping::new(0x7ffd_0000_0000, 0x7ffd_0002_1000, "rw-p", "[stack]"));
        DumpBuilder::linux_x64()
            .module(Module::new("/bin/app", 0x40_0000, 0x2000))
            .module(Module::new("/lib/libc.so.6", 0x7f00_0000_0000, 0x2000))
            .thread(Thread::new(9))
            .misc(MiscInfo::new(9))
            .linux_maps(maps_text(&lines))
            .build()
    };
    let shared = Mapping::new(0x7f10_0000_0000, 0x7f10_0010_0000, "rw-s", "/dev/shm/ring");
    let dumps = [maps(0x2_1000, &[]), maps(0x8_4000, &[shared])];
    for run in [RunChoice::Decide, RunChoice::Other] {
        let diff = compare_bytes(&dumps, &all(run));
        assert_eq!(diff.run.same, run == RunChoice::Decide, "{:?}", diff.run);
        assert_adds_up(&diff, "linux");
        let growth: Vec<(String, i128)> =
            diff.owners.iter().map(|row| (row.who.title(), row.series.committed())).collect();
        let expected = [("/dev/shm/ring".to_owned(), MIB as i128), ("[heap]".to_owned(), 0x6_3000)];
        assert_eq!(growth, expected);
    }
    let diff = compare_bytes(&dumps, &all(RunChoice::Decide));
    let rows: Vec<(u64, What)> =
        diff.regions.rows.iter().map(|row| (row.change.range.start(), row.change.what)).collect();
    // The heap grew at its end: the rest of it is what it was.
    assert_eq!(rows, [(0x7f10_0000_0000, What::New), (0x102_1000, What::New)]);
}

#[test]
fn dumps_that_cannot_be_compared() {
    let rebuilt = DumpBuilder::windows_x64().memory(0x5000, vec![1; 64]).build();
    let cut = {
        let bytes = process(2000, filled(&[])).build();
        bytes[..bytes.len() - 40].to_vec()
    };
    let linux = DumpBuilder::linux_x64()
        .linux_maps(maps_text(&[Mapping::new(0x1000, 0x2000, "rw-p", "")]))
        .build();
    for other in [rebuilt, linux, DumpBuilder::windows_x64().build()] {
        for dumps in [[before(), other.clone()], [other.clone(), before()]] {
            let diff = compare_bytes(&dumps, &all(RunChoice::Same));
            assert!(diff.incomparable.is_some());
            assert!(diff.owners.is_empty() && diff.regions.rows.is_empty());
        }
        let folder = Folder::with(&[("a.dmp", before()), ("b.dmp", other)]);
        let report = folder.json("a.dmp b.dmp");
        assert!(report["total"].is_null() && report["kinds"].as_array().unwrap().is_empty());
        let sentence = report["conclusion"][0].as_str().unwrap();
        assert!(sentence.contains("cannot be told"), "{sentence}");
    }
    // A list that was cut says nothing of what comes after the cut.
    let diff = compare_bytes(&[before(), cut], &all(RunChoice::Same));
    let list_is_last = diff.incomparable.is_some();
    assert!(list_is_last || !diff.audit.regions.iter().flatten().any(|_| true));
}

#[test]
fn rows_in_every_format() {
    let folder = Folder::with(&[("a.dmp", before()), ("b.dmp", after())]);
    let report = folder.json("a.dmp b.dmp");
    for (by, list) in [("kind", "kinds"), ("owner", "owners"), ("region", "regions")] {
        let count = report[list].as_array().unwrap().len();
        assert!(count > 1, "{list}");
        let lines = folder.diff(&format!("a.dmp b.dmp --by {by} -f jsonl")).stdout;
        assert_eq!(lines.lines().count(), count, "{by}");
        let text = folder.diff(&format!("a.dmp b.dmp --by {by} -f csv")).stdout;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().unwrap().clone();
        assert_eq!(reader.records().map(Result::unwrap).count(), count, "{by}");
        let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert!(names.iter().all(|name| first.get(name).is_some()), "{names:?}");
        let markdown = folder.diff(&format!("a.dmp b.dmp --by {by} -f markdown")).stdout;
        assert_eq!(markdown.matches("\n### ").count(), 1, "{markdown}");
    }
    assert_eq!(
        folder.diff("a.dmp b.dmp -f jsonl").stdout,
        folder.diff("a.dmp b.dmp -f jsonl --by owner").stdout
    );
    assert_eq!(folder.diff("a.dmp b.dmp -f github").status, Some(2));
}

#[test]
fn fewer_rows() {
    let folder = Folder::with(&[("a.dmp", before()), ("b.dmp", after())]);
    let sizes = |options: &str| -> Vec<u64> {
        let report = folder.json(&format!("a.dmp b.dmp {options}"));
        let rows = report["regions"].as_array().unwrap().clone();
        rows.iter().map(|row| row["size"].as_u64().unwrap()).collect()
    };
    // Two grew, two shrank, two did neither.
    assert_eq!(sizes(""), [0x8_0000, 0x3_0000, 0x1_0000, 0x1_0000, 0x1_0000, 0x1_0000]);
    assert_eq!(sizes("--top 1"), [0x8_0000, 0x1_0000, 0x1_0000]);
    assert_eq!(sizes("--min 128K"), [0x8_0000, 0x3_0000]);
    assert_eq!(sizes("--top 0"), [0_u64; 0]);
    let text = folder.diff("a.dmp b.dmp --by region --top 1").stdout;
    assert!(text.contains("and 3 more; --top N shows more"), "{text}");
}

#[test]
fn names_of_people_are_hidden() {
    let folder = Folder::with(&[("a.dmp", before()), ("b.dmp", after())]);
    for format in ["text", "json", "jsonl", "csv", "markdown"] {
        let output = folder.diff(&format!("a.dmp b.dmp --redact -f {format}"));
        assert_eq!(output.status, Some(0));
        assert!(!output.stdout.contains("Ann"), "{format}: {}", output.stdout);
    }
}

#[test]
fn wrong_use_and_unreadable_files() {
    let folder = Folder::with(&[("a.dmp", before()), ("text.dmp", b"no dump at all".to_vec())]);
    for (args, says) in [
        ("a.dmp", "2 values required"),
        ("a.dmp a.dmp --same-run --other-run", "cannot be used with"),
        ("a.dmp a.dmp --by byte", "invalid value"),
        ("a.dmp a.dmp --min much", "much is no size"),
        ("- -", "standard input is one dump"),
        ("a.dmp absent.dmp", "absent.dmp: "),
        ("absent.dmp a.dmp", "absent.dmp: "),
        ("a.dmp text.dmp", "text.dmp: "),
        ("a.dmp text.dmp a.dmp", "text.dmp: "),
    ] {
        let output = folder.diff(args);
        assert_eq!((output.status, output.stdout.as_str()), (Some(2), ""), "{args}");
        assert!(output.stderr.contains(says), "{args}: {}", output.stderr);
    }
}

/// Three allocations of one size are one row for people, three for programs.
#[test]
fn changes_that_are_alike() {
    let block = |base: u64, size: u64| Region::commit(base, size, PAGE_READWRITE);
    let before = process(2000, vec![block(0x10_0000, 0x1000)]).build();
    let bases = [0x20_0000, 0x30_0000, 0x50_0000];
    let mut regions = vec![block(0x10_0000, 0x1000)];
    regions.extend(bases.map(|base| block(base, 0x4000)));
    regions.push(block(0x60_0000, 0x2000));
    let folder = Folder::with(&[("a.dmp", before), ("b.dmp", process(2010, regions).build())]);
    let text = folder.diff("a.dmp b.dmp --by region").stdout;
    let row = "0x000000200000      3  16 K      +48 K  new     RW private\n";
    assert!(text.contains(row), "{text}");
    assert!(text.contains("0x000000600000      1   8 K       +8 K  new "), "{text}");
    let first = folder.diff("a.dmp b.dmp --by region --top 1").stdout;
    assert!(first.contains(row) && first.contains("\nand 1 more; --top N shows more\n"), "{first}");
    let json = folder.json("a.dmp b.dmp");
    assert_eq!(json["regions"].as_array().unwrap().len(), 4);
}
