//! Managed heaps in made dumps: each layout once, and structures that lie.

use dumpmap::analyze;
use dumpmap::classify::Piece;
use dumpmap::dump::PointerWidth;
use dumpmap::evidence::managed::{Family, Generation, Managed, MemoryLayout};
use dumpmap::evidence::{Confidence, RegionKind, Use};
use dumpmap::limits::{Depth, Limits};
use dumpmap::source::Source;
use dumpmap::synth::clr::{Heap, Runtime, Segment};
use dumpmap::synth::{
    DumpBuilder, FunctionTable, MEM_MAPPED, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE,
    PAGE_NOACCESS, PAGE_READWRITE, Region, Thread,
};

const MODULE: u64 = 0x7ffa_0000_0000;
const MODULE32: u64 = 0x7000_0000;

/// What the pieces of managed heaps are used for: first byte, size, name.
type Seen = Vec<(u64, u64, &'static str)>;

struct Result {
    managed: Option<Managed>,
    heap: Seen,
    /// Named memory of other kinds.
    other: Seen,
    confidence: Vec<Confidence>,
}

fn look(dump: &DumpBuilder) -> Result {
    look_with(dump, &Limits::default())
}

fn look_with(dump: &DumpBuilder, limits: &Limits) -> Result {
    let source = Source::from_bytes(dump.build());
    let analysis = analyze(&source, limits).unwrap();
    let (mut heap, mut other, mut confidence) = (Seen::new(), Seen::new(), Vec::new());
    for Piece { range, kind, winner, confidence: known, .. } in analysis.pieces() {
        let usage = winner.map(|winner| analysis.evidence.claims[winner as usize].usage);
        let name = if let Some(Use::Named(name)) = usage { name } else { "" };
        let seen = if kind == RegionKind::ManagedHeap { &mut heap } else { &mut other };
        match seen.last_mut() {
            Some((start, size, last)) if *last == name && *start + *size == range.start() => {
                *size += range.size();
            }
            _ => seen.push((range.start(), range.size(), name)),
        }
        if kind == RegionKind::ManagedHeap {
            confidence.push(known);
        }
    }
    Result { managed: analysis.evidence.managed.clone(), heap, other, confidence }
}

/// A dump of the runtime's module and its data, without the collector's memory.
fn dump_of(runtime: &Runtime) -> DumpBuilder {
    let builder = match runtime.pointer_size {
        4 => DumpBuilder::windows_x86(),
        _ => DumpBuilder::windows_x64(),
    };
    let builder = builder.module(runtime.module()).regions(runtime.regions());
    runtime
        .memory()
        .into_iter()
        .fold(builder, |dump, memory| dump.memory(memory.base, memory.bytes))
}

/// A private allocation: committed at its start, the rest reserved.
fn allocation(base: u64, committed: u64, size: u64) -> Vec<Region> {
    vec![
        Region::commit(base, committed, PAGE_READWRITE),
        Region::reserve(base + committed, size - committed).within(base),
    ]
}

const SOH: u64 = 0x1_0000_0000;
const OLD: u64 = 0x2_0000_0000;
const SEGMENT: u64 = 0x1000_0000;
const LOH: u64 = SOH + SEGMENT;
const BLOCK: u64 = 0x1800_0000;

/// An ephemeral segment and a large object segment in one block, and an older
/// segment of its own.
fn segments_runtime(pointer_size: usize, base: u64) -> (Runtime, Vec<(u64, Segment)>) {
    let old = if pointer_size == 4 { 0x4000_0000 } else { OLD };
    let soh = if pointer_size == 4 { 0x1000_0000 } else { SOH };
    let loh = soh + SEGMENT;
    let mut runtime = Runtime::core2(base, pointer_size);
    runtime.heaps = vec![Heap {
        generations: vec![
            (soh, soh + 0x5000),
            (soh, soh + 0x3000),
            (old, old + 0x1000),
            (loh, loh + 0x1000),
        ],
        ephemeral: soh,
        alloc_allocated: soh + 0x7100,
    }];
    let new = |base: u64, allocated, committed, size| {
        Segment::new(base + 0x1000, base + allocated, base + committed, base + size)
    };
    let segments = vec![
        (soh, new(soh, 0x6000, 0x8000, SEGMENT)),
        (loh, Segment { flags: 8, ..new(loh, 0x2000, 0x3000, BLOCK - SEGMENT) }),
        (old, Segment { next: soh, ..new(old, 0x2000, 0x2000, SEGMENT) }),
    ];
    (runtime, segments)
}

fn segments_dump(runtime: &Runtime, segments: &[(u64, Segment)]) -> DumpBuilder {
    let (soh, old) = (segments[0].0, segments[2].0);
    let mut dump = dump_of(runtime).regions([
        Region::commit(soh, 0x8000, PAGE_READWRITE),
        Region::reserve(soh + 0x8000, SEGMENT - 0x8000).within(soh),
        Region::commit(soh + SEGMENT, 0x3000, PAGE_READWRITE).within(soh),
        Region::reserve(soh + SEGMENT + 0x3000, BLOCK - SEGMENT - 0x3000).within(soh),
    ]);
    dump = dump.regions(allocation(old, 0x2000, SEGMENT));
    for (address, segment) in segments {
        let memory = segment.at(*address, runtime.pointer_size);
        dump = dump.memory(memory.base, memory.bytes);
    }
    dump
}

#[test]
fn segments_of_both_widths() {
    for (pointer_size, base) in [(8, MODULE), (4, MODULE32)] {
        let (runtime, segments) = segments_runtime(pointer_size, base);
        let result = look(&segments_dump(&runtime, &segments));
        let (soh, old) = (segments[0].0, segments[2].0);
        let mut expected = vec![
            (soh, 0x3000, "gen2"),
            (soh + 0x3000, 0x2000, "gen1"),
            (soh + 0x5000, SEGMENT - 0x5000, "gen0"),
            (soh + SEGMENT, BLOCK - SEGMENT, "large object heap"),
            (old, SEGMENT, "gen2"),
        ];
        expected.sort();
        assert_eq!(result.heap, expected);
        assert!(result.confidence.iter().all(|known| *known == Confidence::Derived));
        let managed = result.managed.unwrap();
        let collector = managed.runtimes[0].collector.as_ref().unwrap();
        assert_eq!(collector.layout, Some(MemoryLayout::Segments));
        assert_eq!(collector.variables, Some((runtime.variables(), (1, 0))));
        assert_eq!(collector.server, Some(false));
        // Past what the segment calls allocated: up to alloc_allocated.
        let ranges = &collector.heaps[0].ranges;
        let newest = ranges.iter().find(|range| range.generation == Generation::Gen0).unwrap();
        assert_eq!(newest.objects(), 0x2100);
        assert_eq!(collector.committed, Some(0x8000 + 0x3000 + 0x2000));
        assert_eq!(managed.runtimes[0].problems, Vec::<String>::new());
    }
}

#[test]
fn a_32_bit_runtime_in_a_64_bit_dump() {
    let (runtime, segments) = segments_runtime(4, MODULE32);
    let mut dump = segments_dump(&runtime, &segments);
    dump.system = DumpBuilder::windows_x64().system;
    assert_eq!(look(&dump).heap.len(), 5);
    let source = Source::from_bytes(dump.build());
    let analysis = analyze(&source, &Limits::default()).unwrap();
    assert_eq!(analysis.dump.system.width, PointerWidth::Bits64);
}

#[test]
fn a_server_collector_of_core_3() {
    let (mut runtime, segments) = segments_runtime(8, MODULE);
    runtime.server = Some(0x3_0000_0000);
    runtime.heap_count = 1;
    let mut dump = segments_dump(&runtime, &segments);
    dump = dump.region(Region::commit(0x3_0000_0000, 0x10000, PAGE_READWRITE));
    let result = look(&dump);
    assert_eq!(result.heap.len(), 5);
    let managed = result.managed.unwrap();
    assert_eq!(managed.runtimes[0].collector.as_ref().unwrap().server, Some(true));
}

const UNIT: u64 = 0x40_0000;
const RANGE: u64 = 0x7f00_0000_0000;
const BOOKS: u64 = 0x7e00_0000_0000;
const TABLE: u64 = BOOKS + 0x1000;
const STRIDE: u64 = 0xb0;

/// Regions at units 1 (gen0), 2 (gen1), 3 (gen2) and 5 (large, two units);
/// unit 4 is free, unit 0 is the lead.
fn regions_runtime() -> (Runtime, Vec<(u64, Segment)>) {
    let at = |unit: u64| TABLE + unit * STRIDE;
    let new = |unit: u64, units: u64, objects: u64| {
        let base = RANGE + unit * UNIT;
        let mem = base + 0x28;
        Segment::new(mem, mem + objects, base + 0x4000, base + units * UNIT)
    };
    let mut runtime = Runtime::net8(MODULE);
    runtime.bookkeeping = BOOKS;
    runtime.heaps = vec![Heap {
        generations: vec![(at(1), 0), (at(2), 0), (at(3), 0), (at(5), 0), (0, 0)],
        ephemeral: at(1),
        alloc_allocated: RANGE + UNIT + 0x1000,
    }];
    let segments = vec![
        (at(1), new(1, 1, 0)),
        (at(2), new(2, 1, 0x100)),
        (at(3), new(3, 1, 0x200)),
        (at(4), Segment { allocated: 0, ..new(4, 1, 0) }),
        (at(5), Segment { flags: 8, ..new(5, 2, 0x300) }),
    ];
    (runtime, segments)
}

fn regions_dump(runtime: &Runtime, segments: &[(u64, Segment)]) -> DumpBuilder {
    let mut dump = dump_of(runtime);
    dump = dump.region(Region::reserve(RANGE, UNIT));
    for unit in 1..7 {
        let base = RANGE + unit * UNIT;
        if unit == 6 {
            dump = dump.region(Region::reserve(base, UNIT).within(RANGE));
            continue;
        }
        dump = dump.region(Region::commit(base, 0x4000, PAGE_READWRITE).within(RANGE));
        dump = dump.region(Region::reserve(base + 0x4000, UNIT - 0x4000).within(RANGE));
    }
    dump = dump.region(Region::reserve(RANGE + 7 * UNIT, 1 << 30).within(RANGE));
    dump = dump.regions(allocation(BOOKS, 0x2000, 0x10_0000));
    let mut table = vec![0; 0x1000];
    for (address, segment) in segments {
        let memory = segment.at(*address, 8);
        let at = (address - TABLE) as usize;
        table[at..at + memory.bytes.len()].copy_from_slice(&memory.bytes);
    }
    dump.memory(TABLE, table)
}

#[test]
fn regions_and_their_table() {
    let (runtime, segments) = regions_runtime();
    let result = look(&regions_dump(&runtime, &segments));
    let unit = |unit: u64| RANGE + unit * UNIT;
    assert_eq!(
        result.heap,
        [
            (BOOKS, 0x10_0000, "GC bookkeeping"),
            (RANGE, UNIT, "GC heap"),
            (unit(1), UNIT, "gen0"),
            (unit(2), UNIT, "gen1"),
            (unit(3), UNIT, "gen2"),
            (unit(4), UNIT, "free GC region"),
            (unit(5), 2 * UNIT, "large object heap"),
            (unit(7), 1 << 30, "GC heap"),
        ]
    );
    let managed = result.managed.unwrap();
    let collector = managed.runtimes[0].collector.as_ref().unwrap();
    assert_eq!(collector.layout, Some(MemoryLayout::Regions));
    assert_eq!(collector.committed, Some(5 * 0x4000));
    let objects: u64 = collector.heaps[0].ranges.iter().map(|range| range.objects()).sum();
    assert_eq!(objects, 0xfd8 + 0x100 + 0x200 + 0x300);
}

#[test]
fn a_server_collector_with_regions() {
    let (mut runtime, segments) = regions_runtime();
    let heap = runtime.heaps[0].clone();
    let mut second = heap.clone();
    // The heaps share nothing: gen2 is the second one's.
    second.generations = vec![(0, 0), (0, 0), heap.generations[2], (0, 0), (0, 0)];
    runtime.heaps[0].generations[2] = (0, 0);
    runtime.heaps.push(second);
    runtime.server = Some(0x3_0000_0000);
    // One more than there are.
    runtime.heap_count = 3;
    let dump = regions_dump(&runtime, &segments);
    let result = look(&dump.region(Region::commit(0x3_0000_0000, 0x10000, PAGE_READWRITE)));
    assert_eq!(result.heap.len(), 8);
    let managed = result.managed.unwrap();
    let collector = managed.runtimes[0].collector.as_ref().unwrap();
    let ranges: Vec<usize> = collector.heaps.iter().map(|heap| heap.ranges.len()).collect();
    assert_eq!((collector.server, ranges), (Some(true), vec![3, 1]));
}

#[test]
fn streams_depth_reads_no_memory() {
    let (runtime, segments) = regions_runtime();
    let limits = Limits { depth: Depth::Streams, ..Limits::default() };
    let result = look_with(&regions_dump(&runtime, &segments), &limits);
    let range = (RANGE, 7 * UNIT + (1 << 30), "GC heap");
    assert_eq!(result.heap, [range]);
    assert!(result.confidence.iter().all(|known| *known == Confidence::Heuristic));
}

#[test]
fn no_runtime_no_label() {
    let (mut runtime, segments) = regions_runtime();
    runtime.path = r"C:\app\core.dll".into();
    let result = look(&regions_dump(&runtime, &segments));
    assert_eq!((result.heap, result.managed), (vec![], None));
    // The same with a name that only a .NET thread has: the program has it.
    let dump = regions_dump(&runtime, &segments).thread(Thread::new(7));
    let result = look(&dump.thread_name(7, ".NET Finalizer"));
    assert_eq!(result.heap.len(), 8);
    let managed = result.managed.unwrap();
    assert_eq!(managed.runtimes[0].family, Family::SingleFile);
    assert_eq!((managed.roles[0].thread, managed.roles[0].role), (0, "finalizer"));
}

#[test]
fn segments_of_the_framework_describe_themselves() {
    let (mut runtime, segments) = segments_runtime(8, MODULE);
    // A version that GcDacVars never had: the variables are not found.
    runtime.version = (77, 0);
    runtime.path = r"C:\Windows\Microsoft.NET\Framework64\v4.0.30319\clr.dll".into();
    let dump = segments_dump(&runtime, &segments);
    let result = look(&dump);
    let expected = [
        (SOH, SEGMENT, "GC heap segment"),
        (LOH, BLOCK - SEGMENT, "large object heap"),
        (OLD, SEGMENT, "GC heap segment"),
    ];
    assert_eq!(result.heap, expected);
    assert!(result.confidence.iter().all(|known| *known == Confidence::Heuristic));
    // Without memory: nothing.
    let mut dump = dump;
    dump.memory = None;
    let result = look(&dump);
    assert_eq!(result.heap, []);
    let managed = result.managed.unwrap();
    assert_eq!(managed.runtimes[0].family, Family::Framework);
    assert!(managed.runtimes[0].problems[0].contains("not captured"));
}

#[test]
fn mono_is_named_and_not_decoded() {
    let (mut runtime, segments) = segments_runtime(8, MODULE);
    runtime.path = "/opt/mono/libmonosgen-2.0.so".into();
    let result = look(&segments_dump(&runtime, &segments));
    assert_eq!(result.heap, []);
    let managed = result.managed.unwrap();
    assert_eq!(managed.runtimes[0].family, Family::Mono);
    assert_eq!(managed.runtimes[0].collector, None);
}

/// Loader heaps as the map shows them.
fn loader_heaps(count: u64, protect: u32) -> Vec<Region> {
    let base = 0x6000_0000_0000;
    let mut regions: Vec<Region> = (0..count)
        .map(|nth| Region {
            allocation_protect: protect,
            memory_type: if protect == PAGE_NOACCESS {
                dumpmap::synth::MEM_PRIVATE
            } else {
                MEM_MAPPED
            },
            ..Region::commit(base + nth * 0x1_0000, 0x1_0000, PAGE_READWRITE)
        })
        .collect();
    let code = base + 0x100_0000;
    let first = Region {
        allocation_protect: protect,
        memory_type: regions[0].memory_type,
        ..Region::commit(code, 0x4000, PAGE_EXECUTE_READ)
    };
    let rest = Region {
        state: dumpmap::synth::MEM_RESERVE,
        base: code + 0x4000,
        size: 0x8_0000 - 0x4000,
        protect: 0,
        ..first
    };
    regions.extend([first, rest]);
    regions
}

#[test]
fn loader_heaps_by_their_shape() {
    for protect in [PAGE_NOACCESS, PAGE_EXECUTE_READWRITE] {
        let runtime = Runtime::net8(MODULE);
        let seen = |count, path: &str| {
            let runtime = Runtime { path: path.into(), ..runtime.clone() };
            let result = look(&dump_of(&runtime).regions(loader_heaps(count, protect)));
            assert_eq!(result.heap, []);
            let named = result
                .other
                .into_iter()
                .filter(|(_, _, name)| name.starts_with("CLR") || name.starts_with("JIT"));
            named.collect::<Vec<_>>()
        };
        assert_eq!(
            seen(5, "coreclr.dll"),
            [
                (0x6000_0000_0000, 0x5_0000, "CLR loader heap"),
                (0x6000_0100_0000, 0x8_0000, "JIT code"),
            ]
        );
        assert_eq!(seen(2, "coreclr.dll"), []);
        assert_eq!(seen(5, "other.dll"), []);
    }
}

#[test]
fn function_tables_are_dynamic_code() {
    let mut dump = DumpBuilder::windows_x64().regions([
        Region::commit(0x10_0000, 0x1000, PAGE_EXECUTE_READWRITE),
        Region::mapped(0x10_1000, 0x1000, PAGE_EXECUTE_READ),
        Region::image(0x10_2000, 0x1000, PAGE_EXECUTE_READ, 0x10_2000),
    ]);
    let table = |minimum, maximum| FunctionTable { minimum, maximum, ..FunctionTable::default() };
    dump.function_tables = Some(vec![table(0x10_0800, 0x10_2800), table(0x10_0900, 0x10_0a00)]);
    let result = look(&dump);
    let named: Seen = result.other.into_iter().filter(|(_, _, name)| !name.is_empty()).collect();
    assert_eq!(named, [(0x10_0800, 0x1800, "dynamic code")]);
}

/// Words that a reader should not trust.
const LIES: [u64; 12] = [
    0,
    1,
    8,
    u64::MAX,
    u64::MAX - 7,
    1 << 63,
    0x7fff_ffff_f000,
    MODULE,
    MODULE + 0x2100,
    TABLE,
    TABLE + STRIDE,
    RANGE + UNIT,
];

#[test]
fn chains_that_turn_back_or_lead_nowhere() {
    let (runtime, segments) = regions_runtime();
    for lie in LIES.into_iter().chain(segments.iter().map(|(address, _)| *address)) {
        for nth in 0..segments.len() {
            let mut lying = segments.clone();
            lying[nth].1.next = lie;
            let result = look(&regions_dump(&runtime, &lying));
            let sizes: u64 = result.heap.iter().map(|(_, size, _)| size).sum();
            assert!(sizes <= 0x10_0000 + 7 * UNIT + (1 << 30));
        }
    }
}

#[test]
fn every_word_of_the_variables_may_lie() {
    for server in [None, Some(0x3_0000_0000)] {
        let (mut runtime, segments) = regions_runtime();
        runtime.server = server;
        runtime.heap_count = 1;
        let good = regions_dump(&runtime, &segments);
        let base = MODULE + 0x2000;
        for word in (0x100..0x240).chain(0x400..0x460).chain(0x600..0x6a0).step_by(8) {
            for lie in LIES {
                let mut dump = good.clone();
                for memory in dump.memory.as_mut().unwrap() {
                    if memory.base == base {
                        memory.bytes[word..word + 8].copy_from_slice(&lie.to_le_bytes());
                    }
                }
                look(&dump);
            }
        }
    }
}

#[test]
fn every_word_of_the_segments_may_lie() {
    let (runtime, segments) = segments_runtime(8, MODULE);
    let good = segments_dump(&runtime, &segments);
    for (address, _) in &segments {
        for word in (0..56).step_by(8) {
            for lie in LIES.into_iter().chain([SOH, LOH, OLD, SOH + 0x1000, LOH + 0x1000]) {
                let mut dump = good.clone();
                for memory in dump.memory.as_mut().unwrap() {
                    if memory.base == *address {
                        memory.bytes[word..word + 8].copy_from_slice(&lie.to_le_bytes());
                    }
                }
                look(&dump);
            }
        }
    }
}

#[test]
fn counts_are_claims() {
    let (mut runtime, segments) = regions_runtime();
    runtime.server = Some(0x3_0000_0000);
    runtime.heap_count = u32::MAX;
    let dump = regions_dump(&runtime, &segments);
    let result = look(&dump.region(Region::commit(0x3_0000_0000, 0x10000, PAGE_READWRITE)));
    assert_eq!(result.heap.len(), 8);
    runtime.generation_size = 0x800;
    look(&regions_dump(&runtime, &segments));
    runtime.max_generation = 3;
    let result = look(&regions_dump(&runtime, &segments));
    assert!(result.confidence.iter().all(|known| *known == Confidence::Heuristic));
}

/// A contract descriptor whose map of code ranges has one JIT heap and one
/// range of stubs; `lie` may change any 8 bytes of the map.
fn contract_dump(lies: &[(u64, u64)]) -> DumpBuilder {
    const MAP: u64 = 0x5_0000_0000;
    const TEXT: &str = r#"{"version":0,"baseline":"empty","contracts":{"ExecutionManager":2},
        "types":{"RangeSectionMap":{"TopLevelData":0},
        "RangeSectionFragment":{"RangeBegin":8,"RangeEndOpen":16,"RangeSection":24,"Next":0},
        "RangeSection":{"RangeBegin":0,"RangeEndOpen":[8,"pointer"],"Flags":16}},
        "globals":{"ExecutionManagerCodeRangeMapAddress":[[1],"pointer"]}}"#;
    let runtime = Runtime::net8(MODULE);
    let mut dump = dump_of(&runtime);
    let put = |bytes: &mut [u8], at: u64, value: u64| {
        bytes[at as usize..at as usize + 8].copy_from_slice(&value.to_le_bytes());
    };
    let data = &mut dump.memory.as_mut().unwrap()[0].bytes;
    data[0x1800..0x1808].copy_from_slice(b"DNCCDAC\0");
    put(data, 0x1808, 1 | (TEXT.len() as u64) << 32);
    put(data, 0x1810, MODULE + 0x1000);
    put(data, 0x1818, 2);
    put(data, 0x1820, MODULE + 0x1800);
    let mut text = TEXT.as_bytes().to_vec();
    text.resize(0x800, 0);
    text.extend([0_u64.to_le_bytes(), MAP.to_le_bytes()].concat());
    // Five levels of 0x800 bytes, then two fragments and two sections.
    let mut map = vec![0; 0x4000];
    for level in 0..4 {
        put(&mut map, level * 0x800 + 8 * level, MAP + (level + 1) * 0x800);
    }
    put(&mut map, 0x2000 + 8, MAP + 0x3000 + 1);
    put(&mut map, 0x3000, MAP + 0x3040);
    put(&mut map, 0x3000 + 24, MAP + 0x3100);
    put(&mut map, 0x3040 + 24, MAP + 0x3140);
    for (section, begin, flags) in [(0x3100, 0x10_0000, 2), (0x3140, 0x11_0000, 4)] {
        put(&mut map, section, begin);
        put(&mut map, section + 8, begin + 0x1000);
        put(&mut map, section + 16, flags);
    }
    for (at, lie) in lies {
        put(&mut map, *at, *lie);
    }
    dump.memory(MODULE + 0x1000, text).memory(MAP, map).regions([
        Region::commit(0x10_0000, 0x1000, PAGE_EXECUTE_READWRITE),
        Region::mapped(0x11_0000, 0x1000, PAGE_EXECUTE_READ),
        Region::commit(MAP, 0x4000, PAGE_READWRITE),
    ])
}

#[test]
fn the_contract_tells_the_code_ranges() {
    let named = |lies: &[(u64, u64)]| -> Seen {
        let result = look(&contract_dump(lies));
        result.other.into_iter().filter(|(_, _, name)| !name.is_empty()).collect()
    };
    let jit = (0x10_0000, 0x1000, "JIT code");
    let stubs = (0x11_0000, 0x1000, "CLR stubs");
    assert_eq!(named(&[]), [jit, stubs]);
    assert_eq!(named(&[(0x3100 + 16, 3)]), [(0x10_0000, 0x1000, "JIT code, collectible"), stubs]);
    // Chains and tables that turn back.
    assert_eq!(named(&[(0x3000, 0x5_0000_3000)]), [jit]);
    assert_eq!(named(&[(0x3040, 0x5_0000_3000)]), [jit, stubs]);
    assert_eq!(named(&[(0, 0x5_0000_0000)]), []);
    for at in [0, 0x808, 0x1010, 0x1818, 0x2008, 0x3000, 0x3018, 0x3040, 0x3100, 0x3108] {
        for lie in LIES {
            named(&[(at, lie)]);
        }
    }
}
