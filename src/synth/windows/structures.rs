//! TEB, PEB, process parameters and loader list, byte for byte, in both pointer widths.
//! Offsets are those of Windows 10; ARM64 has the 64-bit ones.

use super::Loader;
use crate::synth::bytes::Canvas;

/// The fields of a thread environment block that a map of memory needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Teb {
    /// NtTib.Self: its own address.
    pub address: u64,
    /// NtTib.ExceptionList; in a WOW64 process's 64-bit TEB, the address of the 32-bit TEB.
    pub exception_list: u64,
    /// NtTib.StackBase: the first address after the stack.
    pub stack_base: u64,
    /// NtTib.StackLimit: the lowest committed address.
    pub stack_limit: u64,
    /// DeallocationStack: the allocation base of the stack.
    pub deallocation_stack: u64,
    /// ClientId.UniqueProcess.
    pub process_id: u32,
    /// ClientId.UniqueThread.
    pub thread_id: u32,
    /// ProcessEnvironmentBlock.
    pub peb: u64,
    /// WowTebOffset: from this TEB to the other one; 0 when there is none.
    pub wow_teb_offset: i32,
    /// GdiBatchCount; in a 32-bit TEB of a WOW64 process, the address of the 64-bit TEB.
    pub gdi_batch_count: u32,
    /// GuaranteedStackBytes.
    pub guaranteed_stack_bytes: u32,
    /// NtTib.FiberData; not 0 sets HasFiberData.
    pub fiber_data: u64,
    /// `Win32ClientInfo[5]` (64-bit only): base of the desktop heap.
    pub desktop_heap: u64,
}

/// A TEB: 0x1000 bytes in 32-bit form (pointer size 4), 0x2000 in 64-bit form (8).
pub fn teb_bytes(teb: &Teb, pointer_size: usize) -> Vec<u8> {
    let small = pointer_size == 4;
    let at = |x86: usize, x64: usize| if small { x86 } else { x64 };
    let mut canvas = Canvas::new(at(0x1000, 0x2000), pointer_size);
    canvas
        .ptr(0, teb.exception_list)
        .ptr(at(0x04, 0x08), teb.stack_base)
        .ptr(at(0x08, 0x10), teb.stack_limit)
        .ptr(at(0x10, 0x20), teb.fiber_data)
        .ptr(at(0x18, 0x30), teb.address)
        .ptr(at(0x20, 0x40), u64::from(teb.process_id))
        .ptr(at(0x24, 0x48), u64::from(teb.thread_id))
        .ptr(at(0x30, 0x60), teb.peb)
        .ptr(at(0x6b4, 0x7d8), u64::from(teb.process_id))
        .ptr(at(0x6b8, 0x7e0), u64::from(teb.thread_id))
        .ptr(at(0xe0c, 0x1478), teb.deallocation_stack)
        .u32(at(0xf70, 0x1740), teb.gdi_batch_count)
        .u32(at(0xf78, 0x1748), teb.guaranteed_stack_bytes)
        .u16(at(0xfca, 0x17ee), if teb.fiber_data == 0 { 0 } else { 4 })
        .u32(at(0xfdc, 0x180c), teb.wow_teb_offset as u32);
    if !small && teb.desktop_heap != 0 {
        canvas.u64(0x820, teb.desktop_heap + 0x1040).u64(0x828, teb.desktop_heap);
    }
    canvas.bytes
}

/// The fields of a process environment block that a map of memory needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peb {
    /// Its own address: the heap array lies in the same page, at 0x800.
    pub address: u64,
    /// ImageBaseAddress.
    pub image_base: u64,
    /// Ldr: PEB_LDR_DATA.
    pub loader: u64,
    /// ProcessParameters.
    pub parameters: u64,
    /// ProcessHeaps; the first is ProcessHeap. At most 16 fit.
    pub heaps: Vec<u64>,
    /// Number of processors.
    pub processors: u32,
    /// NtGlobalFlag.
    pub global_flag: u32,
    /// OSMajorVersion, OSMinorVersion, OSBuildNumber.
    pub version: (u32, u32, u32),
}

/// A page with a PEB in 32-bit form (pointer size 4) or 64-bit form (8).
pub fn peb_bytes(peb: &Peb, pointer_size: usize) -> Vec<u8> {
    const HEAPS: usize = 0x800;
    let small = pointer_size == 4;
    let at = |x86: usize, x64: usize| if small { x86 } else { x64 };
    let (major, minor, build) = peb.version;
    let heaps = &peb.heaps[..peb.heaps.len().min(16)];
    let mut canvas = Canvas::new(0x1000, pointer_size);
    canvas
        .ptr(at(0x08, 0x10), peb.image_base)
        .ptr(at(0x0c, 0x18), peb.loader)
        .ptr(at(0x10, 0x20), peb.parameters)
        .ptr(at(0x18, 0x30), heaps.first().copied().unwrap_or(0))
        .u32(at(0x64, 0xb8), peb.processors)
        .u32(at(0x68, 0xbc), peb.global_flag)
        .ptr(at(0x78, 0xc8), 0x10_0000) // HeapSegmentReserve
        .ptr(at(0x7c, 0xd0), 0x2000) // HeapSegmentCommit
        .u32(at(0x88, 0xe8), heaps.len() as u32)
        .u32(at(0x8c, 0xec), 16)
        .ptr(at(0x90, 0xf0), peb.address + HEAPS as u64)
        .u32(at(0xa4, 0x118), major)
        .u32(at(0xa8, 0x11c), minor)
        .u16(at(0xac, 0x120), build as u16)
        .u32(at(0xb0, 0x124), 2)
        .u32(at(0x1d4, 0x2c0), 1); // SessionId
    for (index, heap) in heaps.iter().enumerate() {
        canvas.ptr(HEAPS + pointer_size * index, *heap);
    }
    canvas.bytes
}

/// What the process was started with.
pub(super) struct Parameters<'a> {
    pub(super) image_path: &'a str,
    pub(super) command_line: &'a str,
    pub(super) environment: &'a [(String, String)],
}

/// One image of the loader's list.
pub(super) struct LoaderEntry<'a> {
    pub(super) base: u64,
    pub(super) size: u32,
    pub(super) timestamp: u32,
    pub(super) path: &'a str,
}

/// RTL_USER_PROCESS_PARAMETERS at `base`, followed by its strings and by PEB_LDR_DATA with its entries.
pub(super) struct StartupBlock {
    pub(super) bytes: Vec<u8>,
    /// Address of PEB_LDR_DATA, 0 if absent.
    pub(super) loader: u64,
}

pub(super) fn startup_block(
    base: u64,
    parameters: &Parameters<'_>,
    loader: Loader,
    entries: &[LoaderEntry<'_>],
    pointer_size: usize,
) -> StartupBlock {
    let mut canvas = parameters_canvas(base, parameters, pointer_size);
    let loader = match loader {
        Loader::Absent => 0,
        Loader::Written => append_loader_list(&mut canvas, base, entries),
    };
    StartupBlock { bytes: canvas.bytes, loader }
}

fn parameters_canvas(base: u64, parameters: &Parameters<'_>, pointer_size: usize) -> Canvas {
    let at = |x86: usize, x64: usize| if pointer_size == 4 { x86 } else { x64 };
    let size = at(0x2c0, 0x440);
    let mut canvas = Canvas::new(size, pointer_size);
    canvas.u32(0, size as u32).u32(4, size as u32).u32(8, 1); // normalized
    let strings = [
        (at(0x24, 0x38), r"C:\App\"), // CurrentDirectory
        (at(0x38, 0x60), parameters.image_path),
        (at(0x40, 0x70), parameters.command_line),
        (at(0x70, 0xb0), parameters.image_path), // WindowTitle
        (at(0x78, 0xc0), r"Winsta0\Default"),    // DesktopInfo
    ];
    for (field, text) in strings {
        append_string(&mut canvas, base, field, text);
    }

    let environment = canvas.bytes.len().next_multiple_of(16);
    let mut end = environment;
    for (name, value) in parameters.environment {
        end += canvas.wide(end, &format!("{name}={value}")) + 2;
    }
    canvas.u16(end, 0);
    canvas
        .ptr(at(0x48, 0x80), base + environment as u64)
        .ptr(at(0x290, 0x3f0), (end + 2 - environment) as u64);
    canvas
}

/// Appends the text and sets the UNICODE_STRING at `field`.
fn append_string(canvas: &mut Canvas, base: u64, field: usize, text: &str) {
    let at = canvas.bytes.len().next_multiple_of(8);
    let length = canvas.wide(at, text);
    canvas.unicode_string(field, length, base + at as u64);
}

fn append_loader_list(canvas: &mut Canvas, base: u64, entries: &[LoaderEntry<'_>]) -> u64 {
    let pointer = canvas.pointer;
    let at = |x86: usize, x64: usize| if pointer == 4 { x86 } else { x64 };
    let data = canvas.bytes.len().next_multiple_of(16);
    let entry_size = at(0xa8, 0x120);
    let first = (data + at(0x30, 0x58)).next_multiple_of(16);
    canvas.u32(data, at(0x30, 0x58) as u32).u8(data + 4, 1);

    let entry_at = |index: usize| first + entry_size * index;
    canvas.u8(entry_at(entries.len()) - 1, 0); // room for all entries before their strings
    for (index, entry) in entries.iter().enumerate() {
        let own = entry_at(index);
        let file = entry.path.rsplit('\\').next().unwrap_or(entry.path);
        canvas
            .ptr(own + at(0x18, 0x30), entry.base)
            .ptr(own + at(0x1c, 0x38), entry.base + 0x1000) // EntryPoint
            .ptr(own + at(0x20, 0x40), u64::from(entry.size))
            .u32(own + at(0x34, 0x68), 0x22cc) // Flags
            .u32(own + at(0x44, 0x80), entry.timestamp);
        append_string(canvas, base, own + at(0x24, 0x48), entry.path);
        append_string(canvas, base, own + at(0x2c, 0x58), file);
    }
    // Load order, memory order, initialization order: each links its own field of the entries.
    for (order, head) in [at(0x0c, 0x10), at(0x14, 0x20), at(0x1c, 0x30)].into_iter().enumerate() {
        let links = 2 * pointer * order;
        let mut nodes = vec![data + head];
        nodes.extend((0..entries.len()).map(|index| entry_at(index) + links));
        link_ring(canvas, base, &nodes);
    }
    base + data as u64
}

/// Links LIST_ENTRY fields at these offsets into a ring, in this order.
fn link_ring(canvas: &mut Canvas, base: u64, nodes: &[usize]) {
    for (index, &node) in nodes.iter().enumerate() {
        let next = nodes[(index + 1) % nodes.len()];
        let previous = nodes[(index + nodes.len() - 1) % nodes.len()];
        canvas.links(node, base + next as u64, base + previous as u64);
    }
}
