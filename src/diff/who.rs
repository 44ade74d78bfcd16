//! Whom memory belongs to, in terms that mean the same in every dump: names
//! and shapes instead of places in tables. `docs/diff.md` says when that is
//! wrong.

use crate::analysis::Analysis;
use crate::dump::Platform;
use crate::evidence::heaps::HeapType;
use crate::evidence::images::Places;
use crate::map::Protection;
use crate::owner::{Owner, Owners};
use crate::size::human;

/// Allocations of one size and protection are a family of their own when one
/// dump has this many of them.
pub const REPEATED: u64 = 3;

/// Whom a group of memory belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// Images of one file name, in lower case on Windows.
    Image(String),
    /// Images without a name, by size.
    UnnamedImage(u64),
    /// Threads that began in one place and have one name but for its digits.
    Threads {
        /// `module+0x12`.
        start: Option<String>,
        /// With `#` for each run of digits.
        name: Option<String>,
    },
    /// Stacks of no thread in the list.
    StacksWithoutThread,
    /// One heap of one run.
    Heap {
        /// Its handle.
        address: u64,
        /// What is the same in another run.
        class: HeapClass,
    },
    /// The heaps of one class, where addresses mean nothing.
    Heaps(HeapClass),
    /// What a line of the Linux maps is named.
    Mapping(String),
    /// What it is used for.
    Use(String),
    /// Allocations of which nothing but the shape is known.
    Allocations {
        /// Their size.
        size: Size,
        /// Protection at the time of the allocation.
        protect: u32,
    },
    /// Memory of which not even the allocation is known.
    Unknown,
}

/// What one heap has in common with its like in another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeapClass {
    /// The PEB's ProcessHeap.
    Default,
    /// Another, by type and flags.
    Other(Option<&'static str>, Option<u32>),
}

/// The size of the allocations of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Size {
    /// So many bytes.
    Exactly(u64),
    /// From this power of two up to the next: sizes that are not repeated.
    From(u64),
}

impl Size {
    /// The power of two below.
    pub fn rounded(self) -> Size {
        match self {
            Size::Exactly(bytes) => Size::From(1 << bytes.max(1).ilog2()),
            from @ Size::From(_) => from,
        }
    }
}

impl Who {
    /// Without what another run does not share.
    pub fn across_runs(self) -> Who {
        match self {
            Who::Heap { class, .. } => Who::Heaps(class),
            other => other,
        }
    }

    /// In words. Has names from the dump in it: not yet harmless, not yet
    /// redacted.
    pub fn title(&self) -> String {
        match self {
            Who::Image(name) | Who::Mapping(name) | Who::Use(name) => name.clone(),
            Who::UnnamedImage(size) => format!("images of {} without a name", human(*size)),
            Who::Threads { start, name } => match (start, name) {
                (Some(start), Some(name)) => format!("threads {name} at {start}"),
                (None, Some(name)) => format!("threads {name}"),
                (Some(start), None) => format!("threads at {start}"),
                (None, None) => "other threads".into(),
            },
            Who::StacksWithoutThread => "stacks of no listed thread".into(),
            Who::Heap { address, class } => format!("{} at {address:#x}", class.title()),
            Who::Heaps(HeapClass::Default) => HeapClass::Default.title(),
            Who::Heaps(class) => format!("other heaps: {}", class.title()),
            Who::Allocations { size, protect } => {
                let words = match Protection(*protect).words() {
                    "" => "no protection given",
                    words => words,
                };
                match *size {
                    Size::Exactly(bytes) => format!("{} allocations, {words}", human(bytes)),
                    Size::From(bytes) => match bytes.checked_mul(2) {
                        Some(next) => {
                            format!("{} allocations, {words}", between(bytes, next))
                        }
                        None => format!("allocations of {} or more, {words}", human(bytes)),
                    },
                }
            }
            Who::Unknown => "no allocation known".into(),
        }
    }
}

/// `64-128 KiB`, `512 KiB-1 MiB`.
fn between(from: u64, to: u64) -> String {
    let (low, high) = (human(from), human(to));
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number}-{high}"),
        _ => format!("{low}-{high}"),
    }
}

impl HeapClass {
    fn title(self) -> String {
        match self {
            HeapClass::Default => "default heap".into(),
            HeapClass::Other(kind, flags) => {
                let kind = kind.map_or_else(|| "heap".into(), |kind| format!("{kind} heap"));
                match flags {
                    Some(flags) => format!("{kind} with flags {flags:#x}"),
                    None => kind,
                }
            }
        }
    }
}

/// Finds who an owner of one analysis is.
#[derive(Debug)]
pub(super) struct Names<'a> {
    analysis: &'a Analysis<'a>,
    owners: &'a Owners<'a>,
    places: Places<'a>,
}

impl<'a> Names<'a> {
    pub(super) fn of(analysis: &'a Analysis<'a>, owners: &'a Owners<'a>) -> Names<'a> {
        Names { analysis, owners, places: Places::of(&analysis.evidence.images) }
    }

    /// `None` for memory that only its shape tells.
    pub(super) fn who(&self, owner: Owner) -> Option<Who> {
        let evidence = &self.analysis.evidence;
        Some(match owner {
            Owner::Image(at) => match evidence.images.get(at as usize) {
                Some(image) if !image.name().is_empty() => Who::Image(self.image(image.name())),
                Some(image) => Who::UnnamedImage(image.range.size()),
                None => Who::UnnamedImage(0),
            },
            Owner::Stack(at) => match evidence.stacks.get(at as usize).and_then(|of| of.thread) {
                Some(thread) => self.thread(thread),
                None => Who::StacksWithoutThread,
            },
            Owner::Thread(at) => self.thread(at),
            Owner::Heap(at) => match evidence.heaps.get(at as usize) {
                Some(heap) if heap.is_default => {
                    Who::Heap { address: heap.address, class: HeapClass::Default }
                }
                Some(heap) => {
                    let class = HeapClass::Other(heap.heap_type.map(HeapType::as_str), heap.flags);
                    Who::Heap { address: heap.address, class }
                }
                None => Who::Heaps(HeapClass::Other(None, None)),
            },
            Owner::LinuxMap(_) => Who::Mapping(without_thread(&self.owners.title(owner))),
            Owner::Use(..) | Owner::Reserve => Who::Use(self.owners.title(owner)),
            Owner::Kind(_) => return None,
        })
    }

    fn thread(&self, at: u32) -> Who {
        let thread = self.analysis.dump.threads.get(at as usize);
        let start = thread.and_then(|thread| thread.info.as_deref()).map(|info| info.start_address);
        let start = start.filter(|address| *address != 0);
        let name = thread.and_then(|thread| thread.name.as_deref());
        Who::Threads {
            start: start.and_then(|address| {
                let (image, offset) = self.places.find(address)?;
                Some(format!("{}+{offset:#x}", self.image(image.name())))
            }),
            name: name.filter(|name| !name.is_empty()).map(pattern),
        }
    }

    /// The file name of an image, as one writes it in every dump.
    pub(super) fn image(&self, name: &str) -> String {
        image_name(self.analysis.dump.system.platform, name)
    }
}

/// Windows does not tell upper from lower case in file names.
pub(super) fn image_name(platform: Platform, name: &str) -> String {
    if platform == Platform::Windows { name.to_lowercase() } else { name.to_owned() }
}

/// `worker-12` and `worker-7` are both `worker-#`.
pub(super) fn pattern(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            other => out.push(other),
        }
    }
    out
}

/// Old kernels name the stacks of threads after their ids.
fn without_thread(name: &str) -> String {
    let numbered = name.strip_prefix("[stack:").is_some();
    if numbered { pattern(name) } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_do_not_tell_threads_apart() {
        let cases = [("worker-12", "worker-#"), ("a1b22", "a#b#"), ("main", "main"), ("7", "#")];
        for (name, expected) in cases {
            assert_eq!(pattern(name), expected);
        }
        assert_eq!(without_thread("[stack:1234]"), "[stack:#]");
        assert_eq!(without_thread("/tmp/1234"), "/tmp/1234");
    }

    #[test]
    fn sizes_fall_into_powers_of_two() {
        let cases = [(0, 1), (1, 1), (4095, 2048), (4096, 4096), (u64::MAX, 1 << 63)];
        for (bytes, from) in cases {
            assert_eq!(Size::Exactly(bytes).rounded(), Size::From(from));
        }
        for (size, title) in [
            (Size::Exactly(0x4_0000), "256 KiB allocations, Read/Write"),
            (Size::From(0x10_0000), "1-2 MiB allocations, Read/Write"),
            (Size::From(0x8_0000), "512 KiB-1 MiB allocations, Read/Write"),
        ] {
            assert_eq!(Who::Allocations { size, protect: 4 }.title(), title);
        }
    }
}
