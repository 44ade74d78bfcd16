use minidump::{
    MinidumpMemory64List, MinidumpMemoryInfoList, MinidumpMemoryList, MinidumpModuleList,
    MinidumpSystemInfo, MinidumpThreadList, Module as _, UnifiedMemoryList,
};

use super::read;
use crate::synth::windows::*;
use crate::synth::*;

fn every_kind() -> [Process; 4] {
    [Process::x64(), Process::arm64(), Process::x86(), Process::wow64()]
}

/// A pointer-sized integer in the memory of the process.
fn pointer(layout: &Layout, address: u64, size: u64) -> u64 {
    let mut bytes = layout.read(address, size).bytes;
    bytes.resize(8, 0);
    u64::from_le_bytes(bytes.try_into().unwrap())
}

fn region_at(layout: &Layout, address: u64) -> Region {
    let mut regions = layout.regions.iter();
    let found = regions.find(|region| region.base <= address && address < region.end());
    *found.expect("regions cover the address space")
}

#[test]
fn regions_are_contiguous_from_zero() {
    for process in every_kind() {
        let layout = process.lay_out();
        let mut next = 0;
        for region in &layout.regions {
            assert_eq!(region.base, next, "{:?}", process.kind);
            next = region.end();
        }
        let end = if process.kind == ProcessKind::X86 { 0x7fff_0000 } else { 0x7fff_ffff_0000 };
        assert_eq!(next, end);
    }
}

#[test]
fn tebs_agree_with_stacks_and_regions() {
    for process in every_kind() {
        let layout = process.thread(ThreadPlan::new(0x1004)).lay_out();
        let size = layout.kind.pointer_size() as u64;
        let wide = size == 8;
        let field = |teb: u64, x86: u64, x64: u64| {
            pointer(&layout, teb + if wide { x64 } else { x86 }, size)
        };
        assert_eq!(layout.threads.len(), 2);
        for thread in &layout.threads {
            let stack = thread.stack;
            assert_eq!(field(thread.teb, 0x18, 0x30), thread.teb);
            assert_eq!(field(thread.teb, 0x04, 0x08), stack.base);
            assert_eq!(field(thread.teb, 0x08, 0x10), stack.limit);
            assert_eq!(field(thread.teb, 0xe0c, 0x1478), stack.allocation_base);
            assert_eq!(field(thread.teb, 0x24, 0x48), u64::from(thread.id));
            assert_eq!(field(thread.teb, 0x30, 0x60), layout.peb);

            let committed = region_at(&layout, stack.limit);
            assert_eq!((committed.base, committed.end()), (stack.limit, stack.base));
            let guard = region_at(&layout, stack.limit - 1);
            assert_eq!(guard.protect, PAGE_READWRITE | PAGE_GUARD);
            let reserve = region_at(&layout, stack.allocation_base);
            assert_eq!(reserve.state, MEM_RESERVE);
            assert_eq!(reserve.base, committed.allocation_base);
        }
    }
}

#[test]
fn wow64_threads_have_two_tebs() {
    let layout = Process::wow64().lay_out();
    let thread = &layout.threads[0];
    let teb32 = thread.teb32.unwrap();
    let stack32 = thread.stack32.unwrap();
    assert_eq!(pointer(&layout, thread.teb, 8), teb32);
    assert_eq!(pointer(&layout, teb32 + 0x18, 4), teb32);
    assert_eq!(pointer(&layout, teb32 + 0x04, 4), stack32.base);
    assert_eq!(pointer(&layout, teb32 + 0xf70, 4), thread.teb);
    assert_eq!(pointer(&layout, teb32 + 0x30, 4), layout.peb32.unwrap());
    let stack = thread.stack;
    assert_eq!(stack.base - stack.allocation_base, 0x4_0000);
}

#[test]
fn peb_leads_to_parameters_heaps_and_images() {
    for process in every_kind() {
        let layout = process.lay_out();
        let size = layout.kind.pointer_size() as u64;
        let at = |address: u64, x86: u64, x64: u64| {
            pointer(&layout, address + if size == 8 { x64 } else { x86 }, size)
        };
        assert_eq!(at(layout.peb, 0x08, 0x10), layout.images[0].module.base);
        let heaps = at(layout.peb, 0x90, 0xf0);
        assert_eq!(pointer(&layout, heaps, size), layout.heaps[0].address);
        assert_eq!(at(layout.peb, 0x18, 0x30), layout.heaps[0].address);

        let parameters = at(layout.peb, 0x10, 0x20);
        assert_eq!(parameters, layout.parameters);
        let length = pointer(&layout, parameters + if size == 8 { 0x70 } else { 0x40 }, 2);
        let text = at(parameters, 0x44, 0x78);
        let units: Vec<u16> = layout
            .read(text, length)
            .bytes
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        assert_eq!(String::from_utf16(&units).unwrap(), process.command_line);
    }
}

#[test]
fn loader_list_is_a_ring_of_the_listed_images() {
    let mut hidden = ImagePlan::x64(r"C:\App\hidden.dll");
    hidden.listing = Listing::Unlisted;
    let mut process = Process::x64();
    process.images.push(hidden);
    let layout = process.lay_out();
    let head = pointer(&layout, layout.peb + 0x18, 8) + 0x10;
    let mut bases = Vec::new();
    let mut node = pointer(&layout, head, 8);
    while node != head {
        bases.push(pointer(&layout, node + 0x30, 8));
        assert_eq!(pointer(&layout, pointer(&layout, node + 8, 8), 8), node);
        node = pointer(&layout, node, 8);
    }
    let listed: Vec<u64> = layout.images[..2].iter().map(|image| image.module.base).collect();
    assert_eq!(bases, listed);
    assert!(layout.images.len() == 3);
}

#[test]
fn images_have_headers_and_section_regions() {
    let layout = Process::x64().lay_out();
    let module = &layout.images[0].module;
    let headers = layout.read(module.base, 0x400).bytes;
    assert_eq!(&headers[..2], b"MZ");
    assert_eq!(&headers[0x80..0x84], b"PE\0\0");
    let size_of_image = u32::from_le_bytes(headers[0xd0..0xd4].try_into().unwrap());
    assert_eq!(size_of_image, module.size);

    let protections: Vec<(u64, u32)> = layout
        .regions
        .iter()
        .filter(|region| region.allocation_base == module.base)
        .map(|region| (region.size, region.protect))
        .collect();
    let expected = [
        (0x1000, PAGE_READONLY),
        (0x3000, PAGE_EXECUTE_READ),
        (0x2000, PAGE_READONLY),
        (0x1000, PAGE_READWRITE),
        (0x1000, PAGE_WRITECOPY),
        (0x1000, PAGE_READONLY),
    ];
    assert_eq!(protections, expected);
    let total: u64 = protections.iter().map(|(size, _)| size).sum();
    assert_eq!(total, u64::from(module.size));
}

#[test]
fn dumps_of_every_kind_and_capture_are_readable() {
    for process in every_kind() {
        let layout = process.lay_out();
        for capture in [Capture::MapOnly, Capture::Small, Capture::Full] {
            let dump = read(&layout.dump(capture));
            let regions: MinidumpMemoryInfoList<'_> = dump.get_stream().unwrap();
            assert_eq!(regions.iter().count(), layout.regions.len());
            let system: MinidumpSystemInfo = dump.get_stream().unwrap();
            let threads: MinidumpThreadList<'_> = dump.get_stream().unwrap();
            let thread = &threads.threads[0];
            let context = thread.context(&system, None).unwrap();
            assert_eq!(context.get_stack_pointer(), layout.threads[0].stack.pointer);
            let modules: MinidumpModuleList = dump.get_stream().unwrap();
            assert_eq!(modules.main_module().unwrap().code_file(), r"C:\App\app.exe");

            let memory = match capture {
                Capture::MapOnly => continue,
                Capture::Small => UnifiedMemoryList::Memory(dump.get_stream().unwrap()),
                Capture::Full => UnifiedMemoryList::Memory64(dump.get_stream().unwrap()),
            };
            let peb = memory.memory_at_address(layout.peb).expect("the PEB is captured");
            let offset = (layout.peb - peb.base_address()) as usize;
            let image = layout.images[0].module.base.to_le_bytes();
            let size = layout.kind.pointer_size();
            let at = offset + 2 * size;
            assert_eq!(peb.bytes()[at..at + size], image[..size]);
        }
    }
}

#[test]
fn full_dump_holds_every_readable_region() {
    let layout = Process::x64().lay_out();
    let dump = read(&layout.dump(Capture::Full));
    let memory: MinidumpMemory64List<'_> = dump.get_stream().unwrap();
    let held: Vec<_> = memory.iter().map(|m| (m.base_address, m.size)).collect();
    let readable: Vec<_> = layout
        .regions
        .iter()
        .filter(|region| region.is_readable())
        .map(|region| (region.base, region.size))
        .collect();
    assert_eq!(held, readable);
    assert!(dump.get_stream::<MinidumpMemoryList<'_>>().is_err());
}

#[test]
fn wow64_views_differ() {
    let layout = Process::wow64().lay_out();
    let wide = layout.dump(Capture::Small);
    let names = |dump: &DumpBuilder| dump.modules.as_ref().map_or(0, Vec::len);
    let modules = wide.modules.as_ref().unwrap();
    assert_eq!(modules[0], modules[1]);
    assert_eq!(names(&wide), 5);

    let narrow = layout.dump32(Capture::Small);
    assert_eq!(names(&narrow), 2);
    let end = narrow.regions.as_ref().unwrap().last().unwrap().end();
    assert_eq!(end, 0x7fff_0000);
    let thread = &narrow.threads.as_ref().unwrap()[0];
    assert_eq!(thread.teb, layout.threads[0].teb32.unwrap());
    assert_eq!(thread.stack, wide.threads.as_ref().unwrap()[0].stack);
}

#[test]
fn allocations_go_where_they_are_told_or_find_room() {
    let layout = Process::x86()
        .allocate(Allocation::private().reserve(0x400_0000))
        .allocate(Allocation::private().at(0x10_0000).commit(0x1000, PAGE_READWRITE))
        .allocate(Allocation::mapped().commit(0x2000, PAGE_READONLY).bytes(4, *b"Actx"))
        .lay_out();
    assert_eq!(layout.allocations[1], 0x10_0000);
    let view = region_at(&layout, layout.allocations[2]);
    assert_eq!((view.memory_type, view.size), (MEM_MAPPED, 0x2000));
    assert_eq!(layout.read(view.base + 4, 4).bytes, *b"Actx");
    let reserve = region_at(&layout, layout.allocations[0]);
    assert_eq!((reserve.state, reserve.size), (MEM_RESERVE, 0x400_0000));
}

#[test]
fn hundreds_of_threads_need_more_than_one_block() {
    let mut process = Process::x64();
    process.threads = (0..300).map(|id| ThreadPlan::new(4 + 4 * id)).collect();
    let layout = process.lay_out();
    let teb = layout.threads[299].teb;
    assert_eq!(pointer(&layout, teb + 0x30, 8), teb);
    assert_ne!(region_at(&layout, teb).allocation_base, layout.peb);
}
