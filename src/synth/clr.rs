//! The variables of a .NET garbage collector in memory: GcDacVars in the runtime's writable data, and what
//! it leads to. Fields are written as they are given, so that chains may turn back and addresses lie.
//!
//! Not here: objects, the region table as a whole, anything of the runtime beside its collector.

use super::bytes::Canvas;
use super::{MEM_IMAGE, Memory, Module, PAGE_READONLY, PAGE_READWRITE, Region};

/// Where the writable data is in the image, and its size.
const DATA: u64 = 0x2000;
const DATA_SIZE: u64 = 0x3000;
/// Offsets in the data.
const VARS: usize = 0x100;
const VARIABLES: usize = 0x400;
const OFFSETS: usize = 0x600;
const TABLE: usize = 0x800;
/// Offsets in gc_heap: the two variables, and the generations.
const HEAP_SIZE: usize = 0x1000;
const HEAP_VARIABLES: [usize; 2] = [0x20, 0x28];
const HEAP_TABLE: usize = 0x400;

/// A runtime module with its collector's variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// Full path of the module.
    pub path: String,
    /// Where the module is.
    pub base: u64,
    /// 4 or 8.
    pub pointer_size: usize,
    /// Version of GcDacVars.
    pub version: (u8, u8),
    /// Whether it has total_generation_count and the lists of offsets: .NET 5 and later.
    pub counted: bool,
    /// generation_size.
    pub generation_size: usize,
    /// Offset of allocation_start in a generation; -1 with regions. Start_segment is the pointer before.
    pub allocation_start: i32,
    /// *max_gen: 2 in every release.
    pub max_generation: u32,
    /// The heaps. Those of a server collector lie outside the module.
    pub heaps: Vec<Heap>,
    /// Where a server collector's heaps are: one page each, after a page of pointers.
    pub server: Option<u64>,
    /// n_heaps; what it claims, not what there is.
    pub heap_count: u32,
    /// *bookkeeping_start.
    pub bookkeeping: u64,
}

/// The variables of one heap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heap {
    /// Start_segment and allocation_start of each generation.
    pub generations: Vec<(u64, u64)>,
    /// ephemeral_heap_segment.
    pub ephemeral: u64,
    /// alloc_allocated.
    pub alloc_allocated: u64,
}

/// heap_segment: the fields that every release has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segment {
    /// One past the last object, at the end of the last collection.
    pub allocated: u64,
    /// One past the last committed byte.
    pub committed: u64,
    /// One past the last reserved byte.
    pub reserved: u64,
    /// One past the last byte that was ever used.
    pub used: u64,
    /// The first object.
    pub mem: u64,
    /// 1 frozen, 8 large objects, 0x200 pinned objects.
    pub flags: u64,
    /// The next segment.
    pub next: u64,
}

impl Segment {
    /// A segment with objects from `mem` to `allocated`.
    pub fn new(mem: u64, allocated: u64, committed: u64, reserved: u64) -> Self {
        Segment { allocated, committed, reserved, used: allocated, mem, flags: 0, next: 0 }
    }

    /// Its bytes at an address.
    pub fn at(&self, address: u64, pointer_size: usize) -> Memory {
        let Segment { allocated, committed, reserved, used, mem, flags, next } = *self;
        let fields = [allocated, committed, reserved, used, mem, flags, next];
        let mut bytes = Canvas::new(fields.len() * pointer_size, pointer_size);
        for (nth, field) in fields.into_iter().enumerate() {
            bytes.ptr(nth * pointer_size, field);
        }
        Memory::new(address, bytes.bytes)
    }
}

impl Runtime {
    /// A 64-bit runtime of .NET 8 with regions.
    pub fn net8(base: u64) -> Self {
        Runtime {
            path: r"C:\dotnet\coreclr.dll".to_owned(),
            base,
            pointer_size: 8,
            version: (2, 1),
            counted: true,
            generation_size: 0x108,
            allocation_start: -1,
            max_generation: 2,
            heaps: Vec::new(),
            server: None,
            heap_count: 0,
            bookkeeping: 0,
        }
    }

    /// A runtime of .NET Core 2 or 3 with segments.
    pub fn core2(base: u64, pointer_size: usize) -> Self {
        let (generation_size, allocation_start) =
            if pointer_size == 4 { (0x88, 0x2c) } else { (0xf0, 0x40) };
        Runtime {
            pointer_size,
            version: (1, 0),
            counted: false,
            generation_size,
            allocation_start,
            ..Runtime::net8(base)
        }
    }

    /// Where GcDacVars is.
    pub fn variables(&self) -> u64 {
        self.base + DATA + VARS as u64
    }

    /// Its entry in the module list.
    pub fn module(&self) -> Module {
        Module::new(self.path.as_str(), self.base, (DATA + DATA_SIZE) as u32)
    }

    /// The regions of the module.
    pub fn regions(&self) -> Vec<Region> {
        let base = self.base;
        vec![
            Region::image(base, DATA, PAGE_READONLY, base),
            Region {
                memory_type: MEM_IMAGE,
                ..Region::image(base + DATA, DATA_SIZE, PAGE_READWRITE, base)
            },
        ]
    }

    /// The writable data of the module, and the heaps of a server collector.
    pub fn memory(&self) -> Vec<Memory> {
        let mut memory = vec![self.data()];
        if let Some(at) = self.server {
            let mut heaps = Canvas::new(HEAP_SIZE * (self.heaps.len() + 1), self.pointer_size);
            for (nth, heap) in self.heaps.iter().enumerate() {
                let start = HEAP_SIZE * (nth + 1);
                heaps.ptr(nth * self.pointer_size, at + start as u64);
                let [allocated, ephemeral] = self.heap_variables();
                heaps.ptr(start + allocated, heap.alloc_allocated);
                heaps.ptr(start + ephemeral, heap.ephemeral);
                self.write_generations(&mut heaps, start + self.heap_table(), heap);
            }
            memory.push(Memory::new(at, heaps.bytes));
        }
        memory
    }

    /// Without the lists of offsets, a reader has to know them.
    fn heap_variables(&self) -> [usize; 2] {
        if self.counted { HEAP_VARIABLES } else { [0, self.pointer_size] }
    }

    fn heap_table(&self) -> usize {
        if self.counted { HEAP_TABLE } else { 0x1c8 }
    }

    fn start_segment(&self) -> usize {
        match self.allocation_start {
            -1 => 0x38,
            offset => offset as usize - self.pointer_size,
        }
    }

    fn write_generations(&self, canvas: &mut Canvas, table: usize, heap: &Heap) {
        for (nth, (segment, start)) in heap.generations.iter().enumerate() {
            let generation = table + nth * self.generation_size;
            canvas.ptr(generation + self.start_segment(), *segment);
            if self.allocation_start >= 0 {
                canvas.ptr(generation + self.allocation_start as usize, *start);
            }
        }
    }

    fn data(&self) -> Memory {
        let size = self.pointer_size;
        let address = |offset: usize| self.base + DATA + offset as u64;
        let mut data = Canvas::new(DATA_SIZE as usize, size);
        data.ptr(VARS, u64::from(self.version.0) | u64::from(self.version.1) << 8);
        data.ptr(VARS + size, self.generation_size as u64);
        let shift = usize::from(!self.counted);
        if self.counted {
            data.ptr(VARS + 2 * size, 5);
        }
        // Every other field points to a variable that nobody reads.
        let slots = if self.counted { 3..33 } else { 3..30 };
        for slot in slots {
            data.ptr(VARS + (slot - shift) * size, address(VARIABLES + 0x180));
        }
        let mut field = |slot: usize, value: u64| {
            data.ptr(VARS + (slot - shift) * size, value);
        };
        field(6, if self.server.is_some() { 0 } else { address(TABLE) });
        field(7, address(VARIABLES));
        field(10, address(VARIABLES + 0x10));
        field(15, address(VARIABLES + 0x20));
        field(22, address(VARIABLES + 0x30));
        field(23, address(VARIABLES + 0x40));
        if self.counted {
            field(30, address(OFFSETS));
            field(31, address(OFFSETS + 0x100));
            field(32, address(VARIABLES + 0x50));
        }
        data.u32(VARIABLES, self.max_generation);
        data.u32(VARIABLES + 0x30, self.heap_count);
        data.ptr(VARIABLES + 0x40, self.server.unwrap_or(0));
        data.ptr(VARIABLES + 0x50, self.bookkeeping);
        for nth in 0..19 {
            data.u32(OFFSETS + nth * 4, 0xff0);
        }
        data.u32(OFFSETS, HEAP_VARIABLES[0] as u32);
        data.u32(OFFSETS + 4, HEAP_VARIABLES[1] as u32);
        data.u32(OFFSETS + 18 * 4, HEAP_TABLE as u32);
        data.u32(OFFSETS + 0x104, self.start_segment() as u32);
        data.u32(OFFSETS + 0x108, self.allocation_start as u32);
        if let (None, Some(heap)) = (self.server, self.heaps.first()) {
            data.ptr(VARIABLES + 0x10, heap.ephemeral);
            data.ptr(VARIABLES + 0x20, heap.alloc_allocated);
            self.write_generations(&mut data, TABLE, heap);
        }
        Memory::new(self.base + DATA, data.bytes)
    }
}
