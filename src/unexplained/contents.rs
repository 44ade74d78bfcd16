//! What memory holds, in figures that tell what kind of data it is and show
//! none of it: zeros, a fill pattern, entropy, and where first words lead.
//!
//! From a sample: up to 64 pages of the blocks, spread evenly. Pages that the
//! dump does not hold are left out.

use std::collections::HashMap;

use crate::addr::AddressRange;
use crate::analysis::Analysis;
use crate::dump::PointerWidth;
use crate::map::State;

const PAGE: u64 = 4096;
/// Pages that are read in all.
const PAGES: u64 = 64;

/// Figures of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// Bytes that were read.
    pub sampled: u64,
    /// How many of them are zero.
    pub zero: u64,
    /// Shannon entropy of the bytes, 0 to 8 bits.
    pub entropy: f64,
    /// The 32-bit word that most of the sample is.
    pub fill: Option<Fill>,
    /// Where first words lead.
    pub first: Option<FirstWord>,
}

/// One 32-bit word, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// What fills memory so; `None` for a word that is nobody's mark.
    pub name: Option<&'static str>,
    /// Bytes of the sample that are it.
    pub bytes: u64,
}

/// The word of a pointer's size that blocks begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstWord {
    /// Blocks whose first word is captured.
    pub blocks: u64,
    /// How many of them have the word that most have.
    pub same: u64,
    /// Where that one leads; of single words, where most lead.
    pub leads: Leads,
}

/// Where a word leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leads {
    /// It is 0.
    Zero,
    /// Into the block that it begins.
    Itself,
    /// Into an image: a row of the images.
    Image(u32),
    /// To other memory in use.
    Memory,
    /// Nowhere: it is no address of this process.
    Nowhere,
}

/// How mixed the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entropy {
    /// One value, or nearly.
    Constant,
    /// Tables, text, pointers, much of it zero.
    Low,
    /// Code, records, pictures.
    Medium,
    /// Compressed, encrypted or random.
    High,
}

impl Entropy {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Entropy::Constant => "constant",
            Entropy::Low => "low",
            Entropy::Medium => "medium",
            Entropy::High => "high",
        }
    }
}

impl Contents {
    /// The class of the entropy. A page of random bytes has 7.95 bits.
    pub fn class(&self) -> Entropy {
        match self.entropy {
            bits if bits < 0.1 => Entropy::Constant,
            bits if bits < 4.0 => Entropy::Low,
            bits if bits < 7.2 => Entropy::Medium,
            _ => Entropy::High,
        }
    }
}

/// Marks that allocators and runtimes leave. Sources: the CRT's and the NT
/// heap's debug marks, page heap's, jemalloc's junk.
const FILLS: [(u32, &str); 13] = [
    (0xcdcd_cdcd, "CRT debug heap: allocated, not written"),
    (0xdddd_dddd, "CRT debug heap: freed"),
    (0xfdfd_fdfd, "CRT debug heap: guard"),
    (0xbaad_f00d, "NT debug heap: allocated, not written"),
    (0xfeee_feee, "NT debug heap: freed"),
    (0xabab_abab, "NT debug heap: guard"),
    (0xcccc_cccc, "compiler: never written, or int 3"),
    (0xe0e0_e0e0, "page heap: allocated, not written"),
    (0xf0f0_f0f0, "page heap: freed"),
    (0xd0d0_d0d0, "page heap: suffix"),
    (0xe5e5_e5e5, "jemalloc: freed"),
    (0xa5a5_a5a5, "jemalloc: allocated, not written"),
    (0x5a5a_5a5a, "jemalloc: freed"),
];

/// The figures of some blocks; `None` when nothing of them is captured.
pub fn of(analysis: &Analysis<'_>, blocks: &[AddressRange]) -> Option<Contents> {
    let bytes = sample(analysis, blocks);
    if bytes.is_empty() {
        return None;
    }
    let mut counts = [0_u64; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    Some(Contents {
        sampled: bytes.len() as u64,
        zero: counts[0],
        entropy: entropy(&counts, bytes.len()),
        fill: fill(&bytes),
        first: first_words(analysis, blocks),
    })
}

/// Whole words of pages that are spread evenly over the blocks.
fn sample(analysis: &Analysis<'_>, blocks: &[AddressRange]) -> Vec<u8> {
    let memory = &analysis.dump.captured;
    let each = (PAGES / (blocks.len().max(1) as u64)).max(1);
    let mut bytes = Vec::new();
    for block in blocks.iter().take(PAGES as usize) {
        let pages = block.size().div_ceil(PAGE);
        let taken = each.min(pages);
        for nth in 0..taken {
            let page = u128::from(nth) * u128::from(pages) / u128::from(taken);
            let at = block.start().saturating_add(page as u64 * PAGE);
            let size = PAGE.min(block.last().saturating_sub(at).saturating_add(1));
            let mut found = memory.bytes_at(at, size as usize);
            found.truncate(found.len() / 8 * 8);
            bytes.append(&mut found);
        }
    }
    bytes
}

fn entropy(counts: &[u64; 256], total: usize) -> f64 {
    let shares = counts.iter().filter(|count| **count > 0);
    let bits = shares.map(|count| {
        let share = *count as f64 / total as f64;
        -share * share.log2()
    });
    bits.sum::<f64>().max(0.0)
}

/// The word that more than half of all words are, but not zero: zeros have a
/// figure of their own. Boyer and Moore's majority vote, then counted.
fn fill(bytes: &[u8]) -> Option<Fill> {
    let words = || bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
    let (mut candidate, mut votes) = (0_u32, 0_u64);
    for word in words() {
        match votes {
            0 => (candidate, votes) = (word, 1),
            _ if word == candidate => votes += 1,
            _ => votes -= 1,
        }
    }
    let count = words().filter(|word| *word == candidate).count() as u64;
    let most = count * 8 > bytes.len() as u64 && candidate != 0;
    let name = FILLS.iter().find(|(mark, _)| *mark == candidate).map(|(_, name)| *name);
    most.then_some(Fill { name, bytes: count * 4 })
}

fn first_words(analysis: &Analysis<'_>, blocks: &[AddressRange]) -> Option<FirstWord> {
    let width = analysis.dump.system.width;
    let mut reader = analysis.dump.captured.reader();
    let mut words: HashMap<u64, u64> = HashMap::new();
    let mut leads: HashMap<Leads, u64> = HashMap::new();
    let mut read = Vec::new();
    for block in blocks {
        let Some(word) = reader.pointer(block.start(), width) else { continue };
        read.push((word, *block));
        *words.entry(word).or_default() += 1;
        *leads.entry(where_to(analysis, word, *block)).or_default() += 1;
    }
    let same = words.values().max().copied()?;
    let common = read.iter().find(|(word, _)| words.get(word) == Some(&same));
    let most = || leads.iter().max_by_key(|(leads, count)| (**count, std::cmp::Reverse(**leads)));
    let leads = match common {
        Some((word, block)) if same > 1 => where_to(analysis, *word, *block),
        _ => *most()?.0,
    };
    Some(FirstWord { blocks: read.len() as u64, same, leads })
}

fn where_to(analysis: &Analysis<'_>, word: u64, block: AddressRange) -> Leads {
    let word = match analysis.dump.system.width {
        PointerWidth::Bits32 => word & u64::from(u32::MAX),
        PointerWidth::Bits64 => word,
    };
    if word == 0 {
        return Leads::Zero;
    }
    if block.contains(word) {
        return Leads::Itself;
    }
    let mut images = analysis.evidence.images.iter().zip(0_u32..);
    if let Some((_, row)) = images.find(|(image, _)| image.range.contains(word)) {
        return Leads::Image(row);
    }
    let region = analysis.map.find(word);
    let used = region.is_some_and(|region| matches!(region.state, State::Commit | State::Reserve));
    if used { Leads::Memory } else { Leads::Nowhere }
}
