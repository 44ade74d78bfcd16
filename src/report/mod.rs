//! The serialisable, versioned view of an analysis: one document a command,
//! `schema_version` first. The only place that derives `Serialize`.
//!
//! Bytes are integers, unknown is null, addresses are `0x` and 8 or 16
//! lower-case digits by pointer width. Nothing is concluded here, and nothing
//! is laid out for a reader: that is `render`.

mod address;
mod check;
mod crash;
mod diff;
mod dump;
mod entries;
mod explain;
mod filter;
mod fits;
mod heaps;
mod images;
mod in_heap;
mod in_malloc;
mod lazy;
mod managed;
mod page;
pub mod redact;
mod regions;
mod rules;
pub mod scan;
mod stacks;
mod streams;
mod summary;
pub mod time;
mod unexplained;

pub use address::AddressText;
pub use check::{BaselineReport, CheckReport, CheckView, CheckedDump};
pub use crash::{
    CrashReport, FrameView, InlinedView, RegisterView, StackUse, SymbolsView, ThreadView,
};
pub use diff::{
    AmountView, ChangeView, CountView, DiffReport, Ends, GrowthView, ImageAt, ImageChangesView,
    ImagePair, KindGrowthView, OwnerGrowthView, RunView, TallyView, TypeGrowthView,
};
pub use dump::{DumpView, ExceptionView};
pub use entries::{BlockView, BucketView, CorruptionView, SizeView, SizesView, UnreadView, blocks};
pub use explain::{
    AddressView, AllocationView, ClaimView, ExplainReport, InImage, InStack, InUnloaded, Neighbour,
};
pub use filter::{Filter, ProtectionIs};
pub use fits::{FenceOwnerView, FenceView, FencesView, FitsReport, FitsView, RequestView};
pub use heaps::{Entries, HeapView, HeapsQuery, HeapsReport, PartView, Sizes, bytes_to_walk};
pub use images::{ImageSums, ImageView, ImagesReport, NotImageView, SectionView, UnloadedView};
pub use in_heap::{CrtView, InBlock, InHeap, PageHeapView};
pub use in_malloc::{ChunkView, InChunkView, InMalloc, ReservationView, SumView};
pub use lazy::Lazy;
pub use managed::{GenerationView, InManaged, RuntimeView};
pub use page::{PageData, PageReport};
pub use regions::{Base, By, EvidenceView, Labels, Names, Pieces, RegionView, Row, rows};
pub use rules::{RuleView, RulesReport};
pub use stacks::{StackSums, StackView, StacksReport};
pub use streams::{MissingView, StreamView, StreamsReport};
pub use summary::{
    AuditView, CountersView, DominantView, FindingView, FreeView, RowView, SetAsideView,
    SummaryReport, SummaryView,
};
pub use unexplained::{
    ContentsView, Details, FamilyView, FillView, FirstBytes, FirstWordView, InUnexplained,
    PointersView, PrivateView, ScanView, UnexplainedReport,
};

use std::borrow::Cow;
use std::ffi::OsStr;

use serde::{Serialize, Serializer};

use crate::addr::AddressRange;
use crate::analysis::Analysis;
use crate::dump::{PointerWidth, stream_name};
use crate::issue::Issue;

/// Version of the documents. The first number changes when a name goes away
/// or changes its meaning; the second when names are added.
pub const SCHEMA_VERSION: &str = "1.0";

/// Whether names of people and machines are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Names as the dump has them.
    Full,
    /// User names, hosts and shares in paths are replaced.
    Redacted,
}

/// What every report is made from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The analysis.
    pub analysis: &'a Analysis<'a>,
    /// The dump's path as it was given; `-` for standard input.
    pub path: &'a OsStr,
    /// Whether names are shown.
    pub privacy: Privacy,
}

impl<'a> Input<'a> {
    /// Text from the dump, as it may be shown.
    pub fn text(&self, text: &'a str) -> Cow<'a, str> {
        match self.privacy {
            Privacy::Full => Cow::Borrowed(text),
            Privacy::Redacted => redact::redact(text),
        }
    }

    /// As [`text`](Self::text), for text made on the way.
    pub fn owned(&self, text: String) -> String {
        match self.privacy {
            Privacy::Full => text,
            Privacy::Redacted => redact::redact(&text).into_owned(),
        }
    }

    /// An address of this dump.
    pub fn hex(&self, address: u64) -> Hex {
        Hex { address, width: self.analysis.dump.system.width }
    }
}

/// An address: `0x` and 8 or 16 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex {
    /// The address.
    pub address: u64,
    /// How many digits it gets.
    pub width: PointerWidth,
}

impl std::fmt::Display for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.width {
            PointerWidth::Bits32 => write!(f, "{:#010x}", self.address),
            PointerWidth::Bits64 => write!(f, "{:#018x}", self.address),
        }
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RangeView {
    /// The first byte.
    pub base: Hex,
    /// One past the last byte.
    pub end: Hex,
    /// Bytes.
    pub size: u64,
}

impl RangeView {
    fn of(input: &Input<'_>, range: AddressRange) -> RangeView {
        RangeView {
            base: input.hex(range.start()),
            end: input.hex(range.end()),
            size: range.size(),
        }
    }
}

/// One thing that is wrong with the file.
#[derive(Clone, Debug, Serialize)]
pub struct IssueView {
    /// Name of the stream; null for the header and the directory.
    pub stream: Option<Cow<'static, str>>,
    /// Type number of the stream.
    pub stream_type: Option<u32>,
    /// Where in the file.
    pub offset: Option<u64>,
    /// What is wrong, and what was done.
    pub message: String,
}

/// The issues of the dump, the map and the structures in memory.
fn issues(input: &Input<'_>) -> Vec<IssueView> {
    let analysis = input.analysis;
    let lists = [&analysis.dump.issues, &analysis.map.issues, &analysis.evidence.issues];
    lists
        .into_iter()
        .flat_map(|issues| issues.clone().into_vec())
        .map(|Issue { stream, offset, message }| IssueView {
            stream: stream.map(stream_title),
            stream_type: stream,
            offset: offset.map(|offset| offset.0),
            message: input.owned(message),
        })
        .collect()
}

/// How many issues there are, listed or not.
fn issue_count(input: &Input<'_>) -> u64 {
    let analysis = input.analysis;
    analysis.dump.issues.total() + analysis.map.issues.total() + analysis.evidence.issues.total()
}

/// The name of a stream type, its number in hex where it has none.
fn stream_title(kind: u32) -> Cow<'static, str> {
    stream_name(kind).map_or_else(|| Cow::Owned(format!("{kind:#x}")), Cow::Borrowed)
}

/// A path as a word of a command line: quoted where a shell would split or
/// expand it.
pub(crate) fn shell_word(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./\\:+,@%".contains(c);
    if !path.is_empty() && path.chars().all(plain) { path.into() } else { format!("\"{path}\"") }
}
