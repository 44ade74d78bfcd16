//! The debug heap of Microsoft's C runtime: a header before what the program
//! has, inside of a block of any heap. From public headers; no dump of a debug
//! build was at hand.

use super::super::context::{Context, at};
use super::Scope;
use super::block::{Block, State};
use crate::dump::PointerWidth;

/// `_CrtMemBlockHeader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrtBlock {
    /// What the program has: behind the header and the gap.
    pub address: u64,
    /// Bytes the program asked for.
    pub size: u64,
    /// What kind of block.
    pub usage: CrtUse,
    /// How many allocations came before it: `_crtBreakAlloc`'s number.
    pub request: u64,
    /// The line in the file that [`file_name`](Self::file_name) names; `None`
    /// when the header has no file name.
    pub line: Option<u32>,
    /// Where the name of the source file is.
    pub file_name: Option<u64>,
    /// Whether the gaps before and behind it are intact; `None` when the one
    /// behind it is not captured.
    pub intact: Option<bool>,
}

/// The kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrtUse {
    /// Freed and kept.
    Freed,
    /// The program's.
    Normal,
    /// The runtime's own.
    Runtime,
    /// Not counted as a leak.
    Ignored,
    /// A client block, with the client's number.
    Client(u16),
}

impl CrtUse {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            CrtUse::Freed => "freed",
            CrtUse::Normal => "normal",
            CrtUse::Runtime => "crt",
            CrtUse::Ignored => "ignored",
            CrtUse::Client(_) => "client",
        }
    }
}

/// Where the fields are.
struct Layout {
    file_name: u64,
    line: u64,
    usage: u64,
    size: u64,
    request: u64,
    gap: u64,
}

/// VC up to 2013 had size and use the other way round on 32-bit.
static LAYOUTS_32: [Layout; 2] = [
    Layout { file_name: 8, line: 0xc, usage: 0x10, size: 0x14, request: 0x18, gap: 0x1c },
    Layout { file_name: 8, line: 0xc, usage: 0x14, size: 0x10, request: 0x18, gap: 0x1c },
];
static LAYOUTS_64: [Layout; 1] =
    [Layout { file_name: 0x10, line: 0x18, usage: 0x1c, size: 0x20, request: 0x28, gap: 0x2c }];

/// Four bytes before and behind what the program has.
const GAP: u32 = 0xfdfd_fdfd;

/// The debug heap's header in a block that the program has. Its sizes must
/// agree with the block's, so that contents are not taken for one.
pub fn crt_block(scope: &Scope<'_, '_>, block: &Block) -> Option<CrtBlock> {
    if block.state != State::Busy {
        return None;
    }
    let width = scope
        .heaps
        .iter()
        .find(|heap| heap.parts.iter().any(|part| part.range.contains(block.start)))?;
    let layouts: &[Layout] = match width.width {
        PointerWidth::Bits32 => &LAYOUTS_32,
        PointerWidth::Bits64 => &LAYOUTS_64,
    };
    let mut context = Context::new(scope.dump, scope.map);
    let mut found =
        layouts.iter().filter_map(|layout| read(&mut context, block, layout, width.width));
    found.next()
}

fn read(
    context: &mut Context<'_, '_>,
    block: &Block,
    layout: &Layout,
    width: PointerWidth,
) -> Option<CrtBlock> {
    let header = block.address;
    let size = context.pointer(header, layout.size, width)?;
    let address = at(header, layout.gap.saturating_add(4));
    let behind = address.checked_add(size)?;
    let used = behind.checked_add(4)?.checked_sub(header)?;
    let fits = match block.user_size {
        Some(asked) => asked == used,
        None => used <= block.size,
    };
    let usage = context.word(header, layout.usage)?;
    let client = u16::try_from(usage >> 16).ok()?;
    let usage = match (usage & 0xffff, client) {
        (0, 0) => CrtUse::Freed,
        (1, 0) => CrtUse::Normal,
        (2, _) => CrtUse::Runtime,
        (3, 0) => CrtUse::Ignored,
        (4, client) => CrtUse::Client(client),
        _ => return None,
    };
    let before = context.word(header, layout.gap)? == GAP;
    let after = context.word(behind, 0).map(|word| word == GAP);
    // One broken gap is what a person looks for; two are not a header.
    if !fits || (!before && after != Some(true)) {
        return None;
    }
    let line = context.word(header, layout.line)?;
    let file_name = context.pointer(header, layout.file_name, width)?;
    let named = file_name != 0;
    Some(CrtBlock {
        address,
        size,
        usage,
        request: u64::from(context.word(header, layout.request)?),
        line: named.then_some(line),
        file_name: named.then_some(file_name),
        intact: if before { after } else { Some(false) },
    })
}
