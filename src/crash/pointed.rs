//! What the parameters of an exception point to: the types of a C++ exception
//! and the DLL that could not be delay-loaded. Both lie in read-only data of
//! a module, which small dumps do not hold.

use crate::dump::bytes::text_before_nul;
use crate::dump::{Dump, Exception, PointerWidth};
use crate::limits::Depth;

/// Types of one exception that are looked at: its class and its bases.
const TYPES: u64 = 16;
/// Bytes of a name that are looked at.
const NAME: usize = 256;

/// The types of a C++ exception, the thrown one first, then its bases; empty
/// when they are not captured. Source: ThrowInfo -> CatchableTypeArray ->
/// CatchableType -> TypeDescriptor of the Visual C++ runtime: offsets from the
/// module's base in 64-bit programs, pointers in 32-bit ones.
pub fn thrown_types(dump: &Dump<'_>, exception: &Exception) -> Vec<String> {
    read_types(dump, exception).unwrap_or_default()
}

fn read_types(dump: &Dump<'_>, exception: &Exception) -> Option<Vec<String>> {
    if exception.code != 0xe06d_7363 || dump.limits.depth < Depth::Headers {
        return None;
    }
    let width = dump.system.width;
    let base = match width {
        PointerWidth::Bits32 => 0,
        PointerWidth::Bits64 => *exception.parameters.get(3)?,
    };
    let mut reader = dump.captured.reader();
    let mut pointer = |address| Some(base.wrapping_add(reader.u32(address)?.into()));
    let throw_info = width.mask(*exception.parameters.get(2)?);
    let array = pointer(throw_info.wrapping_add(12))?;
    let count = pointer(array)?.wrapping_sub(base).min(TYPES);
    let descriptor = 2 * width.bytes() as u64;
    let names = (0..count).map(|at| {
        let catchable = pointer(array.wrapping_add(4 + at * 4))?;
        text_at(dump, pointer(catchable.wrapping_add(4))?.wrapping_add(descriptor))
    });
    Some(names.map_while(|name| name).map(|name| type_name(&name)).collect())
}

/// `d3d9.dll`, or `d3d9.dll!Direct3DCreate9`: what a delay load wanted.
/// Source: DelayLoadInfo of delayimp.h, which the first parameter points to.
pub(super) fn delay_load(dump: &Dump<'_>, exception: &Exception) -> Option<String> {
    if dump.limits.depth < Depth::Headers {
        return None;
    }
    let width = dump.system.width;
    let mut reader = dump.captured.reader();
    let info = width.mask(*exception.parameters.first()?);
    let mut field = |at: u64| {
        let offset = at * width.bytes() as u64;
        reader.pointer(info.wrapping_add(offset), width)
    };
    let dll = text_at(dump, field(3)?)?;
    if exception.code != 0xc06d_007f {
        return Some(dll);
    }
    // fImportByName is 4 bytes, padded to a pointer.
    let by_name = field(4)? & 0xffff_ffff != 0;
    let function = field(5)?;
    Some(match text_at(dump, function).filter(|_| by_name) {
        Some(name) => format!("{dll}!{name}"),
        None => format!("{dll}, function {}", function & 0xffff),
    })
}

/// Printable ASCII with a NUL; anything else is no name.
fn text_at(dump: &Dump<'_>, address: u64) -> Option<String> {
    let bytes = dump.captured.bytes_at(address, NAME);
    let text = text_before_nul(&bytes);
    let is_name = !text.is_empty()
        && text.len() < bytes.len()
        && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    is_name.then(|| text.into_owned())
}

/// `std::bad_alloc` of `.?AVbad_alloc@std@@`. Templates and the like stay as
/// they are.
fn type_name(mangled: &str) -> String {
    match mangled {
        ".H" => return "int".into(),
        ".PEAD" | ".PAD" => return "char *".into(),
        ".PEBD" | ".PBD" => return "const char *".into(),
        _ => {}
    }
    let class = [".?AV", ".?AU", ".PEAU", ".PEAV"].iter().find_map(|p| mangled.strip_prefix(p));
    let Some(parts) = class.and_then(|class| class.strip_suffix("@@")) else {
        return mangled.to_owned();
    };
    let plain = |part: &&str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let mut names: Vec<&str> = parts.split('@').collect();
    if names.iter().any(|name| !plain(name)) {
        return mangled.to_owned();
    }
    names.reverse();
    names.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types() {
        let cases = [
            (".?AVbad_alloc@std@@", "std::bad_alloc"),
            (".?AUError@app@@", "app::Error"),
            (".H", "int"),
            (".?AV?$Box@H@@", ".?AV?$Box@H@@"),
            ("?", "?"),
            (".?AV@@", ".?AV@@"),
        ];
        for (mangled, name) in cases {
            assert_eq!(type_name(mangled), name);
        }
    }
}
