//! Which heaps the PEBs list. Source: `_PEB.ProcessHeap`, `NumberOfHeaps` and
//! `ProcessHeaps`; on Wine, which leaves the count 0, the list that its
//! process heap heads.

use super::context::{Context, at, pointer_size};
use super::{Handle, recognise, wine};
use crate::evidence::environment::Peb;

/// The handles of both views.
pub(super) struct Listed {
    pub(super) handles: Vec<Handle>,
    /// What is wrong with a list, by the heap it is told of.
    pub(super) problems: Vec<(u64, String)>,
    /// Whether every view's list was read to its end.
    pub(super) whole: bool,
}

/// FLG_HEAP_PAGE_ALLOCS of NtGlobalFlag.
const PAGE_HEAP: u32 = 0x0200_0000;

pub(super) fn handles(context: &mut Context<'_, '_>, pebs: &[Peb], limit: usize) -> Listed {
    let mut listed = Listed { handles: Vec::new(), problems: Vec::new(), whole: !pebs.is_empty() };
    for peb in pebs {
        one_view(context, peb, limit, &mut listed);
    }
    listed
}

fn one_view(context: &mut Context<'_, '_>, peb: &Peb, limit: usize, listed: &mut Listed) {
    let default = peb.process_heap.filter(|heap| *heap != 0);
    let view = View { peb, default };
    match peb.heaps {
        Some((count, array)) if count > 0 => {
            view.array(context, u64::from(count), array, limit, listed);
        }
        Some(_) => view.wine_list(context, limit, listed),
        None => listed.whole = false,
    }
    let missing =
        default.filter(|heap| !listed.handles.iter().any(|handle| handle.address == *heap));
    if let Some(heap) = missing {
        view.push(heap, 0, listed);
    }
}

struct View<'p> {
    peb: &'p Peb,
    default: Option<u64>,
}

impl View<'_> {
    fn push(&self, address: u64, index: u32, listed: &mut Listed) {
        listed.handles.push(Handle {
            address,
            width: self.peb.width,
            index,
            is_default: self.default == Some(address),
            page_heap: self.peb.global_flag.is_some_and(|flags| flags & PAGE_HEAP != 0),
        });
    }

    fn problem(&self, words: String, listed: &mut Listed) {
        listed.whole = false;
        listed.problems.extend(self.default.map(|heap| (heap, words)));
    }

    fn array(
        &self,
        context: &mut Context<'_, '_>,
        count: u64,
        array: u64,
        limit: usize,
        listed: &mut Listed,
    ) {
        let before = listed.handles.len();
        let mut missing = 0_u64;
        let mut index = 0_u32;
        for place in 0..count {
            if listed.handles.len().saturating_sub(before) >= limit {
                let words = format!("the list names {count} heaps, the first {limit} are used");
                self.problem(words, listed);
                break;
            }
            let offset = place.saturating_mul(pointer_size(self.peb.width));
            match context.memory.pointer(at(array, offset), self.peb.width) {
                Some(0) => {}
                Some(heap) => self.push_once(heap, index, before, listed),
                None => {
                    missing = count.saturating_sub(place);
                    break;
                }
            }
            index = index.saturating_add(1);
        }
        if missing > 0 {
            let words = match missing == count {
                true => {
                    format!("the list of heaps ({count} by the PEB's count) is not captured")
                }
                false => format!("{missing} of the {count} handles in the list are not captured"),
            };
            self.problem(words, listed);
        }
    }

    /// `before` is where the handles of this view begin.
    fn push_once(&self, heap: u64, index: u32, before: usize, listed: &mut Listed) {
        let known = listed.handles.get(before..).unwrap_or(&[]);
        if known.iter().any(|handle| handle.address == heap) {
            self.problem(format!("the list names the heap at {heap:#x} twice"), listed);
        } else {
            self.push(heap, index, listed);
        }
    }

    fn wine_list(&self, context: &mut Context<'_, '_>, limit: usize, listed: &mut Listed) {
        let Some(default) = self.default else {
            listed.whole = false;
            return;
        };
        if !recognise::is_wine(context, default, self.peb.width) {
            self.problem("the PEB lists no heap but the process heap".into(), listed);
            return;
        }
        let (heaps, whole) = wine::list(context, default, self.peb.width, limit);
        for (index, heap) in (0_u32..).zip(heaps) {
            self.push(heap, index, listed);
        }
        if !whole {
            self.problem("the list of heaps breaks off".into(), listed);
        }
    }
}
