//! Who the bytes of a piece belong to: an image, a thread's stack, a heap, a
//! name of the Linux maps, or nothing more than a kind and a use. Says whose
//! they are, not how that is known: that is the claim's part.

use std::collections::HashMap;

use crate::analysis::Analysis;
use crate::classify::Piece;
use crate::evidence::{RegionKind, Subject, Use};

/// An owner within one analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A row of the images.
    Image(u32),
    /// A row of the stacks.
    Stack(u32),
    /// A thread of the thread list, for what is not its stack.
    Thread(u32),
    /// A row of the heaps.
    Heap(u32),
    /// The first line of the Linux maps with this name.
    LinuxMap(u32),
    /// Memory that somebody uses for something.
    Use(RegionKind, Use),
    /// Memory of which only the kind is known.
    Kind(RegionKind),
    /// Free memory that a crash reporter had reserved until it wrote the dump.
    Reserve,
}

/// Finds the owners of pieces.
#[derive(Debug)]
pub struct Owners<'a> {
    analysis: &'a Analysis<'a>,
    /// For each line of the Linux maps the first with its name.
    lines: Vec<u32>,
}

impl<'a> Owners<'a> {
    /// For the pieces of this analysis.
    pub fn of(analysis: &'a Analysis<'a>) -> Owners<'a> {
        let maps = analysis.dump.linux.maps.as_ref();
        let mut first: HashMap<&str, u32> = HashMap::new();
        let lines = maps.iter().flat_map(|maps| &maps.maps).zip(0_u32..);
        let lines = lines.map(|(map, at)| *first.entry(&map.name).or_insert(at)).collect();
        Owners { analysis, lines }
    }

    /// Whose a piece is.
    pub fn owner(&self, piece: &Piece) -> Owner {
        let claims = &self.analysis.evidence.claims;
        let Some(claim) = piece.winner.and_then(|at| claims.get(at as usize)) else {
            return Owner::Kind(piece.kind);
        };
        match (claim.subject, claim.usage) {
            (Subject::Image(at), _) => Owner::Image(at),
            (Subject::Stack(at), _) => Owner::Stack(at),
            (Subject::Thread(at), _) => Owner::Thread(at),
            (Subject::Heap(at), _) => Owner::Heap(at),
            (Subject::LinuxMap(line), _) | (_, Use::LinuxName(line)) => self.line(line, piece.kind),
            (Subject::None | Subject::UnloadedModule(_), Use::Plain) => Owner::Kind(piece.kind),
            (Subject::None | Subject::UnloadedModule(_), usage) => Owner::Use(piece.kind, usage),
        }
    }

    fn line(&self, line: u32, kind: RegionKind) -> Owner {
        match self.lines.get(line as usize) {
            Some(first) if !self.linux_name(*first).is_empty() => Owner::LinuxMap(*first),
            _ => Owner::Kind(kind),
        }
    }

    fn linux_name(&self, line: u32) -> &'a str {
        let maps = self.analysis.dump.linux.maps.as_ref();
        maps.and_then(|maps| maps.maps.get(line as usize)).map_or("", |map| &map.name)
    }

    /// The owner in words. Has names from the dump in it: not yet harmless,
    /// not yet redacted.
    pub fn title(&self, owner: Owner) -> String {
        let evidence = &self.analysis.evidence;
        match owner {
            Owner::Image(at) => match evidence.images.get(at as usize) {
                Some(image) if !image.name().is_empty() => image.name().to_owned(),
                Some(image) => format!("image at {:#x}", image.range.start()),
                None => "image".into(),
            },
            Owner::Stack(at) => match evidence.stacks.get(at as usize) {
                Some(stack) => match stack.thread {
                    Some(thread) => format!("stack of {}", self.thread(thread)),
                    None => format!("stack at {:#x}", stack.range.start()),
                },
                None => "stack".into(),
            },
            Owner::Thread(at) => self.thread(at),
            Owner::Heap(at) => match evidence.heaps.get(at as usize) {
                Some(heap) => format!("heap at {:#x}", heap.address),
                None => "heap".into(),
            },
            Owner::LinuxMap(line) => self.linux_name(line).to_owned(),
            Owner::Use(_, usage) => usage.text(|line| self.linux_name(line)).into_owned(),
            Owner::Kind(kind) => kind.title().to_owned(),
            Owner::Reserve => "crash reporter's reserve".into(),
        }
    }

    /// `thread 1772 (name)`.
    fn thread(&self, at: u32) -> String {
        let Some(thread) = self.analysis.dump.threads.get(at as usize) else {
            return "thread".into();
        };
        match thread.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => format!("thread {} ({name})", thread.id),
            None => format!("thread {}", thread.id),
        }
    }
}
