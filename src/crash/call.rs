//! Whether a return address follows a call, by the bytes before it.

use crate::dump::{Arch, MemoryReader};

/// Whether the instruction that ends at `address` is a call; `None` when its
/// bytes are not captured, or the processor is not one of these.
pub(super) fn ends_at(arch: Arch, address: u64, reader: &mut MemoryReader<'_, '_>) -> Option<bool> {
    match arch {
        Arch::X86 | Arch::Amd64 => {
            // The longest form has seven bytes.
            let start = address.checked_sub(7)?;
            Some(is_x86_call(&reader.array::<7>(start)?))
        }
        Arch::Arm64 => {
            let word = reader.u32(address.checked_sub(4)?)?;
            // BL; BLR; BLRAA and its kin, with pointer authentication.
            let by_register =
                word & 0xffff_fc1f == 0xd63f_0000 || word & 0xfeff_f800 == 0xd63f_0800;
            Some(word >> 26 == 0b10_0101 || by_register)
        }
        Arch::Arm if address & 1 == 1 => {
            let end = address & !1;
            let (first, second) = (reader.u16(end.checked_sub(4)?)?, reader.u16(end - 2)?);
            let long = first & 0xf800 == 0xf000 && second & 0xc000 == 0xc000;
            Some(long || second & 0xff87 == 0x4780)
        }
        Arch::Arm => {
            let word = reader.u32(address.checked_sub(4)?)?;
            let by_register = word & 0x0fff_fff0 == 0x012f_ff30;
            Some(word & 0x0f00_0000 == 0x0b00_0000 || by_register || word >> 25 == 0b111_1101)
        }
        _ => None,
    }
}

/// E8 with a distance of four bytes, or FF /2 in any of its forms. A byte
/// before it may belong to it or to another instruction: prefixes do not
/// matter.
fn is_x86_call(bytes: &[u8; 7]) -> bool {
    let [a, b, c, d, e, f, g] = *bytes;
    let indirect = |opcode: u8, operand: u8, next: Option<u8>, length: usize| {
        opcode == 0xff && (operand >> 3) & 7 == 2 && indirect_length(operand, next) == Some(length)
    };
    c == 0xe8
        || indirect(f, g, None, 2)
        || indirect(e, f, Some(g), 3)
        || indirect(d, e, Some(f), 4)
        || indirect(b, c, Some(d), 6)
        || indirect(a, b, Some(c), 7)
}

/// Bytes of `FF /2` by its ModRM byte and the one that follows.
fn indirect_length(operand: u8, next: Option<u8>) -> Option<usize> {
    let (mode, register) = (operand >> 6, operand & 7);
    let has_index = mode != 3 && register == 4;
    let displacement = match mode {
        0 if register == 5 => 4,
        0 if has_index && next? & 7 == 5 => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    Some(2 + usize::from(has_index) + displacement)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_in(tail: &[u8]) -> bool {
        let mut bytes = [0x90; 7];
        bytes[7 - tail.len()..].copy_from_slice(tail);
        is_x86_call(&bytes)
    }

    #[test]
    fn calls_of_x86() {
        let calls: [&[u8]; 9] = [
            &[0xe8, 1, 2, 3, 4],
            &[0xff, 0xd0],                   // call rax
            &[0x41, 0xff, 0xd3],             // call r11
            &[0xff, 0x50, 0x18],             // call [rax+18h]
            &[0xff, 0x15, 1, 2, 3, 4],       // call [rip+…]
            &[0xff, 0x54, 0x24, 0x08],       // call [rsp+8]
            &[0xff, 0x90, 1, 2, 3, 4],       // call [rax+…]
            &[0xff, 0x94, 0xc1, 1, 2, 3, 4], // call [rcx+rax*8+…]
            &[0xff, 0x14, 0xc5, 1, 2, 3, 4], // call [rax*8+…]
        ];
        for call in calls {
            assert!(ends_in(call), "{call:x?}");
        }
        let others: [&[u8]; 6] = [
            &[0xc3],
            &[0xe9, 1, 2, 3, 4],
            &[0xff, 0xe0],             // jmp rax
            &[0xff, 0x15, 1, 2, 3],    // too short
            &[0xff, 0x14, 0xc1, 1, 2], // of three bytes, not five
            &[0x48, 0x8b, 0xd0],
        ];
        for other in others {
            assert!(!ends_in(other), "{other:x?}");
        }
    }
}
