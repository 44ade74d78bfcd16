//! From a [`Process`] to addresses: who goes where.

use super::contents::{Half, write_half, write_tebs};
use super::space::{Room, Space};
use super::{Allocation, ImagePlan, Listing, Machine, Process, ProcessKind, ThreadPlan};
use crate::synth::heap::{EncodedHeap, Heap};
use crate::synth::{Memory, Module, PAGE_READONLY, PAGE_READWRITE, Region};

const PAGE: u64 = 0x1000;
/// PEB and TEBs are slices of such reservations since Windows 10.
const BLOCK: u64 = 0x20_0000;
const NATIVE_END: u64 = 0x7fff_ffff_0000;

/// A process with addresses. All fields may be changed before the dump is made from them.
#[derive(Debug, Clone)]
pub struct Layout {
    /// What kind of process.
    pub kind: ProcessKind,
    /// Process id.
    pub process_id: u32,
    /// Windows version: major, minor, build.
    pub version: (u32, u32, u32),
    /// End of the user address space, or of the 32-bit half of a WOW64 process.
    pub end: u64,
    /// Every region from 0 to the end, sorted, free ones included.
    pub regions: Vec<Region>,
    /// What structures wrote into memory, sorted by address; all other committed memory is zero.
    pub contents: Vec<Memory>,
    /// The (native) PEB.
    pub peb: u64,
    /// The 32-bit PEB of a WOW64 process.
    pub peb32: Option<u64>,
    /// The process parameters of the (native) PEB.
    pub parameters: u64,
    /// Threads in the order of the plan.
    pub threads: Vec<PlacedThread>,
    /// Images in the order of the plan.
    pub images: Vec<PlacedImage>,
    /// Heaps of the (native) PEB.
    pub heaps: Vec<EncodedHeap>,
    /// Heaps of the 32-bit PEB.
    pub heaps32: Vec<EncodedHeap>,
    /// Bases of the plan's allocations, in its order.
    pub allocations: Vec<u64>,
}

/// A thread with addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedThread {
    /// Thread id.
    pub id: u32,
    /// Name in the ThreadNames stream.
    pub name: Option<String>,
    /// The (native) TEB.
    pub teb: u64,
    /// The (native) stack.
    pub stack: PlacedStack,
    /// The 32-bit TEB of a WOW64 thread.
    pub teb32: Option<u64>,
    /// The 32-bit stack of a WOW64 thread.
    pub stack32: Option<PlacedStack>,
    /// Where it is in the (native) ntdll.
    pub instruction: u64,
    /// Where it began.
    pub start_address: u64,
}

/// A stack with addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlacedStack {
    /// DeallocationStack: the lowest reserved address.
    pub allocation_base: u64,
    /// StackLimit: the lowest committed address above the guard pages.
    pub limit: u64,
    /// StackBase: the first address after the stack.
    pub base: u64,
    /// The thread's stack pointer.
    pub pointer: u64,
}

/// An image with an address.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedImage {
    /// Its entry in the module list.
    pub module: Module,
    /// Its machine.
    pub machine: Machine,
    /// Whether the lists know it.
    pub listing: Listing,
}

pub(super) fn lay_out(process: &Process) -> Layout {
    let mut space = Space::default();
    let room = private_room(process);
    place_shared_data(&mut space);
    let images = place_images(process, &mut space);
    // What has an address goes first, so that nothing else is put there.
    let mut allocations = vec![0; process.allocations.len()];
    place_allocations(process, &mut space, &mut allocations, |plan| plan.base.is_some());

    let tebs = place_tebs(process, &mut space, room);
    let threads = place_threads(process, &images, &tebs.threads, &mut space, room);
    let pointer_size = process.kind.pointer_size();
    let heaps = place_heaps(&process.heaps, pointer_size, &mut space, room);
    let native = Half { peb: tebs.peb, pointer_size, machines: native_machines(process.kind) };
    let parameters = write_half(process, native, &images, &heaps, &mut space, room);
    let mut heaps32 = Vec::new();
    if let Some(peb) = tebs.peb32 {
        heaps32 = place_heaps(&process.heaps32, 4, &mut space, room);
        let wow = Half { peb, pointer_size: 4, machines: &[Machine::X86] };
        write_half(process, wow, &images, &heaps32, &mut space, room);
    }
    write_tebs(process, &threads, &tebs, &mut space);
    place_allocations(process, &mut space, &mut allocations, |plan| plan.base.is_none());

    let end = match process.kind {
        ProcessKind::Wow64 => NATIVE_END,
        _ => process.end,
    };
    let mut contents = std::mem::take(&mut space.contents);
    contents.sort_by_key(|memory| memory.base);
    Layout {
        kind: process.kind,
        process_id: process.id,
        version: process.version,
        end: process.end,
        regions: space.regions(end),
        contents,
        peb: tebs.peb,
        peb32: tebs.peb32,
        parameters,
        threads,
        images,
        heaps,
        heaps32,
        allocations,
    }
}

fn private_room(process: &Process) -> Room {
    let start = match process.kind {
        ProcessKind::X86 | ProcessKind::Wow64 => 0x10_0000,
        ProcessKind::X64 | ProcessKind::Arm64 => 0x10_0000_0000,
    };
    Room { start, end: process.end, align: 0x1_0000 }
}

/// KUSER_SHARED_DATA has the same address in every process.
fn place_shared_data(space: &mut Space) {
    let page = Allocation { protect: PAGE_READONLY, ..Allocation::private().at(0x7ffe_0000) };
    let nowhere = Room { start: 0, end: 0, align: PAGE };
    space.place(&page.commit(PAGE, PAGE_READONLY), nowhere);
}

fn place_images(process: &Process, space: &mut Space) -> Vec<PlacedImage> {
    let place = |image: &ImagePlan| {
        let (start, end) = match image.machine {
            Machine::X86 => (0x6000_0000, 0x7ffe_0000),
            Machine::X64 | Machine::Arm64 => (0x7ff6_0000_0000, NATIVE_END),
        };
        let room = Room { start, end, align: 0x1_0000 };
        let base = space.place(&image.allocation(image.base), room);
        space.write(base, image.headers(base));
        PlacedImage { module: image.module(base), machine: image.machine, listing: image.listing }
    };
    process.images.iter().map(place).collect()
}

fn place_allocations(
    process: &Process,
    space: &mut Space,
    bases: &mut [u64],
    chosen: fn(&Allocation) -> bool,
) {
    let room = private_room(process);
    for (plan, base) in process.allocations.iter().zip(bases) {
        if chosen(plan) {
            *base = space.place(plan, room);
        }
    }
}

/// Where the environment blocks are.
pub(super) struct Tebs {
    pub(super) peb: u64,
    pub(super) peb32: Option<u64>,
    pub(super) threads: Vec<u64>,
}

fn place_tebs(process: &Process, space: &mut Space, room: Room) -> Tebs {
    let (header, stride) = match process.kind {
        ProcessKind::X86 => (PAGE, PAGE),
        ProcessKind::X64 | ProcessKind::Arm64 => (PAGE, 2 * PAGE),
        ProcessKind::Wow64 => (2 * PAGE, 3 * PAGE),
    };
    let per_block = (BLOCK - header) / stride;
    let room = Room { align: BLOCK, start: room.start.next_multiple_of(BLOCK), ..room };
    let mut blocks = Vec::new();
    let mut threads = Vec::new();
    let mut left = process.threads.len() as u64;
    while blocks.is_empty() || left > 0 {
        let here = left.min(per_block);
        let used = header + here * stride;
        let block = Allocation::private().commit(used, PAGE_READWRITE).reserve(BLOCK - used);
        let base = space.place(&block, room);
        threads.extend((0..here).map(|index| base + header + index * stride));
        blocks.push(base);
        left -= here;
    }
    let peb = blocks[0];
    Tebs { peb, peb32: (process.kind == ProcessKind::Wow64).then_some(peb + PAGE), threads }
}

fn place_threads(
    process: &Process,
    images: &[PlacedImage],
    tebs: &[u64],
    space: &mut Space,
    room: Room,
) -> Vec<PlacedThread> {
    let program = images.first().map_or(0, |image| image.module.base);
    let native = native_machines(process.kind);
    let system = images
        .iter()
        .rfind(|image| native.contains(&image.machine))
        .map_or(program, |image| image.module.base);
    let wow = process.kind == ProcessKind::Wow64;
    let place = |(plan, &teb): (&ThreadPlan, &u64)| {
        let width = process.kind.machine();
        let own = place_stack(plan, width, space, room);
        // The stack of the 64-bit half is always 256 KiB.
        let native = wow.then(|| {
            let plan = ThreadPlan { reserve: 0x4_0000, guard: None, ..ThreadPlan::new(plan.id) };
            place_stack(&plan, Machine::X64, space, room)
        });
        PlacedThread {
            id: plan.id,
            name: plan.name.clone(),
            teb,
            stack: native.unwrap_or(own),
            teb32: wow.then_some(teb + 2 * PAGE),
            stack32: wow.then_some(own),
            instruction: system + 0x1234,
            start_address: program + plan.start,
        }
    };
    process.threads.iter().zip(tebs).map(place).collect()
}

fn place_stack(plan: &ThreadPlan, machine: Machine, space: &mut Space, room: Room) -> PlacedStack {
    let guard = plan.guard.unwrap_or(match machine {
        Machine::X86 => 2 * PAGE,
        Machine::X64 | Machine::Arm64 => 3 * PAGE,
    });
    let reserved = plan.reserve.saturating_sub(guard + plan.commit);
    let stack =
        Allocation::private().reserve(reserved).guard(guard).commit(plan.commit, PAGE_READWRITE);
    let allocation_base = space.place(&stack, room);
    let base = allocation_base + stack.size();
    PlacedStack {
        allocation_base,
        limit: base.wrapping_sub(plan.commit),
        base,
        pointer: base.wrapping_sub(plan.used),
    }
}

fn place_heaps(
    heaps: &[Heap],
    pointer_size: usize,
    space: &mut Space,
    room: Room,
) -> Vec<EncodedHeap> {
    let place = |heap: &Heap| {
        let mut bases = Vec::new();
        for (committed, reserved) in heap.allocations(pointer_size) {
            let allocation = Allocation::private()
                .commit(committed, PAGE_READWRITE)
                .reserve(reserved - committed);
            bases.push(space.place(&allocation, room));
        }
        let encoded = heap.encode(&bases, pointer_size);
        for memory in &encoded.memory {
            space.write(memory.base, memory.bytes.clone());
        }
        encoded
    };
    heaps.iter().map(place).collect()
}

/// Machines whose images the native half of a process has.
fn native_machines(kind: ProcessKind) -> &'static [Machine] {
    match kind {
        ProcessKind::X86 => &[Machine::X86],
        ProcessKind::X64 | ProcessKind::Wow64 => &[Machine::X64],
        ProcessKind::Arm64 => &[Machine::Arm64, Machine::X64],
    }
}
