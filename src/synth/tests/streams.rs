use minidump::format::ContextFlagsCpu;
use minidump::system_info::{Cpu, Os};
use minidump::{
    CodeView as Cv, Endian, MinidumpBreakpadInfo, MinidumpCrashpadInfo, MinidumpException,
    MinidumpHandleDataStream, MinidumpLinuxMaps, MinidumpMemory64List, MinidumpMemoryInfoList,
    MinidumpMemoryList, MinidumpMiscInfo, MinidumpModuleList, MinidumpRawContext,
    MinidumpSystemInfo, MinidumpThreadInfoList, MinidumpThreadList, MinidumpThreadNames,
    MinidumpUnloadedModuleList, Module as _,
};

use super::read;
use crate::synth::*;

#[test]
fn header_is_written_as_given() {
    let dump = DumpBuilder {
        header: Header {
            implementation: 0xa0f4,
            timestamp: 77,
            flags: 0x1826,
            unused_entries: 4,
            ..Header::default()
        },
        ..DumpBuilder::windows_x64()
    };
    let header = read(&dump).header;
    assert_eq!(header.version, 0xa0f4_a793);
    assert_eq!(header.time_date_stamp, 77);
    assert_eq!(header.flags, 0x1826);
    assert_eq!(header.stream_count, 1 + 4);
}

#[test]
fn system_info_of_every_platform() {
    let cases = [
        (Architecture::X86, Platform::Windows, Cpu::X86, Os::Windows),
        (Architecture::Amd64, Platform::MacOs, Cpu::X86_64, Os::MacOs),
        (Architecture::Arm64, Platform::Ios, Cpu::Arm64, Os::Ios),
        (Architecture::Arm64Old, Platform::Android, Cpu::Arm64, Os::Android),
        (Architecture::Arm, Platform::Linux, Cpu::Arm, Os::Linux),
    ];
    for (architecture, platform, cpu, os) in cases {
        let mut dump = DumpBuilder::with_system(architecture, platform, (10, 1, 19045));
        if let Some(system) = &mut dump.system {
            system.csd = "Service Pack 1".into();
        }
        let dump = read(&dump);
        let system: MinidumpSystemInfo = dump.get_stream().unwrap();
        assert_eq!((system.cpu, system.os), (cpu, os));
        assert_eq!(system.raw.build_number, 19045);
        assert_eq!(system.csd_version().unwrap(), "Service Pack 1");
    }
}

#[test]
fn misc_info_of_every_size() {
    use MiscRevision::*;
    for (revision, size) in [(V1, 24), (V2, 44), (V3, 232), (V4, 832), (V5, 1364)] {
        let misc = MiscInfo {
            revision,
            power: Some([3600, 3500, 3600, 2, 1]),
            integrity: Some(0x2000),
            build: Some(("19041.1.amd64fre".to_owned(), "dbgcore".to_owned())),
            cookie: Some(0x1234_5678),
            ..MiscInfo::new(42)
        };
        let dump = DumpBuilder::windows_x64().misc(misc);
        let entry = dump.directory()[1];
        assert_eq!((entry.stream_type, entry.size), (stream::MISC_INFO, size));
        let dump = read(&dump);
        let misc: MinidumpMiscInfo = dump.get_stream().unwrap();
        assert_eq!(misc.raw.process_id(), Some(&42));
        assert_eq!(misc.raw.processor_max_mhz().is_some(), size >= 44);
        let cookie = (size == 1364).then_some(&0x1234_5678);
        assert_eq!(misc.raw.process_cookie(), cookie);
    }
}

#[test]
fn modules_with_versions_and_debug_records() {
    let dump = DumpBuilder::windows_x64()
        .module(Module {
            checksum: 7,
            version: Some(Version::new(1, 2, 3, 4)),
            code_view: CodeView::Pdb70 { guid: [0xab; 16], age: 9, pdb: "app.pdb".to_owned() },
            ..Module::new(r"C:\app.exe", 0x7ff6_0000_0000, 0x5000)
        })
        .module(Module {
            code_view: CodeView::Elf(vec![1; 20]),
            ..Module::new("libc.so", 0x7f00_0000_0000, 0x1000)
        })
        .unloaded(UnloadedModule::new("gone.dll", 0x6000_0000, 0x2000));
    let dump = read(&dump);
    let modules: MinidumpModuleList = dump.get_stream().unwrap();
    let all: Vec<_> = modules.iter().collect();
    assert_eq!(all[0].code_file(), r"C:\app.exe");
    assert_eq!(all[0].base_address(), 0x7ff6_0000_0000);
    assert_eq!(all[0].size(), 0x5000);
    assert_eq!(all[0].raw.checksum, 7);
    assert_eq!(all[0].version().unwrap(), "1.2.3.4");
    assert_eq!(all[0].debug_file().unwrap(), "app.pdb");
    let id = all[0].debug_identifier().unwrap().to_string();
    assert_eq!(id, "abababab-abab-abab-abab-abababababab-9");
    assert!(matches!(&all[1].codeview_info, Some(Cv::Elf(elf)) if elf.build_id == [1; 20]));

    let unloaded: MinidumpUnloadedModuleList = dump.get_stream().unwrap();
    let gone = unloaded.iter().next().unwrap();
    assert_eq!((gone.name.as_str(), gone.raw.base_of_image), ("gone.dll", 0x6000_0000));
}

#[test]
fn threads_with_stacks_contexts_names_and_times() {
    let dump = DumpBuilder::windows_x64()
        .thread(Thread {
            teb: 0x30_0000,
            stack: Stack::Captured(Memory::new(0x1ff000, vec![0xcc; 0x100])),
            context: Context::at(0x7ff6_0000_1000, 0x1ff000),
            ..Thread::new(42)
        })
        .thread_info(ThreadInfo::new(42, 0x7ff6_0000_1234))
        .thread_name(42, "worker")
        .memory(0x50_0000, [1, 2, 3]);
    let dump = read(&dump);
    let threads: MinidumpThreadList<'_> = dump.get_stream().unwrap();
    let thread = threads.get_thread(42).unwrap();
    assert_eq!(thread.raw.teb, 0x30_0000);

    let memory: MinidumpMemoryList<'_> = dump.get_stream().unwrap();
    let ranges: Vec<_> = memory.iter().map(|m| (m.base_address, m.size)).collect();
    assert_eq!(ranges, [(0x50_0000, 3), (0x1ff000, 0x100)]);
    let stack = memory.memory_at_address(0x1ff000).unwrap();
    assert_eq!(stack.bytes, [0xcc; 0x100]);
    assert_eq!(stack.desc.memory.rva, thread.raw.stack.memory.rva);

    let infos: MinidumpThreadInfoList = dump.get_stream().unwrap();
    let info = infos.get_thread_info(42).unwrap();
    assert_eq!(info.raw.start_address, 0x7ff6_0000_1234);
    let names: MinidumpThreadNames = dump.get_stream().unwrap();
    assert_eq!(names.get_name(42).unwrap(), "worker");
}

#[test]
fn contexts_of_every_architecture() {
    let cases = [
        (Architecture::X86, Platform::Windows, "esp", "eip", "ebp"),
        (Architecture::Amd64, Platform::Windows, "rsp", "rip", "rbp"),
        (Architecture::Arm64, Platform::Windows, "sp", "pc", "fp"),
        (Architecture::Arm64Old, Platform::Android, "sp", "pc", "fp"),
        (Architecture::Arm, Platform::Linux, "sp", "pc", "r11"),
    ];
    for (architecture, platform, sp, ip, fp) in cases {
        let dump = DumpBuilder::with_system(architecture, platform, (10, 0, 0))
            .thread(Thread { context: Context::at(0x40_1000, 0x20_0000), ..Thread::new(1) });
        let dump = read(&dump);
        let system: MinidumpSystemInfo = dump.get_stream().unwrap();
        let threads: MinidumpThreadList<'_> = dump.get_stream().unwrap();
        let context = threads.threads[0].context(&system, None).unwrap();
        let values: Vec<_> =
            [ip, sp, fp].map(|name| context.get_register(name)).into_iter().collect();
        let expected = [Some(0x40_1000), Some(0x20_0000), Some(0x20_0040)];
        assert_eq!(values, expected, "{architecture:?}");
        assert_eq!(context.get_stack_pointer(), 0x20_0000);
        assert_eq!(context.get_instruction_pointer(), 0x40_1000);
    }
}

#[test]
fn an_x86_context_has_its_flags() {
    let bytes = Registers::new(1, 2).encode(Architecture::X86);
    let flags = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(ContextFlagsCpu::from_flags(flags), ContextFlagsCpu::CONTEXT_X86);
}

#[test]
fn exception_with_parameters_and_context() {
    let dump = DumpBuilder::windows_x64().exception(Exception {
        context: Context::at(0x1234, 0x5678),
        ..Exception::write_fault(42, 0x7ff6_0000_1000, 0xdead_beef)
    });
    let dump = read(&dump);
    let system: MinidumpSystemInfo = dump.get_stream().unwrap();
    let exception: MinidumpException<'_> = dump.get_stream().unwrap();
    assert_eq!(exception.get_crashing_thread_id(), 42);
    assert_eq!(exception.get_crash_address(Os::Windows, Cpu::X86_64), 0xdead_beef);
    let reason = exception.get_crash_reason(Os::Windows, Cpu::X86_64);
    assert_eq!(reason.to_string(), "EXCEPTION_ACCESS_VIOLATION_WRITE");
    let context = exception.context(&system, None).unwrap();
    assert!(matches!(context.raw, MinidumpRawContext::Amd64(ref raw) if raw.rip == 0x1234));
}

#[test]
fn regions_and_both_memory_lists() {
    let dump = DumpBuilder::windows_x64()
        .region(Region::free(0, 0x1_0000))
        .region(Region::commit(0x1_0000, 0x3000, PAGE_READWRITE))
        .region(Region::image(0x2_1000, 0x1000, PAGE_EXECUTE_READ, 0x2_0000))
        .memory64(0x1_0000, vec![7; 0x3000])
        .memory64(0x2_1000, vec![8; 0x1000]);
    let dump = read(&dump);
    let regions: MinidumpMemoryInfoList<'_> = dump.get_stream().unwrap();
    let all: Vec<_> = regions
        .iter()
        .map(|r| (r.raw.base_address, r.raw.region_size, r.raw.allocation_base, r.raw._type))
        .collect();
    let expected = [
        (0, 0x1_0000, 0, 0),
        (0x1_0000, 0x3000, 0x1_0000, MEM_PRIVATE),
        (0x2_1000, 0x1000, 0x2_0000, MEM_IMAGE),
    ];
    assert_eq!(all, expected);
    let memory: MinidumpMemory64List<'_> = dump.get_stream().unwrap();
    let bytes = |address| memory.memory_at_address(address).unwrap().bytes[0];
    assert_eq!((bytes(0x1_0000), bytes(0x2_1000)), (7, 8));
}

#[test]
fn handles_of_both_sizes() {
    for descriptor in [HandleDescriptor::V1, HandleDescriptor::V2] {
        let mut handle = Handle::named(4, "Section", r"\BaseNamedObjects\x");
        handle.information = vec![(7, vec![0; 8]), (1, vec![])];
        let handles = HandleData { descriptor, handles: vec![handle, Handle::new(8, "Event")] };
        let dump = DumpBuilder { handles: Some(handles), ..DumpBuilder::windows_x64() };
        let dump = read(&dump);
        let handles: MinidumpHandleDataStream = dump.get_stream().unwrap();
        let all: Vec<_> = handles.iter().collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].object_name.as_deref(), Some(r"\BaseNamedObjects\x"));
        assert_eq!(all[1].type_name.as_deref(), Some("Event"));
        assert_eq!(all[1].object_name, None);
        let information = if descriptor == HandleDescriptor::V2 { 2 } else { 0 };
        assert_eq!(all[0].object_infos.len(), information);
    }
}

#[test]
fn crashpad_and_breakpad() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let dump = DumpBuilder::windows_x64()
        .crashpad(CrashpadInfo {
            annotations: vec![pair("version", "1.2")],
            modules: vec![(0, vec![pair("channel", "beta")])],
            ..CrashpadInfo::default()
        })
        .breakpad(BreakpadInfo { dump_thread: Some(1), requesting_thread: None });
    let dump = read(&dump);
    let crashpad: MinidumpCrashpadInfo = dump.get_stream().unwrap();
    assert_eq!(crashpad.simple_annotations["version"], "1.2");
    assert_eq!(crashpad.module_list[0].simple_annotations["channel"], "beta");
    let breakpad: MinidumpBreakpadInfo = dump.get_stream().unwrap();
    assert_eq!(breakpad.dump_thread_id, Some(1));
    assert_eq!(breakpad.requesting_thread_id, None);
}

#[test]
fn linux_maps_and_auxv() {
    let text = maps_text(&[
        Mapping::new(0x40_0000, 0x40_b000, "r-xp", "/bin/cat"),
        Mapping::new(0x7fff_0000_0000, 0x7fff_0002_1000, "rw-p", "[stack]"),
        Mapping::new(0x7fff_1000_0000, 0x7fff_1000_1000, "rw-p", ""),
    ]);
    let dump = DumpBuilder::linux_x64().linux_maps(text).linux_auxv(&[(6, 4096)]);
    let dump = read(&dump);
    let maps: MinidumpLinuxMaps<'_> = dump.get_stream().unwrap();
    let starts: Vec<_> = maps.iter().map(|map| map.map.address.0).collect();
    assert_eq!(starts, [0x40_0000, 0x7fff_0000_0000, 0x7fff_1000_0000]);
    assert_eq!(dump.get_raw_stream(stream::LINUX_AUXV).unwrap().len(), 32);
}

#[test]
fn sizes_of_the_streams_the_reader_does_not_know() {
    let dump = DumpBuilder::windows_x64()
        .system_memory(SystemMemoryInfo::new())
        .vm_counters(VmCounters::new())
        .function_table(FunctionTable { entries: vec![[0, 1, 2]], ..FunctionTable::default() })
        .token(Token { data: vec![1; 8], ..Token::default() })
        .dso_debug(DsoDebug { objects: vec![(1, "libc.so".to_owned(), 2)], ..DsoDebug::default() })
        .comment_a("hello")
        .comment_w("hello");
    let sizes: Vec<_> = dump.directory().iter().map(|e| (e.stream_type, e.size)).collect();
    let expected = [
        (stream::SYSTEM_INFO, 56),
        (stream::SYSTEM_MEMORY_INFO, 0x1ec),
        (stream::PROCESS_VM_COUNTERS, 0x98),
        (stream::FUNCTION_TABLE, 24 + 32 + 0x88 + 12 + 4),
        (stream::TOKEN, 16 + 0x48 + 8),
        (stream::LINUX_DSO_DEBUG, 36),
        (stream::COMMENT_A, 6),
        (stream::COMMENT_W, 12),
    ];
    assert_eq!(sizes, expected);
}

#[test]
fn big_endian_dumps_are_readable() {
    let dump = DumpBuilder { byte_order: ByteOrder::Big, ..DumpBuilder::windows_x64() };
    let dump = dump
        .module(Module::new("app", 0x40_0000, 0x1000))
        .memory(0x1_0000, [1, 2, 3])
        .thread_name(1, "main");
    let dump = read(&dump);
    assert_eq!(dump.endian, Endian::Big);
    let modules: MinidumpModuleList = dump.get_stream().unwrap();
    assert_eq!(modules.main_module().unwrap().code_file(), "app");
    let memory: MinidumpMemoryList<'_> = dump.get_stream().unwrap();
    let held = memory.memory_at_address(0x1_0000).unwrap();
    assert_eq!(held.bytes, [1, 2, 3]);
    let names: MinidumpThreadNames = dump.get_stream().unwrap();
    assert_eq!(names.get_name(1).unwrap(), "main");
}
