//! `unexplained`: the private memory that nobody explains, in families; and
//! for `explain` the one allocation around an address.

use serde::Serialize;

use super::{DumpView, Hex, Input, ProtectionIs, SCHEMA_VERSION};
use crate::addr::AddressRange;
use crate::limits::Depth;
use crate::totals::Shares;
use crate::unexplained::contents::{self, Contents, Leads};
use crate::unexplained::pointers::{self, Place, Pointers};
use crate::unexplained::{self, Block, Family, Kin, Request, Scan};

/// What is shown beyond figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstBytes {
    /// Nothing of the contents.
    Hidden,
    /// The first 16 bytes as text: contents of memory.
    Shown,
}

/// The document of `unexplained`.
#[derive(Debug, Serialize)]
pub struct UnexplainedReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dump.
    pub dump: DumpView<'a>,
    /// The committed private memory by what explains it; null where the map
    /// does not know it.
    pub private: Option<PrivateView>,
    /// Allocations with memory that nobody explains.
    pub allocations: u64,
    /// Families of them, listed or not.
    pub family_count: u64,
    /// Those with most bytes, most first.
    pub families: Vec<FamilyView>,
    /// The scan for pointers; null when none was asked for.
    pub scan: Option<ScanView>,
}

/// Committed private bytes by what explains them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PrivateView {
    /// All of them.
    pub committed: u64,
    /// By a stream or checked structures.
    pub by_structure: u64,
    /// By a pattern.
    pub by_heuristic: u64,
    /// By nobody.
    pub unexplained: u64,
}

/// Allocations that look alike.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyView {
    /// Bytes of one allocation, reserved and explained ones included.
    pub size: u64,
    /// PAGE_* names of the memory that nobody explains; null for several.
    pub protect: Option<String>,
    /// The same in short: `RW`; `mixed` for several.
    #[serde(skip)]
    pub access: String,
    /// How many allocations.
    pub allocations: u64,
    /// Committed bytes that nobody explains.
    pub bytes: u64,
    /// Where the lowest of them begins.
    pub lowest: Hex,
    /// What they hold; null where nothing is captured or was to be read.
    pub contents: Option<ContentsView>,
    /// Pointers into them by where they lie; null when not counted.
    pub pointers: Option<Vec<PointersView>>,
    /// The first 16 bytes as text; null unless asked for.
    pub first_bytes: Option<String>,
}

/// Figures of a sample of the contents.
#[derive(Clone, Debug, Serialize)]
pub struct ContentsView {
    /// Bytes that were read.
    pub sampled: u64,
    /// How many of them are zero.
    pub zero: u64,
    /// Bits of information in a byte, one decimal.
    pub entropy: f64,
    /// `constant`, `low`, `medium` or `high`.
    pub entropy_class: &'static str,
    /// A 32-bit word that most of the sample is.
    pub fill: Option<FillView>,
    /// What blocks begin with.
    pub first_word: Option<FirstWordView>,
}

/// One 32-bit word, again and again.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FillView {
    /// What fills memory so; null for a word that is nobody's mark.
    pub name: Option<&'static str>,
    /// Bytes of the sample that are it.
    pub bytes: u64,
}

/// The word of a pointer's size that blocks begin with.
#[derive(Clone, Debug, Serialize)]
pub struct FirstWordView {
    /// Blocks whose first word is captured.
    pub blocks: u64,
    /// How many of them have the word that most have.
    pub same: u64,
    /// Where it leads: `zero`, `itself`, `image`, `memory` or `nowhere`.
    pub leads: &'static str,
    /// The path of the image.
    pub image: Option<String>,
}

/// Pointers from one place.
#[derive(Clone, Debug, Serialize)]
pub struct PointersView {
    /// `image` or `stack`.
    pub from: &'static str,
    /// The path of the image.
    pub image: Option<String>,
    /// How many.
    pub count: u64,
}

/// How far a scan went.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ScanView {
    /// Captured bytes of the modules' writable data and of stacks.
    pub bytes: u64,
    /// Whether that is all of them.
    pub complete: bool,
}

impl<'a> UnexplainedReport<'a> {
    /// The document.
    pub fn of(input: &Input<'a>, request: Request, first_bytes: FirstBytes) -> Self {
        let found = unexplained::describe(input.analysis, request);
        UnexplainedReport {
            schema_version: SCHEMA_VERSION,
            dump: DumpView::of(input),
            private: found.shares.map(private),
            allocations: found.allocations,
            family_count: found.family_count,
            families: found.families.iter().map(|one| family(input, one, first_bytes)).collect(),
            scan: found.scan.map(scan_view),
        }
    }
}

fn private(shares: Shares) -> PrivateView {
    PrivateView {
        committed: shares.sum(),
        by_structure: shares.structure,
        by_heuristic: shares.heuristic,
        unexplained: shares.unexplained,
    }
}

fn scan_view(scan: Scan) -> ScanView {
    ScanView { bytes: scan.bytes, complete: scan.complete }
}

fn family(input: &Input<'_>, family: &Family, first_bytes: FirstBytes) -> FamilyView {
    FamilyView {
        size: family.size,
        protect: family.protect.map(|protect| protect.name()),
        access: family.protect.map_or_else(|| "mixed".into(), ProtectionIs::short),
        allocations: family.allocations,
        bytes: family.bytes,
        lowest: input.hex(family.lowest),
        contents: family.contents.as_ref().map(|contents| contents_view(input, contents)),
        pointers: family.pointers.as_ref().map(|pointers| pointers_view(input, pointers)),
        first_bytes: match first_bytes {
            FirstBytes::Shown => first_text(input, family.lowest),
            FirstBytes::Hidden => None,
        },
    }
}

fn contents_view(input: &Input<'_>, contents: &Contents) -> ContentsView {
    ContentsView {
        sampled: contents.sampled,
        zero: contents.zero,
        // More would differ between machines in the last digit.
        entropy: (contents.entropy * 10.0).round() / 10.0,
        entropy_class: contents.class().as_str(),
        fill: contents.fill.map(|fill| FillView { name: fill.name, bytes: fill.bytes }),
        first_word: contents.first.map(|first| {
            let (leads, row) = match first.leads {
                Leads::Zero => ("zero", None),
                Leads::Itself => ("itself", None),
                Leads::Image(row) => ("image", Some(row)),
                Leads::Memory => ("memory", None),
                Leads::Nowhere => ("nowhere", None),
            };
            let image = row.and_then(|row| image_path(input, row));
            FirstWordView { blocks: first.blocks, same: first.same, leads, image }
        }),
    }
}

fn pointers_view(input: &Input<'_>, pointers: &Pointers) -> Vec<PointersView> {
    let view = |(place, count): &(Place, u64)| {
        let (from, row) = match place {
            Place::Image(row) => ("image", Some(*row)),
            Place::OtherImage => ("image", None),
            Place::Stack => ("stack", None),
        };
        let image = row.and_then(|row| image_path(input, row));
        PointersView { from, image, count: *count }
    };
    pointers.iter().map(view).collect()
}

fn image_path(input: &Input<'_>, row: u32) -> Option<String> {
    let image = input.analysis.evidence.images.get(row as usize)?;
    (!image.path.is_empty()).then(|| input.text(&image.path).into_owned())
}

/// 16 bytes as text, a dot for what is not printable; as `!address` shows
/// them.
fn first_text(input: &Input<'_>, address: u64) -> Option<String> {
    if input.analysis.dump.limits.depth < Depth::Headers {
        return None;
    }
    let bytes = input.analysis.dump.captured.bytes_at(address, 16);
    let shown = |byte: u8| if matches!(byte, 0x20..=0x7e) { char::from(byte) } else { '.' };
    (!bytes.is_empty()).then(|| bytes.into_iter().map(shown).collect())
}

/// What `explain` shows beyond the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// Whether the pointers into the piece are counted.
    pub pointers: bool,
    /// Whether the piece's first bytes are shown.
    pub first_bytes: FirstBytes,
}

/// A piece that nobody explains.
#[derive(Clone, Debug, Serialize)]
pub struct InUnexplained {
    /// Bytes from the start of its allocation to the address.
    pub offset: u64,
    /// The allocations that look like its own: all of them, itself included.
    pub family: FamilyView,
    /// What the piece holds; null where nothing is captured or was to be read.
    pub contents: Option<ContentsView>,
    /// The first 16 bytes of the piece as text; null unless asked for.
    pub first_bytes: Option<String>,
}

/// The piece around an address, which nobody explains.
pub(super) fn in_unexplained(
    input: &Input<'_>,
    kin: &Kin,
    (address, piece): (u64, AddressRange),
    first_bytes: FirstBytes,
) -> Option<InUnexplained> {
    let alike = kin.family(address)?;
    let reads = input.analysis.dump.limits.depth >= Depth::Headers;
    let found = if reads { contents::of(input.analysis, &[piece]) } else { None };
    let base = input.analysis.map.allocation(address)?.range.start();
    Some(InUnexplained {
        offset: address.wrapping_sub(base),
        family: family(input, &alike, FirstBytes::Hidden),
        contents: found.as_ref().map(|contents| contents_view(input, contents)),
        first_bytes: match first_bytes {
            FirstBytes::Shown => first_text(input, piece.start()),
            FirstBytes::Hidden => None,
        },
    })
}

/// The pointers into each of some pieces, and how far they were looked for.
pub(super) fn pointers_into(
    input: &Input<'_>,
    pieces: &[Option<AddressRange>],
) -> Vec<Option<Vec<PointersView>>> {
    let ranges = pieces.iter().zip(0..).filter_map(|(range, at)| Some(((*range)?, at)));
    let mut blocks: Vec<Block> = ranges.map(|(range, family)| Block { range, family }).collect();
    blocks.sort_unstable_by_key(|block| (block.range.start(), block.family));
    // Several addresses in one piece share its count.
    let mut first: Vec<Block> = Vec::new();
    let mut owner = vec![None; pieces.len()];
    for block in blocks {
        let same = first.last().filter(|last| last.range == block.range).map(|last| last.family);
        owner[block.family] = Some(same.unwrap_or(block.family));
        first.extend(same.is_none().then_some(block));
    }
    let (found, _) = pointers::scan(input.analysis, &first, pieces.len());
    let view = |family: Option<usize>| {
        family.and_then(|family| found.get(family)).map(|found| pointers_view(input, found))
    };
    owner.into_iter().map(view).collect()
}
