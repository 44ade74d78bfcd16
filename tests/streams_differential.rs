//! Our lenient readers against the `minidump` crate's strict ones, on real
//! dumps: what the crate can read must be read the same. And hostile files,
//! where the crate cannot be asked (it hangs or aborts on some): they must be
//! read, quickly, and what is wrong with them must be said.
//!
//! The dumps are beside the project, not in it; without them the tests say
//! so and pass. No test prints what is in a dump's memory.

#![allow(clippy::print_stdout, reason = "how much was compared, for who wants to see it")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dumpmap::dump::{Arch, Dump, Module, Platform, PointerWidth, stream_type};
use dumpmap::limits::Limits;
use dumpmap::source::Source;
use minidump::system_info::{Cpu, Os};
use minidump::{
    Minidump, MinidumpException, MinidumpMemory64List, MinidumpMemoryInfoList, MinidumpMemoryList,
    MinidumpMiscInfo, MinidumpModule, MinidumpModuleList, MinidumpStream, MinidumpSystemInfo,
    MinidumpThreadInfoList, MinidumpThreadList, MinidumpThreadNames, MinidumpUnloadedModuleList,
    Module as _,
};

/// Compared values of one file, and where they differ.
struct Comparison<'a> {
    path: &'a Path,
    compared: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

impl Comparison<'_> {
    fn same<T: PartialEq + Debug>(&mut self, what: &'static str, ours: T, theirs: T) {
        *self.compared.entry(what).or_default() += 1;
        if ours != theirs {
            let path = self.path.display();
            self.differences.push(format!("{path}: {what}: {ours:x?} here, {theirs:x?} there"));
        }
    }
}

#[test]
fn real_dumps_read_as_the_crate_reads_them() {
    let files = dumps();
    let (mut read, mut both, mut issues) = (0, 0, 0);
    let mut compared = BTreeMap::new();
    let mut differences = Vec::new();
    for path in &files {
        let bytes = std::fs::read(path).unwrap();
        let source = Source::from_bytes(bytes.clone());
        let Ok(dump) = Dump::read(&source, &Limits::default()) else { continue };
        read += 1;
        issues += dump.issues.total();
        let Ok(theirs) = Minidump::read(bytes) else { continue };
        both += 1;
        let mut comparison = Comparison { path, compared, differences: Vec::new() };
        compare(&dump, &theirs, &mut comparison);
        compared = comparison.compared;
        differences.append(&mut comparison.differences);
    }
    println!(
        "{} files, {read} are dumps, {both} the crate reads too, {issues} issues",
        files.len()
    );
    println!("values compared: {compared:#?}");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

type Theirs = Minidump<'static, Vec<u8>>;

/// A stream as the crate reads it; `None` where it cannot, and where two
/// streams of the type are there, of which it takes the last and we the
/// larger.
fn stream<'a, T: MinidumpStream<'a>>(dump: &Dump<'_>, theirs: &'a Theirs) -> Option<T> {
    (dump.directory.of_kind(T::STREAM_TYPE).count() == 1).then(|| theirs.get_stream().ok())?
}

fn compare(dump: &Dump<'_>, theirs: &Theirs, all: &mut Comparison<'_>) {
    compare_process(dump, theirs, all);
    compare_threads(dump, theirs, all);
    compare_modules(dump, theirs, all);
    compare_memory(dump, theirs, all);
}

fn compare_process(dump: &Dump<'_>, theirs: &Theirs, all: &mut Comparison<'_>) {
    if let Some(system) = stream::<MinidumpSystemInfo>(dump, theirs) {
        let raw = &system.raw;
        let version = (raw.major_version, raw.minor_version, raw.build_number);
        all.same("version", dump.system.version, version);
        all.same("processors", dump.system.processors, raw.number_of_processors);
        let description = system.csd_version().filter(|text| !text.is_empty());
        if description.is_some() {
            all.same("service pack", dump.system.description.as_deref(), description.as_deref());
        }
        if let Some(cpu) = known_cpu(dump.system.arch) {
            all.same("architecture", cpu, system.cpu);
        }
        if let Some(os) = known_os(dump.system.platform) {
            all.same("platform", os, system.os);
        }
    }
    if let Some(misc) = stream::<MinidumpMiscInfo>(dump, theirs)
        && let Some(id) = misc.raw.process_id()
    {
        all.same("process id", dump.process.id, Some(*id));
        let time = misc.raw.process_create_time().copied().filter(|time| *time != 0);
        all.same("process create time", dump.process.create_time, time);
    }
    if let Some(theirs) = stream::<MinidumpException<'_>>(dump, theirs) {
        let ours = dump.exception.as_ref().unwrap();
        let record = &theirs.raw.exception_record;
        all.same("exception code", ours.code, record.exception_code);
        all.same("exception flags", ours.flags, record.exception_flags);
        let address = dump.system.width.mask(record.exception_address);
        all.same("exception address", ours.address, address);
        all.same("exception thread", ours.thread_id, theirs.get_crashing_thread_id());
        let count = record.number_parameters.min(15) as usize;
        let parameters = &record.exception_information[..count];
        all.same("exception parameters", &ours.parameters[..], parameters);
    }
}

fn compare_threads(dump: &Dump<'_>, theirs: &Theirs, all: &mut Comparison<'_>) {
    let mask = |address| dump.system.width.mask(address);
    let system = stream::<MinidumpSystemInfo>(dump, theirs);
    if let Some(list) = stream::<MinidumpThreadList<'_>>(dump, theirs) {
        all.same("threads", dump.threads.len(), list.threads.len());
        for (ours, theirs) in dump.threads.iter().zip(&list.threads) {
            let raw = &theirs.raw;
            all.same("thread id", ours.id, raw.thread_id);
            all.same("suspend count", ours.suspend_count, raw.suspend_count);
            all.same("priority", ours.priority, (raw.priority_class, raw.priority));
            all.same("teb", ours.teb, mask(raw.teb));
            let stack = &raw.stack;
            let memory = &stack.memory;
            let place = (mask(stack.start_of_memory_range), u64::from(memory.data_size));
            all.same("stack", ours.stack, place);
            all.same("stack offset", ours.stack_offset, u64::from(memory.rva));
            let Some(system) = &system else { continue };
            let Some(theirs) = theirs.context(system, None) else { continue };
            // Of the thread list's record, not of the exception's.
            let mut alone = ours.clone();
            alone.id = ours.id.wrapping_add(0x8000_0000);
            let registers = dump.registers(&alone);
            let pointers = registers.map(|all| (all.stack_pointer, all.instruction_pointer));
            let expected = (theirs.get_stack_pointer(), theirs.get_instruction_pointer());
            all.same("registers", pointers, Some(expected));
            let context = dump.context(&alone).map(|context| context.registers);
            all.same("context", context, Some(theirs.registers().collect()));
        }
    }
    if let Some(names) = stream::<MinidumpThreadNames>(dump, theirs) {
        for thread in &dump.threads {
            let name = names.get_name(thread.id).filter(|name| !name.is_empty());
            all.same("thread name", thread.name.as_deref(), name.as_deref());
        }
    }
    if let Some(infos) = stream::<MinidumpThreadInfoList>(dump, theirs) {
        for thread in &dump.threads {
            let raw = infos.get_thread_info(thread.id).map(|info| &info.raw);
            let theirs = raw.map(|raw| {
                let times = [raw.create_time, raw.exit_time, raw.kernel_time, raw.user_time];
                (raw.dump_flags, raw.exit_status, times, mask(raw.start_address), raw.affinity)
            });
            let ours = thread.info.as_deref().map(|info| {
                let times = [info.create_time, info.exit_time, info.kernel_time, info.user_time];
                (info.dump_flags, info.exit_status, times, info.start_address, info.affinity)
            });
            all.same("thread info", ours, theirs);
        }
    }
}

fn compare_modules(dump: &Dump<'_>, theirs: &Theirs, all: &mut Comparison<'_>) {
    let mask = |address| dump.system.width.mask(address);
    if let Some(list) = stream::<MinidumpModuleList>(dump, theirs) {
        let modules = &dump.modules;
        all.same("modules", modules.modules.len() + modules.repeated, list.iter().count());
        let mut ours = modules.modules.iter();
        let mut seen = std::collections::HashSet::new();
        for theirs in list.iter().filter(|module| seen.insert(mask(module.raw.base_of_image))) {
            let Some(ours) = ours.next() else { break };
            compare_module(dump, ours, theirs, all);
        }
    }
    if let Some(list) = stream::<MinidumpUnloadedModuleList>(dump, theirs) {
        all.same("unloaded modules", dump.unloaded_modules.len(), list.iter().count());
        for (ours, theirs) in dump.unloaded_modules.iter().zip(list.iter()) {
            let raw = &theirs.raw;
            let facts = (mask(raw.base_of_image), raw.size_of_image, raw.checksum);
            all.same("unloaded module", (ours.base, ours.size, ours.checksum), facts);
            all.same("unloaded timestamp", ours.timestamp, raw.time_date_stamp);
            all.same("unloaded name", ours.path.as_str(), theirs.name.trim_end_matches('\0'));
        }
    }
}

fn compare_module(
    dump: &Dump<'_>,
    ours: &Module<'_>,
    theirs: &MinidumpModule,
    all: &mut Comparison<'_>,
) {
    let raw = &theirs.raw;
    all.same("module base", ours.base, dump.system.width.mask(raw.base_of_image));
    all.same("module size", ours.size, raw.size_of_image);
    all.same("module checksum", ours.checksum, raw.checksum);
    all.same("module timestamp", ours.timestamp, raw.time_date_stamp);
    all.same("module path", &*ours.path, theirs.name.trim_end_matches('\0'));
    let version = ours.version.map(|(a, b, c, d)| format!("{a}.{b}.{c}.{d}"));
    all.same("module version", version.as_deref(), theirs.version().as_deref());
    let elf = matches!(theirs.codeview_info, Some(minidump::CodeView::Elf(_)));
    if elf {
        let id = theirs.code_identifier().map(|id| id.as_str().to_owned());
        all.same(
            "build id",
            ours.debug_id.as_ref().map(ToString::to_string),
            id.filter(|id| ours.debug_id.is_some() || !id.bytes().all(|digit| digit == b'0')),
        );
    } else {
        let id = theirs.debug_identifier().map(|id| id.breakpad().to_string());
        all.same("debug id", ours.debug_id.as_ref().map(ToString::to_string), id);
        let file = theirs.debug_file().filter(|file| !file.is_empty());
        all.same("debug file", ours.debug_file.as_deref(), file.as_deref());
    }
}

fn compare_memory(dump: &Dump<'_>, theirs: &Theirs, all: &mut Comparison<'_>) {
    if let Some(list) = stream::<MinidumpMemoryInfoList<'_>>(dump, theirs) {
        let ours = dump.memory_info.as_ref().unwrap();
        all.same("regions", ours.len(), list.iter().count());
        for (ours, theirs) in ours.iter().zip(list.iter()) {
            let raw = &theirs.raw;
            let facts = (raw.base_address, raw.allocation_base, raw.region_size);
            all.same("region", (ours.base, ours.allocation_base, ours.size), facts);
            let facts = [raw.allocation_protection, raw.state, raw.protection, raw._type];
            let ours = [ours.allocation_protect, ours.state, ours.protect, ours.kind];
            all.same("region state", ours, facts);
        }
    }
    // Ours are merged and without overlaps: what the crate lists must be
    // captured, and nothing else but stacks.
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let wide = stream::<MinidumpMemory64List<'_>>(dump, theirs);
    if let Some(list) = &wide {
        ranges.extend(list.iter().map(|memory| (memory.base_address, memory.size)));
    }
    let narrow = stream::<MinidumpMemoryList<'_>>(dump, theirs);
    if let Some(list) = &narrow {
        ranges.extend(list.iter().map(|memory| (memory.base_address, memory.size)));
    }
    let has = |kind| dump.directory.has(kind);
    let read = wide.is_some() == has(stream_type::MEMORY64_LIST)
        && narrow.is_some() == has(stream_type::MEMORY_LIST);
    for (base, size) in &ranges {
        let base = dump.system.width.mask(*base);
        all.same("captured", dump.captured.contiguous(base, *size), *size);
    }
    if read {
        let stacks = dump.threads.iter().filter(|thread| thread.stack_offset != 0);
        ranges.extend(stacks.map(|thread| thread.stack));
        for run in dump.captured.ranges() {
            let start = run.range.start();
            let listed = ranges.iter().any(|(base, size)| {
                let base = dump.system.width.mask(*base);
                base <= start && start - base < *size
            });
            all.same("captured range is listed", listed, true);
        }
    }
}

fn known_cpu(arch: Arch) -> Option<Cpu> {
    Some(match arch {
        Arch::X86 => Cpu::X86,
        Arch::Amd64 => Cpu::X86_64,
        Arch::Arm => Cpu::Arm,
        Arch::Arm64 => Cpu::Arm64,
        Arch::Ppc => Cpu::Ppc,
        Arch::Mips => Cpu::Mips,
        Arch::Mips64 => Cpu::Mips64,
        Arch::Unknown(number) => Cpu::Unknown(number),
        _ => return None,
    })
}

fn known_os(platform: Platform) -> Option<Os> {
    Some(match platform {
        Platform::Windows => Os::Windows,
        Platform::MacOs => Os::MacOs,
        Platform::Ios => Os::Ios,
        Platform::Linux => Os::Linux,
        Platform::Android => Os::Android,
        Platform::Unknown(number) => Os::Unknown(number),
        _ => return None,
    })
}

/// The unpacked dumps beside the project, in a fixed order.
fn dumps() -> Vec<PathBuf> {
    let folders = ["corpus", "scenarios"].into_iter().filter_map(support::shared_or_skip);
    let files = folders.flat_map(|folder| support::dumps_in(&folder));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "dmp")).collect()
}

#[test]
fn hostile_files_are_read_quickly_and_said_to_be_damaged() {
    let Some(bench) = support::shared_or_skip("bench") else { return };
    let script = bench.join("mkbad.py");
    let folder = std::env::temp_dir().join(format!("dumpmap-bad-{}", std::process::id()));
    let made = script.is_file()
        && std::process::Command::new("python3")
            .arg(&script)
            .arg(&folder)
            .status()
            .is_ok_and(|status| status.success());
    if !made {
        support::skip("python3 or mkbad.py is absent");
        return;
    }
    // Files that are odd and whole: nothing to say.
    let sound = [
        "ok10",
        "mi_overlap_big", // the map's to say, not the reader's
        "mi_entry56",
        "mi_header32",
        "mi_trailing24",
        "mi_ends_2e64", // the last region may touch 2^64
        "handle_cycle", // object information is not followed
        "handle_desc48",
        "mod_overlap",
        "m64_trailing8",
        "ml_trailing16",
        "thr_trailing12",
        "maps_sysv_short",
        "maps_stack_colon",
        "maps_nonutf8",
        "maps_no_trailing_space",
        "maps_nul_padded",
    ];
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let start = Instant::now();
        let source = Source::open(&path).unwrap();
        let dump = Dump::read(&source, &Limits::default()).unwrap();
        let issues = dump.issues.clone().into_vec();
        assert_eq!(issues.is_empty(), sound.contains(&name.as_str()), "{name}: {issues:?}");
        check_kept(&name, &dump);
        assert!(start.elapsed() < Duration::from_secs(5), "{name} took {:?}", start.elapsed());
        seen += 1;
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(seen > 25, "{seen} files");
}

/// What each damaged file must still give.
fn check_kept(name: &str, dump: &Dump<'_>) {
    let maps = dump.linux.maps.as_ref().map(|maps| (maps.maps.len(), maps.incomplete));
    match name {
        "handle_desc0" => assert_eq!(dump.handles.handles.len(), 0),
        "handle_cycle" | "handle_desc48" => assert_eq!(dump.handles.handles.len(), 1),
        "mod_bad_name" => {
            let paths: Vec<_> = dump.modules.modules.iter().map(|module| &*module.path).collect();
            assert_eq!(paths, ["a.dll", ""]);
        }
        "mod_bad_cv" => assert_eq!(dump.modules.modules[1].path, "a.dll"),
        "mod_overlap" => assert_eq!(dump.modules.modules.len(), 2),
        "mod_lone_surrogate" => assert_eq!(dump.modules.modules[0].path, "\u{fffd}A"),
        "unl_zero_size" => {
            let ranges: Vec<_> =
                dump.unloaded_modules.iter().map(|module| module.range.is_some()).collect();
            assert_eq!(ranges, [true, false]);
        }
        "thr_trailing12" => assert_eq!(dump.threads.len(), 1),
        "m64_trunc" | "m64_trailing8" | "ml_trailing16" => assert!(dump.captured.bytes > 0),
        "maps_garbage_line" => assert_eq!(maps, Some((1, true))),
        "maps_nul_padded"
        | "maps_no_trailing_space"
        | "maps_nonutf8"
        | "maps_sysv_short"
        | "maps_stack_colon" => assert_eq!(maps, Some((2, false))),
        _ => {}
    }
    assert_eq!(dump.system.width, PointerWidth::Bits64);
}
