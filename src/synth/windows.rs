//! A whole Windows process, laid out once: every stream and every structure in memory is derived from
//! the same addresses, so they agree as they do in a real dump.
//!
//! ```
//! use dumpmap::synth::windows::{Allocation, Capture, Process};
//! use dumpmap::synth::PAGE_READWRITE;
//!
//! let layout = Process::x64()
//!     .allocate(Allocation::private().commit(0x5000, PAGE_READWRITE).reserve(0xb000))
//!     .lay_out();
//! let dump = layout.dump(Capture::Full).build();
//! assert!(dump.len() > 0x5000);
//! ```

mod capture;
mod contents;
mod heaps;
mod image;
mod layout;
mod space;
mod structures;

pub use capture::Capture;
pub use heaps::{Container, PageRange, SegmentHeap};
pub use image::{ImagePlan, Listing, Machine, Section};
pub use layout::{Layout, PlacedImage, PlacedStack, PlacedThread};
pub use space::Allocation;
pub use structures::{Peb, Teb, peb_bytes, teb_bytes};

use super::heap::Heap;

/// The four kinds of Windows process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessKind {
    /// A 32-bit process on 32-bit Windows.
    X86,
    /// A 64-bit process.
    X64,
    /// A 64-bit process on ARM64.
    Arm64,
    /// A 32-bit process on 64-bit Windows: two PEBs, and two TEBs and two stacks a thread.
    Wow64,
}

impl ProcessKind {
    /// The machine of the process's own code.
    pub fn machine(self) -> Machine {
        match self {
            ProcessKind::X86 | ProcessKind::Wow64 => Machine::X86,
            ProcessKind::X64 => Machine::X64,
            ProcessKind::Arm64 => Machine::Arm64,
        }
    }

    /// Bytes in a pointer of the native (64-bit in WOW64) structures.
    pub fn pointer_size(self) -> usize {
        match self {
            ProcessKind::X86 => 4,
            _ => 8,
        }
    }
}

/// A process before it has addresses. Build one with a constructor, change its fields or use the methods,
/// then [`lay_out`](Process::lay_out).
#[derive(Debug, Clone)]
pub struct Process {
    /// What kind of process.
    pub kind: ProcessKind,
    /// Process id.
    pub id: u32,
    /// Windows version: major, minor, build.
    pub version: (u32, u32, u32),
    /// First address after the user address space; 0xfffe0000 for a large-address-aware WOW64 process.
    pub end: u64,
    /// CommandLine of the process parameters.
    pub command_line: String,
    /// Environment of the process parameters.
    pub environment: Vec<(String, String)>,
    /// Images; the first is the program.
    pub images: Vec<ImagePlan>,
    /// Whether PEB_LDR_DATA and its entries exist.
    pub loader: Loader,
    /// Threads.
    pub threads: Vec<ThreadPlan>,
    /// NT heaps of the native PEB; the first is the default heap.
    pub heaps: Vec<Heap>,
    /// NT heaps of the 32-bit PEB; only [`ProcessKind::Wow64`].
    pub heaps32: Vec<Heap>,
    /// Everything else.
    pub allocations: Vec<Allocation>,
}

/// Whether the loader's module list is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loader {
    /// PEB.Ldr points to lists of all [`Listing::Listed`] images.
    Written,
    /// PEB.Ldr is 0.
    Absent,
}

/// A thread before it has addresses. Sizes are in bytes and multiples of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadPlan {
    /// Thread id.
    pub id: u32,
    /// Name in the ThreadNames stream.
    pub name: Option<String>,
    /// Size of the stack's allocation.
    pub reserve: u64,
    /// Committed, without the guard pages: StackBase − StackLimit.
    pub commit: u64,
    /// Guard pages below StackLimit; `None` is the usual 0x3000 on 64-bit and 0x2000 on 32-bit.
    pub guard: Option<u64>,
    /// StackBase − SP.
    pub used: u64,
    /// Offset in the program's image where the thread began.
    pub start: u64,
}

impl ThreadPlan {
    /// A thread with a 1 MiB stack, 16 KiB of it committed and 1 KiB in use.
    pub fn new(id: u32) -> Self {
        ThreadPlan {
            id,
            name: None,
            reserve: 0x10_0000,
            commit: 0x4000,
            guard: None,
            used: 0x400,
            start: 0x1100,
        }
    }
}

impl Process {
    /// A 64-bit process with a program, ntdll.dll, one thread and one heap.
    pub fn x64() -> Self {
        Process::new(ProcessKind::X64, 0x7fff_ffff_0000)
    }

    /// An ARM64 process with a program, ntdll.dll, one thread and one heap.
    pub fn arm64() -> Self {
        Process::new(ProcessKind::Arm64, 0x7fff_ffff_0000)
    }

    /// A 32-bit process with a program, ntdll.dll, one thread and one heap.
    pub fn x86() -> Self {
        Process::new(ProcessKind::X86, 0x7fff_0000)
    }

    /// A 32-bit process on 64-bit Windows, with a program, both ntdll.dll, wow64.dll, one thread and a heap
    /// of each width. `end` is that of the 32-bit half; the 64-bit view ends at 0x7fffffff0000.
    pub fn wow64() -> Self {
        let mut process = Process::new(ProcessKind::Wow64, 0x7fff_0000);
        let native = [r"C:\Windows\System32\ntdll.dll", r"C:\Windows\System32\wow64.dll"];
        process.images.extend(native.map(ImagePlan::x64));
        process.heaps32 = vec![Heap::new()];
        process
    }

    fn new(kind: ProcessKind, end: u64) -> Self {
        let machine = kind.machine();
        let folder = match kind {
            ProcessKind::Wow64 => "SysWOW64",
            _ => "System32",
        };
        Process {
            kind,
            id: 0x1234,
            version: (10, 0, 19045),
            end,
            command_line: r#""C:\App\app.exe" --verbose"#.to_owned(),
            environment: vec![
                ("PATH".to_owned(), r"C:\Windows".to_owned()),
                ("TEMP".to_owned(), r"C:\Temp".to_owned()),
            ],
            images: vec![
                ImagePlan::new(r"C:\App\app.exe", machine),
                ImagePlan::new(&format!(r"C:\Windows\{folder}\ntdll.dll"), machine),
            ],
            loader: Loader::Written,
            threads: vec![ThreadPlan::new(0x1000)],
            heaps: vec![Heap::new()],
            heaps32: Vec::new(),
            allocations: Vec::new(),
        }
    }

    /// Adds an image of the process's own machine.
    pub fn image(mut self, path: &str) -> Self {
        let image = ImagePlan::new(path, self.kind.machine());
        self.images.push(image);
        self
    }

    /// Adds a thread.
    pub fn thread(mut self, thread: ThreadPlan) -> Self {
        self.threads.push(thread);
        self
    }

    /// Adds a heap to the PEB that the program uses.
    pub fn heap(mut self, heap: Heap) -> Self {
        match self.kind {
            ProcessKind::Wow64 => self.heaps32.push(heap),
            _ => self.heaps.push(heap),
        }
        self
    }

    /// Adds an allocation.
    pub fn allocate(mut self, allocation: Allocation) -> Self {
        self.allocations.push(allocation);
        self
    }

    /// Gives everything an address.
    pub fn lay_out(&self) -> Layout {
        layout::lay_out(self)
    }
}
