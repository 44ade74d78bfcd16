//! Bounds on the work one dump can cause. A count in a dump is a claim about
//! bytes; these bound what is left when the bytes are there.

/// How much memory content is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Depth {
    /// Streams only: no memory content.
    Streams,
    /// Also TEBs, PEBs, process parameters, image headers and heap headers.
    #[default]
    Headers,
    /// Also every entry of every heap.
    Walk,
}

impl Depth {
    /// The word on the command line and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Depth::Streams => "streams",
            Depth::Headers => "headers",
            Depth::Walk => "walk",
        }
    }
}

/// Bounds for one dump. The defaults are far above what a real dump needs.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How much memory content to read.
    pub depth: Depth,
    /// Directory entries read. Breakpad's reader stops at 128; real dumps
    /// have about 20.
    pub streams: usize,
    /// Records taken from one list-like stream, other than the region list.
    pub entries: usize,
    /// Bytes of one text stream.
    pub text_bytes: usize,
    /// Bytes of all names together: many records can point to one long name.
    /// A process with 5,000 modules has about one MiB.
    pub name_bytes: usize,
    /// Cells of the strip, the picture of the address space. Where nothing is
    /// drawn, one is enough, and cheaper.
    pub strip_cells: usize,
    /// Whether an image without a header gets a section for each run of one
    /// protection. Where no section is shown, none is needed.
    pub section_runs: bool,
    /// Heaps looked at in one process.
    pub heaps: usize,
    /// Links followed in one list of a structure in the dumped memory.
    pub links: usize,
    /// Bytes that one dump in an archive may unpack to.
    pub unpacked: u64,
    /// How many times its own size an archive may unpack to, all members
    /// together; a GiB is always allowed. Dumps of mostly zeros reach 100.
    pub unpacked_ratio: u64,
    /// Members of an archive that are looked at, those of inner archives
    /// included.
    pub members: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth: Depth::Headers,
            streams: 4_096,
            entries: 4_000_000,
            text_bytes: 64 << 20,
            name_bytes: 8 << 20,
            strip_cells: 512,
            section_runs: true,
            heaps: 4_096,
            links: 1_000_000,
            unpacked: 64 << 30,
            unpacked_ratio: 500,
            members: 100_000,
        }
    }
}
