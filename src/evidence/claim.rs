//! One claim: a range of bytes, what it is said to be, by whom, and how well
//! it is known.

use std::borrow::Cow;
use std::fmt;

use crate::addr::AddressRange;

/// What memory is, in VMMap's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegionKind {
    /// Loaded by the image loader.
    Image,
    /// A view of a file.
    MappedFile,
    /// A view of a section that no file backs.
    Shareable,
    /// A view of a file or of a pagefile section: a dump cannot tell.
    Mapped,
    /// Of a user-mode heap manager.
    Heap,
    /// Of a garbage collector.
    ManagedHeap,
    /// A thread's stack.
    Stack,
    /// Private memory that nobody else claims.
    Private,
    /// Free, but below the next allocation granule: no allocation fits.
    Unusable,
    /// Free.
    Free,
    /// The dump does not say.
    Unknown,
}

impl RegionKind {
    /// Every kind, in VMMap's order.
    pub const ALL: [RegionKind; 11] = [
        RegionKind::Image,
        RegionKind::MappedFile,
        RegionKind::Shareable,
        RegionKind::Mapped,
        RegionKind::Heap,
        RegionKind::ManagedHeap,
        RegionKind::Stack,
        RegionKind::Private,
        RegionKind::Unusable,
        RegionKind::Free,
        RegionKind::Unknown,
    ];

    /// How many kinds there are.
    pub const COUNT: usize = RegionKind::ALL.len();

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            RegionKind::Image => "image",
            RegionKind::MappedFile => "mapped-file",
            RegionKind::Shareable => "shareable",
            RegionKind::Mapped => "mapped",
            RegionKind::Heap => "heap",
            RegionKind::ManagedHeap => "managed-heap",
            RegionKind::Stack => "stack",
            RegionKind::Private => "private",
            RegionKind::Unusable => "unusable",
            RegionKind::Free => "free",
            RegionKind::Unknown => "unknown",
        }
    }

    /// The word in tables, as VMMap prints it.
    pub fn title(self) -> &'static str {
        match self {
            RegionKind::Image => "Image",
            RegionKind::MappedFile => "Mapped File",
            RegionKind::Shareable => "Shareable",
            RegionKind::Mapped => "Mapped",
            RegionKind::Heap => "Heap",
            RegionKind::ManagedHeap => "Managed Heap",
            RegionKind::Stack => "Stack",
            RegionKind::Private => "Private Data",
            RegionKind::Unusable => "Unusable",
            RegionKind::Free => "Free",
            RegionKind::Unknown => "Unknown",
        }
    }

    /// Its place in [`ALL`](Self::ALL).
    #[inline]
    #[allow(clippy::as_conversions)]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// How a claim is known, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// A stream says so.
    Recorded,
    /// Read from structures whose checks hold.
    Derived,
    /// A pattern that is usually right.
    Heuristic,
    /// The best that is left.
    Fallback,
}

impl Confidence {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Recorded => "recorded",
            Confidence::Derived => "derived",
            Confidence::Heuristic => "heuristic",
            Confidence::Fallback => "fallback",
        }
    }
}

/// Where a claim comes from: a stream, a structure in the dumped memory, or a
/// rule of thumb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EvidenceSource {
    /// Stream 16.
    MemoryInfoList,
    /// /proc/PID/maps.
    LinuxMaps,
    /// Captured memory of streams 5 and 9: it was readable.
    MemoryList,
    /// Stream 4.
    ModuleList,
    /// Stream 14.
    UnloadedModuleList,
    /// Stream 3 or 8.
    ThreadList,
    /// Stream 13.
    FunctionTable,
    /// A thread's registers.
    ThreadContext,
    /// TEB in memory.
    Teb,
    /// PEB in memory.
    Peb,
    /// RTL_USER_PROCESS_PARAMETERS in memory.
    ProcessParameters,
    /// The loader's list in memory.
    LoaderList,
    /// PE header in memory.
    PeHeader,
    /// ELF header in memory.
    ElfHeader,
    /// Mach-O header in memory.
    MachHeader,
    /// Heap header in memory.
    HeapHeader,
    /// Heap segment header in memory.
    HeapSegment,
    /// A heap's list of large blocks.
    HeapLargeBlock,
    /// A structure of the .NET runtime in memory.
    ClrRuntime,
    /// A structure of another allocator in memory.
    AllocatorHeader,
    /// A magic number at the start of the region.
    Signature,
    /// An address that Windows fixes.
    FixedAddress,
    /// Size, alignment and protection.
    Shape,
    /// Protections of neighbouring regions.
    ProtectionRuns,
}

impl EvidenceSource {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            EvidenceSource::MemoryInfoList => "memory-info-list",
            EvidenceSource::LinuxMaps => "linux-maps",
            EvidenceSource::MemoryList => "memory-list",
            EvidenceSource::ModuleList => "module-list",
            EvidenceSource::UnloadedModuleList => "unloaded-module-list",
            EvidenceSource::ThreadList => "thread-list",
            EvidenceSource::FunctionTable => "function-table",
            EvidenceSource::ThreadContext => "thread-context",
            EvidenceSource::Teb => "teb",
            EvidenceSource::Peb => "peb",
            EvidenceSource::ProcessParameters => "process-parameters",
            EvidenceSource::LoaderList => "loader-list",
            EvidenceSource::PeHeader => "pe-header",
            EvidenceSource::ElfHeader => "elf-header",
            EvidenceSource::MachHeader => "mach-header",
            EvidenceSource::HeapHeader => "heap-header",
            EvidenceSource::HeapSegment => "heap-segment",
            EvidenceSource::HeapLargeBlock => "heap-large-block",
            EvidenceSource::ClrRuntime => "clr-runtime",
            EvidenceSource::AllocatorHeader => "allocator-header",
            EvidenceSource::Signature => "signature",
            EvidenceSource::FixedAddress => "fixed-address",
            EvidenceSource::Shape => "shape",
            EvidenceSource::ProtectionRuns => "protection-runs",
        }
    }
}

/// What a claim is about: a row of one of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// No table has a row for it.
    None,
    /// A row of [`Evidence::images`](super::Evidence::images).
    Image(u32),
    /// An entry of the unloaded modules.
    UnloadedModule(u32),
    /// A row of [`Evidence::stacks`](super::Evidence::stacks).
    Stack(u32),
    /// An entry of the thread list.
    Thread(u32),
    /// A row of [`Evidence::heaps`](super::Evidence::heaps).
    Heap(u32),
    /// A line of the Linux maps.
    LinuxMap(u32),
}

/// What the memory is used for, beyond its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// Nothing beyond the kind.
    Plain,
    /// A fixed name, such as `TEB`, `API set map` or `guard`.
    Named(&'static str),
    /// A section of an image, by the eight bytes of its name.
    Section([u8; 8]),
    /// The n-th run of one protection in an image whose header was not
    /// captured.
    SectionRun(u16),
    /// The name of a line of the Linux maps.
    LinuxName(u32),
}

/// The numbers behind a claim, put into words only when somebody reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The source says it all.
    None,
    /// A sentence without numbers.
    Words(&'static str),
    /// Words and an address.
    At(&'static str, u64),
    /// Words and a number of bytes.
    Size(&'static str, u64),
    /// A made-up sentence; for rare claims only.
    Text(Box<str>),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Detail::None => Ok(()),
            Detail::Words(words) => f.write_str(words),
            Detail::At(words, address) => write!(f, "{words} {address:#x}"),
            Detail::Size(words, size) => write!(f, "{words} {size:#x} bytes"),
            Detail::Text(text) => f.write_str(text),
        }
    }
}

/// One claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The bytes it is about. May reach over several regions, or into none.
    pub range: AddressRange,
    /// What they are said to be; `None` for a remark that decides nothing,
    /// such as "a module was here once".
    pub kind: Option<RegionKind>,
    /// What they are used for.
    pub usage: Use,
    /// What it is about.
    pub subject: Subject,
    /// How it is known.
    pub confidence: Confidence,
    /// Who says so.
    pub source: EvidenceSource,
    /// The numbers behind it.
    pub detail: Detail,
}

impl Use {
    /// The words in reports; empty for [`Use::Plain`]. A line of the Linux
    /// maps gives its own name.
    pub fn text<'a>(&self, linux_name: impl FnOnce(u32) -> &'a str) -> Cow<'a, str> {
        match self {
            Use::Plain => Cow::Borrowed(""),
            Use::Named(name) => Cow::Borrowed(name),
            Use::Section(name) => {
                let name = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
                Cow::Owned(format!("section {}", String::from_utf8_lossy(name)))
            }
            Use::SectionRun(number) => Cow::Owned(format!("section run {number}")),
            Use::LinuxName(line) => Cow::Borrowed(linux_name(*line)),
        }
    }
}
