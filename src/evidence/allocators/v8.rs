//! V8's sandbox: 1 TiB of reservations that follow each other, the heap cage
//! first, and a guard reservation on each side. Seen in Electron on Windows.

use super::claim;
use crate::evidence::Claim;
use crate::evidence::shapes::Shape;
use crate::map::Protection;

const SANDBOX: u64 = 1 << 40;
const CAGE: u64 = 1 << 32;
/// Reservations of one sandbox: six were seen.
const PARTS: usize = 64;

/// The claims on sandboxes and their guards.
pub(super) fn sandbox(shapes: &[Shape]) -> Vec<Claim> {
    let reserved: Vec<&Shape> = shapes
        .iter()
        .filter(|shape| shape.allocation_protect == Protection::NO_ACCESS)
        .filter(|shape| shape.protects & 0xf0 == 0)
        .collect();
    let mut claims = Vec::new();
    let mut at = 0_usize;
    while let Some(rest) = reserved.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(count) = parts(rest) else {
            at = at.saturating_add(1);
            continue;
        };
        let detail = "reservations that add up to 1 TiB, the heap cage first";
        let inside = rest.iter().take(count);
        claims.extend(inside.map(|shape| claim(shape.range, "V8 sandbox", detail)));
        let before = at.checked_sub(1).and_then(|before| reserved.get(before));
        let (first, after) = (rest.first(), rest.get(count));
        let base = first.map_or(0, |shape| shape.range.start());
        let left = before.filter(|shape| shape.range.end() == base);
        let right = after.filter(|shape| shape.range.start() == base.saturating_add(SANDBOX));
        for guard in left.into_iter().chain(right).filter(|shape| shape.committed == 0) {
            claims.push(claim(guard.range, "V8 sandbox guard", "reserved right beside it"));
        }
        at = at.saturating_add(count);
    }
    claims
}

/// How many of the shapes are the sandbox that the first one begins.
fn parts(shapes: &[&Shape]) -> Option<usize> {
    let cage = shapes.first()?.range;
    if !cage.start().is_multiple_of(CAGE) || cage.size() < CAGE {
        return None;
    }
    let end = cage.start().checked_add(SANDBOX)?;
    let mut next = cage.start();
    for (count, shape) in (1_usize..=PARTS).zip(shapes) {
        if shape.range.start() != next || shape.range.end() > end {
            return None;
        }
        next = shape.range.end();
        if next == end {
            return Some(count);
        }
    }
    None
}
