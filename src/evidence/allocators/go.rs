//! Go's heap: arenas of 4 MiB from 0xc000000000 upwards, in programs that Go's
//! linker made. It is the only one that gives a PE file a section `.symtab`.

use super::claim;
use crate::evidence::images::Image;
use crate::evidence::shapes::Shape;
use crate::evidence::{Claim, Use};
use crate::map::Protection;

/// Where the first arena is asked for.
const FIRST: u64 = 0xc0_0000_0000;
/// heapArenaBytes on Windows.
const ARENA: u64 = 4 << 20;
/// Arenas further up are not told from other memory.
const MOST: u64 = 1 << 36;

pub(super) fn is_program(images: &[Image]) -> bool {
    images.first().is_some_and(|program| {
        program.sections.iter().any(|section| section.usage == Use::Section(*b".symtab\0"))
    })
}

/// The arenas, when there is one at the very first address.
pub(super) fn claims(shapes: &[Shape]) -> Vec<Claim> {
    let arenas = shapes.iter().filter(|shape| {
        shape.allocation_protect == Protection::READ_WRITE
            && shape.protects & !Protection::READ_WRITE.0 == 0
            && (FIRST..FIRST.saturating_add(MOST)).contains(&shape.range.start())
            && shape.range.start().is_multiple_of(ARENA)
            && shape.range.size().is_multiple_of(ARENA)
    });
    let detail = "whole arenas where Go asks for them";
    let claims: Vec<Claim> =
        arenas.map(|shape| claim(shape.range, "Go heap arena", detail)).collect();
    let starts = claims.first().is_some_and(|claim| claim.range.start() == FIRST);
    if starts { claims } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::AddressRange;
    use crate::map::MemoryType;

    #[test]
    fn the_first_arena_has_its_own_address() {
        let arena = |base: u64| Shape {
            range: AddressRange::new(base, ARENA).unwrap(),
            memory_type: MemoryType::Private,
            allocation_protect: Protection::READ_WRITE,
            committed: ARENA,
            protects: 4,
            all_executable: false,
            runs: vec![0],
            run_count: 1,
        };
        let first = arena(FIRST);
        assert_eq!(claims(&[arena(ARENA), first.clone(), arena(FIRST + 2 * ARENA)]).len(), 2);
        assert_eq!(claims(&[arena(FIRST + ARENA)]), []);
        let code = Shape { protects: 0x40, ..first };
        assert_eq!(claims(&[code]), []);
    }
}
