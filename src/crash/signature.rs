//! A signature groups crashes: the same for two runs of one program, whatever
//! ASLR did.
//!
//! Parts, joined by ` | `: the exception's name without its numbers, then up
//! to three frames as `module+0xoffset`, the module's file name in lower
//! case, a frame that repeats once: how deep a recursion went is no part of it. Only frames that are known well count: the instruction, a caller by
//! link register or stack top, and the chain of frame pointers up to the
//! first frame that is none of these. Frames outside all modules are left
//! out; `no-module` stands for a crashing instruction there. No address, no
//! path and no value of the stack is part of it.

use super::code::CodePlace;
use super::frames::{Frame, Trust};
use crate::evidence::Confidence;

const FRAMES: usize = 3;

pub(super) fn of(name: &str, frames: &[Frame]) -> String {
    // EXC_RESOURCE and EXC_GUARD go on with their numbers.
    let name: Vec<&str> = name.split(" / ").take(2).collect();
    let mut parts = vec![name.join(" / ")];
    let is_known = |frame: &&Frame| frame.confidence <= Confidence::Derived;
    let known = frames.iter().take_while(is_known);
    let labels = known.filter_map(|frame| match (frame.place.module, frame.trust) {
        (Some(_), _) => Some(label(&frame.place)),
        (None, Trust::Context) => Some("no-module".to_owned()),
        (None, _) => None,
    });
    let mut labels: Vec<String> = labels.collect();
    labels.dedup();
    parts.extend(labels.into_iter().take(FRAMES));
    parts.join(" | ")
}

fn label(place: &CodePlace) -> String {
    place.label().to_lowercase()
}
